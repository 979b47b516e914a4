"""A small POSIX file system: does operations as a running system does, and knows which changes are durable."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from tests.engine.power_disk import Operation

BLOCK_BYTES = 4096
"""What reaches the disk, or does not, as one."""


class Inode:
    """A file or directory, whatever names it has."""

    def __init__(self, is_directory: bool) -> None:
        self.is_directory = is_directory
        self.names: dict[str, Inode] = {}
        """Of a directory, as running processes see it."""
        self.unsynced: list[Change] = []


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


@dataclass(eq=False)
class Change:
    """What is on the disk or not as a whole, until all that it waits for was synced; then it is."""

    number: int
    """Of the operation that made it."""
    waits_for: set[Inode]

    def apply(self, state: State) -> None:
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

    def apply(self, state: State) -> None:
        content = state.contents[self.inode]
        end = min(len(content), self.at + len(self.data))
        if self.at < end:
            content[self.at : end] = self.data[: end - self.at]


@dataclass(eq=False)
class Grow(OfFile):
    """Is at least so large; what was not put there is zeros."""

    size_bytes: int

    def apply(self, state: State) -> None:
        content = state.contents[self.inode]
        content.extend(bytes(max(0, self.size_bytes - len(content))))


@dataclass(eq=False)
class Empty(OfFile):
    """Was cut to nothing."""

    def apply(self, state: State) -> None:
        state.contents[self.inode].clear()


@dataclass(eq=False)
class Stamp(OfFile):
    """Has this modification time; nothing stands for whenever it was."""

    moment_ns: int | None

    def apply(self, state: State) -> None:
        state.moments[self.inode] = self.moment_ns


@dataclass(eq=False)
class Names(Change):
    """Entries of directories; those of a rename change as one.

    A rename from one directory to another waits for both: file systems differ in which of the two carries it.
    """

    entries: list[tuple[Inode, str, Inode | None]]

    def apply(self, state: State) -> None:
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
