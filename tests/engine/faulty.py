"""Disks that let a test come between the engine and the system calls; what is not disturbed is done for real."""

import os
import threading
from collections.abc import Callable, Container, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from service.storage.disk import Disk

Call = Callable[..., Any]
Around = Callable[[str, Call, tuple[Any, ...]], Any]
"""Gets a call's name, the real call and its arguments; returns or raises in its stead."""
Fault = Around


FROM_ONE_FILE_TO_ANOTHER = {"clone", "copy_range", "send_file"}


class Killed(BaseException):
    """What a process feels of kill -9: nothing it does afterwards reaches the disk."""


class WatchedDisk(Disk):
    """Hands every call to `around`; once that says that the process is killed, no call is done any more."""

    def __init__(self, around: Around) -> None:
        self.around = around
        self.is_dead = False
        for name in (name for name in dir(Disk) if not name.startswith("_")):
            vars(self)[name] = partial(self._call, name, getattr(self, name))

    def _call(self, name: str, real: Call, *arguments: Any) -> Any:
        if self.is_dead:
            if name == "close":  # the system closes what a dead process had open
                return os.close(*arguments)
            raise Killed
        try:
            return self.around(name, real, arguments)
        except Killed:
            self.is_dead = True
            if name == "close":
                os.close(*arguments)
            raise


class FaultyDisk(WatchedDisk):
    """Counts the calls from 0 and hands number `at` to `fault`."""

    def __init__(self, at: int | None = None, fault: Fault | None = None) -> None:
        super().__init__(self._around)
        self.at = at
        self.fault = fault
        self.calls: list[str] = []
        self._alone = threading.Lock()

    def _around(self, name: str, real: Call, arguments: tuple[Any, ...]) -> Any:
        with self._alone:
            self.calls.append(name)
            number = len(self.calls) - 1
        if number != self.at or self.fault is None:
            return real(*arguments)
        return self.fault(name, real, arguments)


class SharingDisk(FaultyDisk):
    """Says that it is an XFS, and clones by copying: the calls of a file system that shares blocks."""

    def file_system(self, descriptor: int) -> int:
        return 0x5846_5342

    def clone(self, source: int, target: int, offset: int, count: int) -> None:
        os.pwrite(target, os.pread(source, count, offset), offset)


class NamingDisk(WatchedDisk):
    """Knows which paths each call is about, also by descriptor, and tells them to `come_between`."""

    def __init__(self) -> None:
        super().__init__(self._around)
        self._paths: dict[int, str] = {}

    def come_between(self, name: str, about: tuple[str, ...], real: Call, arguments: tuple[Any, ...]) -> Any:
        return real(*arguments)

    def _around(self, name: str, real: Call, arguments: tuple[Any, ...]) -> Any:
        about = tuple(argument for argument in arguments if isinstance(argument, str))
        if name in FROM_ONE_FILE_TO_ANOTHER:
            about = tuple(self._paths[descriptor] for descriptor in arguments[:2])
        elif isinstance(arguments[0], int):
            about = ("/".join([self._paths[arguments[0]], *about]),)
        result = self.come_between(name, about, real, arguments)
        if name in {"open", "open_beneath"}:
            self._paths[result] = about[0]
        return result


class RecordingDisk(NamingDisk):
    """Notes every call with the paths that it is about, relative to `home`, as `rename a b` or `fsync a`."""

    def __init__(self, home: str) -> None:
        super().__init__()
        self.noted: list[str] = []
        self._home = home

    def come_between(self, name: str, about: tuple[str, ...], real: Call, arguments: tuple[Any, ...]) -> Any:
        result = real(*arguments)
        self.noted.append(" ".join([name, *(os.path.relpath(path, self._home) for path in about)]))
        return result


class ActingDisk(NamingDisk):
    """Does `act` before calls `wanted` about a path that ends so: all of them, or only the given ones, from 1."""

    def __init__(self, wanted: str, ending: str, act: Callable[[], object], only: Container[int] | None = None) -> None:
        super().__init__()
        self.count = 0
        self._wanted = wanted
        self._ending = ending
        self._act = act
        self._only = only

    def come_between(self, name: str, about: tuple[str, ...], real: Call, arguments: tuple[Any, ...]) -> Any:
        if name == self._wanted and any(path.endswith(self._ending) for path in about):
            self.count += 1
            if self._only is None or self.count in self._only:
                self._act()
        return real(*arguments)


# ---- faults


def kill_before(name: str, real: Call, arguments: tuple[Any, ...]) -> Any:
    raise Killed


def kill_half_way(name: str, real: Call, arguments: tuple[Any, ...]) -> Any:
    """A write gets half of its bytes down; any other call is done, and nothing after it."""
    _shortened(name, real, arguments)
    raise Killed


def fail_with(errno_: int) -> Fault:
    """The call is not done and says why; a close closes all the same, as on Linux."""

    def fault(name: str, real: Call, arguments: tuple[Any, ...]) -> Any:
        if name == "close":
            real(*arguments)
        raise OSError(errno_, os.strerror(errno_))

    return fault


def short(name: str, real: Call, arguments: tuple[Any, ...]) -> Any:
    """Half of the bytes, as a signal or a nearly full disk may have it; calls without bytes are done as they are."""
    return _shortened(name, real, arguments)


def _shortened(name: str, real: Call, arguments: tuple[Any, ...]) -> Any:
    if name == "write":
        descriptor, data = arguments
        return real(descriptor, data[: max(1, len(data) // 2)])
    if name == "read_into":
        descriptor, buffer, offset = arguments
        return real(descriptor, buffer[: max(1, len(buffer) // 2)], offset)
    if name in {"copy_range", "send_file"}:
        source, target, count, offset = arguments
        return real(source, target, max(1, count // 2), offset)
    return real(*arguments)


# ---- disks for a purpose


def killed_at(at: int) -> FaultyDisk:
    """Dies instead of its call number `at`."""
    return FaultyDisk(at, kill_before)


def before(wanted: str, ending: str, act: Callable[[], object]) -> ActingDisk:
    """Does `act` before the first call `wanted` about a path that ends so."""
    return ActingDisk(wanted, ending, act, only={1})


def dying(wanted: str, ending: str) -> ActingDisk:
    """Is killed before the first call `wanted` about such a path."""

    def die() -> None:
        raise Killed

    return before(wanted, ending, die)


def failing(wanted: str, ending: str, errno_: int, only: Container[int] | None = None) -> ActingDisk:
    """Calls `wanted` about such a path fail."""

    def fail() -> None:
        raise OSError(errno_, os.strerror(errno_))

    return ActingDisk(wanted, ending, fail, only)


class Gate:
    """Stops a thread at one place until the test lets it go on: a frozen process, and its thaw."""

    def __init__(self) -> None:
        self._reached = threading.Event()
        self._open = threading.Event()

    def wait(self) -> None:
        self._reached.set()
        assert self._open.wait(20), "nobody opened the gate"

    def wait_until_reached(self) -> None:
        assert self._reached.wait(20), "nobody came to the gate"

    @contextmanager
    def while_frozen(self) -> Iterator[None]:
        """For the block the thread stands at the gate."""
        try:
            self.wait_until_reached()
            yield
        finally:
            self._open.set()
