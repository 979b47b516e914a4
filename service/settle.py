"""What an export will hold, once the facts of its files are known: the final copies and omissions. Pure and total."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import assert_never

from contracts import CompletedAsset, ErrorCode, Kind, Project, Reason
from service.conformity import conformity
from service.contents import layout_of
from service.errors import Verdict
from service.media import Container, Media, Sound
from service.model import FOLDERS, Copy, Draft, Facts, Found, Missing, Omission, Plan, Spot, Unreadable, Wanted
from service.naming import asset_name, extension, one_line
from service.narration import Cut, frame_ranges, slice_segments
from service.plan import assets_of, uri_of
from service.segments import Extent, Segment, Written
from service.wav import NotCuttable, Wav


def settle(draft: Draft, facts: Facts) -> Plan:
    """The final list of copies and omissions. The same draft and facts give the same plan.

    `facts` has one fact for the uri of everything wanted.

    Raises Verdict(source_missing | source_unreadable) when `options.on_missing` is `fail` and a file is not there.
    """
    settling = _Settling(draft, facts)
    settling.warn_of_unknown_sections()
    settling.own_files()
    settling.narrations(settling.slices())
    omissions = sorted([*draft.omissions, *settling.omissions], key=lambda left_out: _story_order(left_out.spot))
    copies = tuple(sorted(settling.copies, key=lambda copy: _story_order(copy.spot)))
    layout, not_as_asked = layout_of(draft, {copy.name for copy in copies})
    warnings = (*settling.warnings, *conformity(draft.project, copies), *([not_as_asked] if not_as_asked else []))
    return Plan(draft, copies, tuple(omissions), warnings, layout)


def with_checksum_warnings(plan: Plan, media: Mapping[str, Written]) -> Plan:
    """The plan with a warning for each file whose CRC-32 is not the one that the project gives for it."""
    differing = (
        f"{copy.name}: its CRC-32 is {media[copy.name].crc32:08x}, the project says {copy.declared_crc32:08x}"
        for copy in plan.copies
        if copy.declared_crc32 is not None and copy.declared_crc32 != media[copy.name].crc32
    )
    return replace(plan, warnings=(*plan.warnings, *differing))


_KIND_ORDER = {kind: order for order, kind in enumerate(FOLDERS)}


def _story_order(spot: Spot) -> tuple[int, int, int, int]:
    own = -1 if spot.in_section is None else spot.in_section
    return (spot.section, spot.seq, own, _KIND_ORDER[spot.kind])


# Times are rounded by whoever measured them; a tenth of a second is a difference that one hears.
_MISTIMED_MS = 100

_Told = tuple[int, str]
"""A narration as one section tells it: the section's position, and the file's uri."""


@dataclass
class _Settling:
    """The copies, omissions and warnings so far."""

    draft: Draft
    facts: Facts
    copies: list[Copy] = field(default_factory=list)
    omissions: list[Omission] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def warn_of_unknown_sections(self) -> None:
        """A mistyped id would otherwise leave out what it stands for without a word."""
        known = {section.id for section in self.draft.project.sections}
        for chosen in self.draft.options.include.sections or ():
            if chosen not in known:
                self.warnings.append(f'options.include.sections: the project has no section "{one_line(chosen)}"')

    def own_files(self) -> None:
        """Copies of what is a sentence's own."""
        for one in self.draft.wanted:
            self._check_size(one)
            if one.slice_ms is None and one.spot.in_section is not None:
                self._copy_if_there(one, self.draft.slugs[one.spot.section], one.spot.kind.value)

    def slices(self) -> set[_Told]:
        """Copies of what is a sentence's part of a narration; the narrations that could be cut."""
        told: dict[_Told, list[Wanted]] = defaultdict(list)
        for one in self.draft.wanted:
            if one.slice_ms is not None:
                told[one.spot.section, one.uri].append(one)
        reaches = _reaches(self.draft.project)
        return {one for one, parts in told.items() if self._are_cut(parts, reaches[parts[0].uri])}

    def _are_cut(self, parts: list[Wanted], reach: tuple[int, int]) -> bool:
        fact, position = self.facts[parts[0].uri], parts[0].spot.section
        if not isinstance(fact, Found):
            return False
        try:
            pieces = _pieces(fact, *_cuts(parts, len(self.draft.project.sections[position].sentences), reach))
        except NotCuttable as reason:
            self._warn(position, f"its narration could not be cut into sentences: {reason}")
            return False
        for one, (segments, media) in zip(parts, pieces, strict=True):
            self._add(one, self.draft.slugs[position], "audio", "wav", segments, media)
        self._warn_of_short_narration(position, parts[-1], fact)
        return True

    def _warn_of_short_narration(self, position: int, last: Wanted, fact: Found) -> None:
        if isinstance(fact.wav, Wav) and last.slice_ms and last.slice_ms[1] - fact.wav.duration_ms > _MISTIMED_MS:
            self._warn(
                position, f"its narration ends at {fact.wav.duration_ms} ms, its last sentence at {last.slice_ms[1]} ms"
            )

    def narrations(self, cut: set[_Told]) -> None:
        """Copies of narrations as one file: where they could not be cut, or where a sentence is only in there."""
        uncut: dict[str, list[Wanted]] = defaultdict(list)
        for one in self.draft.wanted:
            if one.slice_ms is not None and (one.spot.section, one.uri) not in cut:
                uncut[one.uri].append(one)
        for one in self.draft.wanted:
            if one.spot.in_section is None:
                voiceless = self._sentences_without_audio(one.spot.section)
                if voiceless or (one.spot.section, one.uri) not in cut:
                    self._narration(one, voiceless, uncut)
        stale = _stale_narrations(self.draft)
        for parts in uncut.values():
            self._uncut(parts, stale)

    def _narration(self, one: Wanted, voiceless: list[Spot], uncut: dict[str, list[Wanted]]) -> None:
        inside = uncut.get(one.uri, [])
        told = replace(one, is_stale=_is_any_stale([one, *inside]))
        copied = self._copy_if_there(told, self.draft.narration_slugs[one.spot.section], "section_audio")
        if copied is not None:
            uncut.pop(one.uri, None)
            self._are_in(copied, voiceless + [part.spot for part in inside])

    def _uncut(self, parts: list[Wanted], stale: set[str]) -> None:
        """What becomes of slices whose file is not exported as a section's own narration."""
        first = parts[0]
        fact = self.facts[first.uri]
        if not isinstance(fact, Found):
            for one in parts:
                self._leave_out(one, fact)
        elif first.uri in stale:
            detail = "only in the narration of the section, which is stale and cannot be cut"
            self.omissions += [Omission(one.spot, Reason.STALE, detail) for one in parts]
        else:
            slug_part = self._slug_of_shared(first.spot.section)
            copied = self._copy_whole(_as_narration(parts), fact, slug_part, "section_audio")
            self._are_in(copied, [one.spot for one in parts])

    def _slug_of_shared(self, position: int) -> str:
        """Of a narration that is not given as the section's own: unlike it, even if that one comes later."""
        own = self.draft.narration_slugs[position]
        return own if self.draft.project.sections[position].audio is None else f"{own}-shared"

    def _are_in(self, narration: Copy, sentences: Iterable[Spot]) -> None:
        name = narration.name
        self.omissions += [Omission(one, Reason.IN_SECTION_AUDIO, f"in {name}", told_in=name) for one in sentences]

    def _sentences_without_audio(self, position: int) -> list[Spot]:
        """Spots of the sentences that have no narration but their section's."""
        section = self.draft.project.sections[position]
        return [
            Spot(self.draft.first_numbers[position] + at, Kind.AUDIO, position, section.id, sentence.id, at)
            for at, sentence in enumerate(section.sentences)
            if sentence.audio is None
        ]

    # ---- one file

    def _copy_if_there(self, wanted: Wanted, slug_part: str, kind_word: str) -> Copy | None:
        fact = self.facts[wanted.uri]
        if isinstance(fact, Found):
            return self._copy_whole(wanted, fact, slug_part, kind_word)
        self._leave_out(wanted, fact)
        return None

    def _copy_whole(self, wanted: Wanted, fact: Found, slug_part: str, kind_word: str) -> Copy:
        return self._add(wanted, slug_part, kind_word, extension(fact.source.key), (_whole(fact),), fact.media)

    def _add(
        self, wanted: Wanted, slug_part: str, kind_word: str, ext: str, segments: tuple[Segment, ...], media: Media
    ) -> Copy:
        spot = wanted.spot
        name = f"{FOLDERS[spot.kind]}/{asset_name(spot.seq, self.draft.width, slug_part, kind_word, ext)}"
        declared = None if wanted.slice_ms is not None else wanted.crc32
        copy = Copy(spot, name, wanted.uri, segments, declared, media, wanted.is_stale)
        self.copies.append(copy)
        return copy

    def _leave_out(self, wanted: Wanted, fact: Missing | Unreadable) -> None:
        reason, detail = _absence(wanted, fact)
        if self.draft.options.on_missing == "fail":
            code = ErrorCode.SOURCE_MISSING if reason is Reason.MISSING else ErrorCode.SOURCE_UNREADABLE
            raise Verdict(code, f'{_whose(wanted.spot)} ("{wanted.uri}") is {reason}')
        self.omissions.append(Omission(wanted.spot, reason, detail))

    def _check_size(self, wanted: Wanted) -> None:
        fact, declared = self.facts[wanted.uri], wanted.size_bytes
        if isinstance(fact, Found) and declared is not None and declared != fact.version.size_bytes:
            self.warnings.append(
                f"{_whose(wanted.spot)}: the project says {declared} bytes, the file has {fact.version.size_bytes}"
            )

    def _warn(self, position: int, sentence: str) -> None:
        title = one_line(self.draft.project.sections[position].title)[:80]
        self.warnings.append(f'section {position + 1} "{title}": {sentence}')


def _whose(spot: Spot) -> str:
    if spot.in_section is None:
        return f"narration of section {spot.section + 1}"
    return f"{spot.kind} of sentence {spot.seq}"


def _as_narration(parts: Sequence[Wanted]) -> Wanted:
    first = parts[0]
    spot = replace(first.spot, sentence_id=None, in_section=None)
    return replace(first, spot=spot, slice_ms=None, is_stale=_is_any_stale(parts))


def _is_any_stale(parts: Iterable[Wanted]) -> bool:
    """Of what is in one file: it is whole, so whatever is older in it is heard."""
    return any(part.is_stale for part in parts)


def _stale_narrations(draft: Draft) -> set[str]:
    """The files that were left out as stale narrations of a section."""
    left_out = [o.spot for o in draft.omissions if o.reason is Reason.STALE and o.spot.in_section is None]
    narrations = (draft.project.sections[spot.section].audio for spot in left_out)
    return {audio.uri for audio in narrations if isinstance(audio, CompletedAsset) and audio.uri is not None}


def _absence(wanted: Wanted, fact: Missing | Unreadable) -> tuple[Reason, str]:
    match fact:
        case Missing():
            return Reason.MISSING, wanted.uri
        case Unreadable():
            return Reason.UNREADABLE, fact.detail
        case _:
            assert_never(fact)


def _reaches(project: Project) -> dict[str, tuple[int, int]]:
    """When the first and the last slice of each file begin, in milliseconds, whether or not they are wanted."""
    reaches: dict[str, tuple[int, int]] = {}
    for spot, asset in assets_of(project):
        if isinstance(asset, CompletedAsset) and asset.slice is not None:
            uri, start_ms = uri_of(asset, project.sections[spot.section]), asset.slice.start_ms
            first_ms, last_ms = reaches.get(uri, (start_ms, start_ms))
            reaches[uri] = (min(first_ms, start_ms), max(last_ms, start_ms))
    return reaches


def _cuts(parts: Iterable[Wanted], sentences: int, reach: tuple[int, int]) -> tuple[list[Cut], int]:
    """The cuts, and the number of sentences that they are among.

    What other sections have of the same narration counts as one sentence before these, and one after them: so only
    the narration's first sentence begins with the file, and only its last one ends with it.
    """
    cuts = [Cut(one.spot.in_section or 0, *one.slice_ms) for one in parts if one.slice_ms is not None]
    before = int(reach[0] < cuts[0].start_ms)
    after = int(reach[1] > cuts[-1].start_ms)
    return [cut._replace(position=cut.position + before) for cut in cuts], before + sentences + after


def _pieces(fact: Found, cuts: list[Cut], sentences: int) -> list[tuple[tuple[Segment, ...], Media]]:
    """Each cut's segments, and what it will say of itself. Raises NotCuttable."""
    match fact.wav:
        case Wav() as wav:
            ranges = frame_ranges(wav, cuts, sentences)
            return [(slice_segments(wav, _whole(fact), frames), _media(wav, frames)) for frames in ranges]
        case str():
            raise NotCuttable(fact.wav)
        case None:
            raise NotCuttable("its header was not read")
        case _:
            assert_never(fact.wav)


def _media(wav: Wav, frames: tuple[int, int]) -> Media:
    start, stop = frames
    duration = Fraction(stop - start, wav.sample_rate_hz)
    return Media(Container.WAV, duration, sound=Sound(wav.sample_rate_hz, wav.channels))


def _whole(fact: Found) -> Extent:
    return Extent(fact.source.root, fact.source.key, 0, fact.version.size_bytes, fact.version, fact.crc32)
