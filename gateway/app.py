"""Wires a gateway together, and runs it: the only place that knows all its parts."""

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import anyio
from aio_pika.exceptions import AMQPError
from anyio.abc import TaskGroup
from faststream import FastStream
from faststream.rabbit import RabbitBroker
from starlette.types import ASGIApp, Receive, Scope, Send

from gateway.auth import Auth
from gateway.broker import Ear, Publisher
from gateway.http import application
from gateway.metrics import Metrics
from gateway.parts import Parts
from gateway.records import Records
from gateway.relay import Relay
from gateway.settings import GatewaySettings
from gateway.sockets import Sockets
from gateway.sources import Sources
from gateway.studio_sockets import StudioSockets
from service.announce import Announcer
from service.broker import NotStarted, connections, unless_the_channel_dies
from service.ledger import Ledger
from service.stores import opened_storage

log = logging.getLogger(__name__)

_PING_SECONDS = 0.5
_LOOK_EVERY_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Gateway:
    """The parts of one gateway, and how they live together."""

    parts: Parts
    stream: FastStream
    consume: RabbitBroker
    ear: Ear
    sockets: Sockets
    answer: ASGIApp
    """The whole of what it serves, HTTP and sockets."""

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Hears events while the block runs. Does not wait for the broker: reading works without it."""
        async with self.parts.auth.refreshing(), anyio.create_task_group() as tasks:
            tasks.start_soon(self._begin, tasks)
            tasks.start_soon(self.parts.relay.keep_asking)
            try:
                yield
            finally:
                with anyio.CancelScope(shield=True):
                    await self.stream.stop()
                tasks.cancel_scope.cancel()

    async def _begin(self, tasks: TaskGroup) -> None:
        try:
            await self.stream.start()
            await unless_the_channel_dies(self.ear.bind)
        except AMQPError as fault:
            raise NotStarted(f"RabbitMQ does not let the gateway begin: {fault}") from fault
        log.info("hearing events")
        tasks.start_soon(self._keep_looking)

    async def _keep_looking(self) -> None:
        """Whether events can come; when they come again, what was missed is asked of storage."""
        while True:
            self.parts.relay.connected(await self.consume.ping(_PING_SECONDS))
            await anyio.sleep(_LOOK_EVERY_SECONDS)


@asynccontextmanager
async def gateway(settings: GatewaySettings) -> AsyncIterator[Gateway]:
    """A gateway on the storage of `settings`, not running yet. Raises Trouble when that is not there."""
    async with opened_storage(settings) as ledger:
        yield assemble(settings, ledger)


def assemble(settings: GatewaySettings, ledger: Ledger) -> Gateway:
    """Connects the parts; touches neither a disk nor a network."""
    produce, consume = connections(settings)
    auth = Auth(settings)
    records = Records(ledger)
    relay = Relay(
        records, auth.sign_link, settings.silent_seconds, settings.silent_at_most_seconds, settings.remembered_exports
    )
    publisher = Publisher(Announcer(produce), settings.confirm_seconds)
    parts = Parts(settings, ledger, records, relay, publisher, auth, Sources(settings), Metrics(relay))
    ear = Ear(consume, relay.hear)
    sockets = Sockets(parts)
    stream = FastStream(produce, consume, logger=None)
    return Gateway(parts, stream, consume, ear, sockets, _switch(parts, sockets))


def _switch(parts: Parts, sockets: Sockets) -> ASGIApp:
    """Sockets beside FastAPI, not through it: its routes cost twice the memory and the time of a bare one."""
    api = application(parts)
    doors: dict[str, ASGIApp] = {"/api/v1/ws": sockets, "/ws": StudioSockets(parts, sockets)}

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await doors.get(scope["path"], _nothing_there)(scope, receive, send)
        else:
            await api(scope, receive, send)

    return answer


async def _nothing_there(_: Scope, receive: Receive, send: Send) -> None:
    await receive()
    await send({"type": "websocket.close"})
