"""What a media file says of itself, from at most two reads of it.

Pure but for the `read` that it is given, once or twice: no clock, no disk, nothing decoded. Whatever the bytes are, it
ends soon and raises nothing of its own: what cannot be understood is unknown. docs/decisions/0010 has why it is ours.
"""

from collections.abc import Callable
from dataclasses import replace

from service.media import UNKNOWN, Media
from service.probe import flac, isobmff, matroska, mpeg_audio, ogg, stills, wave
from service.probe.reading import Bytes, Read, Torn

MAX_SECONDS = 100 * 3600
"""What claims to last longer, or to begin later, is not believed: a timeline would be laid out by it."""

MAX_FRAME_RATE = 1_000

Reader = Callable[[Bytes], Media]


def probe(read: Read, size_bytes: int) -> Media:
    """The facts of a file of so many bytes; `read(start, stop)` gives some of them.

    It is called at most twice: for the first `reading.HEAD_BYTES`, and for what these say must be seen beside them.

    >>> png = bytes.fromhex("89504e470d0a1a0a 0000000d 49484452 00000780 00000438 0806000000")
    >>> probe(lambda start, stop: png[start:stop], len(png)).picture
    Picture(width=1920, height=1080, rotation=0, frame_rate=None, is_variable=None)
    """
    file = Bytes(read, size_bytes)
    reader = _reader(file.peek(0, 16))
    if reader is None:
        return UNKNOWN
    try:
        return _believable(reader(file))
    except Torn:
        return UNKNOWN


def _reader(magic: bytes) -> Reader | None:
    for start, mark, reader in _MARKS:
        if magic[start : start + len(mark)] == mark:
            return reader
    # A bare MPEG stream begins with eleven bits, the only mark that is less than a word.
    return mpeg_audio.facts if magic[:1] == b"\xff" else None


def _believable(media: Media) -> Media:
    if media.picture and (media.picture.frame_rate or 0) > MAX_FRAME_RATE:
        media = replace(media, picture=replace(media.picture, frame_rate=None, is_variable=None))
    if media.start is not None and media.start > MAX_SECONDS:
        media = replace(media, start=None)
    if media.duration is not None and media.duration > MAX_SECONDS:
        fault = f"its header says that it lasts {media.duration // 3600:,} hours"
        media = replace(media, duration=None, faults=(*media.faults, fault))
    return media


def _tagged(file: Bytes) -> Media:
    # ID3v2 is MP3's, but some taggers put it in front of a FLAC.
    start = mpeg_audio.after_tags(file)
    return flac.facts(file, start) if file.peek(start, 4) == b"fLaC" else mpeg_audio.facts(file)


def _riff(file: Bytes) -> Media:
    return stills.webp(file) if file.peek(8, 4) == b"WEBP" else wave.facts(file)


_MARKS: tuple[tuple[int, bytes, Reader], ...] = (
    (0, b"RIFF", _riff),
    (0, b"RF64", wave.facts),
    (0, b"BW64", wave.facts),
    (0, b"ID3", _tagged),
    (0, b"fLaC", flac.facts),
    (0, b"OggS", ogg.facts),
    (0, b"\x89PNG\r\n\x1a\n", stills.png),
    (0, b"\xff\xd8\xff", stills.jpeg),
    (0, b"GIF87a", stills.gif),
    (0, b"GIF89a", stills.gif),
    (0, b"\x1a\x45\xdf\xa3", matroska.facts),
    (4, b"ftyp", isobmff.facts),
    # QuickTime is older than `ftyp`.
    (4, b"moov", isobmff.facts),
    (4, b"mdat", isobmff.facts),
    (4, b"wide", isobmff.facts),
    (4, b"free", isobmff.facts),
    (4, b"skip", isobmff.facts),
)
