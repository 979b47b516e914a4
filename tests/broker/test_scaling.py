"""Operators kill, scale, freeze and replace: nothing is lost, and nothing that was finished is done again."""

import asyncio
import json
import os
import shutil
import signal
import sys
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import mkdtemp

import pytest

from tests.broker import workers as crews
from tests.broker.commands import Document, make_exports_root, make_project
from tests.broker.listener import TERMINALS, Event
from tests.broker.node import PrivateNode
from tests.broker.oracle import judge_disk, judge_events
from tests.broker.stage import Stage, finished, inodes, seconds_of, until
from tests.broker.workers import Worker

pytestmark = pytest.mark.slow

COPIERS = 2
AT_ONCE = 5
"""More exports than there are workers."""
LIMPING = Path(__file__).with_name("limping.py")
MB = 1 << 20


@pytest.fixture
def exports(tmp_path: Path) -> Iterator[Path]:
    """In memory, where there is enough of it: gigabytes are written here, and disks stall for whole seconds."""
    memory = Path("/dev/shm")  # noqa: S108 - what is made there is private
    has_room = memory.is_dir() and shutil.disk_usage(memory).free > 8 << 30
    place = Path(mkdtemp(dir=memory if has_room else tmp_path))
    yield make_exports_root(place / "exports")
    shutil.rmtree(place)


def attempt_of(stage: Stage, export_id: str, number: int = 1) -> Path:
    return stage.record(export_id, f"a-{number:06d}")


def begun(attempt: Path) -> list[str]:
    """The media files of an attempt that are neither finished nor untouched."""
    tree = attempt / "tree"
    media = [file.relative_to(tree).as_posix() for file in tree.glob("*/*")]
    return sorted(set(media) - set(finished(attempt)))


def is_in_a_long_file(attempt: Path) -> bool:
    """Of which there is something already."""
    return any(file.stat().st_size for file in (attempt / "tree" / "videos").glob("*.part"))


def holder(stage: Stage, attempt: Path) -> Worker:
    """Whose attempt it is, as its journal says."""
    [name] = [
        line["worker"] for line in map(json.loads, (attempt / "journal.jsonl").read_text().split()) if "boot" in line
    ]
    return next(worker for worker in stage.workers.started if worker.name == name)


# ---- killed


async def test_after_a_kill_the_next_goes_on_within_a_second_and_redoes_one_file_for_each_copier_at_most(
    stage: Stage,
) -> None:
    await stage.workers.ready(2, prefetch=1, copiers=COPIERS)
    message = await stage.ask("killed", make_project(stage.media, 4, big=[512 * MB] * 4))
    before = await stage.until_files("killed", 4 * 3)
    attempt = attempt_of(stage, "killed")
    await until(lambda: is_in_a_long_file(attempt))
    assert 1 <= len(begun(attempt)) <= COPIERS
    holder(stage, attempt).kill()
    going_on = stage.listener.wait_for("killed", lambda event: event.document.get("attempt") == 2)
    seconds = await seconds_of(going_on)
    print(f"from the kill to the next worker's first progress: {seconds:.3f} s")
    assert seconds < 5, "one where nothing else runs: python -m bench broker"
    before = inodes(attempt / "tree", finished(attempt)) | before
    [end] = await stage.ended(message)
    assert end.document["attempt"] == 2
    assert inodes(stage.folder(end), list(before)) == before


# ---- replaced, one after the other


async def test_a_rolling_restart_under_load_loses_nothing_and_repeats_nothing_that_was_finished(stage: Stage) -> None:
    crew = await stage.workers.ready(3, prefetch=1, copiers=1)
    kept: dict[str, dict[str, int]] = {}
    async with asking(stage, stage.project(60)) as messages:
        for worker in crew:
            ending = asyncio.create_task(worker.sigterm())
            kept |= {one["export_id"]: found for one in messages if (found := finished_so_far(stage, one["export_id"]))}
            await stage.workers.ready(1, prefetch=1, copiers=1)
            assert await ending < 10
            assert worker.exit_code == 0
    ends = await all_ended(stage, messages)
    assert len(messages) > len(crew)
    assert kept, "no export was in the middle of anything"
    for export_id, files in kept.items():
        assert inodes(stage.folder(ends[export_id]), list(files)) == files, f"{export_id} copied something twice"
    told = [event.export_id for event in stage.listener.events if event.key in TERMINALS]
    assert sorted(told) == sorted(ends), "each end is told once"


@asynccontextmanager
async def asking(stage: Stage, project: Document) -> AsyncIterator[list[Document]]:
    """Asks for exports while the block runs, a few more than are done at once; some are begun by then."""
    messages: list[Document] = []

    async def ask() -> None:
        while True:
            waiting = sum(not stage.terminals(message["export_id"]) for message in messages)
            if waiting < AT_ONCE:
                messages.append(await stage.ask(f"load-{len(messages)}", project))
            await asyncio.sleep(0.05)

    asker = asyncio.create_task(ask())
    await until(lambda: any(finished_so_far(stage, message["export_id"]) for message in messages))
    yield messages
    asker.cancel()
    await asyncio.gather(asker, return_exceptions=True)


def finished_so_far(stage: Stage, export_id: str) -> dict[str, int]:
    """Inodes of the finished files of an undecided export; nothing where it is published at this very moment."""
    for attempt in sorted(stage.record(export_id).glob("a-*"), reverse=True):
        try:
            if names := finished(attempt):
                return inodes(attempt / "tree", names)
        except (FileNotFoundError, ValueError):
            continue
    return {}


async def all_ended(stage: Stage, messages: Sequence[Document]) -> dict[str, Event]:
    """Like `Stage.ended`, but the queues are looked at once only: that takes a second each time."""
    ends = {message["export_id"]: await stage.listener.terminal(message["export_id"], 60) for message in messages}
    for message in messages:
        assert judge_events(message["export_id"], stage.listener.events) == []
        found = judge_disk(message["export_id"], message, stage.media, stage.exports, stage.listener.events)
        assert found == [], found
    assert await stage.judged(messages[-1]) == []
    return ends


# ---- scaled in again and again


async def test_three_scale_ins_within_one_long_file_fail_no_export(stage: Stage) -> None:
    await stage.workers.ready(4, prefetch=1, copiers=1)
    message = await stage.ask("long", make_project(stage.media, 1, big=[2048 * MB]))
    for number in (1, 2, 3):
        attempt = attempt_of(stage, "long", number)
        await until(lambda attempt=attempt: is_in_a_long_file(attempt))  # type: ignore[misc]
        await holder(stage, attempt).sigterm()
    [end] = await stage.ended(message)
    assert end.document["attempt"] == 4
    assert end.document["outcome"] == "complete"


# ---- one bad node among good ones


async def test_a_node_without_space_fails_no_export_that_another_can_finish(
    stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(crews, "COMMAND", str(program(tmp_path / "limping", LIMPING)))
        [limping] = await stage.workers.ready(patience_seconds="0.2")
    messages = [await stage.ask(f"short-{number}", stage.project(name=f"story-{number}")) for number in range(3)]
    await until(lambda: all(f"export {message['export_id']}: put off" in limping.said for message in messages))
    await stage.workers.ready()
    await all_ended(stage, messages)
    assert "No space left on device" in limping.said
    assert limping.exit_code is None


def program(place: Path, module: Path) -> Path:
    """An executable that becomes a Python with `module`."""
    place.write_text(f'#!/bin/sh\nexec {sys.executable} {module} "$@"\n')
    place.chmod(0o755)
    return place


# ---- a frozen broker


async def test_while_the_broker_is_frozen_an_export_is_copied_and_decided_as_fast_as_ever(stage: Stage) -> None:
    """From its first byte to its decision the broker does nothing at all: so nothing on that way waits for it."""
    await stage.workers.ready(prefetch=1, copiers=COPIERS)
    project = make_project(stage.media, 1, big=[128 * MB] * 4)
    seconds: dict[str, list[float]] = {"usual": [], "frozen": []}
    for number in range(2):
        for state, found in seconds.items():
            message = await stage.ask(f"{state}-{number}", project)
            if state == "frozen":
                await decided_by_itself(stage, message["export_id"])
            end = await stage.listener.terminal(message["export_id"], 60)
            assert end.document["attempt"] == 1
            found.append(end.document["timings_seconds"]["copying"])
            shutil.rmtree(stage.folder(end))
    # What it costs is for the bench to say (1 percent at most): others use this machine, too.
    assert min(seconds["frozen"]) < 2 * min(seconds["usual"]), seconds


async def decided_by_itself(stage: Stage, export_id: str) -> None:
    node: PrivateNode = stage.node
    await until(attempt_of(stage, export_id).exists)
    os.kill(node.pid, signal.SIGSTOP)
    try:
        await stage.until_decided(export_id)
        assert not stage.terminals(export_id)
    finally:
        os.kill(node.pid, signal.SIGCONT)
