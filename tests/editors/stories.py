"""Any plan at all, with anything that may be known of its files."""

from dataclasses import replace
from fractions import Fraction
from typing import NamedTuple

from hypothesis import strategies as st

from contracts import Kind
from service.media import Container, Media, Picture, Sound
from service.model import Plan
from tests.core.projects import Case, cases

RATES = (24_000 / 1001, 24, 25, 30_000 / 1001, 30, 60)

_DURATIONS = st.none() | st.fractions(Fraction(1, 1000), 20, max_denominator=48_000)
_SIZES = st.sampled_from([(None, None), (1920, 1080), (1080, 1920), (1024, 1024), (37, 41)])
_STARTS = st.sampled_from([None, None, Fraction(3600), Fraction(86_399)])
_SOUNDS = st.builds(Sound, st.sampled_from([None, 22_050, 24_000, 48_000]), st.sampled_from([None, 1, 2]))
_FRAME_RATES = st.sampled_from([None, Fraction(24), Fraction(24_000, 1001), Fraction(17), Fraction(60)])
_PICTURES = st.builds(lambda size, rate: Picture(size[0], size[1], frame_rate=rate), _SIZES, _FRAME_RATES)


def having(told: Plan, **options: object) -> Plan:
    """The plan under other options of its timelines, which change nothing of what is exported."""
    return replace(told, draft=replace(told.draft, options=told.draft.options.model_copy(update=options)))


class _Known(NamedTuple):
    """What may be known of files of each kind, to be dealt out in turn."""

    narrations: list[Media]
    stills: list[Media]
    films: list[Media]


def _narration(duration: Fraction | None, sound: Sound | None, start: Fraction | None) -> Media:
    return Media(Container.WAV, duration, sound=sound, start=start if duration else None)


def _film(duration: Fraction | None, picture: Picture, sound: Sound | None, start: Fraction | None) -> Media:
    return Media(Container.MP4, duration, picture, sound, start if duration else None)


def _several(one: st.SearchStrategy[Media]) -> st.SearchStrategy[list[Media]]:
    return st.lists(one, min_size=1, max_size=3)


_known = st.builds(
    _Known,
    _several(st.builds(_narration, _DURATIONS, st.none() | _SOUNDS, _STARTS)),
    _several(st.builds(lambda picture: Media(Container.PNG, picture=picture), _PICTURES)),
    _several(st.builds(_film, _DURATIONS, _PICTURES, st.none() | _SOUNDS, _STARTS)),
)


def _story(case: Case, known: _Known, rate: float | None, gaps: str) -> Plan:
    told = case.project.model_copy(update={"frame_rate": rate})
    planned = having(Case(told, case.options, case.facts).plan(), gaps=gaps)
    dealt = {Kind.AUDIO: known.narrations, Kind.IMAGE: known.stills, Kind.VIDEO: known.films}
    copies = tuple(
        replace(copy, media=dealt[copy.spot.kind][number % len(dealt[copy.spot.kind])])
        for number, copy in enumerate(planned.copies)
    )
    return replace(planned, copies=copies)


stories = st.builds(_story, cases, _known, st.sampled_from([None, *RATES]), st.sampled_from(["hold", "close"]))
