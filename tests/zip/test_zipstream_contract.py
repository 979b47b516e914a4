"""What is relied on of zipstream-ng beyond its documentation is there, and behaves as the layout needs it."""

import zipfile
from datetime import UTC, datetime
from importlib.metadata import version
from io import BytesIO

import pytest
from isal.isal_zlib import crc32
from zipstream import ZipStream, ZipStreamInfo

from service.streaming_zip import Entry, plan_zip


class Stream(ZipStream):
    """Opens the two private names to these tests, as the layout opens them to itself."""

    @property
    def position(self) -> int:
        return self._pos

    @property
    def placed(self) -> list[ZipStreamInfo]:
        return self._filelist

    def place(self, info: ZipStreamInfo, size_bytes: int) -> None:
        self._pos += size_bytes
        self._filelist.append(info)


def info(name: str, body: bytes) -> ZipStreamInfo:
    made = ZipStreamInfo(name, (2026, 3, 4, 5, 6, 8))
    made.file_size = made.compress_size = len(body)
    made.CRC = crc32(body)
    made.header_offset = 0
    return made


def test_the_version_is_one_whose_source_was_read() -> None:
    assert version("zipstream-ng").startswith("1.9.")


def test_it_keeps_its_position_and_its_entries_where_the_layout_advances_them() -> None:
    stream = Stream()
    assert (stream.position, stream.placed) == (0, [])
    stream.add(b"hello", "script.txt")
    written = b"".join(stream.all_files())
    assert stream.position == len(written)
    assert [entry.filename for entry in stream.placed] == ["script.txt"]
    assert stream.num_streamed() == 1


def test_what_is_placed_by_hand_is_in_its_directory() -> None:
    stream, entry = Stream(), info("script.txt", b"hello")
    file = entry.FileHeader(False) + b"hello"
    stream.place(entry, len(file))
    archive = zipfile.ZipFile(BytesIO(file + b"".join(stream.footer())))
    assert archive.read("script.txt") == b"hello"


def test_a_local_header_holds_checksum_and_sizes_as_long_as_nobody_asks_for_a_data_descriptor() -> None:
    header = info("script.txt", b"hello").FileHeader(False)
    assert header[6:8] == b"\0\0"
    assert header[14:26] == crc32(b"hello").to_bytes(4, "little") + (5).to_bytes(4, "little") * 2


def test_zip64_puts_20_bytes_behind_the_extra_field() -> None:
    entry = info("script.txt", b"hello")
    entry.extra = b"UT\1\0x"
    plain, wide = entry.FileHeader(False), entry.FileHeader(True)
    assert len(wide) == len(plain) + 20
    assert wide[30 + len("script.txt") :].startswith(entry.extra + b"\1\0\x10\0")


def test_a_plan_says_of_its_entries_what_zipstream_says_when_it_writes_them() -> None:
    bodies = {"export_x/": b"", "export_x/größe.txt": b"hello", "export_x/a.bin": bytes(70_000)}
    stream = ZipStream()
    for name, body in bodies.items():
        stream.add(body, name)

    entries = [Entry(name, body, crc32(body)) for name, body in bodies.items()]
    plan = plan_zip(entries, datetime(2026, 3, 4, tzinfo=UTC))
    written = b"".join(segment for segment in plan.segments if isinstance(segment, bytes))
    assert facts(written) == facts(b"".join(stream))


def facts(archive: bytes) -> list[tuple[object, ...]]:
    """What must not depend on who wrote it (bit 3 of the flags announces a data descriptor)."""
    return [
        (entry.filename, entry.is_dir(), entry.compress_type, entry.file_size, entry.CRC, entry.flag_bits & ~8)
        for entry in zipfile.ZipFile(BytesIO(archive)).infolist()
    ]


@pytest.mark.slow
def test_its_len_is_still_76_bytes_short_at_65535_entries_so_the_plan_adds_up_segments_itself() -> None:
    stream = ZipStream(sized=True)
    for number in range(65_535):
        stream.add(None, f"{number}/")
    announced = len(stream)
    assert sum(map(len, stream)) == announced + 76
