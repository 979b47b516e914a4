"""What is shown of an export on its way never goes back, and of an export that is over only its end is shown."""

from hypothesis import given
from hypothesis import strategies as st

from gateway.states import NOTHING_KNOWN, Begun, Known, snapshot
from tests.gateway.test_states import END, HEAD, folded, progress


def on_its_way(attempt: int, seq: int, *, is_heard: bool) -> Known:
    """As an export tells it: percent never falls from one snapshot to the next, or one attempt to the next."""
    percent = 20 * attempt + 3 * seq
    return Known(progress=progress(attempt, seq, percent=percent)) if is_heard else Known(begun=Begun(attempt, percent))


told = st.builds(on_its_way, st.integers(1, 3), st.integers(1, 5), is_heard=st.booleans())


@given(st.lists(told, max_size=8), told)
def test_percent_never_falls(events: list[Known], more: Known) -> None:
    before = folded(events)

    assert before.join(more).percent >= before.percent


def test_of_what_failed_nothing_is_there() -> None:
    assert Known(progress=progress(1, 9, percent=97)).join(END).percent == 0


def test_what_is_over_is_told_by_its_end_alone() -> None:
    """A replica that heard of all the progress says the same as one that heard of none."""
    heard = Known(progress=progress(2, 9), begun=Begun(2, 30)).join(END)

    assert snapshot(HEAD, heard, "").body == snapshot(HEAD, NOTHING_KNOWN.join(END), "").body
