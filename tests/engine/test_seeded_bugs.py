"""The engine with one promise broken at a time: each is seen by looking at what the other tests here look at."""

import contextlib
import errno
import json
import os
import shutil
import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import pytest

from contracts import Error, ErrorCode, Stage, Terminal
from service import attempt as attempts
from service.attempt import Attempt, Finished, history
from service.errors import Conflict, Trouble
from service.judgement import judge
from service.ledger import Decision, Ledger
from service.model import Copy
from service.storage.disk import Disk
from service.storage.local import LocalStorage
from service.survey import look_at
from service.sweep import sweep
from tests.engine.faulty import ActingDisk, Killed, RecordingDisk, before, dying, failing
from tests.engine.workbench import (
    FOLDER,
    REQUESTED_AT,
    Bench,
    Undisturbed,
    complaint,
    completed,
    noise,
    small_project,
    start,
    visible,
)

pytestmark = pytest.mark.usefixtures("in_a_hurry")

CLIP = f"{FOLDER}/videos/004_fin_video.mp4"

# ---- situations. Each returns what is wrong, in a sentence, or nothing --------------------------------------------


def dies(bench: Bench, call: str, ending: str) -> None:
    with contextlib.suppress(Killed, BaseExceptionGroup):
        bench.run(start(small_project()), dying(call, ending))


def differs(bench: Bench, undisturbed: Undisturbed) -> str | None:
    """One more run, to the end."""
    completed(bench.run(start(small_project())))
    return None if visible(bench.exports) == undisturbed.tree else "the export is not the one it should be"


def death_before_the_decision(bench: Bench, undisturbed: Undisturbed) -> str | None:
    dies(bench, "link", "/outcome.json")
    return "visible before it is decided" if visible(bench.exports) else differs(bench, undisturbed)


def death_before_the_folder(bench: Bench, undisturbed: Undisturbed) -> str | None:
    dies(bench, "rename", "/a-000001/tree")
    return complaint(bench.exports, undisturbed.tree) or differs(bench, undisturbed)


def death_before_the_archive(bench: Bench, undisturbed: Undisturbed) -> str | None:
    dies(bench, "link", "/a-000001/archive")
    return complaint(bench.exports, undisturbed.tree) or differs(bench, undisturbed)


def another_version_of_a_source(bench: Bench, undisturbed: Undisturbed) -> str | None:
    dies(bench, "write", "004_fin_video.mp4.part")
    (bench.media / "1.png").write_bytes(noise(5_001, 77))
    completed(bench.run(start(small_project())))
    exported = visible(bench.exports)[f"{FOLDER}/images/001_intro_image.png"]
    return None if exported == noise(5_001, 77) else "an older version was exported"


def a_source_that_changes(bench: Bench, undisturbed: Undisturbed) -> str | None:
    clip = bench.media / "clip.mp4"
    disk = before("write", "004_fin_video.mp4.part", lambda: clip.write_bytes(noise(600_000, 78)))
    completed(bench.run(start(small_project()), disk))
    return None if visible(bench.exports)[CLIP] == noise(600_000, 78) else "two versions in one file"


def loss_of_power(bench: Bench, undisturbed: Undisturbed) -> str | None:
    dies(bench, "write", "004_fin_video.mp4.part")
    journal = bench.attempt(1) / "journal.jsonl"
    journal.write_text(journal.read_text().replace('"boot":"', '"boot":"before '))
    lost = bench.attempt(1) / "tree/images/001_intro_image.png"
    lost.write_bytes(bytes(lost.stat().st_size))
    return differs(bench, undisturbed)


def a_rival(bench: Bench, undisturbed: Undisturbed) -> str | None:
    """It comes, decides and publishes after this one looked for the last time and before it decides."""
    told: list[Terminal] = []
    disk = ActingDisk("stat", "/cancel.json", lambda: told.append(bench.run(start(small_project()))), only={2})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("service.liveness.FROZEN_AFTER_SECONDS", -1.0)
        told.append(bench.run(start(small_project()), disk))
    return "two ends were told" if told[0] != told[1] else differs(bench, undisturbed)


def short_writes(bench: Bench, undisturbed: Undisturbed) -> str | None:
    class Short(Disk):
        def write(self, descriptor: int, data: bytes | memoryview) -> int:
            return super().write(descriptor, data[: max(1, len(data) - 7)])

    bench.run(start(small_project()), Short())
    return differs(bench, undisturbed)


def order_of_calls(bench: Bench, undisturbed: Undisturbed) -> str | None:
    disk = RecordingDisk(str(bench.exports))
    bench.run(start(small_project()), disk)
    decided = next(at for at, call in enumerate(disk.noted) if call.startswith("link") and "/outcome.json" in call)
    synced = {call.removeprefix("fsync .exports/e1/") for call in disk.noted[:decided]}
    needed = {"a-000001", "a-000001/tree", "a-000001/archive", "a-000001/tree/script.txt", "a-000001/tree/images"}
    return f"not on the disk: {needed - synced}" if needed - synced else None


def a_sweep_under_it(bench: Bench, undisturbed: Undisturbed) -> str | None:
    disk = ActingDisk("stat", "/cancel.json", lambda: sweep(bench.ledger(), datetime.now(UTC), timedelta(0)), only={2})
    bench.run(start(small_project()), disk)
    return differs(bench, undisturbed)


def a_second_export(bench: Bench, undisturbed: Undisturbed) -> str | None:
    bench.run(start(small_project()))
    completed(bench.run(start(small_project(), "e2")))
    return None if undisturbed.tree.items() < visible(bench.exports).items() else "one replaced the other"


def a_foreign_archive(bench: Bench, undisturbed: Undisturbed) -> str | None:
    theirs = bench.exports / f"{FOLDER}.zip"
    with contextlib.suppress(Trouble):
        bench.run(start(small_project()), before("open", "/archive.part", lambda: theirs.write_bytes(b"theirs")))
    return None if visible(bench.exports) == {theirs.name: b"theirs"} else "somebody's file was replaced or passed off"


def a_late_deletion(bench: Bench, undisturbed: Undisturbed) -> str | None:
    """It comes after the last look for a cancel, or at the last moment before the folder appears."""
    for ending, call in (("/outcome.json", "link"), ("/a-000001/tree", "rename")):
        shutil.rmtree(bench.exports / ".exports", ignore_errors=True)
        bench.run(start(small_project()), before(call, ending, lambda: bench.ledger().delete("e1", "")))
        if visible(bench.exports):
            return f"a deleted export is there: deleted before {call} {ending}"
    return None


def a_message_of_each_kind(bench: Bench, undisturbed: Undisturbed) -> str | None:
    """An invalid one comes for an id that is being worked on."""

    def refuse() -> None:
        error = Error(code=ErrorCode.INVALID_MESSAGE, title="", detail="", stage=Stage.ACCEPTING, retryable=False)
        with contextlib.suppress(Conflict):
            bench.ledger().refuse("e1", "one", error, None, REQUESTED_AT)

    bench.run(start(small_project()), before("open", "/archive.part", refuse))
    return None if visible(bench.exports) == undisturbed.tree else "another message spoke for the export"


def a_repeat_by_another_version(bench: Bench, undisturbed: Undisturbed) -> str | None:
    bench.run(start(small_project()))
    place = bench.exports / ".exports/e1/outcome.json"
    stored = json.loads(place.read_bytes()) | {"body": json.loads(place.read_bytes())["body"].replace("{", "{ ", 1)}
    place.write_text(json.dumps(stored))
    decision = bench.ledger().decision("e1")
    return None if decision and decision.body.startswith(b"{ ") else "a repeat is told in other bytes"


def five_full_disks(bench: Bench, undisturbed: Undisturbed) -> str | None:
    dies(bench, "open", "/archive.part")
    for _ in range(5):
        with contextlib.suppress(Trouble):
            bench.run(start(small_project()), failing("open", "/archive.part", errno.ENOSPC))
    verdict = judge(history(bench.ledger(), "e1"), bench.ledger().now_ns())
    return None if verdict is None else f"a worker's own trouble became the export's: {verdict}"


def five_deaths_over_what_is_finished(bench: Bench, undisturbed: Undisturbed) -> str | None:
    for _ in range(6):
        dies(bench, "open", "/archive.part")
    verdict = judge(history(bench.ledger(), "e1"), bench.ledger().now_ns())
    return None if verdict else "what kills every worker is tried for ever"


def two_reports(bench: Bench, undisturbed: Undisturbed) -> str | None:
    def fail() -> None:
        time.sleep(0.05)
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("service.liveness.REPORT_EVERY_SECONDS", 0.005)
        with contextlib.suppress(Trouble):
            bench.run(start(small_project()), before("open", "/archive.part", fail))
        bench.run(start(small_project()))
    percents = [one.percent for one in bench.seen]
    return None if percents == sorted(percents) else f"percent fell: {percents}"


def another_time(bench: Bench, undisturbed: Undisturbed) -> str | None:
    dies(bench, "write", "/archive.part")
    bench.run(start(small_project()).model_copy(update={"requested_at": REQUESTED_AT + timedelta(hours=1)}))
    return None if visible(bench.exports) == undisturbed.tree else "the name is not that of the first request"


def an_empty_mount(bench: Bench, undisturbed: Undisturbed) -> str | None:
    shutil.rmtree(bench.media)
    bench.media.mkdir()
    with contextlib.suppress(Trouble):
        bench.run(start(small_project()))
    return "an empty export" if visible(bench.exports) else None


# ---- bugs --------------------------------------------------------------------------------------------------------


def the_last_decision_wins(patch: pytest.MonkeyPatch) -> None:
    first_wins = LocalStorage._link

    def link(storage: LocalStorage, path: str, target: str) -> bool:
        if not target.endswith("/outcome.json"):
            return first_wins(storage, path, target)
        storage._disk.rename(path, target)
        return True

    patch.setattr(LocalStorage, "_link", link)


def it_publishes_before_it_decides(patch: pytest.MonkeyPatch) -> None:
    decide = Ledger.decide

    def early(ledger: Ledger, export_id: str, decision: Decision) -> Decision:
        ledger.roll_forward(export_id, decision)
        return decide(ledger, export_id, decision)

    patch.setattr(Ledger, "decide", early)


def the_folder_comes_before_the_archive(patch: pytest.MonkeyPatch) -> None:
    put = Ledger._put_in_place

    def folder_first(ledger: Ledger, key: str, name: str) -> None:
        if key.endswith("/archive"):
            put(ledger, key.removesuffix("archive") + "tree", name.removesuffix(".zip"))
        put(ledger, key, name)

    patch.setattr(Ledger, "_put_in_place", folder_first)


def nothing_is_rolled_forward(patch: pytest.MonkeyPatch) -> None:
    roll = Ledger.roll_forward
    decided_here: list[str] = []
    decide = Ledger.decide

    def noting(ledger: Ledger, export_id: str, decision: Decision) -> Decision:
        decided_here.append(export_id)
        return decide(ledger, export_id, decision)

    def only_ones_own(ledger: Ledger, export_id: str, decision: Decision) -> None:
        if decided_here:
            decided_here.clear()
            roll(ledger, export_id, decision)

    patch.setattr(Ledger, "decide", noting)
    patch.setattr(Ledger, "roll_forward", only_ones_own)


def any_file_of_the_name_is_adopted(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Copy, "identity", "the same")


def what_is_in_memory_is_taken_for_written(patch: pytest.MonkeyPatch) -> None:
    dead_journal = attempts.dead_journal

    def of_this_boot(storage: LocalStorage, export_id: str, number: int) -> list[Finished]:
        return [line._replace(boot_id=storage.boot_id()) for line in dead_journal(storage, export_id, number)]

    patch.setattr(attempts, "dead_journal", of_this_boot)


def a_changing_source_is_not_noticed(patch: pytest.MonkeyPatch) -> None:
    patch.setattr("service.storage.sources._expect", lambda *_: None)


def a_short_write_is_taken_for_whole(patch: pytest.MonkeyPatch) -> None:
    patch.setattr("service.storage.lanes.write_all", lambda disk, descriptor, data: disk.write(descriptor, data))


def nothing_is_made_durable(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(LocalStorage, "make_durable", lambda *_: None)


def a_sweep_asks_nobody_whether_he_lives(patch: pytest.MonkeyPatch) -> None:
    patch.setattr("service.sweep._is_abandoned", lambda *_: True)
    patch.setattr("service.sweep.clear_dead", lambda ledger, export_id: ledger.clean(export_id))


def names_are_not_reserved(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Ledger, "reserve", lambda _ledger, _export_id, folder: folder)


def an_archive_replaces_what_is_there(patch: pytest.MonkeyPatch) -> None:
    def replace(storage: LocalStorage, path: str, final: str) -> bool:
        storage._disk.rename(path, final)
        return True

    patch.setattr(LocalStorage, "_move_file", replace)


def what_was_told_is_forgotten(patch: pytest.MonkeyPatch) -> None:
    patch.setattr("service.export.percent_floor", lambda *_: 0)


def the_last_time_holds(patch: pytest.MonkeyPatch) -> None:
    accept = Ledger.accept

    def as_asked_now(ledger: Ledger, command: Any, project: Any) -> Any:
        accept(ledger, command, project)
        return command

    patch.setattr(Ledger, "accept", as_asked_now)


def what_is_missing_is_missing(patch: pytest.MonkeyPatch) -> None:
    patch.setattr("service.export.survey", lambda draft, storage, *_: look_at(draft, draft.wanted, storage))
    patch.setattr(LocalStorage, "check_roots", lambda *_: None)


def a_deletion_is_a_cancel(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Ledger, "delete", Ledger.cancel)


def only_what_is_visible_is_withdrawn(patch: pytest.MonkeyPatch) -> None:
    rename = LocalStorage.rename

    def leaves_attempts_alone(storage: LocalStorage, key: str, target: str) -> bool:
        return rename(storage, key, target) if not ("/a-" in key and "_trash" in target) else False

    patch.setattr(LocalStorage, "rename", leaves_attempts_alone)


def a_refused_message_speaks_for_a_command(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Ledger, "_stored", lambda *_: {"refused": "one"})
    patch.setattr(Ledger, "_insist_on_no_refusal", lambda *_: None)
    patch.setattr(Ledger, "_command", lambda *_: start(small_project()))


def a_repeat_is_written_anew(patch: pytest.MonkeyPatch) -> None:
    from_json = Decision.from_json

    def anew(content: bytes) -> Decision:
        decision = from_json(content)
        return Decision.of(decision.attempt, decision.folder, decision.archive, decision.event)

    patch.setattr(Decision, "from_json", anew)


def trouble_is_not_noted(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Attempt, "note_trouble", lambda *_: None)


def what_is_adopted_counts_as_new(patch: pytest.MonkeyPatch) -> None:
    note = Attempt._note

    def without_its_origin(attempt: Attempt, line: dict[str, object]) -> None:
        note(attempt, {name: value for name, value in line.items() if name != "adopted"})

    patch.setattr(Attempt, "_note", without_its_origin)


class Seeded(NamedTuple):
    bug: Callable[[pytest.MonkeyPatch], None]
    shows_in: Callable[[Bench, Undisturbed], str | None]


SEEDED: Iterable[Seeded] = (
    Seeded(the_last_decision_wins, a_rival),
    Seeded(it_publishes_before_it_decides, death_before_the_decision),
    Seeded(the_folder_comes_before_the_archive, death_before_the_archive),
    Seeded(nothing_is_rolled_forward, death_before_the_folder),
    Seeded(any_file_of_the_name_is_adopted, another_version_of_a_source),
    Seeded(what_is_in_memory_is_taken_for_written, loss_of_power),
    Seeded(a_changing_source_is_not_noticed, a_source_that_changes),
    Seeded(a_short_write_is_taken_for_whole, short_writes),
    Seeded(nothing_is_made_durable, order_of_calls),
    Seeded(a_sweep_asks_nobody_whether_he_lives, a_sweep_under_it),
    Seeded(names_are_not_reserved, a_second_export),
    Seeded(an_archive_replaces_what_is_there, a_foreign_archive),
    Seeded(what_was_told_is_forgotten, two_reports),
    Seeded(the_last_time_holds, another_time),
    Seeded(what_is_missing_is_missing, an_empty_mount),
    Seeded(a_deletion_is_a_cancel, a_late_deletion),
    Seeded(only_what_is_visible_is_withdrawn, a_late_deletion),
    Seeded(a_refused_message_speaks_for_a_command, a_message_of_each_kind),
    Seeded(a_repeat_is_written_anew, a_repeat_by_another_version),
    Seeded(trouble_is_not_noted, five_full_disks),
    Seeded(what_is_adopted_counts_as_new, five_deaths_over_what_is_finished),
)


@pytest.mark.parametrize("seeded", SEEDED, ids=lambda seeded: seeded.bug.__name__)
def test_a_seeded_bug_is_seen(
    seeded: Seeded, own_bench: Bench, undisturbed: Undisturbed, monkeypatch: pytest.MonkeyPatch
) -> None:
    seeded.bug(monkeypatch)
    try:
        wrong = seeded.shows_in(own_bench, undisturbed)
    except (Trouble, ValueError) as error:  # records that it cannot read itself
        wrong = str(error)
    assert wrong is not None


@pytest.mark.parametrize(
    "situation", dict.fromkeys(seeded.shows_in for seeded in SEEDED), ids=lambda situation: situation.__name__
)
def test_without_a_bug_nothing_is_seen(
    situation: Callable[[Bench, Undisturbed], str | None], own_bench: Bench, undisturbed: Undisturbed
) -> None:
    assert situation(own_bench, undisturbed) is None
