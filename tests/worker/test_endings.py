"""When an export is given up: after what is its own fault, never for one machine's."""

import asyncio
import contextlib
from collections.abc import Callable

import pytest

from contracts import ExportStart
from service.judgement import DEADLINE_ATTEMPTS, POISON_DEATHS
from service.storage.disk import Disk
from tests.broker.commands import Document, export_start
from tests.engine.faulty import ActingDisk, Killed, dying
from tests.engine.workbench import Bench
from tests.worker.stand import NarrowDisk, Stand, until


async def dies(stand: Stand, message: Document, times: int, disk: Callable[[], Disk]) -> None:
    """So many processes try, and are killed."""
    command = ExportStart.model_validate(message)

    def die() -> None:
        with contextlib.suppress(Killed, BaseExceptionGroup):
            Bench(stand.media, stand.exports, []).run(command, disk())

    for _ in range(times):
        await asyncio.to_thread(die)


def killed_while_planning() -> Disk:
    return dying("open_beneath", "/1.wav")


async def test_an_export_that_killed_five_workers_is_given_up_before_the_sixth(stand: Stand) -> None:
    message = export_start("e1", stand.project())
    await dies(stand, message, POISON_DEATHS, killed_while_planning)
    async with stand.working():
        await stand.rabbit.send("export.start", message)
        error = await stand.failed("e1")
        await stand.rabbit.until_depth("export.start", 0)
    assert (error["code"], error["stage"]) == ("poison", "planning")
    assert len(stand.attempts("e1")) == POISON_DEATHS


async def test_an_export_that_killed_four_workers_is_tried_once_more(stand: Stand) -> None:
    message = export_start("e1", stand.project())
    await dies(stand, message, POISON_DEATHS - 1, killed_while_planning)
    async with stand.working():
        await stand.rabbit.send("export.start", message)
        end = await stand.ended("e1")
    assert end.document["attempt"] == POISON_DEATHS


def buggy() -> Disk:
    def bug() -> None:
        raise KeyError("a bug")

    return ActingDisk("open", "/script.txt.part", bug)


async def test_an_unexpected_error_on_one_worker_decides_nothing(
    stand: Stand, caplog: pytest.LogCaptureFixture
) -> None:
    async with stand.working(buggy()):
        await stand.ask("e1")
        await until(lambda: len(stand.attempts("e1")) >= 3)
        assert not stand.record("e1", "outcome.json").exists()
    assert "KeyError: 'a bug'" in caplog.text
    async with stand.working(worker_name="w2"):
        assert (await stand.ended("e1")).document["outcome"] == "complete"


async def test_an_unexpected_error_on_two_workers_is_the_exports(stand: Stand) -> None:
    async with stand.working(buggy(), worker_name="w1"):
        await stand.ask("e1")
        await until(lambda: any("crash" in line for line in stand.journal("e1")))
    async with stand.working(buggy(), worker_name="w2"):
        error = await stand.failed("e1")
        await stand.rabbit.until_depth("export.start", 0)
    assert error["code"] == "internal"
    assert "KeyError: 'a bug'" in error["detail"]


async def test_an_error_of_one_export_does_not_touch_the_one_beside_it(stand: Stand) -> None:
    def bug() -> None:
        raise KeyError("a bug")

    async with stand.working(ActingDisk("open", "e1/a-000001/tree/script.txt.part", bug)):
        await stand.ask("e1", stand.project(name="one"))
        await stand.ask("e2", stand.project(name="two"))
        await stand.ended("e2")
        await stand.ended("e1")


async def test_an_export_that_gets_nowhere_is_given_up_at_its_deadline(stand: Stand) -> None:
    async with stand.working(NarrowDisk(), patience_seconds=60, deadline_seconds=0.1):
        await stand.ask("e1")
        error = await stand.failed("e1")
    assert error["code"] == "deadline_exceeded"
    assert len(stand.attempts("e1")) == DEADLINE_ATTEMPTS
