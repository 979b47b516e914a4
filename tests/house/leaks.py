"""What a process holds that a test may leave behind: threads, descriptors, children, temporary files, tasks.

A picture of it before a test and one after; the difference, once it had a moment to go away, is a leak.
"""

import asyncio
import gc
import os
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

PROC = Path("/proc/self")
SEES_DESCRIPTORS_AND_CHILDREN = (PROC / "fd").is_dir()

PATIENCE_SECONDS = 1.0
PAUSE_SECONDS = 0.01

# The interpreter opens the first once and keeps it; the second is the listing's own.
_KEPT_OPEN = {"/dev/urandom", f"/proc/{os.getpid()}/fd"}


class Thing(NamedTuple):
    """Something held, by a name that is its own as long as it lives."""

    kind: str
    name: str


def held(temporary: Path) -> frozenset[Thing]:
    """All that this process holds now, and what lies in the directory `temporary`."""
    return frozenset([*_threads(), *_descriptors(), *_children(), *_files(temporary)])


def leaked(before: frozenset[Thing], temporary: Path, patience_seconds: float = PATIENCE_SECONDS) -> list[str]:
    """What is held beyond `before` and does not go away by itself within `patience_seconds`."""
    if not held(temporary) - before:
        return []
    gc.collect()  # a cycle's descriptor is closed by now, and its ResourceWarning is what fails the test
    deadline = time.monotonic() + patience_seconds
    while (more := held(temporary) - before) and time.monotonic() < deadline:
        time.sleep(PAUSE_SECONDS)
    return sorted(map(_described, more))


async def unfinished_tasks(patience_seconds: float = PATIENCE_SECONDS) -> list[str]:
    """The tasks of this loop, but for the caller's, that do not end by themselves within `patience_seconds`."""
    caller = asyncio.current_task()
    if others := asyncio.all_tasks() - {caller}:
        await asyncio.wait(others, timeout=patience_seconds)
        others = asyncio.all_tasks() - {caller}
    return sorted(f"task {task.get_name()}: {task.get_coro()}" for task in others)


def _threads() -> Iterator[Thing]:
    for thread in threading.enumerate():
        if not _is_idle_worker(thread):
            yield Thing("thread", f"{thread.native_id} {thread.name}")


def _is_idle_worker(thread: threading.Thread) -> bool:
    """Pools belong to their loop and end with it; a loop that was never closed shows by its descriptors."""
    if thread.name.startswith("asyncio_"):
        return True
    loop = getattr(thread, "loop", None)  # anyio's WorkerThread
    return isinstance(loop, asyncio.AbstractEventLoop) and not loop.is_closed()


def _descriptors() -> Iterator[Thing]:
    if not SEES_DESCRIPTORS_AND_CHILDREN:
        return
    with os.scandir(PROC / "fd") as numbers:
        for number in numbers:
            with suppress(FileNotFoundError):  # another thread closed it since it was listed
                target = os.readlink(number.path)  # noqa: PTH115 (half the cost, twice in every test)
                if target not in _KEPT_OPEN:
                    yield Thing("descriptor", f"{number.name} → {target}")


def _children() -> Iterator[Thing]:
    if not SEES_DESCRIPTORS_AND_CHILDREN:
        return
    for thread in (PROC / "task").iterdir():
        with suppress(FileNotFoundError, ProcessLookupError):  # the thread ended since it was listed
            for pid in (thread / "children").read_text().split():
                yield Thing("child process", pid)


def _files(temporary: Path) -> Iterator[Thing]:
    for file in temporary.iterdir():
        yield Thing("temporary file", file.name)


def _described(thing: Thing) -> str:
    return f"{thing.kind} {thing.name}{_command_of(thing.name) if thing.kind == 'child process' else ''}"


def _command_of(pid: str) -> str:
    with suppress(FileNotFoundError, ProcessLookupError):
        command = Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ").strip()
        return f" ({command or 'ended, and nobody waited for it'})"
    return ""
