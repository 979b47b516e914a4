"""A wire between a client and the node that can be cut, silenced, or cut in the middle of an answer.

Lives in the test's own loop: while the test waits synchronously, nothing passes.
"""

import asyncio
import socket
import struct
from contextlib import suppress
from types import TracebackType
from typing import Self

CHUNK_BYTES = 64 * 1024
# A close under this option discards what waits and sends RST: what a client sees when a machine is gone and back.
_RST = struct.pack("ii", 1, 0)


class Proxy:
    """Listens on a port of its own and passes everything on to `target_port`, both of 127.0.0.1."""

    def __init__(self, target_port: int) -> None:
        self._target_port = target_port
        self._listener: asyncio.Server | None = None
        self._ends: set[asyncio.StreamWriter] = set()
        self._carriers: set[asyncio.Task[None]] = set()
        self._open = asyncio.Event()
        self._open.set()
        self._bytes_left: int | None = None
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
            raw = end.get_extra_info("socket")
            with suppress(OSError):  # closed by its peer a moment ago
                raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RST)
            end.transport.abort()
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
        self._carry(reader, node_writer)
        self._carry(node_reader, writer, is_from_node=True)

    def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, is_from_node: bool = False) -> None:
        task = asyncio.create_task(self._pass_on(reader, writer, is_from_node))
        self._carriers.add(task)
        task.add_done_callback(self._carriers.discard)

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, is_from_node: bool) -> None:
        with suppress(OSError):
            while chunk := await self._read(reader):
                writer.write(self._cut(chunk) if is_from_node else chunk)
                await writer.drain()
                if is_from_node and self._bytes_left == 0:
                    self._bytes_left = None
                    self.reset()
        self._ends.discard(writer)
        writer.close()

    async def _read(self, reader: asyncio.StreamReader) -> bytes:
        await self._open.wait()
        chunk = await reader.read(CHUNK_BYTES)
        await self._open.wait()  # it may have turned black while there was nothing to read
        return chunk

    def _cut(self, chunk: bytes) -> bytes:
        if self._bytes_left is None:
            return chunk
        passed = chunk[: self._bytes_left]
        self._bytes_left -= len(passed)
        return passed
