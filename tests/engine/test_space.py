"""A full disk breaks nothing: it is said, and the export finishes when there is room."""

import contextlib
import errno
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from contracts import ErrorCode
from service.errors import Trouble
from tests.engine.faulty import Call, SharingDisk, WatchedDisk, failing
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
