"""Clocks of workers jump by days and by years: exports go on, are handed on, and hold no time but the command's.

When an export ends and expires goes by the storage's clock (docs/reliability.md); on a disk of its own, as here, that
is the machine's.
"""

import asyncio
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import mkdtemp

import pytest

from tests.broker.commands import make_exports_root, make_project
from tests.broker.oracle import judge_disk
from tests.broker.stage import Stage, finished, inodes, until
from tests.broker.workers import Worker
from tests.tools.clocks import clock_of_its_own

pytestmark = pytest.mark.slow

MB = 1 << 20
YEAR = timedelta(days=365)
JUMPS = {"+1d": timedelta(days=1), "-1d": timedelta(days=-1), "+10y": 10 * YEAR, "-20y": -20 * YEAR}


@pytest.fixture
def exports(tmp_path: Path) -> Iterator[Path]:
    """In memory, where there is some."""
    memory = Path("/dev/shm")  # noqa: S108 - what is made there is private
    place = Path(mkdtemp(dir=memory if memory.is_dir() else tmp_path))
    yield make_exports_root(place / "exports")
    shutil.rmtree(place)


@pytest.fixture(autouse=True)
def no_memory_stays(stage: Stage) -> Iterator[None]:
    """What libfaketime shares between processes; it has no time to remove it when they are killed."""
    yield
    stage.workers.end_all()
    for worker in stage.workers.started:
        for name in (f"faketime_shm_{worker.pid}", f"sem.faketime_sem_{worker.pid}"):
            Path("/dev/shm", name).unlink(missing_ok=True)  # noqa: S108 - where glibc has it


class Clock:
    """The wall clock of the workers that are started with it."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self.jump("+0")

    def jump(self, by: str) -> None:
        fresh = self._file.with_suffix(".new")
        fresh.write_text(f"{by}\n")
        fresh.rename(self._file)

    def worker(self, stage: Stage) -> Worker:
        with pytest.MonkeyPatch.context() as patch:
            for name, value in clock_of_its_own(self._file).items():
                patch.setenv(name, value)
            return stage.workers.start(prefetch=1, copiers=1)


async def is_in_the_long_file(stage: Stage, export_id: str) -> Path:
    attempt = stage.record(export_id, "a-000001")
    await until(lambda: any(file.stat().st_size for file in (attempt / "tree" / "videos").glob("*.part")))
    return attempt


async def test_an_export_does_not_care_how_its_workers_clock_jumps(stage: Stage, tmp_path: Path) -> None:
    clock = Clock(tmp_path / "clock")
    worker = clock.worker(stage)
    project = make_project(stage.media, 1, big=[256 * MB])
    folders = []
    for number, (by, jump) in enumerate(JUMPS.items()):
        message = await stage.ask(f"jump-{number}", project)
        await is_in_the_long_file(stage, message["export_id"])
        clock.jump(by)
        end = await stage.listener.terminal(message["export_id"], 60)
        assert (end.key, end.document["attempt"]) == ("export.completed", 1)
        told = datetime.fromisoformat(end.document["at"])
        assert abs(told - datetime.now(UTC) - jump) < timedelta(days=10), "the clock did not jump, or leap years did"
        folders.append(stage.folder(end))
        assert await asyncio.to_thread(judge_disk, end.export_id, message, stage.media, stage.exports, [end]) == []
    assert {file.stat().st_mtime for folder in folders for file in folder.rglob("*.*")} == {
        datetime(2026, 11, 23, 18, 42, 20, tzinfo=UTC).timestamp()
    }
    await worker.answers(200)


async def test_workers_that_live_in_different_decades_hand_an_export_to_one_another(
    stage: Stage, tmp_path: Path
) -> None:
    ahead, behind = Clock(tmp_path / "ahead"), Clock(tmp_path / "behind")
    first = ahead.worker(stage)
    message = await stage.ask("handed-on", make_project(stage.media, 3, big=[256 * MB]))
    attempt = await is_in_the_long_file(stage, "handed-on")
    ahead.jump("+10y")
    behind.jump("-20y")
    first.kill()
    before = inodes(attempt / "tree", finished(attempt))
    behind.worker(stage)
    [end] = await stage.ended(message)
    assert end.document["attempt"] == 2
    assert before
    assert inodes(stage.folder(end), list(before)) == before
