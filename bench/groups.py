"""The five comparisons: which cases run against which, and what is read off them."""

import json
import shutil
import sys
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from bench.measuring import Case, Result, Track, Wrong, expect, sizes_beneath
from bench.report import Goal, Group, Ratio, Table
from bench.rivals import CAT, ZIP, rivals
from bench.samples import KB, MB, Lot, Sample, make_sample

SERVICE = Path(sys.executable).with_name("export-service")
_MEDIA_FOLDERS = ("audio", "images", "videos")
_TEXTS = 2  # script.txt and manifest.json

CP = "cp -r"
CP_DURABLE = "cp -r, sync -f"
CP_ZIP = "cp -r, zip -0 -r"
RUN = "export-service run"
RUN_ZIP = "export-service run --archive zip"
PACK = "our ZIP writer"


@dataclass(frozen=True)
class Plant:
    """What the groups share: the track, the samples, and how much is measured."""

    track: Track
    rounds: int
    share: float
    """Of the full input."""
    node_modules: Path | None

    @cached_property
    def film(self) -> Sample:
        """1.2 GB: few large files with most of the bytes, many small ones with the rest."""
        videos, images = Lot("video", self.part(20), 50 * MB), Lot("image", self.part(1000), 200 * KB)
        return self.sample("film", videos, images)

    @cached_property
    def finished(self) -> Path:
        """The film as a finished export."""
        root = self.track.place / "finished"
        self.track.clock(run_command(self.film, root))
        return folder_of(root)

    def sample(self, name: str, *lots: Lot) -> Sample:
        return make_sample(self.track.place / "samples" / name, *lots)

    def part(self, count: int) -> int:
        return max(1, round(count * self.share))


# ---- the groups -------------------------------------------------------------------------------------------------


def small_files(plant: Plant) -> Group:
    """Where the work is in names and not in bytes."""
    sample = plant.sample("small", Lot("image", plant.part(10_000), 20 * KB))
    results = plant.track.race_without_removing(_folder_cases(sample), plant.rounds)
    results.insert(1, stage("copying", results[0]))
    title = f"Folder of small files: {sample.files:,} files of 20 KB"
    return Group([Table(title, results, [Ratio(CP), Ratio(CP_DURABLE)])])


def memory(plant: Plant) -> Group:
    """Peak memory, against the size and against the number of the files."""
    few = Lot("video", 10, plant.part(200) * MB, contents=1), Lot("video", 10, 2 * MB)
    large, little = plant.sample("large", few[0]), plant.sample("little", few[1])
    sentences = plant.part(33_334)
    many = plant.sample("many", *(Lot(kind, sentences, 100, contents=16) for kind in ("audio", "image", "video")))
    one = plant.sample("one", Lot("image", 1, 100))
    cases = [_run(f"{_megabytes(sample)} MB as folder and ZIP", sample, "zip") for sample in (little, large)]
    cases += [_run("one file, folder", one, "none"), _run(f"{many.files:,} files of 100 bytes, folder", many, "none")]
    results = plant.track.race_without_removing(cases, 1)  # memory hardly differs from run to run
    apart, above = (results[at + 1].peak_megabytes - results[at].peak_megabytes for at in (0, 2))
    pace = round(many.files / results[3].best)
    note = (
        f"The larger project takes {apart:+.0f} MB beside the smaller; {many.files:,} files take {above:+.0f} MB "
        f"beside one, {above * 1000 / many.files:.1f} KB each, and are exported at {pace:,} files a second."
    )
    goals = [
        Goal(f"peak memory for {_megabytes(large):,} MB that of {_megabytes(little)} MB, ±16 MB", f"{apart:+.0f} MB",
             abs(apart) <= 16),
        Goal(f"{many.files:,} files below 300 MB above the start", f"{above:.0f} MB", above < 300),
    ]  # fmt: skip
    return Group([Table("Memory, and very many files", results, [])], [note], goals)


def folder(plant: Plant) -> Group:
    """The film as a folder, with the CRC-32 of every file, and on the disk when it is announced."""
    results = plant.track.race(_folder_cases(plant.film), plant.rounds)
    copying = stage("copying", results[0])
    results.insert(1, copying)
    ours, durable, plain = results[0], results[-1], results[-2]
    goals = [
        Goal("the copying stage at most 1.3 times `cp -r`", f"{copying.median / plain.median:.2f} times",
             copying.median <= 1.3 * plain.median),
        Goal("the whole run at most 1.3 times `cp -r` and `sync -f`", f"{ours.median / durable.median:.2f} times",
             ours.median <= 1.3 * durable.median),
    ]  # fmt: skip
    return Group([Table(f"Folder: {_described(plant.film)}", results, [Ratio(CP), Ratio(CP_DURABLE)])], goals=goals)


def archive(plant: Plant) -> Group:
    """A stored ZIP of a finished folder."""
    folder, film = plant.finished, plant.film
    check = _holds_all_of(film, folder)
    pack = Case(PACK, lambda out: [sys.executable, "-m", "bench.pack", folder, out / "out.zip"], check)
    others = [
        Case(rival.name, _towards(rival.command, folder), _has_all_bytes_of(folder) if rival.name == CAT else check,
             rival.start_in)
        for rival in rivals(folder, plant.node_modules)
    ]  # fmt: skip
    results = plant.track.race([pack, *others], plant.rounds)
    by_name = {result.name: result for result in results}
    goals = []
    if ZIP in by_name:
        times = by_name[ZIP].median / by_name[PACK].median
        goals.append(Goal("a ZIP at least 5 times as fast as `zip -0 -r`", f"{times:.1f} times", times >= 5))
    ratios = [Ratio(CAT), Ratio(ZIP, is_speed=True)]
    return Group([Table(f"ZIP of a finished folder: {_described(film)}", results, ratios)], goals=goals)


def whole(plant: Plant) -> Group:
    """Folder and ZIP."""
    film = plant.film
    cases = [_run(RUN_ZIP, film, "zip")]
    if shutil.which("zip"):
        script = 'cp -r "$0" "$1" && cd "$1" && zip -0 -r -q ../out.zip .'
        cases.append(
            Case(CP_ZIP, lambda out: ["sh", "-c", script, film.media, out / "folder"], _copied(film, "folder"))
        )
    results = plant.track.race(cases, plant.rounds)
    for name in ("packing", "copying"):
        results.insert(1, stage(name, results[0]))
    return Group([Table(f"Folder and ZIP: {_described(film)}", results, [Ratio(CP_ZIP)])])


GROUPS: dict[str, Callable[[Plant], Group]] = {
    "small": small_files,
    "memory": memory,
    "folder": folder,
    "zip": archive,
    "whole": whole,
}
"""Those with very many files first: what the others remove would slow them down."""


# ---- cases ------------------------------------------------------------------------------------------------------


def run_command(sample: Sample, root: Path, archive: str = "none") -> list[str | Path]:
    places: list[str | Path] = [sample.project, "--media", sample.media, "--to", root]
    return [SERVICE, "run", *places, "--archive", archive, "--json"]


def folder_of(root: Path) -> Path:
    [found] = root.glob("export_*Z")
    return found


def stage(name: str, runs: Result) -> Result:
    """One stage of the runs, as their terminal events tell it."""
    return Result(f"{runs.name}: {name}", [json.loads(cost.said)["timings_seconds"][name] for cost in runs.costs])


def _folder_cases(sample: Sample) -> list[Case]:
    durable = 'cp -r "$0" "$1" && sync -f "$1"'
    return [
        _run(RUN, sample, "none"),
        Case(CP, lambda out: ["cp", "-r", sample.media, out / "folder"], _copied(sample, "folder")),
        Case(CP_DURABLE, lambda out: ["sh", "-c", durable, sample.media, out / "folder"], _copied(sample, "folder")),
    ]


def _run(name: str, sample: Sample, archive: str) -> Case:
    return Case(name, lambda out: run_command(sample, out / "exports", archive), exported(sample))


def _towards(command: Callable[[Path, Path], Sequence[str]], folder: Path) -> Callable[[Path], Sequence[str]]:
    return lambda out: command(folder, out / "out.zip")


# ---- checks -----------------------------------------------------------------------------------------------------


def _copied(sample: Sample, name: str) -> Callable[[Path], None]:
    return lambda out: expect(str(out), sizes_beneath(out / name), sample.files, sample.size_bytes)


def exported(sample: Sample) -> Callable[[Path], None]:
    """All media of the sample are in the export that a run has made."""

    def check(out: Path) -> None:
        folder = folder_of(out / "exports")
        media = [size for name in _MEDIA_FOLDERS for size in sizes_beneath(folder / name)]
        expect(str(folder), media, sample.files, sample.size_bytes)

    return check


def _holds_all_of(sample: Sample, folder: Path) -> Callable[[Path], None]:
    texts = sum(file.stat().st_size for file in folder.iterdir() if file.is_file())

    def check(out: Path) -> None:
        with zipfile.ZipFile(out / "out.zip") as archive:
            entries = [entry for entry in archive.infolist() if not entry.is_dir()]
        if any(entry.compress_type != zipfile.ZIP_STORED for entry in entries):
            raise Wrong(f"{out}: an entry is compressed")
        expect(str(out), (entry.file_size for entry in entries), sample.files + _TEXTS, sample.size_bytes + texts)

    return check


def _has_all_bytes_of(folder: Path) -> Callable[[Path], None]:
    size_bytes = sum(sizes_beneath(folder))
    return lambda out: expect(str(out), sizes_beneath(out), 1, size_bytes)


def _described(sample: Sample) -> str:
    return f"{sample.files:,} files, {_megabytes(sample):,} MB"


def _megabytes(sample: Sample) -> int:
    return round(sample.size_bytes / MB)
