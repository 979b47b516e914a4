"""Which narration tells which sentences, and from when until when in its file. Pure.

A sentence's own file tells it alone. A section's narration that was not cut tells all sentences that are only in it: as
one passage, so that it plays through without a seam.
"""

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import groupby, pairwise
from typing import NamedTuple

from contracts import Asset, CompletedAsset, Kind, Project, Reason, Sentence
from service.model import Copy, Plan

_MS = Fraction(1, 1000)


class Line(NamedTuple):
    """A sentence of the story, or a section's narration without any sentence."""

    seq: int
    section: int
    in_section: int | None
    sentence: Sentence | None
    audio: Asset | None
    """As the project tells it."""


@dataclass(frozen=True, slots=True)
class Passage:
    """Lines that follow each other and are told in one go, or a single one."""

    lines: tuple[Line, ...]
    narration: Copy | None = None
    begin: Fraction = Fraction(0)
    """Seconds into the narration's file."""
    end: Fraction | None = None
    """None where nobody knows how long it is."""
    starts: tuple[Fraction, ...] | None = None
    """When each line begins, in seconds of the narration; None where only their texts tell how they share it."""
    is_rest: bool = False
    """What the sentences before left of the narration: perhaps speech, perhaps a breath only."""
    elsewhere: Copy | None = None
    """The narration that has told these lines already."""


def passages_of(plan: Plan) -> Iterator[Passage]:
    """The chosen sections' passages in story order; every line of theirs is in exactly one."""
    telling = _Telling(plan)
    for name, run in groupby(_lines(plan), telling.narration_shared_by):
        if name is None:
            yield from map(telling.alone, run)
        else:
            yield from telling.together(tuple(run), telling.by_name[name])


def declared_seconds(asset: Asset | None) -> Fraction | None:
    """How long the project says that it is."""
    match asset:
        case CompletedAsset(slice=cut) if cut is not None:
            return (cut.end_ms - cut.start_ms) * _MS
        case CompletedAsset(duration_ms=duration_ms) if duration_ms:
            return duration_ms * _MS
        case _:
            return None


def seconds_of(copy: Copy, asset: Asset | None) -> Fraction | None:
    """How long the file says that it is, else what the project says."""
    return copy.media.duration or declared_seconds(asset)


def _lines(plan: Plan) -> Iterator[Line]:
    draft, narrated = plan.draft, _narrated(plan)
    chosen = draft.options.include.sections
    for position, section in enumerate(draft.project.sections):
        if chosen is not None and section.id not in chosen:
            continue
        first = draft.first_numbers[position]
        for at, sentence in enumerate(section.sentences):
            yield Line(first + at, position, at, sentence, sentence.audio)
        if not section.sentences and position in narrated:
            yield Line(first, position, None, None, section.audio)


def _narrated(plan: Plan) -> set[int]:
    """The sections that have a narration of their own, or are to get one."""
    there = {copy.spot.section for copy in plan.copies if copy.spot.in_section is None}
    awaited = (left_out for left_out in plan.omissions if left_out.reason is not Reason.EXCLUDED)
    return there | {left_out.spot.section for left_out in awaited if left_out.spot.in_section is None}


class _Telling:
    """What tells each line, and how far each shared narration was told already."""

    def __init__(self, plan: Plan) -> None:
        self.project = plan.draft.project
        self.by_name = {copy.name: copy for copy in plan.copies if copy.spot.kind is Kind.AUDIO}
        self.own = {copy.spot.seq: copy for copy in self.by_name.values() if copy.spot.in_section is not None}
        self.of_section = _of_sections(plan, self.by_name.values())
        self.only_in = {left_out.spot.seq: left_out.told_in for left_out in plan.omissions if left_out.told_in}
        self.parts = _parts(self.project)
        self.told_seqs = {uri: list(parts) for uri, parts in self.parts.items()}
        self.told_until: dict[str, Fraction] = defaultdict(Fraction)

    def narration_shared_by(self, line: Line) -> str | None:
        """The name of the uncut narration that the line is in."""
        if line.in_section is not None and (line.seq in self.own or _wants_its_own(line)):
            return None
        name = self.only_in.get(line.seq) if line.in_section is not None else None
        return name if name in self.by_name else self.of_section.get(line.section)

    def alone(self, line: Line) -> Passage:
        narration = self.own.get(line.seq) if line.in_section is not None else None
        end = None if narration is None else seconds_of(narration, line.audio)
        return Passage((line,), narration, end=end)

    def together(self, lines: tuple[Line, ...], narration: Copy) -> Iterator[Passage]:
        """One passage; or, where nothing of the narration is left for these lines, one for each, in silence."""
        parts = self.parts.get(narration.uri, {})
        begin, end = self._stretch(lines, narration, parts)
        if end is not None and end <= begin:
            yield from (Passage((line,), elsewhere=narration) for line in lines)
            return
        self.told_until[narration.name] = _NEVER if end is None else end
        starts = None if end is None else _starts(lines, parts, begin, end)
        yield Passage(lines, narration, begin, end, starts, is_rest=begin > 0)

    def _stretch(self, lines: Sequence[Line], narration: Copy, parts: "_Parts") -> tuple[Fraction, Fraction | None]:
        """From when until when the lines have the narration to themselves."""
        first, last = lines[0].seq, lines[-1].seq
        before, after = _neighbours(self.told_seqs.get(narration.uri, ()), first, last)
        begin, end = Fraction(0), seconds_of(narration, self._told_as(narration))
        if before is not None:
            begin = parts[first][0] if first in parts else parts[before][1]
        if after is not None:
            stop = parts[after][0] if after == last + 1 or last not in parts else parts[last][1]
            end = stop if end is None else min(stop, end)
        begin = max(begin, self.told_until[narration.name])
        return begin, end

    def _told_as(self, narration: Copy) -> Asset | None:
        """As what the project tells a whole narration, if it is the section's own."""
        audio = self.project.sections[narration.spot.section].audio
        return audio if isinstance(audio, CompletedAsset) and audio.uri == narration.uri else None


def _wants_its_own(line: Line) -> bool:
    """A narration that is no part of its section's: perhaps it is still to come, or gone, and nothing else tells it."""
    return line.audio is not None and not (isinstance(line.audio, CompletedAsset) and line.audio.slice)


_NEVER = Fraction(10**12)

_Parts = Mapping[int, tuple[Fraction, Fraction]]
"""From when until when a narration tells a sentence, in seconds, by the sentence's number."""


def _of_sections(plan: Plan, narrations: Iterable[Copy]) -> dict[int, str]:
    """Each section's uncut narration; its own before one that it shares."""
    found: dict[int, str] = {}
    for copy in narrations:
        if copy.spot.in_section is None:
            audio = plan.draft.project.sections[copy.spot.section].audio
            if isinstance(audio, CompletedAsset) and audio.uri == copy.uri:
                found[copy.spot.section] = copy.name
            found.setdefault(copy.spot.section, copy.name)
    return found


def _parts(project: Project) -> dict[str, _Parts]:
    """By narration; of one whose times do not run forward nothing is known."""
    found: dict[str, dict[int, tuple[Fraction, Fraction]]] = defaultdict(dict)
    for seq, (section, audio) in enumerate(
        ((one, line.audio) for one in project.sections for line in one.sentences), 1
    ):
        if isinstance(audio, CompletedAsset) and audio.slice is not None:
            whole = section.audio.uri if isinstance(section.audio, CompletedAsset) else None
            found[audio.uri or whole or ""][seq] = (audio.slice.start_ms * _MS, audio.slice.end_ms * _MS)
    return {uri: parts for uri, parts in found.items() if _run_forward([start for start, _ in parts.values()])}


def _neighbours(seqs: Sequence[int], first: int, last: int) -> tuple[int | None, int | None]:
    """Those of the ascending numbers that come next before `first` and after `last`.

    >>> _neighbours([1, 2, 5], 2, 4), _neighbours([], 1, 1)
    ((1, 5), (None, None))
    """
    before, after = bisect_left(seqs, first) - 1, bisect_right(seqs, last)
    return (seqs[before] if before >= 0 else None), (seqs[after] if after < len(seqs) else None)


def _starts(lines: Sequence[Line], parts: _Parts, begin: Fraction, end: Fraction) -> tuple[Fraction, ...] | None:
    """When each line begins within the stretch: as its slice says, or where the one before it ends."""
    starts = [Fraction(0)]
    for before, line in pairwise(lines):
        if line.seq in parts:
            starts.append(parts[line.seq][0] - begin)
        elif before.seq in parts:
            starts.append(parts[before.seq][1] - begin)
        else:
            return None
    return tuple(starts) if _run_forward([*starts, end - begin]) else None


def _run_forward(times: Sequence[Fraction]) -> bool:
    return all(earlier < later for earlier, later in pairwise(times))
