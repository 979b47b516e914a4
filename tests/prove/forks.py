"""Workers that are there within milliseconds: real ones, forked by a process that imported everything before."""

import asyncio
import json
import os
import signal
import sys
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.house.repository import ROOT

MODULE = "tests.prove.forking"
STARTED_SECONDS = 60.0
ENDED_SECONDS = 15.0
"""For a worker that was told to stop, on a machine with much else to do."""


@dataclass
class Fork:
    """One worker."""

    name: str
    pid: int
    busy: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when it has begun an attempt, or can no more."""
    over: asyncio.Event = field(default_factory=asyncio.Event)
    status: int | None = None
    """Its exit code, or minus the signal that ended it; None while it lives."""

    async def ends_within(self, seconds: float) -> bool:
        return await _is_set_within(self.over, seconds)

    async def is_busy_within(self, seconds: float) -> bool:
        return await _is_set_within(self.busy, seconds)


async def _is_set_within(event: asyncio.Event, seconds: float) -> bool:
    try:
        await asyncio.wait_for(event.wait(), seconds)
    except TimeoutError:
        return False
    return True


class Forks:
    """Starts workers and sends them signals; counts what truly reached one that lived."""

    def __init__(self) -> None:
        self._process: asyncio.subprocess.Process | None = None
        self._reading: asyncio.Task[None] | None = None
        self._births: dict[str, asyncio.Future[Fork]] = {}
        self.living: dict[int, Fork] = {}
        self.counted: Counter[str] = Counter()
        """`SIGKILL`: died of it, whoever sent it; other signals: sent to a living one; `busy`: began an attempt."""
        self.strange: list[str] = []
        """Ends that nobody asked for."""

    async def __aenter__(self) -> Self:
        environment = {key: value for key, value in os.environ.items() if not key.startswith("EXPORT_")}
        self._process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", MODULE, cwd=ROOT, env=environment, stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE, process_group=0,
        )  # fmt: skip
        assert self._process.stdout is not None
        async with asyncio.timeout(STARTED_SECONDS):
            assert json.loads(await self._process.stdout.readline()) == {"ready": self._process.pid}
        self._reading = asyncio.create_task(self._read(self._process.stdout))
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None,
                        trace: TracebackType | None) -> None:  # fmt: skip
        assert self._process is not None
        assert self._process.stdin is not None
        assert self._reading is not None
        self._process.stdin.close()  # it kills what still lives, and ends
        await self._process.wait()
        await self._reading

    async def fork(
        self,
        name: str,
        environment: Mapping[str, str],
        log: Path,
        aim: str | None = None,
        frozen_after_seconds: float = 60.0,
    ) -> Fork:
        """Returns when it is born, not when it takes messages."""
        self._births[name] = asyncio.get_running_loop().create_future()
        order = {"fork": name, "environment": dict(environment), "log": str(log), "aim": aim}
        self._order({**order, "frozen_after_seconds": frozen_after_seconds})
        return await self._births[name]

    def send(self, number: signal.Signals, fork: Fork) -> None:
        self._order({"signal": number, "pid": fork.pid})

    async def kill(self, fork: Fork) -> None:
        """kill -9; returns when it is over."""
        self.send(signal.SIGKILL, fork)
        await fork.over.wait()

    async def stop(self, fork: Fork) -> None:
        """SIGTERM, as an orchestrator does it: who does not end in time is killed, which is strange."""
        self.send(signal.SIGTERM, fork)
        if not await fork.ends_within(ENDED_SECONDS):
            self.strange.append(f"{fork.name} did not end within {ENDED_SECONDS:.0f} s of a SIGTERM")
            await self.kill(fork)
        elif fork.status not in {0, -signal.SIGKILL, -signal.SIGTERM}:
            self.strange.append(f"{fork.name} ended with {fork.status} after a SIGTERM")

    async def stop_all(self) -> None:
        await asyncio.gather(*map(self.stop, list(self.living.values())))

    def _order(self, order: dict[str, Any]) -> None:
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(order).encode() + b"\n")

    async def _read(self, told: asyncio.StreamReader) -> None:
        while line := await told.readline():
            self._hear(json.loads(line))

    def _hear(self, news: dict[str, Any]) -> None:
        match news:
            case {"born": name, "pid": pid}:
                self.living[pid] = Fork(name, pid)
                self._births.pop(name).set_result(self.living[pid])
            case {"sent": number} if number != signal.SIGKILL:
                self.counted[signal.Signals(number).name] += 1
            case {"busy": pid}:
                self.living[pid].busy.set()
                self.counted["busy"] += 1
            case {"ended": pid, "status": status}:
                self._bury(self.living.pop(pid), status)
            case _:
                pass

    def _bury(self, fork: Fork, status: int) -> None:
        if status == -signal.SIGKILL:
            self.counted["SIGKILL"] += 1
        elif status > 0:
            self.strange.append(f"{fork.name} ended by itself with {status}")
        fork.status = status
        fork.busy.set()
        fork.over.set()
