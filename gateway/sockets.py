"""The socket at /api/v1/ws: one connection, many exports; whatever was missed, the newest state comes.

A bare ASGI application: a coroutine a socket, no task and no timer of its own.
"""

import asyncio
import random
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from time import monotonic
from typing import Any

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


class Sockets:
    """All sockets of one replica."""

    def __init__(self, parts: Parts) -> None:
        self.parts = parts
        self.tally = Tally()
        self.subjects: Counter[str] = Counter()
        self._wheel: list[set[Session]] = [set() for _ in range(_TICKS_PER_TURN)]
        self._turn = 0
        self.others: set[Outbox] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        headers = {name: value.decode("latin-1") for name, value in scope["headers"]}
        if not self.parts.auth.allows_origin(headers.get(b"origin"), headers.get(b"host")):
            await send({"type": "websocket.close"})  # before it is accepted: 403
            return
        await send({"type": "websocket.accept"})
        session = Session(self, send, headers.get(b"origin"))
        bucket = self._wheel[self._turn - 1]
        bucket.add(session)
        self.parts.metrics.sockets_open.inc()
        try:
            await session.run(receive)
        finally:
            bucket.discard(session)
            self.parts.metrics.sockets_open.dec()
            session.end()

    def takes_one_more(self, subject: str) -> bool:
        """Of one user."""
        settings = self.parts.settings
        most = settings.sockets_at_most if settings.gateway_auth == "none" else settings.sockets_per_subject
        return self.subjects[subject] < most and self.open <= settings.sockets_at_most

    @contextmanager
    def counted(self, subject: str, outbox: Outbox) -> Iterator[None]:
        """A socket that is served elsewhere, and ends with these when the replica does."""
        self.others.add(outbox)
        self.subjects[subject] += 1
        self.parts.metrics.sockets_open.inc()
        try:
            yield
        finally:
            self.others.discard(outbox)
            self.uncount(subject)
            self.parts.metrics.sockets_open.dec()

    def uncount(self, subject: str) -> None:
        self.subjects[subject] -= 1
        if not self.subjects[subject]:
            del self.subjects[subject]

    @property
    def open(self) -> int:
        return sum(map(len, self._wheel)) + len(self.others)

    def frame(self, export_id: str) -> Frame | None:
        """For whoever listens to it."""
        shown = self.parts.relay.newest(export_id)
        return None if shown is None else Frame(self.parts.relay.frame(export_id), shown.known.is_over)

    async def keep_beating(self) -> None:
        """One clock for all sockets: each tick a part of them hears a heartbeat. Runs until cancelled."""
        while True:
            await asyncio.sleep(self.parts.settings.socket_heartbeat_seconds / _TICKS_PER_TURN)
            self._turn = (self._turn + 1) % _TICKS_PER_TURN
            beat = _frame("heartbeat", stale_since=self.parts.relay.stale_since)
            now = monotonic()
            for session in tuple(self._wheel[self._turn]):
                session.beat(beat, now)

    async def drain(self, seconds: float) -> None:
        """Says goodbye to all, a few at a time, each with a moment to come back at: no storm on the other replicas."""
        sessions = [session for bucket in self._wheel for session in bucket]
        random.shuffle(sessions)
        ticks = max(1, int(seconds / _DRAIN_TICK_SECONDS))
        per_tick = -(-len(sessions) // ticks)
        for begin in range(0, len(sessions), max(1, per_tick)):
            for session in sessions[begin : begin + per_tick]:
                session.outbox.say(_frame("bye", reconnect_in_ms=random.randint(0, 1000)))  # noqa: S311 - a spread
                session.outbox.close(DRAINING, "this replica is ending")
            await asyncio.sleep(_DRAIN_TICK_SECONDS)
        for outbox in tuple(self.others):
            outbox.close(1012, "this replica is ending")


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
        if self._door.parts.is_draining:
            self.outbox.close(DRAINING, "this replica is ending")
            return
        try:
            if not await self._greeted(receive):
                return
            while (frame := await self._read(receive)) is not None:
                await self._obey(frame)
        except Refused as refusal:
            self.outbox.close(refusal.code, refusal.reason)
            await _until_closed(receive)

    def end(self) -> None:
        """Nobody is there any more."""
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
        self._count()
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

    def _count(self) -> None:
        subject = self.principal.subject
        if not self._door.takes_one_more(subject):
            raise Refused(TOO_MANY, "too many sockets")
        self._door.subjects[subject] += 1
        self._counted = True

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


async def _until_closed(receive: Receive) -> None:
    """The closing takes a round trip; whatever else still comes is nobody's business."""
    while (await receive())["type"] != "websocket.disconnect":
        pass


def _frame(kind: str, **fields: object) -> str:
    return to_json({"type": kind, **fields}).decode()
