"""The archive of an export: its entries in their one order, and its layout before and after the copying. Pure."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime

from service.manifest import MANIFEST, write_manifest
from service.model import FOLDERS, Plan
from service.script import write_script
from service.segments import Extent, Version, Written
from service.streaming_zip import Entry, ZipPlan, plan_zip

SCRIPT = "script.txt"


def lay_out(
    plan: Plan, media: Mapping[str, Written], texts: Mapping[str, Written], extent: Callable[[str], Extent]
) -> ZipPlan:
    """The archive of a finished tree; `extent` says where a file of it is, by its name in the folder."""
    names = [copy.name for copy in plan.copies]
    return lay_out_folder(plan.draft.folder, plan.draft.requested_at, names, {**texts, **media}, extent)


def lay_out_folder(
    folder: str,
    moment: datetime,
    media: Sequence[str],
    files: Mapping[str, Written],
    body: Callable[[str], bytes | Extent],
) -> ZipPlan:
    """The archive of a folder, whoever knows what is in it: `media` in story order, `files` all that are there."""
    return plan_zip(_entries(folder, media, files, body), moment)


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


def names_in_order(texts: Iterable[str], media: Iterable[str]) -> Iterator[str]:
    """Everything in an archive's top folder, after that folder itself (an empty name): texts, audio, images, videos.

    Media stay in the order in which they come, the story's. The name of a folder ends in a slash.
    """
    yield ""
    yield from sorted(texts)
    by_folder: dict[str, list[str]] = {folder: [] for folder in FOLDERS.values()}
    for name in media:
        by_folder[name.partition("/")[0]].append(name)
    for folder, names in by_folder.items():
        yield f"{folder}/"
        yield from names


def _entries(
    top: str, media: Sequence[str], files: Mapping[str, Written], body: Callable[[str], bytes | Extent]
) -> Iterator[Entry]:
    texts = files.keys() - set(media)
    for name in names_in_order(texts, media):
        if name in files:
            yield Entry(f"{top}/{name}", body(name), files[name].crc32)
        else:
            yield Entry(f"{top}/{name}")
