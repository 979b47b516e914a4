"""A round of a siege: customers ask for exports, something bad goes on, then it is calm, and all of it is judged.

What was bad cannot be played again move by move, for broker and scheduler have a say in it. So a round in which
anything was wrong is kept: exports root, events, logs of all workers and of the node, and what was done when.
"""

import asyncio
import json
import re
import shutil
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import chain
from pathlib import Path
from random import Random
from time import monotonic

from service.ledger import Ledger
from service.storage.local import LocalStorage
from service.sweep import sweep
from tests.broker.commands import Document, make_exports_root
from tests.broker.inquest import inquire
from tests.broker.node import PrivateNode
from tests.broker.workers import GATEWAY_USER, USER
from tests.house.repository import ROOT
from tests.prove.customers import Customers, Ears, Sender, small_projects
from tests.prove.forks import Fork, Forks
from tests.prove.running import Found, Wrong

KEPT = ROOT / "build" / "prove"
LAST_ENDS_SECONDS = 90.0
"""How long the last exports may take when nothing bad happens any more."""
CALM_WORKERS = 2
SHORTEST_ROUND_SECONDS = 3.0
PAUSE_SECONDS = 0.2
# What a worker says that no operator should have to read. A task's own logger, too: nobody looked at its error.
COMPLAINT = re.compile(r"Traceback|unexpected error|never retrieved|never awaited")


@dataclass(frozen=True)
class Ground:
    """What all sieges share: a node of their own, whoever forks workers, and a place on a fast disk."""

    node: PrivateNode
    forks: Forks
    home: Path


@dataclass(frozen=True)
class Place:
    """The roots of a round."""

    media: Path
    exports: Path


@dataclass
class Round:
    """What goes on in one, as who besieges sees it."""

    siege: "Siege"
    ground: Ground
    home: Path
    place: Place
    random: Random
    over: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when whoever besieges shall come to an end."""
    tally: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)

    @property
    def node(self) -> PrivateNode:
        return self.ground.node

    @property
    def forks(self) -> Forks:
        return self.ground.forks

    async def worker(self, name: str, aim: str | None = None, port: int | None = None) -> Fork:
        """A new worker in the place `name`; with `port`, it finds the node there."""
        settings: dict[str, object] = {
            "broker_url": self.node.url(USER, port),
            "heartbeat_seconds": 1,
            "media_root": self.place.media,
            "exports_root": self.place.exports,
            "health_port": 0,
            "worker_name": name,
            "probe_seconds": 0.5,
            "patience_seconds": 2,
        }
        environment = {f"EXPORT_{key.upper()}": str(value) for key, value in settings.items()}
        log, frozen_after = self.home / f"{name}.log", self.siege.frozen_after_seconds
        fork = await self.forks.fork(name, environment, log, aim, frozen_after)
        self.note(f"{name} is {fork.pid}{f', to be killed: {aim}' if aim else ''}")
        return fork

    def note(self, move: str) -> None:
        """For whoever looks at the round later."""
        with (self.home / "moves.txt").open("a") as file:
            file.write(f"{datetime.now(UTC):%H:%M:%S.%f} {move}\n")

    async def pause(self, seconds: float) -> bool:
        """Whether the siege goes on after that."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self.over.wait(), seconds)
        return not self.over.is_set()


class Siege:
    """Something bad that goes on."""

    says: str
    """In the table."""
    share: int
    """Of the time, beside the others."""
    case: str
    """What of the tally is a case."""
    beside: dict[str, str]
    """What else of it is told, in which words."""
    customers = 12
    frozen_after_seconds = 60.0
    """As long as that a worker may do nothing without being overtaken; the service's own figure."""
    round_seconds = 30.0

    def obstacle(self) -> str | None:
        """Why it cannot be done on this machine."""
        return None

    @contextmanager
    def place(self, home: Path) -> Iterator[Place]:
        """The roots, while the block runs."""
        (home / "media").mkdir()
        yield Place(home / "media", make_exports_root(home / "exports"))

    def projects(self, media: Path) -> list[Document]:
        """Of which customers ask for exports."""
        return small_projects(media)

    async def besiege(self, this: Round) -> None:
        """Until the round is over; then everything is there again, and no worker."""
        raise NotImplementedError

    async def go_on(self, ground: Ground, name: str, seed: int, seconds: float) -> Found:
        """Round after round, each with a name of its own, from which everything in it is drawn."""
        began = monotonic()
        tally: Counter[str] = Counter()
        wrong: list[Wrong] = []
        number = 0
        while not number or monotonic() - began < seconds:
            number += 1
            round_seconds = min(self.round_seconds, max(SHORTEST_ROUND_SECONDS, seconds - (monotonic() - began)))
            this = await played(self, ground, f"{name}-seed{seed}-round{number}", round_seconds)
            tally += this.tally
            wrong += [Wrong(f"kept in {KEPT.relative_to(ROOT)}/{this.home.name}", what) for what in this.wrong]
        return Found(tally[self.case], None, monotonic() - began, wrong, self.told(tally))

    def told(self, tally: Counter[str]) -> str:
        return ", ".join(f"{tally[what]:,} {words}" for what, words in self.beside.items() if tally[what])


async def played(siege: Siege, ground: Ground, name: str, seconds: float) -> Round:
    """One round: it begins with its `name`, from which everything is drawn, and goes on for so long."""
    home = ground.home / name
    home.mkdir()
    born = Counter(ground.forks.counted)
    try:
        with siege.place(home) as place:
            this = Round(siege, ground, home, place, Random(name))
            async with Ears(ground.node.url()) as ears, Sender(ground.node.url(GATEWAY_USER)) as sender:
                projects = siege.projects(place.media)
                customers = Customers(name, Random(f"{name} customers"), sender, ears, projects)
                await _asked_and_answered(siege, this, customers, seconds)
            await asyncio.to_thread(_judge, this, customers)
            this.tally += ground.forks.counted - born
            if this.wrong:
                await asyncio.to_thread(_keep, this, customers, KEPT / name)
    finally:
        shutil.rmtree(home)
    return this


async def _asked_and_answered(siege: Siege, this: Round, customers: Customers, seconds: float) -> None:
    until = monotonic() + seconds
    asking = asyncio.create_task(customers.keep_asking(siege.customers, until))
    try:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(siege.besiege(this))
            await asyncio.wait([asking], timeout=seconds)
            this.over.set()
        this.note("it is calm")
        await _calm(this, asking)
    finally:
        asking.cancel()
        await asyncio.wait([asking])


async def _calm(this: Round, asking: "asyncio.Task[None]") -> None:
    """Returns when the last export has ended and no message is left, or when that took too long."""
    until = monotonic() + LAST_ENDS_SECONDS
    while True:
        for number in range(CALM_WORKERS):
            await this.worker(f"calm{number + 1}")
        await asyncio.wait([asking], timeout=max(0.0, until - monotonic()))
        while await _left(this) and monotonic() < until:
            pass
        await this.forks.stop_all()  # what they still held comes back
        left = await _left(this) or await _left(this)
        if monotonic() > until or not left:
            break
    this.wrong += [f"{count} message(s) left in {queue}" for queue, count in left.items()]
    this.wrong += this.forks.strange
    this.forks.strange.clear()


async def _left(this: Round) -> dict[str, int]:
    await asyncio.sleep(PAUSE_SECONDS)  # the broker notices a closed connection in its own time
    return {queue: count for queue, count in (await this.node.depths()).items() if count}


def _judge(this: Round, customers: Customers) -> None:
    exports = this.place.exports
    with closing(LocalStorage({}, exports)) as storage:
        swept = sweep(Ledger(storage), datetime.now(UTC), timedelta(0))
    this.wrong += [f"{export_id}: its end was told, and it was not visible" for export_id in swept.published]
    this.wrong += [f"{export_id}: cannot be swept: {why}" for export_id, why in swept.troubles]
    findings = inquire(customers.asked, customers.ears.heard, this.place.media, exports)
    this.wrong += findings.wrong
    if this.siege.frozen_after_seconds < Siege.frozen_after_seconds:
        this.tally["fell"] += len(findings.fell)  # who was overtaken may still live
    else:
        this.wrong += findings.fell
    this.tally += findings.ends
    this.tally["exports"] += len(customers.asked)
    this.tally["taken over"] += findings.taken_over
    for log in sorted(this.home.glob("*.log")):
        this.wrong += [f"{log.name}: {line}" for line in log.read_text().splitlines() if COMPLAINT.search(line)]


def _keep(this: Round, customers: Customers, where: Path) -> None:
    shutil.rmtree(where, ignore_errors=True)
    shutil.copytree(this.home, where, symlinks=True)
    shutil.copyfile(this.node.log, where / "node.log")
    (where / "wrong.txt").write_text("\n".join(this.wrong) + "\n")
    with (where / "events.jsonl").open("w") as file:
        for event in chain.from_iterable(customers.ears.heard.values()):
            json.dump({"arrived": event.arrived, "key": event.key, "body": event.document}, file)
            file.write("\n")
