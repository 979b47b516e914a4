"""What was promised to survive a loss of power was on the disk before it was promised."""

from itertools import pairwise

import pytest

from tests.engine.faulty import RecordingDisk
from tests.engine.workbench import FOLDER, Bench, completed, small_project, start, visible

RECORD = ".exports/e1"
ATTEMPT = f"{RECORD}/a-000001"


@pytest.fixture
def noted(bench: Bench) -> list[str]:
    """Every call of an undisturbed export."""
    disk = RecordingDisk(str(bench.exports))
    completed(bench.run(start(small_project()), disk))
    return disk.noted


def the_decision(noted: list[str]) -> int:
    """The call that decides."""
    links = [at for at, call in enumerate(noted) if call.startswith("link") and call.endswith("/outcome.json")]
    assert len(links) == 1
    return links[0]


def test_every_file_and_every_directory_is_on_the_disk_before_the_decision(noted: list[str], bench: Bench) -> None:
    decided = the_decision(noted)
    files = [name.removeprefix(f"{FOLDER}/") for name, content in visible(bench.exports).items() if content is not None]
    paths = [f"{ATTEMPT}/archive" if name.endswith(".zip") else f"{ATTEMPT}/tree/{name}" for name in files]
    folders = [f"{ATTEMPT}/tree/{folder}" for folder in ("audio", "images", "videos")]
    upwards = [*folders, f"{ATTEMPT}/tree", ATTEMPT, RECORD, ".exports", "."]
    last_change = max(at for at, call in enumerate(noted[:decided]) if "/tree" in call and call.startswith("set_times"))
    synced = [call.removeprefix("fsync ") for call in noted[last_change:decided] if call.startswith("fsync ")]
    assert set(synced[: len(paths)]) == set(paths), "first all files"
    assert synced[len(paths) : len(paths) + len(upwards)] == upwards, "then each directory, upwards"


def test_nothing_in_the_tree_changes_after_it_was_made_durable(noted: list[str]) -> None:
    first = noted.index(f"fsync {ATTEMPT}/tree/script.txt")
    changing = ("write", "rename", "link", "mkdir", "set_times", "unlink")
    later = [call for call in noted[first : the_decision(noted)] if call.startswith(changing) and "/tree" in call]
    assert later == []


def test_the_decision_is_whole_on_the_disk_before_it_counts_and_counts_before_anything_is_visible(
    noted: list[str],
) -> None:
    decided = the_decision(noted)
    draft = noted[decided].split()[1]
    assert noted[decided - 4 : decided] == [f"open {draft}", f"write {draft}", f"fsync {draft}", f"close {draft}"]
    after = [call for call in noted[decided:] if call.startswith(("link", "rename", "fsync"))]
    archive, folder = f"{FOLDER}.zip", FOLDER
    assert after[:3] == [noted[decided], f"fsync {RECORD}", f"fsync {RECORD}"]
    assert after[3] == f"link {ATTEMPT}/archive {archive}"
    assert after[4] == "fsync .", "its new name, before the old one goes"
    assert after[5:7] == ["fsync .", f"fsync {ATTEMPT}"]
    assert after[7] == f"rename {ATTEMPT}/tree {folder}"
    assert after[8:10] == ["fsync .", f"fsync {ATTEMPT}"]
    assert after[10:] == []


def test_no_visible_name_is_touched_before_the_decision(noted: list[str]) -> None:
    names = {FOLDER, f"{FOLDER}.zip"}
    early = [call for call in noted[: the_decision(noted)] if names & set(call.split()[1:])]
    assert all(call.startswith("stat ") for call in early)


def test_whoever_finds_a_decision_makes_sure_of_it_before_it_is_told(bench: Bench) -> None:
    """The process that decided may have died between the link and the fsync of its directory."""
    first = completed(bench.run(start(small_project())))
    disk = RecordingDisk(str(bench.exports))
    assert bench.run(start(small_project()), disk) == first
    found = max(at for at, call in enumerate(disk.noted) if call == f"open {RECORD}/outcome.json")
    assert f"fsync {RECORD}" in disk.noted[found:]


def test_the_command_is_stored_before_the_name_is_reserved_and_both_before_the_first_attempt(noted: list[str]) -> None:
    made = [next(at for at, call in enumerate(noted) if call.startswith("link") and call.endswith(name))
            for name in ("project.json", "command.json", FOLDER.casefold())]  # fmt: skip
    first_media = next(at for at, call in enumerate(noted) if call.startswith("write") and ".part" in call)
    order = [*made, first_media]
    assert all(before < after for before, after in pairwise(order))
