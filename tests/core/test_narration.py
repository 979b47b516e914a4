"""A section's narration is cut at its sentences without losing, doubling or changing a sample."""

import io
import wave
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts import Asset, Section, Sentence
from service.model import Copy, Found, Plan
from service.narration import Cut, frame_ranges
from service.segments import Extent, Segment
from service.wav import NotCuttable, parse
from tests.core.projects import (
    FIVE_SECONDS,
    PENDING,
    completed,
    found,
    left_out,
    names,
    part,
    plan,
    project,
    section,
    warnings,
)

few = settings(max_examples=20)

RATE_HZ = 1000
"""So that a millisecond is a frame, where that makes a test easier to read."""


def recorded(frames: int, rate_hz: int = RATE_HZ, channels: int = 1, width: int = 2) -> bytes:
    """A WAV file as Python's own library writes it, with no two neighbouring bytes alike."""
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setparams((channels, width, rate_hz, frames, "NONE", ""))
        writer.writeframes(bytes(at % 251 for at in range(frames * channels * width)))
    return file.getvalue()


def facts(files: Mapping[str, bytes]) -> dict[str, Found]:
    return {uri: found(uri, len(file), parse(file, len(file))) for uri, file in files.items()}


def content(segments: Iterable[Segment], file: bytes) -> bytes:
    """What a storage would write."""
    return b"".join(one if isinstance(one, bytes) else file[one.start : one.stop] for one in segments)


class Heard(NamedTuple):
    """What Python's own library hears in an exported slice."""

    form: tuple[int, int, int]
    """Channels, bytes a sample, frames a second."""
    samples: bytes


def listen(copy: Copy, file: bytes) -> Heard:
    with wave.open(io.BytesIO(content(copy.segments, file)), "rb") as reader:
        return Heard(reader.getparams()[:3], reader.readframes(reader.getnframes()))


def samples_of(file: bytes) -> bytes:
    with wave.open(io.BytesIO(file), "rb") as reader:
        return reader.readframes(reader.getnframes())


def told(*times_ms: tuple[int, int]) -> list[Sentence]:
    return [Sentence(audio=part(*times)) for times in times_ms]


def lengths(planned: Plan) -> list[int]:
    """Frames in each slice of a narration of one channel of 16 bits."""
    return [copy.sources[0].size_bytes // 2 for copy in planned.copies]


def planned(*sentences: Sentence, frames: int = 5000) -> Plan:
    """Of one section with a narration of its own."""
    return plan(project(narrated(*sentences)), facts({"n.wav": recorded(frames)}))


def narrated(*sentences: Sentence) -> Section:
    return section(*sentences, audio=completed("n.wav"))


# ---- no sample is lost or doubled ------------------------------------------------------------------


@few
@given(
    form=st.tuples(st.integers(1, 3), st.integers(1, 4), st.sampled_from([997, 8_000, 44_100])),
    starts_ms=st.lists(st.integers(0, 190), min_size=1, max_size=6, unique_by=lambda ms: ms // 5).map(sorted),
    lasting_ms=st.lists(st.integers(1, 300), min_size=6, max_size=6),
)
def test_the_slices_of_a_section_joined_are_its_narration(
    form: tuple[int, int, int], starts_ms: list[int], lasting_ms: list[int]
) -> None:
    channels, width, rate_hz = form
    file = recorded(rate_hz // 5, rate_hz, channels, width)
    times = [(start, start + lasts) for start, lasts in zip(starts_ms, lasting_ms, strict=False)]
    copies = plan(project(narrated(*told(*times))), facts({"n.wav": file})).copies
    heard = [listen(copy, file) for copy in copies]
    assert b"".join(one.samples for one in heard) == samples_of(file)
    assert len(heard) == len(times)
    assert {one.form for one in heard} == {(channels, width, rate_hz)}


def test_the_first_sentence_begins_with_the_file_and_the_last_ends_with_it() -> None:
    assert lengths(planned(*told((300, 1000), (1000, 2000), (2000, 4000)))) == [1000, 1000, 3000]


def test_a_gap_belongs_to_the_sentence_before_it() -> None:
    assert lengths(planned(*told((0, 1000), (1500, 5000)))) == [1500, 3500]


def test_an_overlap_belongs_to_the_sentence_after_it() -> None:
    assert lengths(planned(*told((0, 1900), (1500, 5000)))) == [1500, 3500]


@pytest.mark.parametrize("own", [completed("own.wav"), PENDING, completed("own.wav", stale=True)])
def test_a_sentence_in_the_middle_that_is_not_cut_keeps_its_time_out(own: Asset) -> None:
    first, last = told((0, 1000), (4000, 5000))
    copies = planned(first, Sentence(audio=own), last).copies
    cut = [copy.sources[0] for copy in copies if copy.uri == "n.wav"]
    assert [(one.start, one.stop) for one in cut] == [(44, 2044), (8044, 10_044)]


def test_what_overlaps_the_time_of_a_sentence_that_is_not_cut_ends_where_the_next_one_begins() -> None:
    first, last = told((0, 3000), (2000, 5000))
    assert lengths(planned(first, Sentence(image=PENDING, audio=PENDING), last)) == [2000, 3000]


def test_before_the_first_and_after_the_last_slice_a_narration_is_others() -> None:
    others = Sentence(audio=completed("own.wav"))
    inner = [copy for copy in planned(others, *told((1000, 2000), (2000, 3000)), others).copies if copy.uri == "n.wav"]
    assert [copy.sources[0].start for copy in inner] == [2044, 4044]
    assert inner[-1].sources[0].stop == 6044


def test_a_slice_of_odd_length_is_padded() -> None:
    file = recorded(5, width=1)
    copies = plan(project(narrated(*told((0, 3), (3, 5)))), facts({"n.wav": file})).copies
    assert [copy.size_bytes for copy in copies] == [44 + 3 + 1, 44 + 2]
    assert [content(copy.segments, file)[-2:] for copy in copies] == [b"\x02\x00", b"\x03\x04"]
    assert [int.from_bytes(content(copy.segments, file)[4:8], "little") for copy in copies] == [40, 38]


def test_a_slice_is_a_header_and_a_span_of_the_narration_as_it_was_seen() -> None:
    (copy,) = planned(*told((0, 5000))).copies
    header, samples = copy.segments
    assert isinstance(header, bytes)
    assert isinstance(samples, Extent)
    assert (samples.root, samples.key, samples.version.size_bytes) == ("media", "n.wav", 10_044)


# ---- one narration of several sections -------------------------------------------------------------


def test_a_narration_of_several_sections_is_cut_once_through() -> None:
    times = [(0, 1000), (1200, 2000), (2000, 3000), (3000, 4000)]
    first, second, third, fourth = (Sentence(audio=part(*time, "all.wav")) for time in times)
    file = recorded(5000)
    copies = plan(project(section(first, second), section(third, fourth)), facts({"all.wav": file})).copies
    assert b"".join(listen(copy, file).samples for copy in copies) == samples_of(file)
    assert [copy.sources[0].size_bytes // 2 for copy in copies] == [1200, 800, 1000, 2000]


def test_sections_that_changed_places_keep_their_own_parts_of_a_common_narration() -> None:
    times = [(3000, 4000), (0, 1000), (1000, 3000)]
    sections = [section(Sentence(audio=part(*time, "all.wav"))) for time in times]
    copies = plan(project(*sections), facts({"all.wav": recorded(5000)})).copies
    spans = [(copy.sources[0].start // 2 - 22, copy.sources[0].stop // 2 - 22) for copy in copies]
    assert spans == [(3000, 5000), (0, 1000), (1000, 3000)]


def test_a_section_that_was_not_chosen_keeps_its_time_of_a_common_narration() -> None:
    sections = [section(Sentence(audio=part(at, at + 1000, "all.wav")), id=f"s-{at}") for at in (0, 1000, 2000)]
    chosen = plan(project(*sections), facts({"all.wav": recorded(5000)}), include={"sections": ["s-1000"]})
    (copy,) = chosen.copies
    assert (copy.name, copy.sources[0].start, copy.sources[0].stop) == ("audio/002_intro_audio.wav", 2044, 4044)


# ---- what does not fit stays whole -----------------------------------------------------------------


@pytest.mark.parametrize(
    "times_ms",
    [
        [(2000, 3000), (1000, 2000)],
        [(0, 1000), (0, 1000)],
        [(0, 1000), (2000, 3000), (1500, 2500)],
        [(0, 1000), (5000, 6000)],
        [(0, 1000), (5001, 5002)],
        [(0, 1000), (1000, 2000), (360_000_000 - 1, 360_000_000)],
    ],
)
def test_times_that_do_not_run_forward_in_the_narration_leave_it_whole(times_ms: list[tuple[int, int]]) -> None:
    whole = planned(*told(*times_ms))
    assert names(whole) == ["audio/001_intro_section_audio.wav"]
    assert left_out(whole) == [(seq, "audio", "in_section_audio") for seq in range(1, len(times_ms) + 1)]
    (warning,) = warnings(whole)
    assert "does not fit between its neighbours in 5000 ms of narration" in warning


def test_the_sentence_that_begins_after_the_narration_is_the_one_that_is_named() -> None:
    (warning,) = warnings(planned(*told((0, 1000), (1000, 2000), (5001, 5002))))
    assert "the part from 5001 to 5002 ms does not fit" in warning


def test_a_part_that_ends_after_the_narration_leaves_it_whole_unless_it_is_the_last() -> None:
    late, own = told((1000, 5002))[0], Sentence(audio=completed("own.wav"))
    assert "audio/001_intro_section_audio.wav" in names(planned(late, own))
    assert lengths(planned(own, late))[1:] == [4000]


def test_an_end_that_was_rounded_up_to_a_whole_millisecond_is_the_narration_s_end() -> None:
    file = recorded(44_130, rate_hz=44_100)  # 1,000.68 ms
    first, own = told((0, 1001))[0], Sentence(audio=completed("own.wav"))
    (copy, _) = plan(project(narrated(first, own)), facts({"n.wav": file})).copies
    assert copy.name == "audio/001_intro_audio.wav"
    assert listen(copy, file).samples == samples_of(file)


def test_an_empty_narration_stays_whole() -> None:
    assert names(planned(*told((0, 1000)), frames=0)) == ["audio/001_intro_section_audio.wav"]


@few
@given(
    cuts=st.lists(st.builds(Cut, st.integers(0, 8), st.integers(0, 6000), st.integers(1, 6000)), max_size=5),
    sentences=st.integers(9, 10),
)
def test_any_times_are_cut_into_parts_that_follow_each_other_or_not_at_all(cuts: list[Cut], sentences: int) -> None:
    in_order = [
        cut._replace(position=at) for at, cut in zip(sorted({cut.position for cut in cuts}), cuts, strict=False)
    ]
    try:
        ranges = frame_ranges(FIVE_SECONDS, in_order, sentences)
    except NotCuttable:
        return
    assert boundaries_rise(ranges, FIVE_SECONDS.frames)
    assert [start for start, _ in ranges if start] == [
        cut.start_ms for cut in in_order if cut.position and cut.start_ms
    ]


def boundaries_rise(ranges: Sequence[tuple[int, int]], frames: int) -> bool:
    inside = all(0 <= start < stop <= frames for start, stop in ranges)
    return inside and all(before[1] <= after[0] for before, after in pairwise(ranges))
