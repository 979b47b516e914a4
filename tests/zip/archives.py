"""Folders to make archives of, and how their bytes come about: by hand, so that no storage has a say in it."""

import struct
import zipfile
from collections.abc import Iterable
from datetime import UTC, datetime
from hashlib import sha256
from io import SEEK_CUR, BytesIO
from pathlib import Path
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from isal.isal_zlib import crc32, crc32_combine

from service.segments import Extent, Segment, Version
from service.streaming_zip import Entry, ZipPlan

MOMENT = datetime(2026, 3, 4, 5, 6, 8, tzinfo=UTC)
LARGE = bytes(range(256)) * 300  # 76,800 bytes: aligned
GIB = 1 << 30

few = settings(max_examples=25)


# ---- small ones, whose bytes are at hand


def literal(name: str, body: bytes = b"hello") -> Entry:
    return Entry(name, body, crc32(body))


def file(name: str, body: bytes) -> Entry:
    """An entry whose body is read from a file; `content` below is where it is read."""
    return Entry(name, Extent("exports", body.hex(), 0, len(body), Version(len(body), 0, 1)), crc32(body))


def content(segments: Iterable[Segment]) -> bytes:
    return b"".join(s if isinstance(s, bytes) else bytes.fromhex(s.key)[s.start : s.stop] for s in segments)


def opened(plan: ZipPlan) -> zipfile.ZipFile:
    return zipfile.ZipFile(BytesIO(content(plan.segments)))


FOLDER = [
    Entry("export_x/"),
    literal("export_x/script.txt"),
    Entry("export_x/audio/"),
    file("export_x/audio/001_intro_audio.wav", LARGE),
    file("export_x/audio/002_größe_audio.wav", b"short"),
    Entry("export_x/images/"),
    literal("export_x/images/001_intro_image.png", LARGE),
    Entry("export_x/images/empty.png"),
]

names = st.text("abcdefgüñ写🎬 -_", min_size=1, max_size=12)
bodies = st.binary(max_size=100) | st.integers(0xFFFE, 0x10002).map(lambda size: (b"frame" * size)[:size])
entries = st.builds(lambda kind, name, body: kind(name, body), st.sampled_from([literal, file]), names, bodies)
folders = st.lists(entries, max_size=6, unique_by=lambda entry: entry.name.casefold())
moments = st.integers(0, 1 << 33).map(lambda seconds: datetime.fromtimestamp(seconds, UTC))  # up to 2242


# ---- huge ones, of which hardly a byte is written


def huge(name: str, size_bytes: int) -> Entry:
    """A file of zeros between two marks: read a byte too early or too late, it has another CRC-32."""
    mark = mark_of(name)
    checksum = crc32(mark)
    for crc, count in ((zeros_crc32(size_bytes - 2 * len(mark)), size_bytes - 2 * len(mark)), (crc32(mark), len(mark))):
        checksum = crc32_combine(checksum, crc, count)
    return Entry(name, Extent("exports", name, 0, size_bytes, Version(size_bytes, 0, 1)), checksum)


def mark_of(name: str) -> bytes:
    return sha256(name.encode()).digest()


def zeros_crc32(count: int) -> int:
    """CRC-32 of that many zeros, by doubling."""
    if count == 0:
        return 0
    half = zeros_crc32(count // 2)
    even = crc32_combine(half, half, count // 2)
    return crc32(b"\0", even) if count % 2 else even


def write_sparsely(plan: ZipPlan, path: Path) -> None:
    """With holes where the zeros of huge files are."""
    with path.open("wb") as archive:
        for segment in plan.segments:
            if isinstance(segment, bytes):
                archive.write(segment)
            else:
                mark = mark_of(segment.key)
                archive.write(mark)
                archive.seek(segment.size_bytes - 2 * len(mark), SEEK_CUR)
                archive.write(mark)


# ---- what stands in an archive


LOCAL_HEADER = struct.Struct("<4s5H3L2H")


def local_header(whole: bytes, info: zipfile.ZipInfo) -> tuple[tuple[Any, ...], bytes, dict[int, bytes]]:
    """Its fixed fields, the name, and the extra fields."""
    fields = LOCAL_HEADER.unpack_from(whole, info.header_offset)
    begin = info.header_offset + LOCAL_HEADER.size
    name, extra = whole[begin : begin + fields[9]], whole[begin + fields[9] : begin + fields[9] + fields[10]]
    return fields, name, extra_fields(extra)


def begin_of_body(whole: bytes, info: zipfile.ZipInfo) -> int:
    fields, _, _ = local_header(whole, info)
    return int(info.header_offset + LOCAL_HEADER.size + fields[9] + fields[10])


def extra_fields(extra: bytes) -> dict[int, bytes]:
    fields = {}
    while extra:
        kind, size = struct.unpack_from("<HH", extra)
        fields[kind], extra = extra[4 : 4 + size], extra[4 + size :]
    return fields
