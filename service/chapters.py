"""`chapters.txt`: a line a section, to be pasted under a film on YouTube. Pure.

YouTube makes chapters of them if the first begins at 00:00, the times ascend, there are three at least, and each lasts
ten seconds at least (its help, "Add video chapters"). They are written in any case; `chapter_warnings` says what to
expect, since the file itself has no place for a remark.
"""

from collections.abc import Iterator
from math import floor

from service.contents import CHAPTERS
from service.cut import Chapter, Cut
from service.graphemes import graphemes
from service.model import Plan
from service.timecodes import clock

LEAST_CHAPTERS = 3
LEAST_SECONDS = 10
TITLE_CHARACTERS = 100
DESCRIPTION_CHARACTERS = 5000
"""What a description may have in all."""

# A description with either is refused as a whole.
_REFUSED = str.maketrans({"<": "\u2039", ">": "\u203a"})


def write_chapters(plan: Plan, cut: Cut) -> Iterator[str]:
    """Times are whole seconds, rounded down: rather the end of the last word than half of the next one.

    A section that takes no time, or begins in the same second as the one before it, has no line.
    """
    for seconds, chapter in _listed(cut):
        yield f"{clock(seconds)} {_title(chapter)}\n"


def chapter_warnings(cut: Cut) -> list[str]:
    """Why YouTube would not make chapters of them, each as a sentence."""
    listed = list(_listed(cut))
    if not listed:
        return []
    return [*_too_few(listed), *_too_short(listed, cut), *_left_out(listed, cut), *_too_long(listed)]


_Listed = tuple[int, Chapter]
"""The second at which it begins, and the chapter."""


def _listed(cut: Cut) -> Iterator[_Listed]:
    last = -1
    for chapter in cut.chapters:
        seconds = max(0, floor(cut.seconds(chapter.start))) if last >= 0 else 0
        if chapter.frames > 0 and seconds > last:
            yield seconds, chapter
            last = seconds


def _title(chapter: Chapter) -> str:
    title = chapter.title.translate(_REFUSED)
    return title if len(title) <= TITLE_CHARACTERS else _shortened(title)


def _shortened(title: str) -> str:
    kept = ""
    for grapheme in graphemes(title):
        if len(kept) + len(grapheme) >= TITLE_CHARACTERS:
            break
        kept += grapheme
    return kept.rstrip() + "\u2026"


def _too_few(listed: list[_Listed]) -> Iterator[str]:
    if len(listed) < LEAST_CHAPTERS:
        yield f"{CHAPTERS}: YouTube shows chapters from {LEAST_CHAPTERS} on; there are {len(listed)}"


def _too_short(listed: list[_Listed], cut: Cut) -> Iterator[str]:
    starts = [seconds for seconds, _ in listed]
    stops = [*starts[1:], floor(cut.seconds(cut.frames))]
    short = [
        chapter for (_, chapter), start, stop in zip(listed, starts, stops, strict=True) if stop - start < LEAST_SECONDS
    ]
    if short:
        others = f" and {len(short) - 1} more are" if len(short) > 1 else " is"
        yield f'{CHAPTERS}: YouTube wants {LEAST_SECONDS} s a chapter; "{_title(short[0])}"{others} shorter'


def _left_out(listed: list[_Listed], cut: Cut) -> Iterator[str]:
    count = len(cut.chapters) - len(listed)
    if count:
        yield f"{CHAPTERS}: without {count} of {len(cut.chapters)} sections, which take less than a second"


def _too_long(listed: list[_Listed]) -> Iterator[str]:
    characters = sum(len(f"{clock(seconds)} {_title(chapter)}\n") for seconds, chapter in listed)
    if characters > DESCRIPTION_CHARACTERS:
        yield f"{CHAPTERS}: {characters} characters; a description on YouTube has {DESCRIPTION_CHARACTERS} at most"
