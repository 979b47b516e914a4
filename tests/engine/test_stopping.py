"""A cancel ends an export for good, once; a stop hands it back, to be gone on with."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from contracts import ErrorCode, ExportCancelled, Stage
from service.errors import Interrupted, Verdict
from service.progress import Halt, Stop
from service.sweep import sweep
from tests.engine.faulty import ActingDisk, Gate, before
from tests.engine.workbench import Bench, Undisturbed, completed, images_project, small_project, staged, start, visible


def a_moment() -> None:
    time.sleep(0.02)


def slow_disk() -> ActingDisk:
    """Reads a chunk in twenty milliseconds: the clip alone would take minutes."""
    return ActingDisk("read_into", "/large.mp4", a_moment)


@pytest.fixture
def large(own_bench: Bench) -> Bench:
    """A file of five hundred chunks, without any bytes on the disk."""
    with (own_bench.media / "large.mp4").open("wb") as file:
        file.truncate(500 * 256 * 1024)
    return own_bench


def test_a_cancel_ends_a_copying_export_soon_and_once(large: Bench) -> None:
    command = start(images_project("1.png", "large.mp4", "3.png"))
    asked: list[float] = []

    def cancel() -> None:
        large.ledger().cancel("e1", "not wanted any more")
        asked.append(time.monotonic())

    canceller = threading.Timer(0.4, cancel)
    canceller.start()
    event = large.run(command, slow_disk())
    canceller.join()
    assert isinstance(event, ExportCancelled)
    assert time.monotonic() - asked[0] < 1.5
    assert (event.error.code, event.error.stage) == (ErrorCode.CANCELLED, Stage.COPYING)
    assert large.run(command) == event
    assert visible(large.exports) == {}
    assert staged(large.exports) == []


def test_a_cancel_that_is_passed_on_ends_a_copying_export_at_the_next_chunk(large: Bench) -> None:
    """Who stored the wish in this very process need not wait until somebody looks for it."""
    command = start(images_project("1.png", "large.mp4", "3.png"))
    worker = Stop()
    export = Stop(worker)
    asked: list[float] = []

    def cancel() -> None:
        large.ledger().cancel("e1", "not wanted any more")
        asked.append(time.monotonic())
        export.cancel()

    canceller = threading.Timer(0.1, cancel)
    canceller.start()
    event = large.run(command, slow_disk(), export)
    canceller.join()
    assert time.monotonic() - asked[0] < 0.5
    assert isinstance(event, ExportCancelled)
    assert (event.error.code, event.error.stage) == (ErrorCode.CANCELLED, Stage.COPYING)
    assert large.ledger().attempts("e1") == [1]
    assert large.run(command) == event
    assert visible(large.exports) == {}
    worker.obey()


def test_a_cancel_from_above_reaches_an_attempt_and_a_stop_does_not_reach_upwards() -> None:
    worker = Stop()
    export = Stop(worker)
    worker.cancel()
    with pytest.raises(Verdict):
        Halt(export).obey()
    export.obey()
    Halt(export).set()
    export.set()
    with pytest.raises(Interrupted):
        export.obey()
    worker.obey()


def test_a_cancel_is_passed_on_to_a_rival_by_the_wish_only(bench: Bench) -> None:
    """Who waits for another process neither ends nor decides: the one that works obeys, and both tell the same."""
    gate, stop = Gate(), Stop()
    with ThreadPoolExecutor(2) as threads:
        working = threads.submit(bench.run, start(small_project()), before("write", "/archive.part", gate.wait))
        with gate.while_frozen():
            waiting = threads.submit(bench.run, start(small_project()), None, stop)
            bench.ledger().cancel("e1", "not wanted")
            stop.cancel()
            time.sleep(0.6)  # two looks
            assert not waiting.done()
        assert isinstance(working.result(), ExportCancelled)
        assert waiting.result() == working.result()
    assert bench.ledger().attempts("e1") == [1]


@pytest.mark.parametrize(
    "where",
    [
        ("listdir", "/.exports/e1"),  # before there is an attempt
        ("mkdir", "/a-000001/tree"),
        ("open", "001_intro_image.png.part"),
        ("write", "/archive.part"),
        ("fsync", "/a-000001"),
    ],
)
def test_a_cancel_is_obeyed_whenever_it_comes_before_the_decision(where: tuple[str, str], bench: Bench) -> None:
    """Also by an export that is over before anybody looked for a cancel."""
    disk = before(*where, lambda: bench.ledger().cancel("e1", "not wanted"))
    event = bench.run(start(small_project()), disk)
    assert disk.count >= 1
    assert isinstance(event, ExportCancelled)
    assert bench.run(start(small_project())) == event
    assert visible(bench.exports) == {}


def test_a_cancel_after_the_decision_changes_nothing(bench: Bench, undisturbed: Undisturbed) -> None:
    disk = before("rename", "/a-000001/tree", lambda: bench.ledger().cancel("e1", "too late"))
    event = completed(bench.run(start(small_project()), disk))
    assert bench.run(start(small_project())) == event
    assert visible(bench.exports) == undisturbed.tree


@pytest.mark.parametrize("copiers", [1, 4])
def test_a_stopped_export_is_handed_back_and_goes_on_later(
    copiers: int, bench: Bench, undisturbed: Undisturbed
) -> None:
    stop = Stop()
    with pytest.raises(Interrupted):
        bench.run(start(small_project()), before("write", "004_fin_video.mp4.part", stop.set), stop, copiers)
    assert bench.journal(1)[-1] == {"handed_back": True}
    assert bench.outcome() is None
    assert visible(bench.exports) == {}
    completed(bench.run(start(small_project())))
    assert visible(bench.exports) == undisturbed.tree


def test_a_stop_is_obeyed_soon_also_between_two_tries_of_a_file(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("service.export.BACK_OFF_SECONDS", (30.0,))
    stop = Stop()

    def fail() -> None:
        stop.set()
        raise OSError(5, "Input/output error")

    began = time.monotonic()
    with pytest.raises(Interrupted):
        bench.run(start(small_project()), ActingDisk("read_into", "/clip.mp4", fail), stop)
    assert time.monotonic() - began < 1.0
    assert bench.journal(1)[-1] == {"handed_back": True}


def test_a_stop_that_was_set_before_begins_nothing(bench: Bench) -> None:
    stop = Stop()
    stop.set()
    with pytest.raises(Interrupted):
        bench.run(start(small_project()), stop=stop)
    assert bench.ledger().attempts("e1") == []


def test_a_cancelled_export_leaves_nothing_to_sweep(bench: Bench) -> None:
    bench.make_root()
    bench.ledger().cancel("e1", "before it was asked for")
    assert isinstance(bench.run(start(small_project())), ExportCancelled)
    swept = sweep(bench.ledger(), datetime.now(UTC), timedelta(0))
    assert (swept.published, swept.cleared) == ([], [])
