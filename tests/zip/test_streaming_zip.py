"""A ZIP is known byte by byte before it exists, and every reader opens it."""

import re
import shutil
import struct
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from io import SEEK_CUR, BytesIO
from pathlib import Path
from typing import Any, NoReturn

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from isal.isal_zlib import crc32, crc32_combine

from service.segments import Extent, Segment, Version, total
from service.streaming_zip import Entry, ZipPlan, plan_zip

MOMENT = datetime(2026, 3, 4, 5, 6, 8, tzinfo=UTC)
GIB = 1 << 30
LARGE = bytes(range(256)) * 300  # 76,800 bytes: aligned
READERS = {"unzip": "unzip", "7z": "p7zip-full", "bsdtar": "libarchive-tools"}
few = settings(max_examples=25)


def literal(name: str, body: bytes = b"hello") -> Entry:
    return Entry(name, body, crc32(body))


def file(name: str, body: bytes) -> Entry:
    """An entry whose body is read from a file; `content` below is where it is read."""
    return Entry(name, Extent("exports", body.hex(), 0, len(body), Version(len(body), 0, 1)), crc32(body))


def content(segments: Iterable[Segment]) -> bytes:
    return b"".join(s if isinstance(s, bytes) else bytes.fromhex(s.key)[s.start : s.stop] for s in segments)


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


# What the plan promises of itself.


@few
@given(folders, moments, st.data())
def test_every_range_is_that_slice_of_the_whole(folder: list[Entry], moment: datetime, data: st.DataObject) -> None:
    plan = plan_zip(folder, moment)
    whole = content(plan.segments)
    start, stop = sorted(data.draw(st.tuples(*[st.integers(0, plan.size_bytes + 10)] * 2)))
    assert content(plan.read(start, stop)) == whole[start:stop]


def test_ranges_that_meet_the_edges_of_segments_lose_nothing() -> None:
    plan = plan_zip(FOLDER, MOMENT)
    whole = content(plan.segments)
    edges = sorted({edge + near for edge in plan.starts for near in (-1, 0, 1)} - {-1})
    assert all(content(plan.read(a, b)) == whole[a:b] for a in edges for b in edges if a <= b)


@pytest.mark.parametrize(("start", "stop"), [(-1, 5), (5, 4), (-5, -1)])
def test_a_range_that_is_none_is_refused_at_once(start: int, stop: int) -> None:
    plan = plan_zip(FOLDER, MOMENT)
    with pytest.raises(ValueError, match="range"):
        plan.read(start, stop)


@few
@given(folders, moments)
def test_size_and_checksum_of_the_archive_are_known_without_reading_a_file(
    folder: list[Entry], moment: datetime
) -> None:
    plan = plan_zip(folder, moment)
    whole = content(plan.segments)
    assert (plan.entries, plan.size_bytes, plan.crc32) == (len(folder), len(whole), crc32(whole))


@few
@given(folders)
def test_the_size_is_exact_before_any_checksum_is_known(folder: list[Entry]) -> None:
    early = plan_zip([replace(entry, crc32=0) for entry in folder], MOMENT)
    assert early.size_bytes == plan_zip(folder, MOMENT).size_bytes


def test_the_etag_is_a_quoted_sha256() -> None:
    assert len(plan_zip([], MOMENT).etag) == 66
    assert bytes.fromhex(plan_zip([], MOMENT).etag.strip('"'))


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(replace(file("a.wav", LARGE), name="b.wav"), id="name"),
        pytest.param(file("a.wav", LARGE + b"x"), id="size"),
        pytest.param(replace(file("a.wav", LARGE), crc32=7), id="checksum"),
    ],
)
def test_the_etag_changes_with_any_file(other: Entry) -> None:
    assert plan_zip([other], MOMENT).etag != plan_zip([file("a.wav", LARGE)], MOMENT).etag


def test_the_etag_changes_with_a_text_even_if_its_checksum_does_not() -> None:
    one, other = (plan_zip([Entry("script.txt", text)], MOMENT) for text in (b"one", b"two"))
    assert one.etag != other.etag


def test_the_etag_changes_with_the_moment() -> None:
    assert plan_zip(FOLDER, MOMENT + timedelta(seconds=1)).etag != plan_zip(FOLDER, MOMENT).etag


def test_the_etag_does_not_tell_where_the_files_are() -> None:
    def moved(extent: Extent) -> Extent:
        version = Version(extent.size_bytes, 5, 6)
        return replace(extent, root="elsewhere", key="x", version=version)

    there = [replace(entry, body=moved(entry.body)) for entry in FOLDER if isinstance(entry.body, Extent)]
    here = [entry for entry in FOLDER if isinstance(entry.body, Extent)]
    assert plan_zip(there, MOMENT).etag == plan_zip(here, MOMENT).etag


@pytest.fixture
def zone(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    with monkeypatch.context() as patch:

        def move(name: str) -> None:
            patch.setenv("TZ", name)
            time.tzset()

        yield move
    time.tzset()


def test_the_machines_time_zone_changes_nothing(zone: Callable[[str], None]) -> None:
    def plan_in(name: str) -> ZipPlan:
        zone(name)
        return plan_zip(FOLDER, MOMENT)

    assert plan_in("UTC") == plan_in("America/New_York") == plan_in("Asia/Kolkata")


def test_the_moments_time_zone_changes_nothing() -> None:
    kolkata = timezone(timedelta(hours=5, minutes=30))
    assert plan_zip(FOLDER, MOMENT.astimezone(kolkata)) == plan_zip(FOLDER, MOMENT)


def test_a_moment_without_a_zone_is_refused() -> None:
    with pytest.raises(TypeError, match="naive"):
        plan_zip(FOLDER, MOMENT.replace(tzinfo=None))


def test_no_clock_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    def read_clock(*_: object) -> NoReturn:
        raise AssertionError

    for clock in ("time", "time_ns", "localtime", "gmtime"):
        monkeypatch.setattr(time, clock, read_clock)
    assert plan_zip(FOLDER, MOMENT).entries == len(FOLDER)


# Names.


@pytest.mark.parametrize(
    "name",
    ["", "/", "/etc/passwd", "a//b", "//", "../b", "a/../b", "a/..", "./a", "a/.", "a\\b", "C:b", "a\0b", "\ud800"],
)
def test_a_name_that_leads_elsewhere_is_refused_and_named(name: str) -> None:
    with pytest.raises(ValueError, match=re.escape(f"entry {name!r} ")):
        plan_zip([literal("export_x/script.txt"), literal(name)], MOMENT)


def test_names_like_dots_that_are_ordinary_are_kept() -> None:
    plan = plan_zip([literal("...")], MOMENT)
    assert opened(plan).namelist() == ["..."]


@pytest.mark.parametrize("twin", ["a/Script.TXT", "a/script.txt", "a/script.txt/"])
def test_two_entries_that_some_system_would_make_one_file_are_refused(twin: str) -> None:
    with pytest.raises(ValueError, match="twice"):
        plan_zip([literal("a/script.txt"), Entry(twin)], MOMENT)


def test_a_name_may_have_65535_bytes_and_no_more() -> None:
    longest = "é" * 32767 + "x"
    assert opened(plan_zip([literal(longest)], MOMENT)).namelist() == [longest]
    with pytest.raises(ValueError, match="65,535"):
        plan_zip([literal(longest + "x")], MOMENT)


def test_a_directory_has_no_body() -> None:
    with pytest.raises(ValueError, match="'a/'"):
        plan_zip([literal("a/")], MOMENT)


def test_a_part_of_a_file_is_no_body() -> None:
    part = Extent("exports", "k", 10, 20, Version(20, 0, 1))
    with pytest.raises(ValueError, match="'a'"):
        plan_zip([Entry("a", part)], MOMENT)


# Bytes, read back.


def opened(plan: ZipPlan) -> zipfile.ZipFile:
    return zipfile.ZipFile(BytesIO(content(plan.segments)))


@few
@given(folders, moments)
def test_what_went_in_is_read_back(folder: list[Entry], moment: datetime) -> None:
    plan = plan_zip(folder, moment)
    archive = opened(plan)
    assert archive.testzip() is None
    assert [(name, archive.read(name)) for name in archive.namelist()] == [
        (entry.name, content([entry.body])) for entry in folder
    ]


LOCAL_HEADER = struct.Struct("<4s5H3L2H")


def local_header(whole: bytes, info: zipfile.ZipInfo) -> tuple[tuple[Any, ...], bytes, dict[int, bytes]]:
    """Its fixed fields, the name, and the extra fields."""
    fields = LOCAL_HEADER.unpack_from(whole, info.header_offset)
    begin = info.header_offset + LOCAL_HEADER.size
    name, extra = whole[begin : begin + fields[9]], whole[begin + fields[9] : begin + fields[9] + fields[10]]
    return fields, name, extra_fields(extra)


def extra_fields(extra: bytes) -> dict[int, bytes]:
    fields = {}
    while extra:
        kind, size = struct.unpack_from("<HH", extra)
        fields[kind], extra = extra[4 : 4 + size], extra[4 + size :]
    return fields


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
        fields, _, extra = local_header(whole, info)
        body = info.header_offset + LOCAL_HEADER.size + fields[9] + fields[10]
        if info.file_size < 64 * 1024:
            assert 0xD935 not in extra
        else:
            assert body % 4096 == 0
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


# The readers that people have.


def run(tool: str, *arguments: str | Path) -> str:
    if shutil.which(tool) is None:
        pytest.fail(f"{tool} is not there: apt-get update && apt-get install -y {READERS[tool]}")
    done = subprocess.run([tool, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def listed(path: Path) -> dict[str, dict[str, int]]:
    """Name and size of every entry, as each reader understands them."""
    unzip = [line.split(maxsplit=3) for line in run("unzip", "-l", path).splitlines()]
    seven = run("7z", "l", "-slt", path).split("----------\n")[1].strip().split("\n\n")
    fields = [dict(line.split(" = ", 1) for line in block.splitlines() if " = " in line) for block in seven]
    bsdtar = [line.split(maxsplit=8) for line in run("bsdtar", "-tvf", path).splitlines()]
    with zipfile.ZipFile(path) as archive:
        return {
            "zipfile": {info.filename: info.file_size for info in archive.infolist()},
            "unzip": {
                line[3]: int(line[0]) for line in unzip if len(line) == 4 and line[0].isdigit() and ":" in line[2]
            },
            "7z": {field["Path"]: int(field["Size"]) for field in fields},
            "bsdtar": {line[8]: int(line[4]) for line in bsdtar},
        }


def test_every_reader_finds_the_archive_sound(tmp_path: Path) -> None:
    path = tmp_path / "export_x.zip"
    path.write_bytes(content(plan_zip(FOLDER, MOMENT).segments))
    run("unzip", "-tq", path)
    run("7z", "t", path)
    assert run("bsdtar", "-tf", path).splitlines() == [entry.name for entry in FOLDER]


def test_an_export_without_any_file_is_an_archive_too(tmp_path: Path) -> None:
    path = tmp_path / "export_x.zip"
    path.write_bytes(content(plan_zip(FOLDER[:1], MOMENT).segments))
    run("unzip", "-tq", path)
    run("7z", "t", path)
    assert opened(plan_zip([], MOMENT)).namelist() == []


# Zip64, with files of nothing but zeros, of which no byte is written.


def zeros_crc32(count: int) -> int:
    """CRC-32 of that many zeros, by doubling."""
    if count == 0:
        return 0
    half = zeros_crc32(count // 2)
    even = crc32_combine(half, half, count // 2)
    return crc32(b"\0", even) if count % 2 else even


def zeros(name: str, size_bytes: int) -> Entry:
    return Entry(name, Extent("exports", name, 0, size_bytes, Version(size_bytes, 0, 1)), zeros_crc32(size_bytes))


def write_sparsely(plan: ZipPlan, path: Path) -> None:
    with path.open("wb") as archive:
        for segment in plan.segments:
            if isinstance(segment, bytes):
                archive.write(segment)
            else:
                archive.seek(segment.size_bytes, SEEK_CUR)
        archive.truncate(plan.size_bytes)


EDGES = [2 * GIB - 1, 2 * GIB, 4 * GIB - 2, 4 * GIB - 1, 4 * GIB]


def test_the_zeros_of_these_tests_have_the_checksum_of_zeros() -> None:
    assert [zeros_crc32(count) for count in (0, 1, 1000, 4097)] == [crc32(bytes(count)) for count in (0, 1, 1000, 4097)]


@pytest.mark.parametrize("size_bytes", EDGES)
def test_every_reader_finds_its_way_past_a_file_at_an_edge_of_zip64(size_bytes: int, tmp_path: Path) -> None:
    folder = [literal("before.txt"), zeros("edge.mp4", size_bytes), literal("after.txt"), zeros("last.mp4", 100_000)]
    path = tmp_path / "edge.zip"
    write_sparsely(plan_zip(folder, MOMENT), path)
    sizes = {entry.name: total([entry.body]) for entry in folder}
    assert listed(path) == dict.fromkeys(["zipfile", *READERS], sizes)
    run("unzip", "-tq", path, "before.txt", "after.txt", "last.mp4")
    assert run("unzip", "-p", path, "after.txt") == "hello"
    assert run("7z", "e", "-so", path, "after.txt") == "hello"
    assert run("bsdtar", "-xOf", path, "after.txt") == "hello"


def test_every_reader_finds_files_beyond_4_gib_among_all_the_edges(tmp_path: Path) -> None:
    edges = [entry for size in EDGES * 2 for entry in (zeros(f"{size}.mp4", size), literal(f"{size}.txt"))]
    folder = [replace(entry, name=f"{number:02}_{entry.name}") for number, entry in enumerate(edges)]
    path = tmp_path / "edges.zip"
    write_sparsely(plan_zip(folder, MOMENT), path)
    sizes = {entry.name: total([entry.body]) for entry in folder}
    assert listed(path) == dict.fromkeys(["zipfile", *READERS], sizes)
    run("unzip", "-tq", path, "*.txt")


@pytest.mark.parametrize(("size_bytes", "is_zip64"), [(2 * GIB - 1, False), (2 * GIB, True)])
def test_zip64_stands_in_both_headers_or_in_none(size_bytes: int, is_zip64: bool, tmp_path: Path) -> None:
    path = tmp_path / "edge.zip"
    write_sparsely(plan_zip([zeros("edge.mp4", size_bytes)], MOMENT), path)
    with path.open("rb") as archive:
        head = archive.read(8192)
        info = zipfile.ZipFile(archive).infolist()[0]
    fields, _, extra = local_header(head, info)
    assert (1 in extra, 1 in extra_fields(info.extra)) == (is_zip64, is_zip64)
    assert fields[1] == info.extract_version == (45 if is_zip64 else 20)
    assert LOCAL_HEADER.size + fields[9] + fields[10] == 4096


def test_only_a_file_of_4_gib_less_one_byte_leaves_its_place_in_the_directory(tmp_path: Path) -> None:
    path = tmp_path / "edges.zip"
    write_sparsely(plan_zip([zeros(f"{size}.mp4", size) for size in EDGES], MOMENT), path)
    with zipfile.ZipFile(path) as archive:
        assert [info.file_size for info in archive.infolist()] == [s for s in EDGES if s != EDGES[3]] + [EDGES[3]]


@pytest.mark.slow
def test_all_4_gib_less_one_byte_are_read(tmp_path: Path) -> None:
    path = tmp_path / "edge.zip"
    write_sparsely(plan_zip([zeros("edge.mp4", 4 * GIB - 1), literal("after.txt")], MOMENT), path)
    run("7z", "t", path)


@pytest.mark.slow
@pytest.mark.parametrize("count", [65_534, 65_535, 65_536])
def test_every_reader_counts_the_entries_at_the_edge_of_zip64(count: int, tmp_path: Path) -> None:
    plan = plan_zip((Entry(f"{number}") for number in range(count)), MOMENT)
    path = tmp_path / "many.zip"
    write_sparsely(plan, path)
    assert path.stat().st_size == plan.size_bytes
    assert {reader: len(found) for reader, found in listed(path).items()} == dict.fromkeys(["zipfile", *READERS], count)
    run("unzip", "-tq", path)


# Cost.

HUNDRED_THOUSAND = """
import resource
from datetime import UTC, datetime
from service.segments import Extent, Version
from service.streaming_zip import Entry, plan_zip

def entry(number):
    name = f"export_x/videos/{number:06}_a_section_of_some_length_video.mp4"
    return Entry(name, Extent("exports", name, 0, 5_000_000, Version(5_000_000, number, number)), number)

entries = list(map(entry, range(100_000)))
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
plan_zip(entries, datetime(2026, 3, 4, tzinfo=UTC))
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


@pytest.mark.slow
def test_a_hundred_thousand_files_are_laid_out_in_150_mb() -> None:
    grown = subprocess.run([sys.executable, "-c", HUNDRED_THOUSAND], capture_output=True, text=True, check=True)
    assert int(grown.stdout) * 1024 <= 150_000_000
