"""`timeline.mlt`: MLT's XML as Shotcut writes it, which melt renders as it stands. Pure.

https://www.mltframework.org/docs/mltxml/ and shotcut.org/notes/mltxml-annotations. All times are whole frames. Without
a `root` attribute names are relative to the file itself.
"""

from collections.abc import Iterator, Sequence

from service.cut import Clip, Cut, Track
from service.model import Plan
from service.timelines.where import Where
from service.timelines.wording import file_name, marker_of, on, shown, text_of, title_of
from service.timelines.xml import DECLARATION, Value, Xml

_PICTURES = (Track.STILLS, Track.MOTION)
_GREEN, _RED = "#008000", "#ff0000"


def write_mlt(plan: Plan, cut: Cut, where: Where) -> Iterator[str]:
    """A black background as long as the story, a playlist for each track that holds anything, and a tractor."""
    writing = _Mlt(plan, cut, where)
    tracks = [track for track in Track if on(cut, track)]
    yield DECLARATION
    yield writing.xml.open("mlt", LC_NUMERIC="C", version="7.0.0", title=title_of(plan), producer="main_bin")
    yield writing.profile()
    yield from writing.main_bin()
    yield from writing.background()
    for track in tracks:
        yield from writing.track(track, on(cut, track))
    yield from writing.tractor(tracks)
    yield writing.xml.close()


class _Mlt:
    """The parts of one timeline."""

    def __init__(self, plan: Plan, cut: Cut, where: Where) -> None:
        self.plan, self.cut, self.where = plan, cut, where
        self.xml = Xml()
        self.last = max(cut.frames, 1) - 1
        """MLT has no empty timeline: one of nothing is one black frame long."""

    def profile(self) -> str:
        cut = self.cut
        return self.xml.empty(
            "profile",
            description=f"{cut.width} x {cut.height}",
            width=cut.width,
            height=cut.height,
            progressive=1,
            sample_aspect_num=1,
            sample_aspect_den=1,
            display_aspect_num=cut.width,
            display_aspect_den=cut.height,
            frame_rate_num=cut.rate.numerator,
            frame_rate_den=cut.rate.denominator,
            colorspace=709,
        )

    def main_bin(self) -> Iterator[str]:
        """Shotcut looks for its list of files by this name."""
        yield self.xml.open("playlist", id="main_bin")
        yield self._property("xml_retain", 1)
        yield self.xml.close()

    def background(self) -> Iterator[str]:
        yield self.xml.open("producer", id="black", in_=0, out=self.last)
        yield self._property("length", self.last + 1)
        yield self._property("eof", "pause")
        yield self._property("resource", 0)
        yield self._property("mlt_service", "color")
        yield self._property("mlt_image_format", "rgba")
        yield self.xml.close()
        yield self.xml.open("playlist", id="background")
        yield self.xml.empty("entry", producer="black", in_=0, out=self.last)
        yield self.xml.close()

    def track(self, track: Track, clips: Sequence[Clip]) -> Iterator[str]:
        for clip in clips:
            yield "".join(self._producer(clip))
        yield self.xml.open("playlist", id=_id(track))
        yield self._property("shotcut:video" if track in _PICTURES else "shotcut:audio", 1)
        yield self._property("shotcut:name", track.value)
        at = 0
        for clip in clips:
            if clip.start > at:
                yield self.xml.empty("blank", length=clip.start - at)
            last = clip.offset + clip.frames - 1
            yield self.xml.empty("entry", producer=_clip_id(clip), in_=clip.offset, out=last)
            at = clip.start + clip.frames
        yield self.xml.close()

    def _producer(self, clip: Clip) -> Iterator[str]:
        spot = clip.copy.spot
        yield self.xml.open("producer", id=_clip_id(clip), in_=0, out=(_length(clip) or clip.offset + clip.frames) - 1)
        if (length := _length(clip)) is not None:
            yield self._property("length", length)
        yield self._property("eof", "pause")
        yield self._property("resource", self.where(clip.copy))
        if clip.track is Track.MOTION:
            yield self._property("audio_index", -1)  # its sound has a track of its own
        if clip.track is Track.CLIP_SOUND:
            yield self._property("video_index", -1)
        yield self._property("shotcut:caption", file_name(clip.copy))
        if text := text_of(self.plan, spot.section, spot.in_section):
            yield self._property("shotcut:comment", text)
        yield self.xml.close()

    def tractor(self, tracks: Sequence[Track]) -> Iterator[str]:
        yield self.xml.open("tractor", id="timeline", title=title_of(self.plan), in_=0, out=self.last)
        yield self._property("shotcut", 1)
        yield self._property("shotcut:projectAudioChannels", 2)
        yield from self._markers()
        yield self.xml.empty("track", producer="background")
        for track in tracks:
            yield self.xml.empty("track", producer=_id(track), hide=None if track in _PICTURES else "video")
        for number, track in enumerate(tracks, 1):
            yield from self._transition("mix", number, always_active=1, sum=1)
            if track in _PICTURES:
                # What Shotcut has used for longest; its newer qtblend needs a display, and melt is to render without.
                yield from self._transition("frei0r.cairoblend", number, disable=0)
        yield self.xml.close()

    def _transition(self, service: str, track: int, **properties: int) -> Iterator[str]:
        yield self.xml.open("transition", id=f"{service}{track}")
        yield self._property("a_track", 0)
        yield self._property("b_track", track)
        yield self._property("mlt_service", service)
        for name, value in properties.items():
            yield self._property(name, value)
        yield self.xml.close()

    def _markers(self) -> Iterator[str]:
        yield self.xml.open("properties", name="shotcut:markers")
        number = 0
        for chapter in self.cut.chapters:
            yield from self._marker(number, shown(chapter.title), chapter.start, _GREEN)
            number += 1
        for slot in self.cut.slots:
            if slot.note is not None:
                yield from self._marker(number, marker_of(self.plan, slot), slot.start, _RED)
                number += 1
        yield self.xml.close()

    def _marker(self, number: int, text: str, start: int, colour: str) -> Iterator[str]:
        yield self.xml.open("properties", name=str(number))
        for name, value in (
            ("text", text),
            ("start", self._clock(start)),
            ("end", self._clock(start)),
            ("color", colour),
        ):
            yield self._property(name, value)
        yield self.xml.close()

    def _clock(self, frame: int) -> str:
        """Shotcut writes a marker's time as a clock's, to a thousandth."""
        thousandths = round(self.cut.seconds(frame) * 1000)
        minutes, rest = divmod(thousandths, 60_000)
        return f"{minutes // 60:02}:{minutes % 60:02}:{rest // 1000:02}.{rest % 1000:03}"

    def _property(self, name: str, value: Value) -> str:
        return self.xml.leaf("property", "" if value is None else value, name=name)


def _length(clip: Clip) -> int | None:
    """Frames that the producer has; None where the file must say."""
    return clip.frames if clip.track is Track.STILLS else clip.media_frames


def _id(track: Track) -> str:
    return track.value.lower().replace(" ", "_")


def _clip_id(clip: Clip) -> str:
    return f"{_id(clip.track)}_{clip.start}"
