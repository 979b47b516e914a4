"""Puts segments into an opened file, by one thread or by several that have a part of it each.

What is known and large stays within the kernel, if the file system is good at that; all else passes through memory.
"""

import errno
import os
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Event, Lock
from typing import Protocol

from isal.isal_zlib import crc32, crc32_combine

from service.segments import BLOCK_BYTES, Extent, Segment, Written, total
from service.storage.disk import Disk
from service.storage.port import Watch
from service.storage.sources import CHUNK_BYTES, Roots

NOT_THIS_WAY = {
    errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTTY, errno.EPERM, errno.ETXTBSY, errno.EIO,
    errno.EACCES, errno.EBADF, errno.ENOENT, errno.EUCLEAN, errno.EBADMSG, errno.ENODATA,
}  # fmt: skip
"""Says little of the bytes: the next way is tried, and the last one, through memory, tells whose fault it is. CIFS says
EACCES, EBADF and ENOENT (GNU coreutils, src/copy.c); the last three are a damaged source."""

STEP_BYTES = 16 * 1024 * 1024
"""Between two looks at whether to stop, while the kernel moves bytes or writes them to the disk."""


class Kernel(Protocol):
    """What is known of the file systems at both ends."""

    def is_better_at(self, extent: Extent) -> bool:
        """Whether these bytes need not be seen, and the file system moves them for less."""

    @property
    def is_proven(self) -> bool:
        """Whether what it moved needs no second look."""

    def has_moved(self, source: int, extent: Extent, checksum: int, target: int, start: int, watch: Watch) -> bool:
        """Whether those bytes are at `start` of the target. Raises as `Storage.read` does for a source that changed."""


class Lane:
    """Fills a file from the descriptor's position on. What is small waits in the buffer for what follows."""

    def __init__(
        self, disk: Disk, roots: Roots, kernel: Kernel, target: int, size_bytes: int, watch: Watch, start: int = 0
    ) -> None:
        self._disk = disk
        self._roots = roots
        self._kernel = kernel
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
        with self._roots.opened(extent) as source:
            checksum = extent.crc32 if self._kernel.is_better_at(extent) else None
            if checksum is None or not self._by_kernel(source, extent, checksum):
                self._through_memory(source, extent.start, extent.stop)

    def _through_memory(self, source: int, offset: int, stop: int) -> None:
        while offset < stop:
            count = self._roots.read_piece(source, self._buffer[self._level :][: stop - offset], offset)
            self._took(count)
            offset += count

    def _took(self, count: int) -> None:
        """So many more bytes are in the buffer."""
        self._checksum = crc32(self._buffer[self._level : self._level + count], self._checksum)
        self._level += count
        if self._level == len(self._buffer):
            self._flush()

    def _flush(self) -> None:
        write_all(self._disk, self._target, self._buffer[: self._level])
        if self._level:
            self._watch(self._level)
        self._written_bytes += self._level
        self._level = 0

    # ---- within the kernel

    def _by_kernel(self, source: int, extent: Extent, checksum: int) -> bool:
        """Moves an extent whose CRC-32 is known; false, and nothing was done, when it could not be, or not rightly.

        Whole blocks only: what follows would have to take a shared block apart, and XFS then sets 128 KiB aside. The
        rest goes through memory, together with what follows.
        """
        self._flush()
        before = self._written_bytes, self._checksum
        stop = extent.stop - extent.size_bytes % BLOCK_BYTES
        reached = self._moved_by_kernel(source, extent.start, stop)
        if reached == stop:
            self._written_bytes += stop - extent.start
            self._through_memory(source, stop, extent.stop)
            self._checksum = crc32_combine(before[1], checksum, extent.size_bytes)
            if self._has_arrived(source, extent, checksum, before[0]):
                return True
            reached = extent.stop
        self._watch(extent.start - reached)  # taken back
        self._written_bytes, self._checksum = before
        self._disk.seek(self._target, self._start + self._written_bytes)
        return False

    def _has_arrived(self, source: int, extent: Extent, checksum: int, start: int) -> bool:
        if self._kernel.is_proven:
            return True
        self._flush()
        return self._kernel.has_moved(source, extent, checksum, self._target, self._start + start, self._watch)

    def _moved_by_kernel(self, source: int, offset: int, stop: int) -> int:
        """By copy_file_range, by sendfile where that cannot; up to where in the source."""
        offset = self._moved_by(self._disk.copy_range, source, offset, stop)
        # What must be read back is not worth a second way: through memory it is read once.
        return self._moved_by(self._disk.send_file, source, offset, stop) if self._kernel.is_proven else offset

    def _moved_by(self, way: Callable[[int, int, int, int], int], source: int, offset: int, stop: int) -> int:
        while offset < stop:
            try:
                count = way(source, self._target, min(STEP_BYTES, stop - offset), offset)
            except OSError as fault:
                if fault.errno not in NOT_THIS_WAY:
                    raise
                return offset
            if count == 0:
                return offset  # some file systems say so long before the end
            self._watch(count)
            offset += count
        return offset


def write_all(disk: Disk, descriptor: int, content: bytes | memoryview) -> None:
    """However few bytes a write takes at a time."""
    rest = memoryview(content)
    while rest:
        rest = rest[disk.write(descriptor, rest) :]


# ---- several threads at one file


class Lanes:
    """Several threads at one file, each with a descriptor of its own; the first that fails stops all."""

    def __init__(self, disk: Disk, roots: Roots, kernel: Kernel, path: str, watch: Watch) -> None:
        self._disk = disk
        self._roots = roots
        self._kernel = kernel
        self._path = path
        self._watch_all = watch
        self._one_at_a_time = Lock()
        self._failed = Event()

    def run(self, parts: Sequence[tuple[int, Sequence[Segment]]]) -> Written:
        """The file of these parts, each with where it begins."""
        with ThreadPoolExecutor(len(parts)) as threads:
            try:
                lanes = [threads.submit(self._lane, start, segments) for start, segments in parts]
            except RuntimeError as fault:  # a limit on processes
                self._failed.set()
                raise OSError(errno.EAGAIN, str(fault)) from fault
        return _joined(lanes)

    def _lane(self, start: int, segments: Sequence[Segment]) -> Written:
        try:
            target = self._disk.open(self._path, os.O_RDWR)
            try:
                self._disk.seek(target, start)
                size_bytes = total(segments)
                lane = Lane(self._disk, self._roots, self._kernel, target, size_bytes, self._watch, start)
                return lane.run(segments)
            finally:
                self._disk.close(target)
        except BaseException:
            self._failed.set()
            raise

    def _watch(self, size_bytes: int) -> None:
        if self._failed.is_set():
            raise _Stopped
        with self._one_at_a_time:
            self._watch_all(size_bytes)


class _Stopped(Exception):
    """Another lane of the same file failed."""


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
