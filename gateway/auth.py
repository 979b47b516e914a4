"""Who asks, and what is theirs: tokens from outside; tickets and signed links, which this service gives out itself.

Nothing secret is ever in an error or a log. Every purpose has a key of its own, derived from the one secret.
"""

import hashlib
import hmac
import logging
from base64 import urlsafe_b64encode
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import jwt
from starlette.requests import cookie_parser

from gateway.keys import KeySet, NoKeys, UnknownKey, keys_at, keys_in
from gateway.settings import GatewaySettings, is_loopback
from gateway.states import Head

log = logging.getLogger(__name__)

Headers = Mapping[bytes, bytes] | Iterable[tuple[bytes, bytes]]
"""As ASGI has them: names in lower case."""

EVERY_PROJECT = "*"
_TICKET_AUDIENCE = "ws"
_REQUIRED = ["exp", "aud", "iss", "sub"]
_LEEWAY_SECONDS = 10
_TOKEN_BYTES = 16 * 1024
_TENANT_CHARACTERS = 128
_SUBJECT_CHARACTERS = 256
"""Both as in the contract's `requested_by`."""
_HOUR = timedelta(hours=1)


class Unauthenticated(Exception):
    """Nobody knows who asks."""

    def __init__(self, detail: str, *, expired: bool = False) -> None:
        super().__init__(detail)
        self.detail = detail
        self.expired = expired
        """It was good once; another one of the same origin will do."""


class CannotTell(Unauthenticated):
    """The keys that would tell were never fetched; the token may be good."""


@dataclass(frozen=True)
class Principal:
    """Who asks."""

    subject: str
    tenant: str | None
    projects: frozenset[str] | None
    """That may be exported; nothing stands for all of them."""

    def may(self, project_id: str | None) -> bool:
        """Whether this project is theirs. What has no project is theirs who may see them all."""
        return self.projects is None or project_id in self.projects

    def owns(self, head: Head) -> bool:
        """Whether this export is theirs."""
        return self.tenant == head.tenant and self.may(head.project_id)


ANYBODY = Principal("anonymous", None, None)


class Auth:
    """Tells who asks, as the settings say."""

    def __init__(self, settings: GatewaySettings) -> None:
        self._settings = settings
        secret = settings.secret()
        self._ticket_key = _derived(secret, "tickets")
        self._link_key = _derived(secret, "links")
        self.ids_key = _derived(b"" if settings.gateway_secret is None else secret, "ids")
        """Of ids that are made from idempotency keys: the same at every replica, also where nobody is kept out."""
        self._keys = _key_set(settings)

    @asynccontextmanager
    async def refreshing(self) -> AsyncIterator[None]:
        """Keeps the keys of tokens fresh while the block runs."""
        if self._settings.gateway_auth == "none":
            log.info("EXPORT_GATEWAY_AUTH=none: no token is asked for, and only this machine is listened to")
        if self._keys is None:
            yield
            return
        async with self._keys.refreshing():
            yield

    # ---- tokens

    async def principal(self, headers: Headers) -> Principal:
        """By the bearer token, or the cookie if there may be one. Raises Unauthenticated."""
        if self._settings.gateway_auth == "none":
            return ANYBODY
        token = self.token(headers)
        if token is None:
            raise Unauthenticated("a bearer token is needed")
        return self._principal_of(await self._claims(token))

    def token(self, headers: Headers) -> str | None:
        """As it came, whatever it is worth. Raises Unauthenticated when there is more than one."""
        pairs = list(headers.items() if isinstance(headers, Mapping) else headers)
        given = [value for name, value in pairs if name == b"authorization"]
        if len(given) > 1:
            raise Unauthenticated("more than one Authorization header")
        if given:
            scheme, _, token = given[0].decode("latin-1").partition(" ")
            return token.strip() if scheme.lower() == "bearer" else None
        return self._cookie(value for name, value in pairs if name == b"cookie")

    def _cookie(self, values: Iterable[bytes]) -> str | None:
        name = self._settings.jwt_cookie
        if name is None:
            return None
        return cookie_parser("; ".join(value.decode("latin-1") for value in values)).get(name)

    async def _claims(self, token: str) -> dict[str, Any]:
        if len(token) > _TOKEN_BYTES:
            raise Unauthenticated("the token is too long")
        settings = self._settings
        return _decoded(
            token,
            await self._key_of(token),
            algorithms=list(settings.jwt_algorithms),
            audience=settings.jwt_audience,
            issuer=settings.jwt_issuer,
            leeway=_LEEWAY_SECONDS,
            options={"require": _REQUIRED},
        )

    async def _key_of(self, token: str) -> Any:
        if self._keys is None:
            assert self._settings.jwt_key is not None  # noqa: S101 - the settings insist on one of them
            return self._settings.jwt_key.get_secret_value()
        header = _header(token)
        # Before the keys are asked: what cannot be accepted anyway must not make anybody fetch anything.
        if header.get("alg") not in self._settings.jwt_algorithms:
            raise Unauthenticated("the token is signed in a way that is not accepted")
        try:
            return await self._keys.key(header.get("kid"))
        except UnknownKey:
            raise Unauthenticated("the token is signed with an unknown key") from None
        except NoKeys:
            raise CannotTell("the keys of tokens cannot be fetched now") from None

    def _principal_of(self, claims: Mapping[str, Any]) -> Principal:
        subject, tenant = claims["sub"], claims.get(self._settings.jwt_tenant_claim)
        if not _is_text(subject, _SUBJECT_CHARACTERS) or not (tenant is None or _is_text(tenant, _TENANT_CHARACTERS)):
            raise Unauthenticated("the token's subject or tenant is no text of a bearable length")
        return Principal(subject, tenant, _projects(claims.get(self._settings.jwt_projects_claim)))

    # ---- tickets

    def ticket(self, principal: Principal, origin: str | None) -> str:
        """Lets a page of this origin open a socket, soon."""
        now = datetime.now(UTC)
        claims = {
            "aud": _TICKET_AUDIENCE,
            "sub": principal.subject,
            "tenant": principal.tenant,
            "projects": EVERY_PROJECT if principal.projects is None else sorted(principal.projects),
            "origin": origin,
            "exp": now + timedelta(seconds=self._settings.ticket_seconds),
        }
        return jwt.encode(claims, self._ticket_key, algorithm="HS256")

    def redeem(self, ticket: str, origin: str | None) -> Principal:
        """Raises Unauthenticated, which says when the ticket has merely expired."""
        claims = _decoded(
            ticket,
            self._ticket_key,
            algorithms=["HS256"],
            audience=_TICKET_AUDIENCE,
            options={"require": ["exp", "aud", "sub"]},
        )
        if claims.get("origin") != origin:
            raise Unauthenticated("the ticket was given to another origin")
        return Principal(claims["sub"], claims.get("tenant"), _projects(claims.get("projects")))

    # ---- links

    def sign_link(self, export_id: str, now: datetime | None = None) -> str:
        """The query that lets whoever has it download this export. The same for an hour, so that snapshots are too."""
        until = (now or datetime.now(UTC)) + timedelta(days=self._settings.link_days) + _HOUR
        expires = int(until.timestamp()) // 3600 * 3600
        return f"expires={expires}&signature={self._signature(export_id, str(expires))}"

    def is_signed(self, export_id: str, query: str, now: datetime | None = None) -> bool:
        """Whether the query is one that `sign_link` made for this export, and has not expired."""
        parts = parse_qs(query, max_num_fields=20) if len(query) < 1000 else {}
        expires, signature = parts.get("expires", []), parts.get("signature", [])
        if len(expires) != 1 or len(signature) != 1:
            return False
        if not hmac.compare_digest(self._signature(export_id, expires[0]).encode(), signature[0].encode()):
            return False
        return (now or datetime.now(UTC)).timestamp() < int(expires[0])

    def _signature(self, export_id: str, expires: str) -> str:
        signed = hmac.digest(self._link_key, f"{export_id}\n{expires}".encode(), "sha256")
        return urlsafe_b64encode(signed).rstrip(b"=").decode()

    # ---- origins

    def allows_origin(self, origin: str | None, host: str | None) -> bool:
        """Whether a page of this origin may talk to us. Without one it is no page of a browser.

        Without tokens, every page that a browser has open could make itself a name of this machine (DNS rebinding):
        then it must be called by a name that only this machine has.
        """
        if self._settings.gateway_auth == "none" and not _is_loopback_name(host):
            return False
        if origin is None or origin in self._settings.allowed_origins:
            return True
        if self._settings.public_url is not None:
            return origin == _origin_of(self._settings.public_url)
        return bool(host) and _netloc(origin) == host


def _key_set(settings: GatewaySettings) -> KeySet | None:
    if settings.jwt_jwks_url is not None:
        return keys_at(settings.jwt_jwks_url, settings.jwks_refresh_seconds)
    if settings.jwt_jwks_file is not None:
        return keys_in(settings.jwt_jwks_file, settings.jwks_refresh_seconds)
    return None


def _derived(secret: bytes, purpose: str) -> bytes:
    return hmac.digest(secret, f"export-service gateway {purpose}".encode(), hashlib.sha256)


def _decoded(token: str, key: Any, **checks: Any) -> dict[str, Any]:
    try:
        return jwt.decode(token, key, **checks)
    except jwt.ExpiredSignatureError:
        raise Unauthenticated("the token has expired", expired=True) from None
    # ValueError and RecursionError: of the JSON in it.
    except (jwt.PyJWTError, ValueError, RecursionError) as fault:
        log.info("a token was refused: %s", type(fault).__name__)
        raise Unauthenticated("the token is not valid") from None


def _header(token: str) -> dict[str, Any]:
    try:
        return jwt.get_unverified_header(token)
    except (jwt.PyJWTError, ValueError, RecursionError):
        raise Unauthenticated("the token is not valid") from None


def _projects(claim: object) -> frozenset[str] | None:
    """None at all for whatever is not understood."""
    if claim == EVERY_PROJECT:
        return None
    return frozenset(one for one in claim if isinstance(one, str)) if isinstance(claim, list) else frozenset()


def _is_text(value: object, characters: int) -> bool:
    return isinstance(value, str) and 0 < len(value) <= characters


def _origin_of(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def _netloc(origin: str) -> str | None:
    try:
        return urlsplit(origin).netloc
    except ValueError:
        return None


def _is_loopback_name(host: str | None) -> bool:
    try:
        return is_loopback(urlsplit(f"//{host or ''}").hostname or "")
    except ValueError:
        return False
