"""Signs of life: what runs beside an attempt, and how others tell a working one from a dead or frozen one."""

import contextlib
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass

import anyio
from anyio import to_thread

from contracts import ErrorCode
from service.attempt import Attempt, Lost, pulse_of_living
from service.errors import Interrupted, Verdict
from service.ledger import Decision, Ledger
from service.progress import Meter, Report, Stop

REPORT_EVERY_SECONDS = 0.25
LOOK_EVERY_SECONDS = 1.0
FROZEN_AFTER_SECONDS = 60.0
"""A process that holds its attempt but moved nothing for so long no longer keeps others from trying."""


@dataclass(frozen=True, slots=True)
class Meanwhile:
    """What is done beside the work: report, show signs of life, look for a cancel and for a rival's decision."""

    ledger: Ledger
    attempt: Attempt
    meter: Meter
    report: Report
    halt: Stop
    """Ends the work of this attempt."""

    async def go_on(self) -> None:
        """Runs until cancelled.

        Raises Verdict(cancelled) when somebody wished so, and Lost when another attempt decided.
        """
        looked = time.monotonic()
        seen = (-1, 0)
        while True:
            self.report(self.meter.snapshot())
            await anyio.sleep(REPORT_EVERY_SECONDS)
            if time.monotonic() - looked >= LOOK_EVERY_SECONDS:
                seen = await self._look_in_a_thread(seen)
                looked = time.monotonic()

    async def _look_in_a_thread(self, seen: tuple[int, int]) -> tuple[int, int]:
        try:
            return await to_thread.run_sync(self._look, seen)
        except Exception:
            self.halt.set()  # threads are not cancelled, they are asked to stop
            raise

    def _look(self, seen: tuple[int, int]) -> tuple[int, int]:
        if self.ledger.is_decided(self.attempt.export_id):
            raise Lost("another attempt decided")
        if self.ledger.is_cancelled(self.attempt.export_id):
            raise Verdict(ErrorCode.CANCELLED, "stopped as asked")
        return self._show(seen)

    def _show(self, seen: tuple[int, int]) -> tuple[int, int]:
        """A pulse only if something moved: a process that waits for a dead disk must look frozen."""
        now = (self.meter.steps, self.meter.floor)
        if now[0] != seen[0]:
            self.attempt.beat()
        if now[1] > seen[1]:
            self.attempt.note_percent(now[1])
        return now


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
    meanwhile.report(meanwhile.meter.snapshot())


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
