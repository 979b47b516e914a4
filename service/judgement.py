"""Whether an export can still come to an end, judged by how its attempts ended. Pure: no clock, no disk."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Literal

from contracts import ErrorCode
from service.errors import Verdict

POISON_DEATHS = 5
"""So many in a row; one death is a machine's, five are the export's."""
LONE_TIMES = 3
"""So much more is asked where it was always the same worker: then it may be the worker's fault."""
UNAVAILABLE_SECONDS = 600
DEADLINE_SECONDS = 86_400
DEADLINE_ATTEMPTS = 5
"""So many must have been in vain, too: a clock that jumps a day ahead between two attempts fails nothing."""

Ending = Literal["handed_back", "trouble", "crashed"]


@dataclass(frozen=True, slots=True)
class Past:
    """An attempt that is over, as its journal tells it. Times are the storage's, in nanoseconds."""

    number: int
    stage: str | None
    """The last that it began."""
    new_files: int
    """Files that it finished itself; what it adopted is no progress."""
    ended: Ending | None
    """Nothing: it died."""
    crashed_on: str | None
    """The worker that had an unexpected error."""
    crash: str | None
    """That error."""
    began_ns: int | None
    last_file_ns: int | None
    """When the last new file was finished, at the latest."""
    worker: str | None = None
    """Who made it, if that is known."""
    trouble: str | None = None
    """The code of the trouble that ended it."""
    detail: str | None = None
    """And in a sentence."""


def judge(
    history: Sequence[Past],
    now_ns: int,
    deadline_seconds: int = DEADLINE_SECONDS,
    unavailable_seconds: float = UNAVAILABLE_SECONDS,
) -> Verdict | None:
    """The verdict on attempts, oldest first, or nothing: then another one is worth it."""
    return (
        _poison(history)
        or _internal(history)
        or _unavailable(history, now_ns, unavailable_seconds)
        or _deadline(history, now_ns, deadline_seconds)
    )


def _poison(history: Sequence[Past]) -> Verdict | None:
    """Other ends between the deaths neither count nor break the row."""
    deaths = [past for past in history[_first_in_vain(history) :] if past.ended is None]
    # One node that dies of itself takes every export with it that it touches.
    enough = LONE_TIMES * POISON_DEATHS if _is_one_worker(deaths[-POISON_DEATHS:]) else POISON_DEATHS
    row = deaths[-enough:]
    stage = row[-1].stage if row else None
    if stage is None or len(row) < enough or any(death.stage != stage for death in row):
        return None
    return Verdict(ErrorCode.POISON, f"{enough} attempts died while {stage}, and none of them finished a file")


def _internal(history: Sequence[Past]) -> Verdict | None:
    """An unexpected error may be one machine's; of two machines it is the export's."""
    # The last attempt that finished a file crashed after it.
    crashes = [past for past in history[max(_first_in_vain(history) - 1, 0) :] if past.crashed_on and past.crash]
    if len({past.crashed_on for past in crashes}) < 2:
        return None
    return Verdict(ErrorCode.INTERNAL, f"an unexpected error on two workers, the last time {crashes[-1].crash}")


def _unavailable(history: Sequence[Past], now_ns: int, unavailable_seconds: float) -> Verdict | None:
    """None of the files was to be had, again and again. One worker's mount may be empty; two find the same."""
    tried = [past for past in history if past.ended != "handed_back"]
    absences = list(takewhile(lambda past: past.trouble == ErrorCode.STORAGE_UNAVAILABLE, reversed(tried)))
    began = [past.began_ns for past in absences if past.began_ns is not None]
    times = LONE_TIMES if _is_one_worker(absences) else 1
    if not began or now_ns - min(began) < times * unavailable_seconds * 1e9:
        return None
    return Verdict(ErrorCode.STORAGE_UNAVAILABLE, absences[0].detail or "none of the project's files was found")


def _deadline(history: Sequence[Past], now_ns: int, deadline_seconds: int) -> Verdict | None:
    began = [past.began_ns for past in history if past.began_ns is not None][:1]
    moved = began + [past.last_file_ns for past in history if past.last_file_ns is not None]
    is_over = bool(moved) and now_ns - max(moved) > deadline_seconds * 10**9
    # Who was told to stop did not try in vain.
    in_vain = [past for past in history[_first_in_vain(history) :] if past.ended != "handed_back"]
    if not is_over or len(in_vain) < DEADLINE_ATTEMPTS:
        return None
    hours = deadline_seconds / 3600
    return Verdict(
        ErrorCode.DEADLINE_EXCEEDED,
        f"no file was finished for {hours:g} hours (EXPORT_DEADLINE_SECONDS), whoever tried",
    )


def _is_one_worker(attempts: Sequence[Past]) -> bool:
    names = {past.worker for past in attempts}
    return len(names) == 1 and None not in names


def _first_in_vain(history: Sequence[Past]) -> int:
    """The index after the last attempt that finished a file."""
    return max((at for at, past in enumerate(history, 1) if past.new_files), default=0)
