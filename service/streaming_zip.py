"""Lays out a stored ZIP as literals and extents before a byte of it exists. Touches no disk and no clock."""

import struct
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from hashlib import sha256
from zipfile import ZIP64_LIMIT

from isal.isal_zlib import crc32, crc32_combine
from zipstream import ZipStream, ZipStreamInfo

from service.segments import BLOCK_BYTES, Extent, Segment, cut, known, length

ALIGNED_FROM_BYTES = 64 * 1024
"""Bodies of this size and more start on a block of the archive, so that it can share a file's blocks (reflink)."""


_JOINED_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Entry:
    """One member of the archive. A name that ends in "/" is a directory."""

    name: str
    body: bytes | Extent = b""
    crc32: int = 0

    @property
    def size_bytes(self) -> int:
        return length(self.body)


@dataclass(frozen=True, slots=True)
class ZipPlan:
    """An archive that need not exist to be known byte by byte.

    `etag` is a strong validator: headers hold every name, size, CRC-32 and time, literals are hashed themselves,
    and where an extent lives does not matter. `crc32` is the CRC-32 of the archive as a file.
    """

    segments: tuple[Segment, ...]
    entries: int
    size_bytes: int
    etag: str
    crc32: int
    starts: Sequence[int] = field(repr=False, compare=False)

    def read(self, start: int, stop: int) -> Iterator[Segment]:
        """Exactly the bytes from `start` up to `stop`, or up to the archive's end if that comes first."""
        if not 0 <= start <= stop:
            raise ValueError(f"no range of bytes: {start} up to {stop}")
        return self._between(start, min(stop, self.size_bytes))

    def _between(self, start: int, stop: int) -> Iterator[Segment]:
        if start >= stop:
            return
        for index in range(bisect_right(self.starts, start) - 1, bisect_left(self.starts, stop)):
            segment, begin = self.segments[index], self.starts[index]
            yield cut(segment, max(start - begin, 0), min(stop - begin, length(segment)))


def plan_zip(entries: Iterable[Entry], moment: datetime) -> ZipPlan:
    """Lay the entries out in their order; each carries `moment`, which must be aware.

    Lengths depend on names and sizes alone: planned with every CRC-32 still 0, the size is exact already.
    Raises ValueError, with the entry's name, for what must not be unpacked anywhere.
    """
    layout = _Layout(moment)
    segments: list[Segment] = []
    starts = array("Q")
    size_bytes = archive_crc32 = 0
    digest = sha256()
    for segment, segment_crc32 in layout.spans(_checked(entries)):
        if isinstance(segment, bytes):
            digest.update(segment)
        segments.append(segment)
        starts.append(size_bytes)
        segment_bytes = length(segment)
        size_bytes += segment_bytes
        archive_crc32 = crc32_combine(archive_crc32, segment_crc32, segment_bytes)
    etag = f'"{digest.hexdigest()}"'
    return ZipPlan(tuple(segments), layout.num_streamed(), size_bytes, etag, archive_crc32, starts)


class _Layout(ZipStream):
    """zipstream-ng as the writer of every header byte, with CRC-32 and sizes up front.

    Its own entries end in data descriptors, which Java's ZipInputStream and macOS refuse in a stored ZIP, and its
    queue reads the clock. So entries are placed here: header, body, `_pos` and `_filelist` advanced. Everything
    else is its public face (tests/zip/test_zipstream_contract.py guards these two names).
    """

    def __init__(self, moment: datetime) -> None:
        super().__init__()
        self._date_time = _dos_time(moment)
        self._timestamp = _timestamp(moment)

    def spans(self, entries: Iterable[Entry]) -> Iterator[tuple[Segment, int]]:
        """Every segment in order, each with its CRC-32."""
        for entry in entries:
            yield from self._place(entry)
        # unzip takes a true size of 4 GiB - 1 for "look further on" in the entries that follow, so none may follow
        # (docs/decisions/0003-a-zip-is-a-plan-before-it-is-bytes.md).
        self._filelist.sort(key=lambda info: info.file_size == 0xFFFF_FFFF)
        for part in _joined(self.footer()):
            yield part, crc32(part)

    def _place(self, entry: Entry) -> Iterator[tuple[Segment, int]]:
        info = self._info(entry)
        for literal in self._local_header(info):
            self._pos += len(literal)
            yield literal, crc32(literal)
        if info.file_size:
            self._pos += info.file_size
            yield known(entry.body, entry.crc32) if isinstance(entry.body, Extent) else entry.body, entry.crc32
        self._filelist.append(info)

    def _info(self, entry: Entry) -> ZipStreamInfo:
        info = ZipStreamInfo(entry.name, self._date_time)
        info.create_system = 3  # Unix: the mode is believed
        info.external_attr = 0o40755 << 16 | 0x10 if info.is_dir() else 0o100644 << 16
        info.file_size = info.compress_size = entry.size_bytes
        info.CRC = entry.crc32
        info.header_offset = self._pos
        info.extra = self._timestamp
        return info

    def _local_header(self, info: ZipStreamInfo) -> tuple[bytes, ...]:
        zip64 = info.file_size > ZIP64_LIMIT
        header = info.FileHeader(zip64)
        if info.file_size < ALIGNED_FROM_BYTES:
            return (header,)
        # The header itself says how long it is: with its name, and with the 20 bytes that Zip64 puts behind `extra`.
        zeros = -(self._pos + len(header) + 6) % BLOCK_BYTES
        info.extra = self._timestamp + struct.pack("<HHH", 0xD935, 2 + zeros, BLOCK_BYTES) + _zeros(zeros)
        header = info.FileHeader(zip64)
        info.extra = self._timestamp  # the central directory needs no padding
        if zip64 or not zeros:
            return (header,)
        return header[:-zeros], _zeros(zeros)


@cache
def _zeros(count: int) -> bytes:
    """Padding that all headers share (100,000 of their own would hold 200 MB); there are 4,096 lengths of it."""
    return bytes(count)


def _dos_time(moment: datetime) -> tuple[int, ...]:
    """The fields of a DOS time, which has no zone (here UTC), counts every second second and ends in 2107."""
    return min(max((1980, 1, 1, 0, 0, 0), moment.astimezone(UTC).timetuple()[:6]), (2107, 12, 31, 23, 59, 59))


def _timestamp(moment: datetime) -> bytes:
    """The extra field UT, Info-ZIP's extended timestamp: seconds since 1970, in a signed number of 32 bits."""
    seconds = (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(seconds=1)
    return struct.pack("<HHBi", 0x5455, 5, 1, min(max(seconds, 0), 0x7FFF_FFFF))


def _joined(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """The same bytes in pieces that are worth a segment; a directory of 100,000 entries has as many, 16 MB in all."""
    part = bytearray()
    for piece in pieces:
        part += piece
        if len(part) >= _JOINED_BYTES:
            yield bytes(part)
            part.clear()
    if part:
        yield bytes(part)


def _checked(entries: Iterable[Entry]) -> Iterator[Entry]:
    """The entries as they come, up to the first that could land in a wrong place or on another one."""
    seen: set[str] = set()
    for entry in entries:
        folded = entry.name.removesuffix("/").casefold()
        fault = "is there twice, if case is ignored" if folded in seen else _fault(entry)
        if fault:
            raise ValueError(f"entry {entry.name!r} {fault}")
        seen.add(folded)
        yield entry


def _fault(entry: Entry) -> str | None:
    """What is wrong with it, if anything. Backslashes and colons lead elsewhere on Windows; a NUL ends a name."""
    name, body = entry.name, entry.body
    written = name.encode(errors="replace")
    parts = name.removesuffix("/").split("/")
    faults = {
        "is absolute or has an empty part": "" in parts,
        "leads elsewhere": not {".", ".."}.isdisjoint(parts),
        "has a backslash, a colon or a NUL": not set("\\:\0").isdisjoint(name),
        "is no Unicode text": written.decode() != name,
        "is longer than 65,535 bytes": len(written) > 0xFFFF,
        "is a directory with a body": name.endswith("/") and length(body) > 0,
        "is not a whole file": isinstance(body, Extent) and (body.start, body.stop) != (0, body.version.size_bytes),
    }
    return next((fault for fault, found in faults.items() if found), None)
