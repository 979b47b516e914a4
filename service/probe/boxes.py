"""The boxes of an ISO media file, one within the other (ISO/IEC 14496-12, 4.2). Pure; it copies nothing."""

from collections.abc import Iterator
from itertools import islice
from struct import Struct
from typing import NamedTuple

from service.probe.reading import big

MAX_BOXES = 2_000
"""Of one level. What real files have is counted in tens."""

_SHORT = Struct(">I4s")


class Box(NamedTuple):
    kind: bytes
    body: memoryview


class Header(NamedTuple):
    kind: bytes
    size_bytes: int | None
    """With the header itself; None where it goes on to the end."""
    header_bytes: int


def header(held: bytes | memoryview) -> Header | None:
    """Of the box that begins here; None where none does."""
    if len(held) < 8:
        return None
    size, kind = _SHORT.unpack_from(held)
    if size == 1:
        if len(held) < 16:
            return None
        long_size = big(held, 8, 8)
        return Header(kind, long_size, 16) if long_size >= 16 else None
    if size == 0:
        return Header(kind, None, 8)
    return Header(kind, size, 8) if size >= 8 else None


def children(body: memoryview) -> Iterator[Box]:
    """The boxes that lie in it, up to the first that is none; the last one may be cut off."""
    return islice(_children(body), MAX_BOXES)


def find(body: memoryview, *path: bytes) -> memoryview | None:
    """The body of the first box of that kind, within the first of the one before, and so on."""
    for kind in path:
        box = next((box for box in children(body) if box.kind == kind), None)
        if box is None:
            return None
        body = box.body
    return body


def _children(body: memoryview) -> Iterator[Box]:
    position = 0
    while (found := header(body[position : position + 16])) is not None:
        stop = len(body) if found.size_bytes is None else position + found.size_bytes
        yield Box(found.kind, body[position + found.header_bytes : stop])
        position = stop
