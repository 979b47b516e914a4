"""The gateway's side of RabbitMQ: commands out, until they are confirmed; events in, on a queue of its own."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from faststream import AckPolicy
from faststream.message import StreamMessage
from faststream.rabbit import Channel, RabbitBroker, RabbitQueue
from pydantic import ValidationError

from contracts import ExportCancel, ExportDelete, ExportProgress, ExportStart, Terminal, topology
from contracts.envelope import envelop
from contracts.messages import MESSAGES
from service.announce import EVENTS, Announcer

log = logging.getLogger(__name__)

Hear = Callable[[ExportProgress | Terminal, bytes], None]
_PREFETCH = 1000


class BrokerUnavailable(Exception):
    """The broker did not confirm in time. The message may have arrived all the same."""


@dataclass(frozen=True, slots=True)
class Publisher:
    """Sends commands to the workers."""

    announcer: Announcer
    confirm_seconds: float

    async def publish(self, command: ExportStart | ExportCancel | ExportDelete, traceparent: str | None = None) -> None:
        """Returns when the broker has the command for good. Raises BrokerUnavailable."""
        if not await self.announcer.send_within(envelop(command, traceparent), self.confirm_seconds):
            raise BrokerUnavailable(f"{command.type} was not confirmed within {self.confirm_seconds:g} seconds")


class Ear:
    """Hears every event, from the moment on that it listens."""

    def __init__(self, consume: RabbitBroker, hear: Hear) -> None:
        self._consume = consume
        self._hear = hear
        own = topology.own_queue(topology.GATEWAY_QUEUES, uuid4().hex, (topology.PROGRESS, *topology.TERMINALS))
        # mypy: FastStream's own types know no plain table of arguments
        self._queue = RabbitQueue(own.name, routing_key=own.keys[0], arguments=own.arguments)  # type: ignore[call-overload]
        self._more_keys = own.keys[1:]
        consume.subscriber(
            self._queue,
            EVENTS,
            # What is lost with this process would be of no use to another one.
            ack_policy=AckPolicy.ACK_FIRST,
            channel=Channel(prefetch_count=_PREFETCH),
            decoder=_as_it_came,
            no_reply=True,
        )(self._on_event)

    async def bind(self) -> None:
        """The rest of what a queue is bound to: FastStream binds it once. The connection must be there."""
        queue = await self._consume.declare_queue(self._queue)
        for key in self._more_keys:
            await queue.bind(topology.EVENTS, routing_key=key)

    async def _on_event(self, body: bytes) -> None:
        message = self._consume.context.get("message")
        key: str = message.raw_message.routing_key
        try:
            event = MESSAGES[key].model_validate_json(body)
        except (KeyError, ValidationError):
            log.warning("a message of %s cannot be read; what it says is looked up in storage", key)
            return
        if isinstance(event, ExportProgress | Terminal):
            self._hear(event, body)


async def _as_it_came(message: StreamMessage[Any]) -> bytes:
    return message.body
