"""Cuts a section's narration at its sentences, in whole sample frames, so that no sample is lost or doubled. Pure."""

from collections.abc import Sequence
from typing import NamedTuple

from service.segments import Extent, Segment
from service.wav import NotCuttable, Wav, frame_at, slice_header, slice_padding


class Cut(NamedTuple):
    """One sentence's part of the narration, as the project tells it."""

    in_section: int
    """Position of the sentence in its section, from 0."""
    start_ms: int
    end_ms: int


def frame_ranges(wav: Wav, cuts: Sequence[Cut], sentences: int) -> list[tuple[int, int]]:
    """The frames of each cut, `start` up to `stop`; `cuts` are in story order, `sentences` are in the section.

    Neighbours share one boundary, the later one's start, rounded once; the section's first sentence begins with the
    first frame and its last ends with the last. So the slices of a section, joined, are its samples. A sentence
    between two cuts that has a file of its own keeps its time out of both.

    Raises NotCuttable when the times do not run forward or lie outside the narration.
    """
    starts = [0 if cut.in_section == 0 else frame_at(cut.start_ms, wav.sample_rate_hz) for cut in cuts]
    ranges = [
        (start, _stop(wav, cut, after, sentences))
        for start, cut, after in zip(starts, cuts, [*cuts[1:], None], strict=True)
    ]
    for cut, (start, stop) in zip(cuts, ranges, strict=True):
        if not 0 <= start < stop <= wav.frames:
            raise NotCuttable(
                f"the part from {cut.start_ms} to {cut.end_ms} ms does not fit between its neighbours "
                f"in {wav.duration_ms} ms of narration"
            )
    return ranges


def _stop(wav: Wav, cut: Cut, after: Cut | None, sentences: int) -> int:
    if after is None:
        return wav.frames if cut.in_section == sentences - 1 else frame_at(cut.end_ms, wav.sample_rate_hz)
    next_start = frame_at(after.start_ms, wav.sample_rate_hz)
    if after.in_section == cut.in_section + 1:
        return next_start
    return min(frame_at(cut.end_ms, wav.sample_rate_hz), next_start)


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
