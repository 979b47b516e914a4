"""Who asks for what: tells the caller, counts the request, and finds the export that is theirs."""

import re
from dataclasses import dataclass

from starlette.requests import Request

from gateway.auth import CannotTell, Principal, Unauthenticated
from gateway.limits import Limits
from gateway.parts import Parts
from gateway.problems import Problem, not_found, unavailable
from gateway.relay import NoSuchExport
from gateway.states import Snapshot

EXTRA_HEADERS = "export.headers"
"""Where in a request's scope the headers are that its answer gets, whatever it is."""
_EXPORT_ID = re.compile(r"[a-z0-9-]{1,64}")


@dataclass(frozen=True, slots=True)
class Asking:
    """The first lines of every call."""

    parts: Parts
    limits: Limits

    async def principal(self, request: Request) -> Principal:
        """Raises Problem(401, 429, 503)."""
        try:
            principal = await self.parts.auth.principal(request.scope["headers"])
        except CannotTell as fault:
            raise unavailable("cannot-authenticate", f"{fault.detail}.".capitalize()) from None
        except Unauthenticated as fault:
            detail = f"{fault.detail[:1].upper()}{fault.detail[1:]}."
            raise Problem(401, "unauthenticated", detail, headers={"www-authenticate": "Bearer"}) from None
        self._count(request, principal)
        return principal

    def _count(self, request: Request, principal: Principal) -> None:
        try:
            headers = self.limits.request(self.subject_of(principal))
        except Problem:
            self.parts.metrics.limited.inc()
            raise
        request.scope.setdefault(EXTRA_HEADERS, {}).update(headers)

    @staticmethod
    def subject_of(principal: Principal) -> str:
        """Two tenants may have a user of the same name."""
        return f"{principal.tenant or ''}\n{principal.subject}"

    async def export(self, request: Request, export_id: str) -> tuple[Principal, Snapshot]:
        """The export, if it is the caller's. Raises Problem, and Trouble."""
        principal = await self.principal(request)
        return principal, await self.owned(principal, export_id)

    async def owned(self, principal: Principal, export_id: str) -> Snapshot:
        """Raises Problem(404), also for what is somebody else's."""
        shown = await self.any(export_id)
        if not principal.owns(shown.head):
            raise not_found("export", export_id)
        return shown

    async def any(self, export_id: str) -> Snapshot:
        """Whoever asks: for those who hold a signed link. Raises Problem(404)."""
        if not _EXPORT_ID.fullmatch(export_id):
            raise not_found("export", export_id)
        try:
            return await self.parts.relay.snapshot(export_id)
        except NoSuchExport:
            raise not_found("export", export_id) from None
