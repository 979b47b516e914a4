"""Signs of life: what runs beside an attempt, and how others tell a working one from a dead or frozen one."""

import contextlib
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import TypeVar

import anyio
from anyio import to_thread

from contracts import ErrorCode
from service.attempt import Attempt, Lost, pulse_of_living
from service.errors import Interrupted, Verdict
from service.ledger import Decision, Ledger
from service.progress import CANCELLED, Halt, Meter, Report, Stop

T = TypeVar("T")

REPORT_EVERY_SECONDS = 0.25
LOOK_EVERY_SECONDS = 1.0
FROZEN_AFTER_SECONDS = 60.0
"""A process that holds its attempt but moved nothing for so long no longer keeps others from trying."""


@dataclass(frozen=True, slots=True)
class Meanwhile:
    """What is done beside the work: report, show signs of life, look for a cancel and for a rival's decision."""

    ledger: Ledger
    """Bound to the exports root that the export began in."""
    attempt: Attempt
    meter: Meter
    report: Report
    halt: Halt
    """Ends the work of this attempt."""

    async def go_on(self) -> None:
        """Runs until cancelled.

        Raises Verdict(cancelled) when somebody wished so, and Lost when another attempt decided.
        """
        looked = time.monotonic()
        steps = -1
        while True:
            await self.tell()
            await anyio.sleep(REPORT_EVERY_SECONDS)
            self.halt.obey()
            if time.monotonic() - looked >= LOOK_EVERY_SECONDS:
                steps = await self._in_a_thread(self._look, steps)
                looked = time.monotonic()

    async def tell(self) -> None:
        """Reports the progress. What was told is noted first: after a kill the next attempt must not fall below it."""
        noted = self.meter.floor
        progress = self.meter.snapshot()
        if progress.percent > noted:
            await self._in_a_thread(self.attempt.note_percent, progress.percent)
        self.report(progress)

    async def _in_a_thread(self, look: Callable[[int], T], seen: int) -> T:
        try:
            return await to_thread.run_sync(look, seen)
        except Exception:
            self.halt.set()  # threads are not cancelled, they are asked to stop
            raise

    def _look(self, steps_seen: int) -> int:
        """A pulse only if something moved: a process that waits for a dead disk must look frozen."""
        self.ledger.open()
        obey_others(self.ledger, self.attempt.export_id)
        steps = self.meter.steps
        if steps != steps_seen:
            self.attempt.beat()
        return steps


def obey_others(ledger: Ledger, export_id: str) -> None:
    """Raises Lost when another attempt decided, Verdict(cancelled) when somebody wished so."""
    if ledger.is_decided(export_id):
        raise Lost("another attempt decided")
    if ledger.is_cancelled(export_id):
        raise Verdict(ErrorCode.CANCELLED, CANCELLED)


@contextlib.asynccontextmanager
async def watch_over(meanwhile: Meanwhile) -> AsyncIterator[None]:
    """Runs the block with `meanwhile` beside it; whatever ends either of them comes out as itself, never as a group."""
    try:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(meanwhile.go_on)
            try:
                yield
            except BaseException:
                meanwhile.halt.set()
                raise
            tasks.cancel_scope.cancel()
    except BaseExceptionGroup as group:
        raise _reason(group) from group
    await meanwhile.tell()


def _reason(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """What came first; that threads were then interrupted is its consequence."""
    leaves = [
        leaf
        for error in group.exceptions
        for leaf in ([_reason(error)] if isinstance(error, BaseExceptionGroup) else [error])
    ]
    return next((leaf for leaf in leaves if not isinstance(leaf, Interrupted)), leaves[0])


async def rival_finished(ledger: Ledger, export_id: str, stop: Stop) -> Decision | None:
    """Waits while another process works on the export; then its decision, or nothing if it ended or froze."""
    moved = time.monotonic()
    last: tuple[int, int] | None = None
    while True:
        stop.obey()
        decision = await to_thread.run_sync(ledger.decision, export_id)
        if decision is not None:
            return decision
        pulse = await to_thread.run_sync(pulse_of_living, ledger, export_id)
        if pulse != last:
            last, moved = pulse, time.monotonic()
        if pulse is None or time.monotonic() - moved > FROZEN_AFTER_SECONDS:
            return None
        await anyio.sleep(REPORT_EVERY_SECONDS)
