"""Where the constants of the data path come from: runs of export-service in which one of them is another.

The group `constants` of `python -m bench`. `python -m bench.copying MODULE:NAME=VALUE… WORDS…` is one run of it. Who
imports a constant by its name has one of his own, so a name may be set in several modules.
"""

import sys
from collections.abc import Sequence
from importlib import import_module
from itertools import takewhile
from pathlib import Path

from bench.cases import exported, run_words, stage
from bench.measuring import Case, Result
from bench.plant import Plant
from bench.report import Group, Ratio, Table
from bench.samples import KB, MB, Lot, Sample
from cli.main import main

KIB, MIB = 1024, 1024 * 1024
NEVER = 2**62

_CHUNK_BYTES = ("service.storage.sources:CHUNK_BYTES", "service.storage.filling:CHUNK_BYTES")
_HOP_FILES = ("service.copying:_HOP_FILES",)
_SMALL_FILE_BYTES = ("service.copying:_SMALL_FILE_BYTES",)
_ALLOCATED_FROM_BYTES = ("service.storage.filling:ALLOCATED_FROM_BYTES",)
_LANE_BYTES = ("service.storage.filling:_LANE_BYTES",)
_WRITTEN_BACK_FROM_BYTES = ("service.copying:_WRITTEN_BACK_FROM_BYTES",)


def constants(plant: Plant) -> Group:
    """Stages with several values of each, everything else as it is; the first value is the one that is taken."""
    small = plant.sample("hops", Lot("image", plant.part(10_000), 20 * KB))
    one = plant.sample("one", Lot("video", 1, plant.part(1200) * MB))
    film = plant.film
    return Group([
        _small(plant, small, "Small files to a hop", _HOP_FILES, {f"{n} files": n for n in (64, 1, 16, 256)}),
        _small(plant, small, "Batches of small files at once", _SMALL_FILE_BYTES,
               {"one, unless the process waits": 64 * KIB, "as many as copiers": 0}),
        _large(plant, film, "Bytes to a chunk", _CHUNK_BYTES,
               {f"{n} KiB": n * KIB for n in (256, 64, 1024, 4096)}),
        _large(plant, film, "Blocks had at once", _ALLOCATED_FROM_BYTES,
               {"from 1 MiB": MIB, "from 64 KiB": 64 * KIB, "never": NEVER}),
        _large(plant, one, "Threads at one file", _LANE_BYTES, {"several": 32 * MIB, "one": NEVER}),
        _large(plant, film, "Threads at the archive", _LANE_BYTES, {"several": 32 * MIB, "one": NEVER}, "packing"),
        _large(plant, film, "Files handed to the disk", _WRITTEN_BACK_FROM_BYTES,
               {"when copied, from 1 MiB": MIB, "when copied, all": 0, "all before the first fsync": NEVER},
               "copying", "verifying"),
    ])  # fmt: skip


def _small(plant: Plant, sample: Sample, title: str, names: Sequence[str], values: dict[str, int]) -> Table:
    runs = plant.track.race_without_removing(_cases(sample, names, values), plant.rounds)
    return _table(title, runs, ["copying"])


def _large(
    plant: Plant, sample: Sample, title: str, names: Sequence[str], values: dict[str, int], *stages: str
) -> Table:
    runs = plant.track.race(_cases(sample, names, values), plant.rounds)
    return _table(title, runs, stages or ["copying"])


def _cases(sample: Sample, names: Sequence[str], values: dict[str, int]) -> list[Case]:
    return [_case(title, sample, [f"{name}={value}" for name in names]) for title, value in values.items()]


def _case(title: str, sample: Sample, constants: Sequence[str]) -> Case:
    def command(out: Path) -> Sequence[str | Path]:
        words = run_words(sample, out / "exports", "--archive", "zip")
        return [sys.executable, "-m", "bench.copying", *constants, "run", *words]

    return Case(title, command, exported(sample))


def _table(title: str, runs: Sequence[Result], stages: Sequence[str]) -> Table:
    rows = [Result(run.name, [sum(parts) for parts in zip(*_seconds(run, stages), strict=True)]) for run in runs]
    return Table(f"{title}: {' and '.join(stages)}", rows, [Ratio(runs[0].name)])


def _seconds(run: Result, stages: Sequence[str]) -> list[Sequence[float]]:
    return [stage(name, run).wall_seconds for name in stages]


if __name__ == "__main__":
    constants_set = list(takewhile(lambda word: "=" in word, sys.argv[1:]))
    for setting in constants_set:
        place, _, value = setting.partition("=")
        module, _, name = place.partition(":")
        if name not in vars(import_module(module)):
            raise SystemExit(f"{module} has no {name}")
        vars(import_module(module))[name] = int(value)
    sys.exit(main(sys.argv[1 + len(constants_set) :]))
