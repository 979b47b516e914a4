"""What an export would hold, before it is begun; and what one holds that is there."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from anyio import to_thread
from pydantic_core import from_json

from contracts import Archive, ExportCompleted, ExportStart, Kind, Layout, Project
from gateway.api import ExportPlan, PlannedCounts, PlannedFile
from service.contents import MANIFEST, text_names
from service.earlier import earlier_export
from service.ledger import Ledger
from service.model import Draft, Earlier, Plan
from service.naming import folder_name
from service.packing import archive_bytes_about, archive_size_bytes, packed_copies
from service.plan import plan_export
from service.segments import Written
from service.settle import settle
from service.storage.port import Storage
from service.streaming_zip import ZipPlan
from service.survey import insist_on_one, look_at, source_of

FILES_SHOWN = 2000
EXACT_SENTENCES = 1000
"""So many take half a second of a core."""
OMISSIONS_SHOWN = 100
_TEXT_CHARACTERS = 160


def refuse_what_cannot_be(command: ExportStart, project: Project, storage: Storage) -> None:
    """Without a look at any file. Raises Verdict for what no worker would carry out."""
    draft = plan_export(command, project, "folder")
    for wanted in draft.wanted:
        source_of(wanted, draft, storage)


async def planned(command: ExportStart, project: Project, ledger: Ledger) -> ExportPlan:
    """One look at each file. Raises Verdict, and Trouble when the storage is not there."""
    storage = ledger.storage
    await to_thread.run_sync(storage.check_roots)
    draft = await to_thread.run_sync(_draft, command, project, ledger)
    facts = await look_at(draft, draft.wanted, storage)
    insist_on_one(facts, storage)
    return await to_thread.run_sync(lambda: _shown(settle(draft, facts)))


def _draft(command: ExportStart, project: Project, ledger: Ledger) -> Draft:
    folder = folder_name(project.id, command.requested_at)
    return plan_export(command, project, folder, earlier_export(ledger, command, project))


def _shown(plan: Plan) -> ExportPlan:
    project = plan.draft.project
    exported = Counter(copy.spot.kind for copy in plan.copies)
    omitted = Counter(omission.spot.kind for omission in plan.omissions)
    sizes: Counter[Kind] = Counter()
    for copy in plan.copies:
        sizes[copy.spot.kind] += copy.size_bytes
    texts = _texts(project)
    packed = {copy.name for copy in packed_copies(_as_downloaded(plan))}
    files = (
        (copy.name, copy.size_bytes, copy.spot.seq, copy.spot.kind, copy.name in packed)
        for copy in plan.copies[:FILES_SHOWN]
    )
    return ExportPlan(
        project={"id": project.id, "name": project.name},
        folder=plan.draft.folder,
        outcome=plan.outcome,
        archive=plan.draft.options.archive,
        files_total=len(plan.copies),
        size_bytes=plan.size_bytes,
        archive_size_bytes=_archive_bytes(plan),
        archive_crc32=None,
        counts={
            kind: PlannedCounts(exported=exported[kind], omitted=omitted[kind], size_bytes=sizes[kind]) for kind in Kind
        },
        tree=[_file(*file, texts) for file in files],
        tree_total=len(plan.copies),
        texts=sorted([*text_names(plan.draft.options), MANIFEST]),
        omissions=[omission.as_message() for omission in plan.omissions[:OMISSIONS_SHOWN]],
        omissions_total=len(plan.omissions),
        warnings=list(plan.warnings),
    )


def _archive_bytes(plan: Plan) -> int:
    """Every text is made to know it exactly: for long stories that is more than a look at a plan is worth."""
    if plan.draft.first_numbers[-1] <= EXACT_SENTENCES:
        return archive_size_bytes(plan)
    return archive_bytes_about(_as_downloaded(plan))


def _as_downloaded(plan: Plan) -> Plan:
    """Of a folder without an archive, a ZIP of it is downloaded."""
    return replace(plan, layout=plan.layout or Layout.FOLDER)


def _texts(project: Project) -> list[tuple[str, str]]:
    """The section's title and the sentence's text, by the number in the script less one."""
    return [(section.title, sentence.text) for section in project.sections for sentence in section.sentences]


def _file(
    name: str, size_bytes: int, seq: int, kind: Kind, packed: bool | None, texts: list[tuple[str, str]]
) -> PlannedFile:
    section, text = texts[seq - 1] if 0 < seq <= len(texts) else ("", "")
    return PlannedFile(
        name=name,
        size_bytes=size_bytes,
        seq=seq,
        kind=kind,
        section=section,
        text=text[:_TEXT_CHARACTERS],
        packed=packed,
    )


# ---- what is there


def held(ledger: Ledger, event: ExportCompleted, archive: ZipPlan | None) -> ExportPlan | None:
    """What a finished export holds, by its own manifest; nothing where that is gone."""
    content = ledger.storage.get(f"{event.folder.name}/{MANIFEST}")
    command = ledger.command(event.export_id)
    if content is None or command is None or command.project is None:
        return None
    earlier = _followed(ledger, command, command.project, event, archive)
    return _held(from_json(content), command.project, event, archive, earlier)


def _held(
    manifest: dict[str, Any],
    project: Project,
    event: ExportCompleted,
    archive: ZipPlan | None,
    earlier: Earlier | None,
) -> ExportPlan:
    files = manifest["files"]
    texts = _texts(project)
    return ExportPlan(
        project={"id": project.id, "name": project.name},
        folder=event.folder.name,
        outcome=event.outcome,
        archive=_archive(event),
        files_total=len(files),
        size_bytes=sum(file["size_bytes"] for file in files),
        archive_size_bytes=None if archive is None else archive.size_bytes,
        archive_crc32=None if archive is None else f"{archive.crc32:08x}",
        counts={kind: _counted(kind, files, event) for kind in Kind},
        tree=[
            _file(file["name"], file["size_bytes"], file["seq"], Kind(file["kind"]), _is_packed(file, earlier), texts)
            for file in files[:FILES_SHOWN]
        ],
        tree_total=len(files),
        texts=sorted([*(text["name"] for text in manifest["texts"]), MANIFEST]),
        omissions=list(event.omissions),
        omissions_total=event.omissions_total,
        warnings=list(event.warnings),
    )


def _followed(
    ledger: Ledger, command: ExportStart, project: Project, event: ExportCompleted, archive: ZipPlan | None
) -> Earlier | None:
    """The export whose files are not in the archive again; None where it cannot be looked up any more."""
    made = event.archive
    if made is None or made.layout is not Layout.CHANGES or archive is None or archive.etag != made.etag:
        return Earlier("", {})
    earlier = earlier_export(ledger, command, project)
    return earlier if isinstance(earlier, Earlier) else None


def _is_packed(file: dict[str, Any], earlier: Earlier | None) -> bool | None:
    if earlier is None:
        return None
    return earlier.files.get(file["name"]) != Written(file["size_bytes"], int(file["crc32"], 16))


def _archive(event: ExportCompleted) -> Archive:
    if event.archive is None:
        return Archive.NONE
    return Archive.OTIOZ if event.archive.layout is Layout.OTIOZ else Archive.ZIP


def _counted(kind: Kind, files: Iterable[dict[str, Any]], event: ExportCompleted) -> PlannedCounts:
    counts = event.counts[kind]
    size_bytes = sum(file["size_bytes"] for file in files if file["kind"] == kind)
    return PlannedCounts(exported=counts.exported, omitted=counts.omitted, size_bytes=size_bytes)
