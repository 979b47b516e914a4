"""A loss of power after any operation leaves nothing wrong to be seen, and takes nothing that was announced.

A failure names its state: `Proof(…).violation(Cut(…))` makes it again. docs/durability.md says what is durable when.
"""

import contextlib
import json
import os
import random
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from contracts import ExportProgress, Terminal
from service import attempt as attempts
from service.attempt import Finished
from service.ledger import Decision
from service.storage.disk import Disk
from service.storage.local import LocalStorage
from service.storage.port import Storage
from service.sweep import sweep
from tests.engine.faulty import Killed
from tests.engine.power import (
    CHANGING,
    HARMLESS,
    MODELS,
    FileSystem,
    Forgets,
    Operation,
    PowerDisk,
    SharingPowerDisk,
    Sync,
    Tree,
    after_the_cut,
    careful,
    kept,
    materialise,
)
from tests.engine.workbench import (
    FOLDER,
    REQUESTED_AT,
    Bench,
    Undisturbed,
    complaint,
    completed,
    make_media,
    moments,
    small_project,
    staged,
    start,
    visible,
)
from tests.storage.file_systems import KINDS, _complaint, _obstacle

MOMENT_NS = int(REQUESTED_AT.timestamp()) * 10**9
RECORD = ".exports/e1"
ATTEMPT = f"{RECORD}/a-000001"
CLIP = "videos/004_fin_video.mp4"
KEPT_RECORDINGS = 8  # megabytes each


class Story(NamedTuple):
    """What was done until the power went: processes that were killed, and one that goes through."""

    deaths: tuple[int, ...] = ()
    """For each process that was killed: instead of which of its operations."""
    shares: bool = False
    """On a file system that shares blocks."""
    after: "Cut | None" = None
    """The loss of power before this one."""


class Cut(NamedTuple):
    """Tells one state from all others, for good: the same cut gives the same state."""

    story: Story
    at: int
    """How many operations were done; all of them: then the end was announced."""
    model: str
    seed: int


class Reports(list[ExportProgress]):
    """What was reported, and after how many operations each of it."""

    def __init__(self, operations: Sequence[Operation]) -> None:
        super().__init__()
        self.moments: list[int] = []
        self._operations = operations

    def append(self, progress: ExportProgress) -> None:
        super().append(progress)
        self.moments.append(len(self._operations))


class Recording(NamedTuple):
    before: Tree
    operations: list[Operation]
    reports: Reports
    event: Terminal

    def told(self, at: int) -> "Told":
        """What others were told before the power went."""
        attempts = (
            report.attempt for report, moment in zip(self.reports, self.reports.moments, strict=True) if moment <= at
        )
        return Told(max(attempts, default=0), self.event if at == len(self.operations) else None)


class Told(NamedTuple):
    attempt: int
    end: Terminal | None


@dataclass
class Proof:
    """Makes states, looks at them, and lets the next process go on from them."""

    home: Path
    """An empty directory on a fast disk."""
    undisturbed: Undisturbed
    forgets: Forgets = careful
    looked_at: set[int] = field(default_factory=set)
    """A fingerprint of each state."""
    recordings: dict[Story, Recording] = field(default_factory=dict)

    def violations(self, cuts: Iterable[Cut]) -> Iterator[str]:
        """What is wrong with any of their states; one that comes twice is looked at once."""
        for cut in cuts:
            state = self.state(cut)
            told = self.recording(cut.story).told(cut.at)
            fingerprint = hash((cut.story, told.attempt, told.end is None, tuple(state.items())))
            if fingerprint not in self.looked_at:
                self.looked_at.add(fingerprint)
                wrong = self._wrong(cut, state)
                if wrong is not None:
                    yield wrong

    def violation(self, cut: Cut) -> str | None:
        """What is wrong with its state, in a sentence, or nothing."""
        return self._wrong(cut, self.state(cut))

    def state(self, cut: Cut) -> Tree:
        recording = self.recording(cut.story)
        return after_the_cut(FileSystem(recording.before, recording.operations[: cut.at]), cut.model, cut.seed)

    def recording(self, story: Story) -> Recording:
        if story not in self.recordings:
            recording = self._record(story)
            if len(self.recordings) >= KEPT_RECORDINGS:
                del self.recordings[next(iter(self.recordings))]
            self.recordings[story] = recording
        return self.recordings[story]

    def _record(self, story: Story) -> Recording:
        before = {} if story.after is None else self.state(story.after)
        bench = self._bench("recorded", before)
        kind = SharingPowerDisk if story.shares else PowerDisk
        operations: list[Operation] = []
        bench.seen = reports = Reports(operations)
        with up_since(story.after):
            for dies_at in story.deaths:
                with contextlib.suppress(Killed, BaseExceptionGroup):
                    bench.run(start(small_project()), kind(bench.exports, operations, dies_at, self.forgets))
            event = bench.run(start(small_project()), kind(bench.exports, operations, None, self.forgets))
        return Recording(before, operations, reports, event)

    def _wrong(self, cut: Cut, state: Tree) -> str | None:
        recording = self.recording(cut.story)
        told = recording.told(cut.at)
        bench = self._bench("left", state)
        try:
            with up_since(cut):
                wrong = next(_wrong(bench, self.undisturbed, told, sweeps_first=cut.seed % 4 == 0), None)
        except Exception as error:  # noqa: BLE001 - whatever stops the next process, it is what is wrong
            wrong = f"the next process ends with {error!r}"
        last = recording.operations[cut.at - 1] if cut.at else "nothing"
        return wrong and f"{cut}, after {last}: {wrong}"

    def _bench(self, name: str, state: Tree) -> Bench:
        exports = self.home / name
        shutil.rmtree(exports, ignore_errors=True)
        exports.mkdir()
        materialise(state, exports)
        return Bench(self.undisturbed.media, exports, [])


@contextlib.contextmanager
def up_since(cut: Cut | None) -> Iterator[None]:
    """As on a machine that was started after it; and no reports by the clock, so that all operations come again."""
    boots = 0
    while cut is not None:
        boots, cut = boots + 1, cut.story.after
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(LocalStorage, "boot_id", lambda _: f"host/boot-{boots}")
        patch.setattr("service.liveness.REPORT_EVERY_SECONDS", 30.0)
        patch.setattr("service.storage.filling.ALLOCATED_FROM_BYTES", 64 * 1024)
        yield


# ---- what must hold -----------------------------------------------------------------------------------------------


def _wrong(bench: Bench, undisturbed: Undisturbed, told: Told, *, sweeps_first: bool) -> Iterator[str]:
    """At once, and after the next process: that of the same command, or before it that of a sweep."""
    yield from _wrong_to_a_reader(bench, undisturbed, told)
    yield from _wrong_in_the_records(bench, told)
    decided = bench.outcome()
    if sweeps_first and (bench.exports / ".exports/store.json").exists():
        yield from _troubles_of_a_sweep(bench)
    event = completed(bench.run(start(small_project())))
    if visible(bench.exports) != undisturbed.tree:
        yield "the next run gave something else"
    if moments(bench.exports) != {MOMENT_NS}:
        yield "the next run gave a file of another time"
    if decided not in {None, bench.outcome()} or told.end not in (None, event):
        yield "the decision was changed"
    if any(report.attempt <= told.attempt for report in bench.seen):
        yield "the number of an attempt was used twice"
    yield from _troubles_of_a_sweep(bench)
    if left := [*staged(bench.exports), *bench.exports.glob(".exports/**/*.new"), *bench.exports.glob("**/_trash/*")]:
        yield f"a sweep left {left}"


def _wrong_to_a_reader(bench: Bench, undisturbed: Undisturbed, told: Told) -> Iterator[str]:
    seen, outcome = visible(bench.exports), bench.outcome()
    if wrong := complaint(bench.exports, undisturbed.tree):
        yield wrong
    if not moments(bench.exports) <= {MOMENT_NS}:
        yield "a reader sees a file of another time"
    if seen and outcome is None:
        yield "a reader sees what nobody decided"
    if told.end is not None and seen != undisturbed.tree:
        yield "it was announced, and is gone"
    if told.end is not None and (outcome is None or Decision.from_json(outcome).event != told.end):
        yield "what was announced is not what was decided"


def _wrong_in_the_records(bench: Bench, told: Told) -> Iterator[str]:
    for path in [*bench.exports.glob(".exports/*.json"), *bench.exports.glob(".exports/*/*.json")]:
        json.loads(path.read_bytes())  # each is whole, or not there
    if bench.outcome() is not None:
        needed = f"{RECORD}/project.json", f"{RECORD}/command.json", f".exports/_names/{FOLDER.casefold()}"
        yield from (f"it is decided, and {name} is gone" for name in needed if not (bench.exports / name).exists())
    if told.end is not None and not bench.ledger().history("p1", None, 1):
        yield "it was announced, and the project's history knows nothing of it"


def _troubles_of_a_sweep(bench: Bench) -> Iterator[str]:
    swept = sweep(bench.ledger(), datetime.now(UTC) + timedelta(seconds=1), timedelta(0))
    yield from (trouble for _, trouble in swept.troubles)


# ---- which states -------------------------------------------------------------------------------------------------


def after_each_change(proof: Proof, story: Story) -> Iterator[Cut]:
    """Cuts after each operation that changes something; the last ones, with most at stake, first and more often."""
    operations = proof.recording(story).operations
    decided = next(at for at, operation in enumerate(operations) if _decides(operation))
    for at in (len(operations), *_changes(operations)):
        yield Cut(story, at, "in order", at)
        yield from (Cut(story, at, "reordered", seed) for seed in range(at, at + (4 if at > decided else 1)))


def after_a_death_at_each_entry(proof: Proof) -> Iterator[Cut]:
    """A process dies before it syncs an entry, the next one finishes the export, and only what was synced is left."""
    operations = proof.recording(Story()).operations
    for at in _changes(operations):
        if operations[at - 1].kind in {"mkdir", "link", "rename"}:
            story = Story(deaths=(at,))
            yield Cut(story, len(proof.recording(story).operations), "nothing more", at)


def _changes(operations: Sequence[Operation]) -> list[int]:
    """How many operations were done when one had changed something, the last one first."""
    return [at for at in range(len(operations), 0, -1) if operations[at - 1].kind not in {"open", "close"}]


def _decides(operation: Operation) -> bool:
    return operation.kind == "link" and operation.about[1].endswith("/outcome.json")


def adopting(proof: Proof) -> Story:
    """The first process dies at the last file; the second adopts the others, which nobody has synced."""
    operations = [str(operation) for operation in proof.recording(Story()).operations]
    last = next(at for at, operation in enumerate(operations) if operation.startswith("rename") and CLIP in operation)
    return Story(deaths=(last,))


def drawn(proof: Proof, number: int, chance: random.Random) -> Iterator[Cut]:
    """So many cuts, six of each story; a fifth of them after the end."""
    story = Story()
    for count in range(number):
        story = _any_story(proof, chance) if count % 6 == 0 else story
        yield _any_cut(proof, story, chance)


def _any_story(proof: Proof, chance: random.Random, earlier_cuts: int = 2) -> Story:
    deaths = tuple(chance.randrange(300) for _ in range(chance.choice((0, 1, 1, 2))))
    shares = chance.random() < 0.5
    if earlier_cuts == 0 or chance.random() < 0.7:
        return Story(deaths, shares)
    return Story(deaths, shares, _any_cut(proof, _any_story(proof, chance, earlier_cuts - 1), chance))


def _any_cut(proof: Proof, story: Story, chance: random.Random) -> Cut:
    end = len(proof.recording(story).operations)
    at = end if chance.random() < 0.2 else chance.randrange(end)
    return Cut(story, at, chance.choice(sorted(MODELS)), chance.randrange(2**32))


def short_form(proof: Proof) -> Iterator[Cut]:
    yield from after_each_change(proof, Story())
    yield from after_each_change(proof, adopting(proof))
    yield from after_a_death_at_each_entry(proof)
    yield from drawn(proof, 60, random.Random(1))


def prove(states: int, seed: int) -> list[str]:
    """The long form: what is wrong with so many states, each in a sentence."""
    fast = Path("/dev/shm") if Path("/dev/shm").is_dir() else None  # noqa: S108 - made private just below
    with tempfile.TemporaryDirectory(dir=fast) as directory:
        home = Path(directory)
        make_media(home / "media")
        bench = Bench(home / "media", home / "undisturbed", [])
        bench.exports.mkdir()
        bench.run(start(small_project()))
        (home / "proof").mkdir()
        proof = Proof(home / "proof", Undisturbed(bench.media, visible(bench.exports), []))
        return list(proof.violations(drawn(proof, states, random.Random(seed))))


# ---- the promise, and the model it is tested with -----------------------------------------------------------------


@pytest.fixture
def proof(place: Path, undisturbed: Undisturbed) -> Proof:
    return Proof(place, undisturbed)


@pytest.mark.slow
def test_a_loss_of_power_shows_nothing_wrong_and_takes_nothing_that_was_announced(proof: Proof) -> None:
    assert list(proof.violations(short_form(proof))) == []
    assert len(proof.looked_at) >= 600


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


# ---- the same with one promise broken at a time -------------------------------------------------------------------


def was_decided(done: Sequence[Operation]) -> bool:
    return any(_decides(operation) for operation in done)


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


# ---- real file systems: what their device holds at that moment, mounted as after a start --------------------------

IMAGE_BYTES = 512 * 1024 * 1024


class Device:
    """A file system in a file, which may be copied under it: nothing is in the copy that was not handed to the disk."""

    def __init__(self, home: Path, kind: str) -> None:
        self.mount = home / "mount"
        self.mount.mkdir()
        self.image = home / "image"
        with self.image.open("wb") as image:
            image.truncate(IMAGE_BYTES)
        assert _complaint(*KINDS[kind], str(self.image)) is None
        self.copies: dict[int, Path] = {}

    def copy(self, at: int) -> None:
        self.copies[at] = self.image.with_name(f"image-{at}")
        subprocess.run(["cp", "--sparse=always", self.image, self.copies[at]], check=True)

    @contextlib.contextmanager
    def mounted(self, image: Path) -> Iterator[Path]:
        """The root of the exports in it."""
        assert _complaint("mount", "-o", "loop", str(image), str(self.mount)) is None
        try:
            yield self.mount / "exports"
        finally:
            assert _complaint("umount", str(self.mount)) is None


class CopyingDisk(PowerDisk):
    """Copies the device after every thirtieth operation."""

    def __init__(self, root: Path, operations: list[Operation], forgets: Forgets, device: Device) -> None:
        super().__init__(root, operations, None, forgets)
        self._device = device

    def _note(self, call: str, about: tuple[str, ...], kind: str, *arguments: Any) -> None:
        super()._note(call, about, kind, *arguments)
        if len(self._operations) % 30 == 0:
            self._device.copy(len(self._operations))


def exported_on(device: Device, undisturbed: Undisturbed, forgets: Forgets) -> Recording:
    operations: list[Operation] = []
    with device.mounted(device.image) as exports, up_since(None):
        exports.mkdir()
        os.sync()
        bench = Bench(undisturbed.media, exports, reports := Reports(operations))
        event = bench.run(start(small_project()), CopyingDisk(exports, operations, forgets, device))
        device.copy(len(operations))
    return Recording({}, operations, reports, event)


def wrong_on(device: Device, undisturbed: Undisturbed, recording: Recording) -> Iterator[str]:
    for at, image in device.copies.items():
        cut = Cut(Story(), at, "real", 1)
        with device.mounted(image) as exports, up_since(cut):
            bench = Bench(undisturbed.media, exports, [])
            yield from (
                f"{cut}: {wrong}" for wrong in _wrong(bench, undisturbed, recording.told(at), sweeps_first=False)
            )


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_real_file_systems_keep_what_was_announced_and_show_nothing_wrong(
    kind: str, place: Path, undisturbed: Undisturbed
) -> None:
    if obstacle := _obstacle(kind):
        pytest.skip(f"no {kind} here: {obstacle}")
    device = Device(place, kind)
    recording = exported_on(device, undisturbed, careful)
    assert list(wrong_on(device, undisturbed, recording)) == []


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_real_file_systems_forget_what_is_not_synced(kind: str, place: Path, undisturbed: Undisturbed) -> None:
    """Else the test above would show nothing."""
    if obstacle := _obstacle(kind):
        pytest.skip(f"no {kind} here: {obstacle}")
    device = Device(place, kind)
    recording = exported_on(device, undisturbed, lambda path, done: "nothing")
    assert any("it was announced, and is gone" in wrong for wrong in wrong_on(device, undisturbed, recording))
