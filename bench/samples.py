"""Makes the projects that are measured: a project file in the contract's form, and random bytes as its media."""

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

MB = 1_000_000
KB = 1_000

_SENTENCES_PER_SECTION = 100
_PIECE_BYTES = 1 * MB


@dataclass(frozen=True, slots=True)
class Lot:
    """So many files of one kind and one size."""

    kind: str
    files: int
    file_bytes: int
    contents: int = 0
    """How many of them are different; the others are further names of these. 0 for all."""


@dataclass(frozen=True, slots=True)
class Sample:
    """A project, where its media are, and what they come to."""

    project: Path
    media: Path
    files: int
    size_bytes: int


def make_sample(place: Path, *lots: Lot) -> Sample:
    """A new directory `place` with `project.json` and `media/`; the first sentences have the files of each lot."""
    media = place / "media"
    media.mkdir(parents=True)
    uris = {lot.kind: _make_files(media, lot) for lot in lots}
    sentences = [
        {"text": f"Sentence {number + 1} of this story.", **_assets(uris, number)}
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


def _assets(uris: dict[str, list[str]], number: int) -> dict[str, object]:
    return {kind: {"status": "completed", "uri": names[number]} for kind, names in uris.items() if number < len(names)}


def _make_files(media: Path, lot: Lot) -> list[str]:
    directory = media / lot.kind
    directory.mkdir()
    files = [directory / f"{number:06d}.bin" for number in range(lot.files)]
    contents = lot.contents or lot.files
    for file in files[:contents]:
        _fill(file, lot.file_bytes)
    for number, file in enumerate(files[contents:], contents):
        file.hardlink_to(files[number % contents])
    return [f"{lot.kind}/{file.name}" for file in files]


def _fill(file: Path, size_bytes: int) -> None:
    with file.open("wb") as target:
        for piece in _random_pieces(size_bytes):
            target.write(piece)


def _random_pieces(size_bytes: int) -> Iterator[bytes]:
    while size_bytes > 0:
        yield os.urandom(min(size_bytes, _PIECE_BYTES))
        size_bytes -= _PIECE_BYTES
