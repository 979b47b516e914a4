"""A small picture of a sentence, from the image that its export holds, or will hold."""

import io
from collections import OrderedDict
from collections.abc import Mapping

import anyio
from anyio import to_thread
from PIL import Image, ImageOps
from starlette.requests import Request
from starlette.responses import Response

from contracts import Kind
from gateway.parts import Parts
from gateway.problems import not_found
from gateway.ranges import asked_for
from service.errors import Verdict
from service.model import Draft, Wanted
from service.plan import plan_export
from service.segments import Extent
from service.storage.port import SourceFault
from service.survey import source_of

WIDTH, HEIGHT = 320, 320
_FILE_BYTES = 32 * 1024 * 1024
_PIXELS = 50_000_000
_QUALITY = 70
_AT_ONCE = 2
_DRAFTS = 8
_FORMATS = ("PNG", "JPEG", "WEBP", "GIF")


class Thumbnails:
    """Those of one replica. Nothing is kept but a few projects; browsers keep the pictures."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._images: OrderedDict[str, tuple[Draft, Mapping[int, Wanted]]] = OrderedDict()
        self._limiter = anyio.CapacityLimiter(_AT_ONCE)

    async def thumbnail(self, export_id: str, seq: int, request: Request) -> Response:
        """Of the sentence with this number. Raises Problem where there is no picture to be had."""
        found = await to_thread.run_sync(self._source, export_id, seq, limiter=self._limiter)
        if found is None:
            raise _no_picture(seq)
        etag = f'"{found.version.mtime_ns:x}-{found.version.size_bytes:x}-{WIDTH}"'
        headers = {"etag": etag, "cache-control": "private, max-age=86400", "x-content-type-options": "nosniff"}
        if asked_for(request.headers, etag, 0).status == 304:
            return Response(status_code=304, headers=headers)
        picture = await to_thread.run_sync(self._picture, found, limiter=self._limiter)
        if picture is None:
            raise _no_picture(seq)
        return Response(picture, headers=headers, media_type="image/webp")

    def _source(self, export_id: str, seq: int) -> Extent | None:
        draft, images = self._of(export_id)
        wanted = images.get(seq)
        if draft is None or wanted is None:
            return None
        try:
            source = source_of(wanted, draft, self._parts.storage)
            version = self._parts.storage.look(source)
        except (Verdict, SourceFault):
            return None
        return Extent(source.root, source.key, 0, version.size_bytes, version)

    def _of(self, export_id: str) -> tuple[Draft | None, Mapping[int, Wanted]]:
        if export_id not in self._images:
            command = self._parts.ledger.command(export_id)
            if command is None or command.project is None:
                return None, {}
            try:
                draft = plan_export(command, command.project, "folder")
            except Verdict:
                return None, {}
            pictures = {one.spot.seq: one for one in draft.wanted if one.spot.kind is Kind.IMAGE}
            self._images[export_id] = draft, pictures
            while len(self._images) > _DRAFTS:
                self._images.popitem(last=False)
        return self._images[export_id]

    def _picture(self, extent: Extent) -> bytes | None:
        if extent.size_bytes > _FILE_BYTES:
            return None
        try:
            content = b"".join(bytes(piece) for piece in self._parts.storage.read(extent))
        except SourceFault:
            return None
        return shrunk(content)


def shrunk(content: bytes) -> bytes | None:
    """The image as a small WebP; nothing for what is no image, or one that would take too much memory."""
    try:
        with Image.open(io.BytesIO(content), formats=_FORMATS) as image:
            if image.width * image.height > _PIXELS:
                return None
            image.draft("RGB", (WIDTH, HEIGHT))
            upright = ImageOps.exif_transpose(image)
            upright.thumbnail((WIDTH, HEIGHT))
            written = io.BytesIO()
            upright.convert("RGBA" if "A" in upright.getbands() else "RGB").save(written, "WEBP", quality=_QUALITY)
    except Exception:  # noqa: BLE001 - what a decoder makes of a broken file is its own business
        return None
    return written.getvalue()


def _no_picture(seq: int) -> Exception:
    return not_found("thumbnail", str(seq))
