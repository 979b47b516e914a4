"""What the broker lost is found in the records and done; what it has is left alone."""

import asyncio
import contextlib
import hashlib
import json
import time
from typing import Any

from contracts import ExportStart, Project
from tests.broker.commands import Document, export_start
from tests.engine.faulty import Killed, dying
from tests.engine.workbench import Bench
from tests.worker.stand import Brake, Stand, until

AT_ONCE: dict[str, Any] = {"lost_after_seconds": 0.001, "reconcile_seconds": 600}
"""Everything is overdue, and the test says when to look."""

TICK_SECONDS = 0.02
"""Longer than the clock of files stands still: a mark that is made now may be no older in the same tick."""


def forgotten(stand: Stand, export_id: str) -> Document:
    """Its command was stored by a worker that died, and the broker knows nothing of it."""
    message = export_start(export_id, stand.project(name=export_id))
    command = ExportStart.model_validate(message)
    stand.ledger().owe(export_id)
    stand.ledger().accept(command, command.project)
    time.sleep(TICK_SECONDS)
    return message


async def test_what_the_broker_forgot_is_published_again_and_finished(stand: Stand) -> None:
    forgotten(stand, "e1")
    async with stand.working(lost_after_seconds=0.05, reconcile_seconds=0.05):
        end = await stand.ended("e1")
        await until(lambda: not stand.ledger().owed())
    assert end.document["outcome"] == "complete"
    assert len(stand.attempts("e1")) == 1


async def test_nothing_is_published_again_while_commands_wait_in_the_queue(stand: Stand) -> None:
    brake = Brake()
    async with stand.working(brake, prefetch=1, **AT_ONCE) as parts, stand.rabbit.spied("export.start") as spy:
        await stand.ask("busy", stand.project(big=1))
        await stand.listener.copying("busy")
        await stand.ask("waits", stand.project(name="other"))
        forgotten(stand, "e1")
        await stand.rabbit.until_depth("export.start", 1)
        await parts.reconciler.reconcile()
        assert len(await stand.rabbit.taken(spy, 2)) == 2
        brake.release.set()
        await stand.ended("waits")
        await parts.reconciler.reconcile()
        await stand.ended("e1")


async def test_nothing_is_published_again_that_somebody_works_on(stand: Stand) -> None:
    brake = Brake()
    async with stand.working(brake, **AT_ONCE) as parts, stand.rabbit.spied("export.start") as spy:
        await stand.ask("e1", stand.project(big=1))
        await stand.listener.copying("e1")
        assert stand.ledger().owed() == ["e1"]
        await parts.reconciler.reconcile()
        assert len(await stand.rabbit.taken(spy, 1)) == 1
        brake.release.set()
        await stand.ended("e1")
        await until(lambda: not stand.ledger().owed())


async def test_an_export_of_the_command_line_is_none_of_the_workers_business(stand: Stand) -> None:
    command = ExportStart.model_validate(export_start("e1", stand.project()))

    def die() -> None:
        with contextlib.suppress(Killed, BaseExceptionGroup):
            Bench(stand.media, stand.exports, []).run(command, dying("open", "/script.txt.part"))

    await asyncio.to_thread(die)
    async with stand.working(**AT_ONCE) as parts, stand.rabbit.spied("export.start") as spy:
        await parts.reconciler.reconcile()
        assert await stand.rabbit.taken(spy, 0) == []
        await stand.rabbit.send("export.start", {"export_id": "e1", "version": 1})
        await stand.rabbit.until_depth("export.parked", 1)
        assert stand.ledger().owed() == [], "not even where a bad message names it"


async def test_what_was_decided_but_not_told_is_told_in_the_bytes_of_the_decision(stand: Stand) -> None:
    command = ExportStart.model_validate(export_start("e1", stand.project()))
    await asyncio.to_thread(Bench(stand.media, stand.exports, []).run, command)
    stand.ledger().owe("e1")
    async with stand.working(**AT_ONCE) as parts:
        await parts.reconciler.reconcile()
        end = await stand.ended("e1")
        await until(lambda: not stand.ledger().owed())
    decided = stand.ledger().decision("e1")
    assert decided is not None
    assert end.body == decided.body


async def test_a_command_that_referred_to_its_project_is_published_again_with_the_reference(stand: Stand) -> None:
    project = json.dumps(stand.project()).encode()
    (stand.media / "p.json").write_bytes(project)
    reference = {"uri": "asset:p.json", "sha256": hashlib.sha256(project).hexdigest()}
    message = {**export_start("e1", {}), "project": None, "project_ref": reference}
    stand.ledger().owe("e1")
    stand.ledger().accept(ExportStart.model_validate(message), Project.model_validate_json(project))
    async with stand.rabbit.spied("export.start") as spy:
        async with stand.working(**AT_ONCE) as parts:
            await parts.reconciler.reconcile()
            await stand.ended("e1")
        [again] = await stand.rabbit.taken(spy)
    assert "project" not in json.loads(again.body)
    assert json.loads(again.body)["project_ref"] == reference
