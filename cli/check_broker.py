"""What a check sees of RabbitMQ: version, what was agreed on, exchanges and queues, rights, and whether it takes."""

import asyncio
import re
import secrets
from collections.abc import Iterator

from aio_pika import Message
from aio_pika.exceptions import PublishError
from aiormq.exceptions import ChannelAccessRefused, ChannelPreconditionFailed

from cli.broker import ANSWER_SECONDS, SETUP, BrokerFault, Connection, connected, place, said
from cli.check_rights import look_at_rights
from cli.entities import Differs, Entity, Filling, Forbidden, compare, label, looked_up, wanted
from cli.findings import Finding, State, note, ok, problem
from cli.show import counted
from contracts import topology
from contracts.limits import MAX_MESSAGE_BYTES
from contracts.topology import Queue
from service.settings import BrokerSettings

START_ONE = "start one: export-service worker"

_OLDEST = (3, 10)
"""The first RabbitMQ that dead-letters at least once."""
_TRIED = (3, 10)
"""The newest one that the tests run against; what is said of later ones is from their documentation."""
_CHANNELS = 16
"""More than a worker or a gateway opens on one connection."""
_LOOK_INTO = {
    topology.PARKED: "look at them with: export-service dead list",
    topology.UNROUTED: f"look at them with: export-service dead list --queue {topology.UNROUTED}",
    topology.DEAD: "the next worker decides on them",
}
_BROKER = "broker"
_START_IT = "start it, or set EXPORT_BROKER_URL right: address, user, password, virtual host"
_ALARMS = "look for alarms with: rabbitmq-diagnostics alarms"


async def look_at_broker(settings: BrokerSettings) -> list[Finding]:
    """Changes nothing, takes no message, and leaves none."""
    try:
        async with connected(settings) as connection:
            entities: list[Entity] = [*topology.EXCHANGES, *topology.QUEUES]
            looks = [await _look_at(connection, entity) for entity in entities]
            takes = await _takes_messages(connection)
            # A node in alarm answers nothing any more where something was published; other brokers have no rights.
            has_rights = takes.state is State.OK and _product(connection) == "RabbitMQ"
            rights = await look_at_rights(connection) if has_rights else []
            return [_version(connection, settings), _agreed(connection), takes, *looks, *rights, *_unseen()]
    except BrokerFault as fault:
        return [problem(_BROKER, str(fault), _START_IT)]


# ---- the node


def _version(connection: Connection, settings: BrokerSettings) -> Finding:
    version = _property(connection, "version")
    detail = f"{_product(connection)} {version} at {place(settings)}"
    numbers = re.match(r"(\d+)\.(\d+)", version)
    seen = tuple(map(int, numbers.groups())) if numbers else _TRIED
    if seen < _OLDEST:
        return problem(_BROKER, detail, "RabbitMQ 3.10 or newer is needed: older ones may lose dead letters")
    if seen > _TRIED:
        oldest, newest = (".".join(map(str, numbers)) for numbers in (_OLDEST, _TRIED))
        span = oldest if oldest == newest else f"{oldest} to {newest}"
        return note(_BROKER, f"{detail}; the service was tried with {span}, newer ones were only read about")
    return ok(_BROKER, detail)


def _product(connection: Connection) -> str:
    return _property(connection, "product")


def _property(connection: Connection, name: str) -> str:
    transport = connection.transport
    value: object = None if transport is None else transport.connection.server_properties.get(name)
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value or "?")


def _agreed(connection: Connection) -> Finding:
    """What client and server settled on when they connected."""
    subject = f"{_BROKER}: connection"
    tune = getattr(connection.transport and connection.transport.connection, "connection_tune", None)
    if tune is None:
        return note(subject, "was lost before it could be looked at")
    detail = f"heartbeat {tune.heartbeat} s, frames of {tune.frame_max:,} bytes, {tune.channel_max:,} channels"
    if not tune.heartbeat:
        mend = "set EXPORT_HEARTBEAT_SECONDS, and take no heartbeat=0 into EXPORT_BROKER_URL"
        return problem(subject, f"{detail}: a worker whose host vanishes is never missed", mend)
    if 0 < tune.channel_max < _CHANNELS:
        return problem(subject, detail, f"allow {_CHANNELS} channels at least: channel_max in rabbitmq.conf")
    return ok(subject, detail)


async def _takes_messages(connection: Connection) -> Finding:
    """Sends a small message and one of the largest size to where nobody is: both come back."""
    subject = f"{_BROKER}: takes messages"
    for size in (1, MAX_MESSAGE_BYTES):
        try:
            async with asyncio.timeout(ANSWER_SECONDS / 2):
                await _send_to_nobody(connection, size)
        except ChannelPreconditionFailed as fault:
            return problem(subject, said(fault), f"max_message_size in rabbitmq.conf: {2 * MAX_MESSAGE_BYTES} or more")
        except TimeoutError:
            slow = f"{size:,} bytes were not taken within {ANSWER_SECONDS / 2:g} seconds: short of memory or disk?"
            return problem(subject, slow, _ALARMS)
    return ok(subject, f"up to {MAX_MESSAGE_BYTES:,} bytes (MAX_MESSAGE_BYTES) at least")


async def _send_to_nobody(connection: Connection, size: int) -> None:
    """Raises ChannelPreconditionFailed when it is too large; that is found out before rights are looked at."""
    channel = await connection.channel(on_return_raises=True)
    try:
        nowhere = f"export.check-{secrets.token_hex(8)}"
        await channel.default_exchange.publish(Message(bytes(size)), nowhere, mandatory=True)
    except (PublishError, ChannelAccessRefused):
        return


# ---- exchanges and queues


async def _look_at(connection: Connection, entity: Entity) -> Finding:
    filling = await looked_up(connection, entity)
    if filling is None:
        return problem(label(entity), "is not there", SETUP)
    try:
        await compare(connection, entity)
    except Differs as fault:
        mend = f"wanted: {wanted(entity)}. Delete it once it is empty, then: {SETUP}"
        return problem(label(entity), f"is there with other arguments: {fault}", mend)
    except Forbidden:
        return _content(entity, filling, "; this user may not see its arguments")
    return _content(entity, filling, "")


def _content(entity: Entity, filling: Filling, remark: str) -> Finding:
    if not isinstance(entity, Queue):
        return ok(label(entity), f"is there{remark}")
    detail = f"{counted(filling.messages, 'message')}, {counted(filling.consumers, 'consumer')}{remark}"
    if entity.name == topology.START and not filling.consumers:
        if filling.messages:
            return problem(label(entity), f"{detail}: nobody takes the commands", START_ONE)
        return note(label(entity), f"{detail}: no worker is there", START_ONE)
    if filling.messages and entity.name in _LOOK_INTO:
        return note(label(entity), detail, _LOOK_INTO[entity.name])
    return ok(label(entity), detail)


# ---- what AMQP does not show


def _unseen() -> Iterator[Finding]:
    """Said, so that nobody takes silence for a yes."""
    for policy in topology.POLICIES:
        detail = f"not to be seen over AMQP, nor is its effect; without it {policy.without_it}"
        yield note(f"policy {policy.name}", detail, "rabbitmqctl list_policies")
    yield note(
        "consumer_timeout",
        "not to be seen over AMQP; the default is half an hour, after which a running export's message is delivered "
        "again (the export goes on)",
        "rabbitmqctl eval 'application:get_env(rabbit, consumer_timeout).'",
    )
