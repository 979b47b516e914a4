"""What is known of an export, from whatever was heard in whatever order, and how it is shown. Pure.

Knowledge only grows: `join` is commutative, associative and idempotent, so events may come twice, late, shuffled, from
the broker and from storage, and every replica comes to the same state.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple, TypeVar

from pydantic_core import from_json, to_json

from contracts import ExportProgress, Terminal


class Head(NamedTuple):
    """What never changes of an export."""

    export_id: str
    project_id: str | None
    """Nothing for a message that was refused before its project could be read."""
    project_name: str | None
    tenant: str | None
    subject: str | None
    requested_at: datetime | None


class End(NamedTuple):
    """The terminal event, in the bytes that were decided."""

    type: str
    attempt: int
    body: bytes


class Begun(NamedTuple):
    """What storage says of an attempt that was not heard of."""

    attempt: int
    percent: int


NOT_BEGUN = Begun(0, 0)


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of one export so far. Without anything known it is queued."""

    progress: ExportProgress | None = None
    begun: Begun = NOT_BEGUN
    is_cancelled: bool = False
    """Somebody wished for its end."""
    is_decided: bool = False
    end: End | None = None
    """Decided, and visible if there is something to see."""
    gone: str | None = None
    """`expired` or `deleted`."""

    def join(self, other: "Known") -> "Known":
        """What both know together."""
        return Known(
            max(self.progress, other.progress, key=_rank),
            max(self.begun, other.begun),
            self.is_cancelled or other.is_cancelled,
            self.is_decided or other.is_decided,
            _larger(self.end, other.end),
            _larger(self.gone, other.gone),
        )

    @property
    def state(self) -> str:
        """One word: `queued`, where it runs, how it ended, or why it is gone."""
        if self.end is not None:
            return self.gone or self.end.type.removeprefix("export.")
        if self.is_decided:
            return "publishing"
        if self.is_cancelled:
            return "cancelling"
        return self._stage

    @property
    def _stage(self) -> str:
        if self.progress is not None and self.progress.attempt >= self.begun.attempt:
            return self.progress.state.value
        if self.begun.attempt == 0:
            return "queued"
        return "copying" if self.begun.percent else "planning"

    @property
    def percent(self) -> int:
        """100 only when the export is there; of what ended in another way nothing is there."""
        if self.end is not None:
            return 100 if self.end.type == "export.completed" else 0
        return max(self.begun.percent, 0 if self.progress is None else self.progress.percent)

    @property
    def position(self) -> str:
        """Larger with all that becomes known; equal for equal states, on every replica."""
        if self.end is not None:
            return f"{3 if self.gone is None else 4}.{self.end.attempt}.0"
        level = 2 if self.is_decided else 1 if self.is_cancelled else 0
        attempt, seq = max(_rank(self.progress), (self.begun.attempt, 0))
        heard_percent = 0 if self.progress is None else self.progress.percent
        more = f".{self.begun.percent}" if self.begun.percent > heard_percent else ""
        return f"{level}.{attempt}.{seq}{more}"

    @property
    def is_over(self) -> bool:
        """Nothing more will happen to it, but for its removal."""
        return self.end is not None


T = TypeVar("T", End, str)


def _larger(one: T | None, other: T | None) -> T | None:
    """There is only ever one of them; which is taken must not depend on the order all the same."""
    if one is None or other is None:
        return one if other is None else other
    return max(one, other)


def _rank(progress: ExportProgress | None) -> tuple[int, int]:
    return (0, 0) if progress is None else (progress.attempt, progress.seq)


NOTHING_KNOWN = Known()


def heard(event: ExportProgress | Terminal, body: bytes) -> Known:
    """What an event says."""
    if isinstance(event, ExportProgress):
        return Known(progress=event)
    return Known(is_decided=True, end=End(event.type, event.attempt, body))


class Snapshot(NamedTuple):
    """An export as it is shown."""

    head: Head
    known: Known
    body: bytes
    """JSON."""


_NOTHING = dict.fromkeys(
    ("attempt", "seq", "files", "bytes", "by_kind", "current", "rate_bytes_per_second", "eta_seconds", "at")
)


def snapshot(head: Head, known: Known, download: str | None) -> Snapshot:
    """`download` is the query of a signed link."""
    # What is over is told by its end alone: a replica that heard of no progress must say the same.
    heard_of = None if known.is_over else known.progress
    progress = {} if heard_of is None else heard_of.model_dump(mode="json", exclude={"version", "state"})
    shown = {
        **_NOTHING,
        **progress,
        "export_id": head.export_id,
        "project_id": head.project_id,
        "project_name": head.project_name,
        "requested_at": head.requested_at,
        "position": known.position,
        "state": known.state,
        "percent": known.percent,
        "result": None if known.end is None else from_json(known.end.body),
        "links": _links(head.export_id, download if known.state == "completed" else None),
    }
    return Snapshot(head, known, to_json(shown))


def _links(export_id: str, download: str | None) -> dict[str, str | None]:
    own = f"/api/v1/exports/{export_id}"
    return {
        "self": own,
        "events": f"{own}/events",
        "cancel": f"{own}/cancel",
        "plan": f"{own}/plan",
        "manifest": f"{own}/manifest" if download is not None else None,
        "thumbnails": f"{own}/thumbnails",
        "download": None if download is None else f"{own}/download?{download}",
    }
