"""Projects and facts to plan with: plain builders for one case at a time, and strategies for any case at all."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from math import prod
from typing import Any, NamedTuple

from hypothesis import strategies as st

from contracts import (
    Asset,
    CompletedAsset,
    ExportOptions,
    ExportStart,
    FailedAsset,
    Include,
    Kind,
    PendingAsset,
    Project,
    Section,
    Sentence,
    Slice,
)
from service.conformity import conformity
from service.model import Draft, Fact, Found, Missing, Plan, Unreadable
from service.plan import plan_export
from service.references import Source
from service.segments import Version
from service.settle import settle
from service.wav import Wav
from tests.core.hostile_titles import HOSTILE_TITLES

# ---- one case at a time ----------------------------------------------------------------------------

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
FOLDER = "export_p_20260301T120000Z"
PENDING = PendingAsset(status="pending")
GENERATING = PendingAsset(status="generating")
FAILED = FailedAsset(status="failed", error="no credit left")

FIVE_SECONDS = Wav(
    sample_rate_hz=1000,
    channels=1,
    bits_per_sample=16,
    frame_bytes=2,
    fmt=bytes.fromhex("01000100e8030000d007000002001000"),
    data_start=44,
    data_stop=10_044,
)


def completed(uri: str, **fields: Any) -> CompletedAsset:
    return CompletedAsset(status="completed", uri=uri, **fields)


def part(start_ms: int, end_ms: int, uri: str | None = None, **fields: Any) -> CompletedAsset:
    """A sentence's part of a narration; of its section's, if no `uri` is given."""
    return CompletedAsset(status="completed", uri=uri, slice=Slice(start_ms=start_ms, end_ms=end_ms), **fields)


def section(*sentences: Sentence, title: str = "Intro", audio: Asset | None = None, id: str | None = None) -> Section:  # noqa: A002, the field's own name
    return Section(id=id, title=title, audio=audio, sentences=sentences)


def project(*sections: Section, **fields: Any) -> Project:
    return Project(**{"id": "p", **fields}, sections=sections)


def command(told: Project, **options: Any) -> ExportStart:
    return ExportStart(export_id="e-1", requested_at=NOON, project=told, options=ExportOptions(**options))


def draft(told: Project, **options: Any) -> Draft:
    return plan_export(command(told, **options), told, FOLDER)


def found(uri: str, size_bytes: int = 10_044, wav: Wav | str | None = None) -> Found:
    return Found(Source("media", uri.removeprefix("asset:")), Version(size_bytes, 1, 2), wav)


def plan(told: Project, facts: Mapping[str, Fact] | None = None, **options: Any) -> Plan:
    """Every file that `facts` does not speak of is there, and a WAV of five seconds."""
    drafted = draft(told, **options)
    there = {one.uri: found(one.uri, wav=FIVE_SECONDS) for one in drafted.wanted}
    return settle(drafted, {**there, **(facts or {})})


def names(planned: Plan) -> list[str]:
    return [copy.name for copy in planned.copies]


def warnings(planned: Plan) -> tuple[str, ...]:
    """But for what a creator would discover in an editor: these files say nothing of themselves."""
    known = conformity(planned.draft.project, planned.copies)
    return tuple(warning for warning in planned.warnings if warning not in known)


def left_out(planned: Plan) -> list[tuple[int, str, str]]:
    """Number, kind and reason of every omission."""
    return [(one.spot.seq, one.spot.kind.value, one.reason.value) for one in planned.omissions]


# ---- any case at all -------------------------------------------------------------------------------

TITLES = ("Intro", "intro", "", "x", "x-1", "x-2", "x 3", "CON", "section-2", *HOSTILE_TITLES)
IDS = (None, "s-1", "s-2", "../s", "\u202es", "\x85", 'a "b"', "第")
PROJECT_IDS = ("p", "Demo 7", "..p", "\u202epdf.exe", "a\u2028b", "CON", "\x85")
TEXTS = (
    *("", " ", "One.", "Two lines,\nthe second.\n\nAnd a third.", "a\r\nb\u2028c\x85d", "\x00\x1b[31mred", "\ufeffbom"),
    *("\u202egnp.exe\u2066", "[audio: pending]", "2. Intro\n--------", "001  One.", "\tta\tb", "第一章", "x" * 300),
)
URIS = ("asset:n.wav", "asset:m.MP3", "p/q.tar.gz", "asset:no-extension", "asset:.hidden", "ü.v1_0", "asset:x.wav ")

MOST_SENTENCES = 3

_WHOLE = tuple(completed(uri, stale=stale) for uri in URIS for stale in (False, True))
_DECLARED = (completed(URIS[0], size_bytes=10_044, crc32=0), completed(URIS[1], size_bytes=7, crc32=2**32 - 1))
_ASSETS = (None, PENDING, GENERATING, FAILED, *_WHOLE, *_DECLARED)


def _slices(at: int, *uris: str | None) -> tuple[CompletedAsset, ...]:
    """Of the sentence at that position of its section; most follow the one before, some do not."""
    times_ms = ((1000 * at, 1000 * at + 1000), (1000 * at + 20, 1000 * at + 700), (1000 * at, 9000), (700, 900))
    return tuple(part(*times, uri, stale=stale) for times in times_ms for uri in uris for stale in (False, False, True))


_OF_SECTION = [_slices(at, None) for at in range(MOST_SENTENCES)]
_NARRATIONS = [(None, PENDING, *_WHOLE[:3], *_slices(at, *URIS[:2])) for at in range(MOST_SENTENCES)]

_OPTIONS = (
    ExportOptions(),
    ExportOptions(stale="skip"),
    ExportOptions(stale="skip", include=Include(kinds=(Kind.AUDIO,))),
    ExportOptions(include=Include(kinds=(Kind.IMAGE, Kind.VIDEO))),
    ExportOptions(include=Include(kinds=())),
    ExportOptions(include=Include(sections=("s-1", "第", "not there"))),
)


def _facts(uri: str) -> tuple[Fact, ...]:
    wav, other = found(uri, wav=FIVE_SECONDS), found(uri, wav="not PCM (format 0x0055)")
    return (wav, wav, wav, found(uri), other, found(uri, size_bytes=0), Missing(), Unreadable("Input/output error"))


def _choices(*fields: Sequence[Any]) -> st.SearchStrategy[list[Any]]:
    """One of each: drawn as one number, which takes a tenth of the time that a draw for each of them takes."""

    def decoded(number: int) -> list[Any]:
        chosen = []
        for values in fields:
            number, index = divmod(number, len(values))
            chosen.append(values[index])
        return chosen

    return st.integers(0, prod(map(len, fields)) - 1).map(decoded)


# By whether the section has a narration of its own, and by the sentence's position in it.
_SENTENCES = {
    has_narration: [
        _choices(_NARRATIONS[at] + _OF_SECTION[at] * 3 * has_narration, _ASSETS, _ASSETS, TEXTS, IDS)
        for at in range(MOST_SENTENCES)
    ]
    for has_narration in (False, True)
}


@st.composite
def sections(draw: st.DrawFn) -> Section:
    audio, title, its_id = draw(_choices(_ASSETS, TITLES, IDS))
    count = draw(st.integers(0, MOST_SENTENCES))
    fields = [draw(strategy) for strategy in _SENTENCES[audio is not None][:count]]
    sentences = [Sentence(audio=a, image=i, video=v, text=text, id=id_) for a, i, v, text, id_ in fields]
    return section(*sentences, title=title, audio=audio, id=its_id)


class Case(NamedTuple):
    """Everything that decides what an export contains."""

    project: Project
    options: ExportOptions
    facts: Mapping[str, Fact]

    def plan(self) -> Plan:
        return settle(self.draft(), self.facts)

    def draft(self, **options: Any) -> Draft:
        return draft(self.project, **{**dict(self.options), **options})


def _case(told: list[Section], about: list[Any], seen: list[Fact]) -> Case:
    project_id, name, options = about
    return Case(project(*told, id=project_id, name=name), options, dict(zip(URIS, seen, strict=True)))


cases = st.builds(
    _case, st.lists(sections(), max_size=3), _choices(PROJECT_IDS, TITLES, _OPTIONS), _choices(*map(_facts, URIS))
)
