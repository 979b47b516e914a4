"""Whoever judges thousands of exports at once finds in each what the oracle would, and what lies between them."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.broker.inquest import CANCEL, DELETE, Asked, inquire
from tests.broker.test_oracle import ID, Ended, ended, failed, progress, told

__all__ = ["ended"]

OTHER = "e2"


def wrong_with(ended: Ended, *wishes: str) -> list[str]:
    asked = Asked(ended.message, set(wishes))
    found = inquire([asked], {ID: ended.events}, ended.media, ended.exports)
    return found.wrong + found.fell


def test_nothing_is_wrong_with_an_export_that_ended_well(ended: Ended) -> None:
    assert wrong_with(ended) == []


def nothing_was_told(ended: Ended) -> None:
    ended.events.clear()


def two_ends_were_told(ended: Ended) -> None:
    ended.events.append(failed())


def it_failed_at_the_first_attempt(ended: Ended) -> None:
    shutil.rmtree(ended.folder)
    ended.events[-1] = failed()


def it_was_cancelled_by_nobody(ended: Ended) -> None:
    shutil.rmtree(ended.folder)
    error = {"code": "cancelled", "title": "", "detail": "", "stage": "copying", "retryable": True}
    ended.events[-1] = told("export.cancelled", error=error)


def the_percentage_falls(ended: Ended) -> None:
    ended.events.insert(2, progress(3, 9))


def a_later_attempt_begins_below_the_first_one(ended: Ended) -> None:
    ended.events.insert(2, progress(1, 9, attempt=2))


def a_byte_is_wrong(ended: Ended) -> None:
    file = ended.file("video", 1)
    file.write_bytes(file.read_bytes()[:-1] + b"?")


def it_is_not_visible(ended: Ended) -> None:
    shutil.rmtree(ended.folder)


def it_is_visible_twice(ended: Ended) -> None:
    shutil.copytree(ended.folder, ended.exports / f"{ended.folder.name}_2")


def another_is_visible_that_nobody_asked_for(ended: Ended) -> None:
    place = ended.exports / f"{ended.folder.name}_2"
    shutil.copytree(ended.folder, place)
    manifest = json.loads((place / "manifest.json").read_text())
    (place / "manifest.json").write_text(json.dumps(manifest | {"export_id": OTHER}))


def left(ended: Ended, *parts: str) -> None:
    file = Path(ended.exports, ".exports", *parts)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.touch()


def an_attempt_left_a_file(ended: Ended) -> None:
    left(ended, ID, "a-000001", "tree", "images", "001.png")


def a_record_was_half_written(ended: Ended) -> None:
    left(ended, ID, "outcome.json.1234.new")


def its_end_is_still_owed(ended: Ended) -> None:
    left(ended, "_owed", ID)


LIES: list[Callable[[Ended], None]] = [
    nothing_was_told,
    two_ends_were_told,
    it_failed_at_the_first_attempt,
    it_was_cancelled_by_nobody,
    the_percentage_falls,
    a_later_attempt_begins_below_the_first_one,
    a_byte_is_wrong,
    it_is_not_visible,
    it_is_visible_twice,
    another_is_visible_that_nobody_asked_for,
    an_attempt_left_a_file,
    a_record_was_half_written,
    its_end_is_still_owed,
]


@pytest.mark.parametrize("lie", LIES, ids=lambda lie: lie.__name__)
def test_it_is_found_that(ended: Ended, lie: Callable[[Ended], None]) -> None:
    lie(ended)
    assert wrong_with(ended)


def test_what_was_deleted_must_not_be_visible(ended: Ended) -> None:
    assert wrong_with(ended, DELETE)
    shutil.rmtree(ended.folder)
    assert wrong_with(ended, DELETE) == []


def test_what_was_to_be_cancelled_may_be_completed_and_then_is_visible(ended: Ended) -> None:
    assert wrong_with(ended, CANCEL) == []
    shutil.rmtree(ended.folder)
    assert wrong_with(ended, CANCEL)


def test_what_is_unfinished_in_the_project_is_all_that_may_be_left_out(ended: Ended) -> None:
    ended.message["project"]["sections"][0]["sentences"][1].pop("video")
    assert wrong_with(ended)


def test_ends_and_take_overs_are_counted(ended: Ended) -> None:
    found = inquire([Asked(ended.message)], {ID: ended.events}, ended.media, ended.exports)
    assert found.ends == {"export.completed": 1}
    assert found.taken_over == 0
