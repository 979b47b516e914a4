"""Keeps the programs of one RabbitMQ node for the tests: runs as a process of its own, with nothing but Python.

Two reasons: the test process has one child however often the node is killed and started again, so that the check for
leaked processes can stay strict; and when the tests themselves are killed, their node does not outlive them.

    keeper.py LOG EPMD SERVER

Reads orders, one a line: `start`, `end SIGNAL`, `look`. Answers each with `running PID` or `ended CODE`.
"""

import signal
import subprocess
import sys
from contextlib import suppress

STOP_SECONDS = 15


def main(log: str, epmd: str, server: str) -> None:
    # Blocked signals are inherited, and a node that cannot be told to end ends by kill only.
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    # What the whole group is sent, as by Ctrl-C, is for the tests: they end us in their order. No child inherits this.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: None)
    with open(log, "ab") as sink:  # noqa: PTH123 (starts in 20 ms without pathlib)
        # In the foreground: a node that finds no epmd leaves one behind, daemonised.
        mapper = subprocess.Popen([epmd], stdin=subprocess.DEVNULL, stdout=sink, stderr=sink)
        try:
            _obey([server], sink.fileno())
        finally:
            mapper.kill()
            mapper.wait()


def _obey(server: list[str], sink: int) -> None:
    node: subprocess.Popen[bytes] | None = None
    try:
        for order in sys.stdin:
            match order.split():
                case ["start"]:
                    node = subprocess.Popen(
                        server, stdin=subprocess.DEVNULL, stdout=sink, stderr=sink, start_new_session=True
                    )
                case ["end", number]:
                    _end(node, int(number))
                case _:
                    pass
            print(_state(node), flush=True)
    finally:
        _end(node, signal.SIGKILL)


def _end(node: subprocess.Popen[bytes] | None, number: int) -> None:
    if node is None or node.poll() is not None:
        return
    node.send_signal(number)
    try:
        node.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        node.kill()
        node.wait()


def _state(node: subprocess.Popen[bytes] | None) -> str:
    if node is None:
        return "ended 0"
    return f"running {node.pid}" if node.poll() is None else f"ended {node.returncode}"


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        main(*sys.argv[1:])
