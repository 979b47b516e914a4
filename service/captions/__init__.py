"""`captions.srt` and `captions.vtt`: what is said, when it is said. Pure.

Both are UTF-8 without a byte order mark, with `\\n` at line ends: every reader that we tried takes it, WebVTT allows it
(W3C, 4.1), and of SRT there is no standard.
"""

import re
from collections.abc import Iterator

from service.captions.spoken import spoken
from service.cut import Cut
from service.model import Plan


def write_srt(plan: Plan, cut: Cut) -> Iterator[str]:
    """A cue a piece, numbered from 1."""
    for number, cue in enumerate(spoken(plan, cut), 1):
        text = _INTERPRETED.sub(_APART, "\n".join(cue.lines))
        yield f"{number}\n{_stamp(cue.start_ms, ',')} --> {_stamp(cue.stop_ms, ',')}\n{text}\n\n"


def write_vtt(plan: Plan, cut: Cut) -> Iterator[str]:
    """A cue a piece, after the header. Each is named by its sentence: `12`, or `12.2` for the second cue of it."""
    yield "WEBVTT\n"
    seq = part = 0
    for cue in spoken(plan, cut):
        part = part + 1 if cue.seq == seq else 1
        seq = cue.seq
        name = f"{seq}.{part}" if part > 1 else f"{seq}"
        text = "\n".join(cue.lines).translate(_ESCAPES)
        yield f"\n{name}\n{_stamp(cue.start_ms, '.')} --> {_stamp(cue.stop_ms, '.')}\n{text}\n"


def _stamp(ms: int, point: str) -> str:
    """`00:01:02,003`.

    >>> _stamp(3_723_004, ".")
    '01:02:03.004'
    """
    seconds, ms = divmod(ms, 1000)
    minutes, seconds = divmod(seconds, 60)
    return f"{minutes // 60:02}:{minutes % 60:02}:{seconds:02}{point}{ms:03}"


_ESCAPES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})

# SRT has no escapes, and players obey what looks like a tag (`<i>`, `{\an8}`) or like the line of a cue's times. A word
# joiner is not seen, and is not part of either.
_APART = "\u2060"
_INTERPRETED = re.compile(r"(?<=<)(?=[^<>]*>)|(?<=\{)(?=\\)|(?<=--)(?=>)|(?<=\d:\d\d)(?=[.,]\d)")
