"""What an operator can set for a gateway, by environment variables that begin with EXPORT_."""

import ipaddress
import secrets
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, SecretStr, model_validator

from contracts.limits import MAX_MESSAGE_BYTES
from service.settings import Seconds, StorageSettings, WorkerSettings, table

_PAGE = """# Settings
Environment variables; durations are in seconds. A variable that holds a secret may be a file in `/run/secrets` instead,
named like it in lower case. Lists are written as JSON. (This page is made by `make contracts`.)

## Workers
{worker}
## Gateways
{gateway}"""

SECRET_BYTES = 32
"""Shorter ones can be guessed: RFC 7518 section 3.2 asks for as many as the hash has."""

Limit = Annotated[int, Field(ge=1, le=10_000_000)]


class GatewaySettings(StorageSettings):
    """A gateway's. All replicas have the same."""

    gateway_host: str = "127.0.0.1"
    """Where the API and the page are served."""
    gateway_port: Annotated[int, Field(ge=0, le=65_535)] = 8080
    """0 takes a free one, which the log names."""
    public_url: str | None = None
    """The address under which browsers reach the gateway, behind a proxy; without it, what they ask for (`Host`)."""

    # ---- who may do what

    gateway_auth: Literal["jwt", "none"] = "jwt"
    """`none` lets everybody do everything; allowed on a loopback address only."""
    gateway_secret: SecretStr | None = None
    """At least 32 bytes, the same for all replicas; signs tickets and links, and makes ids of idempotency keys."""
    jwt_issuer: str | None = None
    """The `iss` that tokens must have."""
    jwt_audience: str | None = None
    """The `aud` that tokens must have."""
    jwt_algorithms: tuple[str, ...] = ("RS256", "ES256", "EdDSA")
    """Signatures that are accepted; HS256 with EXPORT_JWT_KEY."""
    jwt_jwks_url: str | None = None
    """Where the keys that sign tokens are published."""
    jwt_jwks_file: Path | None = None
    """A file with them instead."""
    jwt_key: SecretStr | None = None
    """A shared key instead, of at least 32 bytes."""
    jwt_tenant_claim: str = "tenant"
    """The claim that says for whom an export is made; of another tenant's exports nothing is seen."""
    jwt_projects_claim: str = "projects"
    """The claim with the ids of the projects that may be exported, or "*"; without it there are none."""
    jwt_cookie: str | None = None
    """A cookie that may hold the token in place of the Authorization header."""
    jwks_refresh_seconds: Seconds = 300.0
    """How often keys are fetched anew; an unknown key is asked for at most ten times as often."""
    allowed_origins: tuple[str, ...] = ()
    """Other sites whose pages may use the API, such as `https://studio.example`."""
    ticket_seconds: Seconds = 30.0
    """How long a ticket lets a page open its socket."""
    socket_authority_seconds: Seconds = 900.0
    """After so long a socket must show a new ticket, or is closed."""
    link_days: Annotated[int, Field(ge=1, le=365)] = 7
    """How long a link to a download is good."""

    # ---- where projects come from, when a request does not hold one

    project_directory: Path | None = None
    """Holds `{id}/project.json`, in the contract's form or the studio's."""
    project_url: str | None = None
    """Such as `http://studio.internal/projects`; `/{id}` follows. The caller's token goes along."""
    project_timeout_seconds: Seconds = 10.0
    """How long that may take."""

    # ---- limits

    body_bytes: Annotated[int, Field(ge=1024, le=MAX_MESSAGE_BYTES)] = MAX_MESSAGE_BYTES
    """The largest body of a request."""
    requests_per_minute: Limit = 600
    """Of one subject, at one replica."""
    exports_per_minute: Limit = 30
    """Of one subject, at one replica."""
    exports_in_flight: Limit = 20
    """Unfinished exports of one tenant, at all replicas."""
    sockets_at_most: Limit = 20_000
    """Open sockets of one replica."""
    sockets_per_subject: Limit = 50
    """Of them, one subject's."""
    exports_per_socket: Limit = 64
    """Exports, or projects, that one socket follows."""
    frames_per_second: Limit = 20
    """From one socket."""
    hello_seconds: Seconds = 5.0
    """How long a new socket may be silent."""
    socket_heartbeat_seconds: Seconds = 15.0
    """How often each socket hears something."""
    downloads_at_once: Limit = 64
    """At one replica."""
    stall_seconds: Seconds = 60.0
    """A download that takes no bytes for so long is ended."""
    confirm_seconds: Seconds = 5.0
    """How long the broker may take to confirm a command before the caller is told 503."""
    silent_seconds: Seconds = 5.0
    """An export that somebody watches, and that was silent for so long, is looked up in storage."""
    silent_at_most_seconds: Seconds = 30.0
    """So long between two such looks, when nothing changes."""
    remembered_exports: Limit = 100_000
    """States kept in memory that nobody watches; about 1 KB each."""
    gateway_drain_seconds: Annotated[float, Field(gt=0, le=300)] = 10.0
    """After SIGTERM: over so long the sockets are closed, a few at a time."""

    @model_validator(mode="after")
    def _is_safe(self) -> Self:
        if self.gateway_auth == "none" and not is_loopback(self.gateway_host):
            raise ValueError("EXPORT_GATEWAY_AUTH=none is for loopback addresses only, such as 127.0.0.1")
        if self.gateway_auth == "jwt":
            self._insist_on_keys()
        for name in ("gateway_secret", "jwt_key"):
            secret: SecretStr | None = getattr(self, name)
            if secret is not None and len(secret.get_secret_value().encode()) < SECRET_BYTES:
                raise ValueError(f"EXPORT_{name.upper()} has fewer than {SECRET_BYTES} bytes")
        return self

    def _insist_on_keys(self) -> None:
        if self.gateway_secret is None:
            raise ValueError("EXPORT_GATEWAY_SECRET is not set")
        if self.jwt_issuer is None or self.jwt_audience is None:
            raise ValueError("EXPORT_JWT_ISSUER and EXPORT_JWT_AUDIENCE must be set (or EXPORT_GATEWAY_AUTH=none)")
        sources = [self.jwt_jwks_url, self.jwt_jwks_file, self.jwt_key]
        if sum(source is not None for source in sources) != 1:
            raise ValueError("exactly one of EXPORT_JWT_JWKS_URL, EXPORT_JWT_JWKS_FILE, EXPORT_JWT_KEY must be set")
        if (self.jwt_key is not None) != all(name.startswith("HS") for name in self.jwt_algorithms):
            raise ValueError("EXPORT_JWT_ALGORITHMS must be HS256 with EXPORT_JWT_KEY, and only with it")

    def secret(self) -> bytes:
        """What signs; made up anew at each start where nobody needs to be kept out."""
        return secrets.token_bytes(SECRET_BYTES) if self.gateway_secret is None else (
            self.gateway_secret.get_secret_value().encode()
        )  # fmt: skip


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches it."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


if __name__ == "__main__":
    print(_PAGE.format(worker=table(WorkerSettings), gateway=table(GatewaySettings)), end="")  # noqa: T201 - the page
