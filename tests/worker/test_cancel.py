"""Whoever asked may think again: cancel and delete, before, while and after."""

import json
from uuid import uuid4

import pytest

from tests.broker.commands import export_start
from tests.worker.stand import Brake, Stand, only_embedded, until, until_it_is


async def test_a_running_export_obeys_a_cancel_at_the_next_chunk(stand: Stand) -> None:
    async with stand.working(Brake()):
        await stand.ask("e1", stand.project(big=1))
        await stand.listener.copying("e1")
        await stand.cancel("e1")
        end = await stand.ended("e1", "export.cancelled")
        await stand.rabbit.until_depth("export.cancel", 0)
    assert end.document["error"]["code"] == "cancelled"
    assert not any(stand.exports.glob("export_*"))
    assert stand.listener.of("e1")[-1].key == "export.cancelled"


async def test_every_worker_hears_a_cancel_and_only_who_runs_the_export_notes_it(stand: Stand) -> None:
    """The broadcast alone, past the queue that any worker may take it from."""
    async with stand.working(Brake(), prefetch=1) as first, stand.working(prefetch=1, worker_name="w2") as second:
        await stand.ask("e1", stand.project(big=1))
        await stand.listener.copying("e1")
        body = json.dumps({"version": 1, "export_id": "e1"}).encode()
        for parts in (first, second):
            own = next(one.queue.name for one in parts.consume.subscribers if "export.worker." in one.queue.name)  # type: ignore[attr-defined]
            await stand.rabbit.send(own, body, exchange="")
        await stand.ended("e1", "export.cancelled")


async def test_a_cancel_that_comes_before_its_export_is_obeyed(stand: Stand) -> None:
    async with stand.working():
        await stand.cancel("e1")
        await until(stand.record("e1", "cancel.json").exists)
        await stand.ask("e1")
        end = await stand.ended("e1", "export.cancelled")
    assert end.document["error"]["code"] == "cancelled"
    assert not any(stand.exports.glob("export_*"))


async def test_a_cancel_of_what_is_decided_changes_nothing(stand: Stand) -> None:
    async with stand.working():
        message = await stand.ask("e1")
        end = await stand.ended("e1")
        await stand.cancel("e1")
        await until(stand.record("e1", "cancel.json").exists)
        await stand.rabbit.send("export.start", message)
        first, again = await stand.told("e1", 2)
    assert first.body == again.body
    assert stand.folder(end).is_dir()


async def test_a_cancel_of_an_unknown_export_is_noted_and_done_with(stand: Stand) -> None:
    async with stand.working():
        await stand.cancel("nobody")
        await until(stand.record("nobody", "cancel.json").exists)
        await stand.rabbit.until_depth("export.cancel", 0)
        await stand.ask("e1")
        await stand.ended("e1")
    assert {event.export_id for event in stand.listener.events} == {"e1"}


@pytest.mark.parametrize(
    ("key", "body"),
    [("export.cancel", b"not JSON"), ("export.cancel", b'{"export_id": "../x"}'), ("export.delete", b'{"version": 1}')],
)
async def test_a_malformed_wish_is_parked(stand: Stand, key: str, body: bytes) -> None:
    async with stand.working():
        await stand.rabbit.send(key, body)
        [parked] = await stand.rabbit.taken("export.parked")
    assert (parked.body, parked.routing_key) == (body, key)
    assert parked.headers["x-reason"] == "invalid_message"


# ---- delete


async def test_to_delete_a_running_export_is_to_cancel_it(stand: Stand) -> None:
    async with stand.working(Brake()):
        await stand.ask("e1", stand.project(big=1))
        await stand.listener.copying("e1")
        await stand.delete("e1")
        await stand.ended("e1", "export.cancelled")
    assert not any(stand.exports.glob("export_*"))


async def test_a_finished_export_that_is_deleted_is_gone_and_a_repeat_does_not_bring_it_back(stand: Stand) -> None:
    async with stand.working():
        message = await stand.ask("e1", archive="zip")
        await stand.ended("e1")
        await stand.delete("e1")
        await until(lambda: not any(stand.exports.glob("export_*")))
        await stand.rabbit.send("export.start", message)
        first, again = await stand.told("e1", 2)
    assert first.body == again.body
    assert not any(stand.exports.glob("export_*"))
    assert json.loads(stand.record("e1", "gone.json").read_text()) == {"reason": "deleted"}


async def test_an_export_that_is_deleted_before_it_is_asked_for_is_cancelled(stand: Stand) -> None:
    async with stand.working():
        await stand.delete("e1")
        await until(stand.record("e1", "cancel.json").exists)
        await stand.rabbit.send("export.start", export_start("e1", stand.project()))
        await stand.ended("e1", "export.cancelled")
    assert not any(stand.exports.glob("export_*"))


@only_embedded
async def test_a_broadcast_that_cannot_be_read_is_left_alone(stand: Stand) -> None:
    async with stand.working() as parts:
        own = next(one.queue.name for one in parts.consume.subscribers if "export.worker." in one.queue.name)  # type: ignore[attr-defined]
        await stand.rabbit.send(own, b"not JSON " + uuid4().bytes, exchange="")
        await until_it_is(lambda: stand.rabbit.depth(own), 0)
        await stand.ask("e1")
        await stand.ended("e1")
    assert await stand.rabbit.depth("export.parked") == 0
