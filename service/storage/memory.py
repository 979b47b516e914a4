"""A storage without a disk, for tests and previews: what is in it ends with the process."""

import threading
import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sized
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import accumulate, count
from typing import TypeVar

from isal.isal_zlib import crc32

from contracts import ErrorCode
from service.errors import Trouble
from service.references import EXPORTS, Source
from service.segments import Extent, Segment, Version, Written
from service.storage.port import Hold, SourceMissing, SourceUnreadable, Watch

N = TypeVar("N", bound="_Node")

_PIECE_BYTES = 256 * 1024


class MemoryStorage:
    """What one process sees of a `Memory`. Reads a source also where its CRC-32 is known: that costs nothing here."""

    def __init__(self, memory: "Memory", scope: str = "", trusted: Collection[str] = ()) -> None:
        self.roots: Mapping[str, str] = {name: f"/{name}" for name in memory.sources}
        self.real_roots = self.roots
        self.scope = scope
        self.trusted = frozenset(trusted)
        self._memory = memory
        self._opened: dict[str, _Directory] = {}

    # ---- sources

    def check_roots(self) -> None:
        for name in self.roots:
            if self._root(name) is not self._memory.roots.get(name):
                raise Trouble(ErrorCode.STORAGE_UNAVAILABLE, f"the {name} root is not the one it was")

    def _root(self, name: str) -> "_Directory":
        """The one that was there when it was first asked for: all of an export is read from one and the same."""
        root = self._opened.get(name) or self._memory.roots.get(name)
        if root is None:
            raise Trouble(ErrorCode.STORAGE_UNAVAILABLE, f"the {name} root is not there")
        return self._opened.setdefault(name, root)

    def look(self, source: Source) -> Version:
        return self._file(source).version

    def _file(self, source: Source) -> "_File":
        if not _is_key(source.key):
            raise SourceUnreadable("has a name that no file of a root can have")
        node = self._root(source.root).find(source.key)
        if node is None:
            raise SourceMissing
        if not isinstance(node, _File):
            raise SourceUnreadable("is not a regular file")
        return node

    def read(self, extent: Extent) -> Iterator[memoryview]:
        content = self._expected(extent)
        for start in range(extent.start, extent.stop, _PIECE_BYTES):
            yield memoryview(content[start : min(start + _PIECE_BYTES, extent.stop)])
        self._expected(extent)

    def _expected(self, extent: Extent) -> bytes | bytearray:
        file = self._file(Source(extent.root, extent.key))
        if file.version != extent.version or extent.stop > len(file.content):
            raise SourceUnreadable("changed while it was exported")
        return file.content

    def checksum(self, extent: Extent, watch: Watch) -> int:
        checksum = 0
        for piece in self.read(extent):
            checksum = crc32(piece, checksum)
            watch(len(piece))
        return checksum

    # ---- files of exports

    def assemble(self, key: str, segments: Iterable[Segment], moment_ns: int, watch: Watch) -> Written:
        with self._exports(key) as exports:
            exports.place(key)  # that there is none is told before the fault of a source is
        content, checksum = bytearray(), 0
        for segment in segments:
            for piece in [segment] if isinstance(segment, bytes) else self.read(segment):
                content += piece
                checksum = crc32(piece, checksum)
                watch(len(piece))
        with self._exports(key) as exports:
            exports.put(key, _File(content, moment_ns))
        return Written(len(content), checksum)

    def create(self, key: str, body: bytes) -> bool:
        with self._exports(key) as exports:
            return exports.name(key, _File(body))

    def get(self, key: str) -> bytes | None:
        with self._exports(key) as exports, suppress(FileNotFoundError):
            return bytes(exports.at(key, _File).content)
        return None

    def append(self, key: str, line: bytes) -> None:
        with self._exports(key) as exports:
            exports.name(key, _File(bytearray()))
            file = exports.at(key, _File)
            file.content += line
            file.touch()

    def link(self, key: str, target: str) -> bool:
        with self._exports(key) as exports, suppress(FileNotFoundError):
            return exports.name(target, exports.at(key, _File))
        return False

    # ---- directories of exports, and what is done to either

    def claim(self, key: str) -> bool:
        with self._exports(key) as exports:
            return exports.name(key, _Directory({}))

    def make_directories(self, key: str) -> None:
        for directory in _way(key):
            self.claim(directory)

    def names(self, key: str) -> list[str]:
        with self._exports(key) as exports, suppress(FileNotFoundError):
            return sorted(exports.at(key, _Directory).content)
        return []

    def version(self, key: str) -> Version | None:
        with self._exports(key) as exports, suppress(FileNotFoundError):
            return exports.at(key, _Node).version
        return None

    def rename(self, key: str, target: str) -> bool:
        with self._exports(target) as exports, suppress(FileNotFoundError):
            node = exports.at(key, _Node)
            if exports.name(target, node) or exports.find(target) is node:
                exports.drop(key)
                return True
        return False

    def remove(self, key: str) -> None:
        with self._exports(key) as exports, suppress(FileNotFoundError):
            exports.drop(key)

    def start_writeback(self, keys: Iterable[str], watch: Watch) -> None:
        pass

    def make_durable(self, key: str) -> None:
        with self._exports(key) as exports:
            exports.at(key, _Node)

    def set_moment(self, key: str, moment_ns: int) -> None:
        with self._exports(key) as exports:
            exports.at(key, _Node).moment_ns = moment_ns

    # ---- signs of life, room

    def hold(self, key: str) -> Hold | None:
        with self._exports(key) as exports:
            exports.name(key, _File())
            file = exports.at(key, _File)
            return file.lock if file.lock.acquire(blocking=False) else None

    def beat(self, key: str) -> None:
        with self._exports(key) as exports:
            exports.at(key, _Node).touch()

    def pulse(self, key: str) -> int | None:
        version = self.version(key)
        return None if version is None else version.mtime_ns

    def free_bytes(self) -> int:
        with self._exports("") as exports:
            return self._memory.room_bytes - sum(len(file.content) for file in set(exports.files()))

    def shares_blocks_with(self, extent: Extent, key: str) -> bool:
        self._expected(extent)
        return False

    def boot_id(self) -> str:
        return "memory"  # it is lost with all that is in it, or not at all

    @contextmanager
    def _exports(self, key: str) -> "Iterator[_Directory]":
        """The exports root, for this thread alone. Whatever goes wrong in it is this machine's trouble."""
        with self._memory.alone:
            try:
                yield self._memory.roots[EXPORTS]
            except OSError as fault:
                raise Trouble(ErrorCode.IO_ERROR, f'"{key}" in the exports root: {fault}') from fault


class Memory:
    """What storages share as processes share a disk: `sources`, each a root with its files by key, and the exports."""

    def __init__(self, sources: Mapping[str, Mapping[str, bytes]], room_bytes: int = 1024**3) -> None:
        self.sources = tuple(sources)
        self.room_bytes = room_bytes
        self.alone = threading.RLock()
        self.roots = {EXPORTS: _Directory({})}
        for root, files in sources.items():
            self.mount(root, files)

    def mount(self, root: str, files: Mapping[str, bytes]) -> None:
        """A root, also in the place of another."""
        self.roots[root] = _Directory({})
        for key, content in files.items():
            self.put(root, key, content)

    def put(self, root: str, key: str, content: bytes) -> None:
        """A source, as some other service would write it."""
        with self.alone:
            for directory in [*_way(key)][:-1]:
                self.roots[root].name(directory, _Directory({}))
            self.roots[root].put(key, _File(content))


@dataclass(eq=False)
class _Node:
    content: Sized
    moment_ns: int = field(default_factory=time.time_ns)
    inode: int = field(default_factory=count(1).__next__)

    @property
    def version(self) -> Version:
        return Version(len(self.content), self.moment_ns, self.inode)

    def touch(self) -> None:
        self.moment_ns = max(time.time_ns(), self.moment_ns + 1)  # every time shows, also within one tick


@dataclass(eq=False)
class _File(_Node):
    content: bytes | bytearray = b""
    lock: threading.Lock = field(default_factory=threading.Lock)


@dataclass(eq=False)
class _Directory(_Node):
    """Knows what is beneath it by key, and says what is wrong as a disk would."""

    content: dict[str, _Node]

    def find(self, key: str) -> _Node | None:
        node: _Node | None = self
        for part in key.split("/") if key else ():
            node = node.content.get(part) if isinstance(node, _Directory) else None
        return node

    def at(self, key: str, kind: type[N]) -> N:
        node = self.find(key)
        if node is None:
            raise FileNotFoundError("there is no such file or directory")
        if not isinstance(node, kind):
            raise FileExistsError("something of another kind is there")
        return node

    def place(self, key: str) -> "tuple[_Directory, str]":
        directory, _, name = key.rpartition("/")
        return self.at(directory, _Directory), name

    def name(self, key: str, node: _Node) -> bool:
        """Gives it this name, unless that is taken; whether it was free."""
        directory, name = self.place(key)
        is_free = name not in directory.content
        if is_free:
            directory.content[name] = node
            directory.touch()
        return is_free

    def put(self, key: str, file: _File) -> None:
        """Gives it this name, whatever file had it."""
        with suppress(FileNotFoundError):
            self.at(key, _File)
            self.drop(key)
        self.name(key, file)

    def drop(self, key: str) -> None:
        directory, name = self.place(key)
        if directory.content.pop(name, None):
            directory.touch()

    def files(self) -> Iterator[_File]:
        for node in self.content.values():
            if isinstance(node, _File):
                yield node
            elif isinstance(node, _Directory):
                yield from node.files()


def _is_key(key: str) -> bool:
    """The rest is refused here as by any storage, and not merely missing."""
    is_text = key.encode(errors="replace").decode() == key
    return is_text and "\0" not in key and {"", ".", ".."}.isdisjoint(key.split("/"))


def _way(key: str) -> Iterator[str]:
    """The directories above it, from the top, and itself: `a`, `a/b`, `a/b/c`."""
    return accumulate(key.split("/"), "{}/{}".format)
