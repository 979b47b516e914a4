"""Keeps an exports root in order: finishes what was decided, takes away what expired, clears what nobody goes on with.

Synchronous and safe to run at any time, beside working exports and beside itself.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from contracts import ExportCompleted
from service.attempt import clear_dead, pulse_of_living
from service.errors import Trouble
from service.ledger import Decision, Ledger

# A redelivered command must find that its export expired, and not run again; so its record outlives the export.
RECORD_OUTLIVES_EXPORT_TIMES = 10


@dataclass(frozen=True, slots=True)
class Swept:
    """Ids of the exports that something was done for."""

    published: list[str] = field(default_factory=list)
    """Decided, but whoever decided died before the folder was visible."""
    expired: list[str] = field(default_factory=list)
    cleared: list[str] = field(default_factory=list)
    """Their unfinished files were removed."""
    forgotten: list[str] = field(default_factory=list)
    troubles: list[tuple[str, str]] = field(default_factory=list)
    """With each the reason why it could not be swept now."""


def sweep(ledger: Ledger, now: datetime, abandoned_after: timedelta) -> Swept:
    """Unfinished exports that nobody works on are kept for `abandoned_after`: so long they are resumed cheaply.

    Trouble with one export keeps no other from being swept.
    """
    ledger.open()
    ledger.clear_drafts(now - abandoned_after)
    ledger.clear_forgotten()
    swept = Swept()
    for export_id in ledger.ids():
        try:
            _sweep_one(ledger, export_id, now, abandoned_after, swept)
        except Trouble as trouble:
            swept.troubles.append((export_id, trouble.detail))
    return swept


def _sweep_one(ledger: Ledger, export_id: str, now: datetime, abandoned_after: timedelta, swept: Swept) -> None:
    decision = ledger.decision(export_id)
    if decision is not None:
        _settle_decided(ledger, export_id, decision, now, swept)
    elif _is_abandoned(ledger, export_id, now - abandoned_after):
        _settle_abandoned(ledger, export_id, swept)


def _is_abandoned(ledger: Ledger, export_id: str, before: datetime) -> bool:
    return pulse_of_living(ledger, export_id) is None and ledger.last_touched(export_id) < before


def _settle_abandoned(ledger: Ledger, export_id: str, swept: Swept) -> None:
    if clear_dead(ledger, export_id):
        swept.cleared.append(export_id)
    elif ledger.forget_mere_wish(export_id):
        swept.forgotten.append(export_id)


def _settle_decided(ledger: Ledger, export_id: str, decision: Decision, now: datetime, swept: Swept) -> None:
    if ledger.gone(export_id) is not None:
        _settle_gone(ledger, export_id, decision, now, swept)
        return
    if ledger.is_unpublished(export_id, decision):
        ledger.roll_forward(export_id, decision)
        swept.published.append(export_id)
    expires_at = _expires_at(decision)
    if expires_at is not None and now >= expires_at:
        ledger.withdraw(export_id, decision, "expired")
        swept.expired.append(export_id)
    if ledger.clean(export_id):
        swept.cleared.append(export_id)


def _settle_gone(ledger: Ledger, export_id: str, decision: Decision, now: datetime, swept: Swept) -> None:
    ledger.finish_withdrawing(export_id, decision)
    if ledger.clean(export_id):
        swept.cleared.append(export_id)
    if _is_forgettable(decision, now):
        ledger.forget(export_id, decision)
        swept.forgotten.append(export_id)


def _expires_at(decision: Decision) -> datetime | None:
    return decision.event.expires_at if isinstance(decision.event, ExportCompleted) else None


def _is_forgettable(decision: Decision, now: datetime) -> bool:
    expires_at = _expires_at(decision)
    if expires_at is None:
        return False
    decided_at = decision.event.at
    return now > decided_at + RECORD_OUTLIVES_EXPORT_TIMES * (expires_at - decided_at)
