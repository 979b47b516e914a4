"""Every system call of a small export, killed, failed and shortened in turn; then the same export once more."""

import contextlib
import errno
import os
import random
import shutil
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from service.errors import Trouble
from service.sweep import sweep
from tests.engine.deaths import LEAVES_NOTHING, Death, LivingDisk, leaves_something
from tests.engine.faulty import (
    Call,
    Fault,
    FaultyDisk,
    Killed,
    SharingDisk,
    fail_with,
    kill_before,
    kill_half_way,
    short,
)
from tests.engine.threadless import without_threads
from tests.engine.workbench import (
    Bench,
    Undisturbed,
    complaint,
    completed,
    small_project,
    staged,
    start,
    visible,
)

CHANGES_NAMES = {"mkdir", "link", "rename", "unlink", "rmdir"}
MAKES_SOMETHING = {
    *("open", "write", "clone", "copy_range", "send_file", "allocate", "fsync", "mkdir", "link", "rename", "set_times"),
}
MOVES_BYTES = {"write", "read_into", "copy_range", "send_file"}
MAKES_DESCRIPTORS = {"open", "open_beneath"}


def answer_lost(name: str, real: Call, arguments: tuple[Any, ...]) -> Any:
    """It was done, and nobody is told so."""
    real(*arguments)
    raise OSError(errno.EIO, os.strerror(errno.EIO))


def asked_twice(name: str, real: Call, arguments: tuple[Any, ...]) -> Any:
    """The first answer was lost, so NFS asks again, and is told that what it wants to make is there already."""
    real(*arguments)
    return real(*arguments)


class Misfortune(NamedTuple):
    fault: Fault
    befalls: set[str] | None = None
    """The calls that it can befall; none stands for all of them."""
    step: int = 1
    """Of them the short form takes each so many-th."""


FAULTS = {
    "killed before": Misfortune(kill_before),
    "killed half way": Misfortune(kill_half_way, MOVES_BYTES),
    "no space": Misfortune(fail_with(errno.ENOSPC), MAKES_SOMETHING),
    "over quota": Misfortune(fail_with(errno.EDQUOT), {"write"}),
    "input/output error": Misfortune(fail_with(errno.EIO)),
    "no descriptor left": Misfortune(fail_with(errno.EMFILE), MAKES_DESCRIPTORS),
    "stale handle": Misfortune(fail_with(errno.ESTALE), step=2),
    "short": Misfortune(short, MOVES_BYTES),
    "answer lost": Misfortune(answer_lost, CHANGES_NAMES | {"fsync", "set_times", "touch", "allocate"}, step=2),
    "asked twice": Misfortune(asked_twice, CHANGES_NAMES, step=2),
}

IN_THREADS = {"killed before", "killed half way", "over quota", "short"}
"""The short form takes half of the time where nothing is in a thread, and the long form has all with their threads."""


@pytest.mark.slow
@pytest.mark.usefixtures("in_a_hurry")
@pytest.mark.parametrize("name", FAULTS)
def test_an_export_survives_a_fault_at_every_call(name: str, undisturbed: Undisturbed, memory_disk: Path) -> None:
    calls = undisturbed.calls
    # Of deaths that leave the same one is enough; the long form has them all.
    wanted = undisturbed.deaths if name == "killed before" else befallen(name, calls)
    with contextlib.nullcontext() if name in IN_THREADS else without_threads():
        for at in thinned(name, wanted):
            disk = FaultyDisk(at, FAULTS[name].fault)
            disturbed_once(disk, undisturbed, memory_disk, f"{name} at call {at}, {calls[at]}")


def befallen(name: str, calls: Sequence[str]) -> list[int]:
    """The numbers of the calls that the fault can befall."""
    only = FAULTS[name].befalls
    return [at for at, call in enumerate(calls) if only is None or call in only]


def thinned(name: str, calls: list[int]) -> list[int]:
    """Some of them, from a call on that differs with the fault; the long form (tests/prove) has all."""
    step = FAULTS[name].step
    return calls[len(name) % step :: step]


SHARES = {"clone", "copy_range"}


@pytest.mark.usefixtures("in_a_hurry")
@pytest.mark.parametrize("name", FAULTS)
def test_an_export_survives_a_fault_at_every_call_that_shares_blocks(
    name: str, undisturbed: Undisturbed, memory_disk: Path
) -> None:
    calls = calls_that_share(undisturbed, memory_disk)
    assert set(calls) >= SHARES
    for at in befallen(name, calls):
        if calls[at] in SHARES:
            where = f"{name} at call {at}, {calls[at]}"
            disturbed_once(SharingDisk(at, FAULTS[name].fault), undisturbed, memory_disk, where)


def calls_that_share(undisturbed: Undisturbed, memory_disk: Path) -> list[str]:
    """Those of an export on a file system that shares blocks."""
    alone = SharingDisk()
    completed(fresh(undisturbed, memory_disk).run(start(small_project()), alone))
    return alone.calls


@pytest.mark.slow
@pytest.mark.usefixtures("in_a_hurry")
def test_an_export_survives_two_deaths(undisturbed: Undisturbed, memory_disk: Path) -> None:
    """A sample of all pairs: the first process dies at one call, the second at another, the third goes through."""
    chance = random.Random(2)
    with without_threads():
        for _ in range(150):
            first, second = (Death(chance.randrange(len(undisturbed.calls))) for _ in range(2))
            killed_twice(first, second, undisturbed, memory_disk)


def killed_twice(first: Death, second: Death, undisturbed: Undisturbed, memory_disk: Path) -> None:
    where = f"killed at call {first}, then at {second}"
    bench = fresh(undisturbed, memory_disk)
    for death in (first, second):
        with contextlib.suppress(Killed):
            bench.run(start(small_project()), death.disk())
        assert complaint(bench.exports, undisturbed.tree) is None, where
    _finishes(bench, undisturbed, where)


def test_calls_at_which_a_death_is_left_out_leave_nothing(
    undisturbed: Undisturbed, memory_disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else two deaths would be taken for one; in an export that goes on from an earlier one, and in a repeat, too."""
    monkeypatch.setattr("service.liveness.REPORT_EVERY_SECONDS", 30.0)  # nothing is done beside a call
    bench = fresh(undisturbed, memory_disk)
    disks = [QuietDisk(bench.exports) for _ in range(3)]
    disks[0].dies_at = 330
    for disk in disks:
        with contextlib.suppress(Killed):
            bench.run(start(small_project()), disk)
    assert {name for disk in disks for name in disk.looked_at} >= LEAVES_NOTHING - {"seek", "free_files"} | {"open"}


class QuietDisk(LivingDisk):
    """Looks at the exports root before and after each call that is said to leave nothing."""

    def __init__(self, exports: Path) -> None:
        super().__init__()
        self.dies_at: int | None = None
        self.looked_at: set[str] = set()
        self._exports = exports

    def _around(self, name: str, real: Call, arguments: tuple[Any, ...]) -> Any:
        if len(self.calls) == self.dies_at:
            raise Killed
        if leaves_something(name, arguments):
            return super()._around(name, real, arguments)
        before = self._all()
        result = super()._around(name, real, arguments)
        assert self._all() == before, f"{name} leaves something"
        self.looked_at.add(name)
        return result

    def _all(self) -> dict[str, tuple[int, int, int, bytes | None]]:
        found = {}
        for path in self._exports.rglob("*"):
            status = path.stat()
            content = None if path.is_dir() else path.read_bytes()
            found[str(path)] = (status.st_ino, status.st_nlink, status.st_mtime_ns, content)
        return found


def fresh(undisturbed: Undisturbed, memory_disk: Path) -> Bench:
    """An exports root in which nothing happened yet."""
    exports = memory_disk / "faulty"
    shutil.rmtree(exports, ignore_errors=True)
    exports.mkdir()
    return Bench(undisturbed.media, exports, [])


def disturbed_once(disk: FaultyDisk, undisturbed: Undisturbed, memory_disk: Path, where: str) -> None:
    """An export on that disk, and then another that goes on from whatever is left of it."""
    bench = fresh(undisturbed, memory_disk)
    with contextlib.suppress(Trouble, Killed):
        bench.run(start(small_project()), disk)
    assert complaint(bench.exports, undisturbed.tree) is None, where
    _finishes(bench, undisturbed, where)


def _finishes(bench: Bench, undisturbed: Undisturbed, where: str) -> None:
    """The next run ends as if nothing had happened, and keeps to what was decided before it."""
    decided = bench.outcome()
    event = completed(bench.run(start(small_project())))
    assert decided in {None, bench.outcome()}, f"{where}: the decision was changed"
    assert visible(bench.exports) == undisturbed.tree, f"{where}: the next run gave something else"
    assert sweep(bench.ledger(), datetime.now(UTC), timedelta(0)).troubles == [], where
    assert staged(bench.exports) == [], f"{where}: a sweep left something"
    assert bench.run(start(small_project())) == event, f"{where}: a repeat says something else"
