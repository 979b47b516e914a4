"""A connection comes and goes; exports do not go with it, and what is not taken is noticed."""

import asyncio
import time

import anyio
import pytest
from aio_pika import RobustQueue
from pydantic import SecretStr

from contracts import topology
from demo.broker import Broker
from service.app import Worker
from service.broker import _is_consumer, _queue, connections
from service.settings import BrokerSettings
from tests.worker.stand import Brake, Stand, only_embedded, until


@only_embedded
async def test_an_export_outlives_the_connection_and_is_not_begun_twice(stand: Stand, embedded: Broker) -> None:
    brake = Brake()
    async with stand.working(brake) as parts:
        await stand.ask("e1", stand.project(big=1))
        await stand.listener.copying("e1")
        embedded.drop_connections()
        await until(lambda: embedded.queues["export.start"].unacked == 1)  # delivered again
        await until(lambda: not parts.health.unready())
        assert parts.supervisor.is_running("e1")
        brake.release.set()
        end = await stand.ended("e1")
        await until(lambda: embedded.queues["export.start"] == (0, 0))
    assert end.document["attempt"] == 1
    assert len(stand.attempts("e1")) == 1
    assert len({event.body for event in stand.terminals("e1")}) == 1


@only_embedded
async def test_after_a_lost_connection_the_worker_takes_work_again(
    stand: Stand, embedded: Broker, caplog: pytest.LogCaptureFixture
) -> None:
    async with stand.working() as parts:
        for export_id in ("e1", "e2"):
            caplog.clear()
            embedded.drop_connections()
            await until(lambda: "consuming connection: there again" in caplog.text)
            await until(lambda: not parts.health.unready())
            await stand.ask(export_id, stand.project(name=export_id))
            await stand.ended(export_id)


@only_embedded
async def test_a_queue_that_is_deleted_and_made_again_is_consumed_again(stand: Stand) -> None:
    async with stand.working() as parts, stand.rabbit.channel() as channel:
        [lost] = [queue for queue in topology.QUEUES if queue.name == topology.DELETE]
        await channel.queue_delete(lost.name)
        await until(lambda: parts.health.unready() == ["not consuming from the broker"])
        queue = await channel.declare_queue(lost.name, durable=True, arguments=dict(lost.arguments))
        await queue.bind(lost.exchange, lost.name)
        await until(lambda: not parts.health.unready())
        await stand.delete("e1")
        await until(stand.record("e1", "gone.json").exists)


# ---- a broker that is away


@only_embedded
async def test_a_worker_ends_in_time_while_its_broker_is_away(
    stand: Stand, embedded: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.broker._ANSWER_SECONDS", 2.0)  # as it is outside of tests
    monkeypatch.setattr("service.broker._RECONNECT_SECONDS", 600)
    async with stand.working(Brake()) as parts:
        await stand.ask("e1", stand.project(big=1))
        await stand.listener.copying("e1")
        embedded.drop_connections()
        await until(parts.health.unready)
        since = time.monotonic()
    assert time.monotonic() - since < parts.settings.drain_seconds
    assert stand.journal("e1")[-1] == {"handed_back": True}


@only_embedded
async def test_a_worker_that_loses_storage_and_broker_takes_nothing_until_both_are_back(
    stand: Stand, embedded: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.broker._RECONNECT_SECONDS", 1.0)
    async with stand.working() as parts:
        project = stand.project()
        away = stand.media.rename(stand.media.with_name("away"))
        embedded.drop_connections()
        await until(lambda: len(parts.health.unready()) == 2)
        await stand.ask("e1", project)
        await until(lambda: len(embedded.connections) == 3)  # the listener's and the worker's two
        assert embedded.queues["export.start"] == (1, 0)
        away.rename(stand.media)
        await stand.ended("e1")


# ---- the watchdog


@only_embedded
async def test_a_worker_that_is_connected_and_cannot_consume_is_ended_by_its_watchdog(
    stand: Stand, caplog: pytest.LogCaptureFixture
) -> None:
    async with stand.working() as parts, stand.rabbit.channel() as channel:
        await channel.queue_delete(topology.DELETE)
        with anyio.fail_after(5):
            await parts.health.watch(0.2)
    assert "not consuming" in caplog.text


@only_embedded
async def test_the_watchdog_leaves_a_worker_alone_that_has_an_export(stand: Stand) -> None:
    async with stand.working(Brake()) as parts, stand.rabbit.channel() as channel:
        await stand.ask("e1", stand.project(big=1))
        await stand.listener.copying("e1")
        await channel.queue_delete(topology.DELETE)
        await until(parts.health.unready)
        assert not await gives_up(parts)


@only_embedded
async def test_the_watchdog_waits_for_a_storage_that_is_away(stand: Stand) -> None:
    async with stand.working() as parts:
        stand.media.rmdir()
        await until(parts.health.unready)
        assert not await gives_up(parts)


@only_embedded
async def test_the_watchdog_waits_for_a_broker_that_is_away(
    stand: Stand, embedded: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.broker._RECONNECT_SECONDS", 600)
    async with stand.working() as parts:
        embedded.drop_connections()
        await until(parts.health.unready)
        assert not await gives_up(parts)


@only_embedded
async def test_the_watchdog_leaves_a_healthy_worker_alone(stand: Stand) -> None:
    async with stand.working() as parts:
        assert not await gives_up(parts)


async def gives_up(parts: Worker) -> bool:
    """Whether the watchdog does, when it is given three times its patience."""
    with anyio.move_on_after(0.3):
        await parts.health.watch(0.1)
        return True
    return False


# ---- what service/broker.py reaches for beneath FastStream and aio-pika


async def test_the_private_attributes_that_consumption_uses_mean_what_they_did(stand: Stand) -> None:
    async with stand.working() as parts:
        for subscriber in parts.health.consumption._subscribers:
            queue, tag = getattr(subscriber, "_queue_obj", None), getattr(subscriber, "_consumer_tag", None)
            assert isinstance(queue, RobustQueue), f"FastStream has its aio-pika queue no longer in _queue_obj {SEE}"
            assert isinstance(tag, str), f"FastStream has its consumer's tag no longer in _consumer_tag {SEE}"
            beneath = getattr(queue.channel, "_channel", None)
            assert beneath is not None, f"aio-pika has the open channel of aiormq no longer in _channel {SEE}"
            assert not beneath.channel.is_closed, f"is_closed of aiormq's channel no longer says that it is open {SEE}"
            assert tag in beneath.channel.consumers, f"aiormq has its consumers no longer by their tags {SEE}"


SEE = "(see service/broker.py, Consumption)"


async def test_a_pause_takes_the_consumers_away_and_a_resume_brings_them_back(stand: Stand) -> None:
    async with stand.working() as parts, stand.rabbit.channel() as channel:

        async def consumers() -> int | None:
            queue = await channel.declare_queue("export.start", passive=True)
            return queue.declaration_result.consumer_count

        consumption, [start, *_] = parts.health.consumption, parts.health.consumption._subscribers
        parts.fitness.is_draining = True  # else the next look at the storage resumes
        await consumption.pause()
        assert not consumption.is_consuming()
        assert not _is_consumer(start)
        assert await consumers() == 0
        await consumption.resume()
        assert consumption.is_consuming()
        assert _is_consumer(start)
        assert await consumers() == 1
        assert _queue(start) is not None


async def test_who_gives_up_while_a_broker_does_not_answer_leaves_no_connection() -> None:
    """It takes connections and says nothing: aio-pika would go on to wait in a task that takes no cancellation."""
    ended = anyio.Event()

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.read(1024):
            pass
        writer.close()
        ended.set()

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    before = asyncio.all_tasks()
    publishing, _ = connections(BrokerSettings(broker_url=SecretStr(f"amqp://guest:guest@127.0.0.1:{port}/")))
    with anyio.move_on_after(0.3):
        await publishing.start()
    with anyio.fail_after(5):
        await ended.wait()
    server.close()
    await until(lambda: asyncio.all_tasks() <= before)
