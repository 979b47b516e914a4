"""Those who want exports: several at once, each asks, perhaps asks again or changes its mind, and waits for the end."""

import asyncio
import json
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from random import Random
from time import monotonic
from types import TracebackType
from typing import Self

import aio_pika
from aio_pika.abc import AbstractConnection, AbstractExchange

from service.broker import BROKER_FAULTS, unless_the_channel_dies
from tests.broker.commands import EXCHANGE, Document, export_start, make_project
from tests.broker.inquest import CANCEL, DELETE, Asked
from tests.broker.listener import TERMINALS, Event, Listener

START = "export.start"
SECOND_TIME, SECOND_THOUGHTS = 0.3, 0.06
"""How often the same message is sent once more, and how often the export is cancelled or deleted."""
LATER_SECONDS = 1.0
CONFIRMED_SECONDS, AGAIN_SECONDS = 5.0, 0.2


class Ears(Listener):
    """Hears of thousands of exports."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.heard: defaultdict[str, list[Event]] = defaultdict(list)
        self._ended: defaultdict[str, asyncio.Event] = defaultdict(asyncio.Event)

    async def _heard(self, event: Event) -> None:
        self.heard[event.export_id].append(event)
        if event.key in TERMINALS:
            self._ended[event.export_id].set()

    async def has_ended(self, export_id: str) -> None:
        """Returns when any end of it was told."""
        await self._ended[export_id].wait()


class Sender:
    """Sends commands, each until it is confirmed, whatever becomes of the broker meanwhile."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._connection: AbstractConnection | None = None
        self._exchange: AbstractExchange | None = None
        self._lock = asyncio.Lock()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None,
                        trace: TracebackType | None) -> None:  # fmt: skip
        await self._drop()

    async def send(self, key: str, body: Document) -> None:
        message = aio_pika.Message(json.dumps(body).encode(), content_type="application/json", delivery_mode=2)
        while not await self._is_confirmed(key, message):  # noqa: ASYNC110 (a broker that comes back tells nobody)
            await asyncio.sleep(AGAIN_SECONDS)

    async def _is_confirmed(self, key: str, message: aio_pika.Message) -> bool:
        exchange = None
        try:
            async with asyncio.timeout(CONFIRMED_SECONDS):
                exchange = await self._connected()
                await unless_the_channel_dies(lambda: exchange.publish(message, key, mandatory=True))
        except (*BROKER_FAULTS, RuntimeError):
            if exchange is self._exchange:  # else somebody else saw the same, and has a new one
                await self._drop()
            return False
        return True

    async def _connected(self) -> AbstractExchange:
        async with self._lock:
            if self._exchange is None:
                self._connection = await aio_pika.connect(self._url)
                channel = await self._connection.channel(on_return_raises=True)
                self._exchange = await channel.get_exchange(EXCHANGE, ensure=False)
            return self._exchange

    async def _drop(self) -> None:
        connection, self._connection, self._exchange = self._connection, None, None
        if connection is not None:
            with suppress(*BROKER_FAULTS, RuntimeError, asyncio.CancelledError):
                await asyncio.wait_for(connection.close(), 1.0)


@dataclass
class Customers:
    """All of a round, with what they asked for."""

    name: str
    """What the ids of their exports begin with."""
    random: Random
    sender: Sender
    ears: Ears
    projects: Sequence[Document]
    asked: list[Asked] = field(default_factory=list)
    _numbers: Iterator[int] = field(default_factory=count)

    async def keep_asking(self, at_once: int, until: float) -> None:
        """Until then, by the monotonic clock; returns when the last export has ended."""
        async with asyncio.TaskGroup() as tasks:
            for _ in range(at_once):
                tasks.create_task(self._one_after_the_other(until))

    async def _one_after_the_other(self, until: float) -> None:
        while monotonic() < until:
            await self._ask()

    async def _ask(self) -> None:
        export_id = f"{self.name}-{next(self._numbers):05d}"
        archive = self.random.choice(["none", "zip"])
        asked = Asked(export_start(export_id, self.random.choice(self.projects), {"archive": archive}))
        self.asked.append(asked)
        async with asyncio.TaskGroup() as tasks:
            if self.random.random() < SECOND_TIME:
                tasks.create_task(self._later(START, asked.message))
            if self.random.random() < SECOND_THOUGHTS:
                tasks.create_task(self._change_mind(asked))
            await self.sender.send(START, asked.message)
            await self.ears.has_ended(export_id)

    async def _change_mind(self, asked: Asked) -> None:
        wish = self.random.choice([CANCEL, DELETE])
        asked.wishes.add(wish)
        await self._later(wish, {"version": 1, "export_id": asked.export_id})

    async def _later(self, key: str, body: Document) -> None:
        await asyncio.sleep(self.random.uniform(0, LATER_SECONDS))
        await self.sender.send(key, body)


def small_projects(media: Path) -> list[Document]:
    """Small, and yet with every stage: from one file to a dozen, and one that is larger than a chunk."""
    return [
        make_project(media, sentences=1, file_bytes=500, name="note"),
        make_project(media, sentences=3, file_bytes=20_000, name="story"),
        make_project(media, sentences=4, file_bytes=70_000, big=[2_000_000], name="film"),
    ]
