"""Groups: a ZIP of a folder that is there, and folder and ZIP together."""

import sys
from collections.abc import Iterator
from pathlib import Path

from bench.cases import (
    RUN_ZIP,
    ZIPPED,
    archived_folder,
    copy_and_zip_cases,
    exported,
    joined,
    run,
    run_words,
    with_stages,
)
from bench.measuring import Case, Command, Result, by_name
from bench.plant import Plant
from bench.report import Goal, Group, Ratio, Table
from bench.rivals import ARCHIVER, CAT, ZIP, Rival, copied_and, zippers
from bench.samples import Sample

PACK = "our ZIP writer"
RUN_VIRTUAL = "export-service run, virtual ZIP"

_NO_EXTRA_DISK = 1.01


# ---- a finished folder


def archive(plant: Plant) -> Group:
    """A stored ZIP of a finished folder."""
    folder = plant.finished.folder
    check = archived_folder(folder)
    pack = Case(PACK, lambda out: [sys.executable, "-m", "bench.pack", folder, out / ZIPPED], check)
    others = [
        Case(rival.name, _towards(rival, folder), joined(folder) if rival.name == CAT else check, rival.start_in)
        for rival in zippers(folder, plant.node_modules)
    ]
    ours, *theirs = plant.track.race([pack, *others], plant.rounds)
    ours, alone = with_stages(ours, "packing")
    ratios = [Ratio(CAT), Ratio(ZIP, is_speed=True), Ratio(ARCHIVER, is_speed=True)]
    table = Table(f"ZIP of a finished folder: {plant.film.described}", [ours, alone, *theirs], ratios, is_drawn=True)
    return Group([table], goals=list(_goals_of_zip(ours, alone, by_name(theirs), plant.film.files)))


def _towards(rival: Rival, folder: Path) -> Command:
    return lambda out: rival.command(folder, out / ZIPPED)


def _goals_of_zip(ours: Result, alone: Result, theirs: dict[str, Result], files: int) -> Iterator[Goal]:
    for name, least in ((ZIP, 5), (ARCHIVER, 7)):
        if name in theirs:
            speed, pure = theirs[name].times(ours), theirs[name].times(alone)
            found = f"{speed:.1f} times (without Python's start {pure:.1f})"
            yield Goal(f"a ZIP at least {least} times as fast as `{name}`", found, speed >= least)
    once, pure = ours.times(theirs[CAT]), alone.times(theirs[CAT])
    yield Goal(f"and at most 1.2 times `{CAT}`", f"{once:.2f} times (without Python's start {pure:.2f})", once <= 1.2)
    most = 40 + files / 1000
    yield Goal(f"and in {most:.0f} MB: 40, and 1 KB an entry", f"{ours.peak_megabytes:.0f} MB",
               ours.peak_megabytes < most)  # fmt: skip


# ---- from the media to what can be downloaded


def whole(plant: Plant) -> Group:
    """Folder and ZIP, and a folder with a ZIP that need not be written."""
    sample = plant.film
    cases = [_virtual(sample), run(RUN_ZIP, sample, "--archive", "zip")]
    results = plant.track.race([*cases, *copy_and_zip_cases(sample, plant.node_modules)], plant.rounds)
    virtual, written, *others = results
    rows = [*with_stages(virtual, "copying", "layout"), *with_stages(written, "copying", "packing"), *others]
    bases = [copied_and(ZIP), copied_and(ARCHIVER)]
    ratios = [Ratio(base, is_speed=True) for base in bases]
    table = Table(f"Folder and ZIP: {sample.described}", rows, ratios, sample.size_bytes, is_drawn=True)
    return Group([table], goals=list(_goals_of_virtual(virtual, by_name(others), sample)))


def _virtual(sample: Sample) -> Case:
    def command(out: Path) -> list[str | Path]:
        words = run_words(sample, out / "exports")
        return [sys.executable, "-m", "bench.virtual", "run", *words]

    return Case(RUN_VIRTUAL, command, exported(sample))


def _goals_of_virtual(virtual: Result, others: dict[str, Result], sample: Sample) -> Iterator[Goal]:
    name = copied_and(ARCHIVER)
    if name in others:
        speed = others[name].times(virtual)
        promise = f"a folder and a ZIP to download at least 5 times as fast as `{name}`"
        yield Goal(promise, f"{speed:.1f} times", speed >= 5)
    disk = virtual.disk_bytes / sample.size_bytes
    yield Goal("and it takes no more disk than the folder", f"{disk:.1%} of the media", disk <= _NO_EXTRA_DISK)
