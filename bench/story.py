"""A story of which every sentence has narration, a still and a film: as a plan, and as files to export."""

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from fractions import Fraction
from pathlib import Path
from typing import Any

from bench.samples import Sample
from contracts import ExportOptions, ExportStart, Kind, Project
from demo import clip, picture, sample, tone
from service.media import Container, Media, Picture, Sound
from service.model import Draft, Found, Plan
from service.plan import plan_export
from service.references import MEDIA, Source
from service.segments import Version
from service.settle import settle

TEXTS = (
    "The sea is calm tonight.",
    "He reads the log, winds the clock, and goes up the stairs to see whether the lamp still burns.",
    "Ships & boats pass, and each of them <answers> the light.",
)
_SENTENCES_PER_SECTION = 20
_FOLDER = "export_story_20260101T000000Z"
_EXTENSIONS = {Kind.AUDIO: "wav", Kind.IMAGE: "png", Kind.VIDEO: "mp4"}
_NARRATION = Media(Container.WAV, Fraction(11, 2), sound=Sound(24_000, 1))
_STILL = Media(Container.PNG, picture=Picture(1920, 1080))
_FILM = Media(Container.MP4, Fraction(5), Picture(1920, 1080, frame_rate=Fraction(30)))


def silent(sentences: int) -> Plan:
    """As most generators of films make them."""
    return _planned(sentences, _FILM)


def with_sound(sentences: int) -> Plan:
    """The films have a stereo sound, which is on tracks of its own."""
    return _planned(sentences, replace(_FILM, sound=Sound(48_000, 2)))


def _planned(sentences: int, film: Media) -> Plan:
    media = {"wav": _NARRATION, "png": _STILL, "mp4": film}
    draft = draft_of(Project.model_validate(_project(sentences)))
    facts = {
        one.uri: Found(Source(MEDIA, one.uri), Version(1_000_000, 1, 2), media=media[one.uri[-3:]])
        for one in draft.wanted
    }
    return settle(draft, facts)


def draft_of(told: Project) -> Draft:
    options = ExportOptions()
    command = ExportStart(
        export_id="texts", requested_at=datetime(2026, 1, 1, tzinfo=UTC), project=told, options=options
    )
    return plan_export(command, told, _FOLDER)


def _project(sentences: int) -> dict[str, Any]:
    told = [{"id": f"s-{at}", "text": TEXTS[at % len(TEXTS)], **_assets(at)} for at in range(sentences)]
    starts = range(0, sentences, _SENTENCES_PER_SECTION)
    sections = [
        {"id": f"p-{at}", "title": f"Part {at}", "sentences": told[at:][:_SENTENCES_PER_SECTION]} for at in starts
    ]
    return {"id": "story", "name": "Measured", "sections": sections}


def _assets(at: int) -> Mapping[str, Any]:
    return {kind: {"status": "completed", "uri": _uri(kind, at)} for kind in Kind}


def _uri(kind: Kind, at: int) -> str:
    return f"{kind}/{at:06d}.{_EXTENSIONS[kind]}"


def make_story(place: Path, sentences: int) -> Sample:
    """The same as files: of each kind one content, small and real, under as many names as there are sentences."""
    media = place / "media"
    sizes = [_spread(media, kind, make(), sentences) for kind, make in _CONTENTS.items()]
    project = place / "project.json"
    project.write_text(json.dumps(_project(sentences)))
    return Sample(project, media, sentences * len(sizes), sentences * sum(sizes))


def _spread(media: Path, kind: Kind, content: bytes, count: int) -> int:
    """Bytes of one."""
    first, *others = (media / _uri(kind, at) for at in range(count))
    first.parent.mkdir(parents=True)
    first.write_bytes(content)
    for other in others:
        other.hardlink_to(first)
    return len(content)


def _narration() -> bytes:
    return tone.wav(tone.play(tone.melody("The sea is calm.")))


def _still() -> bytes:
    return picture.png(picture.render(_scene(), 192, 108))


def _film() -> bytes:
    return clip.mp4([clip.picture(_scene())])


def _scene() -> picture.Scene:
    return picture.lighthouse(sample.STORY[0].mood)


_CONTENTS: Mapping[Kind, Callable[[], bytes]] = {Kind.AUDIO: _narration, Kind.IMAGE: _still, Kind.VIDEO: _film}
