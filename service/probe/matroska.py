"""WebM and Matroska: what stands before their first cluster (RFC 9559). Pure."""

import math
import struct
from collections.abc import Iterator
from fractions import Fraction
from typing import NamedTuple

from service.media import Container, Media, Picture, Sound
from service.probe.reading import Bytes, Torn, big

_DOCTYPE, _SEGMENT, _INFO, _TRACKS, _CLUSTER = 0x4282, 0x18538067, 0x1549A966, 0x1654AE6B, 0x1F43B675
_SCALE, _DURATION = 0x2AD7B1, 0x4489
_TRACK, _TYPE, _IS_ENABLED, _FRAME_NS = 0xAE, 0x83, 0xB9, 0x23E383
_VIDEO, _WIDTH, _HEIGHT, _PROJECTION, _ROLL = 0xE0, 0xB0, 0xBA, 0x7670, 0x7675
_AUDIO, _RATE, _OUTPUT_RATE, _CHANNELS = 0xE1, 0xB5, 0x78B5, 0x9F

_FILM, _SOUND = 1, 2
_MAX_ELEMENTS = 1_000
_MAX_MASTER_BYTES = 65_536


def facts(file: Bytes) -> Media:
    header = _element(file, 0)
    if header is None or header.stop is None:
        raise Torn
    doctype = _children(file.at(header.start, min(header.stop - header.start, 256))).get(_DOCTYPE, [b""])[0]
    info, tracks = _parts(file, header.stop)
    container = Container.WEBM if doctype.rstrip(b"\0") == b"webm" else Container.MKV
    film, sound = _first(tracks, _FILM), _first(tracks, _SOUND)
    duration = _seconds(info)
    return Media(
        container,
        duration,
        None if film is None else _picture(film),
        None if sound is None else _sound(sound),
        faults=() if duration else ("its header does not say how long it is, as of a stream that was recorded",),
    )


class _Element(NamedTuple):
    id: int
    start: int
    """Of its body."""
    stop: int | None
    """None of one that was begun before it was known how long it would be."""


_Children = dict[int, list[bytes]]
"""Bodies by their ids, in the order in which they stand."""


def _parts(file: Bytes, start: int) -> tuple[_Children, _Children]:
    segment = _element(file, start)
    if segment is None or segment.id != _SEGMENT:
        raise Torn
    found: dict[int, _Children] = {}
    position = segment.start
    for _ in range(_MAX_ELEMENTS):
        element = _element(file, position)
        if element is None or element.stop is None or element.id == _CLUSTER or len(found) == 2:
            break
        if element.id in {_INFO, _TRACKS}:
            length = min(element.stop - element.start, _MAX_MASTER_BYTES)
            found.setdefault(element.id, _children(file.peek(element.start, length)))
        position = element.stop
    return found.get(_INFO, {}), found.get(_TRACKS, {})


def _element(file: Bytes, position: int) -> _Element | None:
    return _read_element(file.peek(position, 12), position)


def _read_element(held: bytes, position: int) -> _Element | None:
    """Of its first twelve bytes: an id of up to four, a size of up to eight (RFC 8794, 4 to 6)."""
    id_bytes = _vint_bytes(held[:1])
    size_bytes = _vint_bytes(held[id_bytes : id_bytes + 1])
    if not 1 <= id_bytes <= 4 or size_bytes == 0 or len(held) < id_bytes + size_bytes:
        return None
    size = big(held, id_bytes, size_bytes) & (1 << 7 * size_bytes) - 1
    start = position + id_bytes + size_bytes
    is_open = size == (1 << 7 * size_bytes) - 1
    return _Element(big(held, 0, id_bytes), start, None if is_open else start + size)


def _vint_bytes(first: bytes) -> int:
    # As many zeros before the first one as further bytes follow.
    return 9 - first[0].bit_length() if first and first[0] else 0


def _children(body: bytes) -> _Children:
    found: _Children = {}
    for element in _elements(body):
        found.setdefault(element.id, []).append(body[element.start : element.stop])
    return found


def _elements(body: bytes) -> Iterator[_Element]:
    position = 0
    for _ in range(_MAX_ELEMENTS):
        element = _read_element(body[position : position + 12], position)
        if element is None:
            return
        yield element
        if element.stop is None:
            return
        position = element.stop


def _first(tracks: _Children, kind: int) -> _Children | None:
    found = [_children(body) for body in tracks.get(_TRACK, [])]
    of_kind = [track for track in found if _number(track, _TYPE) == kind]
    return next((track for track in of_kind if _number(track, _IS_ENABLED) != 0), of_kind[0] if of_kind else None)


def _seconds(info: _Children) -> Fraction | None:
    ticks = _float(info, _DURATION)
    scale_ns = _number(info, _SCALE) or 1_000_000
    return Fraction(ticks) * scale_ns / 10**9 if ticks and ticks > 0 else None


def _picture(track: _Children) -> Picture:
    video = _inner(track, _VIDEO)
    width, height = _number(video, _WIDTH) or None, _number(video, _HEIGHT) or None
    # Counter-clockwise (RFC 9559, 5.1.4.1.28.45).
    roll = _float(_inner(video, _PROJECTION), _ROLL) or 0
    rotation = round(-roll / 90) * 90 % 360
    if rotation in {90, 270}:
        width, height = height, width
    return Picture(width, height, rotation, _frame_rate(track))


def _frame_rate(track: _Children) -> Fraction | None:
    # Whole nanoseconds: 33,366,667 stands for 30000/1001 frames a second.
    frame_ns = _number(track, _FRAME_NS)
    return Fraction(10**9, frame_ns).limit_denominator(1001) or None if frame_ns else None


def _sound(track: _Children) -> Sound:
    audio = _inner(track, _AUDIO)
    rate = _float(audio, _OUTPUT_RATE) or _float(audio, _RATE) or 8_000
    channels = _number(audio, _CHANNELS)
    return Sound(int(rate) if 1 <= rate < 1e7 else None, 1 if channels is None else channels or None)


def _inner(parent: _Children, element_id: int) -> _Children:
    return _children(parent[element_id][0]) if element_id in parent else {}


def _number(parent: _Children, element_id: int) -> int | None:
    return int.from_bytes(parent[element_id][0][:8], "big") if element_id in parent else None


def _float(parent: _Children, element_id: int) -> float | None:
    """None where it is none that means something."""
    body = parent[element_id][0] if element_id in parent else b""
    form = {4: ">f", 8: ">d"}.get(len(body))
    if form is None:
        return None
    (number,) = struct.unpack(form, body)
    return number if math.isfinite(number) and abs(number) < 1e12 else None
