"""A message as it was delivered, and the ways to be done with it."""

import logging
from collections.abc import Awaitable
from dataclasses import dataclass

from faststream.rabbit import RabbitMessage

from service.broker import BROKER_FAULTS

log = logging.getLogger(__name__)

# What the broker wrote on the way; a message that is sent on starts anew.
_TRAVEL_MARKS = ("x-delivery-count", "x-death", "x-first-death-", "x-last-death-", "x-acquired-count")


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


async def _settle(answer: Awaitable[None]) -> None:
    try:
        await answer
    except BROKER_FAULTS as fault:
        log.debug("not settled, so it comes again: %s", fault)
