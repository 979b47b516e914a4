"""The roots that files are read from: opened once, looked at and read beneath, and what their faults mean.

Nothing here writes.
"""

import contextlib
import errno
import os
import stat
from collections.abc import Collection, Iterator, Mapping
from functools import cached_property
from pathlib import Path

from isal.isal_zlib import crc32

from contracts import ErrorCode
from service.errors import Trouble
from service.references import EXPORTS, Source
from service.segments import Extent, Version
from service.storage.disk import Disk
from service.storage.port import SourceMissing, SourceUnreadable, Watch

# It stays in the second-level cache of most processors; larger ones are no faster (docs/performance.md).
CHUNK_BYTES = 256 * 1024

NO_SUCH_FILE = {errno.ENOENT, errno.ENOTDIR}
# A server that does not answer, or no longer knows what it was asked for: says nothing about the file.
# ENXIO is not among them: opening a socket that lies among the media gives it.
STORE_IS_AWAY = {
    errno.ESTALE,
    errno.ENOTCONN,
    errno.ETIMEDOUT,
    errno.EHOSTDOWN,
    errno.EHOSTUNREACH,
    errno.ENODEV,
}
_OUTSIDE = {errno.EXDEV, errno.ELOOP}
_OUR_OWN_FAULT = {errno.EMFILE, errno.ENFILE, errno.ENOMEM}


class Roots:
    """Directories that are only ever read; also the exports root, for the archive."""

    def __init__(
        self, sources: Mapping[str, Path], exports: Path, disk: Disk, scope: str = "", trusted: Collection[str] = ()
    ) -> None:
        self.scope = scope
        self.trusted = frozenset(trusted)
        self._disk = disk
        self._paths = {name: str(path.absolute()) for name, path in sources.items()}
        self._exports = str(exports.absolute())
        self._opened: dict[str, int] = {}

    @cached_property
    def roots(self) -> Mapping[str, str]:
        return {name: os.path.normpath(path) for name, path in self._paths.items()}

    @cached_property
    def real_roots(self) -> Mapping[str, str]:
        return {name: os.path.realpath(path) for name, path in self._paths.items()}

    def close(self) -> None:
        """Lets go of the roots."""
        while self._opened:
            self._let_go(self._opened.popitem()[1])

    def check_roots(self) -> None:
        for name in self._paths:
            self._root(name)
            self._is_unchanged(name)

    def _root(self, name: str) -> int:
        """A descriptor of the root; opened once, so that all of an export is read from one and the same tree."""
        if name not in self._opened:
            descriptor = self._open_root(name, self._paths[name])
            if self._opened.setdefault(name, descriptor) != descriptor:
                self._let_go(descriptor)  # another thread was faster
        return self._opened[name]

    def _open_root(self, name: str, path: str) -> int:
        try:
            return self._disk.open(path, os.O_RDONLY | os.O_DIRECTORY)
        except OSError as fault:
            raise _unavailable(f'the {name} root "{path}" cannot be opened: {fault.strerror}') from fault

    def _is_unchanged(self, name: str) -> None:
        path = self._paths[name]
        try:
            now, then = self._disk.stat(os.path.realpath(path)), self._disk.fstat(self._opened[name])
        except OSError as fault:
            raise _unavailable(f'the {name} root "{path}" is gone: {fault.strerror}') from fault
        if (now.st_dev, now.st_ino) != (then.st_dev, then.st_ino):
            raise _unavailable(f'the {name} root "{path}" is not the one it was')

    def look(self, source: Source) -> Version:
        with self._opened_source(source) as (_, version):
            return version

    @contextlib.contextmanager
    def _opened_source(self, source: Source) -> Iterator[tuple[int, Version]]:
        with contextlib.ExitStack() as opened:
            if source.root == EXPORTS:
                # Whatever else is done in it goes by its path: this must not go on in a root that was moved since.
                root = self._open_root(EXPORTS, self._exports)
                opened.callback(self._let_go, root)
            else:
                root = self._root(source.root)
            with _AS_SOURCE_FAULT:
                descriptor = self._disk.open_beneath(root, source.key)
            opened.callback(self._let_go, descriptor)
            with _AS_SOURCE_FAULT:
                status = self._disk.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                raise SourceUnreadable("is not a regular file")
            yield descriptor, version_of(status)

    def _let_go(self, descriptor: int) -> None:
        """Closes what was only read or held: whatever close(2) says, it is closed and nothing is lost."""
        with contextlib.suppress(OSError):
            self._disk.close(descriptor)

    @contextlib.contextmanager
    def opened(self, extent: Extent) -> Iterator[int]:
        """The extent's file, for reading: raises SourceUnreadable unless it is the version that is meant, before and
        after."""
        with self._opened_source(Source(extent.root, extent.key)) as (descriptor, version):
            _expect(extent, version)
            yield descriptor
            self.expect_unchanged(descriptor, extent)

    def expect_unchanged(self, descriptor: int, extent: Extent) -> None:
        """Raises SourceUnreadable unless the opened file is still the version that is meant."""
        with _AS_SOURCE_FAULT:
            status = self._disk.fstat(descriptor)
        _expect(extent, version_of(status))

    def read(self, extent: Extent) -> Iterator[memoryview]:
        with self.opened(extent) as descriptor:
            yield from self._pieces(descriptor, extent)

    def checksum(self, extent: Extent, watch: Watch) -> int:
        with self.opened(extent) as descriptor:
            return self.checksum_of(descriptor, extent, watch)

    def checksum_of(self, descriptor: int, extent: Extent, watch: Watch) -> int:
        """Of an extent whose file is opened."""
        checksum = 0
        for piece in self._pieces(descriptor, extent):
            checksum = crc32(piece, checksum)
            watch(len(piece))
        return checksum

    def _pieces(self, descriptor: int, extent: Extent) -> Iterator[memoryview]:
        buffer = memoryview(bytearray(min(CHUNK_BYTES, max(extent.size_bytes, 1))))
        offset = extent.start
        while offset < extent.stop:
            count = self.read_piece(descriptor, buffer[: extent.stop - offset], offset)
            yield buffer[:count]
            offset += count

    def read_piece(self, descriptor: int, buffer: memoryview, offset: int) -> int:
        """Some bytes of a source; at least one."""
        with _AS_SOURCE_FAULT:
            count = self._disk.read_into(descriptor, buffer, offset)
        if count == 0:
            raise SourceUnreadable("became shorter while it was read")
        return count


def _expect(extent: Extent, found: Version) -> None:
    if found != extent.version:
        raise SourceUnreadable("changed while it was exported")


def version_of(status: os.stat_result) -> Version:
    return Version(status.st_size, status.st_mtime_ns, status.st_ino)


class _AsSourceFault:
    """What goes wrong with a source ends the copying of that file, unless the store or this process is to blame."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, _: object, fault: BaseException | None, __: object) -> None:
        if isinstance(fault, OSError):
            raise _source_fault(fault) from fault


_AS_SOURCE_FAULT = _AsSourceFault()


def _source_fault(fault: OSError) -> Exception:
    if fault.errno in NO_SUCH_FILE:
        return SourceMissing()
    if fault.errno in _OUTSIDE:
        return SourceUnreadable("is a link that leads outside its root")
    if fault.errno in STORE_IS_AWAY:
        return _unavailable(f"a source could not be read: {fault.strerror}")
    if fault.errno in _OUR_OWN_FAULT:
        return Trouble(ErrorCode.IO_ERROR, f"a source could not be opened: {fault.strerror}")
    return SourceUnreadable(f"could not be read: {fault.strerror}")


def _unavailable(sentence: str) -> Trouble:
    return Trouble(ErrorCode.STORAGE_UNAVAILABLE, sentence)
