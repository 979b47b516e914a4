"""A thousand sentences are written in a moment, and a hundred thousand never all at once."""

import time
import tracemalloc
from collections.abc import Callable, Iterator
from fractions import Fraction
from functools import cache

import pytest

from contracts import Sentence
from service.captions import write_srt, write_vtt
from service.chapters import write_chapters
from service.cut import Cut
from service.index.metadata import write_metadata
from service.index.page import write_index_page
from service.index.table import write_index_table
from service.media import Container, Media, Picture
from service.model import Plan
from tests.core.projects import PENDING, completed, project, section
from tests.editors.told import Told, narrated, speech, timed, told

TEXT = "He reads the log, winds the clock, and goes up the stairs to see whether the lamp still burns."
WORDS = timed(*((word, 300 * at, 300 * at + 250) for at, word in enumerate(TEXT.split())))
WRITERS = (write_srt, write_vtt, write_chapters, write_index_page, write_index_table, write_metadata)


@cache
def long_story(sentences: int = 1000) -> Told:
    """In sections of twenty, with everything that a sentence may have."""
    lines = [
        Sentence(
            id=f"s-{at}",
            text=TEXT,
            audio=completed(f"{at}.wav"),
            image=completed(f"{at}.png"),
            video=PENDING if at % 7 == 0 else completed(f"{at}.mp4"),
            word_timings=WORDS,
        )
        for at in range(sentences)
    ]
    parts = (section(*lines[at : at + 20], title=f"Part {at}") for at in range(0, sentences, 20))
    media = {}
    for at in range(sentences):
        media[f"{at}.wav"] = speech(6)
        media[f"{at}.png"] = Media(Container.PNG, picture=Picture(1920, 1080))
        media[f"{at}.mp4"] = Media(Container.MP4, Fraction(5), Picture(1920, 1080, frame_rate=Fraction(30)))
    return told(project(*parts, frame_rate=30), media)


def test_a_thousand_sentences_take_no_time() -> None:
    """About 0.5 s on one of two shared cores; the bound is for a machine that does ten things more."""
    story = long_story()
    begun = time.process_time()
    for write in WRITERS:
        assert sum(map(len, write(*story))) > 0
    assert time.process_time() - begun < 5


def test_a_file_comes_in_small_pieces() -> None:
    for write in WRITERS:
        assert max(map(len, write(*long_story()))) < 70_000


@pytest.mark.parametrize("write", [write_index_page, write_metadata])
def test_a_file_is_never_held_whole(write: Callable[[Plan, Cut], Iterator[str]]) -> None:
    story = long_story()
    tracemalloc.start()
    try:
        written = sum(map(len, write(*story)))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < written / 2


def test_one_endless_sentence_takes_no_time_either() -> None:
    story = narrated(("灯塔的光，" * 9_000, 3600), ("word " * 19_000, 3600))
    begun = time.process_time()
    assert sum(1 for _ in write_vtt(*story)) > 1500
    assert time.process_time() - begun < 10
