"""The wire between workers and their broker: cut at every byte that matters, silent, slow, and gone at any moment."""

import asyncio
from collections import Counter
from contextlib import AsyncExitStack
from pathlib import Path
from random import Random

from tests.broker.commands import Document
from tests.broker.proxy import Proxy
from tests.prove.customers import small_projects
from tests.prove.siege import Round, Siege
from tests.prove.taps import CONFIRM, CONFIRM_BYTES, DELIVERY, Tap

LONGEST_REST_SECONDS = 0.2
LONGEST_HOLE_SECONDS = 6.0
"""With a heartbeat of a second, a connection is given up after two to three, on both sides."""
LONGEST_DELAY_SECONDS, SLOW_SECONDS = 0.1, 2.0
BEGUN_SECONDS = 10.0
"""For a worker that has only just started to have an export in hand."""
AIMED_SECONDS = 5.0
"""How long a cut waits for what it is aimed at."""
MOVES = {"cut": 10, "reset": 3, "hole": 1, "slow": 1}
"""What is done to a wire, and how often beside the others."""


_FEW_BYTES = 20
"""Every delivery has more; it is not known how many as long as none has passed."""


class Cutting(Siege):
    """Each worker has a wire of its own; none is ever killed."""

    says = "wires cut, silent and slow"
    share = 3
    case = "faults of the wire"
    beside = {  # noqa: RUF012 - nobody changes it
        "reset": "resets at any moment",
        "hole": "black holes",
        "slow": "slow wires",
        "exports": "exports",
        "taken over": "ended by a later attempt",
    }
    places = 5

    def __init__(self) -> None:
        self._delivery_bytes = 0
        self._offsets: dict[str, list[int]] = {CONFIRM: [], DELIVERY: []}
        """After how many bytes is to be cut next, the last one first."""

    def projects(self, media: Path) -> list[Document]:
        """The smallest: its delivery has no more bytes than can be cut at in a few minutes."""
        return small_projects(media)[:1]

    def told(self, tally: Counter[str]) -> str:
        confirms, deliveries = (
            sum(tally[f"{where} {offset}"] > 0 for offset in range(size + 1))
            for where, size in ((CONFIRM, CONFIRM_BYTES), (DELIVERY, self._delivery_bytes))
        )
        return (
            f"cuts after {confirms} of the {CONFIRM_BYTES + 1} possible counts of bytes of a confirm, "
            f"after {deliveries} of {self._delivery_bytes + 1} of a delivery, {super().told(tally)}"
        )

    async def besiege(self, this: Round) -> None:
        async with AsyncExitStack() as wires, asyncio.TaskGroup() as places:
            for number in range(self.places):
                tap = Tap()
                proxy = await wires.enter_async_context(Proxy(this.node.port, tap))
                places.create_task(self._disturb(this, f"w{number + 1}", proxy, tap))

    async def _disturb(self, this: Round, name: str, proxy: Proxy, tap: Tap) -> None:
        worker = await this.worker(name, port=proxy.port)
        await worker.is_busy_within(BEGUN_SECONDS)
        while not this.over.is_set():
            [move] = this.random.choices(list(MOVES), list(MOVES.values()))
            await self._make(this, name, move, proxy, tap)
            await this.pause(this.random.uniform(0, LONGEST_REST_SECONDS))
        await this.forks.stop(worker)

    async def _make(self, this: Round, name: str, move: str, proxy: Proxy, tap: Tap) -> None:
        self._delivery_bytes = max(self._delivery_bytes, tap.delivery_bytes)
        match move:
            case "cut":
                await self._cut(this, name, tap)
                return
            case "reset":
                proxy.reset()
            case "hole":
                proxy.hole(True)
                await this.pause(this.random.uniform(0, LONGEST_HOLE_SECONDS))
                proxy.hole(False)
            case "slow":
                proxy.delay_seconds = this.random.uniform(0, LONGEST_DELAY_SECONDS)
                await this.pause(SLOW_SECONDS)
                proxy.delay_seconds = 0.0
            case _:
                raise ValueError(move)
        this.note(f"{name}: {move}")
        this.tally[move] += 1
        this.tally[self.case] += 1

    async def _cut(self, this: Round, name: str, tap: Tap) -> None:
        where, offset = self._next_cut(this.random)
        try:
            await asyncio.wait_for(tap.cut(where, offset), AIMED_SECONDS)
        except TimeoutError:
            self._offsets[where].insert(0, offset)
            return
        this.note(f"{name}: cut after {offset} bytes of a {where}")
        this.tally[f"{where} {offset}"] += 1
        this.tally[self.case] += 1

    def _next_cut(self, random: Random) -> tuple[str, int]:
        """Each offset once, in an order that is drawn, and then again."""
        where = random.choice([CONFIRM, DELIVERY])
        sizes = {CONFIRM: CONFIRM_BYTES, DELIVERY: self._delivery_bytes or _FEW_BYTES}
        if not self._offsets[where]:
            self._offsets[where] = random.sample(range(sizes[where] + 1), sizes[where] + 1)
        return where, self._offsets[where].pop()
