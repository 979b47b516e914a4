"""`metadata.json`: the project in the studio's own words, with what the export made of it. Pure.

A studio can read it as one of its projects: `audioFile`, `imageFile` and `videoFile` are files of this folder. A field
that nothing is known of is left out. There is no `status` of a sentence, since the studio's says nothing of the files;
each asset has its own.
"""

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from contracts import Asset as Given
from contracts import CompletedAsset, Kind, Reason, Section, Sentence
from service.cut import Cut, Slot
from service.index.listing import Asset, Places, assets
from service.model import Copy, Omission, Plan
from service.timecodes import milliseconds


def write_metadata(plan: Plan, cut: Cut) -> Iterator[str]:
    """A line for each sentence, so that a large one need never be in memory."""
    found = _assets(plan)
    places = Places(cut)
    yield "{\n"
    for key, value in _known(_project(plan, cut)).items():
        yield f'"{key}": {_json(value)},\n'
    yield '"sections": ['
    for position, section in enumerate(plan.draft.project.sections):
        yield "\n" if position == 0 else ",\n"
        yield from _section(plan, cut, places, position, section, found)
    yield "\n]\n}\n"


_Found = Mapping[tuple[int, int | None], list[Asset]]
"""By the section's and the sentence's position."""


def _assets(plan: Plan) -> _Found:
    found: dict[tuple[int, int | None], list[Asset]] = defaultdict(list)
    for asset in assets(plan):
        found[asset.spot.section, asset.spot.in_section].append(asset)
    return found


def _project(plan: Plan, cut: Cut) -> dict[str, Any]:
    draft, project = plan.draft, plan.draft.project
    return {
        "id": project.id,
        "name": project.name,
        "language": project.language,
        "exportId": draft.export_id,
        "exportedAt": draft.requested_at.isoformat(timespec="seconds").replace("+00:00", "Z"),
        "outcome": plan.outcome,
        "frameRate": round(float(cut.rate), 3),
        "width": cut.width,
        "height": cut.height,
        "durationMs": milliseconds(cut, cut.frames),
        "totals": {
            "sections": len(project.sections),
            "sentences": draft.first_numbers[-1] - 1,
            "files": {kind: sum(copy.spot.kind is kind for copy in plan.copies) for kind in Kind},
            "sizeBytes": plan.size_bytes,
            "omissions": len(plan.omissions),
        },
        "warnings": plan.warnings,
    }


def _section(plan: Plan, cut: Cut, places: Places, position: int, section: Section, found: _Found) -> Iterator[str]:
    own = found.get((position, None), ())
    positions: Sequence[int | None] = range(len(section.sentences)) or [None]
    slots = [slot for slot in (places.slot(position, at) for at in positions) if slot is not None]
    about = {
        "id": section.id,
        "projectId": plan.draft.project.id,
        "title": section.title,
        "order": position,
        **_times(cut, slots),
        "sectionAudioFile": next((asset.name for asset in own if isinstance(asset, Copy)), None),
        "omissions": _omissions(own),
    }
    yield f'{_json(_known(about))[:-1]}, "sentences": ['
    for at, sentence in enumerate(section.sentences):
        slot = places.slot(position, at)
        about = {
            "id": sentence.id,
            "sectionId": section.id,
            "order": at,
            "seq": plan.draft.first_numbers[position] + at,
            "text": sentence.text,
            **_times(cut, [slot] if slot else []),
            **_sentence(sentence, found.get((position, at), ())),
        }
        yield ("\n" if at == 0 else ",\n") + _json(_known(about))
    yield "\n]}"


def _times(cut: Cut, slots: Sequence[Slot]) -> dict[str, int]:
    """Where it stands in the timelines."""
    if not slots:
        return {}
    start, stop = slots[0].start, slots[-1].start + slots[-1].frames
    return {"startMs": milliseconds(cut, start), "durationMs": milliseconds(cut, stop) - milliseconds(cut, start)}


def _sentence(sentence: Sentence, own: Sequence[Asset]) -> dict[str, Any]:
    about: dict[str, Any] = {}
    told = {Kind.AUDIO: sentence.audio, Kind.IMAGE: sentence.image, Kind.VIDEO: sentence.video}
    for asset in own:
        kind, as_told = asset.spot.kind, told[asset.spot.kind]
        about[f"{kind}Status"] = "completed" if isinstance(asset, Copy) else _camel_case(asset.reason)
        if isinstance(as_told, CompletedAsset) and as_told.stale:
            about[f"is{kind.capitalize()}Dirty"] = True
        if isinstance(asset, Copy):
            about[f"{kind}File"] = asset.name
            about[f"{kind}Duration"] = _duration_ms(asset, as_told)
        elif asset.reason is Reason.IN_SECTION_AUDIO:
            about |= _part(asset, as_told)
    words = [{"word": one.word, "startMs": one.start_ms, "endMs": one.end_ms} for one in sentence.word_timings]
    return about | {"wordTimings": words or None, "omissions": _omissions(own)}


def _duration_ms(copy: Copy, told: Given | None) -> int | None:
    """As the file says, else as the project does."""
    if copy.media.duration is not None:
        return round(1000 * copy.media.duration)
    return told.duration_ms if isinstance(told, CompletedAsset) else None


def _part(omission: Omission, told: Given | None) -> dict[str, Any]:
    """Of the section's narration, which tells the sentence too."""
    part = told.slice if isinstance(told, CompletedAsset) else None
    return {
        "sectionAudioFile": omission.told_in,
        "audioStartMs": part and part.start_ms,
        "audioEndMs": part and part.end_ms,
    }


def _omissions(own: Sequence[Asset]) -> list[dict[str, Any]] | None:
    return [
        _known({"kind": one.spot.kind, "reason": _camel_case(one.reason), "detail": one.detail})
        for one in own
        if isinstance(one, Omission)
    ] or None


def _camel_case(name: str) -> str:
    """
    >>> _camel_case("in_section_audio")
    'inSectionAudio'
    """
    first, *rest = name.split("_")
    return first + "".join(map(str.capitalize, rest))


def _known(about: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in about.items() if value is not None}


_json = json.JSONEncoder(ensure_ascii=False).encode  # json.dumps would make an encoder for each line
