"""Where the time of a worker goes: `python -m bench.profiling worker` is `export-service worker` under cProfile.

One profile a thread, by the thread's own CPU clock; beside it the seconds that its threads spent in calls of the disk.
At the end the sums since BEGIN are written to the file that BENCH_PROFILE names.
"""

import cProfile
import json
import os
import signal
import sys
import threading
import time
from collections import defaultdict
from pathlib import Path
from types import CodeType

from cli.main import main
from service.storage.disk import Disk

OUT = "BENCH_PROFILE"
BEGIN = signal.SIGUSR1
"""Sent when the worker is ready: what was before, the start of Python for one, does not count."""

FSYNC, NAMES, BYTES = "fsync", "files: make, open, name, look, remove", "bytes: read, CRC-32, write"
JSON, AMQP, HOPS = "JSON and pydantic", "AMQP: FastStream, aio-pika", "thread hops: anyio, queues, locks"
LOOP, OWN = "event loop: asyncio", "the service's own Python, and the rest"
PLACES = (FSYNC, NAMES, BYTES, JSON, AMQP, HOPS, LOOP, OWN)

_BY_PACKAGE = {
    "pydantic": JSON, "pydantic_core": JSON, "json": JSON, "contracts": JSON,
    "aiormq": AMQP, "aio_pika": AMQP, "pamqp": AMQP, "faststream": AMQP, "fast_depends": AMQP, "yarl": AMQP,
    "anyio": HOPS, "queue": HOPS, "threading": HOPS, "concurrent": HOPS,
    "asyncio": LOOP, "selectors": LOOP,
}  # fmt: skip
_BY_BUILT_IN = {"posix.fsync": FSYNC, "posix.preadv": BYTES, "posix.write": BYTES, "crc32": BYTES, "posix.": NAMES,
                "fcntl.": NAMES, "pydantic_core": JSON, "_json": JSON, "_thread.": HOPS}  # fmt: skip
_BY_DISK = {"fsync": FSYNC, "read_into": BYTES, "write": BYTES}

Sums = dict[str, dict[str, float]]


class Profiles:
    """Of all threads, and of the disk's calls."""

    def __init__(self) -> None:
        self._of_threads: list[cProfile.Profile] = []
        self._disk: Sums = {"calls": defaultdict(float), "disk_seconds": defaultdict(float)}
        self._before: Sums = {}

    def begin(self) -> None:
        for name in [name for name in vars(Disk) if not name.startswith("_")]:
            self._watch(name)
        threading.setprofile(lambda *_: self._join())
        signal.signal(BEGIN, lambda *_: self._set_before())
        self._join()

    def _join(self) -> None:
        """From now on with the thread that calls this."""
        profile = cProfile.Profile(time.thread_time)
        self._of_threads.append(profile)
        profile.enable()

    def _watch(self, name: str) -> None:
        original = getattr(Disk, name)

        def call(*arguments: object) -> object:
            began = time.monotonic()
            try:
                return original(*arguments)
            finally:
                self._disk["calls"][name] += 1
                self._disk["disk_seconds"][_BY_DISK.get(name, NAMES)] += time.monotonic() - began

        setattr(Disk, name, call)

    def _set_before(self) -> None:
        self._before = self._sums()

    def since(self) -> Sums:
        before = self._before or {what: {} for what in self._sums()}
        return {
            what: {name: value - before[what].get(name, 0) for name, value in sums.items()}
            for what, sums in self._sums().items()
        }

    def _sums(self) -> Sums:
        cpu: dict[str, float] = defaultdict(float)
        for profile in list(self._of_threads):
            for entry in profile.getstats():
                if isinstance(entry.code, CodeType):
                    place = _place(entry.code)
                    cpu[place] += entry.inlinetime
                    for inner in entry.calls or ():
                        if isinstance(inner.code, str):
                            cpu[_place_of_built_in(inner.code, place)] += inner.inlinetime
        return {"cpu_seconds": cpu, **{what: dict(sums) for what, sums in self._disk.items()}}


def _place(code: CodeType) -> str:
    parts = Path(code.co_filename).with_suffix("").parts
    if parts[-3:] == ("service", "storage", "disk"):
        return _BY_DISK.get(code.co_name, NAMES)
    return next((_BY_PACKAGE[part] for part in reversed(parts) if part in _BY_PACKAGE), OWN)


def _place_of_built_in(name: str, callers: str) -> str:
    """A function in C; where it says nothing itself it is its caller's."""
    return next((place for part, place in _BY_BUILT_IN.items() if part in name), callers)


if __name__ == "__main__":
    profiles = Profiles()
    profiles.begin()
    try:
        sys.exit(main(sys.argv[1:]))
    finally:
        sys.setprofile(None)
        Path(f"{os.environ[OUT]}.{os.getpid()}").write_text(json.dumps(profiles.since()))
