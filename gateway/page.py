"""Serves the creator's page: files of `web/`, as they are but for comments and indentation, under a name for good."""

import base64
import gzip
import hashlib
import re
from functools import cache
from pathlib import Path
from typing import NamedTuple

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

WEB = Path(__file__).with_name("web")
_TYPES = {".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8", ".svg": "image/svg+xml"}
_FOREVER = "public, max-age=31536000, immutable"


class File(NamedTuple):
    """One file, ready to be sent."""

    media_type: str
    content: bytes
    packed: bytes
    """With gzip."""


class Page(NamedTuple):
    """The whole page."""

    html: bytes
    policy: str
    """Its Content-Security-Policy: nothing from elsewhere, and no script but the modules and the map of them."""
    edition: str
    """Changes with any of the files."""
    files: dict[str, File]


def routes() -> list[Route]:
    """Of the page's addresses, which are its own business, and of its files."""
    shown = [Route(path, _show) for path in ("/", "/projects/{project}", "/projects/{project}/exports/{export}")]
    return [*shown, Route("/static/{edition}/{name:path}", _send)]


async def _show(_: Request) -> Response:
    made = page()
    headers = {"content-security-policy": made.policy, "cache-control": "no-cache"}
    return Response(made.html, headers=headers, media_type="text/html; charset=utf-8")


async def _send(request: Request) -> Response:
    made = page()
    file = made.files.get(request.path_params["name"])
    if file is None:
        return Response(status_code=404)
    # A page that was opened before an update still gets its files' successors, but keeps them no longer than a visit.
    is_current = request.path_params["edition"] == made.edition
    headers = {"cache-control": _FOREVER if is_current else "no-store", "vary": "accept-encoding"}
    if "gzip" in request.headers.get("accept-encoding", ""):
        return Response(file.packed, headers=headers | {"content-encoding": "gzip"}, media_type=file.media_type)
    return Response(file.content, headers=headers, media_type=file.media_type)


@cache
def page() -> Page:
    """Read once."""
    files = {str(path.relative_to(WEB)): _file(path) for path in sorted(WEB.rglob("*")) if path.suffix in _TYPES}
    template = (WEB / "index.html").read_text()
    digest = hashlib.sha256(template.encode())
    for name, file in files.items():
        digest.update(name.encode() + b"\0" + file.content)
    edition = digest.hexdigest()[:12]
    html = template.replace("{hash}", edition)
    return Page(html.encode(), _policy(html), edition, files)


def _file(path: Path) -> File:
    content = path.read_bytes()
    if path.suffix == ".js" and path.parent == WEB:
        content = bare(content.decode()).encode()
    return File(_TYPES[path.suffix], content, gzip.compress(content, 9, mtime=0))


def bare(module: str) -> str:
    """Without comments on lines of their own and without indentation, neither of which means anything to a browser."""
    lines = (line.strip() for line in module.splitlines())
    return "".join(f"{line}\n" for line in lines if line and not line.startswith("//"))


def _policy(html: str) -> str:
    [imports] = re.findall(r'<script type="importmap">(.*?)</script>', html)
    allowed = base64.b64encode(hashlib.sha256(imports.encode()).digest()).decode()
    return (
        f"default-src 'none'; script-src 'self' 'sha256-{allowed}'; style-src 'self'; img-src 'self' blob:; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
