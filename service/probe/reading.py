"""A file's bytes by two reads at most: its head, and one more window wherever it is needed."""

from collections.abc import Callable
from typing import NamedTuple

from service import wav

HEAD_BYTES = wav.HEAD_BYTES
"""The first read: also all that tells whether a narration can be cut, so both have it from one."""

AHEAD_BYTES = 16_384
"""The second read where one look at a later place is enough."""

MAX_WINDOW_BYTES = 8 * 1024 * 1024
"""The second read at most: the index (`moov`) of some two hours of film. What is larger stays unknown."""

Read = Callable[[int, int], bytes]
"""The bytes from one offset up to another."""


class Torn(Exception):
    """The bytes that would say it are not there: the file ends before them, or both reads are spent."""


class _Window(NamedTuple):
    start: int
    held: bytes

    def part(self, start: int, stop: int) -> bytes | None:
        if self.start <= start and stop <= self.start + len(self.held):
            return self.held[start - self.start : stop - self.start]
        return None


class Bytes:
    """A file; what lies outside of the windows that were read does not exist."""

    def __init__(self, read: Read, size_bytes: int) -> None:
        self.size_bytes = size_bytes
        self._read = read
        self._windows = [_Window(0, read(0, min(HEAD_BYTES, size_bytes)))] if size_bytes > 0 else []

    @property
    def head(self) -> bytes:
        return self._windows[0].held if self._windows else b""

    def fetch(self, start: int, stop: int) -> bytes:
        """What can be had of these bytes: all of them, up to the end of the file, the limit and the second read."""
        start, stop = max(start, 0), min(stop, self.size_bytes, start + MAX_WINDOW_BYTES)
        if start >= stop:
            return b""
        for window in self._windows:
            if (held := window.part(start, stop)) is not None:
                return held
        if len(self._windows) == 1:
            self._windows.append(_Window(start, self._read(start, stop)))
            return self._windows[1].held
        return b""

    def held(self, start: int, length: int) -> bytes:
        """Up to so many of the bytes that were read already, from one window."""
        for window in self._windows:
            if window.start <= start < window.start + len(window.held):
                return window.held[start - window.start : start - window.start + length]
        return b""

    def peek(self, start: int, length: int) -> bytes:
        """Up to so many bytes; fewer where there are no more. Spends the second read on what lies behind the head."""
        stop = min(start + length, self.size_bytes)
        for window in self._windows:
            if (held := window.part(start, stop)) is not None:
                return held
        return self.fetch(start, start + max(length, AHEAD_BYTES))[:length]

    def at(self, start: int, length: int) -> bytes:
        """Exactly so many bytes. Raises Torn."""
        held = self.peek(start, length)
        if len(held) < length:
            raise Torn
        return held


def big(held: bytes | memoryview, start: int, length: int) -> int:
    """An unsigned number, its first byte the largest part. Raises Torn."""
    return int.from_bytes(_exactly(held, start, length), "big")


def little(held: bytes | memoryview, start: int, length: int) -> int:
    """An unsigned number, its first byte the smallest part. Raises Torn."""
    return int.from_bytes(_exactly(held, start, length), "little")


def _exactly(held: bytes | memoryview, start: int, length: int) -> bytes | memoryview:
    part = held[start : start + length]
    if len(part) < length:
        raise Torn
    return part
