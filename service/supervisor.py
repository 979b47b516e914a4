"""Runs exports, one of each id in this process, each to its announced end or until it is handed back.

They live here, in the app's own task group: a connection that is lost ends who waits for an export, never the export.
"""

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from enum import Enum, auto
from functools import partial
from time import monotonic

import anyio
from anyio import to_thread
from anyio.abc import TaskGroup

from contracts import ExportStart
from service.announce import Announcer
from service.attempt import history, pulse_of_living
from service.errors import Interrupted, Trouble, Verdict
from service.export import Workshop, export, give_up
from service.fitness import Fitness
from service.judgement import judge
from service.ledger import Decision
from service.progress import Stop

log = logging.getLogger(__name__)

FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 1.0, 30.0


class Ending(Enum):
    """What becomes of the message that asked for an export."""

    TOLD = auto()
    """Its end was decided and announced."""
    HAND_BACK = auto()
    """Another worker shall go on, at once."""
    LATER = auto()
    """It is in trouble, and others shall have their turn first."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long trouble is borne."""

    own_seconds: float
    """Trouble of this machine, before another export has the slot."""
    unavailable_seconds: float
    """None of its files to be found in healthy roots, before the export is decided failed."""
    deadline_seconds: int
    """No file finished, before the export is decided failed."""


@dataclass
class _Run:
    """An export in progress."""

    command: ExportStart
    traceparent: str | None
    first_pause_seconds: float
    stop: Stop = field(default_factory=Stop)
    wake: anyio.Event = field(default_factory=anyio.Event)
    """Ends a pause."""
    ended: anyio.Event = field(default_factory=anyio.Event)
    ending: Ending = Ending.HAND_BACK
    trouble: Trouble | None = None
    """The last one."""
    troubled_since: float = 0.0
    pause_seconds: float = 0.0
    """Once there is trouble."""

    def note(self, trouble: Trouble) -> None:
        if self.trouble is None or self.trouble.detail != trouble.detail:
            log.warning("export %s: %s", self.command.export_id, trouble.detail)
        if self.trouble is None or self.trouble.code is not trouble.code:
            self.troubled_since = monotonic()
            self.pause_seconds = self.first_pause_seconds
        self.trouble = trouble

    async def pause(self) -> bool:
        """Longer each time; false when a cancel or the end of the worker cut it short."""
        with anyio.move_on_after(self.pause_seconds) as whole:
            await self.wake.wait()
            self.wake = anyio.Event()
        self.pause_seconds = min(2 * self.pause_seconds, LONGEST_PAUSE_SECONDS)
        return whole.cancelled_caught

    def interrupt(self) -> None:
        self.stop.set()
        self.wake.set()

    def cancel(self) -> None:
        self.stop.cancel()
        self.wake.set()


@dataclass
class Supervisor:
    """The exports of this worker."""

    shop: Workshop
    announcer: Announcer
    fitness: Fitness
    patience: Patience
    draining: anyio.Event = field(default_factory=anyio.Event)
    """Set when no work is taken any more."""
    _runs: dict[str, _Run] = field(default_factory=dict)
    _tasks: TaskGroup | None = None

    @property
    def running(self) -> int:
        """How many exports are in progress, or wait for their trouble to pass."""
        return len(self._runs)

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        """Exports may run while the block does."""
        async with anyio.create_task_group() as tasks:
            self._tasks = tasks
            yield
            self._tasks = None
            tasks.cancel_scope.cancel()

    async def attach(self, command: ExportStart, traceparent: str | None, *, was_put_off: bool = False) -> Ending:
        """Waits for the end of the export, which is begun unless it is in progress.

        `command` is an accepted one; if it `was_put_off`, it is tried once before others have their turn again.
        Cancelling this call ends the waiting only.
        """
        if self._tasks is None or self.draining.is_set():
            return Ending.HAND_BACK
        run = self._runs.get(command.export_id)
        if run is None:
            first_pause_seconds = self.patience.own_seconds if was_put_off else FIRST_PAUSE_SECONDS
            run = self._runs[command.export_id] = _Run(command, traceparent, first_pause_seconds)
            log.info("export %s: taken up", command.export_id)
            self._tasks.start_soon(self._carry_out, run)
        await run.ended.wait()
        return run.ending

    def is_running(self, export_id: str) -> bool:
        return export_id in self._runs

    def cancel(self, export_id: str) -> None:
        """Makes a running export obey its cancel.json, which is stored already, at the next chunk."""
        if run := self._runs.get(export_id):
            run.cancel()

    async def drain(self, within_seconds: float) -> None:
        """Stops every export at its next chunk and takes no new one; returns when all ended, or the time is over."""
        self.draining.set()
        runs = list(self._runs.values())
        for run in runs:
            run.interrupt()
        with anyio.move_on_after(within_seconds):
            for run in runs:
                await run.ended.wait()
        for run in runs:
            run.ended.set()  # a thread may hang in a system call: its message must not wait for it

    # ---- one export

    async def _carry_out(self, run: _Run) -> None:
        """Never raises: one error in a task group would fell every export beside it."""
        try:
            run.ending = await self._to_its_end(run)
        except Exception:
            # The attempt noted it; on two different workers it is decided failed.
            log.exception("export %s: an unexpected error", run.command.export_id)
            run.pause_seconds = LONGEST_PAUSE_SECONDS
            await run.pause()
        finally:
            del self._runs[run.command.export_id]
            run.ended.set()

    async def _to_its_end(self, run: _Run) -> Ending:
        export_id = run.command.export_id
        decision = await self._decided(run)
        if isinstance(decision, Ending):
            log.info("export %s: %s", export_id, "handed back" if decision is Ending.HAND_BACK else "put off")
            return decision
        await self.tell(decision, run.traceparent)
        return Ending.TOLD

    async def tell(self, decision: Decision, traceparent: str | None = None) -> None:
        """Announces how an export ended, and notes that nothing is owed any more."""
        export_id = decision.event.export_id
        log.info("export %s: %s", export_id, decision.event.type.removeprefix("export."))
        await self.announcer.tell(decision, traceparent)
        await to_thread.run_sync(self.shop.ledger.told, export_id)

    async def _decided(self, run: _Run) -> Decision | Ending:
        """How the export was decided, or what shall become of it undecided."""
        report = partial(self.announcer.progress, traceparent=run.traceparent)
        while True:
            try:
                if verdict := await self.verdict_on(run.command.export_id):
                    return await give_up(run.command, self.shop, verdict)
                return await export(run.command, self.shop, report, run.stop)
            except Interrupted:
                return Ending.HAND_BACK
            except Trouble as trouble:
                run.note(trouble)
            await self.fitness.look()
            if not self.fitness.is_fit:
                return Ending.HAND_BACK
            if await run.pause() and monotonic() - run.troubled_since >= self.patience.own_seconds:
                return Ending.LATER  # whoever takes it up tries it at once

    async def verdict_on(self, export_id: str) -> Verdict | None:
        """What earlier attempts say of an export, whoever made them."""
        return await to_thread.run_sync(self._judged, export_id)

    def _judged(self, export_id: str) -> Verdict | None:
        self.shop.note_the_rest()
        if pulse_of_living(self.shop.ledger, export_id) is not None:
            return None  # somebody is at it, and may well come to an end
        past = history(self.shop.ledger, export_id)
        if not past:
            return None
        now_ns = self.shop.ledger.now_ns()
        return judge(past, now_ns, self.patience.deadline_seconds, self.patience.unavailable_seconds)
