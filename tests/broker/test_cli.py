"""The commands of a person, on a real RabbitMQ, with the rights that each has and no more."""

import asyncio
import json
from pathlib import Path

import pytest
from aio_pika import Message

from contracts import topology
from tests.broker.commands import GATEWAY, export_start, make_project, start
from tests.broker.node import PrivateNode
from tests.broker.workers import Workers
from tests.cli.command import Said, call

ID = "the-export"
OPERATOR = "export-operator"


async def told(node: PrivateNode, user: str, *words: str | Path) -> Said:
    return await asyncio.to_thread(call, *words, "--broker", node.url(user))


@pytest.fixture
def project(media: Path, tmp_path: Path) -> Path:
    file = tmp_path / "project.json"
    file.write_text(json.dumps(make_project(media)))
    return file


async def put_aside(node: PrivateNode, *bodies: bytes) -> None:
    async with node.channel() as channel:
        exchange = await channel.get_exchange(topology.PARKED)
        for body in bodies:
            await exchange.publish(Message(body, delivery_mode=2, headers={"x-reason": "io_error"}), topology.START)


def handles(said: Said) -> list[str]:
    return [line.split()[0] for line in said.out.splitlines() if not line.startswith(" ")]


async def test_an_export_is_submitted_watched_and_told_again(
    node: PrivateNode, workers: Workers, project: Path, exports: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await workers.start().ready()
    said = await told(node, GATEWAY, "submit", project, "--export-id", ID, "--watch")
    assert (said.code, said.err) == (0, "")
    assert "exports:export_story_" in said.out  # without the tree: the root is not at hand here
    again = await told(node, GATEWAY, "submit", project, "--export-id", ID, "--watch", "--json")
    assert (again.code, again.json["export_id"], again.json["outcome"]) == (0, ID, "complete")
    monkeypatch.setenv("EXPORT_EXPORTS_ROOT", str(exports))
    assert "001_" in (await told(node, GATEWAY, "watch", ID)).out


async def test_an_export_is_cancelled_before_anybody_takes_it(
    node: PrivateNode, workers: Workers, project: Path
) -> None:
    submitted = await told(node, GATEWAY, "submit", project, "--export-id", ID)
    waiting = asyncio.create_task(told(node, GATEWAY, "cancel", ID, "--watch"))
    await node.until_depth(topology.CANCEL, 1)
    await workers.start().ready()
    said = await waiting
    assert (submitted.code, said.code, said.err) == (0, 0, f"Export {ID} is cancelled.\n")


async def test_a_conflict_is_put_aside_seen_and_replayed_under_a_new_id(
    node: PrivateNode, workers: Workers, project: Path, media: Path
) -> None:
    await workers.start().ready()
    await told(node, GATEWAY, "submit", project, "--export-id", ID, "--watch")
    await start(node, export_start(ID, make_project(media, name="other")))
    await node.until_depth(topology.PARKED, 1)
    listed = await told(node, OPERATOR, "dead", "list")
    assert "conflict" in listed.out
    (handle,) = handles(listed)
    assert (await told(node, OPERATOR, "dead", "replay", handle)).code == 1
    waiting = asyncio.create_task(told(node, GATEWAY, "watch", "another", "--json"))
    await asyncio.sleep(1)
    assert (await told(node, OPERATOR, "dead", "replay", handle, "--as", "another")).code == 0
    said = await waiting
    assert (said.json["project_id"], said.json["outcome"]) == ("other", "complete")
    await node.until_depth(topology.PARKED, 0)


async def test_looking_thirty_times_loses_no_message(node: PrivateNode) -> None:
    """Each look gives the messages back, which a quorum queue counts as failed deliveries."""
    await put_aside(node, b"one", b"other")
    first = handles(await told(node, OPERATOR, "dead", "list"))
    assert len(first) == 2
    for _ in range(30):
        assert handles(await told(node, OPERATOR, "dead", "list")) == first
    await node.until_depth(topology.PARKED, 2)


async def test_what_is_dropped_is_that_message_and_no_other(node: PrivateNode) -> None:
    await put_aside(node, b"one", b"other")
    first, second = handles(await told(node, OPERATOR, "dead", "list"))
    assert (await told(node, OPERATOR, "dead", "drop", second, "--yes")).code == 0
    await node.until_depth(topology.PARKED, 1)
    assert handles(await told(node, OPERATOR, "dead", "list")) == [first]


async def test_definitions_and_setup_agree(node: PrivateNode) -> None:
    said = await told(node, OPERATOR, "setup-broker")
    assert said.code == 0
    assert "made  " not in said.out
    assert "differs" not in said.out


async def test_a_sound_broker_is_found_sound_by_every_user(node: PrivateNode) -> None:
    for user in (OPERATOR, GATEWAY, "export-worker"):
        said = await told(node, user, "check", "--json")
        assert said.json["sound"], said.json
        assert "RabbitMQ" in said.out


async def test_what_a_user_may_not_do_is_said(node: PrivateNode) -> None:
    await put_aside(node, b"one")
    said = await told(node, "export-worker", "dead", "list")
    assert said.code == 1
    assert "this user may not do that" in said.sentence
    assert "refused    queue export.start" in (await told(node, GATEWAY, "setup-broker")).out


@pytest.mark.parametrize(
    ("address", "sentence"),
    [
        ("amqp://guest:wrong-one@127.0.0.1:{}/", "does not let this user in"),
        ("amqp://guest:guest@127.0.0.1:{}/nowhere", "the virtual host is not there"),
    ],
)
async def test_who_is_not_let_in_is_told_why(address: str, sentence: str, node: PrivateNode) -> None:
    said = await asyncio.to_thread(call, "watch", ID, "--broker", address.format(node.port))
    assert said.code == 1
    assert sentence in said.sentence
    assert "wrong-one" not in said.err


async def test_a_queue_made_by_hand_is_told_from_ours(node: PrivateNode) -> None:
    name = "export.results.by-hand"
    async with node.channel() as channel:
        await channel.declare_queue(name, durable=True)
        said = await told(node, OPERATOR, "setup-broker", "--results", "by-hand")
        await channel.queue_delete(name)
    assert said.code == 1
    assert f"differs    queue {name}" in said.out
    assert "wanted: durable, x-queue-type=quorum" in said.out
