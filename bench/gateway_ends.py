"""Gateways that are killed while clients wait for an end; and the end itself, a download."""

import asyncio
import random
import time
from http.client import HTTPConnection

import httpx

from bench.gateway_scene import LIMITS, Play, crowd_of_clients, median, port_of, rival
from bench.measuring import Wrong
from bench.report import Goal, Group, Sheet
from bench.scene import SETTINGS, cpu_seconds, memory_bytes
from tests.broker.commands import make_project

_GIGABYTE = 1_000_000_000


# ---- kills


async def kills(play: Play) -> Group:
    """A replica is killed while an export runs, at a random moment; another one comes at the same address."""
    [worker] = await play.workers.ready(1, **SETTINGS)
    gateway = await play.gateway()
    port = port_of(gateway.url)
    missed, lost, slowest = 0, 0, 0.0
    async with crowd_of_clients() as crowd:
        warm = await play.asked(gateway)
        await crowd.do("open", count=play.sizes.clients, port=port, exports=[warm])
        for _ in range(play.sizes.kills):
            export_id = await play.asked(gateway)
            await crowd.do("follow", export_id=export_id)
            await asyncio.sleep(random.random() * 0.06)
            gateway.kill()
            gateway = play.workers.start_gateway(port, **LIMITS)
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
    async with rival(RIVAL_FILE=str(written)) as (pid, url):
        found["rival: Starlette's FileResponse"] = await _downloads(play, pid, port_of(url), "/download")
        found["gateway, the written ZIP"] = await _downloads(play, gateway.pid, port_of(gateway.url), path)
    written.unlink()
    gateway.kill()
    gateway = await play.gateway()
    found["gateway, a ZIP that was never written"] = await _downloads(play, gateway.pid, port_of(gateway.url), path)
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
    return median(walls), median(cpus), memory_bytes(pid, "status", "VmHWM") / 1e6


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
