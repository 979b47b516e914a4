"""A sentence's text in cues of at most two lines of 42 columns, as even and as natural to read as they get. Pure.

42 is what television and the large streaming services allow a line of Latin script; an ideograph takes two columns.
The text itself is never changed: only its runs of whitespace, and they become a space or the end of a line.
"""
# ruff: noqa: RUF001, the signs of other scripts are meant

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from service.graphemes import columns, graphemes, is_wide
from service.naming import one_line

LINE_COLUMNS = 42
LINES = 2

# What may not begin a line, and what may not end one (of JIS X 4051 and GB/T 15834 the signs that occur in speech).
_CLOSES = frozenset(
    "、。，．・：；？！‥…ー～〜」』）〕］｝〉》】’”々ゝヽぁぃぅぇぉっゃゅょァィゥェォッャュョ,.!?;:)]}%°"
)
_OPENS = frozenset("「『（〔［｛〈《【‘“([{")
_ENDS_SENTENCE = frozenset(".!?…。．！？؟।॥።")
_ENDS_CLAUSE = frozenset(",;:—–、，；：،؛")
_QUOTES = "\"'”’»」』）)]"

# In columns of unevenness that one would rather bear.
_AMID_CLAUSE, _AFTER_CLAUSE, _AMID_WORD = 24, 5, 80


def cues_of(text: str) -> list[tuple[str, ...]]:
    """The lines of each cue; none for a text without anything to read.

    >>> cues_of("The sea is calm.")
    [('The sea is calm.',)]
    >>> cues_of("He reads the log, winds the clock, and goes up the stairs to see whether the lamp still burns.")
    [('He reads the log, winds the clock,',), ('and goes up the stairs to see', 'whether the lamp still burns.')]
    """
    words = one_line(text)
    if not words:
        return []
    if words.isascii() and len(words) <= LINE_COLUMNS:
        return [(words,)]
    return list(_Atoms.of(words).cues())


@dataclass(frozen=True, slots=True)
class _Atoms:
    """The text in pieces that may not be broken. A stretch of it is given as two positions, `start` up to `stop`."""

    pieces: Sequence[str]
    spaced: Sequence[bool]
    """Whether a space stands before it."""
    ends: Sequence[int]
    """Columns up to and with each piece, from a leading 0."""
    reach: Sequence[int]
    """Where a line that begins with it must end, at the latest."""

    @classmethod
    def of(cls, text: str) -> "_Atoms":
        pieces: list[str] = []
        spaced: list[bool] = []
        ends = [0]
        for word in text.split(" "):
            for at, piece in enumerate(_pieces(word)):
                pieces.append(piece)
                spaced.append(at == 0)
                ends.append(ends[-1] + columns(piece) + (at == 0))
        return cls(pieces, spaced, ends, _reaches(ends, spaced))

    def cues(self) -> Iterator[tuple[str, ...]]:
        """As few as there can be, each about as long as the rest will be."""
        needed = self._needed()
        start = 0
        while start < len(self.pieces):
            stop = self._cue_end(start, needed)
            yield self._lines(start, stop)
            start = stop

    def _needed(self) -> list[int]:
        """How many cues it takes from each piece on."""
        needed = [0] * (len(self.pieces) + 1)
        for start in range(len(self.pieces) - 1, -1, -1):
            needed[start] = 1 + needed[self._furthest(start)]
        return needed

    def _furthest(self, start: int) -> int:
        for _ in range(LINES):
            start = self.reach[start] if start < len(self.pieces) else start
        return start

    def _cue_end(self, start: int, needed: Sequence[int]) -> int:
        even = self._columns(start, len(self.pieces)) / needed[start]
        stop = best = self._furthest(start)
        least = self._unevenness(start, stop, even)
        while stop > start + 1 and needed[stop - 1] < needed[start]:
            stop -= 1
            unevenness = self._unevenness(start, stop, even)
            if unevenness < least:
                best, least = stop, unevenness
        return best

    def _unevenness(self, start: int, stop: int, even: float) -> float:
        return abs(self._columns(start, stop) - even) + self._rudeness(stop)

    def _lines(self, start: int, stop: int) -> tuple[str, ...]:
        if self._columns(start, stop) <= LINE_COLUMNS:
            return (self._text(start, stop),)
        middle = self._columns(start, stop) / 2
        breaks = [at for at in range(start + 1, self.reach[start] + 1) if self._columns(at, stop) <= LINE_COLUMNS]
        at = min(breaks, key=lambda at: self._unevenness(start, at, middle))
        return self._text(start, at), self._text(at, stop)

    def _columns(self, start: int, stop: int) -> int:
        return self.ends[stop] - self.ends[start] - self.spaced[start] if start < stop else 0

    def _text(self, start: int, stop: int) -> str:
        spaces = (" " if spaced else "" for spaced in self.spaced[start:stop])
        return "".join(map(str.__add__, spaces, self.pieces[start:stop])).strip(" ")

    def _rudeness(self, at: int) -> int:
        """Of a break before that piece."""
        if at == len(self.pieces):
            return 0
        last = self.pieces[at - 1].rstrip(_QUOTES)[-1:]
        if last in _ENDS_SENTENCE:
            return 0
        if last in _ENDS_CLAUSE:
            return _AFTER_CLAUSE
        return _AMID_CLAUSE if self.spaced[at] or is_wide(self.pieces[at][0]) else _AMID_WORD


def _reaches(ends: Sequence[int], spaced: Sequence[bool]) -> list[int]:
    reaches: list[int] = []
    stop = 0
    for start in range(len(spaced)):
        stop = max(stop, start + 1)
        while stop < len(spaced) and ends[stop + 1] - ends[start] - spaced[start] <= LINE_COLUMNS:
            stop += 1
        reaches.append(stop)
    return reaches


def _pieces(word: str) -> tuple[str, ...]:
    """A word, or what it may be broken into: between ideographs, and anywhere where it is too long for a line."""
    if word.isascii():
        return (word,) if len(word) <= LINE_COLUMNS else tuple(word)
    return _looked_up(word) if len(word) <= LINE_COLUMNS else _broken(word)


def _broken(word: str) -> tuple[str, ...]:
    pieces = tuple(_unbreakable(word))
    return tuple(piece for one in pieces for piece in (graphemes(one) if columns(one) > LINE_COLUMNS else (one,)))


_looked_up = lru_cache(4096)(_broken)  # the words that make a text are few; an endless one is not kept


def _unbreakable(word: str) -> Iterator[str]:
    piece = ""
    for grapheme in graphemes(word):
        if piece and _may_break(piece, grapheme):
            yield piece
            piece = ""
        piece += grapheme
    yield piece


def _may_break(piece: str, grapheme: str) -> bool:
    """Between what there is of a piece and what follows it."""
    last = piece[-1]
    if grapheme[0] in _CLOSES or last in _OPENS:
        return False
    if last in _CLOSES and is_wide(last):
        return True
    return _is_ideographic(grapheme[0]) or _is_ideographic(piece[0])


def _is_ideographic(character: str) -> bool:
    """What is written without spaces; Korean has them, and Thai would need a dictionary."""
    return is_wide(character) and not "\uac00" <= character <= "\ud7a3"
