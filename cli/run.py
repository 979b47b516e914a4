"""`plan` and `run`: an export without a broker, on directories of this machine."""

import json
import shlex
import sys
import uuid
from argparse import Namespace
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from signal import SIGINT, SIGTERM

import anyio
from rich.console import Console

from cli import exits
from cli.answer import answered
from cli.errors import UsageError
from cli.projects import read_project
from cli.show import (
    NamedSize,
    console,
    counted,
    folder_tree,
    progress_bar,
    show_completed,
    show_omissions,
    show_warnings,
)
from contracts import ExportCompleted, ExportOptions, ExportStart, Outcome, Project, Stage, Terminal
from service.errors import ExportError, Interrupted, Trouble
from service.export import Workshop, export
from service.ledger import Decision, Ledger
from service.model import Plan
from service.naming import folder_name, one_line
from service.outcome import error_of
from service.packing import archive_size_bytes
from service.plan import plan_export
from service.progress import Report, Stop
from service.references import MEDIA
from service.settle import settle
from service.storage.local import LocalStorage
from service.survey import survey

_IDS_SHOWN = 10


def command_from(args: Namespace) -> tuple[ExportStart, Project]:
    """The message that these arguments stand for."""
    if not args.media.is_dir():
        raise UsageError(f"--media {args.media}: {'not a directory' if args.media.exists() else 'no such directory'}")
    project = read_project(args.project)
    _refuse_unknown_sections(args.sections or (), project)
    asked = {
        "archive": args.archive,
        "include": {"kinds": args.kinds, "sections": args.sections},
        "on_missing": args.on_missing,
        "stale": args.stale,
        "retain_seconds": None if args.retain_days is None else args.retain_days * 86_400,
    }
    command = ExportStart(
        export_id=args.export_id or str(uuid.uuid4()),
        requested_at=args.requested_at or datetime.now(UTC).replace(microsecond=0),
        project=project,
        options=ExportOptions.model_validate(asked),
    )
    return command, project


def _refuse_unknown_sections(chosen: Sequence[str], project: Project) -> None:
    ids = [section.id for section in project.sections if section.id is not None]
    unknown = [one for one in chosen if one not in set(ids)]
    if not unknown:
        return
    if not ids:
        raise UsageError("--sections: no section of this project has an id, so none can be chosen")
    raise UsageError(f"--sections: there is no {_listed(unknown)}; there are {_listed(ids)}")


def _listed(ids: Sequence[str]) -> str:
    more = len(ids) - _IDS_SHOWN
    shown = ", ".join(f'"{one_line(one)}"' for one in ids[:_IDS_SHOWN])
    return f"{shown} and {more:,} more" if more > 0 else shown


# ---- plan -------------------------------------------------------------------------------------------------------


def plan(args: Namespace) -> int:
    """Shows what `run` would export; changes nothing."""
    command, project = command_from(args)
    # Planning writes nothing: what stands in for the exports root is never touched.
    storage = LocalStorage({MEDIA: args.media}, args.media)
    try:
        planned = anyio.run(_planned, command, project, storage)
    except ExportError as reason:
        return _say_failed(args, command, reason)
    finally:
        storage.close()
    return answered(_exit_code(planned.outcome), lambda: _show_plan(args, planned))


def _exit_code(outcome: Outcome) -> int:
    return exits.COMPLETE if outcome is Outcome.COMPLETE else exits.PARTIAL


async def _planned(command: ExportStart, project: Project, storage: LocalStorage) -> Plan:
    draft = plan_export(command, project, folder_name(project.id, command.requested_at))
    return settle(draft, await survey(draft, storage))


def _show_plan(args: Namespace, planned: Plan) -> None:
    if args.json:
        _print(json.dumps(_plan_as_json(planned)))
        return
    out = console()
    out.print(folder_tree(planned.draft.folder, [(copy.name, copy.size_bytes) for copy in planned.copies]))
    out.print(f"[dim]and script.txt, manifest.json; as a ZIP {archive_size_bytes(planned):,} bytes[/]\n")
    omissions = [omission.as_message() for omission in planned.omissions]
    show_omissions(out, omissions, len(omissions))
    show_warnings(out, planned.warnings)
    files = counted(len(planned.copies), "file")
    out.print(f"[bold]{planned.outcome.value}[/]  {files}, {planned.size_bytes:,} bytes")


def _plan_as_json(planned: Plan) -> dict[str, object]:
    return {
        "folder": planned.draft.folder,
        "outcome": planned.outcome,
        "size_bytes": planned.size_bytes,
        "archive_size_bytes": archive_size_bytes(planned),
        "files": [{"name": copy.name, "size_bytes": copy.size_bytes, "source": copy.uri} for copy in planned.copies],
        "omissions": [
            omission.as_message().model_dump(mode="json", exclude_none=True) for omission in planned.omissions
        ],
        "warnings": planned.warnings,
    }


# ---- run --------------------------------------------------------------------------------------------------------


def run(args: Namespace) -> int:
    """Exports. The answer goes to standard output, the bar and the troubles to standard error."""
    command, project = command_from(args)
    _make_root(args.to)
    storage = LocalStorage({MEDIA: args.media}, args.to)
    try:
        decision = anyio.run(_run, command, project, storage, args)
        absent = _absent(decision.event, Ledger(storage), args.to)
    except ExportError as reason:
        return _say_failed(args, command, reason)
    except Interrupted:
        _say(f"Stopped. What is finished is kept; go on with:\n  {resume_line(args, command)}")
        return exits.INTERRUPTED
    finally:
        storage.close()
    return _answer(args, decision, absent)


def _make_root(directory: Path) -> None:
    try:
        directory.mkdir(exist_ok=True)
    except FileExistsError:
        raise UsageError(f"--to {directory}: not a directory") from None
    except OSError as fault:
        raise UsageError(f"--to {directory}: {(fault.strerror or 'cannot be made').lower()}") from None


async def _run(command: ExportStart, project: Project, storage: LocalStorage, args: Namespace) -> Decision:
    ledger = Ledger(storage)
    stop = Stop()
    await anyio.to_thread.run_sync(ledger.open_or_make)
    shop = Workshop(storage, ledger, anyio.CapacityLimiter(args.copiers))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(_stop_at_a_signal, stop)
        with progress_bar(Console(stderr=True, quiet=args.json)) as report:
            end = await _unless_interrupted(command, project, shop, report, stop)
        tasks.cancel_scope.cancel()
    if isinstance(end, BaseException):
        raise end
    return end


async def _unless_interrupted(
    command: ExportStart, project: Project, shop: Workshop, report: Report, stop: Stop
) -> Decision | ExportError | Interrupted:
    """The end as a value: out of a task group an error would come wrapped in a group."""
    try:
        accepted = await anyio.to_thread.run_sync(shop.ledger.accept, command, project)
        return await export(accepted, shop, report, stop)
    except (ExportError, Interrupted) as end:
        return end


async def _stop_at_a_signal(stop: Stop) -> None:
    with anyio.open_signal_receiver(SIGINT, SIGTERM) as signals:
        async for _ in signals:
            stop.set()
            return


def _absent(event: Terminal, ledger: Ledger, root: Path) -> str | None:
    """Of an export that was made before and is told again: that it is no longer there, in a sentence."""
    if not isinstance(event, ExportCompleted):
        return None
    if not (root / event.folder.name).is_dir():
        what = "it is"
    elif event.archive and not (root / event.archive.name).is_file():
        what = "its ZIP is"
    else:
        return None
    moment = event.at.replace(tzinfo=None).isoformat(sep=" ", timespec="minutes")
    why = ledger.gone(event.export_id)
    reason = f" ({why})" if why else ""
    return (
        f"This export was made at {moment} UTC, and {what} no longer there{reason}; for a new one leave out --export-id"
    )


def _answer(args: Namespace, decision: Decision, absent: str | None) -> int:
    event = decision.event
    if args.json:
        code = answered(exits.COMPLETE, lambda: _print(decision.body.decode()))
        return _say_absent(absent) if absent else code or _exit_code_of(event)
    if not isinstance(event, ExportCompleted):
        _say(f"{event.error.title}: {event.error.detail}")
        return exits.FAILED
    if absent:
        return _say_absent(absent)
    folder = args.to / event.folder.name
    files = _files_of(folder)
    return answered(_exit_code_of(event), lambda: show_completed(console(), event, files, str(folder)))


def _say_absent(sentence: str) -> int:
    _say(sentence)
    return exits.FAILED


def _exit_code_of(event: Terminal) -> int:
    return _exit_code(event.outcome) if isinstance(event, ExportCompleted) else exits.FAILED


def _files_of(folder: Path) -> Sequence[NamedSize]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return [(path.relative_to(folder).as_posix(), path.stat().st_size) for path in files]


def _say_failed(args: Namespace, command: ExportStart, reason: ExportError) -> int:
    error = error_of(reason, Stage.PLANNING)
    if args.json:
        body = json.dumps({"export_id": command.export_id, "error": error.model_dump(mode="json")})
        answered(exits.FAILED, lambda: _print(body))
    else:
        _say(f"{error.title}: {error.detail}")
    if isinstance(reason, Trouble) and "to" in args:
        _say(f"Nothing is lost; when that is mended, go on with:\n  {resume_line(args, command)}")
    return exits.FAILED


def resume_line(args: Namespace, command: ExportStart) -> str:
    """The command that goes on with this export: called in the same way, with the same arguments, and its id."""
    known = [] if args.export_id else ["--export-id", command.export_id]
    name, *rest = args.words  # the id comes first: what follows a "--" would be no option
    called_as = sys.argv[0] if "/" in sys.argv[0] else "export-service"
    return shlex.join([called_as, name, *known, *rest])


def _print(answer: str) -> None:
    print(answer)  # noqa: T201 - the answer


def _say(sentence: str) -> None:
    print(sentence, file=sys.stderr)  # noqa: T201 - told to a person
