"""Whether this user may do what a worker or a gateway does: asked in ways that RabbitMQ refuses after it looked.

It looks at rights first and at arguments then. So a consumer with a wrong priority is never made, and a message with a
wrong expiry goes nowhere; but the refusal says whether the user may.
"""

import asyncio
import secrets
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from typing import Any, NamedTuple

from aio_pika.abc import AbstractChannel
from aio_pika.exceptions import ChannelInvalidStateError
from aiormq.exceptions import ChannelAccessRefused, ChannelNotFoundEntity, ChannelPreconditionFailed
from pamqp.commands import Basic

from cli.broker import ANSWER_SECONDS, Connection
from cli.findings import Finding, ok, problem
from contracts import topology

_Act = Callable[[AbstractChannel], Awaitable[None]]


class _Role(NamedTuple):
    """What one kind of service does with the broker."""

    takes: tuple[str, ...]
    """Queues."""
    tells: tuple[str, ...]
    """Routing keys of the events."""
    parks: tuple[str, ...]
    own: str
    """How the names of its own queues begin."""
    hears: tuple[str, ...]


_ROLES = {
    "worker": _Role(
        (topology.START, topology.CANCEL, topology.DELETE, topology.DEAD),
        (topology.START, topology.PROGRESS, *topology.TERMINALS),
        (topology.PARKED,),
        topology.WORKER_QUEUES,
        (topology.CANCEL,),
    ),
    "gateway": _Role(
        (), topology.COMMANDS, (), topology.GATEWAY_QUEUES, (topology.PROGRESS, *topology.TERMINALS)
    ),
}  # fmt: skip


async def look_at_rights(connection: Connection) -> list[Finding]:
    """No problem as long as the user may be one of them: which one it shall be, nobody said."""
    lacking = {name: await _lacking(connection, role) for name, role in _ROLES.items()}
    details = [f"a {name} {'; '.join(['may not ' + ', '.join(lacks)] if lacks else ['may do all that it does'])}"
               for name, lacks in lacking.items()]  # fmt: skip
    detail = f"as this user {'; '.join(details)}"
    if all(lacking.values()):
        return [problem("rights", detail, "give it those of export-worker or export-gateway: rabbitmqctl "
                                          "import_definitions deploy/rabbitmq/definitions.json")]  # fmt: skip
    return [ok("rights", detail)]


async def _lacking(connection: Connection, role: _Role) -> list[str]:
    asked: list[tuple[str, _Act]] = [
        *((f"take {queue}", partial(_consume, queue)) for queue in role.takes),
        *((f"say {key}", partial(_publish, topology.EVENTS, key)) for key in role.tells),
        *((f"write to {exchange}", partial(_publish, exchange, "")) for exchange in role.parks),
        (f"have a queue {role.own}* of its own", partial(_declare, role.own, role.hears)),
    ]
    return [what for what, act in asked if not await _may(connection, act)]


async def _may(connection: Connection, act: _Act) -> bool:
    """On a channel of its own, which a refusal ends."""
    async with asyncio.timeout(ANSWER_SECONDS):
        channel = await connection.channel()
        try:
            await act(channel)
        except ChannelAccessRefused:
            return False
        except (ChannelPreconditionFailed, ChannelNotFoundEntity):
            return True  # what is not there is found out by itself
        finally:
            with suppress(ChannelInvalidStateError):
                await channel.close()
    return True


async def _consume(queue: str, channel: AbstractChannel) -> None:
    await (await channel.get_underlay_channel()).basic_consume(queue, _never, arguments={"x-priority": "none"})


async def _never(_: Any) -> None:
    """Takes the messages of a consumer that is never made."""


async def _publish(exchange: str, key: str, channel: AbstractChannel) -> None:
    properties = Basic.Properties(expiration="never")
    underlay = await channel.get_underlay_channel()
    await underlay.basic_publish(b"", exchange=exchange, routing_key=key, properties=properties)


async def _declare(prefix: str, keys: tuple[str, ...], channel: AbstractChannel) -> None:
    """This one is made, and is gone with the connection: nobody else sees it."""
    name = f"{prefix}check-{secrets.token_hex(8)}"
    queue = await channel.declare_queue(name, exclusive=True, auto_delete=True)
    for key in keys:
        await queue.bind(topology.EVENTS, key)
    await queue.delete(if_unused=False, if_empty=False)
