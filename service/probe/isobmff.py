"""MP4, QuickTime and M4A: where their index is, and what it says of the whole file. Pure."""

from dataclasses import replace
from fractions import Fraction
from typing import NamedTuple

from service.media import Container, Media
from service.probe import boxes, fragments, tracks
from service.probe.fragments import Sidx
from service.probe.pace import pace
from service.probe.reading import Bytes, Torn, big
from service.probe.tracks import Track

_MAX_TOP_BOXES = 1_000
_MAX_TRACKS = 64
_NEAR_BYTES = 4_096
"""So much before an index at the end is read too: some writers put the start timecode there, as their last sample."""

_STILLS = {b"avif", b"avis", b"heic", b"heix", b"heif", b"mif1", b"msf1", b"jpx ", b"jp2 ", b"crx "}
"""Of the same family, but pictures."""


def facts(file: Bytes) -> Media:
    is_branded = file.peek(4, 4) == b"ftyp"
    brand = file.peek(8, 4) if is_branded else b"qt  "
    if brand in _STILLS:
        return Media()
    layout = _layout(file)
    if layout.moov is None:
        if not is_branded:
            return Media()  # any text may begin like that
        return Media(_container(brand, []), faults=(layout.fault,))
    found = _tracks(layout.moov)
    media = _media(_container(brand, found), found)
    if boxes.find(layout.moov, b"mvex") is not None:
        media = _of_fragments(media, layout, layout.moov, found, file.size_bytes)
    return _started(media, _timecode(file, found))


class _Layout(NamedTuple):
    moov: memoryview | None
    moofs: list[memoryview]
    """The fragments that lie in the head."""
    sidx: Sidx | None = None
    is_all_seen: bool = False
    """Whether these are all fragments."""
    fault: str = "its index (moov) is missing, as of a recording that was broken off"


def _layout(file: Bytes) -> _Layout:
    position, moov, sidx = 0, None, None
    moofs: list[memoryview] = []
    for _ in range(_MAX_TOP_BOXES):
        found = boxes.header(_top(file, position, moov is None))
        if found is None:
            break
        stop = file.size_bytes if found.size_bytes is None else position + found.size_bytes
        body = memoryview(file.head)[position + found.header_bytes : stop]
        if found.kind == b"moov" and moov is None:
            held = file.fetch(position, stop)
            if len(held) < min(stop, file.size_bytes) - position:
                return _Layout(None, [], fault="its index (moov) is too large, or lies where it was not looked for")
            moov = memoryview(held)[found.header_bytes :]
        elif found.kind == b"sidx":
            sidx = sidx or Sidx(body, stop)
        elif found.kind == b"moof" and stop <= len(file.head):
            moofs.append(body)
        position = stop
    return _Layout(moov, moofs, sidx, is_all_seen=position == file.size_bytes <= len(file.head))


def _top(file: Bytes, position: int, is_wanted: bool) -> bytes:
    # An index that does not lie in the head mostly ends with the file: one read has it whole.
    if position + 16 > len(file.head) and is_wanted:
        file.fetch(position - _NEAR_BYTES, file.size_bytes)
    return file.held(position, 16)


def _tracks(moov: memoryview) -> list[Track]:
    clock = tracks.movie_clock_hz(moov)
    bodies = [box.body for box in boxes.children(moov) if box.kind == b"trak"][:_MAX_TRACKS]
    found = [track for body in bodies if (track := tracks.track(body, clock)) is not None]
    # Titles of chapters and the like are tracks that are switched off: what plays comes first.
    return sorted(found, key=lambda track: not track.is_enabled)


def _container(brand: bytes, found: list[Track]) -> Container:
    if brand == b"qt  ":
        return Container.MOV
    has_only_sound = bool(found) and all(track.handler != b"vide" for track in found)
    return Container.M4A if has_only_sound or (not found and brand.startswith(b"M4A")) else Container.MP4


def _first(found: list[Track], handler: bytes) -> Track | None:
    return next((track for track in found if track.handler == handler), None)


def _main(found: list[Track]) -> Track | None:
    return _first(found, b"vide") or _first(found, b"soun")


def _media(container: Container, found: list[Track]) -> Media:
    film, sound, main = _first(found, b"vide"), _first(found, b"soun"), _main(found)
    if main is None:
        return Media(container, faults=("it has neither picture nor sound",))
    picture = None if film is None else tracks.picture(film)
    return Media(container, main.duration, picture, None if sound is None else tracks.sound(sound))


def _of_fragments(media: Media, layout: _Layout, moov: memoryview, found: list[Track], size_bytes: int) -> Media:
    main = _main(found)
    if main is None or main.id is None:
        return media
    ticks = fragments.lengths(moov, layout.moofs, main.id)
    duration = fragments.promised(moov) or (fragments.indexed(layout.sidx, size_bytes) if layout.sidx else None)
    if duration is None and layout.is_all_seen:
        duration = Fraction(sum(ticks), main.clock_hz) or None
    picture = media.picture
    if picture is not None:
        # The first fragments tell of a rate, and perhaps that it varies; that it does not, only the last one could. Of
        # their first frame FFmpeg makes as much more as the sound begins earlier.
        told = pace([1] * len(ticks[1:]), ticks[1:], main.clock_hz)
        picture = replace(picture, frame_rate=told.rate, is_variable=told.is_variable or None)
    faults = () if duration else ("it is written in fragments and does not say how long it is",)
    return replace(media, duration=duration, picture=picture, faults=faults)


class _Start(NamedTuple):
    seconds: Fraction | None = None
    fault: str | None = None


def _timecode(file: Bytes, found: list[Track]) -> _Start:
    track = _first(found, b"tmcd")
    if track is None or track.entry is None or track.first_sample is None:
        return _Start()
    try:
        clock, ticks = big(track.entry.body, 16, 4), big(track.entry.body, 20, 4)
        frames = big(file.at(track.first_sample, 4), 0, 4)
    except Torn:
        return _Start(fault="its start timecode lies where it was not looked for")
    return _Start(Fraction(frames * ticks, clock)) if clock else _Start()


def _started(media: Media, start: _Start) -> Media:
    faults = media.faults if start.fault is None else (*media.faults, start.fault)
    return replace(media, start=start.seconds or None, faults=faults)
