"""`dead list|show|replay|drop`: the messages that nobody could carry out or listened to, for a person to decide on.

To look at a queue is to take what is in it, unacknowledged, and to give it back; meanwhile nobody else sees it.
"""

import asyncio
import json
import sys
from argparse import Namespace
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from typing import NamedTuple

from aio_pika.abc import AbstractChannel, AbstractIncomingMessage
from aio_pika.exceptions import AMQPError, ChannelInvalidStateError
from rich.console import Console
from rich.markup import escape

from cli import exits
from cli.answer import answered, complain
from cli.broker import ANSWER_SECONDS, Connection, publish, publishing_channel, through_broker
from cli.ending import say
from cli.errors import UsageError
from cli.parked import NotReplayable, Parked, is_taken, parked, replayed, visible
from cli.roots import Books, books
from cli.show import console, counted
from contracts import ExportStart
from service.naming import one_line

MAX_LOOKED_AT = 10_000
"""Messages; what is behind them shows when they are gone."""
MAX_HELD_BYTES = 256 * 1024 * 1024
"""Of all bodies together."""
_SHOWN_IN_LIST = 200


class Taken(NamedTuple):
    """A message, and the deliveries in which it is held: more than one where equal ones lie in the queue."""

    message: Parked
    deliveries: list[AbstractIncomingMessage]


class Look(NamedTuple):
    """What was found in a queue."""

    queue: str
    taken: Sequence[Taken]
    behind: int
    """Messages that were not looked at."""


# ---- the four commands


def show_list(args: Namespace) -> int:
    async def work(connection: Connection) -> int:
        async with looked_at(connection, args.queue) as look:
            found = look._replace(taken=[Taken(one.message, list(one.deliveries)) for one in look.taken])
        return answered(exits.COMPLETE, lambda: _show_list(console(), found))

    return through_broker(args, work)


def show(args: Namespace) -> int:
    async def work(connection: Connection) -> int:
        async with looked_at(connection, args.queue) as look:
            chosen = [one.message for one in _chosen(look, args)]
        return answered(exits.COMPLETE, lambda: _show_all(console(), chosen))

    return through_broker(args, work)


def replay(args: Namespace) -> int:
    """Each is acknowledged once its copy is confirmed: what fails in between lies there twice, and never not at all."""
    if args.new_id is not None and (args.all or len(args.messages) != 1):
        raise UsageError("--as gives one message another id: name that one")
    with books() as found:
        return through_broker(args, lambda connection: _replay(connection, args, found))


async def _replay(connection: Connection, args: Namespace, found: Books | None) -> int:
    left = 0
    async with looked_at(connection, args.queue) as look:
        for one in _chosen(look, args):
            reason = await _replay_one(connection, one, args.new_id, found)
            if reason is not None:
                left += 1
                complain(f"{one.message.handle} stays: {reason}")
    return exits.FAILED if left else exits.COMPLETE


async def _replay_one(connection: Connection, one: Taken, new_id: str | None, found: Books | None) -> str | None:
    """Why it was not."""
    if new_id is None and (why := _is_spent(one.message, found)):
        return f"{why}; give it a new id: --as NEW_ID"
    if new_id is not None and found and found.decision(new_id):
        return f"export {new_id} is over too; give it another id"
    try:
        envelope = replayed(one.message, new_id)
    except NotReplayable as reason:
        return str(reason)
    # A channel of its own: one that dies of a refused message would give back all the others.
    channel = await publishing_channel(connection)
    await publish(channel, envelope, one.message.content_type)
    await channel.close()
    await _done(one)
    say(f"{one.message.handle} replayed: {envelope.routing_key} of {envelope.correlation_id or 'no export'}")
    return None


def _is_spent(message: Parked, found: Books | None) -> str | None:
    """That a start would only be refused, or answered by what was decided, in a sentence."""
    if is_taken(message):
        return f"export {message.export_id} was asked for before with another content"
    if message.routing_key == ExportStart.type and message.export_id and found and found.decision(message.export_id):
        return f"export {message.export_id} is over"
    return None


def drop(args: Namespace) -> int:
    if not args.yes and not sys.stdin.isatty():
        raise UsageError("drop: nobody can be asked here; say --yes")
    return through_broker(args, lambda connection: _drop(connection, args))


async def _drop(connection: Connection, args: Namespace) -> int:
    async with looked_at(connection, args.queue) as look:
        chosen = _chosen(look, args)
        count = sum(len(one.deliveries) for one in chosen)
        if count and not args.yes and not await asyncio.to_thread(_is_sure, count, look.queue):
            say("Nothing was dropped.")
            return exits.FAILED
        for one in chosen:
            await _done(one)
    say(f"Dropped {counted(count, 'message')} of {args.queue}.")
    return exits.COMPLETE


def _is_sure(count: int, queue: str) -> bool:
    say(f"Drop {counted(count, 'message')} of {queue} for good? [y/N] ")
    return sys.stdin.readline().strip().lower() in {"y", "yes"}


async def _done(one: Taken) -> None:
    for delivery in one.deliveries:
        await delivery.ack()


# ---- looking


@asynccontextmanager
async def looked_at(connection: Connection, queue: str) -> AsyncIterator[Look]:
    """Everything in the queue, held for as long as the block runs; what was not acknowledged goes back."""
    async with asyncio.timeout(ANSWER_SECONDS):
        channel = await connection.channel()
    try:
        yield await _look(channel, queue)
    finally:
        with suppress(AMQPError, ChannelInvalidStateError, OSError, TimeoutError):
            await _give_back(channel)


async def _look(channel: AbstractChannel, name: str) -> Look:
    async with asyncio.timeout(ANSWER_SECONDS):
        queue = await channel.declare_queue(name, passive=True)
    count = queue.declaration_result.message_count or 0
    taken: dict[str, Taken] = {}
    held = looked = 0
    while looked < min(count, MAX_LOOKED_AT) and held < MAX_HELD_BYTES:
        delivery = await queue.get(fail=False, timeout=ANSWER_SECONDS)
        if delivery is None:
            break
        looked, held = looked + 1, held + len(delivery.body)
        message = parked(delivery)
        taken.setdefault(message.digest, Taken(message, [])).deliveries.append(delivery)
    return Look(name, list(taken.values()), max(0, count - looked))


async def _give_back(channel: AbstractChannel) -> None:
    """By a nack: from RabbitMQ 4.3 on only that is not counted as a failed delivery. The close is for the rest."""
    async with asyncio.timeout(ANSWER_SECONDS):
        underlay = await channel.get_underlay_channel()
        await underlay.basic_nack(0, multiple=True, requeue=True)
        await channel.close()


def _chosen(look: Look, args: Namespace) -> Sequence[Taken]:
    """In the order of the queue. Raises UsageError for a name that fits none, or more than one."""
    if args.all:
        return look.taken
    names: Sequence[str] = args.messages
    if not names:
        raise UsageError(
            f"name messages as `dead list` shows them, or say --all ({counted(len(look.taken), 'message')})"
        )
    wanted = {_the_one(name, look).message.digest for name in names}
    return [one for one in look.taken if one.message.digest in wanted]


def _the_one(name: str, look: Look) -> Taken:
    fitting = [one for one in look.taken if one.message.digest.startswith(name.lower())]
    if len(fitting) == 1:
        return fitting[0]
    if fitting:
        longer = ", ".join(one.message.digest[: len(name) + 4] for one in fitting[:4])
        raise UsageError(f"{name} fits {counted(len(fitting), 'message')}: {longer}")
    behind = f" among the first {MAX_LOOKED_AT:,}" if look.behind else ""
    raise UsageError(f"there is no message {name} in {look.queue}{behind}; `dead list` shows what there is")


# ---- showing


def _show_list(out: Console, look: Look) -> None:
    for message, deliveries in look.taken[:_SHOWN_IN_LIST]:
        times = f"  {len(deliveries)} times" if len(deliveries) > 1 else ""
        when = "-" if message.when is None else f"{message.when:%Y-%m-%d %H:%M:%S}Z"
        of = message.export_id or "no export"
        _print(out, f"[bold]{message.handle}[/]  {when}  {_safe(message.routing_key)}  {of}{times}")
        if message.reason or message.detail:
            _print(out, f"          [yellow]{_safe(message.reason)}[/]  {_safe(message.detail)}")
        _print(out, f"          [dim]{_safe(message.head)}[/]")
    hidden = len(look.taken) - _SHOWN_IN_LIST + look.behind
    if hidden > 0:
        _print(out, f"[dim]… and {hidden:,} more[/]")
    if not look.taken:
        _print(out, f"{look.queue} is empty")


def _show_all(out: Console, messages: Sequence[Parked]) -> None:
    for message in messages:
        _show(out, message)


def _show(out: Console, message: Parked) -> None:
    _print(out, f"[bold]{message.digest}[/]")
    _print(out, f"routing key: {_safe(message.routing_key)}")
    for name, value in (("message id", message.message_id), ("content type", message.content_type)):
        if value is not None:
            _print(out, f"{name}: {_safe(value)}")
    for name, value in sorted(message.headers.items()):
        _print(out, f"{_safe(name)}: {_safe(_text(value))}")
    _print(out, "")
    out.out(visible(message.body), highlight=False)


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, default=str)


def _safe(text: str) -> str:
    return escape(one_line(visible(text.encode(errors="backslashreplace"))))


def _print(out: Console, line: str) -> None:
    out.print(line, soft_wrap=True)


COMMANDS: dict[str, Callable[[Namespace], int]] = {"list": show_list, "show": show, "replay": replay, "drop": drop}


def dead(args: Namespace) -> int:
    """One of the four."""
    return COMMANDS[args.action](args)
