"""A project's own CRC-32s spare the reading, for roots that are trusted and for nothing else."""

import json
import os
import zlib
from dataclasses import replace
from pathlib import Path

import pytest

from contracts import ExportOptions, Project
from tests.engine.faulty import FaultyDisk, SharingDisk
from tests.engine.workbench import FOLDER, Bench, completed, noise, start, visible

CONTENT = noise(600_001, 5)  # several pieces, if it is read
RIGHT = zlib.crc32(CONTENT)
WRONG = 7


@pytest.fixture
def trusting(tmp_path: Path) -> Bench:
    for name in ("media", "exports"):
        (tmp_path / name).mkdir()
    (tmp_path / "media" / "clip.mp4").write_bytes(CONTENT)
    os.utime(tmp_path / "media" / "clip.mp4", ns=(1, 1))  # what was written just now is not cloned
    return Bench(tmp_path / "media", tmp_path / "exports", [], frozenset({"media"}))


def project(crc32: int, **more: object) -> Project:
    video = {"status": "completed", "uri": "clip.mp4", "crc32": crc32, **more}
    sections = [{"title": "Intro", "sentences": [{"text": "One.", "video": video}]}]
    return Project.model_validate({"id": "p1", "name": "Trusted", "sections": sections})


def told(bench: Bench) -> str:
    """The CRC-32 that the manifest gives."""
    manifest = json.loads((bench.exports / FOLDER / "manifest.json").read_bytes())
    return str(manifest["files"][0]["crc32"])


def warnings(bench: Bench, asked: Project, disk: FaultyDisk | None = None) -> tuple[str, ...]:
    """What an export without an archive warned of; its file was right."""
    end = completed(bench.run(start(asked, options=ExportOptions()), disk))
    assert visible(bench.exports)[f"{FOLDER}/videos/001_intro_video.mp4"] == CONTENT
    return tuple(end.warnings)


@pytest.mark.parametrize("kind", [FaultyDisk, SharingDisk])
def test_a_file_whose_checksum_is_known_is_moved_unread(trusting: Bench, kind: type[FaultyDisk]) -> None:
    known, unknown = kind(), kind()
    assert warnings(trusting, project(RIGHT), known) == ()
    assert told(trusting) == f"{RIGHT:08x}"
    other = replace(trusting, exports=trusting.exports / "other", trusted=frozenset())
    other.exports.mkdir()
    assert warnings(other, project(RIGHT), unknown) == ()
    assert visible(trusting.exports / FOLDER) == visible(other.exports / FOLDER)
    assert unknown.calls.count("read_into") - known.calls.count("read_into") >= 2


def test_the_archive_is_the_same_whether_files_were_read_or_not(trusting: Bench) -> None:
    completed(trusting.run(start(project(RIGHT)), SharingDisk()))
    other = replace(trusting, exports=trusting.exports / "other", trusted=frozenset())
    other.exports.mkdir()
    completed(other.run(start(project(RIGHT))))
    archive = f"{FOLDER}.zip"
    assert (trusting.exports / archive).read_bytes() == (other.exports / archive).read_bytes()


def test_what_a_trusted_project_says_is_believed(trusting: Bench) -> None:
    """So this is a promise that others make, and an operator takes."""
    assert warnings(trusting, project(WRONG)) == ()
    assert told(trusting) == f"{WRONG:08x}"


def test_a_project_that_is_not_trusted_is_found_out(trusting: Bench) -> None:
    [warning] = warnings(replace(trusting, trusted=frozenset()), project(WRONG))
    assert f"{RIGHT:08x}" in warning
    assert told(trusting) == f"{RIGHT:08x}"


def test_a_checksum_of_a_file_of_another_size_is_not_believed(trusting: Bench) -> None:
    of_size, of_checksum = warnings(trusting, project(WRONG, size_bytes=len(CONTENT) - 1))
    assert "bytes" in of_size
    assert "CRC-32" in of_checksum
    assert told(trusting) == f"{RIGHT:08x}"
