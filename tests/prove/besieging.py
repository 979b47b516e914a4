"""What needs a RabbitMQ, one after the other on one node of their own."""

import asyncio
import contextlib
import tempfile
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Protocol

from tests.broker.node import PrivateNode, RabbitMissing
from tests.prove.cutting import Cutting
from tests.prove.felling import Felling
from tests.prove.flooding import Flooding
from tests.prove.forks import Forks
from tests.prove.killing import Killing
from tests.prove.running import Found, fast_disk
from tests.prove.siege import Ground
from tests.prove.starving import Starving


class Besieger(Protocol):
    """A way to look for what goes wrong, for as long as one likes. What it finds is a sentence, and where to look."""

    says: str
    """In the table."""
    share: int
    """Of the time, beside those of the others."""

    def obstacle(self) -> str | None:
        """Why it cannot be done on this machine."""

    async def go_on(self, ground: Ground, name: str, seed: int, seconds: float) -> Found:
        """For so long, or a little longer."""


SIEGES: dict[str, type[Besieger]] = {
    "workers": Killing,
    "wire": Cutting,
    "broker": Felling,
    "store": Starving,
    "messages": Flooding,
}

Tell = Callable[[str, Found], None]


def obstacle_to(name: str) -> str | None:
    """Why it cannot be done on this machine."""
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
            tell(name, await SIEGES[name]().go_on(ground, name, seed, seconds))


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
