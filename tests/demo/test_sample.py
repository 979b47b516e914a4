"""What the sample project holds, and that its media are what their names say."""

import ast
import json
import re
import struct
import sys
import wave
import zlib
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from contracts.project import CompletedAsset, Kind, PendingAsset, Project, Section, Sentence
from demo import clip, picture, sample, tone
from demo.sample import Sample, make_sample
from service.studio import from_studio, is_studio_project

WAVS = ("s01", "s02", "s03", "s04", "section_lens", "s08", "s09")
PNGS = ("s01", "s02", "s03", "s04", "s05", "s06", "s07", "s09", "s10")
MP4S = ("s01", "s02", "s04", "s05", "s07", "s09")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Sample:
    return make_sample(tmp_path_factory.mktemp("lighthouse") / "sample")


@pytest.fixture(scope="module")
def project(made: Sample) -> Project:
    return Project.model_validate_json(made.project.read_bytes())


@pytest.fixture(scope="module")
def studio(made: Sample) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(made.studio.read_bytes())
    return answer


def sentences_of(project: Project) -> list[Sentence]:
    return [sentence for section in project.sections for sentence in section.sentences]


def finished(project: Project) -> Iterator[CompletedAsset]:
    for section in project.sections:
        for asset in (section.audio, *(asset for s in section.sentences for asset in (s.audio, s.image, s.video))):
            if isinstance(asset, CompletedAsset):
                yield asset


def named_files(project: Project) -> set[str]:
    return {asset.uri for asset in finished(project) if asset.uri is not None}


def files_below(directory: Path) -> dict[str, bytes]:
    return {f.relative_to(directory).as_posix(): f.read_bytes() for f in directory.rglob("*") if f.is_file()}


def media(made: Sample, folder: str, name: str) -> Path:
    return made.media / "projects" / sample.PROJECT_ID / folder / name


# ---- the story -------------------------------------------------------------------------------------


def test_ten_sentences_stand_in_three_sections(project: Project) -> None:
    assert [len(section.sentences) for section in project.sections] == [4, 3, 3]
    assert [sentence.id for sentence in sentences_of(project)] == [f"s{number:02}" for number in range(1, 11)]


def test_titles_are_no_file_names_yet(project: Project) -> None:
    punctuated, _, foreign = (section.title for section in project.sections)
    assert ":" in punctuated
    assert not foreign.isascii()


def test_what_is_written_is_what_was_told(project: Project) -> None:
    assert project == sample.sample_project()


def test_one_video_is_pending_and_one_image_is_being_made(project: Project) -> None:
    unfinished = {
        (sentence.id, kind, asset.status)
        for sentence in sentences_of(project)
        for kind, asset in zip(Kind, (sentence.audio, sentence.image, sentence.video), strict=True)
        if isinstance(asset, PendingAsset)
    }
    assert unfinished == {("s06", Kind.VIDEO, "pending"), ("s08", Kind.IMAGE, "generating")}


def test_one_video_is_stale(project: Project) -> None:
    assert [asset.uri for asset in finished(project) if asset.stale] == ["projects/lighthouse/videos/s02.mp4"]


def test_every_finished_asset_has_its_file_but_for_one(made: Sample, project: Project) -> None:
    on_disk = files_below(made.media).keys()
    assert named_files(project) - on_disk == {"projects/lighthouse/videos/s03.mp4"}
    assert on_disk - named_files(project) == set()


def test_one_sentence_has_no_words_but_an_image(project: Project) -> None:
    [silent] = [sentence for sentence in sentences_of(project) if not sentence.text]
    assert silent.image is not None
    assert silent.audio is None


def test_each_word_is_timed_within_its_own_narration(project: Project) -> None:
    for sentence in sentences_of(project):
        if isinstance(sentence.audio, CompletedAsset) and sentence.audio.uri is not None:
            assert [timing.word for timing in sentence.word_timings] == sentence.text.split()
            assert sentence.word_timings[-1].end_ms == sentence.audio.duration_ms


# ---- as files --------------------------------------------------------------------------------------


def test_the_same_call_writes_the_same_bytes(made: Sample, tmp_path: Path) -> None:
    again = make_sample(tmp_path / "elsewhere")
    assert files_below(again.directory) == files_below(made.directory)


def test_the_sample_is_small(made: Sample) -> None:
    sizes = {name: len(content) for name, content in files_below(made.directory).items()}
    assert sum(sizes.values()) < 15_000_000
    assert max(size for name, size in sizes.items() if name.endswith(".mp4")) < 800_000


def test_no_two_media_files_are_alike(made: Sample) -> None:
    contents = files_below(made.media).values()
    assert len(set(contents)) == len(contents) == len(WAVS) + len(PNGS) + len(MP4S)


@pytest.mark.parametrize("module", [sample, tone, picture, clip])
def test_it_is_made_by_the_standard_library_and_the_contract_alone(module: Any) -> None:
    tree = ast.parse(Path(module.__file__).read_bytes())
    imported = [node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)]
    names = {
        (node.module or "") if isinstance(node, ast.ImportFrom) else alias.name
        for node in imported
        for alias in node.names
    }
    assert {name.partition(".")[0] for name in names} <= sys.stdlib_module_names | {"contracts", "demo"}


# ---- in the studio's form --------------------------------------------------------------------------


def without_dialect(reference: str) -> str:
    return re.sub(r"^(/media/|(\./)?data/)", "", reference.replace("\\", "/"))


def test_the_studio_tells_the_same_story(project: Project, studio: dict[str, Any]) -> None:
    assert is_studio_project(studio)
    read = from_studio(studio)
    assert read.name == project.name
    assert [told(section) for section in read.sections] == [told(section) for section in project.sections]


def told(section: Section) -> tuple[object, ...]:
    sentences = [(sentence.id, sentence.text, sentence.word_timings) for sentence in section.sentences]
    return section.id, section.title, sentences


def test_both_forms_name_the_same_files(project: Project, studio: dict[str, Any]) -> None:
    assert {without_dialect(file) for file in named_files(from_studio(studio))} == named_files(project)


def test_both_forms_cut_the_shared_narration_alike(project: Project, studio: dict[str, Any]) -> None:
    slices = [asset.slice for asset in finished(project) if asset.slice]
    assert len(slices) == 3
    assert [asset.slice for asset in finished(from_studio(studio)) if asset.slice] == slices


def test_both_forms_know_the_same_stale_video(studio: dict[str, Any]) -> None:
    [stale] = [asset for asset in finished(from_studio(studio)) if asset.stale]
    assert stale.uri == "./data/projects/lighthouse/videos/s02.mp4"


def test_the_studio_lists_nothing_in_its_order(studio: dict[str, Any]) -> None:
    sections = studio["data"]["sections"]
    for listed in (sections, *(section["sentences"] for section in sections)):
        orders = [entry["order"] for entry in listed]
        assert sorted(orders) == list(range(len(orders))) != orders


def test_the_studio_speaks_all_its_dialects(studio: dict[str, Any]) -> None:
    references = named_files(from_studio(studio))
    for prefix in ("/media/projects/", "data\\projects\\lighthouse\\", "data/projects/", "./data/projects/"):
        assert any(reference.startswith(prefix) for reference in references), prefix


def test_the_studio_says_generating_whatever_is_there(studio: dict[str, Any]) -> None:
    sections = studio["data"]["sections"]
    assert {sentence["status"] for section in sections for sentence in section["sentences"]} == {"generating"}


# ---- narration -------------------------------------------------------------------------------------


def samples_of(path: Path) -> bytes:
    with wave.open(str(path), "rb") as reader:
        form = (reader.getnchannels(), reader.getsampwidth(), reader.getframerate(), reader.getcomptype())
        assert form == (1, 2, 24_000, "NONE")
        return reader.readframes(reader.getnframes())


@pytest.mark.parametrize("name", WAVS)
def test_a_narration_is_plain_pcm_that_can_be_heard(made: Sample, name: str) -> None:
    samples = memoryview(samples_of(media(made, "audio", f"{name}.wav"))).cast("h")
    assert 5_000 < max(samples) < 30_000
    assert -30_000 < min(samples) < -5_000


def test_a_narration_is_as_long_as_it_says(made: Sample, project: Project) -> None:
    for asset in finished(project):
        if asset.uri is not None and asset.duration_ms is not None:
            assert len(samples_of(made.media / asset.uri)) == asset.duration_ms * 48
    assert all(1_200 <= tone.melody(s.text)[-1].end_ms <= 3_000 for s in sentences_of(project) if s.text)


def test_a_shared_narration_is_cut_into_the_tones_of_its_sentences(made: Sample, project: Project) -> None:
    shared = samples_of(media(made, "audio", "section_lens.wav"))
    section = project.sections[1]
    parts = [s.audio.slice for s in section.sentences if isinstance(s.audio, CompletedAsset) and s.audio.slice]
    assert parts[0].start_ms == 0
    assert all(one.end_ms == other.start_ms for one, other in pairwise(parts))
    assert parts[-1].end_ms * 48 == len(shared)
    for part, sentence in zip(parts, section.sentences, strict=True):
        assert shared[part.start_ms * 48 : part.end_ms * 48] == tone.play(tone.melody(sentence.text))


def test_a_note_begins_and_ends_in_silence() -> None:
    samples = memoryview(tone.play(tone.melody("Almost home."))).cast("h")
    notes = [(note.start_ms * 24, note.end_ms * 24) for note in tone.melody("Almost home.")]
    assert [(samples[start], samples[stop - 1]) for start, stop in notes] == [(0, 0), (0, 0)]


def test_no_words_make_no_melody() -> None:
    assert tone.melody("") == ()


# ---- pictures --------------------------------------------------------------------------------------


def chunks(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = 8
    while at < len(content):
        (size,) = struct.unpack_from(">I", content, at)
        name, payload = content[at + 4 : at + 8], content[at + 8 : at + 8 + size]
        assert struct.unpack_from(">I", content, at + 8 + size) == (zlib.crc32(name + payload),)
        yield name, payload
        at += 12 + size


@pytest.mark.parametrize("name", PNGS)
def test_an_image_is_a_png_of_640_by_360(made: Sample, name: str) -> None:
    content = media(made, "images", f"{name}.png").read_bytes()
    assert content.startswith(b"\x89PNG\r\n\x1a\n")
    (_, header), (_, data), (_, end) = chunks(content)
    assert [chunk for chunk, _ in chunks(content)] == [b"IHDR", b"IDAT", b"IEND"]
    assert header == struct.pack(">IIBBBBB", 640, 360, 8, 2, 0, 0, 0)
    lines = zlib.decompress(data)
    assert len(lines) == 360 * (1 + 3 * 640)
    assert set(lines[:: 1 + 3 * 640]) == {0}
    assert end == b""


def black_canvas() -> picture.Canvas:
    scene = picture.Scene(backdrop=((0, (0, 0, 0)), (9, (0, 0, 0))), shapes=())
    return picture.render(scene, 16, 9)


def square(left: float, top: float, right: float, low: float) -> picture.Outline:
    return ((left, top), (right, top), (right, low), (left, low))


def test_a_shape_fills_what_is_inside_and_half_of_what_it_halves() -> None:
    white = picture.Shape((square(1, 1, 3.5, 2),), (255, 255, 255))
    red, green, blue = picture.paint(black_canvas(), (white,)).planes
    assert red == green == blue
    assert list(red[16:22]) == [0, 255, 255, 128, 0, 0]
    assert sum(red) == 2 * 255 + 128


def test_where_outlines_of_a_shape_overlap_it_is_no_denser() -> None:
    grey = picture.Shape((square(1, 1, 4, 2), square(2, 1, 5, 2)), (100, 100, 100), opacity=0.5)
    assert list(picture.paint(black_canvas(), (grey,)).planes[0][16:22]) == [0, 50, 50, 50, 50, 0]


def test_a_shape_may_reach_beyond_the_canvas() -> None:
    white = picture.Shape((square(-5, -5, 50, 50),), (255, 255, 255))
    assert set(picture.paint(black_canvas(), (white,)).planes[0]) == {255}


# ---- videos ----------------------------------------------------------------------------------------


def boxes(content: bytes) -> Iterator[tuple[str, bytes]]:
    at = 0
    while at < len(content):
        (size,) = struct.unpack_from(">I", content, at)
        assert size >= 8
        yield content[at + 4 : at + 8].decode(), content[at + 8 : at + size]
        at += size
    assert at == len(content)


def box(content: bytes, *path: str) -> bytes:
    for name in path:
        content = dict(boxes(content))[name]
    return content


def table(content: bytes, name: str) -> tuple[int, ...]:
    """The numbers of a box in the sample table, after its version and flags."""
    payload = box(content, "moov", "trak", "mdia", "minf", "stbl", name)
    return struct.unpack(f">{len(payload) // 4}I", payload)[1:]


def frames(content: bytes) -> list[bytes]:
    """The NAL unit of each frame, as the sample table says where it is."""
    (_, start), (_, _, *sizes) = table(content, "stco"), table(content, "stsz")
    units = []
    for size in sizes:
        assert struct.unpack_from(">I", content, start) == (size - 4,)
        units.append(content[start + 4 : start + size])
        start += size
    assert start == len(content)
    return units


@pytest.fixture(params=MP4S)
def video(made: Sample, request: pytest.FixtureRequest) -> bytes:
    return media(made, "videos", f"{request.param}.mp4").read_bytes()


def test_a_video_can_be_played_before_it_is_whole(video: bytes) -> None:
    assert [name for name, _ in boxes(video)] == ["ftyp", "moov", "mdat"]
    assert [name for name, _ in boxes(box(video, "moov"))] == ["mvhd", "trak"]
    assert [name for name, _ in boxes(box(video, "moov", "trak"))] == ["tkhd", "mdia"]
    assert [name for name, _ in boxes(box(video, "moov", "trak", "mdia"))] == ["mdhd", "hdlr", "minf"]
    assert [name for name, _ in boxes(box(video, "moov", "trak", "mdia", "minf"))] == ["vmhd", "dinf", "stbl"]


def test_a_video_has_24_frames_a_second_for_some_seconds(video: bytes) -> None:
    (scale, duration) = struct.unpack_from(">II", box(video, "moov", "trak", "mdia", "mdhd"), 12)
    (entries, count, ticks) = table(video, "stts")
    assert (entries, scale / ticks, count * ticks) == (1, 24, duration)
    assert 1.5 <= duration / scale <= 3
    assert len(frames(video)) == count


def test_a_video_holds_a_new_picture_twice_a_second_and_repeats_it(video: bytes) -> None:
    units = frames(video)
    whole = [number for number, unit in enumerate(units, 1) if unit[0] & 0x1F == 5]
    assert whole == list(range(1, len(units), 12)) == list(table(video, "stss")[1:])
    assert all(len(unit) < 16 for unit in units if unit[0] & 0x1F == 1)


def test_nothing_in_a_frame_looks_like_a_start_code(video: bytes) -> None:
    for unit in frames(video):
        assert not re.search(rb"\x00\x00[\x00-\x02]", unit)


def test_zeros_are_kept_apart_and_can_be_joined_again() -> None:
    raw = b"\0\0\0\0\0\1\0\0\3\0\0\4"
    kept_apart = clip._unit(0x65, raw)[1:]
    assert kept_apart == b"\0\0\3\0\0\3\0\1\0\0\3\3\0\0\4"
    assert re.sub(rb"\x00\x00\x03", b"\0\0", kept_apart) == raw


def test_a_video_is_described_as_constrained_baseline(video: bytes) -> None:
    entry = box(box(video, "moov", "trak", "mdia", "minf", "stbl", "stsd")[8:], "avc1")
    assert struct.unpack_from(">HH", entry, 24) == (clip.WIDTH, clip.HEIGHT)
    [(name, description)] = boxes(entry[78:])
    assert (name, description[:4]) == ("avcC", b"\1\x42\xc0\x1e")


def test_a_frame_holds_its_picture_sample_by_sample() -> None:
    shown = clip.paint_over(clip.picture(picture.lighthouse(sample.STORY[0].mood)), picture.numeral(1))
    payload = frames(clip.mp4([shown]))[0].replace(b"\0\0\3", b"\0\0")
    assert payload.endswith(b"\x80")
    step = 384 + 2  # samples, and what stands before them
    first = len(payload) - len(b"\x80") - 144 * step + 2
    lines = (
        payload[first + (16 * row + column) * step + 16 * line :][:16]
        for row in range(9)
        for line in range(16)
        for column in range(16)
    )
    assert b"".join(lines) == shown.luma.planes[0]
