"""When each cue of a sentence is on screen, in whole milliseconds of the timeline. Pure.

A cue never lies outside of the narration that tells its sentence, and never over another one. Its moments come from the
words' timings where these are the text's; else the narration is shared by how long the cues are.
"""

import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, chain, pairwise

from contracts import CompletedAsset, Sentence, WordTiming
from service.captions.cue_text import cues_of
from service.cut import Cut, Track
from service.graphemes import columns
from service.model import Plan
from service.timecodes import milliseconds

READABLE_MS = 833
"""No cue is shorter if its narration is long enough for all of its cues: the 20 frames at 24 of streaming services."""
BRIDGED_MS = 1000
"""A shorter pause between two cues of a sentence is not shown as one: the first stays, else it flickers."""


@dataclass(frozen=True, slots=True)
class Cue:
    """What is on screen together; never empty, and on for a millisecond at least."""

    seq: int
    """The number of its sentence."""
    start_ms: int
    stop_ms: int
    lines: tuple[str, ...]


def spoken(plan: Plan, cut: Cut) -> Iterator[Cue]:
    """The cues of every sentence that is told by a narration, in order.

    What nobody says has none: a pending narration, one that is left out, or a sentence that never had any. A creator
    who adds the voice later would have to take those captions away again.
    """
    narrations = iter([clip for clip in cut.clips if clip.track is Track.NARRATION])
    clip = next(narrations, None)
    for slot in cut.slots:
        while clip is not None and clip.start + clip.frames <= slot.start:
            clip = next(narrations, None)
        if clip is None:
            return
        stop = min(slot.start + slot.frames, clip.start + clip.frames)
        if slot.in_section is not None and clip.start <= slot.start < stop:
            sentence = plan.draft.project.sections[slot.section].sentences[slot.in_section]
            yield from _cues(slot.seq, sentence, milliseconds(cut, slot.start), milliseconds(cut, stop))


def _cues(seq: int, sentence: Sentence, start_ms: int, stop_ms: int) -> Iterator[Cue]:
    texts = cues_of(sentence.text)
    length_ms = stop_ms - start_ms
    if len(texts) > length_ms:
        # Faster than a cue a millisecond: nobody could read it, but none of it is lost.
        texts = [tuple(chain.from_iterable(texts))]
    for lines, (on_ms, off_ms) in zip(texts, _times(texts, sentence, length_ms), strict=True):
        yield Cue(seq, start_ms + on_ms, start_ms + off_ms, lines)


_Times = list[tuple[int, int]]
"""From when until when, in milliseconds of the sentence's narration."""


def _times(texts: Sequence[tuple[str, ...]], sentence: Sentence, length_ms: int) -> _Times:
    if sentence.word_timings:
        by_words = _by_words(texts, sentence, length_ms)
        if by_words is not None:
            return _readable(_bridged(by_words), length_ms)
    if len(texts) <= 1:
        return [(0, length_ms)] * len(texts)
    return _readable(_by_length(texts, length_ms), length_ms)


def _by_length(texts: Sequence[tuple[str, ...]], length_ms: int) -> _Times:
    """Each as long as its share of the text is: an ideograph counts two, as it takes about as long to say."""
    weights = [max(1, sum(map(columns, lines))) for lines in texts]
    ends = [length_ms * told // sum(weights) for told in accumulate(weights)]
    return list(zip([0, *ends], ends, strict=False))


def _readable(times: _Times, length_ms: int) -> _Times:
    """Moved apart as far as it takes to read each, and as there is room for; none over the next."""
    count = len(times)
    least = READABLE_MS if length_ms >= count * READABLE_MS else max(1, length_ms // (2 * count))
    starts: list[int] = []
    for start, _ in times:
        starts.append(max(start, starts[-1] + least) if starts else start)
    starts = [min(start, length_ms - (count - at) * least) for at, start in enumerate(starts)]
    nexts = [*starts[1:], length_ms]
    return [
        (start, min(max(end, start + least), following))
        for start, following, (_, end) in zip(starts, nexts, times, strict=True)
    ]


def _bridged(times: _Times) -> _Times:
    nexts = [start for start, _ in times[1:]]
    bridged = (after if after - end < BRIDGED_MS else end for (_, end), after in zip(times, nexts, strict=False))
    return [(start, end) for (start, _), end in zip(times, [*bridged, times[-1][1]], strict=True)]


# ---- words -----------------------------------------------------------------------------------------


def _by_words(texts: Sequence[tuple[str, ...]], sentence: Sentence, length_ms: int) -> _Times | None:
    """From the first word of each cue to its last; None where the timings are not of this text and narration.

    Letters and digits are compared, not words: `don't` may be timed as one word or two, with or without its signs.
    """
    keys = [_key("".join(lines)) for lines in texts]
    words = _in_narration(sentence, length_ms)
    if not all(keys) or "".join(keys) != "".join(_key(word.word) for word in words):
        return None
    spans = _letters(words, length_ms)
    ends = list(accumulate(map(len, keys)))
    return [(spans[start][0], spans[end - 1][1]) for start, end in zip([0, *ends], ends, strict=False)]


def _key(text: str) -> str:
    """What of a text is spoken, however it is written."""
    plain = text.lower() if text.isascii() else unicodedata.normalize("NFC", text).casefold()
    return plain if plain.isalnum() else "".join(filter(str.isalnum, plain))


def _in_narration(sentence: Sentence, length_ms: int) -> Sequence[WordTiming]:
    """The words, counted from the start of the sentence's narration; none if they are of something else.

    A studio that cuts a section's narration may count from the start of that. It shows where the words lie within the
    sentence's slice and not within its narration.
    """
    words = sentence.word_timings
    first_ms, last_ms = min(word.start_ms for word in words), max(word.start_ms for word in words)
    if last_ms < length_ms:
        return words
    match sentence.audio:
        case CompletedAsset(slice=part) if part and part.start_ms <= first_ms and last_ms < part.end_ms:
            return [
                word.model_copy(
                    update={"start_ms": word.start_ms - part.start_ms, "end_ms": word.end_ms - part.start_ms}
                )
                for word in words
            ]
        case _:
            return ()


def _letters(words: Sequence[WordTiming], length_ms: int) -> _Times:
    """From when until when each letter is spoken: within the narration, and none before the one before it."""
    letters: _Times = []
    latest = 0
    for word in words:
        start = min(max(word.start_ms, latest), length_ms)
        latest = min(max(word.end_ms, start), length_ms)
        count = len(_key(word.word))
        bounds = [start + (latest - start) * at // max(count, 1) for at in range(count + 1)]
        letters += pairwise(bounds)
    return letters
