"""`timeline.otio`: OpenTimelineIO's own JSON, for Premiere, Resolve and Kdenlive. Pure.

https://opentimelineio.readthedocs.io/en/latest/tutorials/otio-serialized-schema.html; a clip or a gap a line.
"""

import json
from collections.abc import Iterator, Sequence
from typing import Any

from service.cut import Clip, Cut, Track
from service.model import Plan
from service.timelines.where import Where
from service.timelines.wording import file_name, marker_of, on, shown, start_frame, text_of, title_of

_KINDS = {Track.STILLS: "Video", Track.MOTION: "Video", Track.NARRATION: "Audio", Track.CLIP_SOUND: "Audio"}
_SEQUENCE_RATE_HZ = 48_000.0
_PLAIN: dict[str, Any] = {"metadata": {}, "effects": [], "markers": [], "enabled": True}


def write_otio(plan: Plan, cut: Cut, where: Where) -> Iterator[str]:
    """One stack: the tracks that hold anything, each as long as the story, and the markers."""
    writing = _Otio(plan, cut, where)
    about = {"OTIO_SCHEMA": "Timeline.1", "name": title_of(plan), "global_start_time": writing.time(0)}
    yield f"{_json(about | {'metadata': {'PremierePro_OTIO': {'MetadataVersion': '1.0'}}})[:-1]},\n"
    yield f'"tracks": {{"OTIO_SCHEMA": "Stack.1", "name": "tracks", "metadata": {_json(_sequence(cut))},\n'
    yield '"source_range": null, "effects": [], "enabled": true,\n"markers": ['
    yield from _separated(writing.markers())
    yield '],\n"children": ['
    separator = "\n"
    for track in Track:
        if clips := on(cut, track):
            yield separator
            yield from writing.track(track, clips)
            separator = ",\n"
    yield "\n]}}\n"


def _sequence(cut: Cut) -> dict[str, Any]:
    """Premiere makes the sequence by it, the size included, for which OpenTimelineIO has no words."""
    return {
        "PremierePro_OTIO": {
            "AudioFrameRate": _SEQUENCE_RATE_HZ,
            "PixelAspectRatio": {"denominator": 1.0, "numerator": 1.0},
            "VideoFrameRate": float(cut.rate),
            "VideoResolution": {"height": cut.height, "width": cut.width},
        }
    }


def _of_track(clips: Sequence[Clip]) -> dict[str, Any]:
    """Premiere makes a track of so many channels; where files differ, or nobody knows, of its own choice."""
    counts = {_channels(clip) for clip in clips}
    if len(counts) > 1 or not (count := counts.pop()):
        return {}
    return {"PremierePro_OTIO": {"AudioChannels": {"ChannelType": _type(count), "NumberOfChannels": count}}}


def _of_clip(clip: Clip) -> dict[str, Any]:
    """Premiere moves what has one LinkID together, and fuses what should not have it (WyattBlue/auto-editor#1249)."""
    told: dict[str, Any] = {}
    if count := _channels(clip):
        indices = [{"SecondaryChannelIndex": index} for index in range(count)]
        told["AudioChannels"] = {"ChannelType": _type(count), "SecondaryAssignments": indices}
    if clip.copy.media.sound is not None and clip.track in {Track.MOTION, Track.CLIP_SOUND}:
        told["LinkID"] = clip.copy.spot.seq
    return {"PremierePro_OTIO": told} if told else {}


def _channels(clip: Clip) -> int | None:
    """Of a clip on a track of sound whose file says so, if Premiere has a word for it."""
    sound = clip.copy.media.sound if _KINDS[clip.track] == "Audio" else None
    return sound.channels if sound is not None and sound.channels in {1, 2} else None


def _type(channels: int) -> str:
    return "Mono" if channels == 1 else "Stereo"


class _Otio:
    """The parts of one timeline."""

    def __init__(self, plan: Plan, cut: Cut, where: Where) -> None:
        self.plan, self.cut, self.where = plan, cut, where
        self.rate = float(cut.rate)

    def time(self, frames: int) -> dict[str, Any]:
        # Kdenlive looks for a profile of exactly this rate (src/otio/otioimport.cpp).
        return {"OTIO_SCHEMA": "RationalTime.1", "rate": self.rate, "value": float(frames)}

    def range(self, start: int, frames: int) -> dict[str, Any]:
        return {"OTIO_SCHEMA": "TimeRange.1", "duration": self.time(frames), "start_time": self.time(start)}

    def track(self, track: Track, clips: Sequence[Clip]) -> Iterator[str]:
        head = {"OTIO_SCHEMA": "Track.1", "name": track.value, "kind": _KINDS[track], **_PLAIN, "source_range": None}
        head["metadata"] = _of_track(clips)
        yield f'{_json(head)[:-1]}, "children": ['
        yield from _separated(self._items(clips))
        yield "]}"

    def _items(self, clips: Sequence[Clip]) -> Iterator[dict[str, Any]]:
        at = 0
        for clip in clips:
            if clip.start > at:
                yield self._gap(clip.start - at)
            yield self._clip(clip)
            at = clip.start + clip.frames
        if at < self.cut.frames:
            yield self._gap(self.cut.frames - at)

    def _gap(self, frames: int) -> dict[str, Any]:
        return {"OTIO_SCHEMA": "Gap.1", "name": "", **_PLAIN, "source_range": self.range(0, frames)}

    def _clip(self, clip: Clip) -> dict[str, Any]:
        spot, first = clip.copy.spot, start_frame(clip.copy, self.cut)
        return {
            "OTIO_SCHEMA": "Clip.2",
            "name": file_name(clip.copy),
            **_PLAIN,
            "metadata": {
                "export": {"seq": spot.seq, "text": text_of(self.plan, spot.section, spot.in_section)},
                **_of_clip(clip),
            },
            "source_range": self.range(first + clip.offset, clip.frames),
            "media_references": {"DEFAULT_MEDIA": self._reference(clip, first)},
            "active_media_reference_key": "DEFAULT_MEDIA",
        }

    def _reference(self, clip: Clip, first: int) -> dict[str, Any]:
        # Premiere scales a still against its range, so that must cover the clip; a file of unknown length has none.
        frames = clip.frames if clip.track is Track.STILLS else clip.media_frames
        return {
            "OTIO_SCHEMA": "ExternalReference.1",
            "name": file_name(clip.copy),
            "metadata": {},
            "available_range": None if frames is None else self.range(first, frames),
            "available_image_bounds": None,
            "target_url": self.where(clip.copy),
        }

    def markers(self) -> Iterator[dict[str, Any]]:
        for chapter in self.cut.chapters:
            yield self._marker(shown(chapter.title), "GREEN", chapter.start, chapter.frames)
        for slot in self.cut.slots:
            if slot.note is not None:
                yield self._marker(marker_of(self.plan, slot), "RED", slot.start, slot.frames)

    def _marker(self, text: str, colour: str, start: int, frames: int) -> dict[str, Any]:
        # Kdenlive shows `comment` only, others `name`.
        about = {"OTIO_SCHEMA": "Marker.2", "name": text, "comment": text, "color": colour}
        return {**about, "metadata": {}, "marked_range": self.range(start, frames)}


def _separated(items: Iterator[dict[str, Any]]) -> Iterator[str]:
    separator = "\n"
    for item in items:
        yield separator + _json(item)
        separator = ",\n"


_json = json.JSONEncoder(ensure_ascii=False).encode  # json.dumps would make an encoder for each line
