"""Runs cases in turns, each as a process of its own, and keeps what each run cost."""

import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from random import Random
from typing import Self

ROOT = Path(__file__).parents[1]
_LOOKS, _PAUSE_SECONDS, _STILL_BYTES = 40, 0.05, 1_000_000

Command = Callable[[Path], Sequence[str | Path]]
"""Of a run, made for the directory in which it is to leave its result."""

Check = Callable[[Path], None]
"""Looks at what a run made there; raises Wrong."""


class Wrong(Exception):
    """A case did not make what it should have made, so its time means nothing."""


@dataclass(frozen=True, slots=True)
class Cost:
    """What one run took, and what it printed: CPU of all its processes, memory of the largest of them."""

    wall_seconds: float
    cpu_seconds: float
    peak_bytes: int
    said: str
    disk_bytes: int = 0
    """By which the disk became fuller, of a case in a race."""


@dataclass(frozen=True)
class Case:
    """One of those that are compared."""

    name: str
    command: Command
    check: Check
    start_in: Path = ROOT


@dataclass(frozen=True)
class Result:
    """The runs of one case, or one stage of them."""

    name: str
    wall_seconds: Sequence[float]
    costs: Sequence[Cost] = field(default=(), repr=False)
    """Of whole runs: a stage has neither CPU nor memory nor disk of its own."""

    @classmethod
    def of(cls, name: str, costs: Sequence[Cost]) -> Self:
        return cls(name, [cost.wall_seconds for cost in costs], costs)

    @property
    def best(self) -> float:
        return min(self.wall_seconds)

    @property
    def median(self) -> float:
        return statistics.median(self.wall_seconds)

    def times(self, base: "Result") -> float:
        """How many times as long as the other, by the medians."""
        return self.median / base.median

    @property
    def cpu_seconds(self) -> float:
        return min(cost.cpu_seconds for cost in self.costs)

    @property
    def peak_megabytes(self) -> float:
        return max(cost.peak_bytes for cost in self.costs) / 1e6

    @property
    def disk_bytes(self) -> float:
        """By the median: somebody else may write to the same disk."""
        return statistics.median(cost.disk_bytes for cost in self.costs)


def by_name(results: Iterable[Result]) -> dict[str, Result]:
    return {result.name: result for result in results}


@dataclass(frozen=True)
class Track:
    """Where cases run: a directory for their results, and the environment that they see."""

    place: Path
    compiled: Path
    """Modules, kept as on a user's machine, but not in the source tree."""

    @cached_property
    def environment(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
        return kept | {"PYTHONPYCACHEPREFIX": str(self.compiled), "PYTHONPATH": str(ROOT), "LC_ALL": "C.UTF-8"}

    def race(self, cases: Sequence[Case], rounds: int) -> list[Result]:
        """Every case once a round, in another order each time; results go away at once."""
        return self._race(cases, rounds, shutil.rmtree)

    def race_without_removing(self, cases: Sequence[Case], rounds: int) -> list[Result]:
        """For results of many files: ext4 goes out of the way of inodes that were freed in the last minutes, one by
        one (`recently_deleted` in fs/ext4/ialloc.c), and a `cp -r` of 10,000 files then takes up to eight times as
        long as on the same disk at rest.
        """
        return self._race(cases, rounds, lambda _: None)

    def _race(self, cases: Sequence[Case], rounds: int, remove: Callable[[Path], object]) -> list[Result]:
        costs: dict[str, list[Cost]] = {case.name: [] for case in cases}
        for number in range(rounds):
            # In an order of its own each round: whoever comes after a long case finds memory colder than others do.
            for case in Random(number).sample(cases, len(cases)):
                _show(f"{number + 1}/{rounds} {case.name}")
                costs[case.name].append(self._run(case, remove))
        _show("")
        return [Result.of(name, runs) for name, runs in costs.items()]

    def _run(self, case: Case, remove: Callable[[Path], object]) -> Cost:
        out = self.new_directory()
        # Nobody pays for what the case before has left to be written, or removed.
        before = _used_at_rest(out)
        cost = self.clock(case.command(out), case.start_in)
        disk_bytes = _used_bytes(out) - before
        case.check(out)
        remove(out)
        return replace(cost, disk_bytes=disk_bytes)

    def new_directory(self) -> Path:
        numbers = [int(path.name) for path in self._results.iterdir()]
        out = self._results / f"{max(numbers, default=0) + 1:04d}"
        out.mkdir()
        return out

    @cached_property
    def _results(self) -> Path:
        results = self.place / "results"
        results.mkdir()
        return results

    def clock(self, command: Sequence[str | Path], start_in: Path = ROOT) -> Cost:
        """Runs it to its end, which must be a good one."""
        reader, writer = os.pipe()
        stopwatch = [sys.executable, "-I", "-S", str(ROOT / "bench" / "stopwatch.py"), str(writer)]
        with open(reader, encoding="ascii") as report:  # noqa: PTH123 - a pipe has no path
            try:
                done = subprocess.run(
                    [*stopwatch, *command],
                    cwd=start_in,
                    env=self.environment,
                    pass_fds=[writer],
                    capture_output=True,
                    text=True,
                    check=False,
                )
            finally:
                os.close(writer)
            if done.returncode:
                raise Wrong(f"{command[0]} ended with {done.returncode}: {(done.stderr + done.stdout).strip()[-500:]}")
            wall, cpu, peak = report.read().split()
        return Cost(float(wall), float(cpu), int(peak), done.stdout)


def _used_at_rest(place: Path) -> int:
    """XFS frees the blocks of what was removed a little later (`inodegc` in fs/xfs/xfs_icache.c)."""
    used = _used_bytes(place)
    for _ in range(_LOOKS):
        time.sleep(_PAUSE_SECONDS)
        before, used = used, _used_bytes(place)
        if abs(before - used) < _STILL_BYTES:
            break
    return used


def _used_bytes(place: Path) -> int:
    """Of the whole file system, with everything written: what two files share counts once."""
    subprocess.run(["sync", "-f", place], check=True)
    status = os.statvfs(place)
    return (status.f_blocks - status.f_bfree) * status.f_frsize


def _show(doing: str) -> None:
    """One line on a terminal, written over by the next."""
    if sys.stderr.isatty():
        sys.stderr.write(f"\r\033[K{doing}")
        sys.stderr.flush()


def sizes_beneath(place: Path) -> list[int]:
    """Of every file in a directory and those in it."""
    return [os.path.getsize(os.path.join(top, name)) for top, _, names in os.walk(place) for name in names]  # noqa: PTH118, PTH202 - of 100,000 files


def expect(what: str, found: Iterable[int], files: int, size_bytes: int) -> None:
    """Raises Wrong unless there are so many files, and so many bytes in them."""
    sizes = list(found)
    if (len(sizes), sum(sizes)) != (files, size_bytes):
        raise Wrong(f"{what}: {len(sizes)} files of {sum(sizes)} bytes, and not {files} files of {size_bytes} bytes")


def percentile(values: Sequence[float], share: float) -> float:
    """By the nearest rank.

    >>> percentile([3.0, 1.0, 2.0], 0.5), percentile([3.0, 1.0, 2.0], 0.99)
    (2.0, 3.0)
    """
    ranked = sorted(values)
    return ranked[min(len(ranked) - 1, max(0, -(-len(ranked) * int(share * 1000) // 1000) - 1))]
