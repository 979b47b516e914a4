"""The table says of every asset what and where it is, and does nothing in a spreadsheet."""

import csv
import io
import json
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given, settings

from contracts import Sentence
from service.index.metadata import write_metadata
from service.index.table import COLUMNS, harmless, write_index_table
from service.media import Container, Media, Picture, Sound
from service.naming import one_line, plain_text
from tests.core.hostile_titles import HOSTILE_TITLES
from tests.core.projects import FAILED, PENDING, completed, project, section
from tests.editors.told import Told, narrated, speech, stories, told

INJECTIONS = (
    *("=1+1", "+1", "-1", "@SUM(1)", "\t=1", "\r=1", " =1", "\n=1", "'=1", '"=1', "\u00a0=1", "' \"=1", "''=1"),
    *("=cmd|' /C calc'!A0", '=HYPERLINK("http://x","y")', "\uff1d1+1", "\u201c=1\u201d", '","=1', "a\r\n=1", ";=1"),
)


def rows(story: Told) -> list[dict[str, str]]:
    whole = "".join(write_index_table(*story)).encode().decode("utf-8-sig")
    return list(csv.DictReader(io.StringIO(whole, newline=""), strict=True))


def told_text(cell: str) -> str:
    """What a cell says, without what keeps it harmless."""
    return cell[1:] if cell[:1] == "'" and harmless(cell[1:]) != cell[1:] else cell


LIGHTHOUSE = project(
    section(
        Sentence(
            id="s-1",
            text='The sea, "calm".\nA lamp.',
            audio=completed("calm.wav"),
            image=completed("calm.png"),
            video=completed("calm.mp4"),
        ),
        Sentence(id="s-2", text="=1+1", audio=PENDING, image=FAILED),
        title="Intro",
    ),
    frame_rate=25,
)
MEDIA = {
    "calm.wav": speech("4.002"),
    "calm.png": Media(Container.PNG, picture=Picture(1920, 1080)),
    "calm.mp4": Media(Container.MP4, Fraction(3), Picture(640, 360, 0, Fraction(30_000, 1001)), Sound(48_000, 2)),
}


def test_a_table_looks_like_this() -> None:
    lines = "".join(write_index_table(*told(LIGHTHOUSE, MEDIA))).split("\r\n")
    text = '"The sea, ""calm"".\nA lamp."'
    assert lines == [
        "\ufeff" + ",".join(COLUMNS),
        f"1,1,Intro,s-1,audio,{text},audio/001_intro_audio.wav,exported,,,00:00:00:00,0,4.002,10044,,,,24000,1",
        f"1,1,Intro,s-1,image,{text},images/001_intro_image.png,exported,,,00:00:00:00,0,,10044,1920,1080,,,",
        f"1,1,Intro,s-1,video,{text},videos/001_intro_video.mp4,exported,,,00:00:00:00,0,3,10044,640,360,29.97,48000,2",
        "2,1,Intro,s-2,audio,'=1+1,,omitted,pending,,00:00:04:01,4.04,,,,,,,",
        "2,1,Intro,s-2,image,'=1+1,,omitted,failed,no credit left,00:00:04:01,4.04,,,,,,,",
        "",
    ]


def test_what_was_made_from_an_older_text_is_there_and_says_so() -> None:
    (row,) = rows(told(project(section(Sentence(video=completed("v.mp4", stale=True))))))
    assert (row["status"], row["reason"], row["detail"]) == ("exported", "", "made from an older text")


def test_an_empty_project_has_a_table_of_columns() -> None:
    assert "".join(write_index_table(*told(project()))) == "\ufeff" + ",".join(COLUMNS) + "\r\n"


@settings(max_examples=60)
@given(stories)
def test_every_asset_has_a_row(story: Told) -> None:
    found = rows(story)
    exported = [row["file"] for row in found if row["status"] == "exported"]
    assert exported == [copy.name for copy in story.plan.copies]
    omitted = [(row["seq"], row["kind"], row["reason"]) for row in found if row["status"] == "omitted"]
    assert omitted == [(f"{one.spot.seq}", one.spot.kind, one.reason) for one in story.plan.omissions]
    assert all(len(row) == len(COLUMNS) and None not in row for row in found)
    seqs = [int(row["seq"]) for row in found]
    assert seqs == sorted(seqs)


@settings(max_examples=60)
@given(stories)
def test_texts_and_titles_are_read_back(story: Told) -> None:
    sections = story.plan.draft.project.sections
    sentences = [sentence for one in sections for sentence in one.sentences]
    for row in rows(story):
        assert told_text(row["section_title"]) == one_line(sections[int(row["section"]) - 1].title)
        if row["text"]:
            assert told_text(row["text"]) == plain_text(sentences[int(row["seq"]) - 1].text).strip()


@pytest.mark.parametrize("text", [*INJECTIONS, *(title[:300] for title in HOSTILE_TITLES if title[:1] in "=+-@\t'\"")])
def test_no_cell_is_a_formula(text: str) -> None:
    image = {"status": "failed", "error": text}
    sentence = Sentence.model_validate({"id": one_line(text)[:128] or None, "text": text, "image": image})
    (row,) = rows(told(project(section(sentence, title=text))))
    for cell in row.values():
        assert (
            not cell.lstrip(" \t\r\n'\"\u201c\u201d\u00a0").startswith(("=", "+", "-", "@", "\uff1d")) or cell[0] == "'"
        )
        assert not cell.startswith(("=", "+", "-", "@", "\t", "\r", "\uff1d"))


def test_what_is_not_known_is_empty() -> None:
    (row, *_) = rows(told(LIGHTHOUSE, {}))
    unknown = ("duration_seconds", "width", "height", "frame_rate", "sample_rate_hz", "channels")
    assert [row[name] for name in unknown] == [""] * 6


@pytest.mark.parametrize("rate", [24_000 / 1001, 25, 30_000 / 1001, 60])
def test_a_sentence_begins_at_the_same_millisecond_as_in_the_metadata(rate: float) -> None:
    story = narrated(*(("One.", "1.01"),) * 20, rate=rate)
    sentences = json.loads("".join(write_metadata(*story)))["sections"][0]["sentences"]
    assert [Decimal(row["start_seconds"]) * 1000 for row in rows(story)] == [one["startMs"] for one in sentences]


def test_a_narration_begins_where_it_is_heard() -> None:
    uncut: Any = completed("n.mp3")
    story = told(
        project(
            section(Sentence(text="One.", audio=completed("one.wav")), Sentence(text="Two."), audio=uncut, title="A"),
            frame_rate=25,
        ),
        {"one.wav": speech(2), "n.mp3": speech(3)},
    )
    starts = {row["file"] or row["reason"]: row["start_seconds"] for row in rows(story)}
    assert starts["audio/001_a_audio.wav"] == "0"
    assert starts["audio/001_a_section_audio.mp3"] == starts["in_section_audio"] == "2"
