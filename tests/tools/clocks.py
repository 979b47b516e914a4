"""Processes whose wall clock jumps, by libfaketime. Their monotonic clock does not, nor do dates of what they write.

A touch brings the time of the process, as it does on a disk of its own; other dates are the kernel's, or as told. So
to such a process its storage's clock is partly the one that jumped: no file system is as bad.
"""

import os
from pathlib import Path

import pytest

_LIBRARY = "usr/lib/*/faketime/libfaketime.so.1"


def clock_of_its_own(file: Path) -> dict[str, str]:
    """Of the environment of a process whose clock is off by what is written in `file` at the moment, such as `+1d`.

    Skips the test where libfaketime is absent, and fails it in CI.
    """
    found = sorted(Path("/").glob(_LIBRARY))
    if not found:
        if os.environ.get("CI") == "true":
            pytest.fail("there is no libfaketime, and CI looks at clocks that jump: run tests/tools/install")
        pytest.skip("there is no libfaketime: run tests/tools/install")
    return {
        "FAKETIME_TIMESTAMP_FILE": str(file),
        "FAKETIME_NO_CACHE": "1",
        "LD_PRELOAD": str(found[-1]),
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        "NO_FAKE_STAT": "1",
        "FAKE_UTIME": "0",
    }
