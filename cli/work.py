"""`worker`: takes commands from RabbitMQ until it is told to stop."""

import logging
import os
import sys
import threading
from argparse import Namespace
from collections.abc import Awaitable, Callable
from signal import SIGINT, SIGTERM

import anyio
from pydantic import ValidationError

from cli import exits
from cli.answer import complain
from cli.errors import UsageError
from cli.secrets import secrets_dir
from service.app import worker
from service.broker import NotStarted, quieten
from service.errors import Trouble
from service.health import serve
from service.settings import WorkerSettings, first_fault_of

log = logging.getLogger("worker")


def work(_: Namespace) -> int:
    """Exit code 0 after a SIGTERM or Ctrl-C; 1 when only a new process may do better."""
    try:
        settings = WorkerSettings(_secrets_dir=secrets_dir())
    except ValidationError as fault:
        raise UsageError(first_fault_of(fault)) from None
    log_to_stderr()
    try:
        return anyio.run(_work, settings)
    except Trouble as trouble:
        complain(
            f"{trouble.detail} (EXPORT_MEDIA_ROOT={settings.media_root} EXPORT_EXPORTS_ROOT={settings.exports_root})"
        )
        complain("what is wrong, and how to mend it: export-service check; a new exports root: check --init")
    except BaseExceptionGroup as group:
        complain(str(expected_fault(group)))
    return exits.FAILED


def log_to_stderr() -> None:
    logging.basicConfig(
        stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(levelname)-7s %(message)s", datefmt="%FT%T%z"
    )
    quieten()
    logging.getLogger("uvicorn").setLevel(logging.WARNING)


def expected_fault(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """The expected fault in a group; anything else is a bug and flies on, with its traceback."""
    expected, unexpected = group.split((NotStarted, OSError))
    if unexpected is not None or expected is None:
        raise group
    leaf: BaseException = expected
    while isinstance(leaf, BaseExceptionGroup):
        leaf = leaf.exceptions[0]
    return leaf


async def _work(settings: WorkerSettings) -> int:
    async with worker(settings) as parts, anyio.create_task_group() as tasks:
        await tasks.start(serve, parts.health, settings.health_host, settings.health_port)
        code = exits.FAILED
        async with parts.running():
            try:
                code = await _until_it_ends(parts.health.watch, settings.watchdog_seconds)
            finally:
                _end_within(settings.drain_seconds, code)
        tasks.cancel_scope.cancel()
    return code


async def _until_it_ends(watch: Callable[[float], Awaitable[None]], patience_seconds: float) -> int:
    """Waits for a signal, or for the watchdog to give up."""
    code = exits.FAILED
    async with anyio.create_task_group() as tasks:

        async def listen() -> None:
            nonlocal code
            with anyio.open_signal_receiver(SIGINT, SIGTERM) as signals:
                async for signal in signals:
                    log.info("%s: handing back what is unfinished", signal.name)
                    code = exits.COMPLETE
                    tasks.cancel_scope.cancel()

        tasks.start_soon(listen)
        await watch(patience_seconds)
        tasks.cancel_scope.cancel()
    return code


def _end_within(seconds: float, code: int) -> None:
    """A thread that hangs in a system call would keep the process for ever; what it did is for the next attempt."""

    def end() -> None:
        log.warning("something still hangs after %.0f seconds, a file system perhaps; ending without it", seconds)
        logging.shutdown()
        os._exit(code)  # all was given back long before

    timer = threading.Timer(seconds, end)
    timer.daemon = True
    timer.start()
