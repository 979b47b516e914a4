"""Every system call of what others ask of the records, killed, failed and shortened in turn; then asked once more."""

import contextlib
from collections.abc import Callable, Container, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import pytest

from contracts import Error, ErrorCode, ExportCancelled, ExportCompleted, ExportFailed, Stage
from service.errors import Conflict, Trouble
from service.ledger import Ledger
from service.sweep import sweep
from tests.engine.faulty import FaultyDisk, Killed, dying
from tests.engine.test_every_fault import FAULTS, befallen, fresh, thinned
from tests.engine.threadless import without_threads
from tests.engine.workbench import (
    FOLDER,
    REQUESTED_AT,
    Bench,
    Undisturbed,
    small_project,
    staged,
    start,
    visible,
)


class Operation(NamedTuple):
    """Something that is asked of the ledger. Done once more after any fault, it holds what it promised."""

    prepare: Callable[[Bench], object]
    do: Callable[[Ledger], object]
    may_be_seen: Callable[[Mapping[str, bytes | None]], Container[Mapping[str, bytes | None]]]
    """At any time, by a reader, of what an undisturbed export is."""
    holds: Callable[[Bench], object]
    step: int = 1
    """The short form takes each so many-th of the calls."""


AT = REQUESTED_AT + timedelta(minutes=1)
INVALID = Error(
    code=ErrorCode.INVALID_MESSAGE, title="Not valid", detail="project", stage=Stage.ACCEPTING, retryable=False
)


def _refused(bench: Bench) -> None:
    decided = bench.outcome()
    decision = bench.ledger().refuse("e1", "one", INVALID, "p1", AT + timedelta(days=1))
    assert isinstance(decision.event, ExportFailed)
    assert decided in {None, bench.outcome()}
    assert bench.ledger().refuse("e1", "one", INVALID, "p1", AT).body == decision.body
    with pytest.raises(Conflict):
        bench.run(start(small_project()))


def _deleted(bench: Bench) -> None:
    decided = bench.outcome()
    bench.ledger().delete("e1", "")
    assert visible(bench.exports) == {}
    event = bench.run(start(small_project()))
    assert isinstance(event, ExportCancelled if decided is None else ExportCompleted)
    assert decided in {None, bench.outcome()}
    assert visible(bench.exports) == {}
    assert sweep(bench.ledger(), datetime.now(UTC), timedelta(0)).troubles == []
    assert staged(bench.exports) == []
    assert list((bench.exports / ".exports").glob("_trash/*")) == []


def _cancelled(bench: Bench) -> None:
    bench.ledger().cancel("e1", "")
    event = bench.run(start(small_project()))
    assert isinstance(event, ExportCancelled)
    assert bench.run(start(small_project())) == event
    assert visible(bench.exports) == {}
    _swept_clean(bench)


def _finished(bench: Bench) -> None:
    decided = bench.outcome()
    _sweep(bench.ledger())
    event = bench.run(start(small_project()))
    assert isinstance(event, ExportCompleted)
    assert decided in {None, bench.outcome()}
    assert {FOLDER, f"{FOLDER}.zip"} <= visible(bench.exports).keys()
    _swept_clean(bench)
    assert bench.run(start(small_project())) == event


def _sweep(ledger: Ledger) -> list[tuple[str, str]]:
    """All that is there is old by then."""
    return sweep(ledger, datetime.now(UTC) + timedelta(hours=1), timedelta(0)).troubles


def _swept_clean(bench: Bench) -> None:
    assert _sweep(bench.ledger()) == []
    assert staged(bench.exports) == []
    assert list((bench.exports / ".exports").glob("**/*.new")) == []


def _told(bench: Bench) -> None:
    ledger = bench.ledger()
    ledger.owe("e1")
    assert ledger.owed() == ["e1"]
    ledger.told("e1")
    assert ledger.owed() == []


def _owe_and_tell(ledger: Ledger) -> None:
    ledger.owe("e1")
    ledger.owe_again("e1")
    ledger.owed_since("e1")
    ledger.told("e1")


def _dies(call: str, ending: str) -> Callable[[Bench], None]:
    def dies(bench: Bench) -> None:
        with contextlib.suppress(Killed, BaseExceptionGroup):
            bench.run(start(small_project()), dying(call, ending))

    return dies


def _nothing(_: Mapping[str, bytes | None]) -> Container[Mapping[str, bytes | None]]:
    return [{}]


def _less_and_less(tree: Mapping[str, bytes | None]) -> Container[Mapping[str, bytes | None]]:
    """All, the archive without its folder, nothing: and never half a folder."""
    archive = f"{FOLDER}.zip"
    return [tree, {name: tree[name] for name in tree if name != archive}, {archive: tree[archive]}, {}]


def _more_and_more(tree: Mapping[str, bytes | None]) -> Container[Mapping[str, bytes | None]]:
    """Nothing, the archive, all."""
    archive = f"{FOLDER}.zip"
    return [{}, {archive: tree[archive]}, tree]


OPERATIONS = {
    "refuse": Operation(
        Bench.make_root, lambda ledger: ledger.refuse("e1", "one", INVALID, "p1", AT), _nothing, _refused
    ),
    "delete what is finished": Operation(
        lambda bench: bench.run(start(small_project())),
        lambda ledger: ledger.delete("e1", ""),
        _less_and_less,
        _deleted,
    ),
    "delete what is decided": Operation(
        _dies("link", "/a-000001/archive"), lambda ledger: ledger.delete("e1", ""), _nothing, _deleted
    ),
    "delete what is under way": Operation(
        _dies("open", "/archive.part"), lambda ledger: ledger.delete("e1", ""), _nothing, _deleted
    ),
    "delete what nobody asked for": Operation(
        Bench.make_root, lambda ledger: ledger.delete("e1", ""), _nothing, _deleted
    ),
    "cancel what is under way": Operation(
        _dies("open", "/archive.part"), lambda ledger: ledger.cancel("e1", ""), _nothing, _cancelled
    ),
    "sweep what is decided": Operation(_dies("link", "/a-000001/archive"), _sweep, _more_and_more, _finished, step=4),
    "sweep what is abandoned": Operation(_dies("open", "/archive.part"), _sweep, _nothing, _finished, step=4),
    "owe and tell": Operation(Bench.make_root, _owe_and_tell, _nothing, _told),
}


@pytest.mark.slow
@pytest.mark.parametrize("fault_name", FAULTS)
@pytest.mark.parametrize("name", OPERATIONS)
def test_what_is_asked_of_the_records_survives_a_fault_at_every_call(
    name: str, fault_name: str, undisturbed: Undisturbed, memory_disk: Path
) -> None:
    calls = calls_of(name, undisturbed, memory_disk)
    assert len(calls) > 5
    for at in thinned(fault_name, befallen(fault_name, calls))[:: OPERATIONS[name].step]:
        asked_once(name, fault_name, at, undisturbed, memory_disk)


def calls_of(name: str, undisturbed: Undisturbed, memory_disk: Path) -> list[str]:
    """Those of an operation that nothing happens to."""
    counted = FaultyDisk()
    OPERATIONS[name].do(_prepared(OPERATIONS[name], undisturbed, memory_disk).ledger(counted))
    return counted.calls


def asked_once(name: str, fault_name: str, at: int, undisturbed: Undisturbed, memory_disk: Path) -> None:
    """With that fault at that call; then once more. The records have no threads."""
    operation = OPERATIONS[name]
    with without_threads():
        bench = _prepared(operation, undisturbed, memory_disk)
        with contextlib.suppress(Trouble, Killed):
            operation.do(bench.ledger(FaultyDisk(at, FAULTS[fault_name].fault)))
        assert visible(bench.exports) in operation.may_be_seen(undisturbed.tree), f"{name}: {fault_name} at call {at}"
        operation.holds(bench)


def _prepared(operation: Operation, undisturbed: Undisturbed, memory_disk: Path) -> Bench:
    bench = fresh(undisturbed, memory_disk)
    operation.prepare(bench)
    return bench
