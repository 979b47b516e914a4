"""Small file systems in memory, for whoever may mount: full ones, and ones that cannot be written to."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.storage.file_systems import lacks_mounts_of_its_own


class Mounts:
    """Made in a test, and gone with it."""

    def __init__(self, mounted: ExitStack) -> None:
        self._mounted = mounted

    def tmpfs(self, place: Path, options: str) -> None:
        place.mkdir()
        _run("mount", "-t", "tmpfs", "-o", options, "tmpfs", str(place))
        self._mounted.callback(_run, "umount", "--lazy", str(place))

    def remount(self, place: Path, option: str) -> None:
        _run("mount", "-o", f"remount,{option}", str(place))


@contextmanager
def mounts_of_one_test() -> Iterator[Mounts]:
    """Skips the test where nobody may mount."""
    if obstacle := "only root may mount" if os.geteuid() else lacks_mounts_of_its_own():
        pytest.skip(obstacle)
    with ExitStack() as mounted:
        yield Mounts(mounted)


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True)
