"""Every reader opens our archives, and would say so if there were something wrong with one."""

from pathlib import Path

import pytest
from zipstream import ZipStream

from service.streaming_zip import Entry, plan_zip
from tests.zip.archives import FOLDER, LARGE, MOMENT, content, file, literal
from tests.zip.readers import ALL, READERS, Java, Unsound, expected, expected_of_all, found_by_all, unpack_by

# From many corners of Unicode: no spaces, parts that join, from right to left, four bytes in UTF-8 (and two halves in
# Java), several code points to a character.
NAMES = ["灯台の秘密", "등대", "प्रकाशस्तंभ", "منارة", "🎬🗼", "👩🏽\u200d🚀", "Größe", "with space & 'quotes'"]
NAMED = [
    Entry("export_灯台_🎬/"),
    *(literal(f"export_灯台_🎬/{name}.txt", name.encode()) for name in NAMES),
    file("export_灯台_🎬/🎬.mp4", LARGE),
]
folders_of_each_kind = pytest.mark.parametrize(
    "folder", [FOLDER, FOLDER[:1], NAMED], ids=["small", "without a file", "CJK and emoji"]
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "export_x.zip"


@folders_of_each_kind
def test_every_reader_finds_each_entry_with_its_size_and_checksum(folder: list[Entry], path: Path) -> None:
    path.write_bytes(content(plan_zip(folder, MOMENT).segments))
    assert found_by_all(path) == expected_of_all(folder)


@folders_of_each_kind
def test_java_finds_each_entry_with_its_size_and_checksum(folder: list[Entry], path: Path, java: Java) -> None:
    path.write_bytes(content(plan_zip(folder, MOMENT).segments))
    assert java.stream(path) == java.file(path) == expected(folder)


@pytest.mark.parametrize("reader", READERS)
def test_what_is_unpacked_is_the_folder(reader: str, path: Path, tmp_path: Path) -> None:
    path.write_bytes(content(plan_zip(NAMED, MOMENT).segments))
    unpack_by(reader, path, tmp_path / "unpacked")
    files = {file.relative_to(tmp_path / "unpacked").as_posix(): file for file in (tmp_path / "unpacked").glob("*/*")}
    assert {name: file.read_bytes() for name, file in files.items()} == {
        entry.name: content([entry.body]) for entry in NAMED[1:]
    }


# ---- they would notice


@pytest.mark.parametrize("reader", READERS)
def test_every_reader_notices_a_byte_that_is_another(reader: str, path: Path) -> None:
    path.write_bytes(content(plan_zip(FOLDER, MOMENT).segments).replace(b"short", b"shorT"))
    with pytest.raises(Unsound):
        READERS[reader](path, ALL)


def test_java_notices_a_byte_that_is_another(path: Path, java: Java) -> None:
    path.write_bytes(content(plan_zip(FOLDER, MOMENT).segments).replace(b"short", b"shorT"))
    for read in (java.stream, java.file):
        with pytest.raises(Unsound, match="CRC"):
            read(path)


def test_a_data_descriptor_behind_a_stored_entry_is_what_java_streams_cannot_read(path: Path, java: Java) -> None:
    """Which is why zipstream-ng's own entries are not ours. If this fails, Java has learnt it."""
    stream = ZipStream()
    stream.add(b"hello", "script.txt")
    path.write_bytes(b"".join(stream))
    assert list(java.file(path)) == ["script.txt"]
    with pytest.raises(Unsound, match="only DEFLATED entries can have EXT descriptor"):
        java.stream(path)
