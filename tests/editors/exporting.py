"""Exports in memory, one after the other in one root, and what is in their archives."""

import zipfile
from collections.abc import Mapping
from datetime import datetime, timedelta
from io import BytesIO
from typing import Any, NamedTuple

import anyio

from contracts import ExportCompleted, ExportOptions, ExportStart, Project
from contracts.messages import ArchiveSummary
from service.export import Threads, Workshop, export
from service.ledger import Ledger
from service.model import FOLDERS
from service.progress import Stop
from service.storage.memory import Memory, MemoryStorage

FIRST_AT = datetime.fromisoformat("2026-11-23T18:42:20+00:00")

Files = Mapping[str, bytes]


class Exported(NamedTuple):
    """One export, with every byte of it."""

    export_id: str
    event: ExportCompleted
    files: Files
    """Of the folder, by their names in it."""
    packed: bytes

    @property
    def archive(self) -> ArchiveSummary:
        assert self.event.archive is not None
        return self.event.archive

    @property
    def unpacked(self) -> Files:
        """By the names that they have in the archive."""
        with zipfile.ZipFile(BytesIO(self.packed)) as opened:
            assert opened.testzip() is None
            return {name: opened.read(name) for name in opened.namelist() if not name.endswith("/")}


class Studio:
    """An exports root, and media that may be changed between two exports."""

    def __init__(self, media: Files) -> None:
        self.memory = Memory({"media": dict(media)}, 1 << 34)
        self._made = 0

    def put(self, key: str, content: bytes) -> None:
        self.memory.put("media", key, content)

    def export(self, project: Project, tenant: str | None = None, **options: Any) -> Exported:
        """The next one, a minute after the last."""
        self._made += 1
        command = ExportStart.model_validate(
            {
                "export_id": f"e-{self._made}",
                "requested_at": FIRST_AT + timedelta(minutes=self._made),
                "requested_by": None if tenant is None else {"tenant": tenant},
                "project": project,
                "options": ExportOptions(**options),
            }
        )
        event = anyio.run(self._export, command)
        assert isinstance(event, ExportCompleted), event
        storage = self.storage()
        packed = b"" if event.archive is None else storage.get(event.archive.name) or b""
        return Exported(command.export_id, event, files_of(storage, event.folder.name), packed)

    async def _export(self, command: ExportStart) -> object:
        ledger = Ledger(self.storage())
        ledger.open_or_make()
        shop = Workshop(ledger.storage, ledger, Threads.of_each(2))
        accepted = ledger.accept(command, command.project)
        return (await export(accepted, shop, lambda _: None, Stop())).event

    def storage(self) -> MemoryStorage:
        return MemoryStorage(self.memory)


def files_of(storage: MemoryStorage, folder: str) -> Files:
    top = [name for name in storage.names(folder) if name not in FOLDERS.values()]
    inner = [f"{inside}/{name}" for inside in FOLDERS.values() for name in storage.names(f"{folder}/{inside}")]
    return {name: storage.get(f"{folder}/{name}") or b"" for name in (*top, *inner)}
