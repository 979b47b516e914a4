"""Which narrations can be cut, where their samples lie, and what the pieces are."""

import io
import struct
import wave
from collections.abc import Iterable
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.wav import (
    HEAD_BYTES,
    MAX_SLICE_BYTES,
    NotCuttable,
    Wav,
    frame_at,
    parse,
    slice_header,
    slice_padding,
)

PCM, ADPCM, IEEE_FLOAT, MP3, EXTENSIBLE = 1, 2, 3, 0x55, 0xFFFE
UNSET = 0xFFFF_FFFF
SAMPLES = bytes(range(48))

few = settings(max_examples=100, deadline=None, database=None)


def fmt(tag: int = PCM, channels: int = 1, rate_hz: int = 24_000, bits: int = 16) -> bytes:
    frame_bytes = channels * -(-bits // 8)
    return struct.pack("<HHIIHH", tag, channels, rate_hz, rate_hz * frame_bytes, frame_bytes, bits)


def extensible(subformat: int, bits: int = 24) -> bytes:
    ending = bytes.fromhex("00001000800000aa00389b71")
    return fmt(EXTENSIBLE, bits=bits) + struct.pack("<HHIHH", 22, bits, 4, subformat, 0) + ending


def chunk(name: bytes, body: bytes) -> bytes:
    return name + struct.pack("<I", len(body)) + body + bytes(len(body) % 2)


def riff(*chunks: bytes) -> bytes:
    body = b"WAVE" + b"".join(chunks)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def with_sizes(file: bytes, riff_bytes: int, data_bytes: int) -> bytes:
    """The same file, but its header tells other sizes."""
    data = file.index(b"data")
    sizes = struct.pack("<I", riff_bytes), struct.pack("<I", data_bytes)
    return file[:4] + sizes[0] + file[8 : data + 4] + sizes[1] + file[data + 8 :]


def rf64(form: bytes, riff_bytes: int, data_bytes: int, *after: bytes) -> bytes:
    ds64 = chunk(b"ds64", struct.pack("<QQQI", riff_bytes, data_bytes, 0, 0))
    file = riff(ds64, chunk(b"fmt ", fmt()), chunk(b"data", SAMPLES), *after)
    return form + with_sizes(file, UNSET, UNSET)[4:]


PLAIN = riff(chunk(b"fmt ", fmt()), chunk(b"data", SAMPLES))


def read(file: bytes) -> Wav:
    return parse(file[:HEAD_BYTES], len(file))


def samples_of(file: bytes) -> bytes:
    wav = read(file)
    return file[wav.data_start : wav.data_stop]


def cut(file: bytes, boundaries: Iterable[int]) -> list[bytes]:
    """The slices between neighbouring boundaries, as files."""
    wav = read(file)

    def piece(start: int, stop: int) -> bytes:
        samples = file[wav.data_start + start * wav.frame_bytes : wav.data_start + stop * wav.frame_bytes]
        return slice_header(wav, stop - start) + samples + slice_padding(wav, stop - start)

    return [piece(start, stop) for start, stop in pairwise(boundaries)]


# --- the pieces ---

other_chunks = st.lists(
    st.builds(chunk, st.sampled_from([b"LIST", b"JUNK", b"bext", b"fact", b"cue "]), st.binary(max_size=5)),
    max_size=3,
)


@few
@given(
    channels=st.integers(1, 3),
    width=st.integers(1, 4),
    rate_hz=st.sampled_from([997, 8_000, 24_000, 44_100]),
    frames=st.integers(0, 200),
    cuts_ms=st.lists(st.integers(0, 40), max_size=4),
    chunks=st.tuples(other_chunks, other_chunks, other_chunks),
)
def test_slices_of_a_section_joined_are_its_samples(
    channels: int,
    width: int,
    rate_hz: int,
    frames: int,
    cuts_ms: list[int],
    chunks: tuple[list[bytes], list[bytes], list[bytes]],
) -> None:
    samples = (SAMPLES * 60)[: frames * channels * width]
    first, between, after = chunks
    format_chunk = chunk(b"fmt ", fmt(PCM, channels, rate_hz, width * 8))
    file = riff(*first, format_chunk, *between, chunk(b"data", samples), *after)
    inner = sorted(min(frame_at(ms, rate_hz), frames) for ms in cuts_ms)
    boundaries = [0, *inner, frames]
    slices = cut(file, boundaries)
    assert b"".join(map(samples_of, slices)) == samples
    for piece, (start, stop) in zip(slices, pairwise(boundaries), strict=True):
        with wave.open(io.BytesIO(piece)) as reader:
            assert reader.getparams()[:4] == (channels, width, rate_hz, stop - start)
            assert reader.readframes(stop) == samples[start * channels * width : stop * channels * width]


@pytest.mark.parametrize(
    "format_body", [fmt(), fmt(bits=8), fmt(IEEE_FLOAT, bits=32), extensible(PCM), fmt() + b"\0\0\7"]
)
def test_a_slice_says_the_same_of_its_samples_as_the_section(format_body: bytes) -> None:
    section = riff(chunk(b"LIST", b"INFO"), chunk(b"fmt ", format_body), chunk(b"data", SAMPLES))
    (piece,) = cut(section, [1, 4])
    assert read(piece).fmt == read(section).fmt == format_body
    assert read(piece).frames == 3


def test_a_slice_of_odd_length_is_padded_and_counts_its_padding_in_the_riff_only() -> None:
    section = riff(chunk(b"fmt ", fmt(bits=8)), chunk(b"data", SAMPLES))
    (piece,) = cut(section, [2, 5])
    assert piece[-8:] == b"\3\0\0\0" + SAMPLES[2:5] + b"\0"
    assert int.from_bytes(piece[4:8], "little") == len(piece) - 8


@pytest.mark.parametrize("format_body", [fmt(IEEE_FLOAT, bits=32), extensible(IEEE_FLOAT, 32), extensible(PCM)])
def test_a_slice_in_a_newer_format_counts_its_own_frames_in_a_fact_chunk(format_body: bytes) -> None:
    stale = chunk(b"fact", struct.pack("<I", 999))
    section = riff(chunk(b"fmt ", format_body), stale, chunk(b"data", SAMPLES))
    (piece,) = cut(section, [0, 3])
    assert chunk(b"fact", struct.pack("<I", 3)) in piece
    assert b"fact" not in cut(PLAIN, [0, 3])[0]


def test_a_slice_longer_than_a_wav_file_can_be_is_refused() -> None:
    wav = Wav(24_000, 1, 16, 2, fmt(), 44, 2**40)
    longest = MAX_SLICE_BYTES // 2
    assert int.from_bytes(slice_header(wav, longest)[4:8], "little") == 36 + MAX_SLICE_BYTES
    with pytest.raises(NotCuttable, match="4 GiB"):
        slice_header(wav, longest + 1)


# --- where the samples lie ---


def test_a_narration_lasts_as_long_as_its_whole_frames() -> None:
    file = riff(chunk(b"fmt ", fmt(channels=2, rate_hz=1_500)), chunk(b"data", SAMPLES[:47]))
    wav = read(file)
    assert (wav.frames, wav.duration_ms, wav.data_stop - wav.data_start) == (11, 7, 44)


def test_notes_after_the_samples_are_not_heard() -> None:
    file = riff(chunk(b"fmt ", fmt(bits=8)), chunk(b"data", SAMPLES[:5]), chunk(b"LIST", b"INFOcredits"))
    assert samples_of(file) == SAMPLES[:5]


def test_notes_may_fill_the_head_up_to_its_limit() -> None:
    def notes(size_bytes: int) -> bytes:
        return riff(chunk(b"fmt ", fmt()), chunk(b"bext", bytes(size_bytes)), chunk(b"data", SAMPLES))

    most = HEAD_BYTES - (len(notes(0)) - len(SAMPLES))
    assert samples_of(notes(most)) == SAMPLES
    with pytest.raises(NotCuttable, match="no data chunk in the first 65536 bytes"):
        parse(notes(most + 2), len(notes(most + 2)))


def test_the_first_of_two_formats_is_meant() -> None:
    file = riff(chunk(b"fmt ", fmt(bits=20)), chunk(b"fmt ", fmt(bits=8)), chunk(b"data", SAMPLES))
    wav = read(file)
    assert (wav.bits_per_sample, wav.frame_bytes, wav.frames) == (20, 3, 16)


@pytest.mark.parametrize(
    ("riff_bytes", "data_bytes"),
    [
        (0, 0),
        (8, 0),
        (36, 0),
        (UNSET, 0),
        (UNSET, UNSET),
        (UNSET, UNSET - 36),
        (0x7FFF_F024, 0x7FFF_F000),
        (0x7FFF_F023, 0x7FFF_EFFF),
        (0x7FFF_FFFF, 0x7FFF_FFFF - 36),
        (0x8000_0024, 0x8000_0000),
    ],
)
def test_a_narration_from_a_pipe_reaches_to_the_end_of_its_file(riff_bytes: int, data_bytes: int) -> None:
    assert samples_of(with_sizes(PLAIN, riff_bytes, data_bytes)) == SAMPLES


def test_a_narration_from_a_pipe_may_be_longer_than_its_header_can_say() -> None:
    assert parse(with_sizes(PLAIN, UNSET, UNSET), 44 + 2**33).frames == 2**32


def test_a_narration_that_was_counted_and_is_empty_stays_empty() -> None:
    notes = chunk(b"LIST", b"INFOcredits!")
    file = riff(chunk(b"fmt ", fmt()), chunk(b"data", b""), notes)
    assert (read(file).frames, read(file).duration_ms) == (0, 0)
    assert read(rf64(b"RF64", 120 + len(notes), 0, notes)).frames == 0


def test_two_gibibytes_that_are_there_are_counted_not_guessed() -> None:
    file = with_sizes(PLAIN, 0x7FFF_F038, 0x7FFF_F000)
    assert parse(file, 44 + 0x7FFF_F000 + 20).data_stop == 44 + 0x7FFF_F000


@pytest.mark.parametrize("form", [b"RF64", b"BW64"])
def test_a_64_bit_narration_has_its_size_in_ds64(form: bytes) -> None:
    assert samples_of(rf64(form, 144, len(SAMPLES), chunk(b"LIST", b"INFOcredits!"))) == SAMPLES
    huge = rf64(form, 2**33 + 72, 2**33)
    assert parse(huge, 80 + 2**33).frames == 2**32


@pytest.mark.parametrize("data_bytes", [0, 2**64 - 1])
def test_a_64_bit_narration_from_a_pipe_reaches_to_the_end_of_its_file(data_bytes: int) -> None:
    assert samples_of(rf64(b"RF64", 2**64 - 1, data_bytes)) == SAMPLES


def test_a_64_bit_narration_may_still_count_in_32_bits() -> None:
    file = rf64(b"RF64", 0, 0, chunk(b"LIST", b"INFO"))
    assert samples_of(with_sizes(file, UNSET, len(SAMPLES))) == SAMPLES


def test_a_narration_that_ffmpeg_wrote_to_a_pipe_is_cut() -> None:
    # ffmpeg 5.1 -f lavfi -i sine -c:a pcm_f32le -f wav pipe:1
    head = bytes.fromhex(
        "52494646 ffffffff 57415645 666d7420 28000000 feff0100 44ac0000 10b10200 04002000 16002000 04000000"
        "03000000 00001000 800000aa 00389b71 4c495354 1a000000 494e464f 49534654 0e000000 4c617666 35392e32"
        "372e3130 30006461 7461ffff ffff"
    )
    wav = read(head + SAMPLES)
    assert (wav.sample_rate_hz, wav.channels, wav.bits_per_sample, wav.frames) == (44_100, 1, 32, 12)


# --- what stays whole ---

DATA = chunk(b"data", SAMPLES)
LONG_LIST = b"LIST" + struct.pack("<I", UNSET) + b"INFO"
AMBISONIC = bytes.fromhex("010000002107d3118644c8c1ca000000")


def of(format_body: bytes) -> bytes:
    return riff(chunk(b"fmt ", format_body), DATA)


@pytest.mark.parametrize(
    ("file", "reason"),
    [
        (b"", "the file is empty"),
        (b"RIFF", "not a WAV file"),
        (b"ID3\4" + bytes(60), "not a WAV file"),
        (PLAIN.replace(b"WAVE", b"AVI "), "not a WAV file"),
        (PLAIN.replace(b"RIFF", b"RIFX"), "big-endian"),
        (riff(DATA, chunk(b"fmt ", fmt())), "no fmt chunk before the samples"),
        (riff(chunk(b"fmt ", fmt())), "no data chunk in the first 36 bytes"),
        (riff(LONG_LIST, chunk(b"fmt ", fmt()), DATA), "no data chunk"),
        (riff(b"fmt " + struct.pack("<I", 40) + fmt()), "no data chunk"),
        (of(b""), "a fmt chunk of 0 bytes"),
        (of(fmt()[:15]), "a fmt chunk of 15 bytes"),
        (of(fmt() + bytes(5_000)), "a fmt chunk of 5016 bytes"),
        (of(fmt(ADPCM, bits=4)), r"not PCM \(format 0x0002\)"),
        (of(fmt(MP3)), r"not PCM \(format 0x0055\)"),
        (of(extensible(MP3)), r"not PCM \(format 0x0055\)"),
        (of(extensible(PCM)[:24] + AMBISONIC), r"not PCM \(format 00000001-0721-11d3-8644-c8c1ca000000\)"),
        (of(fmt(EXTENSIBLE)), "an extensible fmt chunk of 16 bytes"),
        (of(fmt(channels=0)), "0 channels"),
        (of(fmt(rate_hz=0)), "at 0 Hz"),
        (of(fmt(bits=0)), "of 0 bits"),
        (of(fmt()[:12] + b"\0\0" + fmt()[14:]), "frames of 0 bytes for 1 channels of 16 bits"),
        (of(fmt()[:12] + b"\3\0" + fmt()[14:]), "frames of 3 bytes"),
        (PLAIN[:-1], "promises more samples than the file holds"),
        (with_sizes(PLAIN, 84, 50), "promises more samples"),
        (with_sizes(PLAIN, UNSET, 0x7FFF_0000), "promises more samples"),
        (with_sizes(PLAIN, UNSET, 0x9000_0000), "promises more samples"),
        (rf64(b"RF64", 2**33, 2**33), "promises more samples"),
        (rf64(b"RF64", 0, 0).replace(b"ds64", b"JUNK"), "no ds64 chunk"),
        (b"RF64" + riff(chunk(b"ds64", bytes(15)), chunk(b"fmt ", fmt()), DATA)[4:], "a ds64 chunk of 15 bytes"),
    ],
)
def test_what_cannot_be_cut_says_why(file: bytes, reason: str) -> None:
    with pytest.raises(NotCuttable, match=reason):
        read(file)


def test_a_head_that_is_longer_than_its_file_is_not_believed() -> None:
    with pytest.raises(NotCuttable, match="no data chunk in the first 40 bytes"):
        parse(with_sizes(PLAIN, UNSET, UNSET), 40)


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """A file of every kind with a few fields of its header overwritten, then cut off somewhere."""
    file = bytearray(draw(st.sampled_from([PLAIN, of(extensible(PCM)), rf64(b"RF64", 128, len(SAMPLES))])))
    field = st.sampled_from([b"\0\0\0\0", b"\1\0", b"\xff\xff\xff\xff", b"data", b"fmt "]) | st.binary(max_size=8)
    for _ in range(draw(st.integers(1, 3))):
        start = draw(st.integers(0, 100))
        new = draw(field)
        file[start : start + len(new)] = new
    return bytes(file[: draw(st.integers(0, 200))])


@few
@given(head=damaged() | st.binary(max_size=80), file_size_bytes=st.integers(0, 300) | st.integers(0, 2**33))
def test_any_bytes_are_either_cuttable_or_refused(head: bytes, file_size_bytes: int) -> None:
    try:
        wav = parse(head, file_size_bytes)
    except NotCuttable:
        return
    assert 0 <= wav.data_start <= wav.data_stop <= file_size_bytes
    assert wav.data_start + wav.frames * wav.frame_bytes == wav.data_stop
    assert len(slice_header(wav, min(wav.frames, 10))) >= 44
