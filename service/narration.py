"""Cuts a section's narration at its sentences, in whole sample frames, so that no sample is lost or doubled. Pure."""

from collections.abc import Sequence
from itertools import zip_longest
from typing import NamedTuple

from service.segments import Extent, Segment
from service.wav import NotCuttable, Wav, frame_at, slice_header, slice_padding


class Cut(NamedTuple):
    """One sentence's part of the narration, as the project tells it."""

    position: int
    """Of the sentence, from 0, among those that the narration is for."""
    start_ms: int
    end_ms: int


def frame_ranges(wav: Wav, cuts: Sequence[Cut], sentences: int) -> list[tuple[int, int]]:
    """The frames of each cut, `start` up to `stop`; `cuts` are in story order, the narration is for `sentences`.

    Neighbours share one boundary, the later one's start, rounded once; the first sentence begins with the first frame
    and the last ends with the last. So the slices of all sentences, joined, are the samples. A sentence between two
    cuts that has a file of its own keeps its time out of both.

    Raises NotCuttable when the times do not run forward or lie outside the narration.
    """
    ranges: list[tuple[int, int]] = []
    for cut, after in zip_longest(cuts, cuts[1:]):
        start, stop = _start(wav, cut), _stop(wav, cut, after, sentences)
        if not start < stop <= wav.frames:
            misfit = after if after is not None and start < wav.frames < stop == _start(wav, after) else cut
            raise NotCuttable(
                f"the part from {misfit.start_ms} to {misfit.end_ms} ms does not fit between its neighbours "
                f"in {wav.duration_ms} ms of narration"
            )
        ranges.append((0 if cut.position == 0 else start, stop))
    return ranges


def _start(wav: Wav, cut: Cut) -> int:
    return frame_at(cut.start_ms, wav.sample_rate_hz)


def _stop(wav: Wav, cut: Cut, after: Cut | None, sentences: int) -> int:
    if after is None:
        return wav.frames if cut.position == sentences - 1 else _end(wav, cut)
    next_start = _start(wav, after)
    return next_start if after.position == cut.position + 1 else min(_end(wav, cut), next_start)


def _end(wav: Wav, cut: Cut) -> int:
    """The end as told; in whole milliseconds it may be rounded up past the last frame."""
    if frame_at(cut.end_ms - 1, wav.sample_rate_hz) < wav.frames:
        return min(frame_at(cut.end_ms, wav.sample_rate_hz), wav.frames)
    return frame_at(cut.end_ms, wav.sample_rate_hz)


def slice_segments(wav: Wav, whole: Extent, frames: tuple[int, int]) -> tuple[Segment, ...]:
    """A WAV file of those frames: a new header, and the samples where they are."""
    start, stop = frames
    samples = Extent(
        whole.root,
        whole.key,
        wav.data_start + start * wav.frame_bytes,
        wav.data_start + stop * wav.frame_bytes,
        whole.version,
    )
    padding = slice_padding(wav, stop - start)
    header = slice_header(wav, stop - start)
    return (header, samples, padding) if padding else (header, samples)
