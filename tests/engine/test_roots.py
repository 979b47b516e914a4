"""The exports root is the one that the export began in, or nothing is decided."""

import json
import shutil

import anyio
import pytest

from contracts import ErrorCode, ExportStart, Terminal
from service.attempt import history
from service.errors import Trouble
from service.export import Threads, Workshop, export
from service.ledger import Ledger
from service.progress import Stop
from service.storage.local import LocalStorage
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


def test_a_root_that_was_moved_to_a_larger_disk_is_packed_from_its_new_place(bench: Bench) -> None:
    """Under a worker that runs on: the same root, by its id, behind the same path."""

    def move() -> None:
        old = bench.exports.with_name("old")
        bench.exports.rename(old)
        shutil.copytree(old, bench.exports, copy_function=shutil.copy2)
        shutil.rmtree(old)

    storage = LocalStorage({"media": bench.media}, bench.exports)
    ledger = Ledger(storage)
    ledger.open_or_make()
    shop = Workshop(storage, ledger.bound(), Threads.of_each(1))

    def run(export_id: str) -> Terminal:
        command = start(small_project(), export_id)
        accepted = ledger.accept(command, command.project)
        return anyio.run(export, accepted, shop, lambda _: None, Stop()).event

    completed(run("e1"))
    move()
    completed(run("e2"))
    storage.close()


def test_an_end_that_could_not_be_noted_while_the_root_was_away_is_noted_when_it_is_back(bench: Bench) -> None:
    """Five outages would look like five deaths."""
    aside = bench.exports.with_name("away")

    def take_away() -> None:
        bench.exports.rename(aside)
        bench.exports.mkdir()

    disk = before("rename", "004_fin_video.mp4.part", take_away)
    storage = LocalStorage({"media": bench.media}, bench.exports, disk)
    ledger = Ledger(storage)
    ledger.open_or_make()
    shop = Workshop(storage, ledger.bound(), Threads.of_each(1), "w1")
    command = start(small_project())
    accepted = ledger.accept(command, command.project)
    with pytest.raises(Trouble):
        anyio.run(export, accepted, shop, lambda _: None, Stop())
    shop.note_the_rest()
    assert len(shop.not_noted) == 1
    bench.exports.rmdir()
    aside.rename(bench.exports)
    assert [past.ended for past in history(ledger, "e1")] == [None]
    shop.note_the_rest()
    assert shop.not_noted == []
    assert [past.ended for past in history(ledger, "e1")] == ["trouble"]
    storage.close()


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
