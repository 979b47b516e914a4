"""The socket at /ws in the studio's own dialect, so that its page works as it is. A subscription is to a project."""

import asyncio
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from math import inf
from time import monotonic
from typing import Any
from uuid import uuid4

from anyio import to_thread
from pydantic_core import from_json, to_json
from starlette.types import Receive, Scope, Send

from contracts import ExportCompleted, State
from contracts.messages import MESSAGES
from gateway.auth import Principal, Unauthenticated
from gateway.parts import Parts
from gateway.relay import NoSuchExport
from gateway.socket_outbox import Frame, Outbox
from gateway.sockets import TICKET_EXPIRED, Sockets, refuse_for_now
from gateway.states import Snapshot
from service.errors import Trouble

_PROJECT_ID_CHARACTERS = 50
_EXPORTS_LOOKED_AT = 5
_TOLD_AGAIN = timedelta(hours=1)
"""So long after its end an export is told to who subscribes: their socket may have been lost in between."""
_RESTART = 1012
"""The dialect has no codes of its own; this one is RFC 6455's."""

_STEPS = {
    "queued": "Waiting for a worker",
    State.PLANNING: "Looking at the files",
    State.COPYING: "Copying files",
    State.PACKING: "Making the ZIP",
    State.VERIFYING: "Checking everything",
    State.PUBLISHING: "Finishing",
    State.CANCELLING: "Stopping",
}


class StudioSockets:
    """All of them at one replica. What they may cost counts with `sockets`."""

    def __init__(self, parts: Parts, sockets: Sockets) -> None:
        self.parts = parts
        self._sockets = sockets

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        principal = await self._principal(scope)
        if principal is None:
            await send({"type": "websocket.close"})  # before it is accepted: 403
        elif not (self._sockets.takes_one_more() and self._sockets.count(principal.subject)):
            await refuse_for_now(send)
        else:
            try:
                await send({"type": "websocket.accept"})
                outbox = Outbox(send, self._frame, self._sockets.tally)
                await self._sockets.serve(_Session(self.parts, principal, outbox), receive)
            finally:
                self._sockets.uncount(principal.subject)

    async def _principal(self, scope: Scope) -> Principal | None:
        if not self.parts.auth.allows_origin(*self._sockets.origin_and_host(scope["headers"])):
            return None
        try:
            return await self.parts.auth.principal(scope["headers"])
        except Unauthenticated:
            return None

    def _frame(self, export_id: str) -> Frame | None:
        shown = self.parts.relay.newest(export_id)
        said = None if shown is None else _in_the_dialect(shown)
        return None if shown is None or said is None else Frame(to_json(said).decode(), shown.known.is_over)


class _Session:
    """One socket."""

    def __init__(self, parts: Parts, principal: Principal, outbox: Outbox) -> None:
        self._parts = parts
        self._principal = principal
        self._outbox = outbox
        self._projects: set[str] = set()
        self._unfinished: dict[str, str | None] = {}
        """Exports by id, with their projects: when events do not come, the relay asks storage for these."""
        is_open = parts.settings.gateway_auth == "none"
        self._authority_ends = inf if is_open else monotonic() + parts.settings.socket_authority_seconds

    async def run(self, receive: Receive) -> None:
        self._say("connected", clientId=uuid4().hex)
        while (message := await receive())["type"] == "websocket.receive":
            await self._obey(_read(message.get("text")))
            # The dialect has no code for "too fast": its client is only read as fast as it may speak.
            await asyncio.sleep(1 / self._parts.settings.frames_per_second)

    def end(self) -> None:
        for project_id in tuple(self._projects):
            self._forget(project_id)

    def beat(self, _: str, now: float) -> None:
        """The dialect has no heartbeat, and no ticket: its page opens another socket, and shows who it is again."""
        if now >= self._authority_ends:
            self._outbox.close(TICKET_EXPIRED, "open another socket")

    def leave(self) -> None:
        self._outbox.close(_RESTART, "this replica is ending")

    async def _obey(self, frame: dict[str, Any] | None) -> None:
        if frame is None:
            self._say("error", code="INVALID_MESSAGE", message="The message is no JSON object")
            return
        kind, project_id = frame.get("type"), frame.get("projectId")
        if kind not in {"subscribe", "unsubscribe"}:
            self._say("error", code="UNKNOWN_MESSAGE_TYPE", message="There are subscribe and unsubscribe")
        elif not isinstance(project_id, str) or not 0 < len(project_id) <= _PROJECT_ID_CHARACTERS:
            self._say("error", code="INVALID_PROJECT_ID", message="projectId must be a text of 1 to 50 characters")
        elif kind == "unsubscribe":
            self._forget(project_id)
            self._say("unsubscribed", projectId=project_id)
        else:
            await self._follow(project_id)

    async def _follow(self, project_id: str) -> None:
        too_many = len(self._projects) >= self._parts.settings.exports_per_socket and project_id not in self._projects
        if too_many or not self._principal.may(project_id):
            self._say("error", code="INVALID_PROJECT_ID", message="There is no such project, or it is not yours")
            return
        self._projects.add(project_id)
        self._parts.relay.listen_to_project(project_id, self._changed)
        self._say("subscribed", projectId=project_id)
        for export_id in await self._recent(project_id):
            shown = self._parts.relay.newest(export_id)
            if shown is not None and (not shown.known.is_over or _ended_lately(shown)):
                self._changed(export_id)

    async def _recent(self, project_id: str) -> list[str]:
        """The project's last exports, the oldest first, as far as they can be looked up; events will tell the rest."""
        with suppress(Trouble):
            ids, _ = await to_thread.run_sync(self._parts.records.history, project_id, None, _EXPORTS_LOOKED_AT)
            for export_id in ids:
                with suppress(NoSuchExport):
                    await self._parts.relay.snapshot(export_id)
            return ids[::-1]
        return []

    def _forget(self, project_id: str) -> None:
        if project_id in self._projects:
            self._projects.discard(project_id)
            self._parts.relay.forget_project(project_id, self._changed)
        for export_id in [one for one, of in self._unfinished.items() if of == project_id]:
            self._over(export_id)

    def _changed(self, export_id: str) -> None:
        shown = self._parts.relay.newest(export_id)
        if shown is None or not self._principal.owns(shown.head) or shown.head.project_id not in self._projects:
            return
        if shown.known.is_over:
            self._over(export_id)
        elif export_id not in self._unfinished:
            self._unfinished[export_id] = shown.head.project_id
            self._parts.relay.listen(export_id, self._hears_by_its_project)
        self._outbox.changed(export_id)

    def _over(self, export_id: str) -> None:
        self._unfinished.pop(export_id, None)
        self._parts.relay.forget(export_id, self._hears_by_its_project)

    def _hears_by_its_project(self, export_id: str) -> None:
        """What `_changed` is told anyway."""

    def _say(self, kind: str, **fields: object) -> None:
        self._outbox.say(to_json({"type": kind, **fields}).decode())


def _read(text: str | None) -> dict[str, Any] | None:
    try:
        frame = from_json(text or "")
    except ValueError:
        return None
    return frame if isinstance(frame, dict) else None


def _ended_lately(shown: Snapshot) -> bool:
    event = _end(shown)
    return event is not None and datetime.now(UTC) - event.at < _TOLD_AGAIN


def _end(shown: Snapshot) -> Any:
    end = shown.known.end
    return None if end is None else MESSAGES[end.type].model_validate_json(end.body)


def _in_the_dialect(shown: Snapshot) -> dict[str, Any] | None:
    """Nothing of an export that is gone."""
    known = shown.known
    job = {"projectId": shown.head.project_id, "jobId": shown.head.export_id, "jobType": "export"}
    if known.gone is not None:
        return None
    if known.end is None:
        step = list(_STEPS).index(known.state) + 1
        words = _STEPS[known.state]
        steps = {"totalSteps": len(_STEPS) - 1, "currentStep": min(step, len(_STEPS) - 1), "stepName": words}
        return {"type": "progress", **job, "progress": known.percent, "message": _message(shown, words), **steps}
    event = _end(shown)
    if isinstance(event, ExportCompleted):
        return {"type": "job_complete", **job, "result": _result(event, shown)}
    return {"type": "job_failed", **job, "error": f"{event.error.title}: {event.error.detail}"}


def _message(shown: Snapshot, words: str) -> str:
    progress = shown.known.progress
    if progress is None or shown.known.state != State.COPYING:
        return words
    return f"{words}: {progress.files.done} of {progress.files.total}"


def _result(event: ExportCompleted, shown: Snapshot) -> dict[str, Any]:
    return {
        "file": f"{event.folder.name}.zip" if event.archive is None else event.archive.name,
        "downloadUrl": from_json(shown.body)["links"]["download"],
        "folder": event.folder.name,
        "outcome": event.outcome,
        "omitted": event.omissions_total,
    }
