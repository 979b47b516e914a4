"""What the layout of an archive costs."""

import subprocess
import sys

import pytest

HUNDRED_THOUSAND = """
import resource
from datetime import UTC, datetime
from service.segments import Extent, Version
from service.streaming_zip import Entry, plan_zip

def entry(number):
    name = f"export_x/videos/{number:06}_a_section_of_some_length_video.mp4"
    return Entry(name, Extent("exports", name, 0, 5_000_000, Version(5_000_000, number, number)), number)

entries = list(map(entry, range(100_000)))
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
plan_zip(entries, datetime(2026, 3, 4, tzinfo=UTC))
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


@pytest.mark.slow
def test_a_hundred_thousand_files_are_laid_out_in_150_mb() -> None:
    grown = subprocess.run([sys.executable, "-c", HUNDRED_THOUSAND], capture_output=True, text=True, check=True)
    assert int(grown.stdout) * 1024 <= 150_000_000
