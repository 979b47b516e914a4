"""What the sound of an ISO media file is, by its codec's own words: the general ones call a mono AAC stereo. Pure."""

import struct
from typing import NamedTuple

from service.media import Sound
from service.probe import boxes
from service.probe.boxes import Box
from service.probe.flac import stream_info
from service.probe.reading import Torn, big

_PCM = {b"sowt", b"twos", b"lpcm", b"ipcm", b"fpcm", b"in24", b"in32", b"fl32", b"fl64", b"raw ", b"alaw", b"ulaw"}

# ISO/IEC 14496-3, table 1.16.
_RATES = (96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8_000, 7_350)
_SBR, _PS, _ESCAPE = 5, 29, 31


def sound_of(entry: Box) -> Sound:
    """Channels are unknown where only the entry's general part tells of them, which most writers leave at two."""
    general = _general(entry.body)
    try:
        return _own(entry, general) or Sound(general.sound.sample_rate_hz)
    except (Torn, IndexError):
        return Sound(general.sound.sample_rate_hz)


class _General(NamedTuple):
    sound: Sound
    length: int
    """Where the entry's own boxes begin."""


def _general(body: memoryview) -> _General:
    # ISO/IEC 14496-12, 12.2.3; versions 1 and 2 are QuickTime's, and longer.
    if len(body) < 28:
        return _General(Sound(), len(body))
    version = big(body, 8, 2)
    if version == 2 and len(body) >= 64:
        (rate,) = struct.unpack_from(">d", body, 32)
        return _General(Sound(int(rate) if 0 < rate < 1e7 else None, big(body, 40, 4) or None), 64)
    return _General(Sound(big(body, 24, 2) or None, big(body, 16, 2) or None), 44 if version == 1 else 28)


def _own(entry: Box, general: _General) -> Sound | None:
    if entry.kind in _PCM:
        return general.sound
    inner = entry.body[general.length :]
    if (esds := boxes.find(inner, b"esds") or boxes.find(inner, b"wave", b"esds")) is not None:
        return _aac(_decoder_specific(esds[4:]))
    if (alac := boxes.find(inner, b"alac") or boxes.find(inner, b"wave", b"alac")) is not None:
        return Sound(big(alac, 24, 4) or None, alac[13] or None)
    if (opus := boxes.find(inner, b"dOps")) is not None:
        return Sound(48_000, opus[1] or None)
    if (flac := boxes.find(inner, b"dfLa")) is not None:
        info = stream_info(bytes(flac[8:42]))
        return Sound(info.sample_rate_hz or None, info.channels)
    return None


def _decoder_specific(descriptor: memoryview) -> memoryview:
    """ISO/IEC 14496-1, 7.2.6: in the ES descriptor (3) a decoder's (4), in that one what is special of it (5)."""
    body = _descriptor(descriptor, 3)
    flags = body[2]
    skipped = 3 + (2 if flags & 0x80 else 0) + (1 + body[3] if flags & 0x40 else 0) + (2 if flags & 0x20 else 0)
    return _descriptor(_descriptor(body[skipped:], 4)[13:], 5)


def _descriptor(held: memoryview, tag: int) -> memoryview:
    if not held or held[0] != tag:
        raise Torn
    size, position = 0, 1
    for position in range(1, 5):  # four times seven bits at most
        size = size << 7 | held[position] & 0x7F
        if not held[position] & 0x80:
            break
    return held[position + 1 : position + 1 + size]


class _Bits:
    def __init__(self, held: memoryview) -> None:
        self._left = 8 * len(held)
        self._number = int.from_bytes(held, "big")

    def take(self, count: int) -> int:
        if count > self._left:
            raise Torn
        self._left -= count
        return self._number >> self._left & (1 << count) - 1


def _aac(config: memoryview) -> Sound:
    """An AudioSpecificConfig (ISO/IEC 14496-3, 1.6.2.1)."""
    bits = _Bits(config[:64])
    kind, rate, channels = _kind(bits), _rate(bits), bits.take(4)
    if kind in {_SBR, _PS}:
        # High efficiency: coded at half the rate, and with parametric stereo as one channel of two.
        rate = _rate(bits)
    if kind == _PS:
        channels = 2
    # 0: a table further on says it. 7 is 7.1.
    return Sound(rate, {7: 8}.get(channels, channels) if 1 <= channels <= 7 else None)


def _kind(bits: _Bits) -> int:
    kind = bits.take(5)
    return 32 + bits.take(6) if kind == _ESCAPE else kind


def _rate(bits: _Bits) -> int | None:
    index = bits.take(4)
    if index == 15:
        return bits.take(24) or None
    return _RATES[index] if index < len(_RATES) else None
