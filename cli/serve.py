"""`gateway`: serves the HTTP API, the sockets and the page until it is told to stop."""

import logging
import sys
from argparse import Namespace
from signal import SIGINT, SIGTERM

import anyio
from pydantic import ValidationError

from cli import exits
from cli.answer import complain
from cli.errors import UsageError
from cli.secrets import secrets_dir
from cli.work import expected_fault, log_to_stderr
from gateway.app import gateway
from gateway.server import serve
from gateway.settings import GatewaySettings
from service.errors import Trouble
from service.settings import first_fault_of

log = logging.getLogger("gateway")


def serve_gateway(_: Namespace) -> int:
    """Exit code 0 after a SIGTERM or Ctrl-C; 1 when only a new process may do better."""
    try:
        settings = GatewaySettings(_secrets_dir=secrets_dir())
    except ValidationError as fault:
        raise UsageError(first_fault_of(fault)) from None
    log_to_stderr()
    try:
        return anyio.run(_serve, settings, backend_options={"use_uvloop": sys.platform != "win32"})
    except Trouble as trouble:
        complain(
            f"{trouble.detail} (EXPORT_MEDIA_ROOT={settings.media_root} EXPORT_EXPORTS_ROOT={settings.exports_root})"
        )
        complain("what is wrong, and how to mend it: export-service check; a new exports root: check --init")
    except BaseExceptionGroup as group:
        complain(str(expected_fault(group)))
    return exits.FAILED


async def _serve(settings: GatewaySettings) -> int:
    async with gateway(settings) as served, served.running(), anyio.create_task_group() as tasks:
        stop = anyio.Event()
        await tasks.start(serve, served, stop)
        with anyio.open_signal_receiver(SIGINT, SIGTERM) as signals:
            async for signal in signals:
                log.info("%s: closing the sockets, a few at a time", signal.name)
                break
            stop.set()
    return exits.COMPLETE
