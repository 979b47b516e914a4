"""Stories of which every file's length is known, as plans and as cuts."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from typing import Any, NamedTuple

from hypothesis import strategies as st

from contracts import ExportOptions, Project, Sentence, WordTiming
from service.cut import Cut, make_cut
from service.media import UNKNOWN, Container, Media, Picture, Sound
from service.model import Plan
from tests.core.hostile_titles import HOSTILE_TITLES
from tests.core.projects import TEXTS, URIS, Case, cases, completed, found, plan, project, section


class Told(NamedTuple):
    """A story, ready to be written down."""

    plan: Plan
    cut: Cut


def told(story: Project, media: Mapping[str, Media] | None = None, **options: Any) -> Told:
    """With what each file says of itself, by its uri; a narration can be cut if it is a WAV.

    The options may be those that decide how a plan is written down, not those that decide what it holds.
    """
    media = media or {}
    uncut = {uri: found(uri, wav="not a WAV") for uri in media if not uri.endswith(".wav")}
    return _with_media(_asked(plan(story, uncut), ExportOptions(**options)), media)


def _asked(planned: Plan, options: ExportOptions) -> Plan:
    return replace(planned, draft=replace(planned.draft, options=options))


def _with_media(planned: Plan, media: Mapping[str, Media]) -> Told:
    planned = replace(
        planned, copies=tuple(replace(copy, media=media.get(copy.uri, UNKNOWN)) for copy in planned.copies)
    )
    return Told(planned, make_cut(planned))


def speech(seconds: Fraction | float | str) -> Media:
    return Media(Container.WAV, Fraction(seconds), sound=Sound(24_000, 1))


def narrated(*lines: tuple[str, Fraction | float | str], rate: float = 25, **fields: Any) -> Told:
    """A section of sentences, each with its text and the length of its narration in seconds."""
    return spoken_by([Sentence(text=text) for text, _ in lines], [length for _, length in lines], rate, **fields)


def spoken_by(
    sentences: Sequence[Sentence], lengths: Sequence[Fraction | float | str], rate: float = 25, **fields: Any
) -> Told:
    voiced = [one.model_copy(update={"audio": completed(f"{at}.wav")}) for at, one in enumerate(sentences)]
    media = {f"{at}.wav": speech(length) for at, length in enumerate(lengths)}
    return told(project(section(*voiced), frame_rate=rate, **fields), media)


def timed(*words: tuple[str, int, int]) -> tuple[WordTiming, ...]:
    """Each word with when it begins and ends, in milliseconds."""
    return tuple(WordTiming(word=word, start_ms=start, end_ms=end) for word, start, end in words)


# ---- any story -------------------------------------------------------------------------------------

_LENGTHS = (Fraction(0), Fraction(1, 1000), Fraction(1, 3), Fraction(5), Fraction(123_457, 1000))
_MEDIA = (
    UNKNOWN,
    *(speech(length) for length in _LENGTHS),
    Media(Container.PNG, picture=Picture(1920, 1080)),
    Media(Container.MP4, Fraction(7, 2), Picture(640, 360, frame_rate=Fraction(24)), Sound(48_000, 2)),
    Media(Container.MP4, Fraction(2), Picture(None, None, frame_rate=Fraction(30_000, 1001)), faults=("it has none",)),
)

RATES = (23.976, 24, 25, 29.97, 30, 60)
_WORDS = ("lamp", "light", "the", "is,", "lit.", "灯塔", "Leuchtturmwärterin")

texts = st.one_of(
    st.sampled_from([*TEXTS, *(title[:400] for title in HOSTILE_TITLES)]),
    st.text(max_size=300),
    st.lists(st.sampled_from(_WORDS), max_size=40).map(" ".join),
)


def _told(case: Case, media: Sequence[Media], rate: float | None) -> Told:
    case = case._replace(project=case.project.model_copy(update={"frame_rate": rate}))
    return _with_media(case.plan(), dict(zip(URIS, media, strict=True)))


stories = st.builds(
    _told,
    cases,
    st.lists(st.sampled_from(_MEDIA), min_size=len(URIS), max_size=len(URIS)),
    st.sampled_from([None, *RATES]),
)
narrations = st.builds(
    lambda lines, rate: narrated(*lines, rate=rate),
    st.lists(st.tuples(texts, st.fractions(Fraction(1, 20), 90, max_denominator=1000)), max_size=5),
    st.sampled_from(RATES),
)
