"""How the frames of a film follow each other: at which rate, and whether evenly. Pure."""

from collections.abc import Sequence
from fractions import Fraction
from operator import mul
from typing import NamedTuple

_FINE_TICKS = 6
"""A frame of so many ticks of its clock and more may be one longer than the next, by rounding alone."""


class Pace(NamedTuple):
    rate: Fraction | None = None
    """Frames per second; the average, where they last differently long."""
    is_variable: bool | None = None


def pace(counts: Sequence[int], ticks: Sequence[int], clock_hz: int) -> Pace:
    """Of runs of frames: `counts[n]` of them last `ticks[n]` each.

    The very last frame has no say where others have: many writers do not know how long it lasts.

    >>> pace([59, 1], [1001, 1000], 30_000)
    Pace(rate=Fraction(30000, 1001), is_variable=False)
    >>> pace([1, 1, 1, 1], [20, 40, 20, 20], 600).is_variable
    True
    """
    told_counts, told_ticks = _but_the_last(counts, ticks)
    if not told_ticks:
        return Pace()
    rounding = 1 if min(told_ticks) >= _FINE_TICKS else 0
    is_variable = max(told_ticks) - min(told_ticks) > rounding
    if is_variable:
        told_counts, told_ticks = counts, ticks
    total = sum(map(mul, told_counts, told_ticks))
    return Pace(Fraction(sum(told_counts) * clock_hz, total) or None if total else None, is_variable)


def _but_the_last(counts: Sequence[int], ticks: Sequence[int]) -> tuple[Sequence[int], Sequence[int]]:
    if sum(counts) <= 1:
        return counts, ticks
    if counts[-1] <= 1:
        return counts[:-1], ticks[:-1]
    return [*counts[:-1], counts[-1] - 1], ticks
