"""`dead`: a person sees each message that nobody could carry out, and what they decide happens to that one alone."""

import asyncio
import json
from pathlib import Path

import pytest

from contracts import ErrorCode, topology
from tests.cli.command import Said
from tests.cli.conftest import AT, Desk
from tests.cli.rabbit import Rabbit, document, headers_of

ID = "the-export"
BODY = b'{"export_id": "the-export", "version": 1, "project": 5}'


def handles(listed: Said) -> list[str]:
    """The names of the messages, in the order of the queue."""
    return [line.split()[0] for line in listed.out.splitlines() if line and not line.startswith(" ")]


async def handle_of(rabbit: Rabbit) -> str:
    (handle,) = handles(await rabbit.told("dead", "list"))
    return handle


# ---- list and show


async def test_the_list_names_each_message_with_its_reason(rabbit: Rabbit) -> None:
    await rabbit.put(BODY, x_reason="invalid_message", x_detail="project: must be a JSON object", ce_time=AT)
    said = await rabbit.told("dead", "list")
    for part in ("export.start", ID, "invalid_message", "project: must be a JSON object", '"project": 5',
                 "2026-11-23 18:42:20Z"):  # fmt: skip
        assert part in said.out
    assert said.code == 0


async def test_looking_takes_nothing_and_names_stay_the_same(rabbit: Rabbit) -> None:
    for number in range(3):
        await rabbit.put(b"message %d" % number)
    first = handles(await rabbit.told("dead", "list"))
    assert len(set(first)) == 3
    for _ in range(3):
        assert handles(await rabbit.told("dead", "list")) == first
    assert rabbit.count(topology.PARKED) == 3


async def test_an_empty_queue_is_said_to_be_empty(rabbit: Rabbit) -> None:
    assert (await rabbit.told("dead", "list")).out == "export.parked is empty\n"


async def test_what_nobody_listened_to_can_be_looked_at_too(rabbit: Rabbit) -> None:
    await rabbit.put(BODY, exchange=topology.UNROUTED, key="export.completed")
    assert "export.completed" in (await rabbit.told("dead", "list", "--queue", "export.unrouted")).out


async def test_equal_messages_are_one_line(rabbit: Rabbit) -> None:
    await rabbit.put(BODY, message_id="one")
    await rabbit.put(BODY, message_id="one")
    said = await rabbit.told("dead", "list")
    assert len(handles(said)) == 1
    assert "2 times" in said.out


async def test_no_message_can_speak_to_the_terminal(rabbit: Rabbit) -> None:
    await rabbit.put(b"\x1b[2J\x07 \xff \xe2\x80\xae[bold]x[/]", x_reason="\x1b]0;title\x07", x_detail="[red]\x9b")
    handle = await handle_of(rabbit)
    for said in (await rabbit.told("dead", "list"), await rabbit.told("dead", "show", handle)):
        assert not [one for one in said.out if not one.isprintable() and one != "\n"]
        assert "[bold]x[/]" in said.out
        assert r"\x1b[2J" in said.out


async def test_a_message_is_shown_whole(rabbit: Rabbit) -> None:
    await rabbit.put(b"x" * 10_000 + b"\nthe end", x_reason="conflict", traceparent="00-ab-cd-01")
    said = await rabbit.told("dead", "show", (await handle_of(rabbit))[:5])
    assert "x" * 10_000 + "\nthe end\n" in said.out
    assert "traceparent: 00-ab-cd-01" in said.out


@pytest.mark.parametrize("name", ["0000000000", "x", "12"])
async def test_a_name_that_fits_no_message_is_refused(name: str, rabbit: Rabbit) -> None:
    await rabbit.put(BODY)
    said = await rabbit.told("dead", "show", name)
    assert said.code == 2
    assert name in said.sentence


async def test_a_command_without_a_name_takes_none(rabbit: Rabbit) -> None:
    await rabbit.put(BODY)
    assert (await rabbit.told("dead", "drop", "--yes")).code == 2
    assert rabbit.count(topology.PARKED) == 1


# ---- replay


async def test_a_replayed_message_is_sent_as_it_was_and_no_longer_parked(rabbit: Rabbit) -> None:
    await rabbit.put(BODY, x_reason="io_error", x_detail="disk", ce_id="the id", ce_subject=ID, traceparent="00-ab")
    said = await rabbit.told("dead", "replay", await handle_of(rabbit))
    assert (said.code, rabbit.count(topology.PARKED)) == (0, 0)
    message = await rabbit.taken(topology.START)
    assert (message.body, message.delivery_mode) == (BODY, 2)
    assert headers_of(message) == {"ce-id": "the id", "ce-subject": ID, "traceparent": "00-ab"}


async def test_only_the_named_message_is_replayed(rabbit: Rabbit) -> None:
    for number in range(3):
        await rabbit.put(b"message %d" % number, key=topology.COMMANDS[number])
    first, second, third = handles(await rabbit.told("dead", "list"))
    await rabbit.told("dead", "replay", second)
    assert handles(await rabbit.told("dead", "list")) == [first, third]
    assert (await rabbit.taken(topology.CANCEL)).body == b"message 1"
    assert rabbit.count(topology.START) == 0


async def test_equal_messages_are_replayed_as_one(rabbit: Rabbit) -> None:
    await rabbit.put(BODY, message_id="one")
    await rabbit.put(BODY, message_id="one")
    await rabbit.told("dead", "replay", "--all")
    assert (rabbit.count(topology.START), rabbit.count(topology.PARKED)) == (1, 0)


async def test_a_conflict_needs_a_new_id_and_gets_it_everywhere(rabbit: Rabbit) -> None:
    await rabbit.put(BODY, x_reason=ErrorCode.CONFLICT.value, ce_id=f"{ID}:export.start", ce_subject=ID, ce_type="x")
    handle = await handle_of(rabbit)
    refused = await rabbit.told("dead", "replay", handle)
    assert (refused.code, rabbit.count(topology.PARKED), rabbit.count(topology.START)) == (1, 1, 0)
    assert "--as NEW_ID" in refused.sentence
    assert (await rabbit.told("dead", "replay", handle, "--as", "another")).code == 0
    message = await rabbit.taken(topology.START)
    assert document(message) == {**json.loads(BODY), "export_id": "another"}
    assert (message.message_id, message.correlation_id) == ("another:export.start", "another")
    assert headers_of(message) == {"ce-id": "another:export.start", "ce-subject": "another", "ce-type": "x"}


@pytest.fixture
def decided(desk: Desk) -> Path:
    """An exports root in which our export is over."""
    desk.run("--export-id", ID)
    return desk.exports


async def test_an_export_that_is_over_needs_a_new_id_where_that_can_be_seen(
    decided: Path, rabbit: Rabbit, monkeypatch: pytest.MonkeyPatch
) -> None:
    await rabbit.put(BODY, x_reason="undeliverable")
    monkeypatch.setenv("EXPORT_EXPORTS_ROOT", str(decided))
    handle = await handle_of(rabbit)
    assert "is over" in (await rabbit.told("dead", "replay", handle)).sentence
    assert "is over" in (await rabbit.told("dead", "replay", handle, "--as", ID)).sentence
    assert (await rabbit.told("dead", "replay", handle, "--as", "another")).code == 0


async def test_a_body_without_an_id_cannot_be_given_one(rabbit: Rabbit) -> None:
    await rabbit.put(b"junk")
    said = await rabbit.told("dead", "replay", await handle_of(rabbit), "--as", "another")
    assert (said.code, rabbit.count(topology.PARKED)) == (1, 1)
    assert "no JSON object" in said.sentence


async def test_a_message_from_elsewhere_is_never_replayed(rabbit: Rabbit) -> None:
    await rabbit.put(BODY, key="somebody.else")
    said = await rabbit.told("dead", "replay", "--all")
    assert (said.code, rabbit.count(topology.PARKED)) == (1, 1)
    assert "none of the contract" in said.sentence


async def test_what_cannot_be_sent_stays_parked(rabbit: Rabbit) -> None:
    await rabbit.put(BODY)
    await rabbit.channel.exchange_delete(topology.EVENTS)
    said = await rabbit.told("dead", "replay", "--all")
    assert said.code == 1
    assert "no exchange 'export.events'" in said.sentence
    await asyncio.sleep(0.05)
    assert rabbit.broker.queues[topology.PARKED].ready == 1


async def test_two_messages_cannot_get_one_id(rabbit: Rabbit) -> None:
    await rabbit.put(BODY)
    assert (await rabbit.told("dead", "replay", "--all", "--as", "another")).code == 2
    assert rabbit.count(topology.PARKED) == 1


# ---- drop


async def test_a_dropped_message_is_gone_and_no_other(rabbit: Rabbit) -> None:
    await rabbit.put(b"one")
    await rabbit.put(b"other")
    first, second = handles(await rabbit.told("dead", "list"))
    said = await rabbit.told("dead", "drop", first, "--yes")
    assert (said.code, said.err) == (0, "Dropped 1 message of export.parked.\n")
    assert handles(await rabbit.told("dead", "list")) == [second]


async def test_nothing_is_dropped_where_nobody_can_be_asked(rabbit: Rabbit) -> None:
    await rabbit.put(BODY)
    said = await rabbit.told("dead", "drop", "--all")
    assert (said.code, rabbit.count(topology.PARKED)) == (2, 1)
    assert "--yes" in said.sentence


@pytest.mark.parametrize(("answer", "left"), [("y\n", 0), ("n\n", 1), ("\n", 1)])
async def test_a_person_is_asked_before_anything_is_dropped(
    answer: str, left: int, rabbit: Rabbit, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Person:
        def isatty(self) -> bool:
            return True

        def readline(self) -> str:
            return answer

    await rabbit.put(BODY)
    monkeypatch.setattr("sys.stdin", Person())
    said = await rabbit.told("dead", "drop", "--all")
    assert "Drop 1 message of export.parked for good?" in said.err
    assert rabbit.count(topology.PARKED) == left
