"""`verify` compares the bytes of one version of a file: one that changes meanwhile gets no verdict."""

import json
import os
from pathlib import Path

import pytest

from cli.verify import verify_archive, verify_folder
from tests.broker.commands import make_project
from tests.cli.command import call


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Of an export whose ZIP lies beside it; it takes more than one read."""
    project = make_project(tmp_path / "media", 3, file_bytes=500_000)
    (tmp_path / "project.json").write_text(json.dumps(project))
    words: list[str | Path] = [
        "run",
        tmp_path / "project.json",
        "--media",
        tmp_path / "media",
        "--to",
        tmp_path / "exports",
    ]
    assert call(*words, "--archive", "zip").code == 0
    [folder] = (tmp_path / "exports").glob("export_*Z")
    return folder


def spoil(path: Path, at: int) -> None:
    with path.open("r+b") as file:
        os.pwrite(file.fileno(), b"spoiled", at)


def test_a_zip_that_changes_while_it_is_verified_is_neither_whole_nor_different(folder: Path) -> None:
    archive = folder.with_suffix(".zip")
    spoil(archive, 600_000)
    differences = verify_archive(archive)
    assert "has CRC-32" in next(differences)
    archive.touch()
    with pytest.raises(OSError, match="changed"):
        list(differences)


def test_a_zip_is_verified_by_a_link_to_it_too(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "link.zip").symlink_to(folder.with_suffix(".zip"))
    assert call("verify", tmp_path / "link.zip").code == 0


def test_a_zip_or_folder_that_is_gone_before_it_is_read_is_an_error(folder: Path) -> None:
    difference, differences = verify_archive(folder.with_suffix(".zip")), verify_folder(folder)
    folder.with_suffix(".zip").unlink()
    with pytest.raises(OSError, match="no such file"):
        next(difference)
    folder.rename(folder.with_name("moved"))
    assert "has no manifest.json" in next(differences)
