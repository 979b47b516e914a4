"""The newest state of each export, and who wants to hear of it.

States, not messages, are relayed: whoever missed any number of events is told the newest state, and knows everything.
The broker's events make it fast; storage, asked again and again for what is watched and silent, makes it right.
"""

import logging
from collections import OrderedDict, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from time import monotonic

import anyio
from anyio import to_thread

from contracts import ExportProgress, Terminal
from gateway.records import Record, Records
from gateway.states import NOTHING_KNOWN, Head, Known, Snapshot, heard, snapshot
from service.errors import Trouble

log = logging.getLogger(__name__)

Listener = Callable[[str], None]
"""Told the id of an export whose state changed, on the event loop; must neither wait nor raise."""

FRESH_SECONDS = 0.25
"""So long a look at storage is believed without another one, also that there is nothing."""
_LOOKS_AT_ONCE = 8
_TICK_SECONDS = 1.0


class NoSuchExport(Exception):
    """Nobody asked for an export with this id, or it was forgotten."""


@dataclass(slots=True)
class _Entry:
    """What is remembered of one export."""

    known: Known = NOTHING_KNOWN
    head: Head | None = None
    shown: Snapshot | None = None
    """Made of the two above when somebody asks, once for each position."""
    frame: str | None = None
    heard_at: float = 0.0
    """When something was last heard of it, from whomever."""
    looked_at: float = -1e9
    look_every: float = 0.0
    listeners: set[Listener] = field(default_factory=set)


class Relay:
    """Folds what is heard; asks storage for what was not. All methods belong to the event loop."""

    def __init__(
        self,
        records: Records,
        sign_link: Callable[[str], str],
        silent_seconds: float = 5.0,
        silent_at_most_seconds: float = 30.0,
        remembered: int = 100_000,
    ) -> None:
        self._records = records
        self._sign_link = sign_link
        self._silent = (silent_seconds, silent_at_most_seconds)
        self._remembered = remembered
        self._entries: OrderedDict[str, _Entry] = OrderedDict()
        self._listened: dict[str, _Entry] = {}
        self._projects: defaultdict[str, set[Listener]] = defaultdict(set)
        self._looking: dict[str, anyio.Event] = {}
        self._absent: OrderedDict[str, float] = OrderedDict()
        self._urgent: set[str] = set()
        """Exports that somebody follows by their project, and of which only events were heard."""
        self._hurry = anyio.Event()
        self._lookers = anyio.CapacityLimiter(_LOOKS_AT_ONCE)
        self.stale_since: datetime | None = datetime.now(UTC)
        """Since when no events come, so that only storage is heard; nothing while they do."""
        self.looks = 0
        """At storage, so far."""

    # ---- who wants to hear

    def listen(self, export_id: str, listener: Listener) -> None:
        """From now on; ask for the `snapshot` only after this, so that nothing falls between."""
        entry = self._entry(export_id)
        if not entry.listeners:
            entry.look_every = self._silent[0]
        entry.listeners.add(listener)
        self._listened[export_id] = entry

    def forget(self, export_id: str, listener: Listener) -> None:
        """Ends a `listen`; does nothing where there was none."""
        if entry := self._entries.get(export_id):
            entry.listeners.discard(listener)
            if not entry.listeners:
                self._listened.pop(export_id, None)
                self._drop_if_empty(export_id, entry)

    def listen_to_project(self, project_id: str, listener: Listener) -> None:
        """Hears of all exports of a project, also of those that begin later."""
        self._projects[project_id].add(listener)

    def forget_project(self, project_id: str, listener: Listener) -> None:
        """Ends a `listen_to_project`."""
        self._projects[project_id].discard(listener)
        if not self._projects[project_id]:
            del self._projects[project_id]

    # ---- what is known

    async def snapshot(self, export_id: str) -> Snapshot:
        """The newest state. Asks storage, unless it was asked just now or events leave nothing to ask.

        Raises NoSuchExport, and Trouble when the storage is not there and nothing else is known.
        """
        if self._is_absent(export_id):
            raise NoSuchExport(export_id)
        if not self._is_fresh(self._entries.get(export_id)):
            try:
                await self.look(export_id)
            except Trouble:
                if self.newest(export_id) is None:
                    raise
        found = self.newest(export_id)
        if found is None:
            raise NoSuchExport(export_id)
        return found

    def _is_fresh(self, entry: _Entry | None) -> bool:
        if entry is None or entry.head is None:
            return False
        age = monotonic() - entry.looked_at
        return age < (self._silent[1] if entry.known.is_over else FRESH_SECONDS)

    def newest(self, export_id: str) -> Snapshot | None:
        """The newest state that is in memory."""
        entry = self._entries.get(export_id)
        if entry is None or entry.head is None:
            return None
        if entry.shown is None:
            entry.shown = snapshot(entry.head, entry.known, self._sign_link(export_id))
        return entry.shown

    def frame(self, export_id: str) -> str:
        """The newest state as a socket's frame, made once for all of them. KeyError when `newest` has none."""
        shown = self.newest(export_id)
        if shown is None:
            raise KeyError(export_id)
        entry = self._entries[export_id]
        if entry.frame is None:
            entry.frame = f'{{"type":"state","export":{shown.body.decode()}}}'
        return entry.frame

    async def changed(self, export_id: str, position: str, seconds: float) -> Snapshot | None:
        """The first state with another position, or nothing after so long. Raises as `snapshot` does."""
        news = anyio.Event()

        def listener(_: str) -> None:
            news.set()

        self.listen(export_id, listener)
        try:
            shown = await self.snapshot(export_id)
            if shown.known.position != position:
                return shown
            with anyio.move_on_after(seconds):
                await news.wait()
            shown = self.newest(export_id) or shown
            return shown if shown.known.position != position else None
        finally:
            self.forget(export_id, listener)

    # ---- what is heard

    def hear(self, event: ExportProgress | Terminal, body: bytes) -> None:
        """An event of the broker."""
        self._learn(event.export_id, heard(event, body), event.project_id)

    def began(self, head: Head) -> None:
        """An export that this replica has just stored."""
        self._note(head.export_id, Record(head, NOTHING_KNOWN))

    def _learn(self, export_id: str, known: Known, project_id: str | None) -> None:
        entry = self._entry(export_id)
        entry.heard_at = monotonic()
        before, entry.known = entry.known, entry.known.join(known)
        if entry.known.position == before.position:
            return
        entry.look_every = self._silent[0]
        entry.shown = entry.frame = None
        self._tell(export_id, entry, project_id)

    def _tell(self, export_id: str, entry: _Entry, project_id: str | None) -> None:
        followers = self._projects.get(project_id or "", ())
        if followers and entry.head is None:
            self._urgent.add(export_id)
            self._hurry.set()
        for listener in (*entry.listeners, *followers):
            listener(export_id)

    async def look(self, export_id: str) -> None:
        """Asks storage; whoever asks at the same time waits for the same answer. Raises Trouble."""
        while waiting := self._looking.get(export_id):
            await waiting.wait()
            if self._is_absent(export_id) or self._is_fresh(self._entries.get(export_id)):
                return
        self._looking[export_id] = anyio.Event()
        try:
            self.looks += 1
            record = await to_thread.run_sync(self._records.look, export_id, limiter=self._lookers)
            self._note(export_id, record)
        finally:
            self._looking.pop(export_id).set()

    def _note(self, export_id: str, record: Record | None) -> None:
        if record is None:
            self._absent[export_id] = monotonic()
            self._absent.move_to_end(export_id)
            if len(self._absent) > self._remembered:
                self._absent.popitem(last=False)
            return
        self._absent.pop(export_id, None)
        entry = self._entry(export_id)
        is_new, entry.head = entry.head is None, entry.head or record.head
        before = entry.known.position
        self._learn(export_id, record.known, record.head.project_id)
        entry.looked_at = monotonic()
        if is_new:
            entry.shown = entry.frame = None
            if entry.known.position == before:  # nothing changed, but now it can be shown to who follows the project
                for listener in tuple(self._projects.get(record.head.project_id or "", ())):
                    listener(export_id)

    def _is_absent(self, export_id: str) -> bool:
        return monotonic() - self._absent.get(export_id, -1e9) < FRESH_SECONDS

    # ---- memory

    def _entry(self, export_id: str) -> _Entry:
        entry = self._entries.get(export_id)
        if entry is None:
            entry = self._entries[export_id] = _Entry()
            if len(self._entries) > self._remembered:
                self._drop_one()
        else:
            self._entries.move_to_end(export_id)
        return entry

    def _drop_one(self) -> None:
        """The one that was longest unheard of; what somebody listens to is never dropped."""
        for _ in range(len(self._entries)):
            export_id, entry = next(iter(self._entries.items()))
            if not entry.listeners:
                del self._entries[export_id]
                return
            self._entries.move_to_end(export_id)

    def _drop_if_empty(self, export_id: str, entry: _Entry) -> None:
        """A wrong id that somebody listened to."""
        if entry.head is None and entry.known == NOTHING_KNOWN:
            self._entries.pop(export_id, None)

    # ---- what must be asked

    def connected(self, is_connected: bool) -> None:
        """The broker's events come again, or do not; whatever they said meanwhile is asked of storage."""
        if not is_connected:
            self.stale_since = self.stale_since or datetime.now(UTC)
        elif self.stale_since is not None:
            self.stale_since = None
            for entry in self._entries.values():
                entry.heard_at = entry.looked_at = -1e9

    async def keep_asking(self) -> None:
        """Looks after what is listened to and silent, until cancelled."""
        while True:
            with anyio.move_on_after(min(_TICK_SECONDS, self._silent[0])):
                await self._hurry.wait()
            due = {*self._due(), *self._urgent}
            self._urgent, self._hurry = set(), anyio.Event()
            async with anyio.create_task_group() as tasks:
                for export_id in due:
                    tasks.start_soon(self._ask, export_id)

    def _due(self) -> list[str]:
        now = monotonic()
        return [
            export_id
            for export_id, entry in self._listened.items()
            if now - max(entry.heard_at, entry.looked_at) >= self._patience(entry)
        ]

    def _patience(self, entry: _Entry) -> float:
        return self._silent[1] if entry.known.is_over else entry.look_every

    async def _ask(self, export_id: str) -> None:
        entry = self._entry(export_id)
        before = entry.known.position
        try:
            await self.look(export_id)
        except Trouble as trouble:
            log.warning("export %s could not be looked up: %s", export_id, trouble.detail)
        except Exception:
            log.exception("export %s could not be looked up", export_id)
        entry.looked_at = monotonic()
        if entry.known.position == before:
            entry.look_every = min(2 * max(entry.look_every, self._silent[0]), self._silent[1])
