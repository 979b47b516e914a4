"""The command `export-service`: parses the arguments, calls one function, returns its exit code."""

import argparse
import re
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from io import TextIOWrapper
from pathlib import Path
from typing import Any

from cli import exits
from cli.answer import complain
from cli.errors import UsageError

# Nothing heavy is imported here: Ctrl-C before `main` is called is a traceback, and nobody can catch it.
_EXIT_CODES = "exit codes: 0 complete, 1 failed, 2 usage, 3 partial or empty, 130 stopped by Ctrl-C"
_MAX_COPIERS = 64
_MAX_RETAIN_DAYS = 3650
_MAX_REASON_CHARACTERS = 1000


def main(words: Sequence[str] | None = None) -> int:
    """Runs one command. Every expected fault is one sentence on standard error, never a traceback."""
    words = list(sys.argv[1:] if words is None else words)
    _print_whatever_comes()
    try:
        return _carry_out(words)
    except ModuleNotFoundError as absent:
        if absent.name is None or absent.name.partition(".")[0] not in _NEEDED_BY_EXTRAS:
            raise
        extra = "gateway" if {"gateway", "fetch", "--serve"} & set(words) else "worker"
        complain(f"this command needs more packages: pip install 'export-service[{extra}]' (no module {absent.name!r})")
        return exits.USAGE
    except KeyboardInterrupt:
        return exits.INTERRUPTED


def _print_whatever_comes() -> None:
    """A terminal that cannot show a character gets its code: no answer may end in a UnicodeEncodeError."""
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")


_NEEDED_BY_EXTRAS = {
    "aio_pika", "aiormq", "anyio", "fastapi", "faststream", "httptools", "httpx", "isal", "jwt", "pamqp", "PIL",
    "prometheus_client", "pydantic_settings", "rich", "slugify", "starlette", "uvicorn", "uvloop", "websockets", "yarl",
    "zipstream",
}  # fmt: skip


def _carry_out(words: Sequence[str]) -> int:
    args = _parser().parse_args(words)
    args.words = words
    command: Callable[[argparse.Namespace], int] = args.command
    try:
        return command(args)
    except UsageError as fault:
        complain(str(fault))
        return exits.USAGE


def _late(name: str) -> Callable[[Any], Any]:
    """The function `module:function`, imported when it is called: a bare install has only what `contracts` needs."""
    module, _, function = name.partition(":")

    def call(given: Any) -> Any:
        return getattr(import_module(module), function)(given)

    return call


# ---- arguments --------------------------------------------------------------------------------------------------


def _parser() -> argparse.ArgumentParser:
    description = "Exports AI video projects as numbered media, a script and a ZIP."
    parser = argparse.ArgumentParser(
        prog="export-service", description=description, epilog=_EXIT_CODES, allow_abbrev=False
    )
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    _add_plan(commands.add_parser("plan", help="show what an export would hold; change nothing", allow_abbrev=False))
    _add_run(commands.add_parser("run", help="export a project, without a broker", allow_abbrev=False))
    _add_verify(
        commands.add_parser("verify", help="compare an exported folder or ZIP with its manifest", allow_abbrev=False)
    )
    _add_sweep(commands.add_parser("sweep", help="finish, expire and clear what exports left", allow_abbrev=False))
    _add_demo(
        commands.add_parser("demo", help="export a sample project that the command makes itself", allow_abbrev=False)
    )
    for name, tell, add in (
        ("worker", "take commands from RabbitMQ and carry them out", _add_worker),
        ("gateway", "serve the HTTP API and the page", _add_gateway),
        ("submit", "ask the workers for an export", _add_submit),
        ("watch", "show how an export goes on, until it is over", _add_watch),
        ("fetch", "download an export from a gateway, once it is finished", _add_fetch),
        ("cancel", "stop an export", _add_cancel),
        ("delete", "remove a finished export", _add_delete),
        ("dead", "look at messages that nobody could carry out, and decide on them", _add_dead),
        ("check", "say whether broker and directories are as they must be", _add_check),
        ("setup-broker", "make the exchanges and queues", _add_setup),
    ):
        add(commands.add_parser(name, help=tell, allow_abbrev=False))
    return parser


def _add_plan(parser: argparse.ArgumentParser) -> None:
    _add_project(parser)
    _add_media(parser)
    root = "the exports root, which is only read: where the export that --since names is looked up"
    parser.add_argument("--to", type=Path, metavar="DIR", help=root)
    parser.set_defaults(command=_late("cli.run:plan"))


def _add_run(parser: argparse.ArgumentParser) -> None:
    _add_project(parser)
    _add_media(parser)
    parser.add_argument(
        "--to", type=Path, required=True, metavar="DIR", help="the exports root; made if it is not there"
    )
    parser.add_argument(
        "--copiers", type=_up_to(_MAX_COPIERS), default=4, metavar="N", help="files copied at once (%(default)s)"
    )
    parser.add_argument("--trusted-checksums", action="store_true",
                        help="believe the project's CRC-32s: files that can be had unread are not read")  # fmt: skip
    parser.set_defaults(command=_late("cli.run:run"))


def _add_project(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("project", type=Path, metavar="PROJECT.json", help="in the contract's form or the studio's")
    parser.add_argument("--archive", choices=("none", "zip", "otioz"), default="none",
                        help="also make a ZIP of the folder, or a bundle for DaVinci Resolve")  # fmt: skip
    parser.add_argument("--kinds", type=_list_of("audio", "image", "video"), default=("audio", "image", "video"),
                        metavar="KIND,…", help="only these of audio, image, video")  # fmt: skip
    parser.add_argument("--sections", type=_late("cli.values:sections"), metavar="ID,…", help="only these sections")
    parser.add_argument("--on-missing", choices=("skip", "fail"), default="skip",
                        help="when a finished file is not there: list it and go on (%(default)s), or fail")  # fmt: skip
    parser.add_argument("--stale", choices=("include", "skip"), default="include",
                        help="files made from an older text (%(default)s)")  # fmt: skip
    _add_editing(parser)
    parser.add_argument(
        "--retain-days", type=_up_to(_MAX_RETAIN_DAYS), metavar="N", help="let `sweep` remove the export after N days"
    )
    parser.add_argument(
        "--export-id", type=_late("cli.values:export_id"), metavar="ID", help="repeat or resume this export"
    )
    parser.add_argument("--requested-at", type=_late("cli.values:moment"), metavar="TIME",
                        help="ISO 8601 with an offset; names the folder (now)")  # fmt: skip
    _add_json(parser)


def _add_editing(parser: argparse.ArgumentParser) -> None:
    timelines, captions = ("otio", "fcpxml", "premiere", "mlt"), ("srt", "vtt")
    parser.add_argument("--timelines", type=_list_or_none_of(*timelines), default=timelines, metavar="NAME,…",
                        help=f"only these of {', '.join(timelines)}; or none")  # fmt: skip
    parser.add_argument("--captions", type=_list_or_none_of(*captions), default=captions, metavar="NAME,…",
                        help=f"only these of {', '.join(captions)}; or none")  # fmt: skip
    gaps = "in timelines: keep time for sentences that have nothing yet (%(default)s), or close up"
    parser.add_argument("--gaps", choices=("hold", "close"), default="hold", help=gaps)
    mount = "in timelines: where your editors mount the exports root, such as /Volumes/NAS or D:/"
    parser.add_argument("--media-root", metavar="DIR", help=mount)
    changes = "with --archive zip: all texts, of the media only what is new or changed since that export"
    parser.add_argument("--since", metavar="ID|FOLDER", help=f"{changes}; to unpack over its folder")


def _add_media(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--media", type=Path, required=True, metavar="DIR", help="what relative references are beneath")


def _add_json(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print one JSON object instead")


def _add_verify(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("path", type=Path, metavar="FOLDER|ZIP", help="an export, or its archive as it was made")
    parser.set_defaults(command=_late("cli.verify:verify"))


def _add_sweep(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--to", type=Path, required=True, metavar="DIR", help="the exports root")
    parser.add_argument("--abandoned-after", type=_hours, default=168.0, metavar="HOURS",
                        help="clear unfinished exports that nobody touched for so long (%(default)s)")  # fmt: skip
    parser.set_defaults(command=_late("cli.upkeep:sweep_root"))


def _add_demo(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--to",
        type=Path,
        default=Path("build/demo"),
        metavar="DIR",
        help="where (%(default)s); what an earlier demo or a person left there stays",
    )
    parser.add_argument(
        "--serve", action="store_true", help="keep everything up afterwards, with the page, until Ctrl-C"
    )
    parser.add_argument("--port", type=_up_to(65_535), default=8080, metavar="N", help="the page's (%(default)s)")
    parser.set_defaults(command=_late("cli.demonstrate:demonstrate"))


def _add_worker(parser: argparse.ArgumentParser) -> None:
    parser.description = "Set up by environment variables, EXPORT_BROKER_URL and others: docs/settings.md."
    parser.set_defaults(command=_late("cli.work:work"))


def _add_gateway(parser: argparse.ArgumentParser) -> None:
    parser.description = "Set up by environment variables, EXPORT_GATEWAY_AUTH and others: docs/settings.md."
    parser.set_defaults(command=_late("cli.serve:serve_gateway"))


def _add_submit(parser: argparse.ArgumentParser) -> None:
    _add_project(parser)
    parser.add_argument("--watch", action="store_true", help="wait for the end, and answer as `run` does")
    _add_broker(parser)
    parser.set_defaults(command=_late("cli.submit:submit"))


def _add_watch(parser: argparse.ArgumentParser) -> None:
    _add_id(parser)
    _add_json(parser)
    _add_broker(parser)
    parser.set_defaults(command=_late("cli.watch:watch"))


def _add_fetch(parser: argparse.ArgumentParser) -> None:
    parser.description = "A token is taken from EXPORT_TOKEN. What broke off goes on when it is called again."
    _add_id(parser)
    parser.add_argument("--gateway", metavar="URL", help="EXPORT_GATEWAY_URL, or http://127.0.0.1:8080")
    parser.add_argument("--to", type=Path, default=Path(), metavar="DIR", help="where the ZIP goes (%(default)s)")
    _add_json(parser)
    parser.set_defaults(command=_late("cli.fetch:fetch"))


def _add_cancel(parser: argparse.ArgumentParser) -> None:
    _add_id(parser)
    _add_reason(parser)
    parser.add_argument("--watch", action="store_true", help="wait until it is over; exit code 0 when it was stopped")
    _add_broker(parser)
    parser.set_defaults(command=_late("cli.submit:cancel"))


def _add_delete(parser: argparse.ArgumentParser) -> None:
    _add_id(parser)
    _add_reason(parser)
    _add_broker(parser)
    parser.set_defaults(command=_late("cli.submit:delete"))


def _add_id(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("export_id", type=_late("cli.values:export_id"), metavar="ID", help="the export's id")


def _add_reason(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--reason", type=_text(_MAX_REASON_CHARACTERS), default="", metavar="TEXT", help="is kept")


def _add_broker(parser: argparse._ActionsContainer) -> None:
    parser.add_argument("--broker", metavar="URL", help="in place of EXPORT_BROKER_URL, which no process list shows")


def _add_dead(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(title="actions", required=True, metavar="ACTION", dest="action", help="what to do")
    for name, tell in (
        ("list", "one by one: which, when, of what export, and why"),
        ("show", "the headers and the whole body"),
        ("replay", "publish again as it was sent at first, then remove"),
        ("drop", "remove for good"),
    ):
        _add_dead_action(actions.add_parser(name, help=tell, allow_abbrev=False), name)


def _add_dead_action(parser: argparse.ArgumentParser, name: str) -> None:
    if name != "list":
        parser.add_argument("messages", nargs="*", type=_handle, metavar="N", help="as `dead list` names them")
        parser.add_argument("--all", action="store_true", help="every message in the queue")
    if name == "replay":
        parser.add_argument("--as", dest="new_id", type=_late("cli.values:export_id"), metavar="NEW_ID",
                            help="under this export id: the old one has had its end")  # fmt: skip
    if name == "drop":
        parser.add_argument("--yes", action="store_true", help="do not ask")
    parser.add_argument("--queue", choices=("export.parked", "export.unrouted"), default="export.parked",
                        help="where to look (%(default)s)")  # fmt: skip
    _add_broker(parser)
    parser.set_defaults(command=_late("cli.dead:dead"))


def _add_check(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--media", type=Path, metavar="DIR", help="the media root (EXPORT_MEDIA_ROOT)")
    parser.add_argument("--to", type=Path, metavar="DIR", help="the exports root (EXPORT_EXPORTS_ROOT)")
    parser.add_argument("--init", action="store_true", help="make the exports root, unless it is one")
    _add_json(parser)
    broker = parser.add_mutually_exclusive_group()
    broker.add_argument("--no-broker", action="store_true", help="look at the directories only")
    _add_broker(broker)
    parser.set_defaults(command=_late("cli.check:check"))


def _add_setup(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--results", nargs="+", type=_service, default=(), metavar="SERVICE",
                        help="also export.results.SERVICE, where that service finds every result")  # fmt: skip
    _add_broker(parser)
    parser.set_defaults(command=_late("cli.setup:setup_broker"))


def _handle(text: str) -> str:
    if not re.fullmatch("[0-9a-fA-F]{4,64}", text):
        raise argparse.ArgumentTypeError(f"{text!r} is no name of a message, such as 3fa9c01b")
    return text


def _service(text: str) -> str:
    if not re.fullmatch("[A-Za-z0-9][A-Za-z0-9._-]{0,99}", text):
        raise argparse.ArgumentTypeError(f"{text!r} is no name for a service")
    return text


def _text(most: int) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if len(text) > most:
            raise argparse.ArgumentTypeError(f"has {len(text):,} characters; at most {most:,} are kept")
        return text

    return parse


def _up_to(most: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        if not re.fullmatch("[0-9]{1,9}", text) or not 1 <= int(text) <= most:
            raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1 to {most:,}")
        return int(text)

    return parse


def _hours(text: str) -> float:
    # No sign, no exponent, no `nan`.
    if not re.fullmatch(r"[0-9]{1,6}(\.[0-9]+)?", text):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of hours below a million")
    return float(text)


def _list_or_none_of(*words: str) -> Callable[[str], tuple[str, ...]]:
    some = _list_of(*words, "none")

    def parse(text: str) -> tuple[str, ...]:
        return () if text == "none" else some(text)

    return parse


def _list_of(*words: str) -> Callable[[str], tuple[str, ...]]:
    def parse(text: str) -> tuple[str, ...]:
        chosen = tuple(text.split(","))
        for word in chosen:
            if word not in words:
                raise argparse.ArgumentTypeError(f"{word!r} is not one of {', '.join(words)}")
        return chosen

    return parse
