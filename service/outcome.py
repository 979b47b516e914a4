"""The terminal events: what is told of an export once it is decided. Pure."""

from collections import Counter
from collections.abc import Mapping
from datetime import datetime, timedelta

from contracts import (
    ArchiveSummary,
    Counts,
    Error,
    ErrorCode,
    ExportCancelled,
    ExportCompleted,
    ExportFailed,
    FolderSummary,
    Kind,
    Layout,
    Stage,
)
from contracts.limits import MAX_OMISSIONS_IN_MESSAGE, MAX_WARNINGS_IN_MESSAGE
from service.contents import ARCHIVE_ENDINGS
from service.errors import ExportError, Trouble
from service.model import Plan
from service.references import EXPORTS
from service.segments import Written
from service.streaming_zip import ZipPlan

_TITLES = {
    ErrorCode.INVALID_MESSAGE: "The request is not valid",
    ErrorCode.UNSUPPORTED_VERSION: "The request is of a newer version",
    ErrorCode.UNSUPPORTED_OPTION: "The option is not supported",
    ErrorCode.LIMIT_EXCEEDED: "The project is too large",
    ErrorCode.CONFLICT: "The export id is taken",
    ErrorCode.PROJECT_UNAVAILABLE: "The project could not be read",
    ErrorCode.REFERENCE_REFUSED: "A file lies outside the media directory",
    ErrorCode.SOURCE_MISSING: "A finished file is missing",
    ErrorCode.SOURCE_UNREADABLE: "A finished file cannot be read",
    ErrorCode.STORAGE_UNAVAILABLE: "The storage is not there",
    ErrorCode.NO_SPACE: "There is not enough space",
    ErrorCode.IO_ERROR: "The storage does not work",
    ErrorCode.CANCELLED: "The export was cancelled",
    ErrorCode.DEADLINE_EXCEEDED: "The export made no progress for too long",
    ErrorCode.POISON: "The export failed again and again",
    ErrorCode.INTERNAL: "The export service made a mistake",
}


# Decided for this export; asked for again, another one may find the storage mended.
_MAY_PASS = {ErrorCode.STORAGE_UNAVAILABLE, ErrorCode.DEADLINE_EXCEEDED}


def completed(
    plan: Plan,
    files: Mapping[str, Written],
    archive: ZipPlan | None,
    attempt: int,
    timings: Mapping[Stage, float],
    at: datetime,
) -> ExportCompleted:
    """`files` are all files of the folder, texts included; `at` is now."""
    draft = plan.draft
    folder = FolderSummary(
        name=draft.folder,
        uri=f"{EXPORTS}:{draft.folder}",
        files=len(files),
        size_bytes=sum(written.size_bytes for written in files.values()),
    )
    retain = draft.options.retain_seconds
    return ExportCompleted(
        export_id=draft.export_id,
        project_id=draft.project.id,
        attempt=attempt,
        at=at,
        outcome=plan.outcome,
        folder=folder,
        archive=None if archive is None or plan.layout is None else _archive(draft.folder, plan.layout, archive),
        counts=_counts(plan),
        omissions=tuple(omission.as_message() for omission in plan.omissions[:MAX_OMISSIONS_IN_MESSAGE]),
        omissions_total=len(plan.omissions),
        warnings=_first_warnings(plan.warnings),
        timings_seconds={stage: round(seconds, 3) for stage, seconds in timings.items()},
        expires_at=None if retain is None else at + timedelta(seconds=retain),
    )


def _first_warnings(warnings: tuple[str, ...]) -> tuple[str, ...]:
    """As many as a message holds; what was cut off is not cut off in silence."""
    if len(warnings) <= MAX_WARNINGS_IN_MESSAGE:
        return warnings
    told = warnings[: MAX_WARNINGS_IN_MESSAGE - 1]
    more = len(warnings) - len(told)
    rest = f"and {more:,} more, which manifest.json lists: MAX_WARNINGS_IN_MESSAGE is {MAX_WARNINGS_IN_MESSAGE:,}"
    return (*told, rest)


def _archive(folder: str, layout: Layout, archive: ZipPlan) -> ArchiveSummary:
    name = f"{folder}{ARCHIVE_ENDINGS[layout]}"
    return ArchiveSummary(
        name=name,
        uri=f"{EXPORTS}:{name}",
        layout=layout,
        size_bytes=archive.size_bytes,
        crc32=archive.crc32,
        etag=archive.etag,
        entries=archive.entries,
    )


def _counts(plan: Plan) -> dict[Kind, Counts]:
    exported = Counter(copy.spot.kind for copy in plan.copies)
    omitted = Counter(omission.spot.kind for omission in plan.omissions)
    return {kind: Counts(exported=exported[kind], omitted=omitted[kind]) for kind in Kind}


def failed(
    export_id: str, project_id: str | None, attempt: int, reason: ExportError, stage: Stage, at: datetime
) -> ExportFailed | ExportCancelled:
    """What is told of an export without a result."""
    kind = ExportCancelled if reason.code is ErrorCode.CANCELLED else ExportFailed
    return kind(export_id=export_id, project_id=project_id, attempt=attempt, at=at, error=error_of(reason, stage))


def error_of(reason: ExportError, stage: Stage) -> Error:
    return Error(
        code=reason.code,
        title=_TITLES[reason.code],
        detail=reason.detail,
        stage=stage,
        retryable=isinstance(reason, Trouble) or reason.code in _MAY_PASS,
    )
