"""The same id again: the same event and nothing done twice, or a refusal; and names that nobody takes from another."""

import shutil
from datetime import timedelta
from typing import Any

import pytest

from contracts import Archive, ExportOptions
from contracts.messages import Requester
from service.errors import Conflict, Trouble
from tests.engine.faulty import RecordingDisk, before
from tests.engine.workbench import (
    FOLDER,
    REQUESTED_AT,
    Bench,
    Undisturbed,
    completed,
    images_project,
    small_project,
    staged,
    start,
    visible,
)

BESIDE = f"{FOLDER}_"


def every_file(bench: Bench) -> dict[str, bytes]:
    """Records included."""
    return {str(path): path.read_bytes() for path in bench.exports.rglob("*") if path.is_file()}


# ---- the same id


def test_a_repeat_of_a_finished_export_gives_the_same_event_and_touches_nothing(bench: Bench) -> None:
    event = completed(bench.run(start(small_project())))
    before_it = every_file(bench)
    disk = RecordingDisk(str(bench.exports))
    assert bench.run(start(small_project()), disk) == event
    assert every_file(bench) == before_it
    assert not [call for call in disk.noted if call.startswith(("open_beneath", "rename"))]
    assert bench.ledger().attempts("e1") == [1]


@pytest.mark.parametrize("is_finished", [True, False])
@pytest.mark.parametrize(
    "other",
    [
        {"project": images_project("1.png")},
        {"options": ExportOptions(archive=Archive.NONE)},
        {"options": ExportOptions(archive=Archive.ZIP, retain_seconds=60)},
    ],
)
def test_the_same_id_with_another_content_is_refused_and_changes_nothing(
    other: dict[str, Any], is_finished: bool, bench: Bench
) -> None:
    disk = None if is_finished else before("open", "/archive.part", _fail)
    if is_finished:
        completed(bench.run(start(small_project())))
    else:
        with pytest.raises(Trouble):
            bench.run(start(small_project()), disk)
    before_it = every_file(bench)
    with pytest.raises(Conflict):
        bench.run(start(small_project()).model_copy(update=other))
    assert every_file(bench) == before_it


def _fail() -> None:
    raise OSError(5, "Input/output error")


def test_another_time_or_sender_is_the_same_export_and_the_first_time_holds(
    bench: Bench, undisturbed: Undisturbed
) -> None:
    with pytest.raises(Trouble):
        bench.run(start(small_project()), before("open", "/archive.part", _fail))
    later = {
        "requested_at": REQUESTED_AT + timedelta(days=3),
        "requested_by": Requester(tenant="t2", subject="somebody else"),
    }
    again = start(small_project()).model_copy(update=later)
    event = completed(bench.run(again))
    assert visible(bench.exports) == undisturbed.tree
    assert bench.run(start(small_project())) == event


def test_a_folder_that_somebody_deleted_is_not_made_again(bench: Bench) -> None:
    event = completed(bench.run(start(small_project())))
    shutil.rmtree(bench.exports / FOLDER)
    (bench.exports / f"{FOLDER}.zip").unlink()
    assert bench.run(start(small_project())) == event
    assert visible(bench.exports) == {}


# ---- names


def test_two_exports_of_one_second_have_folders_of_their_own_always_the_same(bench: Bench) -> None:
    first, second = (completed(bench.run(start(small_project(), export_id))) for export_id in ("one", "two"))
    assert first.folder.name == FOLDER
    assert second.folder.name == f"{FOLDER}_3fc4ccfe", "eight characters of a hash of the id"
    assert second.archive is not None
    assert second.archive.name == f"{second.folder.name}.zip"
    names = {path.name for path in bench.exports.iterdir()} - {".exports"}
    assert names == {FOLDER, f"{FOLDER}.zip", second.folder.name, second.archive.name}


def test_project_ids_that_differ_by_case_only_get_names_that_differ_by_more(bench: Bench) -> None:
    lower = completed(bench.run(start(images_project("1.png", project_id="abc"), "one")))
    upper = completed(bench.run(start(images_project("1.png", project_id="ABC"), "two")))
    assert lower.folder.name.casefold() != upper.folder.name.casefold()


@pytest.mark.parametrize("name", [FOLDER, f"{FOLDER}.zip"])
def test_a_name_that_somebody_took_is_left_alone(name: str, bench: Bench) -> None:
    (bench.exports / name).mkdir()
    (bench.exports / name / "theirs").write_bytes(b"theirs")
    event = completed(bench.run(start(small_project())))
    assert event.folder.name.startswith(BESIDE)
    assert visible(bench.exports)[f"{name}/theirs"] == b"theirs"


def test_where_both_names_are_taken_it_is_trouble_until_one_is_free(bench: Bench, undisturbed: Undisturbed) -> None:
    own = completed(bench.run(start(small_project())))
    other = completed(bench.run(start(small_project(), "e2")))
    assert other.folder.name != own.folder.name
    shutil.rmtree(bench.exports / ".exports")  # a restored backup: folders without their records
    with pytest.raises(Trouble, match="both names"):
        bench.run(start(small_project(), "e2"))
    shutil.rmtree(bench.exports / own.folder.name)
    (bench.exports / f"{own.folder.name}.zip").unlink()
    completed(bench.run(start(small_project(), "e2")))


@pytest.mark.parametrize("name", [FOLDER, f"{FOLDER}.zip"])
def test_what_takes_the_name_after_it_was_reserved_is_never_overwritten(
    name: str, bench: Bench, undisturbed: Undisturbed
) -> None:
    theirs = bench.exports / name

    def take() -> None:
        if name == FOLDER:
            theirs.mkdir()
            (theirs / "theirs").write_bytes(b"theirs")
        else:
            theirs.write_bytes(b"theirs")

    with pytest.raises(Trouble, match="is not this export"):
        bench.run(start(small_project()), before("open", "/archive.part", take))
    with pytest.raises(Trouble, match="is not this export"):
        bench.run(start(small_project()))
    assert b"theirs" in visible(bench.exports).values()
    assert not (bench.exports / FOLDER / "manifest.json").exists()
    shutil.rmtree(theirs) if theirs.is_dir() else theirs.unlink()
    completed(bench.run(start(small_project())))
    assert visible(bench.exports) == undisturbed.tree
    assert bench.ledger().attempts("e1") == [1], "what was finished is published, not made again"


def test_who_comes_just_after_the_decision_tells_nothing_but_it(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its look came just before, so that it began: progress would have fallen from 100 percent to none."""

    async def saw_nobody(*_: object) -> None:
        return None

    event = bench.run(start(small_project()))
    told = len(bench.seen)
    monkeypatch.setattr("service.export.rival_finished", saw_nobody)
    assert bench.run(start(small_project())) == event
    assert bench.seen[told:] == []
    assert staged(bench.exports) == []
