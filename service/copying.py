"""Copies the files of a plan side by side, a few whole files to a thread hop."""

import os
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import asynccontextmanager, suppress
from typing import TypeGuard

import anyio
from anyio import to_thread

from service.attempt import Attempt
from service.model import Copy
from service.progress import Meter, Stop
from service.segments import Written
from service.storage.port import SourceFault

# Small files share a hop: 10,000 files of 20 KB take 1.7 times as long with a hop each (python -m bench constants).
_HOP_BYTES = 8 * 1024 * 1024
_HOP_FILES = 64
_SMALL_FILE_BYTES = 64 * 1024
# Small files the disk writes in fewer, larger pieces when all of them are there.
_WRITTEN_BACK_FROM_BYTES = 1024 * 1024
_MOSTLY_WAITS, _MOSTLY_WORKS = 0.5, 0.9

Result = Written | SourceFault


async def copy_all(
    copies: Iterable[Copy], attempt: Attempt, meter: Meter, stop: Stop, limiter: anyio.CapacityLimiter
) -> dict[str, Result]:
    """Copies all of them; by name, what came of each. A source's own fault ends that copy only.

    Raises Trouble for a fault of the exports root, and Interrupted when `stop` is set; then no thread is left.
    """
    results: dict[str, Result] = {}
    batches = _batches(copies)
    paces = _Paces(int(limiter.total_tokens))

    async def copier() -> None:
        for batch in batches:
            async with paces.of(batch).turn() as learn:
                copied, busy = await to_thread.run_sync(_copy_batch, batch, attempt, meter, stop, limiter=limiter)
                learn(busy)
            for copy, result in copied:
                results[copy.name] = result
                if isinstance(result, Written):
                    meter.finished(copy)
                    if result.size_bytes >= _WRITTEN_BACK_FROM_BYTES:
                        write_back(copy.name)

    try:
        async with _writing_back(attempt) as write_back, anyio.create_task_group() as copiers:
            for _ in range(int(limiter.total_tokens)):
                copiers.start_soon(copier)
    finally:
        meter.current = None
    return results


@asynccontextmanager
async def _writing_back(attempt: Attempt) -> AsyncIterator[Callable[[str], None]]:
    """Yields who is to be told of each large file that was copied: the disk begins with it while the next ones come.

    By one thread beside the copiers, for it waits while the disk has enough to do. With the last copy it ends: what
    is left is begun, and waited for, when the export is made durable.
    """
    enough = threading.Event()
    one_at_a_time = anyio.CapacityLimiter(1)

    def watch(_: int) -> None:
        if enough.is_set():
            raise _Enough

    async def begin(name: str) -> None:
        with suppress(_Enough):
            await to_thread.run_sync(attempt.start_writeback, [f"tree/{name}"], watch, limiter=one_at_a_time)

    def begin_soon(name: str) -> None:
        tasks.start_soon(begin, name)

    async with anyio.create_task_group() as tasks:
        try:
            yield begin_soon
        finally:
            enough.set()
        tasks.cancel_scope.cancel()


class _Enough(Exception):
    """Nothing more need be begun."""


class _Pace:
    """How many batches are copied at once: a few, and more only while the process mostly waits.

    Where the disk does not keep one waiting, more threads than processors only get in each other's way; and small files
    are Python's work, of which there is one at a time: 10,000 of 20 KB took four threads twice as long as one (python
    -m bench constants). A server that is far away, or a cold disk, is waited for by several.
    """

    def __init__(self, least: int, most: int) -> None:
        self._least = min(least, most)
        self._most = most
        self._turns = anyio.CapacityLimiter(self._least)

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[Callable[[float], None]]:
        """Waits while enough batches are copied; yields who is to be told how one went."""
        async with self._turns:
            yield self._learn

    def _learn(self, busy: float) -> None:
        """`busy` says how many processors worked for this process, in the mean of the batch's time.

        For the process, not for the batch's own thread: that waits for the interpreter, too, and more threads would
        make it wait longer.
        """
        if busy < _MOSTLY_WAITS * self._least:
            self._turns.total_tokens = min(self._turns.total_tokens + 1, self._most)
        elif busy > _MOSTLY_WORKS * self._least:
            self._turns.total_tokens = max(self._turns.total_tokens - 1, self._least)


class _Paces:
    """That of small files and that of all others."""

    def __init__(self, most: int) -> None:
        self._small = _Pace(1, most)
        self._large = _Pace(os.cpu_count() or 1, most)

    def of(self, batch: list[Copy]) -> _Pace:
        is_small = sum(copy.size_bytes for copy in batch) <= len(batch) * _SMALL_FILE_BYTES
        return self._small if is_small else self._large


def is_fault(result: object) -> TypeGuard[SourceFault]:
    """Whether a copy came to nothing because of its source."""
    return isinstance(result, SourceFault)


def _batches(copies: Iterable[Copy]) -> Iterator[list[Copy]]:
    batch: list[Copy] = []
    size = 0
    for copy in copies:
        batch.append(copy)
        size += copy.size_bytes
        if size >= _HOP_BYTES or len(batch) == _HOP_FILES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _copy_batch(
    batch: list[Copy], attempt: Attempt, meter: Meter, stop: Stop
) -> tuple[list[tuple[Copy, Result]], float]:
    """What came of each, and how busy the process was meanwhile."""
    began, busy = time.monotonic(), time.process_time()
    try:
        copied = [(copy, _copy_one(copy, attempt, meter, stop)) for copy in batch]
        return copied, (time.process_time() - busy) / (time.monotonic() - began + 1e-6)
    except BaseException:
        stop.set()  # the threads beside this one would go on to the end of their files
        raise


def _copy_one(copy: Copy, attempt: Attempt, meter: Meter, stop: Stop) -> Result:
    moved = 0

    def watch(size_bytes: int) -> None:
        nonlocal moved
        stop.obey()
        moved += size_bytes
        meter.moved(size_bytes)

    stop.obey()
    meter.current = copy.name
    try:
        return attempt.copy(copy, watch)
    except SourceFault as fault:
        meter.taken_back(moved)
        return fault
