"""The judge of the other tests here finds every lie, and has nothing against the truth."""

import json
import shutil
import subprocess
import sys
import zlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from contracts import topology
from contracts.envelope import envelop
from contracts.messages import MESSAGES
from tests.broker.commands import FOLDERS, Document, export_start, make_project, start
from tests.broker.listener import Event
from tests.broker.node import PrivateNode
from tests.broker.oracle import judge, judge_disk, judge_events

ID = "e1"
NAME = "export_story_20261123T184220Z"
MOMENT = datetime(2026, 11, 23, 18, 43, tzinfo=UTC)


@dataclass
class Ended:
    """An export that ended well, made by hand: folder, manifest and events."""

    media: Path
    exports: Path
    message: Document
    events: list[Event]

    @property
    def folder(self) -> Path:
        return self.exports / NAME

    def file(self, kind: str, seq: int) -> Path:
        [file] = (self.folder / FOLDERS[kind]).glob(f"{seq:03d}_*")
        return file

    def judged(self) -> list[str]:
        on_disk = judge_disk(ID, self.message, self.media, self.exports, self.events)
        return on_disk + judge_events(ID, self.events)


@pytest.fixture
def ended(media: Path, exports: Path) -> Ended:
    project = make_project(media, sentences=2, file_bytes=100)
    project["sections"][0]["sentences"][1]["video"] = {"status": "pending"}
    message = export_start(ID, project)
    lines = list(copied(project, media, exports / NAME))
    manifest = {
        "export_id": ID,
        "outcome": "partial",
        "files": lines,
        "omissions": [{"kind": "video", "seq": 2, "reason": "pending"}],
    }
    (exports / NAME / "script.txt").write_text("Sentence 1.\nSentence 2.\n")
    (exports / NAME / "manifest.json").write_text(json.dumps(manifest))
    return Ended(media, exports, message, [progress(1, 10), progress(2, 60), completed(exports / NAME)])


def copied(project: Document, media: Path, folder: Path) -> list[Document]:
    lines = []
    for kind, place in FOLDERS.items():
        (folder / place).mkdir(parents=True)
        for seq, sentence in enumerate(project["sections"][0]["sentences"], 1):
            if uri := sentence[kind].get("uri"):
                source = media / uri
                name = f"{place}/{seq:03d}_all-of-it_{kind}{source.suffix}"
                shutil.copyfile(source, folder / name)
                crc32 = f"{zlib.crc32(source.read_bytes()):08x}"
                lines.append({"name": name, "kind": kind, "seq": seq, "size_bytes": 100, "crc32": crc32})
    return lines


def told(key: str, **fields: object) -> Event:
    """An event in the contract's own envelope."""
    document = {"export_id": ID, "project_id": "story", "attempt": 1, "at": MOMENT, **fields}
    envelope = envelop(MESSAGES[key].model_validate(document))
    return Event(
        envelope.routing_key,
        envelope.body,
        envelope.message_id,
        envelope.correlation_id,
        "application/json",
        envelope.is_persistent,
        envelope.headers,
    )


def progress(seq: int, percent: int, attempt: int = 1) -> Event:
    nothing = {"done": 0, "total": 0}
    counts = {"files": nothing, "bytes": nothing, "by_kind": {}}
    return told("export.progress", attempt=attempt, seq=seq, state="copying", percent=percent, **counts)


def completed(folder: Path) -> Event:
    files = [file for file in folder.rglob("*") if file.is_file()]
    size = sum(file.stat().st_size for file in files)
    return told(
        "export.completed",
        outcome="partial",
        folder={"name": NAME, "uri": f"exports:{NAME}", "files": len(files), "size_bytes": size},
        counts={"audio": {"exported": 5, "omitted": 0}},
        omissions_total=1,
        timings_seconds={},
    )


def failed() -> Event:
    error = {"code": "io_error", "title": "", "detail": "", "stage": "copying", "retryable": True}
    return told("export.failed", error=error)


def test_the_truth_is_without_fault(ended: Ended) -> None:
    assert ended.judged() == []


# ---- lies on the disk


def a_byte_less(ended: Ended) -> None:
    file = ended.file("video", 1)
    file.write_bytes(file.read_bytes()[:-1])


def another_byte(ended: Ended) -> None:
    file = ended.file("image", 2)
    file.write_bytes(file.read_bytes()[:-1] + b"?")


def a_byte_more(ended: Ended) -> None:
    with ended.file("audio", 1).open("ab") as file:
        file.write(b"?")


def a_file_less(ended: Ended) -> None:
    ended.file("audio", 2).unlink()


def two_files_changed_places(ended: Ended) -> None:
    one, other = ended.file("image", 1), ended.file("image", 2)
    one.rename(ended.folder / "aside")
    other.rename(one)
    (ended.folder / "aside").rename(other)


def a_file_that_nobody_asked_for(ended: Ended) -> None:
    (ended.folder / "videos" / "007_more_video.mp4").touch()


def an_omission_without_a_reason(ended: Ended) -> None:
    manifest = ended.folder / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"pending"', '"just so"'))


def two_folders(ended: Ended) -> None:
    shutil.copytree(ended.folder, ended.exports / f"{NAME}_2")


def a_folder_without_a_manifest(ended: Ended) -> None:
    (ended.exports / "export_story_half").mkdir()


def a_part_of_a_file(ended: Ended) -> None:
    (ended.folder / "videos" / "001_all-of-it_video.mp4.part").touch()


def no_folder(ended: Ended) -> None:
    shutil.rmtree(ended.folder)


def no_script(ended: Ended) -> None:
    (ended.folder / "script.txt").unlink()


def a_folder_of_a_failed_export(ended: Ended) -> None:
    ended.events[-1] = failed()


def an_archive_that_was_asked_for_and_not_made(ended: Ended) -> None:
    ended.message["options"] = {"archive": "zip"}


# ---- lies in the events


def no_terminal_event(ended: Ended) -> None:
    ended.events.pop()


def two_terminal_events_that_differ(ended: Ended) -> None:
    ended.events.append(failed())


def the_same_event_in_other_bytes(ended: Ended) -> None:
    ended.events.append(replace(ended.events[-1], body=ended.events[-1].body + b" "))


def percent_that_falls(ended: Ended) -> None:
    ended.events.insert(-1, progress(1, 9, attempt=2))


def a_hundred_percent_and_then_failed(ended: Ended) -> None:
    shutil.rmtree(ended.folder)
    ended.events[-1:] = [progress(3, 100), failed()]


def one_snapshot_number_for_two(ended: Ended) -> None:
    ended.events.insert(0, progress(2, 61))


def progress_after_the_end(ended: Ended) -> None:
    ended.events.append(progress(3, 70))


def a_terminal_event_that_a_restart_would_lose(ended: Ended) -> None:
    ended.events[-1] = replace(ended.events[-1], is_persistent=False)


def a_message_id_of_its_own_each_time(ended: Ended) -> None:
    ended.events.append(replace(ended.events[-1], message_id="7"))


def a_header_that_lies(ended: Ended) -> None:
    ended.events[-1] = replace(ended.events[-1], headers=dict(ended.events[-1].headers) | {"ce-type": "export.failed"})


LIES: list[Callable[[Ended], None]] = [
    a_byte_less,
    another_byte,
    a_byte_more,
    a_file_less,
    two_files_changed_places,
    a_file_that_nobody_asked_for,
    an_omission_without_a_reason,
    two_folders,
    a_folder_without_a_manifest,
    a_part_of_a_file,
    no_folder,
    no_script,
    a_folder_of_a_failed_export,
    an_archive_that_was_asked_for_and_not_made,
    no_terminal_event,
    two_terminal_events_that_differ,
    the_same_event_in_other_bytes,
    percent_that_falls,
    a_hundred_percent_and_then_failed,
    one_snapshot_number_for_two,
    progress_after_the_end,
    a_terminal_event_that_a_restart_would_lose,
    a_message_id_of_its_own_each_time,
    a_header_that_lies,
]


@pytest.mark.parametrize("lie", LIES, ids=lambda lie: lie.__name__)
def test_the_oracle_finds(ended: Ended, lie: Callable[[Ended], None]) -> None:
    lie(ended)
    assert ended.judged()


# ---- lies in the queues, and in what is left


@pytest.fixture
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.broker.oracle.SETTLE_SECONDS", 0.3)


async def judged(ended: Ended, node: PrivateNode) -> list[str]:
    return await judge(ID, ended.message, ended.media, ended.exports, ended.events, node)


async def test_the_truth_is_without_fault_in_the_queues_too(ended: Ended, node: PrivateNode) -> None:
    assert await judged(ended, node) == []


@pytest.mark.usefixtures("patience")
async def test_the_oracle_finds_a_message_that_nobody_took(ended: Ended, node: PrivateNode) -> None:
    await start(node, ended.message)
    assert await judged(ended, node) == ["1 message(s) left in export.start"]


@pytest.mark.usefixtures("patience")
async def test_the_oracle_finds_a_message_that_somebody_keeps(ended: Ended, node: PrivateNode) -> None:
    await start(node, ended.message)
    async with node.channel("export-worker") as channel:
        await (await channel.get_queue(topology.START, ensure=False)).get()
        assert await judged(ended, node) == ["1 message(s) left in export.start (unacknowledged)"]


@pytest.mark.usefixtures("patience")
async def test_the_oracle_finds_what_attempts_left_behind(ended: Ended, node: PrivateNode) -> None:
    attempt = ended.exports / ".exports" / ID / "a-000001"
    attempt.mkdir(parents=True)
    (attempt / "lock").touch()
    assert await judged(ended, node) == []
    (attempt / "journal.jsonl").touch()
    assert await judged(ended, node) == [f"left over: .exports/{ID}/a-000001/journal.jsonl"]


def test_the_oracle_knows_nothing_of_the_program() -> None:
    names = "[name for name in sys.modules if name.partition('.')[0] in {'service', 'cli', 'contracts', 'demo'}]"
    words = [sys.executable, "-c", f"import sys, tests.broker.oracle; print({names})"]
    root = Path(__file__).parents[2]
    assert subprocess.run(words, cwd=root, capture_output=True, text=True, check=True).stdout.strip() == "[]"
