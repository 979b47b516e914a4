"""An AMQP 0.9.1 broker in memory, on loopback only: what our topology needs of RabbitMQ, as RabbitMQ does it.

Anything else is refused with a sentence. It keeps nothing: when it ends, its messages are gone.
"""

import asyncio
import math
import re
from bisect import insort
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from copy import copy
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import lru_cache
from itertools import count
from operator import attrgetter, eq
from typing import Any, NamedTuple

from pamqp import commands, exceptions
from pamqp.base import Frame
from pamqp.commands import Basic

from contracts import topology
from demo.amqp import Connection, Message

Definition = Mapping[str, Any]
"""What an exchange or a queue was declared as: its flags and its arguments."""

REPLY_TO = "amq.rabbitmq.reply-to"
"""FastStream declares it at start. It exists, can be consumed from, and nothing ever arrives in it."""

_FLAGS: Definition = {"durable": True, "exclusive": False, "auto_delete": False}
_KNOWN = {
    **dict.fromkeys(["type", "alternate-exchange", "x-queue-type", "x-overflow"], str),
    **dict.fromkeys(["x-dead-letter-exchange", "x-dead-letter-routing-key", "x-dead-letter-strategy"], str),
    **dict.fromkeys(["durable", "exclusive", "auto_delete", "x-delivery-limit", "x-expires", "x-max-length"], int),
}
_UNKNOWN: dict[type[Frame], tuple[str, ...]] = {
    commands.Exchange.Declare: ("auto_delete", "internal"),
    commands.Exchange.Delete: ("if_unused",),
    commands.Queue.Bind: ("arguments",),
    commands.Queue.Unbind: ("arguments",),
    Basic.Qos: ("prefetch_size", "global_"),
    Basic.Consume: ("exclusive", "arguments"),
    Basic.Publish: ("immediate",),
}
"""What has to stay unset in a method."""


class Counts(NamedTuple):
    """The messages of a queue."""

    ready: int
    unacked: int


@asynccontextmanager
async def broker(port: int = 0) -> AsyncIterator["Broker"]:
    """A broker with the exchanges, queues and policies of `contracts.topology`; port 0 is any free one."""
    started = Broker()
    server = await asyncio.get_running_loop().create_server(lambda: Connection(started), "127.0.0.1", port)
    started.url = f"amqp://guest:guest@127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    try:
        yield started
    finally:
        server.close()
        await started.end()


class Broker:
    """Its address, and the faults of networks and full machines."""

    url: str

    def __init__(self) -> None:
        self.blocked = False
        self.connections: set[Connection] = set()
        self._host = Host()

    @property
    def queues(self) -> Mapping[str, Counts]:
        return {name: Counts(len(queue.ready), queue.unacked) for name, queue in self._host.queues.items()}

    def drop_connections(self) -> None:
        """Cuts every connection, in the middle of a word if need be; clients may come back at once."""
        for connection in self.connections:
            connection.cut()

    def block(self) -> None:
        """As a memory alarm: who publishes is told so, and read no more."""
        self.blocked = True
        for connection in self.connections:
            connection.hold()

    def unblock(self) -> None:
        self.blocked = False
        for connection in self.connections:
            connection.release()

    async def end(self) -> None:
        """Returns when the last socket is closed."""
        for _ in range(3):  # turns of the loop, after which every accepted socket is a connection of ours
            await asyncio.sleep(0)
        self.drop_connections()
        while self.connections:  # noqa: ASYNC110 (a turn or two of the loop)
            await asyncio.sleep(0)
        for queue in list(self._host.queues.values()):
            self._host.delete_queue(queue)

    def open_channel(self, connection: Connection, number: int) -> "Channel":
        return Channel(self._host, connection, number)

    def ended(self, connection: Connection) -> None:
        for queue in [queue for queue in self._host.queues.values() if queue.owner is connection]:
            self._host.delete_queue(queue)


@dataclass(slots=True)
class Entry:
    """A message in a queue."""

    place: int
    message: Message
    returns: int = 0


@dataclass(eq=False, slots=True)
class Consumer:
    """Who takes messages from a queue."""

    tag: str
    queue: "Queue"
    channel: "Channel"
    prefetch: float
    no_ack: bool
    unacked: int = 0

    def wants_more(self) -> bool:
        return self.channel.connection.writable and (self.no_ack or self.unacked < self.prefetch)


class Delivery(NamedTuple):
    """A message that a client holds and has not settled; no consumer when it was fetched by a get."""

    queue: "Queue"
    entry: Entry
    consumer: Consumer | None


class Channel:
    """A channel of a client. `Queue.Declare` is answered by `queue_declare`, and so on; what is not here, by 540."""

    def __init__(self, host: "Host", connection: Connection, number: int) -> None:
        self.connection = connection
        self._host = host
        self._number = number
        self._prefetch = math.inf
        self._confirms: count[int] | None = None
        self._tags = count(1)
        self._consumers: dict[str, Consumer] = {}
        self._unacked: dict[int, Delivery] = {}

    def on_method(self, method: Frame) -> None:
        answer = getattr(self, method.name.lower().replace(".", "_"), None)
        if answer is None:
            raise exceptions.AMQPNotImplemented(f"{method.name} is unknown to this broker")
        _check_method(method)
        self._reply(method, answer(method))

    def on_publish(self, publish: Basic.Publish, message: Message) -> None:
        _check_method(publish)
        if message.properties.reply_to == REPLY_TO:
            raise exceptions.AMQPNotImplemented("nothing replies directly here")
        queues = self._host.route(message.exchange, message.routing_key)
        if publish.mandatory and not queues:
            self._send(Basic.Return(312, "NO_ROUTE", message.exchange, message.routing_key), message)
        taken = [queue.offer(message) for queue in queues]
        if self._confirms:
            self._send(Basic.Ack(next(self._confirms)) if all(taken) else Basic.Nack(next(self._confirms)))

    def on_writable(self) -> None:
        for consumer in list(self._consumers.values()):
            consumer.queue.deliver()

    def on_closed(self) -> None:
        for consumer in list(self._consumers.values()):
            self._forget(consumer)
        self._settle(0, multiple=True, fate=Queue.take_back)

    def deliver(self, consumer: Consumer, entry: Entry) -> None:
        tag, message = self._hand_over(Delivery(consumer.queue, entry, consumer), no_ack=consumer.no_ack)
        self._send(Basic.Deliver(consumer.tag, tag, entry.returns > 0, message.exchange, message.routing_key), message)

    def cancel(self, consumer: Consumer) -> None:
        """The queue is gone."""
        del self._consumers[consumer.tag]
        self._send(Basic.Cancel(consumer.tag, nowait=True))

    def _send(self, method: Frame, message: Message | None = None) -> None:
        self.connection.send(self._number, method, message)

    def _reply(self, method: Frame, reply: Frame | None) -> None:
        if reply is not None and not getattr(method, "nowait", False):
            self._send(reply)

    # ---- exchanges and queues ------------------------------------------------------------------------

    def exchange_declare(self, method: commands.Exchange.Declare) -> Frame:
        if method.passive:
            self._host.exchange(method.exchange)
        else:
            definition = {"type": method.exchange_type, "durable": method.durable, **(method.arguments or {})}
            self._host.declare_exchange(method.exchange, definition)
        return commands.Exchange.DeclareOk()

    def exchange_delete(self, method: commands.Exchange.Delete) -> Frame:
        self._host.exchanges.pop(_named(method.exchange), None)
        return commands.Exchange.DeleteOk()

    def queue_declare(self, method: commands.Queue.Declare) -> Frame:
        if not method.passive:
            flags = {flag: getattr(method, flag) for flag in _FLAGS}
            queue = self._host.declare_queue(method.queue, {**flags, **(method.arguments or {})}, self.connection)
        else:
            queue = self._queue(method)
        queue.touch()
        return commands.Queue.DeclareOk(queue.name, len(queue.ready), len(queue.consumers))

    def queue_bind(self, method: commands.Queue.Bind) -> Frame:
        self._host.exchange(_named(method.exchange)).bindings[method.routing_key, self._queue(method)] = None
        return commands.Queue.BindOk()

    def queue_unbind(self, method: commands.Queue.Unbind) -> Frame:
        self._host.exchange(_named(method.exchange)).bindings.pop((method.routing_key, self._queue(method)), None)
        return commands.Queue.UnbindOk()

    def queue_purge(self, method: commands.Queue.Purge) -> Frame:
        return commands.Queue.PurgeOk(self._queue(method).purge())

    def queue_delete(self, method: commands.Queue.Delete) -> Frame:
        if method.queue not in self._host.queues:
            return commands.Queue.DeleteOk(0)
        queue = self._queue(method)
        if (method.if_unused and queue.consumers) or (method.if_empty and queue.ready):
            raise exceptions.AMQPPreconditionFailed(f"queue '{queue.name}' in vhost '/' in use or not empty")
        return commands.Queue.DeleteOk(self._host.delete_queue(queue))

    def _queue(self, method: Any) -> "Queue":
        return self._host.queue(method.queue, self.connection)

    # ---- messages ------------------------------------------------------------------------------------

    def confirm_select(self, _: commands.Confirm.Select) -> Frame:
        self._confirms = self._confirms or count(1)
        return commands.Confirm.SelectOk()

    def channel_flow(self, method: commands.Channel.Flow) -> Frame:
        if not method.active:
            raise exceptions.AMQPNotImplemented("active=false")  # RabbitMQ's words
        return commands.Channel.FlowOk(active=True)

    def basic_qos(self, method: Basic.Qos) -> Frame:
        self._prefetch = method.prefetch_count or math.inf
        return Basic.QosOk()

    def basic_consume(self, method: Basic.Consume) -> None:
        tag = method.consumer_tag or self._host.new_name("amq.ctag-")
        if tag in self._consumers:
            raise exceptions.AMQPNotAllowed(f"attempt to reuse consumer tag '{tag}'")
        consumer = Consumer(tag, self._queue(method), self, self._prefetch, method.no_ack)
        self._consumers[tag] = consumer
        self._reply(method, Basic.ConsumeOk(tag))  # before the first delivery
        consumer.queue.attach(consumer)

    def basic_cancel(self, method: Basic.Cancel) -> Frame:
        if consumer := self._consumers.get(method.consumer_tag or ""):
            self._forget(consumer)
        return Basic.CancelOk(method.consumer_tag)

    def _forget(self, consumer: Consumer) -> None:
        del self._consumers[consumer.tag]
        consumer.queue.detach(consumer)

    def basic_get(self, method: Basic.Get) -> Frame | None:
        queue = self._queue(method)
        queue.touch()
        if not queue.ready:
            return Basic.GetEmpty()
        entry = queue.ready.popleft()
        tag, message = self._hand_over(Delivery(queue, entry, None), no_ack=method.no_ack)
        got = Basic.GetOk(tag, entry.returns > 0, message.exchange, message.routing_key, len(queue.ready))
        self._send(got, message)
        return None

    def basic_ack(self, method: Basic.Ack) -> None:
        self._settle(method.delivery_tag, multiple=method.multiple, fate=Queue.forget)

    def basic_nack(self, method: Basic.Nack) -> None:
        fate = Queue.take_back if method.requeue else Queue.reject
        self._settle(method.delivery_tag, multiple=method.multiple, fate=fate)

    def basic_reject(self, method: Basic.Reject) -> None:
        self._settle(method.delivery_tag, multiple=False, fate=Queue.take_back if method.requeue else Queue.reject)

    def _hand_over(self, delivery: Delivery, *, no_ack: bool) -> tuple[int, Message]:
        tag = next(self._tags)
        if not no_ack:
            self._unacked[tag] = delivery
            delivery.queue.unacked += 1
            if delivery.consumer:
                delivery.consumer.unacked += 1
        return tag, delivery.queue.as_delivered(delivery.entry, by_get=not delivery.consumer)

    def _settle(self, tag: int | None, *, multiple: bool, fate: Callable[["Queue", Entry], None]) -> None:
        if tag not in self._unacked and not (multiple and tag == 0):
            raise exceptions.AMQPPreconditionFailed(f"unknown delivery tag {tag}")
        tags = [each for each in self._unacked if each <= (tag or each)] if multiple else [tag]
        settled = [self._unacked.pop(each) for each in tags if each]
        for queue, entry, consumer in settled:
            queue.unacked -= 1
            if consumer:
                consumer.unacked -= 1
            fate(queue, entry)
        for queue in dict.fromkeys(delivery.queue for delivery in settled):
            queue.deliver()


# ---- exchanges and queues: no socket is known from here on -------------------------------------------


class Queue:
    """Messages in order, and who takes turns in taking them."""

    def __init__(self, name: str, definition: Definition, host: "Host", owner: object = None) -> None:
        self.name = name
        self.definition = definition
        self.owner = owner
        """The connection that an exclusive queue belongs to."""
        self.ready: deque[Entry] = deque()
        self.unacked = 0
        self.consumers: list[Consumer] = []
        self._host = host
        self._places = count()
        self._expiry: asyncio.TimerHandle | None = None
        self._counts = definition.get("x-queue-type") == "quorum"
        self._returns_max = min(definition.get("x-delivery-limit", math.inf), _delivery_limit(name))

    def offer(self, message: Message) -> bool:
        """False when it is full and refuses."""
        limit = self.definition.get("x-max-length", math.inf)
        if self.definition.get("x-overflow") == "reject-publish" and len(self.ready) >= limit:
            return False
        self.ready.append(Entry(next(self._places), message))
        self.deliver()
        if len(self.ready) > limit:
            self._host.bury(self, self.ready.popleft().message, "maxlen")
        return True

    def deliver(self) -> None:
        while self.ready and (consumer := self._next_consumer()):
            consumer.channel.deliver(consumer, self.ready.popleft())

    def _next_consumer(self) -> Consumer | None:
        chosen = next((consumer for consumer in self.consumers if consumer.wants_more()), None)
        if chosen:  # to the end of the row
            self.consumers.remove(chosen)
            self.consumers.append(chosen)
        return chosen

    def forget(self, entry: Entry) -> None:
        """It was acknowledged."""

    def reject(self, entry: Entry) -> None:
        self._host.bury(self, entry.message, "rejected")

    def take_back(self, entry: Entry) -> None:
        """To where it was, unless it came back too often; only quorum queues count."""
        entry.returns += 1
        if self._counts and entry.returns > self._returns_max:
            self._host.bury(self, entry.message, "delivery_limit")
        else:
            insort(self.ready, entry, key=attrgetter("place"))

    def as_delivered(self, entry: Entry, *, by_get: bool) -> Message:
        """A get sees how often a quorum queue's message came back; a consumer, once it did."""
        tells = self._counts and (entry.returns or by_get)
        return _with_headers(entry.message, {"x-delivery-count": entry.returns}) if tells else entry.message

    def attach(self, consumer: Consumer) -> None:
        self.consumers.append(consumer)
        self.touch()
        self.deliver()

    def detach(self, consumer: Consumer) -> None:
        self.consumers.remove(consumer)
        self.touch()
        if self.definition["auto_delete"] and not self.consumers:
            self._host.delete_queue(self)

    def touch(self) -> None:
        """The clock of `x-expires` starts again; it stands still while somebody consumes."""
        if self._expiry:
            self._expiry.cancel()
        if "x-expires" in self.definition and not self.consumers:
            seconds = self.definition["x-expires"] / 1000
            self._expiry = asyncio.get_running_loop().call_later(seconds, self._host.delete_queue, self)

    def purge(self) -> int:
        purged = len(self.ready)
        self.ready.clear()
        return purged

    def close(self) -> None:
        if self._expiry:
            self._expiry.cancel()
        while self.consumers:
            consumer = self.consumers.pop()
            consumer.channel.cancel(consumer)


@dataclass(frozen=True, slots=True)
class Exchange:
    """What it was declared as, and the keys of the queues bound to it, in the order of binding."""

    definition: Definition
    bindings: dict[tuple[str, Queue], None] = field(default_factory=dict)


class Host:
    """The exchanges and the queues, by name."""

    def __init__(self) -> None:
        self.exchanges = {"": Exchange({"type": "direct", "durable": True})}
        self.queues: dict[str, Queue] = {}
        self._numbers = count(1)
        for exchange in topology.EXCHANGES:
            self.declare_exchange(exchange.name, {"type": exchange.type, "durable": True, **exchange.arguments})
        for queue in topology.QUEUES:
            declared = self.declare_queue(queue.name, {**_FLAGS, **queue.arguments})
            self.exchange(queue.exchange).bindings.update({(key, declared): None for key in queue.keys})

    def new_name(self, prefix: str) -> str:
        return f"{prefix}{next(self._numbers)}"

    def exchange(self, name: str) -> Exchange:
        if name not in self.exchanges:
            raise exceptions.AMQPNotFound(f"no exchange '{name}' in vhost '/'")
        return self.exchanges[name]

    def queue(self, name: str, client: object) -> Queue:
        if name == REPLY_TO:
            return Queue(name, _FLAGS, self)
        if name not in self.queues:
            raise exceptions.AMQPNotFound(f"no queue '{name}' in vhost '/'")
        if self.queues[name].owner not in (None, client):
            raise exceptions.AMQPResourceLocked(f"cannot obtain exclusive access to locked queue '{name}'")
        return self.queues[name]

    def declare_exchange(self, name: str, definition: Definition) -> None:
        _check_definition(name, definition)
        if definition["type"] not in _LEADS:
            raise exceptions.AMQPNotImplemented(f"exchanges of type {definition['type']}")
        _insist_same(name, self.exchanges.setdefault(name, Exchange(definition)).definition, definition)

    def declare_queue(self, name: str, definition: Definition, client: object = None) -> Queue:
        _check_definition(name, definition)
        name = name or self.new_name("amq.gen-")
        if name in self.queues:
            _insist_same(name, self.queue(name, client).definition, definition)
        else:
            queue = Queue(name, definition, self, client if definition["exclusive"] else None)
            self.queues[name] = queue
            self.exchanges[""].bindings[name, queue] = None
        return self.queues[name]

    def delete_queue(self, queue: Queue) -> int:
        """How many messages went with it."""
        self.queues.pop(queue.name, None)
        for exchange in self.exchanges.values():
            for binding in [binding for binding in exchange.bindings if binding[1] is queue]:
                del exchange.bindings[binding]
        queue.close()
        return queue.purge()

    def route(self, name: str, key: str, *seen: str) -> list[Queue]:
        """The queues for a message; where there are none, those of the alternate exchange."""
        definition, bindings = self.exchange(name).definition, self.exchange(name).bindings
        leads = _LEADS[definition["type"]]
        queues = list(dict.fromkeys(queue for pattern, queue in bindings if leads(pattern, key)))
        alternate = definition.get("alternate-exchange")
        if queues or alternate in seen or alternate not in self.exchanges:
            return queues
        return self.route(alternate, key, name, *seen)

    def bury(self, queue: Queue, message: Message, reason: str) -> None:
        """To the dead-letter exchange, if the queue has one."""
        target = queue.definition.get("x-dead-letter-exchange")
        if target in self.exchanges:
            dead = _with_death(message, queue.name, reason)
            key = queue.definition.get("x-dead-letter-routing-key", message.routing_key)
            for grave in self.route(target, key):
                # Messages go in circles only where a client rejects them, not by themselves.
                if reason == "rejected" or grave.name not in {death["queue"] for death in _deaths(message)}:
                    grave.offer(replace(dead, exchange=target, routing_key=key))


def _named(exchange: str) -> str:
    if not exchange:
        raise exceptions.AMQPAccessRefused("operation not permitted on the default exchange")
    return exchange


def _check_method(method: Frame) -> None:
    set_in_vain = [name for name in _UNKNOWN.get(type(method), ()) if getattr(method, name)]
    if set_in_vain:
        raise exceptions.AMQPNotImplemented(f"{method.name} with {', '.join(set_in_vain)}")
    try:
        method.validate()
    except ValueError as error:
        raise exceptions.AMQPNotImplemented(f"{method.name}: {error}") from None


def _check_definition(name: str, definition: Definition) -> None:
    for key, value in definition.items():
        if not isinstance(value, _KNOWN.get(key, ())):
            raise exceptions.AMQPNotImplemented(f"'{name}' with {key}={value!r}")
    kind = definition.get("x-queue-type", "classic")
    if kind not in ("classic", "quorum"):
        raise exceptions.AMQPNotImplemented(f"'{name}' as a queue of type {kind}")
    if kind == "quorum" and {flag: definition[flag] for flag in _FLAGS} != _FLAGS:
        raise exceptions.AMQPPreconditionFailed("a quorum queue is durable, and neither exclusive nor auto-delete")


def _insist_same(name: str, current: Definition, received: Definition) -> None:
    for key in {**current, **received}:
        if current.get(key) != received.get(key):
            values = f"received {received.get(key)!r} but current is {current.get(key)!r}"
            raise exceptions.AMQPPreconditionFailed(f"inequivalent arg '{key}' for '{name}' in vhost '/': {values}")


def _delivery_limit(queue: str) -> float:
    limits = [policy.definition["delivery-limit"] for policy in topology.POLICIES if re.search(policy.pattern, queue)]
    return min(map(float, limits), default=math.inf)


@lru_cache(4096)
def topic_leads(pattern: str, key: str) -> bool:
    """Whether a routing key fits a pattern of words: * is one word, # any number of them.

    >>> [topic_leads(pattern, "a.b.c") for pattern in ("a.*.c", "a.#", "#.c.#", "a.*", "*.b")]
    [True, True, True, False, False]
    """
    words = {"*": r"[^.]*\.", "#": r"([^.]*\.)*"}
    expression = "".join(words.get(word, rf"{re.escape(word)}\.") for word in pattern.split(".") if pattern)
    return re.fullmatch(expression, f"{key}." if key else "") is not None


_LEADS: dict[str, Callable[[str, str], bool]] = {"direct": eq, "fanout": lambda *_: True, "topic": topic_leads}


def _with_headers(message: Message, headers: Mapping[str, Any]) -> Message:
    properties = copy(message.properties)
    properties.headers = {**(properties.headers or {}), **headers}
    return replace(message, properties=properties)


def _deaths(message: Message) -> list[dict[str, Any]]:
    headers: dict[str, Any] = message.properties.headers or {}
    deaths: list[dict[str, Any]] = headers.get("x-death", [])
    return deaths


def _with_death(message: Message, queue: str, reason: str) -> Message:
    """As RabbitMQ writes it: the newest first, one for each pair of queue and reason."""
    before = [death for death in _deaths(message) if (death["queue"], death["reason"]) == (queue, reason)]
    others = [death for death in _deaths(message) if death not in before]
    death = {"count": 1 + sum(death["count"] for death in before), "reason": reason, "queue": queue}
    death |= {"time": datetime.now(UTC), "exchange": message.exchange, "routing-keys": [message.routing_key]}
    first = {"x-first-death-queue": queue, "x-first-death-reason": reason, "x-first-death-exchange": message.exchange}
    return _with_headers(message, {**first, **(message.properties.headers or {}), "x-death": [death, *others]})
