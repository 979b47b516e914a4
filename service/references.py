"""Turns what a project calls a file into a place beneath a configured root, or refuses it. Pure."""

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple
from urllib.parse import unquote

from contracts import ErrorCode
from service.errors import Verdict


class Source(NamedTuple):
    """A file beneath a root: `key` is relative, with `/` between its parts, none of them empty, `.` or `..`."""

    root: str
    key: str


MEDIA = "media"
"""The root that plain references are relative to."""

EXPORTS = "exports"
"""The root that is written to; finished files are read from it for the archive."""

# The studio's ways to name its media directory: a URL path, and the path of its data directory on either system.
_MEDIA_PREFIX = re.compile(r"^(?:/media/|(?:\./)?data/|\./)")
# RFC 8089; on this host only. `urlsplit` raises ValueError for what merely looks like an address, such as file://[/a.
_FILE = re.compile(r"^file:(?://(?:localhost)?)?(/(?!/)[^?#]*)")
_SCHEME = re.compile(r"^[A-Za-z][A-Za-z0-9+.-]*:")
_MAX_KEY_BYTES = 1024
_MAX_PART_BYTES = 255


def resolve(uri: str, *roots: Mapping[str, str]) -> Source:
    r"""The place that `uri` means.

    Each of `roots` maps the roots' names to their absolute directories, in one of the ways that these may be spelled.

    Accepted: `asset:KEY`, `file:///…` and absolute paths beneath a root, and paths relative to the media root in the
    studio's dialects. Nothing is ever decoded twice, and symbolic links are the store's business, not this function's.

    Raises Verdict(reference_refused) for everything else.

    >>> roots = {"media": "/srv/media"}
    >>> resolve(r"data\projects\p1\a.wav", roots)
    Source(root='media', key='projects/p1/a.wav')
    >>> resolve("/media/projects/p1/a.wav", roots) == resolve("file:///srv/media/projects/p1/a.wav", roots)
    True
    >>> resolve("/mnt/disk1/a.wav", roots, {"media": "/mnt/disk1"})  # /srv/media is a link
    Source(root='media', key='a.wav')
    >>> resolve("../etc/passwd", roots)
    Traceback (most recent call last):
        ...
    service.errors.Verdict: "../etc/passwd" is outside every configured root
    """
    directories = [root for spelling in roots for root in spelling.items()]
    source = _place(uri, directories)
    if source is None or source.root not in dict(directories) or not _is_key(source.key):
        raise Verdict(ErrorCode.REFERENCE_REFUSED, f'"{uri[:200]}" is outside every configured root')
    return source


def insist_on_scope(source: Source, scope: str, project_id: str, tenant: str | None) -> None:
    """Raises Verdict(reference_refused) for what lies outside the part of the media that this project may name.

    >>> insist_on_scope(Source("media", "projects/p1/a.wav"), "projects/{project_id}/", "p1", None)
    >>> insist_on_scope(Source("media", "projects/p2/a.wav"), "projects/{project_id}/", "p1", None)
    Traceback (most recent call last):
        ...
    service.errors.Verdict: "projects/p2/a.wav" is outside "projects/p1/", where this project's files must be
    """
    if not scope:
        return
    # Not str.format: an id is only ever repeated.
    values = {"{project_id}": project_id, "{tenant}": tenant or ""}
    place = re.sub(r"\{project_id\}|\{tenant\}", lambda found: values[found[0]], scope)
    if source.root != MEDIA or not source.key.startswith(place):
        raise Verdict(
            ErrorCode.REFERENCE_REFUSED,
            f'"{source.key[:200]}" is outside "{place}", where this project\'s files must be',
        )


def _place(uri: str, roots: Sequence[tuple[str, str]]) -> Source | None:
    if uri.startswith("asset:"):
        return Source(MEDIA, uri.removeprefix("asset:"))
    if file := _FILE.match(uri):
        return _beneath(unquote(file[1]), roots)
    if _SCHEME.match(uri):  # also a drive letter
        return None
    path = uri.replace("\\", "/")
    # First as it stands: a root may be a disk that is mounted in /media.
    return _beneath(path, roots) or _in_media(_MEDIA_PREFIX.sub("", path, count=1))


def _in_media(path: str) -> Source | None:
    return None if path.startswith("/") else Source(MEDIA, path)


def _beneath(path: str, roots: Sequence[tuple[str, str]]) -> Source | None:
    """The longest root wins, so that one root may lie within another."""
    for name, directory in sorted(roots, key=lambda root: -len(root[1])):
        prefix = directory.rstrip("/") + "/"
        if path.startswith(prefix):
            return Source(name, path.removeprefix(prefix))
    return None


def _is_key(key: str) -> bool:
    written = key.encode(errors="replace")
    if "\0" in key or written.decode() != key or len(written) > _MAX_KEY_BYTES:
        return False
    return all(part not in {b"", b".", b".."} and len(part) <= _MAX_PART_BYTES for part in written.split(b"/"))
