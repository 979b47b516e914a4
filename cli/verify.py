"""`verify`: compares an exported folder, or a ZIP of one, with its manifest, byte by byte."""

import json
import zipfile
from argparse import Namespace
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import IO, Any

from isal.isal_zlib import crc32
from rich.console import Console
from rich.markup import escape

from cli.errors import UsageError

MANIFEST = "manifest.json"
_FOLDERS = {"audio", "images", "videos"}
_CHUNK_BYTES = 1024 * 1024

Sums = Mapping[str, tuple[int, str]]
"""Size in bytes and CRC-32 as eight hexadecimal digits, by name in the folder."""


def verify(args: Namespace) -> int:
    """Exit code 0 when nothing differs, else 1 with a line for each difference."""
    path: Path = args.path
    if not path.exists():
        raise UsageError(f"{path}: no such file or directory")
    differences = list(verify_folder(path) if path.is_dir() else verify_archive(path))
    console = Console(highlight=False)
    for difference in differences:
        console.print(f"[red]differs[/] {escape(difference)}", soft_wrap=True)
    if not differences:
        console.print(
            f"[green]whole[/]  {escape(str(path))}: every file has the size and CRC-32 that its manifest says"
        )
    return 1 if differences else 0


def verify_folder(folder: Path) -> Iterator[str]:
    """A sentence for each difference between the folder and its manifest."""
    manifest = folder / MANIFEST
    if not manifest.is_file():
        yield f"{folder}: has no {MANIFEST}; it is no export, or not a finished one"
        return
    planned = _planned(manifest.read_bytes(), folder.name)
    if isinstance(planned, str):
        yield planned
        return
    found = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
    yield from _names_that_differ(planned, found.keys() - {MANIFEST})
    yield from (f"{name}/: is missing" for name in sorted(_FOLDERS) if not (folder / name).is_dir())
    for name in sorted(planned.keys() & found.keys()):
        with found[name].open("rb") as file:
            yield from _bytes_that_differ(name, planned[name], _sums(file))


def verify_archive(path: Path) -> Iterator[str]:
    """A sentence for each difference between the ZIP, its own directory, and the manifest in it."""
    try:
        with zipfile.ZipFile(path) as archive:
            yield from _entries_that_differ(archive)
    except (zipfile.BadZipFile, NotImplementedError) as fault:
        yield f"{path}: is no whole ZIP: {fault}"
    except OSError as fault:
        raise UsageError(f"{path}: {(fault.strerror or 'cannot be read').lower()}") from None


def _entries_that_differ(archive: zipfile.ZipFile) -> Iterator[str]:
    entries = {entry.filename: entry for entry in archive.infolist()}
    top = next(iter(entries), "").partition("/")[0]
    if f"{top}/{MANIFEST}" not in entries:
        yield f"{archive.filename}: has no {MANIFEST} in a single top folder; it is no export"
        return
    if len(entries) != len(archive.infolist()):
        yield f"{archive.filename}: has two entries of the same name"
    planned = _planned(archive.read(f"{top}/{MANIFEST}"), top)
    if isinstance(planned, str):
        yield planned
        return
    yield from _entries_out_of_place(archive)
    files = {PurePosixPath(name).relative_to(top).as_posix() for name in entries if not name.endswith("/")}
    yield from _names_that_differ(planned, files - {MANIFEST})
    for name in sorted(planned.keys() & files):
        try:
            with archive.open(f"{top}/{name}") as file:
                yield from _bytes_that_differ(name, planned[name], _sums(file))
        except zipfile.BadZipFile as fault:
            yield f"{name}: {fault}"


def _entries_out_of_place(archive: zipfile.ZipFile) -> Iterator[str]:
    """Each entry must lie behind the one before it, as readers that stream the archive believe."""
    end = 0
    for entry in sorted(archive.infolist(), key=lambda entry: entry.header_offset):
        if entry.header_offset < end:
            yield f"{entry.filename}: overlaps the entry before it"
        end = entry.header_offset + len(entry.filename.encode()) + 30 + entry.compress_size


def _planned(manifest: bytes, folder: str) -> dict[str, tuple[int, str]] | str:
    """What the manifest promises, or a sentence when it cannot be understood."""
    try:
        content: dict[str, Any] = json.loads(manifest)
        files = [*content["files"], *content["texts"]]
        return {file["name"]: (file["size_bytes"], file["crc32"]) for file in files}
    except (ValueError, KeyError, TypeError):
        return f"{folder}/{MANIFEST}: cannot be understood"


def _names_that_differ(planned: Mapping[str, object], found: set[str]) -> Iterator[str]:
    yield from (f"{name}: is missing" for name in sorted(planned.keys() - found))
    yield from (f"{name}: is not in the manifest" for name in sorted(found - planned.keys()))


def _bytes_that_differ(name: str, planned: tuple[int, str], found: tuple[int, str]) -> Iterator[str]:
    if found[0] != planned[0]:
        yield f"{name}: has {found[0]:,} bytes, the manifest says {planned[0]:,}"
    elif found[1] != planned[1]:
        yield f"{name}: has CRC-32 {found[1]}, the manifest says {planned[1]}"


def _sums(file: IO[bytes]) -> tuple[int, str]:
    size, checksum = 0, 0
    while piece := file.read(_CHUNK_BYTES):
        checksum = crc32(piece, checksum)
        size += len(piece)
    return size, f"{checksum:08x}"
