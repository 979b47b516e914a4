"""PNG, JPEG, WebP and GIF: how large a picture is shown. Pure."""

from collections.abc import Iterator
from typing import NamedTuple

from service.media import Container, Media, Picture
from service.probe.reading import Bytes, Torn, big, little

_MAX_SEGMENTS = 1_000
_PROFILE_BYTES = 512 * 1024
"""What may stand between the head of a JPEG and its frame header: a profile of colours, in pieces of 64 KiB."""
_MAX_TAGS = 200


def png(file: Bytes) -> Media:
    # IHDR stands first (PNG, 3rd edition, 5.6).
    header = file.at(8, 16)
    size = (big(header, 8, 4), big(header, 12, 4)) if header[4:8] == b"IHDR" else (0, 0)
    return _still(Container.PNG, *size)


def gif(file: Bytes) -> Media:
    header = file.at(6, 4)
    return _still(Container.GIF, little(header, 0, 2), little(header, 2, 2))


def webp(file: Bytes) -> Media:
    # RFC 9649: the first chunk is one of three, and each begins with the size, in its own way.
    header = file.at(12, 18)
    kind, body = header[:4], header[8:]
    if kind == b"VP8X":
        return _still(Container.WEBP, 1 + little(body, 4, 3), 1 + little(body, 7, 3))
    if kind == b"VP8L" and body[0] == 0x2F:
        bits = little(body, 1, 4)
        return _still(Container.WEBP, 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF))
    if kind == b"VP8 " and body[3:6] == b"\x9d\x01\x2a":
        return _still(Container.WEBP, little(body, 6, 2) & 0x3FFF, little(body, 8, 2) & 0x3FFF)
    return _still(Container.WEBP, 0, 0)


def jpeg(file: Bytes) -> Media:
    rotation = 0
    try:
        for segment in _segments(file):
            if segment.marker == 0xE1 and file.peek(segment.start, 6) == b"Exif\0\0":
                rotation = _rotation(file.peek(segment.start + 6, segment.length - 6))
            if segment.is_frame:
                body = file.at(segment.start, 5)
                return _still(Container.JPEG, big(body, 3, 2), big(body, 1, 2), rotation)
    except Torn:
        pass
    return _still(Container.JPEG, 0, 0)


def _still(container: Container, width: int, height: int, rotation: int = 0) -> Media:
    if width == 0 or height == 0:
        return Media(container, faults=("its header does not say how large it is",))
    shown = (height, width) if rotation in {90, 270} else (width, height)
    return Media(container, picture=Picture(*shown, rotation=rotation))


class _Segment(NamedTuple):
    marker: int
    start: int
    length: int

    @property
    def is_frame(self) -> bool:
        # SOF0 to SOF15 (ITU-T T.81, table B.1); C4, C8 and CC among them are something else.
        return 0xC0 <= self.marker <= 0xCF and self.marker not in {0xC4, 0xC8, 0xCC}


def _segments(file: Bytes) -> Iterator[_Segment]:
    position = 2
    for _ in range(_MAX_SEGMENTS):
        if position + 4 > len(file.head):
            file.fetch(position, position + _PROFILE_BYTES)
        mark = file.at(position, 4)
        if mark[0] != 0xFF or mark[1] == 0xDA:  # the picture itself begins: no frame header comes any more
            return
        if mark[1] == 0xFF:  # any number of them may fill up (T.81, B.1.1.2)
            position += 1
            continue
        length = big(mark, 2, 2)
        if length < 2:
            return
        yield _Segment(mark[1], position + 4, length - 2)
        position += 2 + length


def _rotation(tiff: bytes) -> int:
    # Exif 2.32, 4.6.4 A: 6 is a camera that was held upright. Those that are mirrored too are turned as well.
    return {3: 180, 4: 180, 5: 270, 6: 90, 7: 90, 8: 270}.get(_orientation(tiff), 0)


def _orientation(tiff: bytes) -> int:
    number = {b"II*\0": little, b"MM\0*": big}.get(tiff[:4])
    if number is None:
        return 1
    try:
        directory = number(tiff, 4, 4)
        for tag in range(min(number(tiff, directory, 2), _MAX_TAGS)):
            entry = directory + 2 + 12 * tag
            if number(tiff, entry, 2) == 0x0112:
                return number(tiff, entry + 8, 2)
    except Torn:
        pass
    return 1
