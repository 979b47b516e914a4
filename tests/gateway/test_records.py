"""What storage says of an export, at every step of its way."""

from pathlib import Path

import pytest
from pydantic_core import from_json

from contracts import ExportStart
from contracts.messages import Requester
from gateway.records import Record, Records
from gateway.states import snapshot
from service.attempt import begin
from service.ledger import Ledger
from service.storage.local import LocalStorage
from tests.engine.workbench import FOLDER, REQUESTED_AT, Bench, make_media, small_project, start


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    make_media(tmp_path / "media")
    (tmp_path / "exports").mkdir()
    bench = Bench(tmp_path / "media", tmp_path / "exports", [])
    bench.make_root()
    return bench


@pytest.fixture
def records(bench: Bench) -> Records:
    return Records(Ledger(LocalStorage({"media": bench.media}, bench.exports)))


def asked(records: Records, export_id: str = "e1", tenant: str | None = "acme", second: int = 20) -> ExportStart:
    command = start(small_project(), export_id).model_copy(
        update={
            "requested_by": Requester(tenant=tenant, subject="ada"),
            "requested_at": REQUESTED_AT.replace(second=second),
        }
    )
    return records.ledger.accept(command, command.project)


def look(records: Records, export_id: str = "e1") -> Record:
    found = records.look(export_id)
    assert found is not None
    return found


def test_nobody_asked_for_it(records: Records) -> None:
    assert records.look("e1") is None
    records.ledger.cancel("e1", "too early")
    assert records.look("e1") is None


def test_what_was_asked_for_is_queued_and_says_whose_it_is(records: Records) -> None:
    asked(records)

    head, known = look(records)
    assert (head.project_id, head.project_name, head.tenant, head.subject) == ("p1", "Small", "acme", "ada")
    assert head.requested_at == REQUESTED_AT
    assert known.state == "queued"


def test_an_attempt_that_was_begun_is_seen(bench: Bench, records: Records) -> None:
    asked(records)
    attempt = begin(records.ledger, "e1", 0)
    attempt.end()

    assert look(records).known.state == "planning"


def test_a_wish_to_stop_is_seen(records: Records) -> None:
    asked(records)
    records.ledger.cancel("e1", "changed my mind")

    assert look(records).known.state == "cancelling"


def test_a_finished_export_is_told_in_the_bytes_that_were_decided(bench: Bench, records: Records) -> None:
    event = bench.run(start(small_project()))

    head, known = look(records)
    assert known.state == "completed"
    assert from_json(snapshot(head, known, "").body)["result"] == event.model_dump(mode="json")


def test_what_is_decided_and_not_visible_yet_is_being_published(bench: Bench, records: Records) -> None:
    bench.run(start(small_project()))
    (bench.exports / FOLDER).rename(bench.attempt(1) / "tree")

    assert look(records).known.state == "publishing"


@pytest.mark.parametrize("reason", ["expired", "deleted"])
def test_what_is_gone_says_why(bench: Bench, records: Records, reason: str) -> None:
    bench.run(start(small_project()))
    decision = records.ledger.decision("e1")
    assert decision is not None
    records.ledger.withdraw("e1", decision, reason)

    assert look(records).known.state == reason


def test_a_folder_that_somebody_removed_by_hand_counts_as_deleted(bench: Bench, records: Records) -> None:
    bench.run(start(small_project()))
    (bench.exports / FOLDER).rename(bench.exports / "elsewhere")

    assert look(records).known.state == "deleted"


def test_history_is_newest_first_and_goes_on_where_it_stopped(records: Records) -> None:
    for second in (3, 1, 4, 2):
        asked(records, f"e{second}", second=second)

    first, mark = records.history("p1", None, 3)
    assert first == ["e4", "e3", "e2"]
    assert records.history("p1", mark, 3) == (["e1"], None)
    assert records.history("another", None, 3) == ([], None)


def test_two_of_one_second_are_both_in_the_history(records: Records) -> None:
    asked(records, "e1")
    asked(records, "e2")
    asked(records, "e1")  # delivered again

    first, mark = records.history("p1", None, 1)
    rest, end = records.history("p1", mark, 1)
    assert (first + rest, end) == (["e2", "e1"], None)


def test_what_is_forgotten_is_in_no_history(bench: Bench, records: Records) -> None:
    bench.run(start(small_project()))
    decision = records.ledger.decision("e1")
    assert decision is not None
    records.ledger.withdraw("e1", decision, "expired")
    records.ledger.forget("e1", decision)

    assert records.history("p1", None, 3) == ([], None)
    assert records.look("e1") is None


def test_the_first_fingerprint_of_an_id_holds(records: Records) -> None:
    assert records.ledger.fingerprint("e1", "aa") == "aa"
    assert records.ledger.fingerprint("e1", "bb") == "aa"
    assert records.ledger.is_mere_wish("e1")
