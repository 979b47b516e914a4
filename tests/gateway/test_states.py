"""What a replica knows depends on what there is to know, and not on how it was heard."""

from datetime import UTC, datetime, timedelta
from functools import reduce

from hypothesis import given
from hypothesis import strategies as st
from pydantic_core import from_json

from contracts import ErrorCode, ExportFailed, ExportProgress, Kind, Stage, State, Tally
from contracts.messages import Error
from gateway.states import NOTHING_KNOWN, Begun, Head, Known, heard, snapshot

MOMENT = datetime(2026, 3, 14, 10, 26, 53, tzinfo=UTC)
HEAD = Head("e1", "p1", "Ocean", None, None, MOMENT)


def progress(attempt: int, seq: int, state: State = State.COPYING, percent: int = 40) -> ExportProgress:
    return ExportProgress(
        export_id="e1",
        project_id="p1",
        attempt=attempt,
        seq=seq,
        state=state,
        percent=percent,
        files=Tally(done=1, total=3),
        bytes=Tally(done=10, total=30),
        by_kind={Kind.AUDIO: Tally(done=1, total=3)},
        at=MOMENT + timedelta(seconds=seq),
    )


FAILED = ExportFailed(
    export_id="e1",
    project_id="p1",
    attempt=2,
    at=MOMENT,
    error=Error(code=ErrorCode.POISON, title="It failed", detail="again", stage=Stage.COPYING, retryable=False),
)
END = heard(FAILED, FAILED.model_dump_json().encode())

pieces = st.one_of(
    st.builds(lambda attempt, seq: Known(progress=progress(attempt, seq)), st.integers(1, 3), st.integers(1, 5)),
    st.sampled_from(
        [
            NOTHING_KNOWN,
            Known(is_cancelled=True),
            Known(is_decided=True),
            Known(begun=Begun(1, 0)),
            Known(begun=Begun(1, 30)),
            Known(begun=Begun(2, 55)),
            END,
            END.join(Known(gone="expired")),
        ]
    ),
)


def folded(parts: list[Known]) -> Known:
    return reduce(Known.join, parts, NOTHING_KNOWN)


@given(st.data())
def test_any_shuffle_with_duplicates_gives_the_same_state(data: st.DataObject) -> None:
    events = data.draw(st.lists(pieces, max_size=12))
    repeated = events + data.draw(st.lists(st.sampled_from(events), max_size=6)) if events else events
    shuffled = data.draw(st.permutations(repeated))

    assert snapshot(HEAD, folded(events), "") == snapshot(HEAD, folded(list(shuffled)), "")


@given(st.lists(pieces, max_size=8), pieces)
def test_what_is_learned_never_takes_a_position_back(events: list[Known], more: Known) -> None:
    before = folded(events)
    after = before.join(more)

    assert rank(after) >= rank(before)


@given(st.lists(pieces, max_size=8), pieces)
def test_another_state_has_another_position(events: list[Known], more: Known) -> None:
    before = folded(events)
    after = before.join(more)

    assert after.position != before.position or (after.state, after.percent) == (before.state, before.percent)


def rank(known: Known) -> tuple[int, ...]:
    return tuple(map(int, known.position.split(".")))


@given(st.lists(pieces, max_size=12))
def test_an_end_absorbs_everything(events: list[Known]) -> None:
    known = folded([*events, END])

    assert known.state in {"failed", "expired"}
    assert known.is_over


def test_an_export_that_nobody_heard_of_is_queued() -> None:
    shown = from_json(snapshot(HEAD, NOTHING_KNOWN, "").body)

    assert (shown["state"], shown["percent"], shown["position"]) == ("queued", 0, "0.0.0")
    assert shown["files"] is None
    assert shown["links"]["download"] is None


def test_a_replica_that_heard_nothing_shows_how_far_the_journal_is() -> None:
    known = Known(begun=Begun(2, 55))

    assert (known.state, known.percent, known.position) == ("copying", 55, "0.2.0.55")
    assert known.join(Known(progress=progress(2, 1, percent=57))).percent == 57
    assert known.join(Known(progress=progress(1, 9, State.PACKING, 90))).state == "copying"


def test_what_is_decided_but_not_yet_visible_is_being_published() -> None:
    running = Known(progress=progress(1, 9))

    assert running.join(Known(is_decided=True)).state == "publishing"
    assert running.join(Known(is_decided=True)).join(Known(is_cancelled=True)).state == "publishing"


def test_a_wish_to_stop_shows_until_the_end() -> None:
    known = Known(progress=progress(1, 9), is_cancelled=True)

    assert known.state == "cancelling"
    assert known.join(END).state == "failed"


def test_the_end_is_shown_in_the_words_of_the_event() -> None:
    shown = from_json(snapshot(HEAD, END, "").body)

    assert shown["result"]["error"]["code"] == "poison"
    assert shown["state"] == "failed"
