"""The broker is killed and started again, frozen, and short of memory, while exports are asked for, made and told."""

import asyncio
import os
import signal

from aio_pika.exceptions import AMQPError

from tests.prove.siege import Round, Siege

LONGEST_PEACE_SECONDS = 1.5
"""Between two of its troubles; so that some come while it still recovers from the last one."""
LONGEST_FREEZE_SECONDS, LONGEST_ALARM_SECONDS = 6.0, 4.0
MOVES = {"kill": 8, "freeze": 1, "alarm": 1}
RECOVERED_SECONDS = 60.0
PAUSE_SECONDS = 0.2


class Felling(Siege):
    """The workers live all the time, and their consumers must come back by themselves."""

    says = "RabbitMQ killed, frozen, short of memory"
    share = 3
    case = "faults of the broker"
    beside = {  # noqa: RUF012 - nobody changes it
        "kill": "`kill -9` and restarts",
        "freeze": "freezes",
        "alarm": "memory alarms",
        "exports": "exports",
        "taken over": "ended by a later attempt",
    }
    customers = 6
    round_seconds = 180.0
    places = 3

    async def besiege(self, this: Round) -> None:
        workers = [await this.worker(f"w{number + 1}") for number in range(self.places)]
        while await this.pause(this.random.uniform(0, LONGEST_PEACE_SECONDS)):
            [move] = this.random.choices(list(MOVES), list(MOVES.values()))
            this.note(move)
            await getattr(self, f"_{move}")(this)
            this.note(f"{move}: over")
            this.tally[move] += 1
            this.tally[self.case] += 1
        await _recovered(this)
        await asyncio.gather(*map(this.forks.stop, workers))

    async def _kill(self, this: Round) -> None:
        await this.node.restarted()

    async def _freeze(self, this: Round) -> None:
        pid = this.node.pid
        os.kill(pid, signal.SIGSTOP)
        try:
            await asyncio.sleep(this.random.uniform(0, LONGEST_FREEZE_SECONDS))
        finally:
            os.kill(pid, signal.SIGCONT)

    async def _alarm(self, this: Round) -> None:
        await asyncio.to_thread(this.node.alarm)
        try:
            await asyncio.sleep(this.random.uniform(0, LONGEST_ALARM_SECONDS))
        finally:
            await asyncio.to_thread(this.node.clear_alarm)


async def _recovered(this: Round) -> None:
    """Returns when the node tells the depths of all our queues again, as it does once each has a leader."""
    async with asyncio.timeout(RECOVERED_SECONDS):
        while True:
            try:
                await this.node.depths()
            except (AMQPError, OSError, AssertionError, TimeoutError):
                await asyncio.sleep(PAUSE_SECONDS)
            else:
                return
