"""No key leads out of its root: not by what it says, not by a link, not by what is put in its way meanwhile."""

import ctypes
import errno
import os
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from service.references import Source
from service.segments import Extent, Version
from service.storage import disk
from service.storage.local import LocalStorage
from service.storage.port import SourceFault, SourceMissing, SourceUnreadable

SECRET = b"nobody may read this"


@pytest.fixture(params=["openat2", "fallback"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """The kernel's own resolution, and the walk where the kernel is too old for it, or a container forbids it."""
    if request.param == "fallback":
        monkeypatch.setattr(disk, "_libc_syscall", lambda *_: failed(errno.ENOSYS))
    way: str = request.param
    return way


def failed(fault: int) -> int:
    """As a system call says it."""
    ctypes.set_errno(fault)
    return -1


@pytest.fixture
def media(tmp_path: Path) -> Path:
    """The root, with traps in it; the secret lies beside it."""
    media = tmp_path / "media"
    (media / "inside").mkdir(parents=True)
    (media / "inside" / "1.png").write_bytes(b"picture")
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "1.png").write_bytes(SECRET)
    (media / "up").symlink_to("../outside/1.png")
    (media / "absolute").symlink_to(tmp_path / "outside" / "1.png")
    (media / "absolute within").symlink_to(media / "inside" / "1.png")
    (media / "out").symlink_to("../outside")
    (media / "out and in").symlink_to("../media/inside/1.png")
    (media / "chain").symlink_to("up")
    (media / "loop").symlink_to("loop")
    (media / "magic").symlink_to("/proc/self/root")
    os.mkfifo(media / "fifo")
    return media


@pytest.fixture
def storage(media: Path, way: str) -> Iterator[LocalStorage]:
    roots = {"media": media, "devices": Path("/dev"), "process": Path("/proc/self")}
    storage = LocalStorage(roots, media.parent / "exports")
    yield storage
    storage.close()


ESCAPES = {
    "two dots at the end": "inside/..",
    "an absolute path": "/etc/hostname",
    "nothing": "",
    "a dot": ".",
    "a link up": "up",
    "an absolute link": "absolute",
    "an absolute link within": "absolute within",
    "a link out and in again": "out and in",
    "a link to a link up": "chain",
    "a link to itself": "loop",
    "a directory that is a link": "out/1.png",
    "a link to everything": "magic/etc/hostname",
    "a fifo": "fifo",
    "a directory": "inside",
    "a file as a directory": "inside/1.png/",
    "a NUL": "inside/1.png\0.txt",
    "a name too long": "x" * 300,
    "a path too long": "x/" * 3000,
}


@pytest.mark.parametrize("key", ESCAPES.values(), ids=ESCAPES)
def test_what_leads_elsewhere_or_is_no_file_is_refused(key: str, storage: LocalStorage) -> None:
    refused(storage, Source("media", key))


@pytest.mark.parametrize("key", ["../outside/1.png", "inside/../../outside/1.png", "../media/inside/1.png"])
def test_two_dots_are_refused(key: str, storage: LocalStorage) -> None:
    refused(storage, Source("media", key))


def test_half_a_character_is_refused(storage: LocalStorage) -> None:
    refused(storage, Source("media", "inside/\udcff.png"))


@pytest.mark.parametrize("key", ["null", "zero", "fd/0"])
def test_devices_are_refused(key: str, storage: LocalStorage) -> None:
    refused(storage, Source("devices", key))


def test_a_socket_is_refused(storage: LocalStorage, media: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(media)  # a socket's path must be short
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("socket")
        refused(storage, Source("media", "socket"))


def test_the_magic_links_of_proc_are_refused(storage: LocalStorage, media: Path) -> None:
    with (media / "inside" / "1.png").open("rb") as opened:
        refused(storage, Source("process", f"fd/{opened.fileno()}"))
    refused(storage, Source("process", "root/etc/hostname"))
    refused(storage, Source("process", "exe"))


def refused(storage: LocalStorage, source: Source) -> None:
    """Neither looked at nor read, even by who knows the version that it has."""
    with pytest.raises(SourceFault):
        storage.look(source)
    outside = Path(storage.roots["media"]).parent / "outside" / "1.png"
    extent = Extent(source.root, source.key, 0, len(SECRET), version_of(outside))
    with pytest.raises(SourceFault):
        list(storage.read(extent))


def version_of(path: Path) -> Version:
    status = path.stat()
    return Version(status.st_size, status.st_mtime_ns, status.st_ino)


# ---- what is allowed


def test_a_file_beneath_the_root_is_read(storage: LocalStorage, media: Path) -> None:
    version = storage.look(Source("media", "inside/1.png"))
    assert version == version_of(media / "inside" / "1.png")
    assert b"".join(map(bytes, storage.read(Extent("media", "inside/1.png", 0, 7, version)))) == b"picture"


def test_names_that_only_look_dangerous_are_read(storage: LocalStorage, media: Path) -> None:
    for name in ("..png", "...", "-rf", "a\\b", "%2e%2e", "line\nbreak", "灯台.png"):
        (media / name).write_bytes(b"x")
        assert storage.look(Source("media", name)).size_bytes == 1


def test_a_root_that_is_a_link_itself_is_the_operators_choice(way: str, media: Path, tmp_path: Path) -> None:
    (tmp_path / "mount").symlink_to(media)
    storage = LocalStorage({"media": tmp_path / "mount"}, tmp_path / "exports")
    assert storage.look(Source("media", "inside/1.png")).size_bytes == 7
    storage.close()


# By link: what it says, and what is then read beneath it.
LINKS = {
    "beside.png": ("inside/1.png", ""),
    "directory": ("inside", "/1.png"),
    "inside/back.png": ("../inside/1.png", ""),
    "inside/roundabout.png": (".././/inside/./1.png", ""),
    "with a slash": ("inside/", "/1.png"),
    "inside/above": ("..", "/inside/1.png"),
    "through a link and up": ("inside/above/inside/deep/../1.png", ""),
    "back from where a link leads": ("far/../1.png", ""),
    "link to a link": ("beside.png", ""),
}


@pytest.mark.parametrize("link", LINKS)
def test_links_within_the_root_lead_to_their_file(link: str, storage: LocalStorage, linked: Path) -> None:
    found = storage.look(Source("media", link + LINKS[link][1]))
    assert found == version_of(linked / "inside" / "1.png")


@pytest.fixture
def linked(media: Path) -> Path:
    """The root with all the links in it."""
    (media / "inside" / "deep").mkdir()
    (media / "far").symlink_to("inside/deep")
    for link, (target, _) in LINKS.items():
        (media / link).symlink_to(target)
    return media


# By what a link says: the fault of reading it.
BROKEN = {
    "nothing.png": SourceMissing,
    "inside/1.png/": SourceMissing,
    "inside/1.png/..": SourceMissing,
    "nothing/../inside/1.png": SourceMissing,
    "inside/": SourceUnreadable,
    "inside/..": SourceUnreadable,
    ".": SourceUnreadable,
    "..": SourceUnreadable,
    "inside/../../media/inside/1.png": SourceUnreadable,
    "/": SourceUnreadable,
}


@pytest.mark.parametrize("target", BROKEN)
def test_a_link_that_leads_to_no_file_is_the_same_fault_on_any_kernel(
    target: str, storage: LocalStorage, media: Path
) -> None:
    (media / "link").symlink_to(target)
    with pytest.raises(BROKEN[target]):
        storage.look(Source("media", "link"))


@pytest.mark.parametrize("key", ["up", "absolute within", "chain", "loop", "out/1.png", "magic/etc/hostname"])
def test_what_a_link_hides_outside_is_never_called_missing(key: str, storage: LocalStorage) -> None:
    with pytest.raises(SourceUnreadable, match="outside its root"):
        storage.look(Source("media", key))


def test_a_file_that_is_missing_behind_a_link_is_missing(storage: LocalStorage, linked: Path) -> None:
    with pytest.raises(SourceMissing):
        storage.look(Source("media", "far/nothing/1.png"))


def test_forty_links_are_followed_and_no_more(storage: LocalStorage, media: Path) -> None:
    (media / "0").symlink_to("inside/1.png")
    for number in range(40):
        (media / str(number + 1)).symlink_to(str(number))
    assert storage.look(Source("media", "39")).size_bytes == 7
    refused(storage, Source("media", "40"))


def test_a_link_up_is_followed_while_others_rename(linked: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel then says EAGAIN."""
    monkeypatch.setattr(disk, "_libc_syscall", lambda *_: failed(errno.EAGAIN))
    storage = LocalStorage({"media": linked}, linked.parent / "exports")
    assert storage.look(Source("media", "inside/back.png")).size_bytes == 7
    storage.close()


def test_where_the_kernel_only_may_not_the_walk_is_taken(media: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(disk, "_libc_syscall", lambda *_: failed(errno.EPERM))
    storage = LocalStorage({"media": media}, media.parent / "exports")
    assert storage.look(Source("media", "inside/1.png")).size_bytes == 7
    storage.close()


# ---- what changes meanwhile


@pytest.fixture
def seen(storage: LocalStorage, media: Path) -> Extent:
    """A file that was looked at; then its directory was moved out of the way, for something else to take its place."""
    version = storage.look(Source("media", "inside/1.png"))
    (media / "inside").rename(media / "moved")
    return Extent("media", "inside/1.png", 0, version.size_bytes, version)


def test_a_directory_swapped_for_a_link_out_is_refused(seen: Extent, storage: LocalStorage, media: Path) -> None:
    (media / "inside").symlink_to("../outside")
    with pytest.raises(SourceFault):
        list(storage.read(seen))


def test_a_directory_swapped_for_another_is_noticed(seen: Extent, storage: LocalStorage, media: Path) -> None:
    (media / "inside").mkdir()
    (media / "inside" / "1.png").write_bytes(b"picturE")
    os.utime(media / "inside" / "1.png", ns=(seen.version.mtime_ns, seen.version.mtime_ns))
    with pytest.raises(SourceUnreadable, match="changed"):
        list(storage.read(seen))


def test_a_file_swapped_for_a_fifo_does_not_hang(seen: Extent, storage: LocalStorage, media: Path) -> None:
    (media / "inside").mkdir()
    os.mkfifo(media / "inside" / "1.png")
    with pytest.raises(SourceUnreadable, match="regular file"):
        list(storage.read(seen))


def test_a_file_that_went_away_is_missing(seen: Extent, storage: LocalStorage) -> None:
    with pytest.raises(SourceMissing):
        list(storage.read(seen))


def test_a_root_swapped_for_another_is_not_read_from(storage: LocalStorage, media: Path, tmp_path: Path) -> None:
    version = storage.look(Source("media", "inside/1.png"))
    media.rename(tmp_path / "moved")
    shutil.copytree(tmp_path / "outside", media / "inside")
    extent = Extent("media", "inside/1.png", 0, version.size_bytes, version)
    assert b"".join(map(bytes, storage.read(extent))) == b"picture"  # all of an export comes from one tree
