"""What a gateway knows with one rule broken at a time: each is seen by a test that is here anyway."""

import inspect
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import Any, NamedTuple

import anyio
import pytest
from anyio import to_thread
from hypothesis import Phase, settings

from contracts import ExportProgress
from gateway import states
from gateway.relay import NoSuchExport, Relay
from gateway.states import Head, Known, Snapshot
from service.errors import Trouble
from tests.gateway import test_percent, test_relay, test_states
from tests.gateway.test_relay import relay as relay  # noqa: PLC0414 - a fixture
from tests.gateway.test_relay import shelf as shelf  # noqa: PLC0414

LONGEST_TEST_SECONDS = 2.0
"""For what a bug keeps from ever coming."""

ANY_EXAMPLE = settings(settings.get_profile("ci"), phases=[Phase.generate])

Patch = pytest.MonkeyPatch


# ---- what is known ------------------------------------------------------------------------------------------------


def joined(patch: Patch, change: Callable[[Known, Known, Known], Known]) -> None:
    """Of two and what they know together, something else."""
    join = Known.join
    patch.setattr(Known, "join", lambda one, other: change(one, other, join(one, other)))


def an_end_is_forgotten(patch: Patch) -> None:
    joined(patch, lambda _, other, both: replace(both, end=other.end))


def the_attempt_does_not_count(patch: Patch) -> None:
    patch.setattr(states, "_rank", lambda progress: (0, 0) if progress is None else (0, progress.seq))


def what_came_last_holds(patch: Patch) -> None:
    joined(patch, lambda one, other, both: replace(both, progress=other.progress or one.progress))


def a_wish_is_forgotten(patch: Patch) -> None:
    joined(patch, lambda _, other, both: replace(both, is_cancelled=other.is_cancelled))


def what_storage_knows_is_forgotten(patch: Patch) -> None:
    joined(patch, lambda _, other, both: replace(both, begun=other.begun))


def progress_goes_on_after_the_end(patch: Patch) -> None:
    state = Known.state.fget  # type: ignore[attr-defined]
    patch.setattr(Known, "state", property(lambda known: known._stage if known.progress else state(known)))


def a_wish_is_shown_after_the_end(patch: Patch) -> None:
    state = Known.state.fget  # type: ignore[attr-defined]
    patch.setattr(Known, "state", property(lambda known: "cancelling" if known.is_cancelled else state(known)))


def a_failure_is_a_hundred_percent(patch: Patch) -> None:
    percent = Known.percent.fget  # type: ignore[attr-defined]
    patch.setattr(Known, "percent", property(lambda known: 100 if known.end else percent(known)))


def percent_is_that_of_the_last_who_said_any(patch: Patch) -> None:
    patch.setattr(
        Known, "percent", property(lambda known: known.progress.percent if known.progress else known.begun.percent)
    )


def a_position_is_that_of_progress_only(patch: Patch) -> None:
    patch.setattr(Known, "position", property(lambda known: "0.{}.{}".format(*states._rank(known.progress))))


def what_was_on_the_way_is_shown_beside_the_end(patch: Patch) -> None:
    def with_progress(head: Head, known: Known, download: str | None) -> Snapshot:
        shown = snapshot(head, known, download)
        heard: ExportProgress | None = known.progress
        return shown if heard is None else shown._replace(body=shown.body + heard.model_dump_json().encode())

    snapshot = states.snapshot
    patch.setattr(test_percent, "snapshot", with_progress)


# ---- who is told --------------------------------------------------------------------------------------------------


def every_event_is_told_news_or_not(patch: Patch) -> None:
    learn = Relay._learn

    def always(relay: Relay, export_id: str, known: Known, project_id: str | None) -> None:
        before = relay._entry(export_id).known.position
        learn(relay, export_id, known, project_id)
        if relay._entry(export_id).known.position == before:
            relay._tell(export_id, relay._entry(export_id), project_id)

    patch.setattr(Relay, "_learn", always)


def silence_is_taken_for_no_news(patch: Patch) -> None:
    patch.setattr(Relay, "_due", lambda _: [])


def silence_is_asked_about_all_the_time(patch: Patch) -> None:
    patch.setattr(Relay, "_patience", lambda *_: 0.0)


def a_broker_that_comes_back_is_believed(patch: Patch) -> None:
    def connected(relay: Relay, is_connected: bool) -> None:
        relay.stale_since = None if is_connected else datetime.now(UTC)

    patch.setattr(Relay, "connected", connected)


def a_storage_that_is_away_is_a_missing_export(patch: Patch) -> None:
    async def snapshot(relay: Relay, export_id: str) -> Snapshot:
        try:
            await relay.look(export_id)
        except Trouble:
            raise NoSuchExport(export_id) from None
        found = relay.newest(export_id)
        assert found is not None
        return found

    patch.setattr(Relay, "snapshot", snapshot)


def everybody_asks_storage_himself(patch: Patch) -> None:
    async def look(relay: Relay, export_id: str) -> None:
        record = await to_thread.run_sync(relay._records.look, export_id)
        relay._note(export_id, record)

    patch.setattr(Relay, "look", look)


def an_absent_export_is_asked_for_each_time(patch: Patch) -> None:
    patch.setattr(Relay, "_is_absent", lambda *_: False)


def nothing_is_ever_dropped(patch: Patch) -> None:
    patch.setattr(Relay, "_drop_one", lambda _: None)


def who_listens_is_forgotten(patch: Patch) -> None:
    patch.setattr(Relay, "_drop_one", lambda relay: relay._entries.popitem(last=False))


def a_frame_is_made_for_each_socket(patch: Patch) -> None:
    frame = Relay.frame

    def anew(relay: Relay, export_id: str) -> str:
        made = frame(relay, export_id)
        relay._entries[export_id].frame = None
        return made

    patch.setattr(Relay, "frame", anew)


def who_follows_a_project_hears_of_what_he_knows_only(patch: Patch) -> None:
    patch.setattr(Relay, "listen_to_project", lambda *_: None)
    patch.setattr(Relay, "forget_project", lambda *_: None)


# ---- each is seen -------------------------------------------------------------------------------------------------


class Seeded(NamedTuple):
    bug: Callable[[Patch], None]
    shows_in: Callable[..., Any]


SEEDED = (
    Seeded(an_end_is_forgotten, test_states.test_any_shuffle_with_duplicates_gives_the_same_state),
    Seeded(an_end_is_forgotten, test_states.test_what_is_learned_never_takes_a_position_back),
    Seeded(the_attempt_does_not_count, test_states.test_any_shuffle_with_duplicates_gives_the_same_state),
    Seeded(what_came_last_holds, test_states.test_any_shuffle_with_duplicates_gives_the_same_state),
    Seeded(a_wish_is_forgotten, test_states.test_any_shuffle_with_duplicates_gives_the_same_state),
    Seeded(what_storage_knows_is_forgotten, test_states.test_any_shuffle_with_duplicates_gives_the_same_state),
    Seeded(progress_goes_on_after_the_end, test_states.test_an_end_absorbs_everything),
    Seeded(a_wish_is_shown_after_the_end, test_states.test_an_end_absorbs_everything),
    Seeded(a_failure_is_a_hundred_percent, test_percent.test_of_what_failed_nothing_is_there),
    Seeded(percent_is_that_of_the_last_who_said_any, test_percent.test_percent_never_falls),
    Seeded(a_position_is_that_of_progress_only, test_states.test_another_state_has_another_position),
    Seeded(what_was_on_the_way_is_shown_beside_the_end, test_percent.test_what_is_over_is_told_by_its_end_alone),
    Seeded(every_event_is_told_news_or_not, test_relay.test_listeners_hear_of_changes_only),
    Seeded(silence_is_taken_for_no_news, test_relay.test_what_is_watched_and_silent_is_asked_of_storage),
    Seeded(silence_is_asked_about_all_the_time, test_relay.test_silence_is_asked_about_less_and_less_often),
    Seeded(
        a_broker_that_comes_back_is_believed,
        test_relay.test_what_happened_while_the_broker_was_away_is_asked_of_storage,
    ),
    Seeded(a_storage_that_is_away_is_a_missing_export, test_relay.test_a_storage_that_is_away_is_no_missing_export),
    Seeded(everybody_asks_storage_himself, test_relay.test_who_asks_at_the_same_time_waits_for_one_answer),
    Seeded(an_absent_export_is_asked_for_each_time, test_relay.test_an_unknown_export_is_asked_for_once_in_a_while),
    Seeded(nothing_is_ever_dropped, test_relay.test_memory_is_bounded_and_who_listens_is_not_forgotten),
    Seeded(who_listens_is_forgotten, test_relay.test_memory_is_bounded_and_who_listens_is_not_forgotten),
    Seeded(a_frame_is_made_for_each_socket, test_relay.test_a_frame_is_made_once_for_all_sockets),
    Seeded(
        who_follows_a_project_hears_of_what_he_knows_only,
        test_relay.test_a_new_export_is_there_for_who_follows_its_project,
    ),
)


@pytest.fixture
def arguments(seeded: Seeded, request: pytest.FixtureRequest) -> dict[str, Any]:
    """What the test that should see it asks for."""
    if hasattr(seeded.shows_in, "hypothesis"):
        return {}
    return {name: request.getfixturevalue(name) for name in inspect.signature(seeded.shows_in).parameters}


@pytest.mark.parametrize("seeded", SEEDED, ids=lambda seeded: seeded.bug.__name__)
async def test_a_seeded_bug_is_seen(seeded: Seeded, arguments: dict[str, Any], monkeypatch: Patch) -> None:
    if hasattr(seeded.shows_in, "hypothesis"):  # any example will do: to look for the smallest takes seconds
        monkeypatch.setattr(seeded.shows_in, "_hypothesis_internal_use_settings", ANY_EXAMPLE)
    seeded.bug(monkeypatch)
    assert await seen_by(partial(seeded.shows_in, **arguments))


async def seen_by(test: Callable[[], Any]) -> str | None:
    """What the test complains of."""
    try:
        with anyio.fail_after(LONGEST_TEST_SECONDS):
            if (waiting := test()) is not None:
                await waiting
    except (Exception, BaseExceptionGroup) as complaint:  # noqa: BLE001 - whatever a test says is a complaint
        return repr(complaint)
    return None
