"""`watch`: shows how an export goes on, wherever it runs, until it is over."""

import asyncio
from argparse import Namespace
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from uuid import uuid4

from aio_pika.abc import AbstractIncomingMessage
from aio_pika.exceptions import AMQPError, ChannelInvalidStateError
from pydantic import ValidationError
from rich.console import Console

from cli import exits
from cli.broker import ANSWER_SECONDS, BrokerFault, Connection, through_broker
from cli.ending import absent_of, answer_end, say
from cli.roots import Books, books
from cli.show import progress_bar
from contracts import ExportCompleted, ExportProgress, Terminal, topology
from contracts.messages import MESSAGES, Finished
from service.ledger import Decision

SILENCE_SECONDS = 10.0
"""So long without a word, and the person is told that nothing has been heard."""
_PREFETCH = 200


def watch(args: Namespace) -> int:
    """Ends as `run` does. An export that is over is answered at once where the exports root can be read."""
    with books() as found:
        try:
            return through_broker(args, lambda connection: _watch(connection, args, found))
        except KeyboardInterrupt:
            say(goes_on(args.export_id))
            return exits.INTERRUPTED


async def _watch(connection: Connection, args: Namespace, found: Books | None) -> int:
    async with hearing(connection, args.export_id) as heard:
        # Only now: what is decided in between is heard.
        decision = found.decision(args.export_id) if found else None
        if found and decision:
            absent = absent_of(decision.event, found.ledger, found.root, "submit it under a new id")
            return answer_end(decision, root_with(decision.event, found), absent, as_json=args.json)
        decision = await heard.end(quiet=args.json)
    return answer_end(decision, root_with(decision.event, found), None, as_json=args.json)


def root_with(event: Terminal, found: Books | None) -> Path | None:
    """The exports root, if the export's folder can be seen in it."""
    if found is None or not isinstance(event, ExportCompleted):
        return None
    return found.root if (found.root / event.folder.name).is_dir() else None


def goes_on(export_id: str) -> str:
    """What to know after Ctrl-C."""
    return (
        f"Stopped watching; the export goes on. Watch it again with:\n  export-service watch {export_id}\n"
        f"or stop it with:\n  export-service cancel {export_id}"
    )


# ---- listening


class Hearing:
    """What is told of one export. Messages may come late, twice, or in another order than they were sent."""

    def __init__(self, export_id: str) -> None:
        self._export_id = export_id
        self._newest = (False, 0, 0)
        self._news: asyncio.Queue[ExportProgress | Decision | BrokerFault] = asyncio.Queue()

    async def take(self, message: AbstractIncomingMessage) -> None:
        """Whatever the queue delivers; most of it is about other exports."""
        if message.correlation_id != self._export_id or message.routing_key not in MESSAGES:
            return
        try:
            event = MESSAGES[message.routing_key].model_validate_json(message.body)
        except ValidationError:
            self._news.put_nowait(
                BrokerFault(f"export {self._export_id}: a {message.routing_key} came that this version cannot read")
            )
            return
        # The larger rank is the newer; an end absorbs everything after it.
        rank = (isinstance(event, Finished), getattr(event, "attempt", 0), getattr(event, "seq", 0))
        if rank > self._newest:
            self._newest = rank
            self._news.put_nowait(event if isinstance(event, ExportProgress) else _decision(event, message.body))

    def lost(self, *_: object) -> None:
        """The connection is gone, and with it what will be told."""
        self._news.put_nowait(BrokerFault(f"the connection to RabbitMQ was lost. {goes_on(self._export_id)}"))

    async def end(self, *, quiet: bool) -> Decision:
        """How the export ended. Until then a bar shows its progress, on standard error."""
        console = Console(stderr=True, quiet=quiet, highlight=False)
        with progress_bar(console, "waiting") as report:
            while True:
                news = await self._next(console)
                if isinstance(news, Decision):
                    return news
                if isinstance(news, BrokerFault):
                    raise news
                report(news)

    async def _next(self, console: Console) -> ExportProgress | Decision | BrokerFault:
        if self._newest == (False, 0, 0):
            with suppress(TimeoutError):
                async with asyncio.timeout(SILENCE_SECONDS):
                    return await self._news.get()
            console.print(
                f"Nothing has been heard of export {self._export_id} for {SILENCE_SECONDS:.0f} seconds: it waits for a"
                " worker, is over, or was never asked for. Still listening; Ctrl-C ends that.",
                soft_wrap=True,
            )
        return await self._news.get()


def _decision(event: object, body: bytes) -> Decision:
    assert isinstance(event, Terminal)  # noqa: S101 - the routing keys of the queue's bindings
    return Decision(event.attempt, None, None, event, body)


@asynccontextmanager
async def hearing(connection: Connection, export_id: str) -> AsyncIterator[Hearing]:
    """Listens from the first line of the block on."""
    heard = Hearing(export_id)
    own = topology.own_queue(
        topology.GATEWAY_QUEUES, f"watch-{uuid4().hex}", (topology.PROGRESS, *topology.TERMINALS)
    )  # fmt: skip
    async with asyncio.timeout(ANSWER_SECONDS):
        channel = await connection.channel()
        await channel.set_qos(prefetch_count=_PREFETCH)
        await channel.get_exchange(own.exchange)
        queue = await channel.declare_queue(own.name, durable=True, arguments=dict(own.arguments))
        for key in own.keys:
            await queue.bind(own.exchange, key)
        await queue.consume(heard.take, no_ack=True)
    connection.close_callbacks.add(heard.lost)
    try:
        yield heard
    finally:
        connection.close_callbacks.discard(heard.lost)
        with suppress(AMQPError, ChannelInvalidStateError, OSError, TimeoutError):
            async with asyncio.timeout(ANSWER_SECONDS):
                await queue.delete(if_unused=False, if_empty=False)
