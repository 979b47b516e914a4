"""What is known of an export: small files beside the exports, each written once, the first wins.

Reads and writes them; knows nothing of copying. The layout is in ARCHITECTURE.md. Synchronous: call it from a thread.
"""

import hashlib
import json
import re
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, NamedTuple, NoReturn

from pydantic import TypeAdapter, ValidationError

from contracts import Error, ErrorCode, ExportFailed, ExportStart, Project, Terminal
from contracts.base import ProjectId
from contracts.messages import CONTRACT_VERSION, MESSAGES, Requester
from service.contents import ARCHIVE_ENDINGS
from service.errors import Conflict, Trouble
from service.naming import folder_name_beside
from service.storage.port import DRAFT, Storage

RECORDS = ".exports"
_STORE = f"{RECORDS}/store.json"
# No export_id has an underscore, so none can take these places.
_NAMES = f"{RECORDS}/_names"
_TRASH = f"{RECORDS}/_trash"
_OWED = f"{RECORDS}/_owed"
_PROJECTS = f"{RECORDS}/_projects"
_EXPORT_ID = re.compile(r"[a-z0-9-]{1,64}")
_PROJECT_ID: TypeAdapter[str] = TypeAdapter(ProjectId)
_WISHES = {"cancel.json", "gone.json", "request.json"}
_GENERATION = 2
"""Of stored commands. The first had every default spelled out, from before timelines and captions were made."""


@dataclass(frozen=True, slots=True)
class Decision:
    """The one end of an export, with everything that is needed to make it visible and to tell it again."""

    attempt: int
    """Whose tree it is; 0 when there is none."""
    folder: str | None
    archive: str | None
    event: Terminal
    body: bytes
    """The event as it was first told. Every repeat tells these bytes, whatever version of the models reads them."""

    @classmethod
    def of(cls, attempt: int, folder: str | None, archive: str | None, event: Terminal) -> "Decision":
        """What would be decided now."""
        return cls(attempt, folder, archive, event, event.model_dump_json().encode())

    def to_json(self) -> bytes:
        parts = {"attempt": self.attempt, "folder": self.folder, "archive": self.archive}
        return _json({**parts, "type": self.event.type, "body": self.body.decode()})

    @classmethod
    def from_json(cls, content: bytes) -> "Decision":
        parts = json.loads(content)
        event = MESSAGES[parts["type"]].model_validate_json(parts["body"])
        assert isinstance(event, Terminal), parts["type"]  # noqa: S101 - what we wrote ourselves
        return cls(parts["attempt"], parts["folder"], parts["archive"], event, parts["body"].encode())


class About(NamedTuple):
    """What one wants to know of an export without reading its project."""

    project_id: str
    project_name: str | None
    requested_at: datetime
    requested_by: Requester | None


@dataclass(frozen=True, slots=True)
class Ledger:
    """The records of one exports root."""

    storage: Storage
    store: str | None = None
    """The root's id, if it must be that one: another may be mounted in its place."""

    # ---- the root itself

    def open_or_make(self) -> str:
        """The root's id; makes a new root of an existing directory that has none."""
        self.storage.make_directories(RECORDS)
        self.storage.make_directories(_NAMES)
        self.storage.make_directories(_OWED)
        identity = hashlib.sha256(str(self.storage.version("")).encode() + str(datetime.now(UTC)).encode())
        self.storage.create(_STORE, _json({"store": identity.hexdigest()[:32], "layout": 1}))
        return self.open()

    def open(self) -> str:
        """The root's id. Raises Trouble(storage_unavailable) when this is no exports root, or not the one it was."""
        body = self.storage.get(_STORE)
        if body is None:
            raise Trouble(ErrorCode.STORAGE_UNAVAILABLE, "the exports root has no .exports/store.json: is it mounted?")
        store: str = json.loads(body)["store"]
        if self.store not in {None, store}:
            raise Trouble(ErrorCode.STORAGE_UNAVAILABLE, "another exports root was mounted in the place of this one")
        return store

    def bound(self) -> "Ledger":
        """The same records, and never those of another root. Raises as `open` does."""
        return replace(self, store=self.open())

    def touch(self) -> None:
        """Raises Trouble where nothing can be written."""
        self.storage.beat(RECORDS)

    def ids(self) -> list[str]:
        """Every export that has a record."""
        return [name for name in self.storage.names(RECORDS) if _EXPORT_ID.fullmatch(name)]

    # ---- command and name

    def needs_project(self, command: ExportStart) -> bool:
        """Whether the project that the command refers to must be read: what was read once may be gone since."""
        return command.project_ref is not None and self._project_read_before(command) is None

    def accept(self, command: ExportStart, project: Project | None) -> ExportStart:
        """Stores the command, or finds the one that came first; its time holds. What comes back has its project.

        The `project` is the verified one; it may lack where `needs_project` says so. Raises Conflict when the id
        belongs to another content, and Trouble(unsupported_version) for a command that a newer worker understands.
        """
        if command.version > CONTRACT_VERSION:
            raise Trouble(ErrorCode.UNSUPPORTED_VERSION, f"the command is of contract version {command.version}")
        self._insist_on_no_refusal(command.export_id)
        project = project or self._project_read_before(command)
        if project is None:
            raise Trouble(ErrorCode.PROJECT_UNAVAILABLE, "the project of the command was not read")
        place = f"{RECORDS}/{command.export_id}"
        self.storage.make_directories(place)
        if not self.storage.create(f"{place}/project.json", _model_json(project)):
            stored = self._project(command.export_id) or _swept_away(command.export_id)
            if _meaning(stored) != _meaning(project):
                raise Conflict(f'export "{command.export_id}" was asked for before with another project')
        self.storage.create(f"{place}/command.json", _command_json(command, project))
        self._insist_on_no_refusal(command.export_id)
        first = self._command(command.export_id) or _swept_away(command.export_id)
        if _asked(first) != _asked(command):
            raise Conflict(f'export "{command.export_id}" was asked for before with other options')
        self._list(first, project.id)
        return first.model_copy(update={"project": project})

    def _list(self, command: ExportStart, project_id: str) -> None:
        """Among the project's exports."""
        shelf = _shelf(project_id)
        self.storage.make_directories(shelf)
        self.storage.claim(f"{shelf}/{_listed_as(command.requested_at, command.export_id)}")
        self.storage.make_durable(shelf)

    def fingerprint(self, export_id: str, digest: str) -> str:
        """Of the first request that was made under this id: `digest`, unless there was one before."""
        place = f"{RECORDS}/{export_id}"
        self.storage.make_directories(place)
        self.storage.create(f"{place}/request.json", _json({"sha256": digest}))
        first: str = json.loads(self.storage.get(f"{place}/request.json") or b"{}").get("sha256", "")
        return first

    def _insist_on_no_refusal(self, export_id: str) -> None:
        if "refused" in self._stored(export_id):
            raise Conflict(f'export "{export_id}" was asked for before by a message that was refused')

    def _project_read_before(self, command: ExportStart) -> Project | None:
        """The project of an earlier command that referred to the same bytes."""
        stored = self._stored(command.export_id).get("project_ref") or {}
        if command.project_ref is None or stored.get("sha256") != command.project_ref.sha256:
            return None
        return self._project(command.export_id)

    def refuse(self, export_id: str, fingerprint: str, error: Error, project_id: str | None, at: datetime) -> Decision:
        """Decides `failed` for an invalid message whose id is new; `fingerprint` tells it from every other message.

        Raises Conflict when the id has a command, or belongs to another refused message. What the message gives for
        its project's id may be what is invalid, and is then not repeated.
        """
        place = f"{RECORDS}/{export_id}"
        refusal = {"refused": fingerprint}
        self.storage.make_directories(place)
        self.storage.create(f"{place}/command.json", _json(refusal))
        if self._stored(export_id) != refusal:
            raise Conflict(f'export "{export_id}" was asked for before by another message')
        event = ExportFailed(export_id=export_id, project_id=_valid(project_id), attempt=0, at=at, error=error)
        return self.decide(export_id, Decision.of(0, None, None, event))

    def command(self, export_id: str) -> ExportStart | None:
        """The first command that came, with its project; nothing where what came was refused."""
        command, project = self._command(export_id), self._project(export_id)
        if command is None or project is None:
            return None
        return command.model_copy(update={"project": project})

    def command_as_sent(self, export_id: str) -> ExportStart | None:
        """The first command that came, with the reference to its project if it had one: to be sent once more."""
        stored = self._stored(export_id)
        return _as_command(stored, export_id) if stored.get("project_ref") else self.command(export_id)

    def _command(self, export_id: str) -> ExportStart | None:
        stored = self._stored(export_id)
        if not stored or "refused" in stored:
            return None
        # The project was verified when it was stored, and a reference to it has served its purpose.
        return _as_command({**stored, "project_ref": None, "project": {"id": "-", "sections": []}}, export_id)

    def about(self, export_id: str) -> About | None:
        """The little of a command that never changes; nothing where there is none, or it was refused."""
        stored = self._stored(export_id)
        if not stored or "refused" in stored:
            return None
        about = stored["about"]
        by = stored.get("requested_by")
        return About(
            about["project_id"],
            about["project_name"],
            datetime.fromisoformat(stored["requested_at"]),
            None if by is None else Requester.model_validate(by),
        )

    def history(self, project_id: str, before: str | None, limit: int) -> list[tuple[str, str]]:
        """Exports of a project, the newest first, each with the mark that `before` takes to go on behind it."""
        listed = [name for name in self.storage.names(_shelf(project_id)) if before is None or name < before]
        return [(name.rpartition("_")[2], name) for name in listed[: -limit - 1 : -1]]

    def _stored(self, export_id: str) -> dict[str, Any]:
        """What is in `command.json`: a command without its project, or a refusal; empty when there is none."""
        body = self.storage.get(f"{RECORDS}/{export_id}/command.json")
        stored: dict[str, Any] = {} if body is None else json.loads(body)
        return stored

    def _project(self, export_id: str) -> Project | None:
        body = self.storage.get(f"{RECORDS}/{export_id}/project.json")
        return None if body is None else Project.model_validate_json(body)

    def reserve(self, export_id: str, folder: str) -> str:
        """The name that this export's folder will have: `folder`, or beside it if that is taken.

        Raises Trouble when both are taken, which takes a hash collision or a person's own folder of that name.
        """
        candidates = (folder, folder_name_beside(folder, export_id))
        for name in candidates:
            if self._owner(name) == export_id:
                self.storage.make_durable(_NAMES)  # whoever reserved it may have died before this
                return name
        for name in candidates:
            if any(self.storage.version(f"{name}{ending}") for ending in ("", *ARCHIVE_ENDINGS.values())):
                continue
            self.storage.create(f"{_NAMES}/{name.casefold()}", _json({"export_id": export_id}))
            if self._owner(name) == export_id:
                return name
        raise Trouble(ErrorCode.IO_ERROR, f'both names for the folder are taken: "{candidates[0]}", "{candidates[1]}"')

    def _owner(self, name: str) -> str | None:
        body = self.storage.get(f"{_NAMES}/{name.casefold()}")
        if body is None:
            return None
        owner: str = json.loads(body)["export_id"]
        return owner

    # ---- the end

    def cancel(self, export_id: str, reason: str) -> None:
        """Wishes that the export stops; obeyed until it is decided."""
        self.storage.make_directories(f"{RECORDS}/{export_id}")
        self.storage.create(f"{RECORDS}/{export_id}/cancel.json", _json({"reason": reason}))

    def is_cancelled(self, export_id: str) -> bool:
        return self.storage.version(f"{RECORDS}/{export_id}/cancel.json") is not None

    def decide(self, export_id: str, decision: Decision) -> Decision:
        """Decides, unless it was decided before. Whatever comes back is the decision, for good.

        Makes no record: where there is none, this is not the root in which the export was accepted.
        """
        self.storage.create(_outcome(export_id), decision.to_json())
        decided = self.decision(export_id)
        if decided is None:
            raise Trouble(ErrorCode.IO_ERROR, f'the decision on export "{export_id}" vanished')
        return decided

    def decision(self, export_id: str) -> Decision | None:
        body = self.storage.get(_outcome(export_id))
        try:
            return None if body is None else Decision.from_json(body)
        except (ValidationError, KeyError, ValueError) as fault:
            raise Trouble(ErrorCode.IO_ERROR, f'the decision on export "{export_id}" cannot be read') from fault

    def is_decided(self, export_id: str) -> bool:
        return self.storage.version(_outcome(export_id)) is not None

    def roll_forward(self, export_id: str, decision: Decision) -> None:
        """Makes what was decided visible; does nothing where that was done before. The folder appears last."""
        # Whoever decided may have died between the link and its fsync; what follows must not outlive the decision.
        self.storage.make_durable(f"{RECORDS}/{export_id}")
        if decision.folder is None or self.gone(export_id) is not None:
            return
        attempt = attempt_key(export_id, decision.attempt)
        if decision.archive is not None:
            self._put_in_place(f"{attempt}/archive", decision.archive)
        self._put_in_place(f"{attempt}/tree", decision.folder)

    def _put_in_place(self, key: str, name: str) -> None:
        if not self.storage.rename(key, name) and self.storage.version(key):
            # Somebody else took the name after it was reserved: a person, or another program.
            raise Trouble(ErrorCode.IO_ERROR, f'"{name}" is there already and is not this export')

    def is_unpublished(self, export_id: str, decision: Decision) -> bool:
        """Decided, and its tree still waits to become visible."""
        return decision.folder is not None and bool(
            self.storage.version(f"{attempt_key(export_id, decision.attempt)}/tree")
        )

    # ---- what is owed

    def owe(self, export_id: str) -> None:
        """Notes that the end of an export must still be announced. Not durable: the unacked message says it too."""
        if self.storage.version(_OWED) is None:
            self.storage.make_directories(_OWED)
        self.storage.claim(f"{_OWED}/{export_id}")

    def owed(self) -> list[str]:
        """Every export whose end must still be announced."""
        return self.storage.names(_OWED)

    def owed_since(self, export_id: str) -> datetime | None:
        """Since when, by the storage's clock, or since it was owed again; nothing when it is not."""
        version = self.storage.version(f"{_OWED}/{export_id}")
        return None if version is None else _moment(version.mtime_ns)

    def owe_again(self, export_id: str) -> None:
        """Counts from now on, by the storage's clock; does nothing where nothing is owed any more."""
        if self.owed_since(export_id) is not None:
            self.storage.beat(f"{_OWED}/{export_id}")

    def told(self, export_id: str) -> None:
        """The end was announced, and the broker has confirmed it."""
        self.storage.remove(f"{_OWED}/{export_id}")

    # ---- removal

    def gone(self, export_id: str) -> str | None:
        """Why a finished export is no longer there: `expired` or `deleted`."""
        body = self.storage.get(f"{RECORDS}/{export_id}/gone.json")
        return None if body is None else json.loads(body)["reason"]

    def withdraw(self, export_id: str, decision: Decision, reason: str) -> None:
        """Takes a published export away: said first, then unpublished by one step each, then removed."""
        self.roll_forward(export_id, decision)
        self.storage.create(f"{RECORDS}/{export_id}/gone.json", _json({"reason": reason}))
        self.finish_withdrawing(export_id, decision)

    def delete(self, export_id: str, reason: str) -> None:
        """Takes a finished export away, and cancels an unfinished one; also one that nobody asked for yet.

        It is gone before it is cancelled: whoever decides after this looked must find that nothing may be published.
        """
        place = f"{RECORDS}/{export_id}"
        self.storage.make_directories(place)
        self.storage.create(f"{place}/gone.json", _json({"reason": "deleted"}))
        decision = self.decision(export_id)
        if decision is None:
            self.cancel(export_id, reason)
        else:
            self.finish_withdrawing(export_id, decision)

    def finish_withdrawing(self, export_id: str, decision: Decision) -> None:
        """The rest of `withdraw` and `delete`, whoever began it."""
        trash = f"{_TRASH}/{export_id}"
        self.storage.make_directories(trash)
        if decision.folder is not None:
            # First what is not visible yet: whoever is about to publish finds nothing, or did it before the next step.
            attempt = attempt_key(export_id, decision.attempt)
            self.storage.rename(f"{attempt}/archive", f"{trash}/archive")
            self.storage.rename(f"{attempt}/tree", f"{trash}/tree")
        for name in (decision.folder, decision.archive):
            if name is not None and self._owner(decision.folder or "") == export_id:
                self.storage.rename(name, f"{trash}/{name}")
        self.storage.remove(trash)

    def forget(self, export_id: str, decision: Decision) -> None:
        """Removes the last that is known of an export; its id and its name are free again."""
        if decision.folder is not None and self._owner(decision.folder) == export_id:
            self.storage.remove(f"{_NAMES}/{decision.folder.casefold()}")
        if about := self.about(export_id):
            self.storage.remove(f"{_shelf(about.project_id)}/{_listed_as(about.requested_at, export_id)}")
        self.forget_record(export_id)

    def is_mere_wish(self, export_id: str) -> bool:
        """Whether nobody ever asked for this export, but for its end."""
        return self._holds_wishes_only(f"{RECORDS}/{export_id}")

    def _holds_wishes_only(self, record: str) -> bool:
        return _WISHES.issuperset(self.storage.names(record))

    def forget_mere_wish(self, export_id: str) -> bool:
        """Forgets a record in which nobody asked for an export; whether this call did it."""
        if not self.is_mere_wish(export_id):
            return False
        forgotten = self._put_aside(export_id)
        # A command that came after the look above went with the record: it goes back, with whatever came of it.
        if not self._holds_wishes_only(forgotten) and self.storage.rename(forgotten, f"{RECORDS}/{export_id}"):
            return False
        self.told(export_id)
        self.storage.remove(forgotten)
        return True

    def forget_record(self, export_id: str) -> None:
        """By one step: half of a record (gone, but not decided) would keep the id from ever publishing."""
        self.told(export_id)
        self.storage.remove(self._put_aside(export_id))

    def _put_aside(self, export_id: str) -> str:
        """Where the record then is, if there was one."""
        forgotten = f"{_TRASH}/{export_id}_record"
        self.storage.remove(forgotten)
        self.storage.make_directories(_TRASH)
        self.storage.rename(f"{RECORDS}/{export_id}", forgotten)
        return forgotten

    # ---- attempts

    def attempts(self, export_id: str) -> list[int]:
        """Their numbers, in order. A number is never used twice: the empty directories stay."""
        names = self.storage.names(f"{RECORDS}/{export_id}")
        return sorted(int(name[2:]) for name in names if name.startswith("a-"))

    def clean(self, export_id: str) -> bool:
        """Removes what the attempts left; their numbers stay taken. Whether there was anything to remove."""
        attempts = [attempt_key(export_id, number) for number in self.attempts(export_id)]
        if self.gone(export_id) is not None:
            self._unpublish(export_id, attempts)
        leftovers = [f"{attempt}/{name}" for attempt in attempts for name in self.storage.names(attempt)]
        for key in leftovers:
            self.storage.remove(key)
        return bool(leftovers)

    def _unpublish(self, export_id: str, attempts: list[str]) -> None:
        """By one step each: who decided before it was gone may be about to publish what is removed file by file."""
        trash = f"{_TRASH}/{export_id}_attempts"
        self.storage.remove(trash)
        self.storage.make_directories(trash)
        for number, attempt in enumerate(attempts):
            for name in ("archive", "tree"):
                key = f"{attempt}/{name}"
                # Another process that cleans may take the trash away meanwhile: this must not go on file by file then.
                if not self.storage.rename(key, f"{trash}/{number}.{name}") and self.storage.version(key):
                    raise Trouble(ErrorCode.IO_ERROR, f'another process clears export "{export_id}" away, too')
        self.storage.remove(trash)

    def clear_forgotten(self) -> None:
        """Removes what a dead process did not get to forget the whole of."""
        for name in self.storage.names(_TRASH):
            if name.endswith(("_record", "_attempts")):
                self.storage.remove(f"{_TRASH}/{name}")

    def clear_drafts(self, before: datetime) -> None:
        """Removes what dead processes did not get to finish of the records; a living one's is younger."""
        for place in (RECORDS, _NAMES, *(f"{RECORDS}/{export_id}" for export_id in self.ids())):
            for name in self.storage.names(place):
                version = self.storage.version(f"{place}/{name}") if name.endswith(DRAFT) else None
                if version is not None and version.mtime_ns < before.timestamp() * 1e9:
                    self.storage.remove(f"{place}/{name}")

    def last_touched(self, export_id: str) -> datetime:
        """When something last happened to an unfinished export, by the storage's clock."""
        record = f"{RECORDS}/{export_id}"
        keys = [record, *(f"{attempt_key(export_id, number)}/lock" for number in self.attempts(export_id))]
        versions = (self.storage.version(key) for key in keys)
        # Nothing at all: another sweep has just forgotten it.
        touched_ns = max((version.mtime_ns for version in versions if version), default=0)
        return _moment(touched_ns)

    def now(self) -> datetime:
        """The storage's clock, for no two hosts agree on their own."""
        return _moment(self.now_ns())

    def now_ns(self) -> int:
        """The same in nanoseconds since 1970, as a touch of the records shows it."""
        self.storage.beat(RECORDS)
        version = self.storage.version(RECORDS)
        return version.mtime_ns if version else 0


def attempt_key(export_id: str, number: int) -> str:
    return f"{RECORDS}/{export_id}/a-{number:06d}"


def _swept_away(export_id: str) -> NoReturn:
    """A record that was there a moment ago: a sweep looks at it, and puts it back (`forget_mere_wish`)."""
    raise Trouble(ErrorCode.IO_ERROR, f'the record of export "{export_id}" was taken away meanwhile')


def _shelf(project_id: str) -> str:
    # A hash: ids may differ in case only, and may be longer than a name.
    return f"{_PROJECTS}/{hashlib.sha256(project_id.encode()).hexdigest()[:32]}"


def _listed_as(requested_at: datetime, export_id: str) -> str:
    """Sorts by time."""
    moment = requested_at.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds")
    return f"{moment.replace('-', '').replace(':', '')}Z_{export_id}"


def _command_json(command: ExportStart, project: Project) -> bytes:
    """Without its project, which is beside it; with what one asks for most often of that."""
    stored = command.model_dump(mode="json", exclude={"project"})
    about = {"project_id": project.id, "project_name": project.name}
    return _json({**stored, "about": about, "generation": _GENERATION})


def _as_command(stored: dict[str, Any], export_id: str) -> ExportStart:
    options = stored.get("options", {}) if stored.get("generation", 1) >= _GENERATION else _chosen(stored)
    try:
        return ExportStart.model_validate_json(json.dumps({**stored, "options": options}))
    except ValidationError:
        raise Trouble(
            ErrorCode.UNSUPPORTED_VERSION, f'the command of export "{export_id}" was stored by a newer version'
        ) from None


def _chosen(stored: dict[str, Any]) -> dict[str, Any]:
    """The options of a command of the first generation: having no timelines and captions was no choice then."""
    options: dict[str, Any] = stored.get("options", {})
    return {name: value for name, value in options.items() if name not in {"timelines", "captions"} or value != []}


def _asked(command: ExportStart) -> dict[str, Any]:
    """What a command asks for, its project aside: when and by whom does not count.

    Nor do defaults: an option that came later must not make yesterday's commands ask for something else.
    """
    incidental = {"requested_at", "requested_by", "project", "project_ref"}
    return command.model_dump(mode="json", exclude=incidental, exclude_defaults=True)


def _meaning(project: Project) -> bytes:
    return project.model_dump_json(exclude_defaults=True).encode()


def _valid(project_id: str | None) -> str | None:
    try:
        return _PROJECT_ID.validate_python(project_id)
    except ValidationError:
        return None


def _moment(since_epoch_ns: int) -> datetime:
    return datetime.fromtimestamp(since_epoch_ns / 1e9, UTC)


def _outcome(export_id: str) -> str:
    return f"{RECORDS}/{export_id}/outcome.json"


def _model_json(model: Project) -> bytes:
    # What has its default may have been left out by the sender, too: no command grows by being stored.
    return model.model_dump_json(exclude_defaults=True).encode()


def _json(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()
