"""Tries on the real mount what exports rely on: each in earnest, in a place of its own that is removed again."""

import errno
import secrets
import time
from collections.abc import Callable, Iterator
from typing import NamedTuple

from rich.filesize import decimal

from cli.findings import Finding, State, note, ok, problem
from service.errors import Trouble
from service.ledger import RECORDS
from service.references import EXPORTS
from service.segments import Extent
from service.storage.local import LocalStorage

LITTLE_SPACE_BYTES = 1024**3
FEW_FILES = 10_000
CLOCKS_APART_SECONDS = 2.0
"""What passes for one clock; the kernel's own, by which it dates files, may be a tick behind."""

_FILE_SYSTEM = "put the exports root on a local file system, or on a network one with hard links and locks (NFS 4)"
_ONE_CLOCK = "let all machines, the file server too, follow one time server"
_MOMENT_NS = 1_700_000_001_123_456_789
_UNITS_NS = {1: "nanosecond", 100: "100 nanoseconds", 1000: "microsecond", 10**6: "millisecond", 10**9: "second",
             2 * 10**9: "2 seconds"}  # fmt: skip
# Whatever was tried: what these say is wrong is mended in one way.
_MENDS = {
    errno.EROFS: "it is mounted read-only: mount it so that it can be written to",
    errno.ENOSPC: "make room: df shows the bytes, df -i the files that it can have",
    errno.EDQUOT: "raise the quota of this user, or make room",
}


class _Probe(NamedTuple):
    name: str
    act: Callable[[], bool | Finding]
    mend: str
    """What to do when it says no."""


def probed(storage: LocalStorage, subject: str, may_write: str) -> Iterator[Finding]:
    """The first that fails is the last: the others rest on it."""
    place = f"{RECORDS}/_probe-{secrets.token_hex(8)}"
    probes = (
        _Probe("room", lambda: _room(storage), "make room"),
        _Probe("files", lambda: _files(storage), "make room"),
        _Probe("writes durably", lambda: _writes(storage, place), may_write),
        _Probe("first name wins", lambda: _names_once(storage, place), _FILE_SYSTEM),
        _Probe("moves folders", lambda: _moves(storage, place), _FILE_SYSTEM),
        _Probe("locks", lambda: _locks(storage, place), _FILE_SYSTEM),
        _Probe("times", lambda: _times(storage, place), _FILE_SYSTEM),
        _Probe("clock", lambda: _clock(storage, place), _ONE_CLOCK),
        _Probe("shares blocks", lambda: _shares(storage, place), ""),
    )
    try:
        for probe in probes:
            finding = _tried(f"{subject}: {probe.name}", probe)
            yield finding
            if finding.state is State.PROBLEM:
                return
    finally:
        _remove(storage, place)


def _tried(subject: str, probe: _Probe) -> Finding:
    try:
        result = probe.act()
    except Trouble as trouble:
        cause = trouble.__cause__
        mend = _MENDS.get(cause.errno or 0, probe.mend) if isinstance(cause, OSError) else probe.mend
        return problem(subject, trouble.detail, mend)
    if isinstance(result, Finding):
        return result._replace(subject=subject)
    return ok(subject, "yes") if result else problem(subject, "no", probe.mend)


def _remove(storage: LocalStorage, place: str) -> None:
    try:
        storage.remove(place)
    except Trouble:
        return  # what kept the probe from working keeps it from being removed


# ---- one by one


def _room(storage: LocalStorage) -> Finding:
    free = storage.free_bytes()
    detail = f"{decimal(free)} free"
    if free == 0:
        return problem("", detail, "make room")
    return note("", detail, "make room soon") if free < LITTLE_SPACE_BYTES else ok("", detail)


def _files(storage: LocalStorage) -> Finding:
    """A file system may be full of files long before it is full of bytes."""
    free = storage.free_files()
    if free is None:
        return ok("", "as many as there is room for")
    detail = f"{free:,} more files (inodes)"
    if free == 0:
        return problem("", detail, "remove files, or make the file system with more inodes (df -i)")
    return note("", detail, "an export has a file for each asset") if free < FEW_FILES else ok("", detail)


def _writes(storage: LocalStorage, place: str) -> bool:
    """A file, a line at its end, and the directory that it is in: each with its fsync."""
    storage.make_directories(place)
    storage.append(f"{place}/one", b"first")
    storage.append(f"{place}/one", b", second")
    storage.make_durable(f"{place}/one")
    storage.make_durable(place)
    return storage.get(f"{place}/one") == b"first, second"


def _names_once(storage: LocalStorage, place: str) -> bool:
    """A hard link to a name that is taken fails: so of two writers one decides. Adopting files takes links, too."""
    first = storage.create(f"{place}/decision", b"first")
    second = storage.create(f"{place}/decision", b"second")
    adopted = storage.link(f"{place}/one", f"{place}/adopted")
    return first and not second and adopted and storage.get(f"{place}/decision") == b"first"


def _moves(storage: LocalStorage, place: str) -> bool:
    """A whole folder by one rename, and never over one that is there."""
    for name in ("folder", "rival"):
        storage.make_directories(f"{place}/{name}")
        storage.create(f"{place}/{name}/file", name.encode())
    moved = storage.rename(f"{place}/folder", f"{place}/final")
    replaced = storage.rename(f"{place}/rival", f"{place}/final")
    return moved and not replaced and storage.get(f"{place}/final/file") == b"folder"


def _locks(storage: LocalStorage, place: str) -> bool | Finding:
    first = storage.hold(f"{place}/lock")
    second = storage.hold(f"{place}/lock")
    has_locks = storage.names(place).count("lock.held") == 0
    for hold in (first, second):
        if hold is not None:
            hold.release()
    if first is not None and second is None and not has_locks:
        return note("", "the file system has none: after a worker is killed, its export waits a minute", _FILE_SYSTEM)
    return first is not None and second is None


def _times(storage: LocalStorage, place: str) -> Finding:
    """A version of a file is known by size, time and inode: a coarse time makes two versions look like one."""
    storage.set_moment(f"{place}/one", _MOMENT_NS)
    kept = storage.version(f"{place}/one")
    for unit, name in _UNITS_NS.items():
        if kept is not None and kept.mtime_ns == _MOMENT_NS // unit * unit:
            if unit < 10**9:
                return ok("", f"kept to the {name}")
            detail = f"kept to the {name}: a file that changes twice in that time may look unchanged"
            return note("", detail, _FILE_SYSTEM)
    return problem("", "a file is dated otherwise than it was told", _FILE_SYSTEM)


def _clock(storage: LocalStorage, place: str) -> Finding:
    """The storage dates what is written: deadlines go by that, and only what is told goes by this machine's clock."""
    before = time.time_ns()
    storage.beat(f"{place}/one")
    after = time.time_ns()
    seen = storage.version(f"{place}/one")
    if seen is None:
        return note("", "not looked at: the file was gone")
    apart = (max(seen.mtime_ns - after, 0) - max(before - seen.mtime_ns, 0)) / 1e9
    if abs(apart) <= CLOCKS_APART_SECONDS:
        return ok("", f"the same as this machine's, to within {CLOCKS_APART_SECONDS:.0f} seconds")
    side = "ahead of" if apart > 0 else "behind"
    return note("", f"the storage's is {abs(apart):,.0f} seconds {side} this machine's", _ONE_CLOCK)


def _shares(storage: LocalStorage, place: str) -> Finding:
    """No problem either way: it tells what an export will cost."""
    version = storage.version(f"{place}/one")
    if version is None:
        return note("", "not tried: the file was gone")
    one = Extent(EXPORTS, f"{place}/one", 0, version.size_bytes, version)
    if storage.shares_blocks_with(one, f"{place}/trial"):
        return ok("", "yes: a ZIP takes next to no room")
    return ok("", "no: a ZIP that is written takes the room of the folder again")
