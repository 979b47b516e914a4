"""A full disk breaks nothing: it is said, and the export finishes when there is room."""

import contextlib
import errno
import itertools
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from contracts import ErrorCode
from service.attempt import history
from service.errors import Trouble
from tests.engine.faulty import Call, Killed, SharingDisk, WatchedDisk, dying, failing
from tests.engine.workbench import (
    Bench,
    Undisturbed,
    complaint,
    completed,
    images_project,
    small_project,
    start,
    visible,
)


class SmallDisk(WatchedDisk):
    """Has room for so many more bytes; the write that goes beyond is short, the next one fails."""

    def __init__(self, room_bytes: int) -> None:
        super().__init__(self._around)
        self.room_bytes = room_bytes
        self.written_bytes = 0

    def _around(self, name: str, real: Call, arguments: tuple[Any, ...]) -> Any:
        if name != "write":
            return real(*arguments)
        descriptor, data = arguments
        fits = data[: self.room_bytes - self.written_bytes]
        if not fits:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        count = real(descriptor, fits)
        self.written_bytes += count
        return count


def full(name: str, real: Call, arguments: tuple[Any, ...]) -> Any:
    return 1_000_000 if name == "free_bytes" else real(*arguments)


def test_too_little_space_is_said_with_both_figures_before_anything_is_copied(bench: Bench) -> None:
    with pytest.raises(Trouble) as trouble:
        bench.run(start(small_project()), WatchedDisk(full))
    assert trouble.value.code is ErrorCode.NO_SPACE
    needed, free = [int(word.replace(",", "")) for word in trouble.value.detail.split() if word[0].isdigit()]
    assert free == 1_000_000
    assert needed > 16 * 1024 * 1024 + 2 * 600_000, "the media, the archive, and some to spare"
    assert list(bench.attempt(1).glob("tree/*/*")) == []
    assert bench.outcome() is None


def test_where_blocks_can_be_shared_an_export_needs_next_to_no_space(bench: Bench) -> None:
    """The trial is made only where room is short, and only of files that can be cloned; slices need their bytes."""

    class Small(SharingDisk):
        def free_bytes(self, path: str) -> int:
            return 16 * 1024 * 1024 + 200_000

    disk = Small()
    completed(bench.run(start(small_project()), disk))
    assert disk.calls.count("clone") > 2
    assert not list(bench.exports.rglob("trial"))


def test_what_only_the_archive_shares_needs_the_space_of_its_media(bench: Bench) -> None:
    """They are on another file system."""

    class Small(SharingDisk):
        def free_bytes(self, path: str) -> int:
            return 16 * 1024 * 1024 + 900_000

        def clone(self, source: int, target: int, offset: int, count: int) -> None:
            if str(bench.media) in str(Path(f"/proc/self/fd/{source}").readlink()):
                raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))
            super().clone(source, target, offset, count)

    completed(bench.run(start(small_project()), Small()))


def test_what_an_earlier_attempt_copied_needs_no_space_again(bench: Bench) -> None:
    with pytest.raises(Trouble):
        bench.run(start(small_project()), failing("open", "/archive.part", errno.ENOSPC))

    def just_enough(name: str, real: Call, arguments: tuple[Any, ...]) -> Any:
        return 16 * 1024 * 1024 + 800_000 if name == "free_bytes" else real(*arguments)

    completed(bench.run(start(small_project()), WatchedDisk(just_enough)))


@pytest.mark.parametrize(
    ("call", "file", "left"),
    [
        ("rename", "004_fin_video.mp4.part", "tree/videos/004_fin_video.mp4.part"),
        ("rename", "a-000001/archive.part", "archive.part"),
        ("fsync", "a-000001/archive", "archive"),
    ],
)
def test_what_a_dead_attempt_cannot_hand_on_is_gone_when_the_next_asks_for_room(
    bench: Bench, call: str, file: str, left: str
) -> None:
    with contextlib.suppress(Killed, BaseExceptionGroup):
        bench.run(start(small_project()), dying(call, file))
    dead = bench.attempt(1)
    assert (dead / left).exists()
    found: list[list[str]] = []

    def look(name: str, real: Call, arguments: tuple[Any, ...]) -> Any:
        if name == "free_bytes":
            found.append([str(path.relative_to(dead)) for path in dead.rglob("*") if path.is_file()])
        return real(*arguments)

    completed(bench.run(start(small_project()), WatchedDisk(look)))
    [there] = found
    assert left not in there
    assert "tree/images/001_intro_image.png" in there, "what can be handed on stays"
    assert {name.partition("/")[0] for name in there} == {"journal.jsonl", "lock", "tree"}
    assert all(name.count("/") != 1 for name in there), "no text stays"


def test_an_export_that_is_in_trouble_for_long_does_not_fill_the_disk(bench: Bench) -> None:
    """Each attempt finds what was finished and then too little room; the clock of the deadline goes on."""
    with pytest.raises(Trouble):
        bench.run(start(small_project()), failing("open", "/archive.part", errno.ENOSPC))
    sizes = []
    for _ in range(8):
        with pytest.raises(Trouble):
            bench.run(start(small_project()), WatchedDisk(no_room))
        sizes.append(len([*bench.exports.rglob("*")]))
    # Of each attempt more are its directory, its lock, and a journal of a line.
    assert {later - earlier for earlier, later in itertools.pairwise(sizes[2:])} == {3}
    ends = history(bench.ledger(), "e1")
    assert [past.ended for past in ends] == ["trouble"] * 9
    assert [past.new_files for past in ends] == [7, *[0] * 8]
    assert all(past.began_ns for past in ends)
    first, later = ends[0], ends[-1]
    assert first.last_file_ns is not None
    assert later.began_ns is not None
    assert first.last_file_ns < later.began_ns
    completed(bench.run(start(small_project())))


def no_room(name: str, real: Call, arguments: tuple[Any, ...]) -> Any:
    return 0 if name == "free_bytes" else real(*arguments)


@pytest.mark.parametrize("fault", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_a_disk_that_fills_up_is_trouble_and_a_later_run_finishes(
    fault: int, bench: Bench, undisturbed: Undisturbed
) -> None:
    with pytest.raises(Trouble) as trouble:
        bench.run(start(small_project()), failing("write", "004_fin_video.mp4.part", fault))
    assert trouble.value.code is ErrorCode.NO_SPACE
    assert visible(bench.exports) == {}
    assert list(bench.attempt(1).glob("**/*.part")) == [], "what cannot be used takes no space"
    completed(bench.run(start(small_project())))
    assert visible(bench.exports) == undisturbed.tree


def test_a_disk_that_is_full_at_any_byte_breaks_nothing(memory_disk: Path) -> None:
    media, exports = memory_disk / "few", memory_disk / "full"
    media.mkdir()
    (media / "1.png").write_bytes(b"first")
    (media / "2.png").write_bytes(b"second")
    command = start(images_project("1.png", "2.png"))

    def run(disk: WatchedDisk | None) -> Bench:
        shutil.rmtree(exports, ignore_errors=True)
        exports.mkdir()
        bench = Bench(media, exports, [])
        with contextlib.suppress(Trouble):
            bench.run(command, disk)
        return bench

    roomy = SmallDisk(1 << 40)
    tree = visible(run(roomy).exports)
    assert len(tree) > 5
    for room_bytes in range(0, roomy.written_bytes, 97):
        bench = run(SmallDisk(room_bytes))
        assert complaint(exports, tree) is None, f"{room_bytes} bytes"
        completed(bench.run(command))
        assert visible(exports) == tree, f"{room_bytes} bytes"
