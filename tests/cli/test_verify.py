"""`verify` says 0 to what is whole and names what differs, whatever was done to it; it never reads elsewhere."""

import json
import os
import re
import shutil
import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from cli.verify import MAX_MANIFEST_BYTES, verify_archive
from tests.cli.command import Said, call

AUDIO = "audio/001_intro_audio.wav"
IMAGE = "images/001_intro_image.png"


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder, and its ZIP beside it: small enough to damage each of its headers' bytes in turn."""
    home = tmp_path_factory.mktemp("original")
    (home / "1.wav").write_bytes(b"narration" * 20)
    (home / "1.png").write_bytes(bytes(range(256)) * 300)  # so large that its header is padded
    finished = {kind: {"status": "completed", "uri": f"1.{ext}"} for kind, ext in (("audio", "wav"), ("image", "png"))}
    project = {"id": "p", "sections": [{"title": "Intro", "sentences": [{"text": "One.", **finished}]}]}
    (home / "project.json").write_text(json.dumps(project))
    call("run", home / "project.json", "--media", home, "--to", home / "exports", "--archive", "zip")
    (folder,) = (home / "exports").glob("export_*Z")
    return folder


@pytest.fixture
def folder(original: Path, tmp_path: Path) -> Path:
    return shutil.copytree(original, tmp_path / original.name)


@pytest.fixture
def archive(original: Path, tmp_path: Path) -> Path:
    return Path(shutil.copy(original.with_name(f"{original.name}.zip"), tmp_path))


def complaints(said: Said) -> list[str]:
    """What differs, a line each."""
    assert (said.code, said.err) == (1, "")
    lines = said.out.splitlines()
    assert all(line.startswith("differs ") for line in lines)
    return [line.removeprefix("differs ") for line in lines]


def flip(path: Path, at: int) -> None:
    content = bytearray(path.read_bytes())
    content[at] ^= 0x10
    path.write_bytes(content)


# ---- a folder


def test_a_whole_folder_is_whole(folder: Path) -> None:
    assert call("verify", folder) == (
        0,
        f"whole  {folder}\n       every file has the size and CRC-32 that its manifest says\n",
        "",
    )


def test_a_folder_is_verified_from_within(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    assert call("verify", ".").code == 0


def test_nothing_is_changed_by_verifying(folder: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    call("verify", folder)
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before


def test_every_damage_is_named_in_a_line_of_its_own(folder: Path) -> None:
    flip(folder / AUDIO, 7)
    os.truncate(folder / IMAGE, 100)
    (folder / "script.txt").unlink()
    (folder / "videos").rmdir()
    (folder / "images" / "notes.txt").write_text("mine")
    assert [line.partition(":")[0] for line in complaints(call("verify", folder))] == [
        "videos/",
        "script.txt",
        "images/notes.txt",
        AUDIO,
        IMAGE,
    ]


@pytest.mark.parametrize("name", [AUDIO, IMAGE, "script.txt"])
def test_a_flipped_byte_is_found_wherever_it_is(name: str, folder: Path) -> None:
    size = (folder / name).stat().st_size
    for at in {0, size // 2, size - 1}:
        flip(folder / name, at)
        (complaint,) = complaints(call("verify", folder))
        assert complaint.startswith(f"{name}: has CRC-32 ")
        flip(folder / name, at)


def test_a_truncated_file_is_named_with_both_sizes(folder: Path) -> None:
    os.truncate(folder / IMAGE, 76_799)
    assert complaints(call("verify", folder)) == [f"{IMAGE}: has 76,799 bytes, the manifest says 76,800"]


def test_links_are_not_followed_even_to_equal_bytes(folder: Path, tmp_path: Path) -> None:
    (folder / AUDIO).rename(tmp_path / "moved.wav")
    (folder / AUDIO).symlink_to(tmp_path / "moved.wav")
    (folder / "images").rename(tmp_path / "images")
    (folder / "images").symlink_to(tmp_path / "images")
    assert complaints(call("verify", folder)) == [
        "images/: is missing",
        f"{IMAGE}: is missing",
        "images: is not in the manifest",
        f"{AUDIO}: is not a regular file",
    ]


def test_a_manifest_that_is_a_link_is_none(folder: Path, tmp_path: Path) -> None:
    (folder / "manifest.json").rename(tmp_path / "manifest.json")
    (folder / "manifest.json").symlink_to(tmp_path / "manifest.json")
    assert complaints(call("verify", folder)) == [
        f"{folder}: has no manifest.json; it is no export, or not a finished one"
    ]


def test_a_fifo_in_the_place_of_a_file_does_not_hang(folder: Path) -> None:
    (folder / AUDIO).unlink()
    os.mkfifo(folder / AUDIO)
    assert complaints(call("verify", folder)) == [f"{AUDIO}: is not a regular file"]


def test_names_that_no_terminal_should_see_are_shown_harmlessly(folder: Path) -> None:
    (folder / "audio" / "\x1b[2J[red]\udcff.wav").write_bytes(b"")
    assert complaints(call("verify", folder)) == [r"audio/[2J[red]\udcff.wav: is not in the manifest"]


LITTER = [".DS_Store", "images/.DS_Store", "images/._001_intro_image.png", "images/Thumbs.db", "desktop.ini"]


def test_what_file_managers_leave_is_told_and_no_difference(folder: Path) -> None:
    for name in LITTER:
        (folder / name).write_bytes(b"mine")
    said = call("verify", folder)
    assert (said.code, said.err) == (0, "")
    assert [line for line in said.out.splitlines() if line.startswith("ignored ")] == [
        f"ignored {name}: a file manager's own" for name in sorted(LITTER)
    ]
    assert f"whole  {folder}\n" in said.out


def test_litter_hides_no_damage(folder: Path) -> None:
    (folder / ".DS_Store").write_bytes(b"mine")
    flip(folder / AUDIO, 7)
    said = call("verify", folder)
    assert said.code == 1
    assert said.out.startswith(f"differs {AUDIO}: has CRC-32 ")


def test_a_link_under_such_a_name_is_a_difference(folder: Path) -> None:
    (folder / ".DS_Store").symlink_to(folder / AUDIO)
    assert complaints(call("verify", folder)) == [".DS_Store: is not in the manifest"]


# ---- what is no export


def test_a_directory_without_a_manifest_is_no_export(tmp_path: Path) -> None:
    assert complaints(call("verify", tmp_path)) == [
        f"{tmp_path}: has no manifest.json; it is no export, or not a finished one"
    ]


def test_a_path_that_is_not_there_is_a_usage_error(tmp_path: Path) -> None:
    said = call("verify", tmp_path / "no")
    assert (said.code, said.sentence) == (2, f"export-service: {tmp_path / 'no'}: no such file or directory")


def test_what_is_neither_file_nor_folder_is_a_usage_error(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    said = call("verify", tmp_path / "fifo")
    assert (said.code, said.sentence) == (2, f"export-service: {tmp_path / 'fifo'}: is neither a folder nor a file")


@pytest.mark.parametrize("content", [b"", b"PK\x05\x06" + bytes(18), b"not a ZIP at all", bytes(100_000)])
def test_a_file_that_is_no_archive_of_an_export_is_told_so(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "x.zip").write_bytes(content)
    (complaint,) = complaints(call("verify", tmp_path / "x.zip"))
    assert complaint.startswith(f"{tmp_path / 'x.zip'}: ")


# ---- hostile manifests


def manifest(**more: Any) -> dict[str, Any]:
    return {"requested_at": "2026-11-23T18:42:20Z", "files": [], "texts": [], **more}


def listed(**file: Any) -> dict[str, Any]:
    return manifest(files=[{"name": AUDIO, "size_bytes": 1, "crc32": "00000000", **file}])


HOSTILE: dict[str, Any] = {
    "a list": [],
    "a number": 7,
    "nothing": {},
    "files that are a word": manifest(files="abc"),
    "files that are none": manifest(files=[1, None]),
    "a way out": listed(name="../../../../etc/passwd"),
    "a way out in a folder": listed(name="audio/../../x"),
    "an absolute name": listed(name="/etc/passwd"),
    "a name of another system": listed(name="audio\\x"),
    "a hidden name": listed(name="audio/.x"),
    "an empty name": listed(name=""),
    "a name with a NUL": listed(name="audio/\0"),
    "a name for the terminal": listed(name="audio/\x1b[2J"),
    "a name that is a list": listed(name=["x"]),
    "a name that is a number": listed(name=5),
    "half a character": listed(name="audio/\ud800"),
    "a very long name": listed(name="audio/" + "x" * 100_000),
    "a size that is a word": listed(size_bytes="abc"),
    "a size below nothing": listed(size_bytes=-1),
    "a size beyond everything": listed(size_bytes=10**30),
    "a size that is a fraction": listed(size_bytes=1.5),
    "a CRC-32 that is a number": listed(crc32=5),
    "a CRC-32 that is none": listed(crc32="xyz"),
    "a time that is none": manifest(requested_at="soon"),
    "all too deep": b'{"files": ' + b"[" * 200_000,
    "a number of 5,000 digits": b'{"files": ' + b"1" * 5_000 + b"}",
    "garbage": bytes(range(256)),
    "an empty file": b"",
}


def written(content: Any) -> bytes:
    return content if isinstance(content, bytes) else json.dumps(content).encode()


@pytest.mark.parametrize("content", HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_manifest_in_a_folder_is_not_understood(content: Any, folder: Path) -> None:
    (folder / "manifest.json").write_bytes(written(content))
    (complaint,) = complaints(call("verify", folder))
    assert complaint.startswith("manifest.json: cannot be understood: ")
    assert len(complaint) < 500


@pytest.mark.parametrize("content", HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_manifest_in_a_zip_is_not_understood(content: Any, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.writestr("export_p/manifest.json", written(content))
    (complaint,) = complaints(call("verify", tmp_path / "x.zip"))
    assert complaint.startswith("manifest.json: cannot be understood: ")


def test_a_manifest_without_end_is_not_read(folder: Path) -> None:
    os.truncate(folder / "manifest.json", MAX_MANIFEST_BYTES + 1)  # a hole: it takes no space
    assert complaints(call("verify", folder)) == [f"{folder / 'manifest.json'}: is too large to be a manifest"]


@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_manifest_that_might_unpack_without_end_is_not_unpacked(method: int, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "x.zip", "w", method) as archive:
        archive.writestr("export_p/manifest.json", b"{}")
    assert complaints(call("verify", tmp_path / "x.zip")) == [f"{tmp_path / 'x.zip'}: is compressed, as no export is"]


def test_a_large_manifest_in_a_zip_is_not_read(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.writestr("export_p/manifest.json", b"{}")
        archive.infolist()[0].file_size = MAX_MANIFEST_BYTES + 1
    assert complaints(call("verify", tmp_path / "x.zip")) == ["manifest.json: is too large to be a manifest"]


# ---- a ZIP


def test_a_whole_zip_is_whole(archive: Path) -> None:
    assert call("verify", archive).code == 0


def test_a_zip_under_another_name_is_whole(archive: Path) -> None:
    assert call("verify", archive.rename(archive.with_name("for my editor.zip"))).code == 0


def test_a_flipped_byte_in_any_header_or_the_directory_is_found(archive: Path) -> None:
    content = archive.read_bytes()
    image = content.index(bytes(range(256)) * 300)
    others = [*range(image), *range(image + 76_800, len(content))]
    unseen = [at for at in sampled(others, 400) if not differs_with(archive, content, at)]
    assert unseen == []


def test_a_flipped_byte_in_a_body_is_named_with_the_file(archive: Path) -> None:
    flip(archive, archive.read_bytes().index(bytes(range(256))) + 40_000)
    (complaint,) = complaints(call("verify", archive))
    assert complaint.startswith(f"{IMAGE}: has CRC-32 ")


def test_a_zip_cut_off_anywhere_is_found(archive: Path) -> None:
    content = archive.read_bytes()
    for size in sampled(range(len(content)), 100):
        archive.write_bytes(content[:size])
        assert list(verify_archive(archive)), size


@pytest.mark.parametrize("garbage", [b"\0", b"x" * 70_000, b"PK\x05\x06" + bytes(18)])
def test_what_was_added_to_the_end_is_found(garbage: bytes, archive: Path) -> None:
    archive.write_bytes(archive.read_bytes() + garbage)
    assert len(complaints(call("verify", archive))) == 1


def test_what_was_put_before_the_beginning_is_found(archive: Path) -> None:
    archive.write_bytes(b"#!/bin/sh\n" + archive.read_bytes())
    assert len(complaints(call("verify", archive))) == 1


@pytest.mark.parametrize("name", ["export_p/audio/002.wav", "elsewhere.txt", "../../x", "/etc/passwd"])
def test_an_added_file_is_named(name: str, archive: Path) -> None:
    with zipfile.ZipFile(archive, "a") as changed:
        changed.writestr(name, b"mine")
    (complaint,) = complaints(call("verify", archive))
    assert complaint == f"{name}: is not in the manifest"


def test_a_missing_file_and_a_missing_folder_are_named(archive: Path, original: Path) -> None:
    repacked(archive, lambda name: name not in {f"{original.name}/{AUDIO}", f"{original.name}/videos/"})
    assert complaints(call("verify", archive)) == [f"{AUDIO}: is missing", "videos/: is missing"]


def test_an_archive_that_somebody_packed_anew_is_not_the_one_that_was_made(archive: Path) -> None:
    repacked(archive, lambda _: True)
    (complaint,) = complaints(call("verify", archive))
    assert "is not as the export wrote it" in complaint


def test_an_archive_with_a_password_is_told_so(archive: Path) -> None:
    content = archive.read_bytes()
    for signature, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        pattern = re.escape(signature) + b"(.{%d})." % (flags - 4)
        content = re.sub(pattern, signature + rb"\1" + b"\x01", content, flags=re.DOTALL)
    archive.write_bytes(content)
    (complaint,) = complaints(call("verify", archive))
    assert "password required" in complaint


def repacked(archive: Path, is_kept: Callable[[str], bool]) -> None:
    with zipfile.ZipFile(archive) as old:
        kept = [(info, old.read(info)) for info in old.infolist() if is_kept(info.filename)]
    with zipfile.ZipFile(archive, "w") as new:
        for info, body in kept:
            new.writestr(info, body)


def differs_with(archive: Path, content: bytes, at: int) -> bool:
    """Whether a flip of one bit at `at` is noticed. Any exception fails the test."""
    damaged = bytearray(content)
    damaged[at] ^= 1 << at % 8
    archive.write_bytes(damaged)
    return bool(list(verify_archive(archive)))


def sampled(places: Iterable[int], most: int) -> list[int]:
    """All of them, or evenly spread ones, always with the last."""
    every = list(places)
    return [*every[:: -(-len(every) // most)], every[-1]]
