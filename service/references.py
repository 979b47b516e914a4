"""Turns what a project calls a file into a place beneath a configured root, or refuses it. Pure."""

import re
from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

from contracts import ErrorCode
from service.errors import Verdict


class Source(NamedTuple):
    """A file beneath a root: `key` is relative, with `/` between its parts, none of them empty, `.` or `..`."""

    root: str
    key: str


MEDIA = "media"
"""The root that plain references are relative to."""

# The studio's ways to name its media directory: a URL path, and the path of its data directory on either system.
_MEDIA_PREFIX = re.compile(r"^(?:/media/|(?:\./)?data/|\./)")
_SCHEME = re.compile(r"^[A-Za-z][A-Za-z0-9+.-]*:")
_MAX_KEY_BYTES = 1024
_MAX_PART_BYTES = 255


def resolve(uri: str, roots: Mapping[str, str]) -> Source:
    r"""The place that `uri` means. `roots` maps each root's name to its absolute directory.

    Accepted: `asset:KEY`, `file:///…` and absolute paths beneath a root, and paths relative to the media root in the
    studio's dialects. Nothing is ever decoded twice, and symbolic links are the store's business, not this function's.

    Raises Verdict(reference_refused) for everything else.

    >>> roots = {"media": "/srv/media"}
    >>> resolve(r"data\projects\p1\a.wav", roots)
    Source(root='media', key='projects/p1/a.wav')
    >>> resolve("/media/projects/p1/a.wav", roots) == resolve("file:///srv/media/projects/p1/a.wav", roots)
    True
    >>> resolve("../etc/passwd", roots)
    Traceback (most recent call last):
        ...
    service.errors.Verdict: "../etc/passwd" is outside every configured root
    """
    source = _place(uri, roots)
    if source is None or not _is_key(source.key):
        raise Verdict(ErrorCode.REFERENCE_REFUSED, f'"{uri[:200]}" is outside every configured root')
    return source


def _place(uri: str, roots: Mapping[str, str]) -> Source | None:
    if uri.startswith("asset:"):
        return Source(MEDIA, uri.removeprefix("asset:"))
    if uri.startswith("file:"):
        parts = urlsplit(uri)
        return _beneath(unquote(parts.path), roots) if parts.netloc in {"", "localhost"} else None
    if _SCHEME.match(uri):  # also a drive letter
        return None
    path = uri.replace("\\", "/")
    relative = _MEDIA_PREFIX.sub("", path, count=1)
    return _beneath(path, roots) if relative.startswith("/") else Source(MEDIA, relative)


def _beneath(path: str, roots: Mapping[str, str]) -> Source | None:
    """The longest root wins, so that one root may lie within another."""
    for name, directory in sorted(roots.items(), key=lambda root: -len(root[1])):
        prefix = directory.rstrip("/") + "/"
        if path.startswith(prefix):
            return Source(name, path.removeprefix(prefix))
    return None


def _is_key(key: str) -> bool:
    if "\0" in key or len(key.encode()) > _MAX_KEY_BYTES:
        return False
    parts = key.split("/")
    return all(part not in {"", ".", ".."} and len(part.encode()) <= _MAX_PART_BYTES for part in parts)
