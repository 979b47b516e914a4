"""A command's connection to RabbitMQ: within seconds it works, or says in a sentence why not."""

import asyncio
import logging
import signal
import threading
from argparse import Namespace
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress

import aio_pika
from aio_pika import DeliveryMode, Message
from aio_pika.abc import AbstractChannel, AbstractConnection, HeadersType
from aio_pika.exceptions import (
    AMQPError,
    ChannelInvalidStateError,
    ConnectionClosed,
    DeliveryError,
    IncompatibleProtocolError,
    InvalidFrameError,
    ProbableAuthenticationError,
    PublishError,
)
from aiormq.exceptions import ChannelAccessRefused, ChannelNotFoundEntity
from pydantic import SecretStr, ValidationError
from yarl import URL

from cli import exits
from cli.answer import complain
from cli.errors import UsageError
from cli.secrets import secrets_dir
from contracts import topology
from contracts.envelope import Envelope
from service.settings import BrokerSettings

ANSWER_SECONDS = 5.0
"""For whatever the broker is asked; a connection is made, used and given up within twice as many."""
_CLOSE_SECONDS = 1.0

SETUP = "export-service setup-broker"

Connection = AbstractConnection


class BrokerFault(Exception):
    """The broker is not there, lacks something, or refuses; one sentence says so. Exit code 1."""


def broker_of(args: Namespace) -> BrokerSettings:
    """Of --broker, else of EXPORT_BROKER_URL. Raises UsageError that does not repeat the address: it has a password."""
    try:
        if args.broker is not None:
            return BrokerSettings(broker_url=SecretStr(args.broker))
        return BrokerSettings(_secrets_dir=secrets_dir())
    except ValidationError as fault:
        name = "EXPORT_BROKER_URL" if args.broker is None else "--broker"
        first = fault.errors(include_url=False, include_input=False)[0]
        where = name if first["loc"] == ("broker_url",) else f"EXPORT_{str(first['loc'][0]).upper()}"
        raise UsageError(f"{where}: {first['msg'].removeprefix('Value error, ')}") from None


def through_broker(args: Namespace, work: Callable[[Connection], Awaitable[int]]) -> int:
    """The exit code of `work`, which is given a connection."""
    settings = broker_of(args)

    async def run() -> int:
        async with connected(settings) as connection:
            return await work(connection)

    try:
        with _sigterm_as_ctrl_c():
            return asyncio.run(run())
    except BrokerFault as fault:
        complain(str(fault))
        return exits.FAILED


@contextmanager
def _sigterm_as_ctrl_c() -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():  # Python's own rule for signal handlers
        yield
        return
    before = signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@asynccontextmanager
async def connected(settings: BrokerSettings) -> AsyncIterator[Connection]:
    """A connection; whatever goes wrong with it while the block runs is a BrokerFault."""
    where = place(settings)
    _quieten()
    connection = None
    try:
        connection = await _connected(settings, where)
        yield connection
    except (AMQPError, ChannelInvalidStateError, OSError, TimeoutError) as fault:
        raise BrokerFault(f"RabbitMQ at {where}: {sentence(fault)}") from None
    except asyncio.CancelledError:
        # aiormq cancels who waits on a channel that dies; nobody asked this task to end.
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise
        raise BrokerFault(f"RabbitMQ at {where}: the connection was lost") from None
    finally:
        if connection is not None:
            await _close(connection)


async def _connected(settings: BrokerSettings, where: str) -> Connection:
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            return await aio_pika.connect(settings.address("command"))
    except (ProbableAuthenticationError, ConnectionClosed) as fault:
        raise BrokerFault(f"RabbitMQ at {where} does not let this user in: {said(fault)}") from None
    except InvalidFrameError as fault:
        if "Connection.OpenOk" not in said(fault):
            raise
        # The client expects nothing but a yes to the last step, so the broker's reason is lost.
        raise BrokerFault(f"RabbitMQ at {where}: the virtual host is not there, or not for this user") from None
    except IncompatibleProtocolError:
        raise BrokerFault(f"what answers at {where} is no RabbitMQ, or does not speak AMQP 0-9-1 there") from None
    except TimeoutError:
        reason = f"no answer within {ANSWER_SECONDS:.0f} seconds"
    except (AMQPError, OSError) as fault:
        reason = said(fault) or "the connection is closed at once"
    raise BrokerFault(
        f"RabbitMQ at {where} cannot be reached: {reason}; does it run, and is EXPORT_BROKER_URL (or --broker) right?"
    )


async def _close(connection: Connection) -> None:
    with suppress(TimeoutError, AMQPError, OSError, RuntimeError):
        async with asyncio.timeout(_CLOSE_SECONDS):
            await connection.close()


def _quieten() -> None:
    """The libraries would log what is said here in a sentence, with a traceback."""
    for name in ("aio_pika", "aiormq"):
        logging.getLogger(name).setLevel(logging.CRITICAL)


# ---- words


def place(settings: BrokerSettings) -> str:
    """Where the broker is; never with the password.

    >>> place(BrokerSettings(broker_url=SecretStr("amqps://me:secret@rabbit.example/exports")))
    'rabbit.example:5671 (virtual host exports)'
    """
    url = URL(settings.broker_url.get_secret_value())
    port = url.port or (5671 if url.scheme == "amqps" else 5672)
    vhost = url.path.removeprefix("/")
    return f"{url.host}:{port}" + (f" (virtual host {vhost})" if vhost else "")


def sentence(fault: BaseException) -> str:
    """What a fault of a connected broker means, and what to do."""
    match fault:
        case ChannelNotFoundEntity():
            return f"{said(fault)}; `{SETUP}` makes what is missing"
        case ChannelAccessRefused():
            return f"this user may not do that: {said(fault)}"
        case PublishError():
            return f"nobody takes such messages; `{SETUP}` makes the queues"
        case DeliveryError():
            return "it refuses the message: a queue is full, or not available"
        case TimeoutError():
            return f"no answer within {ANSWER_SECONDS:.0f} seconds; is it out of memory or disk space?"
        case _:
            return f"the connection was lost ({said(fault) or type(fault).__name__})"


def said(fault: BaseException) -> str:
    """The broker's own words.

    >>> said(ChannelNotFoundEntity("NOT_FOUND - no exchange 'export.events' in vhost '/'"))
    "no exchange 'export.events' in vhost '/'"
    """
    texts = [text for text in fault.args if isinstance(text, str)]
    text = texts[-1] if texts else ""
    return text.partition(" - ")[2] or text


# ---- publishing


async def publishing_channel(connection: Connection, *queues: str) -> AbstractChannel:
    """A channel with confirms. Raises when the exchange or one of `queues` is not there.

    A message whose queue is missing would not come back: the alternate exchange takes it, and it would wait there.
    """
    async with asyncio.timeout(ANSWER_SECONDS):
        channel = await connection.channel(on_return_raises=True)
        await channel.get_exchange(topology.EVENTS)
        for queue in queues:
            await channel.declare_queue(queue, passive=True)
    return channel


async def publish(channel: AbstractChannel, envelope: Envelope, content_type: str | None = "application/json") -> None:
    """Returns when the broker has it for good. What timed out may still arrive; a repeat does no harm."""
    headers: HeadersType = dict(envelope.headers)
    message = Message(
        envelope.body,
        content_type=content_type,
        delivery_mode=DeliveryMode.PERSISTENT,
        message_id=envelope.message_id,
        correlation_id=envelope.correlation_id,
        type=envelope.routing_key,
        headers=headers,
    )
    async with asyncio.timeout(ANSWER_SECONDS):
        exchange = await channel.get_exchange(topology.EVENTS, ensure=False)
        await exchange.publish(message, envelope.routing_key, mandatory=True)
