"""A finished export as one archive that need not exist: the one that was written, or one laid out from its folder.

Both are the same bytes under the same ETag, on every replica (docs/decisions/0003).
"""

from array import array
from collections import OrderedDict
from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from functools import partial
from typing import Any, NamedTuple

import anyio
from anyio import to_thread
from isal.isal_zlib import crc32
from pydantic_core import from_json

from contracts import ArchiveSummary, ExportCompleted, Layout
from gateway.states import Snapshot
from service.contents import ARCHIVE_ENDINGS, MANIFEST
from service.packing import Tree, lay_out_folder
from service.references import EXPORTS, Source
from service.segments import Extent, Written
from service.storage.port import SourceFault, Storage
from service.streaming_zip import ZipPlan

_SEGMENTS_AT_MOST = 400_000
"""Of all archives that are remembered; about 300 bytes each."""
_LAID_OUT_AT_ONCE = 1


class Damaged(Exception):
    """The export's files are not those that were published: somebody changed or removed them."""


class Which(StrEnum):
    """What somebody wants to download of an export."""

    ASKED_FOR = "asked_for"
    """The archive that was asked for when the export was; where none was, the folder as a ZIP."""
    FOLDER = "folder"
    """The whole folder as a ZIP, whatever was asked for."""


class Archive(NamedTuple):
    """What is downloaded."""

    name: str
    plan: ZipPlan


class Published:
    """The archives that were asked for last."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._archives: OrderedDict[tuple[str, Which], Archive] = OrderedDict()
        self._locks: dict[tuple[str, Which], anyio.Lock] = {}
        self._limiter = anyio.CapacityLimiter(_LAID_OUT_AT_ONCE)

    async def archive(self, shown: Snapshot, which: Which) -> Archive:
        """Of a completed export. Raises Damaged, and Trouble."""
        key = (shown.head.export_id, which)
        lock = self._locks.setdefault(key, anyio.Lock())
        try:
            async with lock:
                if key not in self._archives:
                    event = _event(shown)
                    made = await to_thread.run_sync(_archive, self._storage, event, which, limiter=self._limiter)
                    self._archives[key] = made
                self._archives.move_to_end(key)
                self._forget_the_oldest()
                return self._archives[key]
        finally:
            if lock.statistics().tasks_waiting == 0:
                self._locks.pop(key, None)

    def forget(self, export_id: str) -> None:
        """Its files are not what they were."""
        for which in Which:
            self._archives.pop((export_id, which), None)

    def _forget_the_oldest(self) -> None:
        while len(self._archives) > 1 and self._segments > _SEGMENTS_AT_MOST:
            self._archives.popitem(last=False)

    @property
    def _segments(self) -> int:
        return sum(len(archive.plan.segments) for archive in self._archives.values())


def _event(shown: Snapshot) -> ExportCompleted:
    assert shown.known.end is not None  # noqa: S101 - the caller looked
    return ExportCompleted.model_validate_json(shown.known.end.body)


def _archive(storage: Storage, event: ExportCompleted, which: Which) -> Archive:
    made = event.archive
    if made is not None and (which is Which.ASKED_FOR or made.layout is Layout.FOLDER):
        written = _written(storage, made)
        if written is not None:
            return Archive(made.name, written)
    try:
        return Archive(f"{event.folder.name}{ARCHIVE_ENDINGS[Layout.FOLDER]}", _virtual(storage, event.folder.name))
    except SourceFault as fault:
        raise Damaged(f"a file of {event.folder.name} {str(fault) or 'is missing'}") from None


def _written(storage: Storage, archive: ArchiveSummary) -> ZipPlan | None:
    """The archive beside the folder, if it is there as it was made."""
    try:
        extent = _whole(storage, archive.name)
    except SourceFault:
        return None
    if extent.size_bytes != archive.size_bytes:
        return None
    return ZipPlan((extent,), archive.entries, archive.size_bytes, archive.etag, archive.crc32, array("Q", [0]))


def _virtual(storage: Storage, folder: str) -> ZipPlan:
    content = b"".join(bytes(piece) for piece in storage.read(_whole(storage, f"{folder}/{MANIFEST}")))
    manifest = from_json(content)
    media, texts = (_files(manifest[key]) for key in ("files", "texts"))
    files = {**texts, **media, MANIFEST: Written(len(content), crc32(content))}
    moment = datetime.fromisoformat(manifest["requested_at"])
    # An extent also for the manifest: the ETag tells literals from extents.
    body = partial(_body, storage, folder, files, moment)
    return lay_out_folder(Tree(folder, moment, list(media), files), body)


def _files(listed: list[dict[str, Any]]) -> dict[str, Written]:
    return {file["name"]: Written(file["size_bytes"], int(file["crc32"], 16)) for file in listed}


def _body(storage: Storage, folder: str, files: Mapping[str, Written], moment: datetime, name: str) -> Extent:
    extent = _whole(storage, f"{folder}/{name}")
    # Published files carry the export's moment: whoever writes to one leaves a trace.
    if extent.size_bytes != files[name].size_bytes or extent.version.mtime_ns != int(moment.timestamp()) * 10**9:
        raise Damaged(f"{folder}/{name} was changed after it was published")
    return extent


def _whole(storage: Storage, key: str) -> Extent:
    version = storage.look(Source(EXPORTS, key))
    return Extent(EXPORTS, key, 0, version.size_bytes, version)
