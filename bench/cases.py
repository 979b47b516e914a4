"""Runs of export-service and of what one would take instead, and how their results are looked at."""

import json
import sys
import zipfile
from pathlib import Path

from bench.measuring import Case, Check, Command, Cost, Result, Wrong, expect, sizes_beneath
from bench.rivals import CP, CP_DURABLE, Rival, copiers, copiers_and_zippers
from bench.samples import Sample

SERVICE = Path(sys.executable).with_name("export-service")
RUN = "export-service run"
RUN_ZIP = "export-service run --archive zip"

ZIPPED = "out.zip"
"""What others make, in the directory of their result."""
_COPY = "folder"
_MEDIA_FOLDERS = ("audio", "images", "videos")


# ---- runs


def run_command(sample: Sample, root: Path, *options: str) -> list[str | Path]:
    return [SERVICE, "run", *run_words(sample, root, *options)]


def run_words(sample: Sample, root: Path, *options: str) -> list[str | Path]:
    return [sample.project, "--media", sample.media, "--to", root, "--json", *options]


def folder_of(root: Path) -> Path:
    [found] = root.glob("export_*Z")
    return found


def run(name: str, sample: Sample, *options: str) -> Case:
    return Case(name, lambda out: run_command(sample, out / "exports", *options), exported(sample))


def folder_cases(sample: Sample, *others: str) -> list[Case]:
    """Ours, a plain copy, one that is on the disk as ours is, and other ways to copy."""
    return [run(RUN, sample), *copier_cases(sample, CP, CP_DURABLE, *others)]


def copier_cases(sample: Sample, *names: str) -> list[Case]:
    """Those of them that are installed."""
    return [
        Case(rival.name, _copying(rival, sample), copied(sample), rival.start_in)
        for rival in copiers(sample.media, *names)
    ]


def _copying(rival: Rival, sample: Sample) -> Command:
    return lambda out: rival.command(sample.media, out / _COPY)


def copy_and_zip_cases(sample: Sample, node_modules: Path | None) -> list[Case]:
    """How such services are built today."""
    check = both(copied(sample), archived(sample.files, sample.size_bytes))
    return [
        Case(rival.name, _copying_and_zipping(rival, sample), check, rival.start_in)
        for rival in copiers_and_zippers(sample.media, node_modules)
    ]


def _copying_and_zipping(rival: Rival, sample: Sample) -> Command:
    return lambda out: rival.command(sample.media, out / ZIPPED, out / _COPY)


def stage(name: str, runs: Result) -> Result:
    """One stage of the runs, as the events that they print tell it."""
    return Result(f"{runs.name}: {name}", [_timings(cost)[name] for cost in runs.costs])


def _timings(cost: Cost) -> dict[str, float]:
    seconds: dict[str, float] = json.loads(cost.said)["timings_seconds"]
    return seconds


def stages(runs: Result) -> Result:
    """All of them together: the start of Python and of a broker's worker is none."""
    return Result(f"{runs.name}: its stages", [sum(_timings(cost).values()) for cost in runs.costs])


def with_stages(runs: Result, *names: str) -> list[Result]:
    """The runs, and stages of them as rows of their own."""
    return [runs, *(stage(name, runs) for name in names)]


# ---- checks


def copied(sample: Sample) -> Check:
    """All files of the sample are in the copy that a rival has made."""
    return lambda out: expect(str(out), sizes_beneath(out / _COPY), sample.files, sample.size_bytes)


def exported(sample: Sample) -> Check:
    """All media of the sample are in the export that a run has made."""

    def check(out: Path) -> None:
        folder = folder_of(out / "exports")
        media = [size for name in _MEDIA_FOLDERS for size in sizes_beneath(folder / name)]
        expect(str(folder), media, sample.files, sample.size_bytes)

    return check


def archived(files: int, size_bytes: int) -> Check:
    """A stored ZIP of so many files and bytes is in the result."""

    def check(out: Path) -> None:
        with zipfile.ZipFile(out / ZIPPED) as archive:
            entries = [entry for entry in archive.infolist() if not entry.is_dir()]
        if any(entry.compress_type != zipfile.ZIP_STORED for entry in entries):
            raise Wrong(f"{out}: an entry is compressed")
        expect(str(out), (entry.file_size for entry in entries), files, size_bytes)

    return check


def archived_folder(folder: Path) -> Check:
    """A ZIP of all files of the folder."""
    sizes = sizes_beneath(folder)
    return archived(len(sizes), sum(sizes))


def joined(folder: Path) -> Check:
    """One file with all bytes of the folder."""
    size_bytes = sum(sizes_beneath(folder))
    return lambda out: expect(str(out), sizes_beneath(out), 1, size_bytes)


def both(one: Check, other: Check) -> Check:
    def check(out: Path) -> None:
        one(out)
        other(out)

    return check
