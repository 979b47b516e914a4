"""`timeline_premiere.xml`: Final Cut Pro 7's XML ("xmeml"), which every Premiere reads. Pure.

https://developer.apple.com/library/archive/documentation/AppleApplications/Reference/FinalCutPro_XML/. A mono file lies
on a mono track, or Premiere plays it on one side only; one of two channels on a pair of tracks.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from service.cut import Clip, Cut, Track
from service.media import Picture
from service.model import Copy, Plan
from service.timelines.where import Where
from service.timelines.wording import file_name, marker_of, on, shown, start_frame, text_of, title_of
from service.timelines.xml import DECLARATION, Xml

_SEQUENCE_RATE_HZ = 48_000
_LABELS = {
    Track.STILLS: "Lavender",
    Track.MOTION: "Cerulean",
    Track.NARRATION: "Iris",
    Track.CLIP_SOUND: "Caribbean",
}


class _Channel(NamedTuple):
    """A track of sound: one channel of the files on it."""

    number: int
    of: int
    clips: Sequence[Clip]


def write_premiere(plan: Plan, cut: Cut, where: Where) -> Iterator[str]:
    """One sequence; each file is described where it is used first."""
    writing = _Xmeml(plan, cut, where)
    xml = writing.xml
    yield DECLARATION
    yield "<!DOCTYPE xmeml>\n"
    yield xml.open("xmeml", version="4")
    yield xml.open("sequence", id="sequence-1")
    yield xml.leaf("name", title_of(plan))
    yield xml.leaf("duration", cut.frames)
    yield from writing.rate()
    yield from writing.timecode(0)
    yield xml.open("media")
    yield from writing.video()
    yield from writing.audio()
    yield xml.close()
    yield from writing.markers()
    yield xml.close()
    yield xml.close()


class _Xmeml:
    """The parts of one timeline."""

    def __init__(self, plan: Plan, cut: Cut, where: Where) -> None:
        self.plan, self.cut, self.where = plan, cut, where
        self.xml = Xml()
        self.timebase = round(cut.rate)
        self.channels = list(_channels(cut))
        self.pictures = [clips for track in (Track.STILLS, Track.MOTION) if (clips := on(cut, track))]
        self.described: dict[str, str] = {}
        """The ids of files by their names."""
        self.places = _places(self.pictures, self.channels)
        self.lengths = _lengths(cut)

    def rate(self) -> Iterator[str]:
        """The sequence's, which is told of every clip and file as well."""
        yield self.xml.open("rate")
        yield self.xml.leaf("timebase", self.timebase)
        yield self.xml.leaf("ntsc", "TRUE" if self.cut.rate.denominator == 1001 else "FALSE")
        yield self.xml.close()

    def timecode(self, frame: int) -> Iterator[str]:
        yield self.xml.open("timecode")
        yield from self.rate()
        yield self.xml.leaf("string", _clock(frame, self.timebase))
        yield self.xml.leaf("frame", frame)
        yield self.xml.leaf("displayformat", "NDF")
        yield self.xml.close()

    # ---- tracks

    def video(self) -> Iterator[str]:
        yield self.xml.open("video")
        yield self.xml.open("format")
        yield from self._pictures(Picture(self.cut.width, self.cut.height))
        yield self.xml.close()
        for clips in self.pictures:
            yield self.xml.open("track")
            for clip in clips:
                yield "".join(self._clip(clip))
            yield from self._end_of_track()
        yield self.xml.close()

    def audio(self) -> Iterator[str]:
        yield self.xml.open("audio")
        yield self.xml.leaf("numOutputChannels", 2)
        yield self.xml.open("format")
        yield from self._sounds(_SEQUENCE_RATE_HZ)
        yield self.xml.close()
        for channel in self.channels:
            yield self.xml.open(
                "track",
                currentExplodedTrackIndex=channel.number - 1,
                totalExplodedTrackCount=channel.of,
                premiereTrackType="Mono" if channel.of == 1 else "Stereo",
            )
            for clip in channel.clips:
                yield "".join(self._clip(clip, channel))
            yield from self._end_of_track()
        yield self.xml.close()

    def _end_of_track(self) -> Iterator[str]:
        yield self.xml.leaf("enabled", "TRUE")
        yield self.xml.leaf("locked", "FALSE")
        yield self.xml.close()

    # ---- clips

    def _clip(self, clip: Clip, channel: _Channel | None = None) -> Iterator[str]:
        xml, spot = self.xml, clip.copy.spot
        kind = None if channel is None else ("mono" if channel.of == 1 else "stereo")
        yield xml.open("clipitem", id=_clip_id(clip, channel), premiereChannelType=kind)
        yield xml.leaf("name", file_name(clip.copy))
        yield xml.leaf("enabled", "TRUE")
        yield xml.leaf("duration", self.lengths[clip.copy.name])
        yield from self.rate()
        yield xml.leaf("start", clip.start)
        yield xml.leaf("end", clip.start + clip.frames)
        yield xml.leaf("in", clip.offset)
        yield xml.leaf("out", clip.offset + clip.frames)
        yield from self._file(clip)
        if channel is not None:
            yield xml.open("sourcetrack")
            yield xml.leaf("mediatype", "audio")
            yield xml.leaf("trackindex", channel.number)
            yield xml.close()
        yield from self._links(clip)
        if text := text_of(self.plan, spot.section, spot.in_section):
            yield xml.open("logginginfo")
            yield xml.leaf("description", text)
            yield xml.close()
        yield xml.open("labels")
        yield xml.leaf("label2", _LABELS[clip.track])
        yield xml.close()
        yield xml.close()

    def _links(self, clip: Clip) -> Iterator[str]:
        """What belongs together is selected and moved together: a film and its sound, the two sides of a stereo one."""
        for clip_id, medium, track, number in self.places.get(_key(clip), ()):
            yield self.xml.open("link")
            yield self.xml.leaf("linkclipref", clip_id)
            yield self.xml.leaf("mediatype", medium)
            yield self.xml.leaf("trackindex", track)
            yield self.xml.leaf("clipindex", number)
            yield self.xml.close()

    def _file(self, clip: Clip) -> Iterator[str]:
        xml, copy = self.xml, clip.copy
        if copy.name in self.described:
            yield xml.empty("file", id=self.described[copy.name])
            return
        self.described[copy.name] = f"file-{len(self.described) + 1}"
        yield xml.open("file", id=self.described[copy.name])
        yield xml.leaf("name", file_name(copy))
        yield xml.leaf("pathurl", self.where(copy))
        yield from self.rate()
        yield xml.leaf("duration", self.lengths[clip.copy.name])
        if first := start_frame(copy, self.cut):
            yield from self.timecode(first)
        yield from self._media(clip)
        yield xml.close()

    def _media(self, clip: Clip) -> Iterator[str]:
        media = clip.copy.media
        yield self.xml.open("media")
        if clip.track in {Track.STILLS, Track.MOTION}:
            yield self.xml.open("video")
            yield from self._pictures(media.picture or Picture())
            yield self.xml.close()
        if clip.track is Track.NARRATION or (clip.track is Track.MOTION and media.sound is not None):
            yield self.xml.open("audio")
            if media.sound and media.sound.sample_rate_hz:
                yield from self._sounds(media.sound.sample_rate_hz)
            yield self.xml.leaf("channelcount", _channel_count(clip.copy))
            yield self.xml.close()
        yield self.xml.close()

    def _pictures(self, picture: Picture) -> Iterator[str]:
        yield self.xml.open("samplecharacteristics")
        yield from self.rate()
        if picture.width and picture.height:
            yield self.xml.leaf("width", picture.width)
            yield self.xml.leaf("height", picture.height)
        yield self.xml.leaf("anamorphic", "FALSE")
        yield self.xml.leaf("pixelaspectratio", "square")
        yield self.xml.leaf("fielddominance", "none")
        yield self.xml.close()

    def _sounds(self, sample_rate_hz: int) -> Iterator[str]:
        yield self.xml.open("samplecharacteristics")
        yield self.xml.leaf("depth", 16)
        yield self.xml.leaf("samplerate", sample_rate_hz)
        yield self.xml.close()

    def markers(self) -> Iterator[str]:
        for chapter in self.cut.chapters:
            yield from self._marker(shown(chapter.title), chapter.start, "Section")
        for slot in self.cut.slots:
            if slot.note is not None:
                yield from self._marker(marker_of(self.plan, slot), slot.start, "To do")

    def _marker(self, text: str, start: int, comment: str) -> Iterator[str]:
        yield self.xml.open("marker")
        yield self.xml.leaf("name", text)
        yield self.xml.leaf("comment", comment)
        yield self.xml.leaf("in", start)
        yield self.xml.leaf("out", -1)
        yield self.xml.close()


def _channels(cut: Cut) -> Iterator[_Channel]:
    """Each track of sound that holds anything: the mono files, then the two sides of the others."""
    for track in (Track.NARRATION, Track.CLIP_SOUND):
        mono = [clip for clip in on(cut, track) if _channel_count(clip.copy) == 1]
        stereo = [clip for clip in on(cut, track) if _channel_count(clip.copy) > 1]
        if mono:
            yield _Channel(1, 1, mono)
        if stereo:
            yield _Channel(1, 2, stereo)
            yield _Channel(2, 2, stereo)


def _channel_count(copy: Copy) -> int:
    """At least one: a second that is not there would be offline. Where nobody knows, one is all that is sure."""
    return (copy.media.sound.channels if copy.media.sound else None) or 1


_Place = tuple[str, str, int, int]
"""A clip's id, `video` or `audio`, and the numbers of its track and of itself on that, from 1."""
_Key = tuple[str, int]
"""A file, and when it begins."""


def _places(pictures: Sequence[Sequence[Clip]], channels: Sequence[_Channel]) -> dict[_Key, list[_Place]]:
    """Where the clips lie that lie in several places: a film with its sound, the two sides of a stereo file."""
    several = (c.clips for c in channels if c.of > 1 or c.clips[0].track is Track.CLIP_SOUND)
    found: dict[_Key, list[_Place]] = {_key(clip): [] for clips in several for clip in clips}
    for track, clips in enumerate(pictures, 1):
        for number, clip in enumerate(clips, 1):
            if _key(clip) in found:
                found[_key(clip)].append((_clip_id(clip), "video", track, number))
    for track, channel in enumerate(channels, 1):
        for number, clip in enumerate(channel.clips, 1):
            if _key(clip) in found:
                found[_key(clip)].append((_clip_id(clip, channel), "audio", track, number))
    return found


def _key(clip: Clip) -> _Key:
    return clip.copy.name, clip.start


def _clip_id(clip: Clip, channel: _Channel | None = None) -> str:
    side = "" if channel is None else f"-{channel.number}"
    return f"{clip.track.name.lower()}-{clip.start}{side}"


def _lengths(cut: Cut) -> Mapping[str, int]:
    """Frames of each file, by its name; of a still as many as are shown (else Premiere takes twelve hours), of one that
    does not say how long it is as many as are needed."""
    found: dict[str, int] = defaultdict(int)
    for clip in cut.clips:
        needed = clip.offset + clip.frames if clip.media_frames is None else clip.media_frames
        found[clip.copy.name] = max(found[clip.copy.name], needed)
    return found


def _clock(frame: int, timebase: int) -> str:
    """A timecode without dropped frames.

    >>> _clock(90_015, 25)
    '01:00:00:15'
    """
    whole_seconds, frames = divmod(frame, timebase)
    minutes, rest = divmod(whole_seconds, 60)
    return f"{minutes // 60:02}:{minutes % 60:02}:{rest:02}:{frames:02}"
