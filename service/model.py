"""What an export is made of, as values: drafts, facts, plans, copies, omissions. Pure."""

import hashlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import NamedTuple

from contracts import ExportOptions, Kind, Layout, OmittedAsset, Outcome, Project, Reason
from service.media import UNKNOWN, Media
from service.references import Source
from service.segments import Extent, Segment, Version, Written, total
from service.wav import Wav

FOLDERS: dict[Kind, str] = {Kind.AUDIO: "audio", Kind.IMAGE: "images", Kind.VIDEO: "videos"}
"""The folder of each kind; all three exist in every export. Also the order of kinds in an archive."""


@dataclass(frozen=True, slots=True)
class Spot:
    """Where in the story an asset belongs: its sentence, or (`sentence_id` and `in_section` unset) its section."""

    seq: int
    """The sentence's number in the whole script, from 1; for a narration its first sentence's."""
    kind: Kind
    section: int
    """Position of the section in the project, from 0."""
    section_id: str | None
    sentence_id: str | None
    in_section: int | None
    """Position of the sentence in its section, from 0; none for the section's own narration."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """A finished asset that belongs into the export if its file is there."""

    spot: Spot
    uri: str
    slice_ms: tuple[int, int] | None = None
    size_bytes: int | None = None
    """Of the file at `uri`, as the project says; compared, never trusted."""
    crc32: int | None = None
    is_stale: bool = False
    """Made from an older text, as the project says."""


@dataclass(frozen=True, slots=True)
class Omission:
    """An asset that is not exported as a file of its own, and why."""

    spot: Spot
    reason: Reason
    detail: str | None = None
    told_in: str | None = None
    """The name of the narration that has it, of the reason `in_section_audio`."""

    def as_message(self) -> OmittedAsset:
        return OmittedAsset(
            seq=self.spot.seq,
            kind=self.spot.kind,
            reason=self.reason,
            section_id=self.spot.section_id,
            sentence_id=self.spot.sentence_id,
            detail=self.detail,
        )


@dataclass(frozen=True, slots=True)
class Earlier:
    """An export that was made before, as its manifest has it."""

    folder: str
    files: Mapping[str, Written] = field(repr=False)
    """Media and texts, by their names in the folder; the manifest is none of them."""


@dataclass(frozen=True, slots=True)
class Draft:
    """What the command alone says: what is wanted, and what is left out by its status or by choice."""

    export_id: str
    project: Project
    requested_at: datetime
    options: ExportOptions
    folder: str
    wanted: tuple[Wanted, ...]
    omissions: tuple[Omission, ...]
    slugs: tuple[str, ...]
    """One a section."""
    narration_slugs: tuple[str, ...]
    """One a section: what stands for its slug in the name of its own narration, unlike every other's."""
    first_numbers: tuple[int, ...]
    """Of each section's first sentence; one more than there are sections."""
    width: int
    """Digits of a sequence number."""
    tenant: str | None = None
    """For whom it is made; decides nothing but which files a project may name."""
    earlier: Earlier | str | None = None
    """The one that an archive of changes is to be unpacked over, or why there can be none; None if nobody asked."""


class Found(NamedTuple):
    """The file is there."""

    source: Source
    version: Version
    wav: Wav | str | None = None
    """Of a narration to be cut: how, or why it cannot be."""
    crc32: int | None = None
    """Of the whole file, where it is known without reading it."""
    media: Media = UNKNOWN
    """What its bytes say of it."""


class Missing(NamedTuple):
    """No such file."""


class Unreadable(NamedTuple):
    """It is there, but cannot be read."""

    detail: str


Fact = Found | Missing | Unreadable
Facts = Mapping[str, Fact]
"""By the asset's uri."""


@dataclass(frozen=True, slots=True)
class Copy:
    """One media file of the export, and the bytes it consists of."""

    spot: Spot
    name: str
    """Relative to the folder: `audio/003_introduction_audio.wav`."""
    uri: str
    segments: tuple[Segment, ...]
    declared_crc32: int | None = None
    media: Media = UNKNOWN
    is_stale: bool = False
    """Made from an older text, and to be exported all the same."""

    @property
    def size_bytes(self) -> int:
        return total(self.segments)

    @property
    def identity(self) -> str:
        """Equal if and only if the same bytes of the same version of the same source are meant."""
        digest = hashlib.sha256()
        for segment in self.segments:
            digest.update(repr(segment).encode())
        return digest.hexdigest()[:32]

    @property
    def sources(self) -> tuple[Extent, ...]:
        return tuple(segment for segment in self.segments if isinstance(segment, Extent))


# `excluded`, `stale` and `in_section_audio` are the creator's choice or are in the export in another form.
_MAKES_PARTIAL = {Reason.PENDING, Reason.GENERATING, Reason.FAILED, Reason.MISSING, Reason.UNREADABLE}


@dataclass(frozen=True)
class Plan:
    """The final list of what an export holds; carrying it out needs no more decisions."""

    draft: Draft
    copies: tuple[Copy, ...]
    omissions: tuple[Omission, ...]
    """Both in story order."""
    warnings: tuple[str, ...]
    layout: Layout | None = None
    """Of the archive, if one is to be made."""

    @cached_property
    def size_bytes(self) -> int:
        """Of all media."""
        return sum(copy.size_bytes for copy in self.copies)

    @property
    def outcome(self) -> Outcome:
        if not self.copies:
            return Outcome.EMPTY
        partial = any(omission.reason in _MAKES_PARTIAL for omission in self.omissions)
        return Outcome.PARTIAL if partial else Outcome.COMPLETE

    def without(self, done: Collection[str]) -> tuple[Copy, ...]:
        """The copies whose names are not in `done`."""
        return tuple(copy for copy in self.copies if copy.name not in done)
