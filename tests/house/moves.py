"""Watches a process: which of our code touches what lies beneath a media root or an exports root.

Run as a program it watches itself while it does one of `ACTS`, and writes what it saw to a file: an audit hook cannot
be removed, so it needs a process of its own.
"""

import contextlib
import json
import os
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import anyio

from demo.broker import broker
from tests.broker.commands import make_exports_root, make_project
from tests.broker.listener import Listener
from tests.cli.command import call
from tests.gateway.replicas import asked, ended, house
from tests.gateway.test_downloads import picture
from tests.worker.stand import Rabbit, Stand, until

ROOT = Path(__file__).parents[2]
OWN = tuple(f"{ROOT / package}{os.sep}" for package in ("cli", "contracts", "demo", "gateway", "service"))
STORAGE = f"{ROOT / 'service' / 'storage'}{os.sep}"

# Audit events that name a file, by a path or by an open descriptor, and how many of their arguments do so
# (docs.python.org/3/library/audit_events.html). Who only looks (os.stat, os.access) is not heard, and moves no byte.
NAMING = {
    **dict.fromkeys(("open", "mmap.__new__", "sqlite3.connect"), 1),
    **dict.fromkeys(("fcntl.fcntl", "fcntl.flock", "fcntl.ioctl", "fcntl.lockf"), 1),
    **dict.fromkeys(("os.listdir", "os.scandir", "os.walk", "os.fwalk", "os.chdir"), 1),
    **dict.fromkeys(("os.chmod", "os.chown", "os.truncate", "os.utime"), 1),
    **dict.fromkeys(("os.getxattr", "os.listxattr", "os.removexattr", "os.setxattr"), 1),
    **dict.fromkeys(("os.mkdir", "os.remove", "os.rmdir"), 1),
    **dict.fromkeys(("os.link", "os.rename", "os.symlink"), 2),
    **dict.fromkeys(("glob.glob", "glob.glob/2", "pathlib.Path.glob", "pathlib.Path.rglob"), 1),
    **dict.fromkeys(("shutil.chown", "shutil.rmtree"), 1),
    **dict.fromkeys(("shutil.copyfile", "shutil.copymode", "shutil.copystat", "shutil.copytree", "shutil.move"), 2),
    **dict.fromkeys(("shutil.make_archive", "shutil.unpack_archive"), 3),
    **dict.fromkeys(("tempfile.mkdtemp", "tempfile.mkstemp"), 1),
    **dict.fromkeys(("os.exec", "os.posix_spawn", "os.spawn", "subprocess.Popen"), 2),
}
# Who calls C can open anything, and nothing would be heard of it.
CALLING_C = {"ctypes.dlopen", "ctypes.dlsym", "ctypes.call_function"}


NOWHERE = "amqp://127.0.0.1:1/"


class Watch:
    """An audit hook: of each touch it asks whose the innermost frame of our own code is."""

    def __init__(self, *roots: Path) -> None:
        self._roots = tuple(f"{root.resolve()}{os.sep}" for root in roots)
        self._lock = threading.Lock()
        self._is_on = False
        self.through: Counter[str] = Counter()
        """What service/storage did, by event."""
        self.past: list[str] = []
        """What anybody else did."""
        sys.addaudithook(self._heard)

    @contextlib.contextmanager
    def on(self) -> Iterator[None]:
        """In the exports root: a name beside a `dir_fd`, which is not heard, is then taken for one in there."""
        with contextlib.chdir(self._roots[-1]):
            self._is_on = True
            try:
                yield
            finally:
                self._is_on = False

    def _heard(self, event: str, arguments: tuple[Any, ...]) -> None:
        if not self._is_on:
            return
        if event in CALLING_C:
            caller = _past_ctypes(sys._getframe(1))
            if caller.startswith(OWN):  # what a library calls for its own sake is its own affair
                self._note(event, repr(arguments), caller)
        elif event in NAMING:
            touched = [path for path in _paths(arguments[: NAMING[event]]) if path.startswith(self._roots)]
            if touched:
                self._note(event, touched[0], _whose(sys._getframe(1)))

    def _note(self, event: str, what: str, who: str) -> None:
        with self._lock:
            if who.startswith(STORAGE):
                self.through[event] += 1
            else:
                self.past.append(f"{event} of {what} by {who.removeprefix(f'{ROOT}{os.sep}')}")


def _paths(arguments: tuple[object, ...]) -> Iterator[str]:
    """Each as it is written, and where it leads."""
    for argument in arguments:
        match argument:
            case list() | tuple():  # the words of a command
                yield from _paths(tuple(argument))
            case int():
                with contextlib.suppress(OSError):
                    yield os.readlink(f"/proc/self/fd/{argument}")  # noqa: PTH115 - pathlib would be heard here too
            case str() | bytes() | os.PathLike():
                yield os.path.abspath(os.fsdecode(argument))  # noqa: PTH100 - the same
                yield os.path.realpath(os.fsdecode(argument))
            case _:
                pass


def _whose(frame: FrameType | None) -> str:
    while frame and not frame.f_code.co_filename.startswith(OWN):
        frame = frame.f_back
    return frame.f_code.co_filename if frame else "nobody of ours, as in a thread that was handed the function itself"


def _past_ctypes(frame: FrameType | None) -> str:
    while frame and frame.f_code.co_filename.endswith("ctypes/__init__.py"):
        frame = frame.f_back
    return frame.f_code.co_filename if frame else ""


# ---- what is done while it is watched


def commands(watch: Watch, place: Path) -> None:
    """The life of an export without a broker."""
    media, exports, project = place / "media", make_exports_root(place / "exports"), place / "project.json"
    project.write_text(json.dumps(make_project(media, 2, big=[5_000_000])))
    with watch.on():
        said = [call("plan", project, "--media", media)]
        said += [call("run", project, "--media", media, "--to", exports, "--archive", "zip")]
    folder = min(exports.glob("export_*Z"))
    with watch.on():
        said += [call("verify", folder), call("verify", folder.with_suffix(".zip"))]
        said += [call("check", "--media", media, "--to", exports, "--broker", NOWHERE), call("sweep", "--to", exports)]
    assert [one.code for one in said] == [0, 0, 0, 0, 1, 0], said


def worker(watch: Watch, place: Path) -> None:
    """An export that a message asks for, the same once more, and its deletion."""
    anyio.run(_worker, watch, place)


async def _worker(watch: Watch, place: Path) -> None:
    (place / "media").mkdir()
    async with broker() as embedded, Listener(embedded.url) as listener:
        rabbit, exports = Rabbit(embedded.url, embedded.url, embedded), make_exports_root(place / "exports")
        stand = Stand(rabbit, listener, place / "media", exports)
        project = stand.project(2, big=1)
        with watch.on():
            async with stand.working():
                await stand.ask("e1", project, archive="zip")
                end = await stand.ended("e1")
                await stand.ask("e1", project, archive="zip")
                await stand.told("e1", 2)
                await stand.delete("e1")
                await until(lambda: not stand.folder(end).exists())


def gateway(watch: Watch, place: Path) -> None:
    """Downloads of a ZIP that was written and of one that was not, whole and in part; a small picture; a deletion."""
    anyio.run(_gateway, watch, place)


async def _gateway(watch: Watch, place: Path) -> None:
    async with house(place) as home:
        project = home.project(2, big=[5_000_000])
        (home.media / "story" / "1.png").write_bytes(picture(800, 400))
        with watch.on():
            await home.worker()
            replica = await home.replica()
            for archive in ("zip", "none"):
                export = f"/api/v1/exports/{await asked(replica, project, archive=archive)}"
                await ended(replica, export.rpartition("/")[2])
                whole = await replica.http.get(f"{export}/download")
                part = await replica.http.get(f"{export}/download", headers={"range": "bytes=100000-2999999"})
                small = await replica.http.get(f"{export}/thumbnails/1")
                assert (whole.status_code, part.status_code, small.status_code) == (200, 206, 200)
                assert whole.content[100_000:3_000_000] == part.content
                assert (await replica.http.delete(export)).status_code == 204


# ---- ways past the port, to see that each is found


PAST = {
    "open": "open(file).close()",
    "open for writing": "open(file, 'r+b').close()",
    "open by bytes": "open(os.fsencode(file)).close()",
    "open by a Path": "from pathlib import Path; Path(file).read_bytes()",
    "open by a link from elsewhere": "open(link).close()",
    "open beside a directory": "os.close(os.open('file', os.O_RDONLY, dir_fd=directory))",
    "open by a library": "import zipfile; zipfile.is_zipfile(file)",
    "open in a thread that is handed the function": "anyio.run(anyio.to_thread.run_sync, open, file, 'rb', 0)",
    "a map": "import mmap; mmap.mmap(opened, 0).close()",
    "a lock": "import fcntl; fcntl.flock(opened, fcntl.LOCK_SH)",
    "a clone": "import contextlib, fcntl\nwith contextlib.suppress(OSError): fcntl.ioctl(opened, 0x40049409, opened)",
    "a copy": "import shutil; shutil.copyfile(file, os.devnull)",
    "a copy by another program": "import subprocess; subprocess.run(['cat', file], capture_output=True)",
    "a cut": "os.truncate(file, 1)",
    "a cut of what is open": "os.truncate(opened, 1)",
    "a time": "os.utime(file)",
    "a second name": "os.link(file, file + '2')",
    "another name": "os.replace(file + '2', file + '3')",
    "another name by a Path": "from pathlib import Path; Path(file + '3').rename(file + '4')",
    "a name less": "os.unlink(file + '4')",
    "a directory": "os.mkdir(file + '.d')",
    "a directory less": "os.rmdir(file + '.d')",
    "a link": "os.symlink('file', file + '.link')",
    "a tree less": "import shutil; shutil.rmtree(file + '.tree', ignore_errors=True)",
    "a list": "os.listdir(os.path.dirname(file))",
    "a list by a pattern": "import glob; glob.glob(file + '*')",
    "a call of C": "import ctypes; ctypes.CDLL(None).access(file.encode(), 0)",
}


def planted(watch: Watch, place: Path) -> dict[str, list[str]]:
    """What is heard of each way, were it gone in the gateway."""
    file, link = make_exports_root(place / "exports") / "export_x" / "file", place / "link"
    file.parent.mkdir()
    link.symlink_to(file)
    file.write_bytes(b"content")
    heard = {}
    with file.open("r+b") as opened, opened_directory(file.parent) as directory:
        given = {"file": str(file), "link": str(link), "opened": opened.fileno(), "directory": directory}
        for way, code in PAST.items():
            with watch.on():
                gone_by("gateway/planted.py", code, **given)
            heard[way], watch.past[:] = list(watch.past), []
            file.write_bytes(b"content")
    return heard


def allowed(watch: Watch, place: Path) -> None:
    """The same by the storage itself; and by the gateway, what is no business of the port."""
    root = make_exports_root(place / "exports")
    with watch.on():
        gone_by("service/storage/planted.py", "open(file, 'w').close()", file=str(root / "file"))
        gone_by("gateway/planted.py", "open(file, 'w').close()", file=str(place / "exports.txt"))


def gone_by(module: str, code: str, **given: object) -> None:
    """As if it stood there."""
    exec(compile(code, str(ROOT / module), "exec"), {"os": os, "anyio": anyio, **given})  # noqa: S102 - a line above


@contextlib.contextmanager
def opened_directory(path: Path) -> Iterator[int]:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


ACTS: dict[str, Callable[[Watch, Path], dict[str, list[str]] | None]] = {
    act.__name__: act for act in (commands, worker, gateway, planted, allowed)
}


def main(act: str, place: Path) -> None:
    watch = Watch(place / "media", place / "exports")
    heard = ACTS[act](watch, place)
    report = {"through": watch.through, "past": watch.past, "heard": heard}
    (place / "report.json").write_text(json.dumps(report))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
