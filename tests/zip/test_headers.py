"""Every header says what the others say, and what an unpacker that reads forwards only needs to know."""

import struct
import zipfile
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path

import pytest
from hypothesis import given

from service.segments import Extent
from service.streaming_zip import Entry, plan_zip
from tests.zip.archives import (
    FOLDER,
    GIB,
    LARGE,
    LOCAL_HEADER,
    MOMENT,
    begin_of_body,
    content,
    extra_fields,
    few,
    file,
    folders,
    huge,
    literal,
    local_header,
    moments,
    opened,
    write_sparsely,
)


@few
@given(folders, moments)
def test_what_went_in_is_read_back(folder: list[Entry], moment: datetime) -> None:
    plan = plan_zip(folder, moment)
    archive = opened(plan)
    assert archive.testzip() is None
    assert [(name, archive.read(name)) for name in archive.namelist()] == [
        (entry.name, content([entry.body])) for entry in folder
    ]


@few
@given(folders, moments)
def test_local_headers_say_what_the_directory_says_and_need_no_data_descriptor(
    folder: list[Entry], moment: datetime
) -> None:
    whole = content(plan_zip(folder, moment).segments)
    for info in zipfile.ZipFile(BytesIO(whole)).infolist():
        (signature, needed, flags, method, dos_time, dos_date, crc, stored, size, *_), name, extra = local_header(
            whole, info
        )
        assert signature == b"PK\3\4"
        assert (needed, flags, method) == (20, info.flag_bits, zipfile.ZIP_STORED)
        assert flags & 8 == 0
        assert flags == (0 if info.filename.isascii() else 0x800)
        assert (crc, stored, size) == (info.CRC, info.compress_size, info.file_size)
        assert name == info.filename.encode()
        assert (dos_date >> 9) + 1980 == info.date_time[0]
        assert dos_time >> 11 == info.date_time[3]
        extra.pop(0xD935, None)
        assert extra == extra_fields(info.extra)


@few
@given(folders)
def test_large_bodies_start_on_a_block_and_small_ones_are_not_padded(folder: list[Entry]) -> None:
    plan = plan_zip(folder, MOMENT)
    whole = content(plan.segments)
    for info in zipfile.ZipFile(BytesIO(whole)).infolist():
        _, _, extra = local_header(whole, info)
        if info.file_size < 64 * 1024:
            assert 0xD935 not in extra
        else:
            assert begin_of_body(whole, info) % 4096 == 0
            assert extra[0xD935][:2] == struct.pack("<H", 4096)
            assert not any(extra[0xD935][2:])


@pytest.mark.parametrize("shift", range(4080, 4100))
def test_padding_has_room_for_its_own_header_whatever_the_gap(shift: int) -> None:
    plan = plan_zip([literal("first", b"x" * shift), file("second", LARGE)], MOMENT)
    assert opened(plan).testzip() is None
    assert next(start for start, s in zip(plan.starts, plan.segments, strict=True) if isinstance(s, Extent)) % 4096 == 0


def test_everything_is_plain_files_and_directories_of_unix() -> None:
    modes = {
        info.filename: (info.create_system, info.external_attr) for info in opened(plan_zip(FOLDER, MOMENT)).infolist()
    }
    assert modes["export_x/"] == (3, 0o40755 << 16 | 0x10)
    assert modes["export_x/script.txt"] == (3, 0o100644 << 16)


@pytest.mark.parametrize(
    ("moment", "dos", "seconds"),
    [
        (MOMENT, (2026, 3, 4, 5, 6, 8), int(MOMENT.timestamp())),
        (MOMENT.replace(second=9, microsecond=999_999), (2026, 3, 4, 5, 6, 8), int(MOMENT.timestamp()) + 1),
        (datetime(1960, 1, 1, tzinfo=UTC), (1980, 1, 1, 0, 0, 0), 0),
        (datetime(1975, 1, 1, tzinfo=UTC), (1980, 1, 1, 0, 0, 0), 157_766_400),
        (datetime(2038, 1, 19, 3, 14, 7, tzinfo=UTC), (2038, 1, 19, 3, 14, 6), 0x7FFF_FFFF),
        (datetime(2038, 1, 19, 3, 14, 8, tzinfo=UTC), (2038, 1, 19, 3, 14, 8), 0x7FFF_FFFF),
        (datetime(2200, 1, 1, tzinfo=UTC), (2107, 12, 31, 23, 59, 58), 0x7FFF_FFFF),
    ],
)
def test_every_entry_carries_the_moment_as_far_as_its_fields_reach(
    moment: datetime, dos: tuple[int, ...], seconds: int
) -> None:
    archive = opened(plan_zip(FOLDER, moment))
    assert {info.date_time for info in archive.infolist()} == {dos}
    assert {extra_fields(info.extra)[0x5455] for info in archive.infolist()} == {struct.pack("<Bi", 1, seconds)}


# ---- Zip64


@pytest.mark.parametrize(("size_bytes", "is_zip64"), [(2 * GIB - 1, False), (2 * GIB, True)])
def test_zip64_stands_in_both_headers_or_in_none(size_bytes: int, is_zip64: bool, tmp_path: Path) -> None:
    path = tmp_path / "edge.zip"
    write_sparsely(plan_zip([huge("edge.mp4", size_bytes)], MOMENT), path)
    with path.open("rb") as archive:
        head = archive.read(8192)
        info = zipfile.ZipFile(archive).infolist()[0]
    fields, _, extra = local_header(head, info)
    assert (1 in extra, 1 in extra_fields(info.extra)) == (is_zip64, is_zip64)
    assert fields[1] == info.extract_version == (45 if is_zip64 else 20)
    assert LOCAL_HEADER.size + fields[9] + fields[10] == 4096
