"""How much one subject may ask of this replica, and how much it may have open at once."""

from collections import Counter, OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from math import ceil
from time import monotonic
from typing import NamedTuple

from gateway.problems import Problem

_MINUTE_SECONDS = 60.0
_SUBJECTS_AT_MOST = 100_000


class Allowance(NamedTuple):
    """What is left of so many a minute."""

    name: str
    quota: int
    remaining: int
    wait_seconds: float
    """Until this one would have been allowed; 0 when it was."""

    def headers(self) -> dict[str, str]:
        """In the words of draft-ietf-httpapi-ratelimit-headers-10."""
        until_full = ceil((self.quota - self.remaining) * _MINUTE_SECONDS / self.quota)
        return {
            "ratelimit-policy": f'"{self.name}";q={self.quota};w=60',
            "ratelimit": f'"{self.name}";r={self.remaining};t={until_full}',
        }


class Rate:
    """So many a minute, of each subject; all of them may come at once, if nothing came for a minute.

    The generic cell rate algorithm (ITU-T I.371): one number a subject. The package `limits` would do, but its memory
    storage starts a thread for every hundredth of a second in which something is counted.
    """

    def __init__(self, name: str, per_minute: int) -> None:
        self._name = name
        self._quota = per_minute
        self._every_seconds = _MINUTE_SECONDS / per_minute
        self._full_at: OrderedDict[str, float] = OrderedDict()
        """When each subject would again have the whole of its quota."""

    def take(self, subject: str, now: float) -> Allowance:
        """Counts one, unless there is none left."""
        full_at = max(self._full_at.get(subject, now), now) + self._every_seconds
        excess_seconds = full_at - now - _MINUTE_SECONDS
        if excess_seconds > 1e-6:
            return Allowance(self._name, self._quota, 0, excess_seconds)
        self._full_at[subject] = full_at
        self._full_at.move_to_end(subject)
        if len(self._full_at) > _SUBJECTS_AT_MOST:
            self._full_at.popitem(last=False)
        return Allowance(self._name, self._quota, int(-excess_seconds / self._every_seconds + 1e-6), 0)


class Limits:
    """Those of one gateway."""

    def __init__(self, requests_per_minute: int, exports_per_minute: int, streams_per_subject: int) -> None:
        self._requests = Rate("requests", requests_per_minute)
        self._exports = Rate("exports", exports_per_minute)
        self._streams_at_most = streams_per_subject
        self._streams: Counter[str] = Counter()

    def request(self, subject: str) -> dict[str, str]:
        """Counts a request; the headers that say what is left. Raises Problem(429)."""
        return _insist(self._requests.take(subject, monotonic()))

    def export(self, subject: str) -> dict[str, str]:
        """Counts an export, as `request` does."""
        return _insist(self._exports.take(subject, monotonic()))

    @contextmanager
    def stream(self, subject: str) -> Iterator[None]:
        """Holds one of the subject's streams. Raises Problem(429)."""
        if self._streams[subject] >= self._streams_at_most:
            raise too_many(f"You have {self._streams_at_most} streams open already.", 5)
        self._streams[subject] += 1
        try:
            yield
        finally:
            self._streams[subject] -= 1
            if not self._streams[subject]:
                del self._streams[subject]


def _insist(allowance: Allowance) -> dict[str, str]:
    headers = allowance.headers()
    if allowance.wait_seconds:
        detail = f"More than {allowance.quota} {allowance.name} a minute."
        raise too_many(detail, allowance.wait_seconds, headers)
    return headers


def too_many(detail: str, seconds: float, headers: dict[str, str] | None = None) -> Problem:
    """429: wait for so long."""
    return Problem(429, "too-many-requests", detail, headers={**(headers or {}), "retry-after": str(ceil(seconds))})
