"""Sends commands as nobody should to a real worker on a real RabbitMQ, and accounts for each of them.

    python -m tests.prove.malformed --count 100000 --seed 1

Each ends once: put aside whole and with its reason, told as one end of its own id, or obeyed, if it is a wish. The
worker is the same process at the end, says little, does not grow, and makes whatever export is asked for in between.
"""

import argparse
import asyncio
import contextlib
import itertools
import json
import re
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from resource import getpagesize
from statistics import mean
from typing import Any, NamedTuple

import aiormq
import pytest
from aiormq.abc import AbstractChannel, DeliveredMessage
from pamqp import commands as amqp
from pamqp import encode

from contracts import topology
from tests.broker.commands import export_start, make_exports_root, make_project
from tests.broker.node import PrivateNode
from tests.broker.workers import Worker, Workers
from tests.prove.malformed_books import Books
from tests.prove.malformed_drawing import EXAMPLES, Encoded, Message
from tests.prove.malformed_messages import KINDS, messages
from tests.prove.malformed_oracle import expected
from tests.prove.running import fast_disk

SHARES = 10
"""Of the messages; after each the worker is looked at, and makes an export."""
AT_ONCE = 100
UNDER_WAY = 400
"""Sent, and not accounted for."""
PATIENCE_SECONDS = 30.0
LOG_BYTES = 2000
"""Said of one message, at most."""
GROWTH, GROWTH_BYTES = 1.25, 50_000_000
"""Of the resident memory from the middle shares to the last ones: until then each thread's heap has met its largest
message, which glibc keeps (it stood still after some 10,000)."""
PREFETCH = 32
LARGE_BYTES = 100_000
"""Such a message is sent alone: the worker's memory would say how many of them came together, and not what it keeps."""


class Stuck(Exception):
    """Nothing moves any more; what is missing is found when the books are closed."""


class Malformed(NamedTuple):
    """What came of it."""

    cases: int
    wrong: list[str]
    ends: Counter[str]
    log_bytes: int
    """Said in all."""
    resident_bytes: Sequence[int]
    """After each share."""
    seconds: float


async def malformed(node: PrivateNode, home: Path, count: int, seed: int) -> Malformed:
    """Sends so many; on a node that is running, in an empty directory."""
    began = time.monotonic()
    async with _working(node, home) as scene:
        resident: list[int] = []
        with contextlib.suppress(Stuck):
            drawn = messages(seed, count)
            await scene.send_one_by_one(itertools.islice(drawn, len(KINDS)))
            for share in range(SHARES):
                await scene.send_all(itertools.islice(drawn, -(-count // SHARES)))
                await scene.make_an_export(f"healthy-{share}")
                resident.append(_resident_bytes(scene.worker))
        left = await _left_in(node)
        ends = scene.books.close(scene.exports, scene.worker.said)
        log_bytes = scene.worker.stderr.stat().st_size
        wrong = [*scene.wrong, *scene.books.wrong, *_disorder(scene.worker, resident, log_bytes / count)]
        wrong += [f"{number} message(s) left in {queue}" for queue, number in left.items()]
    return Malformed(count, wrong, ends, log_bytes, resident, time.monotonic() - began)


async def _left_in(node: PrivateNode) -> dict[str, int]:
    """Once it is quiet: of a wish nobody hears that it was obeyed."""
    ends_at = time.monotonic() + PATIENCE_SECONDS
    while (left := await node.left_over()) and time.monotonic() < ends_at:  # noqa: ASYNC110 (a node tells nobody)
        await asyncio.sleep(0.1)
    return left


def _disorder(worker: Worker, resident: Sequence[int], said_bytes: float) -> Iterator[str]:
    if worker.exit_code is not None:
        yield f"the worker ended with {worker.exit_code}: {worker.tail()}"
    if len(resident) < SHARES:
        yield f"nothing moved for {PATIENCE_SECONDS} s: {worker.tail()}"
    elif mean(resident[-3:]) > GROWTH * mean(resident[3:6]) + GROWTH_BYTES:
        yield f"the worker grew from {mean(resident[3:6]):,.0f} to {mean(resident[-3:]):,.0f} bytes"
    if said_bytes > LOG_BYTES:
        yield f"{said_bytes:,.0f} bytes were said of each message"


def prove(count: int, seed: int) -> Malformed:
    """The same on a node of its own, on a fast disk."""
    with tempfile.TemporaryDirectory(dir=fast_disk()) as directory:
        node = PrivateNode(Path(directory, "node"))
        try:
            node.start()
            node.import_definitions()
            return asyncio.run(malformed(node, Path(directory), count, seed))
        finally:
            node.stop()


# ---- who sends ----------------------------------------------------------------------------------------------------


@dataclass
class Scene:
    """One worker, and who sends to it."""

    node: PrivateNode
    worker: Worker
    media: Path
    exports: Path
    channel: AbstractChannel
    books: Books = field(default_factory=Books)
    wrong: list[str] = field(default_factory=list)

    async def send_all(self, shares: Iterator[Message]) -> None:
        while batch := list(itertools.islice(shares, AT_ONCE)):
            alone = [message for message in batch if len(message.body) >= LARGE_BYTES or _has_an_id_of_others(message)]
            await asyncio.gather(*(self._send(message) for message in batch if message not in alone))
            for message in alone:
                await self._until(lambda: self.books.under_way <= 0)
                await self._send(message)
            if alone:
                await self._until(lambda: self.books.under_way <= 0)
            await self._until(lambda: self.books.under_way < UNDER_WAY)
        await self._until(lambda: self.books.under_way <= 0)

    async def send_one_by_one(self, these: Iterator[Message]) -> None:
        """So that it is known what is said of each."""
        for message in these:
            before = self.worker.stderr.stat().st_size
            await self.send_all(iter([message]))
            said = self.worker.stderr.stat().st_size - before
            if said > LOG_BYTES:
                self.wrong.append(f"{said:,} bytes were said of message {message.number} ({message.kind})")

    async def make_an_export(self, export_id: str) -> None:
        project = make_project(self.media, 1, 1000, name=export_id)
        before = set(self.exports.iterdir())
        await self._publish(topology.START, json.dumps(export_start(export_id, project)).encode(), {}, {})
        await self._until(lambda: self.books.told[export_id] > 0)
        self.books.told[export_id] -= 1
        if len({place for place in set(self.exports.iterdir()) - before if "healthy" in place.name}) != 1:
            self.wrong.append(f"{export_id} was not exported")

    async def _send(self, message: Message) -> None:
        self.books.send(message)
        await self._publish(message.key, message.body, dict(message.headers), dict(message.properties))

    async def _publish(self, key: str, body: bytes, headers: dict[str, Any], properties: dict[str, Any]) -> None:
        await self.channel.basic_publish(
            body,
            exchange=topology.EVENTS,
            routing_key=key,
            properties=amqp.Basic.Properties(**{"delivery_mode": 2, **properties}, headers=headers),
        )

    async def _until(self, holds: Callable[[], bool]) -> None:
        moved_at, before = time.monotonic(), self.books.ended
        while not holds():
            if time.monotonic() - moved_at > PATIENCE_SECONDS or self.worker.exit_code is not None:
                raise Stuck
            await asyncio.sleep(0.005)
            if self.books.ended != before:
                moved_at, before = time.monotonic(), self.books.ended


def _has_an_id_of_others(message: Message) -> bool:
    """Two that come at once under one id, with the same content, are one export: its end is told once for both."""
    return any(export_id != f"m-{message.number}" for export_id in expected(message).ids)


@contextlib.asynccontextmanager
async def _working(node: PrivateNode, home: Path) -> AsyncIterator[Scene]:
    _make_media(home / "media")
    exports = make_exports_root(home / "exports")
    workers = Workers(node, home / "media", exports, home)
    connection = await aiormq.connect(node.url())
    try:
        channel = await connection.channel(on_return_raises=True)
        ends = (await channel.queue_declare("", exclusive=True)).queue or ""
        for key in topology.TERMINALS:
            await channel.queue_bind(ends, topology.EVENTS, key)
        [worker] = await workers.ready(prefetch=PREFETCH, unavailable_seconds="0.02", patience_seconds="0.01")
        scene = Scene(node, worker, home / "media", exports, channel)
        await channel.basic_consume(topology.PARKED, lambda message: _parked(scene.books, message), no_ack=True)
        await channel.basic_consume(ends, lambda message: _told(scene.books, message), no_ack=True)
        with _anything_encoded():
            yield scene
    finally:
        await connection.close()
        workers.end_all()
        node.drop_own_queues()


def _make_media(place: Path) -> None:
    """What the contract's examples refer to: of a message that is good after all an export is made."""
    for key in EXAMPLES.glob("export.start/v1/*.json"):
        for _, uri in re.findall(r'"uri": "(asset:)?([^":]+)"', key.read_text()):
            (place / uri).parent.mkdir(parents=True, exist_ok=True)
            (place / uri).write_bytes(b"of the test")


async def _parked(books: Books, message: DeliveredMessage) -> None:
    books.park(dict(message.header.properties.headers or {}), message.body)


async def _told(books: Books, message: DeliveredMessage) -> None:
    books.tell(json.loads(message.body)["export_id"], message.body)


@contextlib.contextmanager
def _anything_encoded() -> Iterator[None]:
    """What pamqp would not write, it writes while the block runs: other programs do."""
    value, moment = encode.encode_table_value, encode.timestamp
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(encode, "encode_table_value", lambda of: bytes(of) if isinstance(of, Encoded) else value(of))

        def number(of: Any) -> bytes:
            return of.to_bytes(8, "big") if isinstance(of, int) else moment(of)

        patch.setitem(encode.METHODS, "timestamp", number)
        yield


def _resident_bytes(worker: Worker) -> int:
    return int(Path(f"/proc/{worker.pid}/statm").read_text().split()[1]) * getpagesize()


# ---- told ---------------------------------------------------------------------------------------------------------


def main() -> int:
    parser = argparse.ArgumentParser("python -m tests.prove.malformed", description=__doc__)
    parser.add_argument("--count", type=int, default=100_000, help="of messages (100,000)")
    parser.add_argument("--seed", type=int, default=1, help="other messages (1)")
    arguments = parser.parse_args()
    came = prove(arguments.count, arguments.seed)
    print(f"{came.cases:,} messages with seed {arguments.seed} in {came.seconds:,.0f} s: {dict(came.ends)}")
    print(f"said of each: {came.log_bytes / came.cases:,.0f} bytes")
    print("resident after each tenth, in MB:", *(size // 1_000_000 for size in came.resident_bytes))
    for wrong in came.wrong[:50]:
        print(f"  {wrong}")
    print(f"{len(came.wrong):,} violations")
    return int(bool(came.wrong))


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # whoever ends this ends its worker and its node, too
    sys.exit(main())
