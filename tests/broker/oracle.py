"""A judge of exports from outside: knows the message that was published, the sources, the exports root and the events.

Imports nothing of the program: what it says rests on the contract as it is written down, not on the code under test.
"""

import asyncio
import json
import re
import time
import zipfile
import zlib
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

from tests.broker.commands import FOLDERS, Document
from tests.broker.listener import PROGRESS, TERMINALS, Event

REASONS = {"pending", "generating", "failed", "missing", "unreadable", "stale", "excluded", "in_section_audio"}
READ_BYTES = 1 << 20
SETTLE_SECONDS = 20.0  # a shared disk may stall for seconds
PAUSE_SECONDS = 0.1


class Queues(Protocol):
    """Whoever can say what waits or is held in our queues."""

    async def left_over(self) -> dict[str, int]: ...


async def judge(
    export_id: str,
    message: Document,
    media_root: Path,
    exports_root: Path,
    events: Sequence[Event],
    node: Queues,
) -> list[str]:
    """Everything that is wrong with how the export ended; nothing of it should be found."""
    found = judge_events(export_id, events)
    found += await _once_settled(lambda: _what_lies_in(node))
    found += await _once_settled(lambda: _left_in_attempts(exports_root, export_id))
    return found + await asyncio.to_thread(judge_disk, export_id, message, media_root, exports_root, events)


async def _once_settled(look: Callable[[], Awaitable[list[str]]]) -> list[str]:
    deadline = time.monotonic() + SETTLE_SECONDS
    while (found := await look()) and time.monotonic() < deadline:  # noqa: ASYNC110 (a disk tells nobody)
        await asyncio.sleep(PAUSE_SECONDS)
    return found


async def _what_lies_in(node: Queues) -> list[str]:
    return [f"{count} message(s) left in {queue}" for queue, count in (await node.left_over()).items()]


async def _left_in_attempts(exports_root: Path, export_id: str) -> list[str]:
    attempts = (exports_root / ".exports" / export_id).glob("a-*")
    files = [file for attempt in attempts for file in attempt.rglob("*") if file.is_file() and file.name != "lock"]
    return [f"left over: {file.relative_to(exports_root)}" for file in files]


# ---- events


def judge_events(export_id: str, events: Sequence[Event]) -> list[str]:
    """What is wrong with the events of one export, in the order of their arrival."""
    ours = [event for event in events if event.export_id == export_id]
    terminals = [event for event in ours if event.key in TERMINALS]
    progress = [event for event in ours if event.key == PROGRESS]
    found = [wrong for event in ours for wrong in judge_envelope(export_id, event)]
    if not terminals:
        return [*found, "no terminal event"]
    if len({(event.key, event.body) for event in terminals}) > 1:
        found.append(f"{len(terminals)} terminal events that differ: {sorted({event.key for event in terminals})}")
    return found + _progress(progress, terminals[0])


def judge_envelope(export_id: str, event: Event) -> Iterator[str]:
    """AMQP's properties and the CloudEvents headers, as contracts/README.md has them."""
    document = event.document
    parts = [export_id, event.key]
    if event.key == PROGRESS:
        parts += [str(document["attempt"]), str(document["seq"])]
    expected = {
        "message_id": (event.message_id, ":".join(parts)),
        "correlation_id": (event.correlation_id, export_id),
        "content_type": (event.content_type, "application/json"),
        "persistent": (event.is_persistent, event.key != PROGRESS),
        "ce-specversion": (event.headers.get("ce-specversion"), "1.0"),
        "ce-type": (event.headers.get("ce-type"), event.key),
        "ce-id": (event.headers.get("ce-id"), ":".join(parts)),
        "ce-subject": (event.headers.get("ce-subject"), export_id),
        "ce-dataschema": (event.headers.get("ce-dataschema"), f"urn:export-service:{event.key}:{document['version']}"),
        "ce-source given": (bool(event.headers.get("ce-source")), True),
        "ce-time given": (bool(event.headers.get("ce-time")), True),
    }
    for what, (is_, should) in expected.items():
        if is_ != should:
            yield f"{event.key}: {what} is {is_!r}, not {should!r}"


def _seen(progress: Sequence[Event]) -> Iterator[int]:
    """The percentages that a listener shows who keeps to the contract: the larger (attempt, seq) is the newer.

    Of two attempts that began at once, the one with the smaller number is not looked at any more.
    """
    newest = (0, 0)
    for event in progress:
        number = (event.document["attempt"], event.document["seq"])
        if number > newest:
            newest = number
            yield event.document["percent"]


def _progress(progress: Sequence[Event], terminal: Event) -> list[str]:
    found = []
    snapshots = {(event.document["attempt"], event.document["seq"]): event.document for event in progress}
    if len(snapshots) < len({event.body for event in progress}):
        found.append("two snapshots have the same (attempt, seq)")
    percents = list(_seen(progress))
    if percents != sorted(percents):
        found.append(f"percent falls: {percents}")
    if 100 in percents and terminal.key != "export.completed":
        found.append(f"100 percent of an export that ended as {terminal.key}")
    # An attempt that was overtaken may not know yet; the one that decided does.
    late = [e for e in progress if e.arrived > terminal.arrived and e.document["attempt"] == _attempt(terminal)]
    if late:
        found.append(f"{len(late)} snapshot(s) of the deciding attempt came after the terminal event")
    return found


def _attempt(terminal: Event) -> int:
    attempt: int = terminal.document["attempt"]
    return attempt


# ---- the disk


class Wanted(NamedTuple):
    """An asset of the project."""

    seq: int
    kind: str
    asset: Document


def judge_disk(
    export_id: str, message: Document, media_root: Path, exports_root: Path, events: Sequence[Event]
) -> list[str]:
    """What is wrong with what is visible beneath the exports root."""
    found = [f"visible before it is whole: {file}" for file in _visible(exports_root, "*.part")]
    by_export, strangers = folders_by_export(exports_root)
    folders = by_export.get(export_id, [])
    found += strangers
    terminal = next((event for event in events if event.export_id == export_id and event.key in TERMINALS), None)
    if terminal is None or terminal.key != "export.completed":
        return found + [f"visible without being completed: {folder.name}" for folder in folders]
    if len(folders) != 1:
        return [*found, f"{len(folders)} folders hold this export: {[folder.name for folder in folders]}"]
    return found + judge_folder(folders[0], message, media_root, terminal.document)


def judge_folder(folder: Path, message: Document, media_root: Path, terminal: Document) -> list[str]:
    """What is wrong with the folder of an export that was told to be completed, by its sources and by what was told."""
    return _folder(folder, message, media_root) + _as_told(folder, message, terminal)


def _visible(root: Path, pattern: str) -> list[Path]:
    paths = [path.relative_to(root) for path in root.rglob(pattern)]
    return [path for path in paths if not path.parts[0].startswith(".")]


def folders_by_export(root: Path) -> tuple[dict[str, list[Path]], list[str]]:
    """The visible folders of each export, and what is visible and belongs to nobody."""
    folders: dict[str, list[Path]] = {}
    strangers: list[str] = []
    for place in sorted(path for path in root.iterdir() if not path.name.startswith(".")):
        if place.suffix == ".zip" and (root / place.stem).is_dir():
            continue
        if not re.fullmatch(r"export_.+", place.name) or not (place / "manifest.json").is_file():
            strangers.append(f"visible, and no whole export: {place.name}")
        else:
            export_id = json.loads((place / "manifest.json").read_text())["export_id"]
            folders.setdefault(export_id, []).append(place)
    return folders, strangers


def _folder(folder: Path, message: Document, media_root: Path) -> list[str]:
    manifest = json.loads((folder / "manifest.json").read_text())
    sentences = [sentence for section in message["project"]["sections"] for sentence in section["sentences"]]
    width = max(3, len(str(len(sentences))))
    wanted = [
        Wanted(seq, kind, sentence[kind])
        for seq, sentence in enumerate(sentences, 1)
        for kind in FOLDERS
        if sentence.get(kind)
    ]
    omitted = {(line["seq"], line["kind"]): line["reason"] for line in manifest["omissions"]}
    listed = {line["name"]: line for line in manifest["files"]}
    found = [f"omitted for no known reason: {key} {why}" for key, why in omitted.items() if why not in REASONS]
    names = []
    for asset in wanted:
        name, wrong = _asset(asset, folder, media_root, width, omitted, listed)
        names += name
        found += wrong
    there = {str(file.relative_to(folder)) for place in FOLDERS.values() for file in (folder / place).iterdir()}
    found += [f"nobody asked for {name}" for name in sorted(there - set(names))]
    found += [f"in the manifest only: {name}" for name in sorted(set(listed) - there)]
    return found + [f"no {name}" for name in ("script.txt",) if not (folder / name).is_file()]


def _asset(
    wanted: Wanted,
    folder: Path,
    media_root: Path,
    width: int,
    omitted: Mapping[tuple[int, str], str],
    listed: Mapping[str, Document],
) -> tuple[list[str], list[str]]:
    """The names it has in the folder, and what is wrong with it."""
    seq, kind, asset = wanted
    files = sorted((folder / FOLDERS[kind]).glob(f"{seq:0{width}}_*_{kind}.*"))
    names = [str(file.relative_to(folder)) for file in files]
    reason = omitted.get((seq, kind))
    if bool(files) == bool(reason) or len(files) > 1:
        return names, [f"{kind} of sentence {seq}: files {names}, omitted as {reason}: one of both is right"]
    if not files:
        return [], []
    if asset["status"] != "completed":
        return names, [f"{names[0]} is exported and was never finished"]
    source = media_root / asset["uri"].removeprefix("asset:")
    size, crc32, is_same = _compare(source, files[0])
    line = listed.get(names[0], {})
    wrong = [] if is_same else [f"{names[0]} differs from {asset['uri']}"]
    if (line.get("size_bytes"), line.get("crc32")) != (size, f"{crc32:08x}"):
        wrong.append(f"{names[0]} has {size} bytes and CRC-32 {crc32:08x}; the manifest says {line}")
    return names, wrong


def _compare(source: Path, copy: Path) -> tuple[int, int, bool]:
    """Size and CRC-32 of the copy, and whether it has the source's bytes."""
    size, crc32, is_same = 0, 0, True
    with source.open("rb") as left, copy.open("rb") as right:
        while chunk := right.read(READ_BYTES):
            is_same = is_same and chunk == left.read(READ_BYTES)
            size, crc32 = size + len(chunk), zlib.crc32(chunk, crc32)
        return size, crc32, is_same and not left.read(1)


def _as_told(folder: Path, message: Document, event: Document) -> list[str]:
    """Whether the terminal event says what is there."""
    files = [file for file in folder.rglob("*") if file.is_file()]
    manifest = json.loads((folder / "manifest.json").read_text())
    exported = Counter(line["kind"] for line in manifest["files"])
    said_and_seen = {
        "folder.name": (event["folder"]["name"], folder.name),
        "folder.files": (event["folder"]["files"], len(files)),
        "folder.size_bytes": (event["folder"]["size_bytes"], sum(file.stat().st_size for file in files)),
        "project_id": (event["project_id"], message["project"]["id"]),
        "outcome": (event["outcome"], manifest["outcome"]),
        "omissions_total": (event["omissions_total"], len(manifest["omissions"])),
        "counts": (sum(count["exported"] for count in event["counts"].values()), exported.total()),
    }
    found = [f"{what}: told {told!r}, seen {seen!r}" for what, (told, seen) in said_and_seen.items() if told != seen]
    if message.get("options", {}).get("archive", "none") == "zip":
        found += _archive(folder, files)
    return found


def _archive(folder: Path, files: Sequence[Path]) -> list[str]:
    place = folder.with_name(f"{folder.name}.zip")
    if not place.is_file():
        return [f"no archive {place.name}"]
    with zipfile.ZipFile(place) as archive:
        names = {name for name in archive.namelist() if not name.endswith("/")}
        broken = archive.testzip()
    expected = {str(file.relative_to(folder.parent)) for file in files}
    found = [] if names == expected else [f"the archive and the folder differ in {sorted(names ^ expected)}"]
    return found if broken is None else [*found, f"the archive's {broken} is broken"]
