"""Counts what an export has moved, and makes snapshots of it. No copier ever waits for who looks at them."""

import threading
import time
from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from datetime import UTC, datetime

from contracts import ErrorCode, ExportProgress, Kind, State, Tally
from service.errors import Interrupted, Verdict
from service.model import Copy, Plan

CANCELLED = "stopped as asked"

Report = Callable[[ExportProgress], None]
"""Told of the progress several times a second, on the event loop; must not wait."""


class Stop:
    """Set by whoever wants the work to end; the copying threads look at it between two chunks."""

    def __init__(self, above: "Stop | None" = None) -> None:
        self._event = threading.Event()
        self._cancel = threading.Event()
        self._above = above

    def set(self) -> None:
        """Ends the work under this stop, not what runs under the one above it."""
        self._event.set()

    def cancel(self) -> None:
        """Ends an attempt under this stop by the verdict that `cancel.json` would give it within a second.

        That wish is stored before. Who only waits for another process goes on waiting: it sees the same wish.
        """
        self._cancel.set()

    def is_cancelled(self) -> bool:
        return self._cancel.is_set() or (self._above is not None and self._above.is_cancelled())

    def obey(self) -> None:
        """Raises Interrupted when this or the one above is set."""
        if self._event.is_set():
            raise Interrupted
        if self._above is not None:
            self._above.obey()


class Halt(Stop):
    """The stop of one attempt: the one place where a cancel becomes the export's verdict."""

    def obey(self) -> None:
        """Raises Verdict(cancelled) when this or one above is cancelled, and Interrupted when one is set."""
        if self.is_cancelled():
            raise Verdict(ErrorCode.CANCELLED, CANCELLED)
        super().obey()


@dataclass
class Meter:
    """Running totals of one attempt. `moved` is called from threads, everything else from the loop."""

    export_id: str
    project_id: str
    attempt: int
    floor: int
    """Percent that earlier attempts were seen to have reached."""
    state: State = State.PLANNING
    current: str | None = None
    files: dict[Kind, Tally] = field(default_factory=dict)
    bytes_total: int = 0
    bytes_done: int = 0
    steps: int = 0
    """Counts every sign that the work moves: bytes, files, stages."""
    is_published: bool = False
    archive_bytes: int = 0
    """Of the archive, as they are expected."""
    _seq: int = 0
    _began: float = field(default_factory=time.monotonic)
    _bytes_moved: int = 0
    """By this attempt, whether they counted in the end or not; what was adopted says nothing of its speed."""
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def expect(self, plan: Plan, archive_bytes: int, done: Collection[str]) -> None:
        """Sets the totals, and what of the plan is `done`, while nothing is copied.

        Bytes of the archive count like bytes of the media: each is moved once more.
        """
        self.archive_bytes = archive_bytes
        self.bytes_total = plan.size_bytes + archive_bytes
        finished = [copy for copy in plan.copies if copy.name in done]
        self.bytes_done = sum(copy.size_bytes for copy in finished)
        totals = Counter(copy.spot.kind for copy in plan.copies)
        tallies = Counter(copy.spot.kind for copy in finished)
        self.files = {kind: Tally(done=tallies[kind], total=totals[kind]) for kind in Kind}

    def expect_archive(self, archive_bytes: int) -> None:
        """Its texts were not known before; now its size is exact."""
        self.bytes_total += archive_bytes - self.archive_bytes
        self.archive_bytes = archive_bytes

    def finished(self, copy: Copy) -> None:
        tally = self.files[copy.spot.kind]
        self.files[copy.spot.kind] = Tally(done=tally.done + 1, total=tally.total)

    def moved(self, size_bytes: int) -> None:
        with self._lock:
            self.bytes_done += size_bytes
            self._bytes_moved += size_bytes
            self.steps += 1

    def stepped(self, state: State | None = None) -> None:
        """A stage began, or something without bytes was finished."""
        self.state = state or self.state
        with self._lock:
            self.steps += 1

    def taken_back(self, size_bytes: int) -> None:
        """A file that failed half way does not count."""
        with self._lock:
            self.bytes_done -= size_bytes

    def snapshot(self) -> ExportProgress:
        self._seq += 1
        done = min(self.bytes_done, self.bytes_total)
        rate = self.rate_bytes_per_second()
        self.floor = max(self.floor, self._percent(done))
        return ExportProgress(
            export_id=self.export_id,
            project_id=self.project_id,
            attempt=self.attempt,
            seq=self._seq,
            state=self.state,
            percent=self.floor,
            files=Tally(
                done=sum(tally.done for tally in self.files.values()),
                total=sum(tally.total for tally in self.files.values()),
            ),
            bytes=Tally(done=done, total=self.bytes_total),
            by_kind=dict(self.files),
            current=self.current,
            rate_bytes_per_second=rate,
            eta_seconds=(self.bytes_total - done) // rate if rate else None,
            at=datetime.now(UTC),
        )

    def _percent(self, done: int) -> int:
        """99 at most: 100 is said only of what is there."""
        if self.is_published:
            return 100
        if self.state in {State.QUEUED, State.PLANNING}:
            return 0
        return 99 * done // self.bytes_total if self.bytes_total else 99

    def rate_bytes_per_second(self) -> int:
        seconds = time.monotonic() - self._began
        return int(self._bytes_moved / seconds) if seconds > 0.2 else 0
