"""Around every request: who may call from where, headers of every answer, and a log of what nobody foresaw."""

import logging
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.asking import EXTRA_HEADERS
from gateway.parts import Parts
from gateway.problems import Problem, response

log = logging.getLogger(__name__)

_SAFE = {"GET", "HEAD", "OPTIONS"}
_WITHOUT_HOST = {"/livez", "/readyz", "/metrics"}
"""Asked by whoever has this host's address only."""


class Guard:
    """The outermost of the HTTP side."""

    def __init__(self, app: ASGIApp, parts: Parts) -> None:
        self._app = app
        self._parts = parts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        answer = _Answer(scope, send)
        if not self._may_call(scope):
            problem = Problem(403, "origin-refused", "Pages of this origin may not use the API.")
            await response(problem, scope["path"])(scope, receive, answer.send)
        else:
            await self._answered(scope, receive, answer)
        self._parts.metrics.requests.labels(scope["method"], _route(scope), answer.status).inc()

    async def _answered(self, scope: Scope, receive: Receive, answer: "_Answer") -> None:
        try:
            await self._app(scope, receive, answer.send)
        except Exception:
            # It was answered, if that was still possible (gateway/problems.py).
            log.exception("%s %s met an unexpected error", scope["method"], scope["path"])

    def _may_call(self, scope: Scope) -> bool:
        if scope["path"] in _WITHOUT_HOST:
            return True
        headers = {name: value.decode("latin-1") for name, value in scope["headers"]}
        origin = None if scope["method"] in _SAFE else headers.get(b"origin")
        return self._parts.auth.allows_origin(origin, headers.get(b"host"))


class _Answer:
    """Adds to the headers, and remembers the status."""

    def __init__(self, scope: Scope, send: Send) -> None:
        self._scope = scope
        self._send = send
        self.status = 0

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self._add(message)
        await self._send(message)

    def _add(self, message: Any) -> None:
        names = {name.lower() for name, _ in message["headers"]}
        added = {**_EVERYWHERE, **self._scope.get(EXTRA_HEADERS, {})}
        missing = [(name.encode(), value.encode()) for name, value in added.items() if name.encode() not in names]
        message["headers"] = [*message["headers"], *missing]


_EVERYWHERE = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cache-control": "no-store",
    "cross-origin-resource-policy": "same-origin",
}


def _route(scope: Scope) -> str:
    """The pattern, never the path: it would name exports, and there is no end of them."""
    return getattr(scope.get("route"), "path", "none")
