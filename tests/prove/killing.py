"""Workers that are killed, frozen and told to stop, many times a second, by chance and at moments that are aimed at."""

import asyncio
from signal import SIGCONT, SIGSTOP

from tests.prove.aims import AIMS
from tests.prove.forks import Fork
from tests.prove.siege import Round, Siege

LONGEST_WORK_SECONDS = 0.25
"""An export takes a tenth of a second, or several times as long on a busy machine."""
IDLE, LONGEST_IDLE_SECONDS = 0.1, 0.2
"""How many may die before they have begun an attempt, and when; all others have one in hand, or had."""
LONGEST_WAIT_SECONDS = 2.0
"""There may be nothing to do."""
AIMED = 0.25
"""How many workers die at a moment that is aimed at, if they get that far."""
FROZEN, TOLD_TO_STOP = 0.1, 0.1
"""How many of the others are frozen first, or end by SIGTERM. All the rest, and half of the frozen, die by kill -9."""
LONGEST_FREEZE_SECONDS = 4.0


class Killing(Siege):
    """Each of a few places for a worker always has one, who lives for a moment."""

    says = "random `kill -9` of workers"
    share = 6
    case = "SIGKILL"
    beside = {  # noqa: RUF012 - nobody changes it
        "busy": "workers with an export in hand",
        "SIGSTOP": "freezes",
        "SIGTERM": "SIGTERM",
        "exports": "exports",
        "taken over": "ended by a later attempt",
        "export.failed": "given up as poison",
        "fell": "percentages below those of one who was overtaken",
    }
    customers = 16
    frozen_after_seconds = 1.0
    """So that the frozen are overtaken, and wake up beside a rival."""
    places = 8

    async def besiege(self, this: Round) -> None:
        async with asyncio.TaskGroup() as places:
            for number in range(self.places):
                places.create_task(self._hold(this, f"w{number + 1}"))

    async def _hold(self, this: Round, name: str) -> None:
        while not this.over.is_set():
            aim = this.random.choice(list(AIMS)) if this.random.random() < AIMED else None
            worker = await this.worker(name, aim)
            await self._live(this, worker)
            if worker.status is None:
                await self._end(this, worker)

    async def _live(self, this: Round, worker: Fork) -> None:
        if this.random.random() < IDLE:
            await worker.ends_within(this.random.uniform(0, LONGEST_IDLE_SECONDS))
            return
        await worker.is_busy_within(LONGEST_WAIT_SECONDS)
        await worker.ends_within(this.random.uniform(0, LONGEST_WORK_SECONDS))

    async def _end(self, this: Round, worker: Fork) -> None:
        lot = this.random.random()
        if lot < FROZEN:
            await self._freeze(this, worker)
        elif lot < FROZEN + TOLD_TO_STOP:
            this.note(f"{worker.name} is told to stop")
            await this.forks.stop(worker)
            return
        await this.forks.kill(worker)

    async def _freeze(self, this: Round, worker: Fork) -> None:
        this.note(f"{worker.name} freezes")
        this.forks.send(SIGSTOP, worker)
        await this.pause(this.random.uniform(0, LONGEST_FREEZE_SECONDS))
        if this.random.random() < 0.5:
            this.note(f"{worker.name} wakes up")
            this.forks.send(SIGCONT, worker)
            await worker.ends_within(this.random.uniform(0, LONGEST_WORK_SECONDS))
