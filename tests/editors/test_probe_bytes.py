"""Headers that no FFmpeg writes: what services stream, what was broken off, what is too large to make."""

import struct
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path

import pytest

from service.media import UNKNOWN, Container, Media, Sound
from service.probe.boxes import Box
from service.probe.codecs import sound_of
from service.probe.reading import MAX_WINDOW_BYTES
from tests.editors.looking import look, look_at

GIB = 1024**3


# ---- WAV ----


def wav(samples: bytes, data_bytes: int | None = None, *, before: bytes = b"", form: bytes = b"RIFF") -> bytes:
    """24,000 frames of two bytes are a second."""
    told = len(samples) if data_bytes is None else data_bytes
    fmt = struct.pack("<HHIIHH", 1, 1, 24_000, 48_000, 2, 16)
    body = b"WAVE" + before + riff(b"fmt ", fmt) + b"data" + struct.pack("<I", told) + samples
    return form + struct.pack("<I", 0xFFFFFFFF if told == 0xFFFFFFFF else len(body)) + body


def riff(kind: bytes, body: bytes) -> bytes:
    return kind + struct.pack("<I", len(body)) + body + bytes(len(body) % 2)


@pytest.mark.parametrize(
    ("told", "shown"), [(0xFFFFFFFF, "4,294,967,295"), (0, "0"), (0x7FFFFFFF, "2,147,483,647"), (96_000, "96,000")]
)
def test_a_wav_is_as_long_as_its_bytes_are(told: int, shown: str) -> None:
    header = wav(bytes(48_000), told)
    # A writer that never came back left the whole's size open as well.
    header = header[:4] + struct.pack("<I", 0xFFFFFFFF) + header[8:]
    media = look_at(header)
    assert media.duration == 1
    assert media.faults == (f"its header promises {shown} bytes of sound, it has 48,000",)


def test_what_follows_the_samples_is_no_sound() -> None:
    assert look_at(wav(bytes(48_000)) + riff(b"LIST", bytes(4_000))).duration == 1


def test_an_empty_recording_lasts_no_time() -> None:
    assert look_at(wav(b"")).duration == 0


def test_samples_far_behind_the_head_are_found_by_the_second_read(tmp_path: Path) -> None:
    path = tmp_path / "noted.wav"
    path.write_bytes(wav(bytes(48_000), before=riff(b"LIST", bytes(200_000))))
    found = look(path)
    assert found.media.duration == 1
    assert len(found.reads) == 2
    assert sum(found.reads) <= 84 * 1024


@pytest.mark.parametrize("form", [b"RF64", b"BW64"])
def test_a_recording_of_six_gigabytes_takes_one_read(form: bytes, tmp_path: Path) -> None:
    ds64 = riff(b"ds64", struct.pack("<QQQI", 6 * GIB + 72, 6 * GIB, 0, 0))
    path = tmp_path / "long.wav"
    path.write_bytes(wav(b"", 0xFFFFFFFF, before=ds64, form=form))
    start = path.stat().st_size
    with path.open("r+b") as file:
        file.truncate(start + 6 * GIB)
    found = look(path)
    assert found.media == Media(Container.WAV, Fraction(3 * GIB, 24_000), sound=Sound(24_000, 1))
    assert found.reads == [65_536]


def test_a_compressed_wav_counts_its_own_samples() -> None:
    fmt = struct.pack("<HHIIHHHH", 0x11, 1, 22_050, 11_100, 512, 4, 2, 1_017)
    body = b"WAVE" + riff(b"fmt ", fmt) + riff(b"fact", struct.pack("<I", 22_050)) + riff(b"data", bytes(11_264))
    assert look_at(b"RIFF" + struct.pack("<I", len(body)) + body).duration == 1


@pytest.mark.parametrize("torn", [b"RIFF\0\0\0\0WAVE", wav(b"")[:30], b"RIFF\0\0\0\0WAVEdata\0\0\0\0"])
def test_a_wav_without_a_header_is_one_of_unknown_length(torn: bytes) -> None:
    media = look_at(torn)
    assert (media.container, media.duration) == (Container.WAV, None)
    assert media.faults == ("its header does not say what its samples are",)


# ---- MP4 ----


def box(kind: bytes, *bodies: bytes) -> bytes:
    body = b"".join(bodies)
    return struct.pack(">I4s", 8 + len(body), kind) + body


def top_boxes(content: bytes) -> dict[bytes, bytes]:
    found, position = {}, 0
    while position < len(content):
        (size,) = struct.unpack_from(">I", content, position)
        found[content[position + 4 : position + 8]] = content[position : position + size]
        position += size
    return found


def test_an_index_behind_three_gigabytes_takes_two_small_reads(matrix: Mapping[str, Path], tmp_path: Path) -> None:
    boxes = top_boxes(matrix["timecode.mov"].read_bytes())
    path = tmp_path / "huge.mov"
    with path.open("wb") as file:
        file.write(boxes[b"ftyp"] + boxes[b"wide"] + struct.pack(">I4sQ", 1, b"mdat", 3 * GIB))
        file.seek(3 * GIB - 16, 1)
        file.write(boxes[b"moov"])
    found = look(path)
    assert found.media.duration == 2
    assert len(found.reads) == 2
    assert sum(found.reads) <= 84 * 1024


def test_a_film_that_was_broken_off_says_so(matrix: Mapping[str, Path]) -> None:
    content = matrix["silent_24.mp4"].read_bytes()
    media = look_at(content[: len(content) // 2])
    assert (media.container, media.duration) == (Container.MP4, None)
    assert media.faults == ("its index (moov) is missing, as of a recording that was broken off",)


def test_an_index_beyond_the_limit_is_not_read(matrix: Mapping[str, Path], tmp_path: Path) -> None:
    path = tmp_path / "padded.mp4"
    boxes = top_boxes(matrix["silent_24.mp4"].read_bytes())
    index = boxes[b"moov"][8:] + box(b"free", bytes(MAX_WINDOW_BYTES))
    path.write_bytes(boxes[b"ftyp"] + box(b"moov", index) + boxes[b"mdat"])
    found = look(path)
    assert found.media.faults == ("its index (moov) is too large, or lies where it was not looked for",)
    assert sum(found.reads) <= 65_536 + MAX_WINDOW_BYTES


def test_an_index_of_some_fragments_is_not_one_of_the_film(matrix: Mapping[str, Path]) -> None:
    content = matrix["indexed_fragments.mp4"].read_bytes()
    assert look_at(content).duration == 2
    more = content + content[content.index(b"moof") - 4 :]
    assert look_at(more).duration is None


def test_a_timecode_that_lies_elsewhere_is_a_fault(matrix: Mapping[str, Path]) -> None:
    content = matrix["timecode.mov"].read_bytes()
    at = content.rindex(b"stco") + 12  # its track is the last one
    media = look_at(content[:at] + struct.pack(">I", 100_000) + content[at + 4 :])
    assert media.start is None
    assert media.faults == ("its start timecode lies where it was not looked for",)


def test_an_avif_is_no_film() -> None:
    assert look_at(box(b"ftyp", b"avif\0\0\0\0mif1avif") + box(b"mdat", bytes(100))) == UNKNOWN


@pytest.mark.parametrize(
    ("config", "sound"),
    [
        ("1188", Sound(48_000, 1)),
        ("1190", Sound(48_000, 2)),
        ("11b0", Sound(48_000, 6)),
        ("11b8", Sound(48_000, 8)),
        ("2b098800", Sound(48_000, 1)),  # high efficiency: coded at half the rate
        ("eb098800", Sound(48_000, 2)),  # and as one channel of two
        ("17805dc010", Sound(48_000, 2)),  # a rate that is in no table
        ("", Sound(44_100, None)),
    ],
)
def test_the_truth_about_aac_stands_in_its_own_words(config: str, sound: Sound) -> None:
    entry = bytes(8) + bytes(8) + struct.pack(">HHHHI", 2, 16, 0, 0, 44_100 << 16)
    special = bytes([5, len(config) // 2]) + bytes.fromhex(config)
    decoder = bytes([4, 13 + len(special)]) + bytes(13) + special
    esds = box(b"esds", bytes(4), bytes([3, 3 + len(decoder)]), bytes(3), decoder)
    assert sound_of(Box(b"mp4a", memoryview(entry + esds))) == sound


# ---- others ----


def test_a_vbri_header_counts_the_frames() -> None:
    frame = bytes.fromhex("fffb9064") + bytes(413)
    table = frame[:36] + b"VBRI" + struct.pack(">HHHII", 1, 0, 0, 417 * 100, 100) + frame[54:]
    assert look_at(table + frame * 99).duration == Fraction(100 * 1152, 44_100)


def test_an_mp3_that_was_broken_off_is_as_long_as_what_is_left(matrix: Mapping[str, Path]) -> None:
    content = matrix["constant.mp3"].read_bytes()
    media = look_at(content[: len(content) // 2])
    assert media.duration == pytest.approx(1, abs=0.05)
    assert media.faults[0].startswith("its header counts 12,576 bytes of sound, it has 6,2")


def test_a_tag_that_fills_the_head_costs_one_read_more(matrix: Mapping[str, Path], tmp_path: Path) -> None:
    path = tmp_path / "tagged.mp3"
    sound = matrix["bare.mp3"].read_bytes()[45:]
    # As much as leaves four frames in the first read.
    path.write_bytes(b"ID3\x04\0\0" + bytes([0, 3, 0x70, 0]) + bytes(3 * 16_384 + 0x70 * 128) + sound)
    found = look(path)
    assert found.media.duration == look(matrix["bare.mp3"]).media.duration
    assert len(found.reads) == 2


def test_a_rate_that_changes_has_no_length_by_size() -> None:
    frames = bytes.fromhex("fffb9064") + bytes(413) + bytes.fromhex("fffba064") + bytes(518)
    media = look_at(frames * 30)
    assert (media.container, media.duration) == (Container.MP3, None)
    assert media.faults == ("its header does not say how long it is",)


def test_a_flac_that_was_streamed_is_of_unknown_length() -> None:
    info = bytes(10) + ((48_000 << 44) | (1 << 41) | (15 << 36)).to_bytes(8, "big") + bytes(16)
    media = look_at(b"fLaC" + bytes([0x80, 0, 0, 34]) + info)
    assert (media.sound, media.duration) == (Sound(48_000, 2), None)
    assert media.faults == ("its header does not say how long it is",)


def test_an_ogg_that_lost_its_end_is_of_unknown_length(matrix: Mapping[str, Path]) -> None:
    first_pages = matrix["vorbis.ogg"].read_bytes()[:58]
    media = look_at(first_pages + bytes(70_000))
    assert (media.container, media.duration) == (Container.OGG, None)
    assert media.faults == ("its last page is missing",)


def test_a_length_of_years_is_not_believed(matrix: Mapping[str, Path]) -> None:
    content = matrix["vp8.webm"].read_bytes()
    at = content.index(bytes.fromhex("448988")) + 3
    media = look_at(content[:at] + struct.pack(">d", 1e11) + content[at + 8 :])
    assert media.duration is None
    assert media.faults == ("its header says that it lasts 27,777 hours",)


@pytest.mark.parametrize(
    "content", [b"", b"\0", b"text", b"{}", b"<svg/>", b"%PDF-1.7", b"The free lunch" * 9, b"BM" + bytes(60)]
)
def test_what_is_no_media_is_unknown(content: bytes) -> None:
    assert look_at(content) == UNKNOWN
