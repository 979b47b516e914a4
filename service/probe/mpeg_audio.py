"""MP3: how many frames it has, by its own count or by its size. Pure."""

from collections.abc import Iterator
from fractions import Fraction
from typing import NamedTuple

from service.media import Container, Media, Sound
from service.probe.reading import AHEAD_BYTES, Bytes, Torn, big

_MAX_TAGS = 4
_MAX_JUNK_BYTES = 4_096
"""How far behind a tag the first frame is looked for: some writers fill up with zeros."""
_MAX_FRAMES = 5_000
_FEW_FRAMES = 10
"""So many of one bitrate in a row are not chance."""

# Layer III, ISO/IEC 11172-3, 2.4.2.3, and 13818-3, in kbit/s.
_BITRATES_1 = (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)
_BITRATES_2 = (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)


def facts(file: Bytes) -> Media:
    start, frame = _first_frame(file, after_tags(file))
    sound = Sound(frame.sample_rate_hz, frame.channels)
    counted = _counted(file.peek(start, 256), frame)
    faults = () if counted is None else _faults(counted, file.size_bytes - start)
    # A frame that holds a table is none that sounds.
    begin = start if counted is None else start + frame.size_bytes
    frames = _by_size(file, begin) if counted is None or faults else counted.frames
    if frames is None:
        return Media(Container.MP3, sound=sound, faults=faults or ("its header does not say how long it is",))
    return Media(Container.MP3, Fraction(frames * frame.samples, frame.sample_rate_hz), sound=sound, faults=faults)


def after_tags(file: Bytes) -> int:
    """Where the sound begins: behind any ID3v2, whose size is four times seven bits."""
    position = 0
    for _ in range(_MAX_TAGS):
        tag = file.peek(position, 10)
        if tag[:3] != b"ID3" or len(tag) < 10:
            break
        size = sum((byte & 0x7F) << shift for byte, shift in zip(tag[6:10], (21, 14, 7, 0), strict=True))
        position += 10 + size + (10 if tag[5] & 0x10 else 0)
    return position


class _Frame(NamedTuple):
    bitrate: int
    sample_rate_hz: int
    channels: int
    samples: int
    size_bytes: int
    side_bytes: int
    """What stands between its header and the place of a Xing header."""

    def is_like(self, other: "_Frame") -> bool:
        return (self.sample_rate_hz, self.samples) == (other.sample_rate_hz, other.samples)


def _first_frame(file: Bytes, start: int) -> tuple[int, _Frame]:
    held = file.peek(start, _MAX_JUNK_BYTES)
    position = held.find(b"\xff")
    while position >= 0:
        frame = _frame(held[position : position + 4])
        # Two in a row: eleven bits alone are found in anything.
        if frame is not None:
            behind = start + position + frame.size_bytes
            following = _frame(file.peek(behind, 4))
            if behind == file.size_bytes or (following is not None and following.is_like(frame)):
                return start + position, frame
        position = held.find(b"\xff", position + 1)
    raise Torn


def _frame(header: bytes) -> _Frame | None:
    if len(header) < 4:
        return None
    bits = big(header, 0, 4)
    version, bitrate, rate = bits >> 19 & 3, bits >> 12 & 15, bits >> 10 & 3
    if bits >> 21 != 0x7FF or bits >> 17 & 3 != 1 or version == 1 or rate == 3 or bitrate in {0, 15}:
        return None
    is_first = version == 3
    bits_per_second = (_BITRATES_1 if is_first else _BITRATES_2)[bitrate] * 1000
    sample_rate_hz = (44_100, 48_000, 32_000)[rate] >> {3: 0, 2: 1, 0: 2}[version]
    samples = 1152 if is_first else 576
    size_bytes = samples // 8 * bits_per_second // sample_rate_hz + (bits >> 9 & 1)
    is_mono = bits >> 6 & 3 == 3
    side_bytes = (17 if is_mono else 32) if is_first else (9 if is_mono else 17)
    return _Frame(bits_per_second, sample_rate_hz, 1 if is_mono else 2, samples, size_bytes, side_bytes)


class _Counted(NamedTuple):
    frames: int
    size_bytes: int | None


def _counted(first: bytes, frame: _Frame) -> _Counted | None:
    # A first frame that sounds of nothing holds a table instead: Xing's (LAME calls it Info at a constant rate), ...
    at = 4 + frame.side_bytes
    if first[at : at + 4] in {b"Xing", b"Info"} and len(first) >= at + 16 and first[at + 7] & 1:
        size_bytes = big(first, at + 12, 4) if first[at + 7] & 2 else 0
        return _Counted(big(first, at + 8, 4), size_bytes or None)
    # ... or Fraunhofer's, always at the same place.
    if first[36:40] == b"VBRI" and len(first) >= 54:
        return _Counted(big(first, 50, 4), big(first, 46, 4) or None)
    return None


def _faults(counted: _Counted, held_bytes: int) -> tuple[str, ...]:
    # Joined recordings keep the first one's table, and players show its length only; of what was broken off it is
    # too long. A tag at the end is not counted.
    told_bytes = counted.size_bytes or held_bytes
    if counted.frames and abs(held_bytes - told_bytes) <= told_bytes // 16 + _MAX_JUNK_BYTES:
        return ()
    return (f"its header counts {told_bytes:,} bytes of sound, it has {held_bytes:,}",)


def _by_size(file: Bytes, start: int) -> int | None:
    """As many frames as fit; only of a stream whose frames, as far as they are seen, have one bitrate."""
    first, stop, seen = _frame(file.peek(start, 4)), start, 0
    if first is None:
        return None
    for frame in _frames(file, start, first):
        if frame.bitrate != first.bitrate:
            return None
        stop, seen = stop + frame.size_bytes, seen + 1
    if seen < _FEW_FRAMES and stop < file.size_bytes:
        return None
    sound_bytes = file.size_bytes - start - _old_tag_bytes(file)
    return round(Fraction(sound_bytes * 8 * first.sample_rate_hz, first.bitrate * first.samples))


def _frames(file: Bytes, start: int, first: _Frame) -> Iterator[_Frame]:
    held, position = file.head[start:], 0
    if len(held) < AHEAD_BYTES:
        held = file.peek(start, AHEAD_BYTES)
    for _ in range(_MAX_FRAMES):
        frame = _frame(held[position : position + 4])
        if frame is None or not frame.is_like(first):
            return
        yield frame
        position += frame.size_bytes


def _old_tag_bytes(file: Bytes) -> int:
    # ID3v1: 128 bytes at the very end, a third of a frame.
    return 128 if file.fetch(file.size_bytes - 128, file.size_bytes)[:3] == b"TAG" else 0
