"""What comes by a broker: a message that is refused, a project that is read once, and an end that is owed."""

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from contracts import Error, ErrorCode, ExportFailed, ExportStart, Project, Stage
from contracts.messages import ProjectRef
from service.errors import Conflict, Trouble
from service.ledger import Decision, Ledger
from service.sweep import Swept, sweep
from tests.engine.faulty import Gate, Killed, before, dying
from tests.engine.workbench import REQUESTED_AT, Bench, completed, images_project, small_project, start

AT = REQUESTED_AT + timedelta(minutes=1)
ERROR = Error(
    code=ErrorCode.INVALID_MESSAGE,
    title="The request is not valid",
    detail="project: not an object",
    stage=Stage.ACCEPTING,
    retryable=False,
)


def refuse(ledger: Ledger, fingerprint: str = "one", at: datetime = AT, project_id: str | None = None) -> Decision:
    return ledger.refuse("e1", fingerprint, ERROR, project_id, at)


@pytest.fixture
def ledger(bench: Bench) -> Ledger:
    bench.make_root()
    return bench.ledger()


# ---- refusals


def test_a_refused_message_is_decided_once_and_told_in_the_same_bytes_whenever_it_comes(ledger: Ledger) -> None:
    decision = refuse(ledger)
    assert decision.event == ExportFailed(export_id="e1", attempt=0, at=AT, error=ERROR)
    assert refuse(ledger, at=AT + timedelta(days=1)).body == decision.body
    assert ledger.decision("e1") == decision
    assert ledger.command("e1") is None
    assert ledger.ids() == ["e1"]


def test_a_refused_message_tells_its_project_if_that_is_an_id_at_all(ledger: Ledger) -> None:
    assert refuse(ledger, project_id="p1").event.project_id == "p1"
    assert ledger.refuse("e2", "two", ERROR, "../../etc", AT).event.project_id is None


def test_another_refused_message_of_the_same_id_is_a_conflict(ledger: Ledger) -> None:
    decision = refuse(ledger)
    with pytest.raises(Conflict):
        refuse(ledger, "another")
    assert ledger.decision("e1") == decision


@pytest.mark.parametrize("is_finished", [True, False])
def test_a_refused_message_never_speaks_for_an_id_that_has_a_command(
    is_finished: bool, bench: Bench, ledger: Ledger
) -> None:
    if is_finished:
        bench.run(start(small_project()))
    else:
        ledger.accept(start(small_project()), small_project())
    decided = bench.outcome()
    with pytest.raises(Conflict):
        refuse(ledger)
    assert bench.outcome() == decided
    completed(bench.run(start(small_project())))


def test_a_command_whose_id_was_refused_is_a_conflict_and_leaves_nothing(bench: Bench, ledger: Ledger) -> None:
    decision = refuse(ledger)
    record = sorted((bench.exports / ".exports/e1").iterdir())
    with pytest.raises(Conflict, match="by a message that was refused"):
        ledger.accept(start(small_project()), small_project())
    assert sorted((bench.exports / ".exports/e1").iterdir()) == record
    assert ledger.decision("e1") == decision


def test_a_refusal_that_was_cut_short_is_finished_by_the_same_message(bench: Bench, ledger: Ledger) -> None:
    with pytest.raises(Killed):
        refuse(bench.ledger(dying("link", "/outcome.json")))
    assert ledger.decision("e1") is None
    assert sweep(ledger, datetime.now(UTC) + timedelta(days=99), timedelta(0)) == Swept(), "it is more than a wish"
    with pytest.raises(Conflict):
        ledger.accept(start(small_project()), small_project())
    assert isinstance(refuse(ledger).event, ExportFailed)


@pytest.mark.parametrize("valid_is_first", [True, False])
def test_of_a_valid_and_an_invalid_message_at_once_exactly_one_speaks(
    valid_is_first: bool, bench: Bench, ledger: Ledger
) -> None:
    """The second comes between the first one's look at what is there and its own mark."""
    gate = Gate()
    paused = bench.ledger(before("link", "/e1/command.json", gate.wait))
    slow, fast = (refuse, _accept) if valid_is_first else (_accept, refuse)
    with ThreadPoolExecutor(1) as thread:
        second = thread.submit(slow, paused)
        with gate.while_frozen():
            fast(ledger)
        with pytest.raises(Conflict):
            second.result()
    assert (ledger.command("e1") is not None) == valid_is_first
    assert (ledger.decision("e1") is None) == valid_is_first


def _accept(ledger: Ledger) -> ExportStart:
    return ledger.accept(start(small_project()), small_project())


def test_a_sweep_copes_with_what_was_refused(ledger: Ledger) -> None:
    decision = refuse(ledger)
    assert sweep(ledger, datetime.now(UTC) + timedelta(days=999), timedelta(0)) == Swept()
    assert refuse(ledger).body == decision.body


# ---- the same bytes


def test_a_repeat_is_told_in_the_bytes_of_a_version_that_knew_more(bench: Bench) -> None:
    event = completed(bench.run(start(small_project())))
    place = bench.exports / ".exports/e1/outcome.json"
    stored = json.loads(place.read_bytes())
    stored["body"] = stored["body"].replace("{", '{ "of_the_future":"⏳", ', 1)
    place.write_text(json.dumps(stored))
    decision = bench.ledger().decision("e1")
    assert decision is not None
    assert decision.body == stored["body"].encode()
    assert decision.event == event


# ---- projects by reference


def by_reference(sha256: str = "0" * 64, version: int = 1) -> ExportStart:
    reference = ProjectRef(uri="asset:p.json", sha256=sha256)
    return ExportStart(version=version, export_id="e1", requested_at=REQUESTED_AT, project_ref=reference)


def test_a_project_that_was_read_once_is_not_needed_again(bench: Bench, ledger: Ledger) -> None:
    assert ledger.needs_project(by_reference())
    first = ledger.accept(by_reference(), small_project())
    assert first.project == small_project()
    assert not ledger.needs_project(by_reference())
    assert ledger.accept(by_reference(), None) == first
    assert ledger.command("e1") == first
    assert ledger.command_as_sent("e1") == by_reference()


def test_a_reference_to_other_bytes_must_be_read_and_goes_by_what_it_means(ledger: Ledger) -> None:
    first = ledger.accept(by_reference(), small_project())
    other = by_reference("1" * 64)
    assert ledger.needs_project(other)
    with pytest.raises(Trouble) as trouble:
        ledger.accept(other, None)
    assert trouble.value.code is ErrorCode.PROJECT_UNAVAILABLE
    assert ledger.accept(other, small_project()) == first, "the same project in other white space"
    with pytest.raises(Conflict):
        ledger.accept(other, images_project("1.png"))


def _inline(project: Project) -> ExportStart:
    return by_reference().model_copy(update={"project": project, "project_ref": None})


def test_inline_and_by_reference_is_the_same_export(ledger: Ledger) -> None:
    project = small_project()
    first = ledger.accept(_inline(project), project)
    assert not ledger.needs_project(_inline(project))
    assert ledger.needs_project(by_reference())
    assert ledger.accept(by_reference(), project) == first
    assert ledger.command_as_sent("e1") == _inline(project)


def test_a_command_of_a_newer_contract_leaves_nothing(bench: Bench, ledger: Ledger) -> None:
    with pytest.raises(Trouble) as trouble:
        ledger.accept(by_reference(version=2), small_project())
    assert trouble.value.code is ErrorCode.UNSUPPORTED_VERSION
    assert ledger.ids() == []


# ---- what is owed


def test_an_end_is_owed_from_the_first_time_until_it_is_told(ledger: Ledger) -> None:
    assert (ledger.owed(), ledger.owed_since("e1")) == ([], None)
    ledger.owe("e1")
    since = ledger.owed_since("e1")
    assert since is not None
    assert abs(datetime.now(UTC) - since) < timedelta(minutes=1)
    ledger.owe("e1")
    assert ledger.owed_since("e1") == since
    assert ledger.owed() == ["e1"]
    for _ in range(2):
        ledger.told("e1")
        assert ledger.owed() == []


def test_what_is_owed_again_counts_from_now_and_what_was_told_meanwhile_is_not_owed_by_that(ledger: Ledger) -> None:
    ledger.owe("e1")
    ledger.storage.set_moment(".exports/_owed/e1", 10**9)
    ledger.owe_again("e1")
    since = ledger.owed_since("e1")
    assert since is not None
    assert since.year > 1970
    ledger.owe_again("e2")
    assert ledger.owed() == ["e1"]


def test_a_root_that_was_made_before_there_were_debts_gets_a_place_for_them(bench: Bench, ledger: Ledger) -> None:
    (bench.exports / ".exports/_owed").rmdir()
    assert ledger.owed() == []
    ledger.owe("e1")
    assert ledger.owed() == ["e1"]


def test_a_run_without_a_broker_owes_nothing(bench: Bench) -> None:
    completed(bench.run(start(small_project())))
    assert bench.ledger().owed() == []


def test_the_storages_clock_is_read_by_a_touch_of_the_records(ledger: Ledger) -> None:
    ledger.storage.set_moment(".exports", 10**9)
    assert abs(ledger.now_ns() / 1e9 - datetime.now(UTC).timestamp()) < 60
