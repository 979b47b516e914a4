"""From the bytes of a message to a command that is accepted, or to the decision that it cannot be carried out.

A message that is wrong speaks only for an id that nobody used before; otherwise it is put aside with its reason.
"""

import hashlib
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import NamedTuple, TypeVar

import anyio
from anyio import to_thread
from pydantic import TypeAdapter, ValidationError
from pydantic_core import from_json

from contracts import ErrorCode, ExportStart, Project, Stage
from contracts.base import ExportId, ProjectId
from contracts.faults import first_fault
from contracts.limits import MAX_MESSAGE_BYTES, MAX_PROJECT_BYTES
from contracts.messages import CONTRACT_VERSION, Message, ProjectRef
from service.errors import Conflict, Trouble, Verdict
from service.ledger import Decision, Ledger
from service.outcome import error_of
from service.references import resolve
from service.segments import Extent
from service.storage.port import SourceFault, SourceMissing, Storage

M = TypeVar("M", bound=Message)

# So much of a message that is too large is looked at for its id.
_GLANCE_BYTES = 64 * 1024
_LOOK_AGAIN_AFTER_SECONDS = (0.2, 1.0)
_EXPORT_ID: TypeAdapter[str] = TypeAdapter(ExportId)
_PROJECT_ID: TypeAdapter[str] = TypeAdapter(ProjectId)
_TOO_MUCH = {"too_long", "string_too_long", "less_than_equal"}


class Unusable(Exception):
    """The message can be neither carried out nor answered."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail


class Glance(NamedTuple):
    """What can be read of a message, whatever else is wrong with it."""

    export_id: str | None
    project_id: str | None
    version: int | None


async def accept(
    body: bytes, headers: Mapping[str, object], ledger: Ledger, *, is_new: bool = True
) -> ExportStart | Decision:
    """The accepted command; or the decision on an id whose first and only message is no good.

    Unless it `is_new`, the message was handed on with a pause: what it refers to is looked for once.
    Raises Unusable for what must be put aside, and Trouble when another worker, or this one later, may do better.
    """
    try:
        command = await to_thread.run_sync(read_message, body, ExportStart)
        project = await _project_of(command, ledger, _LOOK_AGAIN_AFTER_SECONDS if is_new else ())
        return await to_thread.run_sync(_accept, command, project, ledger)
    except Verdict as verdict:
        return await refuse(body, headers, verdict, ledger)
    except Conflict as conflict:
        raise Unusable(conflict.code, conflict.detail) from None


def _accept(command: ExportStart, project: Project | None, ledger: Ledger) -> ExportStart:
    ledger.open()
    accepted = ledger.accept(command, project)
    # What is decided is owed since it was asked for, or told: who wakes up after that owes nothing.
    if not ledger.is_decided(command.export_id):
        ledger.owe(command.export_id)
    return accepted


async def refuse(body: bytes, headers: Mapping[str, object], verdict: Verdict, ledger: Ledger) -> Decision:
    """Decides `failed` in the name of the message's id. Raises Unusable when it has none, or the id has a command."""
    seen = await to_thread.run_sync(glance, body, headers)
    if seen.export_id is None:
        raise Unusable(verdict.code, f"{verdict.detail}; and no export_id can be read, in whose name it could fail")
    try:
        return await to_thread.run_sync(_refuse, seen, body, verdict, ledger)
    except Conflict as conflict:
        raise Unusable(verdict.code, f"{verdict.detail}; and {conflict.detail}") from None


def _refuse(seen: Glance, body: bytes, verdict: Verdict, ledger: Ledger) -> Decision:
    ledger.open()
    assert seen.export_id is not None  # noqa: S101 - the caller looked
    error = error_of(verdict, Stage.ACCEPTING)
    fingerprint = hashlib.sha256(body).hexdigest()
    was_decided = ledger.is_decided(seen.export_id)
    decision = ledger.refuse(seen.export_id, fingerprint, error, seen.project_id, datetime.now(UTC))
    if not was_decided:
        ledger.owe(seen.export_id)
    ledger.open()  # what was written where the root is to be mounted is not kept
    return decision


# ---- reading


def read_message(body: bytes, kind: type[M]) -> M:
    """The message in `body`. Raises Verdict(invalid_message, limit_exceeded), Trouble(unsupported_version)."""
    if len(body) > MAX_MESSAGE_BYTES:
        raise Verdict(
            ErrorCode.LIMIT_EXCEEDED,
            f"the message has {len(body):,} bytes; MAX_MESSAGE_BYTES is {MAX_MESSAGE_BYTES:,}: use project_ref",
        )
    try:
        message = kind.model_validate_json(body)
    except ValidationError as fault:
        _insist_on_known(glance(body, {}).version)
        raise _verdict_on(fault) from None
    _insist_on_known(message.version)
    return message


def _insist_on_known(version: int | None) -> None:
    if version is not None and version > CONTRACT_VERSION:
        raise Trouble(
            ErrorCode.UNSUPPORTED_VERSION,
            # Whoever writes a thousand digits has them in no log.
            f"the message is of contract version {str(version)[:20]}; this worker knows up to {CONTRACT_VERSION}",
        )


def _verdict_on(fault: ValidationError) -> Verdict:
    is_too_much = fault.errors(include_url=False, include_input=False)[0]["type"] in _TOO_MUCH
    code = ErrorCode.LIMIT_EXCEEDED if is_too_much else ErrorCode.INVALID_MESSAGE
    return Verdict(code, first_fault(fault))


def glance(body: bytes, headers: Mapping[str, object]) -> Glance:
    """Looks at a body, which may be cut off, and at its CloudEvents subject. Never raises.

    >>> glance(b'{"export_id": "e-1", "project": {"id": "p1", "sections": [{"tit', {})
    Glance(export_id='e-1', project_id='p1', version=None)
    >>> glance(b"\\x00junk", {"ce-subject": "e-2"}).export_id
    'e-2'
    """
    try:
        # Only a body that ends too early can be read in part; one that is broken inside cannot be read at all.
        top = from_json(body if len(body) <= MAX_MESSAGE_BYTES else body[:_GLANCE_BYTES], allow_partial=True)
    except ValueError:
        top = {}
    fields: dict[str, object] = top if isinstance(top, dict) else {}
    project = fields.get("project")
    version = fields.get("version")
    return Glance(
        _if_valid(_EXPORT_ID, fields.get("export_id")) or _if_valid(_EXPORT_ID, headers.get("ce-subject")),
        _if_valid(_PROJECT_ID, project.get("id")) if isinstance(project, dict) else None,
        version if isinstance(version, int) and not isinstance(version, bool) else None,
    )


def _if_valid(kind: TypeAdapter[str], value: object) -> str | None:
    try:
        return kind.validate_python(value, strict=True)
    except ValidationError:
        return None


# ---- a project behind a reference


async def _project_of(command: ExportStart, ledger: Ledger, pauses: Sequence[float]) -> Project | None:
    """The project in the command, or the one that it refers to; nothing when that was read and stored before."""
    if command.project is not None or command.project_ref is None:
        return command.project
    if not await to_thread.run_sync(ledger.needs_project, command):
        return None
    for pause in pauses:
        try:
            return await to_thread.run_sync(_read_project, command.project_ref, ledger.storage)
        except SourceFault:
            await anyio.sleep(pause)
    try:
        return await to_thread.run_sync(_read_project, command.project_ref, ledger.storage)
    except SourceFault as fault:
        what = "is not there" if isinstance(fault, SourceMissing) else str(fault)
        # Perhaps for this worker only, whose mount point is empty, or who may not read it.
        raise Trouble(ErrorCode.PROJECT_UNAVAILABLE, f'project_ref "{command.project_ref.uri[:200]}" {what}') from None


def _read_project(reference: ProjectRef, storage: Storage) -> Project:
    storage.check_roots()
    source = resolve(reference.uri, storage.roots, storage.real_roots)
    version = storage.look(source)
    if version.size_bytes > MAX_PROJECT_BYTES:
        raise Verdict(
            ErrorCode.LIMIT_EXCEEDED,
            f"the project has {version.size_bytes:,} bytes; MAX_PROJECT_BYTES is {MAX_PROJECT_BYTES:,}",
        )
    body = b"".join(
        bytes(piece) for piece in storage.read(Extent(source.root, source.key, 0, version.size_bytes, version))
    )
    if hashlib.sha256(body).hexdigest() != reference.sha256:
        raise Verdict(ErrorCode.PROJECT_UNAVAILABLE, f'project_ref "{reference.uri[:200]}" has another SHA-256')
    try:
        return Project.model_validate_json(body)
    except ValidationError as fault:
        refusal = _verdict_on(fault)
        raise Verdict(refusal.code, f"project_ref: {refusal.detail}") from None
