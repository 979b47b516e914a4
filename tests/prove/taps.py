"""Cuts a connection at a byte that one names: of the confirm of a terminal event, or of the delivery of a command."""

import asyncio
import struct
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from tests.broker.listener import TERMINALS

CONFIRM, DELIVERY = "confirm", "delivery"
CONFIRM_BYTES = 21
"""A frame with a `Basic.Ack`."""
_HEADER = b"AMQP\x00\x00\x09\x01"
_FRAME = struct.Struct(">BHI")
_METHOD, _CONTENT_HEADER = 1, 2
# Class and method, as https://www.rabbitmq.com/amqp-0-9-1-reference has them.
_CHANNEL_OPEN, _PUBLISH, _DELIVER, _ACK = (20, 10), (60, 40), (60, 60), (60, 80)


class Frame(NamedTuple):
    """A whole one, or the beginning of one that is no method."""

    start: int
    """In the bytes that were looked at last; negative when it began in earlier ones."""
    kind: int
    channel: int
    size_bytes: int
    """Of all of it."""
    payload: bytes

    @property
    def method(self) -> tuple[int, int] | None:
        if self.kind != _METHOD:
            return None
        kind, number = struct.unpack_from(">HH", self.payload)
        return kind, number


@dataclass
class Frames:
    """Finds the frames in what passes in one direction."""

    _rest: bytes = b""
    _skip_bytes: int = 0

    def of(self, chunk: bytes) -> Iterator[Frame]:
        data = self._rest + chunk
        at, earlier = self._skip_bytes, len(self._rest)
        if data.startswith(_HEADER):
            at = len(_HEADER)
        while at + _FRAME.size <= len(data):
            kind, channel, size = _FRAME.unpack_from(data, at)
            end = at + _FRAME.size + size + 1
            if end > len(data) and kind in {_METHOD, _CONTENT_HEADER}:
                break  # what they say is needed whole, and they are short
            yield Frame(at - earlier, kind, channel, end - at, data[at + _FRAME.size : end - 1])
            at = end
        self._rest, self._skip_bytes = data[at:], max(0, at - len(data))


@dataclass
class _Wire:
    """What is known of one connection."""

    to_node: Frames = field(default_factory=Frames)
    from_node: Frames = field(default_factory=Frames)
    published: defaultdict[int, int] = field(default_factory=lambda: defaultdict(int))
    """How many messages, by channel: the confirm has the last one's number."""
    terminals: defaultdict[int, set[int]] = field(default_factory=lambda: defaultdict(set))
    """Numbers of those that are not confirmed, by channel."""
    cut_after_bytes: int | None = None


@dataclass
class Tap:
    """For the connections of one worker."""

    delivery_bytes: int = 0
    """How long a delivery of `export.start` is: method, header and body; the longest so far."""
    _wires: defaultdict[int, _Wire] = field(default_factory=lambda: defaultdict(_Wire))
    _aim: tuple[str, int] | None = None
    _has_cut: asyncio.Event = field(default_factory=asyncio.Event)
    _begun_bytes: int = 0

    async def cut(self, where: str, offset: int) -> None:
        """Returns when the next such connection was cut after so many bytes of what is aimed at."""
        self._aim = (where, offset)
        self._has_cut.clear()
        try:
            await self._has_cut.wait()
        finally:
            self._aim = None

    def __call__(self, wire: int, chunk: bytes, *, is_from_node: bool) -> int | None:
        one = self._wires[wire]
        if not is_from_node:
            for frame in one.to_node.of(chunk):
                _note_published(one, frame)
            return None
        for frame in one.from_node.of(chunk):
            where = self._what_it_is(one, frame)
            if where is not None and self._aim is not None and self._aim[0] == where and frame.start >= 0:
                one.cut_after_bytes = frame.start + self._aim[1]
                self._aim = None
        return self._passes(one, len(chunk))

    def _passes(self, wire: _Wire, size_bytes: int) -> int | None:
        left = wire.cut_after_bytes
        if left is None:
            return None
        if left > size_bytes:
            wire.cut_after_bytes = left - size_bytes
            return None
        wire.cut_after_bytes = None
        self._has_cut.set()
        return left

    def _what_it_is(self, wire: _Wire, frame: Frame) -> str | None:
        if frame.kind == _CONTENT_HEADER and self._begun_bytes:
            [body_bytes] = struct.unpack_from(">Q", frame.payload, 4)
            self.delivery_bytes = max(self.delivery_bytes, self._begun_bytes + frame.size_bytes + body_bytes + 8)
        self._begun_bytes = 0
        match frame.method:
            case method if method == _ACK:
                return CONFIRM if _confirms_a_terminal(wire, frame) else None
            case method if method == _DELIVER and frame.payload.endswith(b"\x0cexport.start"):
                self._begun_bytes = frame.size_bytes
                return DELIVERY
            case _:
                return None


def _note_published(wire: _Wire, frame: Frame) -> None:
    if frame.method == _CHANNEL_OPEN:
        wire.published[frame.channel] = 0
        wire.terminals[frame.channel].clear()
    elif frame.method == _PUBLISH:
        wire.published[frame.channel] += 1
        _, key = _short_strings(frame.payload[6:])
        if key.decode() in TERMINALS:
            wire.terminals[frame.channel].add(wire.published[frame.channel])


def _confirms_a_terminal(wire: _Wire, frame: Frame) -> bool:
    number, is_for_earlier_too = struct.unpack_from(">QB", frame.payload, 4)
    waiting = wire.terminals[frame.channel]
    confirmed = {one for one in waiting if one == number or (is_for_earlier_too and one < number)}
    waiting -= confirmed
    return bool(confirmed)


def _short_strings(data: bytes) -> tuple[bytes, bytes]:
    """The two that the data begins with."""
    first = data[1 : 1 + data[0]]
    rest = data[1 + data[0] :]
    return first, rest[1 : 1 + rest[0]]
