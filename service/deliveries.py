"""A message as it was delivered, and the ways to be done with it."""

import logging
from collections.abc import Awaitable, Mapping
from dataclasses import dataclass
from datetime import datetime

from faststream.rabbit import RabbitMessage

from contracts import topology
from contracts.envelope import Envelope
from service.broker import BROKER_FAULTS

log = logging.getLogger(__name__)

# What the broker wrote on the way; a message that is sent on starts anew.
_TRAVEL_MARKS = ("x-delivery-count", "x-death", "x-first-death-", "x-last-death-", "x-acquired-count")

# A frame has 128 KiB (frame_max), and a header's text may take four bytes a character.
_HEADERS_SENT_ON_CHARACTERS = 16 * 1024
_PUT_OFF = "x-put-off"
_SHORT_TEXT_BYTES = 255
"""Of a property, by AMQP."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """Must be settled once. If the channel is lost meanwhile, the broker delivers the message again."""

    message: RabbitMessage

    @property
    def body(self) -> bytes:
        return self.message.raw_message.body

    @property
    def headers(self) -> dict[str, object]:
        """As they were sent."""
        return {
            name: value
            for name, value in self.message.headers.items()
            if not name.startswith(_TRAVEL_MARKS)
        }  # fmt: skip

    @property
    def headers_to_send_on(self) -> dict[str, object]:
        """What can be written again: plain values (a text that is no UTF-8 comes as bytes), as many as fit a frame."""
        # No float: pamqp 4 writes each with single precision, and raises where that is not enough.
        plain = (str, int, datetime, type(None))
        written: dict[str, object] = {
            name: value if isinstance(value, plain) else repr(value) for name, value in self.headers.items()
        }
        if len(repr(written)) <= _HEADERS_SENT_ON_CHARACTERS:
            return written
        return {name: value for name, value in written.items() if name.startswith("ce-") and len(str(value)) <= 1000}

    @property
    def earlier_deliveries(self) -> int:
        """How often the broker had it back, as far as it counts that."""
        count = self.message.headers.get("x-delivery-count", 0)
        return count if isinstance(count, int) else 0

    @property
    def traceparent(self) -> str | None:
        """W3C Trace Context, to be carried on."""
        parent = self.message.headers.get("traceparent")
        return parent if isinstance(parent, str) and len(parent) <= 256 else None

    @property
    def was_put_off(self) -> bool:
        """The export was in trouble already."""
        return _PUT_OFF in self.message.headers

    @property
    def routing_key(self) -> str:
        return self.message.raw_message.routing_key or ""

    async def done(self) -> None:
        """It was carried out, or put aside."""
        await _settle(self.message.ack())

    async def hand_back(self) -> None:
        """Another worker shall have it; nothing is wrong with it. From RabbitMQ 4.3 on that is not counted."""
        await _settle(self.message.nack(requeue=True))

    async def hand_back_counted(self) -> None:
        """The same for a message that may be at fault: a reject counts towards the delivery limit everywhere."""
        await _settle(self.message.reject(requeue=True))


def anew(export_id: str, body: bytes, headers: Mapping[str, object]) -> Envelope:
    """The same command as a new message, at the end of the queue."""
    plain = {name: value for name, value in headers.items() if isinstance(value, str | int)}
    message_id = str(plain.get("ce-id", ""))
    if not 0 < len(message_id.encode()) <= _SHORT_TEXT_BYTES:
        message_id = f"{export_id}:{topology.START}"
    return Envelope(topology.START, body, message_id, export_id, plain, is_persistent=True)


def put_off(export_id: str, body: bytes, headers: Mapping[str, object]) -> Envelope:
    """The same, for an export in trouble that waited already."""
    return anew(export_id, body, {**headers, _PUT_OFF: 1})


async def _settle(answer: Awaitable[None]) -> None:
    try:
        await answer
    except BROKER_FAULTS as fault:
        log.debug("not settled, so it comes again: %s", fault)
