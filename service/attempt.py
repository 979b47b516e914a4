"""One try at an export: a private directory, a journal of what is finished in it, and a sign of life.

Nothing of it is visible until it is decided; nobody else writes to it, ever. Synchronous: call it from a thread.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from contracts import ErrorCode, Stage
from service.errors import Trouble
from service.judgement import Ending, Past
from service.ledger import RECORDS, Ledger, attempt_key
from service.model import FOLDERS, Copy, Facts
from service.references import EXPORTS
from service.segments import Extent, Segment, Written
from service.storage.port import Hold, SourceFault, Storage, Watch

_LOCK, _JOURNAL, _TREE = "lock", "journal.jsonl", "tree"
_LET_GO_NS = 0
"""The time of an attempt's directory that says of an end what the journal had no room for: a time takes none."""


class Finished(NamedTuple):
    """A journal line: a media file that is complete under its final name."""

    name: str
    identity: str
    written: Written
    boot_id: str | None


class Lost(Trouble):
    """Something of the attempt is gone, or another one decided: somebody else finished it, or swept it away."""

    def __init__(self, what: str) -> None:
        super().__init__(ErrorCode.IO_ERROR, f"{what}: the attempt was overtaken or swept away")


@dataclass(frozen=True, slots=True)
class Attempt:
    """Attempt `number` of an export, held by this process."""

    storage: Storage
    export_id: str
    number: int
    """Also the fencing token: of two attempts the larger is the newer."""
    moment_ns: int
    """The modification time of everything in the export."""
    hold: Hold = field(repr=False)
    worker: str = ""
    """Whose it is; nothing for a person's own `run`."""

    @property
    def key(self) -> str:
        return attempt_key(self.export_id, self.number)

    @property
    def tree(self) -> str:
        return f"{self.key}/{_TREE}"

    def prepare(self) -> None:
        """Makes the empty tree, and notes since when the machine is up."""
        for folder in ("", *(f"/{folder}" for folder in FOLDERS.values())):
            self.storage.claim(f"{self.tree}{folder}")
        self._note({"boot": self.storage.boot_id(), "worker": self.worker})
        with suppress(Trouble):
            self._note({"began_ns": self._noted_ns()})

    # ---- files

    def copy(self, copy: Copy, watch: Watch) -> Written:
        """Makes one media file and notes it. Raises SourceFault when the source is at fault."""
        written = self.storage.assemble(f"{self.tree}/{copy.name}", copy.segments, self.moment_ns, watch)
        self._note(_file_line(copy, written))
        return written

    def write(self, name: str, pieces: Iterable[bytes]) -> Written:
        """Makes a text; never adopted, always made anew."""
        return self.storage.assemble(f"{self.tree}/{name}", pieces, self.moment_ns, _unwatched)

    def pack(self, segments: Iterable[Segment], watch: Watch) -> Written:
        """Makes the archive."""
        return self.storage.assemble(f"{self.key}/archive", segments, self.moment_ns, watch)

    def extent(self, name: str) -> Extent:
        """A finished file of this attempt, as a piece of an archive."""
        return self._whole(f"{self.tree}/{name}")

    def write_beside(self, name: str, pieces: Iterable[bytes]) -> Written:
        """Makes what belongs into the archive and not into the folder."""
        return self.storage.assemble(f"{self.key}/{name}", pieces, self.moment_ns, _unwatched)

    def extent_beside(self, name: str) -> Extent:
        """That, as a piece of the archive."""
        return self._whole(f"{self.key}/{name}")

    def _whole(self, key: str) -> Extent:
        version = self.storage.version(key)
        if version is None:
            raise Lost(key)
        return Extent(EXPORTS, key, 0, version.size_bytes, version)

    # ---- what earlier attempts finished

    def adopt(self, copies: Iterable[Copy], watch: Watch) -> dict[str, Written]:
        """Takes over what dead attempts finished of these copies, by a second name for the same file."""
        wanted = {copy.name: copy for copy in copies}
        adopted: dict[str, Written] = {}
        for number in reversed(range(1, self.number)):
            for line in dead_journal(self.storage, self.export_id, number):
                copy = wanted.get(line.name)
                if copy is None or line.name in adopted or copy.identity != line.identity:
                    continue
                watch(0)
                if self._take(number, line, watch):
                    self._note({**_file_line(copy, line.written), "adopted": True})
                    adopted[line.name] = line.written
        return adopted

    def _take(self, number: int, line: Finished, watch: Watch) -> bool:
        target = f"{self.tree}/{line.name}"
        if not self.storage.link(f"{attempt_key(self.export_id, number)}/tree/{line.name}", target):
            return False
        version = self.storage.version(target)
        is_whole = version is not None and version.size_bytes == line.written.size_bytes
        if is_whole and (line.boot_id is None or line.boot_id != self.storage.boot_id()):
            # It was never known to be on the disk, and the memory that had it is gone, or was another host's.
            is_whole = self._checksum(line.name, watch) == line.written.crc32
            if is_whole:
                self.storage.set_moment(target, self.moment_ns)  # may be lost where the bytes are not
        if not is_whole:
            self.storage.remove(target)
        return is_whole

    def _checksum(self, name: str, watch: Watch) -> int | None:
        try:
            return self.storage.checksum(self.extent(name), watch)
        except SourceFault:
            return None

    def start_writeback(self, keys: Iterable[str], watch: Watch) -> None:
        """A hint that these will be made durable next."""
        self.storage.start_writeback((f"{self.key}/{key}" for key in keys), watch)

    def make_durable(self, key: str) -> None:
        """A file of this attempt is on the disk. If that fails, nobody may adopt it, by whatever name."""
        try:
            self.storage.make_durable(f"{self.key}/{key}")
        except Trouble:
            # The attempt that it was adopted from has the same file: its next fsync would succeed and lie.
            for number in range(1, self.number):
                self.storage.remove(f"{attempt_key(self.export_id, number)}/{key}")
            raise

    # ---- the journal

    def note_percent(self, percent: int) -> None:
        """The floor for the progress of later attempts."""
        self._note({"percent": percent})

    def note_stage(self, stage: Stage) -> None:
        """Tells later where it died, if it does."""
        with suppress(Trouble):
            self._note_if_kept({"stage": stage})

    def note_handed_back(self) -> None:
        """Stopped on purpose: this end says nothing against the export."""
        self._note_end({"handed_back": True})

    def note_trouble(self, code: ErrorCode, detail: str) -> None:
        """Ended by this machine's own trouble: no death either."""
        self._note_end({"trouble": code, "detail": detail[:500]})

    def note_crash(self, worker: str, error: str) -> None:
        """Ended by an error that nobody expected."""
        self._note_end({"crashed_on": worker, "crash": error})

    def _note_end(self, line: dict[str, object]) -> None:
        """An end without its note would look like a death, and five full disks like poison. Raises Trouble."""
        try:
            self._note_if_kept(line)
        except Trouble:
            self.storage.set_moment(self.key, _LET_GO_NS)

    def _note_if_kept(self, line: dict[str, object]) -> None:
        """In an attempt that was cleared away the note would be litter."""
        if self._noted_ns() is not None:
            self._note(line)

    def _noted_ns(self) -> int | None:
        """When the last note was taken, by the storage's clock; nothing when the journal is gone."""
        version = self.storage.version(_journal(self.key))
        return None if version is None else version.mtime_ns

    def _note(self, line: dict[str, object]) -> None:
        # The line break comes first, so that a line torn by a full disk cannot swallow the next one.
        self.storage.append(_journal(self.key), b"\n" + json.dumps(line, separators=(",", ":")).encode())

    def note_facts(self, facts: Facts) -> None:
        """What the survey found, a line a file; tells later why the plan was as it was."""
        lines = (f"{json.dumps([uri, *fact], default=str)}\n".encode() for uri, fact in facts.items())
        self.storage.assemble(_facts(self.key), lines, self.moment_ns, _unwatched)

    # ---- room

    def shares_blocks_with(self, extent: Extent) -> bool:
        """Whether a copy of that whole file, in this attempt, takes no room."""
        with suppress(SourceFault):  # the copying will tell
            return self.storage.shares_blocks_with(extent, f"{self.key}/trial")
        return False

    def facts_file(self) -> Extent:
        """A file that is there when the copying begins."""
        return self._whole(_facts(self.key))

    # ---- the end

    def prune(self, planned: Iterable[str]) -> list[str]:
        """Removes from the tree what the final plan does not have; returns what the plan has and the tree lacks."""
        names = set(planned)
        found = set(_tree_names(self.storage, self.tree))
        for name in found - names:
            self.storage.remove(f"{self.tree}/{name}")
        return sorted(names - found)

    def directories(self) -> list[str]:
        """Everything from the tree's folders up to the root, in the order in which they must become durable."""
        folders = [f"{self.tree}/{folder}" for folder in FOLDERS.values()]
        return [*folders, self.tree, self.key, f"{RECORDS}/{self.export_id}", RECORDS, ""]

    def set_moments(self) -> None:
        """Dates the folders like the files in them; the last change to the tree."""
        for key in self.directories()[: len(FOLDERS) + 1]:
            self.storage.set_moment(key, self.moment_ns)

    def beat(self) -> None:
        self.storage.beat(_lock(self.key))

    def end(self) -> None:
        """Lets go; from now on others may adopt what is finished."""
        self.hold.release()


def begin(ledger: Ledger, export_id: str, moment_ns: int, worker: str = "") -> Attempt:
    """Makes the next attempt. Its number is the largest there ever was, plus one; `worker` is who makes it."""
    storage = ledger.storage
    while True:
        number = max(ledger.attempts(export_id), default=0) + 1
        key = attempt_key(export_id, number)
        if not storage.claim(key):
            continue  # a rival took the number
        hold = storage.hold(_lock(key))
        if hold is None:
            continue  # a rival looked at the very moment whether we live; the number is spent, take the next
        attempt = Attempt(storage, export_id, number, moment_ns, hold, worker)
        try:
            attempt.prepare()
            # From now on the number is told to others; a loss of power must not give it away a second time.
            storage.make_durable(f"{RECORDS}/{export_id}")
        except BaseException:
            attempt.end()
            raise
        return attempt


def pulse_of_living(ledger: Ledger, export_id: str) -> tuple[int, int] | None:
    """Number and pulse of the newest attempt whose process lives; a pulse that stands still is a frozen process."""
    for number in reversed(ledger.attempts(export_id)):
        lock = _lock(attempt_key(export_id, number))
        pulse = ledger.storage.pulse(lock)
        if pulse is not None and not _is_free(ledger.storage, lock):
            return number, pulse
    return None


def clear_dead(ledger: Ledger, export_id: str) -> bool:
    """Removes the files of attempts that died undecided; whether there were any."""
    found = False
    for number in ledger.attempts(export_id):
        with _left_by_dead(ledger, export_id, number) as left:
            for name in left:
                ledger.storage.remove(f"{attempt_key(export_id, number)}/{name}")
            found = found or bool(left)
    return found


def clear_superseded(ledger: Ledger, attempt: Attempt, watch: Watch) -> None:
    """Removes what the dead attempts before this one have for nobody: this one needs the room.

    Of finished media each version stays in the newest of them, for this attempt and the next. So an export in trouble
    has the files of few attempts, however many there were, and of the others what their ends tell of it.
    """
    in_newer: set[tuple[str, str]] = set()
    for number in reversed(range(1, attempt.number)):
        with _left_by_dead(ledger, attempt.export_id, number) as left:
            if {_JOURNAL}.issuperset(left):
                continue
            with suppress(Trouble):  # NFS keeps what a frozen process has open; the next attempt comes by again
                in_newer |= _clear(ledger.storage, attempt.export_id, number, in_newer, watch)


@contextmanager
def _left_by_dead(ledger: Ledger, export_id: str, number: int) -> Iterator[list[str]]:
    """What is in an attempt that died undecided, but for its lock; nothing of any other.

    It is held meanwhile, so that it does not come to life under whoever clears it; the lock stays, for its name is what
    is held.
    """
    key = attempt_key(export_id, number)
    left = [name for name in ledger.storage.names(key) if name != _LOCK]
    hold = ledger.storage.hold(_lock(key)) if left else None
    try:
        # An attempt decides while it holds its lock: once that is ours, this answer cannot become untrue.
        yield [] if hold is None or ledger.is_decided(export_id) else left
    finally:
        if hold is not None:
            hold.release()


def _clear(
    storage: Storage, export_id: str, number: int, spare: set[tuple[str, str]], watch: Watch
) -> set[tuple[str, str]]:
    """Leaves the attempt's finished media, but for those that can be spared; returns their names and versions."""
    key = attempt_key(export_id, number)
    directory = storage.version(key)
    lines = list(journal(storage, export_id, number))
    finished = {line["file"]: line["identity"] for line in lines if "file" in line}
    there = list(_tree_names(storage, f"{key}/{_TREE}"))
    kept = {(name, finished[name]) for name in there if name in finished} - spare
    names = {name for name, _ in kept}
    for name in there:
        watch(0)
        if name not in names:
            storage.remove(f"{key}/{_TREE}/{name}")
    for name in storage.names(key):
        if name not in {_LOCK, _JOURNAL} and not (kept and name == _TREE):
            storage.remove(f"{key}/{name}")
    if not kept:
        with suppress(Trouble):
            _shorten(storage, _journal(key), lines)
    if directory is not None and directory.mtime_ns == _LET_GO_NS:
        storage.set_moment(key, _LET_GO_NS)
    return kept


def _shorten(storage: Storage, journal_key: str, lines: Sequence[Mapping[str, Any]]) -> None:
    """To a line that says the same of the attempt's end; its time tells when the last file was finished."""
    noted = storage.version(journal_key)
    if noted is None:
        return
    known = {name: value for line in lines if "file" not in line for name, value in line.items()}
    percents = [line["percent"] for line in lines if "percent" in line]
    known |= {"percent": max(percents)} if percents else {}
    line = {**known, "new_files": _new_files(lines)}
    storage.assemble(journal_key, [json.dumps(line, separators=(",", ":")).encode()], noted.mtime_ns, _unwatched)


def _new_files(lines: Iterable[Mapping[str, Any]]) -> int:
    """How many the attempt finished itself."""
    return sum(line.get("new_files", 0) + ("file" in line and "adopted" not in line) for line in lines)


def _is_dead(storage: Storage, key: str) -> bool:
    return storage.pulse(_lock(key)) is not None and _is_free(storage, _lock(key))


def _is_free(storage: Storage, lock: str) -> bool:
    hold = storage.hold(lock)
    if hold is None:
        return False
    hold.release()
    return True


def dead_journal(storage: Storage, export_id: str, number: int) -> list[Finished]:
    """What a dead attempt finished; nothing of a living one, whose files may still go away."""
    if not _is_dead(storage, attempt_key(export_id, number)):
        return []
    lines = list(journal(storage, export_id, number))
    boot_id = next((line["boot"] for line in lines if "boot" in line), None)
    return [
        Finished(line["file"], line["identity"], Written(line["size"], line["crc32"]), boot_id)
        for line in lines
        if "file" in line
    ]


def journal(storage: Storage, export_id: str, number: int) -> Iterator[dict[str, Any]]:
    """The whole lines of an attempt's journal; torn ones are passed over."""
    for line in (storage.get(_journal(attempt_key(export_id, number))) or b"").split(b"\n"):
        try:
            entry = json.loads(line)
        except ValueError:
            continue
        if isinstance(entry, dict):
            yield entry


def history(ledger: Ledger, export_id: str) -> tuple[Past, ...]:
    """How earlier attempts ended, oldest first; without those that live, and those of which nothing is known."""
    storage = ledger.storage
    dead = [number for number in ledger.attempts(export_id) if _is_dead(storage, attempt_key(export_id, number))]
    pasts = (_past(storage, export_id, number) for number in dead)
    return tuple(past for past in pasts if past is not None)


def _past(storage: Storage, export_id: str, number: int) -> Past | None:
    key = attempt_key(export_id, number)
    lines = list(journal(storage, export_id, number))
    noted, directory = storage.version(_journal(key)), storage.version(key)
    if not lines or noted is None or directory is None:
        return None  # swept, or dead before its first word
    known = {name: value for line in lines for name, value in line.items()}
    new_files = _new_files(lines)
    return Past(
        number=number,
        stage=known.get("stage"),
        new_files=new_files,
        ended=_ending(known) or ("trouble" if directory.mtime_ns == _LET_GO_NS else None),
        crashed_on=known.get("crashed_on"),
        crash=known.get("crash"),
        began_ns=known.get("began_ns"),
        last_file_ns=noted.mtime_ns if new_files else None,
        worker=known.get("worker") or None,
        trouble=known.get("trouble"),
        detail=known.get("detail"),
    )


def _ending(known: Mapping[str, object]) -> Ending | None:
    if "crash" in known:
        return "crashed"
    if "trouble" in known:
        return "trouble"
    return "handed_back" if "handed_back" in known else None


def percent_floor(ledger: Ledger, export_id: str) -> int:
    """How far earlier attempts were seen to be; progress never falls below it."""
    floor = 0
    for number in ledger.attempts(export_id):
        for line in journal(ledger.storage, export_id, number):
            seen = line.get("percent")
            floor = max(floor, seen) if isinstance(seen, int) else floor
    return floor


def _tree_names(storage: Storage, tree: str) -> Iterator[str]:
    directories = set(FOLDERS.values())
    for name in storage.names(tree):
        if name in directories:
            yield from (f"{name}/{file}" for file in storage.names(f"{tree}/{name}"))
        else:
            yield name


def _lock(key: str) -> str:
    return f"{key}/{_LOCK}"


def _journal(key: str) -> str:
    return f"{key}/{_JOURNAL}"


def _facts(key: str) -> str:
    return f"{key}/facts.jsonl"


def _file_line(copy: Copy, written: Written) -> dict[str, object]:
    return {"file": copy.name, "identity": copy.identity, "size": written.size_bytes, "crc32": written.crc32}


def _unwatched(_: int) -> None:
    return None
