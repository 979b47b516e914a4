"""Tells what happens: terminal events until they are confirmed, progress only as far as it is the newest.

No copying ever waits for a broker: `progress` puts a snapshot down and returns.
"""

import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import anyio
from faststream.exceptions import IncorrectState
from faststream.rabbit import ExchangeType, RabbitBroker, RabbitExchange

from contracts import ExportProgress, topology
from contracts.envelope import Envelope, envelop, envelop_body
from service.broker import BROKER_FAULTS, unless_the_channel_dies
from service.ledger import Decision

log = logging.getLogger(__name__)

EVENTS = RabbitExchange(topology.EVENTS, type=ExchangeType.TOPIC, durable=True, declare=False)
PARKED = RabbitExchange(topology.PARKED, type=ExchangeType.FANOUT, durable=True, declare=False)

PROGRESS_EVERY_SECONDS = 0.25
PROGRESS_GIVEN_UP_AFTER_SECONDS = 2.0
# FastStream's own `timeout` is not obeyed while the broker blocks publishers. What timed out may still arrive, so each
# try waits longer than the last: an hour's memory alarm must not become a flood of repeats.
FIRST_CONFIRM_SECONDS, LONGEST_CONFIRM_SECONDS = 5.0, 600.0
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.1, 5.0

_BROKER_FAULTS = (*BROKER_FAULTS, IncorrectState)


@dataclass
class Announcer:
    """Speaks to one broker, over a connection that nothing is consumed on."""

    produce: RabbitBroker
    _newest: dict[str, Envelope] = field(default_factory=dict)
    """The newest progress of each export that was not sent yet."""
    _news: anyio.Event = field(default_factory=anyio.Event)

    # ---- what must not be lost

    async def tell(self, decision: Decision, traceparent: str | None = None) -> None:
        """Announces how an export ended, in the bytes that were decided; returns when the broker has it for good."""
        if last := self._newest.pop(decision.event.export_id, None):
            await self._send_if_possible(last)
        await self.send(envelop_body(decision.event, decision.body, traceparent))

    async def send(self, envelope: Envelope) -> None:
        """Publishes to the events, for as long as it takes."""
        await self._insist(f"{envelope.routing_key} of {envelope.correlation_id}", lambda: self._publish(envelope))

    async def send_within(self, envelope: Envelope, seconds: float) -> bool:
        """Publishes once; whether the broker confirmed it in time. If not, it may have arrived all the same."""
        what = f"{envelope.routing_key} of {envelope.correlation_id}"
        return await self._is_confirmed(what, lambda: self._publish(envelope), seconds)

    async def park(self, body: bytes, headers: Mapping[str, object], routing_key: str) -> None:
        """Puts a message aside for a person, whole, for as long as it takes."""

        async def publish() -> None:
            await self.produce.publish(
                # mypy: pamqp takes each of them
                body, exchange=PARKED, routing_key=routing_key, persist=True, headers=dict(headers)  # type: ignore[arg-type]
            )  # fmt: skip

        await self._insist("a message to park", publish)

    async def _insist(self, what: str, publish: Callable[[], Awaitable[None]]) -> None:
        patience, pause = FIRST_CONFIRM_SECONDS, FIRST_PAUSE_SECONDS
        while not await self._is_confirmed(what, publish, patience):
            await anyio.sleep(pause)
            patience, pause = min(2 * patience, LONGEST_CONFIRM_SECONDS), min(2 * pause, LONGEST_PAUSE_SECONDS)

    async def _is_confirmed(self, what: str, publish: Callable[[], Awaitable[None]], patience: float) -> bool:
        try:
            with anyio.fail_after(patience):
                await unless_the_channel_dies(publish)
        except _BROKER_FAULTS as fault:
            log.warning("%s is not confirmed yet: %s", what, _sentence(fault))
            return False
        return True

    async def _publish(self, envelope: Envelope) -> None:
        await self.produce.publish(
            envelope.body,
            exchange=EVENTS,
            routing_key=envelope.routing_key,
            mandatory=envelope.is_persistent,
            persist=envelope.is_persistent,
            message_id=envelope.message_id,
            correlation_id=envelope.correlation_id,
            headers=dict(envelope.headers),
            content_type="application/json",
            message_type=envelope.routing_key,
        )

    # ---- what may be lost

    def progress(self, snapshot: ExportProgress, traceparent: str | None = None) -> None:
        """Will be sent soon, unless a newer one comes before that. Never waits, never fails."""
        self._newest[snapshot.export_id] = envelop(snapshot, traceparent)
        self._news.set()

    @asynccontextmanager
    async def telling_progress(self) -> AsyncIterator[None]:
        """Sends progress while the block runs."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._tell_progress)
            yield
            tasks.cancel_scope.cancel()

    async def _tell_progress(self) -> None:
        while True:
            await self._news.wait()
            self._news = anyio.Event()
            newest, self._newest = self._newest, {}
            async with anyio.create_task_group() as tasks:
                for envelope in newest.values():
                    tasks.start_soon(self._send_if_possible, envelope)
            await anyio.sleep(PROGRESS_EVERY_SECONDS)

    async def _send_if_possible(self, envelope: Envelope) -> None:
        try:
            with anyio.move_on_after(PROGRESS_GIVEN_UP_AFTER_SECONDS):
                await unless_the_channel_dies(lambda: self._publish(envelope))
        except _BROKER_FAULTS as fault:
            log.debug("progress of %s was not sent: %s", envelope.correlation_id, _sentence(fault))
        except Exception:
            log.exception("progress of %s met an unexpected error", envelope.correlation_id)


def _sentence(fault: BaseException) -> str:
    return f"{type(fault).__name__} {fault}".strip()
