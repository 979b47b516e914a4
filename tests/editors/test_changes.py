"""An archive of changes, unpacked over the earlier folder, gives the later one; where it could not, it is whole."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts import ExportOptions, Layout, Project
from service.contents import MANIFEST, text_names
from service.ledger import Ledger
from tests.editors.exporting import Exported, Studio

MEDIA = {f"{number}.png": b"\x89PNG\r\n\x1a\n" + bytes([number]) * 40 for number in range(8)}


def still(number: int) -> dict[str, Any]:
    return {"status": "completed", "uri": f"{number}.png"}


PENDING = {"status": "pending"}


def story(*titled: tuple[str, list[dict[str, Any]]], name: str = "Story", project_id: str = "p1") -> Project:
    """Sections by their titles, with a sentence for each image."""
    sections = [
        {"title": title, "sentences": [{"text": f"Told by {image}", "image": image} for image in images]}
        for title, images in titled
    ]
    return Project.model_validate({"id": project_id, "name": name, "sections": sections})


def since(earlier: Exported) -> dict[str, Any]:
    return {"archive": "zip", "since": earlier.export_id}


def assert_is_drop_in(earlier: Exported, later: Exported) -> None:
    """Unpacked over the earlier folder, the archive makes it the later one, byte for byte."""
    assert later.archive.layout is Layout.CHANGES
    assert {**earlier.files, **later.unpacked} == later.files


def media_in(exported: Exported) -> list[str]:
    return sorted(name for name in exported.unpacked if "/" in name)


# ---- what it holds


def test_only_what_was_completed_since_is_in_it_with_all_texts_and_without_a_top_folder() -> None:
    studio = Studio(MEDIA)
    first = studio.export(story(("Intro", [still(1), PENDING, still(2)])))
    later = studio.export(story(("Intro", [still(1), still(3), still(2)])), **since(first))
    assert media_in(later) == ["images/002_intro_image.png"]
    assert {name for name in later.unpacked if "/" not in name} == {*text_names(ExportOptions()), MANIFEST}
    assert later.archive.name == f"{later.event.folder.name}_changes.zip"
    assert_is_drop_in(first, later)


def test_a_file_with_other_bytes_under_the_same_name_is_in_it_also_if_it_is_as_long() -> None:
    studio = Studio(MEDIA)
    told = story(("Intro", [still(1), still(2)]))
    first = studio.export(told)
    studio.put("2.png", MEDIA["3.png"])
    later = studio.export(told, **since(first))
    assert media_in(later) == ["images/002_intro_image.png"]
    assert_is_drop_in(first, later)


def test_nothing_new_is_an_archive_of_texts() -> None:
    studio = Studio(MEDIA)
    told = story(("Intro", [still(1)]))
    first = studio.export(told)
    later = studio.export(told, **since(first))
    assert media_in(later) == []
    assert_is_drop_in(first, later)


def test_the_folder_is_whole_whatever_its_archive_holds() -> None:
    studio = Studio(MEDIA)
    told = story(("Intro", [still(1), still(2)]))
    later = studio.export(told, **since(studio.export(told)))
    assert sorted(name for name in later.files if "/" in name) == [
        "images/001_intro_image.png",
        "images/002_intro_image.png",
    ]


def test_changes_follow_changes() -> None:
    studio = Studio(MEDIA)
    first = studio.export(story(("Intro", [still(1), PENDING, PENDING])))
    second = studio.export(story(("Intro", [still(1), still(2), PENDING])), **since(first))
    third = studio.export(story(("Intro", [still(1), still(2), still(3)])), **since(second))
    assert {**first.files, **second.unpacked, **third.unpacked} == third.files


# ---- where it cannot be


@pytest.mark.parametrize(
    ("later", "vanished"),
    [
        (story(("Opening", [still(1), still(2)])), "images/001_intro_image.png"),
        (story(("Intro", [still(1)]), ("Interlude", [still(3)]), ("Fin", [still(2)])), "images/002_intro_image.png"),
        (story(("Intro", [still(1)])), "images/002_intro_image.png"),
        (story(("Intro", [still(1), PENDING])), "images/002_intro_image.png"),
    ],
    ids=["a section got another title", "a section was put in", "a sentence was deleted", "an image was discarded"],
)
def test_where_a_name_vanished_the_archive_is_whole_and_says_so(later: Project, vanished: str) -> None:
    studio = Studio(MEDIA)
    first = studio.export(story(("Intro", [still(1), still(2)])))
    made = studio.export(later, **since(first))
    assert_is_whole(made)
    assert any("everything" in warning and vanished in warning for warning in made.event.warnings)


def assert_is_whole(made: Exported) -> None:
    assert made.archive.layout is Layout.FOLDER
    top = made.event.folder.name
    assert made.archive.name == f"{top}.zip"
    assert made.unpacked == {f"{top}/{name}": content for name, content in made.files.items()}


def test_the_thousandth_sentence_gives_every_file_another_name() -> None:
    studio = Studio(MEDIA)
    first = studio.export(story(("Long", [still(1), *[PENDING] * 998])), timelines=(), captions=())
    made = studio.export(
        story(("Long", [still(1), *[PENDING] * 998, still(2)])), timelines=(), captions=(), **since(first)
    )
    assert "images/0001_long_image.png" in made.files
    assert_is_whole(made)


def test_a_text_that_was_there_and_no_longer_is_makes_it_whole() -> None:
    studio = Studio(MEDIA)
    told = story(("Intro", [still(1)]))
    made = studio.export(told, timelines=(), **since(studio.export(told)))
    assert_is_whole(made)
    assert any("timeline.otio" in warning for warning in made.event.warnings)


@pytest.mark.parametrize(
    "damage",
    [
        b"{",
        b"[]",
        b"null",
        b'{"files": [], "texts": 1}',
        b'{"files": [{}], "texts": []}',
        b'{"files": [{"name": 5, "size_bytes": 1, "crc32": "00000000"}], "texts": []}',
        b'{"files": [{"name": [], "size_bytes": 1, "crc32": "00000000"}], "texts": []}',
        b'{"files": [{"name": "x", "size_bytes": 1e999, "crc32": "00000000"}], "texts": []}',
        b'{"files": [{"name": "x", "size_bytes": 1, "crc32": 5}], "texts": []}',
    ],
)
def test_an_earlier_manifest_that_makes_no_sense_fells_nothing(damage: bytes) -> None:
    studio = Studio(MEDIA)
    told = story(("Intro", [still(1)]))
    first = studio.export(told)
    studio.storage().assemble(f"{first.event.folder.name}/{MANIFEST}", [damage], 0, lambda _: None)
    made = studio.export(told, **since(first))
    assert_is_whole(made)
    assert any("cannot be read" in warning for warning in made.event.warnings)


@pytest.mark.parametrize("what", ["unknown", "of another project", "of another tenant", "gone", "damaged"])
def test_without_an_earlier_export_to_go_by_the_archive_is_whole_and_says_why(what: str) -> None:
    studio = Studio(MEDIA)
    told = story(("Intro", [still(1)]))
    other = story(("Intro", [still(1)]), project_id="p2")
    first = studio.export(other if what == "of another project" else told)
    folder = first.event.folder.name
    if what == "gone":
        Ledger(studio.storage()).delete(first.export_id, "")
    if what == "damaged":
        studio.storage().assemble(f"{folder}/{MANIFEST}", [b"{"], 0, lambda _: None)
    named = "e-77" if what == "unknown" else first.export_id
    made = studio.export(told, tenant="t" if what == "of another tenant" else None, archive="zip", since=named)
    assert_is_whole(made)
    [warning] = [one for one in made.event.warnings if "everything" in one]
    assert named in warning
    assert "images/" not in warning, "what another one's export holds is not told"


# ---- any change at all

_images = st.sampled_from([PENDING, *map(still, range(4))])
_titles = st.sampled_from(["Intro", "Middle", "Fin"])
_stories = st.lists(st.tuples(_titles, st.lists(_images, max_size=3)), max_size=3).map(lambda told: story(*told))


@st.composite
def _edited(draw: st.DrawFn) -> tuple[Project, Project]:
    """A story, and what became of it: like it with a few changes, or quite another one."""
    first = draw(st.lists(st.tuples(_titles, st.lists(_images, max_size=3)), min_size=1, max_size=3))
    later = [(title, list(images)) for title, images in first]
    at = draw(st.integers(0, len(later) - 1))
    images = later[at][1]
    match draw(st.sampled_from(["insert", "delete", "retitle", "complete", "nothing"])):
        case "insert":
            images.insert(draw(st.integers(0, len(images))), draw(_images))
        case "delete" if images:
            images.pop()
        case "retitle":
            later[at] = (draw(_titles), images)
        case "complete":
            images[:] = [draw(_images) if image == PENDING else image for image in images]
        case _:
            pass
    return story(*first), story(*later)


@settings(max_examples=60, deadline=None)
@given(_edited() | st.tuples(_stories, _stories))
def test_any_change_is_a_drop_in_or_a_whole_archive_with_a_warning(edit: tuple[Project, Project]) -> None:
    earlier, later = edit
    studio = Studio(MEDIA)
    first = studio.export(earlier)
    made = studio.export(later, **since(first))
    vanished = first.files.keys() - made.files.keys()
    if vanished:
        assert_is_whole(made)
        assert any("everything" in warning for warning in made.event.warnings)
    else:
        assert_is_drop_in(first, made)
        unchanged = {name for name in first.files if made.files.get(name) == first.files[name]}
        assert not unchanged & set(media_in(made))
