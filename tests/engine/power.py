"""What a loss of power may leave of an export: a disk that notes every operation, and a small POSIX file system.

A state is built, never waited for. Of the operations before the cut, what was synced stays; of the rest a seeded chance
keeps this and loses that, as one of two models has it. Knows nothing of exports.
"""

import os
import random
import threading
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, NamedTuple

from tests.engine.faulty import Call, Killed, SharingDisk, WatchedDisk

BLOCK_BYTES = 4096
"""What reaches the disk, or does not, as one."""

# ---- what was done ------------------------------------------------------------------------------------------------


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
    "fstat", "stat", "open_beneath", "read_into", "listdir", "lock", "free_bytes", "file_system", "seek",
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


# ---- what was changed by it ---------------------------------------------------------------------------------------


class Inode:
    """A file or directory, whatever names it has."""

    def __init__(self, is_directory: bool) -> None:
        self.is_directory = is_directory
        self.names: dict[str, Inode] = {}
        """Of a directory, as running processes see it."""
        self.unsynced: list[Change] = []


@dataclass(eq=False)
class Change:
    """What is on the disk or not as a whole, until all that it waits for was synced; then it is."""

    number: int
    """Of the operation that made it."""
    waits_for: set[Inode]

    def apply(self, state: "State") -> None:
        raise NotImplementedError


@dataclass(eq=False)
class OfFile(Change):
    """What a file's own inode or blocks say."""

    inode: Inode


@dataclass(eq=False)
class Put(OfFile):
    """Bytes of one block. Beyond the end that the file has on the disk nobody sees them."""

    at: int
    data: bytes

    def apply(self, state: "State") -> None:
        content = state.contents[self.inode]
        end = min(len(content), self.at + len(self.data))
        if self.at < end:
            content[self.at : end] = self.data[: end - self.at]


@dataclass(eq=False)
class Grow(OfFile):
    """Is at least so large; what was not put there is zeros."""

    size_bytes: int

    def apply(self, state: "State") -> None:
        content = state.contents[self.inode]
        content.extend(bytes(max(0, self.size_bytes - len(content))))


@dataclass(eq=False)
class Empty(OfFile):
    """Was cut to nothing."""

    def apply(self, state: "State") -> None:
        state.contents[self.inode].clear()


@dataclass(eq=False)
class Stamp(OfFile):
    """Has this modification time; nothing stands for whenever it was."""

    moment_ns: int | None

    def apply(self, state: "State") -> None:
        state.moments[self.inode] = self.moment_ns


@dataclass(eq=False)
class Names(Change):
    """Entries of directories; those of a rename change as one.

    A rename from one directory to another waits for both: file systems differ in which of the two carries it.
    """

    entries: list[tuple[Inode, str, Inode | None]]

    def apply(self, state: "State") -> None:
        for directory, name, inode in self.entries:
            if inode is None:
                state.names[directory].pop(name, None)
            else:
                state.names[directory][name] = inode


class Node(NamedTuple):
    """A file or directory of a state."""

    identity: int
    content: bytes | None
    """Nothing for a directory."""
    moment_ns: int | None


Tree = dict[str, Node]
"""By path, directories before what is in them."""


class FileSystem:
    """Does operations as a running system does, and knows of each of their changes whether it is durable."""

    def __init__(self, before: Tree, operations: Iterable[Operation]) -> None:
        self.root = Inode(is_directory=True)
        self.changes: list[Change] = []
        self.count = 0
        """Of operations that were done."""
        self.synced = 0
        """How many there were when something was synced last."""
        self._opened: dict[int, Inode] = {}
        self._plant(before)
        for operation in operations:
            getattr(self, f"_{operation.kind}")(*operation.arguments)
            self.count += 1

    def _plant(self, before: Tree) -> None:
        """What was on the disk when it began."""
        inodes: dict[int, Inode] = {}
        for path, node in before.items():
            is_new = node.identity not in inodes
            inode = inodes.setdefault(node.identity, Inode(node.content is None))
            self._enter(path, inode)
            if is_new and node.content is not None:
                self._put(inode, 0, node.content)
        for node in before.values():
            inode = inodes[node.identity]
            self._add(Stamp(self.count, {inode}, inode, node.moment_ns))
        for inode in (self.root, *inodes.values()):
            self._sync(inode)

    # ---- operations

    def _open(self, descriptor: int, path: str) -> None:
        self._opened[descriptor] = self._at(path)

    def _make(self, descriptor: int, path: str) -> None:
        directory, name = self._place(path)
        if name not in directory.names:
            self._enter(path, Inode(is_directory=False))
        self._open(descriptor, path)

    def _empty(self, descriptor: int, path: str) -> None:
        self._make(descriptor, path)
        inode = self._opened[descriptor]
        self._add(Empty(self.count, {inode}, inode))
        self._add(Stamp(self.count, {inode}, inode, None))

    def _close(self, descriptor: int) -> None:
        del self._opened[descriptor]

    def _write(self, descriptor: int, at: int, data: bytes) -> None:
        self._put(self._opened[descriptor], at, data)

    def _grow(self, descriptor: int, size_bytes: int) -> None:
        inode = self._opened[descriptor]
        self._add(Grow(self.count, {inode}, inode, size_bytes))

    def _stamp(self, target: int | str, moment_ns: int | None) -> None:
        inode = self._opened[target] if isinstance(target, int) else self._at(target)
        self._add(Stamp(self.count, {inode}, inode, moment_ns))

    def _fsync(self, descriptor: int) -> None:
        self._sync(self._opened[descriptor])
        self.synced = self.count + 1

    def _fdatasync(self, descriptor: int) -> None:
        """The bytes and what it takes to find them, thus the size; not the times."""
        inode = self._opened[descriptor]
        pending = inode.unsynced
        inode.unsynced = [change for change in pending if not isinstance(change, Stamp)]
        self._sync(inode)
        inode.unsynced = [change for change in pending if isinstance(change, Stamp)]

    def _mkdir(self, path: str) -> None:
        self._enter(path, Inode(is_directory=True))

    def _link(self, path: str, target: str) -> None:
        self._enter(target, self._at(path))

    def _rename(self, path: str, target: str) -> None:
        (here, old), (there, new) = self._place(path), self._place(target)
        self._rebind([(here, old, None), (there, new, here.names[old])])

    def _unlink(self, path: str) -> None:
        self._rebind([(*self._place(path), None)])

    def _rmdir(self, path: str) -> None:
        assert not self._at(path).names, f"{path} is not empty"
        self._unlink(path)

    # ---- their changes

    def _add(self, change: Change) -> None:
        self.changes.append(change)
        for inode in change.waits_for:
            inode.unsynced.append(change)

    def _sync(self, inode: Inode) -> None:
        for change in inode.unsynced:
            change.waits_for.discard(inode)
        inode.unsynced = []

    def _put(self, inode: Inode, at: int, data: bytes) -> None:
        self._add(Grow(self.count, {inode}, inode, at + len(data)))
        for start, piece in _blocks(at, data):
            self._add(Put(self.count, {inode}, inode, start, piece))
        self._add(Stamp(self.count, {inode}, inode, None))

    def _enter(self, path: str, inode: Inode) -> None:
        self._rebind([(*self._place(path), inode)])

    def _rebind(self, entries: list[tuple[Inode, str, Inode | None]]) -> None:
        self._add(Names(self.count, {directory for directory, _, _ in entries}, entries))
        for directory, name, inode in entries:
            self._add(Stamp(self.count, {directory}, directory, None))
            if inode is None:
                del directory.names[name]
            else:
                directory.names[name] = inode

    # ---- paths

    def _at(self, path: str) -> Inode:
        inode = self.root
        for name in filter(None, path.split("/")):
            inode = inode.names[name]
        return inode

    def _place(self, path: str) -> tuple[Inode, str]:
        above, _, name = path.rpartition("/")
        return self._at(above), name


def _blocks(at: int, data: bytes) -> Iterator[tuple[int, bytes]]:
    start = 0
    while start < len(data):
        stop = start + BLOCK_BYTES - (at + start) % BLOCK_BYTES
        yield at + start, data[start:stop]
        start = stop


# ---- what is left of it -------------------------------------------------------------------------------------------


@dataclass
class State:
    """What is on the disk, while it is put together."""

    contents: dict[Inode, bytearray] = field(default_factory=lambda: defaultdict(bytearray))
    moments: dict[Inode, int | None] = field(default_factory=dict)
    names: dict[Inode, dict[str, Inode]] = field(default_factory=lambda: defaultdict(dict))

    def below(self, directory: Inode, path: str = "") -> Iterator[tuple[str, Inode]]:
        """What can be reached; the rest is lost even where it is on the disk."""
        for name, inode in self.names[directory].items():
            yield path + name, inode
            yield from self.below(inode, f"{path}{name}/")


Keeps = Callable[[Change], bool]


def in_order(system: FileSystem, chance: random.Random) -> Keeps:
    """A journal: names, times and sizes up to a point after the last sync; the bytes up to another one before that.

    Whether a file whose bytes did not come has its size already (XFS, zeros) or not (ext4's delayed allocation) is
    drawn too.
    """
    metadata = chance.randint(system.synced, system.count)
    data = chance.randint(0, metadata)
    late = Put if chance.random() < 0.5 else (Put, Grow, Empty)
    return lambda change: change.number < (data if isinstance(change, late) else metadata)


def nothing_more(system: FileSystem, chance: random.Random) -> Keeps:
    """Only what was synced: legal in both models, and never drawn often enough."""
    return lambda change: False


def reordered(system: FileSystem, chance: random.Random) -> Keeps:
    """POSIX: whatever was not synced is there or not, each by itself."""
    names, times = chance.choice((0.0, 0.5, 0.9, 1.0)), chance.choice((0.0, 0.5, 1.0))
    # All files in one manner, or each in its own.
    ways = _MANNERS if chance.random() < 0.5 else [chance.choice(_MANNERS)]
    manners: dict[Inode, Keeps] = defaultdict(lambda: chance.choice(ways)(system, chance))

    def keeps(change: Change) -> bool:
        if isinstance(change, OfFile) and not isinstance(change, Stamp):
            return manners[change.inode](change)
        return chance.random() < (times if isinstance(change, Stamp) else names)

    return keeps


_MANNERS: Sequence[Callable[[FileSystem, random.Random], Keeps]] = (
    nothing_more,
    lambda system, chance: lambda change: True,
    lambda system, chance: lambda change: not isinstance(change, Put),  # its size, and zeros
    lambda system, chance: lambda change: isinstance(change, Grow) or chance.random() < 0.5,
    in_order,
)
"""How a file comes out of it whose bytes were not synced."""

MODELS: Mapping[str, Callable[[FileSystem, random.Random], Keeps]] = {
    "in order": in_order,
    "reordered": reordered,
    "nothing more": nothing_more,
}


def after_the_cut(system: FileSystem, model: str, seed: int) -> Tree:
    """A state that the disk may have when the power is gone after the last operation."""
    # The count too: one seed would lose the same of neighbouring cuts.
    return kept(system, MODELS[model](system, random.Random(f"{model} {system.count} {seed}")))


def kept(system: FileSystem, keeps: Keeps) -> Tree:
    """What was synced, and of the rest what `keeps` says."""
    state = State()
    for change in system.changes:
        if not change.waits_for or keeps(change):
            change.apply(state)
    identities: dict[Inode, int] = {}
    return {
        path: Node(
            identities.setdefault(inode, len(identities)),
            None if inode.is_directory else bytes(state.contents[inode]),
            state.moments.get(inode),
        )
        for path, inode in state.below(system.root)
    }


def materialise(tree: Tree, root: Path) -> None:
    """Makes it in an empty directory. What has no time of its own gets that of now."""
    made: dict[int, Path] = {}
    for path, node in tree.items():
        place = root / path
        if node.content is None:
            place.mkdir()
        elif node.identity in made:
            place.hardlink_to(made[node.identity])
        else:
            place.write_bytes(node.content)
        made.setdefault(node.identity, place)
    for path, node in reversed(tree.items()):
        if node.moment_ns is not None:
            os.utime(root / path, ns=(node.moment_ns, node.moment_ns))
