"""A small project with real files, one way to export it, and an oracle that looks at nothing but the directory."""

import contextlib
import json
import os
import random
import wave
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from io import BytesIO
from pathlib import Path
from typing import Any

import anyio

from contracts import (
    Archive,
    CompletedAsset,
    ExportCompleted,
    ExportOptions,
    ExportProgress,
    ExportStart,
    Project,
    Terminal,
    Timeline,
)
from service.export import Threads, Workshop, export
from service.ledger import Ledger
from service.progress import Stop
from service.storage.disk import Disk
from service.storage.local import LocalStorage
from tests.engine.deaths import LivingDisk
from tests.engine.faulty import Killed

REQUESTED_AT = datetime.fromisoformat("2026-11-23T18:42:20+00:00")
FOLDER = "export_p1_20261123T184220Z"


def asset(uri: str, **more: object) -> CompletedAsset:
    return CompletedAsset.model_validate({"status": "completed", "uri": uri, **more})


def noise(size_bytes: int, seed: int) -> bytes:
    return random.Random(seed).randbytes(size_bytes)


def narration(seconds: float, rate: int = 8000) -> bytes:
    content = BytesIO()
    with wave.open(content, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(noise(int(seconds * rate) * 2, 7))
    return content.getvalue()


def make_media(media: Path) -> None:
    """Three images, a video of three chunks, and a section's narration."""
    media.mkdir()
    for number in (1, 2, 3):
        (media / f"{number}.png").write_bytes(noise(5_000 + number, number))
    (media / "clip.mp4").write_bytes(noise(600_000, 99))
    (media / "section.wav").write_bytes(narration(0.9))


def images_project(*uris: str, project_id: str = "p1") -> Project:
    """A section with a sentence for each image."""
    sentences = [
        {"id": f"s{n}", "text": f"Sentence {n}.", "image": {"status": "completed", "uri": uri}}
        for n, uri in enumerate(uris, 1)
    ]
    return Project.model_validate(
        {"id": project_id, "name": "Images", "sections": [{"id": "a", "title": "Intro", "sentences": sentences}]}
    )


def small_project() -> Project:
    """Two sections, four sentences; narration as one file to cut, one pending image."""
    sliced = [
        {
            "id": f"s{n}",
            "text": f"Sentence {n}.",
            "audio": {"status": "completed", "slice": {"start_ms": 300 * n - 300, "end_ms": 300 * n}},
            "image": {"status": "completed", "uri": f"{n}.png"},
        }
        for n in (1, 2, 3)
    ]
    last = {"text": "", "image": {"status": "pending"}, "video": {"status": "completed", "uri": "clip.mp4"}}
    sections = [
        {"id": "a", "title": "Intro", "audio": {"status": "completed", "uri": "section.wav"}, "sentences": sliced},
        {"id": "b", "title": "Fin", "sentences": [last]},
    ]
    return Project.model_validate({"id": "p1", "name": "Small", "sections": sections})


# Every call is tried with every fault, and those for a tenth text are like those for the first.
ZIPPED = ExportOptions(archive=Archive.ZIP, timelines=(Timeline.OTIO,), captions=())


def start(project: Project, export_id: str = "e1", options: ExportOptions = ZIPPED) -> ExportStart:
    return ExportStart(export_id=export_id, requested_at=REQUESTED_AT, project=project, options=options)


@dataclass
class Bench:
    """Directories of one test, and what was reported."""

    media: Path
    exports: Path
    seen: list[ExportProgress]
    trusted: frozenset[str] = frozenset()

    def run(
        self,
        command: ExportStart,
        disk: Disk | None = None,
        stop: Stop | None = None,
        copiers: int = 1,
        worker: str = "",
    ) -> Terminal:
        """One process's try: its own storage, its own event loop, everything let go of at the end."""
        return anyio.run(self.export, command, disk, stop, copiers, worker)

    async def export(
        self,
        command: ExportStart,
        disk: Disk | None = None,
        stop: Stop | None = None,
        copiers: int = 1,
        worker: str = "",
    ) -> Terminal:
        assert command.project is not None
        storage = LocalStorage({"media": self.media}, self.exports, disk, trusted=self.trusted)
        try:
            ledger = Ledger(storage)
            ledger.open_or_make()
            shop = Workshop(storage, ledger, Threads.of_each(copiers), worker)
            accepted = ledger.accept(command, command.project)
            return (await export(accepted, shop, self.seen.append, stop or Stop())).event
        finally:
            with contextlib.suppress(Killed):
                storage.close()
            storage.close()  # the rest of what a process had that was killed in the first

    def ledger(self, disk: Disk | None = None) -> Ledger:
        return Ledger(LocalStorage({}, self.exports, disk))

    def make_root(self) -> None:
        self.ledger().open_or_make()

    def attempt(self, number: int, export_id: str = "e1") -> Path:
        return self.exports / f".exports/{export_id}/a-{number:06d}"

    def outcome(self, export_id: str = "e1") -> bytes | None:
        """The decision as it is on the disk."""
        place = self.exports / f".exports/{export_id}/outcome.json"
        return place.read_bytes() if place.exists() else None

    def journal(self, number: int, export_id: str = "e1") -> list[dict[str, Any]]:
        lines = (self.attempt(number, export_id) / "journal.jsonl").read_text().splitlines()
        return [json.loads(line) for line in lines if line]


@dataclass(frozen=True)
class Undisturbed:
    """An export that nothing happened to."""

    media: Path
    tree: dict[str, bytes | None]
    calls: list[str]
    deaths: list[int]
    """The calls at which a death leaves something else than one at the call before."""

    @classmethod
    def of(cls, media: Path, exports: Path) -> "Undisturbed":
        """Exports the small project."""
        exports.mkdir()
        disk = LivingDisk()
        completed(Bench(media, exports, []).run(start(small_project()), disk))
        deaths = [death.at for death in disk.deaths() if not death.is_half_way]
        return cls(media, visible(exports), disk.calls, deaths)


def completed(event: Terminal) -> ExportCompleted:
    assert isinstance(event, ExportCompleted), event
    return event


def omissions(event: Terminal) -> list[tuple[int, str, str | None]]:
    """Number, reason and detail of what was left out."""
    return [(omission.seq, omission.reason.value, omission.detail) for omission in completed(event).omissions]


def visible(exports: Path) -> dict[str, bytes | None]:
    """Everything a reader may see, by path, with its bytes; directories without."""
    found: dict[str, bytes | None] = {}
    for directory, names, files in os.walk(exports):
        names[:] = [name for name in names if name != ".exports"]
        below = f"{directory}/"[len(str(exports)) + 1 :]
        found |= dict.fromkeys(map(below.__add__, names))
        found |= {below + name: _content(f"{directory}/{name}") for name in files}
    return found


def _content(path: str) -> bytes:
    with open(path, "rb", buffering=0) as file:  # noqa: PTH123 - a reader looks a thousand times a second
        return file.read()


def moments(exports: Path) -> set[int]:
    """The modification times of everything a reader may see."""
    return {(exports / name).stat().st_mtime_ns for name in visible(exports)}


def staged(exports: Path) -> list[str]:
    """Files below attempts: what a sweep has to remove once an export is decided."""
    return sorted(str(path.relative_to(exports)) for path in exports.glob(".exports/*/a-*/**/*") if path.is_file())


def complaint(exports: Path, undisturbed: Mapping[str, bytes | None]) -> str | None:
    """What is wrong with what a reader sees: it must be nothing, or a finished archive, or all of the export."""
    seen = visible(exports)
    if not seen or seen == undisturbed:
        return None
    if seen == {f"{FOLDER}.zip": undisturbed[f"{FOLDER}.zip"]}:
        return None  # the archive is put in place first; the folder, last, says that both are there
    different = {name for name in seen.keys() | undisturbed.keys() if seen.get(name, 0) != undisturbed.get(name, 0)}
    return f"a reader sees something half done: {sorted(different)}"
