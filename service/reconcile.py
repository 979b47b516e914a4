"""Finds what the broker lost: commands whose end is owed, and that nobody works on while the queue is empty."""

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from functools import partial

import anyio
from anyio import to_thread

from contracts import ExportStart
from contracts.envelope import envelop
from service.announce import Announcer
from service.attempt import pulse_of_living
from service.broker import BROKER_FAULTS
from service.errors import Trouble
from service.ledger import Decision, Ledger
from service.sweep import Swept, sweep

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Reconciler:
    """Runs in every worker; that two publish the same command again does no harm."""

    ledger: Ledger
    announcer: Announcer
    tell: Callable[[Decision], Awaitable[None]]
    """Announces an end, and notes that it was."""
    commands_waiting: Callable[[], Awaitable[int]]
    """How many messages are in the queue of commands."""
    lost_after: timedelta
    abandoned_after: timedelta

    async def keep_reconciling(self, every_seconds: float) -> None:
        """Runs until cancelled."""
        while True:
            await anyio.sleep(every_seconds)
            await self._unless_in_trouble(self.reconcile)

    async def keep_sweeping(self, every_seconds: float) -> None:
        """Runs until cancelled."""
        while True:
            await anyio.sleep(every_seconds)
            await self._unless_in_trouble(self.sweep)

    async def _unless_in_trouble(self, work: Callable[[], Awaitable[None]]) -> None:
        """Upkeep can wait; it must never end the exports beside it."""
        try:
            await work()
        except Trouble as trouble:
            log.warning("upkeep is put off: %s", trouble.detail)
        except BROKER_FAULTS as fault:
            log.warning("upkeep is put off: the broker: %s", fault)
        except Exception:
            log.exception("upkeep met an unexpected error")

    async def reconcile(self) -> None:
        """Tells what was decided and not told, and publishes the commands again that are lost."""
        owed = await to_thread.run_sync(self._overdue, abandon_on_cancel=True)
        # A command that waits in the queue is not lost, however long.
        some_wait = bool(owed) and await self.commands_waiting() > 0
        for export_id in owed:
            await self._unless_in_trouble(partial(self._settle, export_id, some_wait=some_wait))

    def _overdue(self) -> list[str]:
        before = self.ledger.now() - self.lost_after
        return [one for one in self.ledger.owed() if (since := self.ledger.owed_since(one)) and since < before]

    async def _settle(self, export_id: str, *, some_wait: bool) -> None:
        decision = await to_thread.run_sync(self.ledger.decision, export_id)
        if decision is not None:
            await to_thread.run_sync(self.ledger.roll_forward, export_id, decision)
            await self.tell(decision)
            return
        command = None if some_wait else await to_thread.run_sync(self._lost, export_id)
        if command is not None:
            log.warning("export %s: nobody works on it; its command is published again", export_id)
            await self.announcer.send(envelop(command))
            await to_thread.run_sync(self.ledger.owe_again, export_id)

    def _lost(self, export_id: str) -> ExportStart | None:
        """The command, if nobody works on it."""
        is_touched = self.ledger.last_touched(export_id) >= self.ledger.now() - self.lost_after
        if is_touched or pulse_of_living(self.ledger, export_id) is not None:
            return None
        return self.ledger.command_as_sent(export_id)

    async def sweep(self) -> None:
        """Removes what expired and what was abandoned, and makes visible what is decided."""
        # A long sweep must not keep the process from ending; it is safe to be cut off anywhere.
        swept = await to_thread.run_sync(self._swept, abandon_on_cancel=True)
        _say(swept)

    def _swept(self) -> Swept:
        return sweep(self.ledger, self.ledger.now(), self.abandoned_after)


def _say(swept: Swept) -> None:
    for export_id, detail in swept.troubles:
        log.warning("export %s: cannot be swept: %s", export_id, detail)
    if swept.expired or swept.cleared:
        log.info("swept: %d expired, %d abandoned", len(swept.expired), len(swept.cleared))
