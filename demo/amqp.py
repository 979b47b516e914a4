"""The wire of AMQP 0.9.1 as a server sees it: frames, login, heartbeats, channels, errors.

What a method does to exchanges and queues is not known here. A connection is the callbacks of its socket and one
timer: it owns no task, so none can outlive it.
"""

import asyncio
import struct
from dataclasses import dataclass, field
from typing import Any, Protocol, cast

from pamqp import commands, exceptions, frame
from pamqp.base import Frame
from pamqp.body import ContentBody
from pamqp.commands import Basic
from pamqp.common import FieldTable
from pamqp.header import ContentHeader, ProtocolHeader
from pamqp.heartbeat import Heartbeat

CHANNEL_MAX = 2047
FRAME_MAX_BYTES = 131_072
BODY_MAX_BYTES = 128 << 20
HEARTBEAT_SECONDS = 60
LOGIN_SECONDS = 10
FAREWELL_SECONDS = 2
SILENT_TICKS_MAX = 4

_GREETING = ProtocolHeader().marshal()
_HEAD_BYTES = 7
_FRAME_OVERHEAD_BYTES = _HEAD_BYTES + 1
_CAPABILITIES = ("basic.nack", "connection.blocked", "consumer_cancel_notify", "publisher_confirms")
_LOGIN = ("PLAIN", "\0guest\0guest")
_HANDSHAKE = (commands.Connection.StartOk, commands.Connection.TuneOk, commands.Connection.Open)
# What pamqp raises at bytes that are no AMQP: bad text, a missing byte, a date beyond the calendar.
_NO_AMQP = (exceptions.PAMQPException, ValueError, LookupError, TypeError, ArithmeticError, struct.error)


@dataclass(frozen=True, slots=True)
class Message:
    """As it was published."""

    exchange: str
    routing_key: str
    properties: Basic.Properties
    body: bytes


class Channel(Protocol):
    """What the methods of one channel mean. Raises pamqp's soft errors, which close it, and hard ones."""

    def on_method(self, method: Frame) -> None: ...
    def on_publish(self, publish: Basic.Publish, message: Message) -> None: ...
    def on_writable(self) -> None: ...
    def on_closed(self) -> None: ...


class Server(Protocol):
    """Where connections arrive."""

    blocked: bool
    connections: "set[Connection]"

    def open_channel(self, connection: "Connection", number: int) -> Channel: ...
    def ended(self, connection: "Connection") -> None: ...


@dataclass(slots=True)
class _Publishing:
    """A publish whose header or body is still on its way."""

    method: Basic.Publish
    header: ContentHeader | None = None
    parts: list[bytes] = field(default_factory=list)
    missing_bytes: int = 0


class Connection(asyncio.Protocol):
    """One client."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._unread = bytearray()
        self._due: list[type[ProtocolHeader | Frame]] = [ProtocolHeader, *_HANDSHAKE]
        self._channels: dict[int, Channel] = {}
        self._refused_channels: set[int] = set()
        self._publishing: dict[int, _Publishing] = {}
        self._frame_max_bytes = FRAME_MAX_BYTES
        self._heartbeat_seconds = HEARTBEAT_SECONDS
        self._silent_ticks = 0
        self._publishes = self._held = self._congested = self._over = False

    @property
    def writable(self) -> bool:
        """False while the client reads too slowly: its messages wait in their queues, and nobody waits for it."""
        return not (self._congested or self._transport.is_closing() or self._over)

    def send(self, number: int, method: Frame, message: Message | None = None) -> None:
        frames: list[frame.FrameTypes] = [method]
        if message:
            size, body = self._frame_max_bytes - _FRAME_OVERHEAD_BYTES, message.body
            frames.append(ContentHeader(0, len(body), message.properties))
            frames += [ContentBody(body[start : start + size]) for start in range(0, len(body), size)]
        self._transport.write(b"".join(frame.marshal(each, number) for each in frames))

    def cut(self) -> None:
        """As a network would, without a word."""
        self._transport.abort()

    def hold(self) -> None:
        """A connection that publishes is not read during an alarm, not even its acks (RabbitMQ's guide, "Alarms")."""
        if self._publishes and not self._held:
            self._held = True
            self._transport.pause_reading()
            self.send(0, commands.Connection.Blocked("low on memory"))

    def release(self) -> None:
        if self._held:
            self._held = False
            self._transport.resume_reading()
            self.send(0, commands.Connection.Unblocked())
            self._read()

    # ---- the socket ----------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._timer = asyncio.get_running_loop().call_later(LOGIN_SECONDS, self.cut)
        self._server.connections.add(self)

    def data_received(self, data: bytes) -> None:
        self._silent_ticks = 0
        self._unread += data
        self._read()

    def pause_writing(self) -> None:
        self._congested = True

    def resume_writing(self) -> None:
        self._congested = False
        for channel in list(self._channels.values()):
            channel.on_writable()

    def connection_lost(self, exc: Exception | None) -> None:
        self._timer.cancel()
        self._end()
        self._server.connections.discard(self)

    def _end(self) -> None:
        """Gives back what the client held; the socket may live a little longer, unread."""
        if not self._over:
            self._over = True
            for number in list(self._channels):
                self._close_channel(number)
            self._server.ended(self)

    def _tick(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(self._heartbeat_seconds / 2, self._tick)
        self._transport.write(Heartbeat.marshal())
        # Ticks, not seconds: when this very loop was busy for long, the peer's heartbeats are late, not missing.
        self._silent_ticks += not self._held
        if self._silent_ticks > SILENT_TICKS_MAX:
            self.cut()

    # ---- frames --------------------------------------------------------------------------------------

    def _read(self) -> None:
        while not (self._held or self._over):
            number = 0
            try:
                number, received = self._next_frame()
                self._on_frame(number, received)
            except asyncio.IncompleteReadError:
                return
            except exceptions.AMQPSoftError as error:
                self._refuse_channel(number, error)
            except exceptions.AMQPHardError as error:
                self._refuse(error)
        if self._over:
            self._unread.clear()

    def _next_frame(self) -> tuple[int, frame.FrameTypes]:
        raw = self._next_bytes()
        try:
            _, number, received = frame.unmarshal(raw)
        except _NO_AMQP as error:
            raise exceptions.AMQPFrameError(f"this is no frame: {error}") from None
        return number, received

    def _next_bytes(self) -> bytes:
        size = _FRAME_OVERHEAD_BYTES
        if ProtocolHeader not in self._due:
            size += int.from_bytes(self._unread[3:_HEAD_BYTES])
        if size > self._frame_max_bytes:
            raise exceptions.AMQPFrameError(f"a frame of {size} bytes is larger than {self._frame_max_bytes}")
        if len(self._unread) < size:
            raise asyncio.IncompleteReadError(b"", size)
        raw = bytes(self._unread[:size])
        del self._unread[:size]
        return raw

    def _on_frame(self, number: int, received: frame.FrameTypes) -> None:
        match received:
            case Heartbeat():
                pass
            case commands.Connection.Close():
                self.send(0, commands.Connection.CloseOk())
                self._end()
                self._transport.close()
            case _ if self._due:
                self._on_handshake(received)
            case _ if number == 0:
                raise exceptions.AMQPCommandInvalid(f"{received.name} is not for channel 0")
            case _:
                self._on_channel(number, received)

    def _on_handshake(self, received: frame.FrameTypes) -> None:
        due = self._due.pop(0)
        match received:
            case _ if type(received) is not due:
                raise exceptions.AMQPCommandInvalid(f"{due.name} is due, not {received.name}")
            case ProtocolHeader():
                properties: FieldTable = {
                    "product": "demo broker",
                    "capabilities": dict.fromkeys(_CAPABILITIES, True),
                }
                self.send(0, commands.Connection.Start(server_properties=properties))
            case commands.Connection.StartOk():
                if (received.mechanism, received.response) != _LOGIN:
                    raise exceptions.AMQPAccessRefused("there is one user: guest, password guest, by PLAIN")
                self.send(0, commands.Connection.Tune(CHANNEL_MAX, FRAME_MAX_BYTES, HEARTBEAT_SECONDS))
            case commands.Connection.TuneOk():
                self._frame_max_bytes = min(received.frame_max or FRAME_MAX_BYTES, FRAME_MAX_BYTES)
                self._heartbeat_seconds = received.heartbeat
            case commands.Connection.Open():
                self._open(received.virtual_host)
            case _:
                pass

    def _open(self, virtual_host: str) -> None:
        if virtual_host != "/":
            raise exceptions.AMQPNotAllowed(f"vhost {virtual_host} not found")
        self.send(0, commands.Connection.OpenOk())
        self._timer.cancel()
        if self._heartbeat_seconds:
            self._tick()

    def _refuse(self, error: exceptions.AMQPError) -> None:
        self.send(0, commands.Connection.Close(*_reason(error)))
        self._end()
        self._transport.write_eof()  # half closed, so that the client can still read the reason
        self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(FAREWELL_SECONDS, self.cut)

    # ---- channels ------------------------------------------------------------------------------------

    def _on_channel(self, number: int, received: frame.FrameTypes) -> None:
        if isinstance(received, commands.Channel.Open):
            self._open_channel(number)
        elif number in self._refused_channels:
            self._on_refused_channel(number, received)
        elif number not in self._channels:
            raise exceptions.AMQPChannelError(f"channel {number} is not open")
        elif isinstance(received, commands.Channel.Close):
            self._close_channel(number)
            self.send(number, commands.Channel.CloseOk())
        elif number in self._publishing or not isinstance(received, Frame):
            self._on_content(number, received)
        elif isinstance(received, Basic.Publish):
            self._on_publish(number, received)
        else:
            self._channels[number].on_method(received)

    def _open_channel(self, number: int) -> None:
        if number in self._channels or number > CHANNEL_MAX:
            raise exceptions.AMQPChannelError(f"channel {number} is open already, or beyond {CHANNEL_MAX}")
        self._refused_channels.discard(number)
        self._channels[number] = self._server.open_channel(self, number)
        self.send(number, commands.Channel.OpenOk())

    def _close_channel(self, number: int) -> None:
        self._publishing.pop(number, None)
        if channel := self._channels.pop(number, None):
            channel.on_closed()

    def _refuse_channel(self, number: int, error: exceptions.AMQPError) -> None:
        if number not in self._channels:  # a login
            self._refuse(error)
            return
        self._close_channel(number)
        self._refused_channels.add(number)
        self.send(number, commands.Channel.Close(*_reason(error)))

    def _on_refused_channel(self, number: int, received: frame.FrameTypes) -> None:
        """The client may not know yet; what it sent meanwhile is passed over until it does."""
        if isinstance(received, commands.Channel.CloseOk):
            self._refused_channels.discard(number)
        elif isinstance(received, commands.Channel.Close):
            self.send(number, commands.Channel.CloseOk())

    def _on_publish(self, number: int, method: Basic.Publish) -> None:
        self._publishing[number] = _Publishing(method)
        self._publishes = True
        if self._server.blocked:
            self.hold()

    def _on_content(self, number: int, received: frame.FrameTypes) -> None:
        match self._publishing.get(number), received:
            case _Publishing(header=None) as publishing, ContentHeader():
                _check(received)
                publishing.header, publishing.missing_bytes = received, received.body_size
            case _Publishing(header=ContentHeader()) as publishing, ContentBody():
                publishing.parts.append(received.value)
                publishing.missing_bytes -= len(received.value)
            case _:
                raise exceptions.AMQPUnexpectedFrame(f"{received.name} is not due on channel {number}")
        if publishing.missing_bytes <= 0 and publishing.header:
            method, properties = self._publishing.pop(number).method, publishing.header.properties
            message = Message(method.exchange, method.routing_key, properties, b"".join(publishing.parts))
            self._channels[number].on_publish(method, message)


def _check(header: ContentHeader) -> None:
    if header.body_size > BODY_MAX_BYTES:
        raise exceptions.AMQPPreconditionFailed(f"message size {header.body_size} is larger than {BODY_MAX_BYTES}")
    try:
        header.properties.marshal()
    except (TypeError, ValueError) as error:
        raise exceptions.AMQPNotImplemented(f"these properties could not be sent on: {error}") from None


def _reason(error: Any) -> tuple[int, str, int, int]:
    """Code and sentence, as much of it as a short string of AMQP holds; the method at fault is left unsaid."""
    sentence = f"{error.name.replace('-', '_')} - {error}"
    return error.value, sentence.encode()[:255].decode(errors="ignore"), 0, 0
