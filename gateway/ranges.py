"""What a conditional request for a part of something asks for, by RFC 9110 sections 13 and 14. Pure."""

import re
from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import quote

_RANGE = re.compile(r"\s*bytes\s*=\s*(?:(\d+)\s*-\s*(\d*)|-\s*(\d+))\s*", re.IGNORECASE | re.ASCII)
_TAGS = re.compile(r'(W/)?("[^"]*")')
_DIGITS_AT_MOST = 19


class Part(NamedTuple):
    """The answer: a status, and the bytes `start` up to `stop` that go with it (200 and 206 only)."""

    status: int
    start: int = 0
    stop: int = 0


def asked_for(headers: Mapping[str, str], etag: str, size_bytes: int) -> Part:
    """`headers` by their names in lower case; `etag` is strong, with its quotes. In the order of section 13.2.2.

    >>> asked_for({"range": "bytes=-5"}, '"a"', 100)
    Part(status=206, start=95, stop=100)
    >>> asked_for({"range": "bytes=100-"}, '"a"', 100).status
    416
    >>> asked_for({"if-none-match": 'W/"a"'}, '"a"', 100).status
    304
    """
    if "if-match" in headers and not _matches(headers["if-match"], etag, weakly=False):
        return Part(412)
    if "if-none-match" in headers and _matches(headers["if-none-match"], etag, weakly=True):
        return Part(304)
    whole = Part(200, 0, size_bytes)
    if "range" not in headers or not _is_unchanged(headers.get("if-range"), etag):
        return whole
    return _part(headers["range"], size_bytes) or whole


def _matches(given: str, etag: str, *, weakly: bool) -> bool:
    if given.strip() == "*":
        return True
    return any(tag == etag and (weakly or not weak) for weak, tag in _TAGS.findall(given))


def _is_unchanged(if_range: str | None, etag: str) -> bool:
    """A weak tag or a date never says that bytes are the same."""
    return if_range is None or if_range.strip() == etag


def _part(given: str, size_bytes: int) -> Part | None:
    """Nothing for what is to be ignored: another unit, a slip, several ranges (section 14.2 allows the whole then)."""
    found = _RANGE.fullmatch(given)
    if found is None or any(group and len(group) > _DIGITS_AT_MOST for group in found.groups()):
        return None
    first, last, suffix = found.groups()
    if suffix is not None:
        start, stop = max(size_bytes - int(suffix), 0), size_bytes
    else:
        start, stop = int(first), min(int(last) + 1, size_bytes) if last else size_bytes
        if last and int(last) < start:
            return None
    return Part(206, start, stop) if start < stop else Part(416)


def content_disposition(name: str) -> str:
    """`attachment` under this name: as ASCII for old readers, and as it is (RFC 6266, RFC 8187).

    >>> content_disposition('Über "uns".zip')
    'attachment; filename="_ber _uns_.zip"; filename*=UTF-8\\'\\'%C3%9Cber%20%22uns%22.zip'
    """
    plain = re.sub(r"[^ !#-\[\]-~]", "_", name)
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"
