"""`check` of a whole deployment, on the broker in memory: what is wrong is named with what mends it."""

import pytest

from contracts import topology
from tests.cli.checked import checked, findings, looked_at, problems
from tests.cli.command import call
from tests.cli.conftest import Desk
from tests.cli.rabbit import Rabbit

# ---- without a broker


def test_the_roots_alone_are_looked_at_where_there_is_no_broker(desk: Desk) -> None:
    said = looked_at(desk, "--init")
    assert problems(said) == []
    assert {"media root", "exports root"} <= set(findings(said, "ok"))
    assert not [finding for finding in said.json["findings"] if "broker" in finding["subject"]]


def test_without_broker_and_roots_there_is_nothing_to_look_at(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("EXPORT_MEDIA_ROOT", "EXPORT_EXPORTS_ROOT"):
        monkeypatch.delenv(name, raising=False)
    said = call("check", "--no-broker")
    assert said.code == 2
    assert "name the roots: --media DIR, --to DIR" in said.sentence


def test_a_broker_is_named_or_not_wanted_but_not_both() -> None:
    said = call("check", "--no-broker", "--broker", "amqp://127.0.0.1/")
    assert said.code == 2
    assert "not allowed with" in said.sentence


# ---- the broker


def test_roots_are_looked_at_without_a_broker_too(desk: Desk) -> None:
    said = call("check", "--media", desk.media, "--to", desk.exports, "--init", "--json", "--broker",
                "amqp://me:the-secret@127.0.0.1:1/")  # fmt: skip
    assert problems(said) == ["broker"]
    assert "the-secret" not in said.out
    assert "exports root" in findings(said, "ok")


async def test_each_thing_that_is_missing_is_named(rabbit: Rabbit) -> None:
    await rabbit.channel.exchange_delete(topology.DEAD)
    await rabbit.channel.queue_delete(topology.CANCEL)
    said = await rabbit.told("check", "--json")
    assert problems(said) == ["exchange export.dead", "queue export.cancel"]
    assert findings(said, "problem")["queue export.cancel"]["mend"] == "export-service setup-broker"


async def test_a_queue_with_other_arguments_is_a_problem_with_both_sides_told(rabbit: Rabbit) -> None:
    await rabbit.channel.queue_delete(topology.PARKED)
    await rabbit.channel.declare_queue(topology.PARKED, durable=True)
    said = await rabbit.told("check", "--json")
    assert problems(said) == ["queue export.parked"]
    finding = findings(said, "problem")["queue export.parked"]
    assert "inequivalent arg" in finding["detail"]
    assert "x-queue-type=quorum" in finding["mend"]


async def test_commands_may_wait_before_there_is_a_worker(rabbit: Rabbit, desk: Desk) -> None:
    """A deployment begins with `check --init`; it must not stop at what others asked for meanwhile."""
    await rabbit.put(b"{}", exchange=topology.EVENTS)
    assert "queue export.start" in problems(await checked(rabbit, desk))
    assert problems(await checked(rabbit, desk, "--init")) == []


async def test_commands_that_nobody_takes_are_a_problem(rabbit: Rabbit) -> None:
    assert (
        "no worker is there" in findings(await rabbit.told("check", "--json"), "note")["queue export.start"]["detail"]
    )
    await rabbit.told("cancel", "x")
    await rabbit.put(b"{}", exchange=topology.EVENTS, key=topology.START)
    assert problems(await rabbit.told("check", "--json")) == ["queue export.start"]

    async def take(_: object) -> None:
        pass

    queue = await rabbit.channel.declare_queue(topology.START, passive=True)
    tag = await queue.consume(take)
    assert problems(await rabbit.told("check", "--json")) == []
    await queue.cancel(tag)


@pytest.mark.parametrize(
    ("exchange", "words"),
    [
        (topology.PARKED, "dead list"),
        (topology.UNROUTED, "dead list --queue export.unrouted"),
        (topology.DEAD, "worker"),
    ],
)
async def test_messages_that_wait_for_a_person_are_noted(exchange: str, words: str, rabbit: Rabbit) -> None:
    await rabbit.put(b"{}", exchange=exchange)
    said = await rabbit.told("check", "--json")
    assert problems(said) == []
    finding = findings(said, "note")[f"queue {exchange}"]
    assert "1 message" in finding["detail"]
    assert words in finding["mend"]


async def test_what_was_agreed_on_is_told(rabbit: Rabbit, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EXPORT_HEARTBEAT_SECONDS", "7")
    said = await rabbit.told("check", "--json")
    assert "heartbeat 7 s, frames of 131,072 bytes" in findings(said, "ok")["broker: connection"]["detail"]


async def test_what_cannot_be_seen_is_said_with_the_line_that_shows_it(rabbit: Rabbit) -> None:
    notes = findings(await rabbit.told("check", "--json"), "note")
    assert notes["consumer_timeout"]["mend"] == "rabbitmqctl eval 'application:get_env(rabbit, consumer_timeout).'"
    for policy in topology.POLICIES:
        assert policy.without_it in notes[f"policy {policy.name}"]["detail"]
