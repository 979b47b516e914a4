"""The two connections to RabbitMQ, and the one place that reaches beneath FastStream's surface.

Two, because a memory alarm stops a connection that publishes, and acknowledgements must not wait behind it.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from datetime import datetime
from time import monotonic
from typing import Any, TypeVar

import anyio
from aio_pika import RobustConnection, RobustQueue
from aio_pika.exceptions import AMQPError, ChannelInvalidStateError
from faststream.rabbit import Channel, RabbitBroker
from faststream.rabbit.subscriber.usecase import RabbitSubscriber
from pamqp import decode

from service.settings import BrokerSettings

log = logging.getLogger(__name__)

T = TypeVar("T")

BROKER_FAULTS = (AMQPError, ChannelInvalidStateError, OSError, TimeoutError)
"""What comes and goes with a connection."""

_RECONNECT_SECONDS = 1.0
_SAY_AGAIN_SECONDS = 60.0
_ANSWER_SECONDS = 2.0
# What still runs when the connections close was asked to stop before.
_GRACE_SECONDS = 1.0


class NotStarted(Exception):
    """The broker is there, but lacks an exchange or a queue, or refuses our rights."""


def connections(settings: BrokerSettings) -> tuple[RabbitBroker, RabbitBroker]:
    """For publishing and for consuming; neither connects before it is started."""
    _bear_what_cannot_be_read()
    return _broker(settings, "publishing"), _broker(settings, "consuming")


def _broker(settings: BrokerSettings, name: str) -> RabbitBroker:
    broker = RabbitBroker(
        settings.address(name),
        reconnect_interval=_RECONNECT_SECONDS,
        fail_fast=False,
        graceful_timeout=_GRACE_SECONDS,
        default_channel=Channel(on_return_raises=True),
        logger=None,
        on_close=[lambda connection, _: _end_its_alarm(connection), lambda _, fault: _say_closed(name, fault)],
        on_reconnected=[lambda _: log.info("%s connection: there again", name)],
    )
    broker._connection_kwargs["connection_class"] = _Connection
    return broker


class _Connection(RobustConnection):
    """One that is given up with who waits for it.

    aio-pika 10.2 goes on to connect in a task of its own, which takes no cancellation while it does: a process that
    ends before its broker answered would never end.
    """

    async def connect(self, timeout: Any = None) -> None:  # noqa: ASYNC109 - aio-pika's own
        try:
            await super().connect(timeout)
        except BaseException:
            with anyio.CancelScope(shield=True):
                await self.close()
            raise


def _bear_what_cannot_be_read() -> None:
    """A sender may write properties that no reader understands: a time in nanoseconds, Latin-1 in an id.

    pamqp 4 raises, aiormq 7 then gives up the connection, and the broker delivers the message to the next worker: one
    such message ends the connections of all workers in turn, two hundred times. So what cannot be read is left out.
    """
    decode.METHODS.update(shortstr=_short_text, timestamp=_moment, table=_table)
    decode.TABLE_MAPPING.update({b"T": _moment, b"F": _table})


def _short_text(value: bytes) -> tuple[int, str]:
    end = value[0] + 1
    return end, value[1:end].decode(errors="replace")


def _moment(value: bytes) -> tuple[int, datetime | None]:
    try:
        return decode.timestamp(value)
    except (ValueError, OverflowError):
        return 8, None


def _table(value: bytes) -> tuple[int, Any]:
    try:
        return decode.field_table(value)
    except ValueError:
        return 4 + int.from_bytes(value[:4], "big"), {}


def _end_its_alarm(connection: Any) -> None:
    """A connection that is lost while the broker blocks it will never be told that the alarm is over.

    aio-pika 10.2 reopens a channel on it first, aiormq 7 lets it wait there for `Connection.Unblocked`, and the new
    connection waits for that channel's lock: without this, nothing is published again until the worker is restarted.
    """
    lost = getattr(connection.transport, "connection", None)
    if unblocked := getattr(lost, "_Connection__connection_unblocked", None):
        unblocked.set()


def _say_closed(name: str, fault: BaseException | None) -> None:
    if fault is None or isinstance(fault, asyncio.CancelledError):
        log.debug("%s connection: closed", name)
    else:
        log.warning("%s connection: lost: %s", name, fault)


def quieten() -> None:
    """The libraries log each try to connect, some with a traceback; here each new reason is said once, in a line."""
    for name in ("aio_pika", "aiormq"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    connecting = logging.getLogger("aio_pika.robust_connection")
    connecting.setLevel(logging.WARNING)
    connecting.addFilter(_NewsOnly())


class _NewsOnly(logging.Filter):
    """Says in plain words why there is no connection: when the reason is new, and once a minute while it lasts."""

    def __init__(self) -> None:
        super().__init__()
        self._said = ("", 0.0)

    def filter(self, record: logging.LogRecord) -> bool:
        connection, *reasons = record.args if isinstance(record.args, tuple) else ()
        reason = next((str(one) for one in reasons if isinstance(one, Exception)), record.getMessage())
        url = getattr(connection, "url", None)
        record.msg, record.args = "no connection to RabbitMQ at %s:%s: %s", (
            getattr(url, "host", "?"), getattr(url, "port", "?"), reason
        )  # fmt: skip
        last, at = self._said
        if reason == last and monotonic() - at < _SAY_AGAIN_SECONDS:
            return False
        self._said = (reason, monotonic())
        return True


async def unless_the_channel_dies(ask: Callable[[], Awaitable[T]]) -> T:
    """aiormq cancels who waits on a channel that dies, which looks like our own cancellation and is none."""
    try:
        return await ask()
    except asyncio.CancelledError:
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise
        raise ConnectionResetError("the channel was lost") from None


class Consumption:
    """Starts and stops the taking of messages, while the handlers of those taken go on.

    FastStream can only stop a subscriber for good, and waits for its handlers first: messages that come meanwhile are
    taken and never settled.
    """

    def __init__(self) -> None:
        self._subscribers: list[RabbitSubscriber] = []
        self._is_paused = False

    def of(self, subscribers: Iterable[RabbitSubscriber]) -> None:
        """These are meant, from now on."""
        self._subscribers = list(subscribers)

    async def pause(self) -> None:
        """From now on other workers get the messages."""
        self._is_paused = True
        # All at once: without a connection each waits until it is given up, and a worker that ends has no such time.
        with anyio.move_on_after(_ANSWER_SECONDS):
            async with anyio.create_task_group() as tasks:
                for subscriber in self._subscribers:
                    tasks.start_soon(self._cancel, subscriber)

    async def _cancel(self, subscriber: RabbitSubscriber) -> None:
        queue, tag = _queue(subscriber), subscriber._consumer_tag
        subscriber._consumer_tag = None
        if queue is not None and tag is not None:
            await _forgiven(queue.cancel(tag))

    async def resume(self) -> None:
        """Takes messages again."""
        self._is_paused = False
        for subscriber in self._subscribers:
            queue = _queue(subscriber)
            if queue is not None and subscriber._consumer_tag is None:
                with anyio.move_on_after(_ANSWER_SECONDS):
                    await _forgiven(self._consume(subscriber, queue))

    async def _consume(self, subscriber: RabbitSubscriber, queue: RobustQueue) -> None:
        # mypy: as FastStream itself calls it
        subscriber._consumer_tag = await queue.consume(subscriber.consume, no_ack=False)  # type: ignore[arg-type]

    def is_consuming(self) -> bool:
        """Whether the broker knows each of our consumers, as far as we can tell."""
        return not self._is_paused and all(_is_consumer(subscriber) for subscriber in self._subscribers)


def _queue(subscriber: RabbitSubscriber) -> RobustQueue | None:
    return subscriber._queue_obj


def _is_consumer(subscriber: RabbitSubscriber) -> bool:
    """What aiormq holds for a consumer goes with its channel, and with a cancel that the broker sends."""
    queue = _queue(subscriber)
    # mypy: aio-pika's own channel, which it shows nobody
    channel = None if queue is None else queue.channel._channel  # type: ignore[attr-defined]
    return (
        channel is not None and not channel.channel.is_closed and subscriber._consumer_tag in channel.channel.consumers
    )


async def _forgiven(answer: Awaitable[object]) -> None:
    try:
        await answer
    except BROKER_FAULTS as fault:
        log.debug("a consumer could not be changed: %s", fault)
