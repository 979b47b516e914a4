"""The socket at /api/v1/ws: one connection, many exports; whatever was missed, the newest state comes.

A bare ASGI application: a coroutine a socket, no task and no timer of its own.
"""

import asyncio
import random
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from contextlib import suppress
from itertools import cycle
from time import monotonic
from typing import Any, Protocol

from pydantic_core import from_json, to_json
from starlette.types import Receive, Scope, Send

from gateway.auth import ANYBODY, Unauthenticated
from gateway.parts import Parts
from gateway.relay import NoSuchExport
from gateway.socket_outbox import Frame, Outbox, Tally
from service.errors import Trouble

_EXPORT_ID = re.compile(r"[a-z0-9-]{1,64}")
_TICKS_PER_TURN = 15
_DRAIN_TICK_SECONDS = 0.1
_BACK_IN_MS = 1000
_LAST_WORDS_SECONDS = 2.0

DRAINING, TICKET_EXPIRED, SLOW, TOO_MANY = 4000, 4001, 4008, 4029
"""Come back: at once, with another ticket, at once, after a while."""
TICKET_INVALID, NO_HELLO, PROTOCOL = 4501, 4508, 4509
"""Do not come back like this."""


class Refused(Exception):
    """The socket is closed with this code."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


class Served(Protocol):
    """A socket of whatever dialect, as the clock and the end of the replica see it."""

    async def run(self, receive: Receive) -> None: ...

    def end(self) -> None:
        """Nobody is there any more."""

    def beat(self, frame: str, now: float) -> None:
        """A turn of the clock has passed."""

    def leave(self) -> None:
        """The replica is about to end."""


class Sockets:
    """All sockets of one replica."""

    def __init__(self, parts: Parts) -> None:
        self.parts = parts
        self.tally = Tally()
        self.subjects: Counter[str] = Counter()
        self._wheel: list[set[Served]] = [set() for _ in range(_TICKS_PER_TURN)]
        self._places = cycle(self._wheel)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        origin, host = self.origin_and_host(scope["headers"])
        if not self.parts.auth.allows_origin(origin, host):
            await send({"type": "websocket.close"})  # before it is accepted: 403
        elif not self.takes_one_more():
            await refuse_for_now(send)
        else:
            await send({"type": "websocket.accept"})
            await self.serve(Session(self, send, origin), receive)

    async def serve(self, session: Served, receive: Receive) -> None:
        """One that was accepted, to its end."""
        place = next(self._places)
        place.add(session)
        self.parts.metrics.sockets_open.inc()
        try:
            await session.run(receive)
        finally:
            place.discard(session)
            self.parts.metrics.sockets_open.dec()
            session.end()

    @staticmethod
    def origin_and_host(headers: Iterable[tuple[bytes, bytes]]) -> tuple[str | None, str | None]:
        # Nothing else of the headers is kept: a browser's are 1 KB, as long as the socket lives.
        found = {name: value.decode("latin-1") for name, value in headers if name in {b"origin", b"host"}}
        return found.get(b"origin"), found.get(b"host")

    def takes_one_more(self) -> bool:
        """Whoever it is."""
        return not self.parts.is_draining and self.open < self.parts.settings.sockets_at_most

    def count(self, subject: str) -> bool:
        """One more of this user's; false, and not counted, when these are enough."""
        settings = self.parts.settings
        if settings.gateway_auth != "none" and self.subjects[subject] >= settings.sockets_per_subject:
            return False
        self.subjects[subject] += 1
        return True

    def uncount(self, subject: str) -> None:
        self.subjects[subject] -= 1
        if not self.subjects[subject]:
            del self.subjects[subject]

    @property
    def open(self) -> int:
        return sum(map(len, self._wheel))

    def frame(self, export_id: str) -> Frame | None:
        """For whoever listens to it."""
        shown = self.parts.relay.newest(export_id)
        return None if shown is None else Frame(self.parts.relay.frame(export_id), shown.known.is_over)

    async def keep_beating(self) -> None:
        """One clock for all sockets: each tick a part of them hears a heartbeat. Runs until cancelled."""
        for place in cycle(self._wheel):
            await asyncio.sleep(self.parts.settings.socket_heartbeat_seconds / _TICKS_PER_TURN)
            beat = _frame("heartbeat", stale_since=self.parts.relay.stale_since)
            now = monotonic()
            for session in tuple(place):
                session.beat(beat, now)
            self._tell_what_was_counted()

    def _tell_what_was_counted(self) -> None:
        sent, conflated = self.tally.untold()
        self.parts.metrics.frames_sent.inc(sent)
        self.parts.metrics.frames_conflated.inc(conflated)

    async def drain(self, seconds: float) -> None:
        """Says goodbye to all, a few at a time, each with a moment to come back at: no storm on the other replicas."""
        sessions = [session for place in self._wheel for session in place]
        random.shuffle(sessions)
        ticks = max(1, int(seconds / _DRAIN_TICK_SECONDS))
        per_tick = max(1, -(-len(sessions) // ticks))
        for begin in range(0, len(sessions), per_tick):
            for session in sessions[begin : begin + per_tick]:
                session.leave()
            await asyncio.sleep(_DRAIN_TICK_SECONDS)


class Session:
    """One socket."""

    __slots__ = ("_allowance", "_authority_ends", "_counted", "_door", "_exports", "_origin", "_since", "outbox",
                 "principal")  # fmt: skip

    def __init__(self, door: Sockets, send: Send, origin: str | None) -> None:
        self._door = door
        self._origin = origin
        self._exports: set[str] = set()
        self._allowance = float(2 * door.parts.settings.frames_per_second)
        self._since = monotonic()
        self._authority_ends = float("inf")
        self._counted = False
        self.principal = ANYBODY
        self.outbox = Outbox(send, door.frame, door.tally)

    async def run(self, receive: Receive) -> None:
        try:
            if not await self._greeted(receive):
                return
            while (frame := await self._read(receive)) is not None:
                await self._obey(frame)
        except Refused as refusal:
            self.outbox.close(refusal.code, refusal.reason)
            await until_closed(receive)

    def end(self) -> None:
        for export_id in self._exports:
            self._door.parts.relay.forget(export_id, self.outbox.changed)
        if self._counted:
            self._door.uncount(self.principal.subject)

    def beat(self, frame: str, now: float) -> None:
        if not self._counted:
            return  # it has not said hello yet
        if now >= self._authority_ends:
            self.outbox.close(TICKET_EXPIRED, "show a new ticket")
        else:
            self.outbox.beat(frame)

    def leave(self) -> None:
        self.outbox.say(_frame("bye", reconnect_in_ms=random.randint(0, _BACK_IN_MS)))  # noqa: S311 - a spread
        self.outbox.close(DRAINING, "this replica is ending")

    # ---- what comes

    async def _greeted(self, receive: Receive) -> bool:
        try:
            async with asyncio.timeout(self._door.parts.settings.hello_seconds):
                frame = await self._read(receive)
        except TimeoutError:
            raise Refused(NO_HELLO, "no hello came") from None
        if frame is None:
            return False
        if frame.get("type") != "hello":
            raise Refused(NO_HELLO, "the first frame must be a hello")
        self._authorise(frame)
        self._counted = self._door.count(self.principal.subject)
        if not self._counted:
            raise Refused(TOO_MANY, "too many sockets")
        self.outbox.acks = frame.get("acks") is True
        self.outbox.say(_frame("welcome", heartbeat_seconds=self._door.parts.settings.socket_heartbeat_seconds))
        await self._subscribe(frame.get("exports", []))
        return True

    def _authorise(self, frame: Mapping[str, Any]) -> None:
        settings = self._door.parts.settings
        if settings.gateway_auth == "none":
            return
        ticket = frame.get("ticket")
        if not isinstance(ticket, str):
            raise Refused(TICKET_INVALID, "a ticket is needed: POST /api/v1/tickets")
        try:
            principal = self._door.parts.auth.redeem(ticket, self._origin)
        except Unauthenticated as refusal:
            code = TICKET_EXPIRED if refusal.expired else TICKET_INVALID
            raise Refused(code, refusal.detail) from None
        known = self.principal
        if self._counted and (principal.subject, principal.tenant) != (known.subject, known.tenant):
            raise Refused(TICKET_INVALID, "the ticket is somebody else's")
        self.principal = principal
        self._authority_ends = monotonic() + settings.socket_authority_seconds
        self._let_go_of_what_is_no_longer_theirs()

    def _let_go_of_what_is_no_longer_theirs(self) -> None:
        for export_id in tuple(self._exports):
            shown = self._door.parts.relay.newest(export_id)
            if shown is None or not self.principal.owns(shown.head):
                self._unsubscribe([export_id])
                self.outbox.say(_frame("missing", export_id=export_id))

    async def _read(self, receive: Receive) -> dict[str, Any] | None:
        """The next frame; nothing when the client is gone."""
        message = await receive()
        if message["type"] != "websocket.receive":
            return None
        text = message.get("text")
        if text is None:
            raise Refused(PROTOCOL, "frames are text")
        try:
            frame = from_json(text)
        except ValueError:
            raise Refused(PROTOCOL, "frames are JSON") from None
        if not isinstance(frame, dict):
            raise Refused(PROTOCOL, "frames are JSON objects")
        if not (frame.get("type") == "ack" and self.outbox.acked()):
            self._spend()  # an ack that was owed is free: we set its pace
        return frame

    def _spend(self) -> None:
        """A bucket of two seconds' frames."""
        rate, now = self._door.parts.settings.frames_per_second, monotonic()
        self._allowance = min(2.0 * rate, self._allowance + (now - self._since) * rate) - 1
        self._since = now
        if self._allowance < 0:
            raise Refused(TOO_MANY, "too many frames")

    async def _obey(self, frame: dict[str, Any]) -> None:
        match frame.get("type"):
            case "ack":
                pass
            case "subscribe":
                await self._subscribe(frame.get("exports", []))
            case "unsubscribe":
                self._unsubscribe(frame.get("exports", []))
            case "ticket":
                self._authorise(frame)
            case "ping":
                self.outbox.say('{"type":"pong"}')
            case _:
                raise Refused(PROTOCOL, "no such type of frame")

    # ---- subscriptions

    async def _subscribe(self, wanted: object) -> None:
        if not isinstance(wanted, list) or len(wanted) > self._door.parts.settings.exports_per_socket:
            raise Refused(PROTOCOL, "too many exports")
        for one in wanted:
            export_id, at = _wanted(one)
            await self._follow(export_id, at)

    async def _follow(self, export_id: str, at: str | None) -> None:
        relay = self._door.parts.relay
        try:
            owns = self.principal.owns((await relay.snapshot(export_id)).head)
        except NoSuchExport:
            owns = False
        except Trouble:
            self.outbox.say(_frame("unavailable", export_id=export_id))
            return
        if not owns:
            self.outbox.say(_frame("missing", export_id=export_id))
            return
        if export_id not in self._exports and len(self._exports) >= self._door.parts.settings.exports_per_socket:
            raise Refused(PROTOCOL, "too many exports")
        # From here to the end nothing is awaited: whatever changes after this line is heard, whatever did is shown.
        self._exports.add(export_id)
        relay.listen(export_id, self.outbox.changed)
        shown = relay.newest(export_id)
        if shown is not None and shown.known.position == at:
            self.outbox.say(_frame("current", export_id=export_id, position=at))
        else:
            self.outbox.changed(export_id)

    def _unsubscribe(self, unwanted: object) -> None:
        for export_id in unwanted if isinstance(unwanted, list) else []:
            if isinstance(export_id, str) and export_id in self._exports:
                self._exports.discard(export_id)
                self._door.parts.relay.forget(export_id, self.outbox.changed)
                self.outbox.forget(export_id)


def _wanted(one: object) -> tuple[str, str | None]:
    export_id = one.get("id") if isinstance(one, dict) else one
    if not isinstance(export_id, str) or not _EXPORT_ID.fullmatch(export_id):
        raise Refused(PROTOCOL, "no such id of an export")
    at = one.get("at") if isinstance(one, dict) else None
    return export_id, at if isinstance(at, str) else None


async def until_closed(receive: Receive) -> None:
    """The closing takes a round trip; whatever else still comes is nobody's business. One who does not even read
    is not waited for.
    """
    with suppress(TimeoutError):
        async with asyncio.timeout(_LAST_WORDS_SECONDS):
            while (await receive())["type"] != "websocket.disconnect":
                pass


async def refuse_for_now(send: Send) -> None:
    """Before it is accepted: a proxy may try another replica."""
    headers = [(b"retry-after", b"1"), (b"content-length", b"0")]
    await send({"type": "websocket.http.response.start", "status": 503, "headers": headers})
    await send({"type": "websocket.http.response.body", "body": b""})


def _frame(kind: str, **fields: object) -> str:
    return to_json({"type": kind, **fields}).decode()
