"""Says in one sentence what is wrong with a document, by the field and in a person's terms. Pure."""

from collections.abc import Iterator
from typing import get_args

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from contracts.base import ExportId, ItemId, ProjectId, Reference
from contracts.project import Kind


def first_fault(fault: ValidationError) -> str:
    """The first error as `field: sentence`, in a person's terms too, and how many there are besides."""
    first, *others = fault.errors(include_url=False, include_input=False)
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
    if kind == "string_pattern_mismatch":
        return _MUST_BE.get(error["ctx"]["pattern"], said)
    if kind.startswith("datetime_"):
        return f"is no time; {_A_TIME}"
    return _PLAIN.get(kind, said)


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
    _pattern(ItemId): "may hold 1 to 128 characters, none of them a control character",
    _pattern(Reference): "may hold 1 to 2,048 characters, none of them a control character",
}
