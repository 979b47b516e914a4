"""Carries out an export: survey, copy, texts, archive, verify, durable, decide, publish. In this order, always.

Knows neither a broker nor the kind of storage. Every wait for a disk is in a thread.
"""

import time
from asyncio import CancelledError
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import NamedTuple, TypeVar, TypeVarTuple

import anyio
from anyio import to_thread

from contracts import ErrorCode, ExportCancelled, ExportStart, Layout, Project, Stage, State
from service.attempt import Attempt, Lost, begin, clear_superseded, percent_floor
from service.contents import MANIFEST, OTIOZ_CONTENT
from service.copying import copy_all, is_fault
from service.earlier import earlier_export
from service.errors import Interrupted, Trouble, Verdict
from service.ledger import Decision, Ledger
from service.liveness import Meanwhile, obey_others, rival_finished, watch_over
from service.manifest import write_manifest
from service.model import Draft, Fact, Facts, Found, Plan, Unreadable
from service.naming import folder_name
from service.outcome import completed, failed
from service.packing import archive_bytes_about, lay_out, packed_copies, tree_of
from service.plan import plan_export
from service.progress import Halt, Meter, Report, Stop
from service.room import Allowance, insist_on_room
from service.segments import Extent, Written
from service.settle import settle, with_checksum_warnings
from service.storage.port import SourceFault, Storage
from service.streaming_zip import ZipPlan
from service.survey import insist_on_one, look_again, survey
from service.texts import content_of_otioz, texts_bytes_about, texts_of

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

# How long to wait before a source that could not be read is tried again; the rounds of copying are one more.
BACK_OFF_SECONDS = (0.2, 1.0)


class Threads(NamedTuple):
    """Those that wait for files, shared by all exports of a process.

    Apart from anyio's own, which decisions and signs of life need; and those that look from those that copy, who may be
    long at a file.
    """

    copiers: anyio.CapacityLimiter
    lookers: anyio.CapacityLimiter

    @classmethod
    def of_each(cls, count: int) -> "Threads":
        return cls(anyio.CapacityLimiter(count), anyio.CapacityLimiter(count))


@dataclass(frozen=True, slots=True)
class Workshop:
    """Where exports are made, and by how many at once."""

    storage: Storage
    ledger: Ledger
    threads: Threads
    worker: str = ""
    """Who notes an unexpected error; without a name (`run`) the error counts against no export."""
    allowance: Allowance = field(default_factory=Allowance)
    not_noted: list[tuple[Attempt, BaseException]] = field(default_factory=list)
    """Attempts whose exports root was away when they ended, and what ended them."""

    def note_the_rest(self) -> None:
        """Notes what could not be noted, if that can be done now: what has no end is taken for a death."""
        ends = []
        with suppress(IndexError):  # another thread may take some
            while True:
                ends.append(self.not_noted.pop())
        for attempt, end in ends:
            _note_end(attempt, end, self)


async def export(command: ExportStart, shop: Workshop, report: Report, stop: Stop) -> Decision:
    """The whole way from a command, as `Ledger.accept` returned it, to its one decision, published.

    Any number of times gives the same. Raises Trouble for what only this machine cannot do, and Interrupted when
    `stop` is set: in both cases nothing was decided, and the same call goes on later.
    """
    shop = replace(shop, ledger=await to_thread.run_sync(shop.ledger.bound))
    decision = await rival_finished(shop.ledger, command.export_id, stop)
    if decision is None:
        return await _try(command, shop, report, stop)
    await to_thread.run_sync(_publish, shop.ledger, command.export_id, decision)
    return decision


async def give_up(command: ExportStart, shop: Workshop, verdict: Verdict, stage: Stage = Stage.PLANNING) -> Decision:
    """Decides by a verdict that no attempt came to itself, unless it was decided before; `stage` is where it was."""
    return await to_thread.run_sync(_give_up, command, shop.ledger, verdict, stage)


def _give_up(command: ExportStart, ledger: Ledger, verdict: Verdict, stage: Stage) -> Decision:
    last = max(ledger.attempts(command.export_id), default=0)
    project_id = None if command.project is None else command.project.id
    event = failed(command.export_id, project_id, last, verdict, stage, ledger.now())
    decision = ledger.decide(command.export_id, Decision.of(0, None, None, event))
    _publish(ledger, command.export_id, decision)
    return decision


def _publish(ledger: Ledger, export_id: str, decision: Decision) -> None:
    ledger.roll_forward(export_id, decision)
    # The export is there; what cannot be cleared now (NFS keeps what a frozen rival has open) is left to a sweep.
    with suppress(Trouble):
        ledger.clean(export_id)


async def _try(command: ExportStart, shop: Workshop, report: Report, stop: Stop) -> Decision:
    """One attempt, up to a published decision: its own, or that of a rival who was faster."""
    try:
        return await _try_alone(command, shop, report, stop)
    except Trouble:
        # A swept or overtaken attempt first shows as a file that is not there.
        decided = await to_thread.run_sync(shop.ledger.decision, command.export_id)
        if decided is None:
            raise
    await to_thread.run_sync(_publish, shop.ledger, command.export_id, decided)
    return decided


async def _try_alone(command: ExportStart, shop: Workshop, report: Report, stop: Stop) -> Decision:
    """One attempt, as if there were no rivals."""
    project = _project_of(command)
    attempt, floor = await to_thread.run_sync(_begin, command, shop)
    meter = Meter(command.export_id, project.id, attempt.number, floor)
    halt = Halt(stop)
    work = _Work(command, project, shop, attempt, meter, halt)
    try:
        wanted = await _work_out(work, Meanwhile(shop.ledger, attempt, meter, report, halt))
        # Still held: a sweep beside this must not take the files for abandoned between here and the decision.
        await to_thread.run_sync(shop.ledger.open)
        decision = await to_thread.run_sync(shop.ledger.decide, command.export_id, wanted)
        meter.stepped(State.CANCELLING if isinstance(decision.event, ExportCancelled) else State.PUBLISHING)
        report(meter.snapshot())
        await to_thread.run_sync(_publish, shop.ledger, command.export_id, decision)
        meter.is_published = decision.folder is not None
        report(meter.snapshot())
    except BaseException as end:
        with anyio.CancelScope(shield=True):
            await to_thread.run_sync(_note_end, attempt, end, shop)
        raise
    else:
        return decision
    finally:
        with anyio.CancelScope(shield=True):
            await to_thread.run_sync(attempt.end)


def _note_end(attempt: Attempt, end: BaseException, shop: Workshop) -> None:
    """Spares the export the suspicion that it kills its workers."""
    try:
        shop.ledger.open()
        _note(attempt, end, shop.worker)
    except Trouble:
        # A root that is away shows as an attempt that is gone; whether it is will be seen.
        shop.not_noted.append((attempt, Trouble(end.code, end.detail) if isinstance(end, Lost) else end))


def _note(attempt: Attempt, end: BaseException, worker: str) -> None:
    match end:
        case Lost():
            pass  # its files are another's, or gone
        case Trouble():
            attempt.note_trouble(end.code, end.detail)
        case Interrupted() | CancelledError():
            attempt.note_handed_back()
        case Exception():
            attempt.note_crash(worker, f"{type(end).__name__}: {str(end)[:200]}")
        case _:
            pass  # the process is ending


async def _work_out(work: "_Work", meanwhile: Meanwhile) -> Decision:
    """What this attempt would decide."""
    try:
        async with watch_over(meanwhile):
            return await work.through()
    except Verdict as verdict:
        attempt = work.attempt
        now = await to_thread.run_sync(work.shop.ledger.now)
        event = failed(attempt.export_id, work.project.id, attempt.number, verdict, work.stage, now)
        return Decision.of(0, None, None, event)


def _project_of(command: ExportStart) -> Project:
    if command.project is None:
        raise ValueError("a command that was not accepted has no project")
    return command.project


def _begin(command: ExportStart, shop: Workshop) -> tuple[Attempt, int]:
    """The attempt, and the percent that its progress never falls below."""
    moment_ns = int(command.requested_at.timestamp()) * 10**9
    attempt = begin(shop.ledger, command.export_id, moment_ns, shop.worker)
    try:
        return attempt, _floor(shop.ledger, command.export_id)
    except BaseException:
        attempt.end()
        raise


def _floor(ledger: Ledger, export_id: str) -> int:
    """Once the attempt has its number: whoever it overtakes has told what it told."""
    floor = percent_floor(ledger, export_id)
    if ledger.is_decided(export_id):
        raise Lost("it was decided a moment ago")  # before a word of progress, which would fall from 100 to 0
    return floor


@dataclass
class _Work:
    """One attempt's way through the stages, and how long each took."""

    command: ExportStart
    project: Project
    shop: Workshop
    attempt: Attempt
    meter: Meter
    halt: Halt
    stage: Stage = Stage.PLANNING
    timings: dict[Stage, float] = field(default_factory=dict)

    async def through(self) -> Decision:
        """Everything up to the decision, which the caller makes."""
        await to_thread.run_sync(obey_others, self.shop.ledger, self.command.export_id)
        async with self._at(Stage.PLANNING, State.PLANNING):
            lookers = self.shop.threads.lookers
            await to_thread.run_sync(clear_superseded, self.shop.ledger, self.attempt, self._stepped, limiter=lookers)
            draft = await to_thread.run_sync(self._draft)
            facts = await survey(draft, self.shop.storage, lookers, self._looked)
            plan = await to_thread.run_sync(self._settled, draft, facts)
            await to_thread.run_sync(self.attempt.note_facts, facts)
        async with self._at(Stage.COPYING, State.COPYING):
            plan, media = await self._copy(plan, facts)
            plan = with_checksum_warnings(plan, media)
        async with self._at(Stage.PACKING, State.PACKING):
            files, archive = await self._in_a_thread(self._write_and_pack, plan, media)
        async with self._at(Stage.VERIFYING, State.VERIFYING):
            await to_thread.run_sync(self._verify, files)
            await self._make_durable(files, archive)
        await to_thread.run_sync(obey_others, self.shop.ledger, self.command.export_id)
        # It says when the export expires: no worker's own clock may decide that.
        now = await to_thread.run_sync(self.shop.ledger.now)
        event = completed(plan, files, archive, self.attempt.number, self.timings, now)
        name = None if event.archive is None else event.archive.name
        return Decision.of(self.attempt.number, draft.folder, name, event)

    @asynccontextmanager
    async def _at(self, stage: Stage, state: State) -> AsyncIterator[None]:
        self.halt.obey()
        self.stage = stage
        self.meter.stepped(state)
        await to_thread.run_sync(self.attempt.note_stage, stage)
        began = time.monotonic()
        yield
        self.timings[stage] = time.monotonic() - began

    def _draft(self) -> Draft:
        wanted = folder_name(self.project.id, self.command.requested_at)
        folder = self.shop.ledger.reserve(self.command.export_id, wanted)
        earlier = earlier_export(self.shop.ledger, self.command, self.project)
        draft = plan_export(self.command, self.project, folder, earlier)
        self.shop.allowance.insist_on_few(draft)
        return draft

    def _settled(self, draft: Draft, facts: Facts) -> Plan:
        plan = settle(draft, facts)
        self.shop.allowance.insist_on_small(plan)
        return plan

    async def _in_a_thread(self, work: Callable[[*Ts], T], *arguments: *Ts) -> T:
        """For what may take long: not among anyio's own threads, which signs of life need."""
        return await to_thread.run_sync(work, *arguments, limiter=self.shop.threads.copiers)

    # ---- media

    async def _copy(self, plan: Plan, facts: dict[str, Fact]) -> tuple[Plan, dict[str, Written]]:
        """Copies until nothing is in doubt: what was missing may come, what cannot be read is tried three times."""
        media = await self._in_a_thread(self.attempt.adopt, plan.copies, self._stepped)
        await to_thread.run_sync(self._expect, plan, media)
        for pause in (*BACK_OFF_SECONDS, None):
            results = await copy_all(
                plan.without(media), self.attempt, self.meter, self.halt, self.shop.threads.copiers
            )
            media |= {name: result for name, result in results.items() if isinstance(result, Written)}
            faults = {copy.uri: str(results[copy.name]) for copy in plan.copies if is_fault(results.get(copy.name))}
            again = await self._look_once_more(plan.draft, facts, faults, pause)
            if not faults and again == facts:
                break
            facts, before = again, frozenset(plan.copies)
            plan = await to_thread.run_sync(self._settled, plan.draft, facts)
            # Two files may come from one source (a narration's slices): never from two versions of it.
            media = {copy.name: media[copy.name] for copy in plan.copies if copy.name in media and copy in before}
            await to_thread.run_sync(self._expect, plan, media)
        return plan, {copy.name: media[copy.name] for copy in plan.copies}

    async def _look_once_more(
        self, draft: Draft, facts: dict[str, Fact], faults: Mapping[str, str], pause: float | None
    ) -> dict[str, Fact]:
        """The facts after a round of copying. Without a `pause` it was the last one: then faults are believed."""
        doubted = facts | {uri: Unreadable(fault or "vanished while it was copied") for uri, fault in faults.items()}
        if all(isinstance(fact, Found) for fact in doubted.values()):
            return doubted
        if pause is None:
            await to_thread.run_sync(self.shop.storage.check_roots)
            insist_on_one(doubted, self.shop.storage)
            return doubted
        await anyio.sleep(pause if faults else 0)
        return doubted | await look_again(draft, doubted, self.shop.storage, self.shop.threads.lookers, self._looked)

    def _expect(self, plan: Plan, media: Mapping[str, Written]) -> None:
        """Totals for the progress, and whether there is room, before a byte is copied."""
        archive_bytes = archive_bytes_about(plan)
        self.meter.expect(plan, archive_bytes, media)
        texts_bytes = texts_bytes_about(plan)
        insist_on_room(self.attempt, plan.without(media), texts_bytes, packed_copies(plan), archive_bytes)

    # ---- texts and archive

    def _write_and_pack(self, plan: Plan, media: Mapping[str, Written]) -> tuple[dict[str, Written], ZipPlan | None]:
        texts = {name: self._write(name, pieces) for name, pieces in texts_of(plan)}
        texts[MANIFEST] = self._write(MANIFEST, write_manifest(plan, media, texts))
        files = {**texts, **media}
        return files, None if plan.layout is None else self._pack(plan, files)

    def _write(self, name: str, pieces: Iterable[bytes]) -> Written:
        self._stepped(0)
        return self.attempt.write(name, pieces)

    def _pack(self, plan: Plan, files: Mapping[str, Written]) -> ZipPlan:
        if plan.layout is Layout.OTIOZ:
            content = self.attempt.write_beside(OTIOZ_CONTENT, content_of_otioz(plan))
            files = {**files, OTIOZ_CONTENT: content}
        archive = lay_out(plan, tree_of(plan, files), self._body)
        self.meter.expect_archive(archive.size_bytes)
        try:
            written = self.attempt.pack(archive.segments, self._moved)
        except SourceFault as fault:
            raise Trouble(ErrorCode.IO_ERROR, f"a finished file {fault} while it was packed") from fault
        # The CRC-32 was predicted from the files' own, which were taken while the sources were read: this proves that
        # every byte that passed through memory again is the one that was read then. Of shared blocks it proves nothing.
        if written != Written(archive.size_bytes, archive.crc32):
            raise Trouble(ErrorCode.IO_ERROR, "the archive is not what was planned: the exports root loses bytes")
        return archive

    def _body(self, name: str) -> Extent:
        return self.attempt.extent_beside(name) if name == OTIOZ_CONTENT else self.attempt.extent(name)

    def _moved(self, size_bytes: int) -> None:
        self.halt.obey()
        self.meter.moved(size_bytes)

    def _looked(self) -> None:
        self._stepped(0)

    def _stepped(self, _: int) -> None:
        self.halt.obey()
        self.meter.stepped()

    # ---- verify, durable

    def _verify(self, files: Mapping[str, Written]) -> None:
        lacking = self.attempt.prune(files)
        wrong = [name for name, written in files.items() if self._size(name) != written.size_bytes]
        if lacking or wrong:
            raise Trouble(ErrorCode.IO_ERROR, f"the exports root lost {', '.join((lacking + wrong)[:3])}")

    def _size(self, name: str) -> int:
        return self.attempt.extent(name).size_bytes

    async def _make_durable(self, files: Iterable[str], archive: ZipPlan | None) -> None:
        keys = [f"tree/{name}" for name in files]
        keys += [] if archive is None else ["archive"]
        await to_thread.run_sync(self.attempt.set_moments)
        await self._in_threads(keys)
        await to_thread.run_sync(self._make_directories_durable)

    async def _in_threads(self, keys: list[str]) -> None:
        share = -(-len(keys) // int(self.shop.threads.copiers.total_tokens))
        async with anyio.create_task_group() as threads:
            for start in range(0, len(keys), share):
                threads.start_soon(self._in_a_thread, self._make_all_durable, keys[start : start + share])

    def _make_all_durable(self, keys: Sequence[str]) -> None:
        # First all of them begin, then each is waited for: many small files share their way to the disk.
        self.attempt.start_writeback(keys, self._stepped)
        for key in keys:
            self.halt.obey()
            self.attempt.make_durable(key)
            self.meter.stepped()

    def _make_directories_durable(self) -> None:
        for key in self.attempt.directories():
            self.shop.storage.make_durable(key)
