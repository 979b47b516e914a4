"""Many sockets at a gateway: what one costs, beside a reader that has stalled, and all of them at once."""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial

from bench.gateway_scene import Crowd, Play, Sizes, crowd_of_clients, median, port_of, rival, rss_bytes
from bench.report import Goal, Group, Sheet
from bench.scene import cpu_seconds
from tests.broker.workers import Gateway


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
        server = Server(name, gateway.pid, port_of(gateway.url), partial(play.progress, export_id))
        async with crowd_of_clients() as crowd:
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


@dataclass(frozen=True)
class Server:
    """One that sockets are opened at; `tell` makes it send a state to those who follow the export."""

    name: str
    pid: int
    port: int
    tell: Callable[[], Awaitable[None]]


async def _load(sizes: Sizes, crowd: Crowd, server: Server, export_id: str, *, acks: bool = False) -> Load:
    before = rss_bytes(server.pid)
    opened = await crowd.do("open", count=sizes.sockets, port=server.port, exports=[export_id], acks=acks)
    await asyncio.sleep(1)
    rss = rss_bytes(server.pid) - before
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
    return Load(server.name, rss / sizes.sockets / 1024, opened["seconds"], cpu * 1e6, median(p50), median(p99))


async def _rival_load(play: Play) -> Load:
    """The same frames, posted to it; it has no broker to hear them from."""
    gateway = await play.gateway()
    export_id = await play.asked(gateway)
    await play.progress(export_id)
    shown = await play.until(gateway, export_id, state="copying")
    gateway.kill()

    async with rival() as (pid, url), crowd_of_clients() as crowd:

        async def event() -> None:
            shown["rate_bytes_per_second"] = int(time.monotonic() * 1e6)
            frame = json.dumps({"type": "state", "export": shown}, separators=(",", ":"))
            await play.http.post(f"{url}/event", content=frame)

        await event()
        server = Server("rival: FastAPI, a loop", pid, port_of(url), event)
        return await _load(play.sizes, crowd, server, export_id)


# ---- who reads slowly


async def stalled(play: Play) -> Group:
    """One of the sockets reads nothing, while a burst of events comes."""
    gateway = await play.gateway()
    export_id = await play.asked(gateway)
    clients = max(100, play.sizes.sockets // 10)
    async with crowd_of_clients() as crowd:
        await crowd.do("open", count=clients, port=port_of(gateway.url), exports=[export_id])
        calm = await _p99(play, crowd, export_id, clients)
        before = rss_bytes(gateway.pid)
        await crowd.do("stall", client=0)
        beside = await _p99(play, crowd, export_id, clients - 1)
        other = await play.asked(gateway)
        async with crowd_of_clients() as slow:
            await slow.do("open", count=2, port=port_of(gateway.url), exports=[other])
            await slow.do("stall", client=0)
            for _ in range(play.sizes.burst):
                await play.progress(other)
            await _settled(play, gateway, other, play.seq)
            grown = rss_bytes(gateway.pid) - before
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
    return median(found)


# ---- who comes back


async def reconnects(play: Play) -> Group:
    """All sockets come to a replica that heard nothing, and are told what is so."""
    first = await play.gateway()
    exports = [await play.asked(first) for _ in range(play.sizes.exports)]
    first.kill()
    fresh = await play.gateway()
    async with crowd_of_clients() as crowd:
        opened = await crowd.do("open", count=play.sizes.sockets, port=port_of(fresh.url), exports=exports)
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
