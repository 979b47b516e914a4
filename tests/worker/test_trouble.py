"""What is wrong with a machine and not with an export: it waits, is handed on, and is finished."""

import errno
import shutil
from collections.abc import Callable
from typing import Any

import pytest

from tests.broker.commands import make_exports_root
from tests.engine.faulty import NamingDisk, failing
from tests.worker.stand import Brake, NarrowDisk, Stand, until


async def test_an_export_without_space_waits_in_its_slot_until_there_is_some(stand: Stand) -> None:
    narrow = NarrowDisk()
    async with stand.working(narrow, patience_seconds=60) as parts:
        await stand.ask("e1")
        await until(lambda: len(stand.attempts("e1")) >= 2)
        assert parts.supervisor.is_running("e1")
        assert parts.health.unready() == []
        assert await stand.rabbit.depth("export.start") == 0
        narrow.is_full = False
        end = await stand.ended("e1")
    assert {"trouble": "no_space"} in stand.journal("e1") or end.document["attempt"] >= 2


async def test_an_export_without_space_is_handed_to_a_worker_that_has_some(
    stand: Stand, caplog: pytest.LogCaptureFixture
) -> None:
    async with stand.working(NarrowDisk()):
        await stand.ask("e1")
        await until(lambda: "export e1: put off" in caplog.text)
        assert not stand.terminals("e1")
        async with stand.working(worker_name="w2"):
            end = await stand.ended("e1")
    assert end.document["outcome"] == "complete"


async def test_what_was_put_off_is_tried_once_for_each_turn(stand: Stand, caplog: pytest.LogCaptureFixture) -> None:
    """Where the queue is empty it comes back at once: as often as it gives its slot away, and no more."""
    async with stand.working(NarrowDisk()):
        await stand.ask("e1")
        await until(lambda: caplog.text.count("export e1: put off") == 1)
        at_first = len(stand.attempts("e1"))
        await until(lambda: caplog.text.count("export e1: put off") == 5)
        assert 3 <= len(stand.attempts("e1")) - at_first <= 5


async def test_an_export_in_trouble_lets_the_others_have_their_turn(stand: Stand) -> None:
    async with stand.working(NarrowFor("e1"), prefetch=1):
        await stand.ask("e1", stand.project(name="one"))
        await stand.ask("e2", stand.project(name="two"))
        await stand.ended("e2")
        assert not stand.terminals("e1")
    await stand.rabbit.until_depth("export.start", 1)


class NarrowFor(NamingDisk):
    """Has no room for one of the exports."""

    def __init__(self, export_id: str) -> None:
        super().__init__()
        self._place = f"/{export_id}/"

    def come_between(self, name: str, about: tuple[str, ...], real: Callable[..., Any], arguments: Any) -> Any:
        if name == "open" and self._place in about[0] and about[0].endswith("/script.txt.part"):
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(*arguments)


async def test_an_io_error_decides_nothing(stand: Stand, caplog: pytest.LogCaptureFixture) -> None:
    async with stand.working(failing("open", "/script.txt.part", errno.EIO)):
        await stand.ask("e1")
        await until(lambda: "export e1: put off" in caplog.text)
    assert not stand.record("e1", "outcome.json").exists()
    # Its message is there once, or twice if this worker ended before it knew that the second one was taken.
    async with stand.working():
        await stand.ended("e1")


async def test_a_worker_whose_media_go_away_gives_back_what_it_has_and_says_why(stand: Stand) -> None:
    async with stand.working() as parts:
        project = stand.project()
        away = stand.media.rename(stand.media.with_name("away"))
        await until(parts.health.unready)
        assert parts.health.unready() == [
            f'storage: the media root "{stand.media}" is gone: No such file or directory',
            "not consuming from the broker",
        ]
        await stand.ask("e1", project)
        await stand.rabbit.until_depth("export.start", 1)
        away.rename(stand.media)
        await until(lambda: not parts.health.unready())
        await stand.ended("e1")


async def test_an_export_that_meets_the_loss_of_its_media_goes_back_at_once(stand: Stand) -> None:
    """Found by the export, before the worker looked."""
    async with stand.working(probe_seconds=600) as parts:
        project = stand.project()
        away = stand.media.rename(stand.media.with_name("away"))
        await stand.ask("e1", project)
        await stand.rabbit.until_depth("export.start", 1)
        await until(lambda: parts.supervisor.running == 0)
        assert parts.health.unready()
        assert not stand.terminals("e1")
        away.rename(stand.media)
        await parts.fitness.look()
        await stand.ended("e1")


async def test_a_project_of_which_nothing_is_there_fails_after_a_while_and_is_no_empty_export(stand: Stand) -> None:
    async with stand.working() as parts:
        project = stand.project(name="lost")
        shutil.rmtree(stand.media / "lost")
        await stand.ask("e1", project)
        error = await stand.failed("e1")
        assert parts.health.unready() == []
    assert error["code"] == "storage_unavailable"
    assert "is this the right directory, and mounted?" in error["detail"]
    assert not any(stand.exports.glob("export_*"))


async def test_files_that_come_in_time_are_exported(stand: Stand) -> None:
    async with stand.working(unavailable_seconds=60):
        project = stand.project(name="late")
        (stand.media / "late").rename(stand.media / "kept")
        await stand.ask("e1", project)
        await until(lambda: len(stand.attempts("e1")) >= 2)
        (stand.media / "kept").rename(stand.media / "late")
        end = await stand.ended("e1")
    assert end.document["outcome"] == "complete"


async def test_an_export_whose_root_goes_away_did_not_die(stand: Stand) -> None:
    """It could not be noted while the root was away: that is made up for before anybody judges the export."""
    brake = Brake()
    async with stand.working(brake, probe_seconds=600) as parts:
        await stand.ask("e1", stand.project(big=1))
        await stand.until_files("e1", 6)
        own = stand.exports.rename(stand.exports.with_name("own"))
        stand.exports.mkdir()
        await until(lambda: parts.supervisor.running == 0)
        stand.exports.rmdir()
        own.rename(stand.exports)
        assert not any("trouble" in line for line in stand.journal("e1"))
        await parts.fitness.look()
        await until(lambda: len(stand.attempts("e1")) == 2)
        assert any("trouble" in line for line in stand.journal("e1"))
        brake.release.set()
        await stand.ended("e1")


async def test_a_wish_that_would_be_kept_where_the_root_is_to_be_mounted_is_handed_back(stand: Stand) -> None:
    """The worker has not noticed yet that its exports root is away."""
    async with stand.working(probe_seconds=60) as parts:
        await stand.ask("e1")
        end = await stand.ended("e1")
        own = stand.exports.rename(stand.exports.with_name("own"))
        stand.exports.mkdir()
        assert parts.health.unready() == []
        await stand.delete("e1")
        await stand.cancel("e2")
        await until(parts.health.unready)
        assert list(stand.exports.iterdir()) == []
        stand.exports.rmdir()
        own.rename(stand.exports)
        await parts.fitness.look()
        await until(lambda: not stand.folder(end).exists())
        await until(lambda: stand.ledger().is_cancelled("e2"))
        await stand.rabbit.until_depth("export.delete", 0)


async def test_a_worker_writes_nothing_to_another_root_in_the_place_of_its_own(stand: Stand) -> None:
    async with stand.working() as parts:
        own = stand.exports.rename(stand.exports.with_name("own"))
        make_exports_root(stand.exports)
        await until(parts.health.unready)
        assert parts.health.unready()[0] == "storage: another exports root was mounted in the place of this one"
        await stand.ask("e1")
        await stand.rabbit.until_depth("export.start", 1)
        assert not stand.record("e1").exists()
        shutil.rmtree(stand.exports)
        own.rename(stand.exports)
        await stand.ended("e1")
