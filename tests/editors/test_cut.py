"""The story in whole frames: the narration rules, nothing drifts, and what is missing keeps its time."""

from collections.abc import Mapping
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import given, settings

from contracts import Asset, Include, Kind, Project, Reason, Sentence
from service.cut import HOLD_SECONDS, Clip, Cut, Track, make_cut
from service.format import RATES, Format, format_of
from service.media import Media, Picture, Sound
from service.model import Missing, Omission, Plan, Spot
from tests.core.projects import PENDING, completed, found, part, plan, project, section
from tests.editors.stories import having, stories

HOLD = HOLD_SECONDS * 25
few = settings(max_examples=50)


def seconds(length: str | int | Fraction) -> Media:
    """A narration of that length."""
    return Media(duration=Fraction(length), sound=Sound(24_000, 1))


def film(length: str | int, sound: Sound | None = None, rate: int = 25, size: tuple[int, int] = (1280, 720)) -> Media:
    return Media(duration=Fraction(length), picture=Picture(*size, frame_rate=Fraction(rate)), sound=sound)


def planned(told: Project, media: Mapping[str, Media], *uncut: str, rate: float | None = 25, **options: object) -> Plan:
    """Every file is there; `media` says what is known of each, and those of `uncut` are no WAV."""
    at_rate = told if rate is None else told.model_copy(update={"frame_rate": rate})
    made = plan(at_rate, {uri: found(uri, wav="no WAV") for uri in uncut}, **options)
    return replace(made, copies=tuple(replace(copy, media=media.get(copy.uri, Media())) for copy in made.copies))


def on(cut: Cut, track: Track) -> list[tuple[str, int, int]]:
    """File, start and frames of a track's clips."""
    return [(_name(clip), clip.start, clip.frames) for clip in cut.clips if clip.track is track]


def _name(clip: Clip) -> str:
    return clip.copy.name.rpartition("/")[2]


def lengths(cut: Cut) -> list[int]:
    return [slot.frames for slot in cut.slots]


def notes(cut: Cut) -> list[str | None]:
    return [slot.note for slot in cut.slots]


# ---- the narration rules ---------------------------------------------------------------------------


def test_a_sentence_lasts_as_long_as_its_narration_rounded_up_and_its_clip_never_longer_than_the_file() -> None:
    told = project(section(Sentence(audio=completed("a.wav")), Sentence(audio=completed("b.wav"))))
    cut = make_cut(planned(told, {"a.wav": seconds("1.01"), "b.wav": seconds(2)}))
    assert lengths(cut) == [26, 50]
    assert on(cut, Track.NARRATION) == [("001_intro_audio.wav", 0, 25), ("002_intro_audio.wav", 26, 50)]
    assert notes(cut) == [None, None]


@pytest.mark.parametrize("rate", [24_000 / 1001, 24, 25, 30_000 / 1001, 30, 60])
def test_a_thousand_sentences_drift_by_less_than_a_frame_each(rate: float) -> None:
    told = project(section(*(Sentence(audio=completed(f"{number}.wav")) for number in range(1000))))
    cut = make_cut(
        planned(told, {f"{number}.wav": seconds(Fraction(number + 700, 333)) for number in range(1000)}, rate=rate)
    )
    spoken = sum((clip.copy.media.duration or 0 for clip in cut.clips), Fraction(0))
    assert 0 <= cut.seconds(cut.frames) - spoken < 1000 / cut.rate
    assert all(0 <= slot.frames - clip.frames <= 1 for slot, clip in zip(cut.slots, cut.clips, strict=True))


def test_a_still_is_held_for_as_long_as_its_sentence() -> None:
    told = project(section(Sentence(audio=completed("a.wav"), image=completed("a.png"))))
    cut = make_cut(planned(told, {"a.wav": seconds("1.01")}))
    assert on(cut, Track.STILLS) == [("001_intro_image.png", 0, 26)]


def test_a_film_longer_than_its_narration_is_trimmed_to_it() -> None:
    told = project(section(Sentence(audio=completed("a.wav"), video=completed("a.mp4"))))
    cut = make_cut(planned(told, {"a.wav": seconds(2), "a.mp4": film(5)}))
    (clip,) = [clip for clip in cut.clips if clip.track is Track.MOTION]
    assert (clip.frames, clip.media_frames, cut.frames) == (50, 125, 50)


def test_a_film_shorter_than_its_narration_ends_and_its_still_shows_on() -> None:
    told = project(section(Sentence(audio=completed("a.wav"), image=completed("a.png"), video=completed("a.mp4"))))
    cut = make_cut(planned(told, {"a.wav": seconds(4), "a.mp4": film(1)}))
    assert on(cut, Track.MOTION) == [("001_intro_video.mp4", 0, 25)]
    assert on(cut, Track.STILLS) == [("001_intro_image.png", 0, 100)]


def test_a_films_sound_has_a_track_of_its_own_and_a_silent_films_has_none() -> None:
    told = project(section(Sentence(video=completed("loud.mp4")), Sentence(video=completed("silent.mp4"))))
    cut = make_cut(planned(told, {"loud.mp4": film(1, Sound(48_000, 2)), "silent.mp4": film(2)}))
    assert on(cut, Track.CLIP_SOUND) == [("001_intro_video.mp4", 0, 25)]
    assert on(cut, Track.MOTION) == [("001_intro_video.mp4", 0, 25), ("002_intro_video.mp4", 25, 50)]


# ---- without narration -----------------------------------------------------------------------------


def test_a_sentence_without_narration_is_as_long_as_its_film_and_else_held() -> None:
    told = project(section(Sentence(video=completed("a.mp4")), Sentence(image=completed("b.png"))))
    cut = make_cut(planned(told, {"a.mp4": film("1.5")}))
    assert lengths(cut) == [38, HOLD]
    assert on(cut, Track.MOTION) == [("001_intro_video.mp4", 0, 37)]
    assert notes(cut) == [None, None]


def test_a_pending_sentence_keeps_its_time_and_says_what_is_missing() -> None:
    told = project(section(Sentence(audio=completed("a.wav")), Sentence(audio=PENDING, image=PENDING)))
    cut = make_cut(planned(told, {"a.wav": seconds(1)}))
    assert lengths(cut) == [25, HOLD]
    assert notes(cut) == [None, f"narration pending; image pending; held for {HOLD_SECONDS} s"]


def test_a_film_whose_narration_is_pending_is_shown_whole_and_not_said_to_be_held() -> None:
    told = project(section(Sentence(audio=PENDING, video=completed("a.mp4"))))
    cut = make_cut(planned(told, {"a.mp4": film(HOLD_SECONDS)}))
    assert (lengths(cut), notes(cut)) == ([HOLD], ["narration pending"])


def test_a_sections_narration_that_is_still_to_come_is_said_at_its_first_sentence() -> None:
    told = project(section(Sentence(image=completed("a.png")), Sentence(image=completed("b.png")), audio=PENDING))
    cut = make_cut(planned(told, {}))
    assert notes(cut) == ["narration pending (of the section)", None]


def test_gaps_may_be_closed_but_a_sentence_that_has_anything_keeps_its_time() -> None:
    told = project(
        section(Sentence(audio=PENDING), title="Nothing yet"),
        section(Sentence(audio=PENDING), Sentence(audio=PENDING, image=completed("a.png"))),
    )
    cut = make_cut(having(planned(told, {}), gaps="close"))
    assert [(slot.seq, slot.start, slot.frames) for slot in cut.slots] == [(3, 0, HOLD)]
    assert [chapter.title for chapter in cut.chapters] == ["Intro"]


def test_a_narration_that_is_gone_is_given_the_time_that_the_project_says() -> None:
    told = project(section(Sentence(audio=completed("a.wav", duration_ms=2_000))))
    made = plan(told.model_copy(update={"frame_rate": 25}), {"a.wav": Missing()})
    cut = make_cut(made)
    assert (lengths(cut), notes(cut)) == ([50], ["narration missing"])


def test_a_file_of_unknown_length_is_given_the_time_that_the_project_says_and_a_note() -> None:
    told = project(section(Sentence(audio=completed("a.mp3", duration_ms=3_000)), Sentence(audio=completed("b.mp3"))))
    cut = make_cut(planned(told, {}))
    assert lengths(cut) == [75, HOLD]
    assert notes(cut) == [f"00{number}_intro_audio.mp3 does not say how long it is" for number in (1, 2)]
    assert [clip.media_frames for clip in cut.clips] == [None, None]


def test_what_is_left_out_by_choice_is_no_fault() -> None:
    told = project(section(Sentence(audio=completed("a.wav"), video=completed("a.mp4"))))
    cut = make_cut(planned(told, {"a.mp4": film(3)}, include=Include(kinds=(Kind.VIDEO,))))
    assert (lengths(cut), notes(cut)) == ([75], [None])


def test_a_section_that_was_not_chosen_has_no_time() -> None:
    told = project(
        section(Sentence(audio=completed("a.wav")), id="one"), section(Sentence(audio=completed("b.wav")), id="two")
    )
    cut = make_cut(planned(told, {"b.wav": seconds(1)}, include=Include(sections=("two",))))
    assert [(slot.seq, slot.start) for slot in cut.slots] == [(2, 0)]
    assert len(cut.chapters) == 1


def test_a_project_without_anything_is_a_cut_without_anything() -> None:
    cut = make_cut(planned(project(section(), section()), {}))
    assert (cut.frames, cut.slots, cut.chapters, cut.clips) == (0, (), (), ())


# ---- a section's narration in one file -------------------------------------------------------------


def test_an_uncut_narration_lies_under_all_of_its_sentences_which_begin_when_their_slices_do() -> None:
    told = project(
        section(
            Sentence(text="x", audio=part(0, 1_000)),
            Sentence(text="x", audio=part(1_000, 4_000)),
            audio=completed("n.mp3"),
        )
    )
    cut = make_cut(planned(told, {"n.mp3": seconds(5)}, "n.mp3"))
    assert lengths(cut) == [25, 100]
    assert on(cut, Track.NARRATION) == [("001_intro_section_audio.mp3", 0, 125)]


def test_without_slices_sentences_share_an_uncut_narration_by_the_length_of_their_texts() -> None:
    told = project(section(Sentence(text="x" * 10), Sentence(text="x" * 30), audio=completed("n.mp3")))
    cut = make_cut(planned(told, {"n.mp3": seconds(4)}, "n.mp3"))
    assert lengths(cut) == [25, 75]
    assert on(cut, Track.NARRATION) == [("001_intro_section_audio.mp3", 0, 100)]


def test_an_ideograph_is_as_long_to_say_as_two_letters_and_an_emoji_not_as_long_as_what_it_is_made_of() -> None:
    family = "\U0001f469\u200d\U0001f469\u200d\U0001f467\u200d\U0001f466"
    told = project(
        section(*(Sentence(text=text) for text in ("x" * 10, "海" * 5, family * 5)), audio=completed("n.mp3"))
    )
    assert lengths(make_cut(planned(told, {"n.mp3": seconds(12)}, "n.mp3"))) == [100, 100, 100]


def test_slices_that_do_not_run_forward_say_nothing_of_when_their_sentences_begin() -> None:
    told = project(
        section(
            Sentence(text="x" * 10, audio=part(2_000, 3_000)),
            Sentence(text="x" * 10, audio=part(1_000, 2_000)),
            Sentence(text="x" * 20),
            audio=completed("n.wav"),
        )
    )
    cut = make_cut(planned(told, {"n.wav": seconds(4)}))
    assert lengths(cut) == [25, 25, 50]
    assert on(cut, Track.NARRATION) == [("001_intro_section_audio.wav", 0, 100)]


def test_nor_where_in_the_file_a_sentence_among_others_is_told() -> None:
    told = project(
        section(
            Sentence(audio=part(2_000, 3_000)),
            Sentence(audio=completed("own.wav")),
            Sentence(audio=part(1_000, 2_000)),
            audio=completed("n.wav"),
        )
    )
    cut = make_cut(planned(told, {"n.wav": seconds(4), "own.wav": seconds(1)}))
    assert on(cut, Track.NARRATION) == [("001_intro_section_audio.wav", 0, 100), ("002_intro_audio.wav", 100, 25)]


def test_a_sentence_that_is_only_in_its_sections_narration_has_what_its_neighbours_leave_of_it() -> None:
    told = project(
        section(
            Sentence(audio=part(0, 1_000)), Sentence(), Sentence(audio=part(3_000, 5_000)), audio=completed("n.wav")
        )
    )
    media = {"n.wav": seconds(5)}
    made = planned(told, media)
    own = {"audio/001_intro_audio.wav": seconds(1), "audio/003_intro_audio.wav": seconds(2)}
    made = replace(made, copies=tuple(replace(copy, media=own.get(copy.name, copy.media)) for copy in made.copies))
    cut = make_cut(made)
    told_by = [(_name(clip), clip.start, clip.frames, clip.offset) for clip in cut.clips]
    assert told_by == [
        ("001_intro_audio.wav", 0, 25, 0),
        ("001_intro_section_audio.wav", 25, 50, 25),
        ("003_intro_audio.wav", 25 + 50, 50, 0),
    ]


def test_several_sentences_share_what_their_neighbours_leave_of_a_narration_and_its_end() -> None:
    told = project(
        section(
            Sentence(audio=part(0, 1_000)),
            *(Sentence(), Sentence()),
            Sentence(audio=part(3_000, 4_000)),
            *(Sentence(), Sentence()),
            audio=completed("n.wav"),
        )
    )
    made = planned(told, {"n.wav": seconds(5)})
    own = {"audio/001_intro_audio.wav": seconds(1), "audio/004_intro_audio.wav": seconds(1)}
    made = replace(made, copies=tuple(replace(copy, media=own.get(copy.name, copy.media)) for copy in made.copies))
    cut = make_cut(made)
    assert lengths(cut) == [25, 25, 25, 25, 12, 13]
    assert [(clip.start, clip.frames, clip.offset) for clip in cut.clips] == [
        (0, 25, 0),
        (25, 50, 25),
        (75, 25, 0),
        (100, 25, 100),
    ]


def test_a_breath_that_is_left_of_a_narration_tells_nobody() -> None:
    told = project(
        section(
            Sentence(audio=part(0, 1_000)), Sentence(), Sentence(audio=part(1_300, 3_000)), audio=completed("n.wav")
        )
    )
    assert lengths(make_cut(planned(told, {"n.wav": seconds(3)})))[1] == HOLD


@pytest.mark.parametrize("own", [PENDING, completed("gone.wav")])
def test_a_sentence_whose_own_narration_is_not_there_is_not_told_by_its_sections(own: Asset) -> None:
    told = project(
        section(
            Sentence(text="one", audio=part(0, 1_000, "n.mp3")),
            Sentence(text="two", audio=own),
            Sentence(text="three", audio=part(1_000, 6_000, "n.mp3")),
        )
    )
    made = planned(told, {"n.mp3": seconds(6)}, "n.mp3")
    there = tuple(copy for copy in made.copies if copy.uri != "gone.wav")
    lost = Omission(Spot(2, Kind.AUDIO, 0, None, None, 1), Reason.MISSING)
    omissions = made.omissions if own is PENDING else (*made.omissions, lost)
    cut = make_cut(replace(made, copies=there, omissions=omissions))
    assert lengths(cut) == [25, HOLD, 125]
    assert [(clip.start, clip.frames, clip.offset) for clip in cut.clips] == [(0, 25, 0), (25 + HOLD, 125, 25)]
    assert (notes(cut)[1] or "").endswith("held for 4 s")


@pytest.mark.parametrize("length", ["0", "1/30"])
def test_a_narration_that_is_shorter_than_a_frame_is_said_to_be(length: str) -> None:
    told = project(section(Sentence(audio=completed("a.wav"), image=completed("a.png"))))
    cut = make_cut(planned(told, {"a.wav": seconds(length)}))
    assert on(cut, Track.NARRATION) == []
    assert notes(cut) == ["001_intro_audio.wav is shorter than a frame"]


def test_a_narration_of_two_sections_plays_through_once_under_both() -> None:
    told = project(
        section(Sentence(audio=part(0, 1_000, "n.mp3")), title="One"),
        section(Sentence(audio=part(1_000, 2_000, "n.mp3"))),
    )
    cut = make_cut(planned(told, {"n.mp3": seconds(2)}, "n.mp3"))
    assert on(cut, Track.NARRATION) == [("001_one_section_audio.mp3", 0, 50)]
    assert [(chapter.start, chapter.frames) for chapter in cut.chapters] == [(0, 25), (25, 25)]


def test_sentences_on_both_sides_of_one_with_its_own_file_hear_the_narration_once() -> None:
    told = project(section(Sentence(), Sentence(audio=completed("own.wav")), Sentence(), audio=completed("n.mp3")))
    cut = make_cut(planned(told, {"n.mp3": seconds(2), "own.wav": seconds(1)}, "n.mp3"))
    assert [name for name, _, _ in on(cut, Track.NARRATION)] == ["001_intro_section_audio.mp3", "002_intro_audio.wav"]
    assert notes(cut)[2] == "its narration is in 001_intro_section_audio.mp3; nothing to show or to hear"


def test_a_narration_without_any_sentence_has_a_slot_of_its_own() -> None:
    told = project(section(audio=completed("n.wav"), title="Credits"))
    cut = make_cut(planned(told, {"n.wav": seconds(3)}, "n.wav"))
    assert [(slot.in_section, slot.frames) for slot in cut.slots] == [(None, 75)]
    assert cut.chapters[0].title == "Credits"


def test_a_sections_own_narration_that_no_sentence_needs_is_not_heard_twice() -> None:
    told = project(section(Sentence(audio=completed("a.wav")), audio=completed("n.wav")))
    cut = make_cut(planned(told, {"a.wav": seconds(1), "n.wav": seconds(9)}, "n.wav"))
    assert on(cut, Track.NARRATION) == [("001_intro_audio.wav", 0, 25)]


# ---- any project at all ----------------------------------------------------------------------------


@few
@given(stories)
def test_no_gap_between_slots_no_overlap_on_a_track_and_no_clip_beyond_its_file(told: Plan) -> None:
    cut = make_cut(told)
    assert all(earlier.start + earlier.frames == later.start for earlier, later in pairwise(cut.slots))
    assert all(slot.frames > 0 for slot in cut.slots)
    for track in Track:
        clips = [clip for clip in cut.clips if clip.track is track]
        assert all(earlier.start + earlier.frames <= later.start for earlier, later in pairwise(clips))
        assert all(clip.start + clip.frames <= cut.frames for clip in clips)
        assert all(clip.offset + clip.frames <= clip.media_frames for clip in clips if clip.media_frames is not None)
    starts = {slot.start for slot in cut.slots}
    assert all(clip.start in starts for clip in cut.clips)


@few
@given(stories)
def test_every_still_and_every_film_is_there_and_chapters_cover_it_all(told: Plan) -> None:
    cut = make_cut(told)
    placed = {clip.copy.name for clip in cut.clips}
    shorter_than_a_frame = {copy.name for copy in told.copies if (copy.media.duration or 1) < 1 / cut.rate}
    pictures = {copy.name for copy in told.copies if copy.spot.kind is not Kind.AUDIO}
    assert pictures - shorter_than_a_frame <= placed
    assert sum(chapter.frames for chapter in cut.chapters) == cut.frames
    assert all(chapter.title for chapter in cut.chapters)


@few
@given(stories)
def test_whatever_a_person_must_still_see_to_has_a_note_at_its_place(told: Plan) -> None:
    cut = make_cut(having(told, gaps="hold"))
    noted = {(slot.section, slot.in_section) for slot in cut.slots if slot.note}
    chosen_away = {Reason.EXCLUDED, Reason.IN_SECTION_AUDIO}
    missing = {
        (left_out.spot.section, left_out.spot.in_section)
        for left_out in told.omissions
        if left_out.reason not in chosen_away and left_out.spot.in_section is not None
    }
    assert missing <= noted


# ---- rate and size ---------------------------------------------------------------------------------


def formatted(*media: Media, rate: float | None = None) -> Format:
    told = project(section(*(Sentence(video=completed(f"{number}.mp4")) for number, _ in enumerate(media))))
    facts = {f"{number}.mp4": one for number, one in enumerate(media)}
    made = planned(told, facts, rate=rate)
    return format_of(made.draft.project, made.copies)


def test_the_rate_and_size_that_films_have_for_the_longest_are_the_timelines() -> None:
    assert formatted(film(1), film(1), film(5, rate=24, size=(1080, 1920))) == Format(Fraction(24), 1080, 1920)


def test_the_projects_own_rate_wins() -> None:
    assert formatted(film(5, rate=24), rate=29.97).rate == Fraction(30_000, 1001)


def test_an_average_that_is_a_little_off_is_taken_for_an_editors_rate() -> None:
    variable = Media(duration=Fraction(5), picture=Picture(640, 360, frame_rate=Fraction(2397, 100), is_variable=True))
    assert formatted(variable).rate == Fraction(24_000, 1001)


def test_without_films_stills_give_the_size_and_without_any_it_is_full_hd_at_30() -> None:
    told = project(section(Sentence(image=completed("a.png"))))
    made = planned(told, {"a.png": Media(picture=Picture(1025, 1537))}, rate=None)
    assert format_of(made.draft.project, made.copies) == Format(Fraction(30), 1026, 1538)
    assert format_of(project(), ()) == Format(Fraction(30), 1920, 1080)


@pytest.mark.parametrize("rate", [1e-300, 1.0, 12.5, 48, 240.0])
def test_whatever_rate_is_asked_for_is_one_that_editors_have(rate: float) -> None:
    assert formatted(rate=rate).rate in RATES
