"""What an export should hold, from the command alone: numbers, names, what is left out by status or choice. Pure.

Numbers follow the sentence's position in the whole script, pending ones included, so that audio, image and video of
one sentence share a number and a later export fills holes without renaming.
"""

from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import assert_never

from contracts import (
    Asset,
    CompletedAsset,
    ExportOptions,
    ExportStart,
    FailedAsset,
    Kind,
    PendingAsset,
    Project,
    Reason,
    Section,
    Sentence,
)
from service.model import Draft, Earlier, Omission, Spot, Wanted
from service.naming import sequence_width, slug


def plan_export(command: ExportStart, project: Project, folder: str, earlier: Earlier | str | None = None) -> Draft:
    """What is wanted and what is left out, without a look at any file. `folder` is the reserved name.

    `earlier` is what became of the export that `options.since` names.
    """
    wanted: list[Wanted] = []
    omissions: list[Omission] = []
    for spot, asset in assets_of(project):
        reason = _left_out(spot, asset, command.options)
        if reason is not None:
            omissions.append(Omission(spot, reason, asset.error if isinstance(asset, FailedAsset) else None))
        elif isinstance(asset, CompletedAsset):
            wanted.append(_wanted(spot, asset, project.sections[spot.section]))
    slugs = tuple(slug(section.title, f"section-{number}") for number, section in enumerate(project.sections, 1))
    first_numbers = tuple(accumulate((len(section.sentences) for section in project.sections), initial=1))
    return Draft(
        export_id=command.export_id,
        project=project,
        requested_at=command.requested_at,
        options=command.options,
        folder=folder,
        wanted=tuple(wanted),
        omissions=tuple(omissions),
        slugs=slugs,
        narration_slugs=_narration_slugs(project, slugs, first_numbers),
        first_numbers=first_numbers,
        width=sequence_width(_highest_number(project, first_numbers)),
        tenant=None if command.requested_by is None else command.requested_by.tenant,
        earlier=earlier,
    )


def assets_of(project: Project) -> Iterator[tuple[Spot, Asset]]:
    """Every asset of the project with its spot, in story order; a section's narration before its sentences."""
    seq = 0
    for position, section in enumerate(project.sections):
        if section.audio is not None:
            yield Spot(seq + 1, Kind.AUDIO, position, section.id, None, None), section.audio
        for in_section, sentence in enumerate(section.sentences):
            seq += 1
            for kind, asset in (
                (Kind.AUDIO, _audio(sentence, section)),
                (Kind.IMAGE, sentence.image),
                (Kind.VIDEO, sentence.video),
            ):
                if asset is not None:
                    yield Spot(seq, kind, position, section.id, sentence.id, in_section), asset


def _audio(sentence: Sentence, section: Section) -> Asset | None:
    """The sentence's narration; of a part of the section's file, which is still to come, that file."""
    audio = sentence.audio
    if isinstance(audio, CompletedAsset) and audio.uri is None and not isinstance(section.audio, CompletedAsset):
        return section.audio
    return audio


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
    cut = None if asset.slice is None else (asset.slice.start_ms, asset.slice.end_ms)
    return Wanted(spot, uri_of(asset, section), cut, asset.size_bytes, asset.crc32, asset.stale)


def uri_of(asset: CompletedAsset, section: Section) -> str:
    """Its own, or for a slice without one that of the section's narration."""
    whole = section.audio.uri if isinstance(section.audio, CompletedAsset) else None
    return asset.uri or whole or ""


def _narration_slugs(project: Project, slugs: Sequence[str], first_numbers: Sequence[int]) -> tuple[str, ...]:
    """By titles and order alone, so that no narration's name depends on which others are there already.

    A section without sentences borrows the next sentence's number, so its own number tells it apart; and so it does
    for the section of that sentence, should its title look the same.
    """
    taken: set[tuple[int, str]] = set()
    unique: list[str] = []
    for position, section in enumerate(project.sections):
        number, part = first_numbers[position], slugs[position]
        if not section.sentences or (number, part) in taken:
            part = f"{part}-{position + 1}"
        taken.add((number, part))
        unique.append(part)
    return tuple(unique)


def _highest_number(project: Project, first_numbers: Sequence[int]) -> int:
    """One more than there are sentences when narration without sentences ends the story: it borrows the next number."""
    narrated = (first_numbers[at] for at, section in enumerate(project.sections) if section.audio is not None)
    return max([first_numbers[-1] - 1, *narrated])
