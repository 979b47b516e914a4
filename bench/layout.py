"""Lays out a ZIP of so many files that are nowhere: `python -m bench.layout FILES` tells the seconds, in JSON."""

import json
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from time import monotonic

from service.references import EXPORTS
from service.segments import Extent, Version
from service.streaming_zip import Entry, plan_zip

# One half starts on a block each, as the service has it for files of 64 KiB and more; the other is too small for that.
_SIZES_BYTES = (5_000_000, 20_000)
_FOLDER = "export_project_20260101T000000Z"


def main(files: int) -> None:
    began = monotonic()
    planned = plan_zip(_entries(files), datetime(2026, 1, 1, tzinfo=UTC))
    seconds = monotonic() - began
    if planned.entries != files or planned.size_bytes <= sum(_SIZES_BYTES) * (files // 2):
        raise SystemExit(f"{files} files became {planned.entries} entries and {planned.size_bytes} bytes")
    print(json.dumps({"timings_seconds": {"layout": seconds}}))


def _entries(files: int) -> Iterator[Entry]:
    for number in range(files):
        name, size_bytes = f"videos/{number:06d}_a-sentence_video.mp4", _SIZES_BYTES[number % 2]
        extent = Extent(EXPORTS, f"{_FOLDER}/{name}", 0, size_bytes, Version(size_bytes, 0, number))
        yield Entry(f"{_FOLDER}/{name}", extent, number)


if __name__ == "__main__":
    main(int(sys.argv[1]))
