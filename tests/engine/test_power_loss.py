"""A loss of power after any operation leaves nothing wrong to be seen, and takes nothing that was announced.

So it is because of what is synced when: with any of these promises broken, that is seen.
"""

import random
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from service import attempt as attempts
from service.attempt import Finished
from service.storage.local import LocalStorage
from service.storage.port import Storage
from tests.engine.power_cuts import adopting, after_each_change, decides, short_form
from tests.engine.power_disk import Forgets, Operation, Sync
from tests.engine.power_proof import RECORD, Proof, Story

ATTEMPT = f"{RECORD}/a-000001"


@pytest.mark.slow
def test_a_loss_of_power_shows_nothing_wrong_and_takes_nothing_that_was_announced(proof: Proof) -> None:
    assert list(proof.violations(short_form(proof))) == []
    assert len(proof.looked_at) >= 600


# ---- the same with one promise broken at a time ---------------------------------------------------------------------


def was_decided(done: Sequence[Operation]) -> bool:
    return any(decides(operation) for operation in done)


def no_file_is_synced(path: str, done: Sequence[Operation]) -> Sync:
    return "nothing" if path.endswith("/archive") or ("/tree/" in path and "." in Path(path).name) else "fsync"


def no_time_is_synced(path: str, done: Sequence[Operation]) -> Sync:
    return "fdatasync"


def what_was_adopted_is_not_synced(path: str, done: Sequence[Operation]) -> Sync:
    is_adopted = any(operation.kind == "link" and operation.about[1] == path for operation in done)
    return "nothing" if is_adopted and "/tree/" in path else "fsync"


def no_folder_is_synced(path: str, done: Sequence[Operation]) -> Sync:
    return "nothing" if path.endswith(("/audio", "/images", "/videos")) else "fsync"


def no_tree_is_synced(path: str, done: Sequence[Operation]) -> Sync:
    return "nothing" if path.endswith("/tree") else "fsync"


def no_record_is_synced(path: str, done: Sequence[Operation]) -> Sync:
    return "nothing" if path == ".exports" else "fsync"


def no_listing_is_synced(path: str, done: Sequence[Operation]) -> Sync:
    return "nothing" if path.startswith(".exports/_projects") else "fsync"


def no_number_is_synced_before_the_decision(path: str, done: Sequence[Operation]) -> Sync:
    has_number = any(operation.kind == "mkdir" and "/a-" in operation.about[0] for operation in done)
    return "nothing" if path == RECORD and has_number and not was_decided(done) else "fsync"


def the_name_is_not_synced(path: str, done: Sequence[Operation]) -> Sync:
    return "nothing" if path == ".exports/_names" else "fsync"


def the_decision_is_not_synced(path: str, done: Sequence[Operation]) -> Sync:
    return "nothing" if "/outcome.json" in path else "fsync"


def the_decision_has_no_synced_name(path: str, done: Sequence[Operation]) -> Sync:
    return "nothing" if path == RECORD and was_decided(done) else "fsync"


def nothing_visible_is_synced(path: str, done: Sequence[Operation]) -> Sync:
    return "nothing" if path == "" and was_decided(done) else "fsync"


def the_archive_loses_its_old_name_first(path: str, done: Sequence[Operation]) -> Sync:
    """Its new one is not on the disk yet."""
    return (
        "nothing" if any(str(operation).startswith(f"link {ATTEMPT}/archive") for operation in done[-2:]) else "fsync"
    )


FORGETFUL: Sequence[Forgets] = (
    no_file_is_synced,
    no_time_is_synced,
    what_was_adopted_is_not_synced,
    no_folder_is_synced,
    no_tree_is_synced,
    no_record_is_synced,
    no_listing_is_synced,
    no_number_is_synced_before_the_decision,
    the_name_is_not_synced,
    the_decision_is_not_synced,
    the_decision_has_no_synced_name,
    nothing_visible_is_synced,
    the_archive_loses_its_old_name_first,
)


def is_caught(proof: Proof) -> bool:
    """By the short form, in an order in which it is soon seen: first what was announced, then here and there."""
    cuts = [*after_each_change(proof, Story()), *after_each_change(proof, adopting(proof))]
    random.Random(2).shuffle(cuts)
    cuts.sort(key=lambda cut: proof.recording(cut.story).told(cut.at).end is None)
    return next(proof.violations(cuts), None) is not None


@pytest.mark.slow
@pytest.mark.parametrize("forgets", FORGETFUL, ids=lambda forgets: forgets.__name__)
def test_what_is_not_synced_is_missed(forgets: Forgets, proof: Proof) -> None:
    proof.forgets = forgets
    assert is_caught(proof)


def what_is_in_memory_is_taken_for_written(patch: pytest.MonkeyPatch) -> None:
    dead_journal = attempts.dead_journal

    def of_this_boot(storage: Storage, export_id: str, number: int) -> list[Finished]:
        return [line._replace(boot_id=storage.boot_id()) for line in dead_journal(storage, export_id, number)]

    patch.setattr(attempts, "dead_journal", of_this_boot)


def the_time_of_what_is_adopted_is_taken_for_written(patch: pytest.MonkeyPatch) -> None:
    set_moment = LocalStorage.set_moment

    def of_directories(storage: LocalStorage, key: str, moment_ns: int) -> None:
        if Path(storage._path(key)).is_dir():
            set_moment(storage, key, moment_ns)

    patch.setattr(LocalStorage, "set_moment", of_directories)


@pytest.mark.slow
@pytest.mark.parametrize(
    "bug",
    [what_is_in_memory_is_taken_for_written, the_time_of_what_is_adopted_is_taken_for_written],
    ids=lambda bug: bug.__name__,
)
def test_a_next_process_that_trusts_too_much_is_seen(
    bug: Callable[[pytest.MonkeyPatch], None], proof: Proof, monkeypatch: pytest.MonkeyPatch
) -> None:
    bug(monkeypatch)
    assert is_caught(proof)
