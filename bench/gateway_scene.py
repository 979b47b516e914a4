"""What measures a gateway: how much of everything, a crowd of clients, gateways and their rival as processes."""

import asyncio
import json
import os
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import aio_pika
import httpx

from bench.measuring import ROOT, Wrong
from bench.scene import Scene, memory_bytes
from contracts import topology
from tests.broker.commands import Document
from tests.broker.node import free_ports
from tests.broker.workers import Gateway, Workers

WORDS: Document = {"id": "words", "sections": [{"title": "One", "sentences": [{"text": "Only words."}]}]}
LIMITS: dict[str, Any] = {
    "requests_per_minute": 1_000_000,
    "exports_per_minute": 1_000_000,
    "exports_in_flight": 1_000_000,
    "silent_seconds": 5,
}
_COMMAND_BYTES = 2**26


@dataclass(frozen=True)
class Sizes:
    """How much of everything."""

    sockets: int
    events: int
    exports: int
    burst: int
    kills: int
    clients: int
    downloads: int


FULL = Sizes(sockets=10_000, events=20, exports=100, burst=6_000, kills=200, clients=200, downloads=5)
QUICK = Sizes(sockets=500, events=5, exports=10, burst=1_500, kills=5, clients=50, downloads=2)


class Crowd:
    """The clients' process."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        if process.stdin is None or process.stdout is None:
            raise ValueError("the process has no pipes")
        self._commands, self._answers = process.stdin, process.stdout

    async def do(self, what: str, **about: Any) -> Any:
        """Tells it, and waits for its answer."""
        self._commands.write(json.dumps({"do": what, **about}).encode() + b"\n")
        line = await self._answers.readline()
        if not line:
            raise Wrong(f"the crowd ended at {what}")
        answer = json.loads(line)
        if answer.get("complete") is False:
            raise Wrong(f"{what}: not all came: {str(answer)[:300]}")
        return answer


@asynccontextmanager
async def crowd_of_clients() -> AsyncIterator[Crowd]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bench.gateway_client", cwd=ROOT, limit=_COMMAND_BYTES,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        yield Crowd(process)
    finally:
        process.kill()
        await process.wait()


@dataclass
class Play:
    """What every part of the measuring needs."""

    scene: Scene
    sizes: Sizes
    workers: Workers
    http: httpx.AsyncClient
    exchange: aio_pika.abc.AbstractExchange
    seq: int = 0

    async def gateway(self, port: int | None = None) -> Gateway:
        """Once it is ready; at this port, if another one was there before."""
        started = self.workers.start_gateway(port, **LIMITS)
        await started.ready()
        return started

    async def asked(self, gateway: Gateway, project: Document = WORDS) -> str:
        answer = await self.http.post(
            f"{gateway.url}/api/v1/projects/{project['id']}/export", json={"project": project}
        )
        if answer.status_code != 202:
            raise Wrong(f"an export is refused: {answer.status_code} {answer.text[:300]}")
        export_id: str = answer.json()["export_id"]
        return export_id

    async def progress(self, export_id: str) -> None:
        """As a worker announces it; the moment of sending stands in for the rate."""
        self.seq += 1
        tally = {"done": 5, "total": 12}
        body = {
            "version": 1, "export_id": export_id, "project_id": "words", "attempt": 1, "seq": self.seq,
            "state": "copying", "percent": 43, "files": tally, "bytes": tally,
            "by_kind": {"audio": tally, "image": tally, "video": tally}, "current": "images/001_one_image.png",
            "rate_bytes_per_second": int(time.monotonic() * 1e6), "eta_seconds": 3,
            "at": datetime.now(UTC).isoformat(),
        }  # fmt: skip
        await self.exchange.publish(aio_pika.Message(json.dumps(body).encode()), topology.PROGRESS)

    async def state(self, gateway: Gateway, export_id: str) -> Document:
        shown: Document = (await self.http.get(f"{gateway.url}/api/v1/exports/{export_id}")).json()
        return shown

    async def until(self, gateway: Gateway, export_id: str, **wanted: object) -> Document:
        for _ in range(3000):
            shown = await self.state(gateway, export_id)
            if all(shown[name] == value for name, value in wanted.items()):
                return shown
            await asyncio.sleep(0.02)
        raise Wrong(f"export {export_id} never is {wanted}")

    async def conflated(self, gateway: Gateway) -> int:
        said = (await self.http.get(f"{gateway.url}/metrics")).text
        [line] = [line for line in said.splitlines() if line.startswith("export_gateway_frames_conflated_total ")]
        return int(float(line.split()[1]))


def rss_bytes(pid: int) -> int:
    return memory_bytes(pid, "smaps_rollup", "Rss")


def port_of(url: str) -> int:
    return int(url.rsplit(":", 1)[1])


def median(values: Sequence[float]) -> float:
    return sorted(values)[len(values) // 2]


@asynccontextmanager
async def rival(**environment: str) -> AsyncIterator[tuple[int, str]]:
    """Its pid, and its address."""
    [port] = free_ports(1)
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bench.rival_gateway", str(port), cwd=ROOT, env={**os.environ, **environment}
    )
    try:
        await _answers(port)
        yield process.pid, f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        await process.wait()


async def _answers(port: int) -> None:
    for _ in range(500):
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            await asyncio.sleep(0.02)
        else:
            writer.close()
            return
    raise Wrong("the rival does not start")
