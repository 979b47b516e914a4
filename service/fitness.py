"""Looks whether this worker's storage is there; a worker without it takes no work until it is back."""

import logging
from dataclasses import dataclass, field

import anyio
from anyio import to_thread

from service.broker import Consumption
from service.errors import Trouble
from service.ledger import Ledger

log = logging.getLogger(__name__)

ANSWER_SECONDS = 10.0
"""A mount that does not answer for so long counts as gone."""


@dataclass
class Fitness:
    """Whether the roots are there, and the exports root is the one that this worker started with."""

    ledger: Ledger
    consumption: Consumption
    fault: str | None = None
    """What is wrong, in a sentence."""
    is_draining: bool = False
    _hanging: int = 0
    """Looks that have not come back."""
    _lock: anyio.Lock = field(default_factory=anyio.Lock)

    @property
    def is_fit(self) -> bool:
        return self.fault is None

    async def keep_looking(self, every_seconds: float) -> None:
        """Runs until cancelled."""
        while True:
            await self.look()
            await anyio.sleep(every_seconds)

    async def look(self) -> None:
        """Returns when the worker's consumers are as its storage is."""
        async with self._lock:
            fault = await self._fault()
            if fault != self.fault:
                log.log(logging.INFO if fault is None else logging.ERROR, "storage: %s", fault or "there again")
            self.fault = fault
            if self.is_draining:
                return
            if fault is not None:
                await self.consumption.pause()
            elif not self.consumption.is_consuming():
                await self.consumption.resume()

    async def _fault(self) -> str | None:
        if self._hanging:
            return "does not answer"
        with anyio.move_on_after(ANSWER_SECONDS):
            return await to_thread.run_sync(self._look, abandon_on_cancel=True)
        return f"did not answer within {ANSWER_SECONDS:.0f} seconds"

    def _look(self) -> str | None:
        self._hanging += 1
        try:
            self.ledger.storage.check_roots()
            self.ledger.open()
            self.ledger.touch()  # who can only read cannot even note that it cannot
        except Trouble as trouble:
            return trouble.detail
        finally:
            self._hanging -= 1
        return None
