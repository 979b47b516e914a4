"""Whatever the bytes are: it raises nothing, reads twice at most, ends soon, and holds no more than it read."""

import struct
import time
import tracemalloc
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.media import Container, Media
from service.probe import MAX_FRAME_RATE, MAX_SECONDS, probe
from service.probe.reading import HEAD_BYTES, MAX_WINDOW_BYTES
from tests.editors.test_probe_bytes import box

MARKS = [
    b"RIFF\xff\xff\xff\xffWAVEfmt \x10\0\0\0",
    b"RIFF\xff\xff\xff\xffWEBPVP8X",
    b"RF64\xff\xff\xff\xffWAVEds64\x1c\0\0\0",
    b"ID3\x04\0\0\0\0\0\x05",
    b"\xff\xfb\x90\x64",
    b"fLaC\0\0\0\x22",
    b"OggS\0\x02",
    b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR",
    b"\xff\xd8\xff\xe1\0\x20Exif\0\0II*\0",
    b"GIF89a",
    b"\x1a\x45\xdf\xa3\x80\x18\x53\x80\x67\x01\xff\xff\xff\xff\xff\xff\xff\x16\x54\xae\x6b",
    b"\0\0\0\x10ftypisom\0\0\0\0\0\0\xff\xffmoov\0\0\xff\xf0trak\0\0\xff\xf0mdia",
]


class Told:
    """A file that answers as a store does, and keeps count."""

    def __init__(self, content: bytes, size_bytes: int | None = None) -> None:
        self.content = content
        self.size_bytes = len(content) if size_bytes is None else size_bytes
        self.reads: list[int] = []

    def read(self, start: int, stop: int) -> bytes:
        assert 0 <= start < stop <= self.size_bytes
        self.reads.append(stop - start)
        return self.content[start:stop]

    def look(self) -> Media:
        media = probe(self.read, self.size_bytes)
        assert len(self.reads) <= 2
        assert sum(self.reads) <= HEAD_BYTES + MAX_WINDOW_BYTES
        _insist_on_sense(media)
        return media


def _insist_on_sense(media: Media) -> None:
    assert media.duration is None or 0 <= media.duration <= MAX_SECONDS
    assert media.start is None or 0 < media.start <= MAX_SECONDS
    if media.picture is not None:
        assert media.picture.rotation in {0, 90, 180, 270}
        assert media.picture.width is None or media.picture.width > 0
        assert media.picture.height is None or media.picture.height > 0
        assert media.picture.frame_rate is None or 0 < media.picture.frame_rate <= MAX_FRAME_RATE
    if media.sound is not None:
        assert media.sound.sample_rate_hz is None or media.sound.sample_rate_hz > 0
        assert media.sound.channels is None or media.sound.channels > 0
    assert all(len(fault) < 120 for fault in media.faults)


@settings(max_examples=400)
@given(mark=st.sampled_from([*MARKS, b""]), rest=st.binary(max_size=2_000), size_bytes=st.integers(0, 2**63))
def test_any_bytes_of_any_size(mark: bytes, rest: bytes, size_bytes: int) -> None:
    # The size is the store's; the bytes may be fewer, as of a file that was cut off meanwhile.
    Told(mark + rest).look()
    Told(mark + rest, size_bytes).look()


@settings(max_examples=400)
@given(data=st.data())
def test_real_files_with_a_few_bytes_changed(data: st.DataObject, matrix: Mapping[str, Path]) -> None:
    content = bytearray(matrix[data.draw(st.sampled_from(sorted(matrix)))].read_bytes())
    places = st.one_of(st.integers(0, 700), st.integers(-3_000, -1), st.integers(-len(content), len(content) - 1))
    changes = st.lists(st.tuples(places, st.sampled_from([0, 1, 0x7F, 0x80, 0xFF])), max_size=20)
    for place, byte in data.draw(changes):
        content[place % len(content)] = byte
    Told(bytes(content)).look()


@settings(max_examples=200)
@given(data=st.data())
def test_real_files_that_were_cut_off(data: st.DataObject, matrix: Mapping[str, Path]) -> None:
    content = matrix[data.draw(st.sampled_from(sorted(matrix)))].read_bytes()
    Told(content[: data.draw(st.integers(0, len(content)))]).look()


def test_a_store_that_fails_is_not_the_files_fault() -> None:
    def read(start: int, stop: int) -> bytes:
        raise OSError(f"{start} to {stop}")

    with pytest.raises(OSError, match="0 to 100"):
        probe(read, 100)


# ---- files that are made to cost ----


def _film(*boxes: bytes) -> bytes:
    moov = box(b"moov", *boxes)
    return box(b"ftyp", b"isom\0\0\0\0") + moov + bytes(8)


MVHD = box(b"mvhd", bytes(12), struct.pack(">I", 1000), bytes(84))
MDHD = box(b"mdhd", bytes(12), struct.pack(">I", 600), bytes(8))
HDLR = box(b"hdlr", bytes(8), b"vide", bytes(16))
LONG = MAX_WINDOW_BYTES - 1_000


def _with_table(kind: bytes, count: int, entries: bytes) -> bytes:
    table = box(kind, bytes(4), struct.pack(">I", count), entries)
    return _film(MVHD, box(b"trak", box(b"mdia", MDHD, HDLR, box(b"minf", box(b"stbl", table)))))


def _fragments() -> bytes:
    mvex = box(b"mvex", box(b"trex", bytes(4), struct.pack(">IIIII", 1, 1, 10, 0, 0)))
    tkhd = box(b"tkhd", bytes(12), struct.pack(">I", 1), bytes(68))
    run = box(b"trun", bytes(4), struct.pack(">I", 0xFFFFFFFF))
    moof = box(b"moof", box(b"traf", box(b"tfhd", bytes(4), struct.pack(">I", 1)), run * 1_500))
    return _film(MVHD, mvex, box(b"trak", tkhd, box(b"mdia", MDHD, HDLR)))[:-8] + moof


COSTLY: dict[str, bytes] = {
    "a million runs of frames": _with_table(b"stts", LONG // 8, struct.pack(">II", 1, 20) * (LONG // 8)),
    "a table that promises four thousand million": _with_table(b"stts", 0xFFFFFFFF, bytes(80)),
    "a million boxes": _film(MVHD, box(b"free") * (LONG // 8)),
    "a hundred thousand tracks": _film(MVHD, box(b"trak", box(b"mdia")) * (LONG // 16)),
    "boxes one in the other": _film(*[struct.pack(">I4s", 0, b"trak")] * 100_000),
    "fragments of four thousand million frames": _fragments(),
    "chunks without a size": b"RIFF\0\0\0\0WAVE" + bytes(HEAD_BYTES * 2),
    "markers that fill up": b"\xff\xd8" + b"\xff" * HEAD_BYTES * 2,
    "pages without an end": b"OggS\0\x02" + b"OggS" * HEAD_BYTES,
    "elements without a size": MARKS[-2] + b"\xae\x80" * HEAD_BYTES,
    "a tag of a quarter of a gigabyte": b"ID3\x04\0\0\x7f\x7f\x7f\x7f" + bytes(HEAD_BYTES),
    "frames that are none": b"\xff\xfb" * HEAD_BYTES,
}


@pytest.mark.parametrize("attack", COSTLY)
def test_no_file_costs_more_than_a_long_film(attack: str) -> None:
    told = Told(COSTLY[attack])
    begun = time.process_time()
    told.look()
    assert time.process_time() - begun < 3, "a film with a million frames takes a fraction of a second"


@pytest.mark.parametrize("attack", COSTLY)
def test_no_file_holds_more_memory_than_a_few_times_what_was_read(attack: str) -> None:
    told = Told(COSTLY[attack])
    tracemalloc.start()
    try:
        told.look()
        peak_bytes = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak_bytes < 8 * sum(told.reads) + 16 * 1024 * 1024


def test_a_film_of_a_million_runs_is_still_understood() -> None:
    media = Told(COSTLY["a million runs of frames"]).look()
    assert media.container is Container.MP4
    assert media.picture is not None
    assert media.picture.frame_rate == 30
    assert media.duration == Fraction(LONG // 8, 30)
