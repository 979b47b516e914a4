"""WAV, RF64 and BW64: how long they really are, whatever their header promises. Pure.

`service/wav.py` is strict, for it decides whether a narration can be cut; here everything counts that can be known.
"""

import struct
from fractions import Fraction
from typing import NamedTuple

from service.media import Container, Media, Sound
from service.probe.reading import Bytes, little
from service.wav import IEEE_FLOAT, PCM, Chunk, NotCuttable, Sizes, encoding, promised_bytes, walk

_MAX_CHUNKS = 1_000
_MAX_FMT_BYTES = 1_024

_NO_HEADER = Media(Container.WAV, faults=("its header does not say what its samples are",))


def facts(file: Bytes) -> Media:
    if file.peek(8, 4) != b"WAVE":
        return Media()
    chunks = _chunks_up_to_data(file)
    fmt = _fmt(file, chunks)
    if fmt is None or b"data" not in chunks:
        return _NO_HEADER
    data = chunks[b"data"]
    held_bytes = file.size_bytes - data.start
    promised = promised_bytes(_sizes(file, chunks), data.start, file.size_bytes, fmt.block_bytes)
    sound_bytes = held_bytes if promised is None else min(promised, held_bytes)
    fault = _fault(data, promised, held_bytes)
    return Media(
        Container.WAV,
        _duration(file, chunks, fmt, sound_bytes, is_whole=fault is None),
        sound=Sound(fmt.sample_rate_hz, fmt.channels),
        start=_start(file, chunks, fmt.sample_rate_hz),
        faults=() if fault is None else (fault,),
    )


class _Fmt(NamedTuple):
    channels: int
    sample_rate_hz: int
    bytes_per_second: int
    block_bytes: int
    is_pcm: bool


def _chunks_up_to_data(file: Bytes) -> dict[bytes, Chunk]:
    found: dict[bytes, Chunk] = {}
    for count, chunk in enumerate(walk(file.peek)):
        found.setdefault(chunk.id, chunk)
        if chunk.id == b"data" or count == _MAX_CHUNKS:
            break
    return found


def _fmt(file: Bytes, chunks: dict[bytes, Chunk]) -> _Fmt | None:
    chunk = chunks.get(b"fmt ")
    body = b"" if chunk is None else file.peek(chunk.start, min(chunk.size_bytes, _MAX_FMT_BYTES))
    if len(body) < 16:
        return None
    channels, rate, bytes_per_second, block_bytes = struct.unpack_from("<HIIH", body, 2)
    if 0 in {channels, rate, block_bytes}:
        return None
    try:
        is_pcm = encoding(body) in {PCM, IEEE_FLOAT}
    except NotCuttable:
        return None
    return _Fmt(channels, rate, bytes_per_second, block_bytes, is_pcm)


def _sizes(file: Bytes, chunks: dict[bytes, Chunk]) -> Sizes:
    sizes = Sizes(little(file.at(4, 4), 0, 4), chunks[b"data"].size_bytes)
    ds64 = file.peek(chunks[b"ds64"].start, 16) if b"ds64" in chunks else b""
    return sizes.widened(ds64) if len(ds64) == 16 and file.head[:4] != b"RIFF" else sizes


def _fault(data: Chunk, promised: int | None, held_bytes: int) -> str | None:
    if promised is None:
        return (
            None
            if held_bytes == 0
            else f"its header promises {data.size_bytes:,} bytes of sound, it has {held_bytes:,}"
        )
    if promised > held_bytes:
        return f"its header promises {promised:,} bytes of sound, it has {held_bytes:,}"
    return None


def _duration(
    file: Bytes, chunks: dict[bytes, Chunk], fmt: _Fmt, sound_bytes: int, *, is_whole: bool
) -> Fraction | None:
    if fmt.is_pcm:
        return Fraction(sound_bytes // fmt.block_bytes, fmt.sample_rate_hz)
    # Of what is compressed, `fact` counts the samples of a channel (RIFF 1994); else its average rate has to do.
    if is_whole and b"fact" in chunks and len(fact := file.peek(chunks[b"fact"].start, 4)) == 4:
        return Fraction(little(fact, 0, 4), fmt.sample_rate_hz)
    return Fraction(sound_bytes, fmt.bytes_per_second) if fmt.bytes_per_second else None


def _start(file: Bytes, chunks: dict[bytes, Chunk], sample_rate_hz: int) -> Fraction | None:
    # Samples since midnight, behind 338 bytes of text (BWF: EBU Tech 3285, "bext").
    bext = chunks.get(b"bext")
    held = b"" if bext is None or bext.size_bytes < 346 else file.peek(bext.start + 338, 8)
    return Fraction(little(held, 0, 8), sample_rate_hz) or None if len(held) == 8 else None
