"""`index.csv`: a row for each asset, also for those that are not in the export, for spreadsheets and scripts. Pure.

RFC 4180, in UTF-8 with a byte order mark: without it Excel reads every letter beyond ASCII wrongly, and nothing else
that reads CSV minds it (Python calls it `utf-8-sig`). What is not known is an empty cell.
"""

import csv
from collections.abc import Iterator
from fractions import Fraction

from service.cut import Cut
from service.index.listing import Asset, Places, assets, decimal
from service.index.words import OLDER
from service.media import UNKNOWN, Picture, Sound
from service.model import Copy, Plan
from service.naming import one_line, plain_text
from service.timecodes import milliseconds, timecode

COLUMNS = (
    *("seq", "section", "section_title", "sentence_id", "kind", "text", "file", "status", "reason", "detail"),
    *("start_timecode", "start_seconds", "duration_seconds", "size_bytes"),
    *("width", "height", "frame_rate", "sample_rate_hz", "channels"),
)
_ROWS_PER_PIECE = 100


def write_index_table(plan: Plan, cut: Cut) -> Iterator[str]:
    """Rows in story order, after one with the columns' names."""
    row = csv.writer(_Passing(), lineterminator="\r\n").writerow
    places = Places(cut)
    rows: list[str] = ["\ufeff", row(COLUMNS)]
    for asset in assets(plan):
        rows.append(row(_cells(plan, cut, places, asset)))
        if len(rows) > _ROWS_PER_PIECE:
            yield "".join(rows)
            rows.clear()
    yield "".join(rows)


class _Passing:
    """A file that gives back what is written to it."""

    def write(self, text: str) -> str:
        return text


def _cells(plan: Plan, cut: Cut, places: Places, asset: Asset) -> Iterator[str]:
    spot = asset.spot
    section = plan.draft.project.sections[spot.section]
    text = "" if spot.in_section is None else section.sentences[spot.in_section].text
    yield f"{spot.seq}"
    yield f"{spot.section + 1}"
    yield harmless(one_line(section.title))
    yield harmless(one_line(spot.sentence_id or ""))
    yield spot.kind.value
    yield harmless(plain_text(text).strip())
    yield from _whereabouts(asset)
    start = places.start(asset)
    yield from ("", "") if start is None else (timecode(cut, start), _seconds(cut, start))
    yield from _facts(asset)


def _seconds(cut: Cut, frame: int) -> str:
    """The same millisecond as in captions and metadata."""
    return decimal(Fraction(milliseconds(cut, frame), 1000))


def _whereabouts(asset: Asset) -> tuple[str, str, str, str]:
    """File, status, reason and detail."""
    if isinstance(asset, Copy):
        return harmless(asset.name), "exported", "", OLDER if asset.is_stale else ""
    return "", "omitted", asset.reason.value, harmless(one_line(asset.detail or ""))


def _facts(asset: Asset) -> Iterator[str]:
    media, size_bytes = (asset.media, f"{asset.size_bytes}") if isinstance(asset, Copy) else (UNKNOWN, "")
    picture, sound = media.picture or Picture(), media.sound or Sound()
    yield decimal(media.duration)
    yield size_bytes
    yield from map(_number, (picture.width, picture.height))
    yield decimal(picture.frame_rate)
    yield from map(_number, (sound.sample_rate_hz, sound.channels))


def _number(number: int | None) -> str:
    return "" if number is None else f"{number}"


# What a spreadsheet takes for the beginning of a formula, also in its Japanese form, and what it overlooks before it.
_FORMULA = tuple("=+-@\t\r\uff1d\uff0b\uff0d\uff20")
_OVERLOOKED = " \n\v\f\u00a0\u3000'\"\u2018\u2019\u201c\u201d"


def harmless(cell: str) -> str:
    """The cell as text: with an apostrophe before it where a spreadsheet would compute or call something.

    To read it back, take one apostrophe away where what follows would have needed it.

    >>> harmless("=1+1"), harmless("' =1+1"), harmless("2 = 1+1")
    ("'=1+1", "'' =1+1", '2 = 1+1')
    """
    return f"'{cell}" if cell.startswith(_FORMULA) or cell.lstrip(_OVERLOOKED).startswith(_FORMULA) else cell
