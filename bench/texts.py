"""Group: what the texts of an export cost, beside what one would take to write them, and what reading facts costs.

By CPU time, the least of the rounds: it hardly depends on who else uses the machine.
"""

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from bench.cases import exported, run_command
from bench.measuring import Case, Result, Wrong, by_name, sizes_beneath
from bench.plant import Plant
from bench.report import Goal, Group, Sheet, together
from bench.samples import Sample
from bench.story import make_story
from bench.writing import (
    everything,
    opentimelineio,
    otio_fcp_adapter,
    our_captions,
    our_otio,
    our_premiere,
    pysubs2_and_webvtt,
)

_SENTENCES, _VERY_MANY = 1_000, 100_000
_SILENT, _WITH_SOUND = "silent", "with-sound"

_ALL, _ALL_WITH_SOUND = "all texts", "all texts, films with sound"
_NAMES: Mapping[str, tuple[Callable[..., None], str]] = {
    _ALL: (everything, _SILENT),
    _ALL_WITH_SOUND: (everything, _WITH_SOUND),
    "timeline.otio": (our_otio, _SILENT),
    "opentimelineio": (opentimelineio, _SILENT),
    "timeline_premiere.xml": (our_premiere, _SILENT),
    "otio-fcp-adapter": (otio_fcp_adapter, _SILENT),
    "captions.srt, captions.vtt": (our_captions, _SILENT),
    "pysubs2, webvtt-py": (pysubs2_and_webvtt, _SILENT),
}
_OURS = {
    "opentimelineio": "timeline.otio",
    "otio-fcp-adapter": "timeline_premiere.xml",
    "pysubs2, webvtt-py": "captions.srt, captions.vtt",
}
"""What a library is compared with."""
_LIBRARIES = ("opentimelineio", "otio-fcp-adapter", "pysubs2", "webvtt-py")


def texts(plant: Plant) -> Group:
    sample = make_story(plant.track.place / "story", plant.part(_SENTENCES))
    return together([_written(plant), _very_many(plant), _runs(plant, sample), _facts(plant, sample)])


# ---- written


def _written(plant: Plant) -> Group:
    sentences = plant.part(_SENTENCES)
    results = by_name(plant.track.race([_writing(name, sentences) for name in _NAMES], plant.rounds))
    heads = ["", "CPU s", "CPU / ours", "MB of memory above the story", "MB written"]
    rows = [_row(name, results) for name in results]
    title = f"Texts of {sentences:,} sentences, three files each"
    each = {name: _told(results[name])["size_bytes"] / sentences / 1000 for name in (_ALL, _ALL_WITH_SOUND)}
    note = f"A sentence has {each[_ALL]:.1f} KB of texts, and {each[_ALL_WITH_SOUND]:.1f} KB if its film has sound."
    versions = ", ".join(f"{library} {version(library)}" for library in _LIBRARIES)
    goals = [
        Goal(f"`{ours}` for no more CPU than by {library}", f"{1 / times:.2f} times", times >= 1)
        for library, ours in _OURS.items()
        if library != "pysubs2, webvtt-py" and (times := _seconds(results[library]) / _seconds(results[ours]))
    ]
    return Group([Sheet(title, [heads, *rows])], [f"Beside {versions}. {note}"], goals)


def _writing(name: str, sentences: int) -> Case:
    way, story = _NAMES[name]
    words = [sys.executable, "-m", "bench.writing", way.__name__, story, str(sentences)]
    return Case(name, lambda out: [*words, out], _is_written)


def _is_written(out: Path) -> None:
    sizes = sizes_beneath(out)
    if not sizes or 0 in sizes:
        raise Wrong(f"{out}: texts of {sizes} bytes")


def _row(name: str, results: Mapping[str, Result]) -> list[str]:
    result = results[name]
    times = f"{_seconds(result) / _seconds(results[_OURS[name]]):.2f}" if name in _OURS else ""
    told = _told(result)
    return [
        name,
        f"{_seconds(result):.3f}",
        times,
        *(f"{told[key] / 1e6:.1f}" for key in ("above_bytes", "size_bytes")),
    ]


def _told(result: Result) -> dict[str, Any]:
    """What the run that took the least CPU said of itself."""
    said = [json.loads(cost.said) for cost in result.costs]
    return dict(min(said, key=lambda one: one["cpu_seconds"]))


def _seconds(result: Result) -> float:
    return float(_told(result)["cpu_seconds"])


def _very_many(plant: Plant) -> Group:
    """Memory: a text must never be held whole."""
    sentences = plant.part(_VERY_MANY)
    [result] = plant.track.race([_writing(_ALL, sentences)], 1)
    told = _told(result)
    heads = ["MB of the story itself, at most", "MB above it", "MB written", "CPU s"]
    figures = [f"{told[key] / 1e6:.0f}" for key in ("story_bytes", "above_bytes", "size_bytes")]
    each = told["above_bytes"] / sentences / 1000
    goal = Goal(f"texts of {sentences:,} sentences in 1 KB of memory each", f"{each:.1f} KB", each <= 1)
    title = f"All texts of {sentences:,} sentences"
    return Group([Sheet(title, [heads, [*figures, f"{_seconds(result):.0f}"]])], goals=[goal])


# ---- exported


_RUN, _BARE = "run, all texts", "run --timelines none --captions none"


def _runs(plant: Plant, sample: Sample) -> Group:
    cases = [_run(_RUN, sample), _run(_BARE, sample, "--timelines", "none", "--captions", "none")]
    results = by_name(plant.track.race_without_removing(cases, plant.rounds))
    rows = [["", "CPU s", "median s", "peak MB", "MB of texts"]]
    rows += [[name, *_costs(result, sample.size_bytes)] for name, result in results.items()]
    apart = results[_RUN].cpu_seconds - results[_BARE].cpu_seconds
    note = f"Timelines and captions take {apart:.2f} s of {results[_RUN].cpu_seconds:.2f} s of CPU."
    return Group([Sheet(f"Exports of {sample.described}", rows)], [note])


def _run(name: str, sample: Sample, *options: str) -> Case:
    return Case(name, lambda out: run_command(sample, out / "exports", *options), exported(sample))


def _costs(result: Result, media_bytes: int) -> Sequence[str]:
    texts_bytes = json.loads(result.costs[0].said)["folder"]["size_bytes"] - media_bytes
    return [
        f"{result.cpu_seconds:.2f}",
        f"{result.median:.2f}",
        f"{result.peak_megabytes:.0f}",
        f"{texts_bytes / 1e6:.1f}",
    ]


# ---- probed


def _facts(plant: Plant, sample: Sample) -> Group:
    words: list[str | Path] = [sys.executable, "-m", "bench.surveying", sample.project, sample.media]
    case = Case("survey", lambda out: [*words, out], lambda _: None)
    [result] = plant.track.race([case], plant.rounds)
    said = [json.loads(cost.said) for cost in result.costs]
    least = {name: min(one["cpu_seconds"][name] for one in said) for name in ("look", "survey", "probe")}
    each = {name: f"{seconds * 1e6 / sample.files:.0f}" for name, seconds in least.items()}
    rows = [
        ["", "µs of CPU a file"],
        ["find it, its size and its version", each["look"]],
        ["the whole survey: find it, read its head, what it says of itself", each["survey"]],
        ["of it the reading of facts, from bytes in memory", each["probe"]],
    ]
    return Group([Sheet(f"What a look at a file costs: {sample.files:,} WAVs, PNGs and MP4s", rows)])
