"""Looks for a violation of what docs/reliability.md promises, as long as one likes; `make prove` runs it.

Ends with 0 only if nothing was found. Each violation is told with the command that makes it again; where a real broker
had a say in it, with the directory in which everything of it is kept.
"""

import argparse
import logging
import os
import signal
import sys
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

from tests.prove.besieging import SIEGES, Besieger, besiege, obstacle_to
from tests.prove.running import Found, Order, Wrong, found, look_again
from tests.prove.table import COMMAND, Row, cases, write_rows
from tests.prove.techniques import TECHNIQUES, Technique

PAGE = Path(__file__).parents[2] / "docs" / "reliability.md"
NAMES = [*TECHNIQUES, *SIEGES]
TOLD_AT_MOST = 10
CTRL_C, CANNOT = 130, 2


def main(words: Sequence[str] | None = None) -> int:
    arguments = _arguments(words)
    if arguments.again:
        name, case = arguments.again
        return _tell_wrong(name, [Wrong(case, what) for what in look_again(name, case)])
    obstacles = {name: why for name in arguments.only or NAMES if name in SIEGES and (why := obstacle_to(name))}
    for name, why in obstacles.items():
        print(f"{name:8} is left out: {why}", flush=True)
    if arguments.only and obstacles:
        return CANNOT
    names = [name for name in arguments.only or NAMES if name not in obstacles]
    results = _found(names, arguments.seed, arguments.minutes * 60)
    if arguments.write:
        rows = {name: Row.of(name, _kind(name).says, result, arguments.seed) for name, result in results.items()}
        write_rows(PAGE, rows, NAMES)
    return exit_code(results.values())


def exit_code(results: Iterable[Found]) -> int:
    return int(any(result.wrong for result in results))


def _found(names: Sequence[str], seed: int, seconds: float) -> dict[str, Found]:
    """First what needs processor only, in a process for each; then the sieges, in what is left of the time."""
    ends_at = time.monotonic() + seconds
    results: dict[str, Found] = {}

    def tell(name: str, result: Found) -> None:
        results[name] = result
        beside = f"  ({result.beside})" if result.beside else ""
        print(f"{name:8} {cases(result):>22}  {_violations(result):>14}  {result.seconds:6.0f} s{beside}", flush=True)
        _tell_wrong(name, result.wrong)

    alone, sieges = [name for name in names if name in TECHNIQUES], [name for name in names if name in SIEGES]
    if alone:
        share = _shares(alone) / _shares(names)
        order = Order(alone, seed, seconds * share, len(os.sched_getaffinity(0)))
        print(f"{order.seconds:,.0f} s with seed {seed} in {order.parts} processes", flush=True)
        for name, result in found(order):
            tell(name, result)
    if sieges:
        for name in ("aio_pika", "aiormq"):  # our own connections are lost all the time
            logging.getLogger(name).setLevel(logging.CRITICAL)
        left = max(0.0, ends_at - time.monotonic())
        print(f"{left:,.0f} s with seed {seed} and a RabbitMQ of its own", flush=True)
        besiege([(name, left * _shares([name]) / _shares(sieges)) for name in sieges], seed, tell)
    return results


def _shares(names: Iterable[str]) -> float:
    return sum(_kind(name).share for name in names)


def _kind(name: str) -> type[Technique] | type[Besieger]:
    return SIEGES[name] if name in SIEGES else TECHNIQUES[name]


def _arguments(words: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(COMMAND, description=__doc__)
    parser.add_argument("--minutes", type=float, default=10, help="for all techniques together (10)")
    parser.add_argument("--seed", type=int, default=1, help="other cases, or the same in another order (1)")
    parser.add_argument("--only", action="append", choices=NAMES, help="this technique; may be repeated")
    parser.add_argument(
        "--again", nargs=2, metavar=("TECHNIQUE", "CASE"), help="look at one case, as a violation names it"
    )
    parser.add_argument("--write", action="store_true", help="put what was found into the table of the page")
    arguments = parser.parse_args(words)
    if arguments.again and arguments.again[0] not in TECHNIQUES:
        parser.error(f"{arguments.again[0]}: only {', '.join(TECHNIQUES)} can be played again, case by case")
    return arguments


def _tell_wrong(name: str, wrong: Sequence[Wrong]) -> int:
    for case, what in wrong[:TOLD_AT_MOST]:
        print(f"  {what}\n    {_where(name, case)}", flush=True)
    if len(wrong) > TOLD_AT_MOST:
        print(f"  and {len(wrong) - TOLD_AT_MOST:,} more", flush=True)
    return int(bool(wrong))


def _where(name: str, case: str) -> str:
    return case if name in SIEGES else f"{COMMAND} --again {name} '{case}'"


def _violations(result: Found) -> str:
    return f"{len(result.wrong):,} violation{'' if len(result.wrong) == 1 else 's'}"


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # whoever ends this ends its processes, too
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(CTRL_C)
    except EOFError:
        sys.exit("a process of the proof died; what it said stands above")
