"""`python -m bench.gateway`: a gateway with ten thousand sockets, stalled readers, kills, and downloads.

The crowd is a process of its own, the broker a RabbitMQ of its own, and beside each figure is that of
`bench/rival_gateway.py` where it has one.
"""

import argparse
import asyncio
import json
import os
import random
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import aio_pika
import httpx

from bench.machine import machine
from bench.measuring import ROOT, Wrong
from bench.report import BEGIN_GATEWAY, Goal, Group, Sheet, goal_lines, rewrite
from bench.scene import SETTINGS, Scene, cpu_seconds, memory_bytes, open_scene
from contracts import topology
from tests.broker.commands import Document, make_project
from tests.broker.node import free_ports
from tests.broker.workers import Gateway, Workers

DOCUMENT = ROOT / "docs" / "performance.md"
_WORDS: Document = {"id": "words", "sections": [{"title": "One", "sentences": [{"text": "Only words."}]}]}
_LIMITS: dict[str, Any] = {
    "requests_per_minute": 1_000_000,
    "exports_per_minute": 1_000_000,
    "exports_in_flight": 1_000_000,
    "silent_seconds": 5,
}
_GIGABYTE = 1_000_000_000
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
async def _crowd() -> AsyncIterator[Crowd]:
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
        started = self.workers.start_gateway(port, **_LIMITS)
        await started.ready()
        return started

    async def asked(self, gateway: Gateway, project: Document = _WORDS) -> str:
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


def _rss(pid: int) -> int:
    return memory_bytes(pid, "smaps_rollup", "Rss")


@dataclass(frozen=True)
class Load:
    """What the sockets of one server cost."""

    name: str
    rss_kib: float
    open_seconds: float
    cpu_us: float
    p50: float
    p99: float

    def row(self) -> list[str]:
        figures = (self.rss_kib, self.open_seconds, self.cpu_us, self.p50 * 1000, self.p99 * 1000)
        return [self.name, *(f"{figure:.1f}" for figure in figures)]


# ---- many sockets


async def sockets(play: Play) -> Group:
    """Ours, ours paced by acks, and the rival, each in a process of its own."""
    loads = []
    for name, acks in (("gateway", False), ("gateway, paced by acks", True)):
        gateway = await play.gateway()
        export_id = await play.asked(gateway)
        server = Server(name, gateway.pid, _port(gateway.url), partial(play.progress, export_id))
        async with _crowd() as crowd:
            loads.append(await _load(play.sizes, crowd, server, export_id, acks=acks))
        gateway.kill()
    loads.append(await _rival_load(play))
    rows = [["", "KiB RSS a socket", "s to open all", "µs CPU a frame", "p50 ms", "p99 ms"]]
    rows += [load.row() for load in loads]
    ours = loads[0]
    count = f"{play.sizes.sockets:,} sockets"
    goals = [
        Goal(f"{count} below 25 KiB each", f"{ours.rss_kib:.1f} KiB", ours.rss_kib < 25),
        Goal("at most 36 µs of CPU for a frame", f"{ours.cpu_us:.1f} µs", ours.cpu_us <= 36),
        Goal(f"one event to {count}, p99 below 500 ms", f"{ours.p99 * 1000:.0f} ms", ours.p99 < 0.5),
    ]
    return Group([Sheet(f"{count} at one process, {play.sizes.events} events to all of them", rows)], goals=goals)


def _port(url: str) -> int:
    return int(url.rsplit(":", 1)[1])


@dataclass(frozen=True)
class Server:
    """One that sockets are opened at; `tell` makes it send a state to those who follow the export."""

    name: str
    pid: int
    port: int
    tell: Callable[[], Awaitable[None]]


async def _load(sizes: Sizes, crowd: Crowd, server: Server, export_id: str, *, acks: bool = False) -> Load:
    before = _rss(server.pid)
    opened = await crowd.do("open", count=sizes.sockets, port=server.port, exports=[export_id], acks=acks)
    await asyncio.sleep(1)
    rss = _rss(server.pid) - before
    used = cpu_seconds(server.pid)
    p50: list[float] = []
    p99: list[float] = []
    for _ in range(sizes.events):
        await server.tell()
        heard = await crowd.do("hear", count=sizes.sockets)
        p50.append(heard["p50"])
        p99.append(heard["p99"])
    cpu = (cpu_seconds(server.pid) - used) / (sizes.sockets * sizes.events)
    await crowd.do("close")
    return Load(server.name, rss / sizes.sockets / 1024, opened["seconds"], cpu * 1e6, _median(p50), _median(p99))


def _median(values: Sequence[float]) -> float:
    return sorted(values)[len(values) // 2]


@asynccontextmanager
async def _rival(**environment: str) -> AsyncIterator[tuple[int, str]]:
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


async def _rival_load(play: Play) -> Load:
    """The same frames, posted to it; it has no broker to hear them from."""
    gateway = await play.gateway()
    export_id = await play.asked(gateway)
    await play.progress(export_id)
    shown = await play.until(gateway, export_id, state="copying")
    gateway.kill()

    async with _rival() as (pid, url), _crowd() as crowd:

        async def event() -> None:
            shown["rate_bytes_per_second"] = int(time.monotonic() * 1e6)
            frame = json.dumps({"type": "state", "export": shown}, separators=(",", ":"))
            await play.http.post(f"{url}/event", content=frame)

        await event()
        server = Server("rival: FastAPI, a loop", pid, _port(url), event)
        return await _load(play.sizes, crowd, server, export_id)


# ---- who reads slowly


async def stalled(play: Play) -> Group:
    """One of the sockets reads nothing, while a burst of events comes."""
    gateway = await play.gateway()
    export_id = await play.asked(gateway)
    clients = max(100, play.sizes.sockets // 10)
    async with _crowd() as crowd:
        await crowd.do("open", count=clients, port=_port(gateway.url), exports=[export_id])
        calm = await _p99(play, crowd, export_id, clients)
        before = _rss(gateway.pid)
        await crowd.do("stall", client=0)
        beside = await _p99(play, crowd, export_id, clients - 1)
        other = await play.asked(gateway)
        async with _crowd() as slow:
            await slow.do("open", count=2, port=_port(gateway.url), exports=[other])
            await slow.do("stall", client=0)
            for _ in range(play.sizes.burst):
                await play.progress(other)
            await _settled(play, gateway, other, play.seq)
            grown = _rss(gateway.pid) - before
            conflated = await play.conflated(gateway)
            shown = await play.state(gateway, other)
            resumed = await slow.do("resume", client=0, position=shown["position"])
    gateway.kill()
    rows = [
        ["", "found"],
        [f"p99 ms of {clients:,} sockets, all reading", f"{calm * 1000:.1f}"],
        ["p99 ms of the others, one stalled", f"{beside * 1000:.1f}"],
        [f"states sent to the stalled one, of {play.sizes.burst:,}", f"{resumed['states']:,}"],
        ["states that a newer one replaced unsent", f"{conflated:,}"],
        ["KiB of memory grown meanwhile", f"{grown / 1024:.0f}"],
    ]
    change = f"{calm * 1000:.1f} → {beside * 1000:.1f} ms"
    goals = [
        Goal("a stalled reader moves the others' p99 by less than half, and 5 ms", change,
             beside < 1.5 * calm + 0.005),
        Goal("and holds one pending frame: the rest is replaced", f"{conflated:,} of {play.sizes.burst:,}",
             conflated > play.sizes.burst // 4),
    ]  # fmt: skip
    return Group([Sheet("A stalled reader", rows)], goals=goals)


async def _settled(play: Play, gateway: Gateway, export_id: str, seq: int) -> None:
    await play.until(gateway, export_id, seq=seq)
    await asyncio.sleep(play.sizes.events / 10)  # the metrics are told once a second


async def _p99(play: Play, crowd: Crowd, export_id: str, clients: int) -> float:
    found = []
    for _ in range(play.sizes.events):
        await play.progress(export_id)
        found.append((await crowd.do("hear", count=clients))["p99"])
        await asyncio.sleep(0.02)
    return _median(found)


# ---- who comes back


async def reconnects(play: Play) -> Group:
    """All sockets come to a replica that heard nothing, and are told what is so."""
    first = await play.gateway()
    exports = [await play.asked(first) for _ in range(play.sizes.exports)]
    first.kill()
    fresh = await play.gateway()
    async with _crowd() as crowd:
        opened = await crowd.do("open", count=play.sizes.sockets, port=_port(fresh.url), exports=exports)
    wrong = opened["missing"]
    for export_id, position, count in opened["seen"]:
        if (await play.state(fresh, export_id))["position"] != position:
            wrong += count
    fresh.kill()
    seconds = opened["seconds"]
    rows = [
        ["", "found"],
        [f"s until {play.sizes.sockets:,} sockets have their snapshot", f"{seconds:.1f}"],
        ["of them wrong, or missing", str(wrong)],
    ]
    goal = Goal(
        f"{play.sizes.sockets:,} reconnects with right snapshots in 20 s", f"{seconds:.1f} s, {wrong} wrong",
        seconds < 20 and not wrong,
    )  # fmt: skip
    return Group(
        [Sheet(f"A storm on a replica that heard nothing, over {play.sizes.exports} exports", rows)], goals=[goal]
    )


# ---- kills


async def kills(play: Play) -> Group:
    """A replica is killed while an export runs, at a random moment; another one comes at the same address."""
    [worker] = await play.workers.ready(1, **SETTINGS)
    gateway = await play.gateway()
    port = _port(gateway.url)
    missed, lost, slowest = 0, 0, 0.0
    async with _crowd() as crowd:
        warm = await play.asked(gateway)
        await crowd.do("open", count=play.sizes.clients, port=port, exports=[warm])
        for _ in range(play.sizes.kills):
            export_id = await play.asked(gateway)
            await crowd.do("follow", export_id=export_id)
            await asyncio.sleep(random.random() * 0.06)
            gateway.kill()
            gateway = play.workers.start_gateway(port, **_LIMITS)
            finished = await crowd.do("finish", export_id=export_id, patience_seconds=60)
            missed += finished["missed"]
            slowest, lost = max(slowest, finished["seconds"]), finished["lost"]
            await _again(play, f"http://127.0.0.1:{port}")
    gateway.kill()
    worker.kill()
    kills_ = f"{play.sizes.kills} kills with {play.sizes.clients} clients"
    rows = [
        ["", "found"],
        ["ends that a client missed", str(missed)],
        ["cut connections", f"{lost:,}"],
        ["longest s from the kill to the end at the last client", f"{slowest:.1f}"],
    ]
    return Group([Sheet(kills_, rows)], goals=[Goal(f"no end missed over {kills_}", str(missed), missed == 0)])


async def _again(play: Play, url: str) -> None:
    for _ in range(1000):
        try:
            if (await play.http.get(f"{url}/readyz")).json()["degraded"] == []:
                return
        except (httpx.TransportError, KeyError):
            pass
        await asyncio.sleep(0.02)
    raise Wrong("the new replica does not become ready")


# ---- downloads


async def downloads(play: Play) -> Group:
    """One gigabyte to a client that throws it away: written, never written, and as a framework sends a file."""
    [worker] = await play.workers.ready(1, **SETTINGS)
    gateway = await play.gateway()
    media = play.workers.media_root
    project = make_project(media, 20, big=[_GIGABYTE], name="film")
    answer = await play.http.post(
        f"{gateway.url}/api/v1/projects/film/export", json={"project": project, "options": {"archive": "zip"}}
    )
    export_id = answer.json()["export_id"]
    shown = await play.until(gateway, export_id, state="completed")
    worker.kill()
    written = play.workers.exports_root / shown["result"]["archive"]["name"]
    path = f"/api/v1/exports/{export_id}/download"
    found = {}
    async with _rival(RIVAL_FILE=str(written)) as (pid, url):
        found["rival: Starlette's FileResponse"] = await _downloads(play, pid, _port(url), "/download")
        found["gateway, the written ZIP"] = await _downloads(play, gateway.pid, _port(gateway.url), path)
    written.unlink()
    gateway.kill()
    gateway = await play.gateway()
    found["gateway, a ZIP that was never written"] = await _downloads(play, gateway.pid, _port(gateway.url), path)
    gateway.kill()
    rows = [["", "s/GB", "CPU s/GB", "peak MB"]]
    rows += [
        [name, *(f"{figure:.2f}" for figure in figures[:2]), f"{figures[2]:.0f}"] for name, figures in found.items()
    ]
    worst = max(figures[1] for name, figures in found.items() if name.startswith("gateway"))
    goal = Goal("a download at most 0.7 CPU s/GB", f"{worst:.2f} s", worst <= 0.7)
    return Group([Sheet("Downloads of 1 GB", rows)], goals=[goal])


async def _downloads(play: Play, pid: int, port: int, path: str) -> tuple[float, float, float]:
    """Medians of wall and CPU seconds for each GB, and the server's peak memory in MB."""
    walls, cpus = [], []
    for _ in range(play.sizes.downloads):
        used, began = cpu_seconds(pid), time.monotonic()
        size = await asyncio.to_thread(_taken, port, path)
        walls.append((time.monotonic() - began) / size * _GIGABYTE)
        cpus.append((cpu_seconds(pid) - used) / size * _GIGABYTE)
    return _median(walls), _median(cpus), memory_bytes(pid, "status", "VmHWM") / 1e6


def _taken(port: int, path: str) -> int:
    connection = HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request("GET", path)
    answer = connection.getresponse()
    buffer, size = bytearray(1 << 20), 0
    while count := answer.readinto(buffer):
        size += count
    connection.close()
    if answer.status != 200 or size < _GIGABYTE:
        raise Wrong(f"a download answered {answer.status} with {size:,} bytes")
    return size


# ---- all of it

_PARTS = {"sockets": sockets, "stalled": stalled, "reconnects": reconnects, "kills": kills, "downloads": downloads}


async def measured(place: Path, sizes: Sizes, names: Sequence[str]) -> list[Group]:
    """A group for each name. Raises RabbitMissing where there is none."""
    groups = []
    async with open_scene(place) as scene, httpx.AsyncClient(timeout=60) as http:
        connection = await aio_pika.connect(scene.node.url())
        async with connection:
            exchange = await (await connection.channel()).get_exchange(topology.EVENTS, ensure=False)
            for name in names:
                (place / f"{name}-media").mkdir()
                async with scene.crew(name, place / f"{name}-media") as workers:
                    groups.append(await _PARTS[name](Play(scene, sizes, workers, http, exchange)))
    return groups


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.gateway", description=__doc__, allow_abbrev=False)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(_PARTS)}; all")
    parser.add_argument("--quick", action="store_true", help="a twentieth of everything")
    parser.add_argument("--write", action="store_true", help="write the tables into docs/performance.md")
    args = parser.parse_args()
    if unknown := set(args.parts) - set(_PARTS):
        parser.error(f"no such part: {', '.join(sorted(unknown))}")
    if args.write and (args.quick or args.parts):
        parser.error("--write keeps figures of all parts in full")
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        head = ["`python -m bench.gateway`, on", "", *machine(Path(name))[:2], ""]
        groups = asyncio.run(measured(Path(name), QUICK if args.quick else FULL, args.parts or [*_PARTS]))
    goals = goal_lines([goal for group in groups for goal in group.goals])
    lines = [*head, *(line for group in groups for line in group.lines()), *goals]
    print(*lines, sep="\n")
    if args.write:
        rewrite(DOCUMENT, BEGIN_GATEWAY, lines)


if __name__ == "__main__":
    main()
