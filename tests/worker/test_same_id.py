"""One id is one export: repeated, at once, on two workers, and with another content."""

import json

import pytest

from tests.broker.commands import export_start
from tests.worker.stand import Brake, Stand, until


async def test_another_content_under_the_id_is_parked_whole_and_does_no_harm(stand: Stand) -> None:
    project = stand.project()
    async with stand.working():
        await stand.ask("e1", project)
        end = await stand.ended("e1")
        other = export_start("e1", project | {"name": "Another"})
        await stand.rabbit.send("export.start", other, ce_source="/studio", x_own="7")
        [parked] = await stand.rabbit.taken("export.parked")
    assert json.loads(parked.body) == other
    assert parked.routing_key == "export.start"
    assert parked.headers["x-reason"] == "conflict"
    assert "another project" in str(parked.headers["x-detail"])
    assert (parked.headers["ce-source"], parked.headers["x-own"]) == ("/studio", "7")
    assert [event.body for event in stand.terminals("e1")] == [end.body]
    assert stand.folder(end).is_dir()


async def test_other_options_under_the_id_are_another_content(stand: Stand) -> None:
    async with stand.working():
        await stand.ask("e1")
        await stand.ended("e1")
        await stand.rabbit.send("export.start", export_start("e1", stand_project(stand), {"archive": "zip"}))
        [parked] = await stand.rabbit.taken("export.parked")
    assert parked.headers["x-reason"] == "conflict"
    assert len(list(stand.exports.glob("export_*"))) == 1


def stand_project(stand: Stand) -> dict[str, object]:
    """The project as it was stored."""
    project: dict[str, object] = json.loads(stand.record("e1", "project.json").read_text())
    return project


async def test_another_content_while_the_first_is_running_is_parked_too(stand: Stand) -> None:
    brake = Brake()
    async with stand.working(brake):
        await stand.ask("e1", stand.project(big=1))
        await stand.listener.copying("e1")
        await stand.ask("e1", stand.project(name="other"))
        [parked] = await stand.rabbit.taken("export.parked")
        brake.release.set()
        await stand.ended("e1")
    assert parked.headers["x-reason"] == "conflict"


async def test_two_deliveries_at_once_are_one_attempt(stand: Stand, caplog: pytest.LogCaptureFixture) -> None:
    brake = Brake()
    async with stand.working(brake):
        message = await stand.ask("e1", stand.project(big=1))
        await stand.rabbit.send("export.start", message)
        await stand.listener.copying("e1")
        await stand.rabbit.until_depth("export.start", 0)
        brake.release.set()
        await stand.ended("e1")
    assert caplog.text.count("export e1: taken up") == 1
    assert len(stand.attempts("e1")) == 1
    assert len({event.body for event in stand.terminals("e1")}) == 1


async def test_a_second_worker_waits_for_the_first_and_tells_the_same_bytes(stand: Stand) -> None:
    brake = Brake()
    async with stand.working(brake, prefetch=1), stand.working(prefetch=1, worker_name="w2") as second:
        message = await stand.ask("e1", stand.project(big=1))
        await stand.listener.copying("e1")
        second_has_it = second.supervisor.is_running("e1")
        await stand.rabbit.send("export.start", message)
        await stand.rabbit.until_depth("export.start", 0)
        await until(lambda: second.supervisor.is_running("e1"))
        assert len(stand.attempts("e1")) == 1
        brake.release.set()
        first, again = await stand.told("e1", 2)
    assert not second_has_it, "the consumers took turns in another order"
    assert first.body == again.body
    assert first.document["attempt"] == 1


async def test_a_refused_message_keeps_its_id_from_a_good_one(stand: Stand) -> None:
    async with stand.working():
        good = export_start("e1", stand.project())
        await stand.rabbit.send("export.start", good | {"requested_at": "soon"})
        assert (await stand.failed("e1"))["code"] == "invalid_message"
        await stand.rabbit.send("export.start", good)
        [parked] = await stand.rabbit.taken("export.parked")
    assert parked.headers["x-reason"] == "conflict"
    assert "refused" in str(parked.headers["x-detail"])
    assert len(stand.terminals("e1")) == 1


async def test_a_bad_message_does_not_speak_for_the_id_of_an_export(stand: Stand) -> None:
    async with stand.working():
        good = await stand.ask("e1")
        end = await stand.ended("e1")
        await stand.rabbit.send("export.start", good | {"requested_at": "soon"})
        [parked] = await stand.rabbit.taken("export.parked")
    assert parked.headers["x-reason"] == "invalid_message"
    assert stand.terminals("e1") == [end]


async def test_a_refused_message_that_is_repeated_fails_again_in_the_same_bytes(stand: Stand) -> None:
    async with stand.working():
        bad = export_start("e1", stand.project()) | {"requested_at": "soon"}
        await stand.rabbit.send("export.start", bad)
        await stand.rabbit.send("export.start", bad)
        first, again = await stand.told("e1", 2)
    assert first.body == again.body
