"""What every storage promises (service/storage/port.py). Another implementation is run through this by `STORAGES`."""

import errno
import os
import threading
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from contracts import ErrorCode
from service.errors import Interrupted, Trouble
from service.model import Written
from service.references import Source, resolve
from service.segments import Extent
from service.storage.disk import Disk
from service.storage.local import LocalStorage
from service.storage.port import SourceMissing, SourceUnreadable, Storage

MOMENT_NS = 1_700_000_000 * 10**9
LARGE = bytes(range(256)) * 4096  # a mebibyte: several pieces for any implementation
THREADS = 8


@dataclass
class Place:
    """A root with media, a root for exports, and as many storages on them as there are processes."""

    home: Path
    kind: str
    opened: ExitStack = field(default_factory=ExitStack)

    def open(self) -> Storage:
        storage, close = STORAGES[self.kind](self.home)
        self.opened.callback(close)
        return storage

    def put(self, key: str, content: bytes) -> None:
        """A source, as some other service would write it."""
        (self.home / "media" / key).write_bytes(content)


def local(home: Path) -> tuple[Storage, Callable[[], None]]:
    storage = LocalStorage({"media": home / "media"}, home / "exports")
    return storage, storage.close


STORAGES: dict[str, Callable[[Path], tuple[Storage, Callable[[], None]]]] = {"local": local}


@pytest.fixture(params=STORAGES)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    (tmp_path / "media").mkdir()
    (tmp_path / "exports").mkdir()
    place = Place(tmp_path, request.param)
    with place.opened:
        yield place


@pytest.fixture
def storage(place: Place) -> Storage:
    return place.open()


def unwatched(_: int) -> None:
    pass


def put(storage: Storage, key: str, content: bytes) -> None:
    storage.assemble(key, [content], MOMENT_NS, unwatched)


def whole(storage: Storage, key: str) -> Extent:
    version = storage.look(Source("media", key))
    return Extent("media", key, 0, version.size_bytes, version)


def content_of(storage: Storage, extent: Extent) -> bytes:
    return b"".join(bytes(piece) for piece in storage.read(extent))


def at_once(work: Callable[[int], bool]) -> list[bool]:
    """What each of the threads got that did `work` in the same moment."""
    barrier = threading.Barrier(THREADS)

    def in_step(number: int) -> bool:
        barrier.wait()
        return work(number)

    with ThreadPoolExecutor(THREADS) as threads:
        return list(threads.map(in_step, range(THREADS)))


# ---- sources


def test_a_source_is_read_whole_and_in_part(place: Place, storage: Storage) -> None:
    place.put("a.mp4", LARGE)
    extent = whole(storage, "a.mp4")
    assert content_of(storage, extent) == LARGE
    part = Extent("media", "a.mp4", 1000, 600_000, extent.version)
    assert content_of(storage, part) == LARGE[1000:600_000]
    assert content_of(storage, Extent("media", "a.mp4", 7, 7, extent.version)) == b""


def test_a_checksum_is_the_crc_32_of_those_bytes(place: Place, storage: Storage) -> None:
    place.put("a.mp4", LARGE)
    assert storage.checksum(whole(storage, "a.mp4"), unwatched) == zlib.crc32(LARGE)


def test_a_checksum_can_be_stopped_half_way(place: Place, storage: Storage) -> None:
    place.put("a.mp4", LARGE)
    told: list[int] = []

    def stop(size_bytes: int) -> None:
        told.append(size_bytes)
        if len(told) == 2:
            raise Interrupted

    with pytest.raises(Interrupted):
        storage.checksum(whole(storage, "a.mp4"), stop)
    assert sum(told) < len(LARGE)


def test_a_source_that_is_not_there_is_missing(storage: Storage) -> None:
    for key in ("a.mp4", "no/a.mp4"):
        with pytest.raises(SourceMissing):
            storage.look(Source("media", key))


def test_a_source_that_changed_since_it_was_looked_at_is_not_read(place: Place, storage: Storage) -> None:
    place.put("a.mp4", LARGE)
    extent = whole(storage, "a.mp4")
    place.put("a.mp4", LARGE[::-1])
    os.utime(place.home / "media" / "a.mp4", ns=(1, 1))
    with pytest.raises(SourceUnreadable):
        content_of(storage, extent)


def test_a_source_that_becomes_shorter_while_it_is_read_is_unreadable(place: Place, storage: Storage) -> None:
    place.put("a.mp4", LARGE)
    pieces = storage.read(whole(storage, "a.mp4"))
    next(pieces)
    place.put("a.mp4", b"short")
    with pytest.raises(SourceUnreadable):
        list(pieces)


def test_a_root_that_is_not_there_is_trouble_and_never_a_missing_file(place: Place, storage: Storage) -> None:
    (place.home / "media").rename(place.home / "unmounted")
    for ask in (storage.check_roots, lambda: storage.look(Source("media", "a.mp4"))):
        with pytest.raises(Trouble) as trouble:
            ask()
        assert trouble.value.code is ErrorCode.STORAGE_UNAVAILABLE


def test_a_root_that_goes_away_later_is_noticed(place: Place, storage: Storage) -> None:
    storage.check_roots()
    (place.home / "media").rename(place.home / "unmounted")
    (place.home / "media").mkdir()
    with pytest.raises(Trouble):
        storage.check_roots()


# ---- assemble


def test_a_file_is_made_of_literals_and_extents(place: Place, storage: Storage) -> None:
    place.put("a.mp4", LARGE)
    extent = whole(storage, "a.mp4")
    seen: list[int] = []
    written = storage.assemble("b", [b"head", extent, b"", b"tail"], MOMENT_NS, seen.append)
    expected = b"head" + LARGE + b"tail"
    assert storage.get("b") == expected
    assert written == Written(len(expected), zlib.crc32(expected))
    assert sum(seen) == len(expected)
    version = storage.version("b")
    assert version
    assert (version.size_bytes, version.mtime_ns) == (len(expected), MOMENT_NS)


def test_a_file_of_nothing_is_a_file(storage: Storage) -> None:
    assert storage.assemble("b", [], MOMENT_NS, unwatched) == Written(0, 0)
    assert storage.get("b") == b""


def test_nothing_is_left_of_a_file_whose_source_failed(place: Place, storage: Storage) -> None:
    place.put("a.mp4", LARGE)
    extent = whole(storage, "a.mp4")
    (place.home / "media" / "a.mp4").unlink()
    with pytest.raises(SourceMissing):
        storage.assemble("b", [b"head", extent], MOMENT_NS, unwatched)
    assert storage.names("") == []


def test_nothing_is_left_of_a_file_that_was_stopped_half_way(place: Place, storage: Storage) -> None:
    place.put("a.mp4", LARGE)
    told: list[int] = []

    def stop(size_bytes: int) -> None:
        told.append(size_bytes)
        assert storage.get("b") is None  # nobody sees it before it is whole
        if len(told) == 2:
            raise Interrupted

    with pytest.raises(Interrupted):
        storage.assemble("b", [whole(storage, "a.mp4")], MOMENT_NS, stop)
    assert storage.names("") == []


# ---- the first wins


def test_of_many_who_create_a_file_one_wins_whole(place: Place) -> None:
    storages = [place.open() for _ in range(THREADS)]
    bodies = [bytes([number]) * 100_000 for number in range(THREADS)]
    made = at_once(lambda number: storages[number].create("decision", bodies[number]))
    assert made.count(True) == 1
    assert storages[0].get("decision") == bodies[made.index(True)]
    assert storages[0].names("") == ["decision"]


def test_who_creates_what_is_there_changes_nothing(storage: Storage) -> None:
    assert storage.create("decision", b"first")
    assert not storage.create("decision", b"second")
    assert storage.get("decision") == b"first"


def test_of_many_who_claim_a_directory_one_wins(place: Place) -> None:
    storages = [place.open() for _ in range(THREADS)]
    assert at_once(lambda number: storages[number].claim("a-000001")).count(True) == 1


def test_one_process_holds_a_key_until_it_lets_go(place: Place) -> None:
    one, other = place.open(), place.open()
    hold = one.hold("lock")
    assert hold
    assert other.hold("lock") is None
    assert one.hold("lock") is None
    hold.release()
    again = other.hold("lock")
    assert again
    again.release()


def test_a_beat_changes_the_pulse_that_others_see(place: Place) -> None:
    one, other = place.open(), place.open()
    assert other.pulse("lock") is None
    hold = one.hold("lock")
    assert hold
    before = other.pulse("lock")
    threading.Event().wait(0.02)  # a kernel's clock may stand still for a tick
    one.beat("lock")
    assert before is not None
    assert other.pulse("lock") != before
    hold.release()


# ---- small files and directories


def test_directories_are_made_with_those_above_them_however_often(storage: Storage) -> None:
    for _ in range(2):
        storage.make_directories("a/b/c")
    assert storage.names("a/b") == ["c"]


def test_what_is_not_there_has_no_content_no_version_and_no_names(storage: Storage) -> None:
    assert (storage.get("a/b"), storage.version("a/b"), storage.names("a/b")) == (None, None, [])


def test_names_are_sorted_and_of_that_directory_only(storage: Storage) -> None:
    storage.make_directories("d/deep")
    for name in ("b", "a", "C", "ä"):
        put(storage, f"d/{name}", b"")
    put(storage, "d/deep/x", b"")
    assert storage.names("d") == sorted(["b", "a", "C", "ä", "deep"])


def test_a_content_larger_than_a_piece_comes_whole(storage: Storage) -> None:
    put(storage, "a", LARGE + b"x")
    assert storage.get("a") == LARGE + b"x"


def test_lines_that_two_append_at_once_stay_whole(place: Place) -> None:
    storages = [place.open() for _ in range(THREADS)]
    lines = [f"{number}".encode() * 500 + b"\n" for number in range(THREADS)]

    def append(number: int) -> bool:
        for _ in range(20):
            storages[number].append("journal", lines[number])
        return True

    at_once(append)
    journal = storages[0].get("journal") or b""
    assert sorted(journal.splitlines(keepends=True)) == sorted(lines * 20)


def test_a_link_is_a_second_name_for_the_same_file(storage: Storage) -> None:
    put(storage, "a", b"content")
    assert storage.link("a", "b")
    assert storage.version("a") == storage.version("b")
    storage.remove("a")
    assert storage.get("b") == b"content"


def test_a_link_takes_no_name_that_is_taken_and_none_of_nothing(storage: Storage) -> None:
    put(storage, "a", b"content")
    put(storage, "b", b"other")
    assert not storage.link("a", "b")
    assert not storage.link("gone", "c")
    assert (storage.get("b"), storage.get("c")) == (b"other", None)


# ---- rename and remove


def filled(storage: Storage, directory: str) -> None:
    storage.make_directories(directory)
    put(storage, f"{directory}/inside", directory.encode())


def test_a_file_and_a_directory_move_to_a_free_name(storage: Storage) -> None:
    put(storage, "file", b"content")
    filled(storage, "tree")
    assert storage.rename("file", "file 2")
    assert storage.rename("tree", "tree 2")
    assert storage.names("") == ["file 2", "tree 2"]
    assert storage.get("tree 2/inside") == b"tree"


def test_who_renames_what_was_renamed_before_finds_it_done(storage: Storage) -> None:
    filled(storage, "tree")
    assert storage.rename("tree", "export")
    assert not storage.rename("tree", "export")
    assert not storage.rename("file", "export.zip")


@pytest.mark.parametrize(
    ("moved", "taken"),
    [
        ("file", "other file"),
        ("file", "other tree"),
        ("tree", "other tree"),
        ("tree", "other file"),
    ],
)
def test_nothing_moves_onto_a_name_that_is_taken(moved: str, taken: str, storage: Storage) -> None:
    put(storage, "file", b"mine")
    put(storage, "other file", b"theirs")
    filled(storage, "tree")
    filled(storage, "other tree")
    assert not storage.rename(moved, taken)
    assert storage.names("") == ["file", "other file", "other tree", "tree"]
    assert (storage.get("other file"), storage.get("other tree/inside")) == (b"theirs", b"other tree")


def test_of_many_who_move_a_directory_to_one_name_one_wins(place: Place) -> None:
    storages = [place.open() for _ in range(THREADS)]
    for number, storage in enumerate(storages):
        filled(storage, f"tree {number}")
    moved = at_once(lambda number: storages[number].rename(f"tree {number}", "export"))
    assert moved.count(True) == 1
    assert storages[0].get("export/inside") == f"tree {moved.index(True)}".encode()


def test_files_whole_trees_and_nothing_at_all_can_be_removed(storage: Storage) -> None:
    put(storage, "file", b"")
    filled(storage, "tree/deeper")
    filled(storage, "tree")
    for key in ("file", "tree", "gone", "gone/deeper"):
        storage.remove(key)
    assert storage.names("") == []


def test_a_removal_ends_at_links(place: Place, storage: Storage) -> None:
    place.put("a.mp4", b"precious")
    storage.make_directories("tree")
    (place.home / "exports" / "tree" / "link").symlink_to(place.home / "media")
    storage.remove("tree")
    assert (place.home / "media" / "a.mp4").read_bytes() == b"precious"


# ---- durability, room


def test_files_and_directories_are_made_durable(storage: Storage) -> None:
    filled(storage, "tree")
    storage.make_durable("tree/inside")
    storage.make_durable("tree")
    assert storage.get("tree/inside") == b"tree"


def test_a_file_that_may_not_have_become_durable_is_discarded(place: Place) -> None:
    class Failing(Disk):
        def fsync(self, descriptor: int) -> None:
            raise OSError(errno.EIO, os.strerror(errno.EIO))

    storage = LocalStorage({}, place.home / "exports", Failing())
    put(storage, "a", b"content")
    with pytest.raises(Trouble):
        storage.make_durable("a")
    assert storage.get("a") is None


def test_a_directory_gets_its_moment(storage: Storage) -> None:
    storage.make_directories("tree")
    storage.set_moment("tree", MOMENT_NS)
    version = storage.version("tree")
    assert version
    assert version.mtime_ns == MOMENT_NS


def test_there_is_room_and_a_boot_that_stays_the_same(place: Place) -> None:
    one, other = place.open(), place.open()
    assert one.free_bytes() > 0
    assert one.boot_id() == other.boot_id()


def test_a_root_is_the_same_however_it_is_written(tmp_path: Path) -> None:
    """References may be absolute, and are compared with it."""
    (tmp_path / "media").mkdir()
    (tmp_path / "media/a.png").write_bytes(b"a")
    storage = LocalStorage({"media": tmp_path / "elsewhere" / ".." / "media"}, tmp_path)
    assert resolve(f"file://{tmp_path}/media/a.png", storage.roots) == Source("media", "a.png")
