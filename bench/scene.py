"""Where the worker is measured: a RabbitMQ of its own, workers as processes, and somebody who asks and hears."""

import asyncio
import json
import os
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aio_pika
from aio_pika.abc import AbstractExchange, AbstractIncomingMessage

from bench.measuring import Wrong
from contracts import topology
from tests.broker.commands import GATEWAY, Document, make_exports_root
from tests.broker.node import PrivateNode
from tests.broker.workers import Workers

# As an operator's worker has them; the tests' own are for tests.
SETTINGS: dict[str, str | int] = {"probe_seconds": 5, "patience_seconds": 60}
PATIENCE_SECONDS = 120.0
_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Heard:
    """An event, and when it came."""

    key: str
    document: Document
    at: float


Wanted = Callable[[Heard], bool]


def is_terminal(event: Heard) -> bool:
    return event.key in topology.TERMINALS


def is_copying(event: Heard) -> bool:
    """Under way with the bytes of its files."""
    return event.key == topology.PROGRESS and event.document["bytes"]["done"] > 0


@dataclass
class Ear:
    """Hears every event. Looks at each once: on two cores, who listens must not be who is measured."""

    events: dict[str, list[Heard]] = field(default_factory=dict)
    _waiting: list[tuple[str, Wanted, asyncio.Future[Heard]]] = field(default_factory=list)

    async def take(self, message: AbstractIncomingMessage) -> None:
        event = Heard(message.routing_key or "", json.loads(message.body), time.monotonic())
        export_id = event.document["export_id"]
        self.events.setdefault(export_id, []).append(event)
        for waited, wanted, future in self._waiting:
            if waited == export_id and not future.done() and wanted(event):
                future.set_result(event)
        self._waiting = [one for one in self._waiting if not one[2].done()]

    async def first(self, export_id: str, wanted: Wanted) -> Heard:
        """The first event of the export that is wanted, past or to come."""
        for event in self.events.get(export_id, ()):
            if wanted(event):
                return event
        future = asyncio.get_running_loop().create_future()
        self._waiting.append((export_id, wanted, future))
        try:
            return await asyncio.wait_for(future, PATIENCE_SECONDS)
        except TimeoutError:
            raise Wrong(f"export {export_id}: waited {PATIENCE_SECONDS:.0f} s in vain") from None


@dataclass(frozen=True)
class Scene:
    """One node for everything, and a connection that stays open."""

    place: Path
    node: PrivateNode
    ear: Ear
    exchange: AbstractExchange

    async def tell(self, key: str, document: Document) -> float:
        """Publishes, and returns when that began."""
        content = json.dumps(document).encode()
        began = time.monotonic()
        message = aio_pika.Message(content, delivery_mode=aio_pika.DeliveryMode.PERSISTENT)
        await self.exchange.publish(message, key, mandatory=True)
        return began

    async def ask(self, command: Document) -> float:
        return await self.tell(topology.START, command)

    async def cancel(self, export_id: str) -> float:
        return await self.tell(topology.CANCEL, {"version": 1, "export_id": export_id})

    async def completed(self, export_id: str) -> Heard:
        end = await self.ear.first(export_id, is_terminal)
        if end.key != "export.completed" or end.document["outcome"] != "complete":
            raise Wrong(f"export {export_id}: {end.key} {json.dumps(end.document)[:500]}")
        return end

    async def cancelled(self, export_id: str) -> Heard:
        end = await self.ear.first(export_id, is_terminal)
        if end.key != "export.cancelled":
            raise Wrong(f"export {export_id}: {end.key}, and not cancelled")
        return end

    @asynccontextmanager
    async def crew(self, name: str, media: Path) -> AsyncIterator[Workers]:
        """Starts workers on a new exports root; none of them, and nothing of theirs on the node, stays."""
        home = self.place / name
        home.mkdir()
        workers = Workers(self.node, media, make_exports_root(home / "exports"), home)
        try:
            yield workers
        finally:
            workers.end_all()
            await asyncio.to_thread(self.node.drop_own_queues)
            await self.node.purge_all()


@asynccontextmanager
async def open_scene(place: Path) -> AsyncIterator[Scene]:
    """Raises RabbitMissing where there is none. No process stays."""
    node = PrivateNode(place / "rabbitmq")
    try:
        await asyncio.to_thread(node.start)
        await asyncio.to_thread(node.import_definitions)
        async with await aio_pika.connect(node.url()) as hearing, await aio_pika.connect(node.url(GATEWAY)) as asking:
            ear = Ear()
            queue = await (await hearing.channel()).declare_queue(exclusive=True)
            for key in (topology.PROGRESS, *topology.TERMINALS):
                await queue.bind(topology.EVENTS, key)
            await queue.consume(ear.take, no_ack=True)
            exchange = await (await asking.channel(on_return_raises=True)).get_exchange(topology.EVENTS, ensure=False)
            yield Scene(place, node, ear, exchange)
    finally:
        await asyncio.to_thread(node.stop)


async def settle_disk(place: Path) -> None:
    """Nobody pays for what was to be written before."""
    sync = await asyncio.create_subprocess_exec("sync", "-f", place)
    if await sync.wait():
        raise Wrong(f"sync -f {place} failed")


# ---- what Linux knows of a process


def cpu_seconds(*pids: int) -> float:
    """Used so far, by all of their threads."""
    return sum(_cpu_ticks(pid) for pid in pids) / _TICKS_PER_SECOND


def _cpu_ticks(pid: int) -> int:
    after_name = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(after_name[11]) + int(after_name[12])


def memory_bytes(pid: int, file: str, name: str) -> int:
    """A line of /proc/PID/FILE: `status` has the peak, VmHWM, and `smaps_rollup` Rss and Pss."""
    lines = Path(f"/proc/{pid}/{file}").read_text().splitlines()
    [kilobytes] = [line.split()[1] for line in lines if line.startswith(f"{name}:")]
    return int(kilobytes) * 1024


def project_of(file: Path, **fields: Any) -> Document:
    """The project in a file, with other values of these fields."""
    document: Document = json.loads(file.read_text())
    return document | fields
