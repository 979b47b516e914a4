"""Keeps account of what was sent and what came of it: every message finds its end, and every end its message."""

import hashlib
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.prove.malformed_drawing import Message
from tests.prove.malformed_oracle import End, Expected, expected

REASONS = {"invalid_message", "limit_exceeded", "unsupported_version", "conflict", "project_unavailable"}


UNCONFIRMED = "is not confirmed yet"
"""A worker says so before it tells something again, on a machine that is slow."""


@dataclass
class Books:
    """What was sent, and what came of it."""

    sent: dict[int, tuple[Message, Expected, str]] = field(default_factory=dict)
    """With the hash of the body, which is not kept."""
    wishes: int = 0
    """Of these."""
    parked: set[int] = field(default_factory=set)
    parked_again: int = 0
    told: Counter[str] = field(default_factory=Counter)
    """Terminal events, by export."""
    bodies: dict[str, str] = field(default_factory=dict)
    """The hash of the event of each."""
    wrong: list[str] = field(default_factory=list)

    @property
    def under_way(self) -> int:
        """Of wishes nobody hears, so they do not count. Less than there are, when some ends were told again."""
        return len(self.sent) - self.wishes - self.ended

    @property
    def ended(self) -> int:
        return len(self.parked) + sum(self.told.values())

    def send(self, message: Message) -> None:
        digest = hashlib.sha256(message.body).hexdigest()
        wanted = expected(message)
        self.wishes += wanted.end is End.OBEYED
        self.sent[message.number] = (message._replace(body=b"", whole=None), wanted, digest)

    def park(self, headers: dict[str, Any], body: bytes) -> None:
        number = int(headers["ce-case"])
        message, wanted, digest = self.sent[number]
        self.parked_again += number in self.parked
        self.parked.add(number)
        if hashlib.sha256(body).hexdigest() != digest:
            self._complain(message, "was not parked whole")
        if headers.get("x-reason") not in REASONS or not 0 < len(str(headers.get("x-detail"))) <= 1000:
            self._complain(message, f"was parked for {headers.get('x-reason')!r}: {headers.get('x-detail')!r}")
        if wanted.end is End.OBEYED:
            self._complain(message, "is a wish, and was parked")

    def tell(self, export_id: str, body: bytes) -> None:
        self.told[export_id] += 1
        digest = hashlib.sha256(body).hexdigest()
        if self.bodies.setdefault(export_id, digest) != digest:
            self.wrong.append(f"two ends of {export_id} were told")

    def close(self, exports: Path, said: str) -> Counter[str]:
        """Every message and every event finds its like; what the worker `said` was not confirmed may come again."""
        told, ends = self.told.copy(), Counter[str]()
        for number, (message, wanted, _) in self.sent.items():
            ended = self._ended(number, wanted, told, exports)
            ends[ended or "lost"] += 1
            if ended is None:
                self._complain(message, f"should have ended as {wanted}")
        for export_id, left in told.items():
            if left > said.count(f" of {export_id} {UNCONFIRMED}"):
                self.wrong.append(f"nobody asked for the end of {export_id}")
        if self.parked_again > (unconfirmed := said.count(f"a message to park {UNCONFIRMED}")):
            self.wrong.append(f"{self.parked_again} were parked again, and {unconfirmed} were not confirmed in time")
        return ends

    def _ended(self, number: int, wanted: Expected, told: Counter[str], exports: Path) -> str | None:
        if wanted.end is End.OBEYED:
            record = exports / ".exports" / wanted.ids[0]
            return "obeyed" if (record / "cancel.json").exists() or (record / "gone.json").exists() else None
        if number in self.parked:
            return "parked" if wanted.end is not End.TOLD or self._is_taken(wanted.ids[0]) else None
        for export_id in wanted.ids:
            if told[export_id]:
                told[export_id] -= 1
                return "told"
        return None

    def _is_taken(self, export_id: str) -> bool:
        """Another message had that id before."""
        return sum(export_id in wanted.ids for _, wanted, _ in self.sent.values()) > 1

    def _complain(self, message: Message, what: str) -> None:
        self.wrong.append(f"message {message.number} ({message.kind}) {what}")
