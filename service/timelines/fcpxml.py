"""`timeline.fcpxml`: Final Cut's own XML, in version 1.10, which Resolve reads from 18 on. Pure.

developer.apple.com/documentation/professional-video-applications/fcpxml-reference. Elements stand in the order in which
the reference has them. The main storyline has one element a sentence, its still or a gap; the film above it and the
narration below are connected to it, so that moving a sentence moves all that is its own.
"""

from collections import defaultdict
from collections.abc import Iterator
from fractions import Fraction

from contracts import Kind
from service.cut import Chapter, Clip, Cut, Slot, Track
from service.media import Sound
from service.model import Copy, Plan
from service.timelines.where import Where
from service.timelines.wording import file_name, marker_of, own_rate, shown, text_of, title_of
from service.timelines.xml import DECLARATION, Value, Xml

VERSION = "1.10"
_CLOCK_SECONDS = 3600
"""Where the clock of a still or a gap begins, about: Final Cut's own files have it so."""

_Clips = dict[int, Clip]
"""A track's clips by the frame at which they begin."""


def write_fcpxml(plan: Plan, cut: Cut, where: Where) -> Iterator[str]:
    """Every file once as a resource, then an event with one project."""
    writing = _Fcpxml(plan, cut, where)
    xml, title = writing.xml, title_of(plan)
    yield DECLARATION
    yield "<!DOCTYPE fcpxml>\n\n"
    yield xml.open("fcpxml", version=VERSION)
    yield from writing.resources()
    yield xml.open("event", name=title)
    yield xml.open("project", name=title)
    yield from writing.sequence()
    for _ in range(3):
        yield xml.close()


class _Fcpxml:
    """The parts of one timeline."""

    def __init__(self, plan: Plan, cut: Cut, where: Where) -> None:
        self.plan, self.cut, self.where = plan, cut, where
        self.xml = Xml()
        self.clock = int(_CLOCK_SECONDS * cut.rate)
        """In whole frames: at 23.976 an hour is none."""
        self.files = {clip.copy.name: clip.copy for clip in cut.clips}
        self.ids = {name: f"a{number}" for number, name in enumerate(self.files, 1)}
        self.formats: dict[tuple[Value, ...], str] = {}
        self.clips: dict[Track, _Clips] = defaultdict(dict)
        for clip in cut.clips:
            self.clips[clip.track][clip.start] = clip

    def time(self, frames: int) -> str:
        return seconds(frames / self.cut.rate)

    # ---- resources

    def resources(self) -> Iterator[str]:
        yield self.xml.open("resources")
        rate = self.cut.rate
        size = {"width": self.cut.width, "height": self.cut.height}
        duration = seconds(1 / rate)
        yield self.xml.empty("format", id="r0", frameDuration=duration, **size, colorSpace="1-1-1 (Rec. 709)")
        for copy in self.files.values():
            yield from self._format(copy)
            yield "".join(self._asset(copy))
        yield self.xml.close()

    def _format(self, copy: Copy) -> Iterator[str]:
        """Once for all files of one size and rate."""
        key = self._format_key(copy)
        if key is not None and key not in self.formats:
            self.formats[key] = f"r{len(self.formats) + 1}"
            name, duration, width, height = key
            attributes = {"name": name, "frameDuration": duration, "width": width, "height": height}
            yield self.xml.empty("format", id=self.formats[key], **attributes)

    def _format_key(self, copy: Copy) -> tuple[Value, ...] | None:
        """A still's format has no frame duration, or Final Cut takes it for a film."""
        picture = copy.media.picture
        size = (picture.width, picture.height) if picture else (None, None)
        match copy.spot.kind:
            case Kind.IMAGE:
                return ("FFVideoFormatRateUndefined", None, *size)
            case Kind.VIDEO:
                numerator, denominator = own_rate(copy, self.cut)
                return (None, seconds(Fraction(denominator, numerator)), *size)
            case Kind.AUDIO:
                return None

    def _asset(self, copy: Copy) -> Iterator[str]:
        key, media = self._format_key(copy), copy.media
        is_still, is_sound = copy.spot.kind is Kind.IMAGE, copy.spot.kind is Kind.AUDIO
        sound = media.sound or (Sound() if is_sound else None)
        yield self.xml.open(
            "asset",
            id=self.ids[copy.name],
            name=file_name(copy),
            start=seconds(_start(copy)),
            duration=_length(copy),
            hasVideo=None if is_sound else 1,
            format=None if key is None else self.formats[key],
            videoSources=None if is_sound else 1,
            **({} if is_still or sound is None else _sounds(sound)),
        )
        yield self.xml.empty("media-rep", kind="original-media", src=self.where(copy))
        yield self.xml.close()

    # ---- the storyline

    def sequence(self) -> Iterator[str]:
        frames = self.time(self.cut.frames)
        clock = {"tcStart": "0s", "tcFormat": "NDF"}
        yield self.xml.open("sequence", format="r0", duration=frames, **clock, audioLayout="stereo", audioRate="48k")
        yield self.xml.open("spine")
        chapters = {chapter.start: chapter for chapter in self.cut.chapters}
        for slot in self.cut.slots:
            yield "".join(self._slot(slot, chapters.get(slot.start)))
        yield self.xml.close()
        yield self.xml.close()

    def _slot(self, slot: Slot, chapter: Chapter | None) -> Iterator[str]:
        times = {"offset": self.time(slot.start), "start": self.time(self.clock), "duration": self.time(slot.frames)}
        still = self.clips[Track.STILLS].get(slot.start)
        if still is None:
            yield self.xml.open("gap", name="Gap", **times)
        else:
            about = {"ref": self.ids[still.copy.name], "name": file_name(still.copy)}
            yield self.xml.open("video", **about, **times, role="video.Stills")
        if text := text_of(self.plan, slot.section, slot.in_section):
            yield self.xml.leaf("note", text)
        yield from self._connected(slot)
        yield from self._markers(slot, chapter)
        yield self.xml.close()

    def _connected(self, slot: Slot) -> Iterator[str]:
        film, narration = self.clips[Track.MOTION].get(slot.start), self.clips[Track.NARRATION].get(slot.start)
        if film is not None:
            yield self._asset_clip(film, 1, videoRole="video.Motion", audioRole=_clip_sound_role(film))
        if narration is not None:
            yield self._asset_clip(narration, -1, videoRole=None, audioRole="dialogue.Narration")

    def _asset_clip(self, clip: Clip, lane: int, videoRole: str | None, audioRole: str | None) -> str:  # noqa: N803, the attributes' names
        return self.xml.empty(
            "asset-clip",
            ref=self.ids[clip.copy.name],
            lane=lane,
            offset=self.time(self.clock),
            name=file_name(clip.copy),
            start=seconds(_start(clip.copy) + clip.offset / self.cut.rate),
            duration=self.time(clip.frames),
            audioRole=audioRole,
            videoRole=videoRole,
        )

    def _markers(self, slot: Slot, chapter: Chapter | None) -> Iterator[str]:
        times = {"start": self.time(self.clock), "duration": self.time(1)}
        if chapter is not None:
            yield self.xml.empty("chapter-marker", **times, value=shown(chapter.title), posterOffset="0s")
        if slot.note is not None:
            # A to-do that is not done: Final Cut's red marker.
            yield self.xml.empty("marker", **times, value=marker_of(self.plan, slot), completed=0)


def seconds(time: Fraction) -> str:
    """As FCPXML writes a time.

    >>> seconds(Fraction(1001, 30000)), seconds(Fraction(3))
    ('1001/30000s', '3s')
    """
    return f"{time}s"


def _sounds(sound: Sound) -> dict[str, Value]:
    return {"hasAudio": 1, "audioSources": 1, "audioChannels": sound.channels, "audioRate": sound.sample_rate_hz}


def _clip_sound_role(film: Clip) -> str | None:
    return None if film.copy.media.sound is None else "effects.Clip sound"


def _start(copy: Copy) -> Fraction:
    """On the file's own clock, and not in the timeline's frames: that of a film at another rate has others."""
    return copy.media.start or Fraction(0)


def _length(copy: Copy) -> str | None:
    """A still's own is nothing; of a file that does not say how long it is, Final Cut finds out."""
    if copy.spot.kind is Kind.IMAGE:
        return "0s"
    return None if copy.media.duration is None else seconds(copy.media.duration)
