"""Where a project comes from when a request does not hold it: a directory, or another service."""

import json
from errno import ENAMETOOLONG
from json import JSONDecodeError
from pathlib import Path
from urllib.parse import quote

from anyio import to_thread
from pydantic import TypeAdapter, ValidationError

from contracts import Project
from contracts.base import ProjectId
from contracts.faults import first_fault
from contracts.limits import MAX_PROJECT_BYTES
from gateway.fetching import Answer, NotFetched, fetch
from gateway.settings import GatewaySettings
from service.studio import from_studio, is_studio_project

_ID: TypeAdapter[str] = TypeAdapter(ProjectId)
_NOT_YOURS = {401, 403, 404, 410}


class NoSuchProject(Exception):
    """It is not there, or the caller may not see it."""


class SourceAway(Exception):
    """Whoever has the project does not answer now. The sentence is for the log: it may name an internal host."""


class BadProject(Exception):
    """The project cannot be read as one; the sentence says why, by the field."""


class Sources:
    """The one source that was configured, or none."""

    def __init__(self, settings: GatewaySettings) -> None:
        self._directory = settings.project_directory
        self._url = settings.project_url
        self._seconds = settings.project_timeout_seconds

    async def project(self, project_id: str, token: str | None) -> Project:
        """The project as it is now. The caller's own `token` goes along, so that the source may refuse it.

        Raises NoSuchProject, SourceAway, BadProject.
        """
        if not is_project_id(project_id):
            raise NoSuchProject(project_id)
        document = await self._document(project_id, token)
        project = await to_thread.run_sync(_project_in, document)
        # Also where the file system, or the other service, takes upper and lower case for the same.
        if project.id != project_id:
            raise NoSuchProject(project_id)
        return project

    async def _document(self, project_id: str, token: str | None) -> bytes:
        if self._directory is not None:
            return await to_thread.run_sync(_file, self._directory / project_id / "project.json")
        if self._url is not None:
            return await self._fetched(f"{self._url.rstrip('/')}/{quote(project_id, safe='')}", token)
        raise NoSuchProject(project_id)

    async def _fetched(self, url: str, token: str | None) -> bytes:
        # Nobody looked at the token where everybody may do everything.
        headers = {"authorization": f"Bearer {token}"} if token and token.isascii() else {}
        try:
            answer = await fetch(url, self._seconds, MAX_PROJECT_BYTES, headers)
        except NotFetched as fault:
            raise SourceAway(str(fault)) from None
        return _body_of(answer)


def is_project_id(text: str) -> bool:
    """Whether it can be one; then it is safe as a part of a path, too."""
    try:
        _ID.validate_python(text)
    except ValidationError:
        return False
    return True


def _body_of(answer: Answer) -> bytes:
    if answer.status in _NOT_YOURS:
        raise NoSuchProject
    if answer.status != 200:
        raise SourceAway(f"status {answer.status}")
    return answer.body


def _file(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            body = file.read(MAX_PROJECT_BYTES + 1)
    except (FileNotFoundError, NotADirectoryError):
        raise NoSuchProject from None
    except OSError as fault:
        if fault.errno == ENAMETOOLONG:
            raise NoSuchProject from None
        raise SourceAway(f"{path}: {fault.strerror}") from None
    if len(body) > MAX_PROJECT_BYTES:
        raise BadProject(f"it has more bytes than MAX_PROJECT_BYTES, which is {MAX_PROJECT_BYTES:,}")
    return body


def _project_in(body: bytes) -> Project:
    """In the contract's form, or the studio's."""
    try:
        document = json.loads(body)
    except RecursionError:
        raise BadProject("it is nested too deeply") from None
    except JSONDecodeError as fault:
        raise BadProject(f"it is not JSON: {fault.msg.lower()} in line {fault.lineno}") from None
    except ValueError:  # not UTF-8, or a number of thousands of digits
        raise BadProject("it is not JSON") from None
    try:
        return from_studio(document) if is_studio_project(document) else Project.model_validate(document)
    except ValidationError as fault:
        raise BadProject(first_fault(fault)) from None
    except ValueError as fault:  # the studio's own error, in its words
        raise BadProject(str(fault)) from None
