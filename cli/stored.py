"""A file that a person names, read through the storage port; what is wrong with it is an OSError."""

import errno
import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import IO, TYPE_CHECKING

from service.errors import Trouble
from service.references import EXPORTS, Source
from service.segments import Extent, Written
from service.storage.local import LocalStorage
from service.storage.port import SourceFault

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

CHUNK_BYTES = 1024 * 1024


def content_of(storage: LocalStorage, path: Path, key: str) -> bytes:
    """Of a small file; `path` is what a person calls it. Raises OSError."""
    with as_os_error(path):
        return b"".join(map(bytes, storage.read(_whole(storage, key))))


def sums_of(storage: LocalStorage, path: Path, key: str) -> Written:
    with as_os_error(path):
        whole = _whole(storage, key)
        return Written(whole.size_bytes, storage.checksum(whole, lambda _: None))


def opened(storage: LocalStorage, path: Path, key: str) -> IO[bytes]:
    """To read from, as it is now. Nothing stays open. Raises OSError, also when it is read."""
    with as_os_error(path):
        return io.BufferedReader(_Stored(storage, path, _whole(storage, key)), CHUNK_BYTES)


def _whole(storage: LocalStorage, key: str) -> Extent:
    version = storage.look(Source(EXPORTS, key))
    return Extent(EXPORTS, key, 0, version.size_bytes, version)


class _Stored(io.RawIOBase):
    """An extent as a file."""

    def __init__(self, storage: LocalStorage, path: Path, whole: Extent) -> None:
        self._storage = storage
        self._path = path
        self._whole = whole
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        at = offset + {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._whole.size_bytes}[whence]
        if at < 0:
            raise OSError(errno.EINVAL, "an offset before the beginning")
        self._at = at
        return at

    def readinto(self, buffer: "WriteableBuffer") -> int:
        into, count = memoryview(buffer), 0
        begin, end = (min(at, self._whole.size_bytes) for at in (self._at, self._at + len(into)))
        with as_os_error(self._path):
            for piece in self._storage.read(replace(self._whole, start=begin, stop=end)):
                into[count : count + len(piece)] = piece
                count += len(piece)
        self._at += count
        return count


@contextmanager
def as_os_error(path: Path) -> Iterator[None]:
    try:
        yield
    except (SourceFault, Trouble) as fault:
        raise OSError(errno.EIO, str(fault) or "no such file", str(path)) from fault
