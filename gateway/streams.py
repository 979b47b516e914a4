"""Server-sent events: the same snapshots as everywhere, for whoever has no socket."""

from collections.abc import AsyncIterator
from contextlib import ExitStack

import anyio
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from gateway.asking import Asking
from gateway.relay import NoSuchExport
from gateway.states import Snapshot
from service.errors import Trouble

_RETRY_MS = 2000
_LOOK_UP_SECONDS = 1.0
"""So long a stream may outlive the order to end."""


async def events(asking: Asking, request: Request, export_id: str) -> Response:
    """The state now, and at each change, until the end. 204, which ends an EventSource, when the end was seen."""
    principal, shown = await asking.export(request, export_id)
    seen = request.headers.get("last-event-id")
    if shown.known.is_over and seen == shown.known.position:
        return Response(status_code=204)
    held = ExitStack()
    held.enter_context(asking.limits.stream(asking.subject_of(principal)))
    return _Events(_stream(asking, shown, seen), held)


class _Events(StreamingResponse):
    """Lets go of its place also when the client is gone before the first event: then `_stream` is never begun."""

    def __init__(self, stream: AsyncIterator[bytes], held: ExitStack) -> None:
        headers = {"cache-control": "no-cache, no-transform", "x-accel-buffering": "no"}
        super().__init__(stream, headers=headers, media_type="text/event-stream")
        self._held = held

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with self._held:
            await super().__call__(scope, receive, send)


async def _stream(asking: Asking, shown: Snapshot, seen: str | None) -> AsyncIterator[bytes]:
    yield f"retry: {_RETRY_MS}\n\n".encode()
    if shown.known.position != seen:
        yield _event(shown)
    silent_seconds = 0.0
    while not (shown.known.is_over or asking.parts.is_draining):
        changed = await _changed(asking, shown)
        if changed is None:
            silent_seconds += _LOOK_UP_SECONDS
            if silent_seconds >= asking.parts.settings.socket_heartbeat_seconds:
                silent_seconds = 0.0
                yield b": still here\n\n"
        else:
            shown, silent_seconds = changed, 0.0
            yield _event(shown)


async def _changed(asking: Asking, shown: Snapshot) -> Snapshot | None:
    try:
        return await asking.parts.relay.changed(shown.head.export_id, shown.known.position, _LOOK_UP_SECONDS)
    except (Trouble, NoSuchExport):
        await anyio.sleep(_LOOK_UP_SECONDS)
        return None


def _event(shown: Snapshot) -> bytes:
    return b"id: %b\nevent: state\ndata: %b\n\n" % (shown.known.position.encode(), shown.body)
