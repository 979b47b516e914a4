"""Kills that are aimed: a worker ends itself by kill -9 at a moment that chance would hardly ever find.

The moments are seen by Python's own audit events: the program is the one that is delivered, and nothing of it replaced.
"""

import os
import re
import signal
import sys
from collections.abc import Callable
from typing import NamedTuple


class Aim(NamedTuple):
    """Just before a call."""

    event: str
    """Of https://docs.python.org/3/library/audit_events.html."""
    argument: int
    """Which of the event's arguments is looked at."""
    path: re.Pattern[str]
    """What must be found in it."""

    def is_met(self, event: str, arguments: tuple[object, ...]) -> bool:
        return event == self.event and self.path.search(str(arguments[self.argument])) is not None


AIMS = {
    "asked, not stored": Aim("os.link", 1, re.compile(r"/command\.json$")),
    "begun, nothing copied": Aim("os.mkdir", 0, re.compile(r"/a-\d{6}/tree$")),
    "a file whole, not named": Aim("os.rename", 0, re.compile(r"\.part$")),
    "all copied, not packed": Aim("open", 0, re.compile(r"/manifest\.json\.part$")),
    "all durable, not decided": Aim("os.link", 1, re.compile(r"/outcome\.json$")),
    "decided, its directory not synced": Aim("os.remove", 0, re.compile(r"/outcome\.json\.")),
    "decided, no archive in place": Aim("os.link", 1, re.compile(r"/export_[^/]+\.zip$")),
    "decided, no folder": Aim("os.rename", 0, re.compile(r"/a-\d{6}/tree$")),
    "folder in place, not cleared": Aim("os.remove", 0, re.compile(r"/a-\d{6}/journal\.jsonl$")),
    "told and confirmed, still owed": Aim("os.rmdir", 0, re.compile(r"/_owed/")),
}


BEGUN = Aim("os.mkdir", 0, re.compile(r"/a-\d{6}$"))
"""An attempt."""


def take_aim(aim: Aim) -> None:
    """For the rest of this process's life, which ends when the aim is met."""
    when(aim, lambda: os.kill(os.getpid(), signal.SIGKILL))


def when(aim: Aim, act: Callable[[], None]) -> None:
    """Does so at the first time; within the call that is looked at, and before it."""
    is_met = False

    def hook(event: str, arguments: tuple[object, ...]) -> None:
        nonlocal is_met
        if not is_met and aim.is_met(event, arguments):
            is_met = True
            act()

    sys.addaudithook(hook)
