"""Forks real workers, each within milliseconds: everything is imported once, here, and no interpreter starts again.

A process of its own with one thread, so that a fork is safe. It obeys orders, one a line of JSON, and tells what
becomes of its children, which end with it, however it ends:

    {"fork": NAME, "environment": {…}, "log": FILE, "aim": AIM or null,
     "frozen_after_seconds": SECONDS}                                      → {"born": NAME, "pid": PID}
    {"signal": NUMBER, "pid": PID}                                         → {"sent": NUMBER, "pid": PID}, if it lived
    (a child began an attempt, its first)                                  → {"busy": PID}
    (a child ended)                                                        → {"ended": PID, "status": STATUS}
"""

import ctypes
import gc
import json
import os
import select
import signal
import sys
import traceback
from argparse import Namespace
from typing import Any, NoReturn

import anyio._backends._asyncio  # noqa: F401 - loaded when a loop starts, which here is once for each worker
import uvicorn.lifespan.off
import uvicorn.loops.auto
import uvicorn.protocols.http.auto  # noqa: F401 - the same

from cli.work import work
from service import liveness
from tests.prove.aims import AIMS, BEGUN, take_aim, when

_PR_SET_PDEATHSIG = 1
_READ_BYTES = 1 << 16


def main() -> None:
    gc.collect()
    gc.freeze()  # what is there now is shared with the children, as long as nobody writes to it
    server = Server()
    _tell({"ready": os.getpid()})
    server.serve()


class Server:
    """Its children, and the two pipes."""

    def __init__(self) -> None:
        self._living: set[int] = set()
        self._wake, wakes = os.pipe()
        os.set_blocking(wakes, False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for whoever gives the orders
        signal.set_wakeup_fd(wakes, warn_on_full_buffer=False)

    def serve(self) -> None:
        """Until nobody gives orders any more."""
        rest = b""
        try:
            while True:
                ready, _, _ = select.select([0, self._wake], [], [])
                if self._wake in ready:
                    os.read(self._wake, _READ_BYTES)
                    self._reap()
                if 0 in ready:
                    come = os.read(0, _READ_BYTES)
                    if not come:
                        return
                    *orders, rest = (rest + come).split(b"\n")
                    for order in orders:
                        self._obey(json.loads(order))
        finally:
            for pid in self._living:
                os.kill(pid, signal.SIGKILL)
            for pid in self._living:
                os.waitpid(pid, 0)

    def _obey(self, order: dict[str, Any]) -> None:
        if "fork" in order:
            self._fork(order)
        else:
            self._signal(order["pid"], order["signal"])

    def _fork(self, order: dict[str, Any]) -> None:
        pid = os.fork()
        if pid == 0:
            _be_a_worker(order)
        self._living.add(pid)
        _tell({"born": order["fork"], "pid": pid})

    def _signal(self, pid: int, number: int) -> None:
        """To a process that lives, and to no other: who ended before this is told to have ended."""
        self._reap()
        if pid in self._living:
            os.kill(pid, number)
            _tell({"sent": number, "pid": pid})

    def _reap(self) -> None:
        while self._living:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                return
            self._living.discard(pid)
            _tell({"ended": pid, "status": os.waitstatus_to_exitcode(status)})


def _tell(what: dict[str, object], to: int = 1) -> None:
    os.write(to, json.dumps(what).encode() + b"\n")  # so short that it is one piece, whoever else writes


def _be_a_worker(order: dict[str, Any]) -> NoReturn:
    """As `export-service worker` is one, from its first line on."""
    code = 1
    try:
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        log = os.open(order["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
        os.write(log, f"---- {os.getpid()}, aim: {order['aim']}\n".encode())
        told = os.dup(1)
        os.dup2(os.open(os.devnull, os.O_RDWR), 0)
        os.dup2(log, 1)
        os.dup2(log, 2)
        os.environ.update(order["environment"])
        liveness.FROZEN_AFTER_SECONDS = order["frozen_after_seconds"]
        when(BEGUN, lambda: _tell({"busy": os.getpid()}, told))
        if order["aim"]:
            take_aim(AIMS[order["aim"]])
        code = work(Namespace())
    except BaseException:  # noqa: BLE001 - nothing may come back into the server's loop
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    main()
