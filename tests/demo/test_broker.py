"""The embedded broker does what RabbitMQ does, as far as our topology goes; its common tests run against either."""

import asyncio
import struct
from collections.abc import AsyncIterator
from typing import Any

import aio_pika
import pytest
from aio_pika.abc import AbstractChannel, AbstractIncomingMessage, AbstractQueue
from aio_pika.exceptions import (
    AMQPConnectionError,
    ChannelNotFoundEntity,
    ChannelPreconditionFailed,
    DeliveryError,
    ProbableAuthenticationError,
    PublishError,
)
from aiormq.exceptions import ChannelLockedResource
from faststream import AckPolicy
from faststream.rabbit import Channel, QueueType, RabbitBroker, RabbitExchange, RabbitQueue
from pamqp import commands
from pamqp import frame as frames

from contracts import topology
from demo.broker import Broker, broker, topic_leads

QUORUM = {"x-queue-type": "quorum"}


@pytest.fixture
async def channel(amqp: str) -> AsyncIterator[AbstractChannel]:
    connection = await aio_pika.connect(amqp)
    async with connection, connection.channel() as channel:
        yield channel


@pytest.fixture
async def embedded_channel(embedded: Broker) -> AsyncIterator[AbstractChannel]:
    """For the faults that only the embedded broker has on demand."""
    connection = await aio_pika.connect(embedded.url)
    async with connection, connection.channel() as channel:
        yield channel


async def queue_of(channel: AbstractChannel, name: str, **arguments: Any) -> AbstractQueue:
    """A durable queue, empty even when the broker outlives its tests."""
    named = {key.replace("_", "-"): value for key, value in arguments.items()}
    queue = await channel.declare_queue(name, durable=True, arguments=named)
    await queue.purge()
    return queue


async def publish(channel: AbstractChannel, key: str, *bodies: str, exchange: str = "", **properties: Any) -> None:
    target = await channel.get_exchange(exchange) if exchange else channel.default_exchange
    for body in bodies:
        await target.publish(aio_pika.Message(body.encode(), **properties), key)


async def got(queue: AbstractQueue) -> AbstractIncomingMessage:
    """The next message, waited for: a queue of RabbitMQ's may need a moment."""
    async with asyncio.timeout(5):
        while not (message := await queue.get(fail=False)):  # noqa: ASYNC110 (AMQP has no other way)
            await asyncio.sleep(0.01)
    return message


async def bodies_of(queue: AbstractQueue) -> list[str]:
    found = []
    while message := await queue.get(no_ack=True, fail=False):
        found.append(message.body.decode())
    return found


def deaths_of(message: AbstractIncomingMessage) -> list[dict[str, Any]]:
    return message.headers["x-death"]  # type: ignore[return-value]


async def consume(
    queue: AbstractQueue, into: list[AbstractIncomingMessage] | None = None, *, no_ack: bool = False
) -> str:
    """The tag of a consumer that only collects."""
    collected: list[AbstractIncomingMessage] = [] if into is None else into

    async def collect(message: AbstractIncomingMessage) -> None:
        collected.append(message)

    return await queue.consume(collect, no_ack=no_ack)


async def eventually(condition: Any) -> None:
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110 (it is about another party's state)
            await asyncio.sleep(0.005)


# ---- queues ------------------------------------------------------------------------------------------


async def test_messages_come_in_the_order_of_publishing(channel: AbstractChannel) -> None:
    queue = await queue_of(channel, "t.order")
    await publish(channel, "t.order", "a", "b", "c")
    assert await bodies_of(queue) == ["a", "b", "c"]


async def test_properties_and_headers_arrive_as_they_were_sent(channel: AbstractChannel) -> None:
    queue = await queue_of(channel, "t.properties")
    headers = {"text": "é", "number": 7, "nested": {"list": [1, "two", None, True]}}
    await publish(channel, "t.properties", "x", headers=headers, message_id="m-1", type="t", content_type="text/plain")
    message = await got(queue)
    assert (message.headers, message.message_id, message.type) == (headers, "m-1", "t")


@pytest.mark.parametrize("size_bytes", [0, 1, 131_064, 131_065, 20 << 20])
async def test_a_body_of_any_size_arrives_whole(channel: AbstractChannel, size_bytes: int) -> None:
    queue = await queue_of(channel, "t.large")
    body = (b"0123456789abcdef" * (size_bytes // 16 + 1))[:size_bytes]
    await channel.default_exchange.publish(aio_pika.Message(body), "t.large")
    message = await got(queue)
    assert message.body == body
    await message.ack()


async def test_a_message_that_was_got_and_not_acknowledged_comes_back_first(channel: AbstractChannel) -> None:
    queue = await queue_of(channel, "t.back")
    await publish(channel, "t.back", "a", "b")
    first = await got(queue)
    assert not first.redelivered
    await first.nack(requeue=True)
    again = await got(queue)
    assert (again.body, again.redelivered) == (b"a", True)
    await again.ack()
    assert await bodies_of(queue) == ["b"]


async def test_several_are_settled_at_once_up_to_a_tag(channel: AbstractChannel) -> None:
    queue = await queue_of(channel, "t.multiple")
    await publish(channel, "t.multiple", "a", "b", "c")
    _, second, third = await got(queue), await got(queue), await got(queue)
    await second.ack(multiple=True)
    await third.nack(requeue=True)
    assert await bodies_of(queue) == ["c"]


async def test_a_passive_declare_tells_how_many_messages_and_consumers_there_are(channel: AbstractChannel) -> None:
    queue = await queue_of(channel, "t.passive")
    await publish(channel, "t.passive", "a", "b")
    found = await channel.declare_queue("t.passive", passive=True)
    assert found.declaration_result.message_count == 2
    assert found.declaration_result.consumer_count == 0
    assert (await queue.purge()).message_count == 2


async def test_the_reply_queue_that_faststream_asks_for_is_there(channel: AbstractChannel) -> None:
    await channel.declare_queue("amq.rabbitmq.reply-to", passive=True)


async def test_a_queue_can_be_named_by_the_server(channel: AbstractChannel) -> None:
    one, other = await channel.declare_queue(exclusive=True), await channel.declare_queue(exclusive=True)
    assert one.name.startswith("amq.gen")
    assert one.name != other.name


async def test_a_queue_nobody_uses_expires_and_one_in_use_does_not(channel: AbstractChannel) -> None:
    await channel.declare_queue("t.expires", durable=True, arguments={"x-expires": 100})
    used = await channel.declare_queue("t.used", durable=True, arguments={"x-expires": 100})
    tag = await consume(used, no_ack=True)
    await asyncio.sleep(0.3)
    await channel.declare_queue("t.used", passive=True)
    await used.cancel(tag)
    with pytest.raises(ChannelNotFoundEntity):
        await channel.declare_queue("t.expires", passive=True)


async def test_a_full_queue_drops_its_oldest_message(channel: AbstractChannel) -> None:
    queue = await queue_of(channel, "t.drop", x_max_length=2, x_overflow="drop-head")
    await publish(channel, "t.drop", "a", "b", "c")
    assert await bodies_of(queue) == ["b", "c"]


async def test_a_full_queue_can_refuse_instead(channel: AbstractChannel) -> None:
    queue = await queue_of(channel, "t.refuse", x_max_length=1, x_overflow="reject-publish")
    await publish(channel, "t.refuse", "a")
    with pytest.raises(DeliveryError):
        await publish(channel, "t.refuse", "b")
    assert await bodies_of(queue) == ["a"]


async def test_a_deleted_queue_gives_its_name_free(channel: AbstractChannel) -> None:
    queue = await queue_of(channel, "t.deleted", x_max_length=1)
    await queue.delete()
    again = await queue_of(channel, "t.deleted", x_max_length=2)
    await again.delete()


async def test_an_exclusive_queue_is_locked_to_others_and_goes_with_its_connection(
    amqp: str, channel: AbstractChannel
) -> None:
    async with await aio_pika.connect(amqp) as owner:
        await (await owner.channel()).declare_queue("t.exclusive", exclusive=True)
        with pytest.raises(ChannelLockedResource):
            await channel.declare_queue("t.exclusive", passive=True)
    await channel.reopen()
    with pytest.raises(ChannelNotFoundEntity):
        await channel.declare_queue("t.exclusive", passive=True)


async def test_an_auto_delete_queue_goes_with_its_last_consumer(channel: AbstractChannel) -> None:
    queue = await channel.declare_queue("t.auto", auto_delete=True)
    await queue.cancel(await consume(queue))
    with pytest.raises(ChannelNotFoundEntity):
        await channel.declare_queue("t.auto", passive=True)


# ---- exchanges ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pattern", "key", "fits"),
    [
        ("a.b", "a.b", True),
        ("a.b", "a.c", False),
        ("a.*", "a.b", True),
        ("a.*", "a", False),
        ("a.*", "a.b.c", False),
        ("*.*", "a.b", True),
        ("#", "", True),
        ("#", "a.b.c", True),
        ("a.#", "a", True),
        ("a.#.z", "a.z", True),
        ("a.#.z", "a.b.c.z", True),
        ("a.#.z", "a.b.c", False),
        ("#.b.#", "a.b.c", True),
        ("*", "", False),
        ("a+b", "aab", False),
    ],
)
async def test_topics_fit_by_word(channel: AbstractChannel, pattern: str, key: str, fits: bool) -> None:
    assert topic_leads(pattern, key) is fits
    exchange = await channel.declare_exchange("t.topic", "topic", durable=True)
    queue = await channel.declare_queue(exclusive=True)
    await queue.bind(exchange, pattern)
    await publish(channel, key, "x", exchange="t.topic")
    assert await bodies_of(queue) == ["x"] * fits


async def test_two_bindings_that_fit_deliver_once_and_none_after_unbinding(channel: AbstractChannel) -> None:
    exchange = await channel.declare_exchange("t.topic", "topic", durable=True)
    queue = await channel.declare_queue(exclusive=True)
    await queue.bind(exchange, "twice.#")
    await queue.bind(exchange, "twice")
    await publish(channel, "twice", "once", exchange="t.topic")
    await queue.unbind(exchange, "twice")
    await queue.unbind(exchange, "twice.#")
    await publish(channel, "twice", "never", exchange="t.topic")
    assert await bodies_of(queue) == ["once"]


async def test_fanout_reaches_every_queue_and_direct_the_one_with_the_key(channel: AbstractChannel) -> None:
    for kind, found in (("fanout", [["x"], ["x"]]), ("direct", [["x"], []])):
        exchange = await channel.declare_exchange(f"t.{kind}", kind, durable=True)
        queues = [await channel.declare_queue(exclusive=True) for _ in range(2)]
        for number, queue in enumerate(queues):
            await queue.bind(exchange, str(number))
        await publish(channel, "0", "x", exchange=f"t.{kind}")
        assert [await bodies_of(queue) for queue in queues] == found


async def test_what_nobody_listens_to_goes_to_the_alternate_exchange(channel: AbstractChannel) -> None:
    unrouted = await channel.get_queue(topology.UNROUTED)
    await unrouted.purge()
    await publish(channel, "export.completed", "x", exchange=topology.EVENTS)
    message = await got(unrouted)
    assert (message.body, message.exchange) == (b"x", topology.EVENTS)
    await message.ack()


async def test_a_mandatory_message_without_a_queue_is_returned(amqp: str) -> None:
    async with await aio_pika.connect(amqp) as connection:
        channel = await connection.channel(on_return_raises=True)
        with pytest.raises(PublishError, match="NO_ROUTE"):
            await publish(channel, "nobody.listens", "x")
        await publish(channel, topology.PARKED, "the channel lives on")
        await (await channel.get_queue(topology.PARKED)).purge()


# ---- errors ------------------------------------------------------------------------------------------


async def test_what_does_not_exist_is_404(channel: AbstractChannel) -> None:
    with pytest.raises(ChannelNotFoundEntity, match=r"no queue 't.none' in vhost '/'"):
        await channel.declare_queue("t.none", passive=True)
    await channel.reopen()
    with pytest.raises(ChannelNotFoundEntity, match=r"no exchange 't.none' in vhost '/'"):
        await channel.declare_exchange("t.none", passive=True)
    await channel.reopen()
    with pytest.raises(ChannelNotFoundEntity, match="no exchange"):
        await (await channel.get_exchange("t.none", ensure=False)).publish(aio_pika.Message(b""), "key")


async def test_declaring_something_else_under_the_same_name_is_406(channel: AbstractChannel) -> None:
    await queue_of(channel, "t.declared", x_max_length=1)
    with pytest.raises(ChannelPreconditionFailed, match="inequivalent arg 'x-max-length'"):
        await queue_of(channel, "t.declared", x_max_length=2)
    await channel.reopen()
    with pytest.raises(ChannelPreconditionFailed, match="inequivalent arg 'type'"):
        await channel.declare_exchange(topology.EVENTS, "fanout", durable=True)


async def test_a_message_can_be_settled_only_once(channel: AbstractChannel) -> None:
    queue = await queue_of(channel, "t.twice")
    await publish(channel, "t.twice", "x")
    message = await got(queue)
    for _ in range(2):
        await message.channel.basic_ack(message.delivery_tag or 0)
    with pytest.raises(ChannelPreconditionFailed, match="unknown delivery tag"):
        await message.channel.basic_qos(prefetch_count=1)


async def test_an_error_on_one_channel_leaves_the_others_alone(amqp: str) -> None:
    async with await aio_pika.connect(amqp) as connection:
        good, bad = await connection.channel(), await connection.channel()
        with pytest.raises(ChannelNotFoundEntity):
            await bad.declare_queue("t.none", passive=True)
        await good.declare_queue(exclusive=True)


async def test_a_wrong_password_is_refused(amqp: str) -> None:
    with pytest.raises(ProbableAuthenticationError, match="ACCESS_REFUSED"):
        await aio_pika.connect(amqp.replace("guest:guest", "guest:wrong"))


# ---- consumers ---------------------------------------------------------------------------------------


async def test_a_consumer_holds_no_more_than_its_prefetch(channel: AbstractChannel) -> None:
    queue = await queue_of(channel, "t.prefetch")
    held: list[AbstractIncomingMessage] = []
    await channel.set_qos(2)
    await consume(queue, held)
    await publish(channel, "t.prefetch", "a", "b", "c")
    await eventually(lambda: len(held) == 2)
    await asyncio.sleep(0.02)
    assert len(held) == 2
    await held[0].ack()
    await eventually(lambda: [message.body for message in held] == [b"a", b"b", b"c"])
    await held[2].ack(multiple=True)


async def test_two_consumers_share_fairly(channel: AbstractChannel) -> None:
    queue = await queue_of(channel, "t.shared")
    one: list[AbstractIncomingMessage] = []
    other: list[AbstractIncomingMessage] = []
    await consume(queue, one, no_ack=True)
    await consume(queue, other, no_ack=True)
    await publish(channel, "t.shared", *"abcdefgh")
    await eventually(lambda: len(one) + len(other) == 8)
    assert len(one) == len(other) == 4


async def test_a_cancelled_consumer_gets_nothing_more_and_keeps_what_it_has(channel: AbstractChannel) -> None:
    queue = await queue_of(channel, "t.cancelled")
    held: list[AbstractIncomingMessage] = []
    tag = await consume(queue, held)
    await publish(channel, "t.cancelled", "a")
    await eventually(lambda: held)
    await queue.cancel(tag)
    await publish(channel, "t.cancelled", "b")
    assert await bodies_of(queue) == ["b"]
    await held[0].ack()


async def test_what_a_closed_channel_held_is_delivered_again_and_counted(amqp: str, channel: AbstractChannel) -> None:
    queue = await queue_of(channel, "t.counted", **QUORUM)
    await publish(channel, "t.counted", "x")
    async with await aio_pika.connect(amqp) as other:
        for expected in (0, 1, 2):
            theirs = await other.channel()
            message = await got(await theirs.get_queue("t.counted"))
            assert message.headers.get("x-delivery-count") == expected
            await theirs.close()
    message = await got(queue)
    assert message.headers["x-delivery-count"] == 3
    await message.ack()


# ---- dead letters ------------------------------------------------------------------------------------


async def test_a_rejected_message_goes_to_the_dead_letters(channel: AbstractChannel) -> None:
    start, dead = await channel.get_queue(topology.START), await channel.get_queue(topology.DEAD)
    await publish(channel, "export.start", "x", exchange=topology.EVENTS)
    await (await got(start)).reject(requeue=False)
    message = await got(dead)
    [death] = deaths_of(message)
    assert (death["queue"], death["reason"], death["count"]) == (topology.START, "rejected", 1)
    assert (death["exchange"], death["routing-keys"]) == (topology.EVENTS, ["export.start"])
    assert message.exchange == topology.DEAD
    assert message.headers["x-delivery-count"] == 0  # a count of its own
    await message.ack()


async def test_a_message_that_comes_back_too_often_goes_there_too(channel: AbstractChannel) -> None:
    graves = await queue_of(channel, "t.graves")
    arguments = {"x_delivery_limit": 2, "x_dead_letter_exchange": "", "x_dead_letter_routing_key": "t.graves"}
    queue = await queue_of(channel, "t.limited", **QUORUM, **arguments)
    await publish(channel, "t.limited", "x")
    for _ in range(3):
        await (await got(queue)).reject(requeue=True)
    message = await got(graves)
    assert deaths_of(message)[0]["reason"] == "delivery_limit"
    assert await bodies_of(queue) == []
    await message.ack()


async def test_the_policy_sets_the_limit_of_our_queues(channel: AbstractChannel) -> None:
    [policy] = topology.POLICIES
    start, dead = await channel.get_queue(topology.START), await channel.get_queue(topology.DEAD)
    await publish(channel, "export.start", "x", exchange=topology.EVENTS)
    for _ in range(int(policy.definition["delivery-limit"]) + 1):
        await (await got(start)).reject(requeue=True)
    await (await got(dead)).ack()


# ---- FastStream --------------------------------------------------------------------------------------


async def test_faststream_publishes_consumes_and_acknowledges_by_hand(amqp: str) -> None:
    app = RabbitBroker(amqp)
    counts: list[object] = []

    @app.subscriber(
        RabbitQueue("t.manual", queue_type=QueueType.QUORUM), ack_policy=AckPolicy.MANUAL, channel=Channel(1)
    )
    async def take(body: str) -> None:
        message = app.context.get("message")
        counts.append(message.headers.get("x-delivery-count"))
        await (message.ack() if len(counts) == 3 else message.nack(requeue=True))

    async with app:
        await app.start()
        await app.publish("x", "t.manual")
        await eventually(lambda: len(counts) == 3)
    assert counts == [None, 1, 2]


async def test_faststream_finds_the_topology_without_declaring_it(amqp: str) -> None:
    app = RabbitBroker(amqp)
    seen: list[str] = []
    events = RabbitExchange(topology.EVENTS, declare=False)

    @app.subscriber(RabbitQueue(topology.CANCEL, declare=False), events)
    async def take(body: str) -> None:
        seen.append(body)

    async with app:
        await app.start()
        await app.publish("x", exchange=topology.EVENTS, routing_key="export.cancel", mandatory=True, persist=True)
        await eventually(lambda: seen == ["x"])


async def test_faststream_raises_what_came_back(amqp: str) -> None:
    async with RabbitBroker(amqp, default_channel=Channel(on_return_raises=True)) as app:
        with pytest.raises(PublishError):
            await app.publish("x", "nobody.listens", mandatory=True)


# ---- the embedded broker only ------------------------------------------------------------------------


async def test_a_dropped_connection_cancels_the_handler_and_the_message_comes_again(embedded: Broker) -> None:
    app = RabbitBroker(embedded.url, reconnect_interval=0.05)
    attempts: list[object] = []
    cancelled = asyncio.Event()

    @app.subscriber(RabbitQueue(topology.START, declare=False), ack_policy=AckPolicy.MANUAL, channel=Channel(1))
    async def take(body: str) -> None:
        message = app.context.get("message")
        attempts.append(message.headers.get("x-delivery-count"))
        if len(attempts) == 2:
            await message.ack()
            return
        try:
            await asyncio.sleep(60)
        finally:
            cancelled.set()

    async with app:
        await app.start()
        await app.publish("x", topology.START)
        await eventually(lambda: attempts)
        embedded.drop_connections()
        await asyncio.wait_for(cancelled.wait(), 1)
        await eventually(lambda: embedded.queues[topology.START] == (0, 0))
    assert attempts == [None, 1]


async def test_a_blocked_publisher_waits_and_others_go_on(embedded: Broker, embedded_channel: AbstractChannel) -> None:
    queue = await queue_of(embedded_channel, "t.blocked")
    await publish(embedded_channel, "t.blocked", "before")
    embedded.block()
    async with await aio_pika.connect(embedded.url) as other:
        consuming = await (await other.channel()).get_queue("t.blocked")
        publishing = asyncio.create_task(publish(embedded_channel, "t.blocked", "during"))
        await (await got(consuming)).ack()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.shield(publishing), 0.05)
        embedded.unblock()
        await publishing
    assert await bodies_of(queue) == ["during"]


async def test_the_first_publish_of_a_connection_is_blocked_too(
    embedded: Broker, embedded_channel: AbstractChannel
) -> None:
    embedded.block()
    publishing = asyncio.create_task(publish(embedded_channel, topology.PARKED, "x"))
    await asyncio.sleep(0.03)
    assert not publishing.done()
    assert embedded.queues[topology.PARKED] == (0, 0)
    embedded.unblock()
    await publishing
    assert embedded.queues[topology.PARKED] == (1, 0)


async def test_a_consumer_that_does_not_read_stalls_nobody(embedded: Broker, embedded_channel: AbstractChannel) -> None:
    await queue_of(embedded_channel, "t.slow")
    reader, writer = await raw_client(embedded)
    for method in (commands.Channel.Open(), commands.Basic.Consume(queue="t.slow", consumer_tag="c", no_ack=True)):
        writer.write(frames.marshal(method, 1))
    writer.transport.pause_reading()  # type: ignore[attr-defined]
    large = "x" * (1 << 20)
    await publish(embedded_channel, "t.slow", *[large] * 16)
    assert embedded.queues["t.slow"].ready > 0
    await publish(embedded_channel, topology.PARKED, "x")
    writer.transport.resume_reading()  # type: ignore[attr-defined]
    async with asyncio.timeout(5):
        while embedded.queues["t.slow"].ready:
            await reader.read(1 << 20)
    writer.close()
    await writer.wait_closed()


@pytest.mark.parametrize("method", [commands.Tx.Select(), commands.Basic.Recover(), commands.Basic.Qos(0, 1, True)])
async def test_what_it_does_not_know_is_540_with_a_sentence(embedded: Broker, method: Any) -> None:
    reader, writer = await raw_client(embedded)
    writer.write(frames.marshal(commands.Channel.Open(), 1) + frames.marshal(method, 1))
    assert isinstance(await next_frame(reader), commands.Channel.OpenOk)
    close = await next_frame(reader)
    assert isinstance(close, commands.Connection.Close)
    assert close.reply_code == 540
    assert method.name in close.reply_text
    writer.close()
    await writer.wait_closed()


@pytest.mark.parametrize(
    "arguments",
    [{"x-message-ttl": 1}, {"x-queue-type": "stream"}, {"x-expires": "soon"}, {"x-single-active-consumer": True}],
)
async def test_an_argument_it_does_not_know_is_540(embedded: Broker, arguments: dict[str, Any]) -> None:
    connection = await aio_pika.connect(embedded.url)
    channel = await connection.channel()
    with pytest.raises(AMQPConnectionError, match="NOT_IMPLEMENTED"):
        await channel.declare_queue("t.unknown", durable=True, arguments=arguments)
    await connection.close()


@pytest.mark.parametrize(
    "rubbish",
    [
        b"\x01\x00\x00\x00\x00\x00\x04\xff\xff\xff\xff\xce",
        b"\x07\x00\x00\x00\x00\x00\x01x\xce",
        b"\x01\x00\x01\x00\x00\x00\x02xx\x00",
        struct.pack(">BHI", 1, 1, 1 << 30),
        b"\x02\x00\x01\x00\x00\x00\x0e\x00\x3c\x00\x00" + bytes(10) + b"\xce",
    ],
)
async def test_rubbish_closes_its_own_connection_only(
    embedded: Broker, embedded_channel: AbstractChannel, rubbish: bytes
) -> None:
    reader, writer = await raw_client(embedded)
    writer.write(rubbish)
    close = await next_frame(reader)
    assert isinstance(close, commands.Connection.Close)
    assert await reader.read() == b""
    writer.close()
    await writer.wait_closed()
    await embedded_channel.declare_queue(exclusive=True)


async def test_another_protocol_is_shown_the_door(embedded: Broker) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port_of(embedded))
    writer.write(b"GET / HTTP/1.1\r\n\r\n")
    await asyncio.wait_for(reader.read(), 1)
    writer.close()
    await writer.wait_closed()


async def test_a_silent_peer_is_dropped_after_two_heartbeats_of_ours(embedded: Broker) -> None:
    reader, writer = await raw_client(embedded, heartbeat=1)
    received = await asyncio.wait_for(reader.read(1000), 1)
    async with asyncio.timeout(4):
        while more := await reader.read(1000):
            received += more
    assert received.count(b"\x08\x00\x00\x00\x00\x00\x00\xce") >= 4
    writer.close()
    await writer.wait_closed()


async def test_a_robust_connection_survives_a_cut(embedded: Broker) -> None:
    async with await aio_pika.connect_robust(embedded.url, reconnect_interval=0.02) as connection:
        channel = await connection.channel()
        queue = await queue_of(channel, "t.robust")
        seen: list[AbstractIncomingMessage] = []
        await consume(queue, seen, no_ack=True)
        embedded.drop_connections()
        await asyncio.sleep(0.01)
        async with await aio_pika.connect(embedded.url) as other:
            await publish(await other.channel(), "t.robust", "x")
        await eventually(lambda: [message.body for message in seen] == [b"x"])


async def test_nothing_outlives_a_broker_that_ends_under_its_clients() -> None:
    async with broker() as ending:
        connection = await aio_pika.connect(ending.url)
        _, writer = await asyncio.open_connection("127.0.0.1", port_of(ending))
    assert ending.connections == set()
    await connection.close()
    writer.close()
    await writer.wait_closed()


def port_of(broker: Broker) -> int:
    return int(broker.url.rsplit(":", 1)[1].rstrip("/"))


async def raw_client(broker: Broker, heartbeat: int = 0) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Logged in, and then as silent or as rude as a test wants."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port_of(broker))
    writer.write(b"AMQP\0\0\x09\x01")
    await next_frame(reader)
    writer.write(frames.marshal(commands.Connection.StartOk({}, "PLAIN", "\0guest\0guest", "en_US"), 0))
    await next_frame(reader)
    writer.write(frames.marshal(commands.Connection.TuneOk(0, 0, heartbeat), 0))
    writer.write(frames.marshal(commands.Connection.Open("/"), 0))
    await next_frame(reader)
    return reader, writer


async def next_frame(reader: asyncio.StreamReader) -> object:
    async with asyncio.timeout(2):
        head = await reader.readexactly(7)
        rest = await reader.readexactly(int.from_bytes(head[3:]) + 1)
    return frames.unmarshal(head + rest)[2]
