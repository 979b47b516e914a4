"""A creator pastes the chapters under the film; what YouTube would make of them is said beforehand."""

import re
from itertools import pairwise

import pytest
from hypothesis import given, settings

from contracts import Sentence
from service.chapters import chapter_warnings, write_chapters
from service.naming import one_line
from tests.core.hostile_titles import HOSTILE_TITLES
from tests.core.projects import completed, project, section
from tests.editors.told import Told, speech, stories, told

LINE = re.compile(r"(?:(\d+):)?(\d\d):(\d\d) (\S.*)")


def sections(*titles_and_seconds: tuple[str, float]) -> Told:
    parts, media = [], {}
    for at, (title, seconds) in enumerate(titles_and_seconds):
        parts.append(section(Sentence(text="One.", audio=completed(f"{at}.wav")), title=title))
        media[f"{at}.wav"] = speech(seconds)
    return told(project(*parts, frame_rate=25), media)


def lines(story: Told) -> list[str]:
    return "".join(write_chapters(*story)).splitlines()


def test_chapters_look_like_this() -> None:
    story = sections(("Intro", 12), (" The\nlight ", 3600.04), ("", 30), ("Outro", 10))
    assert lines(story) == ["00:00 Intro", "00:12 The light", "1:00:12 Section 3", "1:00:42 Outro"]
    assert chapter_warnings(story.cut) == []


def test_an_empty_project_has_none_and_needs_no_warning() -> None:
    story = told(project())
    assert lines(story) == []
    assert chapter_warnings(story.cut) == []


@pytest.mark.parametrize(
    ("story", "warnings"),
    [
        ([("One", 20), ("Two", 20)], ["chapters.txt: YouTube shows chapters from 3 on; there are 2"]),
        (
            [("One", 20), ("Two", 9.9), ("Three", 20), ("Four", 3)],
            ['chapters.txt: YouTube wants 10 s a chapter; "Two" and 1 more are shorter'],
        ),
        (
            [("One", 20), ("Two", 20), ("Three", 0.2), ("Four", 20)],
            ["chapters.txt: without 1 of 4 sections, which take less than a second"],
        ),
        (
            [("x" * 100, 20) for _ in range(60)],
            ["chapters.txt: 6420 characters; a description on YouTube has 5000 at most"],
        ),
    ],
)
def test_what_youtube_would_not_take_is_said(story: list[tuple[str, float]], warnings: list[str]) -> None:
    assert chapter_warnings(sections(*story).cut) == warnings


def test_it_is_written_all_the_same() -> None:
    assert lines(sections(("Only one", 3))) == ["00:00 Only one"]


def test_two_sections_in_one_second_are_one_line() -> None:
    assert lines(sections(("One", 20.2), ("Two", 0.4), ("Three", 20))) == ["00:00 One", "00:20 Two"]


def test_a_title_that_youtube_refuses_is_written_otherwise() -> None:
    assert lines(sections(("a <b> c", 10), ("x" * 200, 10))) == ["00:00 a ‹b› c", f"00:10 {'x' * 99}…"]


@settings(max_examples=60)
@given(stories)
def test_the_first_is_at_zero_and_the_times_ascend(story: Told) -> None:
    found = [LINE.fullmatch(line) for line in lines(story)]
    seconds = [int(one[1] or 0) * 3600 + int(one[2]) * 60 + int(one[3]) for one in found if one]
    assert len(seconds) == len(found)
    assert seconds[:1] in ([], [0])
    assert all(before < after for before, after in pairwise(seconds))
    starts = [story.cut.seconds(chapter.start) for chapter in story.cut.chapters]
    assert all(any(0 <= start - second < 1 for start in starts) for second in seconds[1:])


def test_any_title_stays_on_its_line() -> None:
    story = sections(*((title[:2000], 10) for title in HOSTILE_TITLES))
    written = lines(story)
    assert len(written) == len(HOSTILE_TITLES)
    assert not any(set("<>\u202e\x00") & set(line) for line in written)
    assert sum(one_line(title) in line for title, line in zip(HOSTILE_TITLES, written, strict=True)) > 500
