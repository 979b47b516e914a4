"""Every system call of a small export, killed, failed and shortened in turn; then the same export once more."""

import contextlib
import errno
import random
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from service.errors import Trouble
from service.sweep import sweep
from tests.engine.faulty import Fault, FaultyDisk, Killed, fail_with, kill_before, kill_half_way, killed_at, short
from tests.engine.workbench import Bench, Undisturbed, complaint, completed, small_project, staged, start, visible

MAKES_SOMETHING = {"open", "write", "fsync", "mkdir", "link", "rename", "set_times"}
MOVES_BYTES = {"write", "read_into"}

FAULTS: dict[str, tuple[Fault, set[str] | None]] = {
    "killed before": (kill_before, None),
    "killed half way": (kill_half_way, MOVES_BYTES),
    "no space": (fail_with(errno.ENOSPC), MAKES_SOMETHING),
    "over quota": (fail_with(errno.EDQUOT), {"write"}),
    "input/output error": (fail_with(errno.EIO), None),
    "short": (short, MOVES_BYTES),
}
"""Each fault with the calls that it can befall; none stands for all of them."""


@pytest.mark.slow
@pytest.mark.usefixtures("in_a_hurry")
@pytest.mark.parametrize("name", FAULTS)
def test_an_export_survives_a_fault_at_every_call(name: str, undisturbed: Undisturbed, memory_disk: Path) -> None:
    fault, befalls = FAULTS[name]
    for at, call in enumerate(undisturbed.calls):
        if befalls is not None and call not in befalls:
            continue
        where = f"{name} at call {at}, {call}"
        _disturbed_once(_fresh(undisturbed, memory_disk), FaultyDisk(at, fault), undisturbed, where)


@pytest.mark.slow
@pytest.mark.usefixtures("in_a_hurry")
def test_an_export_survives_two_deaths(undisturbed: Undisturbed, memory_disk: Path) -> None:
    """A sample of all pairs: the first process dies at one call, the second at another, the third goes through."""
    chance = random.Random(2)
    for _ in range(150):
        first, second = chance.randrange(len(undisturbed.calls)), chance.randrange(len(undisturbed.calls))
        where = f"killed at call {first}, then at {second}"
        bench = _fresh(undisturbed, memory_disk)
        for at in (first, second):
            with contextlib.suppress(Killed):
                bench.run(start(small_project()), killed_at(at))
            assert complaint(bench.exports, undisturbed.tree) is None, where
        _finishes(bench, undisturbed, where)


def _fresh(undisturbed: Undisturbed, memory_disk: Path) -> Bench:
    exports = memory_disk / "faulty"
    shutil.rmtree(exports, ignore_errors=True)
    exports.mkdir()
    return Bench(undisturbed.media, exports, [])


def _disturbed_once(bench: Bench, disk: FaultyDisk, undisturbed: Undisturbed, where: str) -> None:
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
    sweep(bench.ledger(), datetime.now(UTC), timedelta(0))
    assert staged(bench.exports) == [], f"{where}: a sweep left something"
    assert bench.run(start(small_project())) == event, f"{where}: a repeat says something else"
