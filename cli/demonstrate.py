"""`demo`: a broker, a worker and a sample project in one process; the export goes the way that every export goes."""

import os
import shlex
import socket
import sys
import threading
from argparse import Namespace
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from errno import EADDRINUSE
from pathlib import Path

import anyio
from anyio.from_thread import BlockingPortal, start_blocking_portal
from pydantic import SecretStr
from rich.markup import escape

from cli import exits
from cli.answer import answered
from cli.demo_directory import demo_directory, fill
from cli.errors import UsageError
from cli.main import main
from cli.show import console
from demo.broker import broker
from demo.sample import PROJECT_ID, Sample, sample_in
from gateway.app import gateway
from gateway.server import serve
from gateway.settings import GatewaySettings
from service.app import worker
from service.broker import quieten
from service.settings import WorkerSettings

_URL = "EXPORT_BROKER_URL"
_HOST = "127.0.0.1"


def demonstrate(args: Namespace) -> int:
    """Exit code 0 when the sample was exported as it should be: partial, since it has two pending and one missing."""
    sample, exports = sample_in(args.to / "sample"), args.to / "exports"
    with demo_directory(args.to), _door(args) as door:
        changed = fill(sample.directory, exports)
        _say(f"A sample project, media made by code: [bold]{escape(str(sample.project))}[/]")
        if kept := _kept(args.to, changed, any(exports.glob("export_*"))):
            _say(escape(kept))
        # Whoever changed the sample may have made it whole.
        ends = {exits.PARTIAL, exits.COMPLETE} if changed else {exits.PARTIAL}
        return _played(sample, exports, ends, door)


def _played(sample: Sample, exports: Path, ends: set[int], door: socket.socket | None) -> int:
    quieten()
    given = os.environ.get(_URL)
    with (
        start_blocking_portal() as portal,
        portal.wrap_async_context_manager(_a_broker(given)) as url,
        _environment(url, sample, exports),
    ):
        if given is not None and _shown("setup-broker") != exits.COMPLETE:
            return exits.FAILED
        with portal.wrap_async_context_manager(_a_worker(url, sample.media, exports)):
            _say(f"{'In this process' if given is None else 'Beside your broker'}: {_PARTS[given is None]}a worker.\n")
            code = _exported(sample, exports, ends)
            if door is not None:
                _serve_until_ctrl_c(portal, url, sample, exports, door)
    return code


_PARTS = {True: "a broker in memory and ", False: ""}


def _exported(sample: Sample, exports: Path, ends: set[int]) -> int:
    earlier = set(exports.glob("export_*"))
    ended = _shown("submit", str(sample.project), "--archive", "zip", "--watch")
    checked = [_shown("verify", str(path)) for path in sorted(set(exports.glob("export_*")) - earlier)]
    return exits.COMPLETE if ended in ends and checked == [exits.COMPLETE] * 2 else exits.FAILED


def _kept(directory: Path, changed: list[str], has_exports: bool) -> str:
    """What there was before this demo; nothing where it is the first."""
    names = [*changed[:_NAMED], f"{len(changed) - _NAMED} more"] if len(changed) > _NAMED else changed
    sample = [f"{', '.join(names)} of the sample, as changed since"] if names else []
    kept = sample + ["every export"] * has_exports
    return f"Kept from before: {'; '.join(kept)}. To start over: rm -r {shlex.quote(str(directory))}" if kept else ""


_NAMED = 3


@contextmanager
def _door(args: Namespace) -> Iterator[socket.socket | None]:
    """Where the page will be, if there is to be one: taken before anything is made, so that it cannot be lost later."""
    if not args.serve:
        yield None
        return
    try:
        door = socket.create_server((_HOST, args.port))
    except OSError as fault:
        why = "is taken" if fault.errno == EADDRINUSE else f"cannot be opened ({fault.strerror})"
        raise UsageError(f"port {args.port} {why}: --port N takes another") from None
    with door:
        yield door


def _shown(*words: str) -> int:
    """Says the command, and runs it as if it had been typed."""
    _say(f"[dim]$ export-service {escape(' '.join(words))}[/]")
    code = main(words)
    _say("")
    return code


def _say(line: str) -> None:
    answered(exits.COMPLETE, lambda: console().print(line, soft_wrap=True))


def _serve_until_ctrl_c(portal: BlockingPortal, url: str, sample: Sample, exports: Path, door: socket.socket) -> None:
    with portal.wrap_async_context_manager(_a_gateway(url, sample, exports, door)) as page:
        _say(
            f"The page: [bold]{page}[/]\n"
            f"Everything stays up until Ctrl-C. In another terminal:\n"
            f"  export {_URL}={url} EXPORT_EXPORTS_ROOT={escape(str(exports.absolute()))}\n"
            f"  {escape(sys.argv[0])} submit {escape(str(sample.project.absolute()))} --watch"
        )
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            _say("Stopped.")


# ---- what runs


@asynccontextmanager
async def _a_broker(given: str | None) -> AsyncIterator[str]:
    if given is not None:
        yield given
        return
    async with broker() as embedded:
        yield embedded.url


@asynccontextmanager
async def _a_worker(url: str, media: Path, exports: Path) -> AsyncIterator[None]:
    settings = WorkerSettings(broker_url=SecretStr(url), media_root=media, exports_root=exports)
    async with worker(settings) as parts, parts.running():
        yield


@asynccontextmanager
async def _a_gateway(url: str, sample: Sample, exports: Path, door: socket.socket) -> AsyncIterator[str]:
    """The address of the sample's page."""
    settings = GatewaySettings(
        broker_url=SecretStr(url),
        media_root=sample.media,
        exports_root=exports,
        gateway_auth="none",
        project_directory=sample.projects,
    )
    async with gateway(settings) as served, served.running(), anyio.create_task_group() as tasks:
        stop = anyio.Event()
        bound = await tasks.start(serve, served, stop, door)
        yield f"http://{_HOST}:{bound}/projects/{PROJECT_ID}"
        stop.set()


@contextmanager
def _environment(url: str, sample: Sample, exports: Path) -> Iterator[None]:
    """What a person would set, for the commands that are shown."""
    given = {_URL: url, "EXPORT_EXPORTS_ROOT": str(exports), "EXPORT_MEDIA_ROOT": str(sample.media)}
    before = {name: os.environ.get(name) for name in given}
    os.environ.update(given)
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})
