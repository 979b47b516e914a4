"""What an attempt leaves to be judged by: where it was, what it finished itself, and whether it ended or died."""

import contextlib
import errno
from collections.abc import Callable
from typing import Any

import anyio
import pytest

from contracts import ErrorCode, ExportCancelled, ExportFailed, Stage
from service.attempt import history
from service.errors import Interrupted, Trouble, Verdict
from service.export import Threads, Workshop, give_up
from service.judgement import Past, judge
from service.ledger import Decision
from service.progress import Stop
from tests.engine.faulty import ActingDisk, Killed, WatchedDisk, before, dying, failing
from tests.engine.workbench import Bench, Undisturbed, completed, small_project, staged, start, visible

MEDIA_FILES = 7


def pasts(bench: Bench) -> tuple[Past, ...]:
    return history(bench.ledger(), "e1")


def dies(bench: Bench, call: str, ending: str) -> None:
    with contextlib.suppress(Killed, BaseExceptionGroup):
        bench.run(start(small_project()), dying(call, ending))


def test_an_export_that_nobody_tried_has_no_history(bench: Bench) -> None:
    bench.make_root()
    assert pasts(bench) == ()


@pytest.mark.parametrize(
    ("call", "ending", "stage", "new_files"),
    [
        ("open_beneath", "/1.png", "planning", 0),
        ("rename", "004_fin_video.mp4.part", "copying", MEDIA_FILES - 1),
        ("open", "/archive.part", "packing", MEDIA_FILES),
        ("fsync", "/tree/script.txt", "verifying", MEDIA_FILES),
    ],
)
def test_a_death_is_told_with_its_stage_and_what_was_finished(
    call: str, ending: str, stage: str, new_files: int, bench: Bench
) -> None:
    dies(bench, call, ending)
    (past,) = pasts(bench)
    assert (past.number, past.stage, past.new_files, past.ended) == (1, stage, new_files, None)
    assert past.began_ns is not None
    assert (past.last_file_ns is not None) == (new_files > 0)


def test_what_was_adopted_is_not_finished_anew(bench: Bench) -> None:
    for _ in range(2):
        dies(bench, "open", "/archive.part")
    first, second = pasts(bench)
    assert (first.new_files, second.new_files) == (MEDIA_FILES, 0)
    assert second.last_file_ns is None
    assert [line.get("adopted") for line in bench.journal(2) if "file" in line] == [True] * MEDIA_FILES


def test_a_stop_is_a_hand_back(bench: Bench) -> None:
    stop = Stop()
    with pytest.raises(Interrupted):
        bench.run(start(small_project()), before("open", "/archive.part", stop.set), stop)
    assert [past.ended for past in pasts(bench)] == ["handed_back"]


async def test_who_is_cancelled_has_not_died(bench: Bench) -> None:
    async with anyio.create_task_group() as tasks:
        disk = before("open", "/archive.part", lambda: anyio.from_thread.run_sync(tasks.cancel_scope.cancel))
        tasks.start_soon(bench.export, start(small_project()), disk)
    assert [past.ended for past in pasts(bench)] == ["handed_back"]


def test_trouble_is_no_death_and_its_code_is_noted(bench: Bench) -> None:
    with pytest.raises(Trouble):
        bench.run(start(small_project()), failing("open", "/archive.part", errno.ENOSPC))
    assert bench.journal(1)[-1].items() >= {"trouble": "no_space"}.items()
    assert "No space left" in bench.journal(1)[-1]["detail"]
    assert [past.ended for past in pasts(bench)] == ["trouble"]


@pytest.mark.usefixtures("in_a_hurry")
def test_a_disk_too_full_for_the_note_of_its_own_trouble_is_no_death_either(bench: Bench) -> None:
    """Else five full disks were poison."""

    def full(name: str, real: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
        if name == "write" and bench.attempt(1).is_dir() and (bench.attempt(1) / "facts.jsonl").exists():
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(*arguments)

    with pytest.raises(Trouble):
        bench.run(start(small_project()), WatchedDisk(full))
    assert "trouble" not in bench.journal(1)[-1]
    assert [past.ended for past in pasts(bench)] == ["trouble"]
    completed(bench.run(start(small_project())))


def test_an_unexpected_error_is_noted_with_its_worker_in_few_words(bench: Bench) -> None:
    def bug() -> None:
        raise KeyError("x" * 9_000)

    for worker in ("w1", "w2"):
        with pytest.raises(KeyError):
            bench.run(start(small_project()), before("open", "/archive.part", bug), worker=worker)
    assert [(past.ended, past.crashed_on) for past in pasts(bench)] == [("crashed", "w1"), ("crashed", "w2")]
    assert pasts(bench)[0].crash == f"KeyError: '{'x' * 199}"
    verdict = judge(pasts(bench), bench.ledger().now_ns())
    assert verdict is not None
    assert verdict.code is ErrorCode.INTERNAL


def test_an_attempt_that_lives_has_no_ending_yet(bench: Bench) -> None:
    seen: list[tuple[Past, ...]] = []
    completed(bench.run(start(small_project()), before("open", "/archive.part", lambda: seen.append(pasts(bench)))))
    assert seen == [()]


def test_a_note_that_cannot_be_written_stops_no_export(bench: Bench, undisturbed: Undisturbed) -> None:
    """Only those that nobody needs to finish it: stages, and the time it began."""
    stages = [2, 3, 4]  # the time, planning, copying
    completed(bench.run(start(small_project()), failing("write", "/journal.jsonl", errno.EIO, only=stages)))
    assert visible(bench.exports) == undisturbed.tree


def test_five_real_deaths_in_one_stage_are_poison(bench: Bench) -> None:
    for _ in range(6):
        assert judge(pasts(bench), 0) is None
        dies(bench, "open", "/archive.part")
    verdict = judge(pasts(bench), bench.ledger().now_ns())
    assert verdict is not None
    assert verdict.code is ErrorCode.POISON, "the first finished files, the next five did not"


# ---- giving up

POISON = Verdict(ErrorCode.POISON, "five workers died while packing")


def given_up(bench: Bench, verdict: Verdict = POISON) -> Decision:
    ledger = bench.ledger()
    ledger.open_or_make()
    command = ledger.accept(start(small_project()), small_project())
    return anyio.run(give_up, command, Workshop(ledger.storage, ledger, Threads.of_each(1)), verdict)


def test_what_is_given_up_is_decided_and_cleared_and_told_again_in_the_same_bytes(bench: Bench) -> None:
    dies(bench, "open", "/archive.part")
    decision = given_up(bench)
    event = decision.event
    assert isinstance(event, ExportFailed)
    assert (event.attempt, event.project_id, event.error.code) == (1, "p1", ErrorCode.POISON)
    assert visible(bench.exports) == {}
    assert staged(bench.exports) == []
    assert given_up(bench, Verdict(ErrorCode.INTERNAL, "later")).body == decision.body
    assert bench.run(start(small_project())) == event


def test_what_is_given_up_before_any_attempt_has_none(bench: Bench) -> None:
    event = given_up(bench, Verdict(ErrorCode.CANCELLED, "stopped as asked")).event
    assert isinstance(event, ExportCancelled)
    assert (event.attempt, event.error.stage) == (0, Stage.PLANNING)


def test_to_give_up_obeys_an_earlier_decision_and_makes_it_visible(bench: Bench, undisturbed: Undisturbed) -> None:
    dies(bench, "rename", "/a-000001/tree")
    completed(given_up(bench).event)
    assert visible(bench.exports) == undisturbed.tree


def test_what_is_given_up_under_a_working_process_ends_that_one_too(bench: Bench) -> None:
    told: list[Decision] = []
    disk = ActingDisk("open", "/archive.part", lambda: told.append(given_up(bench)), only={1})
    event = bench.run(start(small_project()), disk)
    assert told[0].event == event
    assert visible(bench.exports) == {}
