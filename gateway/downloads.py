"""Sends an archive, or a part of it, as it is asked for; holds a chunk of it at a time."""

import logging
from collections.abc import Generator

import anyio
from anyio import to_thread
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from gateway.parts import Parts
from gateway.problems import Problem, unavailable
from gateway.published import Archive, Damaged, Published, Which
from gateway.ranges import Part, asked_for, content_disposition
from gateway.states import Snapshot
from service.errors import Trouble
from service.storage.port import SourceFault, Storage
from service.streaming_zip import ZipPlan

log = logging.getLogger(__name__)

CHUNK_BYTES = 1024 * 1024
"""For each hop to a thread: with 256 KiB a hop costs as much as the copying (docs/performance.md)."""
_BUSY_SECONDS = 10
_TRIES = 2


class Downloads:
    """Those of one replica."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._published = Published(parts.storage)
        self._limiter = anyio.CapacityLimiter(parts.settings.downloads_at_once)

    async def archive(self, shown: Snapshot, request: Request, which: Which) -> Response:
        """That archive of this export. Raises Problem for one that has none, and Trouble."""
        await self.insist_on_files(shown)
        if self._limiter.available_tokens <= 0:
            raise unavailable("too-many-downloads", "Too many downloads run at this replica.", _BUSY_SECONDS)
        for _ in range(_TRIES):
            archive = await self._archive(shown, which)
            part = asked_for(request.headers, archive.plan.etag, archive.plan.size_bytes)
            if request.method == "HEAD" or part.status not in {200, 206}:
                return Response(status_code=part.status, headers=_headers(archive, part))
            pieces = _pieces(self._parts.storage, archive.plan, part)
            try:
                # Before a word is said: what is not there any more can still be told.
                first = await to_thread.run_sync(next, pieces, b"", limiter=self._limiter)
            except SourceFault:
                self._published.forget(shown.head.export_id)
                continue
            return _Sending(self._parts, self._limiter, _headers(archive, part), part, first, pieces)
        raise _damaged()

    async def laid_out(self, shown: Snapshot) -> ZipPlan | None:
        """What a completed export is downloaded as; nothing where its files were changed. Raises Trouble."""
        try:
            return (await self._published.archive(shown, Which.ASKED_FOR)).plan
        except Damaged:
            return None

    async def insist_on_files(self, shown: Snapshot) -> None:
        """Also that they were not taken away since the state was heard of."""
        known, export_id = shown.known, shown.head.export_id
        gone = known.gone or await to_thread.run_sync(self._parts.ledger.gone, export_id)
        if gone is not None:
            self._published.forget(export_id)
            raise Problem(410, f"export-{gone}", f"The files of this export are {gone}.")
        if not known.is_over:
            raise Problem(409, "export-unfinished", f"The export is {known.state}.", headers={"retry-after": "2"})
        if known.state != "completed":
            raise Problem(404, "export-without-files", f"The export {_ended(known.state)}; there is nothing of it.")

    async def _archive(self, shown: Snapshot, which: Which) -> Archive:
        try:
            return await self._published.archive(shown, which)
        except Damaged as damage:
            log.warning("export %s cannot be downloaded: %s", shown.head.export_id, damage)
            raise _damaged() from None


def _ended(state: str) -> str:
    return "was cancelled" if state == "cancelled" else "failed"


def _damaged() -> Problem:
    return Problem(409, "export-changed", "Files of this export were changed or removed after it was made.")


def _headers(archive: Archive, part: Part) -> dict[str, str]:
    size = archive.plan.size_bytes
    headers = {
        "accept-ranges": "bytes",
        "etag": archive.plan.etag,
        "cache-control": "private, no-cache, no-transform",
        "x-content-type-options": "nosniff",
    }
    if part.status in {200, 206}:
        headers |= {
            "content-type": "application/zip",
            "content-length": str(part.stop - part.start),
            "content-disposition": content_disposition(archive.name),
        }
    if part.status == 206:
        headers["content-range"] = f"bytes {part.start}-{part.stop - 1}/{size}"
    if part.status == 416:
        headers["content-range"] = f"bytes */{size}"
    return headers


def _pieces(storage: Storage, plan: ZipPlan, part: Part) -> Generator[bytes, None, None]:
    """The part's bytes in chunks, however small the files are. Raises SourceFault, never pads."""
    chunk = bytearray()
    for segment in plan.read(part.start, part.stop):
        for piece in (segment,) if isinstance(segment, bytes) else storage.read(segment):
            # Only now, when more is there: the last chunk goes out after the last look at the file that it is from.
            if len(chunk) >= CHUNK_BYTES:
                yield bytes(chunk)
                chunk.clear()
            chunk += piece
    if chunk:
        yield bytes(chunk)


class _Sending(Response):
    """The rest of the bytes follow the first ones, which were read before."""

    def __init__(
        self, parts: Parts, limiter: anyio.CapacityLimiter, headers: dict[str, str], part: Part, first: bytes,
        pieces: Generator[bytes, None, None],
    ) -> None:  # fmt: skip
        super().__init__(status_code=part.status, headers=headers)
        self._parts = parts
        self._limiter = limiter
        self._first = first
        self._pieces = pieces

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with self._limiter, anyio.create_task_group() as tasks:
            tasks.start_soon(_until_gone, receive, tasks.cancel_scope)
            try:
                await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
                await self._send_all(send, scope["path"])
            finally:
                with anyio.CancelScope(shield=True):
                    await to_thread.run_sync(self._pieces.close)  # lets go of the file that is being read
            tasks.cancel_scope.cancel()

    async def _send_all(self, send: Send, path: str) -> None:
        """Breaks off when the bytes cannot be had: a connection that ends too early is an error to every client."""
        piece = self._first
        try:
            while piece:
                with anyio.fail_after(self._parts.settings.stall_seconds):
                    await send({"type": "http.response.body", "body": piece, "more_body": True})
                self._parts.metrics.download_bytes.inc(len(piece))
                piece = await to_thread.run_sync(next, self._pieces, b"")
        except TimeoutError:
            log.info("%s: broken off, the client takes nothing", path)
        except (SourceFault, Trouble) as fault:
            log.warning("%s: broken off: a file of the export %s", path, str(fault) or "is missing")
        else:
            await send({"type": "http.response.body", "body": b""})


async def _until_gone(receive: Receive, scope: anyio.CancelScope) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    scope.cancel()
