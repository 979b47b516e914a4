"""The worker with one promise broken at a time: each is seen by a test that is here anyway."""

import dataclasses
import inspect
from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import Any, NamedTuple

import anyio
import pytest

from contracts import Error, ErrorCode, ExportFailed, ExportStart
from service import handlers
from service.announce import Announcer
from service.deliveries import Delivery
from service.errors import Trouble, Verdict
from service.export import export, give_up
from service.handlers import Handlers
from service.intake import Unusable
from service.ledger import Decision, Ledger
from service.supervisor import Ending, Supervisor, _Run
from tests.worker import (
    stand,
    test_announcer,
    test_bad_messages,
    test_cancel,
    test_connection,
    test_dead,
    test_drain,
    test_endings,
    test_export,
    test_kept,
    test_reconcile,
    test_same_id,
    test_trouble,
)
from tests.worker.stand import only_embedded
from tests.worker.test_announcer import announcer as announcer  # noqa: PLC0414 - a fixture

pytestmark = only_embedded

SHORT_PATIENCE_SECONDS = 1.0
"""For what a bug keeps from ever coming."""

LONGEST_TEST_SECONDS = 10.0

Patch = pytest.MonkeyPatch


# ---- what is told -------------------------------------------------------------------------------------------------


def an_end_may_reach_nobody(patch: Patch) -> None:
    publish = Announcer._publish

    async def not_mandatory(announcer: Announcer, envelope: Any) -> None:
        await publish(announcer, envelope._replace(is_persistent=False))

    patch.setattr(Announcer, "_publish", not_mandatory)


def an_end_is_told_once_and_not_again(patch: Patch) -> None:
    async def once(announcer: Announcer, what: str, publish: Any) -> None:
        await announcer._is_confirmed(what, publish, 5.0)

    patch.setattr(Announcer, "_insist", once)


def a_bug_is_tried_for_ever(patch: Patch) -> None:
    patch.setattr("service.announce._BROKER_FAULTS", (Exception,))


def an_end_is_told_before_its_folder_is_there(patch: Patch) -> None:
    roll_forward, told = Ledger.roll_forward, Ledger.told
    put_off: dict[str, Decision] = {}

    def later(ledger: Ledger, export_id: str) -> None:
        roll_forward(ledger, export_id, put_off[export_id])
        told(ledger, export_id)

    patch.setattr(Ledger, "roll_forward", lambda _, export_id, decision: put_off.update({export_id: decision}))
    patch.setattr(Ledger, "told", later)


def the_last_progress_comes_after_the_end(patch: Patch) -> None:
    async def tell(announcer: Announcer, decision: Decision, traceparent: str | None = None) -> None:
        last = announcer._newest.pop(decision.event.export_id)
        await told(announcer, decision, traceparent)
        await announcer._send_if_possible(last)

    told = Announcer.tell
    patch.setattr(Announcer, "tell", tell)


def progress_is_told_as_often_as_there_is_some(patch: Patch) -> None:
    patch.setattr("service.announce.PROGRESS_EVERY_SECONDS", 0.0)
    patch.setattr("service.liveness.REPORT_EVERY_SECONDS", 0.01)
    patch.setattr(stand, "PATIENCE_SECONDS", LONGEST_TEST_SECONDS)  # it comes, and takes its time


def the_trace_is_lost(patch: Patch) -> None:
    patch.setattr(Delivery, "traceparent", None)


def what_is_told_again_is_told_in_other_bytes(patch: Patch) -> None:
    tell, told = Announcer.tell, set[str]()

    async def anew(announcer: Announcer, decision: Decision, traceparent: str | None = None) -> None:
        export_id = decision.event.export_id
        body = decision.body.replace(b"{", b"{ ", 1) if export_id in told else decision.body
        told.add(export_id)
        await tell(announcer, dataclasses.replace(decision, body=body), traceparent)

    patch.setattr(Announcer, "tell", anew)


# ---- what is settled ----------------------------------------------------------------------------------------------


def a_message_is_done_with_when_it_comes(patch: Patch) -> None:
    start = Handlers.on_export_start

    async def at_once(handlers: Handlers, delivery: Delivery) -> None:
        await delivery.done()
        await start(handlers, delivery)

    patch.setattr(Handlers, "on_export_start", at_once)
    patch.setattr("service.deliveries.BROKER_FAULTS", (Exception,))  # the second time it is done with


def a_message_is_done_with_before_its_end_is_told(patch: Patch) -> None:
    async def when_decided(supervisor: Supervisor, run: _Run) -> Any:
        decision = await supervisor._decided(run)
        if isinstance(decision, Ending):
            return decision
        run.ending = Ending.TOLD
        run.ended.set()
        await supervisor.tell(decision, run.traceparent)
        return Ending.TOLD

    patch.setattr(Supervisor, "_to_its_end", when_decided)


def what_is_owed_is_struck_out_before_it_is_told(patch: Patch) -> None:
    async def too_early(supervisor: Supervisor, decision: Decision, traceparent: str | None = None) -> None:
        supervisor.shop.ledger.told(decision.event.export_id)
        await supervisor.announcer.tell(decision, traceparent)

    patch.setattr(Supervisor, "tell", too_early)


def what_is_handed_back_is_done_with(patch: Patch) -> None:
    patch.setattr(Delivery, "hand_back", Delivery.done)


def what_is_put_aside_has_no_reason(patch: Patch) -> None:
    async def nameless(handlers: Handlers, delivery: Delivery, _: Unusable) -> None:
        await handlers.announcer.park(delivery.body, delivery.headers_to_send_on, delivery.routing_key)
        await delivery.done()

    patch.setattr(Handlers, "_put_aside", nameless)


def what_is_put_aside_is_done_with_first(patch: Patch) -> None:
    put_aside = Handlers._put_aside

    async def too_early(handlers: Handlers, delivery: Delivery, reason: Unusable) -> None:
        await delivery.done()
        await put_aside(handlers, delivery, reason)

    patch.setattr(Handlers, "_put_aside", too_early)


def what_is_bad_is_thrown_away(patch: Patch) -> None:
    patch.setattr(Handlers, "_put_aside", lambda _, delivery, __: delivery.done())


def a_newer_message_is_refused_by_the_first_who_has_it(patch: Patch) -> None:
    patch.setattr("service.handlers.HANDED_ON_TIMES", 0)


def a_command_is_sent_anew_with_the_marks_of_its_travels(patch: Patch) -> None:
    patch.setattr("service.deliveries._TRAVEL_MARKS", ())


def a_dead_command_is_revived_for_ever(patch: Patch) -> None:
    patch.setattr("service.undeliverable._MOST_REVIVALS", 10**9)


# ---- whose word counts --------------------------------------------------------------------------------------------


def another_project_under_the_id_is_taken_for_the_same(patch: Patch) -> None:
    patch.setattr("service.ledger._meaning", lambda _: b"")


def other_options_under_the_id_are_taken_for_the_same(patch: Patch) -> None:
    patch.setattr("service.ledger._asked", lambda _: {})


def a_bad_message_speaks_for_any_id(patch: Patch) -> None:
    def refuse(ledger: Ledger, export_id: str, fingerprint: str, error: Error, _: object, at: datetime) -> Decision:
        event = ExportFailed(export_id=export_id, project_id=None, attempt=0, at=at, error=error)
        return Decision.of(0, None, None, event)

    patch.setattr(Ledger, "refuse", refuse)


def a_cancel_that_came_first_is_not_seen(patch: Patch) -> None:
    patch.setattr(Ledger, "is_cancelled", lambda *_: False)


def only_who_takes_a_cancel_obeys_it(patch: Patch) -> None:
    async def deaf(handlers: Handlers, body: bytes) -> None: ...

    patch.setattr(Handlers, "on_cancel_broadcast", deaf)


def a_deletion_is_a_cancel(patch: Patch) -> None:
    patch.setattr(Ledger, "delete", Ledger.cancel)


# ---- exports and what they hang on --------------------------------------------------------------------------------


def an_export_goes_with_its_connection(patch: Patch) -> None:
    async def in_the_handler(supervisor: Supervisor, command: ExportStart, *_: object, **__: object) -> Ending:
        run = supervisor._runs[command.export_id] = _Run(command, None, 0.0)
        await supervisor._carry_out(run)
        return run.ending

    patch.setattr(Supervisor, "attach", in_the_handler)


def each_delivery_is_an_export_of_its_own(patch: Patch) -> None:
    attach = Supervisor.attach

    async def forgetful(supervisor: Supervisor, command: ExportStart, traceparent: str | None) -> Ending:
        supervisor._runs = Forgetful(supervisor._runs)
        return await attach(supervisor, command, traceparent)

    patch.setattr(Supervisor, "attach", forgetful)


class Forgetful(dict[str, _Run]):
    """Of what is in progress."""

    def get(self, *_: object) -> None:  # type: ignore[override]
        return None

    def __delitem__(self, export_id: str) -> None:
        self.pop(export_id, None)


def trouble_is_a_verdict(patch: Patch) -> None:
    async def decided(supervisor: Supervisor, run: _Run) -> Decision:
        try:
            return await export(run.command, supervisor.shop, lambda _: None, run.stop)
        except Trouble as fault:
            return await give_up(run.command, supervisor.shop, Verdict(ErrorCode.INTERNAL, fault.detail))

    patch.setattr(Supervisor, "_decided", decided)


def an_error_of_one_export_ends_all(patch: Patch) -> None:
    async def unguarded(supervisor: Supervisor, run: _Run) -> None:
        run.ending = await supervisor._to_its_end(run)
        del supervisor._runs[run.command.export_id]
        run.ended.set()

    patch.setattr(Supervisor, "_carry_out", unguarded)


def poison_is_not_counted(patch: Patch) -> None:
    patch.setattr("service.supervisor.judge", lambda *_: None)


def who_ends_leaves_its_exports(patch: Patch) -> None:
    async def abandon(supervisor: Supervisor, _: float) -> None:
        supervisor.draining.set()

    patch.setattr(Supervisor, "drain", abandon)


def as_many_exports_at_once_as_there_are(patch: Patch) -> None:
    take = handlers._take
    patch.setattr(handlers, "_take", lambda consume, queue, handle, of, _: take(consume, queue, handle, of, 100))


# ---- what the broker lost -----------------------------------------------------------------------------------------


def what_somebody_works_on_is_published_again(patch: Patch) -> None:
    patch.setattr("service.reconcile.pulse_of_living", lambda *_: None)


def what_waits_in_the_queue_is_published_again(patch: Patch) -> None:
    async def none(_: Any) -> int:
        return 0

    patch.setattr("service.app.commands_waiting", none)


def what_was_decided_and_not_told_is_forgotten(patch: Patch) -> None:
    owed = Ledger.owed

    def undecided(ledger: Ledger) -> list[str]:
        return [export_id for export_id in owed(ledger) if not ledger.is_decided(export_id)]

    patch.setattr(Ledger, "owed", undecided)


NOT_JSON = partial(
    test_bad_messages.test_a_message_without_a_readable_id_is_parked_whole_in_few_words,
    bad=test_bad_messages.PARKED["not JSON"],
)


# ---- each is seen -------------------------------------------------------------------------------------------------


class Seeded(NamedTuple):
    bug: Callable[[Patch], None]
    shows_in: Callable[..., Any]


SEEDED = (
    Seeded(
        an_end_may_reach_nobody, test_announcer.test_an_end_that_reaches_nobody_is_told_again_until_somebody_listens
    ),
    Seeded(
        an_end_is_told_once_and_not_again,
        test_announcer.test_an_end_that_reaches_nobody_is_told_again_until_somebody_listens,
    ),
    Seeded(a_bug_is_tried_for_ever, test_announcer.test_a_bug_in_telling_flies_instead_of_being_tried_for_ever),
    Seeded(an_end_is_told_before_its_folder_is_there, test_export.test_what_a_message_asks_for_becomes_a_folder),
    Seeded(
        the_last_progress_comes_after_the_end,
        test_export.test_nothing_is_told_after_the_end_that_folding_would_not_absorb,
    ),
    Seeded(
        progress_is_told_as_often_as_there_is_some,
        test_export.test_progress_comes_four_times_a_second_and_never_goes_back,
    ),
    Seeded(the_trace_is_lost, test_export.test_the_trace_of_the_command_is_carried_on_to_every_event),
    Seeded(
        what_is_told_again_is_told_in_other_bytes,
        test_export.test_the_end_is_kept_by_the_broker_and_told_again_in_the_same_bytes,
    ),
    Seeded(
        a_message_is_done_with_when_it_comes,
        test_drain.test_a_running_export_is_handed_back_and_its_files_are_taken_over,
    ),
    Seeded(
        a_message_is_done_with_before_its_end_is_told,
        test_kept.test_an_export_is_owed_and_its_message_kept_until_the_broker_has_confirmed_the_end,
    ),
    Seeded(
        what_is_owed_is_struck_out_before_it_is_told,
        test_kept.test_an_export_is_owed_and_its_message_kept_until_the_broker_has_confirmed_the_end,
    ),
    Seeded(
        what_is_handed_back_is_done_with, test_drain.test_a_message_that_comes_to_a_worker_which_ends_goes_to_another
    ),
    Seeded(
        what_is_put_aside_has_no_reason, test_same_id.test_another_content_under_the_id_is_parked_whole_and_does_no_harm
    ),
    Seeded(what_is_put_aside_is_done_with_first, test_kept.test_what_is_put_aside_is_kept_until_it_is),
    Seeded(what_is_bad_is_thrown_away, NOT_JSON),
    Seeded(
        a_newer_message_is_refused_by_the_first_who_has_it,
        test_bad_messages.test_a_message_of_a_newer_contract_is_handed_on_and_fails_when_nobody_takes_it,
    ),
    Seeded(
        a_command_is_sent_anew_with_the_marks_of_its_travels,
        test_dead.test_a_dead_command_of_a_healthy_export_is_sent_anew_without_the_marks_of_its_travels,
    ),
    Seeded(a_dead_command_is_revived_for_ever, test_dead.test_a_dead_command_that_nobody_could_ever_store_is_parked),
    Seeded(
        another_project_under_the_id_is_taken_for_the_same,
        test_same_id.test_another_content_under_the_id_is_parked_whole_and_does_no_harm,
    ),
    Seeded(
        other_options_under_the_id_are_taken_for_the_same,
        test_same_id.test_other_options_under_the_id_are_another_content,
    ),
    Seeded(a_bad_message_speaks_for_any_id, test_same_id.test_a_bad_message_does_not_speak_for_the_id_of_an_export),
    Seeded(a_cancel_that_came_first_is_not_seen, test_cancel.test_a_cancel_that_comes_before_its_export_is_obeyed),
    Seeded(
        only_who_takes_a_cancel_obeys_it,
        test_cancel.test_every_worker_hears_a_cancel_and_only_who_runs_the_export_notes_it,
    ),
    Seeded(
        a_deletion_is_a_cancel,
        test_cancel.test_a_finished_export_that_is_deleted_is_gone_and_a_repeat_does_not_bring_it_back,
    ),
    Seeded(
        an_export_goes_with_its_connection,
        test_connection.test_an_export_outlives_the_connection_and_is_not_begun_twice,
    ),
    Seeded(each_delivery_is_an_export_of_its_own, test_same_id.test_two_deliveries_at_once_are_one_attempt),
    Seeded(trouble_is_a_verdict, test_trouble.test_an_io_error_decides_nothing),
    Seeded(an_error_of_one_export_ends_all, test_endings.test_an_error_of_one_export_does_not_touch_the_one_beside_it),
    Seeded(poison_is_not_counted, test_endings.test_an_export_that_killed_five_workers_is_given_up_before_the_sixth),
    Seeded(
        who_ends_leaves_its_exports,
        test_kept.test_a_worker_that_ends_stops_at_the_next_chunk_and_not_at_the_end_of_a_file,
    ),
    Seeded(
        as_many_exports_at_once_as_there_are,
        test_reconcile.test_nothing_is_published_again_while_commands_wait_in_the_queue,
    ),
    Seeded(
        what_somebody_works_on_is_published_again, test_reconcile.test_nothing_is_published_again_that_somebody_works_on
    ),
    Seeded(
        what_waits_in_the_queue_is_published_again,
        test_reconcile.test_nothing_is_published_again_while_commands_wait_in_the_queue,
    ),
    Seeded(
        what_was_decided_and_not_told_is_forgotten,
        test_reconcile.test_what_was_decided_but_not_told_is_told_in_the_bytes_of_the_decision,
    ),
)


@pytest.fixture
def arguments(seeded: Seeded, request: pytest.FixtureRequest) -> dict[str, Any]:
    """What the test that should see it asks for."""
    asked = inspect.signature(seeded.shows_in).parameters.values()
    return {each.name: request.getfixturevalue(each.name) for each in asked if each.default is each.empty}


@pytest.mark.usefixtures("node_if_real")
@pytest.mark.parametrize("seeded", SEEDED, ids=lambda seeded: seeded.bug.__name__)
async def test_a_seeded_bug_is_seen(seeded: Seeded, arguments: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stand, "PATIENCE_SECONDS", SHORT_PATIENCE_SECONDS)
    seeded.bug(monkeypatch)
    assert await seen_by(partial(seeded.shows_in, **arguments))


async def seen_by(test: Callable[[], Any]) -> str | None:
    """What the test complains of."""
    try:
        with anyio.fail_after(LONGEST_TEST_SECONDS):
            await test()
    except (Exception, BaseExceptionGroup) as complaint:  # noqa: BLE001 - whatever a test says is a complaint
        return repr(complaint)
    return None
