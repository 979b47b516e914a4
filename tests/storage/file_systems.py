"""ext4, XFS and btrfs for the tests, each in a sparse file behind a loop device, mounted once and by root only."""

import ctypes
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import cache
from pathlib import Path
from tempfile import NamedTemporaryFile

import pytest

KINDS = {
    "ext4": ("mkfs.ext4", "-q"),
    "xfs": ("mkfs.xfs", "-q", "-m", "reflink=1"),
    "btrfs": ("mkfs.btrfs", "-q"),
}
SHARE_BLOCKS = ("xfs", "btrfs")

_SIZE_BYTES = 1024**3
_CLONE_NEWNS = 0x0002_0000  # unshare(2); os.unshare is Python 3.12's
# Not everybody's PATH has the directories of root's own programs.
_PATH = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"


class FileSystems:
    """Makes and mounts each of them when it is first asked for."""

    def __init__(self, home: Path, mounted: ExitStack) -> None:
        self._home = home
        self._mounted = mounted
        self._obstacles: dict[str, str | None] = {}

    def at(self, kind: str) -> Path:
        """Where it is mounted. Skips the test where that cannot be, and fails it where it should."""
        if kind not in self._obstacles:
            self._obstacles[kind] = _obstacle(kind) or self._mount(kind)
        if obstacle := self._obstacles[kind]:
            pytest.skip(f"no {kind} here: {obstacle}")
        return self._home / kind

    def _mount(self, kind: str) -> str | None:
        mount = str(self._home / kind)
        Path(mount).mkdir()
        with NamedTemporaryFile(dir=_fast_disk()) as image:  # what is mounted lives on without a name
            image.truncate(_SIZE_BYTES)
            refusal = _complaint(*KINDS[kind], image.name) or _complaint("mount", "-o", "loop", image.name, mount)
        if refusal is None:
            self._mounted.callback(_complaint, "umount", "--lazy", mount)
        return refusal


@contextmanager
def mounts(home: Path) -> Iterator[FileSystems]:
    """Mounts in `home`, an empty directory. Nothing is left of them at the end, however it comes."""
    with ExitStack() as mounted:
        mounted.callback(shutil.rmtree, home)
        yield FileSystems(home, mounted)


def _obstacle(kind: str) -> str | None:
    if os.geteuid() != 0:
        return "only root may mount"
    program = KINDS[kind][0]
    if shutil.which(program, path=_PATH) is None:
        if os.environ.get("CI") == "true":
            pytest.fail(f"there is no {program}, and CI looks at every file system: run tests/tools/install")
        return f"there is no {program}: run tests/tools/install"
    return lacks_mounts_of_its_own()


@cache
def lacks_mounts_of_its_own() -> str | None:
    """Gives this process mounts that nobody else sees, and that not even a kill leaves behind. Why not, if not."""
    if ctypes.CDLL(None, use_errno=True).unshare(_CLONE_NEWNS):
        return f"this process may not mount: {os.strerror(ctypes.get_errno())}"
    return _complaint("mount", "--make-rprivate", "/")


def _fast_disk() -> Path | None:
    """On tmpfs thousands of fsyncs cost nothing; a container's is often too small, though."""
    disk = Path("/dev/shm")  # noqa: S108 - what is made there is private
    is_large = disk.is_dir() and shutil.disk_usage(disk).free > _SIZE_BYTES * len(KINDS)
    return disk if is_large else None


def _complaint(*command: str) -> str | None:
    """What a command said, if it failed."""
    environment = {**os.environ, "PATH": _PATH}
    ran = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    return (ran.stderr.strip() or f"{command[0]} failed") if ran.returncode else None
