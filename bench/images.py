"""File systems in files: made, mounted, and gone at the end. Needs root, and a kernel that knows them."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path


class NotMounted(Exception):
    """This machine cannot; says why."""


@dataclass(frozen=True, slots=True)
class FileSystem:
    """A kind that shares blocks between files."""

    name: str
    make: tuple[str, ...]
    """The command that makes one, without its place."""


XFS = FileSystem("XFS", ("mkfs.xfs", "-q", "-m", "reflink=1"))
BTRFS = FileSystem("btrfs", ("mkfs.btrfs", "-q"))


@contextmanager
def mounted(system: FileSystem, place: Path, size_bytes: int) -> Iterator[Path]:
    """A new one of this size beneath `place`, which takes what is written to it. Raises NotMounted."""
    if os.geteuid() != 0:
        raise NotMounted("only root may mount")
    if shutil.which(system.make[0]) is None:
        raise NotMounted(f"there is no {system.make[0]}")
    image, point = place / f"{system.name}.img", place / system.name
    point.mkdir()
    try:
        with image.open("wb") as file:
            file.truncate(size_bytes)
        _carry_out(*system.make, image)
        _carry_out("mount", "-o", "loop", image, point)
        try:
            yield point
        finally:
            # Lazily: after Ctrl-C somebody may still be at work there for a moment.
            _carry_out("umount", "--lazy", point)
    finally:
        image.unlink(missing_ok=True)
        point.rmdir()


def _carry_out(*words: str | Path) -> None:
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode:
        said = (done.stderr or done.stdout).strip().splitlines()
        raise NotMounted(f"{words[0]} ended with {done.returncode}{f': {said[-1]}' if said else ''}")
