"""What an operator can set, by environment variables that begin with EXPORT_ (docs/settings.md).

`_secrets_dir` (pydantic-settings) names a directory in which a secret may be a file instead, named in lower case.
"""

import re
import socket
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, AmqpDsn, Field, SecretStr, TypeAdapter, ValidationError, field_validator
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, SettingsConfigDict

Seconds = Annotated[float, Field(gt=0, le=10 * 365 * 86_400)]


_SCOPE = re.compile(r"(?:[^{}]|\{project_id\}|\{tenant\})*")


def checked_scope(scope: str) -> str:
    """Raises ValueError for a template that would let everything, or nothing, pass by mistake."""
    if scope and not (_SCOPE.fullmatch(scope) and scope.endswith("/") and not scope.startswith("/")):
        raise ValueError("is no scope such as projects/{project_id}/ or {tenant}/")
    return scope


class BrokerSettings(BaseSettings):
    """Where RabbitMQ is."""

    model_config = SettingsConfigDict(
        env_prefix="EXPORT_",
        env_ignore_empty=True,  # a compose file cannot leave out a variable
        frozen=True,
        hide_input_in_errors=True,
        use_attribute_docstrings=True,
    )

    broker_url: SecretStr = SecretStr("amqp://guest:guest@127.0.0.1:5672/")
    """AMQP address with user, password and virtual host."""
    heartbeat_seconds: Annotated[int, Field(ge=1, le=600)] = 10
    """A connection that was silent for two to three of them is dead."""

    @field_validator("broker_url")
    @classmethod
    def _is_an_amqp_address(cls, url: SecretStr) -> SecretStr:
        try:
            TypeAdapter(AmqpDsn).validate_python(url.get_secret_value())
        except ValidationError:
            # Not pydantic's sentence: it would repeat the password.
            raise ValueError("is no address such as amqp://user:password@host:5672/") from None
        return url

    def address(self, name: str) -> str:
        """With the heartbeat and the connection's name in it, which clients take from there."""
        url = self.broker_url.get_secret_value()
        return f"{url}{'&' if '?' in url else '?'}heartbeat={self.heartbeat_seconds}&name=export-service+{name}"


class StorageSettings(BrokerSettings):
    """Where files are. Workers and gateways see the same directories."""

    media_root: Path
    """The directory that relative references of projects are beneath; only read."""
    media_scope: Annotated[str, AfterValidator(checked_scope)] = ""
    """What every reference must lie beneath in the media root, such as `projects/{project_id}/` or `{tenant}/`; without
    it a project may name any file there. Set it wherever not everybody may see everything."""
    trusted_checksums: bool = False
    """Believe the `crc32` that a project gives for a file of the media root, together with its `size_bytes`. A file of
    64 KiB and more whose blocks can be shared (media and exports on one XFS or btrfs) is then not read, and takes no
    time; but if its checksum is wrong the ZIP does not unpack. Any other file is read in any case. For workers."""
    exports_root: Path
    """The directory that exports are written to; made once by `export-service check --init`."""


class WorkerSettings(StorageSettings):
    """A worker's."""

    worker_name: str = Field(default_factory=socket.gethostname)
    """Tells workers apart: an export that hits a fault of the program on two of them is decided failed."""
    prefetch: Annotated[int, Field(ge=1, le=1000)] = 2
    """Exports at once."""
    copiers: Annotated[int, Field(ge=1, le=64)] = 4
    """Files copied at once at most, by all exports together; fewer, where more threads would only get in the way."""
    health_host: str = "127.0.0.1"
    """Where /livez and /readyz are answered."""
    health_port: Annotated[int, Field(ge=0, le=65_535)] = 8081
    """0 takes a free one, which the log names."""
    max_export_assets: Annotated[int, Field(ge=1)] | None = None
    """Finished assets that one export may ask for; one that asks for more is decided failed before any is looked at.
    For workers, all alike: what one of them decides holds."""
    max_export_bytes: Annotated[int, Field(ge=1)] | None = None
    """Bytes of all media of one export, its ZIP not counted; one with more is decided failed before any is copied.
    For workers, all alike."""
    probe_seconds: Seconds = 5.0
    """How often the worker looks whether its storage is there."""
    patience_seconds: Seconds = 10.0
    """How long an export in trouble keeps its slot; then it waits at the end of the queue."""
    unavailable_seconds: Seconds = 600.0
    """How long none of a project's files may be found, by two workers whose roots are there (three times as long, if
    there is one only), before the export is decided failed; and how long a message is handed on that is of a newer
    contract, or whose `project_ref` is not found."""
    deadline_seconds: Seconds = 86_400.0
    """An export that finished no file for so long is decided failed."""
    lost_after_seconds: Seconds = 600.0
    """A command that nobody works on for so long, with an empty queue, is published again."""
    reconcile_seconds: Seconds = 60.0
    """How often the worker looks for such commands."""
    sweep_seconds: Seconds = 3600.0
    """How often the worker removes what expired and what was abandoned."""
    abandoned_seconds: Seconds = 7 * 86_400.0
    """For how long the files of an unfinished export that nobody works on are kept."""
    watchdog_seconds: Seconds = 60.0
    """A worker whose consumers do not come back for so long, with broker and storage there, ends with exit code 1."""
    drain_seconds: Annotated[float, Field(gt=0, le=60)] = 4.0
    """After SIGTERM: the time until the process ends, finished or not."""


def first_fault_of(fault: ValidationError) -> str:
    """The variable and what is wrong with it; never its value, which may be a secret."""
    first: Any = fault.errors(include_url=False, include_input=False)[0]
    said = "is not set" if first["type"] == "missing" else first["msg"].removeprefix("Value error, ")
    return f"EXPORT_{str(first['loc'][0]).upper()}: {said}"


def table(settings: type[BaseSettings]) -> str:
    """All of them as a Markdown table."""
    head = "| variable | default | what it is |\n|---|---|---|\n"
    return head + "".join(_row(name, field) for name, field in settings.model_fields.items())


def _row(name: str, field: FieldInfo) -> str:
    return f"| `EXPORT_{name.upper()}` | {_default(field)} | {' '.join((field.description or '').split())} |\n"


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "must be set"
    return "the host's name" if field.default_factory is not None else _shown(field.default)


def _shown(default: object) -> str:
    match default:
        case SecretStr() as secret:
            return f"`{secret.get_secret_value()}`"
        case None | () | "":
            return "none"
        case tuple() as words:
            return ", ".join(words)
        case float() as seconds:
            return f"{seconds:g}"
        case _:
            return str(default)
