"""Sizes, offsets and numbers that need more than 32 or 16 bits, and those just below; every reader finds its way."""

import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from isal.isal_zlib import crc32

from service.streaming_zip import Entry, ZipPlan, plan_zip
from tests.zip.archives import GIB, MOMENT, file, huge, literal, write_sparsely, zeros_crc32
from tests.zip.readers import Java, expected, expected_of_all, found_by_all

# Python, and so zipstream-ng, begins with Zip64 at 2 GiB; 4 GiB - 1 is the number that means "see Zip64".
SIZES = (2 * GIB - 1, 2 * GIB, 4 * GIB - 1, 4 * GIB, 5_000_000_003)
COUNTS = (65_534, 65_535, 65_536, 70_000)
EDGE = 4 * GIB


@pytest.fixture
def path(tmp_path: Path) -> Iterator[Path]:
    """On tmpfs, where there is one: reading a hole there takes no memory and half the time."""
    home = Path("/dev/shm") if Path("/dev/shm").is_dir() else tmp_path  # noqa: S108 - made private just below
    with tempfile.TemporaryDirectory(dir=home) as directory:
        yield Path(directory) / "export_x.zip"


# ---- sizes


def edges() -> list[Entry]:
    """17.9 GB, and a text behind each of the edges."""
    folder = [file("0_empty.mp4", b""), literal("0.txt")]
    for number, size in enumerate(SIZES, 1):
        folder += [huge(f"{number}_{size}.mp4", size), literal(f"{number}.txt", b"%d" % size)]
    return folder


@pytest.mark.slow
def test_every_reader_reads_all_of_the_files_at_the_edges_of_zip64(path: Path) -> None:
    write_sparsely(plan_zip(edges(), MOMENT), path)
    # Of the huge ones unzip reads the first that needs Zip64 (for all, it takes a minute), and each text behind one.
    assert found_by_all(path, unzip_ends=(f"{2 * GIB}.mp4", ".txt")) == expected_of_all(edges())


@pytest.mark.slow
def test_java_reads_all_of_the_files_at_the_edges_of_zip64(path: Path, java: Java) -> None:
    write_sparsely(plan_zip(edges(), MOMENT), path)
    assert java.stream(path) == java.file(path) == expected(edges())


def test_only_a_file_of_4_gib_less_one_byte_leaves_its_place_in_the_directory(path: Path) -> None:
    write_sparsely(plan_zip([huge(f"{size}.mp4", size) for size in SIZES], MOMENT), path)
    with zipfile.ZipFile(path) as archive:
        in_order = [info.file_size for info in archive.infolist()]
    assert in_order == [*(size for size in SIZES if size != 4 * GIB - 1), 4 * GIB - 1]


# ---- offsets


def reaching(offset: int, segment: int) -> tuple[list[Entry], ZipPlan]:
    """An archive of which the segment with this index, counted from the end, starts exactly there."""

    def folder(size_bytes: int) -> list[Entry]:
        return [literal("first.txt"), huge("long.mp4", size_bytes), literal("last.txt", b"the last one")]

    guessed = 4_000_000_000
    reached = folder(guessed + offset - plan_zip(folder(guessed), MOMENT).starts[segment])
    plan = plan_zip(reached, MOMENT)
    assert plan.starts[segment] == offset
    return reached, plan


@pytest.mark.parametrize("beyond", [-2, -1, 0, 1])
@pytest.mark.parametrize("segment", [-3, -1], ids=["last entry", "directory"])
def test_every_reader_finds_what_starts_around_4_gib(segment: int, beyond: int, path: Path) -> None:
    folder, plan = reaching(EDGE + beyond, segment)
    write_sparsely(plan, path)
    assert found_by_all(path, (".txt",)) == expected_of_all(folder)


@pytest.mark.parametrize("beyond", [-2, -1, 0, 1])
@pytest.mark.parametrize("segment", [-3, -1], ids=["last entry", "directory"])
def test_java_finds_what_starts_around_4_gib(segment: int, beyond: int, path: Path, java: Java) -> None:
    folder, plan = reaching(EDGE + beyond, segment)
    write_sparsely(plan, path)
    assert java.file(path, ".txt") == expected(folder)


# ---- numbers


def many(count: int) -> list[Entry]:
    return [literal(f"{number}", b"%d" % number) for number in range(count)]


@pytest.mark.slow
@pytest.mark.parametrize("count", COUNTS)
def test_every_reader_finds_each_of_so_many_entries(count: int, path: Path) -> None:
    folder = many(count)
    plan = plan_zip(folder, MOMENT)
    write_sparsely(plan, path)
    assert path.stat().st_size == plan.size_bytes
    assert found_by_all(path) == expected_of_all(folder)


@pytest.mark.slow
@pytest.mark.parametrize("count", COUNTS)
def test_java_finds_each_of_so_many_entries(count: int, path: Path, java: Java) -> None:
    folder = many(count)
    write_sparsely(plan_zip(folder, MOMENT), path)
    assert java.stream(path) == java.file(path) == expected(folder)


# ---- what these tests stand on


def test_the_zeros_of_huge_files_have_the_checksum_of_zeros() -> None:
    assert [zeros_crc32(count) for count in (0, 1, 1000, 4097)] == [crc32(bytes(count)) for count in (0, 1, 1000, 4097)]


def test_a_huge_file_is_written_as_it_is_planned(path: Path) -> None:
    plan = plan_zip([huge("a.mp4", 1_000_003)], MOMENT)
    write_sparsely(plan, path)
    whole = path.read_bytes()
    assert (len(whole), crc32(whole)) == (plan.size_bytes, plan.crc32)
