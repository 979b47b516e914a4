"""How many files are copied at once: more, where the storage keeps one waiting."""

import threading
import time
from typing import Any

import pytest

from service.copying import _Pace
from tests.engine.faulty import Call, WatchedDisk
from tests.engine.workbench import Bench, completed, images_project, noise, start

FILES = 64 * 10


class SlowDisk(WatchedDisk):
    """A server that is far away; counts how many ask it at once."""

    def __init__(self) -> None:
        super().__init__(self._around)
        self.at_once = 0
        self.most_at_once = 0
        self._alone = threading.Lock()

    def _around(self, name: str, real: Call, arguments: tuple[Any, ...]) -> Any:
        if name != "open_beneath":
            return real(*arguments)
        with self._alone:
            self.at_once += 1
            self.most_at_once = max(self.most_at_once, self.at_once)
        time.sleep(0.002)
        with self._alone:
            self.at_once -= 1
        return real(*arguments)


def test_a_storage_that_is_far_away_is_waited_for_by_several(bench: Bench) -> None:
    (bench.media / "far.png").write_bytes(noise(100, 1))
    try:
        disk = SlowDisk()
        # One file that is shown again and again: each time it is a copy of its own.
        completed(bench.run(start(images_project(*["far.png"] * FILES)), disk, copiers=4))
        assert disk.most_at_once == 4
    finally:
        (bench.media / "far.png").unlink()


@pytest.mark.parametrize(("least", "most"), [(1, 4), (2, 4), (4, 2)])
async def test_the_pace_stays_between_its_bounds(least: int, most: int) -> None:
    pace = _Pace(least, most)
    for busy, expected in ((0.0, most), (10.0, min(least, most))):
        for _ in range(most + 1):
            async with pace.turn() as learn:
                learn(busy)
        assert pace._turns.total_tokens == expected
