"""An archive that is never written is, in every range, the one that would have been; or it breaks, loudly."""

import os
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from random import Random

import pytest
from isal.isal_zlib import crc32

from service.references import EXPORTS, Source
from service.segments import Extent, Segment
from service.storage.local import LocalStorage
from service.storage.port import SourceFault
from service.streaming_zip import Entry, ZipPlan, plan_zip
from tests.zip.archives import MOMENT, literal
from tests.zip.changes import CHANGES, IN_PLACE, REPLACED

MOMENT_NS = int(MOMENT.timestamp()) * 10**9
BIG_BYTES = 1_000_003  # four pieces
SIZES = (0, 1, 4095, 65_535, 65_536, 65_537, 262_144, BIG_BYTES, 300_000, 5)
VICTIM = SIZES.index(BIG_BYTES)


@pytest.fixture
def exports(tmp_path: Path) -> Path:
    """A root with a folder of files that look as published ones do."""
    (tmp_path / "export_x").mkdir()
    for number, size in enumerate(SIZES):
        file = tmp_path / key_of(number)
        file.write_bytes(Random(number).randbytes(size))
        os.utime(file, ns=(MOMENT_NS, MOMENT_NS))
    return tmp_path


def key_of(number: int) -> str:
    return f"export_x/{number:03}_file.bin"


@pytest.fixture
def storage(exports: Path) -> Iterator[LocalStorage]:
    with closing(LocalStorage({}, exports)) as storage:
        yield storage


@pytest.fixture
def plan(storage: LocalStorage, exports: Path) -> ZipPlan:
    """A text, the files, and the directory behind them."""
    files = [entry_of(storage, exports, number) for number in range(len(SIZES))]
    return plan_zip([Entry("export_x/"), literal("export_x/script.txt"), *files], MOMENT)


def entry_of(storage: LocalStorage, exports: Path, number: int) -> Entry:
    version = storage.look(Source(EXPORTS, key_of(number)))
    extent = Extent(EXPORTS, key_of(number), 0, version.size_bytes, version)
    return Entry(key_of(number), extent, crc32((exports / key_of(number)).read_bytes()))


def pieces(storage: LocalStorage, segments: Iterator[Segment]) -> Iterator[bytes]:
    """As a download reads them. Raises SourceFault."""
    for segment in segments:
        yield from (segment,) if isinstance(segment, bytes) else map(bytes, storage.read(segment))


def pour(reading: Iterator[bytes], came: bytearray) -> None:
    for piece in reading:
        came += piece


# ---- the same bytes


def test_a_thousand_ranges_are_those_of_the_written_file(plan: ZipPlan, storage: LocalStorage, exports: Path) -> None:
    written = storage.assemble("export_x.zip", plan.segments, MOMENT_NS, lambda _: None)
    whole = (exports / "export_x.zip").read_bytes()
    assert written == (len(whole), crc32(whole)) == (plan.size_bytes, plan.crc32)
    random = Random(3)
    edges = [edge + near for edge in (*plan.starts, plan.size_bytes) for near in (-1, 0, 1)]
    for _ in range(1000):
        start = min(max(random.choice([random.choice(edges), random.randrange(plan.size_bytes)]), 0), plan.size_bytes)
        stop = start + random.choice([0, 1, 4096, random.randrange(300_000), plan.size_bytes])
        assert b"".join(pieces(storage, plan.read(start, stop))) == whole[start:stop]


# ---- or none


@pytest.fixture
def whole(plan: ZipPlan, storage: LocalStorage) -> bytes:
    """All of it, read before anything happened."""
    return b"".join(pieces(storage, plan.read(0, plan.size_bytes)))


@pytest.mark.parametrize("change", CHANGES)
def test_of_a_file_that_is_another_one_not_a_byte_is_read(
    change: str, plan: ZipPlan, whole: bytes, storage: LocalStorage, exports: Path
) -> None:
    CHANGES[change](exports / key_of(VICTIM))
    came = bytearray()
    with pytest.raises(SourceFault):
        pour(pieces(storage, plan.read(0, plan.size_bytes)), came)
    assert came == whole[: start_of(plan, VICTIM)]


@pytest.mark.parametrize("change", IN_PLACE)
@pytest.mark.parametrize("after_pieces", [1, 2, 4])
def test_a_file_that_changes_while_it_is_read_breaks_the_archive_off(
    after_pieces: int, change: str, plan: ZipPlan, whole: bytes, storage: LocalStorage, exports: Path
) -> None:
    """Before anything that follows it, which is at least the directory: nobody takes it for complete."""
    begin = start_of(plan, VICTIM)
    reading = pieces(storage, plan.read(begin, plan.size_bytes))
    came = bytearray().join(next(reading) for _ in range(after_pieces))
    assert came == whole[begin : begin + len(came)]
    IN_PLACE[change](exports / key_of(VICTIM))
    with pytest.raises(SourceFault):
        pour(reading, came)
    assert len(came) <= BIG_BYTES


@pytest.mark.parametrize("change", IN_PLACE)
def test_a_file_that_changes_while_its_last_byte_is_read_breaks_a_range_off_that_ends_there(
    change: str, plan: ZipPlan, storage: LocalStorage, exports: Path
) -> None:
    begin = start_of(plan, VICTIM)
    reading = pieces(storage, plan.read(begin + 10, begin + 20))
    next(reading)
    IN_PLACE[change](exports / key_of(VICTIM))
    with pytest.raises(SourceFault):
        next(reading)


@pytest.mark.parametrize("change", REPLACED)
def test_who_began_to_read_a_file_reads_that_one_to_its_end_whatever_takes_its_place(
    change: str, plan: ZipPlan, whole: bytes, storage: LocalStorage, exports: Path
) -> None:
    begin = start_of(plan, VICTIM)
    reading = pieces(storage, plan.read(begin, plan.size_bytes))
    came = next(reading)
    REPLACED[change](exports / key_of(VICTIM))
    assert came + b"".join(reading) == whole[begin:]


@pytest.mark.parametrize("change", CHANGES)
def test_nothing_is_written_of_an_archive_whose_file_is_another_one(
    change: str, plan: ZipPlan, storage: LocalStorage, exports: Path
) -> None:
    CHANGES[change](exports / key_of(VICTIM))
    with pytest.raises(SourceFault):
        storage.assemble("export_x.zip", plan.segments, MOMENT_NS, lambda _: None)
    assert [file.name for file in exports.iterdir()] == ["export_x"]


def start_of(plan: ZipPlan, number: int) -> int:
    """Where the body of this file begins."""
    placed = zip(plan.starts, plan.segments, strict=True)
    return next(start for start, s in placed if isinstance(s, Extent) and s.key == key_of(number))
