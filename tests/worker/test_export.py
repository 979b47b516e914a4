"""From a message to a folder, and what is told on the way."""

import itertools

import pytest

from demo.broker import Broker
from tests.broker.commands import export_start
from tests.broker.listener import PROGRESS, TERMINALS, Event
from tests.worker.stand import Brake, Stand, only_embedded, until

TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


async def test_what_a_message_asks_for_becomes_a_folder(stand: Stand) -> None:
    async with stand.working():
        await stand.ask("e1", archive="zip")
        end = await stand.ended("e1")
    assert end.document["outcome"] == "complete"
    assert len([path for path in stand.folder(end).rglob("*") if path.is_file()]) == end.document["folder"]["files"]
    assert (stand.exports / end.document["archive"]["name"]).is_file()
    assert await stand.rabbit.depth("export.start") == 0


async def test_the_first_progress_is_a_cloud_event_that_may_be_lost(stand: Stand) -> None:
    async with stand.working():
        await stand.ask("e1")
        first = await stand.listener.wait_for("e1", lambda event: event.key == PROGRESS)
        await stand.ended("e1")
    assert not first.is_persistent
    assert (first.message_id, first.correlation_id) == ("e1:export.progress:1:1", "e1")
    assert first.content_type == "application/json"
    assert first.headers == {
        "ce-specversion": "1.0",
        "ce-type": "export.progress",
        "ce-source": "/export-service",
        "ce-id": "e1:export.progress:1:1",
        "ce-subject": "e1",
        "ce-dataschema": "urn:export-service:export.progress:1",
        "ce-time": first.document["at"],
    }


async def test_the_end_is_kept_by_the_broker_and_told_again_in_the_same_bytes(stand: Stand) -> None:
    async with stand.working():
        message = await stand.ask("e1")
        await stand.ended("e1")
        await stand.rabbit.send("export.start", message)
        first, again = await stand.told("e1", 2)
    assert first.is_persistent
    assert (first.message_id, first.correlation_id) == ("e1:export.completed", "e1")
    assert (first.body, first.message_id, first.headers) == (again.body, again.message_id, again.headers)
    assert first.headers["ce-time"] == first.document["at"]
    assert len(stand.attempts("e1")) == 1


async def test_the_trace_of_the_command_is_carried_on_to_every_event(stand: Stand) -> None:
    async with stand.working():
        await stand.rabbit.send("export.start", export_start("e1", stand.project()), traceparent=TRACE)
        await stand.ended("e1")
    assert {event.headers.get("traceparent") for event in stand.listener.of("e1")} == {TRACE}


# ---- progress


def folded(events: list[Event]) -> Event:
    """What a consumer shows at last, by the rule of the contract."""
    return max(events, key=lambda event: (event.key in TERMINALS, event.document["attempt"], event.document.get("seq")))


async def test_progress_comes_four_times_a_second_and_never_goes_back(stand: Stand) -> None:
    async with stand.working(Brake(chunk_seconds=0.015)):
        await stand.ask("e1", stand.project(big=1))
        await stand.ended("e1")
    progress = stand.listener.of("e1", PROGRESS)
    percent = [event.document["percent"] for event in progress]
    assert percent == sorted(percent)
    assert 100 not in percent[:-1]
    seqs = [event.document["seq"] for event in progress]
    assert seqs == sorted(set(seqs))
    copying = [event.arrived for event in progress if event.document["state"] == "copying"]
    assert len(copying) >= 3
    assert len(progress) <= 4 * (progress[-1].arrived - progress[0].arrived) + 3
    assert all(later - earlier < 2 for earlier, later in itertools.pairwise(copying))


async def test_nothing_is_told_after_the_end_that_folding_would_not_absorb(stand: Stand) -> None:
    async with stand.working():
        for export_id in ("e1", "e2", "e3"):
            await stand.ask(export_id, stand.project(name=export_id))
            await stand.ended(export_id)
    for export_id in ("e1", "e2", "e3"):
        assert folded(stand.listener.of(export_id)).key == "export.completed"
        assert [event.key for event in stand.listener.of(export_id)][-1] == "export.completed"


@only_embedded
async def test_a_blocked_broker_does_not_slow_the_copying_and_hears_the_end_when_it_can(
    stand: Stand, embedded: Broker, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("service.announce.FIRST_CONFIRM_SECONDS", 0.05)
    monkeypatch.setattr("service.announce.PROGRESS_GIVEN_UP_AFTER_SECONDS", 0.1)
    brake = Brake()
    async with stand.working(brake):
        await stand.ask("e1", stand.project(big=1))
        await stand.listener.copying("e1")
        embedded.block()
        brake.release.set()
        await until(lambda: any(stand.exports.glob("export_*")), 5)
        await until(lambda: caplog.text.count("is not confirmed yet") >= 2)
        assert not stand.terminals("e1")
        embedded.unblock()
        end = await stand.ended("e1")
        await until(lambda: embedded.queues["export.start"] == (0, 0))
    decided = stand.ledger().decision("e1")
    assert decided is not None
    assert {event.body for event in stand.terminals("e1")} == {decided.body}
    assert end.document["attempt"] == 1
