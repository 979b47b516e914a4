"""`check` on RabbitMQ itself: versions, rights, limits and alarms, which only a real node has."""

import asyncio
import re

import pytest

from contracts import topology
from tests.broker.commands import send
from tests.broker.node import PASSWORD, PrivateNode
from tests.cli.checked import findings, problems
from tests.cli.command import Said, call

pytestmark = pytest.mark.slow


@pytest.fixture
def node(node_of_the_run: PrivateNode) -> PrivateNode:
    return node_of_the_run


async def check(node: PrivateNode, user: str = "guest") -> Said:
    return await asyncio.to_thread(call, "check", "--json", "--broker", node.url(user))


@pytest.mark.parametrize("user", [user.name for user in topology.USERS])
async def test_every_user_of_the_definitions_finds_all_well(user: str, node: PrivateNode) -> None:
    said = await check(node, user)
    assert problems(said) == []
    broker = findings(said, "ok").get("broker") or findings(said, "note")["broker"]
    assert re.match(r"RabbitMQ \d+\.\d+", broker["detail"])


@pytest.mark.parametrize(
    ("user", "words"),
    [
        ("export-worker", ("a worker may do all that it does", "a gateway may not say export.cancel")),
        ("export-gateway", ("a worker may not take export.start", "a gateway may do all that it does")),
    ],
)
async def test_a_user_is_told_what_it_may_be(user: str, words: tuple[str, ...], node: PrivateNode) -> None:
    detail = findings(await check(node, user), "ok")["rights"]["detail"]
    assert [word for word in words if word not in detail] == []


async def test_a_user_who_may_be_neither_is_a_problem(node: PrivateNode) -> None:
    node.ctl("add_user", "lame", PASSWORD)
    node.ctl("set_permissions", "lame", "^$", "^export", "^export")
    try:
        said = await check(node, "lame")
    finally:
        node.ctl("delete_user", "lame")
    assert problems(said) == ["rights"]
    assert "have a queue export.worker.* of its own" in findings(said, "problem")["rights"]["detail"]


async def test_a_look_at_rights_takes_and_leaves_nothing(node: PrivateNode) -> None:
    await node.purge_all()
    await send(node, topology.CANCEL, {"version": 1, "export_id": "waiting"})
    before = node.ctl("list_queues", "name")
    await check(node, "export-worker")
    async with node.channel() as channel:
        message = await (await channel.get_queue(topology.CANCEL, ensure=False)).get(no_ack=True)
    assert message is not None
    assert not message.redelivered
    assert await node.left_over() == {}
    assert node.ctl("list_queues", "name") == before


async def test_a_node_that_takes_too_small_messages_is_a_problem(node: PrivateNode) -> None:
    node.ctl("eval", "application:set_env(rabbit, max_message_size, 1000000).")
    try:
        said = await check(node, "export-worker")
    finally:
        node.ctl("eval", "application:set_env(rabbit, max_message_size, 134217728).")
    assert problems(said) == ["broker: takes messages"]
    finding = findings(said, "problem")["broker: takes messages"]
    assert "8388608 is larger than configured max size 1000000" in finding["detail"]
    assert "max_message_size in rabbitmq.conf" in finding["mend"]


async def test_a_node_that_is_short_of_memory_is_a_problem_and_all_else_is_told(node: PrivateNode) -> None:
    await asyncio.to_thread(node.alarm)
    try:
        said = await check(node)
    finally:
        await asyncio.to_thread(node.clear_alarm)
    assert problems(said) == ["broker: takes messages"]
    assert "rabbitmq-diagnostics alarms" in findings(said, "problem")["broker: takes messages"]["mend"]
    assert "queue export.parked" in findings(said, "ok")


def test_the_line_that_shows_the_consumer_timeout_shows_it(node: PrivateNode) -> None:
    assert re.fullmatch(r"\{ok,\d+\}", node.ctl("eval", "application:get_env(rabbit, consumer_timeout)."))
