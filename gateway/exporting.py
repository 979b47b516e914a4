"""Calls that ask for something to be done: export, cancel, delete. Stored first, then published."""

import hashlib
import hmac
import logging
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID, uuid4

from anyio import to_thread
from pydantic import ValidationError
from pydantic_core import from_json
from starlette.requests import Request
from starlette.responses import Response

from contracts import ExportCancel, ExportDelete, ExportStart, Project
from contracts.messages import ProjectRef, Requester
from gateway.api import Accepted, ExportRequest
from gateway.asking import Asking
from gateway.auth import Principal
from gateway.bodies import body_of
from gateway.broker import BrokerUnavailable
from gateway.planning import planned, refuse_what_cannot_be
from gateway.problems import Problem, not_found, of_faults, of_verdict, unavailable
from gateway.sources import BadProject, NoSuchProject, SourceAway, is_project_id
from service.errors import Conflict, Verdict

log = logging.getLogger(__name__)

INLINE_BYTES = 256 * 1024
"""A larger project goes to the workers by reference: it is in the ledger already."""
KEY_CHARACTERS = 255
_FULL_SECONDS = 10


@dataclass(frozen=True, slots=True)
class Exporting:
    """Those calls of one gateway."""

    asking: Asking

    # ---- export

    async def start(self, request: Request, project_id: str, key: str | None) -> Response:
        """202 when the broker has confirmed. The same `key` with the same body is the same export."""
        principal = await self._allowed(request, project_id)
        wanted = await self._wanted(request, project_id)
        request.scope.setdefault("export.headers", {}).update(
            self.asking.limits.export(self.asking.subject_of(principal))
        )
        export_id = _new_id() if key is None else self._id_of(principal, project_id, key)
        command = None if key is None else await self._asked_before(export_id, wanted)
        if command is None:
            command = await self._stored(request, principal, project_id, wanted, export_id, has_key=key is not None)
        await self._publish(request, command, keeps=key is not None)
        return await self._accepted(request, principal, export_id)

    async def _allowed(self, request: Request, project_id: str) -> Principal:
        principal = await self.asking.principal(request)
        if not is_project_id(project_id) or not principal.may(project_id):
            raise not_found("project", project_id)
        return principal

    async def _wanted(self, request: Request, project_id: str) -> ExportRequest:
        body = await body_of(request, self.asking.parts.settings.body_bytes)
        try:
            wanted = await to_thread.run_sync(ExportRequest.read, body)
        except ValidationError as fault:
            raise of_faults(fault) from None
        except Verdict as verdict:
            raise of_verdict(verdict) from None
        if wanted.project is not None and wanted.project.id != project_id:
            detail = f'The project in the body has the id "{wanted.project.id}", the path another one.'
            raise Problem(422, "other-project", detail)
        return wanted

    def _id_of(self, principal: Principal, project_id: str, key: str) -> str:
        """The same on every replica: a UUID of version 8, which says that its bits are our own business."""
        parts = [principal.tenant or "", principal.subject, project_id, key]
        said = "".join(f"{len(part)}:{part}" for part in parts).encode()
        return _uuid(int.from_bytes(hmac.digest(self.asking.parts.auth.ids_key, said, "sha256")[:16]), version=8)

    async def _asked_before(self, export_id: str, wanted: ExportRequest) -> ExportStart | None:
        """The command that was stored for this key; the project may have changed since."""
        command = await to_thread.run_sync(self.asking.parts.ledger.command_as_sent, export_id)
        if command is not None:
            await to_thread.run_sync(self._insist_on_same, export_id, wanted)
        return command

    def _insist_on_same(self, export_id: str, wanted: ExportRequest) -> None:
        digest = hashlib.sha256(wanted.meaning()).hexdigest()
        if self.asking.parts.ledger.fingerprint(export_id, digest) != digest:
            detail = "This Idempotency-Key was used before with another body."
            raise Problem(422, "idempotency-key-reused", detail)

    async def _stored(
        self, request: Request, principal: Principal, project_id: str, wanted: ExportRequest, export_id: str,
        *, has_key: bool,
    ) -> ExportStart:  # fmt: skip
        await to_thread.run_sync(self._insist_on_room, principal)
        project = wanted.inline_project() or await self._from_source(request, project_id)
        command = _command(export_id, principal, wanted, project)
        try:
            await to_thread.run_sync(refuse_what_cannot_be, command, project, self.asking.parts.storage)
        except Verdict as verdict:
            raise of_verdict(verdict) from None
        if has_key:
            await to_thread.run_sync(self._insist_on_same, export_id, wanted)
        try:
            return await to_thread.run_sync(self._store, command, project)
        except Conflict:
            # Somebody asked with the same key at the same time, and was faster.
            first = await to_thread.run_sync(self.asking.parts.ledger.command_as_sent, export_id)
            if first is None:
                raise Problem(409, "conflict", "This export id belongs to a message that was refused.") from None
            return first

    def _insist_on_room(self, principal: Principal) -> None:
        """Whatever replica took them: what is unfinished is in the ledger."""
        parts = self.asking.parts
        heads = (parts.records.head(export_id) for export_id in parts.records.unfinished())
        in_flight = sum(head is not None and head.tenant == principal.tenant for head in heads)
        if in_flight >= parts.settings.exports_in_flight:
            parts.metrics.limited.inc()
            raise Problem(
                429,
                "too-many-exports",
                f"{in_flight} exports are unfinished; there may be {parts.settings.exports_in_flight} at once.",
                headers={"retry-after": str(_FULL_SECONDS)},
            )

    async def _from_source(self, request: Request, project_id: str) -> Project:
        parts = self.asking.parts
        try:
            return await parts.sources.project(project_id, parts.auth.token(request.scope["headers"]))
        except NoSuchProject:
            raise not_found("project", project_id) from None
        except SourceAway as fault:
            log.warning("project %s could not be fetched: %s", project_id, fault)
            raise unavailable("project-unavailable", "Whoever has the project does not answer now.") from None
        except BadProject as fault:
            raise Problem(422, "bad-project", f"The project cannot be exported: {fault}.") from None

    def _store(self, command: ExportStart, project: Project) -> ExportStart:
        ledger = self.asking.parts.ledger
        content = project.model_dump_json(exclude_defaults=True).encode()
        if len(content) > INLINE_BYTES:
            # Nobody will read it: a worker that knows the hash takes what is stored under this id.
            reference = ProjectRef(uri=f"asset:{command.export_id}.json", sha256=hashlib.sha256(content).hexdigest())
            command = command.model_copy(update={"project": None, "project_ref": reference})
        ledger.accept(command, project)
        ledger.owe(command.export_id)
        return command

    async def _publish(self, request: Request, command: ExportStart, *, keeps: bool) -> None:
        parts = self.asking.parts
        try:
            await parts.publisher.publish(command, request.headers.get("traceparent"))
        except BrokerUnavailable:
            parts.metrics.unconfirmed.inc()
            if not keeps:
                # Its caller will ask anew, under another id.
                await to_thread.run_sync(parts.ledger.cancel, command.export_id, "the broker did not take it in time")
            again = "Ask again with the same Idempotency-Key." if keeps else "Nothing was begun; ask again."
            raise unavailable("broker-unavailable", f"The broker did not confirm in time. {again}") from None

    async def _accepted(self, request: Request, principal: Principal, export_id: str) -> Response:
        parts = self.asking.parts
        head = await to_thread.run_sync(parts.records.head, export_id)
        assert head is not None  # noqa: S101 - it was stored just now
        parts.relay.began(head)
        parts.metrics.exports_asked.inc()
        shown = parts.relay.newest(export_id)
        assert shown is not None  # noqa: S101 - as above
        accepted = Accepted(
            export_id=export_id,
            job_id=export_id,
            status=shown.known.state,
            links=from_json(shown.body)["links"],
            ticket=parts.auth.ticket(principal, request.headers.get("origin")),
        )
        headers = {"location": f"/api/v1/exports/{export_id}", "retry-after": "1"}
        return Response(accepted.model_dump_json(), 202, headers, media_type="application/json")

    # ---- plan

    async def plan(self, request: Request, project_id: str) -> Response:
        """What an export would hold now."""
        principal = await self._allowed(request, project_id)
        wanted = await self._wanted(request, project_id)
        project = wanted.inline_project() or await self._from_source(request, project_id)
        # An id of its own, though nobody hears of it: texts have it, and so it counts in the archive's size.
        command = _command(_new_id(), principal, wanted, project)
        try:
            found = await planned(command, project, self.asking.parts.ledger)
        except Verdict as verdict:
            raise of_verdict(verdict) from None
        return Response(found.model_dump_json(), media_type="application/json")

    # ---- cancel and delete

    async def cancel(self, request: Request, export_id: str) -> Response:
        """202 with the state; 409 when it is over, or decided."""
        principal, shown = await self.asking.export(request, export_id)
        if shown.known.is_over or shown.known.is_decided:
            raise Problem(409, "export-over", f"The export is {shown.known.state}; it cannot be stopped any more.")
        parts = self.asking.parts
        await to_thread.run_sync(parts.ledger.cancel, export_id, f"asked for by {principal.subject}")
        await self._tell(ExportCancel(export_id=export_id, requested_by=_requester(principal)))
        await parts.relay.look(export_id)
        shown = parts.relay.newest(export_id) or shown
        return Response(shown.body, 202, {"location": f"/api/v1/exports/{export_id}"}, media_type="application/json")

    async def delete(self, request: Request, export_id: str) -> Response:
        """204 when its files are gone; 202 when it was unfinished, and is stopped."""
        principal, shown = await self.asking.export(request, export_id)
        parts = self.asking.parts
        await to_thread.run_sync(parts.ledger.delete, export_id, f"asked for by {principal.subject}")
        await self._tell(ExportDelete(export_id=export_id, requested_by=_requester(principal)))
        await parts.relay.look(export_id)
        return Response(status_code=204 if shown.known.is_over else 202)

    async def _tell(self, wish: ExportCancel | ExportDelete) -> None:
        """For speed: the wish is stored, and whoever works on the export looks for it."""
        try:
            await self.asking.parts.publisher.publish(wish)
        except BrokerUnavailable as fault:
            log.warning("%s of %s: %s; it is stored, and will be found", wish.type, wish.export_id, fault)


def _command(export_id: str, principal: Principal, wanted: ExportRequest, project: Project) -> ExportStart:
    return ExportStart(
        export_id=export_id,
        requested_at=datetime.now(UTC).replace(microsecond=0),
        requested_by=_requester(principal),
        project=project,
        options=wanted.options,
    )


def _requester(principal: Principal) -> Requester:
    return Requester(tenant=principal.tenant, subject=principal.subject)


def _new_id() -> str:
    """Later ones sort behind earlier ones."""
    milliseconds = time.time_ns() // 1_000_000
    return _uuid(milliseconds << 80 | uuid4().int & ((1 << 80) - 1), version=7)


def _uuid(bits: int, version: int) -> str:
    """RFC 9562 section 5.7 and 5.8; Python's own knows these versions from 3.14 on."""
    bits = bits & ~(0xF << 76) | version << 76
    return str(UUID(int=bits & ~(0x3 << 62) | 0x2 << 62))
