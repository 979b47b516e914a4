"""Wires a worker together, and runs it: the only place that knows all the parts."""

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta

import anyio
from aio_pika.exceptions import AMQPConnectionError, AMQPError
from anyio.abc import TaskGroup
from faststream import FastStream
from faststream.rabbit import RabbitBroker

from contracts import topology
from service.announce import Announcer
from service.broker import BROKER_FAULTS, Consumption, NotStarted, connections, unless_the_channel_dies
from service.export import Threads, Workshop
from service.fitness import Fitness
from service.handlers import Handlers, subscribe
from service.health import Health
from service.ledger import Ledger
from service.reconcile import Reconciler
from service.room import Allowance
from service.settings import WorkerSettings
from service.stores import opened_storage
from service.supervisor import Patience, Supervisor

log = logging.getLogger(__name__)

HAND_BACK_SECONDS = 0.8
"""After a SIGTERM, until the messages of exports whose threads hang are given back without them."""

ANSWER_SECONDS = 10.0
"""How long the broker may take for an answer that can wait till the next time."""
PING_SECONDS = 0.5
BEGIN_AGAIN_SECONDS = 1.0
BEGIN_SECONDS = 1.0
"""How long an end that comes during the start waits for the connections to be made."""


@dataclass(frozen=True, slots=True)
class Worker:
    """The parts of one worker, and how they live together."""

    settings: WorkerSettings
    stream: FastStream
    produce: RabbitBroker
    consume: RabbitBroker
    announcer: Announcer
    supervisor: Supervisor
    fitness: Fitness
    health: Health
    reconciler: Reconciler
    began: anyio.Event = field(default_factory=anyio.Event)
    """Set when the broker was there, or refused."""

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Takes and carries out commands while the block runs; at its end hands back what is unfinished.

        Does not wait for the broker: `health` says when it is there.
        """
        async with self.announcer.telling_progress(), self.supervisor.open(), anyio.create_task_group() as tasks:
            tasks.start_soon(self._begin, tasks)
            try:
                yield
            finally:
                with anyio.CancelScope(shield=True):
                    await self._end()
                tasks.cancel_scope.cancel()

    async def _begin(self, tasks: TaskGroup) -> None:
        try:
            # The publishing connection first: a message that comes at once must be able to be answered.
            for broker in (self.produce, self.consume):
                await _start(broker)
        except Exception as fault:
            if self.fitness.is_draining:  # whoever ends has no time for a slow start, and gave up the connections
                log.debug("ended before it had begun: %s", fault)
                return
            if isinstance(fault, AMQPError):
                raise NotStarted(f"RabbitMQ does not let the worker begin: {fault}") from fault
            raise
        finally:
            self.began.set()
        log.info("taking commands; %d exports at once", self.settings.prefetch)
        tasks.start_soon(self.fitness.keep_looking, self.settings.probe_seconds)
        tasks.start_soon(self.reconciler.keep_reconciling, self.settings.reconcile_seconds)
        tasks.start_soon(self.reconciler.keep_sweeping, self.settings.sweep_seconds)

    async def _end(self) -> None:
        """First no new messages, then the exports, then the connections over which they were given back."""
        self.fitness.is_draining = True
        self.supervisor.draining.set()
        # A connection that is cancelled while it is made cannot be closed any more, and keeps the loop from ending.
        with anyio.move_on_after(BEGIN_SECONDS):
            await self.began.wait()
        await self.health.consumption.pause()
        await self.supervisor.drain(HAND_BACK_SECONDS)
        await self.stream.stop()


@asynccontextmanager
async def worker(settings: WorkerSettings) -> AsyncIterator[Worker]:
    """A worker on the storage of `settings`, not running yet. Raises Trouble when that is not there."""
    async with opened_storage(settings) as ledger:
        yield assemble(settings, ledger)


def assemble(settings: WorkerSettings, ledger: Ledger) -> Worker:
    """Connects the parts; touches neither a disk nor a network."""
    produce, consume = connections(settings)
    threads = Threads.of_each(settings.copiers)
    allowance = Allowance(settings.max_export_assets, settings.max_export_bytes)
    shop = Workshop(ledger.storage, ledger, threads, settings.worker_name, allowance)
    announcer = Announcer(produce)
    consumption = Consumption()
    fitness = Fitness(ledger, consumption)
    patience = Patience(settings.patience_seconds, settings.unavailable_seconds, int(settings.deadline_seconds))
    supervisor = Supervisor(shop, announcer, fitness, patience)
    handlers = Handlers(ledger, supervisor, announcer, settings.unavailable_seconds)
    consumption.of(subscribe(consume, handlers, settings.prefetch))
    reconciler = Reconciler(
        ledger,
        announcer,
        supervisor.tell,
        lambda: commands_waiting(produce),
        timedelta(seconds=settings.lost_after_seconds),
        timedelta(seconds=settings.abandoned_seconds),
    )
    health = Health(consumption, fitness, supervisor, lambda: _is_connected(consume))
    stream = FastStream(produce, consume, logger=None)
    return Worker(settings, stream, produce, consume, announcer, supervisor, fitness, health, reconciler)


async def _start(broker: RabbitBroker) -> None:
    """Once more where the connection is lost meanwhile: that is no refusal. What was half made is given up."""
    while True:
        try:
            return await unless_the_channel_dies(broker.start)
        except (AMQPConnectionError, OSError) as fault:
            log.warning("the connection was lost while the worker began: %s", fault)
        with suppress(*BROKER_FAULTS, ExceptionGroup):
            await broker.stop()
        await anyio.sleep(BEGIN_AGAIN_SECONDS)


async def _is_connected(broker: RabbitBroker) -> bool:
    try:
        return await broker.ping(PING_SECONDS)
    except AttributeError:  # FastStream 0.7 waits on a connection that may be given up meanwhile, and then has none
        return False


async def commands_waiting(broker: RabbitBroker) -> int:
    """How many commands nobody has taken yet. Raises a fault of the broker's when it does not answer."""

    async def ask() -> int:
        connection = await broker.connect()
        await connection.ready()  # on one that is lost, to open a channel is an error of its own kind
        async with connection.channel() as channel:
            queue = await channel.declare_queue(topology.START, passive=True)
            return queue.declaration_result.message_count or 0

    with anyio.fail_after(ANSWER_SECONDS):
        return await unless_the_channel_dies(ask)
