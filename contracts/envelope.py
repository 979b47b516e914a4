"""How a message travels: the AMQP properties and headers around its body (CloudEvents 1.0, W3C Trace Context). Pure."""

from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple

from contracts.base import Contract
from contracts.messages import ExportProgress, ExportStart, Finished, Message

SOURCE = "/export-service"
"""Who speaks, in CloudEvents' sense. Another publisher may say its own."""


class Envelope(NamedTuple):
    """A message ready to be published to the exchange `export.events`."""

    routing_key: str
    body: bytes
    message_id: str
    """The same for every repeat of the same message, so that a receiver can drop what it has seen."""
    correlation_id: str
    """The export_id."""
    headers: Mapping[str, str | int]
    is_persistent: bool


def envelop(message: Message, traceparent: str | None = None, source: str = SOURCE) -> Envelope:
    """The message, ready to be sent. A command has the fields that its sender gave it, and its version."""
    return envelop_body(message, _body(message), traceparent, source)


def envelop_body(message: Message, body: bytes, traceparent: str | None = None, source: str = SOURCE) -> Envelope:
    """The same around a body that was written before: what is told again is told in the same bytes."""
    message_id = _message_id(message)
    headers = {
        "ce-specversion": "1.0",
        "ce-type": message.type,
        "ce-source": source,
        "ce-id": message_id,
        "ce-subject": message.export_id,
        "ce-dataschema": f"urn:export-service:{message.type}:{message.version}",
    }
    if moment := _moment(message):
        headers["ce-time"] = moment.isoformat().replace("+00:00", "Z")
    if traceparent:
        headers["traceparent"] = traceparent
    return Envelope(
        message.type,
        body,
        message_id,
        message.export_id,
        headers,
        is_persistent=not isinstance(message, ExportProgress),
    )


def _body(message: Message) -> bytes:
    if not isinstance(message, ExportStart):
        return message.model_dump_json().encode()
    return message.model_copy(update={"version": message.version}).model_dump_json(exclude_unset=True).encode()


def _message_id(message: Message) -> str:
    parts = [message.export_id, message.type]
    if isinstance(message, ExportProgress):
        parts += [str(message.attempt), str(message.seq)]
    return ":".join(parts)


def _moment(message: Contract) -> datetime | None:
    if isinstance(message, ExportProgress | Finished):
        return message.at
    return message.requested_at if isinstance(message, ExportStart) else None
