"""A sweep finishes, expires, clears and forgets, and takes nothing from anybody who works."""

import contextlib
import os
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from contracts import Archive, ExportOptions, ExportStart
from service.storage.disk import Disk
from service.sweep import Swept, sweep
from tests.engine.faulty import ActingDisk, FaultyDisk, Gate, Killed, WatchedDisk, before, dying, failing, killed_at
from tests.engine.workbench import (
    FOLDER,
    Bench,
    Undisturbed,
    completed,
    images_project,
    small_project,
    staged,
    start,
    visible,
)

NEVER = timedelta(days=365_000)
RETAINED = timedelta(days=1)
LOOKS_BEFORE_CLEARING = 4
"""Times that a sweep lists the attempts of an abandoned export; at the last it clears those it saw."""


def retained(export_id: str = "e1") -> ExportStart:
    options = ExportOptions(archive=Archive.ZIP, retain_seconds=int(RETAINED.total_seconds()))
    return start(images_project("1.png", "2.png"), export_id, options)


def swept_after(
    bench: Bench, days: float, abandoned_after: timedelta = NEVER, disk: WatchedDisk | None = None
) -> Swept:
    return sweep(bench.ledger(disk), datetime.now(UTC) + timedelta(days=days), abandoned_after)


def dies(bench: Bench, command: ExportStart, call: str, ending: str) -> None:
    """The process is killed before that call."""

    with contextlib.suppress(Killed, BaseExceptionGroup):
        bench.run(command, dying(call, ending))


def test_what_was_decided_is_published(bench: Bench, undisturbed: Undisturbed) -> None:
    dies(bench, start(small_project()), "rename", "/a-000001/tree")
    assert FOLDER not in visible(bench.exports)
    assert swept_after(bench, 0).published == ["e1"]
    assert visible(bench.exports) == undisturbed.tree
    assert staged(bench.exports) == []
    assert swept_after(bench, 0) == Swept()


class ServersClock(Disk):
    """A file server whose clock is not the one of this machine."""

    def __init__(self, ahead: timedelta) -> None:
        self._ahead = ahead

    def touch(self, path: str) -> None:
        moment = (datetime.now(UTC) + self._ahead).timestamp()
        os.utime(path, (moment, moment))


@pytest.mark.parametrize("ahead", [timedelta(days=3650), timedelta(days=-3650)])
def test_when_an_export_expires_is_a_matter_of_the_storages_clock_alone(bench: Bench, ahead: timedelta) -> None:
    event = completed(bench.run(retained(), ServersClock(ahead)))
    ledger = bench.ledger(ServersClock(ahead))
    assert abs(event.at - datetime.now(UTC) - ahead) < timedelta(minutes=5)
    assert event.expires_at == event.at + RETAINED
    assert sweep(ledger, ledger.now(), NEVER) == Swept()
    assert sweep(ledger, ledger.now() + 2 * RETAINED, NEVER).expired == ["e1"]


def test_an_export_expires_at_its_time_and_not_before(bench: Bench) -> None:
    event = completed(bench.run(retained()))
    assert swept_after(bench, 0.99) == Swept()
    assert FOLDER in visible(bench.exports)
    assert swept_after(bench, 1.01).expired == ["e1"]
    assert visible(bench.exports) == {}
    assert bench.ledger().gone("e1") == "expired"
    assert bench.run(retained()) == event, "a repeat is answered and does not run again"
    assert visible(bench.exports) == {}
    assert bench.ledger().attempts("e1") == [1]


def test_an_export_without_a_time_stays(bench: Bench, undisturbed: Undisturbed) -> None:
    completed(bench.run(start(small_project())))
    assert swept_after(bench, 100_000) == Swept()
    assert visible(bench.exports) == undisturbed.tree


def test_an_expiry_is_said_before_anything_is_taken_away(bench: Bench) -> None:
    completed(bench.run(retained()))
    whole = visible(bench.exports)
    assert len(swept_after(bench, 2, disk=failing("link", "/gone.json", 28)).troubles) == 1
    assert visible(bench.exports) == whole


@pytest.mark.slow
def test_a_sweep_killed_at_any_call_of_an_expiry_is_finished_by_the_next(undisturbed: Undisturbed, place: Path) -> None:
    def published(name: str) -> Bench:
        (place / name).mkdir()
        bench = Bench(undisturbed.media, place / name, [])
        completed(bench.run(retained()))
        return bench

    counted = FaultyDisk()
    bench = published("counted")
    whole = visible(bench.exports)
    swept_after(bench, 2, disk=counted)
    without_archive = {name: content for name, content in whole.items() if not name.endswith(".zip")}
    for at in range(len(counted.calls)):
        bench = published(str(at))
        with contextlib.suppress(Killed):
            swept_after(bench, 2, disk=killed_at(at))
        seen = visible(bench.exports)
        assert seen in (whole, without_archive, {f"{FOLDER}.zip": whole[f"{FOLDER}.zip"]}, {}), f"call {at}"
        assert seen == whole or bench.ledger().gone("e1") == "expired", f"call {at}"
        swept_after(bench, 2)
        assert visible(bench.exports) == {}, f"call {at}"
        assert list((bench.exports / ".exports/_trash").iterdir()) == [], f"call {at}"


def test_an_expired_export_is_remembered_ten_times_as_long_and_then_forgotten(bench: Bench) -> None:
    completed(bench.run(retained()))
    swept_after(bench, 2)
    assert swept_after(bench, 9.9) == Swept()
    assert bench.ledger().ids() == ["e1"]
    assert swept_after(bench, 10.1).forgotten == ["e1"]
    assert bench.ledger().ids() == []
    completed(bench.run(retained()))
    assert FOLDER in visible(bench.exports), "the id and the name are free again"


@pytest.mark.slow
def test_a_sweep_killed_while_it_forgets_leaves_no_id_that_can_never_publish(
    undisturbed: Undisturbed, place: Path
) -> None:
    def expired(name: str) -> Bench:
        (place / name).mkdir()
        bench = Bench(undisturbed.media, place / name, [])
        completed(bench.run(retained()))
        swept_after(bench, 2)
        return bench

    counted = FaultyDisk()
    swept_after(expired("counted"), 11, disk=counted)
    for at in range(len(counted.calls)):
        bench = expired(str(at))
        with contextlib.suppress(Killed):
            swept_after(bench, 11, disk=killed_at(at))
        forgotten = bench.ledger().ids() == []
        completed(bench.run(retained()))
        assert (FOLDER in visible(bench.exports)) == forgotten, f"call {at}: it runs again if and only if forgotten"
        swept_after(bench, 0)
        assert list((bench.exports / ".exports/_trash").iterdir()) == [] or not forgotten, f"call {at}"


def test_to_forget_an_export_does_not_free_the_name_of_another(bench: Bench) -> None:
    """The first forgetting got no further than the name, which another export took since."""
    completed(bench.run(retained("e1")))
    swept_after(bench, 2)
    assert len(swept_after(bench, 11, disk=failing("rename", "/.exports/e1", 5)).troubles) == 1
    completed(bench.run(retained("e2")))
    assert swept_after(bench, 11).forgotten == ["e1"]
    owner = bench.exports / ".exports/_names" / FOLDER.casefold()
    assert "e2" in owner.read_text()


def test_an_abandoned_attempt_is_cleared_after_its_time_and_not_before(bench: Bench, undisturbed: Undisturbed) -> None:
    dies(bench, start(small_project()), "open", "/archive.part")
    assert swept_after(bench, 6, timedelta(days=7)) == Swept()
    assert staged(bench.exports) != []
    assert swept_after(bench, 8, timedelta(days=7)).cleared == ["e1"]
    assert [Path(name).name for name in staged(bench.exports)] == ["lock"]
    assert swept_after(bench, 8, timedelta(days=7)).cleared == []
    completed(bench.run(start(small_project())))
    assert bench.ledger().attempts("e1") == [1, 2], "a number is never used twice"
    assert visible(bench.exports) == undisturbed.tree


def test_an_attempt_that_lives_is_never_cleared_however_old(bench: Bench, undisturbed: Undisturbed) -> None:
    gate = Gate()
    with ThreadPoolExecutor(1) as thread:
        working = thread.submit(bench.run, start(small_project()), before("write", "/archive.part", gate.wait))
        with gate.while_frozen():
            assert swept_after(bench, 1_000, timedelta(0)) == Swept()
        completed(working.result())
    assert visible(bench.exports) == undisturbed.tree


def test_trouble_with_one_export_keeps_no_other_from_being_swept(bench: Bench, undisturbed: Undisturbed) -> None:
    dies(bench, start(images_project("1.png", project_id="a"), "a"), "rename", "/a-000001/tree")
    dies(bench, start(small_project()), "rename", "/a-000001/tree")
    theirs = bench.exports / FOLDER.replace("p1", "a")
    theirs.mkdir()
    (theirs / "mine").write_bytes(b"")
    swept = swept_after(bench, 0)
    assert swept.published == ["e1"]
    assert [export_id for export_id, _ in swept.troubles] == ["a"]
    assert "is there already and is not this export" in swept.troubles[0][1]
    assert undisturbed.tree.items() <= visible(bench.exports).items()


def test_two_sweeps_at_once_are_one(bench: Bench) -> None:
    completed(bench.run(retained()))
    dies(bench, retained("e2"), "rename", "/a-000001/tree")
    between = before("rename", f"/{FOLDER}", lambda: swept_after(bench, 2))
    swept_after(bench, 2, disk=between)
    assert between.count == 1
    assert visible(bench.exports) == {}


def test_an_export_that_another_sweep_has_just_forgotten_is_no_error(bench: Bench) -> None:
    completed(bench.run(retained()))
    swept_after(bench, 2)
    between = before("open", "/e1/outcome.json", lambda: swept_after(bench, 11))
    assert swept_after(bench, 11, disk=between) == Swept()


def test_drafts_of_the_dead_are_cleared_and_those_of_the_living_kept(bench: Bench, undisturbed: Undisturbed) -> None:
    dies(bench, start(small_project()), "link", "/outcome.json")
    drafts = bench.exports.rglob("*.new")
    assert len(list(drafts)) == 1
    swept_after(bench, 1, timedelta(days=7))
    assert len(list(bench.exports.rglob("*.new"))) == 1
    swept_after(bench, 8, timedelta(days=7))
    assert list(bench.exports.rglob("*.new")) == []
    completed(bench.run(start(small_project())))
    assert visible(bench.exports) == undisturbed.tree


def test_a_sweep_never_takes_what_was_decided_while_it_looked(bench: Bench, undisturbed: Undisturbed) -> None:
    """It finds a dead attempt; a second one decides and dies unpublished before the sweep comes to clearing."""
    dies(bench, start(small_project()), "write", "/archive.part")
    looks: list[bool] = []

    def decide_meanwhile() -> None:
        looks.append(bench.outcome() is None)
        if len(looks) == LOOKS_BEFORE_CLEARING:
            dies(bench, start(small_project()), "rename", "/a-000002/tree")

    swept_after(bench, 8, timedelta(days=7), ActingDisk("listdir", "/.exports/e1", decide_meanwhile))
    assert looks == [True] * LOOKS_BEFORE_CLEARING + [False], "it decided at the last look before the clearing"
    assert bench.outcome() is not None
    swept_after(bench, 0)
    assert visible(bench.exports) == undisturbed.tree
