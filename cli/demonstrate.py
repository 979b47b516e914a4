"""`demo`: a broker, a worker and a sample project in one process; the export goes the way that every export goes."""

import os
import shutil
import sys
import threading
from argparse import Namespace
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import anyio
from anyio.from_thread import BlockingPortal, start_blocking_portal
from pydantic import SecretStr
from rich.markup import escape

from cli import exits
from cli.answer import answered
from cli.errors import UsageError
from cli.main import main
from cli.show import console
from demo.broker import broker
from demo.sample import PROJECT_ID, Sample, make_sample
from gateway.app import gateway
from gateway.server import serve
from gateway.settings import GatewaySettings
from service.app import worker
from service.broker import quieten
from service.ledger import Ledger
from service.settings import WorkerSettings
from service.storage.local import LocalStorage

_MARK = ".made-by-export-service-demo"
_URL = "EXPORT_BROKER_URL"


def demonstrate(args: Namespace) -> int:
    """Exit code 0 when the sample was exported as it should be: partial, since it has two pending and one missing."""
    _make_empty(args.to)
    sample = make_sample(args.to / "sample")
    exports = _exports_root(args.to / "exports")
    quieten()
    given = os.environ.get(_URL)
    _say(f"A sample project, media made by code: [bold]{escape(str(sample.project))}[/]")
    with (
        start_blocking_portal() as portal,
        portal.wrap_async_context_manager(_a_broker(given)) as url,
        _environment(url, sample, exports),
    ):
        if given is not None and _shown("setup-broker") != exits.COMPLETE:
            return exits.FAILED
        with portal.wrap_async_context_manager(_a_worker(url, sample.media, exports)):
            _say(f"{'In this process' if given is None else 'Beside your broker'}: {_PARTS[given is None]}a worker.\n")
            code = _exported(sample, exports)
            if args.serve:
                _serve_until_ctrl_c(portal, url, sample, exports, args.port)
    return code


_PARTS = {True: "a broker in memory and ", False: ""}


def _exported(sample: Sample, exports: Path) -> int:
    ended = _shown("submit", str(sample.project), "--archive", "zip", "--watch")
    checked = [_shown("verify", str(path)) for path in sorted(exports.glob("export_*"))]
    is_as_it_should_be = ended == exits.PARTIAL and checked == [exits.COMPLETE] * 2
    return exits.COMPLETE if is_as_it_should_be else exits.FAILED


def _shown(*words: str) -> int:
    """Says the command, and runs it as if it had been typed."""
    _say(f"[dim]$ export-service {escape(' '.join(words))}[/]")
    code = main(words)
    _say("")
    return code


def _say(line: str) -> None:
    answered(exits.COMPLETE, lambda: console().print(line, soft_wrap=True))


def _serve_until_ctrl_c(portal: BlockingPortal, url: str, sample: Sample, exports: Path, port: int) -> None:
    with portal.wrap_async_context_manager(_a_gateway(url, sample, exports, port)) as page:
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
async def _a_gateway(url: str, sample: Sample, exports: Path, port: int) -> AsyncIterator[str]:
    """The address of the sample's page."""
    settings = GatewaySettings(
        broker_url=SecretStr(url),
        media_root=sample.media,
        exports_root=exports,
        gateway_auth="none",
        gateway_port=port,
        project_directory=sample.projects,
    )
    async with gateway(settings) as served, served.running(), anyio.create_task_group() as tasks:
        stop = anyio.Event()
        bound = await tasks.start(serve, served, stop)
        yield f"http://127.0.0.1:{bound}/projects/{PROJECT_ID}"
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


def _exports_root(directory: Path) -> Path:
    directory.mkdir()
    storage = LocalStorage({}, directory)
    try:
        Ledger(storage).open_or_make()
    finally:
        storage.close()
    return directory


def _make_empty(directory: Path) -> None:
    """Removes an earlier demo, and nothing else."""
    if directory.exists() and any(directory.iterdir()):
        if not (directory / _MARK).exists():
            raise UsageError(f"--to {directory}: is not empty, and was not made by the demo")
        shutil.rmtree(directory)
    directory.mkdir(parents=True, exist_ok=True)
    (directory / _MARK).touch()
