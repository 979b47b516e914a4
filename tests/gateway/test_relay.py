"""States are relayed, not messages: whoever asks, whenever, is told the newest, and knows everything."""

import asyncio
import threading
from collections.abc import AsyncIterator

import anyio
import pytest

from contracts import ErrorCode
from gateway.records import Record, Records
from gateway.relay import NoSuchExport, Relay
from gateway.states import NOTHING_KNOWN, Known
from service.errors import Trouble
from tests.gateway.test_states import END, FAILED, HEAD, progress


class Shelf(Records):
    """Storage as the test says it is."""

    def __init__(self) -> None:
        object.__setattr__(self, "found", {})
        object.__setattr__(self, "looks", [])
        object.__setattr__(self, "gate", threading.Event())
        self.gate.set()

    found: dict[str, Record | Trouble]
    looks: list[str]
    gate: threading.Event

    def look(self, export_id: str) -> Record | None:
        self.looks.append(export_id)
        assert self.gate.wait(5)
        answer = self.found.get(export_id)
        if isinstance(answer, Trouble):
            raise answer
        return answer


@pytest.fixture
def shelf() -> Shelf:
    return Shelf()


@pytest.fixture
async def relay(shelf: Shelf) -> AsyncIterator[Relay]:
    relay = Relay(shelf, lambda _: "signed", silent_seconds=0.05, silent_at_most_seconds=0.2, remembered=3)
    relay.connected(is_connected=True)
    asking = asyncio.create_task(relay.keep_asking())  # a fixture's end may run in another task than its beginning
    yield relay
    asking.cancel()
    await asyncio.wait([asking])


def knows(shelf: Shelf, known: Known = NOTHING_KNOWN, export_id: str = "e1") -> None:
    shelf.found[export_id] = Record(HEAD._replace(export_id=export_id), known)


async def test_a_replica_that_heard_nothing_asks_storage(relay: Relay, shelf: Shelf) -> None:
    knows(shelf, END)

    assert (await relay.snapshot("e1")).known.state == "failed"


async def test_an_unknown_export_is_asked_for_once_in_a_while(relay: Relay, shelf: Shelf) -> None:
    for _ in range(20):
        with pytest.raises(NoSuchExport):
            await relay.snapshot("e1")
    assert len(shelf.looks) == 1


async def test_who_asks_at_the_same_time_waits_for_one_answer(relay: Relay, shelf: Shelf) -> None:
    knows(shelf)
    shelf.gate.clear()
    async with anyio.create_task_group() as tasks:
        for _ in range(50):
            tasks.start_soon(relay.snapshot, "e1")
        await anyio.sleep(0.05)
        shelf.gate.set()
    assert len(shelf.looks) == 1


async def test_one_who_leaves_does_not_take_the_answer_along(relay: Relay, shelf: Shelf) -> None:
    knows(shelf)
    shelf.gate.clear()
    answers = []

    async def ask() -> None:
        answers.append(await relay.snapshot("e1"))

    leaving = asyncio.create_task(relay.snapshot("e1"))
    await anyio.sleep(0.02)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(ask)
        await anyio.sleep(0.02)
        leaving.cancel()
        shelf.gate.set()
    assert [answer.known.state for answer in answers] == ["queued"]


async def test_a_storage_that_is_away_is_no_missing_export(relay: Relay, shelf: Shelf) -> None:
    shelf.found["e1"] = Trouble(ErrorCode.STORAGE_UNAVAILABLE, "the mount is gone")

    with pytest.raises(Trouble, match="the mount is gone"):
        await relay.snapshot("e1")


async def test_a_storage_that_is_away_leaves_what_was_heard(relay: Relay, shelf: Shelf) -> None:
    knows(shelf)
    await relay.snapshot("e1")
    relay.hear(progress(1, 4), b"")
    shelf.found["e1"] = Trouble(ErrorCode.STORAGE_UNAVAILABLE, "the mount is gone")
    await anyio.sleep(0.3)

    assert (await relay.snapshot("e1")).known.position == "0.1.4"


async def test_listeners_hear_of_changes_only(relay: Relay, shelf: Shelf) -> None:
    knows(shelf)
    heard: list[str] = []
    await relay.snapshot("e1")
    relay.listen("e1", heard.append)
    relay.listen_to_project("p1", heard.append)
    relay.hear(progress(1, 2), b"")
    relay.hear(progress(1, 2), b"")
    relay.hear(progress(1, 1), b"")
    relay.hear(FAILED, FAILED.model_dump_json().encode())
    relay.hear(progress(3, 9), b"")

    assert heard == ["e1"] * 4
    relay.forget("e1", heard.append)
    relay.forget_project("p1", heard.append)


async def test_a_frame_is_made_once_for_all_sockets(relay: Relay, shelf: Shelf) -> None:
    knows(shelf)
    await relay.snapshot("e1")
    relay.hear(progress(1, 2), b"")

    assert relay.frame("e1") is relay.frame("e1")
    assert relay.frame("e1").startswith('{"type":"state","export":{')
    with pytest.raises(KeyError):
        relay.frame("e2")


async def test_what_is_watched_and_silent_is_asked_of_storage(relay: Relay, shelf: Shelf) -> None:
    """The broker lost everything, and with it the end."""
    knows(shelf)
    over = anyio.Event()
    relay.listen("e1", lambda _: over.set())
    await relay.snapshot("e1")
    knows(shelf, END)
    with anyio.fail_after(5):
        await over.wait()
    newest = relay.newest("e1")
    assert newest is not None
    assert newest.known.state == "failed"


async def test_silence_is_asked_about_less_and_less_often(relay: Relay, shelf: Shelf) -> None:
    knows(shelf)
    relay.listen("e1", lambda _: None)
    await relay.snapshot("e1")
    await anyio.sleep(1.0)

    assert 3 <= len(shelf.looks) <= 9


async def test_who_waits_for_a_change_is_told_of_it(relay: Relay, shelf: Shelf) -> None:
    knows(shelf)

    async def go_on() -> None:
        await anyio.sleep(0.05)
        relay.hear(progress(1, 1), b"")

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(go_on)
        changed = await relay.changed("e1", "0.0.0", 5)
    assert changed is not None
    assert changed.known.position == "0.1.1"
    assert await relay.changed("e1", "0.1.1", 0.02) is None


async def test_what_happened_while_the_broker_was_away_is_asked_of_storage(relay: Relay, shelf: Shelf) -> None:
    knows(shelf, END)
    await relay.snapshot("e1")
    relay.connected(is_connected=False)
    assert relay.stale_since is not None
    knows(shelf, END.join(Known(gone="expired")))
    relay.connected(is_connected=True)

    assert relay.stale_since is None
    assert (await relay.snapshot("e1")).known.state == "expired"


async def test_memory_is_bounded_and_who_listens_is_not_forgotten(relay: Relay, shelf: Shelf) -> None:
    for number in range(10):
        knows(shelf, export_id=f"e{number}")
    relay.listen("e0", lambda _: None)
    for number in range(10):
        await relay.snapshot(f"e{number}")

    assert relay.newest("e0") is not None
    assert sum(relay.newest(f"e{number}") is not None for number in range(10)) == 3


async def test_who_follows_a_project_can_be_shown_what_only_events_told_of(relay: Relay, shelf: Shelf) -> None:
    knows(shelf)
    shown: list[str | None] = []

    def listener(export_id: str) -> None:
        newest = relay.newest(export_id)
        shown.append(newest and newest.known.position)

    relay.listen_to_project("p1", listener)
    relay.hear(progress(1, 2), b"")
    await anyio.sleep(0.2)

    assert shown == [None, "0.1.2"]


async def test_a_new_export_is_there_for_who_follows_its_project(relay: Relay) -> None:
    heard: list[str] = []
    relay.listen_to_project("p1", heard.append)
    with pytest.raises(NoSuchExport):
        await relay.snapshot("e1")
    relay.began(HEAD)

    assert heard == ["e1"]
    assert (await relay.snapshot("e1")).known.state == "queued"
