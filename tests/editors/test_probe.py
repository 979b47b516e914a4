"""A file says of itself what ffprobe says of it, from two reads at most."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from pathlib import Path

import pytest
from PIL import Image, ImageOps

from service.media import Container
from tests.editors.looking import Look, Oracle, ask_ffprobe, look
from tests.editors.media_matrix import COPIES, FILMS, OTHERS, SOUNDS, STILLS

HEAD_BYTES = 65_536
SMALL_READS_BYTES = 84 * 1024
"""A head and a look at the end."""

_ALL_FILMS = [made.name for made in FILMS] + [made.name for _, made in COPIES]
_ALL_SOUNDS = [made.name for made in SOUNDS] + [name for name in OTHERS if not name.endswith((".jpg", ".png", ".webp"))]
_ALL_STILLS = [made.name for made in STILLS] + [name for name in OTHERS if name.endswith((".jpg", ".png", ".webp"))]

DOES_NOT_SAY_HOW_LONG = {"fragmented.mp4", "streamed.webm"}
"""What only its last byte tells; ffprobe reads up to it."""

STRETCHED = {"fragmented.mp4"}
"""FFmpeg made the first frame longer, and ffprobe counts it in."""

_NAMES: dict[str, Container] = {
    ".jpg": Container.JPEG,
    ".opus": Container.OGG,
} | {f".{container.value}": container for container in Container}


@pytest.fixture(scope="module")
def oracles(matrix: Mapping[str, Path]) -> Mapping[str, Oracle]:
    names = [*_ALL_SOUNDS, *_ALL_FILMS]
    with ThreadPoolExecutor(4) as threads:
        return dict(zip(names, threads.map(ask_ffprobe, (matrix[name] for name in names)), strict=True))


@pytest.fixture(scope="module")
def looks(matrix: Mapping[str, Path]) -> Mapping[str, Look]:
    return {name: look(path) for name, path in matrix.items()}


@pytest.mark.parametrize("name", [*_ALL_SOUNDS, *_ALL_FILMS, *_ALL_STILLS])
def test_it_is_known_by_its_content(name: str, looks: Mapping[str, Look]) -> None:
    assert looks[name].media.container is _NAMES[Path(name).suffix]


def test_nothing_of_the_matrix_is_left_out(matrix: Mapping[str, Path]) -> None:
    assert set(matrix) == {*_ALL_SOUNDS, *_ALL_FILMS, *_ALL_STILLS}


@pytest.mark.parametrize("name", [*_ALL_SOUNDS, *_ALL_FILMS])
def test_it_lasts_as_long_as_ffprobe_says(name: str, looks: Mapping[str, Look], oracles: Mapping[str, Oracle]) -> None:
    media, oracle = looks[name].media, oracles[name]
    if name in DOES_NOT_SAY_HOW_LONG:
        assert media.duration is None
        assert "does not say how long it is" in media.faults[0]
        return
    assert media.duration is not None
    assert oracle.seconds == pytest.approx(float(media.duration), abs=_one_frame(name, media.picture is not None))


@pytest.mark.parametrize("name", [*_ALL_SOUNDS, *_ALL_FILMS])
def test_it_sounds_as_ffprobe_says(name: str, looks: Mapping[str, Look], oracles: Mapping[str, Oracle]) -> None:
    sound, told = looks[name].media.sound, oracles[name].sound
    assert (sound is None) == (told is None)
    if sound is not None and told is not None:
        assert (sound.sample_rate_hz, sound.channels) == (int(told["sample_rate"]), told["channels"])


@pytest.mark.parametrize("name", _ALL_FILMS)
def test_it_is_shown_as_ffprobe_says(name: str, looks: Mapping[str, Look], oracles: Mapping[str, Oracle]) -> None:
    picture, oracle = looks[name].media.picture, oracles[name]
    if oracle.film is None:
        assert picture is None
        return
    assert picture is not None
    stored = (oracle.film["width"], oracle.film["height"])
    assert (picture.width, picture.height) == (stored if oracle.rotation in {0, 180} else stored[::-1])
    assert picture.rotation == oracle.rotation


@pytest.mark.parametrize("name", _ALL_FILMS)
def test_it_runs_at_the_rate_that_ffprobe_says(
    name: str, looks: Mapping[str, Look], oracles: Mapping[str, Oracle]
) -> None:
    picture, oracle = looks[name].media.picture, oracles[name]
    assert picture is not None
    if name in STRETCHED:
        assert picture.frame_rate == 30
    else:
        assert picture.frame_rate is not None
        assert float(picture.frame_rate) == pytest.approx(oracle.frame_rate, abs=0.001)
    if name.endswith((".webm", ".mkv")) or "fragment" in name:
        assert picture.is_variable is None, "what only the frames themselves tell is unknown"
    else:
        assert picture.is_variable is oracle.is_variable


def test_rates_are_exact(looks: Mapping[str, Look]) -> None:
    names = ("ntsc.mp4", "cinema.mp4", "ntsc.webm", "silent_24.mp4")
    rates = [(looks[name].media.picture or pytest.fail(name)).frame_rate for name in names]
    assert rates == [Fraction(30_000, 1001), Fraction(24_000, 1001), Fraction(30_000, 1001), Fraction(24)]


@pytest.mark.parametrize("name", _ALL_FILMS)
def test_its_timecode_is_when_it_starts(name: str, looks: Mapping[str, Look], oracles: Mapping[str, Oracle]) -> None:
    media, told = looks[name].media, oracles[name].timecode
    assert (media.start is None) == (told is None)
    if media.start is not None and told is not None and media.picture is not None and media.picture.frame_rate:
        hours, minutes, seconds, frames = (int(part) for part in told.replace(";", ":").split(":"))
        shown = hours * 3600 + minutes * 60 + seconds + Fraction(frames) / media.picture.frame_rate
        # A timecode that drops numbers keeps to the clock but for a frame or two.
        assert float(media.start) == pytest.approx(float(shown), abs=0.1 if ";" in told else 0)


@pytest.mark.parametrize("name", _ALL_STILLS)
def test_a_still_is_as_large_as_it_is_shown(name: str, matrix: Mapping[str, Path], looks: Mapping[str, Look]) -> None:
    media = looks[name].media
    with Image.open(matrix[name]) as image:
        shown = ImageOps.exif_transpose(image).size
    assert media.picture is not None
    assert (media.picture.width, media.picture.height) == shown
    assert (media.duration, media.sound, media.picture.frame_rate) == (None, None, None)


def test_a_photo_tells_how_it_was_held(looks: Mapping[str, Look]) -> None:
    turned = [
        (looks[f"photo_{orientation}.jpg"].media.picture or pytest.fail("no size")).rotation
        for orientation in range(1, 9)
    ]
    assert turned == [0, 0, 180, 180, 270, 90, 90, 270]


def test_a_broadcast_wav_starts_at_its_time_of_day(looks: Mapping[str, Look]) -> None:
    assert looks["broadcast.wav"].media.start == 3600


@pytest.mark.parametrize("name", ["piped.wav", "joined.mp3"])
def test_a_header_that_promises_something_else_is_a_fault(name: str, looks: Mapping[str, Look]) -> None:
    (fault,) = looks[name].media.faults
    assert fault.startswith("its header ")
    assert "bytes of sound, it has" in fault


def test_only_those_files_have_faults(looks: Mapping[str, Look]) -> None:
    faulty = {name for name, look in looks.items() if look.media.faults}
    assert faulty == {"piped.wav", "joined.mp3", *DOES_NOT_SAY_HOW_LONG}


# ---- what it takes ----


def test_two_reads_are_enough_for_anything(looks: Mapping[str, Look]) -> None:
    assert max(len(look.reads) for look in looks.values()) <= 2
    assert all(look.reads[0] <= HEAD_BYTES for look in looks.values())


def test_a_head_and_a_look_at_the_end_are_enough_for_almost_anything(looks: Mapping[str, Look]) -> None:
    large = {name for name, look in looks.items() if sum(look.reads) > SMALL_READS_BYTES}
    # A profile of colours, in front of a picture's size, is read through.
    assert large <= {"colours.jpg"}


def _one_frame(name: str, has_picture: bool) -> float:
    """ffprobe counts the warming up of a decoder, or a tag at the end, as sound: less than a frame of it."""
    if has_picture:
        return 1 / 24
    return {".mp3": 1152 / 44_100, ".opus": 0.02, ".ogg": 0.02}.get(Path(name).suffix, 0.001)
