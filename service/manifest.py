"""`manifest.json`: every file with its size, CRC-32 and source, and every omission with its reason. Pure.

CRC-32s are written as eight hexadecimal digits, so that the manifest's length, and with it the archive's, is known
before the first byte is copied.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import Any

from contracts.messages import CONTRACT_VERSION
from service.media import Media
from service.model import Copy, Omission, Plan
from service.segments import Written

_FILES_PER_PIECE = 1000


def write_manifest(plan: Plan, media: Mapping[str, Written], texts: Mapping[str, Written]) -> Iterator[bytes]:
    """The manifest in pieces; one line a file, so that a large one need never be in memory.

    `media` has an entry for each copy of the plan, `texts` one for each other file but the manifest itself.
    """
    yield b"{\n"
    for key, value in _head(plan).items():
        yield f'"{key}": {_json(value)},\n'.encode()
    files = (_file(copy, media[copy.name]) for copy in plan.copies)
    yield from _list("files", files)
    yield from _list("texts", ({"name": name, **_sums(written)} for name, written in sorted(texts.items())))
    yield from _list("omissions", map(_omission, plan.omissions))
    yield b'"warnings": ' + _json(plan.warnings).encode() + b"\n}\n"


def _head(plan: Plan) -> dict[str, Any]:
    draft = plan.draft
    return {
        "contract_version": CONTRACT_VERSION,
        "export_id": draft.export_id,
        "project": {"id": draft.project.id, "name": draft.project.name},
        "requested_at": draft.requested_at.isoformat(timespec="seconds").replace("+00:00", "Z"),
        "outcome": plan.outcome.value,
        "plan_sha256": plan_hash(plan),
    }


def plan_hash(plan: Plan) -> str:
    """Equal for two plans that export the same parts of the same sources as the same files and leave out the same."""
    digest = hashlib.sha256()
    for copy in plan.copies:
        starts = [extent.start for extent in copy.sources]
        digest.update(_json([copy.name, copy.size_bytes, copy.uri, starts]).encode() + b"\n")
    for omission in plan.omissions:
        digest.update(_json(_omission(omission)).encode() + b"\n")
    return digest.hexdigest()


def _file(copy: Copy, written: Written) -> dict[str, Any]:
    spot = copy.spot
    about = {"name": copy.name, "kind": spot.kind, "seq": spot.seq, **_sums(written), "source": copy.uri}
    return about | _ids(spot.section_id, spot.sentence_id) | _facts(copy.media)


def _facts(media: Media) -> dict[str, Any]:
    """What is known of it; whatever is not, is left out."""
    picture, sound = media.picture, media.sound
    facts: dict[str, Any] = {
        "duration_ms": None if media.duration is None else round(media.duration * 1000),
        "width": picture and picture.width,
        "height": picture and picture.height,
        "frame_rate": picture and picture.frame_rate and str(picture.frame_rate),
        "sample_rate_hz": sound and sound.sample_rate_hz,
        "channels": sound and sound.channels,
    }
    return {key: value for key, value in facts.items() if value is not None}


def _omission(omission: Omission) -> dict[str, Any]:
    spot = omission.spot
    about = {"kind": spot.kind, "seq": spot.seq, "reason": omission.reason}
    detail = {} if omission.detail is None else {"detail": omission.detail}
    return about | detail | _ids(spot.section_id, spot.sentence_id)


def _ids(section_id: str | None, sentence_id: str | None) -> dict[str, str]:
    ids = {"section_id": section_id, "sentence_id": sentence_id}
    return {key: value for key, value in ids.items() if value is not None}


def _sums(written: Written) -> dict[str, Any]:
    return {"size_bytes": written.size_bytes, "crc32": f"{written.crc32:08x}"}


def _list(key: str, items: Iterator[dict[str, Any]]) -> Iterator[bytes]:
    yield f'"{key}": ['.encode()
    lines: list[str] = []
    separator = "\n"
    for item in items:
        lines.append(separator + _json(item))
        separator = ",\n"
        if len(lines) == _FILES_PER_PIECE:
            yield "".join(lines).encode()
            lines.clear()
    yield "".join(lines).encode() + b"\n],\n"


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(", ", ": "))
