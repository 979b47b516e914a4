"""Every text of an export but its manifest, in pieces: none is ever held whole. Pure."""

from collections.abc import Callable, Iterable, Iterator

from contracts import Caption
from service.captions import write_srt, write_vtt
from service.chapters import write_chapters
from service.contents import CAPTIONS, CHAPTERS, INDEX_PAGE, INDEX_TABLE, METADATA, SCRIPT, TIMELINES, text_names
from service.cut import Cut, make_cut
from service.index_page import write_index_page
from service.index_table import write_index_table
from service.metadata import write_metadata
from service.model import Plan
from service.script import write_script
from service.timelines import WRITERS, where_of, write_otio

_PIECE_CHARACTERS = 64 * 1024
_BYTES_A_SENTENCE = 12 * 1024
"""About what all texts have of one sentence (`python -m bench texts`)."""

Write = Callable[[Plan, Cut], Iterator[str]]

_WRITERS: dict[str, Write] = {
    SCRIPT: write_script,
    CAPTIONS[Caption.SRT]: write_srt,
    CAPTIONS[Caption.VTT]: write_vtt,
    CHAPTERS: write_chapters,
    INDEX_PAGE: write_index_page,
    INDEX_TABLE: write_index_table,
    METADATA: write_metadata,
}


def texts_of(plan: Plan) -> Iterator[tuple[str, Iterator[bytes]]]:
    """Each text's name and pieces, in the order of `text_names`."""
    cut = make_cut(plan)
    timelines = {TIMELINES[timeline]: write for timeline, write in WRITERS.items()}
    where = where_of(plan)
    for name in text_names(plan.draft.options):
        write = timelines.get(name)
        lines = _WRITERS[name](plan, cut) if write is None else write(plan, cut, where)
        yield name, _joined(lines)


def sizes_of_texts(plan: Plan) -> dict[str, int]:
    """Bytes of each; makes all of them to know."""
    return {name: sum(map(len, pieces)) for name, pieces in texts_of(plan)}


def texts_bytes_about(plan: Plan) -> int:
    """About so many bytes are all texts together, the manifest too."""
    return _BYTES_A_SENTENCE * max(plan.draft.first_numbers[-1], 1)


def otioz_content(plan: Plan, place: Callable[[str], str]) -> Iterator[bytes]:
    """The timeline within a bundle; `place` says where in it a file of the folder is."""
    return _joined(write_otio(plan, make_cut(plan), lambda copy: place(copy.name)))


def _joined(lines: Iterable[str]) -> Iterator[bytes]:
    """A write for each line would cost more than the line."""
    waiting: list[str] = []
    characters = 0
    for line in lines:
        waiting.append(line)
        characters += len(line)
        if characters >= _PIECE_CHARACTERS:
            yield "".join(waiting).encode()
            waiting.clear()
            characters = 0
    yield "".join(waiting).encode()
