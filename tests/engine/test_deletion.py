"""A deletion, whenever it comes: afterwards nothing is visible, ever, and the id is answered as it was decided."""

import contextlib
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from contracts import ExportCancelled, ExportOptions
from service.errors import Trouble
from service.sweep import Swept, sweep
from tests.engine.faulty import ActingDisk, Gate, Killed, before, dying
from tests.engine.workbench import (
    FOLDER,
    Bench,
    completed,
    images_project,
    omissions,
    small_project,
    staged,
    start,
    visible,
)

WEEK = timedelta(days=7)


def delete(bench: Bench) -> None:
    bench.ledger().delete("e1", "the project was deleted")


def swept(bench: Bench, days: float = 0, abandoned_after: timedelta = WEEK) -> Swept:
    return sweep(bench.ledger(), datetime.now(UTC) + timedelta(days=days), abandoned_after)


def nothing_is_left(bench: Bench) -> None:
    assert visible(bench.exports) == {}
    swept(bench, abandoned_after=timedelta(0))
    assert visible(bench.exports) == {}
    assert staged(bench.exports) == []
    trash = bench.exports / ".exports/_trash"
    assert not trash.exists() or list(trash.iterdir()) == []


def test_a_finished_export_is_taken_away_and_a_repeat_still_tells_its_end(bench: Bench) -> None:
    event = completed(bench.run(start(small_project())))
    decided = bench.outcome()
    for _ in range(2):
        delete(bench)
        assert bench.ledger().gone("e1") == "deleted"
        nothing_is_left(bench)
    assert bench.run(start(small_project())) == event
    assert bench.outcome() == decided
    assert not bench.ledger().is_cancelled("e1")
    nothing_is_left(bench)


def test_who_clears_away_beside_another_never_removes_a_tree_file_by_file(bench: Bench) -> None:
    """The other takes their trash away just before the one step: who decided before may be about to publish."""
    with contextlib.suppress(Killed, BaseExceptionGroup):
        bench.run(start(small_project()), dying("rename", "a-000001/tree"))
    trash = bench.exports / ".exports/_trash/e1_attempts"
    tree = set((bench.attempt(1) / "tree").rglob("*"))
    (bench.exports / ".exports/e1/gone.json").write_text('{"reason": "deleted"}')
    disk = before("rename", "a-000001/tree", lambda: shutil.rmtree(trash))
    with pytest.raises(Trouble, match="another process clears"):
        bench.ledger(disk).clean("e1")
    assert set((bench.attempt(1) / "tree").rglob("*")) == tree
    assert bench.ledger().clean("e1")
    assert list(bench.attempt(1).iterdir()) == []


def test_what_expired_stays_expired(bench: Bench) -> None:
    bench.run(start(small_project(), options=ExportOptions(retain_seconds=86_400)))
    assert swept(bench, days=2).expired == ["e1"]
    delete(bench)
    assert bench.ledger().gone("e1") == "expired"


@pytest.mark.parametrize("times", [1, 2])
def test_an_export_deleted_before_it_was_asked_for_is_cancelled_when_it_is(times: int, bench: Bench) -> None:
    bench.make_root()
    for _ in range(times):
        delete(bench)
    event = bench.run(start(small_project()))
    assert isinstance(event, ExportCancelled)
    assert bench.run(start(small_project())) == event
    nothing_is_left(bench)


def test_an_accepted_export_that_nobody_began_is_cancelled(bench: Bench) -> None:
    bench.make_root()
    bench.ledger().accept(start(small_project()), small_project())
    delete(bench)
    assert isinstance(bench.run(start(small_project())), ExportCancelled)
    nothing_is_left(bench)


@pytest.mark.parametrize(
    "where",
    [
        ("mkdir", "/a-000001"),
        ("open", "001_intro_image.png.part"),
        ("write", "/archive.part"),
        ("fsync", "/a-000001"),
    ],
)
def test_a_working_export_is_cancelled(where: tuple[str, str], bench: Bench) -> None:
    disk = before(*where, lambda: delete(bench))
    assert isinstance(bench.run(start(small_project()), disk), ExportCancelled)
    nothing_is_left(bench)


def test_the_files_of_a_dead_attempt_go_with_the_next_try(bench: Bench) -> None:
    _dies(bench, "open", "/archive.part")
    delete(bench)
    assert isinstance(bench.run(start(small_project())), ExportCancelled)
    assert staged(bench.exports) == []


TOO_LATE_TO_CANCEL = {
    "as it decides": ("link", "/outcome.json"),
    "once it is decided": ("fsync", "/.exports/e1"),
    "before it looks whether it may publish": ("open", "/e1/gone.json"),
    "before the archive is in place": ("link", "/a-000001/archive"),
    "between the archive and its own name": ("unlink", "/a-000001/archive"),
    "before the folder is in place": ("rename", "/a-000001/tree"),
}


def _at_the_end(where: str, bench: Bench, act: Callable[[], object]) -> ActingDisk:
    """Acts at that place of a run, at the first time after its last look for a cancel."""
    has_decided_soon = bench.exports / ".exports/e1/outcome.json"

    def if_late() -> None:
        if where == "as it decides" or has_decided_soon.exists():
            act()

    return ActingDisk(*TOO_LATE_TO_CANCEL[where], if_late)


@pytest.mark.parametrize("where", TOO_LATE_TO_CANCEL)
def test_a_completion_that_was_faster_is_told_and_never_stays_visible(where: str, bench: Bench) -> None:
    disk = _at_the_end(where, bench, lambda: delete(bench))
    event = completed(bench.run(start(small_project()), disk))
    assert bench.ledger().gone("e1") == "deleted"
    assert visible(bench.exports) == {}
    assert bench.run(start(small_project())) == event
    nothing_is_left(bench)


@pytest.mark.parametrize("where", [place for place in TOO_LATE_TO_CANCEL if place != "as it decides"])
def test_what_dies_decided_is_never_published_once_it_is_deleted(where: str, bench: Bench) -> None:
    def die() -> None:
        raise Killed

    with contextlib.suppress(Killed, BaseExceptionGroup):
        bench.run(start(small_project()), _at_the_end(where, bench, die))
    assert bench.outcome() is not None
    delete(bench)
    assert visible(bench.exports) == {}
    completed(bench.run(start(small_project())))
    nothing_is_left(bench)


def test_a_deletion_that_died_is_finished_by_a_sweep(bench: Bench) -> None:
    completed(bench.run(start(small_project())))
    with pytest.raises(Killed):
        bench.ledger(dying("rename", f"/{FOLDER}")).delete("e1", "")
    assert FOLDER in visible(bench.exports)
    swept(bench)
    nothing_is_left(bench)


def test_a_deletion_between_the_decision_and_a_sweeps_publication_wins(bench: Bench) -> None:
    _dies(bench, "link", "/a-000001/archive")
    gate = Gate()
    late = bench.ledger(before("rename", "/a-000001/tree", gate.wait))
    with ThreadPoolExecutor(1) as thread:
        sweeping = thread.submit(sweep, late, datetime.now(UTC), WEEK)
        with gate.while_frozen():
            delete(bench)
        assert sweeping.result().troubles == []
    nothing_is_left(bench)


def test_a_wish_that_nobody_answers_is_forgotten_after_its_time_and_not_before(bench: Bench) -> None:
    bench.make_root()
    delete(bench)
    bench.ledger().cancel("e2", "")
    bench.ledger().accept(start(small_project(), "e3"), small_project())
    assert swept(bench, days=6) == Swept()
    assert swept(bench, days=8).forgotten == ["e1", "e2"]
    assert bench.ledger().ids() == ["e3"]
    assert swept(bench, days=8) == Swept()
    completed(bench.run(start(small_project())))
    assert FOLDER in visible(bench.exports), "the id is free again"


def test_another_export_of_the_same_name_is_left_alone(bench: Bench) -> None:
    completed(bench.run(start(small_project())))
    other = completed(bench.run(start(images_project("1.png"), "e2")))
    delete(bench)
    assert {name.split("/")[0] for name in visible(bench.exports)} == {other.folder.name, f"{other.folder.name}.zip"}
    assert omissions(other) == []


def test_a_deletion_that_cannot_be_written_down_took_nothing_away(bench: Bench) -> None:
    completed(bench.run(start(small_project())))
    whole = visible(bench.exports)

    def fail() -> None:
        raise OSError(28, "No space left on device")

    with pytest.raises(Trouble):
        bench.ledger(before("link", "/gone.json", fail)).delete("e1", "")
    assert visible(bench.exports) == whole


def _dies(bench: Bench, call: str, ending: str) -> None:
    with contextlib.suppress(Killed, BaseExceptionGroup):
        bench.run(start(small_project()), dying(call, ending))
