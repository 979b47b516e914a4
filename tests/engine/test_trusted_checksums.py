"""A project's own CRC-32s spare the reading where blocks are shared, for roots that are trusted and nothing else."""

import json
import os
import zipfile
import zlib
from dataclasses import replace
from pathlib import Path

import pytest

from contracts import Project
from tests.engine.faulty import FaultyDisk, SharingDisk
from tests.engine.workbench import FOLDER, Bench, completed, noise, start, visible

LARGE, SMALL = noise(600_001, 5), noise(60_000, 6)
WRONG = 7


@pytest.fixture
def trusting(tmp_path: Path) -> Bench:
    for name in ("media", "exports"):
        (tmp_path / name).mkdir()
    return Bench(tmp_path / "media", tmp_path / "exports", [], frozenset({"media"}))


def project(bench: Bench, content: bytes, **told: object) -> Project:
    """A project of one file, and what it says of it."""
    clip = bench.media / "clip.mp4"
    clip.write_bytes(content)
    os.utime(clip, ns=(1, 1))  # what was written just now is not cloned
    video = {"status": "completed", "uri": "clip.mp4", "crc32": zlib.crc32(content), "size_bytes": len(content)}
    sections = [{"title": "Intro", "sentences": [{"text": "One.", "video": {**video, **told}}]}]
    return Project.model_validate({"id": "p1", "name": "Trusted", "sections": sections})


def exported(bench: Bench, asked: Project, disk: FaultyDisk | None = None) -> tuple[str, tuple[str, ...]]:
    """The CRC-32 that the manifest gives, and the warnings of any; the file was right, and the archive is there."""
    end = completed(bench.run(start(asked), disk))
    folder = bench.exports / FOLDER
    assert (folder / "videos/001_intro_video.mp4").read_bytes() == (bench.media / "clip.mp4").read_bytes()
    assert (bench.exports / f"{FOLDER}.zip").is_file()
    manifest = json.loads((folder / "manifest.json").read_bytes())
    return str(manifest["files"][0]["crc32"]), tuple(warning for warning in end.warnings if "CRC-32" in warning)


def unpacks(bench: Bench) -> bool:
    with zipfile.ZipFile(bench.exports / f"{FOLDER}.zip") as archive:
        return archive.testzip() is None


def test_a_file_whose_checksum_is_known_is_moved_unread(trusting: Bench) -> None:
    asked = project(trusting, LARGE)
    known, unknown = SharingDisk(), SharingDisk()
    told = exported(trusting, asked, known)
    assert told == (f"{zlib.crc32(LARGE):08x}", ())
    other = replace(trusting, exports=trusting.exports / "other", trusted=frozenset())
    other.exports.mkdir()
    assert exported(other, asked, unknown) == told
    assert visible(trusting.exports / FOLDER) == visible(other.exports / FOLDER)
    assert unknown.calls.count("read_into") - known.calls.count("read_into") == 3, "its three pieces"


def test_the_archive_is_the_same_whether_files_were_read_or_not(trusting: Bench) -> None:
    asked = project(trusting, LARGE)
    exported(trusting, asked, SharingDisk())
    other = replace(trusting, exports=trusting.exports / "other", trusted=frozenset())
    other.exports.mkdir()
    exported(other, asked)
    archive = f"{FOLDER}.zip"
    assert (trusting.exports / archive).read_bytes() == (other.exports / archive).read_bytes()


def test_what_a_trusted_project_says_of_a_large_file_is_believed_where_blocks_are_shared(trusting: Bench) -> None:
    """So this is a promise that others make, and an operator takes."""
    assert exported(trusting, project(trusting, LARGE, crc32=WRONG), SharingDisk()) == (f"{WRONG:08x}", ())
    assert not unpacks(trusting)


@pytest.mark.parametrize(
    ("content", "shares", "trusts"),
    [(LARGE, False, True), (SMALL, False, True), (SMALL, True, True), (LARGE, True, False)],
    ids=["large, nothing shared", "small, nothing shared", "small, shared", "not trusted"],
)
def test_everywhere_else_a_wrong_checksum_is_found_out(
    content: bytes, shares: bool, trusts: bool, trusting: Bench
) -> None:
    bench = trusting if trusts else replace(trusting, trusted=frozenset())
    told, [warning] = exported(bench, project(bench, content, crc32=WRONG), SharingDisk() if shares else FaultyDisk())
    assert told == f"{zlib.crc32(content):08x}"
    assert told in warning
    assert unpacks(bench)


@pytest.mark.parametrize("size_bytes", [None, len(LARGE) - 1])
def test_a_checksum_without_the_files_size_is_not_believed(size_bytes: int | None, trusting: Bench) -> None:
    """It may be that of an earlier version."""
    told, warnings = exported(trusting, project(trusting, LARGE, crc32=WRONG, size_bytes=size_bytes), SharingDisk())
    assert told == f"{zlib.crc32(LARGE):08x}"
    assert len(warnings) == 1
