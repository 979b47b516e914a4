"""Sieges that go on for a while, one after the other, on one RabbitMQ of their own."""

import asyncio
import contextlib
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from time import monotonic

from tests.broker.node import PrivateNode, RabbitMissing
from tests.prove.cutting import Cutting
from tests.prove.felling import Felling
from tests.prove.forks import Forks
from tests.prove.killing import Killing
from tests.prove.running import Found, Wrong, fast_disk
from tests.prove.siege import Ground, Siege, played
from tests.prove.starving import Starving

SIEGES: dict[str, type[Siege]] = {"workers": Killing, "wire": Cutting, "broker": Felling, "store": Starving}

Tell = Callable[[str, Found], None]


def obstacle_to(name: str) -> str | None:
    """Why this siege cannot be laid on this machine."""
    with tempfile.TemporaryDirectory() as home:
        try:
            PrivateNode(Path(home))
        except RabbitMissing as missing:
            return str(missing)
    return SIEGES[name]().obstacle()


def besiege(seconds_each: Sequence[tuple[str, float]], seed: int, tell: Tell) -> None:
    """Each for so many seconds, and one round at least; tells what came of it as soon as that is known."""
    asyncio.run(_besiege(seconds_each, seed, tell))


async def _besiege(seconds_each: Sequence[tuple[str, float]], seed: int, tell: Tell) -> None:
    async with _ground() as ground:
        for name, seconds in seconds_each:
            tell(name, await besieged(SIEGES[name](), ground, f"{name}-seed{seed}", seconds))


async def besieged(siege: Siege, ground: Ground, name: str, seconds: float) -> Found:
    """Round after round, each of which begins with a number of its own after the `name`."""
    began = monotonic()
    tally: Counter[str] = Counter()
    wrong: list[Wrong] = []
    number = 0
    while not number or monotonic() - began < seconds:
        number += 1
        left = seconds - (monotonic() - began)
        this = await played(siege, ground, f"{name}-round{number}", max(1.0, min(siege.round_seconds, left)))
        tally += this.tally
        wrong += [Wrong(f"{name}-round{number}", what) for what in this.wrong]
    return Found(tally[siege.case], None, monotonic() - began, wrong, siege.told(tally))


@contextlib.asynccontextmanager
async def _ground() -> AsyncIterator[Ground]:
    with tempfile.TemporaryDirectory(dir=fast_disk()) as home:
        node = PrivateNode(Path(home) / "node")
        try:
            await asyncio.to_thread(node.start)
            await asyncio.to_thread(node.import_definitions)
            async with Forks() as forks:
                yield Ground(node, forks, Path(home))
        finally:
            await asyncio.to_thread(node.stop)
