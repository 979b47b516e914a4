"""What waits to be sent over one socket: a few words, and the ids of exports that changed; never a queue of states.

The state is taken at the moment of sending, so a client that reads slowly costs an id for each export and is always
told the newest. Sends without a task where the socket takes the frame at once: a task per frame, or a waiting one per
socket, costs 8 to 20 µs a frame (bench/gateway.py).
"""

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine, Generator
from types import coroutine
from typing import Any, NamedTuple

Send = Callable[[dict[str, Any]], Coroutine[Any, Any, None]]

_WORDS_AT_MOST = 200
"""Answers to a client that asks and does not read."""


class Frame(NamedTuple):
    """A state as text; an end needs no credit."""

    text: str
    is_end: bool


FrameOf = Callable[[str], Frame | None]


class Outbox:
    """Belongs to the event loop; no method waits."""

    __slots__ = ("_changed", "_closing", "_frame_of", "_in_flight", "_is_sending", "_send", "_words", "acks", "tally")

    def __init__(self, send: Any, frame_of: FrameOf, tally: "Tally") -> None:
        self._send: Send = send
        self._frame_of = frame_of
        self.tally = tally
        self.acks = False
        """The client says when it has drawn a state, and is sent no other one before."""
        self._words: deque[str] | None = None
        self._changed: dict[str, None] = {}
        self._closing: tuple[int, str] | None = None
        self._is_sending = False
        self._in_flight = False

    def say(self, text: str) -> None:
        """Will be sent, in order. A client that lets too much of it gather is cut off."""
        if self._words is None:
            self._words = deque()
        if len(self._words) >= _WORDS_AT_MOST:
            self.close(4008, "too slow")
            return
        self._words.append(text)
        self._flush()

    def beat(self, text: str) -> None:
        """Is sent unless something else waits: that will be heard just as well."""
        if not self._is_sending:
            self.say(text)

    def changed(self, export_id: str) -> None:
        """Its newest state will be sent when the client can take it."""
        if export_id in self._changed:
            self.tally.conflated += 1
        self._changed[export_id] = None
        self._flush()  # also then: an end needs no credit

    def forget(self, export_id: str) -> None:
        """Nothing more of it."""
        self._changed.pop(export_id, None)

    def acked(self) -> bool:
        """The client can take the next state; false when it owed no such word."""
        owed, self._in_flight = self._in_flight, False
        self._flush()
        return owed

    def close(self, code: int, reason: str = "") -> None:
        """The last that is sent; what waits is dropped."""
        self._words = None
        self._changed.clear()
        self._closing = self._closing or (code, reason)
        self._flush()

    # ---- sending

    def _flush(self) -> None:
        while not self._is_sending:
            message = self._next()
            if message is None:
                return
            self._put(message)

    def _next(self) -> dict[str, Any] | None:
        if self._words is not None:
            text = self._words.popleft()
            self._words = self._words or None  # an empty deque is 600 bytes
            return {"type": "websocket.send", "text": text}
        for export_id in self._changed:
            frame = self._frame_of(export_id)
            if frame is None:
                del self._changed[export_id]
                return self._next()
            if frame.is_end or not self._in_flight:
                del self._changed[export_id]
                self._in_flight = self._in_flight or (self.acks and not frame.is_end)
                self.tally.sent += 1
                return {"type": "websocket.send", "text": frame.text}
        if self._closing:
            code, reason = self._closing
            self._closing = None
            self._is_sending = True  # for good
            return {"type": "websocket.close", "code": code, "reason": reason}
        return None

    def _put(self, message: dict[str, Any]) -> None:
        """One step by hand: most sends are done with it. One that must wait goes on in a task."""
        is_last = self._is_sending
        sending = self._send(message)
        try:
            waits_for = sending.send(None)
        except StopIteration:
            return
        except (OSError, RuntimeError):  # the client is gone, or uvicorn has closed; `receive` says so
            self._is_sending = True
            return
        self._is_sending = True
        task = asyncio.get_running_loop().create_task(_the_rest(sending, waits_for))
        task.add_done_callback(self._went_on if not is_last else _ended)

    def _went_on(self, task: "asyncio.Task[None]") -> None:
        if _ended(task):
            self._is_sending = False
            self._flush()


class Tally:
    """Of all sockets of a replica."""

    __slots__ = ("_told", "conflated", "sent")

    def __init__(self) -> None:
        self.sent = 0
        self.conflated = 0
        self._told = (0, 0)

    def untold(self) -> tuple[int, int]:
        """States that were sent, and that were never sent, since this was last asked."""
        before, self._told = self._told, (self.sent, self.conflated)
        return self.sent - before[0], self.conflated - before[1]


async def _the_rest(sending: Coroutine[Any, Any, None], waits_for: Any) -> None:
    await _resumed(sending, waits_for)


@coroutine
def _resumed(sending: Coroutine[Any, Any, None], waits_for: Any) -> Generator[Any, Any, None]:
    """Goes on with a coroutine whose first step was made by hand: waits for what that step waited for."""
    try:
        yield waits_for
        yield from sending
    finally:
        sending.close()


def _ended(task: "asyncio.Task[None]") -> bool:
    """Whether it was sent; what a client that is gone makes of it is no fault."""
    return not task.cancelled() and task.exception() is None
