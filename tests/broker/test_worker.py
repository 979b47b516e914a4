"""Whatever becomes of workers, broker and wires: every export comes to one end, and what was finished is not redone.

All workers here log in as `export-worker`, who may configure nothing but queues of its own.
"""

import asyncio
from signal import SIGCONT, SIGSTOP

import pytest

from tests.broker.commands import export_start, start
from tests.broker.listener import Event
from tests.broker.node import YOUNG_QUEUE_SECONDS, PrivateNode
from tests.broker.proxy import Proxy
from tests.broker.stage import Stage, inodes, seconds_of, until
from tests.broker.workers import USER

pytestmark = pytest.mark.slow


def is_not_redone(stage: Stage, end: Event, before: dict[str, int]) -> bool:
    return bool(before) and inodes(stage.folder(end), list(before)) == before


async def test_a_worker_exports_what_it_is_asked_for(stage: Stage) -> None:
    await stage.workers.ready()
    [end] = await stage.ended(await stage.ask("plain", stage.project(), archive="zip"))
    assert end.document["outcome"] == "complete"


async def test_what_was_asked_for_before_any_worker_was_there_is_exported(stage: Stage) -> None:
    message = await stage.ask("early", stage.project())
    await stage.workers.ready()
    await stage.ended(message)


async def test_a_worker_that_starts_before_its_broker_becomes_ready(mortal: PrivateNode, stage: Stage) -> None:
    await asyncio.sleep(YOUNG_QUEUE_SECONDS)  # or the kill may take the listener's queue with it
    mortal.kill()
    worker = stage.workers.start()
    await worker.answers(503)
    await asyncio.to_thread(mortal.start)
    await worker.ready()
    await stage.ended(await stage.ask("patient", stage.project()))


# ---- a worker ends


async def test_after_kill_9_the_next_worker_goes_on_with_what_was_finished(stage: Stage) -> None:
    [first] = await stage.workers.ready(copiers=1)
    message, before = await stage.busy("killed")
    await stage.workers.ready()
    first.kill()
    [end] = await stage.ended(message)
    assert end.document["attempt"] == 2
    assert is_not_redone(stage, end, before)


async def test_on_sigterm_another_worker_has_the_message_within_a_second(stage: Stage) -> None:
    [first] = await stage.workers.ready(copiers=1)
    message, before = await stage.busy("handed")
    await stage.workers.ready()
    ending = asyncio.create_task(first.sigterm())
    taken = stage.listener.wait_for("handed", lambda event: event.document["attempt"] == 2)
    assert await seconds_of(taken) < 1.0
    assert await ending < 5.0
    assert first.exit_code == 0
    [end] = await stage.ended(message)
    assert is_not_redone(stage, end, before)


async def test_a_frozen_worker_does_no_harm_when_it_wakes(stage: Stage) -> None:
    async with Proxy(stage.node.port) as proxy:
        [first] = await stage.workers.ready(copiers=1, broker_url=stage.node.url(USER, proxy.port))
        message, _ = await stage.busy("frozen")
        await stage.workers.ready()
        first.stop_cont(SIGSTOP)
        proxy.reset()  # the node gives the message to the second, who sees the first one's lock
        first.stop_cont(SIGCONT)
        await stage.ended(message)


# ---- the broker ends


async def test_when_the_broker_dies_copying_goes_on(mortal: PrivateNode, stage: Stage) -> None:
    await stage.workers.ready(copiers=1)
    message, before = await stage.busy("orphan")
    await mortal.restarted()
    [end] = await stage.ended(message)
    assert end.document["attempt"] == 1
    assert is_not_redone(stage, end, before)


async def test_when_the_broker_dies_at_the_announcement_it_is_made_later(mortal: PrivateNode, stage: Stage) -> None:
    await stage.workers.ready(copiers=1)
    message = await stage.ask("unheard", stage.project())
    await stage.until_decided("unheard")
    await mortal.restarted()
    await stage.ended(message)


# ---- the wire is cut


async def test_when_the_wire_is_cut_the_export_goes_on(stage: Stage) -> None:
    async with Proxy(stage.node.port) as proxy:
        await stage.workers.ready(copiers=1, broker_url=stage.node.url(USER, proxy.port))
        message, before = await stage.busy("cut")
        proxy.reset()
        [end] = await stage.ended(message)
        assert end.document["attempt"] == 1
        assert is_not_redone(stage, end, before)


@pytest.mark.parametrize("count", [1, 40, 1000])
async def test_a_wire_that_is_cut_within_a_frame_loses_nothing(stage: Stage, count: int) -> None:
    async with Proxy(stage.node.port) as proxy:
        await stage.workers.ready(broker_url=stage.node.url(USER, proxy.port))
        proxy.cut_after(count)
        await stage.ended(await stage.ask("torn", stage.project()))


@pytest.mark.parametrize("count", [600, 1300, 1700])
async def test_a_worker_whose_connection_is_lost_while_it_begins_begins_once_more(stage: Stage, count: int) -> None:
    async with Proxy(stage.node.port) as proxy:
        proxy.cut_after(count)
        await stage.workers.ready(broker_url=stage.node.url(USER, proxy.port))
        assert not proxy.is_to_be_cut
        await stage.ended(await stage.ask("begun", stage.project()))


async def test_a_worker_that_is_told_to_end_while_it_begins_ends_in_peace(stage: Stage) -> None:
    async with Proxy(stage.node.port) as proxy:
        proxy.delay_seconds = 0.3
        worker = stage.workers.start(broker_url=stage.node.url(USER, proxy.port))
        await until(lambda: proxy.connections == 2)
        await worker.sigterm()
    assert worker.exit_code == 0
    # What its client library had begun and could not end is told by Python, on a slow machine; nothing of ours.
    assert "/service/" not in worker.said


async def test_a_worker_behind_a_dead_wire_and_its_successor_make_one_export(stage: Stage) -> None:
    async with Proxy(stage.node.port) as proxy:
        await stage.workers.ready(copiers=1, heartbeat_seconds=1, broker_url=stage.node.url(USER, proxy.port))
        message, _ = await stage.busy("parted")
        await stage.workers.ready()
        proxy.hole(True)
        await stage.listener.terminal("parted", 60)
        proxy.hole(False)
        await stage.ended(message)


# ---- the broker is short of memory


async def test_while_the_broker_is_short_of_memory_copying_goes_on_and_the_end_is_told_later(stage: Stage) -> None:
    await stage.workers.ready(copiers=1)
    message, _ = await stage.busy("short")
    await asyncio.to_thread(stage.node.alarm)
    try:
        await stage.until_decided("short")
        await until(lambda: any(stage.exports.glob("export_*")))
        assert not stage.terminals("short")
    finally:
        await asyncio.to_thread(stage.node.clear_alarm)
    [end] = await stage.ended(message)
    assert end.document["attempt"] == 1


# ---- a root goes away


async def test_a_worker_without_its_media_takes_nothing_until_they_are_back(stage: Stage) -> None:
    [worker] = await stage.workers.ready()
    project = stage.project()
    away = stage.media.rename(stage.media.with_name("away"))
    await worker.answers(503)
    message = await stage.ask("waiting", project)
    await stage.node.until_depth("export.start", 1)
    away.rename(stage.media)
    await worker.ready()
    await stage.ended(message)


async def test_an_export_whose_media_go_away_half_way_is_finished_when_they_are_back(stage: Stage) -> None:
    [worker] = await stage.workers.ready(copiers=1)
    message = await stage.ask("half", stage.project(big=3))
    await stage.until_files("half", 9)
    away = stage.media.rename(stage.media.with_name("away"))
    await worker.answers(503)
    assert not stage.terminals("half")
    away.rename(stage.media)
    [end] = await stage.ended(message)
    assert end.document["outcome"] == "complete"


# ---- repeats


@pytest.mark.parametrize("count", [2, 3])
async def test_one_message_delivered_several_times_at_once_is_one_export(stage: Stage, count: int) -> None:
    message = export_start("again", stage.project(big=1))
    await start(stage.node, *[message] * count)
    await stage.workers.ready(2)
    await stage.ended(message)


async def test_a_repeat_after_the_end_is_answered_in_the_same_bytes(stage: Stage) -> None:
    await stage.workers.ready()
    message = await stage.ask("twice", stage.project())
    [end] = await stage.ended(message)
    await start(stage.node, message)
    await until(lambda: len(stage.terminals("twice")) == 2)
    assert {event.body for event in stage.terminals("twice")} == {end.body}
    await stage.ended(message)


async def test_another_content_under_the_same_id_is_parked_with_the_reason(stage: Stage) -> None:
    await stage.workers.ready()
    project = stage.project()
    message = await stage.ask("taken", project)
    await stage.ended(message)
    await stage.ask("taken", project | {"name": "Another"})
    [(body, headers)] = await stage.parked()
    assert b'"Another"' in body
    assert headers["x-reason"] == "conflict"
    assert "taken" in headers["x-detail"]
    await stage.ended(message)
    assert len(stage.terminals("taken")) == 1


async def test_two_exports_of_one_project_in_one_second_are_two_folders(stage: Stage) -> None:
    project = stage.project()
    messages = [await stage.ask(export_id, project, archive="zip") for export_id in ("one", "other")]
    await stage.workers.ready(2)
    ends = await stage.ended(*messages)
    assert len({stage.folder(end) for end in ends}) == 2


# ---- cancelled and deleted


async def test_a_cancelled_export_ends_within_a_second(stage: Stage) -> None:
    await stage.workers.ready(copiers=1)
    message, _ = await stage.busy("stopped")
    await stage.cancel("stopped")
    assert await seconds_of(stage.listener.terminal("stopped")) < 1.0
    await stage.ended(message, as_="export.cancelled")


async def test_a_cancelled_export_that_waits_in_the_queue_is_never_begun(stage: Stage) -> None:
    await stage.workers.ready(prefetch=1, copiers=1)
    busy, _ = await stage.busy("busy")
    waiting = await stage.ask("queued", stage.project(name="other"))
    await stage.cancel("queued")
    await stage.cancel("busy")
    await stage.ended(busy, waiting, as_="export.cancelled")
    assert not stage.record("queued", "a-000001", "tree").exists()


async def test_a_deleted_export_is_gone(stage: Stage) -> None:
    await stage.workers.ready()
    [end] = await stage.ended(await stage.ask("unwanted", stage.project(), archive="zip"))
    await stage.delete("unwanted")
    await until(lambda: not any(stage.exports.glob("export_*")))
    assert [event.body for event in stage.terminals("unwanted")] == [end.body]
    await until(lambda: stage.record("unwanted", "gone.json").exists())
