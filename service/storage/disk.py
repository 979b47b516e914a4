"""Every system call that touches a file, one method each, so that tests can fail, shorten or kill each of them."""

import ctypes
import errno
import fcntl
import os
import struct
from collections.abc import Callable, Sequence
from functools import cache

# openat2(2); the number is the same on every architecture that has it (Linux 5.6, include/uapi/asm-generic/unistd.h).
_OPENAT2 = 437
_RESOLVE_NO_MAGICLINKS = 0x02
_RESOLVE_BENEATH = 0x08
_MAX_LINKS = 40  # path_resolution(7)
_FICLONERANGE = 0x4020940D  # _IOW(0x94, 13, struct file_clone_range), include/uapi/linux/fs.h
_SYNC_FILE_RANGE_WRITE = 2
_STATFS_BYTES_AT_MOST = 256
_off_t = ctypes.c_int64


class _OpenHow(ctypes.Structure):
    _fields_ = (("flags", ctypes.c_uint64), ("mode", ctypes.c_uint64), ("resolve", ctypes.c_uint64))


class Disk:
    """The system calls, as they are; raises OSError."""

    def open(self, path: str, flags: int) -> int:
        return os.open(path, flags | os.O_CLOEXEC, 0o666)

    def open_beneath(self, root: int, key: str) -> int:
        """Opens for reading what `key` means beneath the directory `root`, and nothing outside of it.

        The kernel resolves the whole path in one step, so nothing can be swapped under it. Never blocks on a FIFO.
        """
        name = _checked(key)
        flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY
        how = _OpenHow(flags, 0, _RESOLVE_BENEATH | _RESOLVE_NO_MAGICLINKS)
        descriptor = _libc_syscall(_OPENAT2, root, name, ctypes.byref(how), ctypes.sizeof(how))
        if descriptor >= 0:
            return int(descriptor)
        fault = _last_fault()
        # An old kernel; a container's seccomp profile; a `..` in a link while anything on this host was renamed.
        if fault.errno in {errno.ENOSYS, errno.EPERM, errno.EAGAIN}:
            return _walk_beneath(root, key, flags)
        raise fault

    def close(self, descriptor: int) -> None:
        os.close(descriptor)

    def fstat(self, descriptor: int) -> os.stat_result:
        return os.fstat(descriptor)

    def stat(self, path: str) -> os.stat_result:
        return os.stat(path, follow_symlinks=False)

    def read_into(self, descriptor: int, buffer: memoryview, offset: int) -> int:
        return os.preadv(descriptor, [buffer], offset)

    def write(self, descriptor: int, data: bytes | memoryview) -> int:
        return os.write(descriptor, data)

    def seek(self, descriptor: int, offset: int) -> None:
        os.lseek(descriptor, offset, os.SEEK_SET)

    def clone(self, source: int, target: int, offset: int, count: int) -> None:
        """Makes that part of `target` share the blocks of `source` (ioctl_ficlonerange(2)), if the file system can.

        Whole blocks, or up to the source's end.
        """
        fcntl.ioctl(target, _FICLONERANGE, struct.pack("=qQQQ", source, offset, count, offset))

    def copy_range(self, source: int, target: int, count: int, offset: int) -> int:
        """copy_file_range(2): from `offset` of the source to the target's position, which moves on.

        Shares blocks where the file system can and both ends are aligned; on a network file system the server copies.
        """
        return os.copy_file_range(source, target, count, offset)

    def send_file(self, source: int, target: int, count: int, offset: int) -> int:
        """sendfile(2): the same within the kernel's memory, between any two file systems."""
        return os.sendfile(target, source, offset, count)

    def allocate(self, descriptor: int, size_bytes: int) -> None:
        """fallocate(2), and not posix_fallocate(3), which writes every block where the file system cannot."""
        _libc("fallocate", descriptor, 0, _off_t(0), _off_t(size_bytes))

    def start_writeback(self, descriptor: int, offset: int, count: int) -> None:
        """Hands those bytes to the disk (sync_file_range(2)). A hint; it waits while the disk has enough to do."""
        _libc("sync_file_range", descriptor, _off_t(offset), _off_t(count), _SYNC_FILE_RANGE_WRITE)

    def file_system(self, descriptor: int) -> int:
        """Its magic number (fstatfs(2)), the first member of the structure; on s390x it comes out as an unknown one."""
        figures = ctypes.create_string_buffer(_STATFS_BYTES_AT_MOST)
        _libc("fstatfs", descriptor, figures)
        return ctypes.c_long.from_buffer(figures).value & 0xFFFF_FFFF

    def fsync(self, descriptor: int) -> None:
        os.fsync(descriptor)

    def set_times(self, target: int | str, moment_ns: int) -> None:
        os.utime(target, ns=(moment_ns, moment_ns))

    def touch(self, path: str) -> None:
        os.utime(path)

    def mkdir(self, path: str) -> None:
        os.mkdir(path)

    def link(self, path: str, target: str) -> None:
        os.link(path, target, follow_symlinks=False)

    def rename(self, path: str, target: str) -> None:
        os.rename(path, target)

    def unlink(self, path: str) -> None:
        os.unlink(path)

    def rmdir(self, path: str) -> None:
        os.rmdir(path)

    def listdir(self, path: str) -> Sequence[str]:
        return os.listdir(path)

    def lock(self, descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def free_bytes(self, path: str) -> int:
        figures = os.statvfs(path)
        return figures.f_bavail * figures.f_frsize

    def free_files(self, path: str) -> int | None:
        """Inodes; nothing where the file system does not count them, as btrfs."""
        figures = os.statvfs(path)
        return figures.f_favail if figures.f_files else None


def _libc_syscall(*arguments: object) -> int:
    result: int = _LIBC.syscall(*arguments)
    return result


_LIBC = ctypes.CDLL(None, use_errno=True)


def _libc(name: str, *arguments: object) -> None:
    """Calls a function of the C library that tells a fault by what it returns. Raises OSError."""
    if _function(name)(*arguments):
        raise _last_fault()


@cache
def _function(name: str) -> Callable[..., int]:
    # Where file offsets had 32 bits once, the function that takes 64 has a name of its own.
    function: Callable[..., int] | None = getattr(_LIBC, f"{name}64", None) or getattr(_LIBC, name, None)
    if function is None:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
    return function


def _last_fault() -> OSError:
    fault = ctypes.get_errno()
    return OSError(fault, os.strerror(fault))


def _checked(key: str) -> bytes:
    """The key as the system wants it. Whatever the way it is opened, no part may lead up or mean nothing."""
    if "\0" in key:  # ctypes would cut the name there and open another file
        raise OSError(errno.EINVAL, "a NUL byte in a file name")
    if not {"", ".", ".."}.isdisjoint(key.split("/")):
        raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))
    try:
        return key.encode()
    except UnicodeEncodeError:
        raise OSError(errno.EINVAL, "half a character in a file name") from None


def _walk_beneath(root: int, key: str, flags: int) -> int:
    """The fallback: part by part, resolving every link itself, to the same end as openat2.

    `..` goes back to the directory that was come from, so nothing that is renamed meanwhile leads out of the root. The
    magic links of /proc need no rule: what they say is absolute, or (`pipe:[1]`) no name in their directory.
    """
    way, links = [root], 0
    rest = key.split("/")[::-1]
    try:
        while rest:
            part = rest.pop()
            if part == "..":
                _step_back(way)
            elif part in {"", "."}:
                continue
            elif (target := _target(part, way[-1])) is not None:
                links += 1
                rest += _checked_target(target, links)
            elif rest:
                directory = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
                way.append(os.open(part, directory, dir_fd=way[-1]))
            else:
                return os.open(part, flags | os.O_NOFOLLOW, dir_fd=way[-1])
        return os.open(".", flags, dir_fd=way[-1])
    finally:
        for descriptor in way[1:]:
            os.close(descriptor)


def _step_back(way: list[int]) -> None:
    if len(way) == 1:
        raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))
    os.close(way.pop())


def _target(part: str, directory: int) -> str | None:
    """What a link says; nothing if it is none."""
    try:
        return os.readlink(part, dir_fd=directory)
    except OSError as fault:
        if fault.errno == errno.EINVAL:
            return None
        raise


def _checked_target(target: str, links: int) -> list[str]:
    """Its parts, the last one first."""
    if links > _MAX_LINKS:
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
    if target.startswith("/"):
        raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))
    return target.split("/")[::-1]
