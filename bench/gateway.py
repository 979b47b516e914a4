"""`python -m bench.gateway`: a gateway with ten thousand sockets, stalled readers, kills, and downloads.

The crowd is a process of its own, the broker a RabbitMQ of its own, and beside each figure is that of
`bench/rival_gateway.py` where it has one.
"""

import argparse
import asyncio
import tempfile
from collections.abc import Sequence
from pathlib import Path

import aio_pika
import httpx

from bench.gateway_ends import downloads, kills
from bench.gateway_scene import FULL, QUICK, Play, Sizes
from bench.gateway_sockets import reconnects, sockets, stalled
from bench.machine import machine
from bench.measuring import ROOT
from bench.report import BEGIN_GATEWAY, Group, goal_lines, rewrite
from bench.scene import open_scene
from contracts import topology

__all__ = ["QUICK", "measured"]

DOCUMENT = ROOT / "docs" / "performance.md"
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
