"""What the groups share: where they measure and how much, and the samples that several of them need."""

import json
import shutil
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from bench.cases import SERVICE, folder_of, run_command
from bench.measuring import Track
from bench.samples import KB, MB, Again, Lot, Sample, make_sample


@dataclass(frozen=True, slots=True)
class Finished:
    """An export of which the folder is there, and its ZIP elsewhere: nobody finds it beside the folder."""

    root: Path
    folder: Path
    zip: Path
    event: str
    """That it is completed, in JSON."""


@dataclass(frozen=True)
class Plant:
    """The track, the samples, and how much is measured."""

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
    def finished(self) -> Finished:
        """The film as a finished export."""
        root = self.track.place / "finished"
        event = self.track.clock(run_command(self.film, root, "--archive", "zip")).said
        beside = root / json.loads(event)["archive"]["name"]
        elsewhere = beside.rename(self.track.place / "finished.zip")
        return Finished(root, folder_of(root), elsewhere, event)

    def sample(self, name: str, *lots: Lot, again: Again = Path.hardlink_to) -> Sample:
        return make_sample(self.track.place / "samples" / name, *lots, again=again)

    def proven(self, sample: Sample, *options: str) -> Path:
        """Exports it as folder and ZIP, not measured; both are read again, and must be what the manifest says."""
        root = self.track.new_directory()
        event = self.track.clock(run_command(sample, root, "--archive", "zip", *options)).said
        self.verify(folder_of(root), root / json.loads(event)["archive"]["name"])
        return root

    def verify(self, *made: Path) -> None:
        for one in made:
            self.track.clock([SERVICE, "verify", one])

    def part(self, count: int) -> int:
        return max(1, round(count * self.share))

    def free_bytes(self) -> int:
        return shutil.disk_usage(self.track.place).free

    def at(self, place: Path) -> "Plant":
        """The same on another file system, with samples of its own."""
        return replace(self, track=replace(self.track, place=place))
