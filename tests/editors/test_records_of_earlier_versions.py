"""What was asked for before timelines were made is still the same export, and is told as it was."""

import json

import pytest

from contracts import ErrorCode, ExportFailed, ExportOptions, ExportStart, Sentence, Timeline
from service.errors import Conflict
from service.ledger import Ledger
from service.storage.memory import Memory, MemoryStorage
from tests.core.projects import project, section
from tests.editors.exporting import FIRST_AT

PROJECT = project(section(Sentence(text="Told.")))

EARLIER_OPTIONS: dict[str, object] = {
    "archive": "zip",
    "captions": [],
    "gaps": "hold",
    "include": {"kinds": ["audio", "image", "video"], "sections": None},
    "media_root": None,
    "on_missing": "skip",
    "retain_seconds": None,
    "since": None,
    "stale": "include",
    "timelines": [],
}
"""As the version before timelines stored the options of a command that said `archive: zip` and nothing else."""

EARLIER_REFUSAL = {
    "attempt": 0,
    "folder": None,
    "archive": None,
    "type": "export.failed",
    "body": json.dumps(
        {
            "version": 1,
            "export_id": "e-1",
            "project_id": PROJECT.id,
            "attempt": 1,
            "at": "2026-11-23T18:42:21Z",
            "error": {
                "code": "unsupported_option",
                "title": "The option is not supported",
                "detail": "options.archive = otioz is not supported by this version of the service",
                "stage": "planning",
                "retryable": False,
            },
        }
    ),
}


@pytest.fixture
def ledger() -> Ledger:
    ledger = Ledger(MemoryStorage(Memory({}, 1 << 20)))
    ledger.open_or_make()
    return ledger


def command(**options: object) -> ExportStart:
    asked = ExportOptions.model_validate({"archive": "zip", **options})
    return ExportStart(export_id="e-1", requested_at=FIRST_AT, project=PROJECT, options=asked)


def store_as_the_earlier_version_did(ledger: Ledger) -> None:
    stored = {
        "about": {"project_id": PROJECT.id, "project_name": PROJECT.name},
        "export_id": "e-1",
        "options": EARLIER_OPTIONS,
        "project_ref": None,
        "requested_at": "2026-11-23T18:42:20Z",
        "requested_by": None,
        "version": 1,
    }
    ledger.storage.make_directories(".exports/e-1")
    ledger.storage.create(".exports/e-1/command.json", json.dumps(stored).encode())


def test_a_command_from_before_there_were_timelines_may_be_repeated(ledger: Ledger) -> None:
    store_as_the_earlier_version_did(ledger)
    accepted = ledger.accept(command(), PROJECT)
    assert accepted.options == command().options
    with pytest.raises(Conflict):
        ledger.accept(command(gaps="close"), PROJECT)


def test_no_timelines_are_a_choice_since_there_are_some(ledger: Ledger) -> None:
    ledger.accept(command(timelines=()), PROJECT)
    again = ledger.accept(command(timelines=()), PROJECT)
    assert again.options.timelines == ()
    for other in (command(), command(timelines=(Timeline.OTIO,))):
        with pytest.raises(Conflict):
            ledger.accept(other, PROJECT)


def test_a_refusal_of_an_option_that_was_not_carried_out_yet_is_still_told(ledger: Ledger) -> None:
    ledger.storage.make_directories(".exports/e-1")
    ledger.storage.create(".exports/e-1/outcome.json", json.dumps(EARLIER_REFUSAL).encode())
    decision = ledger.decision("e-1")
    assert decision is not None
    assert isinstance(decision.event, ExportFailed)
    assert decision.event.error.code is ErrorCode.UNSUPPORTED_OPTION
    assert decision.body.decode() == EARLIER_REFUSAL["body"]
