"""Every system call of a small export, killed, failed and shortened in turn; then the same export once more."""

import contextlib
import errno
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from contracts import ExportCompleted
from service.errors import Trouble
from service.sweep import sweep
from tests.engine.faulty import Fault, FaultyDisk, Killed, fail_with, kill_before, kill_half_way, short
from tests.engine.workbench import Bench, complaint, make_media, small_project, staged, start, visible

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


@dataclass(frozen=True)
class Undisturbed:
    """An export that nothing happened to."""

    media: Path
    tree: dict[str, bytes | None]
    calls: list[str]


@pytest.fixture(scope="module")
def memory_disk() -> Iterator[Path]:
    """Two thousand exports with all their fsyncs: on tmpfs, where there is one, they take a minute."""
    home = Path("/dev/shm") if Path("/dev/shm").is_dir() else None  # noqa: S108 - made private just below
    with tempfile.TemporaryDirectory(dir=home) as directory:
        yield Path(directory)


@pytest.fixture(scope="module")
def undisturbed(memory_disk: Path) -> Undisturbed:
    make_media(memory_disk / "media")
    exports = memory_disk / "undisturbed"
    exports.mkdir()
    disk = FaultyDisk()
    event = Bench(memory_disk / "media", exports, []).run(start(small_project()), disk)
    assert isinstance(event, ExportCompleted)
    return Undisturbed(memory_disk / "media", visible(exports), disk.calls)


@pytest.mark.slow
@pytest.mark.parametrize("name", FAULTS)
def test_an_export_survives_a_fault_at_every_call(name: str, undisturbed: Undisturbed, memory_disk: Path) -> None:
    fault, befalls = FAULTS[name]
    for at, call in enumerate(undisturbed.calls):
        if befalls is not None and call not in befalls:
            continue
        where = f"{name} at call {at}, {call}"
        exports = memory_disk / "faulty"
        shutil.rmtree(exports, ignore_errors=True)
        exports.mkdir()
        _disturbed_once(Bench(undisturbed.media, exports, []), FaultyDisk(at, fault), undisturbed, where)


def _disturbed_once(bench: Bench, disk: FaultyDisk, undisturbed: Undisturbed, where: str) -> None:
    with contextlib.suppress(Trouble, Killed):
        bench.run(start(small_project()), disk)
    assert complaint(bench.exports, undisturbed.tree) is None, where
    event = bench.run(start(small_project()))
    assert isinstance(event, ExportCompleted), f"{where}: {event}"
    assert visible(bench.exports) == undisturbed.tree, f"{where}: the second run gave something else"
    sweep(bench.ledger(), datetime.now(UTC), timedelta(0))
    assert staged(bench.exports) == [], f"{where}: a sweep left something"
