"""A service that listens to what the export service tells."""

import asyncio
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self
from uuid import uuid4

import aio_pika
from aio_pika.abc import AbstractIncomingMessage, AbstractRobustConnection

from tests.broker.commands import EXCHANGE, Document

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
        self._connection: AbstractRobustConnection | None = None
        self._more = asyncio.Condition()
        self.events: list[Event] = []
        """In the order of their arrival."""

    async def __aenter__(self) -> Self:
        self._connection = await aio_pika.connect_robust(self._url, reconnect_interval=0.3)
        channel = await self._connection.channel()
        await channel.set_qos(prefetch_count=1000)
        # Classic: a quorum queue as young as a test does not survive a kill of the node.
        queue = await channel.declare_queue(self._name, durable=True, arguments={"x-expires": 600_000})
        for key in EVENTS:
            await queue.bind(EXCHANGE, key)
        await queue.consume(self._take)
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None,
                        trace: TracebackType | None) -> None:  # fmt: skip
        assert self._connection is not None
        await self._connection.close()
        async with await aio_pika.connect(self._url) as connection:
            channel = await connection.channel()
            await channel.queue_delete(self._name)

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
        async with self._more:
            self.events.append(event)
            self._more.notify_all()
        await message.ack()

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
