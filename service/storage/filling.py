"""Fills a new file with segments, by the cheapest way that the file systems offer (docs/decisions/0009).

A whole file is cloned where both ends can share blocks; a large one is made by several threads where they cannot.
"""

import errno
import os
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from threading import Lock

from isal.isal_zlib import crc32

from service.references import EXPORTS
from service.segments import Extent, Segment, Written, split, total, whole_file
from service.storage.disk import Disk
from service.storage.lanes import NOT_THIS_WAY, STEP_BYTES, Lane, Lanes
from service.storage.port import Watch
from service.storage.sources import CHUNK_BYTES, Roots

_EXT4, _XFS, _BTRFS, _TMPFS = 0xEF53, 0x5846_5342, 0x9123_683E, 0x0102_1994
_UNKNOWN = 0

_SHARE_NOTHING = {_EXT4, _TMPFS}
"""The kernel copies through memory like everybody. So nothing is taken on trust here: to read it costs no time."""
_ALLOCATE = {_EXT4, _XFS, _TMPFS}
"""All blocks of a file can be had at once, without writing to them."""
_PROVEN = {_EXT4, _XFS, _BTRFS, _TMPFS}
"""Whose copies need no second look. CIFS left zeros in silence (golang/go#42400), ZFS did (openzfs/zfs#15526), and
overlayfs hides which one is beneath it."""

_NEVER_CLONES = {errno.EOPNOTSUPP, errno.ENOTTY, errno.ENOSYS}
"""True of a file system, and not only of this file or of the mount that it is on."""
NO_SPACE = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}

KERNEL_FROM_BYTES = 64 * 1024
"""Less is moved faster together with what stands beside it, and is read in any case."""
ALLOCATED_FROM_BYTES = 1024 * 1024
_LANE_BYTES = 32 * 1024 * 1024
"""At least so much for each thread that writes at one file."""
_LANES_AT_MOST = 4
_RACY_NS = 20_000_000
"""Before Linux 6.13 two writes within a tick of the kernel's clock, 10 ms at most, give a file the same time."""


class Filler:
    """How files are filled in one exports root, and what was learned of the file systems."""

    def __init__(self, disk: Disk, roots: Roots) -> None:
        self._disk = disk
        self._roots = roots
        self._file_system: int | None = None
        self._never_cloned: set[str] = set()
        self._lied: set[str] = set()
        self._processors = min(len(os.sched_getaffinity(0)), _LANES_AT_MOST)
        self._threads = 0
        """That fill a file at the moment."""
        self._counting = Lock()

    def fill(self, path: str, target: int, segments: Iterable[Segment], watch: Watch) -> Written:
        """Fills the empty file at `path`, open for reading and writing as `target`.

        Raises OSError for a fault of the target, and what `Storage.read` raises for one of a source.
        """
        self._look_at_file_system(target)
        with self._at_work(1):
            return self._fill(path, target, segments, watch)

    def _fill(self, path: str, target: int, segments: Iterable[Segment], watch: Watch) -> Written:
        if not isinstance(segments, Sequence):
            return self._lane(target, CHUNK_BYTES, watch).run(segments)
        if (extent := whole_file(segments)) and (cloned := self._cloned(extent, target, watch)):
            return cloned
        size_bytes = total(segments)
        if any(isinstance(segment, Extent) and self.is_better_at(segment) for segment in segments):
            return self._lane(target, size_bytes, watch).run(segments)
        if self._has_its_blocks(target, size_bytes) and size_bytes >= 2 * _LANE_BYTES:
            return self._in_lanes(path, target, segments, size_bytes, watch)
        return self._lane(target, size_bytes, watch).run(segments)

    def _lane(self, target: int, size_bytes: int, watch: Watch) -> Lane:
        return Lane(self._disk, self._roots, self, target, size_bytes, watch)

    # ---- what is known of the file systems

    def _look_at_file_system(self, target: int) -> None:
        if self._file_system is None:
            try:
                self._file_system = self._disk.file_system(target)
            except OSError:
                self._file_system = _UNKNOWN

    def is_better_at(self, extent: Extent) -> bool:
        # Of a source that could not be cloned nothing is believed that nobody looks at: it must be moved anyway.
        is_own_or_looked_at = extent.root == EXPORTS or not self.is_proven
        return is_own_or_looked_at and self._need_not_be_read(extent)

    def _need_not_be_read(self, extent: Extent) -> bool:
        is_known = extent.crc32 is not None and extent.size_bytes >= KERNEL_FROM_BYTES
        return is_known and self._file_system not in _SHARE_NOTHING and extent.root not in self._lied

    @property
    def is_proven(self) -> bool:
        return self._file_system in _PROVEN

    def has_moved(self, source: int, extent: Extent, checksum: int, target: int, start: int, watch: Watch) -> bool:
        if self._checksum(target, start, start + extent.size_bytes, watch) == checksum:
            return True
        # Who was wrong? The source may have changed meanwhile, or never had the checksum that was promised.
        if self._roots.checksum_of(source, extent, lambda _: watch(0)) == checksum:
            self._roots.expect_unchanged(source, extent)
            self._lied.add(extent.root)
        return False

    def _checksum(self, descriptor: int, start: int, stop: int, watch: Watch) -> int:
        """CRC-32 of what the target holds; one that ends too early has another."""
        checksum, buffer = 0, memoryview(bytearray(min(CHUNK_BYTES, stop - start)))
        while start < stop and (count := self._disk.read_into(descriptor, buffer[: stop - start], start)):
            checksum = crc32(buffer[:count], checksum)
            start += count
            watch(0)
        return checksum

    # ---- clones

    def try_clone(self, extent: Extent, target: int) -> bool:
        """Whether that file's blocks can be shared; `target` is a file to try it with."""
        self._look_at_file_system(target)
        with self._roots.opened(extent) as source:
            return self._may_clone(extent) and self._clone(extent, source, target, lambda _: None)

    def _may_clone(self, extent: Extent) -> bool:
        is_refused = extent.root in self._never_cloned or extent.root in self._lied
        return not is_refused and self._file_system not in _SHARE_NOTHING

    def _cloned(self, extent: Extent, target: int, watch: Watch) -> Written | None:
        """The file as a clone of that one; nothing where that cannot be, or not safely."""
        if not self._may_clone(extent) or _is_racy(extent):
            return None
        with self._roots.opened(extent) as source:
            if not self._clone(extent, source, target, watch):
                return None
            checksum = extent.crc32 if self._need_not_be_read(extent) else None
            if checksum is None:
                # Of the source, not of the clone: the page cache belongs to the inode, and holds one of them at most.
                checksum = self._roots.checksum_of(source, extent, watch)
            else:
                watch(extent.size_bytes)
            if self.is_proven or self.has_moved(source, extent, checksum, target, 0, watch):
                return Written(extent.size_bytes, checksum)
        watch(-extent.size_bytes)
        return None

    def _clone(self, extent: Extent, source: int, target: int, watch: Watch) -> bool:
        """In steps: what is not yet on the disk is written there first, and that takes its time."""
        for start in range(0, extent.stop, STEP_BYTES):
            try:
                self._disk.clone(source, target, start, min(STEP_BYTES, extent.stop - start))
            except OSError as fault:
                if fault.errno not in NOT_THIS_WAY:
                    raise
                if fault.errno in _NEVER_CLONES:
                    self._never_cloned.add(extent.root)
                return False
            watch(0)
        return True

    # ---- several threads at one file

    def _has_its_blocks(self, target: int, size_bytes: int) -> bool:
        """Gets all blocks of a large file, which makes it faster to write and finds a full disk at once."""
        if size_bytes < ALLOCATED_FROM_BYTES or self._file_system not in _ALLOCATE:
            return False
        try:
            self._disk.allocate(target, size_bytes)
        except OSError as fault:
            if fault.errno in NO_SPACE:
                raise
            return False
        return True

    def _in_lanes(self, path: str, target: int, segments: Sequence[Segment], size_bytes: int, watch: Watch) -> Written:
        """By as many threads as there are processors that no other file keeps busy."""
        helpers = min(size_bytes // _LANE_BYTES - 1, self._processors - self._threads)
        if helpers < 1:
            return self._lane(target, size_bytes, watch).run(segments)
        with self._at_work(helpers):
            lanes = Lanes(self._disk, self._roots, self, path, watch)
            return lanes.run(list(split(segments, size_bytes, helpers + 1)))

    @contextmanager
    def _at_work(self, threads: int) -> Iterator[None]:
        with self._counting:
            self._threads += threads
        try:
            yield
        finally:
            with self._counting:
                self._threads -= threads


def _is_racy(extent: Extent) -> bool:
    """Written so lately that a clone, and what is then read of the source, might differ under one and the same time."""
    return time.time_ns() - extent.version.mtime_ns < _RACY_NS
