"""`setup-broker`: exchanges and queues are made, and what cannot be made is said."""

from pathlib import Path

import pytest

from contracts import topology
from tests.cli.checked import problems
from tests.cli.command import call
from tests.cli.conftest import Desk
from tests.cli.rabbit import Rabbit


async def empty(rabbit: Rabbit) -> None:
    for queue in topology.QUEUES:
        await rabbit.channel.queue_delete(queue.name)
    for exchange in topology.EXCHANGES:
        await rabbit.channel.exchange_delete(exchange.name)


async def test_setup_makes_everything_and_finds_it_the_next_time(rabbit: Rabbit) -> None:
    await empty(rabbit)
    said = await rabbit.told("setup-broker")
    entities = len(topology.EXCHANGES) + len(topology.QUEUES)
    assert (said.code, said.out.count("made       ")) == (0, entities)
    said = await rabbit.told("setup-broker")
    assert (said.code, said.out.count("was there  ")) == (0, entities)
    assert problems(await rabbit.told("check", "--json")) == []


async def test_what_setup_made_carries_messages(rabbit: Rabbit, desk: Desk) -> None:
    await empty(rabbit)
    await rabbit.told("setup-broker")
    assert (await rabbit.told("submit", desk.project)).code == 0
    assert (await rabbit.taken(topology.START)).routing_key == topology.START


async def test_setup_says_what_it_cannot_make_and_what_that_costs(rabbit: Rabbit) -> None:
    said = await rabbit.told("setup-broker")
    for policy in topology.POLICIES:
        assert policy.name in said.out
        assert policy.without_it in said.out
    assert "rabbitmqctl import_definitions deploy/rabbitmq/definitions.json" in said.out


async def test_a_service_gets_a_queue_for_its_results(rabbit: Rabbit) -> None:
    assert (await rabbit.told("setup-broker", "--results", "studio", "billing")).code == 0
    for service in ("studio", "billing"):
        await rabbit.put(b"{}", exchange=topology.EVENTS, key="export.failed")
        assert (await rabbit.taken(f"export.results.{service}")).body == b"{}"


async def test_what_differs_is_named_with_both_sides_and_the_rest_is_made(rabbit: Rabbit) -> None:
    await empty(rabbit)
    await rabbit.channel.declare_queue(topology.START, durable=True)
    said = await rabbit.told("setup-broker")
    assert said.code == 1
    assert "differs    queue export.start" in said.out
    assert "x-queue-type" in said.out
    assert "wanted: durable, x-queue-type=quorum, x-dead-letter-exchange=export.dead" in said.out
    assert "made       queue export.unrouted" in said.out


def test_where_a_definition_is_to_be_found_it_is() -> None:
    assert (Path(__file__).parents[2] / "deploy" / "rabbitmq" / "definitions.json").is_file()


def test_the_brokers_address_may_be_a_secret_in_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "export_broker_url").write_text("amqp://me:hush@127.0.0.1:1/")
    monkeypatch.setattr("cli.secrets._SECRETS", tmp_path)
    monkeypatch.delenv("EXPORT_BROKER_URL", raising=False)
    said = call("cancel", "some-export")
    assert "127.0.0.1:1" in said.err
    assert "hush" not in said.err
