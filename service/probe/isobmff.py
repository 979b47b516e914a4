"""MP4, QuickTime and M4A: where their index is, and what it says of the whole file. Pure."""

from fractions import Fraction
from typing import NamedTuple

from service.media import Container, Media, Picture
from service.probe import boxes, tracks
from service.probe.reading import Bytes, Torn, big
from service.probe.tracks import Track

_MAX_TOP_BOXES = 64
_MAX_TRACKS = 64
_NEAR_BYTES = 4_096
"""So much before an index at the end is read too: some writers put the start timecode there, as their last sample."""

_MFRA_BYTES = 96
"""For each fragment what may follow them all: a table of where they are. The smallest fragment has more."""

_STILLS = {b"avif", b"avis", b"heic", b"heix", b"heif", b"mif1", b"msf1", b"jpx ", b"jp2 ", b"crx "}
"""Of the same family, but pictures."""


def facts(file: Bytes) -> Media:
    brand = file.peek(8, 4) if file.peek(4, 4) == b"ftyp" else b"qt  "
    if brand in _STILLS:
        return Media()
    layout = _layout(file)
    if layout.moov is None:
        return Media(_container(brand, []), faults=(layout.fault,))
    found = _tracks(layout.moov)
    media = _media(_container(brand, found), found)
    if boxes.find(layout.moov, b"mvex") is not None:
        media = _of_fragments(media, layout.moov, file, layout.sidx)
    return _started(media, _timecode(file, found))


class _Sidx(NamedTuple):
    body: memoryview
    stop: int
    """Offset of what follows it."""


class _Layout(NamedTuple):
    moov: memoryview | None
    sidx: _Sidx | None = None
    fault: str = "its index (moov) is missing, as of a recording that was broken off"


def _layout(file: Bytes) -> _Layout:
    position, moov, sidx = 0, None, None
    for _ in range(_MAX_TOP_BOXES):
        found = boxes.header(_top(file, position, moov is None))
        if found is None:
            break
        stop = file.size_bytes if found.size_bytes is None else position + found.size_bytes
        if found.kind == b"moov" and moov is None:
            held = file.fetch(position, stop)
            if len(held) < min(stop, file.size_bytes) - position:
                return _Layout(None, fault="its index (moov) is too large, or lies where it was not looked for")
            moov = memoryview(held)[found.header_bytes :]
        elif found.kind == b"sidx":
            sidx = _Sidx(memoryview(file.head)[position + found.header_bytes : stop], stop)
        if found.kind in {b"moof", b"sidx"} and moov is not None:
            break
        position = stop
    return _Layout(moov, sidx)


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


def _media(container: Container, found: list[Track]) -> Media:
    film = next((track for track in found if track.handler == b"vide"), None)
    sound = next((track for track in found if track.handler == b"soun"), None)
    main = film or sound
    if main is None:
        return Media(container, faults=("it has neither picture nor sound",))
    picture = None if film is None else tracks.picture(film)
    return Media(container, main.duration, picture, None if sound is None else tracks.sound(sound))


def _of_fragments(media: Media, moov: memoryview, file: Bytes, sidx: _Sidx | None) -> Media:
    # Its own index knows of no frame: each fragment brings another. Two boxes may say how long it is altogether.
    picture = media.picture and Picture(media.picture.width, media.picture.height, media.picture.rotation)
    duration = _promised(moov) or (None if sidx is None else _indexed(sidx, file.size_bytes))
    faults = () if duration else ("it is written in fragments and does not say how long it is",)
    return Media(media.container, duration, picture, media.sound, faults=faults)


def _promised(moov: memoryview) -> Fraction | None:
    mehd, clock = boxes.find(moov, b"mvex", b"mehd"), tracks.movie_clock_hz(moov)
    if mehd is None or clock is None:
        return None
    try:
        return Fraction(big(mehd, 4, 8 if mehd[0] else 4), clock)
    except (Torn, IndexError):
        return None


def _indexed(sidx: _Sidx, size_bytes: int) -> Fraction | None:
    """By an index of all fragments (ISO/IEC 14496-12, 8.16.3); one of the first few only is of no use."""
    try:
        wide = 8 if sidx.body[0] else 4
        clock, first_offset = big(sidx.body, 8, 4), big(sidx.body, 12 + wide, wide)
        count_at = 14 + 2 * wide
        entries = range(count_at + 2, count_at + 2 + 12 * big(sidx.body, count_at, 2), 12)
        covered = sum(big(sidx.body, entry, 4) & 0x7FFF_FFFF for entry in entries)
        ticks = sum(big(sidx.body, entry + 4, 4) for entry in entries)
    except (Torn, IndexError):
        return None
    rest_bytes = size_bytes - sidx.stop - first_offset - covered
    is_of_all = rest_bytes <= _MFRA_BYTES * (1 + len(entries))
    return Fraction(ticks, clock) if clock and is_of_all else None


class _Start(NamedTuple):
    seconds: Fraction | None = None
    fault: str | None = None


def _timecode(file: Bytes, found: list[Track]) -> _Start:
    track = next((track for track in found if track.handler == b"tmcd"), None)
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
    return Media(media.container, media.duration, media.picture, media.sound, start.seconds or None, faults)
