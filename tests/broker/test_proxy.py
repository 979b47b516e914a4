"""The wire that tests cut does what it says, with a real client on it."""

import asyncio

import aio_pika
import pytest
from aio_pika.exceptions import AMQPError

from tests.broker.node import PrivateNode
from tests.broker.proxy import Proxy

HEADER = b"AMQP\x00\x00\x09\x01"


async def drain(reader: asyncio.StreamReader, into: bytearray) -> None:
    """Reads to the end, whichever it is."""
    async with asyncio.timeout(5):
        while chunk := await reader.read(1000):
            into += chunk


async def test_a_client_works_through_the_proxy(node: PrivateNode) -> None:
    async with Proxy(node.port) as proxy, await aio_pika.connect(node.url(port=proxy.port)) as connection:
        channel = await connection.channel()
        await channel.declare_queue("export.start", passive=True)
    assert proxy.connections == 1


async def test_a_reset_ends_every_connection_and_new_ones_are_taken(node: PrivateNode) -> None:
    async with Proxy(node.port) as proxy:
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
        writer.write(HEADER)
        assert await reader.readexactly(1) == b"\x01"
        proxy.reset()
        with pytest.raises(ConnectionResetError):
            await drain(reader, bytearray())
        writer.close()
        async with await aio_pika.connect(node.url(port=proxy.port)) as connection:
            await connection.channel()


async def test_in_a_hole_nothing_is_answered_and_the_connection_stays(node: PrivateNode) -> None:
    async with Proxy(node.port) as proxy, await aio_pika.connect(node.url(port=proxy.port)) as connection:
        channel = await connection.channel()
        proxy.hole(True)
        asking = asyncio.create_task(channel.declare_queue("export.start", passive=True))
        done, _ = await asyncio.wait([asking], timeout=0.3)
        assert not done
        assert not connection.is_closed
        proxy.hole(False)
        await asyncio.wait_for(asking, 5)


async def test_a_client_that_knocks_at_a_hole_is_let_in_later(node: PrivateNode) -> None:
    async with Proxy(node.port) as proxy:
        proxy.hole(True)
        knocking = asyncio.create_task(aio_pika.connect(node.url(port=proxy.port)))
        done, _ = await asyncio.wait([knocking], timeout=0.3)
        assert not done
        proxy.hole(False)
        await (await asyncio.wait_for(knocking, 5)).close()


@pytest.mark.parametrize("count", [0, 1, 100])
async def test_an_answer_is_cut_where_one_wants(node: PrivateNode, count: int) -> None:
    async with Proxy(node.port) as proxy:
        proxy.cut_after(count)
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
        writer.write(HEADER)
        got = bytearray()
        with pytest.raises(ConnectionResetError):
            await drain(reader, got)
        writer.close()
        assert len(got) <= count  # a reset may overtake what was sent before it


async def test_a_client_whose_answer_was_cut_sees_an_error_and_comes_back(node: PrivateNode) -> None:
    async with Proxy(node.port) as proxy:
        connection = await aio_pika.connect(node.url(port=proxy.port))
        channel = await connection.channel()
        proxy.cut_after(5)
        with pytest.raises((AMQPError, ConnectionError, asyncio.CancelledError)):
            await channel.declare_queue("export.start", passive=True)
        async with await aio_pika.connect(node.url(port=proxy.port)) as again:
            await again.channel()


async def test_behind_the_proxy_a_dead_node_looks_dead(node: PrivateNode) -> None:
    async with Proxy(1) as proxy:
        with pytest.raises((AMQPError, ConnectionError)):
            await aio_pika.connect(node.url(port=proxy.port))
