"""Group: parts of a ZIP that was never written, beside the same parts of the one that was."""

import os
import statistics
from collections.abc import Iterator, Sequence
from random import Random
from time import monotonic
from typing import NamedTuple

from bench.measuring import Wrong, percentile
from bench.plant import Plant
from bench.report import Goal, Group, Sheet
from bench.samples import KB, MB
from bench.virtual import laid_out, part
from service.storage.local import LocalStorage
from service.streaming_zip import ZipPlan

_RANGES = 1000
_LONGEST_BYTES = 8 * MB
_SMALL_BYTES = 64 * KB


class Answer(NamedTuple):
    """A range that was asked for."""

    size_bytes: int
    seconds: float
    is_equal: bool


def ranges(plant: Plant) -> Group:
    """As a gateway answers them that has laid the ZIP out, without HTTP."""
    finished = plant.finished
    storage = LocalStorage({}, finished.root)
    written = os.open(finished.zip, os.O_RDONLY)
    try:
        began = monotonic()
        planned = laid_out(storage, finished.event)
        layout_seconds = monotonic() - began
        if planned.size_bytes != os.fstat(written).st_size:
            raise Wrong(f"the ZIP was laid out with {planned.size_bytes} bytes, and not written so")
        answers = list(_answers(storage, planned, written))
    finally:
        os.close(written)
        storage.close()
    title = f"{len(answers):,} random ranges of a ZIP that was never written: {plant.film.described}"
    wrong = sum(not answer.is_equal for answer in answers)
    goal = Goal(f"{len(answers):,} ranges equal those of the written ZIP", f"{wrong} differ", wrong == 0)
    note = f"The ZIP was laid out in {layout_seconds * 1000:.0f} ms, once for all of them."
    return Group([Sheet(title, list(_rows(answers)))], [note], [goal])


def _answers(storage: LocalStorage, planned: ZipPlan, written: int) -> Iterator[Answer]:
    for start, stop in _places(planned.size_bytes):
        began = monotonic()
        ours = part(storage, planned, start, stop)
        seconds = monotonic() - began
        yield Answer(stop - start, seconds, ours == os.pread(written, stop - start, start))


def _places(size_bytes: int) -> Iterator[tuple[int, int]]:
    """Of all lengths alike: as many between 1 and 2 bytes as between 4 and 8 MB."""
    chance = Random(0)
    for _ in range(_RANGES):
        start = chance.randrange(size_bytes)
        yield start, min(start + round(_LONGEST_BYTES ** chance.random()), size_bytes)


def _rows(answers: Sequence[Answer]) -> Iterator[list[str]]:
    yield ["ranges", "number", "differ", "MB", "median ms", "p99 ms"]
    small = [answer for answer in answers if answer.size_bytes <= _SMALL_BYTES]
    large = [answer for answer in answers if answer.size_bytes > _SMALL_BYTES]
    for name, some in (("up to 64 KB", small), ("64 KB to 8 MB", large)):
        seconds = [answer.seconds for answer in some]
        yield [
            name, f"{len(some):,}", str(sum(not answer.is_equal for answer in some)),
            f"{sum(answer.size_bytes for answer in some) / MB:,.0f}",
            f"{statistics.median(seconds) * 1000:.2f}", f"{percentile(seconds, 0.99) * 1000:.2f}",
        ]  # fmt: skip
