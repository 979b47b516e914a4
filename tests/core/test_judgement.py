"""When another attempt is not worth it: after five deaths at one place, two crashes, or a day in vain."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from contracts import ErrorCode
from service.judgement import DEADLINE_SECONDS, Past, judge

SECOND = 10**9
HOUR = 3600 * SECOND
DAY = DEADLINE_SECONDS * SECOND

DIED = Past(1, "copying", 0, None, None, None, 0, None)
HANDED_BACK = replace(DIED, ended="handed_back")
TROUBLE = replace(DIED, ended="trouble")
MOVED = replace(DIED, new_files=3, last_file_ns=HOUR)


def crashed(worker: str, error: str = "KeyError: 'x'") -> Past:
    return replace(DIED, stage="packing", ended="crashed", crashed_on=worker, crash=error)


def code(*history: Past, now_ns: int = HOUR) -> ErrorCode | None:
    verdict = judge(numbered(history), now_ns)
    return None if verdict is None else verdict.code


def numbered(history: Sequence[Past]) -> tuple[Past, ...]:
    return tuple(replace(past, number=number) for number, past in enumerate(history, 1))


def test_without_an_attempt_nothing_is_held_against_an_export() -> None:
    assert code() is None


# ---- poison


def test_five_deaths_in_one_stage_are_poison() -> None:
    assert code(*[DIED] * 4) is None
    assert code(*[DIED] * 5) is ErrorCode.POISON
    verdict = judge([DIED] * 5, HOUR)
    assert verdict is not None
    assert verdict.detail.startswith("5 attempts died while copying")


@pytest.mark.parametrize("other", [HANDED_BACK, TROUBLE, crashed("w1")], ids=lambda past: past.ended)
def test_other_ends_neither_count_as_deaths_nor_break_their_row(other: Past) -> None:
    assert code(DIED, other, DIED, DIED, other, DIED) is None
    assert code(DIED, other, DIED, DIED, other, DIED, DIED, other) is ErrorCode.POISON
    assert code(*[other] * 20) is None


def test_deaths_in_different_stages_are_not_poison() -> None:
    elsewhere = replace(DIED, stage="packing")
    assert code(DIED, DIED, DIED, DIED, elsewhere) is None
    assert code(elsewhere, DIED, DIED, DIED, DIED, DIED) is ErrorCode.POISON, "the last five count"


def test_deaths_at_an_unknown_place_are_not_poison() -> None:
    assert code(*[replace(DIED, stage=None)] * 9) is None


@pytest.mark.parametrize("moved", [MOVED, replace(MOVED, ended="trouble"), replace(MOVED, ended="handed_back")])
def test_a_newly_finished_file_begins_the_row_anew(moved: Past) -> None:
    assert code(DIED, DIED, DIED, DIED, moved, DIED) is None
    assert code(DIED, DIED, DIED, DIED, DIED, moved) is None
    assert code(moved, *[DIED] * 5) is ErrorCode.POISON


# ---- internal


def test_an_unexpected_error_on_two_workers_is_the_exports_and_is_named() -> None:
    verdict = judge([crashed("w1"), DIED, HANDED_BACK, crashed("w2", "ZeroDivisionError: no")], HOUR)
    assert verdict is not None
    assert verdict.code is ErrorCode.INTERNAL
    assert "ZeroDivisionError" in verdict.detail


def test_on_one_worker_it_may_be_the_workers_own_however_often() -> None:
    assert code(*[crashed("w1")] * 50) is None


def test_a_worker_without_a_name_is_no_second_one() -> None:
    assert code(crashed("w1"), crashed(""), crashed("")) is None


def test_a_file_finished_since_makes_an_earlier_error_one_that_passed() -> None:
    assert code(crashed("w1"), MOVED, crashed("w2")) is None


def test_an_error_after_the_last_file_of_its_own_attempt_counts() -> None:
    assert code(replace(crashed("w1"), new_files=7, last_file_ns=HOUR), crashed("w2")) is ErrorCode.INTERNAL


# ---- deadline


def test_a_day_without_a_file_is_enough() -> None:
    assert code(*[TROUBLE] * 5, now_ns=DAY) is None
    assert code(*[TROUBLE] * 5, now_ns=DAY + 1) is ErrorCode.DEADLINE_EXCEEDED


def test_the_day_begins_anew_with_each_finished_file() -> None:
    history = [TROUBLE, TROUBLE, MOVED, *[TROUBLE] * 5]
    assert code(*history, now_ns=DAY + HOUR) is None
    assert code(*history, now_ns=DAY + HOUR + 1) is ErrorCode.DEADLINE_EXCEEDED


def test_a_clock_that_jumps_a_day_ahead_fails_no_export_that_was_hardly_tried() -> None:
    assert code(*[TROUBLE] * 4, now_ns=100 * DAY) is None
    assert code(*[TROUBLE] * 9, MOVED, *[TROUBLE] * 4, now_ns=100 * DAY) is None


def test_attempts_of_an_unknown_time_are_no_reason_for_a_deadline() -> None:
    assert code(*[replace(TROUBLE, began_ns=None)] * 9, now_ns=100 * DAY) is None


def test_another_deadline_may_be_given() -> None:
    verdict = judge([TROUBLE] * 5, HOUR + 1, deadline_seconds=3600)
    assert verdict is not None
    assert verdict.code is ErrorCode.DEADLINE_EXCEEDED


# ---- one worker, or two


def by(worker: str, past: Past) -> Past:
    return replace(past, worker=worker)


def test_a_node_that_dies_of_itself_proves_nothing_so_soon() -> None:
    alone = [by("bad", DIED)]
    assert code(*alone * 14) is None
    assert code(*alone * 15) is ErrorCode.POISON
    assert code(*alone * 4, by("good", DIED)) is ErrorCode.POISON


ABSENT = replace(DIED, ended="trouble", trouble="storage_unavailable", detail="none of the 3 files was found")


@pytest.mark.parametrize(
    ("workers", "minutes", "verdict"),
    [
        (("a", "b"), 9, None),
        (("a", "b"), 10, ErrorCode.STORAGE_UNAVAILABLE),
        (("a", "a"), 29, None),
        (("a", "a"), 30, ErrorCode.STORAGE_UNAVAILABLE),
    ],
)
def test_files_that_nobody_finds_end_an_export_sooner_if_two_workers_looked(
    workers: Sequence[str], minutes: int, verdict: ErrorCode | None
) -> None:
    looked = [by(worker, ABSENT) for worker in workers]
    assert code(*looked, now_ns=minutes * 60 * SECOND) is verdict


def test_the_sentence_on_absent_files_is_the_last_one_told() -> None:
    verdict = judge(numbered([by("a", ABSENT), by("b", replace(ABSENT, detail="the last"))]), HOUR)
    assert verdict is not None
    assert verdict.detail == "the last"


def test_another_trouble_between_begins_the_wait_anew() -> None:
    assert code(by("a", ABSENT), TROUBLE, by("b", replace(ABSENT, began_ns=HOUR)), now_ns=HOUR + SECOND) is None
    assert code(by("a", ABSENT), HANDED_BACK, by("b", ABSENT)) is ErrorCode.STORAGE_UNAVAILABLE


def test_who_was_told_to_stop_did_not_try_in_vain() -> None:
    assert code(*[HANDED_BACK] * 9, now_ns=2 * DAY) is None
    assert code(*[HANDED_BACK] * 9, *[TROUBLE] * 5, now_ns=2 * DAY) is ErrorCode.DEADLINE_EXCEEDED
