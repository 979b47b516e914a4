"""Whatever is wrong with the broker, a command says it in a sentence, soon, and never with the password."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import aio_pika
import pytest

from contracts import topology
from tests.cli.command import Said, call
from tests.cli.conftest import Desk
from tests.cli.rabbit import Rabbit

ID = "the-export"
COMMANDS = (
    ("watch", ID),
    ("cancel", ID),
    ("delete", ID),
    ("dead", "list"),
    ("dead", "replay", "--all"),
    ("setup-broker",),
)


@asynccontextmanager
async def somebody(answer: bytes | None) -> AsyncIterator[int]:
    """The port of a server that is no RabbitMQ; it may say nothing at all."""
    done = asyncio.Event()

    async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if answer is None:
            await done.wait()
        else:
            writer.write(answer)
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        done.set()
        server.close()
        await server.wait_closed()


async def at(port: int, words: Sequence[str | Path]) -> Said:
    return await asyncio.to_thread(call, *words, "--broker", f"amqp://me:the-secret@127.0.0.1:{port}/")


def one_sentence(said: Said) -> str:
    assert said.code == 1
    assert "the-secret" not in said.err
    return said.sentence


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
async def test_a_broker_that_is_not_there_is_named(words: tuple[str, ...]) -> None:
    sentence = one_sentence(await at(1, words))
    assert "RabbitMQ at 127.0.0.1:1 cannot be reached" in sentence
    assert "EXPORT_BROKER_URL" in sentence


async def test_a_broker_that_says_nothing_is_given_up_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cli.broker.ANSWER_SECONDS", 0.2)
    since = time.monotonic()
    async with somebody(None) as port:
        assert "cannot be reached: no answer within" in one_sentence(await at(port, ["watch", ID]))
    assert time.monotonic() - since < 2


async def test_a_server_that_is_no_broker_is_called_none() -> None:
    async with somebody(b"HTTP/1.1 400 Bad Request\r\n\r\n") as port:
        sentence = one_sentence(await at(port, ["watch", ID]))
    assert f"127.0.0.1:{port}" in sentence


@pytest.mark.parametrize("words", [("cancel", ID), ("watch", ID), ("cancel", ID, "--watch")], ids=" ".join)
async def test_a_missing_exchange_is_named_with_what_makes_it(words: tuple[str, ...], rabbit: Rabbit) -> None:
    await rabbit.channel.exchange_delete(topology.EVENTS)
    sentence = one_sentence(await rabbit.told(*words))
    assert "no exchange 'export.events'" in sentence
    assert "export-service setup-broker" in sentence


async def test_a_missing_queue_is_named_and_nothing_is_sent_into_the_void(rabbit: Rabbit, desk: Desk) -> None:
    await rabbit.channel.queue_delete(topology.START)
    sentence = one_sentence(await rabbit.told("submit", desk.project))
    assert "no queue 'export.start'" in sentence
    assert "export-service setup-broker" in sentence
    assert rabbit.count(topology.UNROUTED) == 0


async def test_a_missing_queue_of_dead_messages_is_named(rabbit: Rabbit) -> None:
    await rabbit.channel.queue_delete(topology.PARKED)
    assert "no queue 'export.parked'" in one_sentence(await rabbit.told("dead", "list"))


async def test_a_broker_that_takes_no_messages_is_given_up_soon(
    rabbit: Rabbit, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cli.broker.ANSWER_SECONDS", 0.3)
    rabbit.broker.block()
    sentence = one_sentence(await rabbit.told("submit", desk.project))
    assert "no answer within" in sentence
    rabbit.broker.unblock()


@pytest.mark.parametrize("url", ["http://me:the-secret@127.0.0.1/", "me:the-secret", ""])
def test_an_address_that_is_none_is_refused_without_being_repeated(url: str) -> None:
    said = call("watch", ID, "--broker", url)
    assert said.code == 2
    assert "--broker: " in said.sentence
    assert "the-secret" not in said.err


def test_a_wrong_address_in_the_environment_is_called_by_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EXPORT_BROKER_URL", "http://me:the-secret@127.0.0.1/")
    said = call("watch", ID)
    assert said.code == 2
    assert "EXPORT_BROKER_URL: " in said.sentence
    assert "the-secret" not in said.err


async def test_the_address_is_taken_from_the_environment(rabbit: Rabbit, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EXPORT_BROKER_URL", rabbit.broker.url)
    assert (await asyncio.to_thread(call, "cancel", ID)).code == 0
    assert rabbit.count(topology.CANCEL) == 1


async def test_the_bystanders_connection_is_not_touched(rabbit: Rabbit) -> None:
    await rabbit.told("dead", "list")
    assert isinstance(await rabbit.channel.get_exchange(topology.EVENTS), aio_pika.abc.AbstractExchange)
