"""How a command answers once an export is over: the same for one that was run here and one that was heard of."""

import sys
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from cli import exits
from cli.answer import answered
from cli.show import NamedSize, called, console, show_completed
from contracts import ExportCompleted, Outcome, Terminal
from service.ledger import Decision, Ledger
from service.model import FOLDERS
from service.storage.local import LocalStorage


def answer_end(decision: Decision, root: Path | None, absent: str | None, *, as_json: bool) -> int:
    """The exit code, when the end was shown; with the tree of files where the exports `root` is at hand."""
    event = decision.event
    if as_json:
        code = answered(exits.COMPLETE, lambda: say_out(decision.body.decode()))
        return _say_absent(absent) if absent else code or _exit_code(event)
    if not isinstance(event, ExportCompleted):
        say(f"{event.error.title}: {event.error.detail}")
        return exits.FAILED
    if absent:
        return _say_absent(absent)
    files = None if root is None else _files_of(root, event.folder.name)
    where = event.folder.uri if root is None else str(root / event.folder.name)
    return answered(_exit_code(event), lambda: show_completed(console(), event, files, where))


def _say_absent(sentence: str) -> int:
    say(sentence)
    return exits.FAILED


def _exit_code(event: Terminal) -> int:
    return exit_code_of(event.outcome) if isinstance(event, ExportCompleted) else exits.FAILED


def exit_code_of(outcome: Outcome) -> int:
    return exits.COMPLETE if outcome is Outcome.COMPLETE else exits.PARTIAL


def _files_of(root: Path, folder: str) -> Sequence[NamedSize]:
    with closing(LocalStorage({}, root)) as storage:
        names = set(storage.names(folder)) - set(FOLDERS.values())
        for inner in FOLDERS.values():
            names |= {f"{inner}/{name}" for name in storage.names(f"{folder}/{inner}")}
        versions = {name: storage.version(f"{folder}/{name}") for name in sorted(names)}
    return [(name, version.size_bytes) for name, version in versions.items() if version]


def absent_of(event: Terminal, ledger: Ledger, root: Path, instead: str) -> str | None:
    """Of an export that was made before and is told again: that it is no longer there, in a sentence.

    `instead` says how to come by a new one.
    """
    if not isinstance(event, ExportCompleted):
        return None
    if not (root / event.folder.name).is_dir():
        what = "it is"
    elif event.archive and not (root / event.archive.name).is_file():
        what = f"its {called(event.archive.layout)} is"
    else:
        return None
    moment = event.at.replace(tzinfo=None).isoformat(sep=" ", timespec="minutes")
    why = ledger.gone(event.export_id)
    reason = f" ({why})" if why else ""
    return f"This export was made at {moment} UTC, and {what} no longer there{reason}; for a new one {instead}"


def say_out(answer: str) -> None:
    """Prints the answer."""
    print(answer)  # noqa: T201 - the answer


def say(sentence: str) -> None:
    """Tells a person, beside the answer."""
    print(sentence, file=sys.stderr)  # noqa: T201 - told to a person
