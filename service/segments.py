"""What a file consists of before it is bytes: literals, and extents of files that exist. Pure."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple


class Version(NamedTuple):
    """Which content of a file is meant. Any difference means: not the file that was planned with."""

    size_bytes: int
    mtime_ns: int
    inode: int


class Written(NamedTuple):
    """A file that was made of segments, whole."""

    size_bytes: int
    crc32: int


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

BLOCK_BYTES = 4096
"""What file systems share, and what a page holds."""


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


def whole_file(segments: Sequence[Segment]) -> Extent | None:
    """The one file that they are, if they are one, and hold anything."""
    match segments:
        case [Extent(start=0, stop=stop, version=version) as extent] if 0 < stop == version.size_bytes:
            return extent
        case _:
            return None


def known(extent: Extent, crc32: int) -> Extent:
    """The same extent, with the CRC-32 of its bytes."""
    return Extent(extent.root, extent.key, extent.start, extent.stop, extent.version, crc32)


def split(segments: Iterable[Segment], size_bytes: int, count: int) -> Iterator[tuple[int, list[Segment]]]:
    """About equal parts of a file of `size_bytes`, each with where it begins: at a block, for none shares a page.

    >>> [(start, total(part)) for start, part in split([bytes(5000), bytes(7000)], 12000, 2)]
    [(0, 4096), (4096, 7904)]
    """
    bounds = sorted({size_bytes * number // count // BLOCK_BYTES * BLOCK_BYTES for number in range(1, count)} - {0})
    start = position = 0
    part: list[Segment] = []
    for segment in segments:
        taken = 0
        while bounds and position + length(segment) - taken > bounds[0]:
            part.append(cut(segment, taken, taken + bounds[0] - position))
            taken += bounds[0] - position
            yield start, part
            start = position = bounds.pop(0)
            part = []
        if taken < length(segment):
            part.append(cut(segment, taken, length(segment)) if taken else segment)
            position += length(segment) - taken
    yield start, part
