"""What an export will hold: first from the command alone, then with the facts of its files. Pure and total.

Numbers follow the sentence's position in the whole script, pending ones included, so that audio, image and video of
one sentence share a number and a later export fills holes without renaming.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import accumulate
from typing import assert_never

from contracts import (
    Archive,
    Asset,
    CompletedAsset,
    ErrorCode,
    ExportOptions,
    ExportStart,
    FailedAsset,
    Kind,
    PendingAsset,
    Project,
    Reason,
    Section,
)
from service.errors import Verdict
from service.model import FOLDERS, Copy, Draft, Facts, Found, Missing, Omission, Plan, Spot, Unreadable, Wanted, Written
from service.naming import asset_name, extension, one_line, sequence_width, slug
from service.narration import Cut, frame_ranges, slice_segments
from service.segments import Extent, Segment
from service.wav import NotCuttable, Wav

# ---- from the command alone ---------------------------------------------------------------------------------


def plan_export(command: ExportStart, project: Project, folder: str) -> Draft:
    """What is wanted and what is left out, without a look at any file. `folder` is the reserved name.

    Raises Verdict(unsupported_option) for an option that this version does not carry out.
    """
    _refuse_what_is_not_built(command.options)
    wanted: list[Wanted] = []
    omissions: list[Omission] = []
    for spot, asset in _assets(project):
        reason = _left_out(spot, asset, command.options)
        if reason is not None:
            omissions.append(Omission(spot, reason, asset.error if isinstance(asset, FailedAsset) else None))
        elif isinstance(asset, CompletedAsset):
            wanted.append(_wanted(spot, asset, project.sections[spot.section]))
    return Draft(
        export_id=command.export_id,
        project=project,
        requested_at=command.requested_at,
        options=command.options,
        folder=folder,
        wanted=tuple(wanted),
        omissions=tuple(omissions),
        slugs=tuple(slug(section.title, f"section-{number}") for number, section in enumerate(project.sections, 1)),
        first_numbers=tuple(accumulate((len(section.sentences) for section in project.sections), initial=1)),
        width=sequence_width(_highest_number(project)),
    )


def _refuse_what_is_not_built(options: ExportOptions) -> None:
    asked = {
        "options.archive = otioz": options.archive is Archive.OTIOZ,
        "options.timelines": bool(options.timelines),
        "options.captions": bool(options.captions),
        "options.gaps = close": options.gaps == "close",
        "options.media_root": options.media_root is not None,
        "options.since": options.since is not None,
    }
    for name, is_asked in asked.items():
        if is_asked:
            raise Verdict(ErrorCode.UNSUPPORTED_OPTION, f"{name} is not supported by this version of the service")


def _assets(project: Project) -> Iterator[tuple[Spot, Asset]]:
    """Every asset of the project with its spot, in story order; a section's narration before its sentences."""
    seq = 0
    for position, section in enumerate(project.sections):
        if section.audio is not None:
            yield Spot(seq + 1, Kind.AUDIO, position, section.id, None, None), section.audio
        for in_section, sentence in enumerate(section.sentences):
            seq += 1
            for kind, asset in (
                (Kind.AUDIO, sentence.audio),
                (Kind.IMAGE, sentence.image),
                (Kind.VIDEO, sentence.video),
            ):
                if asset is not None:
                    yield Spot(seq, kind, position, section.id, sentence.id, in_section), asset


def _left_out(spot: Spot, asset: Asset, options: ExportOptions) -> Reason | None:
    """Why this asset is not wanted, as far as the command says."""
    include = options.include
    chosen = include.sections is None or spot.section_id in include.sections
    if not chosen or spot.kind not in include.kinds:
        return Reason.EXCLUDED
    match asset:
        case PendingAsset():
            return Reason(asset.status)
        case FailedAsset():
            return Reason.FAILED
        case CompletedAsset():
            return Reason.STALE if asset.stale and options.stale == "skip" else None
        case _:
            assert_never(asset)


def _wanted(spot: Spot, asset: CompletedAsset, section: Section) -> Wanted:
    uri = asset.uri
    if uri is None and isinstance(section.audio, CompletedAsset):
        uri = section.audio.uri
    cut = None if asset.slice is None else (asset.slice.start_ms, asset.slice.end_ms)
    return Wanted(spot, uri or "", cut, asset.size_bytes, asset.crc32)


def _highest_number(project: Project) -> int:
    """One more than there are sentences when the story ends with a section that has narration and no sentence."""
    sentences = sum(len(section.sentences) for section in project.sections)
    last = project.sections[-1] if project.sections else None
    return sentences + 1 if last and last.audio is not None and not last.sentences else sentences


# ---- with the facts of the files ----------------------------------------------------------------------------


def settle(draft: Draft, facts: Facts) -> Plan:
    """The final list of copies and omissions. The same draft and facts give the same plan.

    `facts` has one fact for the uri of everything wanted.

    Raises Verdict(source_missing | source_unreadable) when `options.on_missing` is `fail` and a file is not there.
    """
    settling = _Settling(draft, facts)
    for position, wanted in _by_section(draft.wanted):
        settling.section(position, wanted)
    omissions = sorted([*draft.omissions, *settling.omissions], key=lambda left_out: _story_order(left_out.spot))
    copies = sorted(settling.copies, key=lambda copy: _story_order(copy.spot))
    return Plan(draft, tuple(copies), tuple(omissions), tuple(settling.warnings))


def with_checksum_warnings(plan: Plan, media: Mapping[str, Written]) -> Plan:
    """The plan with a warning for each file whose CRC-32 is not the one that the project gives for it."""
    differing = (
        f"{copy.name}: its CRC-32 is {media[copy.name].crc32:08x}, the project says {copy.declared_crc32:08x}"
        for copy in plan.copies
        if copy.declared_crc32 is not None and copy.declared_crc32 != media[copy.name].crc32
    )
    return replace(plan, warnings=(*plan.warnings, *differing))


def _by_section(wanted: Iterable[Wanted]) -> Iterator[tuple[int, list[Wanted]]]:
    sections: dict[int, list[Wanted]] = defaultdict(list)
    for one in wanted:
        sections[one.spot.section].append(one)
    yield from sections.items()


_KIND_ORDER = {kind: order for order, kind in enumerate(FOLDERS)}


def _story_order(spot: Spot) -> tuple[int, int, int, int]:
    own = -1 if spot.in_section is None else spot.in_section
    return (spot.section, spot.seq, own, _KIND_ORDER[spot.kind])


@dataclass
class _Settling:
    """The copies, omissions and warnings so far, and the names that are taken."""

    draft: Draft
    facts: Facts
    copies: list[Copy] = field(default_factory=list)
    omissions: list[Omission] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    names: set[str] = field(default_factory=set)

    def section(self, position: int, wanted: list[Wanted]) -> None:
        slices: dict[str, list[Wanted]] = defaultdict(list)
        whole: list[Wanted] = []
        for one in wanted:
            if one.slice_ms is not None:
                slices[one.uri].append(one)
            elif one.spot.in_section is None:
                whole.append(one)
            else:
                self._copy_if_there(one, one.spot.kind.value)
        uncut = [one for uri, group in slices.items() for one in self._cut(position, uri, group)]
        self._narration(position, whole, uncut, cut_uris=set(slices))

    def _cut(self, position: int, uri: str, group: list[Wanted]) -> list[Wanted]:
        """Copies of the slices of one narration, or the group itself if it cannot be cut."""
        fact = self.facts[uri]
        if not isinstance(fact, Found):
            for one in group:
                self._leave_out(one, fact)
            return []
        sentences = len(self.draft.project.sections[position].sentences)
        cuts = [Cut(one.spot.in_section or 0, *one.slice_ms) for one in group if one.slice_ms is not None]
        try:
            pieces = _pieces(fact, cuts, sentences)
        except NotCuttable as reason:
            self._warn(position, f"its narration was exported whole, because it could not be cut: {reason}")
            return group
        for one, segments in zip(group, pieces, strict=True):
            self._add(one, segments, "audio", "wav")
        return []

    def _narration(self, position: int, whole: list[Wanted], uncut: list[Wanted], cut_uris: set[str]) -> None:
        """The section's narration as one file: where it could not be cut, or where a sentence is only in there."""
        voiceless = self._sentences_without_audio(position)
        # Reversed, so that the first sentence of an uncut narration gives it its number.
        candidates = {one.uri: _as_narration_of_section(one) for one in reversed(uncut)}
        for one in whole:
            if one.uri not in cut_uris or voiceless:
                candidates[one.uri] = one
        for one in candidates.values():
            copied = self._copy_if_there(one, "section_audio")
            if copied is not None:
                inside = [other.spot for other in uncut if other.uri == one.uri] + (voiceless if one in whole else [])
                self.omissions += [Omission(spot, Reason.IN_SECTION_AUDIO, f"in {copied.name}") for spot in inside]

    def _sentences_without_audio(self, position: int) -> list[Spot]:
        """Spots of the sentences that have no narration but their section's."""
        section = self.draft.project.sections[position]
        return [
            Spot(self.draft.first_numbers[position] + at, Kind.AUDIO, position, section.id, sentence.id, at)
            for at, sentence in enumerate(section.sentences)
            if sentence.audio is None
        ]

    def _copy_if_there(self, wanted: Wanted, kind_word: str) -> Copy | None:
        fact = self.facts[wanted.uri]
        if not isinstance(fact, Found):
            self._leave_out(wanted, fact)
            return None
        self._check_size(wanted, fact)
        return self._add(wanted, (_whole(fact),), kind_word, extension(fact.source.key))

    def _add(self, wanted: Wanted, segments: tuple[Segment, ...], kind_word: str, ext: str) -> Copy:
        spot = wanted.spot
        section_slug = self.draft.slugs[spot.section]
        if spot.in_section is None and not self.draft.project.sections[spot.section].sentences:
            # It borrows the next sentence's number, so its section must tell it apart.
            section_slug = f"{section_slug}-{spot.section + 1}"
        name = self._free_name(spot, section_slug, kind_word, ext)
        declared = None if wanted.slice_ms is not None else wanted.crc32
        copy = Copy(spot, name, wanted.uri, segments, declared)
        self.copies.append(copy)
        return copy

    def _free_name(self, spot: Spot, section_slug: str, kind_word: str, ext: str) -> str:
        """Only narrations that share a first sentence can clash; the later one is told apart by a counter."""
        counter = 1
        while True:
            part = section_slug if counter == 1 else f"{section_slug}-{counter}"
            file = asset_name(spot.seq, self.draft.width, part, kind_word, ext)
            name = f"{FOLDERS[spot.kind]}/{file}"
            if name not in self.names:
                self.names.add(name)
                return name
            counter += 1

    def _leave_out(self, wanted: Wanted, fact: Missing | Unreadable) -> None:
        reason, detail = _absence(fact)
        if self.draft.options.on_missing == "fail":
            code = ErrorCode.SOURCE_MISSING if reason is Reason.MISSING else ErrorCode.SOURCE_UNREADABLE
            raise Verdict(code, f'{wanted.spot.kind} of sentence {wanted.spot.seq} ("{wanted.uri}") is {reason}')
        self.omissions.append(Omission(wanted.spot, reason, detail))

    def _check_size(self, wanted: Wanted, fact: Found) -> None:
        found = fact.version.size_bytes
        if wanted.size_bytes is not None and wanted.size_bytes != found:
            self.warnings.append(
                f"{wanted.spot.kind} of sentence {wanted.spot.seq}: the project says {wanted.size_bytes} bytes, "
                f"the file has {found}"
            )

    def _warn(self, position: int, sentence: str) -> None:
        title = one_line(self.draft.project.sections[position].title)[:80]
        self.warnings.append(f'section {position + 1} "{title}": {sentence}')


def _as_narration_of_section(wanted: Wanted) -> Wanted:
    return replace(wanted, spot=replace(wanted.spot, sentence_id=None, in_section=None), slice_ms=None)


def _absence(fact: Missing | Unreadable) -> tuple[Reason, str | None]:
    match fact:
        case Missing():
            return Reason.MISSING, None
        case Unreadable():
            return Reason.UNREADABLE, fact.detail
        case _:
            assert_never(fact)


def _whole(fact: Found) -> Extent:
    return Extent(fact.source.root, fact.source.key, 0, fact.version.size_bytes, fact.version)


def _pieces(fact: Found, cuts: list[Cut], sentences: int) -> list[tuple[Segment, ...]]:
    """Raises NotCuttable."""
    match fact.wav:
        case Wav():
            ranges = frame_ranges(fact.wav, cuts, sentences)
            return [slice_segments(fact.wav, _whole(fact), frames) for frames in ranges]
        case str():
            raise NotCuttable(fact.wav)
        case None:
            raise NotCuttable("its header was not read")
        case _:
            assert_never(fact.wav)
