"""Two and three rivals, a sweep, a cancel, a deletion, in any order of their calls, frozen and killed: one export."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from contracts import ExportCancelled, ExportCompleted
from tests.engine.faulty import Killed
from tests.engine.schedules import SMALL_PROJECT, TWO_FILES, Rivalry, at_the_same_time
from tests.engine.test_seeded_bugs import (
    a_deletion_is_a_cancel,
    a_sweep_asks_nobody_whether_he_lives,
    it_publishes_before_it_decides,
    the_folder_comes_before_the_archive,
    the_last_decision_wins,
)
from tests.engine.workbench import Undisturbed

SCHEDULES = 320


@pytest.fixture
def rivalry(place: Path, undisturbed: Undisturbed) -> Rivalry:
    return Rivalry(place, undisturbed.media)


@pytest.mark.slow
def test_rivals_in_any_order_of_their_calls_give_one_export_and_one_end(rivalry: Rivalry) -> None:
    assert [wrong for seed in range(SCHEDULES) if (wrong := rivalry.violation(seed))] == []


def test_the_same_seed_is_the_same_schedule(rivalry: Rivalry) -> None:
    """Else no failure could be looked at a second time."""
    with at_the_same_time():
        for seed in range(8):
            first, second = rivalry.play(seed), rivalry.play(seed)
            assert first.calls == second.calls
            assert [type(end) for end in first.ends] == [type(end) for end in second.ends]


def test_schedules_come_to_everything_that_they_are_about(rivalry: Rivalry) -> None:
    """Deaths, both ends of an export that is cancelled or deleted, several attempts that work at once."""
    found: Counter[str] = Counter()
    with at_the_same_time():
        for seed in range(60):
            played = rivalry.play(seed)
            found[played.third] += 1
            found.update(f"{played.third}: {type(end).__name__}" for end in played.ends)
            found["side by side"] += len(played.bench.ledger().attempts("e1")) > 1
    thirds, events = ("a cancel", "a deletion"), (ExportCompleted, ExportCancelled)
    ends = {f"{third}: {event.__name__}" for third in thirds for event in events}
    assert found.keys() >= {*ends, f"nobody: {Killed.__name__}", "an attempt", "a sweep"}
    assert found["side by side"] > 20


@pytest.mark.slow
@pytest.mark.parametrize(
    "bug",
    [
        the_last_decision_wins,
        it_publishes_before_it_decides,
        the_folder_comes_before_the_archive,
        a_sweep_asks_nobody_whether_he_lives,
        a_deletion_is_a_cancel,
    ],
    ids=lambda bug: bug.__name__,
)
def test_a_seeded_bug_is_seen_by_one_of_the_schedules(
    bug: Callable[[pytest.MonkeyPatch], None], rivalry: Rivalry, monkeypatch: pytest.MonkeyPatch
) -> None:
    for asked in (TWO_FILES, SMALL_PROJECT):
        rivalry.undisturbed(asked)  # made without the bug
    bug(monkeypatch)
    assert next(filter(None, map(rivalry.violation, range(SCHEDULES))), None) is not None
