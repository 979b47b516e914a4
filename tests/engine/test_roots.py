"""The exports root is the one that the export began in, or nothing is decided."""

import json
import shutil

import pytest

from contracts import ErrorCode, ExportStart
from service.errors import Trouble
from service.ledger import Ledger
from tests.engine.faulty import before
from tests.engine.workbench import Bench, completed, small_project, start, visible


def test_another_root_in_the_place_of_the_first_is_decided_in_by_nobody(bench: Bench) -> None:
    aside = bench.exports.with_name("aside")

    def swap() -> None:
        bench.exports.rename(aside)
        shutil.copytree(aside, bench.exports)
        (bench.exports / ".exports/store.json").write_text('{"layout": 1, "store": "another"}')

    with pytest.raises(Trouble) as trouble:
        bench.run(start(small_project()), before("fsync", "/.exports/e1/a-000001", swap))
    assert trouble.value.code is ErrorCode.STORAGE_UNAVAILABLE
    assert visible(bench.exports) == {}
    assert not (bench.exports / ".exports/e1/outcome.json").exists()
    assert not (aside / ".exports/e1/outcome.json").exists()


def test_a_root_that_is_no_exports_root_gets_no_record(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Ledger, "open_or_make", Ledger.open)
    with pytest.raises(Trouble, match=r"store\.json: is it mounted"):
        bench.run(start(small_project()))
    assert list(bench.exports.iterdir()) == []


def test_a_command_of_a_newer_contract_is_this_workers_trouble(bench: Bench) -> None:
    newer = start(small_project()).model_copy(update={"version": 2})
    with pytest.raises(Trouble) as trouble:
        bench.run(newer)
    assert trouble.value.code is ErrorCode.UNSUPPORTED_VERSION
    assert bench.outcome() is None


def test_an_option_that_the_contract_gets_later_makes_no_earlier_command_another_one(bench: Bench) -> None:
    """A record as a worker wrote it that knew fewer options, with their defaults left out or spelled out."""
    command = start(small_project())
    completed(bench.run(command))
    place = bench.exports / ".exports/e1/command.json"
    stored = json.loads(place.read_bytes())
    del stored["options"]["gaps"]
    del stored["options"]["since"]
    place.write_text(json.dumps(stored))
    assert isinstance(command, ExportStart)
    completed(bench.run(command))
