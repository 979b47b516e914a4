"""Holds a file against other processes, so that the hold ends with the process, where the file system has locks."""

import contextlib
import errno
import os

from service.storage.disk import Disk
from service.storage.port import Hold

_HELD = ".held"
_NO_LOCKS = {errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS}


def hold(disk: Disk, path: str) -> Hold | None:
    """The lock, or nothing if another process has it. Makes the file if there is none. Raises OSError."""
    descriptor = disk.open(path, os.O_RDWR | os.O_CREAT)
    try:
        disk.lock(descriptor)
    except BlockingIOError:
        disk.close(descriptor)
        return None
    except BaseException as fault:
        disk.close(descriptor)
        if isinstance(fault, OSError) and fault.errno in _NO_LOCKS:
            return _hold_by_name(disk, path + _HELD)
        raise
    return _Lock(disk, descriptor)


def _hold_by_name(disk: Disk, path: str) -> Hold | None:
    """For file systems without locks: who makes the second file holds the first.

    To call it free instead would be wrong: an attempt that lives must be neither adopted from nor cleared. A process
    that is killed leaves its file and is taken for a frozen one. That costs others a wait, and its work is done again;
    a loss of power may take the file away, and then rightly so.
    """
    try:
        descriptor = disk.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL)
    except FileExistsError:
        return None
    disk.close(descriptor)
    return _Name(disk, path)


class _Lock:
    """A held file."""

    def __init__(self, disk: Disk, descriptor: int) -> None:
        self._disk = disk
        self._descriptor = descriptor

    def release(self) -> None:
        with contextlib.suppress(OSError):  # closed all the same
            self._disk.close(self._descriptor)


class _Name:
    """A file that stands for a lock by being there."""

    def __init__(self, disk: Disk, path: str) -> None:
        self._disk = disk
        self._path = path

    def release(self) -> None:
        with contextlib.suppress(OSError):  # this process then seems frozen to others
            self._disk.unlink(self._path)
