"""Every system call of a small export, killed, failed and shortened in turn; then the same export once more."""

import contextlib
import errno
import random
import shutil
from collections.abc import Callable, Container, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import pytest

from contracts import Error, ErrorCode, ExportCancelled, ExportCompleted, ExportFailed, Stage
from service.errors import Conflict, Trouble
from service.ledger import Ledger
from service.sweep import sweep
from tests.engine.faulty import (
    Fault,
    FaultyDisk,
    Killed,
    SharingDisk,
    dying,
    fail_with,
    kill_before,
    kill_half_way,
    killed_at,
    short,
)
from tests.engine.workbench import (
    FOLDER,
    REQUESTED_AT,
    Bench,
    Undisturbed,
    complaint,
    completed,
    small_project,
    staged,
    start,
    visible,
)

MAKES_SOMETHING = {
    "open",
    "write",
    "clone",
    "copy_range",
    "send_file",
    "allocate",
    "fsync",
    "mkdir",
    "link",
    "rename",
    "set_times",
}
MOVES_BYTES = {"write", "read_into", "copy_range", "send_file"}
MAKES_DESCRIPTORS = {"open", "open_beneath"}


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
}


@pytest.mark.slow
@pytest.mark.usefixtures("in_a_hurry")
@pytest.mark.parametrize("name", FAULTS)
def test_an_export_survives_a_fault_at_every_call(name: str, undisturbed: Undisturbed, memory_disk: Path) -> None:
    calls = undisturbed.calls
    for at in thinned(name, befallen(name, calls)):
        disturbed_once(
            FaultyDisk(at, FAULTS[name].fault), undisturbed, memory_disk, f"{name} at call {at}, {calls[at]}"
        )


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
    for _ in range(150):
        first, second = chance.randrange(len(undisturbed.calls)), chance.randrange(len(undisturbed.calls))
        killed_twice(first, second, undisturbed, memory_disk)


def killed_twice(first: int, second: int, undisturbed: Undisturbed, memory_disk: Path) -> None:
    where = f"killed at call {first}, then at {second}"
    bench = fresh(undisturbed, memory_disk)
    for at in (first, second):
        with contextlib.suppress(Killed):
            bench.run(start(small_project()), killed_at(at))
        assert complaint(bench.exports, undisturbed.tree) is None, where
    _finishes(bench, undisturbed, where)


# ---- what others ask of the records ------------------------------------------------------------------------------


class Operation(NamedTuple):
    """Something that is asked of the ledger. Done once more after any fault, it holds what it promised."""

    prepare: Callable[[Bench], object]
    do: Callable[[Ledger], object]
    may_be_seen: Callable[[Mapping[str, bytes | None]], Container[Mapping[str, bytes | None]]]
    """At any time, by a reader, of what an undisturbed export is."""
    holds: Callable[[Bench], object]


AT = REQUESTED_AT + timedelta(minutes=1)
INVALID = Error(
    code=ErrorCode.INVALID_MESSAGE, title="Not valid", detail="project", stage=Stage.ACCEPTING, retryable=False
)


def _refused(bench: Bench) -> None:
    decided = bench.outcome()
    decision = bench.ledger().refuse("e1", "one", INVALID, "p1", AT + timedelta(days=1))
    assert isinstance(decision.event, ExportFailed)
    assert decided in {None, bench.outcome()}
    assert bench.ledger().refuse("e1", "one", INVALID, "p1", AT).body == decision.body
    with pytest.raises(Conflict):
        bench.run(start(small_project()))


def _deleted(bench: Bench) -> None:
    decided = bench.outcome()
    bench.ledger().delete("e1", "")
    assert visible(bench.exports) == {}
    event = bench.run(start(small_project()))
    assert isinstance(event, ExportCancelled if decided is None else ExportCompleted)
    assert decided in {None, bench.outcome()}
    assert visible(bench.exports) == {}
    assert sweep(bench.ledger(), datetime.now(UTC), timedelta(0)).troubles == []
    assert staged(bench.exports) == []
    assert list((bench.exports / ".exports").glob("_trash/*")) == []


def _told(bench: Bench) -> None:
    ledger = bench.ledger()
    ledger.owe("e1")
    assert ledger.owed() == ["e1"]
    ledger.told("e1")
    assert ledger.owed() == []


def _owe_and_tell(ledger: Ledger) -> None:
    ledger.owe("e1")
    ledger.owe_again("e1")
    ledger.owed_since("e1")
    ledger.told("e1")


def _dies(call: str, ending: str) -> Callable[[Bench], None]:
    def dies(bench: Bench) -> None:
        with contextlib.suppress(Killed, BaseExceptionGroup):
            bench.run(start(small_project()), dying(call, ending))

    return dies


def _nothing(_: Mapping[str, bytes | None]) -> Container[Mapping[str, bytes | None]]:
    return [{}]


def _less_and_less(tree: Mapping[str, bytes | None]) -> Container[Mapping[str, bytes | None]]:
    """All, the archive without its folder, nothing: and never half a folder."""
    archive = f"{FOLDER}.zip"
    return [tree, {name: tree[name] for name in tree if name != archive}, {archive: tree[archive]}, {}]


OPERATIONS = {
    "refuse": Operation(
        Bench.make_root, lambda ledger: ledger.refuse("e1", "one", INVALID, "p1", AT), _nothing, _refused
    ),
    "delete what is finished": Operation(
        lambda bench: bench.run(start(small_project())),
        lambda ledger: ledger.delete("e1", ""),
        _less_and_less,
        _deleted,
    ),
    "delete what is decided": Operation(
        _dies("link", "/a-000001/archive"), lambda ledger: ledger.delete("e1", ""), _nothing, _deleted
    ),
    "delete what is under way": Operation(
        _dies("open", "/archive.part"), lambda ledger: ledger.delete("e1", ""), _nothing, _deleted
    ),
    "delete what nobody asked for": Operation(
        Bench.make_root, lambda ledger: ledger.delete("e1", ""), _nothing, _deleted
    ),
    "owe and tell": Operation(Bench.make_root, _owe_and_tell, _nothing, _told),
}


@pytest.mark.slow
@pytest.mark.parametrize("fault_name", FAULTS)
@pytest.mark.parametrize("name", OPERATIONS)
def test_what_is_asked_of_the_records_survives_a_fault_at_every_call(
    name: str, fault_name: str, undisturbed: Undisturbed, memory_disk: Path
) -> None:
    calls = calls_of(name, undisturbed, memory_disk)
    assert len(calls) > 5
    for at in thinned(fault_name, befallen(fault_name, calls)):
        asked_once(name, fault_name, at, undisturbed, memory_disk)


def calls_of(name: str, undisturbed: Undisturbed, memory_disk: Path) -> list[str]:
    """Those of an operation that nothing happens to."""
    counted = FaultyDisk()
    OPERATIONS[name].do(_prepared(OPERATIONS[name], undisturbed, memory_disk).ledger(counted))
    return counted.calls


def asked_once(name: str, fault_name: str, at: int, undisturbed: Undisturbed, memory_disk: Path) -> None:
    """With that fault at that call; then once more."""
    operation = OPERATIONS[name]
    bench = _prepared(operation, undisturbed, memory_disk)
    with contextlib.suppress(Trouble, Killed):
        operation.do(bench.ledger(FaultyDisk(at, FAULTS[fault_name].fault)))
    assert visible(bench.exports) in operation.may_be_seen(undisturbed.tree), f"{name}: {fault_name} at call {at}"
    operation.holds(bench)


def _prepared(operation: Operation, undisturbed: Undisturbed, memory_disk: Path) -> Bench:
    bench = fresh(undisturbed, memory_disk)
    operation.prepare(bench)
    return bench


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
