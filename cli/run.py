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

from cli.errors import UsageError
from cli.projects import read_project
from cli.show import NamedSize, folder_tree, progress_bar, show_completed, show_omissions, show_warnings
from contracts import ExportCompleted, ExportOptions, ExportStart, Outcome, Project, Stage, Terminal
from service.errors import ExportError, Interrupted, Trouble
from service.export import Workshop, export
from service.ledger import Ledger
from service.model import Plan
from service.naming import folder_name
from service.outcome import error_of
from service.packing import archive_size_bytes
from service.plan import plan_export
from service.progress import Report, Stop
from service.references import MEDIA
from service.settle import settle
from service.storage.local import LocalStorage
from service.survey import survey

EXIT_COMPLETE, EXIT_FAILED, EXIT_USAGE, EXIT_PARTIAL = 0, 1, 2, 3
EXIT_INTERRUPTED = 130
"""As a shell reports a program that Ctrl-C ended."""


def command_from(args: Namespace) -> tuple[ExportStart, Project]:
    """The message that these arguments stand for."""
    if not args.media.is_dir():
        raise UsageError(f"--media {args.media}: {'not a directory' if args.media.exists() else 'no such directory'}")
    project = read_project(args.project)
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


# ---- plan -------------------------------------------------------------------------------------------------------


def plan(args: Namespace) -> int:
    """Shows what `run` would export; changes nothing."""
    command, project = command_from(args)
    storage = LocalStorage({MEDIA: args.media}, Path("/nonexistent"))
    try:
        planned = anyio.run(_planned, command, project, storage)
    except ExportError as reason:
        return _say_failed(args, command, reason)
    finally:
        storage.close()
    if args.json:
        print(json.dumps(_plan_as_json(planned)))  # noqa: T201 - the answer
    else:
        _show_plan(planned)
    return EXIT_COMPLETE if planned.outcome is Outcome.COMPLETE else EXIT_PARTIAL


async def _planned(command: ExportStart, project: Project, storage: LocalStorage) -> Plan:
    draft = plan_export(command, project, folder_name(project.id, command.requested_at))
    return settle(draft, await survey(draft, storage))


def _show_plan(planned: Plan) -> None:
    console = Console(highlight=False)
    console.print(folder_tree(planned.draft.folder, [(copy.name, copy.size_bytes) for copy in planned.copies]))
    console.print(f"[dim]and script.txt, manifest.json; as a ZIP {archive_size_bytes(planned):,} bytes[/]\n")
    omissions = [omission.as_message() for omission in planned.omissions]
    show_omissions(console, omissions, len(omissions))
    show_warnings(console, planned.warnings)
    console.print(f"[bold]{planned.outcome.value}[/]  {len(planned.copies)} files, {planned.size_bytes:,} bytes")


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
        event = anyio.run(_run, command, project, storage, args)
    except ExportError as reason:
        return _say_failed(args, command, reason)
    except Interrupted:
        _say(f"Stopped. What is finished is kept; go on with:\n  {resume_line(args, command)}")
        return EXIT_INTERRUPTED
    finally:
        storage.close()
    return _answer(args, event)


def _make_root(directory: Path) -> None:
    try:
        directory.mkdir(exist_ok=True)
    except FileExistsError:
        raise UsageError(f"--to {directory}: not a directory") from None
    except OSError as fault:
        raise UsageError(f"--to {directory}: {(fault.strerror or 'cannot be made').lower()}") from None


async def _run(command: ExportStart, project: Project, storage: LocalStorage, args: Namespace) -> Terminal:
    ledger = Ledger(storage)
    stop = Stop()
    await anyio.to_thread.run_sync(ledger.open_or_make)
    shop = Workshop(storage, ledger, anyio.CapacityLimiter(args.copiers))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(_stop_at_a_signal, stop)
        with progress_bar(Console(stderr=True, quiet=args.json)) as report:
            event = await _unless_interrupted(command, project, shop, report, stop)
        tasks.cancel_scope.cancel()
    if isinstance(event, BaseException):
        raise event
    return event


async def _unless_interrupted(
    command: ExportStart, project: Project, shop: Workshop, report: Report, stop: Stop
) -> Terminal | ExportError | Interrupted:
    """The end as a value: out of a task group an error would come wrapped in a group."""
    try:
        return await export(command, project, shop, report, stop)
    except (ExportError, Interrupted) as end:
        return end


async def _stop_at_a_signal(stop: Stop) -> None:
    with anyio.open_signal_receiver(SIGINT, SIGTERM) as signals:
        async for _ in signals:
            stop.set()
            return


def _answer(args: Namespace, event: Terminal) -> int:
    if args.json:
        print(event.model_dump_json(exclude_none=True))  # noqa: T201 - the answer
    elif isinstance(event, ExportCompleted):
        folder = args.to / event.folder.name
        show_completed(Console(highlight=False), event, _files_of(folder), str(folder))
    else:
        _say(f"{event.error.title}: {event.error.detail}")
    if not isinstance(event, ExportCompleted):
        return EXIT_FAILED
    return EXIT_COMPLETE if event.outcome is Outcome.COMPLETE else EXIT_PARTIAL


def _files_of(folder: Path) -> Sequence[NamedSize]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return [(path.relative_to(folder).as_posix(), path.stat().st_size) for path in files]


def _say_failed(args: Namespace, command: ExportStart, reason: ExportError) -> int:
    error = error_of(reason, Stage.PLANNING)
    if args.json:
        print(json.dumps({"export_id": command.export_id, "error": error.model_dump(mode="json")}))  # noqa: T201
    else:
        _say(f"{error.title}: {error.detail}")
    if isinstance(reason, Trouble) and "to" in args:
        _say(f"Nothing is lost; when that is mended, go on with:\n  {resume_line(args, command)}")
    return EXIT_FAILED


def resume_line(args: Namespace, command: ExportStart) -> str:
    """The command that goes on with this export: the same arguments, and its id."""
    known = [] if args.export_id else ["--export-id", command.export_id]
    name, *rest = args.words  # the id comes first: what follows a "--" would be no option
    return shlex.join(["export-service", name, *known, *rest])


def _say(sentence: str) -> None:
    print(sentence, file=sys.stderr)  # noqa: T201 - told to a person
