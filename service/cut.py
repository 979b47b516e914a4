"""The assembled story: every file at its place in whole frames. Pure; one rounding rule, used by every timeline."""

from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction

from service.model import Copy


class Track(StrEnum):
    """From the bottom of the picture up, then the sound."""

    STILLS = "Stills"
    MOTION = "Motion"
    NARRATION = "Narration"
    CLIP_SOUND = "Clip sound"


@dataclass(frozen=True, slots=True)
class Clip:
    """A file on a track; it begins with its own first frame."""

    track: Track
    copy: Copy
    start: int
    """Frame of the timeline at which it begins."""
    frames: int
    """For how long; never longer than the file is."""
    media_frames: int | None
    """Whole frames that the file has; none for a still."""


@dataclass(frozen=True, slots=True)
class Slot:
    """The time of one sentence, or of a section's narration that could not be cut."""

    seq: int
    section: int
    in_section: int | None
    start: int
    frames: int
    note: str | None
    """Why something of it is not there: becomes a red marker. None where all is as it should be."""


@dataclass(frozen=True, slots=True)
class Chapter:
    """A section, as long as its slots are."""

    title: str
    """On one line; never empty."""
    start: int
    frames: int


@dataclass(frozen=True, slots=True)
class Cut:
    """The whole timeline."""

    rate: Fraction
    """Frames per second."""
    width: int
    height: int
    slots: tuple[Slot, ...]
    chapters: tuple[Chapter, ...]
    clips: tuple[Clip, ...]
    """By track, then by time; on one track they never overlap."""

    @property
    def frames(self) -> int:
        return self.slots[-1].start + self.slots[-1].frames if self.slots else 0

    def seconds(self, frame: int) -> Fraction:
        """When that frame is shown."""
        return frame / self.rate
