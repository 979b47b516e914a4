"""Asks for exports: projects with their media, and commands as another service writes them, or as nobody should."""

import json
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from random import Random
from typing import Any, Protocol
from uuid import uuid4

import aio_pika
from aio_pika.abc import AbstractChannel

EXCHANGE = "export.events"
GATEWAY = "export-gateway"

FOLDERS = {"audio": "audio", "image": "images", "video": "videos"}
EXTENSIONS = {"audio": "wav", "image": "png", "video": "mp4"}

Document = dict[str, Any]


class Node(Protocol):
    """Where commands are sent."""

    def channel(self, user: str) -> AbstractAsyncContextManager[AbstractChannel]: ...


def make_exports_root(place: Path) -> Path:
    """An empty exports root, prepared as an operator does it."""
    (place / ".exports" / "_names").mkdir(parents=True)
    (place / ".exports" / "store.json").write_text(json.dumps({"store": uuid4().hex, "layout": 1}))
    return place


def make_project(directory: Path, sentences: int = 3, file_bytes: int = 20_000, big: Sequence[int] = (),
                 name: str = "story") -> Document:  # fmt: skip
    """A project of `sentences` with audio, image and video each, their files beneath `directory`.

    Each of `big` is one more sentence, with a video of that many bytes. It is a hole in the file system: made at once,
    and still work to copy.
    """
    (directory / name).mkdir(parents=True)
    spoken = [_sentence(directory, f"{name}/{n}", file_bytes, n) for n in range(1, sentences + 1)]
    shown = [_big_sentence(directory, f"{name}/big{n}", size) for n, size in enumerate(big, 1)]
    return {"id": name, "name": name.title(), "sections": [{"title": "All of it", "sentences": spoken + shown}]}


def _sentence(directory: Path, key: str, size: int, number: int) -> Document:
    assets: Document = {"text": f"Sentence {number}."}
    for kind, extension in EXTENSIONS.items():
        uri = f"{key}.{extension}"
        (directory / uri).write_bytes(Random(uri).randbytes(size))
        assets[kind] = {"status": "completed", "uri": uri}
    return assets


def _big_sentence(directory: Path, key: str, size: int) -> Document:
    uri = f"{key}.mp4"
    with (directory / uri).open("wb") as file:
        file.write(Random(uri).randbytes(4096))
        file.truncate(size)
    return {"text": "A long shot.", "video": {"status": "completed", "uri": uri}}


def export_start(export_id: str, project: Document, options: Document | None = None) -> Document:
    """The message `export.start`, as another service would write it."""
    return {
        "version": 1,
        "export_id": export_id,
        "requested_at": "2026-11-23T18:42:20Z",
        "project": project,
        "options": options or {},
    }


async def send(node: Node, key: str, body: Document | bytes) -> None:
    """Confirmed and persistent; to `export.events` with the message's type as the key."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    async with node.channel(GATEWAY) as channel:
        exchange = await channel.get_exchange(EXCHANGE, ensure=False)
        await exchange.publish(
            aio_pika.Message(content, content_type="application/json", delivery_mode=aio_pika.DeliveryMode.PERSISTENT),
            key,
            mandatory=True,
        )


async def start(node: Node, *messages: Document | bytes) -> None:
    for message in messages:
        await send(node, "export.start", message)
