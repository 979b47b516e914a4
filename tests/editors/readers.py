"""What each format says of the timeline: read by others' programs, or walked through here, without the writers."""

import xml.etree.ElementTree as ET
from collections.abc import Iterator
from fractions import Fraction
from typing import Any, NamedTuple

import opentimelineio as otio  # type: ignore[import-untyped]

from service.cut import Cut, Track


class Laid(NamedTuple):
    """A file on a track, in frames."""

    track: str
    file: str
    start: int
    frames: int
    offset: int
    """Frames into the file."""


def parsed(text: str) -> ET.Element:
    return ET.fromstring(text)  # noqa: S314, it was written a moment ago


def in_cut(cut: Cut, prefix: str = "") -> set[Laid]:
    return {Laid(clip.track.value, prefix + clip.copy.name, clip.start, clip.frames, clip.offset) for clip in cut.clips}


# ---- OpenTimelineIO's own library


def in_otio(text: str) -> set[Laid]:
    return set(_of_tracks(otio.adapters.read_from_string(text, "otio_json"), lambda track, _: track.name))


def in_premiere(text: str) -> set[Laid]:
    """By otio-fcp-adapter. Both sides of a stereo file are one."""
    return set(_of_tracks(otio.adapters.read_from_string(text, "fcp_xml"), _track_of_kind))


def _of_tracks(timeline: Any, name: Any) -> Iterator[Laid]:
    for track in timeline.tracks:
        for clip in track.find_clips():
            at, used, media = clip.range_in_parent(), clip.source_range, clip.media_reference
            begin = media.available_range.start_time.value if media.available_range else 0
            laid = (at.start_time.value, used.duration.value, used.start_time.value - begin)
            yield Laid(name(track, media.target_url), media.target_url, *map(_whole, laid))


def _track_of_kind(track: Any, url: str) -> str:
    """Premiere's tracks have no names, but every folder has one kind of media."""
    if "audio/" in url:
        return Track.NARRATION.value
    if "images/" in url:
        return Track.STILLS.value
    return Track.MOTION.value if track.kind == otio.schema.TrackKind.Video else Track.CLIP_SOUND.value


# ---- by walking through


def in_fcpxml(text: str) -> set[Laid]:
    return set(_spine(parsed(text)))


def _spine(root: ET.Element) -> Iterator[Laid]:
    assets = {asset.get("id", ""): asset for asset in root.iter("asset")}
    (sequence,) = root.iter("sequence")
    (form,) = (one for one in root.iter("format") if one.get("id") == sequence.get("format"))
    rate = 1 / _seconds(form.get("frameDuration"))
    for element in sequence.find("spine") or ():
        at, clock = _seconds(element.get("offset")), _seconds(element.get("start"))
        if element.tag == "video":
            src = assets[element.get("ref", "")].find("media-rep").get("src", "")  # type: ignore[union-attr]
            yield Laid("Stills", src, _whole(at * rate), _whole(_seconds(element.get("duration")) * rate), 0)
        for clip in element.findall("asset-clip"):
            asset = assets[clip.get("ref", "")]
            src = asset.find("media-rep").get("src", "")  # type: ignore[union-attr]
            start = at + _seconds(clip.get("offset")) - clock
            into = _seconds(clip.get("start")) - _seconds(asset.get("start"))
            laid = [_whole(time * rate) for time in (start, _seconds(clip.get("duration")), into)]
            for track in _tracks_of(clip, asset):
                yield Laid(track, src, *laid)


def _tracks_of(clip: ET.Element, asset: ET.Element) -> list[str]:
    """A connected film brings its sound with it."""
    if int(clip.get("lane", "")) < 0:
        return ["Narration"]
    return ["Motion", "Clip sound"] if asset.get("hasAudio") == "1" else ["Motion"]


def _seconds(time: str | None) -> Fraction:
    assert time is not None
    assert time.endswith("s")
    return Fraction(time[:-1])


def in_mlt(text: str) -> set[Laid]:
    return set(_playlists(parsed(text)))


def _playlists(root: ET.Element) -> Iterator[Laid]:
    resources = {one.get("id"): _property(one, "resource") for one in root.iter("producer")}
    playlists = {one.get("id"): one for one in root.iter("playlist")}
    for track in root.findall("tractor/track")[1:]:
        playlist, at = playlists[track.get("producer")], 0
        for item in playlist:
            if item.tag == "blank":
                at += int(item.get("length", ""))
            if item.tag == "entry":
                first, last = int(item.get("in", "")), int(item.get("out", ""))
                name = _property(playlist, "shotcut:name")
                yield Laid(name, resources[item.get("producer")], at, last - first + 1, first)
                at += last - first + 1


def _property(element: ET.Element, name: str) -> str:
    found = element.find(f"property[@name='{name}']")
    return "" if found is None else found.text or ""


def _whole(number: Any) -> int:
    assert number == int(number), f"{number} is no whole frame"
    return int(number)
