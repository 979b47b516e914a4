"""`index.html`: a contact sheet of the export, to look at by a double click, offline. Pure.

No script, and nothing from elsewhere: its policy allows the folder's own pictures and sounds and its own style, and no
more. What comes from outside is made safe in `words.py`, and nowhere else.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from math import floor

from contracts import Caption, Reason, Section, Timeline
from service.chapters import chapter_warnings
from service.contents import (
    CAPTION_NAMES,
    CHAPTERS,
    INDEX_TABLE,
    MANIFEST,
    METADATA,
    SCRIPT,
    TIMELINE_NAMES,
    text_names,
)
from service.cut import Cut, Slot
from service.index.card import Page, aged, card, file, lacking, player
from service.index.listing import decimal
from service.index.style import source_of, style
from service.index.words import CHOSEN, counted, lack, length, size, text, url
from service.model import Omission, Plan
from service.timecodes import clock, timecode

_LINKS: Mapping[str, str] = {
    SCRIPT: "Script",
    TIMELINE_NAMES[Timeline.OTIO]: "OpenTimelineIO",
    TIMELINE_NAMES[Timeline.FCPXML]: "Final Cut Pro",
    TIMELINE_NAMES[Timeline.PREMIERE]: "Premiere Pro",
    TIMELINE_NAMES[Timeline.MLT]: "Shotcut",
    CAPTION_NAMES[Caption.SRT]: "Captions (SRT)",
    CAPTION_NAMES[Caption.VTT]: "Captions (WebVTT)",
    CHAPTERS: "Chapters",
    INDEX_TABLE: "Table",
    METADATA: "Metadata",
    MANIFEST: "Manifest",
}
"""What the other files at the top of the folder are called for a reader, in the order in which they are shown."""


def write_index_page(plan: Plan, cut: Cut) -> Iterator[str]:
    """The page in pieces, about one a sentence."""
    page = Page.of(plan, cut)
    yield from _top(page)
    yield from _header(page)
    yield '<main id="story">\n'
    yield from _notes(page)
    yield from _contents(page)
    for position, section in enumerate(plan.draft.project.sections):
        yield from _section(page, position, section)
    yield "</main>\n"
    yield f'<footer class="quiet"{page.english}><p>Project {text(plan.draft.project.id)}, export '
    yield f"{text(plan.draft.export_id)}.</p></footer>\n</body>\n</html>\n"


def _top(page: Page) -> Iterator[str]:
    css = style(page.cut.width, page.cut.height)
    # `file:` for a double click, where browsers do not agree what 'self' is; 'self' for a server.
    policy = (
        f"default-src 'none'; img-src 'self' file:; media-src 'self' file:; style-src {source_of(css)}; "
        "base-uri 'none'; form-action 'none'"
    )
    yield f'<!doctype html>\n<html lang="{text(page.language)}">\n<head>\n<meta charset="utf-8">\n'
    yield f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
    yield '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
    yield '<meta name="color-scheme" content="light dark">\n<meta name="referrer" content="no-referrer">\n'
    yield f"<title>{page.title}</title>\n<style>{css}</style>\n</head>\n<body>\n"
    yield f'<a class="skip" href="#story"{page.english}>Skip to the story</a>\n'


def _header(page: Page) -> Iterator[str]:
    moment = page.plan.draft.requested_at.replace(tzinfo=None).isoformat(sep=" ", timespec="minutes")
    yield f'<header>\n<p class="quiet"{page.english}>Exported {moment} UTC</p>\n'
    yield f'<h1 dir="auto">{page.title}</h1>\n<ul class="facts figures"{page.english}>\n'
    for number, words in _facts(page):
        yield f"<li><b>{number}</b> {words}</li>\n"
    yield "</ul>\n"
    yield f'<nav aria-label="Files of this export"{page.english}><ul class="links">\n'
    beside = {*text_names(page.plan.draft.options), MANIFEST}
    for name, label in _LINKS.items():
        if name in beside:
            yield f'<li><a href="{url(name)}">{label}</a></li>\n'
    yield "</ul></nav>\n"
    yield "</header>\n"


def _facts(page: Page) -> Iterator[tuple[str, str]]:
    plan, cut = page.plan, page.cut
    if page.has_times:
        yield clock(floor(cut.seconds(cut.frames))), f"at {decimal(cut.rate)} frames a second"
    sections, sentences = len(plan.draft.project.sections), plan.draft.first_numbers[-1] - 1
    yield f"{sentences:,}", f"{'sentence' if sentences == 1 else 'sentences'} in {counted(sections, 'section')}"
    files = len(plan.copies)
    yield f"{files:,}", f"{'file' if files == 1 else 'files'} of media, {size(plan.size_bytes)}"


def _notes(page: Page) -> Iterator[str]:
    missing = [one for one in page.plan.omissions if one.reason not in CHOSEN]
    warnings = [*page.plan.warnings, *_chapter_warnings(page)]
    chosen = sum(one.reason in {Reason.EXCLUDED, Reason.STALE} for one in page.plan.omissions)
    if not (missing or chosen or warnings):
        return
    yield f'<div class="notes"{page.english}>\n'
    if missing:
        yield from _note("Not in this export", len(missing), map(_row, missing))
    if warnings:
        yield from _note("Good to know", len(warnings), map(text, warnings))
    if chosen:
        yield f'<p class="note calm">{counted(chosen, "file")} left out as you chose.</p>\n'
    yield "</div>\n"


def _chapter_warnings(page: Page) -> list[str]:
    """Here only: a creator who reads this page has the chapters before them, and perhaps no wish to show them."""
    is_there = page.has_times and CHAPTERS in text_names(page.plan.draft.options)
    return chapter_warnings(page.cut) if is_there else []


def _row(omission: Omission) -> str:
    return f'<a href="#{_anchor(omission)}">{_whose(omission)}</a>: {lack(omission)}'


def _whose(omission: Omission) -> str:
    spot = omission.spot
    return f"Section {spot.section + 1}" if spot.in_section is None else f"Sentence {spot.seq}"


def _anchor(omission: Omission) -> str:
    spot = omission.spot
    return f"section-{spot.section + 1}" if spot.in_section is None else f"s{spot.seq}"


_OPEN_UP_TO = 12
"""Rows of a list that is shown unasked."""


def _note(title: str, count: int, rows: Iterable[str]) -> Iterator[str]:
    is_open = " open" if count <= _OPEN_UP_TO else ""
    yield f'<details class="note"{is_open}><summary><h2>{title} <span class="quiet">{count:,}</span></h2></summary>\n'
    yield "<ul>\n"
    for row in rows:
        yield f"<li>{row}</li>\n"
    yield "</ul></details>\n"


def _contents(page: Page) -> Iterator[str]:
    sections = page.plan.draft.project.sections
    if len(sections) < 2:
        return
    yield '<nav aria-label="Sections"><ol class="contents figures">\n'
    for position, section in enumerate(sections):
        start = _start_of(page, position, section)
        when = "" if start is None else f'<span class="quiet">{clock(floor(page.cut.seconds(start)))}</span>'
        yield f'<li>{when}<a href="#section-{position + 1}" dir="auto">{_title(section, position)}</a></li>\n'
    yield "</ol></nav>\n"


def _title(section: Section, position: int) -> str:
    return text(section.title) or f"Section {position + 1}"


def _slots(page: Page, position: int, section: Section) -> Iterator[Slot]:
    positions: Sequence[int | None] = range(len(section.sentences)) or [None]
    return (slot for slot in (page.places.slot(position, at) for at in positions) if slot is not None)


def _start_of(page: Page, position: int, section: Section) -> int | None:
    first = next(_slots(page, position, section), None) if page.has_times else None
    return None if first is None else first.start


def _section(page: Page, position: int, section: Section) -> Iterator[str]:
    anchor = f"section-{position + 1}"
    yield f'<section class="section" aria-labelledby="{anchor}">\n<div class="head">\n'
    yield f'<h2 id="{anchor}" dir="auto">{_title(section, position)}</h2>\n'
    yield f'<p class="quiet figures"{page.english}>{_about_section(page, position, section)}</p>\n'
    for copy in page.copies.get((position, None), ()):
        yield player(copy, f"Narration of section {position + 1}")
        yield f'<p class="quiet"{page.english}>{file(copy)}</p>\n'
        yield aged(copy, page)
    for omission in page.omissions.get((position, None), ()):
        yield f"{lacking(omission, page)}\n"
    yield "</div>\n"
    if section.sentences:
        yield '<ol class="sheet">\n'
        for at, seq in enumerate(range(*page.plan.draft.first_numbers[position : position + 2])):
            yield "".join(card(page, position, at, seq))
        yield "</ol>\n"
    yield "</section>\n"


def _about_section(page: Page, position: int, section: Section) -> str:
    told = [counted(len(section.sentences), "sentence")]
    slots = list(_slots(page, position, section)) if page.has_times else []
    if slots:
        told += [timecode(page.cut, slots[0].start), length(page.cut.seconds(sum(slot.frames for slot in slots)))]
    return " \u00b7 ".join(told)
