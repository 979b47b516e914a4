"""Gives the answer to whoever reads standard output, and says so where nobody can."""

import os
import sys
from collections.abc import Callable

from cli import exits


def answered(code: int, show: Callable[[], None]) -> int:
    """The exit code once `show` has printed: `code`, also for a reader who has seen enough; 1 for a full device."""
    try:
        show()
        sys.stdout.flush()
    except BrokenPipeError:
        _drop_the_rest()
    except OSError as fault:
        _drop_the_rest()
        complain(f"the answer cannot be printed: {(fault.strerror or 'standard output fails').lower()}")
        return exits.FAILED
    return code


def complain(sentence: str) -> None:
    """Says what is wrong, on standard error."""
    print(f"export-service: {sentence}", file=sys.stderr)  # noqa: T201 - told to a person


def _drop_the_rest() -> None:
    # What is still buffered would fail once more when Python ends: docs.python.org/3/library/signal.html, on SIGPIPE.
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
