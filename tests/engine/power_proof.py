"""The proof that a loss of power does no harm: makes states, looks at them, and lets the next process go on from them.

A failure names its state: `Proof(…).violation(Cut(…))` makes it again. docs/durability.md says what is durable when.
"""

import contextlib
import json
import shutil
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import pytest

from contracts import ExportProgress, Terminal
from service.ledger import Decision
from service.storage.local import LocalStorage
from service.sweep import sweep
from tests.engine.faulty import Killed
from tests.engine.power_disk import Forgets, Operation, PowerDisk, SharingPowerDisk, careful
from tests.engine.power_model import FileSystem, Tree
from tests.engine.power_states import after_the_cut, materialise
from tests.engine.threadless import without_threads
from tests.engine.workbench import (
    FOLDER,
    REQUESTED_AT,
    Bench,
    Undisturbed,
    complaint,
    completed,
    moments,
    small_project,
    staged,
    start,
    visible,
)

MOMENT_NS = int(REQUESTED_AT.timestamp()) * 10**9
RECORD = ".exports/e1"
KEPT_RECORDINGS = 8  # megabytes each


class Story(NamedTuple):
    """What was done until the power went: processes that were killed, and one that goes through."""

    deaths: tuple[int, ...] = ()
    """For each process that was killed: instead of which of its operations."""
    shares: bool = False
    """On a file system that shares blocks."""
    after: "Cut | None" = None
    """The loss of power before this one."""


class Cut(NamedTuple):
    """Tells one state from all others, for good: the same cut gives the same state."""

    story: Story
    at: int
    """How many operations were done; all of them: then the end was announced."""
    model: str
    seed: int


class Reports(list[ExportProgress]):
    """What was reported, and after how many operations each of it."""

    def __init__(self, operations: Sequence[Operation]) -> None:
        super().__init__()
        self.moments: list[int] = []
        self._operations = operations

    def append(self, progress: ExportProgress) -> None:
        super().append(progress)
        self.moments.append(len(self._operations))


class Recording(NamedTuple):
    before: Tree
    operations: list[Operation]
    reports: Reports
    event: Terminal

    def told(self, at: int) -> "Told":
        """What others were told before the power went."""
        attempts = (
            report.attempt for report, moment in zip(self.reports, self.reports.moments, strict=True) if moment <= at
        )
        return Told(max(attempts, default=0), self.event if at == len(self.operations) else None)


class Told(NamedTuple):
    attempt: int
    end: Terminal | None


@dataclass
class Proof:
    """Makes states, looks at them, and lets the next process go on from them."""

    home: Path
    """An empty directory on a fast disk."""
    undisturbed: Undisturbed
    forgets: Forgets = careful
    looked_at: set[int] = field(default_factory=set)
    """A fingerprint of each state."""
    recordings: dict[Story, Recording] = field(default_factory=dict)

    def violations(self, cuts: Iterable[Cut]) -> Iterator[str]:
        """What is wrong with any of their states; one that comes twice is looked at once."""
        for cut in cuts:
            state = self.state(cut)
            told = self.recording(cut.story).told(cut.at)
            fingerprint = hash((cut.story, told.attempt, told.end is None, tuple(state.items())))
            if fingerprint not in self.looked_at:
                self.looked_at.add(fingerprint)
                wrong = self._wrong(cut, state)
                if wrong is not None:
                    yield wrong

    def violation(self, cut: Cut) -> str | None:
        """What is wrong with its state, in a sentence, or nothing."""
        return self._wrong(cut, self.state(cut))

    def state(self, cut: Cut) -> Tree:
        recording = self.recording(cut.story)
        return after_the_cut(FileSystem(recording.before, recording.operations[: cut.at]), cut.model, cut.seed)

    def recording(self, story: Story) -> Recording:
        if story not in self.recordings:
            recording = self._record(story)
            if len(self.recordings) >= KEPT_RECORDINGS:
                del self.recordings[next(iter(self.recordings))]
            self.recordings[story] = recording
        return self.recordings[story]

    def _record(self, story: Story) -> Recording:
        before = {} if story.after is None else self.state(story.after)
        bench = self._bench("recorded", before)
        kind = SharingPowerDisk if story.shares else PowerDisk
        operations: list[Operation] = []
        bench.seen = reports = Reports(operations)
        with up_since(story.after):
            for dies_at in story.deaths:
                with contextlib.suppress(Killed, BaseExceptionGroup):
                    bench.run(start(small_project()), kind(bench.exports, operations, dies_at, self.forgets))
            event = bench.run(start(small_project()), kind(bench.exports, operations, None, self.forgets))
        return Recording(before, operations, reports, event)

    def _wrong(self, cut: Cut, state: Tree) -> str | None:
        recording = self.recording(cut.story)
        told = recording.told(cut.at)
        bench = self._bench("left", state)
        try:
            with up_since(cut):
                wrong = next(wrong_with(bench, self.undisturbed, told, sweeps_first=cut.seed % 4 == 0), None)
        except Exception as error:  # noqa: BLE001 - whatever stops the next process, it is what is wrong
            wrong = f"the next process ends with {error!r}"
        last = recording.operations[cut.at - 1] if cut.at else "nothing"
        return wrong and f"{cut}, after {last}: {wrong}"

    def _bench(self, name: str, state: Tree) -> Bench:
        exports = self.home / name
        shutil.rmtree(exports, ignore_errors=True)
        exports.mkdir()
        materialise(state, exports)
        return Bench(self.undisturbed.media, exports, [])


@contextlib.contextmanager
def up_since(cut: Cut | None) -> Iterator[None]:
    """As on a machine that was started after it; all operations come again: none by the clock, none in a thread."""
    boots = 0
    while cut is not None:
        boots, cut = boots + 1, cut.story.after
    with pytest.MonkeyPatch.context() as patch, without_threads():
        patch.setattr(LocalStorage, "boot_id", lambda _: f"host/boot-{boots}")
        patch.setattr("service.liveness.REPORT_EVERY_SECONDS", 30.0)
        patch.setattr("service.storage.filling.ALLOCATED_FROM_BYTES", 64 * 1024)
        yield


# ---- what must hold -----------------------------------------------------------------------------------------------


def wrong_with(bench: Bench, undisturbed: Undisturbed, told: Told, *, sweeps_first: bool) -> Iterator[str]:
    """At once, and after the next process: that of the same command, or before it that of a sweep."""
    yield from _wrong_to_a_reader(bench, undisturbed, told)
    yield from _wrong_in_the_records(bench, told)
    decided = bench.outcome()
    if sweeps_first and (bench.exports / ".exports/store.json").exists():
        yield from _troubles_of_a_sweep(bench)
    event = completed(bench.run(start(small_project())))
    if visible(bench.exports) != undisturbed.tree:
        yield "the next run gave something else"
    if moments(bench.exports) != {MOMENT_NS}:
        yield "the next run gave a file of another time"
    if decided not in {None, bench.outcome()} or told.end not in (None, event):
        yield "the decision was changed"
    if any(report.attempt <= told.attempt for report in bench.seen):
        yield "the number of an attempt was used twice"
    yield from _troubles_of_a_sweep(bench)
    if left := [*staged(bench.exports), *bench.exports.glob(".exports/**/*.new"), *bench.exports.glob("**/_trash/*")]:
        yield f"a sweep left {left}"


def _wrong_to_a_reader(bench: Bench, undisturbed: Undisturbed, told: Told) -> Iterator[str]:
    seen, outcome = visible(bench.exports), bench.outcome()
    if wrong := complaint(bench.exports, undisturbed.tree):
        yield wrong
    if not moments(bench.exports) <= {MOMENT_NS}:
        yield "a reader sees a file of another time"
    if seen and outcome is None:
        yield "a reader sees what nobody decided"
    if told.end is not None and seen != undisturbed.tree:
        yield "it was announced, and is gone"
    if told.end is not None and (outcome is None or Decision.from_json(outcome).event != told.end):
        yield "what was announced is not what was decided"


def _wrong_in_the_records(bench: Bench, told: Told) -> Iterator[str]:
    for path in [*bench.exports.glob(".exports/*.json"), *bench.exports.glob(".exports/*/*.json")]:
        json.loads(path.read_bytes())  # each is whole, or not there
    if bench.outcome() is not None:
        needed = f"{RECORD}/project.json", f"{RECORD}/command.json", f".exports/_names/{FOLDER.casefold()}"
        yield from (f"it is decided, and {name} is gone" for name in needed if not (bench.exports / name).exists())
    if told.end is not None and not bench.ledger().history("p1", None, 1):
        yield "it was announced, and the project's history knows nothing of it"


def _troubles_of_a_sweep(bench: Bench) -> Iterator[str]:
    swept = sweep(bench.ledger(), datetime.now(UTC) + timedelta(seconds=1), timedelta(0))
    yield from (trouble for _, trouble in swept.troubles)
