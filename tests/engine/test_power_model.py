"""The model of a loss of power: what it loses and what it keeps, and that a state can be made again."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from service.storage.disk import Disk
from tests.engine.power_cuts import adopting
from tests.engine.power_disk import CHANGING, HARMLESS, Operation, PowerDisk
from tests.engine.power_model import FileSystem, Tree
from tests.engine.power_proof import MOMENT_NS, Cut, Proof
from tests.engine.power_states import after_the_cut, kept
from tests.engine.workbench import visible


def test_the_same_cut_leaves_the_same_state(proof: Proof) -> None:
    cut = Cut(adopting(proof), 200, "reordered", 3)
    state = proof.state(cut)
    assert proof.state(cut) == state
    assert proof.state(cut._replace(seed=4)) != state


def test_an_export_does_the_same_operations_again(proof: Proof) -> None:
    """Else no failure could be looked at a second time."""
    calls = [operation.call for operation in proof.recording(adopting(proof)).operations]
    proof.recordings.clear()
    assert [operation.call for operation in proof.recording(adopting(proof)).operations] == calls


@pytest.mark.parametrize("shares", [False, True])
def test_if_nothing_is_lost_the_model_has_what_the_disk_has(shares: bool, proof: Proof) -> None:
    recording = proof.recording(adopting(proof)._replace(shares=shares))
    state = kept(FileSystem(recording.before, recording.operations), lambda _: True)
    exports = proof.home / "recorded"
    found = {str(path.relative_to(exports)): path for path in exports.rglob("*")}
    assert found.keys() == state.keys()
    for name, path in found.items():
        assert state[name].content == (None if path.is_dir() else path.read_bytes()), name
    assert {state[name].moment_ns for name in visible(exports)} == {MOMENT_NS}
    ways = {operation.call for operation in recording.operations} & {"clone", "copy_range", "allocate"}
    assert ways == ({"clone", "copy_range"} if shares else {"allocate"})


def left(operations: Sequence[Operation], model: str = "reordered") -> list[Tree]:
    return [after_the_cut(FileSystem({}, operations), model, seed) for seed in range(200)]


def contents(operations: Sequence[Operation]) -> set[bytes | None]:
    return {tree["file"].content if "file" in tree else None for tree in left(operations)}


def sync(disk: PowerDisk, path: Path) -> None:
    descriptor = disk.open(str(path), os.O_RDONLY)
    disk.fsync(descriptor)
    disk.close(descriptor)


def test_a_file_may_be_torn_until_it_is_synced_and_lost_until_its_directory_is(tmp_path: Path) -> None:
    operations: list[Operation] = []
    disk = PowerDisk(tmp_path, operations)
    file = disk.open(str(tmp_path / "file"), os.O_WRONLY | os.O_CREAT)
    disk.write(file, b"x" * 10_000)
    blocks = bytes(4096) + b"x" * (10_000 - 4096)
    assert {None, b"", bytes(10_000), blocks, b"x" * 10_000} <= contents(operations)
    disk.fsync(file)
    assert contents(operations) == {None, b"x" * 10_000}
    sync(disk, tmp_path)
    assert contents(operations) == {b"x" * 10_000}
    disk.close(file)


def test_of_what_was_renamed_one_name_is_left_and_the_new_one_once_both_directories_are_synced(tmp_path: Path) -> None:
    operations: list[Operation] = []
    disk = PowerDisk(tmp_path, operations)
    for name in ("here", "there", "here/old"):
        disk.mkdir(str(tmp_path / name))
    for path in (tmp_path, tmp_path / "here"):
        sync(disk, path)
    disk.rename(str(tmp_path / "here/old"), str(tmp_path / "there/new"))
    old, new = {"here", "there", "here/old"}, {"here", "there", "there/new"}
    assert {frozenset(tree) for tree in left(operations)} == {frozenset(old), frozenset(new)}
    sync(disk, tmp_path / "there")
    assert {frozenset(tree) for tree in left(operations)} == {frozenset(old), frozenset(new)}
    sync(disk, tmp_path / "here")
    assert {frozenset(tree) for tree in left(operations)} == {frozenset(new)}


def test_a_journal_loses_the_later_of_two_names_first_and_posix_either(tmp_path: Path) -> None:
    operations: list[Operation] = []
    disk = PowerDisk(tmp_path, operations)
    for name in ("first", "second"):
        disk.mkdir(str(tmp_path / name))
    journal = {tuple(tree) for tree in left(operations, "in order")}
    assert journal == {(), ("first",), ("first", "second")}
    assert {tuple(tree) for tree in left(operations)} == journal | {("second",)}


def test_the_model_knows_every_call_of_the_disk(tmp_path: Path) -> None:
    calls = {name for name in vars(Disk) if not name.startswith("_")}
    assert calls == HARMLESS | CHANGING
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Disk, "truncate", lambda *_: None, raising=False)
        disk: Any = PowerDisk(tmp_path, [])
        with pytest.raises(AssertionError, match="truncate"):
            disk.truncate(str(tmp_path / "file"))
