"""The demo's directory: for one demo at a time, and nothing that is in it is ever taken away."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cli.errors import UsageError
from demo.sample import complete_sample
from service.ledger import Ledger
from service.storage.local import LocalStorage

_MARK = ".made-by-export-service-demo"


@contextmanager
def demo_directory(directory: Path) -> Iterator[None]:
    """Makes it where there is none, and keeps other demos out of it, even when this one is killed."""
    mark = directory / _MARK
    if not mark.exists() and directory.exists() and any(directory.iterdir()):
        raise UsageError(f"--to {directory}: is not empty, and was not made by the demo")
    directory.mkdir(parents=True, exist_ok=True)
    with mark.open("ab") as held:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UsageError(
                f"--to {directory}: another demo is running there; --to DIR takes another directory"
            ) from None
        yield


def fill(sample: Path, exports: Path) -> list[str]:
    """Makes what is missing, and names the files of the sample that a person has changed: they stay as they are."""
    changed = complete_sample(sample)
    exports.mkdir(exist_ok=True)
    storage = LocalStorage({}, exports)
    try:
        Ledger(storage).open_or_make()
    finally:
        storage.close()
    return changed
