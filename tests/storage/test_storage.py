"""What every storage promises (service/storage/port.py), wherever it is: each test runs on all of `STORAGES`.

Another implementation is run through this by an entry in `STORAGES` (tests/storage/places.py).
"""

import threading
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from contracts import ErrorCode
from service.errors import Interrupted, Trouble
from service.references import EXPORTS, Source
from service.segments import Extent, Segment, Written
from service.storage.port import SourceMissing, SourceUnreadable, Storage
from tests.storage.places import Place

MOMENT_NS = 1_700_000_000 * 10**9
LARGE = bytes(range(256)) * 4096  # a mebibyte: several pieces for any implementation
THREADS = 8


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


def test_what_is_exported_is_read_like_a_source(storage: Storage) -> None:
    storage.make_directories("tree")
    put(storage, "tree/a", b"content")
    version = storage.look(Source(EXPORTS, "tree/a"))
    assert version == storage.version("tree/a")
    assert content_of(storage, Extent(EXPORTS, "tree/a", 3, 7, version)) == b"tent"
    with pytest.raises(SourceMissing):
        storage.look(Source(EXPORTS, "tree/b"))


@pytest.mark.parametrize(
    "key",
    [
        "",
        ".",
        "..",
        "../a.mp4",
        "d/../a.mp4",
        "./a.mp4",
        "/a.mp4",
        "a.mp4/",
        "d//a.mp4",
        "a.mp4\0",
        "a.mp4\0.png",
        "\udcff",
    ],
)
@pytest.mark.parametrize("root", ["media", EXPORTS])
def test_what_is_no_key_is_refused_and_not_merely_missing(root: str, key: str, place: Place, storage: Storage) -> None:
    place.put("a.mp4", LARGE)
    place.put("d/a.mp4", LARGE)
    version = storage.look(Source("media", "a.mp4"))
    with pytest.raises(SourceUnreadable):
        storage.look(Source(root, key))
    with pytest.raises(SourceUnreadable):
        content_of(storage, Extent(root, key, 0, 1, version))


def test_a_directory_is_no_file_and_a_file_no_directory(place: Place, storage: Storage) -> None:
    place.put("d/a.mp4", LARGE)
    assert storage.look(Source("media", "d/a.mp4")).size_bytes == len(LARGE)
    with pytest.raises(SourceUnreadable, match="not a regular file"):
        storage.look(Source("media", "d"))
    with pytest.raises(SourceMissing):
        storage.look(Source("media", "d/a.mp4/a.mp4"))


def test_a_source_has_no_more_bytes_than_it_has(place: Place, storage: Storage) -> None:
    place.put("a.mp4", LARGE)
    extent = whole(storage, "a.mp4")
    beyond = Extent("media", "a.mp4", 5, extent.stop + 1, extent.version)
    with pytest.raises(SourceUnreadable):
        content_of(storage, beyond)
    with pytest.raises(SourceUnreadable):
        storage.assemble("b", [beyond], MOMENT_NS, unwatched)
    assert storage.names("") == []


def test_a_source_that_changed_since_it_was_looked_at_is_not_read(place: Place, storage: Storage) -> None:
    place.put("a.mp4", LARGE)
    extent = whole(storage, "a.mp4")
    place.put("a.mp4", LARGE[::-1])
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
    place.unmount()
    for ask in (storage.check_roots, lambda: storage.look(Source("media", "a.mp4"))):
        with pytest.raises(Trouble) as trouble:
            ask()
        assert trouble.value.code is ErrorCode.STORAGE_UNAVAILABLE


def test_a_root_that_goes_away_later_is_noticed(place: Place, storage: Storage) -> None:
    storage.check_roots()
    place.mount_another()
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


def test_a_checksum_that_is_known_changes_nothing_of_a_file(place: Place, storage: Storage) -> None:
    """Whichever way its bytes then take: alone and among others, on a block of the file and off it, all and some."""
    place.put("a.mp4", LARGE + b"odd")
    extent = replace(whole(storage, "a.mp4"), crc32=zlib.crc32(LARGE + b"odd"))
    part = replace(extent, start=4096, stop=500_000, crc32=zlib.crc32(LARGE[4096:500_000]))
    head = bytes(4096)
    content = {extent: LARGE + b"odd", part: LARGE[4096:500_000], head: head, b"head": b"head", b"": b""}
    files: list[list[Segment]] = [
        [extent],
        [part],
        [head, extent, b"head", extent],
        [b"head", part, b"", extent],
        [extent, part],
    ]
    for segments in files:
        seen: list[int] = []
        expected = b"".join(content[segment] for segment in segments)
        written = storage.assemble("b", segments, MOMENT_NS, seen.append)
        assert storage.get("b") == expected
        assert written == Written(len(expected), zlib.crc32(expected))
        assert sum(seen) == len(expected)


def test_a_source_that_changed_is_not_exported_by_whatever_way(place: Place, storage: Storage) -> None:
    place.put("a.mp4", LARGE)
    extent = whole(storage, "a.mp4")
    place.put("a.mp4", LARGE[::-1])
    known = replace(extent, crc32=zlib.crc32(LARGE))
    files: list[list[Segment]] = [[extent], [known], [bytes(4096), extent], [bytes(4096), known]]
    for segments in files:
        with pytest.raises(SourceUnreadable):
            storage.assemble("b", segments, MOMENT_NS, unwatched)
    assert storage.names("") == []


def test_a_copy_does_not_change_with_its_source(place: Place, storage: Storage) -> None:
    place.put("a.mp4", LARGE)
    storage.assemble("b", [whole(storage, "a.mp4")], MOMENT_NS, unwatched)
    place.put("a.mp4", LARGE[::-1])
    assert storage.get("b") == LARGE


def test_a_file_is_put_in_the_place_of_a_file_and_never_of_a_directory(storage: Storage) -> None:
    put(storage, "b", b"first")
    put(storage, "b", b"second")
    assert storage.get("b") == b"second"
    filled(storage, "tree")
    with pytest.raises(Trouble):
        put(storage, "tree", b"third")
    assert storage.get("tree/inside") == b"tree"


def test_a_file_of_nothing_is_a_file(storage: Storage) -> None:
    assert storage.assemble("b", [], MOMENT_NS, unwatched) == Written(0, 0)
    assert storage.get("b") == b""


def test_nothing_is_left_of_a_file_whose_source_failed(place: Place, storage: Storage) -> None:
    place.put("a.mp4", LARGE)
    extent = whole(storage, "a.mp4")
    place.take("a.mp4")
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


MAKE: tuple[Callable[[Storage, str], object], ...] = (
    lambda storage, key: put(storage, key, b""),
    lambda storage, key: storage.create(key, b""),
    lambda storage, key: storage.claim(key),
    lambda storage, key: storage.append(key, b""),
    lambda storage, key: storage.hold(key),
    lambda storage, key: storage.beat(key),
    lambda storage, key: storage.make_durable(key),
    lambda storage, key: storage.set_moment(key, MOMENT_NS),
)


def test_where_there_is_no_directory_nothing_is_made_and_that_is_trouble(storage: Storage) -> None:
    """So an attempt learns that it was overtaken and swept away."""
    put(storage, "file", b"content")
    for directory in ("gone", "file"):
        for make in MAKE:
            with pytest.raises(Trouble):
                make(storage, f"{directory}/a")
    assert storage.names("") == ["file"]


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
    assert not storage.link("a", "gone/c")
    assert (storage.get("b"), storage.names("")) == (b"other", ["a", "b"])


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


def test_a_file_moves_onto_its_own_second_name(storage: Storage) -> None:
    """A move was stopped half way, and is gone on with."""
    put(storage, "a", b"content")
    assert storage.link("a", "b")
    assert storage.rename("a", "b")
    assert (storage.names(""), storage.get("b")) == (["b"], b"content")


def test_nothing_moves_to_where_there_is_no_directory(storage: Storage) -> None:
    put(storage, "file", b"content")
    filled(storage, "tree")
    assert not storage.rename("file", "gone/file")
    assert not storage.rename("tree", "gone/tree")
    assert storage.names("") == ["file", "tree"]


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


# ---- durability, room


def test_files_and_directories_are_made_durable(storage: Storage) -> None:
    filled(storage, "tree")
    storage.make_durable("tree/inside")
    storage.make_durable("tree")
    assert storage.get("tree/inside") == b"tree"


def test_a_hint_of_what_becomes_durable_next_is_never_trouble(storage: Storage) -> None:
    filled(storage, "tree")
    storage.start_writeback(["tree/inside", "tree", "gone", "gone/deeper"], unwatched)
    assert storage.get("tree/inside") == b"tree"


def test_a_directory_gets_its_moment(storage: Storage) -> None:
    storage.make_directories("tree")
    storage.set_moment("tree", MOMENT_NS)
    version = storage.version("tree")
    assert version
    assert version.mtime_ns == MOMENT_NS


def test_a_moment_stays_when_a_directory_is_moved_or_a_key_in_it_is_asked_for(storage: Storage) -> None:
    filled(storage, "tree")
    hold = storage.hold("tree/lock")
    assert hold
    hold.release()
    storage.set_moment("tree", MOMENT_NS)
    assert not storage.claim("tree/inside")
    again = storage.hold("tree/lock")
    assert again
    again.release()
    storage.append("tree/inside", b"more")
    assert storage.rename("tree", "export")
    version = storage.version("export")
    assert version
    assert version.mtime_ns == MOMENT_NS


CHANGES: dict[str, Callable[[Storage], object]] = {
    "create": lambda storage: storage.create("tree/b", b""),
    "claim": lambda storage: storage.claim("tree/b"),
    "assemble": lambda storage: put(storage, "tree/b", b""),
    "link": lambda storage: storage.link("tree/inside", "tree/b"),
    "rename": lambda storage: storage.rename("tree/inside", "b"),
    "remove": lambda storage: storage.remove("tree/inside"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_directory_tells_when_something_came_into_it_or_went(change: str, storage: Storage) -> None:
    filled(storage, "tree")
    storage.set_moment("tree", MOMENT_NS)
    CHANGES[change](storage)
    version = storage.version("tree")
    assert version
    assert version.mtime_ns > MOMENT_NS


def test_nothing_is_left_of_a_trial_whether_blocks_can_be_shared(place: Place, storage: Storage) -> None:
    place.put("a.mp4", LARGE)
    extent = whole(storage, "a.mp4")
    assert storage.shares_blocks_with(extent, "trial") is storage.shares_blocks_with(extent, "trial")
    place.put("a.mp4", LARGE[::-1])
    with pytest.raises(SourceUnreadable):
        storage.shares_blocks_with(extent, "trial")
    place.take("a.mp4")
    with pytest.raises(SourceMissing):
        storage.shares_blocks_with(extent, "trial")
    assert storage.names("") == []


def test_there_is_room_and_a_boot_that_stays_the_same(place: Place) -> None:
    one, other = place.open(), place.open()
    assert one.free_bytes() > 0
    assert one.boot_id() == other.boot_id()
