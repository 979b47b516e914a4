"""`submit`, `watch`, `cancel`, `delete`: an export that runs elsewhere is asked for, seen and stopped from here."""

import asyncio
import json
import shutil
import signal
from asyncio.subprocess import PIPE
from pathlib import Path

import pytest

from contracts import ExportStart, topology
from contracts.golden import golden_examples
from contracts.limits import MAX_MESSAGE_BYTES
from contracts.messages import Message
from tests.cli.command import EXPORT_SERVICE, Said
from tests.cli.conftest import AT, Desk
from tests.cli.rabbit import PATIENCE_SECONDS, Rabbit, document

ID = "the-export"
COPYING = "export.progress/v1/copying"
COMPLETE = "export.completed/v1/complete_without_archive"
CANCELLED = "export.cancelled/v1/while_copying"
OPTIONS = ["--archive", "zip", "--kinds", "image", "--on-missing", "fail", "--stale", "skip", "--retain-days", "2"]


def event(example: str, **changes: object) -> Message:
    """One of the contract's examples, about our export."""
    found = golden_examples()[example]
    assert isinstance(found, Message)
    return found.model_copy(update={"export_id": ID, **changes})


@pytest.fixture
def ran(desk: Desk) -> Said:
    """Our export was made before, by `run`."""
    return desk.run(*OPTIONS, "--export-id", ID)


async def meanwhile(rabbit: Rabbit, *words: str | Path) -> "asyncio.Task[Said]":
    """The command, once it listens."""
    task = asyncio.create_task(rabbit.told(*words))
    await rabbit.listened_to()
    return task


# ---- submit


async def test_what_is_submitted_is_what_run_would_export(ran: Said, rabbit: Rabbit, desk: Desk) -> None:
    assert ran.code == 3
    said = await rabbit.told("submit", desk.project, *OPTIONS, "--export-id", ID, "--requested-at", AT)
    assert (said.code, said.out) == (0, f"{ID}\n")
    message = await rabbit.taken(topology.START)
    command = ExportStart.model_validate_json(message.body)
    stored = json.loads((desk.exports / ".exports" / ID / "command.json").read_text())
    assert stored.pop("about") == {"project_id": "p1", "project_name": "Small"}
    assert command.model_dump(mode="json", exclude={"project"}).items() <= stored.items()
    assert command.project is not None
    assert command.project.model_dump(exclude_none=True, mode="json") == json.loads(desk.project.read_text())


async def test_a_command_survives_the_broker_and_is_known_by_its_export(rabbit: Rabbit, desk: Desk) -> None:
    await rabbit.told("submit", desk.project, "--export-id", ID)
    message = await rabbit.taken(topology.START)
    assert (message.delivery_mode, message.content_type) == (2, "application/json")
    assert (message.message_id, message.correlation_id) == (f"{ID}:export.start", ID)
    assert (message.headers["ce-type"], message.headers["ce-subject"]) == ("export.start", ID)


async def test_each_submission_without_an_id_is_an_export_of_its_own(rabbit: Rabbit, desk: Desk) -> None:
    one, other = [await rabbit.told("submit", desk.project) for _ in range(2)]
    assert one.out != other.out
    assert [f"{document(await rabbit.taken(topology.START))['export_id']}\n" for _ in range(2)] == [one.out, other.out]


async def test_who_submits_is_told_how_to_watch_and_to_cancel(rabbit: Rabbit, desk: Desk) -> None:
    said = await rabbit.told("submit", desk.project, "--export-id", ID)
    assert f"export-service watch {ID}\n" in said.err
    assert f"export-service cancel {ID}\n" in said.err


async def test_a_program_that_submits_gets_one_json_object(rabbit: Rabbit, desk: Desk) -> None:
    said = await rabbit.told("submit", desk.project, "--export-id", ID, "--requested-at", AT, "--json")
    assert (said.json, said.err) == ({"export_id": ID, "requested_at": AT}, "")


async def test_a_project_that_no_message_can_hold_is_refused_before_it_is_sent(rabbit: Rabbit, desk: Desk) -> None:
    sentences = [{"text": "x" * 99_000}] * (MAX_MESSAGE_BYTES // 99_000 + 1)
    desk.project.write_text(json.dumps({"id": "p", "sections": [{"sentences": sentences}]}))
    said = await rabbit.told("submit", desk.project)
    assert said.code == 2
    assert "MAX_MESSAGE_BYTES is 8,388,608" in said.sentence
    assert "project_ref" in said.sentence
    assert rabbit.count(topology.START) == 0


async def test_half_a_megabyte_still_goes_in_the_message(rabbit: Rabbit, desk: Desk) -> None:
    desk.project.write_text(json.dumps({"id": "p", "sections": [{"sentences": [{"text": "x" * 90_000}] * 6}]}))
    assert (await rabbit.told("submit", desk.project)).code == 0
    assert len((await rabbit.taken(topology.START)).body) > 500_000


@pytest.mark.parametrize("wrong", [["--sections", "none-such"], ["--requested-at", "noon"], ["--export-id", "A B"]])
async def test_what_run_refuses_submit_refuses_too(wrong: list[str], rabbit: Rabbit, desk: Desk) -> None:
    said = await rabbit.told("submit", desk.project, *wrong)
    assert (said.code, rabbit.count(topology.START)) == (2, 0)
    assert wrong[0] in said.sentence


# ---- watching


async def test_submit_hears_even_an_end_that_comes_at_once(rabbit: Rabbit, desk: Desk) -> None:
    task = await meanwhile(rabbit, "submit", desk.project, "--export-id", ID, "--watch")
    await rabbit.taken(topology.START)
    await rabbit.tell(event(COMPLETE))
    said = await task
    assert (said.code, said.err) == (0, "")
    assert f"export id {ID}" in said.out


async def test_the_end_in_json_is_the_event_as_it_was_told(rabbit: Rabbit) -> None:
    task = await meanwhile(rabbit, "watch", ID, "--json")
    await rabbit.tell(event(COPYING))
    await rabbit.tell(event(COMPLETE))
    said = await task
    assert (said.out, said.err) == (event(COMPLETE).model_dump_json() + "\n", "")


@pytest.mark.parametrize(
    ("example", "code"),
    [
        (COMPLETE, 0),
        ("export.completed/v1/empty", 3),
        ("export.completed/v1/partial_with_every_reason", 3),
        ("export.failed/v1/source_missing", 1),
        (CANCELLED, 1),
    ],
)
async def test_watch_ends_with_the_exit_code_of_run(example: str, code: int, rabbit: Rabbit) -> None:
    task = await meanwhile(rabbit, "watch", ID)
    await rabbit.tell(event(example))
    said = await task
    assert said.code == code
    assert (code == 1) == (said.out == "")


async def test_other_exports_and_late_progress_do_not_end_or_disturb_a_watch(rabbit: Rabbit) -> None:
    task = await meanwhile(rabbit, "watch", ID)
    await rabbit.tell(event(COMPLETE, export_id="another"))
    await rabbit.tell(event(COPYING, attempt=2, seq=5))
    await rabbit.tell(event(COPYING, attempt=1, seq=9))
    await rabbit.tell(event(CANCELLED))
    await rabbit.tell(event(COPYING, attempt=3, seq=1))
    said = await task
    assert (said.code, said.out) == (1, "")
    assert said.err.startswith("The export was cancelled")


async def test_a_watch_leaves_no_queue_behind(rabbit: Rabbit) -> None:
    task = await meanwhile(rabbit, "watch", ID)
    await rabbit.tell(event(COMPLETE))
    await task
    assert not [name for name in rabbit.broker.queues if name.startswith(topology.GATEWAY_QUEUES)]


async def test_an_export_that_is_over_is_answered_from_the_exports_root(
    ran: Said, rabbit: Rabbit, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EXPORT_EXPORTS_ROOT", str(desk.exports))
    said = await rabbit.told("watch", ID)
    assert said == ran
    assert "001_" in said.out  # the tree, with its files


async def test_an_export_that_is_over_and_gone_says_so(
    ran: Said, rabbit: Rabbit, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert ran.code == 3
    (folder,) = desk.exports.glob("export_*Z")
    shutil.rmtree(folder)
    monkeypatch.setenv("EXPORT_EXPORTS_ROOT", str(desk.exports))
    said = await rabbit.told("watch", ID)
    assert (said.code, said.out) == (1, "")
    assert "it is no longer there" in said.err


async def test_what_was_never_heard_of_is_waited_for_and_said(rabbit: Rabbit, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cli.watch.SILENCE_SECONDS", 0.05)
    task = await meanwhile(rabbit, "watch", ID)
    await asyncio.sleep(0.2)
    await rabbit.tell(event(COMPLETE))
    said = await task
    assert said.code == 0
    assert said.err.count("Nothing has been heard of export the-export") == 1


async def test_a_lost_connection_ends_the_watch_and_not_the_export(rabbit: Rabbit) -> None:
    task = await meanwhile(rabbit, "watch", ID)
    rabbit.broker.drop_connections()
    said = await task
    assert (said.code, said.out) == (1, "")
    assert "the connection to RabbitMQ was lost" in said.err
    assert f"export-service watch {ID}" in said.err


@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM])
async def test_ctrl_c_ends_the_watching_and_leaves_the_export_alone(
    sign: signal.Signals, rabbit: Rabbit, desk: Desk
) -> None:
    process = await asyncio.create_subprocess_exec(
        EXPORT_SERVICE, "submit", desk.project, "--watch", "--export-id", ID, "--broker", rabbit.broker.url,
        stdout=PIPE, stderr=PIPE,
    )  # fmt: skip
    await rabbit.taken(topology.START)
    process.send_signal(sign)
    async with asyncio.timeout(PATIENCE_SECONDS):
        out, err = await process.communicate()
    assert (process.returncode, out) == (130, b"")
    assert b"the export goes on" in err
    assert f"export-service watch {ID}\n".encode() in err
    assert f"export-service cancel {ID}\n".encode() in err
    assert rabbit.count(topology.CANCEL) == 0


# ---- cancel and delete


async def test_cancel_sends_the_wish_with_its_reason(rabbit: Rabbit) -> None:
    said = await rabbit.told("cancel", ID, "--reason", "a typo")
    assert (said.code, said.out) == (0, "")
    assert document(await rabbit.taken(topology.CANCEL)).items() >= {"export_id": ID, "reason": "a typo"}.items()


async def test_delete_sends_the_wish_with_its_reason(rabbit: Rabbit) -> None:
    assert (await rabbit.told("delete", ID, "--reason", "old")).code == 0
    assert document(await rabbit.taken(topology.DELETE)).items() >= {"export_id": ID, "reason": "old"}.items()


@pytest.mark.parametrize(("example", "code"), [(CANCELLED, 0), (COMPLETE, 1), ("export.failed/v1/internal", 1)])
async def test_cancel_can_wait_and_says_whether_it_came_in_time(example: str, code: int, rabbit: Rabbit) -> None:
    task = await meanwhile(rabbit, "cancel", ID, "--watch")
    await rabbit.taken(topology.CANCEL)
    await rabbit.tell(event(example))
    said = await task
    assert said.code == code
    assert said.err.startswith("Too late" if code else f"Export {ID} is cancelled")


async def test_a_reason_that_no_message_may_hold_is_refused(rabbit: Rabbit) -> None:
    said = await rabbit.told("cancel", ID, "--reason", "x" * 1001)
    assert (said.code, rabbit.count(topology.CANCEL)) == (2, 0)
