"""A service that listens to what the export service tells."""

import asyncio
import json
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self
from uuid import uuid4

import aio_pika
from aio_pika.abc import AbstractConnection, AbstractIncomingMessage
from aio_pika.exceptions import AMQPError

from tests.broker.commands import EXCHANGE, Document

CONNECTED_SECONDS = 30.0
AGAIN_SECONDS = 0.2
PROGRESS = "export.progress"
TERMINALS = ("export.completed", "export.failed", "export.cancelled")
EVENTS = (PROGRESS, *TERMINALS)


@dataclass(frozen=True)
class Event:
    """A message of the service, as it arrived."""

    key: str
    body: bytes
    message_id: str | None
    correlation_id: str | None
    content_type: str | None
    is_persistent: bool
    headers: Mapping[str, Any] = field(default_factory=dict)
    arrived: float = field(default_factory=time.monotonic)

    @property
    def document(self) -> Document:
        document = json.loads(self.body)
        assert isinstance(document, dict)
        return document

    @property
    def export_id(self) -> str:
        return str(self.document.get("export_id"))


class Listener:
    """A service that listens to every event; on a durable queue of its own, so that it misses nothing of a restart."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._name = f"export.results.tests-{uuid4().hex[:12]}"
        self._listening = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._more = asyncio.Condition()
        self.events: list[Event] = []
        """In the order of their arrival."""

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._listen())
        await asyncio.wait_for(self._listening.wait(), CONNECTED_SECONDS)
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None,
                        trace: TracebackType | None) -> None:  # fmt: skip
        assert self._task is not None
        self._task.cancel()
        with suppress(asyncio.CancelledError):
            await self._task
        async with await aio_pika.connect(self._url) as connection:
            channel = await connection.channel()
            await channel.queue_delete(self._name)

    async def _listen(self) -> None:
        """Comes back by itself: a node that has just started may refuse the queue, which ends a robust consumer."""
        while True:
            with suppress(AMQPError, OSError, TimeoutError, RuntimeError):
                async with asyncio.timeout(CONNECTED_SECONDS):
                    connection = await aio_pika.connect(self._url)
                async with connection:
                    await self._consume(connection)
                    await _lost(connection)
            await asyncio.sleep(AGAIN_SECONDS)

    async def _consume(self, connection: AbstractConnection) -> None:
        async with asyncio.timeout(CONNECTED_SECONDS):
            channel = await connection.channel()
            await channel.set_qos(prefetch_count=1000)
            # Classic: a quorum queue as young as a test does not survive a kill of the node.
            queue = await channel.declare_queue(self._name, durable=True, arguments={"x-expires": 600_000})
            for key in EVENTS:
                await queue.bind(EXCHANGE, key)
            await queue.consume(self._take)
        self._listening.set()

    async def _take(self, message: AbstractIncomingMessage) -> None:
        event = Event(
            message.routing_key or "",
            message.body,
            message.message_id,
            message.correlation_id,
            message.content_type,
            message.delivery_mode == aio_pika.DeliveryMode.PERSISTENT,
            dict(message.headers),
        )
        await self._heard(event)
        await message.ack()

    async def _heard(self, event: Event) -> None:
        async with self._more:
            self.events.append(event)
            self._more.notify_all()

    def of(self, export_id: str, *keys: str) -> list[Event]:
        """What was told of an export; only these keys, if any are given."""
        return [event for event in self.events if event.export_id == export_id and (not keys or event.key in keys)]

    async def wait_for(self, export_id: str, wanted: Callable[[Event], bool], patience_seconds: float = 30) -> Event:
        """The first event of the export that is `wanted`, be it past or to come."""
        async with self._more:
            try:
                async with asyncio.timeout(patience_seconds):
                    await self._more.wait_for(lambda: any(map(wanted, self.of(export_id))))
            except TimeoutError:
                told = [f"{event.key} {event.body[:200]!r}" for event in self.of(export_id)[-5:]]
                raise AssertionError(f"waited {patience_seconds} s for an event of {export_id}; last: {told}") from None
            return next(filter(wanted, self.of(export_id)))

    async def terminal(self, export_id: str, patience_seconds: float = 30) -> Event:
        return await self.wait_for(export_id, lambda event: event.key in TERMINALS, patience_seconds)

    async def copying(self, export_id: str, done_bytes: int = 1, attempt: int = 1) -> Event:
        """Progress that says: under way with its files, in this attempt or a later one."""
        return await self.wait_for(
            export_id,
            lambda event: (
                event.key == PROGRESS
                and event.document["state"] == "copying"
                and event.document["attempt"] >= attempt
                and event.document["bytes"]["done"] >= done_bytes
            ),
        )


async def _lost(connection: AbstractConnection) -> None:
    """Returns when it is closed, by whomever."""
    lost = asyncio.Event()
    connection.close_callbacks.add(lambda *_: lost.set())
    if not connection.is_closed:
        await lost.wait()
