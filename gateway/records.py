"""What storage says of exports: the authority, when the broker has forgotten or was not heard. Synchronous."""

from dataclasses import dataclass
from typing import NamedTuple

from gateway.states import Begun, End, Head, Known
from service.attempt import percent_floor
from service.ledger import Decision, Ledger


class Record(NamedTuple):
    """One export."""

    head: Head
    known: Known


@dataclass(frozen=True, slots=True)
class Records:
    """Reads the ledger; call it from a thread. Every method raises Trouble when the storage is not there."""

    ledger: Ledger

    def head(self, export_id: str) -> Head | None:
        """What never changes; nothing when nobody asked for this export."""
        about = self.ledger.about(export_id)
        if about is None:
            decision = self.ledger.decision(export_id)
            return None if decision is None else _head_of_refused(decision)
        by = about.requested_by
        tenant, subject = (None, None) if by is None else (by.tenant, by.subject)
        return Head(export_id, about.project_id, about.project_name, tenant, subject, about.requested_at)

    def look(self, export_id: str) -> Record | None:
        """All that is known of it; nothing when nobody asked for it."""
        head = self.head(export_id)
        return None if head is None else Record(head, self._known(export_id))

    def _known(self, export_id: str) -> Known:
        decision = self.ledger.decision(export_id)
        if decision is None:
            begun = Begun(max(self.ledger.attempts(export_id), default=0), percent_floor(self.ledger, export_id))
            return Known(begun=begun, is_cancelled=self.ledger.is_cancelled(export_id))
        if self.ledger.is_unpublished(export_id, decision) and self.ledger.gone(export_id) is None:
            return Known(is_decided=True)
        return Known(
            is_decided=True,
            end=End(decision.event.type, decision.attempt, decision.body),
            gone=self._gone(export_id, decision),
        )

    def _gone(self, export_id: str, decision: Decision) -> str | None:
        reason = self.ledger.gone(export_id)
        if reason is None and decision.folder is not None and self.ledger.storage.version(decision.folder) is None:
            return "deleted"  # by hand
        return reason

    def history(self, project_id: str, before: str | None, limit: int) -> tuple[list[str], str | None]:
        """Ids of a project's exports, the newest first, and the mark behind which there are more."""
        found = self.ledger.history(project_id, before, limit + 1)
        ids = [export_id for export_id, _ in found[:limit]]
        return ids, found[limit - 1][1] if len(found) > limit else None

    def unfinished(self) -> list[str]:
        """Exports whose end was not announced yet, whoever asked for them."""
        return self.ledger.owed()


def _head_of_refused(decision: Decision) -> Head:
    event = decision.event
    return Head(event.export_id, event.project_id, None, None, None, None)
