"""The words of the contact sheet: what comes from outside made safe for HTML, and figures as people write them. Pure.

Nothing that comes from outside is part of the page unless it went through `text`, `paragraphs` or `url`.
"""

import re
from collections.abc import Iterator
from fractions import Fraction
from html import escape
from math import floor
from urllib.parse import quote

from contracts import Kind, Reason
from service.index.listing import decimal
from service.media import Media
from service.model import Copy, Omission
from service.naming import one_line, plain_text
from service.timecodes import clock


def text(told: str) -> str:
    """Safe between tags, and between the quotes of an attribute."""
    return escape(one_line(told))


def paragraphs(told: str) -> str:
    """The same with its line breaks, for where these are shown."""
    return escape(plain_text(told).strip())


def url(name: str) -> str:
    """Of a file of the folder, relative to the page; safe in an attribute."""
    return escape(quote(name))


# RFC 5646 without its extensions and its grandfathered tags.
_LANGUAGE = re.compile(
    r"[a-z]{2,3}(-[a-z]{3}){0,3}(-[a-z]{4})?(-([a-z]{2}|[0-9]{3}))?(-([a-z0-9]{5,8}|[0-9][a-z0-9]{3}))*",
    re.IGNORECASE | re.ASCII,
)


def language_of(told: str | None) -> str:
    """The project's language, if it is a tag at all; else English, which the page's own words are in.

    >>> language_of("pt-BR"), language_of("zh-Hant-TW"), language_of('en" onload="x'), language_of(None)
    ('pt-BR', 'zh-Hant-TW', 'en', 'en')
    """
    return told if told and _LANGUAGE.fullmatch(told) else "en"


def counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def size(size_bytes: int) -> str:
    """
    >>> size(999), size(96_044), size(1_260_000_000)
    ('999 B', '96 kB', '1.3 GB')
    """
    if size_bytes < 1000:
        return f"{size_bytes} B"
    amount = Fraction(size_bytes, 1000)
    for unit in ("kB", "MB", "GB"):
        if amount < 1000:
            return f"{float(amount):.{1 if amount < 10 and unit != 'kB' else 0}f} {unit}"
        amount /= 1000
    return f"{float(amount):.1f} TB"


def length(seconds: Fraction) -> str:
    return f"{float(seconds):.1f} s" if seconds < 60 else clock(floor(seconds))


_NOUNS = {Kind.AUDIO: "Narration", Kind.IMAGE: "Image", Kind.VIDEO: "Film"}

OLDER = "made from an older text"

_REASONS = {
    Reason.PENDING: "not generated yet",
    Reason.GENERATING: "being generated",
    Reason.FAILED: "could not be generated",
    Reason.MISSING: "its file is not there",
    Reason.UNREADABLE: "its file cannot be read",
    Reason.STALE: OLDER,
    Reason.EXCLUDED: "left out as you chose",
    Reason.IN_SECTION_AUDIO: "in the section\u2019s narration",
}
CHOSEN = {Reason.EXCLUDED, Reason.STALE, Reason.IN_SECTION_AUDIO}


def lack(omission: Omission) -> str:
    """What is not there, and why."""
    why = f" ({text(omission.detail)})" if omission.detail and omission.reason is not Reason.IN_SECTION_AUDIO else ""
    return f"{_noun(omission)}: {_REASONS[omission.reason]}{why}"


def older(copy: Copy) -> str:
    """What no longer goes with its text."""
    return f"{_noun(copy)}: {OLDER}"


def _noun(asset: Copy | Omission) -> str:
    return "Narration of the section" if asset.spot.in_section is None else _NOUNS[asset.spot.kind]


def known(media: Media) -> Iterator[str]:
    """What a file says of itself, fact by fact."""
    if media.duration is not None:
        yield length(media.duration)
    picture, sound = media.picture, media.sound
    if picture and picture.width and picture.height:
        yield f"{picture.width} \u00d7 {picture.height}"
    if picture and picture.frame_rate:
        yield f"{decimal(picture.frame_rate)} fps"
    if sound and sound.sample_rate_hz:
        yield f"{decimal(Fraction(sound.sample_rate_hz, 1000))} kHz"
    if sound and sound.channels:
        yield {1: "mono", 2: "stereo"}.get(sound.channels, f"{sound.channels} channels")
