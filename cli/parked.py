"""A message that was put aside: who it is, what is wrong with it, and how it is sent once more. Pure."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from aio_pika.abc import AbstractIncomingMessage
from pydantic import TypeAdapter, ValidationError

from contracts import ErrorCode, ExportStart
from contracts.base import ExportId
from contracts.envelope import Envelope
from contracts.messages import MESSAGES

HANDLE_CHARACTERS = 8
_HEAD_BYTES = 160
# What the broker changes each time a message is looked at.
_COUNTED = {"x-delivery-count", "x-acquired-count"}
_EXPORT_ID: TypeAdapter[str] = TypeAdapter(ExportId)


class NotReplayable(Exception):
    """Sent again as it is, the message would only come back; one sentence says why."""


@dataclass(frozen=True, slots=True)
class Parked:
    """One of the messages of a queue."""

    digest: str
    """Over everything that was sent: the same message has the same one each time it is looked at.

    Only messages that are equal in all of it share one, and what is done to one of those may be done to all.
    """
    routing_key: str
    headers: Mapping[str, Any]
    message_id: str | None
    content_type: str | None
    when: datetime | None
    """When it was put aside, or else was sent, as far as it says."""
    body: bytes

    @property
    def handle(self) -> str:
        """By which a person calls it; any other that is as unique will do."""
        return self.digest[:HANDLE_CHARACTERS]

    @property
    def export_id(self) -> str | None:
        return _if_id(self.headers.get("ce-subject")) or _if_id(_document(self.body).get("export_id"))

    @property
    def reason(self) -> str:
        return str(self.headers.get("x-reason") or _broker_reason(self.headers) or "")

    @property
    def detail(self) -> str:
        return str(self.headers.get("x-detail") or "")

    @property
    def head(self) -> str:
        """How its body begins."""
        return visible(self.body[:_HEAD_BYTES])


def parked(message: AbstractIncomingMessage) -> Parked:
    """As it was delivered."""
    headers = {name: value for name, value in message.headers.items() if name not in _COUNTED}
    routing_key = message.routing_key or ""
    parts = [routing_key, message.message_id, message.correlation_id, message.content_type, str(message.timestamp),
             json.dumps(headers, sort_keys=True, default=str)]  # fmt: skip
    digest = hashlib.sha256(json.dumps(parts).encode() + message.body).hexdigest()
    when = _moment(headers, message.timestamp)
    return Parked(digest, routing_key, headers, message.message_id, message.content_type, when, message.body)


def visible(body: bytes) -> str:
    r"""Text that does nothing to a terminal, on one line or more.

    >>> visible(b"\x1b[2J\xff\tok")
    '\\x1b[2J\\xff\tok'
    """
    text = body.decode(errors="backslashreplace")
    return "".join(
        one if one.isprintable() or one in "\n\t" else one.encode("unicode_escape", "backslashreplace").decode()
        for one in text
    )


def _broker_reason(headers: Mapping[str, Any]) -> str | None:
    """Of a message that the broker put aside by itself: `rejected`, `delivery_limit` and the like."""
    return _first_death(headers).get("reason")


def _first_death(headers: Mapping[str, Any]) -> Mapping[str, Any]:
    deaths = headers.get("x-death")
    first = deaths[0] if isinstance(deaths, Sequence) and deaths and not isinstance(deaths, str | bytes) else None
    return first if isinstance(first, Mapping) else {}


def _moment(headers: Mapping[str, Any], timestamp: datetime | None) -> datetime | None:
    for stated in (_first_death(headers).get("time"), timestamp, _parsed(headers.get("ce-time"))):
        if isinstance(stated, datetime):
            return stated.replace(tzinfo=UTC) if stated.tzinfo is None else stated.astimezone(UTC)
    return None


def _parsed(moment: object) -> datetime | None:
    try:
        return datetime.fromisoformat(moment) if isinstance(moment, str) else None
    except ValueError:
        return None


def _if_id(value: object) -> str | None:
    try:
        return _EXPORT_ID.validate_python(value, strict=True)
    except ValidationError:
        return None


def _document(body: bytes) -> dict[str, Any]:
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return document if isinstance(document, dict) else {}


# ---- once more


def is_taken(message: Parked) -> bool:
    """It asks for an export whose id belongs to another one, as its reason says."""
    return message.routing_key == ExportStart.type and message.reason == ErrorCode.CONFLICT


def replayed(message: Parked, new_id: str | None = None) -> Envelope:
    """What is published to `export.events`: as it was sent at first, but for the id where a new one is given."""
    if message.routing_key not in MESSAGES:
        raise NotReplayable(f'its routing key "{visible(message.routing_key.encode())}" is none of the contract')
    headers = {
        name: value for name, value in message.headers.items() if not name.startswith("x-") and isinstance(value, str)
    }
    body, export_id = message.body, message.export_id or ""
    message_id = message.message_id or headers.get("ce-id") or f"{export_id}:{message.routing_key}"
    if new_id is not None:
        body, export_id = _renamed(message.body, new_id), new_id
        message_id = f"{new_id}:{message.routing_key}"
        replaced = {"ce-id": message_id, "ce-subject": new_id}
        headers = {name: replaced.get(name, value) for name, value in headers.items()}
    return Envelope(message.routing_key, body, message_id, export_id, headers, is_persistent=True)


def _renamed(body: bytes, new_id: str) -> bytes:
    document = _document(body)
    if not document:
        raise NotReplayable("its body is no JSON object, so it cannot be given another id")
    return json.dumps({**document, "export_id": new_id}, separators=(",", ":")).encode()
