"""Makes a small H.264 film in an MP4 file by hand: pictures as raw samples, and "nothing changed" in between.

Pure. Of H.264 (ITU-T H.264, constrained baseline) it needs two things only: I_PCM macroblocks, which hold samples as
they are, and skipped macroblocks, which repeat the frame before. So there is nothing to compress and nothing to
predict, and every player can show it. Section numbers below are those of the standard.
"""

import re
import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from demo.picture import Canvas, Colour, Scene, Shape, paint, render

WIDTH, HEIGHT = 256, 144
FRAMES_PER_SECOND = 24
FRAMES_PER_PICTURE = 12

_MACROBLOCK = 16
_COLUMNS, _ROWS = WIDTH // _MACROBLOCK, HEIGHT // _MACROBLOCK


@dataclass(frozen=True, slots=True)
class Picture:
    """A canvas for brightness, and one of half the width and height for the two colour differences."""

    luma: Canvas
    chroma: Canvas


def picture(scene: Scene) -> Picture:
    """The scene as a film sees it."""
    return Picture(render(scene, WIDTH, HEIGHT, _luma), render(scene, WIDTH // 2, HEIGHT // 2, _chroma))


def paint_over(below: Picture, shapes: Sequence[Shape]) -> Picture:
    """The picture with more shapes on it."""
    return Picture(paint(below.luma, shapes), paint(below.chroma, shapes))


def mp4(pictures: Sequence[Picture]) -> bytes:
    """A film that shows each picture for half a second."""
    frames = [frame for index, shown in enumerate(pictures) for frame in _group(shown, index)]
    head = _box(b"ftyp", b"isom", _u32(0x200), b"isomiso2avc1mp41")
    mdat_header_bytes = 8
    first_byte = len(head) + len(_movie(frames, 0)) + mdat_header_bytes
    return head + _movie(frames, first_byte) + _box(b"mdat", *frames)


# ---- colours ---------------------------------------------------------------------------------------
# ITU-R BT.709, limited range, as the sequence says; no sample is ever 0.


def _luma(colour: Colour) -> tuple[float, ...]:
    red, green, blue = colour
    return (16 + 219 / 255 * (0.2126 * red + 0.7152 * green + 0.0722 * blue),)


def _chroma(colour: Colour) -> tuple[float, ...]:
    red, green, blue = colour
    bright = 0.2126 * red + 0.7152 * green + 0.0722 * blue
    return 128 + 224 / 255 * (blue - bright) / 1.8556, 128 + 224 / 255 * (red - bright) / 1.5748


# ---- H.264 -----------------------------------------------------------------------------------------
# Fields are written as text of zeros and ones, in the order of the standard's tables.


def _u(value: int, width: int) -> str:
    return f"{value:0{width}b}"


def _ue(value: int) -> str:
    """Exponential Golomb (9.1).

    >>> _ue(0), _ue(1), _ue(25)
    ('1', '010', '000011010')
    """
    digits = f"{value + 1:b}"
    return "0" * (len(digits) - 1) + digits


_SE_ZERO = _ue(0)
"""A signed zero is written like an unsigned one."""


def _packed(bits: str) -> bytes:
    """The bits as bytes, filled up with zeros."""
    padded = bits + "0" * (-len(bits) % 8)
    return int(padded, 2).to_bytes(len(padded) // 8, "big")


def _unit(kind: int, payload: bytes) -> bytes:
    """A NAL unit; no run of bytes in it looks like a start code (7.4.1.1)."""
    return bytes([kind]) + re.sub(rb"\x00\x00(?=[\x00-\x03])", b"\x00\x00\x03", payload)


_IDR_SLICE, _P_SLICE, _SPS, _PPS = 0x65, 0x41, 0x67, 0x68
_STOP = "1"
_I_PCM = _ue(25)
"""The type of a macroblock (table 7-11) that holds its samples from the next whole byte on."""
_PROFILE = b"\x42\xc0\x1e"
"""Baseline, constrained (the first two flags), level 3.0: ample for raw pictures of this size."""

_SEQUENCE = _unit(
    _SPS,
    _PROFILE
    + _packed(
        _ue(0)  # seq_parameter_set_id
        + _ue(0)  # frame_num has 4 bits
        + _ue(2)  # pic_order_cnt_type: frames are shown in the order in which they are stored
        + _ue(1)  # max_num_ref_frames
        + "0"  # no gaps in frame_num
        + _ue(_COLUMNS - 1)
        + _ue(_ROWS - 1)
        + "1"  # frames, not fields
        + "1"  # direct_8x8_inference
        + "0"  # no cropping
        + "1"  # VUI (E.1.1) follows:
        + "0"  # square pixels, as when nothing is said
        + "0"  # nothing about overscan
        + "1" + _u(5, 3) + "0" + "1" + _u(1, 8) * 3  # any format, limited range, BT.709 in all three ways
        + "0"  # chroma sits where it usually does
        + "1" + _u(1, 32) + _u(2 * FRAMES_PER_SECOND, 32) + "1"  # a tick is half a frame; the rate is fixed
        + "0" + "0" + "0"  # no buffer models, no pic_struct
        + "1" + "1" + _ue(0) * 2 + _ue(0) * 2  # restrictions: none on sizes, and no motion at all
        + _ue(0) + _ue(1)  # nothing is reordered; one frame is kept
        + _STOP
    ),
)  # fmt: skip

_PICTURES = _unit(
    _PPS,
    _packed(
        _ue(0) + _ue(0)  # this set's id, and its sequence's
        + "0" + "0"  # CAVLC; no field order
        + _ue(0)  # one slice group
        + _ue(0) + _ue(0)  # one reference frame
        + "0" + _u(0, 2)  # no weights
        + _SE_ZERO * 3  # quantisers
        + "1"  # slices say how they are deblocked
        + "0" + "0"
        + _STOP
    ),
)  # fmt: skip


def _group(shown: Picture, index: int) -> list[bytes]:
    """One picture and its repetitions, as samples of the MP4 file."""
    units = [_raw_picture(shown, index), *(_repetition(number) for number in range(1, FRAMES_PER_PICTURE))]
    return [_u32(len(unit)) + unit for unit in units]


def _raw_picture(shown: Picture, index: int) -> bytes:
    head = _packed(
        _ue(0) + _ue(7) + _ue(0)  # from the first macroblock; all are intra; parameter set
        + _u(0, 4)  # frame_num
        + _ue(index % 2)  # idr_pic_id differs from the one before
        + "0" + "0"  # an ordinary reference frame
        + _SE_ZERO
        + _ue(1)  # no deblocking
        + _I_PCM
    )  # fmt: skip
    return _unit(_IDR_SLICE, head + _packed(_I_PCM).join(_macroblocks(shown)) + _packed(_STOP))


def _repetition(number: int) -> bytes:
    return _unit(
        _P_SLICE,
        _packed(
            _ue(0) + _ue(5) + _ue(0)  # from the first macroblock; all are predicted; parameter set
            + _u(number, 4)  # frame_num
            + "0" + "0" + "0"  # as many references as usual, in their usual order, marked as usual
            + _SE_ZERO
            + _ue(1)  # no deblocking
            + _ue(_COLUMNS * _ROWS)  # mb_skip_run: every macroblock
            + _STOP
        ),
    )  # fmt: skip


def _macroblocks(shown: Picture) -> Iterable[bytes]:
    (luma,), (blue, red) = shown.luma.planes, shown.chroma.planes
    half = _MACROBLOCK // 2
    for row in range(_ROWS):
        for column in range(_COLUMNS):
            yield (
                _square(luma, WIDTH, row, column, _MACROBLOCK)
                + _square(blue, WIDTH // 2, row, column, half)
                + _square(red, WIDTH // 2, row, column, half)
            )


def _square(plane: bytes, width: int, row: int, column: int, side: int) -> bytes:
    first = row * side * width + column * side
    return b"".join(plane[start : start + side] for start in range(first, first + side * width, width))


# ---- MP4 (ISO/IEC 14496-12 and -15) ----------------------------------------------------------------

_TICKS_PER_SECOND = 24_000
_TICKS_PER_FRAME = _TICKS_PER_SECOND // FRAMES_PER_SECOND
_UNITY = struct.pack(">9I", 0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000)
"""The matrix that turns and stretches nothing."""


def _u32(*values: int) -> bytes:
    return struct.pack(f">{len(values)}I", *values)


def _box(name: bytes, *content: bytes) -> bytes:
    body = b"".join(content)
    return _u32(8 + len(body)) + name + body


def _full(name: bytes, flags: int, *content: bytes) -> bytes:
    """A box with a version, always 0, and flags."""
    return _box(name, _u32(flags), *content)


def _movie(frames: Sequence[bytes], first_byte: int) -> bytes:
    ticks = len(frames) * _TICKS_PER_FRAME
    created = _u32(0, 0)
    movie_header = _full(
        b"mvhd",
        0,
        created,
        _u32(_TICKS_PER_SECOND, ticks, 0x10000),
        struct.pack(">H10x", 0x100),
        _UNITY,
        bytes(24),
        _u32(2),
    )
    track_header = _full(b"tkhd", 3, created, _u32(1, 0, ticks), bytes(16), _UNITY, _u32(WIDTH << 16, HEIGHT << 16))
    media_header = _full(b"mdhd", 0, created, _u32(_TICKS_PER_SECOND, ticks), struct.pack(">HH", _UNDETERMINED, 0))
    handler = _full(b"hdlr", 0, bytes(4), b"vide", bytes(12), b"VideoHandler\0")
    here = _box(b"dinf", _full(b"dref", 0, _u32(1), _full(b"url ", 1)))
    table = _sample_table(frames, first_byte)
    information = _box(b"minf", _full(b"vmhd", 1, bytes(8)), here, table)
    track = _box(b"trak", track_header, _box(b"mdia", media_header, handler, information))
    return _box(b"moov", movie_header, track)


_UNDETERMINED = 0x55C4
"""The language `und`: five bits a letter."""


def _sample_table(frames: Sequence[bytes], first_byte: int) -> bytes:
    count = len(frames)
    whole = range(1, count + 1, FRAMES_PER_PICTURE)
    return _box(
        b"stbl",
        _full(b"stsd", 0, _u32(1), _avc1()),
        _full(b"stts", 0, _u32(1, count, _TICKS_PER_FRAME)),
        _full(b"stss", 0, _u32(len(whole), *whole)),
        _full(b"stsc", 0, _u32(1, 1, count, 1)),
        _full(b"stsz", 0, _u32(0, count, *map(len, frames))),
        _full(b"stco", 0, _u32(1, first_byte)),
    )


def _avc1() -> bytes:
    shape = struct.pack(">6xH16xHHIIIH32xHh", 1, WIDTH, HEIGHT, 72 << 16, 72 << 16, 0, 1, 24, -1)
    profile = b"\1" + _PROFILE + b"\xff"  # NAL units are preceded by their length in four bytes
    sequence, pictures = (struct.pack(">H", len(unit)) + unit for unit in (_SEQUENCE, _PICTURES))
    return _box(b"avc1", shape, _box(b"avcC", profile, b"\xe1", sequence, b"\1", pictures))
