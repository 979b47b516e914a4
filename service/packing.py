"""The archive of an export: its entries in their one order, and its layout before and after the copying. Pure."""

from collections.abc import Callable, Iterator, Mapping

from service.manifest import MANIFEST, write_manifest
from service.model import FOLDERS, Copy, Plan, Written
from service.script import write_script
from service.segments import Extent, Version
from service.streaming_zip import Entry, ZipPlan, plan_zip

SCRIPT = "script.txt"


def lay_out(
    plan: Plan, media: Mapping[str, Written], texts: Mapping[str, Written], extent: Callable[[str], Extent]
) -> ZipPlan:
    """The archive of a finished tree; `extent` says where a file of it is, by its name in the folder."""
    return plan_zip(_entries(plan, media, texts, extent), plan.draft.requested_at)


def archive_size_bytes(plan: Plan) -> int:
    """The archive's exact size, before anything was copied: no CRC-32 changes a length (a warning of one does)."""
    media = {copy.name: Written(copy.size_bytes, 0) for copy in plan.copies}
    script = Written(len(write_script(plan).encode()), 0)
    texts = {SCRIPT: script}
    manifest = Written(sum(map(len, write_manifest(plan, media, texts))), 0)
    sizes = {**media, **texts, MANIFEST: manifest}

    def nowhere(name: str) -> Extent:
        size = sizes[name].size_bytes
        return Extent("", name, 0, size, Version(size, 0, 0))

    return lay_out(plan, media, {**texts, MANIFEST: manifest}, nowhere).size_bytes


def _entries(
    plan: Plan, media: Mapping[str, Written], texts: Mapping[str, Written], extent: Callable[[str], Extent]
) -> Iterator[Entry]:
    """The folder is the single top entry; in it texts, audio, images, videos, each in story order."""
    top = plan.draft.folder
    yield Entry(f"{top}/")
    for name in sorted(texts):
        yield Entry(f"{top}/{name}", extent(name), texts[name].crc32)
    by_folder: dict[str, list[Copy]] = {folder: [] for folder in FOLDERS.values()}
    for copy in plan.copies:
        by_folder[FOLDERS[copy.spot.kind]].append(copy)
    for folder, copies in by_folder.items():
        yield Entry(f"{top}/{folder}/")
        for copy in copies:
            yield Entry(f"{top}/{copy.name}", extent(copy.name), media[copy.name].crc32)
