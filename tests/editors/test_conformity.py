"""What a creator would discover in the editor is said before; what an editor likes is met with silence."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest

from contracts import Kind
from service.conformity import conformity
from service.media import UNKNOWN, Container, Media, Picture, Sound
from service.model import Copy, Spot
from tests.core.projects import project
from tests.editors.looking import look, look_at

PROJECT = project()
FOLDERS = {Kind.AUDIO: "audio", Kind.IMAGE: "images", Kind.VIDEO: "videos"}

SPEECH = Media(Container.WAV, Fraction(2), sound=Sound(48_000, 1))
STILL = Media(Container.PNG, picture=Picture(1920, 1080))
FILM = Media(Container.MP4, Fraction(2), Picture(1920, 1080, frame_rate=Fraction(30), is_variable=False))


def copy(seq: int, kind: Kind, media: Media, ext: str | None = None) -> Copy:
    name = f"{FOLDERS[kind]}/{seq:03}_intro_{kind.value}.{ext or (media.container or 'bin')}"
    return Copy(Spot(seq, kind, 0, None, None, seq - 1), name, name, (), media=media)


def sentences(count: int, speech: Media = SPEECH, still: Media = STILL, film: Media = FILM) -> list[Copy]:
    of_kinds = ((Kind.AUDIO, speech), (Kind.IMAGE, still), (Kind.VIDEO, film))
    return [copy(seq, kind, media) for seq in range(1, count + 1) for kind, media in of_kinds]


def lines(copies: Sequence[Copy], **told: object) -> tuple[str, ...]:
    return conformity(PROJECT.model_copy(update=told), copies)


# ---- one generated file for each kind of trouble ----

TROUBLES: dict[str, tuple[str, Sequence[str], Sequence[str]]] = {
    "a streamed narration": ("A header that is wrong", ["piped.wav"], ["stereo_48k.wav"]),
    "a sound for a film": ("Another kind of media", ["stereo.m4a as .mp4"], ["silent_30.mp4"]),
    "an MP3 called WAV": ("A name that does not say", ["bare.mp3 as .wav"], ["stereo_48k.wav"]),
    "a WebM": ("Premiere Pro and Final Cut Pro do not open", ["vp9.webm"], ["silent_30.mp4"]),
    "a text called WAV": ("Nothing known", ["nonsense as .wav"], ["stereo_48k.wav"]),
    "a film from a telephone": ("A frame rate that varies", ["varying.mp4"], ["silent_30.mp4"]),
    "a film that is over too soon": (
        "Shorter than its narration",
        ["stereo_48k.wav", "long_sound.mp4"],
        ["stereo_48k.wav", "silent_24.mp4"],
    ),
    "films at two rates": (
        "Another frame rate than the timeline's 30, 1 video (002",
        ["silent_30.mp4", "silent_24.mp4"],
        ["silent_30.mp4", "silent_30.mp4"],
    ),
    "a still of another shape": (
        "Another size than the timeline's 320x180, 1 picture (001_intro_image.png 180x180",
        ["square.png", "silent_30.mp4"],
        ["frame.png", "silent_30.mp4"],
    ),
    "a film with a timecode": ("A start timecode of its own, 1 file", ["timecode.mov"], ["pcm.mov"]),
    "a voice at 24 kHz": ("A sample rate other than 48 kHz", ["mono_24k.wav"], ["stereo_48k.wav"]),
    "a stereo narration among mono ones": (
        "Mono and stereo side by side, 1 narration (003",
        ["mono_48k.wav", "mono_48k.wav", "stereo_48k.wav"],
        ["mono_48k.wav", "mono_48k.wav", "mono_48k.wav"],
    ),
}


def test_a_still_that_is_larger_and_of_the_same_shape_is_no_trouble() -> None:
    for size, is_trouble in (((1920, 1080), False), ((3840, 2160), False), ((640, 360), True), ((2048, 2048), True)):
        still = Media(Container.PNG, picture=Picture(*size))
        assert bool(lines(sentences(1, still=still))) == is_trouble, size


@pytest.mark.parametrize("trouble", TROUBLES)
def test_each_trouble_is_one_line_and_vanishes_with_its_cause(trouble: str, matrix: Mapping[str, Path]) -> None:
    words, ill, well = TROUBLES[trouble]
    (line,) = lines(exported(ill, matrix))
    assert words in line
    assert not lines(exported(well, matrix))


def exported(names: Sequence[str], matrix: Mapping[str, Path]) -> list[Copy]:
    """One sentence for each file of a kind, in order."""
    seqs = dict.fromkeys(Kind, 0)
    copies = []
    for told in names:
        name, _, ext = told.partition(" as .")
        ext = ext or name.rpartition(".")[2]
        kind = {"wav": Kind.AUDIO, "mp3": Kind.AUDIO, "png": Kind.IMAGE}.get(ext, Kind.VIDEO)
        seqs[kind] += 1
        media = look(matrix[name]).media if name in matrix else look_at(name.encode() * 100)
        copies.append(copy(seqs[kind], kind, media, ext))
    return copies


# ---- what is said, and how much of it ----


def test_a_clean_project_is_met_with_silence() -> None:
    assert lines(sentences(300)) == ()
    assert lines([]) == ()


def test_three_hundred_narrations_at_24_khz_are_one_line() -> None:
    voice = replace(SPEECH, sound=Sound(24_000, 1))
    (line,) = lines(sentences(300, speech=voice))
    what, _, advice = line.partition(": editors ")
    first = "001_intro_audio.wav, 002_intro_audio.wav, 003_intro_audio.wav"
    assert what == f"A sample rate other than 48 kHz, 300 files (24 kHz: {first} and 297 more)"
    assert advice == "convert it as it plays, so nothing need be done; for the best sound have it made at 48 kHz."


def test_a_project_with_every_trouble_in_every_file_has_a_line_for_each() -> None:
    odd = [replace(one, is_stale=True) for one in sentences(50)]
    odd += sentences(
        40,
        replace(SPEECH, container=Container.OGG, sound=Sound(44_100, 2), faults=("its last page is missing",)),
        replace(FILM, start=Fraction(3600)),
        Media(Container.MKV, Fraction(1), Picture(640, 640, frame_rate=Fraction(24), is_variable=True)),
    )
    odd += [copy(9, Kind.VIDEO, UNKNOWN), copy(9, Kind.AUDIO, UNKNOWN, "wav")]
    found = lines([*odd, *(copy(3, Kind.VIDEO, replace(FILM, picture=Picture(9, 9, 0, Fraction(25)))) for _ in odd)])
    assert 11 <= len(found) <= 13
    assert all(len(line) < 400 and "\n" not in line for line in found)


def test_files_of_an_older_text_are_one_line_for_all() -> None:
    films = [replace(copy(seq, Kind.VIDEO, FILM), is_stale=seq < 3) for seq in range(1, 9)]
    (line,) = lines(films)
    assert line.startswith("Made from an older text, 2 files (001_intro_video.mp4, 002_intro_video.mp4): look whether")
    assert "stale = skip leaves" in line


def test_each_file_is_named_with_what_is_the_matter_with_it() -> None:
    films = [copy(seq, Kind.VIDEO, FILM) for seq in range(1, 9)]
    slow = [copy(9, Kind.VIDEO, _at(Fraction(24_000, 1001))), copy(10, Kind.VIDEO, _at(Fraction(25)))]
    (line,) = lines([*films, *slow])
    assert "timeline's 30, 2 videos (009_intro_video.mp4 23.976, 010_intro_video.mp4 25):" in line


def test_2997_is_not_30_but_a_rate_that_was_rounded_is_its_own() -> None:
    films = [copy(seq, Kind.VIDEO, FILM) for seq in range(1, 9)]
    assert len(lines([*films, copy(9, Kind.VIDEO, _at(Fraction(30_000, 1001)))])) == 1
    assert lines([*films, copy(9, Kind.VIDEO, _at(Fraction(29_997, 1000)))]) == ()


def test_the_projects_own_frame_rate_is_the_timelines() -> None:
    (line,) = lines(sentences(2), frame_rate=24.0)
    assert "timeline's 24, 2 videos (30: 001_intro_video.mp4, 002_intro_video.mp4)" in line


def test_a_film_may_end_within_the_narrations_last_frame() -> None:
    barely = replace(FILM, duration=Fraction(2) - Fraction(1, 31))
    assert lines(sentences(1, film=barely)) == ()
    (line,) = lines(sentences(1, film=replace(FILM, duration=Fraction(1, 2))))
    assert "Shorter than its narration, 1 video (001_intro_video.mp4 by 1.5 s): its still is seen" in line


def test_what_a_header_could_not_say_is_not_called_unknown_too() -> None:
    streamed = replace(FILM, duration=None, faults=("it is written in fragments and does not say how long it is",))
    (line,) = lines(sentences(1, film=streamed))
    assert line.startswith(
        "A header that is wrong or unfinished, 1 file (001_intro_video.mp4 it is written in fragments"
    )


def _at(rate: Fraction) -> Media:
    return replace(FILM, picture=Picture(1920, 1080, frame_rate=rate, is_variable=False))


@pytest.mark.parametrize("kind", [Kind.AUDIO, Kind.VIDEO])
def test_a_recording_that_ended_before_it_began_is_another_kind_of_media(kind: Kind) -> None:
    whole = {Kind.AUDIO: SPEECH, Kind.VIDEO: FILM}[kind]
    assert lines([copy(1, kind, whole)]) == ()
    [line] = lines([copy(1, kind, replace(whole, duration=Fraction(0)))])
    assert line.startswith("Another kind of media")
