"""Looks once at every file that an export wants: is it there, which version, what does it say, how can it be cut."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from operator import itemgetter

import anyio
from anyio import to_thread

from contracts import ErrorCode
from service.errors import ExportError, Trouble, Verdict
from service.model import Draft, Fact, Facts, Found, Missing, Unreadable, Wanted
from service.probe import probe
from service.references import Source, insist_on_scope, resolve
from service.segments import Extent, Version
from service.storage.port import SourceMissing, SourceUnreadable, Storage
from service.wav import HEAD_BYTES, NotCuttable, Wav, parse

# One thread hop costs about as much as one look at a warm directory. Looks at a slow store take long, though, and only
# between two hops can an export be stopped.
_LOOKS_PER_HOP = 100
# A missing file is believed missing at the second look; what cannot be read may be a passing fault of the store.
_LOOK_AGAIN_AFTER_SECONDS = (0.2, 1.0)
_THREADS = 4

Looked = Callable[[], None]
"""Told, on the loop, whenever some more files were looked at; a sign of life, which may raise to end it."""


async def survey(
    draft: Draft, storage: Storage, lookers: anyio.CapacityLimiter | None = None, looked: Looked | None = None
) -> dict[str, Fact]:
    """One fact for each uri that the draft wants; whatever seems absent is looked for again.

    `lookers` has the threads that look: several, since a look at a slow store mostly waits.
    Raises Verdict(reference_refused) for a reference outside every root, and Trouble(storage_unavailable) when a root
    is not there, or none of the files can be had.
    """
    await to_thread.run_sync(storage.check_roots)
    facts = await look_at(draft, draft.wanted, storage, lookers, looked)
    for pause in _LOOK_AGAIN_AFTER_SECONDS:
        if all(isinstance(fact, Found) for fact in facts.values()):
            break
        await anyio.sleep(pause)
        again = await look_again(draft, facts, storage, lookers, looked)
        facts |= again
        if all(isinstance(fact, Missing) for fact in again.values()):
            break
    insist_on_one(facts, storage)
    return facts


def insist_on_one(facts: Facts, storage: Storage) -> None:
    """A store that was not mounted, or answers errors only, must never become an empty export.

    Raises Trouble(storage_unavailable) when none of the files can be had.
    """
    if not facts or any(isinstance(fact, Found) for fact in facts.values()):
        return
    roots = ", ".join(f'{name} "{path}"' for name, path in storage.roots.items())
    unreadable = next((fact for fact in facts.values() if isinstance(fact, Unreadable)), None)
    what = "was found" if unreadable is None else f"could be read (one {unreadable.detail})"
    raise Trouble(
        ErrorCode.STORAGE_UNAVAILABLE,
        f"none of the project's {len(facts)} files {what} in {roots}: is this the right directory, and mounted?",
    )


async def look_again(
    draft: Draft,
    facts: Facts,
    storage: Storage,
    lookers: anyio.CapacityLimiter | None = None,
    looked: Looked | None = None,
) -> dict[str, Fact]:
    """A second look at whatever was not found, with the roots still the same ones."""
    await to_thread.run_sync(storage.check_roots)
    doubted = (one for one in draft.wanted if not isinstance(facts[one.uri], Found))
    return await look_at(draft, doubted, storage, lookers, looked)


async def look_at(
    draft: Draft,
    wanted: Iterable[Wanted],
    storage: Storage,
    lookers: anyio.CapacityLimiter | None = None,
    looked: Looked | None = None,
) -> dict[str, Fact]:
    """The facts of those files; each file once, however many assets share it. Raises as `survey` does."""
    # A file that is both copied whole and cut counts as one to be cut: the last one of a uri wins.
    by_uri = {one.uri: one for one in sorted(wanted, key=lambda one: one.slice_ms is not None)}
    looking = _Looking(draft, list(by_uri.values()), storage, lookers or anyio.CapacityLimiter(_THREADS), looked)
    async with anyio.create_task_group() as tasks:
        for _ in range(int(looking.lookers.total_tokens)):
            tasks.start_soon(looking.go_on)
    return looking.facts()


@dataclass
class _Looking:
    """Batches of files, each taken by whoever is free next."""

    draft: Draft
    wanted: Sequence[Wanted]
    storage: Storage
    lookers: anyio.CapacityLimiter
    looked: Looked | None
    _seen: dict[int, dict[str, Fact] | ExportError] = field(default_factory=dict)
    _next: int = 0

    async def go_on(self) -> None:
        while (start := self._next) < len(self.wanted):
            self._next += _LOOKS_PER_HOP
            batch = self.wanted[start : start + _LOOKS_PER_HOP]
            try:
                self._seen[start] = await to_thread.run_sync(
                    _facts, self.draft, batch, self.storage, limiter=self.lookers
                )
            except ExportError as fault:
                self._seen[start] = fault
                self._next = len(self.wanted)
            if self.looked is not None:
                self.looked()

    def facts(self) -> dict[str, Fact]:
        """In the order of the files; so is the fault that counts, if there are several."""
        facts: dict[str, Fact] = {}
        for _, seen in sorted(self._seen.items(), key=itemgetter(0)):
            if isinstance(seen, ExportError):
                raise seen
            facts |= seen
        return facts


def _facts(draft: Draft, batch: Iterable[Wanted], storage: Storage) -> dict[str, Fact]:
    return {one.uri: _fact(one, source_of(one, draft, storage), storage) for one in batch}


def _fact(wanted: Wanted, source: Source, storage: Storage) -> Fact:
    try:
        version = storage.look(source)
        file = _File(storage, source, version)
        wav = None if wanted.slice_ms is None else _wav(file)
        media = probe(file.read, version.size_bytes)
    except SourceMissing:
        return Missing()
    except SourceUnreadable as fault:
        return Unreadable(str(fault))
    return Found(source, version, wav, _promised_crc32(wanted, source, version, storage), media)


def _promised_crc32(wanted: Wanted, source: Source, version: Version, storage: Storage) -> int | None:
    """The CRC-32 that the project gives for this very file, where its root is trusted for such promises."""
    is_of_this_file = wanted.slice_ms is None and wanted.size_bytes == version.size_bytes
    return wanted.crc32 if is_of_this_file and source.root in storage.trusted else None


def source_of(wanted: Wanted, draft: Draft, storage: Storage) -> Source:
    """Where the file is. Raises Verdict(reference_refused) for a place that this project may not name."""
    try:
        source = resolve(wanted.uri, storage.roots, storage.real_roots)
        insist_on_scope(source, storage.scope, draft.project.id, draft.tenant)
    except Verdict as refusal:
        raise Verdict(refusal.code, f"{wanted.spot.kind} of sentence {wanted.spot.seq}: {refusal.detail}") from None
    return source


class _File:
    """One version of a source, read in ranges. Its beginning is read once, whoever asks for it."""

    def __init__(self, storage: Storage, source: Source, version: Version) -> None:
        self._storage = storage
        self._source = source
        self._version = version
        self._head: bytes | None = None

    @property
    def size_bytes(self) -> int:
        return self._version.size_bytes

    def read(self, start: int, stop: int) -> bytes:
        """Raises SourceMissing, SourceUnreadable."""
        if start > 0 or stop > HEAD_BYTES:
            return self._read(start, stop)
        if self._head is None:
            self._head = self._read(0, min(HEAD_BYTES, self.size_bytes))
        return self._head[:stop]

    def _read(self, start: int, stop: int) -> bytes:
        extent = Extent(self._source.root, self._source.key, start, min(stop, self.size_bytes), self._version)
        return b"".join(bytes(piece) for piece in self._storage.read(extent))


def _wav(file: _File) -> Wav | str:
    try:
        return parse(file.read(0, HEAD_BYTES), file.size_bytes)
    except NotCuttable as reason:
        return str(reason)
