"""Several processes with one export: one folder, one decision, one event, whoever comes in between whom.

Here each meeting is arranged; test_schedules.py draws them.
"""

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import anyio
import pytest

from contracts import Terminal
from service.errors import Trouble
from service.sweep import sweep
from tests.engine.faulty import ActingDisk, Gate, before
from tests.engine.workbench import Bench, Undisturbed, completed, small_project, staged, start, visible


@pytest.fixture
def nobody_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every living process counts as frozen, so that rivals work at the same time."""
    monkeypatch.setattr("service.liveness.FROZEN_AFTER_SECONDS", -1.0)


@pytest.mark.parametrize("rivals", [2, 3])
async def test_tasks_of_one_export_give_one_folder_and_one_event(
    rivals: int, bench: Bench, undisturbed: Undisturbed
) -> None:
    events: list[Terminal] = []

    async def run() -> None:
        events.append(await bench.export(start(small_project()), copiers=2))

    async with anyio.create_task_group() as tasks:
        for _ in range(rivals):
            tasks.start_soon(run)
    assert len({event.model_dump_json() for event in events}) == 1
    assert visible(bench.exports) == undisturbed.tree


def test_a_second_process_waits_while_the_first_moves(bench: Bench, undisturbed: Undisturbed) -> None:
    gate = Gate()
    with ThreadPoolExecutor(2) as threads:
        first = threads.submit(bench.run, start(small_project()), before("fsync", "/tree/script.txt", gate.wait))
        with gate.while_frozen():
            second = threads.submit(bench.run, start(small_project()))
            time.sleep(0.4)  # longer than it takes to look
        assert first.result() == second.result()
    assert bench.ledger().attempts("e1") == [1]
    assert visible(bench.exports) == undisturbed.tree


@pytest.mark.usefixtures("nobody_waits")
async def test_rivals_that_do_not_wait_for_each_other_still_give_one(bench: Bench, undisturbed: Undisturbed) -> None:
    events: list[Terminal] = []

    async def run() -> None:
        events.append(await bench.export(start(small_project()), copiers=2))

    async with anyio.create_task_group() as tasks:
        for _ in range(3):
            tasks.start_soon(run)
    assert len({event.model_dump_json() for event in events}) == 1
    assert visible(bench.exports) == undisturbed.tree
    assert staged(bench.exports) == []


PLACES_TO_FREEZE = {
    "before it has a number": ("mkdir", "/a-000001"),
    "before it is held": ("open", "/a-000001/lock"),
    "before its tree is made": ("mkdir", "/a-000001/tree/videos"),
    "before it copies": ("open", "/a-000001/tree/audio/001_intro_audio.wav.part"),
    "in the middle of a file": ("write", "/a-000001/tree/videos/004_fin_video.mp4.part"),
    "before a file has its name": ("rename", "/a-000001/tree/videos/004_fin_video.mp4.part"),
    "before a file is on the disk": ("fsync", "/a-000001/tree/script.txt"),
    "before it decides": ("link", "/outcome.json"),
}


@pytest.mark.usefixtures("nobody_waits")
@pytest.mark.parametrize("where", PLACES_TO_FREEZE)
def test_a_frozen_process_that_wakes_up_changes_nothing(where: str, bench: Bench, undisturbed: Undisturbed) -> None:
    gate = Gate()
    frozen = before(*PLACES_TO_FREEZE[where], gate.wait)
    with ThreadPoolExecutor(1) as thread:
        zombie = thread.submit(bench.run, start(small_project()), frozen)
        with gate.while_frozen():
            event = completed(bench.run(start(small_project())))
            assert sweep(bench.ledger(), datetime.now(UTC), timedelta(0)).troubles == []
            decided = bench.outcome()
        assert zombie.result() == event
    assert visible(bench.exports) == undisturbed.tree
    assert bench.outcome() == decided
    assert sweep(bench.ledger(), datetime.now(UTC), timedelta(0)).troubles == []
    assert staged(bench.exports) == []


def test_a_sweep_takes_nothing_from_an_attempt_that_is_about_to_decide(bench: Bench, undisturbed: Undisturbed) -> None:
    disk = before("link", "/outcome.json", lambda: sweep(bench.ledger(), datetime.now(UTC), timedelta(0)))
    completed(bench.run(start(small_project()), disk))
    assert disk.count >= 1
    assert visible(bench.exports) == undisturbed.tree


def test_a_sweep_takes_nothing_from_an_attempt_that_begins_under_it(bench: Bench, undisturbed: Undisturbed) -> None:
    """The sweep has looked and found nobody alive; then one begins, and is done but for its decision."""
    with pytest.raises(Trouble):
        bench.run(start(small_project()), before("rename", "004_fin_video.mp4.part", _no_space))
    sweeping, deciding = Gate(), Gate()
    with ThreadPoolExecutor(2) as threads:
        # It lists the attempts for drafts, for a pulse, for the time of the last touch, and then to clear them.
        last_look = ActingDisk("listdir", "/.exports/e1", sweeping.wait, only={4})
        swept = threads.submit(sweep, bench.ledger(last_look), datetime.now(UTC), timedelta(0))
        with sweeping.while_frozen():
            event = threads.submit(bench.run, start(small_project()), before("link", "/outcome.json", deciding.wait))
            deciding.wait_until_reached()
        swept.result()
        with deciding.while_frozen():
            pass
        completed(event.result())
    assert visible(bench.exports) == undisturbed.tree


def _no_space() -> None:
    raise OSError(28, "No space left on device")
