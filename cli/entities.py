"""Exchanges and queues as the broker has them, and as `contracts.topology` wants them."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from typing import NamedTuple, TypeVar

from aio_pika.abc import AbstractChannel
from aio_pika.exceptions import ChannelInvalidStateError
from aiormq.exceptions import ChannelAccessRefused, ChannelNotFoundEntity, ChannelPreconditionFailed
from pamqp.common import FieldTable

from cli.broker import ANSWER_SECONDS, Connection, said
from contracts.topology import Exchange, Queue

T = TypeVar("T")
Entity = Exchange | Queue


class Filling(NamedTuple):
    """What is in a queue and who takes it; zeros for an exchange."""

    messages: int
    consumers: int


class Differs(Exception):
    """It is there with other arguments, in the broker's words."""


class Forbidden(Exception):
    """This user may not declare it."""


def label(entity: Entity) -> str:
    return f"{'queue' if isinstance(entity, Queue) else 'exchange'} {entity.name}"


def wanted(entity: Entity) -> str:
    """Its arguments as one would say them."""
    kind = [] if isinstance(entity, Queue) else [entity.type]
    return ", ".join(["durable", *kind, *(f"{name}={value}" for name, value in entity.arguments.items())])


async def looked_up(connection: Connection, entity: Entity) -> Filling | None:
    """Nothing when it is not there. Changes nothing, and asks for no rights."""

    async def ask(channel: AbstractChannel) -> Filling:
        if isinstance(entity, Exchange):
            await channel.get_exchange(entity.name)
            return Filling(0, 0)
        result = (await channel.declare_queue(entity.name, passive=True)).declaration_result
        return Filling(result.message_count or 0, result.consumer_count or 0)

    try:
        return await _asked(connection, ask)
    except ChannelNotFoundEntity:
        return None


async def make(connection: Connection, entity: Entity) -> None:
    """Makes it, with its bindings, unless it is there. Raises Differs, Forbidden."""
    await compare(connection, entity)
    if isinstance(entity, Queue):
        await _unless_refused(connection, partial(_bind, entity))


async def compare(connection: Connection, entity: Entity) -> None:
    """Declares it as it is wanted, which changes nothing of one that is there. Raises Differs, Forbidden."""
    await _unless_refused(connection, partial(_declare, entity))


async def _declare(entity: Entity, channel: AbstractChannel) -> None:
    arguments: FieldTable = {**entity.arguments}
    if isinstance(entity, Exchange):
        await channel.declare_exchange(entity.name, entity.type, durable=True, arguments=arguments)
    else:
        await channel.declare_queue(entity.name, durable=True, arguments=arguments)


async def _bind(queue: Queue, channel: AbstractChannel) -> None:
    there = await channel.get_queue(queue.name, ensure=False)
    for key in queue.keys:
        await there.bind(queue.exchange, key)


async def _unless_refused(connection: Connection, ask: Callable[[AbstractChannel], Awaitable[None]]) -> None:
    try:
        await _asked(connection, ask)
    except ChannelPreconditionFailed as fault:
        raise Differs(said(fault)) from None
    except ChannelAccessRefused as fault:
        raise Forbidden(said(fault)) from None


async def _asked(connection: Connection, ask: Callable[[AbstractChannel], Awaitable[T]]) -> T:
    """On a channel of its own, which a refusal ends."""
    async with asyncio.timeout(ANSWER_SECONDS):
        channel = await connection.channel()
        try:
            return await ask(channel)
        finally:
            with suppress(ChannelInvalidStateError):
                await channel.close()
