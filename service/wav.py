"""Whether a WAV file can be cut into pieces without re-encoding, and the header of such a piece.

Pure: it reads the first bytes of a file and its size, never the samples, and never changes one.

The rules come from
- RIFF 1991: IBM and Microsoft, Multimedia Programming Interface and Data Specifications 1.0, chapters 2 and 3;
- RIFF 1994: Microsoft, New Multimedia Data Types and Data Techniques, revision 3.0;
- EXTENSIBLE: Microsoft, Multiple Channel Audio Data and WAVE Files, and WAVEFORMATEXTENSIBLE in its API reference;
- RF64: EBU Tech 3306 and its successor ITU-R BS.2088 (BW64).
"""

import struct
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple
from uuid import UUID

HEAD_BYTES = 65_536
"""How much of a file `parse` needs to see at most: what stands before the samples is a few texts."""

MAX_FMT_BYTES = 1_024
"""PCM needs 16, 18 or 40 bytes. The chunk is repeated in every slice, so a hostile one would be multiplied."""

MAX_SLICE_BYTES = 0xFFFF_F000
"""Samples in one slice: the 4 GiB that a RIFF can count, less room for any header with such a fmt chunk."""

_UNSET = 0xFFFF_FFFF

PCM = 0x0001
IEEE_FLOAT = 0x0003
_EXTENSIBLE = 0xFFFE


class NotCuttable(ValueError):
    """The file must stay whole. The message is a short reason for its creator."""


@dataclass(frozen=True, slots=True)
class Wav:
    """What must be known of a narration to cut it: frames of one fixed size, and where they lie."""

    sample_rate_hz: int
    channels: int
    bits_per_sample: int
    frame_bytes: int
    """One sample of every channel: the smallest piece there is."""
    fmt: bytes
    """Body of the `fmt ` chunk, kept verbatim in every slice."""
    data_start: int
    """Offset of the first sample."""
    data_stop: int
    """Offset after the last whole frame."""

    @property
    def frames(self) -> int:
        return (self.data_stop - self.data_start) // self.frame_bytes

    @property
    def duration_ms(self) -> int:
        """Rounded down."""
        return self.frames * 1000 // self.sample_rate_hz


def parse(head: bytes, file_size_bytes: int) -> Wav:
    """The facts of a file from its first `HEAD_BYTES` (or all of it, if shorter). Raises NotCuttable.

    >>> head = bytes.fromhex(
    ...     "52494646 2c000000 57415645"
    ...     "666d7420 10000000 0100 0100 c05d0000 80bb0000 0200 1000"
    ...     "64617461 08000000"
    ... )
    >>> wav = parse(head, 52)
    >>> wav.sample_rate_hz, wav.channels, wav.bits_per_sample, wav.data_start, wav.data_stop, wav.frames
    (24000, 1, 16, 44, 52, 4)
    >>> parse(head, 51)
    Traceback (most recent call last):
    service.wav.NotCuttable: the header promises more samples than the file holds
    """
    head = head[: min(HEAD_BYTES, file_size_bytes)]
    _require_wave(head)
    chunks = _chunks_up_to_data(head)
    fmt = _fmt(head, chunks)
    frame = _frame(fmt)
    start = chunks[b"data"].start
    samples_bytes = _samples_bytes(_sizes(head, chunks), start, file_size_bytes, frame.size_bytes)
    return Wav(
        sample_rate_hz=frame.sample_rate_hz,
        channels=frame.channels,
        bits_per_sample=frame.bits_per_sample,
        frame_bytes=frame.size_bytes,
        fmt=fmt,
        data_start=start,
        data_stop=start + samples_bytes,
    )


class Chunk(NamedTuple):
    id: bytes
    size_bytes: int
    """As its header has it: a promise, checked by whoever uses it."""
    start: int
    """Offset of its body."""


def walk(peek: Callable[[int, int], bytes]) -> Iterator[Chunk]:
    """The chunks of a RIFF, up to where `peek(start, length)` gives less than was asked for."""
    position = 12
    while len(header := peek(position, 8)) == 8:
        chunk_id, size_bytes = struct.unpack("<4sI", header)
        yield Chunk(chunk_id, size_bytes, position + 8)
        # An odd body is followed by a pad byte that its size does not count (RIFF 1991, ch. 2).
        position += 8 + size_bytes + size_bytes % 2


class Sizes(NamedTuple):
    riff_bytes: int
    data_bytes: int

    def widened(self, ds64: bytes) -> "Sizes":
        """The 64-bit size holds only where the 32-bit field says -1 (RF64: EBU Tech 3306, "ds64")."""
        riff64_bytes, data64_bytes = struct.unpack_from("<QQ", ds64)
        return Sizes(
            riff64_bytes if self.riff_bytes == _UNSET else self.riff_bytes,
            data64_bytes if self.data_bytes == _UNSET else self.data_bytes,
        )


def promised_bytes(sizes: Sizes, start: int, file_size_bytes: int, frame_bytes: int) -> int | None:
    """How many bytes of samples the header promises; None where nobody came back to count: they end with the file."""
    if _is_counted_empty(sizes, start, file_size_bytes):
        return 0
    if _was_never_set(sizes.data_bytes, file_size_bytes - start, frame_bytes):
        return None
    return sizes.data_bytes


def encoding(fmt: bytes) -> int | UUID:
    """What the samples are: the format's tag, or its GUID where it has no tag. Raises NotCuttable."""
    tag = int.from_bytes(fmt[:2], "little")
    if tag != _EXTENSIBLE:
        return tag
    # EXTENSIBLE: 16 bytes as ever, the extension's size, valid bits, speakers, then the GUID of the SubFormat,
    # which for every registered format is its tag and one common ending.
    if len(fmt) < 40:
        raise NotCuttable(f"an extensible fmt chunk of {len(fmt)} bytes")
    subformat = UUID(bytes_le=fmt[24:40])
    is_registered = str(subformat)[8:] == "-0000-0010-8000-00aa00389b71"
    return subformat.time_low if is_registered else subformat


def frame_at(ms: int, sample_rate_hz: int) -> int:
    """The frame that sounds at `ms`, rounded down, so that neighbours which share a time share a boundary.

    >>> frame_at(1500, 24_000), frame_at(1, 44_100)
    (36000, 44)
    """
    return ms * sample_rate_hz // 1000


def slice_header(wav: Wav, frames: int) -> bytes:
    """What stands before the samples of a slice of so many frames; `slice_padding` stands after them.

    Raises NotCuttable beyond `MAX_SLICE_BYTES`.

    >>> fmt = struct.pack("<HHIIHH", 1, 1, 24_000, 24_000, 1, 8)
    >>> wav = Wav(24_000, 1, 8, 1, fmt, data_start=44, data_stop=1044)
    >>> slice_header(wav, 3).hex(" ", -4)
    '52494646 28000000 57415645 666d7420 10000000 01000100 c05d0000 c05d0000 01000800 64617461 03000000'
    """
    samples_bytes = frames * wav.frame_bytes
    if samples_bytes > MAX_SLICE_BYTES:
        raise NotCuttable("a slice is longer than the 4 GiB a WAV file can hold")
    before = b"WAVE" + _chunk(b"fmt ", wav.fmt) + _fact(wav, frames)
    riff_bytes = len(before) + 8 + samples_bytes + len(slice_padding(wav, frames))
    return struct.pack("<4sI", b"RIFF", riff_bytes) + before + struct.pack("<4sI", b"data", samples_bytes)


def slice_padding(wav: Wav, frames: int) -> bytes:
    """What stands after the samples of a slice of so many frames: chunks end on even bytes (RIFF 1991, ch. 2).

    >>> wav = Wav(24_000, 1, 24, 3, b"", data_start=44, data_stop=1244)
    >>> slice_padding(wav, 1), slice_padding(wav, 2)
    (b'\\x00', b'')
    """
    return bytes(frames * wav.frame_bytes % 2)


class _Frame(NamedTuple):
    sample_rate_hz: int
    channels: int
    bits_per_sample: int
    size_bytes: int


def _require_wave(head: bytes) -> None:
    if not head:
        raise NotCuttable("the file is empty")
    if head[:4] == b"RIFX":
        raise NotCuttable("a big-endian WAV (RIFX)")
    if head[:4] not in {b"RIFF", b"RF64", b"BW64"} or head[8:12] != b"WAVE":
        raise NotCuttable("not a WAV file")


def _chunks_up_to_data(head: bytes) -> dict[bytes, Chunk]:
    # The first of a kind counts, as in FFmpeg and libsndfile. What follows the data is never looked at.
    found: dict[bytes, Chunk] = {}
    for chunk in walk(lambda start, length: head[start : start + length]):
        found.setdefault(chunk.id, chunk)
        if chunk.id == b"data":
            return found
    raise NotCuttable(f"no data chunk in the first {len(head)} bytes")


def _body(head: bytes, chunk: Chunk) -> bytes:
    # Whole: the data chunk was found behind it.
    return head[chunk.start : chunk.start + chunk.size_bytes]


def _fmt(head: bytes, chunks: Mapping[bytes, Chunk]) -> bytes:
    # It is mandatory, and stands before the samples (RIFF 1991, ch. 3).
    if b"fmt " not in chunks:
        raise NotCuttable("no fmt chunk before the samples")
    chunk = chunks[b"fmt "]
    if not 16 <= chunk.size_bytes <= MAX_FMT_BYTES:
        raise NotCuttable(f"a fmt chunk of {chunk.size_bytes} bytes")
    return _body(head, chunk)


def _frame(fmt: bytes) -> _Frame:
    # The third number, bytes per second, is a hint for buffers; nothing here depends on it.
    channels, sample_rate_hz, _, size_bytes, bits_per_sample = struct.unpack_from("<HIIHH", fmt, 2)
    kind = encoding(fmt)
    if kind not in {PCM, IEEE_FLOAT}:
        raise NotCuttable(f"not PCM (format {f'0x{kind:04X}' if isinstance(kind, int) else kind})")
    if channels == 0 or sample_rate_hz == 0 or bits_per_sample == 0:
        raise NotCuttable(f"{channels} channels of {bits_per_sample} bits at {sample_rate_hz} Hz")
    # A sample fills whole bytes: 12 bits lie in two, 20 in three (RIFF 1991, ch. 3, "Data Format of the Samples").
    if size_bytes != channels * -(-bits_per_sample // 8):
        raise NotCuttable(f"frames of {size_bytes} bytes for {channels} channels of {bits_per_sample} bits")
    return _Frame(sample_rate_hz, channels, bits_per_sample, size_bytes)


def _sizes(head: bytes, chunks: Mapping[bytes, Chunk]) -> Sizes:
    sizes = Sizes(int.from_bytes(head[4:8], "little"), chunks[b"data"].size_bytes)
    if head[:4] == b"RIFF":
        return sizes
    if b"ds64" not in chunks:
        raise NotCuttable("no ds64 chunk before the samples of a 64-bit WAV")
    ds64 = _body(head, chunks[b"ds64"])
    if len(ds64) < 16:
        raise NotCuttable(f"a ds64 chunk of {len(ds64)} bytes")
    return sizes.widened(ds64)


def _samples_bytes(sizes: Sizes, start: int, file_size_bytes: int, frame_bytes: int) -> int:
    held_bytes = file_size_bytes - start
    promised = promised_bytes(sizes, start, file_size_bytes, frame_bytes)
    data_bytes = held_bytes if promised is None else promised
    whole_bytes = data_bytes - data_bytes % frame_bytes
    if whole_bytes > held_bytes:
        raise NotCuttable("the header promises more samples than the file holds")
    return whole_bytes


def _is_counted_empty(sizes: Sizes, start: int, file_size_bytes: int) -> bool:
    # Nobody came back to count if the RIFF, too, ends where the samples begin (or is 0, or has no end in the file).
    return sizes.data_bytes == 0 and start < 8 + sizes.riff_bytes <= file_size_bytes


def _was_never_set(data_bytes: int, held_bytes: int, frame_bytes: int) -> bool:
    """Whether a writer that could not seek back left a stand-in for the size: the samples end with the file.

    It is 0, 0xFFFFFFFF (FFmpeg), or the most that the writer can count, less a header or a part of a frame, such
    as 0x7FFFF000 rounded down to whole frames (SoX, wav.c), 0x7FFFFFFF or 0xFFFFFFFF - 36. Any other size is
    meant, and a file that is shorter has lost its end.
    """
    if data_bytes in {0, _UNSET}:
        return True
    nearly = 4096 + frame_bytes
    return data_bytes > held_bytes and any(limit - nearly < data_bytes <= limit for limit in (2**31, 2**32, 2**64))


def _fact(wav: Wav, frames: int) -> bytes:
    # "All newly defined WAVE types must contain [...] a fact chunk", WAVE_FORMAT_PCM need not (RIFF 1994). IEEE
    # float and EXTENSIBLE are such types, and SoX writes it for both. Its number is frames: the slice's own.
    if int.from_bytes(wav.fmt[:2], "little") == PCM:
        return b""
    return _chunk(b"fact", struct.pack("<I", frames))


def _chunk(chunk_id: bytes, body: bytes) -> bytes:
    return struct.pack("<4sI", chunk_id, len(body)) + body + bytes(len(body) % 2)
