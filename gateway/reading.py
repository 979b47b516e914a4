"""Calls that only look: snapshots, history, plans, manifests, and what is a creator's own."""

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import crc32
from dataclasses import dataclass

from anyio import to_thread
from pydantic_core import from_json, to_json
from starlette.requests import Request
from starlette.responses import Response

from contracts import ExportCompleted
from gateway.asking import Asking
from gateway.downloads import Downloads
from gateway.planning import held, planned
from gateway.problems import Problem, not_found, of_verdict
from gateway.published import Which
from gateway.ranges import asked_for
from gateway.sources import is_project_id
from gateway.states import Snapshot
from gateway.thumbnails import Thumbnails
from service.contents import MANIFEST
from service.errors import Verdict

WAIT_AT_MOST_SECONDS = 30
EXPORTS_AT_MOST = 100
_WAIT = re.compile(r"(?:^|[,;\s])wait\s*=\s*\"?(\d{1,4})")


@dataclass(frozen=True, slots=True)
class Reading:
    """Those calls of one gateway."""

    asking: Asking
    downloads: Downloads
    thumbnails: Thumbnails

    async def snapshot(self, request: Request, export_id: str) -> Response:
        """Where the export is. With `Prefer: wait=N` and `If-None-Match`, when that has changed."""
        _, shown = await self.asking.export(request, export_id)
        known, wait = request.headers.get("if-none-match"), _wait(request)
        applied = {} if wait is None else {"preference-applied": f"wait={wait}"}
        if wait and known is not None and _is_known(known, shown):
            changed = await self.asking.parts.relay.changed(export_id, shown.known.position, wait)
            shown = changed or shown
        headers = {"etag": _etag(shown), "cache-control": "private, no-cache", **applied}
        if known is not None and _is_known(known, shown):
            return Response(status_code=304, headers=headers)
        return Response(shown.body, headers=headers, media_type="application/json")

    async def history(self, request: Request, project_id: str, limit: int, cursor: str | None) -> Response:
        """The project's exports, the newest first."""
        principal = await self.asking.principal(request)
        if not is_project_id(project_id) or not principal.may(project_id):
            raise not_found("project", project_id)
        records = self.asking.parts.records
        before = None if cursor is None else _mark_of(cursor)
        ids, mark = await to_thread.run_sync(records.history, project_id, before, limit)
        found = [await self._if_any(export_id) for export_id in ids]
        mine = [from_json(shown.body) for shown in found if shown is not None and principal.owns(shown.head)]
        following = None if mark is None else urlsafe_b64encode(mark.encode()).rstrip(b"=").decode()
        headers = {}
        if following is not None:
            headers["link"] = f'<{request.url.path}?limit={limit}&cursor={following}>; rel="next"'
        return Response(to_json({"exports": mine, "next": following}), headers=headers, media_type="application/json")

    async def _if_any(self, export_id: str) -> Snapshot | None:
        try:
            return await self.asking.any(export_id)
        except Problem:
            return None  # forgotten a moment ago

    async def plan(self, request: Request, export_id: str) -> Response:
        """What the export holds, or would hold if it were made now."""
        _, shown = await self.asking.export(request, export_id)
        ledger = self.asking.parts.ledger
        if shown.known.end is not None and shown.known.end.type == "export.completed":
            await self.downloads.insist_on_files(shown)
            found = await to_thread.run_sync(held, ledger, _event(shown), await self.downloads.laid_out(shown))
        else:
            command = await to_thread.run_sync(ledger.command, export_id)
            if command is None or command.project is None:
                raise Problem(404, "plan-not-found", "Nothing was ever planned for this export.")
            try:
                found = await planned(command, command.project, ledger)
            except Verdict as verdict:
                raise of_verdict(verdict) from None
        if found is None:
            raise Problem(410, "export-deleted", "The files of this export are not there any more.")
        return Response(found.model_dump_json(), media_type="application/json")

    async def manifest(self, request: Request, export_id: str) -> Response:
        """`manifest.json` as it is in the folder."""
        _, shown = await self.asking.export(request, export_id)
        await self.downloads.insist_on_files(shown)
        storage = self.asking.parts.storage
        content = await to_thread.run_sync(storage.get, f"{_event(shown).folder.name}/{MANIFEST}")
        if content is None:
            raise Problem(410, "export-deleted", "The files of this export are not there any more.")
        headers = {"etag": f'"{crc32(content):08x}-{len(content):x}"', "cache-control": "private, no-cache"}
        if asked_for({"if-none-match": request.headers.get("if-none-match", "")}, headers["etag"], 0).status == 304:
            return Response(status_code=304, headers=headers)
        return Response(content, headers=headers, media_type="application/json")

    async def archive(self, request: Request, export_id: str, which: Which) -> Response:
        """Its archive, for its owner or whoever has a signed link."""
        if self.asking.parts.auth.is_signed(export_id, request.url.query):
            shown = await self.asking.any(export_id)
        else:
            _, shown = await self.asking.export(request, export_id)
        return await self.downloads.archive(shown, request, which)

    async def thumbnail(self, request: Request, export_id: str, seq: int) -> Response:
        """A small picture of the sentence."""
        await self.asking.export(request, export_id)
        return await self.thumbnails.thumbnail(export_id, seq, request)

    async def ticket(self, request: Request) -> Response:
        """For the first frame of a socket."""
        principal = await self.asking.principal(request)
        auth, settings = self.asking.parts.auth, self.asking.parts.settings
        ticket = auth.ticket(principal, request.headers.get("origin"))
        answer = {"ticket": ticket, "expires_in": int(settings.ticket_seconds)}
        return Response(to_json(answer), 201, media_type="application/json")


def _event(shown: Snapshot) -> ExportCompleted:
    assert shown.known.end is not None  # noqa: S101 - the caller looked
    return ExportCompleted.model_validate_json(shown.known.end.body)


def _etag(shown: Snapshot) -> str:
    return f'"{shown.known.position}"'


def _is_known(if_none_match: str, shown: Snapshot) -> bool:
    return asked_for({"if-none-match": if_none_match}, _etag(shown), 0).status == 304


def _wait(request: Request) -> int | None:
    """RFC 7240; whole seconds."""
    found = _WAIT.search(request.headers.get("prefer", "").lower())
    return None if found is None else min(int(found[1]), WAIT_AT_MOST_SECONDS)


def _mark_of(cursor: str) -> str:
    try:
        return urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode("ascii")
    except ValueError:
        raise Problem(400, "bad-cursor", "The cursor is none that this service gave.") from None
