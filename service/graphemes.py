"""Text as it is seen: characters that a reader takes for one, and how wide they are. Pure.

Coarser than Unicode's own rule (UAX #29), never finer: what that keeps together stays together here. The standard
library has no such rule, and of all that comes from outside only captions need one.
"""

import unicodedata
from collections.abc import Iterator

_MARKS = frozenset({"Mn", "Me", "Mc", "Cf"})
_JOINER = "\u200d"
_VIRAMA = 9
"""Canonical combining class of what takes the vowel from a consonant."""
# Letters by category, but marks to the eye: Thai and Lao AM, and the halfwidth voicing marks of Japanese.
_LETTERS_THAT_ARE_MARKS = frozenset("\u0e33\u0eb3\uff9e\uff9f")
# Signs of Arabic, Syriac and Kaithi that enclose what follows them.
_ENCLOSING_NEXT = frozenset("\u0600\u0601\u0602\u0603\u0604\u0605\u06dd\u070f\u0890\u0891\u08e2\U000110bd\U000110cd")


def graphemes(text: str) -> Iterator[str]:
    r"""The text in pieces that must not be torn apart.

    >>> [len(piece) for piece in graphemes("e\u0301\U0001f469\u200d\U0001f680\U0001f1e9\U0001f1ea!")]
    [2, 3, 2, 1]
    """
    if text.isascii():
        yield from text
        return
    start = 0
    flags = 0
    for at, character in enumerate(text):
        if at > start:
            before = text[at - 1]
            paired = _is_flag(character) and _is_flag(before) and flags % 2 == 1
            if not paired and not _clings(before, character):
                yield text[start:at]
                start, flags = at, 0
        flags += _is_flag(character)
    if text:
        yield text[start:]


def columns(text: str) -> int:
    """How wide it is, in columns of a terminal: ideographs and emoji take two, whatever they are joined of.

    >>> columns("Intro"), columns("\u7b2c\u4e00\u7ae0"), columns("\U0001f469\u200d\U0001f680")
    (5, 6, 2)
    """
    if text.isascii():
        return len(text)
    return sum(max(map(columns_of, piece)) for piece in graphemes(text))


def columns_of(character: str) -> int:
    """Of one code point: marks and joiners take none."""
    if unicodedata.category(character) in {"Mn", "Me", "Cf"}:
        # It turns a sign into an emoji, which is twice as wide.
        return 2 if character == "\ufe0f" else 0
    return 2 if is_wide(character) else 1


def is_wide(character: str) -> bool:
    return unicodedata.east_asian_width(character) in {"W", "F"}


def _clings(before: str, character: str) -> bool:
    if unicodedata.category(character) in _MARKS or character in _LETTERS_THAT_ARE_MARKS:
        return True
    if "\U0001f3fb" <= character <= "\U0001f3ff":
        return True  # a skin tone
    if before == _JOINER:
        return unicodedata.category(character) in {"So", "Sm", "Po", "Cn", "Lo"} or is_wide(character)
    if unicodedata.combining(before) == _VIRAMA:
        return unicodedata.category(character) == "Lo"  # one conjunct of two consonants
    return before in _ENCLOSING_NEXT or _is_syllable(before, character)


def _is_flag(character: str) -> bool:
    """One half of it: a regional indicator."""
    return "\U0001f1e6" <= character <= "\U0001f1ff"


def _is_syllable(before: str, character: str) -> bool:
    """Hangul that is written letter by letter."""
    if "\u1160" <= character <= "\u11ff" or "\ud7b0" <= character <= "\ud7fb":
        return "\u1100" <= before <= "\u11ff" or "\ua960" <= before <= "\ua97c" or "\uac00" <= before <= "\ud7fb"
    leads = "\u1100" <= before <= "\u115f" or "\ua960" <= before <= "\ua97c"
    return leads and ("\u1100" <= character <= "\u115f" or "\ua960" <= character <= "\ud7a3")
