"""Group: where two files can share blocks. `cp -r` copies nothing there, and nor do we, neither folder nor ZIP."""

import shutil
from collections.abc import Callable, Iterator

from bench.cases import RUN, RUN_ZIP, copier_cases, copy_and_zip_cases, run, stages
from bench.images import BTRFS, XFS, FileSystem, NotMounted, mounted
from bench.measuring import Case, Result
from bench.plant import Plant
from bench.report import Goal, Group, Ratio, Table, together
from bench.rivals import ARCHIVER, CP, ZIP, copied_and
from bench.samples import MB, Lot, Sample, clone

_TRUSTING = ("--trusted-checksums",)

_IMAGE_BYTES = 10_000 * MB
_CLONES, _CLONE_BYTES = 200, 500 * MB
# As large as what is asked for, folder and ZIP, for an exports root without so much room refuses it. It never becomes
# so full: the image takes of its own disk what is written to it, below 3 GB.
_LARGE_IMAGE_BYTES = 250_000 * MB


def reflink(plant: Plant) -> Group:
    """The film on two file systems, and 100 GB on one of them; what cannot be mounted here is told."""
    return together(
        [
            _on(XFS, _IMAGE_BYTES, plant, film),
            _on(BTRFS, _IMAGE_BYTES, plant, film),
            _on(XFS, _LARGE_IMAGE_BYTES, plant, hundred_gigabytes),
        ]
    )


def _on(system: FileSystem, size_bytes: int, plant: Plant, measure: Callable[[Plant, str], Group]) -> Group:
    try:
        with mounted(system, plant.track.place, size_bytes) as point:
            return measure(plant.at(point), system.name)
    except NotMounted as reason:
        return Group([], [f"{system.name} was not measured: {reason}."])


def film(plant: Plant, system: str) -> Group:
    """Folder and written ZIP; with CRC-32s that are believed, no byte of the media is read."""
    sample = plant.film
    shutil.rmtree(plant.proven(sample, *_TRUSTING))
    cases = [
        _run_trusting(sample),
        run(RUN_ZIP, sample, "--archive", "zip"),
        *copier_cases(sample, CP),
        *copy_and_zip_cases(sample, plant.node_modules),
    ]
    trusting, untrusting, *others = plant.track.race(cases, plant.rounds)
    rows = [trusting, stages(trusting), untrusting, stages(untrusting), *others]
    ratios = [Ratio(copied_and(name), is_speed=True) for name in (ZIP, ARCHIVER)]
    title = f"{system}, folder and ZIP: {sample.described}"
    return Group([Table(title, rows, ratios, sample.size_bytes, is_drawn=True)])


def hundred_gigabytes(plant: Plant, system: str) -> Group:
    """Sources that are clones of one file themselves, so that they fit."""
    sample = plant.sample("large", Lot("video", plant.part(_CLONES), _CLONE_BYTES, contents=1), again=clone)
    cases = [_run_trusting(sample), *copier_cases(sample, CP)]
    ours, *others = plant.track.race(cases, plant.rounds)
    pure = stages(ours)
    title = f"{system}, folder and ZIP: {sample.described}"
    table = Table(title, [ours, pure, *others], [Ratio(CP)], sample.size_bytes)
    return Group([table], goals=list(_goals(ours, pure, sample, system)))


def _run_trusting(sample: Sample) -> Case:
    return run(f"{RUN}, CRC-32s trusted", sample, "--archive", "zip", *_TRUSTING)


def _goals(ours: Result, pure: Result, sample: Sample, system: str) -> Iterator[Goal]:
    gigabytes = sample.megabytes / 1000
    found = f"{ours.median:.2f} s (without Python's start {pure.median:.2f} s)"
    yield Goal(f"{gigabytes:.0f} GB as folder and ZIP on {system} in about a second", found, ours.median <= 1.5)
    disk = ours.disk_bytes / sample.size_bytes
    yield Goal("and less than 1% of it on the disk", f"{ours.disk_bytes / MB:,.0f} MB, {disk:.2%}", disk < 0.01)
