"""`plan` and `run`: an export without a broker, on directories of this machine."""

import json
import shlex
import sys
from argparse import Namespace
from dataclasses import replace
from pathlib import Path
from signal import SIGINT, SIGTERM

import anyio
from rich.console import Console
from rich.markup import escape

from cli import exits
from cli.answer import answered
from cli.asked import start_of
from cli.ending import absent_of, answer_end, exit_code_of, say, say_out
from cli.errors import UsageError
from cli.show import (
    console,
    counted,
    folder_tree,
    progress_bar,
    show_omissions,
    show_warnings,
)
from cli.since import insist_on_root
from contracts import ExportStart, Layout, Project, Stage
from service.contents import MANIFEST, text_names
from service.earlier import earlier_export
from service.errors import ExportError, Interrupted, Trouble
from service.export import Threads, Workshop, export
from service.ledger import Decision, Ledger
from service.model import Earlier, Plan
from service.naming import folder_name
from service.outcome import error_of
from service.packing import archive_size_bytes
from service.plan import plan_export
from service.progress import Report, Stop
from service.references import MEDIA
from service.settle import settle
from service.storage.local import LocalStorage
from service.survey import survey


def command_from(args: Namespace) -> tuple[ExportStart, Project]:
    """The message that these arguments stand for."""
    if not args.media.is_dir():
        raise UsageError(f"--media {args.media}: {'not a directory' if args.media.exists() else 'no such directory'}")
    return start_of(args)


_ARCHIVES = {None: "a ZIP", Layout.FOLDER: "a ZIP", Layout.CHANGES: "a ZIP of what changed", Layout.OTIOZ: "a bundle"}


# ---- plan -------------------------------------------------------------------------------------------------------


def plan(args: Namespace) -> int:
    """Shows what `run` would export; changes nothing."""
    command, project = command_from(args)
    # Planning writes nothing: what stands in for an exports root is never touched.
    storage = LocalStorage({MEDIA: args.media}, args.media if args.since is None else args.to or args.media)
    try:
        earlier = _earlier(args, command, project, Ledger(storage))
        planned = anyio.run(_planned, command, project, storage, earlier)
    except ExportError as reason:
        return _say_failed(args, command, reason)
    finally:
        storage.close()
    return answered(exit_code_of(planned.outcome), lambda: _show_plan(args, planned))


def _earlier(args: Namespace, command: ExportStart, project: Project, ledger: Ledger) -> Earlier | str | None:
    """What is to be followed, where it can be known."""
    if command.options.since is None or args.to is None:
        return None
    insist_on_root(ledger, args.to)
    return earlier_export(ledger, command, project)


async def _planned(
    command: ExportStart, project: Project, storage: LocalStorage, earlier: Earlier | str | None
) -> Plan:
    draft = plan_export(command, project, folder_name(project.id, command.requested_at), earlier)
    if earlier is None:  # what has changed is known to nobody here, and nothing is said of it
        draft = replace(draft, options=draft.options.model_copy(update={"since": None}))
    return settle(draft, await survey(draft, storage))


def _show_plan(args: Namespace, planned: Plan) -> None:
    if args.json:
        say_out(json.dumps(_plan_as_json(args, planned)))
        return
    out = console()
    out.print(folder_tree(planned.draft.folder, [(copy.name, copy.size_bytes) for copy in planned.copies]))
    texts = ", ".join([*text_names(planned.draft.options), MANIFEST])
    out.print(f"[dim]and {texts}[/]")
    out.print(f"[dim]{escape(_archive_told(args, planned))}[/]\n", soft_wrap=True)
    omissions = [omission.as_message() for omission in planned.omissions]
    show_omissions(out, omissions, len(omissions))
    show_warnings(out, planned.warnings)
    files = counted(len(planned.copies), "file")
    out.print(f"[bold]{planned.outcome.value}[/]  {files}, {planned.size_bytes:,} bytes")


def _is_open(args: Namespace) -> bool:
    """Whether what the archive will hold hangs on an earlier export that cannot be looked up."""
    return args.since is not None and args.to is None


def _archive_told(args: Namespace, planned: Plan) -> str:
    if _is_open(args):
        return f"what changed since {args.since} is known to `run` only, or with --to DIR, the exports root"
    # Before a byte is read, a file that is as long as it was counts as the same.
    about = "at least " if planned.layout is Layout.CHANGES else ""
    return f"as {_ARCHIVES[planned.layout]} {about}{archive_size_bytes(planned):,} bytes"


def _plan_as_json(args: Namespace, planned: Plan) -> dict[str, object]:
    return {
        "folder": planned.draft.folder,
        "outcome": planned.outcome,
        "size_bytes": planned.size_bytes,
        "archive_size_bytes": None if _is_open(args) else archive_size_bytes(planned),
        "texts": [*text_names(planned.draft.options), MANIFEST],
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
    storage = LocalStorage({MEDIA: args.media}, args.to, trusted={MEDIA} if args.trusted_checksums else ())
    try:
        decision = anyio.run(_run, command, project, storage, args)
        absent = absent_of(decision.event, Ledger(storage), args.to, "leave out --export-id")
    except ExportError as reason:
        code = _say_failed(args, command, reason)
        if isinstance(reason, Trouble):
            say(f"Nothing is lost; when that is mended, go on with:\n  {resume_line(args, command)}")
        return code
    except Interrupted:
        say(f"Stopped. What is finished is kept; go on with:\n  {resume_line(args, command)}")
        return exits.INTERRUPTED
    finally:
        storage.close()
    return answer_end(decision, args.to, absent, as_json=args.json)


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
    shop = Workshop(storage, ledger, Threads.of_each(args.copiers))
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


def _say_failed(args: Namespace, command: ExportStart, reason: ExportError) -> int:
    error = error_of(reason, Stage.PLANNING)
    if args.json:
        body = json.dumps({"export_id": command.export_id, "error": error.model_dump(mode="json")})
        answered(exits.FAILED, lambda: say_out(body))
    else:
        say(f"{error.title}: {error.detail}")
    return exits.FAILED


def resume_line(args: Namespace, command: ExportStart) -> str:
    """The command that goes on with this export: called in the same way, with the same arguments, and its id."""
    known = [] if args.export_id else ["--export-id", command.export_id]
    name, *rest = args.words  # the id comes first: what follows a "--" would be no option
    called_as = sys.argv[0] if "/" in sys.argv[0] else "export-service"
    return shlex.join([called_as, name, *known, *rest])
