"""Makes the projects that are measured: a project file in the contract's form, and random bytes as its media."""

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from isal.isal_zlib import crc32

MB = 1_000_000
KB = 1_000

_SENTENCES_PER_SECTION = 100
_PIECE_BYTES = 1 * MB

Asset = dict[str, object]
Again = Callable[[Path, Path], None]
"""Makes one more file, the first, with the content of the second."""


@dataclass(frozen=True, slots=True)
class Lot:
    """So many files of one kind and one size."""

    kind: str
    files: int
    file_bytes: int
    contents: int = 0
    """How many of them are different; the others have the content of these once more. 0 for all."""


@dataclass(frozen=True, slots=True)
class Sample:
    """A project, where its media are, and what they come to."""

    project: Path
    media: Path
    files: int
    size_bytes: int

    def remove(self) -> None:
        shutil.rmtree(self.project.parent)

    @property
    def megabytes(self) -> int:
        return round(self.size_bytes / MB)

    @property
    def described(self) -> str:
        return f"{self.files:,} files, {self.megabytes:,} MB"


def clone(file: Path, original: Path) -> None:
    """A file of its own that shares the original's blocks."""
    subprocess.run(["cp", "--reflink=always", original, file], check=True)


def make_sample(place: Path, *lots: Lot, again: Again = Path.hardlink_to) -> Sample:
    """A new directory `place` with `project.json` and `media/`; the first sentences have the files of each lot.

    Every file is declared with its size and CRC-32.
    """
    media = place / "media"
    media.mkdir(parents=True)
    assets = {lot.kind: _make_files(media, lot, again) for lot in lots}
    sentences = [
        {"text": f"Sentence {number + 1} of this story.", **_assets_of(assets, number)}
        for number in range(max(lot.files for lot in lots))
    ]
    sections = [
        {
            "title": f"Part {start // _SENTENCES_PER_SECTION + 1}",
            "sentences": sentences[start:][:_SENTENCES_PER_SECTION],
        }
        for start in range(0, len(sentences), _SENTENCES_PER_SECTION)
    ]
    project = place / "project.json"
    project.write_text(json.dumps({"id": place.name, "name": "Measured", "sections": sections}))
    return Sample(project, media, sum(lot.files for lot in lots), sum(lot.files * lot.file_bytes for lot in lots))


def _assets_of(assets: dict[str, list[Asset]], number: int) -> dict[str, Asset]:
    return {kind: files[number] for kind, files in assets.items() if number < len(files)}


def _make_files(media: Path, lot: Lot, again: Again) -> list[Asset]:
    directory = media / lot.kind
    directory.mkdir()
    files = [directory / f"{number:06d}.bin" for number in range(lot.files)]
    contents = lot.contents or lot.files
    crc32s = [_fill(file, lot.file_bytes) for file in files[:contents]]
    for number, file in enumerate(files[contents:], contents):
        again(file, files[number % contents])
    return [
        {
            "status": "completed",
            "uri": f"{lot.kind}/{file.name}",
            "size_bytes": lot.file_bytes,
            "crc32": crc32s[number % contents],
        }
        for number, file in enumerate(files)
    ]


def _fill(file: Path, size_bytes: int) -> int:
    """Its CRC-32."""
    checksum = 0
    with file.open("wb") as target:
        for piece in _random_pieces(size_bytes):
            checksum = crc32(piece, checksum)
            target.write(piece)
    return checksum


def _random_pieces(size_bytes: int) -> Iterator[bytes]:
    while size_bytes > 0:
        yield os.urandom(min(size_bytes, _PIECE_BYTES))
        size_bytes -= _PIECE_BYTES
