"""A film in fragments, as it is written for streaming: its index knows of no frame, each fragment has some. Pure."""

from collections.abc import Iterator
from fractions import Fraction
from itertools import islice, repeat
from typing import NamedTuple

from service.probe import boxes, tracks
from service.probe.reading import Torn, big

_MFRA_BYTES = 96
"""For each fragment what may follow them all: a table of where they are. The smallest fragment has more."""

_MAX_FRAMES = 100_000
"""Of all fragments that are looked at: a run of them needs no byte for each."""

# Flags of `tfhd` and `trun`: which of their fields are there (ISO/IEC 14496-12, 8.8.7 and 8.8.8).
_OFFSET_8, _DESCRIPTION_4, _DURATION_4 = 0x1, 0x2, 0x8
_DATA_OFFSET, _FIRST_FLAGS, _OF_EACH = 0x1, 0x4, (0x100, 0x200, 0x400, 0x800)


class Sidx(NamedTuple):
    """An index of fragments."""

    body: memoryview
    stop: int
    """Offset of what follows it."""


def promised(moov: memoryview) -> Fraction | None:
    """Seconds of all fragments, where the index was told (`mehd`)."""
    mehd, clock = boxes.find(moov, b"mvex", b"mehd"), tracks.movie_clock_hz(moov)
    if mehd is None or clock is None:
        return None
    try:
        return Fraction(big(mehd, 4, 8 if mehd[0] else 4), clock) or None
    except (Torn, IndexError):
        return None


def indexed(sidx: Sidx, size_bytes: int) -> Fraction | None:
    """Seconds by an index of all fragments (8.16.3); one of the first few only is of no use."""
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
    return (Fraction(ticks, clock) or None) if clock and is_of_all else None


def lengths(moov: memoryview, moofs: list[memoryview], track_id: int) -> list[int]:
    """Of each frame in these fragments, in ticks of its track; empty where one does not say it."""
    try:
        return list(islice(_lengths(moov, moofs, track_id), _MAX_FRAMES))
    except (Torn, IndexError):
        return []


def _lengths(moov: memoryview, moofs: list[memoryview], track_id: int) -> Iterator[int]:
    usual = _usual(moov, track_id)
    for moof in moofs:
        for traf in (box.body for box in boxes.children(moof) if box.kind == b"traf"):
            yield from _of_fragment(traf, track_id, usual)


def _usual(moov: memoryview, track_id: int) -> int:
    mvex = boxes.find(moov, b"mvex") or memoryview(b"")
    defaults = (box.body for box in boxes.children(mvex) if box.kind == b"trex")
    return next((big(trex, 12, 4) for trex in defaults if big(trex, 4, 4) == track_id), 0)


def _of_fragment(traf: memoryview, track_id: int, usual: int) -> Iterator[int]:
    tfhd = boxes.find(traf, b"tfhd")
    if tfhd is None or big(tfhd, 4, 4) != track_id:
        return
    flags = big(tfhd, 1, 3)
    if flags & _DURATION_4:
        usual = big(tfhd, 8 + 8 * bool(flags & _OFFSET_8) + 4 * bool(flags & _DESCRIPTION_4), 4)
    for trun in (box.body for box in boxes.children(traf) if box.kind == b"trun"):
        yield from _of_run(trun, usual)


def _of_run(trun: memoryview, usual: int) -> Iterator[int]:
    flags, samples = big(trun, 1, 3), big(trun, 4, 4)
    if not flags & _OF_EACH[0]:
        if usual == 0:
            raise Torn
        yield from repeat(usual, samples)
        return
    first = 8 + 4 * bool(flags & _DATA_OFFSET) + 4 * bool(flags & _FIRST_FLAGS)
    step = 4 * sum(bool(flags & field) for field in _OF_EACH)
    for sample in range(samples):
        yield big(trun, first + step * sample, 4)
