"""FLAC: its first block says it all (RFC 9639, 8.2). Pure."""

from fractions import Fraction
from typing import NamedTuple

from service.media import Container, Media, Sound
from service.probe.reading import Bytes, big


class StreamInfo(NamedTuple):
    sample_rate_hz: int
    channels: int
    samples: int
    """Of each channel; 0 where it is not known."""


def facts(file: Bytes, start: int = 0) -> Media:
    header = file.at(start + 4, 4)
    if header[0] & 0x7F != 0 or big(header, 1, 3) < 34:
        return Media(Container.FLAC, faults=("its first block is not its STREAMINFO",))
    info = stream_info(file.at(start + 8, 34))
    if info.sample_rate_hz == 0:
        return Media(Container.FLAC, faults=("its header has a sample rate of 0",))
    sound = Sound(info.sample_rate_hz, info.channels)
    if info.samples == 0:
        return Media(Container.FLAC, sound=sound, faults=("its header does not say how long it is",))
    return Media(Container.FLAC, Fraction(info.samples, info.sample_rate_hz), sound=sound)


def stream_info(body: bytes) -> StreamInfo:
    """Of the block's 34 bytes. Raises Torn."""
    bits = big(body, 10, 8)
    return StreamInfo(bits >> 44, (bits >> 41 & 0x7) + 1, bits & 0xF_FFFF_FFFF)
