"""Looks at cases for a while, in a process for each core that take every so many-th case each."""

import contextlib
import multiprocessing
import tempfile
import time
from collections.abc import Iterator, Sequence
from itertools import islice
from multiprocessing.connection import Connection
from pathlib import Path
from typing import NamedTuple

from tests.prove.techniques import TECHNIQUES, Arena, Technique, in_a_hurry


class Order(NamedTuple):
    """What is to be done by all processes together."""

    names: Sequence[str]
    """Of techniques, in this order."""
    seed: int
    seconds: float
    """For all of them; who finishes early leaves the rest to those that follow."""
    parts: int


class Wrong(NamedTuple):
    case: str
    what: str


class Found(NamedTuple):
    """What came of one technique."""

    states: int
    total: int | None
    """How many cases there are, where there is an end of them."""
    seconds: float
    wrong: list[Wrong]
    beside: str = ""
    """What else can be counted."""


def found(order: Order) -> Iterator[tuple[str, Found]]:
    """Each technique with what came of it, as soon as that is known. Ends its processes however it is left."""
    with contextlib.ExitStack() as stack:
        home = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=fast_disk())))
        parts = [stack.enter_context(_process(order, part, home / str(part))) for part in range(order.parts)]
        for name in order.names:
            yield name, together([part.recv() for part in parts])


def together(results: Sequence[Found]) -> Found:
    """What several processes found in the same time."""
    return Found(
        sum(result.states for result in results),
        results[0].total,
        max(result.seconds for result in results),
        [wrong for result in results for wrong in result.wrong],
    )


def look_again(name: str, case: str) -> list[str]:
    """What is wrong with that one case."""
    with tempfile.TemporaryDirectory(dir=fast_disk()) as home, in_a_hurry():
        return TECHNIQUES[name](Arena.made_in(Path(home))).look(case).wrong


def fast_disk() -> Path | None:
    """Thousands of exports with all their fsyncs: on tmpfs, where there is one."""
    return Path("/dev/shm") if Path("/dev/shm").is_dir() else None  # noqa: S108 - what is made in it is private


@contextlib.contextmanager
def _process(order: Order, part: int, home: Path) -> Iterator["Connection[None, Found]"]:
    spawn = multiprocessing.get_context("spawn")
    answers, sink = spawn.Pipe(duplex=False)
    process = spawn.Process(target=work, args=(order, part, home, sink), daemon=True)
    process.start()
    sink.close()  # the child's is the only one: when it dies, waiting for its answer ends
    try:
        yield answers
    finally:
        process.terminate()
        process.join()
        answers.close()


def work(order: Order, part: int, home: Path, sink: "Connection[Found, None]") -> None:
    """One process's part: an answer for each technique."""
    with contextlib.suppress(KeyboardInterrupt), in_a_hurry():
        home.mkdir()
        arena = Arena.made_in(home)
        ends_at = time.monotonic() + order.seconds
        shares = [TECHNIQUES[name].share for name in order.names]
        for number, name in enumerate(order.names):
            seconds = (ends_at - time.monotonic()) * shares[number] / sum(shares[number:])
            sink.send(_look(TECHNIQUES[name], arena, order, part, seconds))


def _look(kind: type[Technique], arena: Arena, order: Order, part: int, seconds: float) -> Found:
    """At one case at least."""
    began = time.monotonic()
    technique = kind(arena)
    states, wrong = 0, []
    for case in islice(technique.cases(order.seed), part, None, order.parts):
        looked = technique.look(case)
        states += looked.states
        wrong += [Wrong(case, what) for what in looked.wrong]
        if time.monotonic() - began >= seconds or _is_alone():
            break
    return Found(states, technique.total, time.monotonic() - began, wrong)


def _is_alone() -> bool:
    """Whether whoever gave the order was killed, and nobody waits for the answer."""
    parent = multiprocessing.parent_process()
    return parent is not None and not parent.is_alive()
