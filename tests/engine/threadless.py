"""Threads that are none: what an export hands to a thread is done at once, where it stands.

A process of which nothing happens side by side makes the same calls in the same order either way, and hands over a
hundred times less. Whatever is about its threads keeps them: `test_an_export_survives_a_fault_at_every_call`, say.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar, TypeVarTuple

import anyio
import pytest
from anyio import lowlevel, to_thread

T = TypeVar("T")
Ts = TypeVarTuple("Ts")


@contextmanager
def without_threads() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(to_thread, "run_sync", _at_once)
        yield


async def _at_once(
    work: Callable[[*Ts], T],
    *arguments: *Ts,
    abandon_on_cancel: bool = False,
    limiter: anyio.CapacityLimiter | None = None,
) -> T:
    await lowlevel.checkpoint()  # as on the way to a thread: others move, and a cancelled task ends here
    return work(*arguments)
