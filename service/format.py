"""The frame rate and the size of a timeline: what most of the films have. Pure.

Editors take few rates, so a rate is always one of theirs; files of another one are shown at it, never made anew.
"""

from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from functools import lru_cache
from typing import NamedTuple, TypeVar

from contracts import Kind, Project
from service.model import Copy

RATES: tuple[Fraction, ...] = (
    Fraction(24000, 1001),
    Fraction(24),
    Fraction(25),
    Fraction(30000, 1001),
    Fraction(30),
    Fraction(50),
    Fraction(60000, 1001),
    Fraction(60),
)
"""That every editor has."""

USUAL_RATE = Fraction(30)
"""Where no film says otherwise."""

USUAL_SIZE = (1920, 1080)
"""Where neither a film nor a still says otherwise."""

LONGEST_EDGE_PIXELS = 4096
"""Of a timeline; an image may be larger, and editors fit it in."""


class Format(NamedTuple):
    """What a timeline is measured in."""

    rate: Fraction
    """Frames per second; one of `RATES`."""
    width: int
    height: int


def format_of(project: Project, copies: Sequence[Copy]) -> Format:
    """The project's own rate, else the one that the films have for the longest; their size, else that of the stills."""
    films = [copy for copy in copies if copy.spot.kind is Kind.VIDEO]
    stills = [copy for copy in copies if copy.spot.kind is Kind.IMAGE]
    told = [(nearest_rate(project.frame_rate), Fraction(1))] if project.frame_rate else _rates(films)
    rate = _majority(told, USUAL_RATE)
    return Format(rate, *_bearable(*_majority(_sizes(films), _majority(_sizes(stills), USUAL_SIZE))))


@lru_cache(64)  # the films of a story have few rates, and each timeline asks for that of every film
def nearest_rate(frames_per_second: float | Fraction) -> Fraction:
    """The editors' rate for it; of a slow one its double, of a fast one its half, so that no frame is shown unevenly.

    >>> [str(nearest_rate(rate)) for rate in (23.976, 29.97, 24, 12.5, 120)]
    ['24000/1001', '30000/1001', '24', '25', '60']
    """
    rate = float(frames_per_second)
    while rate < 18:
        rate *= 2
    while rate > 75:
        rate /= 2
    return min(RATES, key=lambda standard: abs(float(standard) - rate))


_T = TypeVar("_T")


def _majority(votes: Iterable[tuple[_T, Fraction]], otherwise: _T) -> _T:
    """What has the most weight; of equals the one that came first."""
    weights: dict[_T, Fraction] = {}
    for choice, weight in votes:
        weights[choice] = weights.get(choice, Fraction(0)) + weight
    return max(weights, key=weights.__getitem__, default=otherwise)


def _rates(films: Iterable[Copy]) -> Iterator[tuple[Fraction, Fraction]]:
    for film in films:
        if film.media.picture and film.media.picture.frame_rate:
            yield nearest_rate(film.media.picture.frame_rate), _weight(film)


def _sizes(copies: Iterable[Copy]) -> Iterator[tuple[tuple[int, int], Fraction]]:
    for copy in copies:
        picture = copy.media.picture
        if picture and picture.width and picture.height:
            yield (picture.width, picture.height), _weight(copy)


def _weight(copy: Copy) -> Fraction:
    """Seconds of a film; a still counts as one, and so does a film that does not say how long it is."""
    return copy.media.duration or Fraction(1)


def _bearable(width: int, height: int) -> tuple[int, int]:
    """The size in even numbers, as encoders want them, and small enough for an editor.

    >>> _bearable(1079, 1920), _bearable(16384, 8192)
    ((1080, 1920), (4096, 2048))
    """
    longest = max(width, height, LONGEST_EDGE_PIXELS)
    return _even(width * LONGEST_EDGE_PIXELS / longest), _even(height * LONGEST_EDGE_PIXELS / longest)


def _even(pixels: float) -> int:
    return max(2, -(-round(pixels) // 2) * 2)
