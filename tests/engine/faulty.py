"""A disk that fails, shortens or dies at one chosen system call; everything else it does for real."""

import os
from collections.abc import Callable
from typing import Any

from service.storage.disk import Disk


class Killed(BaseException):
    """What a process feels of kill -9: nothing it does afterwards reaches the disk."""


Fault = Callable[[str, Callable[..., Any], tuple[Any, ...]], Any]
"""Gets the call's name, the real call and its arguments; returns or raises in its stead."""


class FaultyDisk(Disk):
    """Counts the calls from 0 and hands number `at` to `fault`."""

    def __init__(self, at: int | None = None, fault: Fault | None = None) -> None:
        self.at = at
        self.fault = fault
        self.calls: list[str] = []
        self.is_dead = False

    def __getattribute__(self, name: str) -> Any:
        attribute = object.__getattribute__(self, name)
        if name.startswith("_") or not callable(attribute) or not hasattr(Disk, name):
            return attribute
        return lambda *arguments: self._call(name, attribute, arguments)

    def _call(self, name: str, real: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
        if self.is_dead:
            if name == "close":  # the system closes what a dead process had open
                return os.close(*arguments)
            raise Killed
        self.calls.append(name)
        if len(self.calls) - 1 != self.at or self.fault is None:
            return real(*arguments)
        try:
            return self.fault(name, real, arguments)
        except Killed:
            self.is_dead = True
            if name == "close":
                os.close(*arguments)
            raise


def kill_before(name: str, real: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
    raise Killed


def kill_half_way(name: str, real: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
    """A write gets half of its bytes down; any other call is done, and nothing after it."""
    _shortened(name, real, arguments)
    raise Killed


def fail_with(errno_: int) -> Fault:
    """The call is not done and says why; a close closes all the same, as on Linux."""

    def fault(name: str, real: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
        if name == "close":
            real(*arguments)
        raise OSError(errno_, os.strerror(errno_))

    return fault


def short(name: str, real: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
    """Half of the bytes, as a signal or a nearly full disk may have it; calls without bytes are done as they are."""
    return _shortened(name, real, arguments)


def _shortened(name: str, real: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
    if name == "write":
        descriptor, data = arguments
        return real(descriptor, data[: max(1, len(data) // 2)])
    if name == "read_into":
        descriptor, buffer, offset = arguments
        return real(descriptor, buffer[: max(1, len(buffer) // 2)], offset)
    return real(*arguments)
