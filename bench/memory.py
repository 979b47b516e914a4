"""Groups: what an export holds in memory, and what the layout of a very large ZIP takes."""

import sys
from pathlib import Path

from bench.cases import run, with_stages
from bench.measuring import Case
from bench.plant import Plant
from bench.report import Goal, Group, Table
from bench.samples import MB, Lot

_ENTRIES = 100_000


def memory(plant: Plant) -> Group:
    """Peak memory, against the size and against the number of the files."""
    few = Lot("video", 10, plant.part(200) * MB, contents=1), Lot("video", 10, 2 * MB)
    large, little = plant.sample("large", few[0]), plant.sample("little", few[1])
    sentences = plant.part(33_334)
    many = plant.sample("many", *(Lot(kind, sentences, 100, contents=16) for kind in ("audio", "image", "video")))
    one = plant.sample("one", Lot("image", 1, 100))
    cases = [run(f"{sample.megabytes} MB as folder and ZIP", sample, "--archive", "zip") for sample in (little, large)]
    cases += [run("one file, folder", one), run(f"{many.files:,} files of 100 bytes, folder", many)]
    results = plant.track.race_without_removing(cases, 1)  # memory hardly differs from run to run
    apart, above = (results[at + 1].peak_megabytes - results[at].peak_megabytes for at in (0, 2))
    pace = round(many.files / results[3].best)
    note = (
        f"The larger project takes {apart:+.0f} MB beside the smaller; {many.files:,} files take {above:+.0f} MB "
        f"beside one, {above * 1000 / many.files:.1f} KB each, and are exported at {pace:,} files a second."
    )
    goals = [
        Goal(f"peak memory for {large.megabytes:,} MB that of {little.megabytes} MB, ±16 MB", f"{apart:+.0f} MB",
             abs(apart) <= 16),
        Goal(f"{many.files:,} files below 300 MB above the start", f"{above:.0f} MB", above < 300),
    ]  # fmt: skip
    return Group([Table("Memory, and very many files", results)], [note], goals)


def layout(plant: Plant) -> Group:
    """A ZIP that is known byte by byte before one of them exists, in a process that does nothing else."""
    entries = plant.part(_ENTRIES)
    cases = [_layout(1), _layout(entries)]
    base, ours = plant.track.race(cases, plant.rounds)
    ours, alone = with_stages(ours, "layout")
    above = ours.peak_megabytes - base.peak_megabytes
    goals = [
        Goal(f"{entries:,} entries laid out in 2 s", f"{alone.median:.1f} s", alone.median <= 2),
        Goal("and in 150 MB above the start", f"{above:.0f} MB", above <= 150),
    ]
    return Group([Table("Layout of a ZIP", [base, ours, alone])], goals=goals)


def _layout(entries: int) -> Case:
    command = [sys.executable, "-m", "bench.layout", str(entries)]
    return Case(f"{entries:,} {'entry' if entries == 1 else 'entries'}", lambda _: command, _nothing_is_made)


def _nothing_is_made(out: Path) -> None:
    """The program has looked at its plan itself."""
