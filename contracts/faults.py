"""Says in one sentence what is wrong with a document, by the field and in a person's terms. Pure."""

from collections.abc import Iterator, Sized
from typing import get_args

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from contracts import limits
from contracts.base import ExportId, ItemId, ProjectId
from contracts.project import Kind


def first_fault(fault: ValidationError) -> str:
    """The first error as `field: sentence`, in a person's terms too, and how many there are besides."""
    first, *others = fault.errors(include_url=False)
    path, sentence = sentence_of(first)
    where = ".".join(path)
    more = f" (and {len(others):,} more)" if others else ""
    return f"{where}: {sentence}{more}" if where else f"{sentence}{more}"


def sentence_of(error: ErrorDetails) -> tuple[tuple[str, ...], str]:
    """One error: the path to the field, as the document has it, and what is wrong with it."""
    return tuple(_path(error["loc"])), f"{_sentence(error)}{_in_the_story(error['loc'])}"


def _path(place: tuple[int | str, ...]) -> Iterator[str]:
    """As the file has it: pydantic puts an asset's status between the asset and its fields."""
    for before, part in zip((None, *place), place, strict=False):
        if not (before in set(Kind) and part in _STATUSES):
            yield str(part)


_STATUSES = {"completed", "pending", "generating", "failed"}


def _in_the_story(place: tuple[int | str, ...]) -> str:
    match place[1:] if place[:1] == ("project",) else place:
        case ("sections", int(section), "sentences", int(sentence), *_):
            return f" (section {section + 1}, sentence {sentence + 1} of it)"
        case ("sections", int(section), *_):
            return f" (section {section + 1})"
        case _:
            return ""


def _sentence(error: ErrorDetails) -> str:
    """The commonest in plain words, all others in pydantic's."""
    kind, said = error["type"], error["msg"].removeprefix("Value error, ")
    if limit := _limit(error):
        return limit
    if kind == "string_pattern_mismatch":
        return _MUST_BE.get(error["ctx"]["pattern"], said)
    if kind.startswith("datetime_"):
        return f"is no time; {_A_TIME}"
    return _PLAIN.get(kind, said)


def _limit(error: ErrorDetails) -> str | None:
    """Of what is too long or too large: how much was found, and the limit with its name. Never what was found."""
    field = next((part for part in reversed(error["loc"]) if isinstance(part, str)), "")
    name = LIMITS.get(error["type"], {}).get(field)
    if name is None:
        return None
    found = error.get("input")
    match error["type"]:
        case "less_than_equal":
            has = f"is {found:,}" if isinstance(found, int | float) else "is more"
        case "string_too_long":
            has = f"has {len(found):,} characters" if isinstance(found, str) else "has more characters"
        case _:
            has = f"has {len(found):,} entries" if isinstance(found, Sized) else "has more entries"
    return f"{has}; {name} is {getattr(limits, name):,}"


LIMITS = {
    "too_long": {
        "sections": "MAX_SECTIONS",
        "sentences": "MAX_SENTENCES",
        "word_timings": "MAX_WORD_TIMINGS",
        "wordTimings": "MAX_WORD_TIMINGS",
        "kinds": "MAX_CHOICES",
        "timelines": "MAX_CHOICES",
        "captions": "MAX_CHOICES",
        "omissions": "MAX_OMISSIONS_IN_MESSAGE",
        "warnings": "MAX_WARNINGS_IN_MESSAGE",
    },
    "string_too_long": {
        "name": "MAX_TITLE_CHARACTERS",
        "title": "MAX_TITLE_CHARACTERS",
        "text": "MAX_TEXT_CHARACTERS",
        "word": "MAX_WORD_CHARACTERS",
        "error": "MAX_ERROR_CHARACTERS",
        "export_id": "MAX_EXPORT_ID_CHARACTERS",
        "since": "MAX_EXPORT_ID_CHARACTERS",
        "id": "MAX_ID_CHARACTERS",
        "project_id": "MAX_ID_CHARACTERS",
        "sections": "MAX_ID_CHARACTERS",
        "uri": "MAX_REFERENCE_CHARACTERS",
        "etag": "MAX_ETAG_CHARACTERS",
        "language": "MAX_LANGUAGE_CHARACTERS",
        "media_root": "MAX_MEDIA_ROOT_CHARACTERS",
        "tenant": "MAX_TENANT_CHARACTERS",
        "subject": "MAX_SUBJECT_CHARACTERS",
        "reason": "MAX_REASON_CHARACTERS",
    },
    "less_than_equal": {
        "frame_rate": "MAX_FRAME_RATE",
        "start_ms": "MAX_MILLISECONDS",
        "end_ms": "MAX_MILLISECONDS",
        "duration_ms": "MAX_MILLISECONDS",
        "retain_seconds": "MAX_RETAIN_SECONDS",
    },
}
"""The limit that stops a field, by the kind of error and the field's name."""

_A_TIME = "write it with an offset, such as 2026-11-23T18:42:20Z or 2026-11-23T19:42:20+01:00"
_PLAIN = {
    "model_attributes_type": "must be a JSON object",
    "model_type": "must be a JSON object",
    "timezone_aware": f"has no offset; {_A_TIME}",
}


def _pattern(text: object) -> str:
    """Of a type that is a text with a pattern."""
    pattern: str = get_args(text)[1].pattern
    return pattern


_MUST_BE = {
    _pattern(ExportId): "may hold a to z, 0 to 9 and dashes only, 1 to 64 of them",
    _pattern(ProjectId): "may hold no slash, backslash or control character, and more than dots",
    # The same as a Reference's.
    _pattern(ItemId): "must hold something, and no control character",
}
