"""What an earlier export holds, for an archive of what changed since. Synchronous: call it from a thread."""

from typing import Any

from pydantic_core import from_json

from contracts import ExportCompleted, ExportStart, Project, Requester
from service.contents import MANIFEST
from service.ledger import Ledger
from service.model import Earlier
from service.segments import Written


def earlier_export(ledger: Ledger, command: ExportStart, project: Project) -> Earlier | str | None:
    """What the export that `options.since` names holds by its own manifest, or why that is not known.

    None if none is named. Not knowing is no fault of the export: its archive then holds everything.
    """
    since = command.options.since
    if since is None:
        return None
    if _project_and_tenant(ledger, since) != (project.id, _tenant(command.requested_by)):
        return "that is no export of this project"
    return _held(ledger, since)


def _project_and_tenant(ledger: Ledger, export_id: str) -> tuple[str, str | None] | None:
    about = ledger.about(export_id)
    return None if about is None else (about.project_id, _tenant(about.requested_by))


def _tenant(requester: Requester | None) -> str | None:
    return None if requester is None else requester.tenant


def _held(ledger: Ledger, export_id: str) -> Earlier | str:
    decision = ledger.decision(export_id)
    event = None if decision is None else decision.event
    if not isinstance(event, ExportCompleted):
        return "that export is not finished"
    if (gone := ledger.gone(export_id)) is not None:
        return f"the files of that export are {gone}"
    content = ledger.storage.get(f"{event.folder.name}/{MANIFEST}")
    if content is None:
        return "the folder of that export is not there"
    return _of_manifest(event.folder.name, content)


def _of_manifest(folder: str, content: bytes) -> Earlier | str:
    try:
        return Earlier(folder, dict(map(_written, _listed(from_json(content)))))
    except (ValueError, KeyError, TypeError, OverflowError):
        return f"{folder}/{MANIFEST} cannot be read"


def _listed(manifest: dict[str, Any]) -> list[dict[str, Any]]:
    return [*manifest["files"], *manifest["texts"]]


def _written(file: dict[str, Any]) -> tuple[str, Written]:
    name = file["name"]
    if not isinstance(name, str):
        raise TypeError(name)
    return name, Written(int(file["size_bytes"]), int(file["crc32"], 16))
