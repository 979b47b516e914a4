"""Where two constants of the copying come from: bytes to a chunk, and small files to a thread hop.

The group `constants` of `python -m bench`. `python -m bench.copying CHUNK_BYTES HOP_FILES WORDS…` is one run of it:
export-service with other constants.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

from bench.cases import exported, run_words, stage
from bench.measuring import Case, Result
from bench.plant import Plant
from bench.report import Group, Ratio, Table
from bench.samples import KB, Lot, Sample
from cli.main import main
from service import copying
from service.storage import filling, sources

_CHUNK_BYTES = (64 * 1024, 256 * 1024, 1024 * 1024, 4 * 1024 * 1024)
_HOP_FILES = (1, 16, 64, 256)


def constants(plant: Plant) -> Group:
    """The copying stage with several values of each, the other as it is."""
    hop_files, chunk_bytes = vars(copying)["_HOP_FILES"], sources.CHUNK_BYTES
    small = plant.sample("hops", Lot("image", plant.part(10_000), 20 * KB))
    hops = [_case(f"{files} files", small, chunk_bytes, files) for files in _HOP_FILES]
    chunks = [_case(f"{size // 1024} KiB", plant.film, size, hop_files) for size in _CHUNK_BYTES]
    tables = [
        _table("Small files to a hop", plant.track.race_without_removing(hops, plant.rounds), f"{hop_files} files"),
        _table("Bytes to a chunk", plant.track.race(chunks, plant.rounds), f"{chunk_bytes // 1024} KiB"),
    ]
    return Group(tables)


def _case(name: str, sample: Sample, chunk_bytes: int, hop_files: int) -> Case:
    def command(out: Path) -> Sequence[str | Path]:
        constants = [str(chunk_bytes), str(hop_files)]
        return [sys.executable, "-m", "bench.copying", *constants, "run", *run_words(sample, out / "exports")]

    return Case(name, command, exported(sample))


def _table(title: str, runs: Sequence[Result], base: str) -> Table:
    copied = [Result(result.name, stage("copying", result).wall_seconds) for result in runs]
    return Table(f"{title}: the copying stage", copied, [Ratio(base)])


if __name__ == "__main__":
    # Who imports the constant by its name has one of his own.
    vars(sources)["CHUNK_BYTES"] = vars(filling)["CHUNK_BYTES"] = int(sys.argv[1])
    vars(copying)["_HOP_FILES"] = int(sys.argv[2])
    sys.exit(main(sys.argv[3:]))
