"""The message `export.start` that a project file and the arguments stand for."""

import uuid
from argparse import Namespace
from collections.abc import Sequence
from datetime import UTC, datetime

from pydantic import ValidationError

from cli.errors import UsageError
from cli.projects import read_project
from cli.since import since_of
from contracts import ExportOptions, ExportStart, Project
from contracts.faults import first_fault
from service.naming import one_line

_IDS_SHOWN = 10


def start_of(args: Namespace) -> tuple[ExportStart, Project]:
    """Raises UsageError that names the file or the argument."""
    project = read_project(args.project)
    _refuse_unknown_sections(args.sections or (), project)
    asked = {
        "archive": args.archive,
        "include": {"kinds": args.kinds, "sections": args.sections},
        "on_missing": args.on_missing,
        "stale": args.stale,
        "timelines": args.timelines,
        "captions": args.captions,
        "gaps": args.gaps,
        "media_root": args.media_root,
        "since": since_of(args),
        "retain_seconds": None if args.retain_days is None else args.retain_days * 86_400,
    }
    command = ExportStart(
        export_id=args.export_id or str(uuid.uuid4()),
        requested_at=args.requested_at or datetime.now(UTC).replace(microsecond=0),
        project=project,
        options=_options(asked),
    )
    return command, project


def _options(asked: dict[str, object]) -> ExportOptions:
    try:
        return ExportOptions.model_validate(asked)
    except ValidationError as fault:
        raise UsageError(f"the options: {first_fault(fault)}") from None


def _refuse_unknown_sections(chosen: Sequence[str], project: Project) -> None:
    ids = [section.id for section in project.sections if section.id is not None]
    unknown = [one for one in chosen if one not in set(ids)]
    if not unknown:
        return
    if not ids:
        raise UsageError("--sections: no section of this project has an id, so none can be chosen")
    raise UsageError(f"--sections: there is no {_listed(unknown)}; there are {_listed(ids)}")


def _listed(ids: Sequence[str]) -> str:
    more = len(ids) - _IDS_SHOWN
    shown = ", ".join(f'"{one_line(one)}"' for one in ids[:_IDS_SHOWN])
    return f"{shown} and {more:,} more" if more > 0 else shown
