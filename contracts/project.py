"""A project as the export service sees it: sections, sentences, and at most three assets a sentence.

The position of a sentence in the whole script is its number; a list's order is the story's order.
"""

from enum import StrEnum
from typing import Annotated, Literal, Self

from pydantic import FailFast, Field, GetCoreSchemaHandler, StringConstraints, model_validator
from pydantic_core import CoreSchema, PydanticCustomError

from contracts.base import Bytes, Contract, Crc32, ItemId, Milliseconds, ProjectId, Reference
from contracts.limits import (
    MAX_ERROR_CHARACTERS,
    MAX_ETAG_CHARACTERS,
    MAX_FRAME_RATE,
    MAX_LANGUAGE_CHARACTERS,
    MAX_SECTIONS,
    MAX_SENTENCES,
    MAX_TEXT_CHARACTERS,
    MAX_TITLE_CHARACTERS,
    MAX_WORD_CHARACTERS,
    MAX_WORD_TIMINGS,
)

Title = Annotated[str, StringConstraints(max_length=MAX_TITLE_CHARACTERS)]
Text = Annotated[str, StringConstraints(max_length=MAX_TEXT_CHARACTERS)]


class Kind(StrEnum):
    """The kinds of media a sentence may have."""

    AUDIO = "audio"
    IMAGE = "image"
    VIDEO = "video"


class Slice(Contract):
    """The part of a longer narration that belongs to one sentence."""

    start_ms: Milliseconds
    end_ms: Milliseconds
    """Later than `start_ms`."""

    @model_validator(mode="after")
    def _runs_forward(self) -> Self:
        if self.end_ms <= self.start_ms:
            raise ValueError("end_ms must be greater than start_ms")
        return self


class CompletedAsset(Contract):
    """A finished file. Only these are exported."""

    status: Literal["completed"]
    uri: Reference | None = None
    """Where the file is. May be left out only beside `slice`: then the section's `audio` is meant."""
    stale: bool = False
    """Made from an older version of the sentence; usable all the same."""
    size_bytes: Bytes | None = None
    """Of the whole file at `uri`; a difference is a warning."""
    crc32: Crc32 | None = None
    """CRC-32 of the whole file at `uri`, as a number (Python: `zlib.crc32`); a difference is a warning. With
    `size_bytes` it spares the reading where an operator trusts it (`EXPORT_TRUSTED_CHECKSUMS`)."""
    etag: Annotated[str, StringConstraints(max_length=MAX_ETAG_CHARACTERS)] | None = None
    duration_ms: Milliseconds | None = None
    slice: Slice | None = None
    """For narration: the sentence is this part of the file at `uri`, cut without re-encoding."""

    @model_validator(mode="after")
    def _can_be_found(self) -> Self:
        if self.uri is None and self.slice is None:
            raise ValueError("a completed asset needs a uri")
        return self


class PendingAsset(Contract):
    """An asset that is not there yet."""

    status: Literal["pending", "generating"]


class FailedAsset(Contract):
    """An asset whose generation failed."""

    status: Literal["failed"]
    error: Annotated[str, StringConstraints(max_length=MAX_ERROR_CHARACTERS)] | None = None


class _UnknownStatus:
    """Says which statuses there are, and does not repeat the one that came: it may be a megabyte long."""

    def __get_pydantic_core_schema__(self, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        schema = handler(source)
        message = f"status must be one of: {', '.join(schema['choices'])}"
        return {**schema, "custom_error_type": "unknown_status", "custom_error_message": message}


Asset = Annotated[CompletedAsset | PendingAsset | FailedAsset, Field(discriminator="status"), _UnknownStatus()]


class WordTiming(Contract):
    """When one word of the narration is spoken, from the start of the sentence's own narration."""

    word: Annotated[str, StringConstraints(max_length=MAX_WORD_CHARACTERS)]
    start_ms: Milliseconds
    end_ms: Milliseconds


class Sentence(Contract):
    """One sentence of the script with its media; an absent asset was never asked for and is no omission."""

    id: ItemId | None = None
    text: Text = ""
    audio: Asset | None = None
    image: Asset | None = None
    video: Asset | None = None
    word_timings: Annotated[tuple[WordTiming, ...], FailFast(), Field(max_length=MAX_WORD_TIMINGS)] = ()

    @model_validator(mode="after")
    def _only_narration_is_cut(self) -> Self:
        for kind, asset in ((Kind.IMAGE, self.image), (Kind.VIDEO, self.video)):
            if isinstance(asset, CompletedAsset) and asset.slice is not None:
                raise ValueError(f"{kind} cannot have a slice; only audio is cut")
        return self


class Section(Contract):
    """A chapter of the project."""

    id: ItemId | None = None
    title: Title = ""
    audio: Asset | None = None
    """The narration of the whole section in one file, if it was made so."""
    sentences: Annotated[tuple[Sentence, ...], FailFast(), Field(max_length=MAX_SENTENCES)] = ()

    @model_validator(mode="after")
    def _slices_have_a_file(self) -> Self:
        if isinstance(self.audio, CompletedAsset) and self.audio.slice is not None:
            raise ValueError("a section's audio is a whole file; its sentences have the slices")
        for position, sentence in enumerate(self.sentences):
            audio = sentence.audio
            if self.audio is None and isinstance(audio, CompletedAsset) and audio.uri is None:
                raise ValueError(f"sentences.{position}.audio has a slice, but neither it nor the section has a file")
        return self


class Project(Contract):
    """What is exported."""

    id: ProjectId
    name: Title = ""
    language: Annotated[str, StringConstraints(max_length=MAX_LANGUAGE_CHARACTERS)] | None = None
    """BCP 47, such as `en` or `pt-BR`."""
    frame_rate: Annotated[float, Field(gt=0, le=MAX_FRAME_RATE)] | None = None
    """Frames per second of the timelines."""
    sections: Annotated[tuple[Section, ...], FailFast(), Field(max_length=MAX_SECTIONS)]

    @model_validator(mode="before")
    @classmethod
    def _is_of_bearable_length(cls, project: object) -> object:
        """Counted before anything is built: a million sentences spread over ten sections would be a gigabyte."""
        match project:
            case {"sections": list() | tuple() as sections}:
                sentences = sum(_sentences_in(section) for section in sections)
                if sentences > MAX_SENTENCES:
                    raise PydanticCustomError(
                        "too_long", f"has {sentences:,} sentences; MAX_SENTENCES is {MAX_SENTENCES:,}"
                    )
            case _:
                pass  # the fields' own validation has better words for it
        return project


def _sentences_in(section: object) -> int:
    match section:
        case Section(sentences=sentences) | {"sentences": list() | tuple() as sentences}:
            return len(sentences)
        case _:
            return 0
