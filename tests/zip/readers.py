"""The readers that people have. Each looks through an archive in its own way and says what it found there."""

import os
import re
import shutil
import subprocess
import zipfile
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple

import pytest

from service.streaming_zip import Entry

_PACKAGES = {"unzip": "unzip", "7z": "p7zip-full", "bsdtar": "libarchive-tools"}
_AT_ONCE = 2

Ends = tuple[str, ...]
ALL: Ends = ("",)


class Found(NamedTuple):
    """What a reader says of one entry; bsdtar compares checksums and tells none."""

    size_bytes: int
    crc32: int | None


Contents = Mapping[str, Found]


class Unsound(Exception):
    """A reader found fault with the archive."""


def expected_of_all(folder: Sequence[Entry]) -> dict[str, Contents]:
    """What each reader should find."""
    sizes: Contents = {entry.name: Found(entry.size_bytes, None) for entry in folder}
    return {reader: sizes if reader == "bsdtar" else expected(folder) for reader in READERS}


def expected(folder: Sequence[Entry]) -> Contents:
    return {entry.name: Found(entry.size_bytes, entry.crc32) for entry in folder}


def found_by_all(path: Path, ends: Ends = ALL, unzip_ends: Ends | None = None) -> dict[str, Contents]:
    """What each reader finds. Reads the entries with those ends of names, or raises Unsound; lists the others too.

    unzip is five times as slow as the others, so it may be given less to read.
    """
    calls = {reader: partial(read, path, ends) for reader, read in READERS.items()}
    if unzip_ends:
        calls["unzip"] = partial(_by_unzip, path, unzip_ends)
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        running = {reader: pool.submit(call) for reader, call in calls.items()}
        return {reader: call.result() for reader, call in running.items()}


def unpack_by(reader: str, path: Path, target: Path) -> None:
    """Into a directory that is not there yet."""
    target.mkdir()
    if reader == "zipfile":
        with zipfile.ZipFile(path) as archive:
            archive.extractall(target)
        return
    commands: dict[str, list[str | Path]] = {
        "unzip": ["unzip", "-q", path, "-d", target],
        "7z": ["7z", "x", f"-o{target}", path],
        "bsdtar": ["bsdtar", "-xf", path, "-C", target],
    }
    run(*commands[reader])


def run(*command: str | Path, stdout: int = subprocess.PIPE) -> str:
    """What it says on standard output. Raises Unsound for whatever else than 0 it exits with."""
    tool = str(command[0])
    if shutil.which(tool) is None:
        pytest.fail(f"{tool} is not there: apt-get update && apt-get install -y {_PACKAGES[tool]}")
    done = subprocess.run(
        command,
        stdout=stdout,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        check=False,
        env={**os.environ, "LC_ALL": "C.UTF-8", "TZ": "UTC"},
    )
    if done.returncode:
        raise Unsound(f"{tool} exits with {done.returncode}: {done.stdout} {done.stderr}")
    return done.stdout


# ---- each of them


def _by_zipfile(path: Path, ends: Ends) -> Contents:
    with zipfile.ZipFile(path) as archive:
        for info in archive.infolist():
            if info.filename.endswith(ends):
                _read_to_the_end(archive, info)
        return {info.filename: Found(info.file_size, info.CRC) for info in archive.infolist()}


def _read_to_the_end(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> None:
    """Which is where it compares the checksum."""
    try:
        with archive.open(info) as body:
            while body.read(1024 * 1024):
                pass
    except zipfile.BadZipFile as fault:
        raise Unsound(f"zipfile: {fault}") from None


_OF_UNZIP = re.compile(r" *(\d+)  Stored +\d+ +0% \S+ \S+ ([0-9a-f]{8})  (.+)")


def _by_unzip(path: Path, ends: Ends) -> Contents:
    run("unzip", "-tq", path, *(f"*{end}" for end in ends))
    lines = map(_OF_UNZIP.fullmatch, run("unzip", "-v", path).splitlines())
    return {line[3]: Found(int(line[1]), int(line[2], 16)) for line in lines if line}


def _by_7z(path: Path, ends: Ends) -> Contents:
    run("7z", "t", "-r", path, *(f"*{end}" for end in ends))
    blocks = run("7z", "l", "-slt", "-sccUTF-8", path).split("----------\n")[1].strip().split("\n\n")
    found = [dict(line.split(" = ", 1) for line in block.splitlines() if " = " in line) for block in blocks]
    return {
        entry["Path"] + "/" * (entry["Folder"] == "+"): Found(int(entry["Size"]), int(entry["CRC"] or "0", 16))
        for entry in found
    }


def _by_bsdtar(path: Path, ends: Ends) -> Contents:
    # Nobody keeps what it unpacks: it may be gigabytes.
    patterns = [f"--include=*{end}" for end in ends]
    run("bsdtar", "-xf", path, "--to-stdout", *patterns, stdout=subprocess.DEVNULL)
    lines = [line.split(maxsplit=8) for line in run("bsdtar", "-tvf", path).splitlines()]
    return {line[8]: Found(int(line[4]), None) for line in lines}


READERS = {"unzip": _by_unzip, "7z": _by_7z, "bsdtar": _by_bsdtar, "zipfile": _by_zipfile}


@dataclass(frozen=True)
class Java:
    """Its two: a stream, as unpackers in Java read, which reads all there is; and a file, by its directory."""

    classes: Path

    def stream(self, path: Path) -> Contents:
        return self._run("stream", path)

    def file(self, path: Path, end: str = "") -> Contents:
        """Reads the entries with that end of their names and lists the others."""
        return self._run("file", path, end)

    def _run(self, *arguments: str | Path) -> Contents:
        said = run("java", "-Xmx64m", "-XX:+UseSerialGC", "-XX:-UsePerfData", "-cp", self.classes, "Reader", *arguments)
        lines = [line.split(" ", 2) for line in said.splitlines()]
        return {name: Found(int(size), int(checksum, 16)) for size, checksum, name in lines}
