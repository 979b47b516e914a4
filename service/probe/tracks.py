"""A track of an ISO media file: how long it plays, how its frames follow each other, what it sounds like. Pure."""

import sys
from array import array
from fractions import Fraction
from math import atan2, degrees
from operator import mul
from typing import NamedTuple

from service.media import Picture, Sound
from service.probe import boxes
from service.probe.boxes import Box
from service.probe.codecs import sound_of
from service.probe.pace import pace
from service.probe.reading import Torn, big

_MAX_EDITS = 1_000


class Track(NamedTuple):
    id: int | None
    handler: bytes
    is_enabled: bool
    clock_hz: int
    duration: Fraction | None
    """Seconds that it plays, after its edits."""
    deltas: "array[int]"
    """Runs of frames of one length: count, ticks, count, ticks, …"""
    entry: Box | None
    """What its samples are; the first kind only."""
    first_sample: int | None
    """Offset in the file."""
    rotation: int


def movie_clock_hz(moov: memoryview) -> int | None:
    """Ticks a second, of what the whole file shares."""
    return _clock_hz(boxes.find(moov, b"mvhd"))


def track(trak: memoryview, movie_clock: int | None) -> Track | None:
    """None where its header makes no sense."""
    mdia, hdlr = boxes.find(trak, b"mdia"), boxes.find(trak, b"mdia", b"hdlr")
    clock = _clock_hz(boxes.find(trak, b"mdia", b"mdhd"))
    if mdia is None or hdlr is None or clock is None:
        return None
    stbl = boxes.find(mdia, b"minf", b"stbl") or memoryview(b"")
    deltas = _deltas(boxes.find(stbl, b"stts"))
    header = boxes.find(trak, b"tkhd") or memoryview(b"")
    return Track(
        id=_id(header),
        handler=bytes(hdlr[8:12]),
        is_enabled=len(header) < 4 or bool(header[3] & 1),
        clock_hz=clock,
        duration=_edited(Fraction(_ticks(deltas), clock), _edits(trak, _first_shown(stbl)), clock, movie_clock),
        deltas=deltas,
        entry=_entry(boxes.find(stbl, b"stsd")),
        first_sample=_first_sample(stbl),
        rotation=_rotation(header),
    )


def picture(film: Track) -> Picture:
    width, height = _size(film.entry)
    if film.rotation in {90, 270}:
        width, height = height, width
    told = pace(film.deltas[0::2], film.deltas[1::2], film.clock_hz)
    return Picture(width, height, film.rotation, told.rate, told.is_variable)


def sound(heard: Track) -> Sound:
    return Sound() if heard.entry is None else sound_of(heard.entry)


def _clock_hz(header: memoryview | None) -> int | None:
    # Of mvhd and mdhd: behind two times, of four bytes or of eight.
    if header is None or len(header) < 24:
        return None
    return big(header, 20 if header[0] else 12, 4) or None


def _deltas(stts: memoryview | None) -> "array[int]":
    if stts is None or len(stts) < 16:
        return array("I")
    held = stts[8 : 8 + min(big(stts, 4, 4) * 8, (len(stts) - 8) // 8 * 8)]
    numbers = array("I", bytes(held))
    if sys.byteorder == "little":
        numbers.byteswap()
    return numbers


def _ticks(deltas: "array[int]") -> int:
    return sum(map(mul, deltas[0::2], deltas[1::2]))


class _Edit(NamedTuple):
    movie_ticks: int
    skipped_ticks: int
    """Of the track's own clock; negative where nothing plays."""


def _first_shown(stbl: memoryview) -> int:
    """When the first frame is shown, in ticks: where frames are stored in another order, later than it is decoded."""
    ctts = boxes.find(stbl, b"ctts")
    return 0 if ctts is None or len(ctts) < 16 else int.from_bytes(ctts[12:16], "big", signed=True)


def _edits(trak: memoryview, first_shown: int) -> list[_Edit]:
    elst = boxes.find(trak, b"edts", b"elst")
    if elst is None or len(elst) < 8:
        return []
    wide, entry_bytes = (8, 20) if elst[0] else (4, 12)
    count = min(big(elst, 4, 4), _MAX_EDITS, (len(elst) - 8) // entry_bytes)
    starts = range(8, 8 + count * entry_bytes, entry_bytes)
    begins = [int.from_bytes(elst[at + wide : at + 2 * wide], "big", signed=True) for at in starts]
    skipped = [max(begin - first_shown, 0) if begin >= 0 else -1 for begin in begins]
    return [_Edit(big(elst, at, wide), ticks) for at, ticks in zip(starts, skipped, strict=True)]


def _edited(media: Fraction, edits: list[_Edit], clock: int, movie_clock: int | None) -> Fraction | None:
    if media == 0:
        return None
    playing = [edit for edit in edits if edit.skipped_ticks >= 0]
    if not playing or movie_clock is None:
        return media
    if len(playing) > 1:
        return Fraction(sum(edit.movie_ticks for edit in playing), movie_clock) or media
    rest = media - Fraction(playing[0].skipped_ticks, clock)
    told = Fraction(playing[0].movie_ticks, movie_clock)
    # Most edits only skip the beginning; their length is the rest's, rounded to the movie's coarser clock.
    if told == 0 or rest - told < Fraction(1, movie_clock):
        return rest if rest > 0 else None
    return told


def _entry(stsd: memoryview | None) -> Box | None:
    return None if stsd is None else next(boxes.children(stsd[8:]), None)


def _first_sample(stbl: memoryview) -> int | None:
    for kind, length in ((b"stco", 4), (b"co64", 8)):
        offsets = boxes.find(stbl, kind)
        if offsets is not None and len(offsets) >= 8 + length:
            return big(offsets, 8, length)
    return None


def _size(entry: Box | None) -> tuple[int | None, int | None]:
    # ISO/IEC 14496-12, 12.1.3: of the pixels, as they are stored.
    try:
        return (None, None) if entry is None else (big(entry.body, 24, 2) or None, big(entry.body, 26, 2) or None)
    except Torn:
        return None, None


def _id(tkhd: memoryview) -> int | None:
    at = 20 if len(tkhd) and tkhd[0] else 12
    return big(tkhd, at, 4) if len(tkhd) >= at + 4 else None


def _rotation(tkhd: memoryview) -> int:
    # The matrix's first row is where "right" goes: (1, 0) stays, (0, 1) is turned down by 90°, clockwise.
    at = 52 if len(tkhd) and tkhd[0] else 40
    right = [int.from_bytes(tkhd[start : start + 4], "big", signed=True) for start in (at, at + 4)]
    return round(degrees(atan2(right[1], right[0])) / 90) * 90 % 360
