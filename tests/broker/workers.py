"""Real workers: `export-service worker` as processes, with the rights that a worker has and no more."""

import asyncio
import http.client
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.broker.node import PrivateNode, free_ports

COMMAND = str(Path(sys.executable).with_name("export-service"))
USER = "export-worker"
GATEWAY_USER = "export-gateway"
READY_SECONDS = 20.0
PAUSE_SECONDS = 0.02
STDERR_SHOWN_CHARACTERS = 4000


class Worker:
    """One process; `name` tells it from others in a report."""

    command = "worker"

    def __init__(self, name: str, environment: dict[str, str], stderr: Path, health_port: int) -> None:
        self.name = name
        self.stderr = stderr
        self._health_port = health_port
        with stderr.open("wb") as sink:
            blocked = signal.pthread_sigmask(signal.SIG_SETMASK, ())  # children inherit it
            try:
                self._process = subprocess.Popen(
                    [COMMAND, self.command], env=environment, stdin=subprocess.DEVNULL, stdout=sink, stderr=sink
                )
            finally:
                signal.pthread_sigmask(signal.SIG_SETMASK, blocked)

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """None while it runs."""
        return self._process.poll()

    @property
    def said(self) -> str:
        """Everything on its standard error (and output)."""
        return self.stderr.read_text(errors="replace")

    def kill(self) -> None:
        """kill -9, and reaped."""
        self._process.kill()
        self._process.wait()

    def stop_cont(self, number: signal.Signals) -> None:
        """SIGSTOP freezes it as it stands; SIGCONT lets it go on."""
        self._process.send_signal(number)

    async def sigterm(self, patience_seconds: float = 30) -> float:
        """Asks it to end; the seconds it took."""
        since = time.monotonic()
        self._process.terminate()
        await self.ended(patience_seconds)
        return time.monotonic() - since

    async def ended(self, patience_seconds: float = 30) -> int:
        """Its exit code."""
        deadline = time.monotonic() + patience_seconds
        while (code := self.exit_code) is None:
            assert time.monotonic() < deadline, f"worker {self.name} did not end:\n{self.tail()}"
            await asyncio.sleep(PAUSE_SECONDS)
        return code

    async def ready(self, timeout_seconds: float = READY_SECONDS) -> None:
        """Returns once it is connected and takes messages."""
        await self.answers(200, timeout_seconds)

    async def answers(self, status: int, timeout_seconds: float = READY_SECONDS) -> None:
        """Returns once /readyz says `status`."""
        deadline = time.monotonic() + timeout_seconds
        while (seen := await asyncio.to_thread(self._readyz)) != status:
            assert self.exit_code is None, f"worker {self.name} ended with {self.exit_code}:\n{self.tail()}"
            assert time.monotonic() < deadline, f"worker {self.name} says {seen}, not {status}:\n{self.tail()}"
            await asyncio.sleep(PAUSE_SECONDS)

    def tail(self) -> str:
        return self.said[-STDERR_SHOWN_CHARACTERS:]

    def _readyz(self) -> int | None:
        connection = http.client.HTTPConnection("127.0.0.1", self._health_port, timeout=2)
        try:
            connection.request("GET", "/readyz")
            return connection.getresponse().status
        except OSError:
            return None
        finally:
            connection.close()


class Gateway(Worker):
    """The same of `export-service gateway`; it is asked on the port that it serves on."""

    command = "gateway"

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._health_port}"


@dataclass
class Workers:
    """Starts workers on one media and one exports root, and ends them all."""

    node: PrivateNode
    media_root: Path
    exports_root: Path
    logs: Path
    started: list[Worker] = field(default_factory=list)

    def start(self, **settings: str | int) -> Worker:
        """A new worker; `settings` without their prefix: `prefetch=1` is EXPORT_PREFETCH=1."""
        name = f"w{len(self.started) + 1}"
        [health_port] = free_ports(1)
        ours: dict[str, str | int] = {
            "broker_url": self.node.url(USER),
            "media_root": str(self.media_root),
            "exports_root": str(self.exports_root),
            "health_port": health_port,
            "prefetch": 2,
            "worker_name": name,
            "probe_seconds": "0.2",
            "patience_seconds": 2,
        }
        environment = _without_settings() | {
            f"EXPORT_{key.upper()}": str(value) for key, value in (ours | settings).items()
        }
        worker = Worker(name, environment, self.logs / f"{name}.stderr", health_port)
        self.started.append(worker)
        return worker

    def start_gateway(self, port: int | None = None, **settings: str | int) -> Gateway:
        """A new replica, that lets everybody do everything; on a free port, unless it succeeds another one."""
        name = f"g{len(self.started) + 1}"
        port = port or free_ports(1)[0]
        ours: dict[str, str | int] = {
            "broker_url": self.node.url(GATEWAY_USER),
            "media_root": str(self.media_root),
            "exports_root": str(self.exports_root),
            "gateway_port": port,
            "gateway_auth": "none",
            "gateway_drain_seconds": 1,
            "silent_seconds": 1,
        }
        environment = _without_settings() | {
            f"EXPORT_{key.upper()}": str(value) for key, value in (ours | settings).items()
        }
        gateway = Gateway(name, environment, self.logs / f"{name}.stderr", port)
        self.started.append(gateway)
        return gateway

    async def ready(self, count: int = 1, **settings: str | int) -> list[Worker]:
        """So many new workers, all of them taking messages."""
        fresh = [self.start(**settings) for _ in range(count)]
        await asyncio.gather(*(worker.ready() for worker in fresh))
        return fresh

    def end_all(self) -> None:
        for worker in self.started:
            worker.kill()

    def report(self) -> Iterator[tuple[str, str]]:
        """For whoever reads a failed test."""
        for worker in self.started:
            yield f"standard error of worker {worker.name} (exit code {worker.exit_code})", worker.tail()


def _without_settings() -> dict[str, str]:
    return {key: value for key, value in os.environ.items() if not key.startswith("EXPORT_")}
