"""Gateways, workers and a broker in one process, on one exports root; each replica on a port of its own."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import anyio
import httpx
from pydantic import SecretStr
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from demo.broker import Broker, broker
from gateway.app import Gateway, gateway
from gateway.server import serve
from gateway.settings import GatewaySettings
from service.app import Worker, worker
from service.settings import WorkerSettings
from tests.broker.commands import Document, make_exports_root, make_project

T = TypeVar("T")

PATIENCE_SECONDS = 10.0
QUICK: dict[str, Any] = {
    "gateway_port": 0,
    "gateway_auth": "none",
    "gateway_drain_seconds": 0.2,
    "silent_seconds": 0.2,
    "silent_at_most_seconds": 0.5,
    "confirm_seconds": 1.0,
    "hello_seconds": 1.0,
}


@dataclass
class Replica:
    """One gateway that serves."""

    gateway: Gateway
    port: int
    http: httpx.AsyncClient
    stop: anyio.Event

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @asynccontextmanager
    async def socket(self, *exports: str, path: str = "/api/v1/ws", **hello: Any) -> AsyncIterator["Socket"]:
        """One that has said hello."""
        async with self.bare_socket(path) as socket:
            await socket.say(type="hello", exports=[{"id": export_id} for export_id in exports], **hello)
            assert (await socket.hear())["type"] == "welcome"
            yield socket

    @asynccontextmanager
    async def bare_socket(self, path: str = "/api/v1/ws", **named: Any) -> AsyncIterator["Socket"]:
        async with connect(f"ws://127.0.0.1:{self.port}{path}", **named) as connection:
            yield Socket(connection)


@dataclass
class Socket:
    """A client's side."""

    connection: ClientConnection
    heard: list[Document] = field(default_factory=list)

    async def say(self, **frame: Any) -> None:
        await self.connection.send(json.dumps(frame))

    async def hear(self) -> Document:
        """The next frame, heartbeats aside."""
        while True:
            frame: Document = json.loads(await asyncio.wait_for(self.connection.recv(), PATIENCE_SECONDS))
            self.heard.append(frame)
            if frame["type"] != "heartbeat":
                return frame

    async def state(self, *states: str) -> Document:
        """Waits for a state, or for any."""
        while True:
            frame = await self.hear()
            if frame["type"] == "state" and (not states or frame["export"]["state"] in states):
                export: Document = frame["export"]
                return export

    async def closed(self) -> int | None:
        """The code with which the other side closed."""
        with anyio.fail_after(PATIENCE_SECONDS), suppress(ConnectionClosed):
            while True:
                await self.connection.recv()
        return self.connection.close_code


class Keeper:
    """Holds contexts, each in a task of its own: a fixture ends in another task than it began in, and so may not."""

    def __init__(self) -> None:
        self._held: list[tuple[asyncio.Task[None], asyncio.Event]] = []

    async def hold(self, context: AbstractAsyncContextManager[T]) -> T:
        """Enters it; `let_go` leaves it."""
        entered: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        leave = asyncio.Event()

        async def held() -> None:
            try:
                async with context as value:
                    entered.set_result(value)
                    await leave.wait()
            except BaseException as fault:
                if not entered.done():
                    entered.set_exception(fault)
                raise

        self._held.append((asyncio.create_task(held()), leave))
        return await entered

    async def let_go(self) -> None:
        for task, leave in reversed(self._held):
            leave.set()
            await task


@dataclass
class House:
    """Everything of one test."""

    media: Path
    exports: Path
    broker: Broker | None
    """The one in memory, if it is that."""
    broker_url: str
    keeper: Keeper

    async def replica(self, **settings: Any) -> Replica:
        """One more gateway, connected."""
        replica = await self.keeper.hold(self.replica_for_a_while(**settings))
        await until(lambda: replica.gateway.parts.relay.stale_since is None)
        return replica

    @asynccontextmanager
    async def replica_for_a_while(self, **settings: Any) -> AsyncIterator[Replica]:
        wanted = GatewaySettings(
            **{
                "broker_url": SecretStr(self.broker_url),
                "media_root": self.media,
                "exports_root": self.exports,
                **QUICK,
                **settings,
            }
        )
        async with gateway(wanted) as made, made.running(), anyio.create_task_group() as tasks:
            stop = anyio.Event()
            port = await tasks.start(serve, made, stop)
            async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=PATIENCE_SECONDS) as client:
                yield Replica(made, port, client, stop)
            stop.set()

    async def worker(self, **settings: Any) -> Worker:
        """One more worker, taking messages."""
        wanted = WorkerSettings(
            **{
                "broker_url": SecretStr(self.broker_url),
                "media_root": self.media,
                "exports_root": self.exports,
                "health_port": 0,
                **settings,
            }
        )
        parts = await self.keeper.hold(worker(wanted))
        await self.keeper.hold(parts.running())
        await parts.began.wait()
        return parts

    def project(self, sentences: int = 2, name: str = "story", **more: Any) -> Document:
        return make_project(self.media, sentences, name=name, **more)


@asynccontextmanager
async def house(place: Path, broker_url: str | None = None) -> AsyncIterator[House]:
    """On a broker in memory, unless there is another one."""
    (place / "media").mkdir()
    exports, keeper = make_exports_root(place / "exports"), Keeper()
    async with broker() as embedded:
        try:
            if broker_url is None:
                yield House(place / "media", exports, embedded, embedded.url, keeper)
            else:
                yield House(place / "media", exports, None, broker_url, keeper)
        finally:
            await keeper.let_go()


async def asked(replica: Replica, project: Document, key: str | None = None, **options: Any) -> str:
    """The id of a new export."""
    answer = await replica.http.post(
        f"/api/v1/projects/{project['id']}/export",
        json={"project": project, "options": options},
        headers={} if key is None else {"idempotency-key": key},
    )
    assert answer.status_code == 202, answer.text
    export_id: str = answer.json()["export_id"]
    return export_id


async def ended(replica: Replica, export_id: str) -> Document:
    """The state at the end, by long poll."""
    position = ""
    with anyio.fail_after(PATIENCE_SECONDS):
        while True:
            answer = await replica.http.get(
                f"/api/v1/exports/{export_id}", headers={"prefer": "wait=5", "if-none-match": position}
            )
            position = answer.headers["etag"]
            if answer.status_code == 200 and answer.json()["result"] is not None:
                shown: Document = answer.json()
                return shown


async def until(is_so: Any) -> None:
    """Looks again and again."""
    with anyio.fail_after(PATIENCE_SECONDS):
        while not is_so():  # noqa: ASYNC110 - nobody tells of it
            await anyio.sleep(0.01)
