"""What must become of a message, told from the message alone and without the service: by `json` and the contract.

A message that is whole JSON, or cut off, has one right end. One that is broken inside has two: it is put aside, or
fails under an id that stands in it.
"""

import json
import re
from collections.abc import Mapping, Sequence
from enum import Enum, auto
from typing import Any, NamedTuple

from pydantic import ValidationError

from contracts.limits import MAX_MESSAGE_BYTES
from contracts.messages import MESSAGES
from tests.prove.malformed_drawing import START, Message

_ID = re.compile(r"[a-z0-9-]{1,64}")
_ID_IN_TEXT = re.compile(rb'"export_id"\s*:\s*"([a-z0-9-]{1,64})"')
_GLANCED_AT_BYTES = 64 * 1024
_DEPTH_OF_ANY_READER = 100


class End(Enum):
    PARKED = auto()
    TOLD = auto()
    """By one terminal event."""
    EITHER = auto()
    """Parked or told."""
    OBEYED = auto()
    """A wish: it is noted and nothing is told."""


class Expected(NamedTuple):
    """What must become of a message, and whose name it may be told in."""

    end: End
    ids: Sequence[str] = ()


def expected(message: Message) -> Expected:
    document = _strictly_read(message.body)
    if message.key != START:
        return _of_a_wish(message, document)
    if len(message.body) > MAX_MESSAGE_BYTES:
        return _told_as(_id_in(message.body[:_GLANCED_AT_BYTES]), message)
    if isinstance(document, dict):
        return _told_as(document.get("export_id"), message)
    if document is not None:
        return _told_as(None, message)
    if message.whole is not None:
        return _told_as(_id_in(message.body), message)
    found = [found.decode() for found in _ID_IN_TEXT.findall(message.body)]
    subject = message.headers.get("ce-subject")
    return Expected(End.EITHER, [*found, *([subject] if isinstance(subject, str) else [])])


def _of_a_wish(message: Message, document: object) -> Expected:
    try:
        wish = MESSAGES[message.key].model_validate_json(message.body)
    except ValidationError:
        return Expected(End.PARKED)
    return Expected(End.OBEYED, [wish.export_id]) if wish.version == 1 else Expected(End.PARKED)


def _told_as(written: object, message: Message) -> Expected:
    """By the id in the body, else by that in the headers."""
    for candidate in (written, _subject(message.headers)):
        if isinstance(candidate, str) and _ID.fullmatch(candidate):
            return Expected(End.TOLD, [candidate])
    return Expected(End.PARKED)


def _subject(headers: Mapping[str, Any]) -> object:
    return headers.get("ce-subject")


def _id_in(beginning: bytes) -> str | None:
    found = _ID_IN_TEXT.search(beginning)
    return found[1].decode() if found else None


def _strictly_read(body: bytes) -> Any:
    """The document, if no two readers can differ over it; else nothing."""
    try:
        document = json.loads(body.decode(), parse_constant=_no_json)
        json.dumps(document, ensure_ascii=False, allow_nan=False).encode()
        return document if _depth(document) <= _DEPTH_OF_ANY_READER else None
    except (ValueError, RecursionError):
        return None


def _depth(document: Any) -> int:
    """Raises RecursionError."""
    children = document.values() if isinstance(document, dict) else document if isinstance(document, list) else ()
    return 1 + max(map(_depth, children), default=0)


def _no_json(constant: str) -> None:
    raise ValueError(constant)
