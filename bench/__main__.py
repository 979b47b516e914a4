"""`python -m bench`: measures, prints tables, and with --write keeps docs/performance.md."""

import argparse
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from bench.cases import folder_of
from bench.groups import APART, GROUPS, PARTS
from bench.machine import machine
from bench.measuring import ROOT, Track
from bench.plant import Plant
from bench.plot import plot
from bench.report import BEGIN, Group, goal_lines, rewrite, together
from bench.rivals import absent, install_node_packages, versions
from bench.samples import MB, Lot

_ALL_GROUPS = {**GROUPS, **APART}

DOCUMENT = ROOT / "docs" / "performance.md"
PICTURE = Path("pictures", "data-path.svg")
_NEEDED_BYTES = 20_000 * MB
_QUICK_SHARE, _QUICK_ROUNDS, _ROUNDS = 1 / 20, 2, 5


def main() -> None:
    args = _arguments()
    # Whoever stops it by a signal must not be left with mounts, a node and workers either.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with tempfile.TemporaryDirectory(prefix="bench-", dir=args.work or _here_or_temp()) as name:
        plant = _plant(args, Path(name))
        _warm_up(plant)
        head = _printed(_head(args, plant))
        groups = [_measured(name, plant) for name in _ALL_GROUPS if name in args.groups]
    goals = [goal for group in groups for goal in group.goals]
    # The goals are of the full input: of a twentieth of it, half the time is the start of Python.
    told = _printed(goal_lines(goals)) if goals and plant.share == 1 else []
    if args.write:
        _write(args.groups, head, groups, told)


def _measured(name: str, plant: Plant) -> Group:
    group = _ALL_GROUPS[name](plant)
    _printed(group.lines())
    return group


def _printed(lines: Iterable[str]) -> list[str]:
    kept = list(lines)
    print(*kept, sep="\n", flush=True)
    return kept


def _write(names: Sequence[str], head: Sequence[str], groups: Sequence[Group], goals: Sequence[str]) -> None:
    """The page's part that these groups are, and of the data path the picture."""
    figures = [line for group in groups for line in group.lines()]
    if begin := _own_part(names):
        rewrite(DOCUMENT, begin, [*head, *figures, *goals])
        return
    (DOCUMENT.parent / PICTURE).write_text(plot(together(groups).tables), encoding="utf-8")
    picture = f"![The same as bars; every figure is in the tables below]({PICTURE})"
    rewrite(DOCUMENT, BEGIN, [*head, picture, "", *figures, *goals])


def _own_part(names: Sequence[str]) -> str | None:
    return PARTS.get(names[0]) if len(names) == 1 else None


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__, allow_abbrev=False)
    parser.add_argument(
        "groups", nargs="*", metavar="GROUP", help=f"of {', '.join(_ALL_GROUPS)}; all but the last {len(APART)}"
    )
    parser.add_argument("--work", type=Path, metavar="DIR", help="where to measure; removed at the end")
    parser.add_argument("--rounds", type=int, metavar="N", help=f"how often each case runs ({_ROUNDS})")
    parser.add_argument("--quick", action="store_true", help="a twentieth of the input, two rounds")
    parser.add_argument("--npm", action="store_true", help="install Node's archiver and yazl, to compare with them")
    parser.add_argument("--write", action="store_true", help="write the tables into docs/performance.md")
    return parser


def _arguments() -> argparse.Namespace:
    parser = _parser()
    args = parser.parse_args()
    unknown = set(args.groups) - set(_ALL_GROUPS)
    if unknown:
        parser.error(f"no such group: {', '.join(sorted(unknown))}")
    if args.write and (args.quick or (args.groups and not _own_part(args.groups))):
        parser.error(f"--write keeps figures of the full input, and of every group or of {' or '.join(PARTS)} alone")
    args.groups = args.groups or list(GROUPS)
    return args


def _plant(args: argparse.Namespace, place: Path) -> Plant:
    share = _QUICK_SHARE if args.quick else 1.0
    _expect_room(place, share)
    rounds = args.rounds or (_QUICK_ROUNDS if args.quick else _ROUNDS)
    node_modules = install_node_packages(place) if args.npm and shutil.which("npm") else None
    return Plant(Track(place, place / "pycache"), rounds, share, node_modules)


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


def _head(args: argparse.Namespace, plant: Plant) -> Iterator[str]:
    """The command that gives these figures, and on what they were found."""
    groups = [] if args.groups == list(GROUPS) else args.groups
    words = [word for word in ("--quick", "--npm") if getattr(args, word[2:])]
    rounds = [f"--rounds {args.rounds}"] if args.rounds else []
    yield from (f"`{' '.join(['python -m bench', *groups, *rounds, *words])}`, {plant.rounds} rounds, on", "")
    yield from machine(plant.track.place)
    yield from [f"- {', '.join(versions(plant.node_modules))}"] if plant.node_modules else []
    missing = absent(plant.node_modules)
    yield from [f"- absent: {', '.join(missing)}"] if missing else []
    yield ""


def _warm_up(plant: Plant) -> None:
    """Compiles the modules, and proves by the manifest that what is going to be measured is right."""
    root = plant.proven(plant.sample("warm-up", Lot("image", 100, 1000)))
    plant.track.clock([sys.executable, "-m", "bench.pack", folder_of(root), root / "packed.zip"])
    plant.verify(root / "packed.zip")


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
