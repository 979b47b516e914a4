"""A message comes in, is carried out, is settled: the whole service, as the broker sees it.

No handler takes a `Context()` parameter: FastStream resolves each of those in a thread, behind the copies.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, assert_never
from uuid import uuid4

import anyio
from anyio import to_thread
from faststream import AckPolicy
from faststream.message import StreamMessage
from faststream.rabbit import Channel, QueueType, RabbitBroker, RabbitQueue
from faststream.rabbit.subscriber.usecase import RabbitSubscriber

from contracts import ErrorCode, ExportCancel, ExportDelete, topology
from service.announce import EVENTS, Announcer
from service.deliveries import Delivery, put_off
from service.errors import Trouble, Verdict
from service.intake import Unusable, accept, read_message, refuse
from service.ledger import Decision, Ledger
from service.supervisor import Ending, Supervisor
from service.undeliverable import revive

log = logging.getLogger(__name__)

AFTER_AN_ERROR_SECONDS, LONGEST_WAIT_SECONDS = 1.0, 30.0
PERHAPS_ANOTHER_CAN = {ErrorCode.UNSUPPORTED_VERSION, ErrorCode.PROJECT_UNAVAILABLE}
"""Another worker may know the newer contract, or find the file with the project."""
HANDED_ON_TIMES = 20
"""How often such a message is, with a pause each time, before it is decided failed."""
_SMALL_MESSAGES_AT_ONCE = 20


@dataclass
class Handlers:
    """One for each queue. Each settles its message: done, handed back, or put aside with the reason."""

    ledger: Ledger
    supervisor: Supervisor
    announcer: Announcer
    unavailable_seconds: float

    async def on_export_start(self, delivery: Delivery) -> None:
        """Settled when the export's end was announced; until then the broker keeps the message."""
        accepted = await accept(delivery.body, delivery.headers, self.ledger, is_new=delivery.earlier_deliveries == 0)
        if isinstance(accepted, Decision):
            await self.supervisor.tell(accepted, delivery.traceparent)
            await delivery.done()
            return
        match await self.supervisor.attach(accepted, delivery.traceparent, was_put_off=delivery.was_put_off):
            case Ending.TOLD:
                await delivery.done()
            case Ending.HAND_BACK:
                await delivery.hand_back()
            case Ending.LATER:
                # To the end of the queue: what is handed back comes at once, before all others.
                await self.announcer.send(put_off(accepted.export_id, delivery.body, delivery.headers_to_send_on))
                await delivery.done()
            case ending:
                assert_never(ending)

    async def on_export_cancel(self, delivery: Delivery) -> None:
        """Stores the wish, which whoever works on the export obeys, now or when it is taken up."""
        wish = await to_thread.run_sync(read_message, delivery.body, ExportCancel)
        await to_thread.run_sync(self._keep, self.ledger.cancel, wish)
        self.supervisor.cancel(wish.export_id)
        await delivery.done()

    async def on_export_delete(self, delivery: Delivery) -> None:
        """Removes what is finished, cancels what is not."""
        wish = await to_thread.run_sync(read_message, delivery.body, ExportDelete)
        await to_thread.run_sync(self._keep, self.ledger.delete, wish)
        self.supervisor.cancel(wish.export_id)
        await delivery.done()

    def _keep(self, store: Callable[[str, str], None], wish: ExportCancel | ExportDelete) -> None:
        """Raises Trouble unless the root is the right one, before and after: under a mount the wish would be lost."""
        self.ledger.open()
        store(wish.export_id, wish.reason)
        self.ledger.open()

    async def on_export_dead(self, delivery: Delivery) -> None:
        """A command that was delivered too often: decided failed if it is to blame for that, else sent anew."""
        decision = await revive(delivery.body, delivery.headers_to_send_on, self.supervisor, self.announcer)
        if decision is not None:
            await self.supervisor.tell(decision, delivery.traceparent)
        await delivery.done()

    async def on_cancel_broadcast(self, body: bytes) -> None:
        """For speed only: every worker hears it, and the one that works on the export stops at once."""
        try:
            wish = await to_thread.run_sync(read_message, body, ExportCancel)
            if self.supervisor.is_running(wish.export_id):
                await to_thread.run_sync(self.ledger.cancel, wish.export_id, wish.reason)
                self.supervisor.cancel(wish.export_id)
        except (Verdict, Trouble) as reason:
            log.debug("a broadcast is left to the queue: %s", reason.detail)

    # ---- what goes wrong on the way

    async def settled(self, handle: Callable[[Delivery], Any], delivery: Delivery) -> None:
        """Has the message handled, and settles it if that fails. Behind this there is nobody: FastStream is silent."""
        try:
            await self._handled(handle, delivery)
        except Exception:
            log.exception("a message of %s met an unexpected error", delivery.routing_key)
            await self._wait(AFTER_AN_ERROR_SECONDS)
            await delivery.hand_back_counted()

    async def _handled(self, handle: Callable[[Delivery], Any], delivery: Delivery) -> None:
        try:
            await handle(delivery)
        except Unusable as reason:
            await self._put_aside(delivery, reason)
        except Verdict as reason:
            await self._put_aside(delivery, Unusable(reason.code, reason.detail))
        except Trouble as trouble:
            await self._not_now(delivery, trouble)

    async def _not_now(self, delivery: Delivery, trouble: Trouble) -> None:
        """Another worker may do better, or this one later."""
        # What comes back again and again within seconds is said once.
        is_news = trouble.code not in PERHAPS_ANOTHER_CAN or delivery.earlier_deliveries == 0
        level = logging.WARNING if is_news else logging.DEBUG
        log.log(level, "a message of %s is handed back: %s", delivery.routing_key, trouble.detail)
        if trouble.code not in PERHAPS_ANOTHER_CAN:
            await self.supervisor.fitness.look()
            # Longer each time, as far as the broker counts: it gives up on what comes back too often.
            await self._wait(min(AFTER_AN_ERROR_SECONDS * (1 + delivery.earlier_deliveries), LONGEST_WAIT_SECONDS))
            await delivery.hand_back()
        elif delivery.earlier_deliveries < HANDED_ON_TIMES:
            await self._wait(self.unavailable_seconds / HANDED_ON_TIMES)
            await delivery.hand_back_counted()
        else:
            verdict = Verdict(trouble.code, f"{trouble.detail}, and no other worker took it")
            await self._handled(lambda _: self._refuse(delivery, verdict), delivery)

    async def _refuse(self, delivery: Delivery, verdict: Verdict) -> None:
        if delivery.routing_key != topology.START:
            raise verdict  # a wish says nothing against the export that it names
        refused = await refuse(delivery.body, delivery.headers, verdict, self.ledger)
        await self.supervisor.tell(refused, delivery.traceparent)
        await delivery.done()

    async def _put_aside(self, delivery: Delivery, reason: Unusable) -> None:
        """Parked whole, with the reason in its headers. It never speaks for the export that it names."""
        headers = {**delivery.headers_to_send_on, "x-reason": reason.reason, "x-detail": reason.detail[:1000]}
        await self.announcer.park(delivery.body, headers, delivery.routing_key)
        log.error("a message of %s is parked: %s: %s", delivery.routing_key, reason.reason, reason.detail[:500])
        await delivery.done()

    async def _wait(self, seconds: float) -> None:
        with anyio.move_on_after(seconds):
            await self.supervisor.draining.wait()


# ---- which queue goes where


def subscribe(consume: RabbitBroker, handlers: Handlers, prefetch: int) -> list[RabbitSubscriber]:
    """Connects the handlers with their queues, which are there already: workers declare only a queue of their own.

    Returns the subscribers that take work.
    """
    _hear_broadcasts(consume, handlers)
    return [
        _take(consume, topology.START, handlers.on_export_start, handlers, prefetch),
        _take(consume, topology.CANCEL, handlers.on_export_cancel, handlers, _SMALL_MESSAGES_AT_ONCE),
        _take(consume, topology.DELETE, handlers.on_export_delete, handlers, _SMALL_MESSAGES_AT_ONCE),
        _take(consume, topology.DEAD, handlers.on_export_dead, handlers, 1),
    ]


def _take(
    consume: RabbitBroker, queue: str, handle: Callable[[Delivery], Any], handlers: Handlers, at_once: int
) -> RabbitSubscriber:
    async def take(_: bytes) -> None:
        await handlers.settled(handle, Delivery(consume.context.get("message")))

    subscriber = consume.subscriber(
        RabbitQueue(queue, queue_type=QueueType.QUORUM, declare=False),
        ack_policy=AckPolicy.MANUAL,
        # A channel of its own: what goes wrong on one must not end the handlers of another.
        channel=Channel(prefetch_count=at_once),
        decoder=_as_it_came,
        no_reply=True,  # the connection that consumes must never publish: an alarm would stop its acknowledgements
        title=queue,
    )
    subscriber(take)
    return subscriber


def _hear_broadcasts(consume: RabbitBroker, handlers: Handlers) -> None:
    own = topology.own_queue(topology.WORKER_QUEUES, uuid4().hex, (topology.CANCEL,))
    consume.subscriber(
        # mypy: FastStream's own types know no plain table of arguments
        RabbitQueue(own.name, routing_key=topology.CANCEL, arguments=own.arguments),  # type: ignore[call-overload]
        EVENTS,
        ack_policy=AckPolicy.ACK,
        channel=Channel(prefetch_count=_SMALL_MESSAGES_AT_ONCE),
        decoder=_as_it_came,
        no_reply=True,  # the connection that consumes must never publish: an alarm would stop its acknowledgements
    )(handlers.on_cancel_broadcast)


async def _as_it_came(message: StreamMessage[Any]) -> bytes:
    """No decoding by FastStream: what cannot be decoded would be neither handled nor settled."""
    return message.body
