"""`submit`, `cancel`, `delete`: what one asks of the service, by message."""

import json
from argparse import Namespace
from collections.abc import Callable

from cli import exits
from cli.answer import answered
from cli.asked import start_of
from cli.broker import Connection, publish, publishing_channel, through_broker
from cli.ending import answer_end, say, say_out
from cli.errors import UsageError
from cli.roots import Books, books
from cli.watch import Hearing, goes_on, hearing, root_with
from contracts import ExportCancel, ExportCancelled, ExportDelete, ExportStart
from contracts.envelope import Envelope, envelop
from contracts.limits import MAX_MESSAGE_BYTES
from service.ledger import Decision


def submit(args: Namespace) -> int:
    """Asks for an export; with --watch ends as `run` does."""
    command, _ = start_of(args)
    envelope = _sendable(envelop(command), args)
    if not args.watch:
        return through_broker(args, lambda connection: _submit(connection, command, envelope, as_json=args.json))
    return _watched(args, envelope, lambda end, found: answer_end(
        end, root_with(end.event, found), None, as_json=args.json))  # fmt: skip


def _sendable(envelope: Envelope, args: Namespace) -> Envelope:
    size = len(envelope.body)
    if size > MAX_MESSAGE_BYTES:
        raise UsageError(
            f"{args.project}: is {size:,} bytes as a message; MAX_MESSAGE_BYTES is {MAX_MESSAGE_BYTES:,}. "
            "Larger projects are asked for by reference (project_ref), or exported with `run`"
        )
    return envelope


async def _submit(connection: Connection, command: ExportStart, envelope: Envelope, *, as_json: bool) -> int:
    await _send(connection, envelope)
    export_id = command.export_id
    if as_json:
        asked = {"export_id": export_id, "requested_at": command.model_dump(mode="json")["requested_at"]}
        return answered(exits.COMPLETE, lambda: say_out(json.dumps(asked)))
    say(
        f"Asked for. Watch it with:\n  export-service watch {export_id}\n"
        f"or stop it with:\n  export-service cancel {export_id}\nThe export id:"
    )
    return answered(exits.COMPLETE, lambda: say_out(export_id))


async def _send(connection: Connection, envelope: Envelope) -> None:
    # Each command has a queue that is named like it.
    channel = await publishing_channel(connection, envelope.routing_key)
    await publish(channel, envelope)


# ---- until it is over


def _watched(args: Namespace, envelope: Envelope, answer: Callable[[Decision, Books | None], int]) -> int:
    """Sends the command and answers when the export is over. Ctrl-C ends the watching, not the export."""
    asked: list[Envelope] = []

    async def work(connection: Connection) -> int:
        async with hearing(connection, envelope.correlation_id) as heard:
            asked.append(envelope)  # from here on it may be with the broker, confirmed or not
            await _send(connection, envelope)
            end = await _end(heard, found, args, envelope)
        return answer(end, found)

    with books() as found:
        try:
            return through_broker(args, work)
        except KeyboardInterrupt:
            say(goes_on(envelope.correlation_id) if asked else "Nothing was asked for.")
            return exits.INTERRUPTED


async def _end(heard: Hearing, found: Books | None, args: Namespace, envelope: Envelope) -> Decision:
    """Of a new start the worker tells again how it ended; of what is over, a cancel makes nobody say a word."""
    is_start = envelope.routing_key == ExportStart.type
    known = found.decision(envelope.correlation_id) if found and not is_start else None
    return known or await heard.end(quiet=getattr(args, "json", False))


# ---- cancel and delete


def cancel(args: Namespace) -> int:
    """Asks that an export stops; with --watch exit code 0 when it did, and 1 when it was over before that."""
    envelope = envelop(ExportCancel(export_id=args.export_id, reason=args.reason))
    if not args.watch:
        return through_broker(args, lambda connection: _tell(
            connection, envelope, f"Asked to stop export {args.export_id}."))  # fmt: skip
    return _watched(args, envelope, lambda end, _: _cancelled(end))


def delete(args: Namespace) -> int:
    """Asks that a finished export is removed, or an unfinished one stopped. Nobody tells when that is done."""
    envelope = envelop(ExportDelete(export_id=args.export_id, reason=args.reason))
    return through_broker(args, lambda connection: _tell(
        connection, envelope, f"Asked to remove export {args.export_id}."))  # fmt: skip


async def _tell(connection: Connection, envelope: Envelope, sentence: str) -> int:
    await _send(connection, envelope)
    say(sentence)
    return exits.COMPLETE


def _cancelled(end: Decision) -> int:
    if isinstance(end.event, ExportCancelled):
        say(f"Export {end.event.export_id} is cancelled.")
        return exits.COMPLETE
    say(f"Too late: export {end.event.export_id} had {end.event.type.removeprefix('export.')} before.")
    return exits.FAILED
