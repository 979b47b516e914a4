"""Serves the gateway's application with uvicorn, and ends it without a storm on the other replicas."""

import logging
import socket
from asyncio import BaseTransport, WriteTransport
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

import anyio
import uvicorn
from anyio import TASK_STATUS_IGNORED
from anyio.abc import TaskStatus
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from gateway.app import Gateway

log = logging.getLogger(__name__)

FRAME_BYTES = 16 * 1024
"""The largest frame that a socket may send us."""
_UNSENT_BYTES = 16 * 1024
_DEAD_AFTER_SECONDS = 45
_END_SECONDS = 2
_BACKLOG = 4096


class _SocketProtocol(WebSocketsSansIOProtocol):
    """uvicorn's own, on a connection that keeps little in the kernel and notices when nobody is there."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.close_timeout = float(_END_SECONDS)

    def connection_made(self, transport: BaseTransport) -> None:
        super().connection_made(transport)
        # What waits here is old by the time it is read: `send` waits instead, and the newest state is taken after it.
        cast("WriteTransport", transport).set_write_buffer_limits(high=_UNSENT_BYTES)
        connection = transport.get_extra_info("socket")
        if connection is None or not hasattr(socket, "TCP_NOTSENT_LOWAT"):
            return
        # Otherwise the kernel takes 4 MB of states that nobody reads: minutes of old news before `send` waits.
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, _UNSENT_BYTES)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, _DEAD_AFTER_SECONDS)
        # Who takes nothing, or is gone without a word, is cut off by the kernel; every socket is sent heartbeats.
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _DEAD_AFTER_SECONDS * 1000)


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, gateway: Gateway, status: TaskStatus[int]) -> None:
        super().__init__(config)
        self._gateway = gateway
        self._status = status

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Signals are the caller's business."""
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        host, port = self.servers[0].sockets[0].getsockname()[:2]
        log.info("gateway: http://%s:%s/", host, port)
        self._status.started(port)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """uvicorn would close all sockets at once. First they are told to go, a few at a time."""
        self._gateway.parts.is_draining = True
        for server in self.servers:
            server.close()
        await self._gateway.sockets.drain(self._gateway.parts.settings.gateway_drain_seconds)
        await super().shutdown(sockets)


async def serve(
    gateway: Gateway,
    stop: anyio.Event,
    door: socket.socket | None = None,
    *,
    task_status: TaskStatus[int] = TASK_STATUS_IGNORED,
) -> None:
    """Runs until `stop` is set, and then until all is closed; started when it answers, on the port that it says.

    Listens at `door`, if it is given, and closes it; else where the settings say. Raises OSError when that is taken.
    """
    logging.getLogger("uvicorn.error").addFilter(_is_worth_a_line)
    server = _Server(_config(gateway), gateway, task_status)
    try:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(gateway.sockets.keep_beating)
            tasks.start_soon(_end_with, stop, server)
            await server.serve(None if door is None else [door])
            tasks.cancel_scope.cancel()
    except SystemExit:
        settings = gateway.parts.settings
        raise OSError(
            f"cannot serve on {settings.gateway_host}:{settings.gateway_port}: is the port taken? (EXPORT_GATEWAY_PORT)"
        ) from None
    finally:
        for listening in getattr(server, "servers", ()):  # uvicorn leaves them open when it is cancelled
            listening.close()


async def _end_with(stop: anyio.Event, server: uvicorn.Server) -> None:
    await stop.wait()
    server.should_exit = True


def _config(gateway: Gateway) -> uvicorn.Config:
    settings = gateway.parts.settings
    return uvicorn.Config(
        gateway.answer,
        interface="asgi3",
        host=settings.gateway_host,
        port=settings.gateway_port,
        backlog=_BACKLOG,
        lifespan="off",
        log_config=None,
        access_log=False,  # it would print signed links
        server_header=False,
        http="httptools",
        ws=_SocketProtocol,
        ws_max_size=FRAME_BYTES,
        # Three times the memory and twice the time, for states of 500 bytes (docs/performance.md).
        ws_per_message_deflate=False,
        # Heartbeats are frames, since no page sees a ping; a dead peer is the kernel's business.
        ws_ping_interval=None,
        timeout_graceful_shutdown=_END_SECONDS,
        proxy_headers=False,
    )


def _is_worth_a_line(record: logging.LogRecord) -> bool:
    """uvicorn logs each socket that opens, with its query, and a traceback for each frame that is no UTF-8."""
    return record.levelno >= logging.WARNING and not str(record.msg).startswith("Invalid UTF-8")
