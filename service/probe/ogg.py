"""Ogg with Vorbis, Opus or FLAC: what it is stands in its first page, how long it is in its last (RFC 3533). Pure."""

from collections.abc import Iterator
from fractions import Fraction
from typing import NamedTuple

from service.media import Container, Media, Sound
from service.probe.flac import stream_info
from service.probe.reading import Bytes, Torn, little

_TAIL_BYTES = 65_536
"""A page has 65,307 bytes at most, so the last one's header lies in here."""

_MAX_STREAMS = 16
_NOT_THE_LAST = 2**64 - 1
"""Of a page on which no packet ends."""


def facts(file: Bytes) -> Media:
    stream = next(_streams(file.head), None)
    if stream is None:
        return Media(Container.OGG, faults=("no sound that is understood begins in it",))
    last = _last_position(file.fetch(file.size_bytes - _TAIL_BYTES, file.size_bytes), stream.serial)
    if last is None:
        return Media(Container.OGG, sound=stream.sound, faults=("its last page is missing",))
    samples = max(last - stream.skipped, 0)
    return Media(Container.OGG, Fraction(samples, stream.clock_hz), sound=stream.sound)


class _Stream(NamedTuple):
    serial: bytes
    sound: Sound
    clock_hz: int
    skipped: int = 0
    """Samples at the beginning that only warm up the decoder."""


def _streams(head: bytes) -> Iterator[_Stream]:
    # All streams begin before any goes on (RFC 3533, 4): a first page has bit 1 set.
    position = 0
    for _ in range(_MAX_STREAMS):
        page = head[position : position + 27]
        if len(page) < 27 or page[:4] != b"OggS" or not page[5] & 0x02:
            return
        lacing = head[position + 27 : position + 27 + page[26]]
        start = position + 27 + len(lacing)
        position = start + sum(lacing)
        try:
            stream = _stream(page[14:18], head[start:position])
        except Torn:
            continue
        if stream is not None and stream.clock_hz > 0:
            yield stream


def _stream(serial: bytes, packet: bytes) -> _Stream | None:
    if packet[:7] == b"\x01vorbis":
        rate = little(packet, 12, 4)
        return _Stream(serial, Sound(rate or None, little(packet, 11, 1) or None), rate)
    if packet[:8] == b"OpusHead":
        # It always plays at 48 kHz (RFC 7845, 4); what it was made from is a remark.
        return _Stream(serial, Sound(48_000, little(packet, 9, 1) or None), 48_000, little(packet, 10, 2))
    if packet[:5] == b"\x7fFLAC":
        info = stream_info(packet[17:51])
        return _Stream(serial, Sound(info.sample_rate_hz or None, info.channels), info.sample_rate_hz)
    return None


def _last_position(tail: bytes, serial: bytes) -> int | None:
    stop = len(tail)
    while (stop := tail.rfind(b"OggS", 0, stop)) >= 0:
        page = tail[stop : stop + 27]
        if len(page) == 27 and page[14:18] == serial and little(page, 6, 8) != _NOT_THE_LAST:
            return little(page, 6, 8)
    return None
