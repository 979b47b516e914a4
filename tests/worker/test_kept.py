"""In which order things are promised: a message is kept, and its end is owed, until somebody else has what it says."""

import json

import pytest

from contracts import topology
from demo.broker import Broker
from service.intake import accept
from tests.worker.stand import Brake, Stand, only_embedded, until

pytestmark = only_embedded

HELD = (0, 1)
"""Nothing waits, and one message is held."""


async def test_an_export_is_owed_and_its_message_kept_until_the_broker_has_confirmed_the_end(
    stand: Stand, embedded: Broker, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("service.announce.FIRST_CONFIRM_SECONDS", 0.05)
    monkeypatch.setattr("service.announce.PROGRESS_GIVEN_UP_AFTER_SECONDS", 0.05)
    brake = Brake()
    async with stand.working(brake):
        await stand.ask("e1", stand.project(big=1))
        await stand.listener.copying("e1")
        embedded.block()
        brake.release.set()
        await until(lambda: "export.completed of e1 is not confirmed yet" in caplog.text)
        owed, queue = stand.ledger().owed(), embedded.queues["export.start"]
        embedded.unblock()
        assert owed == ["e1"]
        assert queue == HELD
        await stand.ended("e1")
        await until(lambda: not stand.ledger().owed())
        await until(lambda: embedded.queues["export.start"] == (0, 0))


async def test_what_is_put_aside_is_kept_until_it_is(
    stand: Stand, embedded: Broker, caplog: pytest.LogCaptureFixture
) -> None:
    async with stand.working(), stand.rabbit.channel() as channel:
        await channel.exchange_delete(topology.PARKED)
        await stand.rabbit.send("export.start", b"not JSON")
        await until(lambda: "a message to park is not confirmed yet" in caplog.text)
        assert embedded.queues["export.start"] == HELD
        exchange = await channel.declare_exchange(topology.PARKED, "fanout", durable=True)
        await (await channel.get_queue(topology.PARKED)).bind(exchange, "")
        await until(lambda: embedded.queues["export.start"] == (0, 0))
        assert embedded.queues["export.parked"].ready >= 1


async def test_a_worker_that_ends_stops_at_the_next_chunk_and_not_at_the_end_of_a_file(stand: Stand) -> None:
    async with stand.working(Brake(chunk_seconds=0.02)):
        await stand.ask("e1", stand.project(big=1))
        files = await stand.until_files("e1", 6)
        await stand.listener.copying("e1")
    assert [line["file"] for line in stand.journal("e1") if "file" in line] == list(files)


async def test_who_was_frozen_with_a_command_and_wakes_up_after_its_end_owes_nothing(stand: Stand) -> None:
    """Its message was given to another, and told: nobody would strike out what it notes, if it is killed next."""
    async with stand.working():
        message = await stand.ask("e1")
        await stand.ended("e1")
        await until(lambda: not stand.ledger().owed())
    await accept(json.dumps(message).encode(), {}, stand.ledger())
    assert stand.ledger().owed() == []
