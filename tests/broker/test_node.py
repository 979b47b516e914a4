"""The ground that the other tests here stand on: a real RabbitMQ keeps what our topology promises."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import aio_pika
import pytest
from aio_pika.abc import AbstractChannel
from aio_pika.exceptions import ChannelInvalidStateError, DeliveryError
from aiormq.exceptions import ChannelAccessRefused

from contracts import topology
from tests.broker import node as node_module
from tests.broker.commands import EXCHANGE, send, start
from tests.broker.listener import PROGRESS, Listener
from tests.broker.node import PrivateNode, RabbitMissing
from tests.broker.workers import USER

DELIVERY_LIMIT = 100


async def publish(
    channel: AbstractChannel, exchange: str, key: str, body: bytes = b"{}", mandatory: bool = True
) -> None:
    message = aio_pika.Message(body, delivery_mode=aio_pika.DeliveryMode.PERSISTENT)
    await (await channel.get_exchange(exchange, ensure=False)).publish(message, key, mandatory=mandatory)


# ---- the node itself


def test_the_definitions_make_every_queue_and_policy(node: PrivateNode) -> None:
    assert set(asyncio.run(node.depths())) == {queue.name for queue in topology.QUEUES}
    policies = node.ctl("list_policies")
    assert all(policy.name in policies for policy in topology.POLICIES)


def test_nobody_but_this_machine_reaches_the_node(node: PrivateNode) -> None:
    listening = subprocess.run(["ss", "-Hltn"], capture_output=True, text=True, check=True).stdout
    ports = {str(port) for port in (node.port, node._distribution_port, node._epmd_port)}
    addresses = {line.split()[3].rpartition(":") for line in listening.splitlines()}
    assert {host for host, _, port in addresses if port in ports} <= {"127.0.0.1", "[::1]"}
    assert {port for _, _, port in addresses} >= ports


async def test_a_confirmed_message_survives_kill_9_and_a_restart(mortal: PrivateNode) -> None:
    await start(mortal, b"{}")
    pid = mortal.pid
    await mortal.restarted()
    assert mortal.pid != pid
    await mortal.until_depth(topology.START, 1)


async def test_a_listener_comes_back_after_a_restart_and_has_missed_nothing(mortal: PrivateNode) -> None:
    async with Listener(mortal.url()) as listener:
        await mortal.restarted()
        async with mortal.channel(USER) as channel:
            await publish(channel, EXCHANGE, "export.completed", b'{"export_id": "e1"}')
        assert (await listener.terminal("e1")).body == b'{"export_id": "e1"}'


def test_when_the_tests_are_killed_no_node_stays(tmp_path: Path) -> None:
    """The keeper sees that nobody gives orders any more."""
    script = tmp_path / "server"
    script.write_text("#!/bin/sh\nexec sleep 600\n")
    script.chmod(0o755)
    words = [sys.executable, "-I", "-S", str(node_module.KEEPER), str(tmp_path / "log"), str(script), str(script)]
    with subprocess.Popen(words, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as keeper:
        assert keeper.stdin is not None
        assert keeper.stdout is not None
        print("start", file=keeper.stdin, flush=True)
        _, pid = keeper.stdout.readline().split()
        os.kill(int(pid), 0)
        keeper.stdin.close()
        assert keeper.wait(10) == 0
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid), 0)


def test_a_node_can_be_told_to_end_though_the_tests_block_signals(tmp_path: Path) -> None:
    script = tmp_path / "server"
    script.write_text("#!/bin/sh\nexec sleep 600\n")
    script.chmod(0o755)
    words = [sys.executable, "-I", "-S", str(node_module.KEEPER), str(tmp_path / "log"), str(script), str(script)]
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    try:
        said = subprocess.run(words, input="start\nend 15\n", text=True, capture_output=True, timeout=10, check=True)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
    assert said.stdout.splitlines()[1] == f"ended {-signal.SIGTERM}"


def test_without_rabbitmq_one_is_told_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(node_module, "SBIN", "nowhere/*")
    with pytest.raises(RabbitMissing, match="make tools"):
        PrivateNode(tmp_path)


# ---- rights


@pytest.mark.parametrize("queue", [topology.START, topology.CANCEL, topology.DELETE, topology.DEAD])
async def test_a_worker_may_look_at_the_queues_it_consumes(node: PrivateNode, queue: str) -> None:
    async with node.channel(USER) as channel:
        assert (await channel.declare_queue(queue, passive=True)).name == queue


async def test_a_worker_may_make_queues_under_its_own_name_only(node: PrivateNode) -> None:
    own = topology.own_queue(topology.WORKER_QUEUES, "t1", (topology.CANCEL,))
    async with node.channel(USER) as channel:
        queue = await channel.declare_queue(own.name, durable=True, arguments=dict(own.arguments))
        await queue.bind(EXCHANGE, topology.CANCEL)
        await queue.delete()
    for name in (topology.START, "export.results.mine", "mine"):
        async with node.channel(USER) as channel:
            with pytest.raises(ChannelAccessRefused):
                await channel.declare_queue(name, durable=True)


async def test_a_worker_may_not_overhear_other_messages_than_cancels(node: PrivateNode) -> None:
    async with node.channel(USER) as channel:
        queue = await channel.declare_queue("export.worker.t2", durable=True, arguments={"x-expires": 60_000})
        with pytest.raises(ChannelAccessRefused):
            await queue.bind(EXCHANGE, "export.start")


@pytest.mark.parametrize(
    ("exchange", "key"),
    [
        (EXCHANGE, "export.cancel"),
        (EXCHANGE, "export.delete"),
        (EXCHANGE, "other"),
        (topology.DEAD, ""),
        ("", "export.start"),
    ],
)
async def test_a_worker_may_not_publish_what_is_not_its_own(node: PrivateNode, exchange: str, key: str) -> None:
    async with node.channel(USER) as channel:
        with pytest.raises(ChannelAccessRefused):
            await publish(channel, exchange, key)


async def test_a_refused_publish_closes_the_channel(node: PrivateNode) -> None:
    """Whatever else goes over it goes down with it: not the channel to consume on."""
    async with node.channel(USER) as channel:
        with pytest.raises(ChannelAccessRefused):
            await publish(channel, EXCHANGE, "export.delete")
        with pytest.raises(ChannelInvalidStateError):
            await publish(channel, topology.PARKED, "")


async def test_a_worker_may_park_a_message_and_publish_a_start_anew(node: PrivateNode) -> None:
    async with node.channel(USER) as channel:
        await publish(channel, topology.PARKED, "")
        await publish(channel, EXCHANGE, "export.start")
    assert await node.left_over() == {topology.PARKED: 1, topology.START: 1}


async def test_a_gateway_commands_and_announces_nothing(node: PrivateNode) -> None:
    await start(node, b"{}")
    with pytest.raises(ChannelAccessRefused):
        await send(node, "export.completed", b"{}")


# ---- routes


@pytest.mark.parametrize("key", topology.TERMINALS)
async def test_a_terminal_event_that_nobody_wants_raises_an_alarm_and_no_error(node: PrivateNode, key: str) -> None:
    async with node.channel(USER) as channel:
        await publish(channel, EXCHANGE, key)
    assert await node.depth(topology.UNROUTED) == 1


async def test_a_start_that_cannot_be_routed_is_not_lost(node: PrivateNode) -> None:
    """As when somebody removed a binding by hand."""
    async with node.channel("guest") as channel:
        queue = await channel.get_queue(topology.START, ensure=False)
        await queue.unbind(EXCHANGE, "export.start")
        try:
            await start(node, b"{}")
        finally:
            await queue.bind(EXCHANGE, "export.start")
    assert await node.left_over() == {topology.UNROUTED: 1}


async def test_progress_that_nobody_wants_goes_nowhere(node: PrivateNode) -> None:
    async with node.channel(USER) as channel:
        await publish(channel, EXCHANGE, PROGRESS, mandatory=False)
        with pytest.raises(DeliveryError):
            await publish(channel, EXCHANGE, PROGRESS, mandatory=True)
    assert await node.left_over() == {}


async def test_a_start_that_comes_back_a_hundred_times_is_put_aside(node: PrivateNode) -> None:
    await start(node, b"{}")
    counts = []
    async with node.channel(USER) as channel:
        queue = await channel.get_queue(topology.START, ensure=False)
        while message := await queue.get(fail=False):
            counts.append(message.headers.get("x-delivery-count"))
            await message.reject(requeue=True)
        dead = await until_there(channel, topology.DEAD)
    assert counts == list(range(DELIVERY_LIMIT + 1))
    deaths: Any = dead.headers["x-death"]
    assert [death["reason"] for death in deaths] == ["delivery_limit"]


async def until_there(channel: AbstractChannel, name: str) -> aio_pika.abc.AbstractIncomingMessage:
    """Dead letters travel on their own time."""
    queue = await channel.get_queue(name, ensure=False)
    async with asyncio.timeout(10):
        while (message := await queue.get(no_ack=True, fail=False)) is None:  # noqa: ASYNC110 (AMQP has no wait for a get)
            await asyncio.sleep(0.05)
    return message


async def test_a_rejected_cancel_is_parked(node: PrivateNode) -> None:
    await send(node, "export.cancel", b"nonsense")
    async with node.channel(USER) as channel:
        message = await (await channel.get_queue(topology.CANCEL, ensure=False)).get()
        await message.reject(requeue=False)
    async with node.channel("guest") as channel:
        parked = await until_there(channel, topology.PARKED)
    assert parked.body == b"nonsense"


async def test_what_somebody_holds_counts_as_left_over(node: PrivateNode) -> None:
    await start(node, b"{}")
    async with node.channel(USER) as channel:
        await (await channel.get_queue(topology.START, ensure=False)).get()
        assert await node.left_over() == {"export.start (unacknowledged)": 1}
    async with asyncio.timeout(20):  # the channel is closed before its messages are back in their queue
        while await node.left_over() != {topology.START: 1}:  # noqa: ASYNC110 (a broker tells nobody)
            await asyncio.sleep(0.1)


# ---- alarms


async def test_while_memory_is_short_publishing_waits_and_nothing_is_lost(node: PrivateNode) -> None:
    async with node.channel(USER) as channel:
        await asyncio.to_thread(node.alarm)
        try:
            waiting = asyncio.create_task(publish(channel, EXCHANGE, "export.completed"))
            done, _ = await asyncio.wait([waiting], timeout=0.5)
            assert not done
        finally:
            await asyncio.to_thread(node.clear_alarm)
        await asyncio.wait_for(waiting, 5)
    assert await node.depth(topology.UNROUTED) == 1


async def test_while_memory_is_short_a_connection_that_never_published_still_acknowledges(node: PrivateNode) -> None:
    """Therefore a worker has two connections."""
    await start(node, b"{}")
    async with node.channel(USER) as channel:
        message = await (await channel.get_queue(topology.START, ensure=False)).get()
        await asyncio.to_thread(node.alarm)
        try:
            await message.ack()
            since = time.monotonic()
            while (await asyncio.to_thread(node.unacknowledged))[topology.START]:
                assert time.monotonic() - since < 5
        finally:
            await asyncio.to_thread(node.clear_alarm)
