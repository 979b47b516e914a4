"""The script that lies beside the media: every sentence, in order, with what it lacks."""

import unicodedata
from collections import Counter
from dataclasses import replace
from datetime import datetime
from itertools import count
from textwrap import dedent

import pytest
from hypothesis import given, settings

from contracts import Sentence
from service.cut import make_cut
from service.media import UNKNOWN
from service.model import Missing, Omission
from service.naming import one_line, plain_text
from service.plan import plan_export
from service.script import write_script
from service.settle import settle
from tests.core.hostile_titles import HOSTILE_TITLES
from tests.core.projects import (
    FAILED,
    GENERATING,
    PENDING,
    PROJECT_IDS,
    Case,
    cases,
    command,
    completed,
    part,
    plan,
    project,
    section,
)
from tests.editors.told import narrated, speech
from tests.editors.told import told as narrated_by

few = settings(max_examples=20)

BIDI_CONTROLS = set("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def test_a_script_looks_like_this() -> None:
    lighthouse = project(
        section(
            Sentence(text="The sea is calm.", audio=part(0, 2000), image=completed("a.png")),
            Sentence(text="A lamp is lit.\r\nThen another.", audio=part(2000, 5000), image=PENDING, video=FAILED),
            title="Intro",
            audio=completed("n.wav"),
        ),
        section(Sentence(image=completed("gone.png")), title="Intro", audio=completed("whole.mp3")),
        section(title=" \n", audio=GENERATING),
        name="The  Lighthouse",
        id="p-1",
    )
    assert write_script(plan(lighthouse, {"gone.png": Missing()})) == dedent("""\
        The Lighthouse
        ==============
        3 sections, 3 sentences
        Exported 2026-03-01 12:00 UTC, project p-1
        Media that is not in this export is noted in square brackets.


        1. Intro
        --------

        001  The sea is calm.

        002  A lamp is lit.
             Then another.
             [image: pending]
             [video: failed]


        2. Intro
        --------

        003  (no text)
             [audio: in audio/003_intro_section_audio.mp3]
             [image: missing]


        Section 3
        ---------
        [narration of the section: generating]
        """)


def test_an_empty_project_has_a_script_too() -> None:
    script = write_script(plan(project(name="", id="p-1")))
    assert script == "p-1\n===\n0 sections, 0 sentences\nExported 2026-03-01 12:00 UTC, project p-1\n"


# ---- times -----------------------------------------------------------------------------------------


def test_a_script_has_times_where_lengths_are_known() -> None:
    lighthouse = project(
        section(
            Sentence(text="The sea is calm.", audio=completed("calm.wav")),
            Sentence(text="A lamp is lit.\nThen another.", image=PENDING),
            title="Intro",
        ),
        section(Sentence(text="It is late.", audio=completed("late.wav")), title="Outro"),
        name="The Lighthouse",
        id="p-1",
        frame_rate=25,
    )
    late = narrated_by(lighthouse, {"calm.wav": speech(61.5), "late.wav": speech(2)})
    assert write_script(*late) == dedent("""\
        The Lighthouse
        ==============
        2 sections, 3 sentences, 01:07
        Exported 2026-03-01 12:00 UTC, project p-1
        Times count from the beginning of the assembled video, in whole seconds.
        Media that is not in this export is noted in square brackets.


        1. Intro  (00:00)
        -----------------

        001  00:00  The sea is calm.

        002  01:01  A lamp is lit.
                    Then another.
                    [image: pending]


        2. Outro  (01:05)
        -----------------

        003  01:05  It is late.
        """)


def test_times_of_a_long_story_are_of_one_width() -> None:
    lines = write_script(*narrated(("One.", 3599), ("Two.", 10), ("Three.", 10))).split("\n")
    assert {"001    00:00  One.", "002    59:59  Two.", "003  1:00:09  Three."} <= set(lines)


def test_a_sentence_without_time_in_the_timelines_has_none() -> None:
    story = project(section(Sentence(text="Told.", audio=completed("a.wav")), Sentence(text="Not yet.", audio=PENDING)))
    lines = write_script(*narrated_by(story, {"a.wav": speech(2)}, gaps="close")).split("\n")
    assert {"001  00:00  Told.", "002         Not yet."} <= set(lines)


@few
@given(cases)
def test_without_any_known_length_there_are_no_times(case: Case) -> None:
    planned = case.plan()
    planned = replace(planned, copies=tuple(replace(copy, media=UNKNOWN) for copy in planned.copies))
    assert write_script(planned, make_cut(planned)) == write_script(planned)


# ---- nothing of the story is lost ------------------------------------------------------------------


@few
@given(cases)
def test_every_sentence_stands_with_its_number_under_its_section(case: Case) -> None:
    lines, numbers = iter(write_script(case.plan()).split("\n")), count(1)
    for position, told in enumerate(case.project.sections, 1):
        assert header(position, told.title) in lines  # looked for from where the last line was found
        for sentence in told.sentences:
            for line in text_lines(next(numbers), sentence.text):
                assert line in lines


def header(position: int, title: str) -> str:
    return f"{position}. {one_line(title)}" if one_line(title) else f"Section {position}"


def text_lines(number: int, text: str) -> list[str]:
    first, *rest = plain_text(text).strip().split("\n")
    return [f"{number:03d}  {first or '(no text)'}", *(f"     {line}".rstrip() for line in rest)]


@few
@given(cases)
def test_everything_that_was_left_out_is_noted(case: Case) -> None:
    planned = case.plan()
    noted = Counter(line.strip() for line in write_script(planned).split("\n"))
    assert Counter(map(note, planned.omissions)) <= noted


def note(omission: Omission) -> str:
    if omission.spot.in_section is None:
        return f"[narration of the section: {omission.reason}]"
    return f"[{omission.spot.kind}: {omission.detail if omission.reason == 'in_section_audio' else omission.reason}]"


@few
@given(cases)
def test_a_script_holds_nothing_that_a_terminal_would_obey(case: Case) -> None:
    script = write_script(case.plan())
    assert_is_plain(script)
    assert script.endswith("\n")
    assert not script.endswith("\n\n")


def assert_is_plain(script: str) -> None:
    obeyed = {c for c in script if unicodedata.category(c) in {"Cc", "Zl", "Zp"}} - {"\n", "\t"}
    assert obeyed == set()
    assert BIDI_CONTROLS.isdisjoint(script)
    assert "\ufeff" not in script


def test_hostile_titles_and_texts_are_made_plain() -> None:
    told = project(*(section(Sentence(text=title[:200]), title=title[:200]) for title in HOSTILE_TITLES))
    assert_is_plain(write_script(plan(told)))


@pytest.mark.parametrize("project_id", PROJECT_IDS)
def test_a_project_without_a_name_is_called_by_its_id_made_plain(project_id: str) -> None:
    script = write_script(plan(project(id=project_id, name="")))
    assert_is_plain(script)
    assert script.startswith(one_line(project_id) + "\n")


def test_numbers_are_as_wide_as_in_file_names() -> None:
    planned = plan(project(section(*[Sentence(text="One.", image=completed("a.png"))] * 1000)))
    assert planned.copies[0].name == "images/0001_intro_image.png"
    assert "\n0001  One.\n" in write_script(planned)


def test_a_year_before_1000_has_four_digits() -> None:
    told = project()
    early = command(told).model_copy(update={"requested_at": datetime.fromisoformat("0033-04-03T15:00:59Z")})
    assert "\nExported 0033-04-03 15:00 UTC," in write_script(settle(plan_export(early, told, "a-folder"), {}))


@pytest.mark.parametrize(
    ("title", "columns"),
    [("Intro", 5), ("第一章", 6), ("Cafe\u0301", 4), ("🎬", 3), ("👩\u200d🚀 up", 7), ("x" * 100, 72), ("章" * 50, 72)],
)
def test_a_title_is_underlined_as_wide_as_it_is_shown(title: str, columns: int) -> None:
    underline = write_script(plan(project(name=title))).split("\n")[1]
    assert underline == "=" * columns
