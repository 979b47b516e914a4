"""Ways in which a file may become another one under an archive that was laid out over it."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

Change = Callable[[Path], None]


def _content(path: Path) -> None:
    with path.open("r+b") as file:
        file.write(b"other")


def _larger(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"more")


def _shorter(path: Path) -> None:
    os.truncate(path, 100)


def _mtime(path: Path) -> None:
    path.touch()


def _twin(path: Path) -> None:
    """The same bytes and the same time, in another file."""
    shutil.copy2(path, path.with_name("twin"))
    path.with_name("twin").replace(path)


def _impostor(path: Path) -> None:
    """Other bytes, but as many, and with the same time."""
    status = path.stat()
    path.with_name("impostor").write_bytes(b"x" * status.st_size)
    os.utime(path.with_name("impostor"), ns=(status.st_mtime_ns, status.st_mtime_ns))
    path.with_name("impostor").replace(path)


def _link(path: Path) -> None:
    """To a file within the root that looks the same."""
    shutil.copy2(path, path.with_name("elsewhere"))
    path.unlink()
    path.symlink_to("elsewhere")


def _directory(path: Path) -> None:
    path.unlink()
    path.mkdir()


# Who reads the file at that moment reads what was changed.
IN_PLACE: dict[str, Change] = {"content": _content, "larger": _larger, "shorter": _shorter, "mtime": _mtime}
# Who reads the file at that moment goes on in the one that was there.
REPLACED: dict[str, Change] = {
    "twin": _twin,
    "impostor": _impostor,
    "link": _link,
    "gone": Path.unlink,
    "directory": _directory,
}
CHANGES = IN_PLACE | REPLACED
