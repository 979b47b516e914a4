"""Projects and facts to plan with: plain builders for one case at a time, and strategies for any case at all."""

from collections.abc import Mapping
from datetime import UTC, datetime
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
from service.model import Draft, Fact, Found, Missing, Plan, Unreadable
from service.plan import plan_export, settle
from service.references import Source
from service.segments import Version
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

_NARRATIONS = URIS[:3]
_TIMES_MS = ((0, 900), (1000, 2000), (2000, 2500), (1500, 4000), (3000, 5000), (4500, 9000))
_UNFINISHED = (PENDING, GENERATING, FAILED)
_WHOLE = tuple(completed(uri, stale=stale) for uri in URIS for stale in (False, True))
_DECLARED = (completed(URIS[0], size_bytes=10_044, crc32=0), completed(URIS[1], size_bytes=7, crc32=2**32 - 1))
_SLICES = tuple(part(*times, uri) for times in _TIMES_MS for uri in _NARRATIONS)
_SLICES_OF_SECTION = tuple(part(*times) for times in _TIMES_MS) + tuple(part(*times, stale=True) for times in _TIMES_MS)

assets = st.sampled_from([None, *_UNFINISHED, *_WHOLE, *_DECLARED])


@st.composite
def sections(draw: st.DrawFn) -> Section:
    audio = draw(assets)
    narrations = [None, PENDING, *_WHOLE[:3], *_SLICES] + ([] if audio is None else [*_SLICES_OF_SECTION * 3])
    sentences = st.builds(
        Sentence,
        id=st.sampled_from(IDS),
        text=st.sampled_from(TEXTS),
        audio=st.sampled_from(narrations),
        image=assets,
        video=assets,
    )
    told = st.builds(
        Section,
        id=st.sampled_from(IDS),
        title=st.sampled_from(TITLES),
        audio=st.just(audio),
        sentences=st.lists(sentences, max_size=4).map(tuple),
    )
    return draw(told)


projects = st.builds(
    Project,
    id=st.sampled_from(PROJECT_IDS),
    name=st.sampled_from(TITLES),
    sections=st.lists(sections(), max_size=4).map(tuple),
)

options = st.sampled_from(
    [
        ExportOptions(),
        ExportOptions(stale="skip"),
        ExportOptions(stale="skip", include=Include(kinds=(Kind.AUDIO,))),
        ExportOptions(include=Include(kinds=(Kind.IMAGE, Kind.VIDEO))),
        ExportOptions(include=Include(kinds=())),
        ExportOptions(include=Include(sections=("s-1", "第", "not there"))),
    ]
)

facts = st.fixed_dictionaries(
    {
        uri: st.sampled_from(
            [
                found(uri),
                found(uri, wav=FIVE_SECONDS),
                found(uri, wav=FIVE_SECONDS),
                found(uri, wav="not PCM (format 0x0055)"),
                found(uri, size_bytes=0),
                Missing(),
                Unreadable("Input/output error"),
            ]
        )
        for uri in URIS
    }
)


class Case(NamedTuple):
    """Everything that decides what an export contains."""

    command: ExportStart
    project: Project
    facts: Mapping[str, Fact]

    @property
    def options(self) -> ExportOptions:
        return self.command.options

    def draft(self) -> Draft:
        return plan_export(self.command, self.project, FOLDER)

    def plan(self) -> Plan:
        return settle(self.draft(), self.facts)


def _case(told: Project, chosen: ExportOptions, seen: Mapping[str, Fact]) -> Case:
    return Case(ExportStart(export_id="e-1", requested_at=NOON, project=told, options=chosen), told, seen)


cases = st.builds(_case, projects, options, facts)
