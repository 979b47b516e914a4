"""Golden examples of everything on the wire, by the file they are committed as. Pure: no clock, no disk.

Consumers and publishers may test against the files in `examples/`; they are generated from here.
"""

import hashlib
from datetime import UTC, datetime
from itertools import count

from contracts.base import Contract
from contracts.codes import ErrorCode, Reason, Stage
from contracts.limits import MAX_OMISSIONS_IN_MESSAGE
from contracts.messages import (
    MESSAGES,
    Archive,
    ArchiveSummary,
    Caption,
    Counts,
    Error,
    ExportCancel,
    ExportCancelled,
    ExportCompleted,
    ExportDelete,
    ExportFailed,
    ExportOptions,
    ExportProgress,
    ExportStart,
    FolderSummary,
    Include,
    OmittedAsset,
    Outcome,
    ProjectRef,
    Requester,
    State,
    Tally,
    Timeline,
)
from contracts.project import (
    CompletedAsset,
    FailedAsset,
    Kind,
    PendingAsset,
    Project,
    Section,
    Sentence,
    Slice,
    WordTiming,
)

MODELS: dict[str, type[Contract]] = {"project": Project, **MESSAGES}
"""What has a schema and examples; all but `project` is a message under that routing key."""

INBOUND: tuple[type[Contract], ...] = (Project, ExportStart, ExportCancel, ExportDelete)
"""What others write and the service reads; the rest is the other way round."""


def golden_examples() -> dict[str, Contract]:
    """Examples by `{message type}/v{version}/{case}`."""
    return {**_projects(), **_commands(), **_progress(), **_completed(), **_ended()}


def as_written(example: Contract) -> str:
    """As JSON: of what others send only what was set, of what the service sends every field."""
    return example.model_dump_json(indent=2, exclude_unset=isinstance(example, INBOUND)) + "\n"


_EXPORT = "0190a5f2-7c1e-7e63-9d0a-3b5f4c8e2a11"
_PROJECT = "ocean-documentary"
_FOLDER = "export_ocean-documentary_20250314T092653Z"
_REQUESTED = datetime(2025, 3, 14, 9, 26, 53, tzinfo=UTC)
_DECIDED = datetime(2025, 3, 14, 9, 27, 31, 250_000, tzinfo=UTC)
_EXPIRES = datetime(2025, 3, 21, 9, 27, 31, 250_000, tzinfo=UTC)
_REQUESTER = Requester(tenant="acme", subject="user-17")


# ---- what others send ------------------------------------------------------------------------------


def _projects() -> dict[str, Contract]:
    return {
        "project/v1/minimal": _smallest_project(),
        "project/v1/full": _full_project(),
        "project/v1/slices_without_uri": _sliced_project(),
    }


def _smallest_project() -> Project:
    return Project(
        id=_PROJECT,
        sections=(Section(sentences=(Sentence(audio=CompletedAsset(status="completed", uri="ocean/audio/0.wav")),)),),
    )


def _full_project() -> Project:
    """Every field, every status, and titles that are not ASCII."""
    return Project(
        id=_PROJECT,
        name="Das Meer: 海の物語",
        language="de",
        frame_rate=29.97,
        sections=(
            Section(
                id="section-1",
                title="Überblick: 第一章 🌊",
                audio=CompletedAsset(status="completed", uri="file:///media/ocean/section-1.wav", duration_ms=8_400),
                sentences=(_sentence_with_everything(), _unfinished_sentence()),
            ),
            Section(id="section-2", title="مقدمة", sentences=(Sentence(id="s-3", text="Nur Text."),)),
            Section(id="section-3", title="", sentences=()),
        ),
    )


def _sentence_with_everything() -> Sentence:
    return Sentence(
        id="s-1",
        text="Das Meer ist tief.",
        audio=CompletedAsset(
            status="completed",
            uri="file:///media/ocean/section-1.wav",
            duration_ms=8_400,
            slice=Slice(start_ms=0, end_ms=2_150),
        ),
        image=CompletedAsset(
            status="completed",
            uri="asset:ocean/images/1.png",
            stale=True,
            size_bytes=1_482_113,
            crc32=3_632_233_996,
            etag="9a0364b9e99bb480dd25e1f0284c8555",
        ),
        video=CompletedAsset(status="completed", uri="ocean/video/1.mp4", stale=False, duration_ms=2_150),
        word_timings=(
            WordTiming(word="Das", start_ms=0, end_ms=310),
            WordTiming(word="Meer", start_ms=310, end_ms=900),
        ),
    )


def _unfinished_sentence() -> Sentence:
    return Sentence(
        id="s-2",
        text="Niemand kennt es ganz.",
        audio=PendingAsset(status="pending"),
        image=PendingAsset(status="generating"),
        video=FailedAsset(status="failed", error="the model refused the prompt"),
    )


def _sliced_project() -> Project:
    """The narration is one file a section; each sentence says only which part of it is its own."""
    return Project(
        id=_PROJECT,
        sections=(
            Section(
                title="The deep",
                audio=CompletedAsset(status="completed", uri="ocean/audio/section-1.wav"),
                sentences=tuple(
                    Sentence(text=text, audio=CompletedAsset(status="completed", slice=Slice(start_ms=a, end_ms=b)))
                    for text, a, b in (("It is dark.", 0, 1_900), ("It is cold.", 1_900, 3_640))
                ),
            ),
        ),
    )


def _commands() -> dict[str, Contract]:
    project_bytes = as_written(_full_project()).encode()
    return {
        "export.start/v1/minimal": ExportStart(export_id=_EXPORT, requested_at=_REQUESTED, project=_smallest_project()),
        "export.start/v1/full": ExportStart(
            version=1,
            export_id=_EXPORT,
            requested_at=_REQUESTED,
            requested_by=_REQUESTER,
            project=_full_project(),
            options=_every_option(),
        ),
        "export.start/v1/project_ref": ExportStart(
            export_id=_EXPORT,
            requested_at=_REQUESTED,
            project_ref=ProjectRef(
                uri="asset:projects/ocean-documentary.json", sha256=hashlib.sha256(project_bytes).hexdigest()
            ),
        ),
        "export.start/v1/archive_none": _start_with(ExportOptions(archive=Archive.NONE)),
        "export.start/v1/archive_zip": _start_with(ExportOptions(archive=Archive.ZIP)),
        "export.start/v1/archive_otioz": _start_with(ExportOptions(archive=Archive.OTIOZ)),
        "export.start/v1/media_only": _start_with(ExportOptions(timelines=(), captions=())),
        "export.start/v1/fail_rather_than_skip": _start_with(
            ExportOptions(on_missing="fail", stale="include", gaps="hold")
        ),
        "export.cancel/v1/minimal": ExportCancel(export_id=_EXPORT),
        "export.cancel/v1/full": ExportCancel(
            version=1, export_id=_EXPORT, requested_by=_REQUESTER, reason="Zu früh gestartet."
        ),
        "export.delete/v1/minimal": ExportDelete(export_id=_EXPORT),
        "export.delete/v1/full": ExportDelete(
            version=1, export_id=_EXPORT, requested_by=_REQUESTER, reason="The project was deleted."
        ),
    }


def _start_with(options: ExportOptions) -> ExportStart:
    return ExportStart(export_id=_EXPORT, requested_at=_REQUESTED, project=_smallest_project(), options=options)


def _every_option() -> ExportOptions:
    return ExportOptions(
        archive=Archive.ZIP,
        include=Include(kinds=tuple(Kind), sections=("section-1", "section-2")),
        timelines=tuple(Timeline),
        captions=tuple(Caption),
        on_missing="skip",
        stale="skip",
        gaps="close",
        retain_seconds=604_800,
        media_root="/Volumes/Edit/Exports",
        since="0190a5f2-0000-7000-8000-000000000001",
    )


# ---- what the service sends ------------------------------------------------------------------------


def _progress() -> dict[str, Contract]:
    """One of each state; `queued` is the smallest there is, `copying` has every field."""
    nothing = Tally(done=0, total=0)
    smallest = ExportProgress(
        export_id=_EXPORT,
        project_id=_PROJECT,
        attempt=1,
        seq=1,
        state=State.QUEUED,
        percent=0,
        files=nothing,
        bytes=nothing,
        by_kind={},
        at=_REQUESTED,
    )
    largest = ExportProgress(
        export_id=_EXPORT,
        project_id=_PROJECT,
        attempt=2,
        seq=17,
        state=State.COPYING,
        percent=43,
        files=Tally(done=5, total=12),
        bytes=Tally(done=4_294_967_296, total=9_876_543_210),
        by_kind={
            Kind.AUDIO: Tally(done=4, total=4),
            Kind.IMAGE: Tally(done=1, total=4),
            Kind.VIDEO: Tally(done=0, total=4),
        },
        current="images/002_uberblick-di-yi-zhang_image.png",
        rate_bytes_per_second=734_003_200,
        eta_seconds=8,
        at=_DECIDED,
    )
    seen = {State.QUEUED: smallest, State.COPYING: largest}
    later = count(largest.seq + 1)
    return {
        f"export.progress/v1/{state}": seen.get(state)
        or largest.model_copy(update={"state": state, "seq": next(later), "current": None})
        for state in State
    }


def _completed() -> dict[str, Contract]:
    return {
        "export.completed/v1/complete_without_archive": _smallest_result(Outcome.COMPLETE),
        "export.completed/v1/empty": _smallest_result(Outcome.EMPTY, *_omissions(Reason.PENDING)),
        "export.completed/v1/partial_with_every_reason": _full_result(_omissions(*Reason)),
        "export.completed/v1/partial_with_more_omissions_than_listed": _smallest_result(
            Outcome.PARTIAL, *_omissions(*[Reason.GENERATING] * (MAX_OMISSIONS_IN_MESSAGE + 140))
        ),
    }


def _smallest_result(outcome: Outcome, *omissions: OmittedAsset) -> ExportCompleted:
    exported = 0 if outcome is Outcome.EMPTY else 1
    return ExportCompleted(
        export_id=_EXPORT,
        project_id=_PROJECT,
        attempt=1,
        at=_DECIDED,
        outcome=outcome,
        folder=FolderSummary(name=_FOLDER, uri=f"exports:{_FOLDER}", files=exported + 3, size_bytes=310_532),
        counts={
            kind: Counts(
                exported=exported if kind is Kind.AUDIO else 0,
                omitted=sum(omission.kind is kind for omission in omissions),
            )
            for kind in Kind
        },
        omissions=omissions[:MAX_OMISSIONS_IN_MESSAGE],
        omissions_total=len(omissions),
        timings_seconds={Stage.PLANNING: 0.004, Stage.COPYING: 0.021, Stage.PUBLISHING: 0.009},
    )


def _full_result(omissions: tuple[OmittedAsset, ...]) -> ExportCompleted:
    return ExportCompleted(
        export_id=_EXPORT,
        project_id=_PROJECT,
        attempt=2,
        at=_DECIDED,
        outcome=Outcome.PARTIAL,
        folder=FolderSummary(name=_FOLDER, uri=f"exports:{_FOLDER}", files=15, size_bytes=9_876_612_880),
        archive=ArchiveSummary(
            name=f"{_FOLDER}.zip",
            uri=f"exports:{_FOLDER}.zip",
            size_bytes=9_876_630_016,
            crc32=3_421_780_262,
            etag="5d41402abc4b2a76b9719d911017c592",
            entries=19,
        ),
        counts={
            kind: Counts(exported=4, omitted=sum(omission.kind is kind for omission in omissions)) for kind in Kind
        },
        omissions=omissions,
        omissions_total=len(omissions),
        warnings=("003_uberblick_audio.wav is 40 ms shorter than its words", "第二章: no frame rate given; 30 is used"),
        timings_seconds={stage: 1.25 * number for number, stage in enumerate(Stage)},
        expires_at=_EXPIRES,
    )


def _omissions(*reasons: Reason) -> tuple[OmittedAsset, ...]:
    """One of each reason, in story order; the narration is what may be inside a section's file."""
    return tuple(
        OmittedAsset(
            seq=seq,
            kind=Kind.AUDIO if reason is Reason.IN_SECTION_AUDIO else Kind.VIDEO,
            reason=reason,
            section_id="section-1",
            sentence_id=f"s-{seq}",
            detail="the model refused the prompt" if reason is Reason.FAILED else None,
        )
        for seq, reason in enumerate(reasons, start=1)
    )


def _ended() -> dict[str, Contract]:
    """One of each error code, none of them followed by anything."""
    events: dict[str, Contract] = {
        f"export.failed/v1/{code}": ExportFailed(
            export_id=_EXPORT,
            project_id=_PROJECT,
            attempt=0 if stage is Stage.ACCEPTING else 1,
            at=_DECIDED,
            error=Error(code=code, title=title, detail=detail, stage=stage, retryable=code in _RETRYABLE),
        )
        for code, title, detail, stage in _ERRORS
    }
    events["export.failed/v1/without_a_project_id"] = ExportFailed(
        export_id=_EXPORT,
        attempt=0,
        at=_DECIDED,
        error=Error(
            code=ErrorCode.INVALID_MESSAGE,
            title="The request is not valid",
            detail="project: not an object",
            stage=Stage.ACCEPTING,
            retryable=False,
        ),
    )
    events["export.cancelled/v1/while_copying"] = ExportCancelled(
        export_id=_EXPORT,
        project_id=_PROJECT,
        attempt=1,
        at=_DECIDED,
        error=Error(
            code=ErrorCode.CANCELLED,
            title="The export was cancelled",
            detail="Zu früh gestartet.",
            stage=Stage.COPYING,
            retryable=False,
        ),
    )
    return events


_ERRORS = (
    (ErrorCode.INVALID_MESSAGE, "The request is not valid", "project.sections.0.title: not a string", Stage.ACCEPTING),
    (ErrorCode.UNSUPPORTED_VERSION, "The request is of a newer version", "version 2; 1 is known", Stage.ACCEPTING),
    (ErrorCode.UNSUPPORTED_OPTION, "The option is not supported", "options.archive: otioz", Stage.ACCEPTING),
    (ErrorCode.LIMIT_EXCEEDED, "The project is too large", "100001 sentences; the limit is 100000", Stage.ACCEPTING),
    (ErrorCode.PROJECT_UNAVAILABLE, "The project could not be read", "its SHA-256 differs", Stage.ACCEPTING),
    (ErrorCode.REFERENCE_REFUSED, "A file lies outside the media directory", "sentence 3: ../hosts", Stage.PLANNING),
    (ErrorCode.SOURCE_MISSING, "A finished file is missing", "sentence 1: ocean/video/1.mp4", Stage.PLANNING),
    (ErrorCode.SOURCE_UNREADABLE, "A finished file cannot be read", "sentence 1: ocean/video/1.mp4", Stage.COPYING),
    (ErrorCode.STORAGE_UNAVAILABLE, "The storage is not there", "none of 12 files is in it", Stage.PLANNING),
    (ErrorCode.DEADLINE_EXCEEDED, "The export made no progress for too long", "no file for a day", Stage.COPYING),
    (ErrorCode.POISON, "The export failed again and again", "five workers died", Stage.VERIFYING),
    (ErrorCode.INTERNAL, "The export service made a mistake", "unexpected on two workers", Stage.PUBLISHING),
)
_RETRYABLE = {ErrorCode.STORAGE_UNAVAILABLE, ErrorCode.DEADLINE_EXCEEDED}
