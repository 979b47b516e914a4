"""Every text of an export but its manifest, in pieces: none is ever held whole. Pure."""

from collections.abc import Callable, Iterable, Iterator
from functools import partial

from contracts import Caption
from service.captions import write_srt, write_vtt
from service.chapters import write_chapters
from service.contents import CAPTION_NAMES, CHAPTERS, INDEX_PAGE, INDEX_TABLE, METADATA, SCRIPT, text_names
from service.cut import Cut, make_cut
from service.index import write_index_page, write_index_table, write_metadata
from service.model import Plan
from service.script import write_script
from service.timelines import TIMELINES, otioz_content, write_timeline

_PIECE_CHARACTERS = 64 * 1024
_BYTES_A_SENTENCE = 15_000
"""About what all texts have of one sentence: 12.5 KB, or 18 KB if its film has sound (`python -m bench texts`)."""

Write = Callable[[Plan, Cut], Iterator[str]]

_WRITERS: dict[str, Write] = {
    SCRIPT: lambda plan, cut: iter([write_script(plan, cut)]),
    CAPTION_NAMES[Caption.SRT]: write_srt,
    CAPTION_NAMES[Caption.VTT]: write_vtt,
    CHAPTERS: write_chapters,
    INDEX_PAGE: write_index_page,
    INDEX_TABLE: write_index_table,
    METADATA: write_metadata,
    **{file.name: partial(write_timeline, timeline=timeline) for timeline, file in TIMELINES.items()},
}


def texts_of(plan: Plan) -> Iterator[tuple[str, Iterator[bytes]]]:
    """Each text's name and pieces, in the order of `text_names`."""
    cut = make_cut(plan)
    for name in text_names(plan.draft.options):
        yield name, _joined(_WRITERS[name](plan, cut))


def sizes_of_texts(plan: Plan) -> dict[str, int]:
    """Bytes of each; makes all of them to know."""
    return {name: sum(map(len, pieces)) for name, pieces in texts_of(plan)}


def texts_bytes_about(plan: Plan) -> int:
    """About so many bytes are all texts together, the manifest too."""
    return _BYTES_A_SENTENCE * max(plan.draft.first_numbers[-1], 1)


def content_of_otioz(plan: Plan) -> Iterator[bytes]:
    """The timeline within a bundle, whose media lie flat in `media/`."""
    return _joined(otioz_content(plan, make_cut(plan)))


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
