"""What is wrong with a source is said of that source; what is wrong with the machine or the store is no omission."""

import errno
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from contracts import ErrorCode, ExportFailed, ExportOptions, Outcome
from service.errors import Trouble
from tests.engine.faulty import ActingDisk, Call, WatchedDisk, before, failing
from tests.engine.workbench import (
    FOLDER,
    Bench,
    completed,
    images_project,
    noise,
    omissions,
    small_project,
    start,
    visible,
)

pytestmark = pytest.mark.usefixtures("in_a_hurry")

THREE = images_project("1.png", "2.png", "3.png")
SECOND = f"{FOLDER}/images/002_intro_image.png"


def is_unavailable(bench: Bench, disk: ActingDisk | None = None) -> None:
    """The export ends as trouble with the storage, and nothing of it is visible or decided."""
    with pytest.raises(Trouble) as trouble:
        bench.run(start(small_project()), disk)
    assert trouble.value.code is ErrorCode.STORAGE_UNAVAILABLE
    assert visible(bench.exports) == {}
    assert bench.outcome() is None


# ---- the root


def test_a_media_root_that_is_not_there_is_never_an_empty_export(own_bench: Bench) -> None:
    own_bench.media.rename(own_bench.media.with_name("elsewhere"))
    is_unavailable(own_bench)
    own_bench.media.with_name("elsewhere").rename(own_bench.media)
    assert completed(own_bench.run(start(small_project()))).outcome is Outcome.PARTIAL


def test_a_media_root_without_any_of_the_files_is_not_the_right_one(own_bench: Bench) -> None:
    for file in own_bench.media.iterdir():
        file.unlink()
    is_unavailable(own_bench)


def unmount(media: Path) -> None:
    """What is left of a mount: an empty directory of the same name."""
    shutil.rmtree(media)
    media.mkdir()


@pytest.mark.parametrize("at", ["001_intro_image.png.part", "003_intro_audio.wav.part", "004_fin_video.mp4.part"])
def test_a_media_root_that_goes_away_while_it_is_copied_is_trouble(at: str, own_bench: Bench) -> None:
    is_unavailable(own_bench, before("open", at, lambda: unmount(own_bench.media)))


def test_a_media_root_that_goes_away_in_the_last_round_is_trouble_too(own_bench: Bench) -> None:
    def act() -> None:
        if disk.count == 6:  # looked at and copied three times each
            unmount(own_bench.media)
        if disk.count % 2 == 0:
            raise OSError(errno.EIO, "Input/output error")

    disk = ActingDisk("open_beneath", "/2.png", act)
    is_unavailable(own_bench, disk)
    assert disk.count == 6


def test_all_of_an_export_is_read_from_the_directory_that_was_opened(own_bench: Bench) -> None:
    """Another directory in the same place is not looked into, as long as the first one gives everything."""

    def replace() -> None:
        own_bench.media.rename(own_bench.media.with_name("moved"))
        own_bench.media.mkdir()
        (own_bench.media / "3.png").write_bytes(b"of another project")

    completed(own_bench.run(start(THREE), before("open", "002_intro_image.png.part", replace)))
    assert visible(own_bench.exports)[f"{FOLDER}/images/003_intro_image.png"] == noise(5_003, 3)


# ---- one file


def test_a_missing_file_is_listed_and_the_rest_exported(own_bench: Bench) -> None:
    (own_bench.media / "2.png").unlink()
    event = completed(own_bench.run(start(THREE)))
    assert event.outcome is Outcome.PARTIAL
    assert omissions(event) == [(2, "missing", "2.png")]


def test_a_missing_file_that_comes_before_the_texts_are_written_is_copied(own_bench: Bench) -> None:
    late = own_bench.media / "2.png"
    late.unlink()
    disk = before("open", "003_intro_image.png.part", lambda: late.write_bytes(noise(5_002, 2)))
    event = completed(own_bench.run(start(THREE), disk))
    assert event.outcome is Outcome.COMPLETE
    assert visible(own_bench.exports)[SECOND] == noise(5_002, 2)
    assert own_bench.seen[-1].files.model_dump() == {"done": 3, "total": 3}


def test_a_file_that_vanishes_between_the_look_and_the_copy_is_listed(own_bench: Bench) -> None:
    event = own_bench.run(start(THREE), before("open", "002_intro_image.png.part", (own_bench.media / "2.png").unlink))
    assert omissions(event) == [(2, "missing", "2.png")]
    assert own_bench.seen[-1].files.model_dump() == {"done": 2, "total": 2}


def rewriting(path: Path) -> Callable[[], None]:
    """Another content each time, of the same size."""
    versions = iter(range(100, 200))

    def rewrite() -> None:
        path.write_bytes(noise(5_002, next(versions)))

    return rewrite


def test_a_file_that_changes_while_it_is_copied_is_copied_again(own_bench: Bench) -> None:
    source = own_bench.media / "2.png"
    completed(own_bench.run(start(THREE), before("write", "002_intro_image.png.part", rewriting(source))))
    assert visible(own_bench.exports)[SECOND] == source.read_bytes() == noise(5_002, 100)


def test_a_file_that_becomes_shorter_while_it_is_copied_is_copied_again(own_bench: Bench) -> None:
    source = own_bench.media / "clip.mp4"
    disk = before("write", "004_fin_video.mp4.part", lambda: os.truncate(source, 300_000))
    completed(own_bench.run(start(small_project()), disk))
    assert visible(own_bench.exports)[f"{FOLDER}/videos/004_fin_video.mp4"] == noise(600_000, 99)[:300_000]


def test_a_file_that_changes_every_time_is_listed_as_unreadable(own_bench: Bench) -> None:
    disk = ActingDisk("write", "002_intro_image.png.part", rewriting(own_bench.media / "2.png"))
    event = own_bench.run(start(THREE), disk)
    assert disk.count == 3
    assert omissions(event) == [(2, "unreadable", "changed while it was exported")]
    assert SECOND not in visible(own_bench.exports)


def test_slices_of_a_narration_are_never_cut_from_two_versions_of_it(own_bench: Bench) -> None:
    """The second slice finds the narration changed when the first is already finished."""
    source = own_bench.media / "section.wav"

    def change() -> None:
        content = bytearray(source.read_bytes())
        content[44:] = noise(len(content) - 44, 55)
        source.write_bytes(content)

    completed(own_bench.run(start(small_project()), before("open", "002_intro_audio.wav.part", change)))
    tree = visible(own_bench.exports)
    slices = [tree[f"{FOLDER}/audio/00{n}_intro_audio.wav"] or b"" for n in (1, 2, 3)]
    assert b"".join(one[44:] for one in slices) == source.read_bytes()[44:]


def make_directory(path: Path) -> None:
    path.mkdir()


def make_pipe(path: Path) -> None:
    os.mkfifo(path)


def make_device(path: Path) -> None:
    try:
        os.mknod(path, 0o020_666, os.makedev(1, 3))
    except PermissionError:
        pytest.skip("a device needs root")


def make_link_outside(path: Path) -> None:
    path.symlink_to("../../secret.png")


def make_absolute_link(path: Path) -> None:
    path.symlink_to(path.with_name("1.png"))


def make_loop(path: Path) -> None:
    path.symlink_to(path.name)


@pytest.mark.parametrize(
    ("make", "detail"),
    [
        (make_directory, "is not a regular file"),
        (make_pipe, "is not a regular file"),
        (make_device, "is not a regular file"),
        (make_link_outside, "is a link that leads outside its root"),
        (make_absolute_link, "is a link that leads outside its root"),
        (make_loop, "is a link that leads outside its root"),
    ],
)
def test_what_is_no_file_of_the_root_is_listed_with_its_reason(
    make: Callable[[Path], None], detail: str, own_bench: Bench
) -> None:
    (own_bench.exports.parent / "secret.png").write_bytes(b"not for export")
    (own_bench.media / "2.png").unlink()
    make(own_bench.media / "2.png")
    event = own_bench.run(start(THREE))
    assert omissions(event) == [(2, "unreadable", detail)]
    assert SECOND not in visible(own_bench.exports)


def test_a_link_within_the_root_is_followed(own_bench: Bench) -> None:
    (own_bench.media / "2.png").unlink()
    (own_bench.media / "deep").mkdir()
    (own_bench.media / "deep/real.png").write_bytes(b"real")
    (own_bench.media / "2.png").symlink_to("deep/real.png")
    completed(own_bench.run(start(THREE)))
    assert visible(own_bench.exports)[SECOND] == b"real"
    assert not (own_bench.exports / SECOND).is_symlink()


@pytest.mark.parametrize(("call", "fault"), [("open_beneath", errno.EACCES), ("read_into", errno.EIO)])
def test_a_file_that_cannot_be_read_is_listed_with_what_the_system_says(call: str, fault: int, bench: Bench) -> None:
    event = bench.run(start(THREE), failing(call, "/2.png", fault))
    assert omissions(event) == [(2, "unreadable", f"could not be read: {os.strerror(fault)}")]


def test_a_file_that_could_not_be_read_once_is_copied_after_all(bench: Bench) -> None:
    event = completed(bench.run(start(THREE), failing("read_into", "/2.png", errno.EIO, only={1})))
    assert event.outcome is Outcome.COMPLETE


@pytest.mark.parametrize("fault", [errno.EMFILE, errno.ENFILE, errno.ENOMEM])
def test_what_this_process_lacks_is_its_own_trouble_and_no_omission(fault: int, bench: Bench) -> None:
    with pytest.raises(Trouble):
        bench.run(start(THREE), failing("open_beneath", "/2.png", fault))
    assert bench.outcome() is None


def test_on_missing_fail_decides_once_and_says_the_same_again(own_bench: Bench) -> None:
    (own_bench.media / "2.png").unlink()
    command = start(THREE, options=ExportOptions.model_validate({"on_missing": "fail"}))
    event = own_bench.run(command)
    assert isinstance(event, ExportFailed)
    assert event.error.code is ErrorCode.SOURCE_MISSING
    assert not event.error.retryable
    (own_bench.media / "2.png").write_bytes(b"too late")
    assert own_bench.run(command) == event
    assert visible(own_bench.exports) == {}


@pytest.mark.parametrize("on_missing", ["skip", "fail"])
def test_a_store_that_answers_errors_only_is_trouble_and_never_an_empty_export(on_missing: str, bench: Bench) -> None:
    def refuse(name: str, real: Call, arguments: tuple[Any, ...]) -> Any:
        if name == "open_beneath" and ".exports" not in arguments[1]:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return real(*arguments)

    options = ExportOptions.model_validate({"on_missing": on_missing})
    with pytest.raises(Trouble) as trouble:
        bench.run(start(small_project(), options=options), WatchedDisk(refuse))
    assert trouble.value.code is ErrorCode.STORAGE_UNAVAILABLE
    assert "Input/output error" in trouble.value.detail
    assert bench.outcome() is None


@pytest.mark.parametrize("fault", [errno.ESTALE, errno.ETIMEDOUT, errno.ENOTCONN])
def test_a_server_that_is_away_says_nothing_about_the_file(fault: int, bench: Bench) -> None:
    with pytest.raises(Trouble) as trouble:
        bench.run(start(small_project()), failing("open_beneath", "/2.png", fault))
    assert trouble.value.code is ErrorCode.STORAGE_UNAVAILABLE
    assert bench.outcome() is None


def test_with_on_missing_fail_a_passing_fault_fails_nothing(bench: Bench) -> None:
    options = ExportOptions.model_validate({"on_missing": "fail"})
    disk = failing("open_beneath", "/2.png", errno.EIO, only={1, 2})
    assert len(completed(bench.run(start(small_project(), options=options), disk)).omissions) == 1
