"""What a test of a worker stands on: a broker, media, an exports root, somebody who listens, and workers."""

import json
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aio_pika
import anyio
import pytest
from aio_pika.abc import AbstractChannel, AbstractIncomingMessage

from contracts import topology
from demo.broker import Broker
from service.app import Worker, assemble, worker
from service.ledger import Ledger
from service.references import MEDIA
from service.settings import WorkerSettings
from service.storage.disk import Disk
from service.storage.local import LocalStorage
from tests.broker.commands import Document, export_start, make_project
from tests.broker.listener import TERMINALS, Event, Listener
from tests.engine.faulty import NamingDisk

only_embedded = pytest.mark.parametrize("node_if_real", ["embedded"], indirect=True)
"""For faults of a broker that only the embedded one has at hand, or that say nothing of a broker."""

PATIENCE_SECONDS = 10.0
BIG_BYTES = 64 * 1024 * 1024
"""On a `Brake` it takes longer than any test; without, a moment."""

QUICK: dict[str, Any] = {
    "worker_name": "w1",
    "prefetch": 2,
    "copiers": 2,
    "probe_seconds": 0.1,
    "patience_seconds": 0.2,
    "unavailable_seconds": 0.3,
    "health_port": 0,
}


@dataclass(frozen=True)
class Rabbit:
    """A broker of either kind."""

    url: str
    """For whoever may do everything."""
    workers_url: str
    """With a worker's rights, where there are any."""
    embedded: Broker | None = None

    @asynccontextmanager
    async def channel(self) -> AsyncIterator[AbstractChannel]:
        """For a moment, with confirms; what cannot be routed raises."""
        async with await aio_pika.connect(self.url) as connection:
            yield await connection.channel(on_return_raises=True)

    async def send(self, key: str, body: Document | bytes, exchange: str = topology.EVENTS, **headers: Any) -> None:
        """Underscores in the names of headers stand for dashes."""
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        async with self.channel() as channel:
            target = await channel.get_exchange(exchange, ensure=False)
            await target.publish(aio_pika.Message(content, headers=named, delivery_mode=2), key)

    async def depth(self, queue: str) -> int:
        """Messages that wait."""
        async with self.channel() as channel:
            return (await channel.declare_queue(queue, passive=True)).declaration_result.message_count or 0

    async def until_depth(self, queue: str, count: int) -> None:
        async with self.channel() as channel:
            await until_it_is(lambda: _depth(channel, queue), count)

    async def taken(self, queue: str, count: int = 1) -> list[AbstractIncomingMessage]:
        """Waits for so many messages in the queue, and takes them; there are no more."""
        found: list[AbstractIncomingMessage] = []
        async with self.channel() as channel:
            source = await channel.get_queue(queue, ensure=False)
            with anyio.fail_after(PATIENCE_SECONDS):
                while len(found) < count:
                    message = await source.get(no_ack=True, fail=False)
                    found += [message] if message else []
            assert await source.get(no_ack=True, fail=False) is None, f"more than {count} in {queue}"
        return found

    @asynccontextmanager
    async def spied(self, key: str) -> AsyncIterator[str]:
        """A queue that gets a copy of every message with this key while the block runs."""
        async with await aio_pika.connect(self.url) as connection:
            queue = await (await connection.channel()).declare_queue(exclusive=False, auto_delete=False)
            await queue.bind(topology.EVENTS, key)
            yield queue.name
            await queue.delete(if_unused=False, if_empty=False)


async def _depth(channel: AbstractChannel, queue: str) -> int:
    return (await channel.declare_queue(queue, passive=True)).declaration_result.message_count or 0


@dataclass(frozen=True)
class Stand:
    """One of each, for one test."""

    rabbit: Rabbit
    listener: Listener
    media: Path
    exports: Path

    # ---- workers

    @asynccontextmanager
    async def working(self, disk: Disk | None = None, **settings: Any) -> AsyncIterator[Worker]:
        """A worker that takes messages while the block runs; on another `disk` than the real one, if there is one."""
        async with self.worker(disk, **settings) as parts:
            async with parts.running():
                await parts.began.wait()
                await until(lambda: not parts.health.unready())
                yield parts
            await self._drop_own_queue(parts)

    @asynccontextmanager
    async def worker(self, disk: Disk | None = None, **settings: Any) -> AsyncIterator[Worker]:
        """Not running yet."""
        wanted = WorkerSettings(
            **{
                "broker_url": self.rabbit.workers_url,
                "media_root": self.media,
                "exports_root": self.exports,
                **QUICK,
                **settings,
            }
        )
        if disk is None:
            async with worker(wanted) as parts:
                yield parts
            return
        storage = LocalStorage({MEDIA: self.media}, self.exports, disk)
        try:
            storage.check_roots()
            yield assemble(wanted, Ledger(storage).bound())
        finally:
            storage.close()

    async def _drop_own_queue(self, parts: Worker) -> None:
        """By itself it goes a minute later, and the node lives longer than a test."""
        if self.rabbit.embedded is None:
            async with self.rabbit.channel() as channel:
                for subscriber in parts.consume.subscribers:
                    name: str = subscriber.queue.name  # type: ignore[attr-defined]
                    if name.startswith(topology.WORKER_QUEUES):
                        await channel.queue_delete(name)

    # ---- clients

    def project(self, sentences: int = 2, big: int = 0, name: str = "story") -> Document:
        """With `big` long shots after the sentences."""
        return make_project(self.media, sentences, big=[BIG_BYTES] * big, name=name)

    async def ask(self, export_id: str, project: Document | None = None, **options: str) -> Document:
        """Asks for an export; returns the message."""
        message = export_start(export_id, project or self.project(), options)
        await self.rabbit.send("export.start", message)
        return message

    async def cancel(self, export_id: str) -> None:
        await self.rabbit.send("export.cancel", {"version": 1, "export_id": export_id})

    async def delete(self, export_id: str) -> None:
        await self.rabbit.send("export.delete", {"version": 1, "export_id": export_id})

    # ---- what is told

    async def ended(self, export_id: str, key: str = "export.completed") -> Event:
        """Its end, which was of this kind."""
        end = await self.listener.terminal(export_id, PATIENCE_SECONDS)
        assert end.key == key, end.body
        return end

    async def failed(self, export_id: str) -> Document:
        """Its error."""
        error: Document = (await self.ended(export_id, "export.failed")).document["error"]
        return error

    async def told(self, export_id: str, count: int) -> list[Event]:
        """Waits for so many ends of the same export."""
        await until(lambda: len(self.terminals(export_id)) >= count)
        return self.terminals(export_id)

    def terminals(self, export_id: str) -> list[Event]:
        return self.listener.of(export_id, *TERMINALS)

    # ---- what is on the disk

    def record(self, export_id: str, *names: str) -> Path:
        """Where the service keeps what it knows of an export."""
        return self.exports.joinpath(".exports", export_id, *names)

    def folder(self, end: Event) -> Path:
        name: str = end.document["folder"]["name"]
        return self.exports / name

    def attempts(self, export_id: str) -> list[Path]:
        return sorted(self.record(export_id).glob("a-*"))

    def journal(self, export_id: str, attempt: int = 1) -> list[Document]:
        """What the attempt noted."""
        file = self.record(export_id, f"a-{attempt:06d}", "journal.jsonl")
        return [json.loads(line) for line in file.read_text().split("\n") if line] if file.exists() else []

    async def until_files(self, export_id: str, count: int, attempt: int = 1) -> dict[str, int]:
        """Returns when the attempt has so many files: their inodes by name."""

        def finished() -> list[str]:
            return [line["file"] for line in self.journal(export_id, attempt) if "file" in line]

        await until(lambda: len(finished()) >= count)
        tree = self.record(export_id, f"a-{attempt:06d}", "tree")
        return {name: (tree / name).stat().st_ino for name in finished()}

    def ledger(self) -> Ledger:
        """The records, as another process sees them."""
        return Ledger(LocalStorage({}, self.exports))


class Brake(NamingDisk):
    """Reads the big files slowly, a chunk after the other, until it is released. A stop is obeyed at the next chunk."""

    def __init__(self, chunk_seconds: float = 0.05) -> None:
        super().__init__()
        self.release = threading.Event()
        self._chunk_seconds = chunk_seconds

    def come_between(self, name: str, about: tuple[str, ...], real: Callable[..., Any], arguments: Any) -> Any:
        if name == "read_into" and "/big" in about[0]:
            self.release.wait(self._chunk_seconds)
        return real(*arguments)


class NarrowDisk(Disk):
    """Has no room, until it has."""

    is_full = True

    def free_bytes(self, path: str) -> int:
        return 0 if self.is_full else super().free_bytes(path)


async def until(there: Callable[[], object], patience_seconds: float | None = None) -> None:
    with anyio.fail_after(patience_seconds or PATIENCE_SECONDS):
        while not there():  # noqa: ASYNC110 (it is about another party's state)
            await anyio.sleep(0.005)


async def until_it_is(look: Callable[[], Awaitable[object]], wanted: object) -> None:
    with anyio.fail_after(PATIENCE_SECONDS):
        while await look() != wanted:  # noqa: ASYNC110 (the same)
            await anyio.sleep(0.005)
