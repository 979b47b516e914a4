"""What a creator would otherwise discover in the editor, as at most a dozen lines before it. Pure.

One line for each kind of trouble: how many files, the first of them, what it means, and what to do.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from fractions import Fraction
from typing import NamedTuple, assert_never

from contracts import Kind, Project
from service.format import Format, format_of
from service.media import UNKNOWN, Container
from service.model import Copy

NAMED_FILES = 3
"""Of each line; the others are counted."""

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
    Container.MP4: frozenset({"mp4", "m4v"}),
    Container.MOV: frozenset({"mov", "qt"}),
    Container.WEBM: frozenset({"webm"}),
    Container.MKV: frozenset({"mkv", "mka", "mk3d"}),
}

_STILLS = {Container.PNG, Container.JPEG, Container.WEBP}

# Not among the formats that Apple and Adobe list for Final Cut Pro and Premiere Pro.
_FOREIGN = {Container.OGG, Container.WEBP, Container.WEBM, Container.MKV}


def conformity(project: Project, copies: Sequence[Copy]) -> tuple[str, ...]:
    """The lines, the gravest first; none where all is as an editor wants it."""
    scene = _Scene(copies, format_of(project, copies))
    found = ((check, list(check.files(scene))) for check in _CHECKS)
    return tuple(_line(check, files, scene) for check, files in found if files)


class _Scene(NamedTuple):
    copies: Sequence[Copy]
    format: Format

    def of(self, kind: Kind) -> Iterator[Copy]:
        return (copy for copy in self.copies if copy.spot.kind is kind)


class _File(NamedTuple):
    copy: Copy
    detail: str | None = None


class _Check(NamedTuple):
    what: str
    """May name the timeline's `{rate}` and its `{size}`."""
    noun: str
    """Of the files, in the singular."""
    advice: str
    files: Callable[[_Scene], Iterable[_File]]


def _damaged(scene: _Scene) -> Iterator[_File]:
    return (_File(copy, copy.media.faults[0]) for copy in scene.copies if copy.media.faults)


def _of_another_kind(scene: _Scene) -> Iterator[_File]:
    for copy in scene.copies:
        if copy.media.container is not None and not copy.media.faults and (lack := _lack(copy)):
            yield _File(copy, lack)


def _lack(copy: Copy) -> str | None:
    match copy.spot.kind:
        case Kind.AUDIO:
            return "has no sound" if copy.media.sound is None else None
        case Kind.IMAGE:
            return "is no still" if copy.media.picture is None or copy.media.duration is not None else None
        case Kind.VIDEO:
            return "has no moving picture" if copy.media.picture is None or copy.media.container in _STILLS else None
        case _:
            assert_never(copy.spot.kind)


def _misnamed(scene: _Scene) -> Iterator[_File]:
    for copy in scene.copies:
        container = copy.media.container
        if container is not None and copy.name.rpartition(".")[2].lower() not in _EXTENSIONS[container]:
            yield _File(copy, f"is {container.name}")


def _foreign(scene: _Scene) -> Iterator[_File]:
    return (_File(copy) for copy in scene.copies if copy.media.container in _FOREIGN)


def _unknown(scene: _Scene) -> Iterator[_File]:
    for copy in scene.copies:
        picture = copy.media.picture
        has_no_length = copy.spot.kind is not Kind.IMAGE and copy.media.duration is None
        has_no_size = copy.spot.kind is Kind.IMAGE and (picture is None or picture.width is None)
        if (has_no_length or has_no_size) and not copy.media.faults:
            yield _File(copy, None if copy.media == UNKNOWN else "no length" if has_no_length else "no size")


def _varying(scene: _Scene) -> Iterator[_File]:
    return (_File(copy) for copy in scene.of(Kind.VIDEO) if copy.media.picture and copy.media.picture.is_variable)


def _short(scene: _Scene) -> Iterator[_File]:
    told = {
        copy.spot.seq: copy.media.duration
        for copy in scene.of(Kind.AUDIO)
        if copy.spot.in_section is not None and copy.media.duration
    }
    for film in scene.of(Kind.VIDEO):
        narration, shown = told.get(film.spot.seq), film.media.duration
        if narration and shown and narration - shown >= 1 / scene.format.rate:
            yield _File(film, f"by {float(narration - shown):.1f} s")


def _of_another_rate(scene: _Scene) -> Iterator[_File]:
    for copy in scene.of(Kind.VIDEO):
        rate = copy.media.picture and copy.media.picture.frame_rate
        if rate and copy.media.picture and not copy.media.picture.is_variable and not _is_same(rate, scene.format.rate):
            yield _File(copy, f"{_number(rate)}")


def _of_another_size(scene: _Scene) -> Iterator[_File]:
    for copy in scene.copies:
        picture = copy.media.picture
        if copy.spot.kind is not Kind.AUDIO and picture and picture.width and picture.height:
            size = (picture.width, picture.height)
            if size != (scene.format.width, scene.format.height):
                yield _File(copy, f"{_size(*size)}, {_fit(size, scene.format)}")


def _started_late(scene: _Scene) -> Iterator[_File]:
    return (_File(copy, _clock(copy.media.start)) for copy in scene.copies if copy.media.start)


def _of_another_pitch(scene: _Scene) -> Iterator[_File]:
    for copy in scene.copies:
        hertz = copy.media.sound and copy.media.sound.sample_rate_hz
        if hertz and hertz != EDITORS_HERTZ:
            yield _File(copy, f"{hertz / 1000:g} kHz")


def _of_other_channels(scene: _Scene) -> Iterator[_File]:
    heard = [(copy, copy.media.sound.channels) for copy in scene.of(Kind.AUDIO) if copy.media.sound]
    usual = Counter(channels for _, channels in heard if channels).most_common(1)
    for copy, channels in heard:
        if channels and channels != usual[0][0]:
            yield _File(copy, {1: "mono", 2: "stereo"}.get(channels, f"{channels} channels"))


_CHECKS: tuple[_Check, ...] = (
    _Check(
        "A header that is wrong or unfinished",
        "file",
        "editors may show a wrong length or refuse it; open it in an audio or video tool and save it anew",
        _damaged,
    ),
    _Check(
        "Another kind of media than the project says",
        "file",
        "editors have nothing to show there; make it anew",
        _of_another_kind,
    ),
    _Check(
        "A name that does not say what is in it",
        "file",
        "editors that go by the name refuse it; correct its extension where the project keeps it",
        _misnamed,
    ),
    _Check(
        "A format that Premiere Pro and Final Cut Pro do not open",
        "file",
        "there it is missing; convert it to WAV, PNG or MP4",
        _foreign,
    ),
    _Check(
        "Nothing known of its length or size",
        "file",
        "its place in the timelines is a guess; look at it in the editor, or save it in a usual format",
        _unknown,
    ),
    _Check(
        "A frame rate that varies",
        "video",
        "picture and sound drift apart in most editors; convert it to a constant rate",
        _varying,
    ),
    _Check(
        "Shorter than its narration",
        "video",
        "its still is seen for the rest, or black without one; slow it down, or make a longer one",
        _short,
    ),
    _Check(
        "Another frame rate than the timeline's {rate}",
        "video",
        "editors drop or repeat frames, which may stutter; make all at one rate, or set the project's frame rate",
        _of_another_rate,
    ),
    _Check(
        "Another size than the timeline's {size}",
        "picture",
        "editors scale it or leave bars beside it; crop it, or make all pictures in one size",
        _of_another_size,
    ),
    _Check(
        "A start timecode of its own",
        "file",
        "an editor that looks for another time shows it as offline; relink it there, or save it with a start of 0",
        _started_late,
    ),
    _Check(
        "A sample rate other than 48 kHz",
        "file",
        "editors convert it as it plays, so nothing need be done; for the best sound have it made at 48 kHz",
        _of_another_pitch,
    ),
    _Check(
        "Mono and stereo side by side",
        "narration",
        "it sounds louder or from elsewhere than the others; set all to the same in the editor",
        _of_other_channels,
    ),
)


def _line(check: _Check, files: Sequence[_File], scene: _Scene) -> str:
    rate, size = _number(scene.format.rate), _size(scene.format.width, scene.format.height)
    noun = check.noun if len(files) == 1 else f"{check.noun}s"
    what = check.what.format(rate=rate, size=size)
    return f"{what}, {len(files)} {noun} ({_names(files)}): {check.advice}."


def _names(files: Sequence[_File]) -> str:
    """The first few, and what is the matter with each: once, where it is the same with all."""
    details = {file.detail for file in files}
    shared = f"{files[0].detail}: " if len(details) == 1 and len(files) > 1 and files[0].detail else ""
    named = [_name(file, is_detailed=not shared) for file in files[:NAMED_FILES]]
    more = len(files) - NAMED_FILES
    return shared + ", ".join(named) + (f" and {more} more" if more > 0 else "")


def _name(file: _File, *, is_detailed: bool) -> str:
    name = file.copy.name.rpartition("/")[2]
    return f"{name} {file.detail}" if is_detailed and file.detail else name


def _is_same(rate: Fraction, other: Fraction) -> bool:
    return abs(rate - other) < other * _SAME_RATE


def _fit(size: tuple[int, int], timeline: Format) -> str:
    ratio = Fraction(*size) / Fraction(timeline.width, timeline.height)
    if abs(ratio - 1) > _SAME_SHAPE:
        return "another shape"
    return "smaller" if size[0] < timeline.width else "larger"


def _size(width: int, height: int) -> str:
    return f"{width}x{height}"


def _number(rate: Fraction) -> str:
    """A rate as editors write it.

    >>> _number(Fraction(30000, 1001)), _number(Fraction(25))
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
