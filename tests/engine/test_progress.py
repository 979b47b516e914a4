"""What is told of an export on its way: it never goes back, also not over a death, and never says what is not there."""

import contextlib
import random
import time
from itertools import pairwise

import pytest

from contracts import ExportOptions, State
from service.errors import Trouble
from tests.engine.faulty import ActingDisk, Killed, failing, killed_at
from tests.engine.workbench import Bench, Undisturbed, completed, small_project, start

MEDIA_FILES = 7


@pytest.fixture
def told_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("service.liveness.REPORT_EVERY_SECONDS", 0.0005)
    monkeypatch.setattr("service.liveness.LOOK_EVERY_SECONDS", 0.002)


@pytest.mark.usefixtures("told_often")
@pytest.mark.parametrize("copiers", [1, 4])
def test_progress_only_grows_and_ends_at_the_totals(copiers: int, bench: Bench) -> None:
    event = completed(bench.run(start(small_project()), copiers=copiers))
    seen = bench.seen
    assert event.archive is not None
    folder = bench.exports / event.folder.name
    media_bytes = sum(file.stat().st_size for file in folder.glob("*/*"))
    assert seen[0].state is State.PLANNING
    assert seen[0].percent == 0
    assert seen[0].seq == 1
    assert all(earlier.seq < later.seq for earlier, later in pairwise(seen))
    assert all(earlier.percent <= later.percent for earlier, later in pairwise(seen))
    assert [one.percent for one in seen].count(100) == 1, "only once all is there"
    assert seen[-1].percent == 100
    assert seen[-1].state is State.PUBLISHING
    assert seen[-1].files.model_dump() == {"done": MEDIA_FILES, "total": MEDIA_FILES}
    assert {kind.value: tally.done for kind, tally in seen[-1].by_kind.items()} == {"audio": 3, "image": 3, "video": 1}
    assert seen[-1].bytes.total == media_bytes + event.archive.size_bytes
    assert seen[-1].bytes.done == seen[-1].bytes.total


def test_the_first_report_comes_before_any_work(bench: Bench) -> None:
    with pytest.raises(Trouble):
        bench.run(start(small_project()), failing("open_beneath", "/1.png", 24))
    assert bench.seen[0].seq == 1


@pytest.mark.usefixtures("told_often")
def test_percent_never_falls_over_any_number_of_deaths(bench: Bench, undisturbed: Undisturbed) -> None:
    chance = random.Random(10)
    for _ in range(12):
        with contextlib.suppress(Killed, BaseExceptionGroup):
            bench.run(start(small_project()), killed_at(chance.randrange(60, len(undisturbed.calls) * 4 // 5)))
        if bench.outcome():
            break
    completed(bench.run(start(small_project())))
    seen = [(one.attempt, one.seq) for one in bench.seen]
    assert seen == sorted(set(seen))
    assert len({one.attempt for one in bench.seen}) > 2
    assert all(earlier.percent <= later.percent for earlier, later in pairwise(bench.seen))


@pytest.mark.usefixtures("told_often")
def test_what_was_told_is_noted_before_it_is_told(bench: Bench) -> None:
    """A process that dies right after a report must not make the next one fall below it."""
    told: list[int] = []

    def compare() -> None:
        told.append(max(one.percent for one in bench.seen))
        noted = [line["percent"] for line in bench.journal(1) if "percent" in line]
        assert max([0, *noted]) >= told[-1]

    completed(bench.run(start(small_project()), ActingDisk("read_into", "/clip.mp4", compare)))
    assert told


def test_adopted_bytes_count_as_done_and_not_as_speed(bench: Bench) -> None:
    with pytest.raises(Trouble):
        bench.run(start(small_project()), failing("open", "/archive.part", 28))
    bench.seen.clear()
    slow = ActingDisk("open", "/tree/script.txt.part", lambda: time.sleep(0.4))
    completed(bench.run(start(small_project()), slow))
    waiting = [one for one in bench.seen if one.state is State.PACKING]
    assert waiting, "there was a report while nothing moved"
    assert waiting[0].files.model_dump() == {"done": MEDIA_FILES, "total": MEDIA_FILES}
    assert waiting[0].bytes.done > 600_000
    assert waiting[0].rate_bytes_per_second == 0


def test_the_progress_of_an_export_without_files_is_no_division_by_nothing(bench: Bench) -> None:
    options = ExportOptions.model_validate({"include": {"kinds": ["image"], "sections": ["b"]}})
    completed(bench.run(start(small_project(), options=options)))
    assert bench.seen[-2].percent == 99
    assert bench.seen[-1].percent == 100
    assert bench.seen[-1].eta_seconds is None


@pytest.mark.usefixtures("told_often", "in_a_hurry")
def test_a_file_that_is_left_out_at_last_is_in_no_total(bench: Bench) -> None:
    completed(bench.run(start(small_project()), failing("read_into", "/clip.mp4", 5)))
    last = bench.seen[-1]
    assert last.files.model_dump() == {"done": MEDIA_FILES - 1, "total": MEDIA_FILES - 1}
    assert last.bytes.done == last.bytes.total
    assert all(earlier.percent <= later.percent for earlier, later in pairwise(bench.seen))
