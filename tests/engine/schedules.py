"""Rivals at one export, stepped call by call: a seed says whose turn it is, who is frozen, and who is killed.

All stand in one thread, and who moves hands over at a call of the disk, so a seed is the same schedule whenever it is
played, and `Rivalry(…).violation(seed)` makes a failure again. For that no rival does two things at once: it has one
copier and no threads, and reports nothing by the clock.
"""

import random
import shutil
import sys
from asyncio import events
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from greenlet import getcurrent, greenlet

from contracts import ExportCancelled, ExportCompleted, ExportStart, Terminal
from service.errors import Trouble
from service.sweep import sweep
from tests.engine.faulty import Call, Killed, WatchedDisk
from tests.engine.threadless import without_threads
from tests.engine.workbench import FOLDER, Bench, images_project, small_project, staged, start, visible

CALLS_OF_A_BYSTANDER = 40
THIRDS = ("nobody", "an attempt", "a sweep", "a cancel", "a deletion")
SWITCHES = (0.01, 0.05, 0.2, 0.6)
"""How often a call is followed by somebody else's: long runs meet at few places, short ones at many."""
LOOKS = 0.01
"""How often a reader looks between two calls."""

Tree = Mapping[str, bytes | None]
Act = Callable[[WatchedDisk], object]


class Asked(NamedTuple):
    """What is to be exported, and about how many calls that takes when nothing happens."""

    name: str
    command: ExportStart
    calls: int


TWO_FILES = Asked("two files", start(images_project("1.png", "2.png")), 360)
"""Enough to be adopted one by one, and played in half of the time that the small project takes."""
SMALL_PROJECT = Asked("the small project", start(small_project()), 510)
"""With slices, a video, and something that is left out."""


class Fate(NamedTuple):
    """What befalls a rival. Its own calls are counted for where, those of all for how long."""

    begins_after: int
    frozen_at: int | None
    frozen_for: int
    killed_at: int | None


class Turns:
    """Whoever has the turn makes calls until chance gives it to somebody else. Each stands on a stack of its own."""

    def __init__(self, chance: random.Random, fates: Sequence[Fate], look: Callable[[], None]) -> None:
        self.calls: list[tuple[int, str]] = []
        """Who made which, in their order."""
        self._chance = chance
        self._switches = chance.choice(SWITCHES)
        self._fates = fates
        self._look = look
        self._sleeps_until = [fate.begins_after for fate in fates]
        self._own_calls = [0] * len(fates)
        self._hub = getcurrent()
        self._stacks: dict[int, greenlet] = {}

    def play(self, plays: Sequence[Callable[[], None]]) -> None:
        """Until all are through."""
        self._stacks = {player: greenlet(play) for player, play in enumerate(plays)}
        while self._stacks:
            player = self._somebody()
            self._stacks[player].switch()
            if self._stacks[player].dead:
                del self._stacks[player]

    def disk(self, player: int) -> WatchedDisk:
        return WatchedDisk(lambda name, real, arguments: self._call(player, name, real, arguments))

    def _somebody(self) -> int:
        awake = [player for player in self._stacks if self._sleeps_until[player] <= len(self.calls)]
        return self._chance.choice(awake or list(self._stacks))

    def _call(self, player: int, name: str, real: Call, arguments: tuple[Any, ...]) -> Any:
        self._own_calls[player] += 1
        fate = self._fates[player]
        if self._own_calls[player] == fate.frozen_at:
            self._sleeps_until[player] = len(self.calls) + fate.frozen_for
            self._hand_over(player)
        self.calls.append((player, name))
        if self._own_calls[player] == fate.killed_at:
            raise Killed  # and keeps the turn until it left: what a system does for the dead is done at once
        try:
            return real(*arguments)
        finally:
            if self._chance.random() < LOOKS:
                self._look()
            if self._chance.random() < self._switches:
                self._hand_over(player)

    def _hand_over(self, player: int) -> None:
        """Goes on when it is his turn again; his own loop, of which a thread has one, is put aside meanwhile."""
        assert self._stacks[player] is getcurrent(), "a call of the disk in a thread, of which no turn knows"
        loop, hooks = events._get_running_loop(), sys.get_asyncgen_hooks()
        events._set_running_loop(None)
        self._hub.switch()
        events._set_running_loop(loop)
        sys.set_asyncgen_hooks(*hooks)


class Played(NamedTuple):
    asked: Asked
    third: str
    ends: list[object]
    """What came of each rival: what it returned, or what ended it."""
    calls: list[tuple[int, str]]
    seen: list[Tree]
    """By a reader, in between."""
    bench: Bench


@dataclass(frozen=True)
class Rivalry:
    """Plays schedules in a directory of its own, and judges them by what is on the disk and what was told."""

    home: Path
    """On a fast disk."""
    media: Path
    trees: dict[str, Tree] = field(default_factory=dict)

    def violation(self, seed: int) -> str | None:
        """What is wrong with this schedule, in a sentence, or nothing."""
        with at_the_same_time():
            played = self.play(seed)
            try:
                wrong = next(_wrong(played, self.undisturbed(played.asked)), None)
            except Exception as error:  # noqa: BLE001 - whatever stops those who come later, it is what is wrong
                wrong = f"the next process ends with {error!r}"
        return wrong and f"schedule {seed}, {played.asked.name}, two attempts and {played.third}: {wrong}"

    def play(self, seed: int) -> Played:
        chance = random.Random(seed)
        asked = chance.choice((TWO_FILES, TWO_FILES, TWO_FILES, SMALL_PROJECT))
        third = chance.choice(THIRDS)
        bench = self._bench("rivals")
        bench.make_root()
        attempt: Act = lambda disk: bench.run(asked.command, disk)  # noqa: E731 - its type is what reads well
        acts = [attempt, attempt, *([attempt] if third == "an attempt" else _bystander(third, bench))]
        fates = [_fate(chance, asked.calls) if act is attempt else _late(chance, asked.calls) for act in acts]
        seen: list[Tree] = []
        turns = Turns(chance, fates, lambda: seen.append(visible(bench.exports)))
        return Played(asked, third, _ends(turns, acts), turns.calls, seen, bench)

    def undisturbed(self, asked: Asked) -> Tree:
        """The export that nothing happened to."""
        if asked.name not in self.trees:
            bench = self._bench("alone")
            bench.run(asked.command)
            self.trees[asked.name] = visible(bench.exports)
        return self.trees[asked.name]

    def _bench(self, name: str) -> Bench:
        exports = self.home / name
        shutil.rmtree(exports, ignore_errors=True)
        exports.mkdir(parents=True)
        return Bench(self.media, exports, [])


@contextmanager
def at_the_same_time() -> Iterator[None]:
    """Whoever lives counts as frozen, so that rivals do not wait; nothing is done by the clock or in another thread."""
    with pytest.MonkeyPatch.context() as patch, without_threads():
        patch.setattr("service.liveness.FROZEN_AFTER_SECONDS", -1.0)
        patch.setattr("service.liveness.REPORT_EVERY_SECONDS", 30.0)
        yield


# ---- who takes part -----------------------------------------------------------------------------------------------


def _bystander(third: str, bench: Bench) -> list[Act]:
    acts: dict[str, list[Act]] = {
        "nobody": [],
        "a sweep": [lambda disk: sweep(bench.ledger(disk), _in_an_hour(), timedelta(0))],
        "a cancel": [lambda disk: bench.ledger(disk).cancel("e1", "")],
        "a deletion": [lambda disk: bench.ledger(disk).delete("e1", "")],
    }
    return acts[third]


def _in_an_hour() -> datetime:
    """All that is there is old by then, however coarse the clock of the disk is."""
    return datetime.now(UTC) + timedelta(hours=1)


def _fate(chance: random.Random, calls: int) -> Fate:
    """Of an attempt that takes about so many calls."""
    begins_after = 0 if chance.random() < 0.5 else chance.randrange(calls)
    return _drawn(chance, calls, calls, begins_after)


def _late(chance: random.Random, calls: int) -> Fate:
    """Of somebody who comes into attempts that take about so many calls."""
    return _drawn(chance, CALLS_OF_A_BYSTANDER, calls, chance.randrange(2 * calls))


def _drawn(chance: random.Random, own_calls: int, calls: int, begins_after: int) -> Fate:
    return Fate(
        begins_after=begins_after,
        frozen_at=chance.randrange(1, own_calls) if chance.random() < 0.5 else None,
        frozen_for=chance.choice((20, calls, 10 * calls)),
        killed_at=chance.randrange(1, own_calls) if chance.random() < 0.3 else None,
    )


def _ends(turns: Turns, acts: Sequence[Act]) -> list[object]:
    ends: list[object] = [None] * len(acts)

    def one(player: int) -> None:
        try:
            ends[player] = acts[player](turns.disk(player))
        except BaseException as end:  # noqa: BLE001 - it is looked at by the judge
            ends[player] = _reason(end)

    turns.play([partial(one, player) for player in range(len(acts))])
    return ends


def _reason(end: BaseException) -> BaseException:
    """A death comes in groups where tasks were running."""
    while isinstance(end, BaseExceptionGroup):
        end = end.exceptions[0]
    return end


# ---- what must hold -----------------------------------------------------------------------------------------------


def _wrong(played: Played, tree: Tree) -> Iterator[str]:
    bench, command, is_deleted = played.bench, played.asked.command, played.third == "a deletion"
    yield from (f"a rival ended with {end!r}" for end in played.ends if _is_no_way_to_end(end))
    for seen in (*played.seen, visible(bench.exports)):
        if seen not in _may_be_seen(tree, is_deleted=is_deleted):
            yield f"a reader sees something half done: {sorted(seen)}"
    decided = bench.outcome()
    if is_deleted and played.ends[-1] is not None:
        bench.ledger().delete("e1", "")  # it was killed or in trouble, so it is told again
    event = bench.run(command)
    yield from _wrong_with_the_end(played, event, decided)
    wanted = tree if isinstance(event, ExportCompleted) and not is_deleted else {}
    if visible(bench.exports) != wanted:
        yield f"{event.type}, and visible is {sorted(visible(bench.exports))}"
    yield from (trouble for _, trouble in sweep(bench.ledger(), _in_an_hour(), timedelta(0)).troubles)
    if left := [*staged(bench.exports), *bench.exports.glob(".exports/**/*.new"), *bench.exports.glob("**/_trash/*")]:
        yield f"a sweep left {left}"
    if bench.run(command) != event or visible(bench.exports) != wanted:
        yield "a repeat gives something else"


def _wrong_with_the_end(played: Played, event: Terminal, decided: bytes | None) -> Iterator[str]:
    may_be_cancelled = played.third in {"a cancel", "a deletion"}
    if not isinstance(event, ExportCompleted) and not (may_be_cancelled and isinstance(event, ExportCancelled)):
        yield f"it ends as {event!r}"
    if any(isinstance(end, Terminal) and end != event for end in played.ends):
        yield "two ends were told"
    if decided not in {None, played.bench.outcome()}:
        yield "the decision was changed"


def _is_no_way_to_end(end: object) -> bool:
    return isinstance(end, BaseException) and not isinstance(end, Trouble | Killed)


def _may_be_seen(tree: Tree, *, is_deleted: bool) -> list[Tree]:
    """Nothing, the archive that comes first, all; and what is being taken away, without its archive."""
    archive = f"{FOLDER}.zip"
    without_archive = {name: content for name, content in tree.items() if name != archive}
    return [{}, {archive: tree[archive]}, tree, *([without_archive] if is_deleted else [])]
