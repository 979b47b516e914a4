"""What is said is on screen while it is said, in lines that one can read, and none of it is lost."""

import html
from fractions import Fraction
from itertools import groupby, pairwise

import pysubs2
import pytest
import regex
import webvtt
from hypothesis import given, settings

from contracts import Sentence
from service.captions import write_srt, write_vtt
from service.captions.cue_text import LINE_COLUMNS
from service.captions.spoken import BRIDGED_MS, READABLE_MS, Cue, spoken
from service.cut import Track
from service.graphemes import columns
from service.naming import one_line
from service.timecodes import milliseconds
from tests.core.hostile_titles import HOSTILE_TITLES
from tests.core.projects import GENERATING, PENDING, completed, part, project, section
from tests.editors.told import RATES, Told, narrated, narrations, speech, spoken_by, stories, texts, timed, told

some = settings(max_examples=60)
LONG = "He reads the log, winds the clock, and goes up the stairs to see whether the lamp still burns."
WORD_JOINER = "\u2060"


def cues(story: Told) -> list[Cue]:
    return list(spoken(*story))


def times(story: Told) -> list[tuple[int, int]]:
    return [(cue.start_ms, cue.stop_ms) for cue in cues(story)]


def srt(story: Told) -> pysubs2.SSAFile:
    return pysubs2.SSAFile.from_string("".join(write_srt(*story)), "srt", keep_html_tags=True)


def vtt(story: Told) -> list[webvtt.Caption]:
    return list(webvtt.from_string("".join(write_vtt(*story))).captions)


def told_text(text: str) -> str:
    """Without whitespace: a line may also end where there is no space, between ideographs."""
    return "".join(one_line(text).split())


# ---- how they look ---------------------------------------------------------------------------------


def test_captions_look_like_this() -> None:
    story = narrated(("The sea & <i>its</i> calm.", 2), (LONG, "4.01"))
    assert "".join(write_srt(*story)) == (
        "1\n00:00:00,000 --> 00:00:02,000\nThe sea & <\u2060i>its<\u2060/i> calm.\n\n"
        "2\n00:00:02,000 --> 00:00:03,478\nHe reads the log, winds the clock,\n\n"
        "3\n00:00:03,478 --> 00:00:06,000\nand goes up the stairs to see\nwhether the lamp still burns.\n\n"
    )
    assert "".join(write_vtt(*story)) == (
        "WEBVTT\n"
        "\n1\n00:00:00.000 --> 00:00:02.000\nThe sea &amp; &lt;i&gt;its&lt;/i&gt; calm.\n"
        "\n2\n00:00:02.000 --> 00:00:03.478\nHe reads the log, winds the clock,\n"
        "\n2.2\n00:00:03.478 --> 00:00:06.000\nand goes up the stairs to see\nwhether the lamp still burns.\n"
    )


def test_without_narration_there_is_a_file_without_cues() -> None:
    story = told(project())
    assert "".join(write_srt(*story)) == ""
    assert "".join(write_vtt(*story)) == "WEBVTT\n"


# ---- what is in them -------------------------------------------------------------------------------


@some
@given(narrations)
def test_joined_cues_are_the_script(story: Told) -> None:
    sentences = story.plan.draft.project.sections[0].sentences
    shown = {seq: list(run) for seq, run in groupby(cues(story), lambda cue: cue.seq)}
    for seq, sentence in enumerate(sentences, 1):
        lines = [line for cue in shown.get(seq, ()) for line in cue.lines]
        assert "".join(lines).replace(" ", "") == told_text(sentence.text)


@some
@given(texts)
def test_words_of_a_script_with_spaces_stay_apart(text: str) -> None:
    words = [word for word in one_line(text).split() if word.isascii() and len(word) <= LINE_COLUMNS]
    story = narrated((" ".join(words), 30))
    assert " ".join(line for cue in cues(story) for line in cue.lines) == " ".join(words)


@some
@given(narrations)
def test_two_programs_read_the_same_from_both_files(story: Told) -> None:
    expected = [(cue.start_ms, cue.stop_ms, " ".join(cue.lines)) for cue in cues(story)]
    from_srt = [(event.start, event.end, event.text) for event in srt(story)]
    assert [(start, stop, plain(text.replace("\\N", "\n"))) for start, stop, text in from_srt] == [
        (start, stop, plain(text)) for start, stop, text in expected
    ]
    from_vtt = [(stamp(cue.start), stamp(cue.end), html.unescape(cue.raw_text)) for cue in vtt(story)]
    assert [(start, stop, " ".join(text.split("\n"))) for start, stop, text in from_vtt] == expected


def plain(text: str) -> str:
    """What of it is shown; pysubs2 takes whitespace from its ends."""
    return " ".join(text.replace(WORD_JOINER, "").split())


def stamp(told_as: str) -> int:
    hours, minutes, seconds = told_as.split(":")
    return round(1000 * (3600 * int(hours) + 60 * int(minutes) + Fraction(seconds)))


@pytest.mark.parametrize("text", ["a --> b", "00:00:01,000 --> 00:00:02,000", "{\\an8}up", "<b>x</b>", "&lt;", "7"])
def test_a_text_is_never_taken_for_syntax(text: str) -> None:
    story = narrated((f"Before {text}", 5), (text, 5), ("After", 5))
    assert [plain(event.text) for event in srt(story)] == [f"Before {text}", text, "After"]
    assert [html.unescape(cue.raw_text) for cue in vtt(story)] == [f"Before {text}", text, "After"]
    payload = [line for line in "".join(write_vtt(*story)).split("\n") if not line.startswith("00:")]
    assert "-->" not in "".join(payload)


def test_what_nobody_says_has_no_captions() -> None:
    story = told(
        project(
            section(
                Sentence(text="Pending.", audio=PENDING, image=completed("a.png")),
                Sentence(text="Told.", audio=completed("told.wav")),
                Sentence(text="Never asked for."),
                Sentence(text=" \n", audio=completed("breath.wav")),
            )
        ),
        {"told.wav": speech(2), "breath.wav": speech(1)},
    )
    assert [cue.lines for cue in cues(story)] == [("Told.",)]


def test_a_narration_that_was_not_cut_tells_its_sentences_in_turn() -> None:
    by_slices = told(
        project(
            section(
                Sentence(text="One.", audio=part(0, 1000)),
                Sentence(text="Two.", audio=part(1000, 4000)),
                audio=completed("n.mp3"),
            ),
            frame_rate=25,
        ),
        {"n.mp3": speech(4)},
    )
    by_length = told(
        project(
            section(
                Sentence(text="One."), Sentence(text="Longer."), Sentence(audio=GENERATING), audio=completed("n.mp3")
            ),
            frame_rate=25,
        ),
        {"n.mp3": speech(4)},
    )
    assert times(by_slices) == [(0, 1000), (1000, 4000)]
    assert [cue.lines for cue in cues(by_length)] == [("One.",), ("Longer.",)]
    (one, longer) = times(by_length)
    assert one[0] == 0
    assert one[1] == longer[0]
    assert one[1] - one[0] < longer[1] - longer[0]


# ---- how they are cut into lines -------------------------------------------------------------------


@some
@given(narrations)
def test_no_more_than_two_lines_of_42(story: Told) -> None:
    for cue in cues(story):
        assert 1 <= len(cue.lines) <= 2 or cue.stop_ms - cue.start_ms < 100
        assert all(columns(line) <= LINE_COLUMNS and line for line in cue.lines)


@pytest.mark.parametrize("before", ["", "x" * 41, "第" * 20], ids=len)
def test_nothing_that_is_seen_as_one_is_torn(before: str) -> None:
    """Asked of Unicode's own rule, as another program has it."""
    hostile = [before + one_line(title[:500]) for title in HOSTILE_TITLES]
    shown = cues(narrated(*((text, 60) for text in hostile)))
    for seq, run in groupby(shown, lambda cue: cue.seq):
        lines = [line for cue in run for line in cue.lines]
        assert all(columns(line) <= LINE_COLUMNS for line in lines)
        whole = told_text(hostile[seq - 1])
        assert ends([line.replace(" ", "") for line in lines]) <= ends(regex.findall(r"\X", whole))


def ends(pieces: list[str]) -> set[int]:
    found, at = set(), 0
    for piece in pieces:
        at += len(piece)
        found.add(at)
    return found


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("第" * 21, [("第" * 21,)]),
        ("第" * 22, [("第" * 11, "第" * 11)]),
        ("海边的灯塔很高，" * 3, [("海边的灯塔很高，", "海边的灯塔很高，海边的灯塔很高，")]),
        ("ｱ" * 42, [("ｱ" * 42,)]),
        ("x" * 43, [("x" * 21, "x" * 22)]),
        ("하나 둘 셋 " * 6, [("하나 둘 셋 하나 둘 셋 하나 둘 셋", "하나 둘 셋 하나 둘 셋 하나 둘 셋")]),
    ],
)
def test_full_width_characters_count_two(text: str, lines: list[tuple[str, ...]]) -> None:
    assert [cue.lines for cue in cues(narrated((text, 20)))] == lines


def test_closing_signs_do_not_begin_a_line() -> None:
    for at in range(15, 24):
        for cue in cues(narrated(("第" * at + "。" + "第" * 30, 20))):
            assert not any(line.startswith("。") for line in cue.lines)


def test_a_cue_rather_ends_with_a_sentence() -> None:
    text = "The light turns once in ten seconds, all night long. Nobody has seen the keeper since the storm."
    assert [" ".join(cue.lines) for cue in cues(narrated((text, 10)))] == [
        "The light turns once in ten seconds, all night long.",
        "Nobody has seen the keeper since the storm.",
    ]


# ---- when they are shown ---------------------------------------------------------------------------


@some
@given(stories)
def test_cues_follow_each_other_within_their_narration(story: Told) -> None:
    shown = cues(story)
    assert all(before.stop_ms <= after.start_ms for before, after in pairwise(shown))
    narrated_ms = [
        (milliseconds(story.cut, clip.start), milliseconds(story.cut, clip.start + clip.frames))
        for clip in story.cut.clips
        if clip.track is Track.NARRATION
    ]
    slots = {slot.seq: slot for slot in story.cut.slots if slot.in_section is not None}
    for cue in shown:
        slot = slots[cue.seq]
        assert cue.start_ms < cue.stop_ms
        assert any(start <= cue.start_ms and cue.stop_ms <= stop for start, stop in narrated_ms)
        assert milliseconds(story.cut, slot.start) <= cue.start_ms
        assert cue.stop_ms <= milliseconds(story.cut, slot.start + slot.frames)


@some
@given(narrations)
def test_every_cue_can_be_read_if_there_is_time(story: Told) -> None:
    slots = {slot.seq: slot for slot in story.cut.slots}
    for seq, run in groupby(cues(story), lambda cue: cue.seq):
        shown = list(run)
        first, last = slots[seq].start, slots[seq].start + slots[seq].frames - 1
        if milliseconds(story.cut, last) - milliseconds(story.cut, first) >= len(shown) * READABLE_MS:
            assert min(cue.stop_ms - cue.start_ms for cue in shown) >= READABLE_MS


def test_a_cue_never_lasts_no_time_at_all() -> None:
    hasty = narrated(("word " * 2000, Fraction(1, 25)))
    assert cues(hasty)
    assert all(cue.start_ms < cue.stop_ms for cue in cues(hasty))
    assert "".join(line for cue in cues(hasty) for line in cue.lines).count("word") == 2000


@pytest.mark.parametrize("rate", RATES)
def test_an_editor_lands_on_the_frame_however_it_rounds(rate: float) -> None:
    cut = narrated(("One.", 1), rate=rate).cut
    for frame in [*range(200), 107_892, 5_178_816]:
        ms = milliseconds(cut, frame)
        assert ms * cut.rate // 1000 == frame
        assert round(ms * cut.rate / 1000) == frame


# ---- words -----------------------------------------------------------------------------------------

WORDS = LONG.split()


def word_by_word(text: str = LONG, *, first_ms: int = 500, each_ms: int = 200, pause_ms: int = 0) -> Sentence:
    """With a pause after the seventh word, where the first cue ends."""
    starts = [first_ms + each_ms * at + (pause_ms if at > 6 else 0) for at in range(len(text.split()))]
    spans = zip(text.split(), starts, strict=True)
    return Sentence(text=text, word_timings=timed(*((word, start, start + each_ms) for word, start in spans)))


def test_timed_words_say_when_a_cue_is_shown() -> None:
    assert [cue.lines[0] for cue in cues(spoken_by([word_by_word()], [6]))] == [
        "He reads the log, winds the clock,",
        "and goes up the stairs to see",
    ]
    assert times(spoken_by([word_by_word()], [6])) == [(500, 1900), (1900, 4300)]


def test_a_short_pause_between_cues_is_not_shown() -> None:
    assert times(spoken_by([word_by_word(pause_ms=BRIDGED_MS - 300)], [9]))[0] == (500, 2600)
    (first, second) = times(spoken_by([word_by_word(pause_ms=3000)], [9]))
    assert first[1] < second[0]


@pytest.mark.parametrize(
    "words",
    [
        [word.upper() for word in WORDS],
        [f" {word.strip(',.')}" for word in WORDS],
        ["".join(WORDS[:4]), *WORDS[4:]],
        [*"".join(WORDS)],
    ],
)
def test_words_are_known_however_they_are_written(words: list[str]) -> None:
    spans = timed(*((word, 400 + at * 10, 410 + at * 10) for at, word in enumerate(words)))
    (first, *_) = times(spoken_by([Sentence(text=LONG, word_timings=spans)], [6]))
    assert first[0] == 400


@pytest.mark.parametrize(
    "words",
    [
        timed(("Something", 100, 200), ("else", 200, 300)),
        timed(*((word, 90_000, 91_000) for word in WORDS)),
        timed(*((word, 100, 200) for word in WORDS[:-1])),
    ],
)
def test_without_fitting_words_length_says_when_a_cue_is_shown(words: tuple[object, ...]) -> None:
    untimed = spoken_by([Sentence(text=LONG)], [6])
    sentence = Sentence.model_validate({"text": LONG, "word_timings": words})
    assert times(spoken_by([sentence], [6])) == times(untimed)


def test_words_that_count_from_the_start_of_the_section_are_understood() -> None:
    sentence = word_by_word(first_ms=90_500).model_copy(update={"audio": part(90_000, 96_000, "n.wav")})
    story = told(project(section(sentence), frame_rate=25), {"n.wav": speech(6)})
    own = spoken_by([word_by_word()], [6])
    assert times(story) == times(own)


@pytest.mark.parametrize(
    "words",
    [
        timed(*((word, 5_900, 99_000) for word in WORDS)),
        timed(*((word, 3_000 - 100 * at, 0) for at, word in enumerate(WORDS))),
        timed(*((word, 0, 0) for word in WORDS)),
    ],
    ids=["too long", "backwards", "of no time"],
)
def test_impossible_times_of_words_still_give_readable_cues(words: tuple[object, ...]) -> None:
    sentence = Sentence.model_validate({"text": LONG, "word_timings": words})
    shown = times(spoken_by([sentence], [6]))
    assert len(shown) == 2
    assert all(0 <= start <= stop - READABLE_MS and stop <= 6000 for start, stop in shown)
    assert shown[0][1] <= shown[1][0]
