"""What must be told is told in the end, whatever the broker says first; a bug is no fault of the broker's."""

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import anyio
import pytest

from contracts import Error, ErrorCode, ExportFailed, Stage, topology
from demo.broker import Broker
from service.announce import Announcer
from service.broker import connections
from service.ledger import Decision
from service.settings import BrokerSettings
from tests.worker.stand import Rabbit, only_embedded, until

pytestmark = only_embedded


def decision() -> Decision:
    error = Error(code=ErrorCode.POISON, title="Poison", detail="of the test", stage=Stage.PLANNING, retryable=False)
    event = ExportFailed(export_id="e1", project_id=None, attempt=0, at=datetime.now(UTC), error=error)
    return Decision.of(0, None, None, event)


@pytest.fixture
async def announcer(rabbit: Rabbit) -> AsyncIterator[Announcer]:
    produce, _ = connections(BrokerSettings(broker_url=rabbit.workers_url))  # type: ignore[arg-type]
    async with produce:
        yield Announcer(produce)


@asynccontextmanager
async def without_unrouted(rabbit: Rabbit) -> AsyncIterator[None]:
    """Nobody at all hears of ends."""
    async with rabbit.channel() as channel:
        queue = await channel.get_queue(topology.UNROUTED)
        for key in topology.TERMINALS:
            await queue.unbind(topology.UNROUTED, key)
    yield


async def test_an_end_that_reaches_nobody_is_told_again_until_somebody_listens(
    rabbit: Rabbit, announcer: Announcer, caplog: pytest.LogCaptureFixture
) -> None:
    told = decision()
    async with without_unrouted(rabbit), anyio.create_task_group() as tasks:
        tasks.start_soon(announcer.tell, told)
        await until(lambda: caplog.text.count("export.failed of e1 is not confirmed yet") >= 2)
        async with rabbit.channel() as channel:
            late = topology.results_queue("late")
            queue = await channel.declare_queue(late.name, durable=True, arguments=dict(late.arguments))
            await queue.bind(late.exchange, "export.failed")
    [heard] = await rabbit.taken(late.name)
    assert (heard.body, heard.message_id) == (told.body, "e1:export.failed")


async def test_an_end_that_no_service_listens_to_goes_to_the_queue_of_the_unrouted(
    rabbit: Rabbit, announcer: Announcer
) -> None:
    await announcer.tell(decision())
    assert len(await rabbit.taken(topology.UNROUTED)) == 1


async def test_a_bug_in_telling_flies_instead_of_being_tried_for_ever(announcer: Announcer) -> None:
    with anyio.fail_after(2), pytest.raises((TypeError, ValueError)):
        await announcer.park(b"", {"x-own": object()}, "export.start")
    with anyio.fail_after(2):
        await announcer.tell(decision())


async def test_a_channel_that_the_broker_closes_under_a_publish_is_opened_again(
    rabbit: Rabbit, announcer: Announcer, caplog: pytest.LogCaptureFixture
) -> None:
    async with rabbit.channel() as channel, anyio.create_task_group() as tasks:
        await channel.exchange_delete(topology.PARKED)
        tasks.start_soon(announcer.park, b"body", {"x-reason": "test"}, "export.start")
        await until(lambda: "a message to park is not confirmed yet" in caplog.text)
        exchange = await channel.declare_exchange(topology.PARKED, "fanout", durable=True)
        await (await channel.get_queue(topology.PARKED)).bind(exchange, "")
    parked = await rabbit.taken(topology.PARKED)
    assert {message.body for message in parked} == {b"body"}


async def test_a_connection_that_is_lost_while_the_broker_blocks_it_publishes_again_afterwards(
    rabbit: Rabbit, embedded: Broker, announcer: Announcer, caplog: pytest.LogCaptureFixture
) -> None:
    """A broker that is short of memory and then restarted. It guards a private name: service/broker.py has the why."""
    caplog.set_level(logging.WARNING, logger="aiormq")  # a command that ran in this process has quietened it
    await announcer.tell(decision())  # a broker blocks only who published
    embedded.block()
    await until(lambda: "was blocked by" in caplog.text)
    with anyio.fail_after(20):  # the publish may have begun just before, and is then given up after five seconds
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(announcer.tell, decision())
            embedded.drop_connections()
            await until(lambda: "is not confirmed yet" in caplog.text)
            embedded.unblock()
    assert len(await rabbit.taken(topology.UNROUTED, 2)) == 2
