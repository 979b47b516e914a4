"""Which files an editor has trouble with, and what is the matter with each. Pure."""

from collections import Counter
from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import NamedTuple, assert_never

from contracts import Kind
from service.format import Format
from service.media import UNKNOWN, Container
from service.model import Copy

EDITORS_HERTZ = 48_000
"""The sample rate of every editor's sequence."""

_SAME_RATE = Fraction(1, 2_000)
"""Half of the distance between 30 and 29.97 frames a second."""

_SAME_SHAPE = Fraction(1, 100)
"""Of the ratio of width and height: a bar of a few pixels."""

_EXTENSIONS: dict[Container, frozenset[str]] = {
    Container.WAV: frozenset({"wav", "wave", "bwf", "rf64"}),
    Container.MP3: frozenset({"mp3"}),
    Container.M4A: frozenset({"m4a", "m4b", "mp4"}),
    Container.OGG: frozenset({"ogg", "oga", "opus"}),
    Container.FLAC: frozenset({"flac"}),
    Container.PNG: frozenset({"png", "apng"}),
    Container.JPEG: frozenset({"jpg", "jpeg", "jpe", "jfif"}),
    Container.WEBP: frozenset({"webp"}),
    Container.GIF: frozenset({"gif"}),
    Container.MP4: frozenset({"mp4", "m4v", "mov"}),
    Container.MOV: frozenset({"mov", "qt"}),
    Container.WEBM: frozenset({"webm"}),
    Container.MKV: frozenset({"mkv", "mka", "mk3d"}),
}

_STILLS = {Container.PNG, Container.JPEG, Container.WEBP}

# Not among the formats that Apple and Adobe list for Final Cut Pro and Premiere Pro.
_FOREIGN = {Container.OGG, Container.WEBP, Container.WEBM, Container.MKV}


class Scene(NamedTuple):
    copies: Sequence[Copy]
    format: Format

    def of(self, kind: Kind) -> Iterator[Copy]:
        return (copy for copy in self.copies if copy.spot.kind is kind)


class File(NamedTuple):
    copy: Copy
    detail: str | None = None


def damaged(scene: Scene) -> Iterator[File]:
    return (File(copy, copy.media.faults[0]) for copy in scene.copies if copy.media.faults)


def of_another_kind(scene: Scene) -> Iterator[File]:
    for copy in scene.copies:
        if copy.media.container is not None and not copy.media.faults and (lack := _lack(copy)):
            yield File(copy, lack)


def _lack(copy: Copy) -> str | None:
    match copy.spot.kind:
        case Kind.AUDIO:
            return "has no sound" if copy.media.sound is None or copy.media.duration == 0 else None
        case Kind.IMAGE:
            return "is no still" if copy.media.picture is None or copy.media.duration is not None else None
        case Kind.VIDEO:
            is_film = copy.media.picture and copy.media.duration != 0 and copy.media.container not in _STILLS
            return None if is_film else "has no moving picture"
        case _:
            assert_never(copy.spot.kind)


def misnamed(scene: Scene) -> Iterator[File]:
    for copy in scene.copies:
        container = copy.media.container
        if container is not None and copy.name.rpartition(".")[2].lower() not in _EXTENSIONS[container]:
            yield File(copy, f"is {container.name}")


def foreign(scene: Scene) -> Iterator[File]:
    return (File(copy) for copy in scene.copies if copy.media.container in _FOREIGN)


def unknown(scene: Scene) -> Iterator[File]:
    for copy in scene.copies:
        picture = copy.media.picture
        has_no_length = copy.spot.kind is not Kind.IMAGE and copy.media.duration is None
        has_no_size = copy.spot.kind is Kind.IMAGE and (picture is None or picture.width is None)
        if (has_no_length or has_no_size) and not copy.media.faults:
            yield File(copy, None if copy.media == UNKNOWN else "no length" if has_no_length else "no size")


def stale(scene: Scene) -> Iterator[File]:
    return (File(copy) for copy in scene.copies if copy.is_stale)


def varying(scene: Scene) -> Iterator[File]:
    return (File(copy) for copy in scene.of(Kind.VIDEO) if copy.media.picture and copy.media.picture.is_variable)


def short(scene: Scene) -> Iterator[File]:
    told = {
        copy.spot.seq: copy.media.duration
        for copy in scene.of(Kind.AUDIO)
        if copy.spot.in_section is not None and copy.media.duration
    }
    frame = 1 / scene.format.rate
    for film in scene.of(Kind.VIDEO):
        narration, shown = told.get(film.spot.seq), film.media.duration
        if narration and shown and shown < narration and narration - shown >= frame:
            yield File(film, f"by {float(narration - shown):.1f} s")


def of_another_rate(scene: Scene) -> Iterator[File]:
    for copy in scene.of(Kind.VIDEO):
        rate = copy.media.picture and copy.media.picture.frame_rate
        if rate and copy.media.picture and not copy.media.picture.is_variable and not _is_same(rate, scene.format.rate):
            yield File(copy, f"{rate_as_text(rate)}")


def of_another_size(scene: Scene) -> Iterator[File]:
    for copy in scene.copies:
        picture = copy.media.picture
        if copy.spot.kind is not Kind.AUDIO and picture and picture.width and picture.height:
            size = (picture.width, picture.height)
            fit = _fit(size, scene.format)
            # A still that is larger loses nothing: editors make it fit, and it bears a zoom.
            if fit is not None and not (copy.spot.kind is Kind.IMAGE and fit == "larger"):
                yield File(copy, f"{size_as_text(*size)}, {fit}")


def started_late(scene: Scene) -> Iterator[File]:
    return (File(copy, _clock(copy.media.start)) for copy in scene.copies if copy.media.start)


def of_another_pitch(scene: Scene) -> Iterator[File]:
    for copy in scene.copies:
        hertz = copy.media.sound and copy.media.sound.sample_rate_hz
        if hertz and hertz != EDITORS_HERTZ:
            yield File(copy, f"{hertz / 1000:g} kHz")


def of_other_channels(scene: Scene) -> Iterator[File]:
    heard = [(copy, copy.media.sound.channels) for copy in scene.of(Kind.AUDIO) if copy.media.sound]
    usual = Counter(channels for _, channels in heard if channels).most_common(1)
    for copy, channels in heard:
        if channels and channels != usual[0][0]:
            yield File(copy, {1: "mono", 2: "stereo"}.get(channels, f"{channels} channels"))


def _is_same(rate: Fraction, other: Fraction) -> bool:
    return rate == other or abs(rate - other) < other * _SAME_RATE


def _fit(size: tuple[int, int], timeline: Format) -> str | None:
    if size == (timeline.width, timeline.height):
        return None
    ratio = Fraction(*size) / Fraction(timeline.width, timeline.height)
    if abs(ratio - 1) > _SAME_SHAPE:
        return "another shape"
    return "smaller" if size[0] < timeline.width else "larger"


def size_as_text(width: int, height: int) -> str:
    return f"{width}x{height}"


def rate_as_text(rate: Fraction) -> str:
    """A rate as editors write it.

    >>> rate_as_text(Fraction(30000, 1001)), rate_as_text(Fraction(25))
    ('29.97', '25')
    """
    return f"{float(rate):.3f}".rstrip("0").rstrip(".")


def _clock(seconds: Fraction | None) -> str:
    """Hours, minutes and seconds.

    >>> _clock(Fraction(36_001))
    '10:00:01'
    """
    whole = int(seconds or 0)
    return f"{whole // 3600:02}:{whole // 60 % 60:02}:{whole % 60:02}"
