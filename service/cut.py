"""The assembled story: every file at its place in whole frames. Pure; one rounding rule, used by every timeline.

A sentence lasts as long as its narration, rounded up to a whole frame; a clip never longer than its file, rounded down.
So nothing drifts and nothing overlaps; what is left of the last frame is a gap.
"""

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction
from itertools import groupby, pairwise
from math import ceil, floor

from contracts import Kind, Project, Reason
from service.format import format_of
from service.graphemes import columns
from service.model import Copy, Omission, Plan
from service.naming import one_line
from service.story import Line, Passage, declared_seconds, passages_of, seconds_of

HOLD_SECONDS = 4
"""For what nobody knows the length of: a sentence without narration and film, or one that is still to be told."""

BREATH_SECONDS = Fraction(1, 2)
"""Shorter than that is no sentence of a section's narration, but the breath between two others."""


class Track(StrEnum):
    """From the bottom of the picture up, then the sound."""

    STILLS = "Stills"
    MOTION = "Motion"
    NARRATION = "Narration"
    CLIP_SOUND = "Clip sound"


@dataclass(frozen=True, slots=True)
class Clip:
    """A file on a track."""

    track: Track
    copy: Copy
    start: int
    """Frame of the timeline at which it begins."""
    frames: int
    """For how long; never longer than the file is."""
    media_frames: int | None
    """Whole frames that the file has; none for a still, and where nobody knows."""
    offset: int = 0
    """Frames into the file at which it begins: more than none only in a section's narration that others used too."""


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


def make_cut(plan: Plan) -> Cut:
    """The plan's files in story order. Narration rules: a picture lasts as long as it does, a film is trimmed to it."""
    form = format_of(plan.draft.project, plan.copies)
    laying = _Laying(plan, form.rate)
    for passage in passages_of(plan):
        laying.lay(passage)
    chapters = _chapters(plan.draft.project, laying.slots)
    clips = [clip for track in Track for clip in laying.tracks[track]]
    return Cut(form.rate, form.width, form.height, tuple(laying.slots), tuple(chapters), tuple(clips))


class _Laying:
    """The slots and clips so far."""

    def __init__(self, plan: Plan, rate: Fraction) -> None:
        self.rate = rate
        self.closes_gaps = plan.draft.options.gaps == "close"
        self.stills = _by_sentence(plan, Kind.IMAGE)
        self.films = _by_sentence(plan, Kind.VIDEO)
        self.missing = _missing(plan.omissions)
        self.at = 0
        self.slots: list[Slot] = []
        self.tracks: dict[Track, list[Clip]] = defaultdict(list)

    def lay(self, passage: Passage) -> None:
        if self.closes_gaps and passage.narration is None and not self._pictures(passage.lines[0]):
            return
        lengths = self._lengths(passage)
        if passage.narration is not None:
            self._clip(Track.NARRATION, passage.narration, sum(lengths), passage)
        for line, frames in zip(passage.lines, lengths, strict=True):
            self._show(line, frames)
            note = "; ".join(self._notes(line, passage)) or None
            self.slots.append(Slot(line.seq, line.section, line.in_section, self.at, frames, note))
            self.at += frames

    def _show(self, line: Line, frames: int) -> None:
        still, film = self._still(line), self._film(line)
        if still is not None:
            self.tracks[Track.STILLS].append(Clip(Track.STILLS, still, self.at, frames, None))
        if film is not None:
            self._clip(Track.MOTION, film, frames)
            if film.media.sound is not None:
                self._clip(Track.CLIP_SOUND, film, frames)

    def _clip(self, track: Track, copy: Copy, room: int, passage: Passage | None = None) -> None:
        """As much of the file as there is, and as there is room for; what is shorter than a frame cannot be shown."""
        seconds, until = copy.media.duration, passage.end if passage else None
        media_frames = None if seconds is None else floor(seconds * self.rate)
        offset = floor(passage.begin * self.rate) if passage else 0
        stops = [
            stop for stop in (media_frames, None if until is None else floor(until * self.rate)) if stop is not None
        ]
        frames = min([room, *(stop - offset for stop in stops)])
        if frames > 0:
            self.tracks[track].append(Clip(track, copy, self.at, frames, media_frames, offset))

    # ---- how long

    def _lengths(self, passage: Passage) -> list[int]:
        """Frames of each line, at least one."""
        if passage.narration is None or passage.end is None:
            return [self._unspoken(line) for line in passage.lines]
        frames = ceil((passage.end - passage.begin) * self.rate)
        shares = _shares(frames, [*map(_weight, passage.lines)], passage.starts, self.rate)
        if _is_breath(passage, passage.end - passage.begin):
            return [max(share, self._unspoken(line)) for share, line in zip(shares, passage.lines, strict=True)]
        return shares

    def _unspoken(self, line: Line) -> int:
        return max(1, ceil((self._known_seconds(line) or HOLD_SECONDS) * self.rate))

    def _known_seconds(self, line: Line) -> Fraction | None:
        """As long as its narration is said to be, else as its film is."""
        film = self._film(line)
        of_film = seconds_of(film, line.sentence.video) if film and line.sentence else None
        return declared_seconds(line.audio) or of_film

    # ---- what is there

    def _still(self, line: Line) -> Copy | None:
        return self.stills.get(line.seq) if line.in_section is not None else None

    def _film(self, line: Line) -> Copy | None:
        return self.films.get(line.seq) if line.in_section is not None else None

    def _pictures(self, line: Line) -> list[Copy]:
        return [copy for copy in (self._still(line), self._film(line)) if copy is not None]

    # ---- what is not

    def _notes(self, line: Line, passage: Passage) -> Iterator[str]:
        missing = self.missing.get((line.section, line.in_section), [])
        yield from missing
        if line.in_section == 0:
            yield from (f"{note} (of the section)" for note in self.missing.get((line.section, None), ()))
        if passage.elsewhere is not None:
            yield f"its narration is in {_file_name(passage.elsewhere)}"
        there = [*self._pictures(line), *([passage.narration] if passage.narration else [])]
        if not there and not missing:
            yield "nothing to show or to hear"
        yield from self._unfit_lengths(line, passage)
        if passage.narration is None and missing and self._known_seconds(line) is None:
            yield f"held for {HOLD_SECONDS} s"

    def _unfit_lengths(self, line: Line, passage: Passage) -> Iterator[str]:
        film = self._film(line)
        sounds = [passage.narration] if passage.narration and line is passage.lines[0] else []
        for copy in [*sounds, *([film] if film else [])]:
            if copy.media.duration is None:
                yield f"{_file_name(copy)} does not say how long it is"
            elif copy.media.duration * self.rate < 1:
                yield f"{_file_name(copy)} is shorter than a frame"


def _by_sentence(plan: Plan, kind: Kind) -> dict[int, Copy]:
    return {copy.spot.seq: copy for copy in plan.copies if copy.spot.kind is kind}


_NOUNS = {Kind.AUDIO: "narration", Kind.IMAGE: "image", Kind.VIDEO: "video"}


def _missing(omissions: Collection[Omission]) -> Mapping[tuple[int, int | None], list[str]]:
    """What a person must still see to, by section and sentence; not what they chose to leave out."""
    found: dict[tuple[int, int | None], list[str]] = defaultdict(list)
    for left_out in omissions:
        if left_out.reason not in {Reason.EXCLUDED, Reason.IN_SECTION_AUDIO}:
            found[left_out.spot.section, left_out.spot.in_section].append(
                f"{_NOUNS[left_out.spot.kind]} {left_out.reason}"
            )
    return found


def _file_name(copy: Copy) -> str:
    return copy.name.rpartition("/")[2]


def _is_breath(passage: Passage, seconds: Fraction) -> bool:
    """Whether what is left of a section's narration tells none of its lines: they then last as if there were none."""
    nobody_asked = all(line.audio is None for line in passage.lines)
    return passage.is_rest and nobody_asked and seconds < BREATH_SECONDS * len(passage.lines)


def _weight(line: Line) -> int:
    """As captions have it: an ideograph is as long to say as two letters, and an emoji as one thing."""
    return max(1, columns(line.sentence.text.strip()) if line.sentence else 1)


def _shares(frames: int, weights: Sequence[int], starts: Sequence[Fraction] | None, rate: Fraction) -> list[int]:
    """The frames for each line, at least one: by when they begin, or by how long their texts are.

    >>> _shares(10, [1, 3], None, Fraction(25)), _shares(10, [1, 3], (Fraction(0), Fraction(1, 5)), Fraction(25))
    ([3, 7], [5, 5])
    """
    if starts is not None:
        bounds = [*(floor(start * rate) for start in starts), frames]
        if all(start < stop for start, stop in pairwise(bounds)):
            return [stop - start for start, stop in pairwise(bounds)]
    free, total, taken = max(0, frames - len(weights)), sum(weights), 0
    bounds = [0]
    for number, weight in enumerate(weights, 1):
        taken += weight
        bounds.append(number + free * taken // total)
    return [stop - start for start, stop in pairwise(bounds)]


def _chapters(project: Project, slots: Sequence[Slot]) -> Iterator[Chapter]:
    for position, run in groupby(slots, lambda slot: slot.section):
        told = list(run)
        title = one_line(project.sections[position].title) or f"Section {position + 1}"
        yield Chapter(title, told[0].start, told[-1].start + told[-1].frames - told[0].start)
