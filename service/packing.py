"""The archive of an export: its entries in their one order, and its layout before and after the copying. Pure."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from isal.isal_zlib import crc32

from contracts import Layout
from service.contents import MANIFEST, OTIOZ_CONTENT, OTIOZ_MEDIA, OTIOZ_VERSION, otioz_place
from service.manifest import write_manifest
from service.model import FOLDERS, Copy, Earlier, Plan
from service.segments import Extent, Version, Written
from service.streaming_zip import Entry, ZipPlan, plan_zip
from service.texts import content_of_otioz, sizes_of_texts, texts_bytes_about

_BUNDLES_VERSION = b"1.0.0"

_ENTRY_BYTES = 300
"""About what an entry takes beside its body, in both of its places."""

Body = Callable[[str], bytes | Extent]
"""What stands for a file of the folder, by its name there."""


@dataclass(frozen=True, slots=True)
class Tree:
    """A finished folder, as far as packing it goes."""

    folder: str
    moment: datetime
    """Of every entry."""
    media: Sequence[str]
    """In story order."""
    files: Mapping[str, Written] = field(repr=False)
    """All that are there: media, texts and the manifest."""


def tree_of(plan: Plan, files: Mapping[str, Written]) -> Tree:
    """`files` are all files of the folder."""
    return Tree(plan.draft.folder, plan.draft.requested_at, [copy.name for copy in plan.copies], files)


def lay_out(plan: Plan, tree: Tree, body: Body) -> ZipPlan:
    """The archive that the plan wants; `body` also says what an otioz has as its timeline, `OTIOZ_CONTENT`."""
    match plan.layout:
        case Layout.CHANGES:
            return _lay_out_changes(tree, _changed(plan, tree.files), body)
        case Layout.OTIOZ:
            return _lay_out_otioz(tree, body)
        case _:
            return lay_out_folder(tree, body)


def lay_out_folder(tree: Tree, body: Body) -> ZipPlan:
    """The archive of a folder, whoever knows what is in it."""
    names = names_in_order(tree.files.keys() - set(tree.media), tree.media)
    return plan_zip((_entry(f"{tree.folder}/{name}", name, tree, body) for name in names), tree.moment)


def _lay_out_changes(tree: Tree, changed: frozenset[str], body: Body) -> ZipPlan:
    """What is to be unpacked over an earlier folder: those of the media, and every text."""
    media = [name for name in tree.media if name in changed]
    names = names_in_order(tree.files.keys() - set(tree.media), media)
    return plan_zip((_entry(name, name, tree, body) for name in names if name), tree.moment)


def _lay_out_otioz(tree: Tree, body: Body) -> ZipPlan:
    """As OpenTimelineIO's adapter for such bundles reads it: a timeline, the bundle's version, and media."""
    return plan_zip(_otioz_entries(tree, body), tree.moment)


def _otioz_entries(tree: Tree, body: Body) -> Iterator[Entry]:
    yield _entry(OTIOZ_CONTENT, OTIOZ_CONTENT, tree, body)
    yield Entry(OTIOZ_VERSION, _BUNDLES_VERSION, crc32(_BUNDLES_VERSION))
    yield Entry(f"{OTIOZ_MEDIA}/")
    for name in names_in_order((), tree.media):
        if name in tree.files:
            yield _entry(otioz_place(name), name, tree, body)


def _entry(place: str, name: str, tree: Tree, body: Body) -> Entry:
    return Entry(place, body(name), tree.files[name].crc32) if name in tree.files else Entry(place)


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


# ---- what of it is new


def _changed(plan: Plan, files: Mapping[str, Written]) -> frozenset[str]:
    """The media that the earlier export has not, or has with other bytes."""
    earlier = _earlier_files(plan)
    return frozenset(copy.name for copy in plan.copies if earlier.get(copy.name) != files[copy.name])


def packed_copies(plan: Plan) -> tuple[Copy, ...]:
    """The media that the archive will hold, as far as sizes tell before a byte was read; none without an archive."""
    if plan.layout is None:
        return ()
    if plan.layout is not Layout.CHANGES:
        return plan.copies
    earlier = _earlier_files(plan)
    return tuple(copy for copy in plan.copies if _size(earlier.get(copy.name)) != copy.size_bytes)


def _earlier_files(plan: Plan) -> Mapping[str, Written]:
    return plan.draft.earlier.files if isinstance(plan.draft.earlier, Earlier) else {}


def _size(written: Written | None) -> int | None:
    return None if written is None else written.size_bytes


# ---- how large it will be


def archive_bytes_about(plan: Plan) -> int:
    """About how large the archive will be; 0 where there will be none. For progress, and for room."""
    if plan.layout is None:
        return 0
    return sum(copy.size_bytes + _ENTRY_BYTES for copy in packed_copies(plan)) + texts_bytes_about(plan)


def archive_size_bytes(plan: Plan) -> int:
    """The archive's exact size, before anything was copied: no CRC-32 changes a length (a warning of one does).

    Makes every text to count it. Without an archive: of the folder as a ZIP. Of changes: at least so much.
    """
    media = {copy.name: Written(copy.size_bytes, 0) for copy in plan.copies}
    texts = {name: Written(size_bytes, 0) for name, size_bytes in sizes_of_texts(plan).items()}
    manifest = Written(sum(map(len, write_manifest(plan, media, texts))), 0)
    files = {**media, **texts, MANIFEST: manifest}
    if plan.layout is Layout.OTIOZ:
        files[OTIOZ_CONTENT] = Written(sum(map(len, content_of_otioz(plan))), 0)

    def nowhere(name: str) -> Extent:
        size = files[name].size_bytes
        return Extent("", name, 0, size, Version(size, 0, 0))

    if plan.layout is Layout.CHANGES:
        changed = frozenset(copy.name for copy in packed_copies(plan))
        return _lay_out_changes(tree_of(plan, files), changed, nowhere).size_bytes
    return lay_out(plan, tree_of(plan, files), nowhere).size_bytes
