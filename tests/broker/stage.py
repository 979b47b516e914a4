"""Where the plays of workers, node and clients take place: media, an exports root, and somebody who listens."""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.broker.commands import Document, export_start, make_project, send, start
from tests.broker.listener import TERMINALS, Event, Listener
from tests.broker.node import PrivateNode
from tests.broker.oracle import judge
from tests.broker.workers import Workers

PARKED = "export.parked"
# Long enough to be killed in, on a fast disk too; a hole, so it costs nothing to make.
BIG_BYTES = 1 << 30
BUSY_WITH = 4
"""Such files."""
PATIENCE_SECONDS = 30.0


@dataclass(frozen=True)
class Stage:
    """One of each, for one test."""

    node: PrivateNode
    listener: Listener
    workers: Workers

    @property
    def media(self) -> Path:
        return self.workers.media_root

    @property
    def exports(self) -> Path:
        return self.workers.exports_root

    def project(self, sentences: int = 3, big: int = 0, name: str = "story") -> Document:
        """With `big` long shots after the sentences."""
        return make_project(self.media, sentences, big=[BIG_BYTES] * big, name=name)

    async def ask(self, export_id: str, project: Document, **options: str) -> Document:
        """Asks for an export; returns the message, for the judge."""
        message = export_start(export_id, project, options)
        await start(self.node, message)
        return message

    async def cancel(self, export_id: str) -> None:
        await send(self.node, "export.cancel", {"version": 1, "export_id": export_id})

    async def delete(self, export_id: str) -> None:
        await send(self.node, "export.delete", {"version": 1, "export_id": export_id})

    # ---- how it ended

    async def ended(self, *messages: Document, as_: str = "export.completed") -> list[Event]:
        """Waits for the ends; they are as they should be, with everything on the disk and in the queues."""
        ends = [await self.listener.terminal(message["export_id"], 60) for message in messages]
        assert [end.key for end in ends] == [as_] * len(messages), [end.body for end in ends]
        for message in messages:
            found = await self.judged(message)
            assert found == [], found
        return ends

    async def judged(self, message: Document) -> list[str]:
        told = self.listener.events
        return await judge(message["export_id"], message, self.media, self.exports, told, self.node)

    # ---- what is going on

    def record(self, export_id: str, *names: str) -> Path:
        """Where the service keeps what it knows of an export."""
        return self.exports.joinpath(".exports", export_id, *names)

    async def until_decided(self, export_id: str) -> None:
        await until(self.record(export_id, "outcome.json").exists)

    async def until_files(self, export_id: str, count: int) -> dict[str, int]:
        """Returns once the export has so many files; their inodes, by name: a file with the same one was not copied."""
        attempt = self.record(export_id, "a-000001")
        await until(lambda: len(finished(attempt)) >= count)
        return inodes(attempt / "tree", finished(attempt))

    async def busy(self, export_id: str, sentences: int = 4) -> tuple[Document, dict[str, int]]:
        """An export that has its small files and is in the middle of long ones: the message, and the small files.

        It is still while a worker starts, or `rabbitmqctl` gives the node an alarm, on a machine that has more to do.
        """
        message = await self.ask(export_id, self.project(sentences, big=BUSY_WITH))
        return message, await self.until_files(export_id, sentences * 3)

    def folder(self, end: Event) -> Path:
        folder: str = end.document["folder"]["name"]
        return self.exports / folder

    async def parked(self, count: int = 1) -> list[tuple[bytes, dict[str, Any]]]:
        """Takes what was put aside: bodies and headers."""
        await self.node.until_depth(PARKED, count)
        async with self.node.channel() as channel:
            queue = await channel.get_queue(PARKED, ensure=False)
            messages = [await queue.get(no_ack=True, fail=True) for _ in range(count)]
        return [(message.body, dict(message.headers)) for message in messages]

    def terminals(self, export_id: str) -> list[Event]:
        return self.listener.of(export_id, *TERMINALS)


def finished(attempt: Path) -> list[str]:
    """What the attempt's journal has as complete."""
    journal = attempt / "journal.jsonl"
    lines = journal.read_text().split() if journal.exists() else []
    return [line["file"] for line in map(json.loads, lines) if "file" in line]


def inodes(tree: Path, names: list[str]) -> dict[str, int]:
    return {name: (tree / name).stat().st_ino for name in names}


async def until(there: Callable[[], bool], patience_seconds: float = PATIENCE_SECONDS) -> None:
    deadline = time.monotonic() + patience_seconds
    while not there():
        assert time.monotonic() < deadline, f"waited {patience_seconds} s in vain"
        await asyncio.sleep(0.002)


async def seconds_of(what: Awaitable[object]) -> float:
    """How long it took."""
    loop = asyncio.get_running_loop()
    since = loop.time()
    await what
    return loop.time() - since
