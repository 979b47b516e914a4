"""What the API takes and gives, as models; those it gives are its documentation, and tests hold the answers to them."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic_core import from_json, to_json

from contracts import (
    Archive,
    Counts,
    ErrorCode,
    ExportOptions,
    Kind,
    OmittedAsset,
    Outcome,
    Project,
    State,
    Tally,
)
from contracts.base import Bytes, Count, Moment
from contracts.limits import MAX_SENTENCES
from service.errors import Verdict


class _StrictProject(Project):
    """A project in a request. Its sentences were counted before: a look at them here would end the strictness."""

    @model_validator(mode="after")
    def _is_of_bearable_length(self) -> "_StrictProject":
        return self


class ExportRequest(BaseModel):
    """Which project, if it is not to come from where the gateway is told to get it, and how."""

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True, use_attribute_docstrings=True)

    project: _StrictProject | None = None
    """The project itself; its id must be the one in the path."""
    options: ExportOptions = ExportOptions()

    @classmethod
    def read(cls, body: bytes) -> "ExportRequest":
        """Strict, unlike messages: `1` is no `true`, and an unknown field is an error.

        Raises ValidationError, and Verdict for a project of too many sentences.
        """
        if not body:
            return cls()
        _insist_on_bearable_length(body)
        return cls.model_validate_json(body, strict=True, extra="forbid")

    def inline_project(self) -> Project | None:
        """As the contract knows it."""
        given = self.project
        return None if given is None else Project.model_construct(given.model_fields_set, **dict(given))

    def meaning(self) -> bytes:
        """Equal for requests that ask for the same."""
        return to_json(self.model_dump(mode="json", exclude_defaults=True))


def _insist_on_bearable_length(body: bytes) -> None:
    """Counted before anything is built: eight megabytes of empty sentences would be a gigabyte of models."""
    try:
        document = from_json(body)
    except ValueError:
        return  # the model has better words for it
    match document:
        case {"project": {"sections": list() as sections}} if (found := _sentences(sections)) > MAX_SENTENCES:
            detail = f"the project has {found:,} sentences; MAX_SENTENCES is {MAX_SENTENCES:,}"
            raise Verdict(ErrorCode.LIMIT_EXCEEDED, detail)
        case _:
            return


def _sentences(sections: list[Any]) -> int:
    lists = (section.get("sentences") for section in sections if isinstance(section, dict))
    return sum(len(sentences) for sentences in lists if isinstance(sentences, list))


# ---- answers


class Answer(BaseModel):
    """What every answer has in common."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)


class Links(Answer):
    """Where an export's parts are."""

    self: str
    events: str
    cancel: str
    plan: str
    thumbnails: str
    """The number of a sentence follows."""
    manifest: str | None
    download: str | None
    """Good for days without a token, for this export only; there when the export is."""


class ExportSnapshot(Answer):
    """All that is known of an export: whoever sees one needs no other."""

    export_id: str
    project_id: str | None
    project_name: str | None
    requested_at: Moment | None
    position: str
    """Larger with all that becomes known; the ETag and the id of events."""
    state: State | Literal["completed", "failed", "cancelled", "expired", "deleted"]
    percent: Annotated[int, Field(ge=0, le=100)]
    """By bytes; never falls, and is 100 only once the export is there."""
    attempt: int | None
    seq: int | None
    files: Tally | None
    bytes: Tally | None
    by_kind: dict[Kind, Tally] | None
    current: str | None
    rate_bytes_per_second: int | None
    eta_seconds: int | None
    at: Moment | None
    result: dict[str, Any] | None
    """When it is over: the body of `export.completed`, `export.failed` or `export.cancelled`."""
    links: Links


class Accepted(Answer):
    """The broker has it; some worker will carry it out."""

    export_id: str
    job_id: str
    """The same, by another name."""
    status: str
    links: Links
    ticket: str
    """For the first frame of a socket, soon."""


class History(Answer):
    """A project's exports, the newest first."""

    exports: list[ExportSnapshot]
    next: str | None
    """What `cursor` takes to go on."""


class PlannedCounts(Counts):
    """Assets of one kind."""

    size_bytes: Bytes


class PlannedFile(Answer):
    """A media file of the export."""

    name: str
    size_bytes: Bytes
    seq: int
    kind: Kind
    section: str
    text: str
    """Of the sentence, its beginning."""
    packed: bool | None
    """Whether it is in the archive; in one of changes are only those that are new or changed. Nothing where that cannot
    be told any more, since the earlier export is gone."""


class ExportPlan(Answer):
    """What an export would hold, or holds."""

    project: dict[str, str]
    """Its `id` and `name`."""
    folder: str
    outcome: Outcome
    archive: Archive
    files_total: Count
    size_bytes: Bytes
    archive_size_bytes: Bytes | None
    """As it is downloaded, whether it was written or not; nothing where files were changed since. Exactly, once the
    export is finished. Before, of more than 1,000 sentences about so much; and of changes at least so much, since a
    file that is as long as it was counts as the same until it is read."""
    archive_crc32: str | None
    """Of that ZIP, in eight hexadecimal digits; nothing before the export is finished."""
    counts: dict[Kind, PlannedCounts]
    tree: list[PlannedFile]
    """The first files, in story order."""
    tree_total: Count
    texts: list[str]
    """The names of all that lies beside the media: script, timelines, captions, indexes, manifest. `files_total` and
    `size_bytes` are of the media alone."""
    omissions: list[OmittedAsset]
    """The first ones."""
    omissions_total: Count
    warnings: list[str]


class TicketAnswer(Answer):
    """A ticket for a socket."""

    ticket: str
    expires_in: int
    """Seconds."""


class Fault(Answer):
    """One thing that is wrong with a request."""

    pointer: str
    detail: str


class ProblemDetails(Answer):
    """Every error (RFC 9457)."""

    type: str
    title: str
    status: int
    detail: str
    instance: str
    code: ErrorCode | None = None
    errors: list[Fault] = []
