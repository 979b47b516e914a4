"""The crowd before the gateway: thousands of sockets in a process of their own, so that only the server is measured.

Is told what to do by lines of JSON on its standard input, and answers each with a line on its standard output.
"""

import asyncio
import json
import random
import statistics
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import uvloop
from picows import WSError, WSFrame, WSListener, WSMsgType, WSTransport, ws_connect

_BACK_WITHIN_SECONDS = 0.3
_LOOK_EVERY_SECONDS = 0.01
_COMMAND_BYTES = 2**24

Answer = dict[str, Any]


class Client(WSListener):
    """One socket at a time; as a page does, it comes back with what it has seen."""

    def __init__(self, crowd: "Crowd", port: int, exports: list[str]) -> None:
        self.crowd = crowd
        self.port = port
        self.seen: dict[str, str] = dict.fromkeys(exports, "")
        """Positions by export; nothing was seen of the empty ones."""
        self.states = 0
        self.connected = 0
        """So often, so far."""
        self.transport: WSTransport | None = None

    def on_ws_connected(self, transport: WSTransport) -> None:
        self.transport = transport
        self.connected += 1
        exports = [{"id": export_id, "at": at} for export_id, at in self.seen.items()]
        self.say(type="hello", acks=self.crowd.acks, exports=exports)

    def on_ws_disconnected(self, _: WSTransport) -> None:
        self.transport = None
        self.crowd.lost(self)

    def say(self, **frame: object) -> None:
        if self.transport is not None:
            self.transport.send(WSMsgType.TEXT, json.dumps(frame).encode())

    def stream(self) -> asyncio.Transport:
        """Beneath the socket. Raises ConnectionError when there is none."""
        if self.transport is None:
            raise ConnectionError("not connected")
        below: asyncio.Transport = self.transport.underlying_transport
        return below

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type == WSMsgType.CLOSE:
            transport.disconnect()
            return
        content: bytes = frame.get_payload_as_bytes()
        if content.startswith(b'{"type":"state"'):
            self._look_at(content)
        elif content.startswith((b'{"type":"missing"', b'{"type":"unavailable"')):
            self.crowd.missing += 1

    def _look_at(self, content: bytes) -> None:
        """Without a parser: it would cost more than all that the server does for this frame."""
        now = time.monotonic()
        export_id = _field(content, b'"export_id":"', b'"').decode()
        if not self.seen.get(export_id):
            self.crowd.greeted += 1
        self.seen[export_id] = _field(content, b'"position":"', b'"').decode()
        self.states += 1
        if b'"result":null' not in content:
            self.crowd.ended[export_id].add(id(self))
        sent_at = int(_field(content, b'"rate_bytes_per_second":', b",").replace(b"null", b"0"))
        if sent_at:
            self.crowd.ages.append(now - sent_at / 1e6)
        if self.crowd.acks and not self.crowd.is_idle:
            self.say(type="ack")


def _field(content: bytes, name: bytes, end: bytes) -> bytes:
    begin = content.find(name) + len(name)
    return content[begin : content.find(end, begin)]


class Crowd:
    """All of them, and what they may be told to do: the public methods are the commands."""

    def __init__(self) -> None:
        self.clients: list[Client] = []
        self.acks = False
        self.is_idle = False
        """Nobody acks."""
        self.comes_back = False
        self.greeted = 0
        """States of exports that a client had seen nothing of."""
        self.missing = 0
        self.lost_count = 0
        self.ended: defaultdict[str, set[int]] = defaultdict(set)
        self.ages: list[float] = []
        """Seconds from the event to its frame: the sender puts its clock, in µs, where the rate belongs."""
        self._returning: set[asyncio.Task[None]] = set()

    async def open(
        self, count: int, port: int, exports: list[str], *, acks: bool = False, patience_seconds: float = 120
    ) -> Answer:
        """So many more, each following one of the exports; done when each has seen a state."""
        self.acks, self.comes_back = acks, False
        wanted = self.greeted + count
        fresh = [Client(self, port, [exports[number % len(exports)]]) for number in range(count)]
        self.clients += fresh
        began = time.monotonic()
        await self._connect_all(fresh)
        is_complete = await _until(lambda: self.greeted >= wanted, patience_seconds)
        seconds = time.monotonic() - began
        seen = Counter((export_id, at) for client in fresh for export_id, at in client.seen.items())
        return {"seconds": seconds, "complete": is_complete, "missing": self.missing,
                "seen": [[*what, count] for what, count in seen.items()]}  # fmt: skip

    async def _connect_all(self, clients: list[Client], at_once: int = 128) -> None:
        waiting = iter(clients)

        async def one_after_the_other() -> None:
            for client in waiting:
                await self._connect(client)

        await asyncio.gather(*(one_after_the_other() for _ in range(at_once)))

    async def _connect(self, client: Client) -> None:
        before = client.connected
        while client.connected == before:  # picows may return without having been answered, while a server starts
            with suppress(OSError, WSError, TimeoutError):
                await ws_connect(lambda: client, f"ws://127.0.0.1:{client.port}/api/v1/ws")
                continue
            await asyncio.sleep(random.random() * _BACK_WITHIN_SECONDS)

    def lost(self, client: Client) -> None:
        self.lost_count += 1
        if self.comes_back:
            task = asyncio.get_running_loop().create_task(self._return(client))
            self._returning.add(task)
            task.add_done_callback(self._returned)

    def _returned(self, task: "asyncio.Task[None]") -> None:
        self._returning.discard(task)
        task.result()  # else one that cannot return would be missed in silence

    async def _return(self, client: Client) -> None:
        await asyncio.sleep(random.random() * _BACK_WITHIN_SECONDS)
        await self._connect(client)

    async def close(self) -> Answer:
        self.comes_back = False
        for client in self.clients:
            if client.transport is not None:
                client.transport.disconnect()
        gone = await _until(lambda: all(client.transport is None for client in self.clients), 10)
        self.clients = []
        return {"complete": gone}

    async def hear(self, count: int, patience_seconds: float = 60) -> Answer:
        """Waits for so many states of events, and tells how old they were when they came."""
        is_complete = await _until(lambda: len(self.ages) >= count, patience_seconds)
        ages, self.ages = sorted(self.ages), []
        cuts = statistics.quantiles(ages, n=100) if len(ages) > 1 else [0.0] * 99
        return {
            "complete": is_complete,
            "count": len(ages),
            "p50": cuts[49],
            "p99": cuts[98],
            "max": max(ages, default=0),
        }

    async def stall(self, client: int) -> Answer:
        """This one reads nothing from now on."""
        self.clients[client].stream().pause_reading()
        return {"states": self.clients[client].states}

    async def resume(self, client: int, position: str) -> Answer:
        """It reads again; done when it has seen the position."""
        stalled = self.clients[client]
        before = stalled.states
        stalled.stream().resume_reading()
        is_complete = await _until(lambda: position in stalled.seen.values(), 30)
        return {"states": stalled.states - before, "complete": is_complete}

    async def idle(self, *, is_idle: bool) -> Answer:
        """Nobody acks while it is."""
        self.is_idle = is_idle
        if not is_idle:
            for client in self.clients:
                client.say(type="ack")
        return {"states": sum(client.states for client in self.clients)}

    async def follow(self, export_id: str) -> Answer:
        """All of them, this one more; whoever is cut off comes back from now on, and says so again."""
        self.comes_back = True
        for client in self.clients:
            client.seen = {export_id: ""}
            client.say(type="subscribe", exports=[{"id": export_id}])
        return {}

    async def finish(self, export_id: str, patience_seconds: float) -> Answer:
        """Waits until each has seen the end of it; then nobody follows it any more."""
        began = time.monotonic()
        wanted = len(self.clients)
        await _until(lambda: len(self.ended[export_id]) >= wanted, patience_seconds)
        for client in self.clients:
            client.say(type="unsubscribe", exports=[export_id])
        return {"missed": wanted - len(self.ended.pop(export_id)), "seconds": time.monotonic() - began,
                "lost": self.lost_count}  # fmt: skip


async def _until(is_so: Callable[[], bool], patience_seconds: float) -> bool:
    deadline = time.monotonic() + patience_seconds
    while not is_so() and time.monotonic() < deadline:  # noqa: ASYNC110 - nobody tells of it
        await asyncio.sleep(_LOOK_EVERY_SECONDS)
    return is_so()


async def main() -> None:
    commands = asyncio.StreamReader(limit=_COMMAND_BYTES)
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(commands), sys.stdin)
    crowd = Crowd()
    while line := await commands.readline():
        command = json.loads(line)
        obey: Callable[..., Awaitable[Answer]] = getattr(crowd, command.pop("do"))
        print(json.dumps(await obey(**command)), flush=True)


if __name__ == "__main__":
    uvloop.run(main())
