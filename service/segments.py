"""What a file consists of before it is bytes: literals, and extents of files that exist. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple


class Version(NamedTuple):
    """Which content of a file is meant. Any difference means: not the file that was planned with."""

    size_bytes: int
    mtime_ns: int
    inode: int


@dataclass(frozen=True, slots=True)
class Extent:
    """The bytes `start` up to `stop` of the file `key` beneath `root`, as of `version`.

    `crc32` is theirs, where it is known: then a store need not read them. It is no part of which bytes are meant.
    """

    root: str
    key: str
    start: int
    stop: int
    version: Version
    crc32: int | None = field(default=None, repr=False, compare=False)

    @property
    def size_bytes(self) -> int:
        return self.stop - self.start


Segment = bytes | Extent


def length(segment: Segment) -> int:
    """Bytes in it.

    >>> length(b"abc"), length(Extent("media", "a.png", 10, 25, Version(100, 0, 1)))
    (3, 15)
    """
    return len(segment) if isinstance(segment, bytes) else segment.size_bytes


def total(segments: Iterable[Segment]) -> int:
    """Bytes in all of them together."""
    return sum(map(length, segments))


def cut(segment: Segment, start: int, stop: int) -> Segment:
    """The part from `start` up to `stop`, counted from the segment's own beginning.

    >>> cut(b"abcdef", 1, 3)
    b'bc'
    >>> part = cut(Extent("media", "a.png", 10, 25, Version(100, 0, 1)), 5, 9)
    >>> part.start, part.stop
    (15, 19)
    """
    if isinstance(segment, bytes):
        return segment[start:stop]
    return Extent(segment.root, segment.key, segment.start + start, segment.start + stop, segment.version)
