"""A command that was delivered too often is decided, sent anew or put aside; never lost."""

import json
from typing import Any

from contracts import ExportStart, Project
from tests.broker.commands import Document, export_start
from tests.worker.stand import Stand

TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
MARKS: dict[str, Any] = {
    "x_delivery_count": 101,
    "x_first_death_queue": "export.start",
    "x_first_death_reason": "delivery_limit",
    "x_first_death_exchange": "export.events",
}


async def dies(stand: Stand, message: Document | bytes, **headers: Any) -> None:
    await stand.rabbit.send("export.start", message, exchange="export.dead", **MARKS, **headers)


async def test_a_dead_command_of_a_decided_export_is_answered_again(stand: Stand) -> None:
    async with stand.working():
        message = await stand.ask("e1")
        await stand.ended("e1")
        await dies(stand, message)
        first, again = await stand.told("e1", 2)
        await stand.rabbit.until_depth("export.dead", 0)
    assert first.body == again.body


async def test_a_dead_command_of_a_healthy_export_is_sent_anew_without_the_marks_of_its_travels(stand: Stand) -> None:
    message = export_start("e1", stand.project())
    command = ExportStart.model_validate(message)
    assert isinstance(command.project, Project)
    stand.ledger().accept(command, command.project)
    async with stand.rabbit.spied("export.start") as spy:
        async with stand.working():
            await dies(stand, message, traceparent=TRACE, ce_id="of-the-sender")
            end = await stand.ended("e1")
        [anew] = await stand.rabbit.taken(spy)
    assert end.headers["traceparent"] == TRACE
    assert {name for name in anew.headers if name.startswith("x-")} == set()
    assert (anew.headers["traceparent"], anew.message_id) == (TRACE, "of-the-sender")


async def test_a_dead_command_that_nobody_can_read_is_parked(stand: Stand) -> None:
    async with stand.working():
        await dies(stand, b"\x00\x00")
        [parked] = await stand.rabbit.taken("export.parked")
        await stand.rabbit.until_depth("export.dead", 0)
    assert (parked.body, parked.headers["x-reason"]) == (b"\x00\x00", "undeliverable")


async def test_a_dead_command_that_was_never_stored_is_sent_once_more(stand: Stand) -> None:
    """Who handed it back may have had no storage to note it in."""
    async with stand.working():
        await dies(stand, export_start("e1", stand.project()))
        end = await stand.ended("e1")
    assert end.document["outcome"] == "complete"


async def test_a_dead_command_that_nobody_could_ever_store_is_parked(stand: Stand) -> None:
    message = export_start("e1", stand.project())
    async with stand.working():
        await dies(stand, message, x_revived=3)
        [parked] = await stand.rabbit.taken("export.parked")
    assert parked.headers["x-reason"] == "undeliverable"
    assert json.loads(parked.body) == message
    assert not stand.terminals("e1")
