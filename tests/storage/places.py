"""Where the storages of a test are: in memory, in a temporary directory, on a file system of some kind."""

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import partial
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Protocol

import pytest

from service.storage.local import LocalStorage
from service.storage.memory import Memory, MemoryStorage
from service.storage.port import Storage
from tests.storage.file_systems import KINDS


class Place(Protocol):
    """A root with media, a root for exports, and as many storages on them as there are processes."""

    def open(self) -> Storage: ...

    def put(self, key: str, content: bytes) -> None:
        """A source, as some other service would write it."""

    def take(self, key: str) -> None:
        """A source is there no more."""

    def unmount(self) -> None:
        """The media root is there no more."""

    def mount_another(self) -> None:
        """An empty media root comes in the place of the one that was there, if it still was."""


class InMemory:
    """Storages that share a `Memory`."""

    def __init__(self, room_bytes: int = 1024**3) -> None:
        self.memory = Memory({"media": {}}, room_bytes)

    def open(self) -> Storage:
        return MemoryStorage(self.memory)

    def put(self, key: str, content: bytes) -> None:
        self.memory.put("media", key, content)

    def take(self, key: str) -> None:
        self.memory.roots["media"].drop(key)

    def unmount(self) -> None:
        del self.memory.roots["media"]

    def mount_another(self) -> None:
        self.memory.mount("media", {})


class OnDisk:
    """Storages that share two directories; `trusted` is theirs."""

    def __init__(self, home: Path, opened: ExitStack, trusted: tuple[str, ...] = ()) -> None:
        self.home = home
        self.media, self.exports = home / "media", home / "exports"
        self.media.mkdir()
        self.exports.mkdir()
        self._opened = opened
        self._trusted = trusted
        # A kernel's clock may stand still between two writings. And whole seconds of long ago: a file that was written
        # just now is not cloned.
        self._moments_ns = count(1_600_000_000 * 10**9, 10**9)

    def open(self) -> Storage:
        storage = LocalStorage({"media": self.media}, self.exports, trusted=self._trusted)
        self._opened.callback(storage.close)
        return storage

    def put(self, key: str, content: bytes) -> None:
        path = self.media / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        moment_ns = next(self._moments_ns)
        os.utime(path, ns=(moment_ns, moment_ns))

    def take(self, key: str) -> None:
        (self.media / key).unlink()

    def unmount(self) -> None:
        self.media.rename(self.home / "unmounted")

    def mount_another(self) -> None:
        if self.media.exists():
            self.unmount()
        self.media.mkdir()


@contextmanager
def in_memory(_: pytest.FixtureRequest) -> Iterator[Place]:
    yield InMemory()


@contextmanager
def in_a_directory(request: pytest.FixtureRequest) -> Iterator[Place]:
    with ExitStack() as opened:
        yield OnDisk(request.getfixturevalue("tmp_path"), opened)


@contextmanager
def on_a(kind: str, request: pytest.FixtureRequest, trusted: tuple[str, ...] = ()) -> Iterator[OnDisk]:
    mount = request.getfixturevalue("file_systems").at(kind)
    with TemporaryDirectory(dir=mount) as home, ExitStack() as opened:
        yield OnDisk(Path(home), opened, trusted)


STORAGES: dict[str, Callable[[pytest.FixtureRequest], AbstractContextManager[Place]]] = {
    "memory": in_memory,
    "local": in_a_directory,
    **{kind: partial(on_a, kind) for kind in KINDS},
}
