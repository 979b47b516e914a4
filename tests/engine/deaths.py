"""Every death of a process that leaves something else to those who come after it.

Whoever is killed at a call that only looks leaves what he would have left at the call before it. So an export has few
deaths that differ, and all pairs of them can be tried.
"""

import os
from typing import Any, NamedTuple

from tests.engine.faulty import FaultyDisk, kill_before, kill_half_way
from tests.engine.power_disk import HARMLESS

LEAVES_NOTHING = HARMLESS | {
    "close",  # the system closes what a dead process had open, and so unlocks it
    "fsync",  # the machine goes on
}
IS_TORN = {"write", "copy_range", "send_file"}
HALF_WAY = " half way"


class Death(NamedTuple):
    """Instead of which call, counted from 0; or in the midst of it."""

    at: int
    is_half_way: bool = False

    def __str__(self) -> str:
        return f"{self.at}{HALF_WAY if self.is_half_way else ''}"

    @classmethod
    def named(cls, words: str) -> "Death":
        return cls(int(words.removesuffix(HALF_WAY)), words.endswith(HALF_WAY))

    def disk(self) -> FaultyDisk:
        return FaultyDisk(self.at, kill_half_way if self.is_half_way else kill_before)


class LivingDisk(FaultyDisk):
    """Nothing happens to it; it knows which of its calls left something."""

    def __init__(self) -> None:
        super().__init__(None, None)
        self.left: list[bool] = []

    def _around(self, name: str, real: Any, arguments: tuple[Any, ...]) -> Any:
        self.left.append(leaves_something(name, arguments))
        return super()._around(name, real, arguments)

    def deaths(self) -> dict[Death, int]:
        """One of each that leaves the same, with how many it stands for."""
        found: dict[Death, int] = {}
        last = Death(0)
        for at, name in enumerate(self.calls):
            last = Death(at) if at > 0 and self.left[at - 1] else last
            found[last] = found.get(last, 0) + 1
            if name in IS_TORN:
                found[Death(at, is_half_way=True)] = 1
        return found


def leaves_something(name: str, arguments: tuple[Any, ...]) -> bool:
    if name == "open":
        _, flags = arguments
        return bool(flags & (os.O_CREAT | os.O_TRUNC))
    return name not in LEAVES_NOTHING
