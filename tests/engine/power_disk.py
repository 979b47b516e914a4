"""A disk that notes every operation that changes something, with its data: what a loss of power may undo."""

import os
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

from tests.engine.faulty import Call, Killed, SharingDisk, WatchedDisk


class Operation(NamedTuple):
    """A call that changed something, with its data; `kind` and `arguments` are what the model does with it."""

    call: str
    about: tuple[str, ...]
    """Its paths, below the recorded root; the root itself is nothing."""
    kind: str
    arguments: tuple[Any, ...]

    def __str__(self) -> str:
        return " ".join([self.call, *(path or "." for path in self.about)])


Sync = Literal["fsync", "fdatasync", "nothing"]
Forgets = Callable[[str, Sequence[Operation]], Sync]
"""What is done in truth when the file of this path is to be synced, after these operations."""

HARMLESS = {
    "fstat", "stat", "open_beneath", "read_into", "listdir", "lock", "free_bytes", "free_files", "file_system", "seek",
    "start_writeback",  # a hint that promises nothing, so the model keeps none
}  # fmt: skip
CHANGING = {
    "open", "close", "write", "clone", "copy_range", "send_file", "allocate", "fsync", "set_times", "touch", "mkdir",
    "link", "rename", "unlink", "rmdir",
}  # fmt: skip


def careful(path: str, done: Sequence[Operation]) -> Sync:
    """Nothing is forgotten."""
    return "fsync"


class PowerDisk(WatchedDisk):
    """Adds to `operations` whatever changes something below `root`; its process is killed instead of number `dies_at`.

    One call at a time, so that the order of the notes is the order on the disk.
    """

    def __init__(
        self, root: Path, operations: list[Operation], dies_at: int | None = None, forgets: Forgets = careful
    ) -> None:
        super().__init__(self._around)
        self._root = str(root)
        self._operations = operations
        self._dies_at = None if dies_at is None else len(operations) + dies_at
        self._forgets = forgets
        self._alone = threading.Lock()
        self._opened: dict[int, str] = {}

    def _around(self, name: str, real: Call, arguments: tuple[Any, ...]) -> Any:
        if name in HARMLESS:
            return real(*arguments)
        if name not in CHANGING:
            raise AssertionError(f"the model of a loss of power knows no {name}")
        with self._alone:
            if self._is_foreign(name, arguments):
                return real(*arguments)
            if self._dies_at == len(self._operations):
                raise Killed
            note = getattr(self, f"_note_{name}", None)
            return note(real, *arguments) if note else self._note_as_is(name, real, arguments)

    def _is_foreign(self, name: str, arguments: tuple[Any, ...]) -> bool:
        """About something that is only read: a source, or the directory of a root."""
        if name == "open":
            path, flags = arguments
            is_ours = path == self._root or path.startswith(f"{self._root}/")
            assert is_ours or not flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT), f"{path} is written to"
            return not is_ours
        return name == "close" and arguments[0] not in self._opened

    def _note(self, call: str, about: tuple[str, ...], kind: str, *arguments: Any) -> None:
        self._operations.append(Operation(call, about, kind, arguments))

    def _below(self, path: str) -> str:
        return (
            os.path.relpath(path, self._root).removeprefix(".") if path == self._root else path[len(self._root) + 1 :]
        )

    def _note_as_is(self, name: str, real: Call, arguments: tuple[Any, ...]) -> Any:
        result = real(*arguments)
        paths = tuple(self._below(path) for path in arguments)
        self._note(name, paths, name, *paths)
        return result

    def _note_open(self, real: Call, path: str, flags: int) -> int:
        descriptor: int = real(path, flags)
        self._opened[descriptor] = self._below(path)
        kind = "empty" if flags & os.O_TRUNC else "make" if flags & os.O_CREAT else "open"
        self._note("open", (self._below(path),), kind, descriptor, self._below(path))
        return descriptor

    def _note_close(self, real: Call, descriptor: int) -> None:
        self._note("close", (self._opened.pop(descriptor),), "close", descriptor)
        real(descriptor)

    def _note_write(self, real: Call, descriptor: int, data: bytes | memoryview) -> int:
        count: int = real(descriptor, data)
        return self._moved("write", descriptor, bytes(data[:count]))

    def _note_copy_range(self, real: Call, source: int, target: int, count: int, offset: int) -> int:
        return self._moved("copy_range", target, os.pread(source, real(source, target, count, offset), offset))

    def _note_send_file(self, real: Call, source: int, target: int, count: int, offset: int) -> int:
        return self._moved("send_file", target, os.pread(source, real(source, target, count, offset), offset))

    def _moved(self, call: str, descriptor: int, data: bytes) -> int:
        """At the target's position, which the call has moved on."""
        at = os.lseek(descriptor, 0, os.SEEK_CUR) - len(data)
        self._note(call, (self._opened[descriptor],), "write", descriptor, at, data)
        return len(data)

    def _note_clone(self, real: Call, source: int, target: int, offset: int, count: int) -> None:
        real(source, target, offset, count)
        data = os.pread(source, count, offset)
        self._note("clone", (self._opened[target],), "write", target, offset, data)

    def _note_allocate(self, real: Call, descriptor: int, size_bytes: int) -> None:
        real(descriptor, size_bytes)
        self._note("allocate", (self._opened[descriptor],), "grow", descriptor, size_bytes)

    def _note_fsync(self, real: Call, descriptor: int) -> None:
        path = self._opened[descriptor]
        in_truth = self._forgets(path, self._operations)
        if in_truth != "nothing":
            real(descriptor)
            self._note(in_truth, (path,), in_truth, descriptor)

    def _note_set_times(self, real: Call, target: int | str, moment_ns: int) -> None:
        real(target, moment_ns)
        path = self._opened[target] if isinstance(target, int) else self._below(target)
        self._note("set_times", (path,), "stamp", target if isinstance(target, int) else path, moment_ns)

    def _note_touch(self, real: Call, path: str) -> None:
        real(path)
        self._note("touch", (self._below(path),), "stamp", self._below(path), None)


class SharingPowerDisk(PowerDisk):
    """On a file system that shares blocks, whatever the test runs on."""

    file_system = SharingDisk.file_system
    clone = SharingDisk.clone
