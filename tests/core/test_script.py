"""The script that lies beside the media: every sentence, in order, with what it lacks."""

import unicodedata
from collections import Counter
from datetime import datetime
from itertools import count
from textwrap import dedent

import pytest
from hypothesis import given, settings

from contracts import Sentence
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
