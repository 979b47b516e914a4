"""Answers whether the worker lives and takes work, and ends one that takes none and has none."""

import json
import logging
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from time import monotonic
from typing import Any

import anyio
import uvicorn
from anyio import TASK_STATUS_IGNORED
from anyio.abc import TaskStatus

from service.broker import Consumption
from service.fitness import Fitness
from service.supervisor import Supervisor

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Health:
    """What can be said of a worker from outside."""

    consumption: Consumption
    fitness: Fitness
    supervisor: Supervisor
    is_connected: Callable[[], Awaitable[bool]]
    """Whether the consuming connection is there."""

    def unready(self) -> list[str]:
        """Why no work is taken; empty when it is."""
        if self.supervisor.draining.is_set():
            return ["the worker is stopping"]
        faults = [] if self.fitness.fault is None else [f"storage: {self.fitness.fault}"]
        return faults if self.consumption.is_consuming() else [*faults, "not consuming from the broker"]

    async def watch(self, patience_seconds: float) -> None:
        """Returns when all was there, and the consumers were not, for so long: then only a new process helps.

        A broker or a storage that is away comes back without one.
        """
        since = monotonic()
        while monotonic() - since < patience_seconds:
            await anyio.sleep(min(1.0, patience_seconds / 10))
            if not await self._is_stuck():
                since = monotonic()
        log.error("connected, but not consuming for %.0f seconds", patience_seconds)

    async def _is_stuck(self) -> bool:
        if self.supervisor.running or not self.fitness.is_fit or self.consumption.is_consuming():
            return False
        return await self.is_connected()

    async def answer(self, scope: dict[str, Any], _: object, send: Callable[[dict[str, Any]], Awaitable[None]]) -> None:
        """The ASGI application: /livez while the event loop turns, /readyz while work is taken."""
        faults = self.unready()
        answers: dict[str, tuple[int, dict[str, object]]] = {
            "/livez": (200, {"status": "alive"}),
            "/readyz": (503, {"status": "not ready", "because": faults}) if faults else (200, {"status": "ready"}),
        }
        status, body = answers.get(scope["path"], (404, {"status": "no such page; there are /livez and /readyz"}))
        if status == 200:
            body = {**body, "running": self.supervisor.running}
        headers = [(b"content-type", b"application/json"), (b"cache-control", b"no-store")]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": json.dumps(body).encode() + b"\n"})


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, status: TaskStatus[int]) -> None:
        super().__init__(config)
        self._status = status

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Signals are the worker's business."""
        yield

    async def startup(self, sockets: Any = None) -> None:
        await super().startup(sockets)
        host, port = self.servers[0].sockets[0].getsockname()[:2]
        log.info("health: http://%s:%s/readyz", host, port)
        self._status.started(port)


async def serve(health: Health, host: str, port: int, *, task_status: TaskStatus[int] = TASK_STATUS_IGNORED) -> None:
    """Runs until cancelled; started when it answers, on the port that it says. Raises OSError when that is taken."""
    config = uvicorn.Config(
        health.answer,
        interface="asgi3",  # uvicorn's guess takes a bound method for ASGI 2
        host=host,
        port=port,
        lifespan="off",
        log_config=None,
        access_log=False,
        ws="none",
        server_header=False,
    )
    server = _Server(config, task_status)
    try:
        await server.serve()
    except SystemExit:
        raise OSError(f"cannot answer on {host}:{port}: is the port taken? (EXPORT_HEALTH_PORT)") from None
    finally:
        for listening in getattr(server, "servers", ()):  # uvicorn leaves them open when it is cancelled
            listening.close()
