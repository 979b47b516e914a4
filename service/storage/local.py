"""A storage on local or network file systems: plain directories, and the order of calls that survives power loss."""

import contextlib
import errno
import os
import secrets
import stat
from collections.abc import Callable, Collection, Iterable, Mapping
from pathlib import Path

from contracts import ErrorCode
from service.errors import Trouble
from service.references import EXPORTS
from service.segments import Extent, Segment, Version, Written
from service.storage.disk import Disk
from service.storage.filling import NO_SPACE, Filler
from service.storage.lanes import STEP_BYTES, write_all
from service.storage.locks import hold
from service.storage.port import DRAFT, Hold, Watch
from service.storage.sources import CHUNK_BYTES, NO_SUCH_FILE, STORE_IS_AWAY, Roots, version_of

_PART = ".part"
# A directory that is not empty: ENOTEMPTY, on XFS EEXIST; a file in the place of a directory: ENOTDIR.
_TAKEN = {errno.EEXIST, errno.ENOTEMPTY, errno.ENOTDIR}


class LocalStorage(Roots):
    """Directories as roots. `exports` is written to, all others are only ever read."""

    def __init__(
        self,
        sources: Mapping[str, Path],
        exports: Path,
        disk: Disk | None = None,
        scope: str = "",
        trusted: Collection[str] = (),
    ) -> None:
        super().__init__(sources, exports, disk or Disk(), scope, trusted)
        self._exports = str(exports.absolute())
        self._filler = Filler(self._disk, self)

    def assemble(self, key: str, segments: Iterable[Segment], moment_ns: int, watch: Watch) -> Written:
        part = self._path(key + _PART)
        with _AsTrouble(key):
            descriptor = self._disk.open(part, os.O_RDWR | os.O_CREAT | os.O_TRUNC)
            try:
                try:
                    written = self._filler.fill(part, descriptor, segments, watch)
                    self._disk.set_times(descriptor, moment_ns)
                finally:
                    self._disk.close(descriptor)
                self._disk.rename(part, self._path(key))
            except BaseException:
                with contextlib.suppress(OSError):
                    self._disk.unlink(part)
                raise
        return written

    def create(self, key: str, body: bytes) -> bool:
        path = self._path(key)
        with _AsTrouble(key):
            while (made := self._create(path, body)) is None:
                pass  # a sweep took the draft for a dead one's
            self._sync(os.path.dirname(path))
        return made

    def _create(self, path: str, body: bytes) -> bool | None:
        draft = f"{path}.{secrets.token_hex(8)}{DRAFT}"
        try:
            self._write_durably(draft, body)
            with contextlib.suppress(FileNotFoundError):
                return self._link(draft, path)
        finally:
            with contextlib.suppress(OSError):
                self._disk.unlink(draft)
        return None

    def _write_durably(self, path: str, body: bytes) -> None:
        descriptor = self._disk.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
        try:
            write_all(self._disk, descriptor, body)
            self._disk.fsync(descriptor)
        finally:
            self._disk.close(descriptor)

    def _link(self, path: str, target: str) -> bool:
        try:
            self._disk.link(path, target)
        except FileExistsError:
            return False
        return True

    def claim(self, key: str) -> bool:
        with _AsTrouble(key):
            try:
                self._disk.mkdir(self._path(key))
            except FileExistsError:
                return False
            return True

    def make_directories(self, key: str) -> None:
        path = self._exports
        for part in key.split("/"):
            parent, path = path, f"{path}/{part}"
            with _AsTrouble(key), contextlib.suppress(FileExistsError):
                self._disk.mkdir(path)
            with _AsTrouble(key):
                # Also when it was there: whoever made it may have died before this.
                self._sync(parent)

    def get(self, key: str) -> bytes | None:
        with _AsTrouble(key):
            try:
                descriptor = self._disk.open(self._path(key), os.O_RDONLY)
            except OSError as fault:
                if fault.errno in NO_SUCH_FILE:
                    return None
                raise
            try:
                return self._whole(descriptor)
            finally:
                self._disk.close(descriptor)

    def _whole(self, descriptor: int) -> bytes:
        content = bytearray()
        buffer = memoryview(bytearray(CHUNK_BYTES))
        while count := self._disk.read_into(descriptor, buffer, len(content)):
            content += buffer[:count]
        return bytes(content)

    def version(self, key: str) -> Version | None:
        with _AsTrouble(key):
            try:
                return version_of(self._disk.stat(self._path(key)))
            except OSError as fault:
                if fault.errno in NO_SUCH_FILE:
                    return None
                raise

    def names(self, key: str) -> list[str]:
        with _AsTrouble(key):
            try:
                return sorted(self._disk.listdir(self._path(key)))
            except FileNotFoundError:
                return []

    def append(self, key: str, line: bytes) -> None:
        with _AsTrouble(key):
            descriptor = self._disk.open(self._path(key), os.O_WRONLY | os.O_CREAT | os.O_APPEND)
            try:
                write_all(self._disk, descriptor, line)
            finally:
                self._disk.close(descriptor)

    def link(self, key: str, target: str) -> bool:
        with _AsTrouble(key):
            try:
                return self._link(self._path(key), self._path(target))
            except FileNotFoundError:
                return False

    def start_writeback(self, keys: Iterable[str], watch: Watch) -> None:
        for key in keys:
            watch(0)
            with contextlib.suppress(OSError):  # make_durable will tell
                self._with_opened(self._path(key), lambda descriptor: self._start_writeback(descriptor, watch))

    def _start_writeback(self, descriptor: int, watch: Watch) -> None:
        for start in range(0, self._disk.fstat(descriptor).st_size, STEP_BYTES):
            self._disk.start_writeback(descriptor, start, STEP_BYTES)
            watch(0)

    def make_durable(self, key: str) -> None:
        path = self._path(key)
        with _AsTrouble(key):
            try:
                self._sync(path)
            except OSError:
                # After a failed fsync the kernel may call the pages clean: a second fsync would succeed and lie
                # (PostgreSQL's fsyncgate, 2018). So nobody may adopt this file.
                with contextlib.suppress(OSError):
                    self._disk.unlink(path)
                raise

    def _sync(self, path: str) -> None:
        self._with_opened(path, self._disk.fsync)

    def _with_opened(self, path: str, act: Callable[[int], None]) -> None:
        descriptor = self._disk.open(path, os.O_RDONLY)
        try:
            act(descriptor)
        finally:
            self._disk.close(descriptor)

    def set_moment(self, key: str, moment_ns: int) -> None:
        with _AsTrouble(key):
            self._disk.set_times(self._path(key), moment_ns)

    def rename(self, key: str, target: str) -> bool:
        path, final = self._path(key), self._path(target)
        with _AsTrouble(target):
            try:
                # A file would be replaced by rename(2), a directory only if it is empty, which no export is.
                moved = self._move_file(path, final) if self._is_file(path) else self._move_directory(path, final)
            except FileNotFoundError:
                moved = False
            for directory in dict.fromkeys((os.path.dirname(final), os.path.dirname(path))):
                with contextlib.suppress(FileNotFoundError):
                    self._sync(directory)
        return moved

    def _is_file(self, path: str) -> bool:
        return stat.S_ISREG(self._disk.stat(path).st_mode)

    def _move_file(self, path: str, final: str) -> bool:
        made = self._link(path, final) or self._disk.stat(path).st_ino == self._disk.stat(final).st_ino
        if made:
            self._sync(os.path.dirname(final))  # nothing else orders changes in two directories
            self._disk.unlink(path)
        return made

    def _move_directory(self, path: str, final: str) -> bool:
        try:
            self._disk.rename(path, final)
        except OSError as fault:
            if fault.errno in _TAKEN:
                return False
            raise
        return True

    def remove(self, key: str) -> None:
        with _AsTrouble(key), contextlib.suppress(FileNotFoundError):
            self._remove(self._path(key))

    def _remove(self, path: str) -> None:
        if not stat.S_ISDIR(self._disk.stat(path).st_mode):
            self._disk.unlink(path)
            return
        for name in self._disk.listdir(path):
            with contextlib.suppress(FileNotFoundError):
                self._remove(f"{path}/{name}")
        self._disk.rmdir(path)

    def hold(self, key: str) -> Hold | None:
        with _AsTrouble(key):
            return hold(self._disk, self._path(key))

    def beat(self, key: str) -> None:
        with _AsTrouble(key):
            self._disk.touch(self._path(key))

    def pulse(self, key: str) -> int | None:
        version = self.version(key)
        return None if version is None else version.mtime_ns

    def free_bytes(self) -> int:
        with _AsTrouble(EXPORTS):
            return self._disk.free_bytes(self._exports)

    def free_files(self) -> int | None:
        """How many more files the exports root can have; nothing where there is no such number."""
        with _AsTrouble(EXPORTS):
            return self._disk.free_files(self._exports)

    def shares_blocks_with(self, extent: Extent, key: str) -> bool:
        path = self._path(key)
        with _AsTrouble(key):
            descriptor = self._disk.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC)
            try:
                return self._filler.try_clone(extent, descriptor)
            finally:
                self._disk.close(descriptor)
                self._disk.unlink(path)

    def boot_id(self) -> str | None:
        # The host too: two hosts on one mount do not share a page cache.
        try:
            return f"{os.uname().nodename}/{Path('/proc/sys/kernel/random/boot_id').read_text().strip()}"
        except OSError:
            return None

    def _path(self, key: str) -> str:
        return f"{self._exports}/{key}" if key else self._exports


class _AsTrouble:
    """Whatever goes wrong in the exports root is this machine's trouble.

    A class: an export of small files enters it a dozen times for each, and a generator takes four times as long.
    """

    __slots__ = ("_key",)

    def __init__(self, key: str) -> None:
        self._key = key

    def __enter__(self) -> None:
        pass

    def __exit__(self, _: object, fault: BaseException | None, __: object) -> None:
        if isinstance(fault, OSError):
            raise Trouble(_code(fault), f'"{self._key}" in the exports root: {fault.strerror or fault}') from fault


def _code(fault: OSError) -> ErrorCode:
    if fault.errno in NO_SPACE:
        return ErrorCode.NO_SPACE
    return ErrorCode.STORAGE_UNAVAILABLE if fault.errno in STORE_IS_AWAY else ErrorCode.IO_ERROR
