"""A wire between a client and the node that can be cut, silenced, or cut in the middle of an answer.

Lives in the test's own loop: while the test waits synchronously, nothing passes.
"""

import asyncio
import socket
import struct
from contextlib import suppress
from itertools import count
from types import TracebackType
from typing import NamedTuple, Protocol, Self

CHUNK_BYTES = 64 * 1024
READ_SECONDS = 0.002  # for what was sent to be read: a reset may overtake it
# A close under this option discards what waits and sends RST: what a client sees when a machine is gone and back.
_RST = struct.pack("ii", 1, 0)


class Tap(Protocol):
    """Looks at what passes."""

    def __call__(self, wire: int, chunk: bytes, *, is_from_node: bool) -> int | None:
        """After how many bytes of the chunk that connection is to be reset; nothing: it passes whole.

        `wire` tells one connection from others.
        """


class Proxy:
    """Listens on a port of its own and passes everything on to `target_port`, both of 127.0.0.1."""

    def __init__(self, target_port: int, tap: Tap | None = None) -> None:
        self._target_port = target_port
        self._tap = tap
        self._wires = count()
        self._listener: asyncio.Server | None = None
        self._ends: set[asyncio.StreamWriter] = set()
        self._carriers: set[asyncio.Task[None]] = set()
        self._open = asyncio.Event()
        self._open.set()
        self._bytes_left: int | None = None
        self.delay_seconds = 0.0
        """For each piece of what passes, in either direction."""
        self.connections = 0
        """Made so far."""

    async def __aenter__(self) -> Self:
        self._listener = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None,
                        trace: TracebackType | None) -> None:  # fmt: skip
        assert self._listener is not None
        self._listener.close()
        self.reset()
        for carrier in self._carriers:
            carrier.cancel()
        await asyncio.gather(*self._carriers, return_exceptions=True)

    @property
    def port(self) -> int:
        assert self._listener is not None
        number: int = self._listener.sockets[0].getsockname()[1]
        return number

    def reset(self) -> None:
        """Every connection is gone, at once and on both sides; new ones are taken."""
        for end in list(self._ends):
            _abort(end)
        self._ends.clear()

    def hole(self, is_black: bool) -> None:
        """While it is black, connections stay and are made, and nothing passes: a network partition."""
        if is_black:
            self._open.clear()
        else:
            self._open.set()

    def cut_after(self, bytes_from_server: int) -> None:
        """Lets so many bytes more pass from the node to clients, then resets: also in the middle of a frame."""
        self._bytes_left = bytes_from_server

    @property
    def is_to_be_cut(self) -> bool:
        """Until it happened."""
        return self._bytes_left is not None

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._ends.add(writer)
        try:
            node_reader, node_writer = await asyncio.open_connection("127.0.0.1", self._target_port)
        except OSError:  # the node is down, and so it looks from here
            self._ends.discard(writer)
            writer.transport.abort()
            return
        self._ends.add(node_writer)
        self._join(reader, writer, node_reader, node_writer)

    def _join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, node_reader: asyncio.StreamReader,
              node_writer: asyncio.StreamWriter) -> None:  # fmt: skip
        wire = next(self._wires)
        self._carry(_Way(wire, reader, node_writer, writer, is_from_node=False))
        self._carry(_Way(wire, node_reader, writer, node_writer, is_from_node=True))

    def _carry(self, way: "_Way") -> None:
        task = asyncio.create_task(self._pass_on(way))
        self._carriers.add(task)
        task.add_done_callback(self._carriers.discard)

    async def _pass_on(self, way: "_Way") -> None:
        with suppress(OSError):
            while chunk := await self._read(way.reader):
                passes = None if self._tap is None else self._tap(way.wire, chunk, is_from_node=way.is_from_node)
                way.writer.write(self._cut(chunk[:passes]) if way.is_from_node else chunk[:passes])
                await way.writer.drain()
                if passes is not None:
                    await asyncio.sleep(READ_SECONDS)
                    self._end(way)
                if way.is_from_node and self._bytes_left == 0:
                    self._bytes_left = None
                    self.reset()
        self._ends.discard(way.writer)
        way.writer.close()

    def _end(self, way: "_Way") -> None:
        """Of that one connection, on both sides."""
        for end in (way.writer, way.back):
            self._ends.discard(end)
            _abort(end)

    async def _read(self, reader: asyncio.StreamReader) -> bytes:
        await self._open.wait()
        chunk = await reader.read(CHUNK_BYTES)
        if self.delay_seconds:
            await asyncio.sleep(self.delay_seconds)
        await self._open.wait()  # it may have turned black while there was nothing to read
        return chunk

    def _cut(self, chunk: bytes) -> bytes:
        if self._bytes_left is None:
            return chunk
        passed = chunk[: self._bytes_left]
        self._bytes_left -= len(passed)
        return passed


class _Way(NamedTuple):
    """One direction of a connection."""

    wire: int
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    back: asyncio.StreamWriter
    """The other direction's."""
    is_from_node: bool


def _abort(end: asyncio.StreamWriter) -> None:
    raw = end.get_extra_info("socket")
    with suppress(OSError):  # closed by its peer a moment ago
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RST)
    end.transport.abort()
