"""What a dead attempt finished is not copied again, unless it may be something else."""

import contextlib
import errno
import json
import os
from typing import Any

import pytest

from service.errors import Interrupted, Trouble
from service.progress import Stop
from tests.engine.faulty import Call, Killed, WatchedDisk, before, dying, failing
from tests.engine.workbench import FOLDER, Bench, Undisturbed, completed, noise, small_project, start, visible

CLIP = "videos/004_fin_video.mp4"


def dies_at_the_clip(bench: Bench, copiers: int = 1) -> None:
    """Kills the first attempt before the largest file, the last of the plan, is complete."""

    disk = dying("rename", f"{CLIP}.part")
    with contextlib.suppress(Killed, BaseExceptionGroup):
        bench.run(start(small_project()), disk, copiers=copiers)
    assert disk.is_dead


def inodes(tree: Any) -> dict[str, int]:
    return {str(path.relative_to(tree)): path.stat().st_ino for path in tree.rglob("*") if path.is_file()}


def copied(bench: Bench, copiers: int = 1) -> list[str]:
    """Names of the media files that the next run makes by copying."""
    made: list[str] = []

    def around(name: str, real: Call, arguments: tuple[Any, ...]) -> Any:
        if name == "rename" and arguments[0].endswith(".part"):
            made.append(arguments[1].partition("/tree/")[2])
        return real(*arguments)

    completed(bench.run(start(small_project()), WatchedDisk(around), copiers=copiers))
    return sorted(name for name in made if "/" in name)


@pytest.mark.parametrize("copiers", [1, 4])
def test_only_what_was_in_flight_is_copied_again(copiers: int, bench: Bench, undisturbed: Undisturbed) -> None:
    dies_at_the_clip(bench, copiers)
    finished = {line["file"] for line in bench.journal(1) if "file" in line}
    dead = {name: inode for name, inode in inodes(bench.attempt(1) / "tree").items() if name in finished}
    media = {name.removeprefix(f"{FOLDER}/") for name in undisturbed.tree if name.count("/") == 2}
    assert copied(bench, copiers) == sorted(media - finished)
    assert dead.items() <= inodes(bench.exports / FOLDER).items(), "an adopted file is the same file, not a copy"
    assert visible(bench.exports) == undisturbed.tree
    if copiers == 1:
        assert media - finished == {CLIP}


def test_a_file_whose_source_changed_since_is_copied_anew(own_bench: Bench) -> None:
    dies_at_the_clip(own_bench)
    (own_bench.media / "2.png").write_bytes(noise(7_000, 22))
    assert copied(own_bench) == ["images/002_intro_image.png", CLIP]
    assert (own_bench.exports / FOLDER / "images/002_intro_image.png").read_bytes() == noise(7_000, 22)


def rewrite_boot(bench: Bench, number: int, boot: str | None) -> None:
    journal = bench.attempt(number) / "journal.jsonl"
    lines = [line | {"boot": boot} if "boot" in line else line for line in bench.journal(number)]
    journal.write_text("\n".join(json.dumps(line) for line in lines))


def damage(path: Any) -> None:
    """Other bytes of the same length, as blocks that never reached the disk come back."""
    path.write_bytes(bytes(path.stat().st_size))


@pytest.mark.parametrize("boot", ["elsewhere/0000", None])
def test_after_a_loss_of_power_what_is_adopted_is_read_again(
    boot: str | None, bench: Bench, undisturbed: Undisturbed
) -> None:
    dies_at_the_clip(bench)
    rewrite_boot(bench, 1, boot)
    damage(bench.attempt(1) / "tree/images/001_intro_image.png")
    os.truncate(bench.attempt(1) / "tree/images/002_intro_image.png", 17)
    assert copied(bench) == ["images/001_intro_image.png", "images/002_intro_image.png", CLIP]
    assert visible(bench.exports) == undisturbed.tree


def test_a_file_without_its_journal_line_is_copied_again(bench: Bench, undisturbed: Undisturbed) -> None:
    dies_at_the_clip(bench)
    journal = bench.attempt(1) / "journal.jsonl"
    *kept, last = journal.read_text().split("\n")
    journal.write_text("\n".join([*kept, last[: len(last) // 2]]))
    torn = json.loads(last)["file"]
    assert copied(bench) == sorted([torn, CLIP])
    assert visible(bench.exports) == undisturbed.tree


def test_what_two_attempts_finished_comes_from_both(bench: Bench, undisturbed: Undisturbed) -> None:
    dies_at_the_clip(bench)
    (bench.attempt(1) / "tree/audio/001_intro_audio.wav").unlink()
    dies_at_the_clip(bench)
    (bench.attempt(2) / "tree/audio/002_intro_audio.wav").unlink()
    assert copied(bench) == [CLIP]  # 001 is in the second attempt only, 002 in the first only
    assert visible(bench.exports) == undisturbed.tree


@pytest.mark.parametrize("name", ["audio/001_intro_audio.wav", "videos/004_fin_video.mp4"])
def test_a_file_whose_fsync_failed_is_never_adopted_not_even_by_its_older_name(
    name: str, bench: Bench, undisturbed: Undisturbed
) -> None:
    dies_at_the_clip(bench)
    with pytest.raises(Trouble):
        bench.run(start(small_project()), failing("fsync", name, errno.EIO))
    assert name in copied(bench)
    assert visible(bench.exports) == undisturbed.tree


def test_a_file_system_without_hard_links_to_adopt_by_is_trouble_and_not_a_broken_export(bench: Bench) -> None:
    dies_at_the_clip(bench)
    with pytest.raises(Trouble):
        bench.run(start(small_project()), failing("link", ".png", errno.EPERM))
    assert visible(bench.exports) == {}


def test_a_stop_is_obeyed_while_what_is_adopted_is_read_again(bench: Bench) -> None:
    dies_at_the_clip(bench)
    journal = bench.attempt(1) / "journal.jsonl"
    journal.write_text(journal.read_text().replace('"boot":"', '"boot":"elsewhere/'))
    stop = Stop()
    disk = before("open_beneath", "/a-000002/tree/images/001_intro_image.png", stop.set)
    with pytest.raises(Interrupted):
        bench.run(start(small_project()), disk, stop)
    assert disk.count == 1
    assert "handed_back" in bench.journal(2)[-1]
