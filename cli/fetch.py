"""`fetch`: waits for an export at a gateway, downloads its ZIP, and goes on where a download broke off.

Whichever replica answers, the bytes under one ETag are the same, so a part that came from one is finished by another.
"""

import fcntl
import hashlib
import json
import os
import re
import time
from argparse import Namespace
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import httpx
from pydantic import ValidationError
from rich.console import Console

from cli import exits
from cli.answer import answered, complain
from cli.ending import exit_code_of, say, say_out
from cli.errors import UsageError
from cli.show import DownloadReport, download_bar
from cli.verify import verify_archive
from contracts import ExportCompleted, Layout, Outcome
from service.contents import ARCHIVE_ENDINGS

DEFAULT_GATEWAY = "http://127.0.0.1:8080"
_WAIT_SECONDS = 25
_TIMEOUT = httpx.Timeout(20, read=_WAIT_SECONDS + 20)
_PATIENCE_SECONDS = 120.0
"""So long without a byte or an answer, and the command gives up."""
_PAUSES_SECONDS = (0.2, 0.5, 1.0, 2.0, 5.0)
_LATER = {408, 425, 429, 500, 502, 503, 504}
_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]{0,250}")
_CHUNK_BYTES = 1024 * 1024


class NotFetched(Exception):
    """Why there is no file, in a sentence. Exit code 1."""


def fetch(args: Namespace) -> int:
    """Ends as `run` does: 0 complete, 3 partial or empty, 1 when there is nothing to be had."""
    url = args.gateway or os.environ.get("EXPORT_GATEWAY_URL") or DEFAULT_GATEWAY
    to: Path = args.to
    if not to.is_dir():
        raise UsageError(f"{to}: no such directory")
    try:
        with _client(url) as client, download_bar(Console(stderr=True)) as report:
            fetched = _fetched(_Gateway(client, args.export_id, _Patience()), to, report)
    except NotFetched as fault:
        complain(str(fault))
        return exits.FAILED
    except OSError as fault:
        complain(f"{fault.filename or to}: {(fault.strerror or 'cannot be written').lower()}")
        return exits.FAILED
    except KeyboardInterrupt:
        say(f"Stopped; what came is kept. Go on with:\n  export-service fetch {args.export_id} --to {to}")
        return exits.INTERRUPTED
    return answered(exit_code_of(fetched.outcome), lambda: _show(fetched, args.export_id, as_json=args.json))


def _client(url: str) -> httpx.Client:
    token = os.environ.get("EXPORT_TOKEN")
    headers = {"user-agent": "export-service-fetch"} | ({"authorization": f"Bearer {token}"} if token else {})
    try:
        client = httpx.Client(base_url=url, headers=headers, timeout=_TIMEOUT)
    except (httpx.InvalidURL, UnicodeError) as fault:
        raise UsageError(f"{url!r} is no address of a gateway: {fault}") from None
    if client.base_url.scheme not in {"http", "https"} or not client.base_url.host:
        raise UsageError(f"{url!r} is no address of a gateway, such as {DEFAULT_GATEWAY}")
    return client


class _Fetched(NamedTuple):
    path: Path
    size_bytes: int
    etag: str
    outcome: Outcome
    omissions: int


def _show(fetched: _Fetched, export_id: str, *, as_json: bool) -> None:
    if as_json:
        document = {
            "export_id": export_id,
            "path": str(fetched.path),
            "size_bytes": fetched.size_bytes,
            "etag": fetched.etag,
            "outcome": fetched.outcome.value,
            "omissions": fetched.omissions,
        }
        say_out(json.dumps(document))
        return
    is_bundle = fetched.path.name.endswith(ARCHIVE_ENDINGS[Layout.OTIOZ])
    whole, where = _OF_A_BUNDLE if is_bundle else _OF_A_ZIP
    say_out(f"{fetched.path}  {fetched.size_bytes:,} bytes, {whole}")
    if fetched.omissions:
        say_out(f"{fetched.outcome.value}  not in the export: {fetched.omissions:,}, listed {where}")


_OF_A_ZIP = "each as its manifest says", "in its manifest.json"
# No manifest is in it: an editor would not know what to do with one.
_OF_A_BUNDLE = (
    "whole by its own checksums",
    "in the folder's manifest.json; red markers where the timeline keeps their place",
)


def _fetched(gateway: "_Gateway", to: Path, report: DownloadReport) -> _Fetched:
    """Waits, downloads, verifies; only then the file gets its name."""
    event = gateway.completed(report)
    about = gateway.about()
    name = _name_of(event, about)
    if not _NAME.fullmatch(name):
        raise NotFetched(f"{name!r} is no name for a file")
    target = to / name
    fetched = _Fetched(target, about.size_bytes, about.etag, event.outcome, event.omissions_total)
    if target.exists():
        _insist_on_same(target, about)
        return fetched
    part = part_of(target, about.etag)
    with _held(part) as file:
        _download(gateway, about, file, report)
        file.flush()
        os.fsync(file.fileno())
        report("verifying", about.size_bytes, about.size_bytes)
        for difference in verify_archive(part):
            part.unlink()
            raise NotFetched(f"What came is not what was exported, and is removed: {difference}")
        part.rename(target)
    return fetched


def _name_of(event: ExportCompleted, about: "_About") -> str:
    """Of the archive that was asked for, or of the folder's ZIP where that is not there any more."""
    made = event.archive
    if made is not None and made.etag == about.etag:
        return made.name
    return f"{event.folder.name}{ARCHIVE_ENDINGS[Layout.FOLDER]}"


def part_of(target: Path, etag: str) -> Path:
    """Where the bytes are until all have come; another archive under the same name does not go on in them."""
    return target.with_name(f"{target.name}.{hashlib.sha256(etag.encode()).hexdigest()[:8]}.part")


def _insist_on_same(target: Path, about: "_About") -> None:
    if target.stat().st_size != about.size_bytes or next(verify_archive(target), None) is not None:
        raise NotFetched(f"{target}: is there already, and is something else; move it away first")


@contextmanager
def _held(part: Path) -> Iterator[BinaryIO]:
    """What came so far, for this process alone."""
    with part.open("ab") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise NotFetched(f"{part}: is being downloaded by another process") from None
        yield file


def _download(gateway: "_Gateway", about: "_About", file: BinaryIO, report: DownloadReport) -> None:
    have = file.seek(0, os.SEEK_END)
    if have > about.size_bytes:
        have = file.truncate(0)
    while have < about.size_bytes:
        for piece in gateway.bytes_from(have, about):
            file.write(piece)
            have += len(piece)
            report("downloading", have, about.size_bytes)


class _About(NamedTuple):
    """The archive, as its gateway describes it."""

    etag: str
    size_bytes: int


@dataclass
class _Gateway:
    """One export at a gateway that may be away for a while."""

    client: httpx.Client
    export_id: str
    _patience: "_Patience"

    @property
    def _path(self) -> str:
        return f"/api/v1/exports/{self.export_id}"

    def completed(self, report: DownloadReport) -> ExportCompleted:
        """Waits for the end. Raises NotFetched for one that leaves no files."""
        position = None
        while True:
            headers = {"prefer": f"wait={_WAIT_SECONDS}", **({"if-none-match": position} if position else {})}
            answer = self._answer("GET", self._path, headers)
            if answer.status_code == 304:
                continue
            position = answer.headers.get("etag")
            shown = _document(answer)
            moved = shown.get("bytes") or {}
            report(str(shown.get("state")), moved.get("done") or 0, moved.get("total"))
            if shown.get("result") is not None or shown.get("state") in {"deleted", "expired"}:
                return _completed(shown)

    def about(self) -> _About:
        """Of the archive that is to be had now."""
        answer = self._answer("HEAD", f"{self._path}/download")
        etag, length = answer.headers.get("etag", ""), answer.headers.get("content-length", "")
        if not etag.startswith('"') or not length.isdecimal():
            raise NotFetched("The gateway does not say how long the archive is, or has no strong ETag for it.")
        return _About(etag, int(length))

    def bytes_from(self, have: int, about: _About) -> Iterator[bytes]:
        """As many of the bytes that follow as come before the connection breaks; at least one, some time."""
        headers = {"range": f"bytes={have}-", "if-match": about.etag, "accept-encoding": "identity"}
        wanted = f"bytes {have}-{about.size_bytes - 1}/{about.size_bytes}"
        try:
            with self.client.stream("GET", f"{self._path}/download", headers=headers) as answer:
                self._insist(answer)
                if answer.status_code != 206 or answer.headers.get("content-range") != wanted:
                    raise NotFetched(f"The gateway, or a proxy before it, does not answer with the bytes {have:,} on.")
                for piece in answer.iter_raw(_CHUNK_BYTES):
                    self._patience.renew()
                    yield piece
        except (httpx.TransportError, _Later) as fault:
            self._patience.pause(fault)

    def _answer(self, method: str, path: str, headers: dict[str, str] | None = None) -> httpx.Response:
        """A good answer, or 304; asks again while that may help."""
        while True:
            try:
                answer = self.client.request(method, path, headers=headers)
                self._insist(answer)
            except (httpx.TransportError, _Later) as fault:
                self._patience.pause(fault)
            else:
                self._patience.renew()
                return answer

    def _insist(self, answer: httpx.Response) -> None:
        if answer.is_success or answer.status_code == 304:
            return
        if answer.status_code in _LATER:
            raise _Later(f"{answer.status_code} {answer.reason_phrase}", _retry_after(answer))
        if answer.status_code == 412:
            raise NotFetched("The export was made again meanwhile; the same command downloads the new one.")
        raise NotFetched(_problem(answer))


def _document(answer: httpx.Response) -> dict[str, Any]:
    try:
        document = answer.json()
    except ValueError:
        document = None
    if not isinstance(document, dict):
        raise NotFetched(f"{answer.url}: does not answer as a gateway does")
    return document


def _completed(shown: dict[str, Any]) -> ExportCompleted:
    result, state = shown.get("result") or {}, shown.get("state")
    if state != "completed":
        error = result.get("error")
        why = f"{error.get('title')}: {error.get('detail')}" if isinstance(error, dict) else f"The export is {state}."
        raise NotFetched(why)
    try:
        return ExportCompleted.model_validate(result)
    except ValidationError as fault:
        raise NotFetched(f"The gateway's answer cannot be understood: {fault.errors()[0]['msg']}") from None


def _problem(answer: httpx.Response) -> str:
    answer.read()
    try:
        detail = answer.json()["detail"]
    except (ValueError, KeyError, TypeError):
        detail = answer.reason_phrase
    if not detail:  # an answer to HEAD has no body
        detail = "there is no archive to be had"
    hint = " (EXPORT_TOKEN holds the token)" if answer.status_code == 401 else ""
    return f"{answer.status_code}: {detail}{hint}"


def _retry_after(answer: httpx.Response) -> float:
    given = answer.headers.get("retry-after", "")
    return min(float(given), 30.0) if given.isdecimal() else 0.0


class _Later(Exception):
    """The gateway is there, and asks for patience."""

    def __init__(self, said: str, seconds: float) -> None:
        super().__init__(said)
        self.seconds = seconds


class _Patience:
    """Pauses that grow while nothing comes, and an end of them."""

    def __init__(self) -> None:
        self.renew()

    def renew(self) -> None:
        """Something came."""
        self._since = time.monotonic()
        self._tries = 0

    def pause(self, fault: Exception) -> None:
        """Before the next try. Raises NotFetched when there have been enough."""
        if time.monotonic() - self._since > _PATIENCE_SECONDS:
            raise NotFetched(f"The gateway cannot be reached: {fault}") from None
        seconds = _PAUSES_SECONDS[min(self._tries, len(_PAUSES_SECONDS) - 1)]
        self._tries += 1
        time.sleep(max(seconds, fault.seconds if isinstance(fault, _Later) else 0.0))
