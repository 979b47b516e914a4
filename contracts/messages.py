"""The messages on the exchange `export.events`; a message's type is its routing key.

Commands that the service obeys: `export.start`, `export.cancel`, `export.delete`. Events that it announces:
`export.progress`, then one of `export.completed`, `export.failed`, `export.cancelled`, once and for good.
"""

import re
from enum import StrEnum
from typing import Annotated, ClassVar, Literal, Self

from pydantic import AfterValidator, FailFast, Field, StringConstraints, model_validator

from contracts.base import Bytes, Contract, Count, Crc32, ExportId, ItemId, Moment, ProjectId, Reference
from contracts.codes import ErrorCode, Reason, Stage
from contracts.limits import (
    MAX_CHOICES,
    MAX_MEDIA_ROOT_CHARACTERS,
    MAX_OMISSIONS_IN_MESSAGE,
    MAX_REASON_CHARACTERS,
    MAX_RETAIN_SECONDS,
    MAX_SECTIONS,
    MAX_SUBJECT_CHARACTERS,
    MAX_TENANT_CHARACTERS,
    MAX_WARNINGS_IN_MESSAGE,
)
from contracts.project import Kind, Project, Title

CONTRACT_VERSION = 1

# The last two are no characters, and no XML may hold them.
_ABSOLUTE = re.compile(r"(?:/|[A-Za-z]:[/\\]|\\\\[^/\\])[^\x00-\x1f\x7f\ufffe\uffff]*")


class Message(Contract):
    """What every message carries."""

    type: ClassVar[str]
    """The routing key."""
    version: Annotated[int, Field(ge=1)] = CONTRACT_VERSION
    """The contract's version; a worker hands back what is newer than it knows."""
    export_id: ExportId


# ---- commands --------------------------------------------------------------------------------------


class Archive(StrEnum):
    """The single file that may be made beside the folder."""

    NONE = "none"
    ZIP = "zip"
    OTIOZ = "otioz"


class Timeline(StrEnum):
    """Timelines for editors."""

    OTIO = "otio"
    FCPXML = "fcpxml"
    PREMIERE = "premiere"
    MLT = "mlt"


class Caption(StrEnum):
    """Caption files."""

    SRT = "srt"
    VTT = "vtt"


class Include(Contract):
    """What the creator chose; what is not chosen is listed as `excluded`."""

    kinds: Annotated[tuple[Kind, ...], FailFast(), Field(max_length=MAX_CHOICES)] = (Kind.AUDIO, Kind.IMAGE, Kind.VIDEO)
    sections: Annotated[tuple[ItemId, ...] | None, FailFast(), Field(max_length=MAX_SECTIONS)] = None
    """Ids of sections; nothing stands for all of them."""


def _absolute(directory: str) -> str:
    if not _ABSOLUTE.fullmatch(directory) or ".." in re.split(r"[/\\]", directory):
        raise ValueError(r"is no absolute directory such as /Volumes/NAS/exports, D:/exports or \\server\share")
    return directory


class ExportOptions(Contract):
    """How the export should be made. Every field has a default that suits most creators."""

    archive: Archive = Archive.NONE
    include: Include = Include()
    timelines: Annotated[tuple[Timeline, ...], FailFast(), Field(max_length=MAX_CHOICES)] = tuple(Timeline)
    """Files at the top of the folder that open in an editor as the assembled video."""
    captions: Annotated[tuple[Caption, ...], FailFast(), Field(max_length=MAX_CHOICES)] = tuple(Caption)
    on_missing: Literal["skip", "fail"] = "skip"
    """What to do when a finished asset has no readable file: go on and list it, or fail."""
    stale: Literal["include", "skip"] = "include"
    """What to do with assets that were made from an older version of their sentence."""
    gaps: Literal["hold", "close"] = "hold"
    """In timelines: keep the time of sentences that have nothing yet, or close up."""
    retain_seconds: Annotated[int, Field(ge=60, le=MAX_RETAIN_SECONDS)] | None = None
    """How long the finished export is kept; nothing stands for ever."""
    media_root: (
        Annotated[str, StringConstraints(max_length=MAX_MEDIA_ROOT_CHARACTERS), AfterValidator(_absolute)] | None
    ) = None
    """In timelines: the directory under which an editing team mounts the exports root, as `/Volumes/NAS/exports`,
    `D:/exports` or `\\\\server\\share`. Without it references are relative, and the folder may be moved about."""
    since: ExportId | None = None
    """An earlier export of the same project: a ZIP then holds all texts, and of the media only what is new or changed
    since; it is to be unpacked over that one's folder. Where that cannot be (a file has another name now), it holds
    everything, with a warning."""

    @model_validator(mode="after")
    def _changes_are_a_zip(self) -> Self:
        if self.since is not None and self.archive is not Archive.ZIP:
            raise ValueError('since is of an archive: it needs archive "zip"')
        return self


class Requester(Contract):
    """Who asked, as far as the asking service knows. Never decides what the export contains."""

    tenant: Annotated[str, StringConstraints(max_length=MAX_TENANT_CHARACTERS)] | None = None
    subject: Annotated[str, StringConstraints(max_length=MAX_SUBJECT_CHARACTERS)] | None = None


class ProjectRef(Contract):
    """Where a project is that is too large for a message (above 256 KB of JSON)."""

    uri: Reference
    sha256: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
    """Of the bytes at `uri`."""


class ExportStart(Message):
    """Export a project. The same `export_id` with the same content, however often, is one export."""

    type: ClassVar[str] = "export.start"
    requested_at: Moment
    """Names the folder and dates every file in it. On a repeat the first one holds."""
    requested_by: Requester | None = None
    project: Project | None = None
    project_ref: ProjectRef | None = None
    """Exactly one of `project` and `project_ref` is given."""
    options: ExportOptions = ExportOptions()

    @model_validator(mode="after")
    def _has_one_project(self) -> Self:
        if (self.project is None) == (self.project_ref is None):
            raise ValueError("exactly one of project and project_ref must be given")
        return self


class ExportCancel(Message):
    """Stop an export; obeyed until its result is decided."""

    type: ClassVar[str] = "export.cancel"
    requested_by: Requester | None = None
    reason: Annotated[str, StringConstraints(max_length=MAX_REASON_CHARACTERS)] = ""


class ExportDelete(Message):
    """Remove a finished export, or cancel an unfinished one."""

    type: ClassVar[str] = "export.delete"
    requested_by: Requester | None = None
    reason: Annotated[str, StringConstraints(max_length=MAX_REASON_CHARACTERS)] = ""


# ---- events ----------------------------------------------------------------------------------------


class State(StrEnum):
    """Where an unfinished export is."""

    QUEUED = "queued"
    PLANNING = "planning"
    COPYING = "copying"
    PACKING = "packing"
    VERIFYING = "verifying"
    PUBLISHING = "publishing"
    CANCELLING = "cancelling"


class Tally(Contract):
    """So much of so much, in files or in bytes."""

    done: Count
    total: Count


class ExportProgress(Message):
    """A full snapshot: whoever sees one needs no other. The largest `(attempt, seq)` is the newest."""

    type: ClassVar[str] = "export.progress"
    project_id: ProjectId
    attempt: Annotated[int, Field(ge=1)]
    seq: Annotated[int, Field(ge=1)]
    """Counts up from 1 in each attempt."""
    state: State
    percent: Annotated[int, Field(ge=0, le=100)]
    """By bytes, rounded down; never falls, and is 100 only once the export is there."""
    files: Tally
    bytes: Tally
    by_kind: dict[Kind, Tally]
    """Files of each kind."""
    current: str | None = None
    """A file that is being copied."""
    rate_bytes_per_second: Count = 0
    eta_seconds: Count | None = None
    at: Moment


class Outcome(StrEnum):
    """How whole a completed export is."""

    COMPLETE = "complete"
    """Every asset of the project was exported (or left out by the creator's own choice)."""
    PARTIAL = "partial"
    """Some assets are listed as omissions."""
    EMPTY = "empty"
    """No asset could be exported; the script is there."""


class OmittedAsset(Contract):
    """An asset that is not among the files, and why."""

    seq: Annotated[int, Field(ge=1)]
    """The sentence's number in the whole script."""
    kind: Kind
    reason: Reason
    section_id: str | None = None
    sentence_id: str | None = None
    detail: str | None = None
    """Of what failed or cannot be read, why; of what is missing, its `uri`; of what is in a narration, which one."""


class FolderSummary(Contract):
    """The exported folder."""

    name: str
    uri: str
    files: Count
    """All files in it, texts included."""
    size_bytes: Bytes


class Layout(StrEnum):
    """What is in an archive, and how."""

    FOLDER = "folder"
    """The whole folder, as the single thing at its top."""
    CHANGES = "changes"
    """All texts, and of the media what is new or changed since an earlier export; to be unpacked over its folder."""
    OTIOZ = "otioz"
    """A timeline with its media, as OpenTimelineIO bundles them."""


class ArchiveSummary(Contract):
    """The exported archive."""

    name: str
    uri: str
    layout: Layout = Layout.FOLDER
    size_bytes: Bytes
    crc32: Crc32
    """Of the archive's own bytes."""
    etag: str
    """A strong validator: equal for equal bytes, whoever wrote them."""
    entries: Count


class Counts(Contract):
    """Assets of one kind."""

    exported: Count
    omitted: Count


class Finished(Message):
    """What the three terminal events have in common."""

    project_id: ProjectId | None = None
    """Nothing where it was never known: the message did not say it, or was over before its project was read."""
    attempt: Annotated[int, Field(ge=0)]
    """0: decided without an attempt, such as an invalid message."""
    at: Moment
    """When it was decided."""


class ExportCompleted(Finished):
    """The export is there, whole, under its final name."""

    type: ClassVar[str] = "export.completed"
    project_id: ProjectId
    outcome: Outcome
    folder: FolderSummary
    archive: ArchiveSummary | None = None
    counts: dict[Kind, Counts]
    omissions: Annotated[tuple[OmittedAsset, ...], FailFast(), Field(max_length=MAX_OMISSIONS_IN_MESSAGE)] = ()
    """The first ones in story order; `manifest.json` has all of them."""
    omissions_total: Count = 0
    warnings: Annotated[tuple[str, ...], FailFast(), Field(max_length=MAX_WARNINGS_IN_MESSAGE)] = ()
    timings_seconds: dict[Stage, Annotated[float, Field(ge=0)]]
    """Of the deciding attempt."""
    expires_at: Moment | None = None


class Error(Contract):
    """What went wrong, for a machine (`code`) and for a person (`title`, `detail`)."""

    code: ErrorCode
    title: Title
    detail: str
    stage: Stage
    retryable: bool
    """Asking again with a new `export_id` may succeed without changing anything."""


class ExportFailed(Finished):
    """There will be no result under this `export_id`."""

    type: ClassVar[str] = "export.failed"
    error: Error


class ExportCancelled(Finished):
    """Stopped as asked; nothing of it is visible."""

    type: ClassVar[str] = "export.cancelled"
    error: Error


Terminal = ExportCompleted | ExportFailed | ExportCancelled

MESSAGES: dict[str, type[Message]] = {
    message.type: message
    for message in (
        ExportStart,
        ExportCancel,
        ExportDelete,
        ExportProgress,
        ExportCompleted,
        ExportFailed,
        ExportCancelled,
    )
}
"""Every message by its routing key."""
