"""A broker in memory, the command beside it, and the part of the workers played by the test."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aio_pika
from aio_pika import DeliveryMode, Message
from aio_pika.abc import AbstractChannel, AbstractIncomingMessage

from contracts import topology
from contracts.envelope import envelop
from contracts.messages import Message as ContractMessage
from demo.broker import Broker
from tests.cli.command import Said, call

PATIENCE_SECONDS = 10


@dataclass
class Rabbit:
    """Sends, takes and puts aside, as workers and other services do."""

    broker: Broker
    channel: AbstractChannel

    async def told(self, *words: str | Path) -> Said:
        """Calls the command, in a thread: it has a loop of its own, and this one serves the broker."""
        return await asyncio.to_thread(call, *words, "--broker", self.broker.url)

    async def taken(self, queue: str) -> AbstractIncomingMessage:
        """The next message of the queue, waited for."""
        opened = await self.channel.declare_queue(queue, passive=True)
        async for _ in moments():
            if message := await opened.get(fail=False, no_ack=True):
                return message
        raise AssertionError(f"nothing came to {queue}")

    async def tell(self, event: ContractMessage) -> None:
        """Announces, as a worker does."""
        envelope = envelop(event)
        message = Message(envelope.body, correlation_id=envelope.correlation_id, headers=dict(envelope.headers))
        exchange = await self.channel.get_exchange(topology.EVENTS, ensure=False)
        await exchange.publish(message, envelope.routing_key, mandatory=False)

    async def put(
        self,
        body: bytes,
        exchange: str = topology.PARKED,
        key: str = "export.start",
        message_id: str | None = None,
        **headers: str,
    ) -> None:
        """Puts a message aside; the names of headers with underscores for dashes. Without an id it gets one."""
        named: dict[str, Any] = {name.replace("_", "-"): value for name, value in headers.items()}
        message = Message(body, headers=named, delivery_mode=DeliveryMode.PERSISTENT, message_id=message_id)
        await (await self.channel.get_exchange(exchange, ensure=False)).publish(message, key)

    def count(self, queue: str) -> int:
        """Messages in the queue, also those that somebody holds."""
        return sum(self.broker.queues[queue])

    async def listened_to(self) -> None:
        """Returns when somebody watches."""
        async for _ in moments():
            for name in list(self.broker.queues):
                if name.startswith(topology.GATEWAY_QUEUES) and await self._is_consumed(name):
                    return
        raise AssertionError("nobody listens")

    async def _is_consumed(self, queue: str) -> bool:
        return bool((await self.channel.declare_queue(queue, passive=True)).declaration_result.consumer_count)


async def moments() -> AsyncIterator[None]:
    """Again and again, but not for ever."""
    until = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < until:
        yield
        await asyncio.sleep(0.005)


@asynccontextmanager
async def speaking_to(broker: Broker) -> AsyncIterator[Rabbit]:
    async with await aio_pika.connect(broker.url) as connection:
        yield Rabbit(broker, await connection.channel())


def headers_of(message: AbstractIncomingMessage) -> dict[str, Any]:
    """Without what the broker counts on its way."""
    return {name: value for name, value in message.headers.items() if name != "x-delivery-count"}


def document(message: AbstractIncomingMessage) -> dict[str, Any]:
    body = json.loads(message.body)
    assert isinstance(body, dict)
    return body
