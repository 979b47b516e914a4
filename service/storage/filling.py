"""Fills a new file with segments, by the cheapest way that the file systems offer (docs/decisions/0009).

A whole file is cloned where both ends can share blocks. Bytes whose CRC-32 is known may stay within the kernel. All
others pass through memory once, for the file and its CRC-32 together; a large file by several threads.
"""

import errno
import os
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from threading import BoundedSemaphore, Event

from isal.isal_zlib import crc32, crc32_combine

from service.model import Written
from service.references import EXPORTS
from service.segments import BLOCK_BYTES, Extent, Segment, split, total, whole_file
from service.storage.disk import Disk
from service.storage.port import Watch
from service.storage.sources import CHUNK_BYTES, Roots

_EXT4, _XFS, _BTRFS, _TMPFS, _OVERLAY = 0xEF53, 0x5846_5342, 0x9123_683E, 0x0102_1994, 0x794C_7630

_IS_MEMCPY = {_EXT4, _TMPFS}
"""Nothing is shared, and the kernel copies through memory like everybody. What this service wrote itself is then read
again, which proves it and is as fast by two threads as copy_file_range(2) is."""
_ALLOCATES = {_EXT4, _XFS, _TMPFS}
"""All blocks of a file can be had at once, without writing to them."""
_PROVEN = {_EXT4, _XFS, _BTRFS, _TMPFS, _OVERLAY}
"""Whose copies need no second look; CIFS left zeros in silence (golang/go#42400), ZFS did (openzfs/zfs#15526)."""

_NOT_THIS_WAY = {
    errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTTY, errno.EPERM, errno.ETXTBSY, errno.EIO
}  # fmt: skip
"""Says little of the bytes: the next way is tried, and the last one, through memory, tells whose fault it is."""
_OF_THIS_FILE = {errno.ETXTBSY, errno.EIO}
NO_SPACE = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}

KERNEL_FROM_BYTES = 64 * 1024
"""Less is moved faster together with what stands beside it."""
_STEP_BYTES = 64 * 1024 * 1024
"""Between two looks at whether to stop."""
ALLOCATED_FROM_BYTES = 1024 * 1024
_LANE_BYTES = 32 * 1024 * 1024
"""At least so much for each thread that writes at one file."""
_RACY_NS = 20_000_000
"""Before Linux 6.13 two writes within a tick of the kernel's clock, 10 ms at most, give a file the same time."""


class Filler:
    """How files are filled in one exports root, and what was learned of the file systems."""

    def __init__(self, disk: Disk, roots: Roots) -> None:
        self.disk = disk
        self.roots = roots
        self._file_system: int | None = None
        self._unclonable: set[str] = set()
        self._lying: set[str] = set()
        self._spare = BoundedSemaphore(max(1, len(os.sched_getaffinity(0)) - 1))
        """Threads that may be beside the callers' own."""

    def fill(self, path: str, target: int, segments: Iterable[Segment], watch: Watch) -> Written:
        """Fills the empty file at `path`, open for reading and writing as `target`.

        Raises OSError for a fault of the target, and what `Storage.read` raises for one of a source.
        """
        if self._file_system is None:
            self._file_system = self.disk.file_system(target)
        if not isinstance(segments, Sequence):
            return Lane(self, target, CHUNK_BYTES, watch).run(segments)
        if (extent := whole_file(segments)) and (cloned := self._cloned(extent, target, watch)):
            return cloned
        size_bytes = total(segments)
        by_kernel = any(isinstance(segment, Extent) and self.goes_by_kernel(segment) for segment in segments)
        if self._allocated(target, size_bytes, by_kernel) and not by_kernel and size_bytes >= 2 * _LANE_BYTES:
            return self._in_lanes(path, segments, size_bytes, watch)
        return Lane(self, target, size_bytes, watch).run(segments)

    def goes_by_kernel(self, extent: Extent) -> bool:
        """Whether its bytes need not be seen, and the kernel is better at moving them."""
        is_known = extent.crc32 is not None and extent.root not in self._lying
        is_worth_it = extent.size_bytes >= KERNEL_FROM_BYTES
        return is_known and is_worth_it and not (extent.root == EXPORTS and self._file_system in _IS_MEMCPY)

    @property
    def is_proven(self) -> bool:
        """Whether what the file system copied needs no second look."""
        return self._file_system in _PROVEN

    def is_right(self, target: int, start: int, extent: Extent, checksum: int, watch: Watch) -> bool:
        """Whether those bytes have arrived. Of a root of which others did, no more is copied by the file system."""
        if self.checksum(target, start, start + extent.size_bytes, watch) == checksum:
            return True
        self._lying.add(extent.root)
        self._unclonable.add(extent.root)
        return False

    def checksum(self, descriptor: int, start: int, stop: int, watch: Watch) -> int:
        """CRC-32 of what an opened file holds; a file that ends too early has another one."""
        checksum, buffer = 0, memoryview(bytearray(min(CHUNK_BYTES, stop - start)))
        while start < stop and (count := self.disk.read_into(descriptor, buffer[: stop - start], start)):
            checksum = crc32(buffer[:count], checksum)
            start += count
            watch(0)
        return checksum

    # ---- a clone

    def can_clone(self, extent: Extent, target: int) -> bool:
        """Whether that file's blocks can be shared; `target` is a file to try it with, and filled then."""
        with self.roots.opened(extent) as source:
            return self._clone(extent.root, source, target)

    def _cloned(self, extent: Extent, target: int, watch: Watch) -> Written | None:
        """The file as a clone of that one; nothing where that cannot be, or not safely."""
        if self._file_system in _IS_MEMCPY or extent.root in self._unclonable or _is_racy(extent):
            return None
        with self.roots.opened(extent) as source:
            if not self._clone(extent.root, source, target):
                return None
            # Of the source, not of the clone: the page cache belongs to the inode, and holds one of them at most.
            checksum = self.roots.checksum_of(source, extent, watch) if extent.crc32 is None else extent.crc32
            if not (self.is_proven or self.is_right(target, 0, extent, checksum, watch)):
                return None
        if extent.crc32 is not None:
            watch(extent.size_bytes)
        return Written(extent.size_bytes, checksum)

    def _clone(self, root: str, source: int, target: int) -> bool:
        try:
            self.disk.clone(source, target)
        except OSError as fault:
            if fault.errno not in _NOT_THIS_WAY:
                raise
            if fault.errno not in _OF_THIS_FILE:
                self._unclonable.add(root)
            return False
        return True

    # ---- several threads at one file

    def _allocated(self, target: int, size_bytes: int, by_kernel: bool) -> bool:
        """Whether the file has all of its blocks, which makes it faster to write and finds a full disk at once.

        Never where its blocks may be shared: it needs none of its own there.
        """
        may_share = by_kernel and self._file_system not in _IS_MEMCPY
        if size_bytes < ALLOCATED_FROM_BYTES or self._file_system not in _ALLOCATES or may_share:
            return False
        try:
            self.disk.allocate(target, size_bytes)
        except OSError as fault:
            if fault.errno in NO_SPACE:
                raise
            return False
        return True

    def _in_lanes(self, path: str, segments: Sequence[Segment], size_bytes: int, watch: Watch) -> Written:
        """By as many threads as are to spare, each with a part of the file and a descriptor of its own."""
        with self._helpers(size_bytes // _LANE_BYTES - 1) as helpers:
            parts = list(split(segments, size_bytes, helpers + 1))
            stopping = _Stopping(watch)
            with ThreadPoolExecutor(len(parts)) as threads:
                lanes = [threads.submit(self._lane, path, start, part, stopping) for start, part in parts]
        return _joined(lanes)

    def _lane(self, path: str, start: int, segments: Sequence[Segment], stopping: "_Stopping") -> Written:
        target = self.disk.open(path, os.O_RDWR)
        try:
            self.disk.seek(target, start)
            return Lane(self, target, total(segments), stopping.watch, start).run(segments)
        except BaseException:
            stopping.stop()
            raise
        finally:
            self.disk.close(target)

    @contextmanager
    def _helpers(self, wanted: int) -> Iterator[int]:
        """Threads besides one, as many as are wanted and free; never waits."""
        taken = 0
        while taken < wanted and self._spare.acquire(blocking=False):
            taken += 1
        try:
            yield taken
        finally:
            if taken:
                self._spare.release(taken)


class Lane:
    """Fills a file from the descriptor's position on. What is small waits in the buffer for what follows."""

    def __init__(self, filler: Filler, target: int, size_bytes: int, watch: Watch, start: int = 0) -> None:
        self._filler = filler
        self._target = target
        self._watch = watch
        self._start = start
        self._buffer = memoryview(bytearray(max(1, min(CHUNK_BYTES, size_bytes))))
        self._level = 0
        self._written_bytes = 0
        self._checksum = 0

    def run(self, segments: Iterable[Segment]) -> Written:
        for segment in segments:
            if isinstance(segment, bytes):
                self._literal(segment)
            else:
                self._extent(segment)
        self._flush()
        return Written(self._written_bytes, self._checksum)

    def _literal(self, content: bytes) -> None:
        rest = memoryview(content)
        while rest:
            count = min(len(rest), len(self._buffer) - self._level)
            self._buffer[self._level : self._level + count] = rest[:count]
            self._took(count)
            rest = rest[count:]

    def _extent(self, extent: Extent) -> None:
        with self._filler.roots.opened(extent) as source:
            checksum = extent.crc32 if self._filler.goes_by_kernel(extent) else None
            if checksum is None or not self._by_kernel(source, extent, checksum):
                self._through_memory(source, extent.start, extent.stop)

    def _through_memory(self, source: int, offset: int, stop: int) -> None:
        while offset < stop:
            count = self._filler.roots.read_piece(source, self._buffer[self._level :][: stop - offset], offset)
            self._took(count)
            offset += count

    def _took(self, count: int) -> None:
        """So many more bytes are in the buffer."""
        self._checksum = crc32(self._buffer[self._level : self._level + count], self._checksum)
        self._level += count
        if self._level == len(self._buffer):
            self._flush()

    def _flush(self) -> None:
        rest = self._buffer[: self._level]
        while rest:
            rest = rest[self._filler.disk.write(self._target, rest) :]
        if self._level:
            self._watch(self._level)
        self._written_bytes += self._level
        self._level = 0

    def _by_kernel(self, source: int, extent: Extent, checksum: int) -> bool:
        """Moves an extent whose CRC-32 is known; false, and nothing was done, when it could not be, or not rightly.

        Whole blocks only: what follows would have to take a shared block apart, and XFS then sets 128 KiB aside. The
        rest goes through memory, together with what follows.
        """
        self._flush()
        before = self._written_bytes, self._checksum
        stop = extent.stop - extent.size_bytes % BLOCK_BYTES
        moved = self._moved_by_kernel(source, extent.start, stop)
        if moved == stop:
            self._written_bytes += stop - extent.start
            self._through_memory(source, stop, extent.stop)
            self._checksum = crc32_combine(before[1], checksum, extent.size_bytes)
            if self._filler.is_proven or self._is_right(before[0], extent, checksum):
                return True
        self._written_bytes, self._checksum = before
        self._filler.disk.seek(self._target, self._start + self._written_bytes)
        return False

    def _is_right(self, start: int, extent: Extent, checksum: int) -> bool:
        self._flush()
        return self._filler.is_right(self._target, self._start + start, extent, checksum, self._watch)

    def _moved_by_kernel(self, source: int, offset: int, stop: int) -> int:
        """By copy_file_range, by sendfile where that cannot; up to where in the source."""
        for way in (self._filler.disk.copy_range, self._filler.disk.send_file):
            while offset < stop:
                try:
                    count = way(source, self._target, min(_STEP_BYTES, stop - offset), offset)
                except OSError as fault:
                    if fault.errno not in _NOT_THIS_WAY:
                        raise
                    break
                if count == 0:
                    break  # some file systems say so long before the end
                self._watch(count)
                offset += count
        return offset


class _Stopped(Exception):
    """Another lane of the same file failed."""


class _Stopping:
    """What the lanes of a file share: the first that fails stops all."""

    def __init__(self, watch: Watch) -> None:
        self._watch = watch
        self._failed = Event()

    def stop(self) -> None:
        self._failed.set()

    def watch(self, size_bytes: int) -> None:
        if self._failed.is_set():
            raise _Stopped
        self._watch(size_bytes)


def _joined(lanes: Sequence[Future[Written]]) -> Written:
    """The file that they made, side by side; raises what stopped them."""
    faults = [fault for lane in lanes if (fault := lane.exception()) is not None]
    for fault in sorted(faults, key=lambda fault: isinstance(fault, _Stopped)):
        raise fault
    size_bytes, checksum = 0, 0
    for written in (lane.result() for lane in lanes):
        checksum = crc32_combine(checksum, written.crc32, written.size_bytes)
        size_bytes += written.size_bytes
    return Written(size_bytes, checksum)


def _is_racy(extent: Extent) -> bool:
    """Written so lately that a clone, and what is then read of the source, might differ under one and the same time."""
    return time.time_ns() - extent.version.mtime_ns < _RACY_NS
