"""`python -m bench`: measures, prints tables, and with --write keeps docs/performance.md."""

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path

from bench.broker import broker
from bench.copying import constants
from bench.groups import GROUPS, SERVICE, Plant, folder_of, run_command
from bench.machine import machine
from bench.measuring import ROOT, Track
from bench.report import BEGIN, BEGIN_BROKER, Goal, goal_lines, rewrite
from bench.rivals import absent
from bench.samples import MB, Lot

_BROKER = ["broker"]
# The last is measured when asked for: why a constant is what it is, and nothing that a user would compare.
_ALL_GROUPS = {**GROUPS, "broker": broker, "constants": constants}

DOCUMENT = ROOT / "docs" / "performance.md"
_NEEDED_BYTES = 12_000 * MB
_QUICK_SHARE, _QUICK_ROUNDS, _ROUNDS = 1 / 20, 2, 5


def main() -> None:
    args = _arguments()
    with tempfile.TemporaryDirectory(prefix="bench-", dir=args.work or _here_or_temp()) as name:
        place = Path(name)
        share = _QUICK_SHARE if args.quick else 1.0
        _expect_room(place, share)
        rounds = args.rounds or (_QUICK_ROUNDS if args.quick else _ROUNDS)
        plant = Plant(Track(place), rounds, share, _install_archiver(place) if args.npm else None)
        _warm_up(plant)
        for names in [args.groups] if args.groups else [list(GROUPS), _BROKER]:
            lines = []
            for line in chain(_head(args, names, plant), _body(names, plant)):
                print(line, flush=True)
                lines.append(line)
            if args.write:
                rewrite(DOCUMENT, BEGIN_BROKER if names == _BROKER else BEGIN, lines)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__, allow_abbrev=False)
    parser.add_argument("groups", nargs="*", metavar="GROUP", help=f"of {', '.join(_ALL_GROUPS)}; all but the last")
    parser.add_argument("--work", type=Path, metavar="DIR", help="where to measure; removed at the end")
    parser.add_argument("--rounds", type=int, metavar="N", help=f"how often each case runs ({_ROUNDS})")
    parser.add_argument("--quick", action="store_true", help="a twentieth of the input, two rounds")
    parser.add_argument("--npm", action="store_true", help="install Node's archiver, to compare with it")
    parser.add_argument("--write", action="store_true", help="write the tables into docs/performance.md")
    return parser


def _arguments() -> argparse.Namespace:
    parser = _parser()
    args = parser.parse_args()
    unknown = set(args.groups) - set(_ALL_GROUPS)
    if unknown:
        parser.error(f"no such group: {', '.join(sorted(unknown))}")
    if args.write and (args.quick or args.groups not in ([], _BROKER)):
        parser.error("--write keeps figures of the full input, and of every group or of `broker` alone")
    return args


def _here_or_temp() -> Path | None:
    """`build/` is beside what is worked on, and git ignores it; nothing stands for the system's own."""
    build = Path("build")
    try:
        build.mkdir(exist_ok=True)
    except OSError:
        return None
    return build.absolute()


def _expect_room(place: Path, share: float) -> None:
    free = shutil.disk_usage(place).free
    if free < _NEEDED_BYTES * share:
        raise SystemExit(f"{place.parent} has {free // MB:,} MB free; this takes {_NEEDED_BYTES * share // MB:,.0f} MB")


def _install_archiver(place: Path) -> Path:
    subprocess.run(["npm", "install", "--silent", "--no-audit", "--no-fund", "--prefix", place, "archiver"], check=True)
    return place / "node_modules"


def _head(args: argparse.Namespace, names: Sequence[str], plant: Plant) -> Iterator[str]:
    """The command that gives these figures, and on what they were found."""
    groups = [] if names == list(GROUPS) else names
    words = [word for word in ("--quick", "--npm") if getattr(args, word[2:])]
    rounds = [f"--rounds {args.rounds}"] if args.rounds else []
    yield from (f"`{' '.join(['python -m bench', *groups, *rounds, *words])}`, {plant.rounds} rounds, on", "")
    yield from machine(plant.track.place)
    if plant.node_modules is not None:
        package = json.loads((plant.node_modules / "archiver" / "package.json").read_bytes())
        yield f"- archiver {package['version']}"
    missing = absent(plant.node_modules)
    yield from [f"- absent: {', '.join(missing)}"] if missing else []
    yield ""


def _body(names: Sequence[str], plant: Plant) -> Iterator[str]:
    goals: list[Goal] = []
    for name, measure in _ALL_GROUPS.items():
        if name in names:
            group = measure(plant)
            goals += group.goals
            yield from group.lines()
    # The goals are of the full input: of a twentieth of it, half the time is the start of Python.
    yield from goal_lines(goals) if goals and plant.share == 1 else ()


def _warm_up(plant: Plant) -> None:
    """Compiles the modules, and proves by the manifest that what is going to be measured is right."""
    root = plant.track.new_directory()
    sample = plant.sample("warm-up", Lot("image", 100, 1000))
    plant.track.clock(run_command(sample, root, "zip"))
    folder = folder_of(root)
    plant.track.clock([sys.executable, "-m", "bench.pack", folder, root / "packed.zip"])
    for made in (folder, folder.with_suffix(".zip"), root / "packed.zip"):
        plant.track.clock([SERVICE, "verify", made])


if __name__ == "__main__":
    main()
