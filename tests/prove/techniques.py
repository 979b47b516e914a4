"""What is proved, and how: each technique has cases, by name, and says what is wrong with one of them.

The short forms of the same are in tests/engine; `make test` runs them.
"""

import contextlib
import random
import shutil
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count, product
from pathlib import Path
from typing import NamedTuple, Protocol

import pytest

from service.errors import Trouble
from tests.engine.deaths import Death, LivingDisk
from tests.engine.faulty import FaultyDisk, Killed, SharingDisk, WatchedDisk
from tests.engine.power_cuts import drawn
from tests.engine.power_proof import Proof
from tests.engine.schedules import Rivalry
from tests.engine.test_every_fault import (
    FAULTS,
    befallen,
    calls_that_share,
    disturbed_once,
    fresh,
    killed_twice,
)
from tests.engine.test_faults_of_records import OPERATIONS, asked_once, calls_of
from tests.engine.test_space import SmallDisk
from tests.engine.threadless import without_threads
from tests.engine.workbench import (
    Bench,
    Undisturbed,
    complaint,
    completed,
    images_project,
    make_media,
    small_project,
    start,
    visible,
)

STATES_A_BATCH = 30
"""Six of them share a recording."""


class Looked(NamedTuple):
    """What came of a case: how many states it was, and what is wrong with any of them."""

    states: int
    wrong: list[str]


@dataclass(frozen=True)
class Arena:
    """A directory on a fast disk, and the export that nothing happened to."""

    home: Path
    undisturbed: Undisturbed

    @classmethod
    def made_in(cls, home: Path) -> "Arena":
        make_media(home / "media")
        return cls(home, Undisturbed.of(home / "media", home / "undisturbed"))

    def empty(self, name: str) -> Path:
        place = self.home / name
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir()
        return place


class Technique(Protocol):
    """A way to look for what goes wrong."""

    says: str
    """In the table."""
    share: int
    """Of the time, beside those of the others."""

    def __init__(self, arena: Arena) -> None: ...

    def cases(self, seed: int) -> Iterator[str]:
        """In the order of the seed; each tells its case from all others, for good."""

    @property
    def total(self) -> int | None:
        """How many there are; nothing where there is no end of them."""

    def look(self, case: str) -> Looked: ...


class Faults:
    """Every call of an export, and of what is asked of its records, with every fault that can befall it."""

    says = "every operation × every fault"
    share = 4
    EXPORT, SHARING = "export", "export that shares blocks"

    def __init__(self, arena: Arena) -> None:
        self._arena = arena
        self._cases = list(self._all())
        self.total: int | None = len(self._cases)

    def _all(self) -> Iterator[str]:
        home, undisturbed = self._arena.home, self._arena.undisturbed
        calls = {self.EXPORT: undisturbed.calls, self.SHARING: calls_that_share(undisturbed, home)}
        calls |= {name: calls_of(name, undisturbed, home) for name in OPERATIONS}
        for where, name in product(calls, FAULTS):
            yield from (f"{where}, {name}, {at}" for at in befallen(name, calls[where]))

    def cases(self, seed: int) -> Iterator[str]:
        return iter(random.Random(seed).sample(self._cases, len(self._cases)))

    def look(self, case: str) -> Looked:
        where, name, at = case.split(", ")
        home, undisturbed = self._arena.home, self._arena.undisturbed
        if where in OPERATIONS:
            return _looked(lambda: asked_once(where, name, int(at), undisturbed, home))
        disk = (SharingDisk if where == self.SHARING else FaultyDisk)(int(at), FAULTS[name].fault)
        return _looked(lambda: disturbed_once(disk, undisturbed, home, case))


class Pairs:
    """A process that is killed at any call or in the midst of it, and the next one, too.

    A case stands for all pairs that leave the same, because nothing was changed between their deaths.
    """

    says = "pairs of kills"
    share = 3

    def __init__(self, arena: Arena) -> None:
        self._arena = arena
        alone = LivingDisk()
        with without_threads():
            fresh(arena.undisturbed, arena.home).run(start(small_project()), alone)
        self._firsts = alone.deaths()
        self._known: dict[Death, dict[Death, int]] = {}

    @property
    def total(self) -> int | None:
        """Of pairs."""
        return sum(stand_for * sum(self._seconds(first).values()) for first, stand_for in self._firsts.items())

    def _seconds(self, first: Death) -> dict[Death, int]:
        """How the next process may die: it has more to do than an undisturbed export, or less."""
        if first not in self._known:
            bench = fresh(self._arena.undisturbed, self._arena.home)
            living = LivingDisk()
            with without_threads():
                with contextlib.suppress(Killed):
                    bench.run(start(small_project()), first.disk())
                bench.run(start(small_project()), living)
            self._known[first] = living.deaths()
        return self._known[first]

    def cases(self, seed: int) -> Iterator[str]:
        pairs = [(first, second) for first in self._firsts for second in self._seconds(first)]
        random.Random(seed).shuffle(pairs)
        yield from (f"{first}, {second}" for first, second in pairs)

    def look(self, case: str) -> Looked:
        first, second = map(Death.named, case.split(", "))
        with without_threads():
            looked = _looked(lambda: killed_twice(first, second, self._arena.undisturbed, self._arena.home))
        return looked._replace(states=self.stands_for(case))

    def stands_for(self, case: str) -> int:
        """How many pairs leave the same."""
        first, second = map(Death.named, case.split(", "))
        return self._firsts[first] * self._seconds(first)[second]


class Space:
    """A disk that is full from any byte on, and later has room."""

    says = "a full disk at every byte"
    share = 2

    def __init__(self, arena: Arena) -> None:
        self._media = arena.empty("few")
        (self._media / "1.png").write_bytes(b"first")
        (self._media / "2.png").write_bytes(b"second")
        self._command = start(images_project("1.png", "2.png"))
        self._arena = arena
        roomy = SmallDisk(1 << 40)
        self._tree = visible(self._run(roomy).exports)
        self.total: int | None = roomy.written_bytes

    def _run(self, disk: WatchedDisk) -> Bench:
        bench = Bench(self._media, self._arena.empty("full"), [])
        with contextlib.suppress(Trouble):
            bench.run(self._command, disk)
        return bench

    def cases(self, seed: int) -> Iterator[str]:
        assert self.total is not None
        return map(str, random.Random(seed).sample(range(self.total), self.total))

    def look(self, case: str) -> Looked:
        return _looked(lambda: self._full_at(int(case)))

    def _full_at(self, room_bytes: int) -> None:
        bench = self._run(SmallDisk(room_bytes))
        wrong = complaint(bench.exports, self._tree)
        assert wrong is None, wrong
        completed(bench.run(self._command))
        assert visible(bench.exports) == self._tree, "the next run gave something else"


class Power:
    """What a disk may hold when the power was gone after any operation. A case is a batch of states that are drawn."""

    says = "states after a loss of power"
    share = 4
    total: int | None = None

    def __init__(self, arena: Arena) -> None:
        self._arena = arena

    def cases(self, seed: int) -> Iterator[str]:
        return map(str, count(seed))

    def look(self, case: str) -> Looked:
        proof = Proof(self._arena.empty("power"), self._arena.undisturbed)
        wrong = list(proof.violations(drawn(proof, STATES_A_BATCH, random.Random(int(case)))))
        return Looked(len(proof.looked_at), wrong)


class Rivals:
    """Two and three attempts, a sweep, a cancel or a deletion in an order that is drawn, frozen and killed."""

    says = "schedules of rivals"
    share = 5
    total: int | None = None

    def __init__(self, arena: Arena) -> None:
        self._rivalry = Rivalry(arena.empty("rivalry"), arena.undisturbed.media)

    def cases(self, seed: int) -> Iterator[str]:
        return map(str, count(seed))

    def look(self, case: str) -> Looked:
        wrong = self._rivalry.violation(int(case))
        return Looked(1, [wrong] if wrong else [])


TECHNIQUES: dict[str, type[Technique]] = {
    "faults": Faults,
    "space": Space,
    "power": Power,
    "rivals": Rivals,
    "pairs": Pairs,
}
"""First those that come to an end within minutes: they leave their time to the others."""


def _looked(act: Callable[[], None]) -> Looked:
    try:
        act()
    except Exception as wrong:  # noqa: BLE001 - whatever it is, it should not have been
        line = traceback.extract_tb(wrong.__traceback__)[-1].line
        return Looked(1, [f"{type(wrong).__name__} {wrong}, in “{line}”"])
    return Looked(1, [])


@contextlib.contextmanager
def in_a_hurry() -> Iterator[None]:
    """Second looks and new tries come at once, and no reports by the clock: a case has the same calls each time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("service.liveness.REPORT_EVERY_SECONDS", 30.0)
        patch.setattr("service.export.BACK_OFF_SECONDS", (0.01, 0.01))
        patch.setattr("service.survey._LOOK_AGAIN_AFTER_SECONDS", (0.01, 0.01))
        yield
