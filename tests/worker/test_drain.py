"""A worker that ends gives back what it has, and the next one goes on."""

import asyncio
import time

import anyio
import pytest

from service.app import HAND_BACK_SECONDS
from tests.engine.faulty import Gate, before
from tests.worker.stand import Brake, Stand, until


async def test_a_running_export_is_handed_back_and_its_files_are_taken_over(stand: Stand) -> None:
    async with stand.working(Brake()):
        await stand.ask("e1", stand.project(big=1))
        files = await stand.until_files("e1", 6)
        await stand.listener.copying("e1")
    await stand.rabbit.until_depth("export.start", 1)
    assert stand.journal("e1")[-1] == {"handed_back": True}
    async with stand.working(worker_name="w2"):
        end = await stand.ended("e1")
    assert end.document["attempt"] == 2
    assert {name: (stand.folder(end) / name).stat().st_ino for name in files} == files


async def test_a_thread_that_hangs_in_a_read_does_not_hold_its_message_back(stand: Stand) -> None:
    gate = Gate()
    ended = anyio.Event()

    async def work() -> None:
        async with stand.working(before("read_into", "/big1.mp4", gate.wait)):
            await ended.wait()

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(work())
        await stand.ask("e1", stand.project(big=1))
        await asyncio.to_thread(gate.wait_until_reached)
        with gate.while_frozen():
            since = time.monotonic()
            ended.set()
            await stand.rabbit.until_depth("export.start", 1)
            took = time.monotonic() - since
    assert took < HAND_BACK_SECONDS + 1.0


async def test_a_message_that_comes_to_a_worker_which_ends_goes_to_another(stand: Stand) -> None:
    async with stand.working() as parts:
        parts.supervisor.draining.set()
        await stand.ask("e1")
        async with stand.working(worker_name="w2"):
            end = await stand.ended("e1")
    assert end.document["attempt"] == 1


async def test_a_worker_that_ends_with_nothing_to_do_ends_at_once(
    stand: Stand, caplog: pytest.LogCaptureFixture
) -> None:
    async with stand.working() as parts:
        await until(lambda: not parts.health.unready())
        since = time.monotonic()
    assert time.monotonic() - since < HAND_BACK_SECONDS
    assert not [record for record in caplog.records if record.levelname in {"WARNING", "ERROR"}]
