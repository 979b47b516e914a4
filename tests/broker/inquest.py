"""Judges all exports of an exports root at once, when the last one has ended and a sweep has been there.

Stands where the oracle stands: knows the messages, the sources, the exports root and the events, and nothing of the
program.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from tests.broker.commands import Document
from tests.broker.listener import PROGRESS, TERMINALS, Event
from tests.broker.oracle import folders_by_export, judge_envelope, judge_folder

POISON_DEATHS = 5
"""So many attempts at least must have been made of an export that is given up because its workers die."""
CANCEL, DELETE = "export.cancel", "export.delete"


@dataclass(frozen=True)
class Asked:
    """An export that somebody asked for, once or several times, and what else was wished of it meanwhile."""

    message: Document
    wishes: set[str] = field(default_factory=set)

    @property
    def export_id(self) -> str:
        export_id: str = self.message["export_id"]
        return export_id

    @property
    def is_finished(self) -> bool:
        """Whether nothing of the project is still to be made."""
        sections = self.message["project"]["sections"]
        assets = [value for section in sections for sentence in section["sentences"] for value in sentence.values()]
        return all(asset["status"] == "completed" for asset in assets if isinstance(asset, dict))


@dataclass(frozen=True)
class Findings:
    """What came of it."""

    ends: Counter[str]
    """How the exports ended."""
    taken_over: int
    """So many were finished by another attempt than the first."""
    wrong: list[str]
    fell: list[str]
    """Percentages that a later attempt told below those of an earlier one. That is wrong unless the earlier one still
    lived when it was overtaken: as long as it does, it may get further than the later one knew when it began."""


def inquire(
    asked: Sequence[Asked], heard: Mapping[str, Sequence[Event]], media_root: Path, exports_root: Path
) -> Findings:
    """Everything that is wrong with any of the exports, or with what lies around."""
    folders, wrong = folders_by_export(exports_root)
    wrong += _left_behind(exports_root)
    ends: Counter[str] = Counter()
    taken_over = 0
    fell: list[str] = []
    for one in asked:
        events = heard.get(one.export_id, ())
        ends.update({event.key for event in events if event.key in TERMINALS})
        taken_over += any(event.key == "export.completed" and event.document["attempt"] > 1 for event in events)
        found = [*_told(one, events), *_kept(one, events, exports_root)]
        found += _seen(one, events, folders.pop(one.export_id, []), media_root)
        wrong += [f"{one.export_id}: {what}" for what in found]
        fell += [f"{one.export_id}: {fall.what}" for fall in _falls(events) if not fall.is_of_one_attempt]
    wrong += [f"{export_id}: nobody asked for {paths}" for export_id, paths in folders.items()]
    return Findings(ends, taken_over, wrong, fell)


# ---- what was told


def _told(asked: Asked, events: Sequence[Event]) -> Iterator[str]:
    for event in events:
        yield from judge_envelope(asked.export_id, event)
    terminals = [event for event in events if event.key in TERMINALS]
    if not terminals:
        yield "no terminal event"
    if len({(event.key, event.body) for event in terminals}) > 1:
        yield f"{len(terminals)} terminal events that differ: {sorted({event.body for event in terminals})}"
    yield from (fall.what for fall in _falls(events) if fall.is_of_one_attempt)


class _Fall(NamedTuple):
    """A snapshot with a lower percentage than the one before it."""

    what: str
    is_of_one_attempt: bool


def _falls(events: Sequence[Event]) -> Iterator[_Fall]:
    """As a listener sees it who keeps to the contract: by (is terminal, attempt, seq), the larger is the newer."""
    newest, percent = (0, 0), 0
    for event in events:
        if event.key != PROGRESS:
            return
        document = event.document
        number = (document["attempt"], document["seq"])
        if number > newest:
            if document["percent"] < percent:
                what = f"percent falls from {percent} at {newest} to {document['percent']} at {number}"
                yield _Fall(what, number[0] == newest[0])
            newest, percent = number, document["percent"]


def _kept(asked: Asked, events: Sequence[Event], exports_root: Path) -> Iterator[str]:
    """Whether it came to an end that one may come to."""
    end = next((event for event in events if event.key in TERMINALS), None)
    if end is None:
        return
    if end.key == "export.completed" and end.document["outcome"] != ("complete" if asked.is_finished else "partial"):
        yield f"left out is not what was unfinished: {end.body!r}"
    if end.key == "export.cancelled" and not asked.wishes:
        yield "cancelled, and nobody wished so"
    if end.key == "export.failed":
        attempts = list((exports_root / ".exports" / asked.export_id).glob("a-*"))
        if end.document["error"]["code"] != "poison" or len(attempts) < POISON_DEATHS:
            yield f"failed after {len(attempts)} attempts: {end.body!r}"


# ---- what is seen


def _seen(asked: Asked, events: Sequence[Event], folders: Sequence[Path], media_root: Path) -> list[str]:
    end = next((event for event in events if event.key in TERMINALS), None)
    if end is None or end.key != "export.completed" or DELETE in asked.wishes:
        return [f"visible, and it should not be: {folder.name}" for folder in folders]
    if len(folders) != 1:
        return [f"{len(folders)} folders hold it: {[folder.name for folder in folders]}"]
    return judge_folder(folders[0], asked.message, media_root, end.document)


def _left_behind(exports_root: Path) -> list[str]:
    """What no sweep took away: of attempts, of records half written, of removals; and ends that are still owed."""
    records = exports_root / ".exports"
    attempts = [file for file in records.glob("*/a-*/**/*") if file.is_file() and file.name != "lock"]
    drafts = [file for pattern in ("*.part", "*.new") for file in exports_root.rglob(pattern)]
    owed = list((records / "_owed").glob("*"))
    trash = list((records / "_trash").glob("*"))
    return [f"left behind: {file.relative_to(exports_root)}" for file in {*attempts, *drafts, *owed, *trash}]
