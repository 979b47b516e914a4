"""Exports on real file systems: the same everywhere, and where blocks can be shared they take no room."""

import os
import subprocess
import zlib
from pathlib import Path
from typing import NamedTuple

import pytest

from contracts import ErrorCode, ExportStart, Outcome, Project
from service.errors import Trouble
from service.references import Source
from service.segments import Extent
from tests.engine.test_on_any_storage import MEDIA, Exported, exported, run, sha256_of, supply
from tests.engine.workbench import FOLDER, completed, noise, small_project, start
from tests.storage.file_systems import KINDS, SHARE_BLOCKS
from tests.storage.places import InMemory, OnDisk, on_a

LARGE_BYTES, LARGE_FILES = 8 * 1024 * 1024, 8
SMALL_BYTES, SMALL_FILES = 20_000, 50
GROWTH_AT_MOST = 0.02
"""Of what is exported: names, texts, journal, and in the archive the small files."""


@pytest.fixture(scope="module")
def undisturbed() -> Exported:
    """The small project's export, made where there is no file system at all."""
    place = InMemory()
    supply(place, MEDIA)
    return exported(start(small_project()), place.open())


@pytest.mark.parametrize("kind", KINDS)
def test_an_export_is_the_same_on_every_file_system(
    kind: str, request: pytest.FixtureRequest, undisturbed: Exported
) -> None:
    with on_a(kind, request) as place:
        supply(place, MEDIA)
        made = exported(start(small_project()), place.open())
    assert made == undisturbed
    assert made.archive_sha256 == made.virtual_sha256


# ---- blocks that are shared


class Large(NamedTuple):
    """A project whose media are worth sharing, each with its checksum; and its archive."""

    media: dict[str, bytes]
    command: ExportStart
    archive_sha256: str

    def insist_on(self, place: OnDisk) -> None:
        found = [path.read_bytes() for path in (place.exports / FOLDER).glob("*/*")]
        assert sorted(found) == sorted(self.media.values())
        assert sha256_of((place.exports / f"{FOLDER}.zip").read_bytes()) == self.archive_sha256


@pytest.fixture(scope="module")
def large() -> Large:
    """A few large files and many small ones, of which none ends on a block; the archive was made in memory."""
    media = {f"{number}.mp4": noise(LARGE_BYTES + 1000 * number + 1, number) for number in range(LARGE_FILES)}
    media |= {f"{number}.png": noise(SMALL_BYTES + number, number) for number in range(SMALL_FILES)}
    command = start(project(media))
    place = InMemory()
    supply(place, media)
    storage = place.open()
    run(command, storage)
    return Large(media, command, sha256_of(storage.get(f"{FOLDER}.zip")))


def project(media: dict[str, bytes]) -> Project:
    """A sentence for each file."""
    sentences = [
        {
            "text": key,
            "video" if key.endswith(".mp4") else "image": {"status": "completed", "uri": key, **sums(content)},
        }
        for key, content in media.items()
    ]
    return Project.model_validate(
        {"id": "p1", "name": "Large", "sections": [{"title": "Intro", "sentences": sentences}]}
    )


def sums(content: bytes) -> dict[str, int]:
    return {"size_bytes": len(content), "crc32": zlib.crc32(content)}


@pytest.mark.parametrize("trusted", [("media",), ()], ids=["trusted", "not trusted"])
@pytest.mark.parametrize("kind", KINDS)
def test_folder_and_archive_take_no_room_where_blocks_are_shared_and_are_right_everywhere(
    kind: str, trusted: tuple[str, ...], request: pytest.FixtureRequest, large: Large
) -> None:
    with on_a(kind, request, trusted) as place:
        supply(place, large.media)
        before = used_bytes(place.home)
        event = completed(run(large.command, place.open()).event)
        assert event.archive
        grown = (used_bytes(place.home) - before) / (event.folder.size_bytes + event.archive.size_bytes)
        large.insist_on(place)
    if kind in SHARE_BLOCKS:
        assert grown < GROWTH_AT_MOST
    else:
        assert grown > 1


@pytest.mark.parametrize("kind", KINDS)
def test_whether_blocks_are_shared_is_told(kind: str, request: pytest.FixtureRequest) -> None:
    with on_a(kind, request) as place:
        place.put("a.mp4", noise(LARGE_BYTES, 1))
        storage = place.open()
        version = storage.look(Source("media", "a.mp4"))
        extent = Extent("media", "a.mp4", 0, version.size_bytes, version)
        assert storage.shares_blocks_with(extent, "trial") == (kind in SHARE_BLOCKS)
        assert storage.names("") == []


@pytest.mark.parametrize("kind", KINDS)
def test_an_export_larger_than_the_room_there_is_fits_where_blocks_are_shared(
    kind: str, request: pytest.FixtureRequest, large: Large
) -> None:
    with on_a(kind, request) as place:
        supply(place, large.media)
        leave_room(place.home, LARGE_FILES * LARGE_BYTES // 2)
        if kind in SHARE_BLOCKS:
            assert completed(run(large.command, place.open()).event).outcome is Outcome.COMPLETE
            large.insist_on(place)
        else:
            with pytest.raises(Trouble) as trouble:
                run(large.command, place.open())
            assert trouble.value.code is ErrorCode.NO_SPACE


def leave_room(home: Path, size_bytes: int) -> None:
    """Fills the disk but for so much."""
    figures = figures_of(home)
    with (home / "of others").open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, figures.f_bavail * figures.f_frsize - size_bytes)


def used_bytes(home: Path) -> int:
    figures = figures_of(home)
    return (figures.f_blocks - figures.f_bfree) * figures.f_frsize


def figures_of(home: Path) -> os.statvfs_result:
    """What is not written yet is not allocated yet. Of this file system only: others are others' business."""
    subprocess.run(["sync", "--file-system", home], check=True)
    return os.statvfs(home)
