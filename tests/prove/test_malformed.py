"""The short form of `python -m tests.prove.malformed`, and that its books would show what it looks for."""

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.broker.node import PrivateNode
from tests.prove.malformed import malformed
from tests.prove.malformed_books import Books
from tests.prove.malformed_drawing import START, Message
from tests.prove.malformed_messages import KINDS, messages
from tests.prove.malformed_oracle import End, Expected, expected
from tests.prove.running import fast_disk

SHORT = 1500


@pytest.fixture
def fast_place() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(dir=fast_disk()) as home:
        yield Path(home)


@pytest.mark.slow
async def test_every_malformed_message_ends_once_and_the_worker_goes_on(
    node_of_the_run: PrivateNode, fast_place: Path
) -> None:
    await node_of_the_run.purge_all()
    came = await malformed(node_of_the_run, fast_place, SHORT, seed=1)
    await node_of_the_run.purge_all()
    assert came.wrong == []
    assert came.ends.total() == SHORT
    assert min(came.ends[end] for end in ("parked", "told", "obeyed")) > 0


def test_the_same_seed_draws_the_same_messages_and_every_kind() -> None:
    first, again, other = (list(messages(seed, 2 * len(KINDS))) for seed in (1, 1, 2))
    assert first == again
    assert first != other
    assert {message.kind for message in first} == set(KINDS)


def sent(body: bytes, key: str = START, **more: Any) -> Message:
    return Message(7, "of the test", key, body)._replace(**more)


GOOD = json.dumps({"export_id": "m-7", "requested_at": "soon", "project": {"id": "p", "sections": []}}).encode()


@pytest.mark.parametrize(
    ("message", "end"),
    [
        (sent(GOOD), Expected(End.TOLD, ["m-7"])),
        (sent(GOOD[:40], whole=GOOD), Expected(End.TOLD, ["m-7"])),
        (sent(GOOD[:18], whole=GOOD), Expected(End.PARKED)),
        (sent(GOOD[:18], whole=GOOD, headers={"ce-subject": "m-7"}), Expected(End.TOLD, ["m-7"])),
        (sent(GOOD.replace(b"m-7", b"../7")), Expected(End.PARKED)),
        (sent(GOOD.replace(b"soon", b"\xff")), Expected(End.EITHER, ["m-7"])),
        (sent(b""), Expected(End.EITHER, [])),
        (sent(b"[1]"), Expected(End.PARKED)),
        (sent(b'{"export_id": "m-7"}', "export.cancel"), Expected(End.OBEYED, ["m-7"])),
        (sent(b'{"export_id": "M"}', "export.delete"), Expected(End.PARKED)),
        (sent(b'{"export_id": "m-7", "version": 2}', "export.cancel"), Expected(End.PARKED)),
    ],
    ids=str,
)
def test_what_must_become_of_a_message_is_told_from_it_alone(message: Message, end: Expected) -> None:
    assert expected(message) == end


# ---- what the books would show ------------------------------------------------------------------------------------


@pytest.fixture
def books() -> Books:
    books = Books()
    books.send(sent(GOOD))
    return books


PARKED = {"ce-case": "7", "x-reason": "invalid_message", "x-detail": "not JSON"}


def test_a_message_that_is_lost_is_missed(books: Books, tmp_path: Path) -> None:
    assert books.close(tmp_path, "") == {"lost": 1}
    assert len(books.wrong) == 1


def test_a_message_that_ends_as_it_should_is_none_to_complain_of(books: Books, tmp_path: Path) -> None:
    books.tell("m-7", b"{}")
    assert books.close(tmp_path, "") == {"told": 1}
    assert books.wrong == []


def test_two_ends_of_one_message_are_one_too_many(books: Books, tmp_path: Path) -> None:
    books.tell("m-7", b"{}")
    books.tell("m-7", b"{ }")
    books.close(tmp_path, "")
    assert books.wrong == ["two ends of m-7 were told", "nobody asked for the end of m-7"]


def test_what_was_not_confirmed_in_time_may_come_again(books: Books, tmp_path: Path) -> None:
    books.tell("m-7", b"{}")
    books.tell("m-7", b"{}")
    books.close(tmp_path, "WARNING export.failed of m-7 is not confirmed yet: TimeoutError")
    assert books.wrong == []


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        (PARKED, b"something else"),
        ({**PARKED, "x-reason": "undeliverable"}, GOOD),
        ({"ce-case": "7", "x-reason": "conflict"}, GOOD),
        (PARKED, GOOD),
    ],
    ids=["other bytes", "another reason", "no detail", "an id of its own"],
)
def test_a_message_that_is_parked_as_it_should_not_be_is_seen(
    books: Books, headers: dict[str, str], body: bytes, tmp_path: Path
) -> None:
    books.park(headers, body)
    books.close(tmp_path, "")
    assert books.wrong
