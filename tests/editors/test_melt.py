"""An independent renderer, melt, plays `timeline.mlt` frame for frame as the cut has it, wherever it was unpacked."""

import array
import subprocess
import wave
import zipfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple
from zlib import crc32

import pytest

from contracts import Timeline
from service.contents import TIMELINE_NAMES
from service.cut import Cut, Track
from service.model import Plan
from service.streaming_zip import Entry, plan_zip
from tests.core.projects import NOON
from tests.editors.footage import assemble, probed, shoot, story
from tests.editors.lighthouse import lighthouse
from tests.editors.readers import parsed

pytestmark = pytest.mark.slow

SAMPLE_RATE_HZ = 48_000


class Export(NamedTuple):
    """A folder as an export leaves it, and what melt makes of it."""

    folder: Path
    told: Plan
    cut: Cut
    pictures: list[str]
    sound: Sequence[int]


@pytest.fixture(scope="module")
def export(tmp_path_factory: pytest.TempPathFactory) -> Export:
    folder = tmp_path_factory.mktemp("export")
    shoot(story(), folder)
    told = probed(story(), folder)
    cut = assemble(told, folder)
    return Export(folder, told, cut, pictures(folder), sound(folder))


def pictures(folder: Path) -> list[str]:
    """A hash of each frame that melt renders."""
    target = folder.with_name(f"{folder.name}.framemd5")
    render(folder, target, "f=framemd5", "vcodec=rawvideo", "an=1")
    return [line.rpartition(",")[2] for line in target.read_text().splitlines() if not line.startswith("#")]


def sound(folder: Path) -> Sequence[int]:
    """The loudest sample of each millisecond that melt renders."""
    target = folder.with_name(f"{folder.name}.wav")
    render(folder, target, "f=wav", "acodec=pcm_s16le", "vn=1", "ac=1", f"ar={SAMPLE_RATE_HZ}")
    with wave.open(str(target)) as reader:
        samples = array.array("h", reader.readframes(reader.getnframes()))
    step = SAMPLE_RATE_HZ // 1000
    return [max(map(abs, samples[at : at + step])) for at in range(0, len(samples), step)]


def render(folder: Path, target: Path, *how: str) -> None:
    """`real_time=0`: no frame is left out, however slow the machine is, and no thread runs ahead."""
    command = ["melt", str(folder / "timeline.mlt"), "-silent", "-consumer", f"avformat:{target}", *how, "real_time=0"]
    for _ in range(5):
        try:
            subprocess.run(command, check=True, timeout=30, stdin=subprocess.DEVNULL, capture_output=True)
        except subprocess.TimeoutExpired:
            # On a busy machine one of forty starts of melt 7.12 loses a race with its own writer, which leaves without
            # a byte, and waits for it for ever. Whatever wrote anything must finish.
            if target.stat().st_size:
                raise
        else:
            return
    pytest.fail("melt never began")


def archive(export: Export, target: Path) -> None:
    """The folder by the service's own streaming ZIP."""
    files = sorted(path for path in export.folder.rglob("*") if path.is_file())
    bodies = ((str(path.relative_to(export.folder)), path.read_bytes()) for path in files)
    entries = [Entry(name, body, crc32(body)) for name, body in bodies]
    target.write_bytes(b"".join(part for part in plan_zip(entries, NOON).segments if isinstance(part, bytes)))


def test_melt_renders_exactly_the_frames_of_the_cut(export: Export) -> None:
    assert len(export.pictures) == export.cut.frames


def test_each_sentence_shows_its_own_picture_and_a_pending_one_is_black(export: Export) -> None:
    shown = export.pictures
    by_slot = [set(shown[slot.start : slot.start + slot.frames]) for slot in export.cut.slots]
    orange, _, _, black, purple, without_picture = by_slot
    assert [len(one) for one in (orange, black, purple, without_picture)] == [1, 1, 1, 1]
    assert black == without_picture
    assert not black & (orange | purple)


def test_a_film_moves_as_long_as_its_sentence(export: Export) -> None:
    shown = export.pictures
    (trimmed, _) = (clip for clip in export.cut.clips if clip.track is Track.MOTION)
    # 24 frames a second shown at 30: four of five differ from the one before.
    assert len(set(shown[trimmed.start : trimmed.start + trimmed.frames])) == pytest.approx(trimmed.frames * 0.8, abs=1)


def test_it_is_silent_exactly_where_nothing_is_told(export: Export) -> None:
    loudness, cut = export.sound, export.cut
    told = [clip for clip in cut.clips if clip.track in {Track.NARRATION, Track.CLIP_SOUND}]
    for at, loudest in enumerate(loudness):
        frame = at / 1000 * float(cut.rate)
        distances = [max(clip.start - frame, frame - (clip.start + clip.frames)) for clip in told]
        if min(distances) > 1:
            assert loudest <= 1, f"sound at {at} ms, where nobody speaks"
        if min(distances) < -2:
            assert loudest > 100, f"silence at {at} ms, where somebody speaks"


def test_it_plays_the_same_after_zipping_and_unpacking_anywhere(export: Export, tmp_path: Path) -> None:
    archive(export, tmp_path / "story.zip")
    elsewhere = tmp_path / "Été 夏 dir" / "export & more"
    with zipfile.ZipFile(tmp_path / "story.zip") as unpacked:
        unpacked.extractall(elsewhere)
    assert pictures(elsewhere) == export.pictures
    assert sound(elsewhere) == export.sound


@pytest.mark.parametrize("folder", ["images", "videos"])
def test_a_missing_picture_would_have_been_seen(export: Export, tmp_path: Path, folder: str) -> None:
    archive(export, tmp_path / "story.zip")
    with zipfile.ZipFile(tmp_path / "story.zip") as unpacked:
        unpacked.extractall(tmp_path / "lost")
    (tmp_path / "lost" / folder).rename(tmp_path / "lost" / "elsewhere")
    assert pictures(tmp_path / "lost") != export.pictures


def test_a_missing_narration_would_have_been_heard(export: Export, tmp_path: Path) -> None:
    archive(export, tmp_path / "story.zip")
    with zipfile.ZipFile(tmp_path / "story.zip") as unpacked:
        unpacked.extractall(tmp_path / "lost")
    (tmp_path / "lost" / "audio").rename(tmp_path / "lost" / "elsewhere")
    assert sound(tmp_path / "lost") != export.sound


def test_what_the_bytes_say_is_what_ffmpeg_was_asked_to_make(export: Export) -> None:
    """Else the rest would prove a cut of other files than those."""
    asked = {copy.name: copy.media for copy in story().copies}
    for copy in export.told.copies:
        media, wanted = copy.media, asked[copy.name]
        assert (media.picture is None, media.sound is None) == (wanted.picture is None, wanted.sound is None)
        lengths = [float(one.duration or 0) for one in (media, wanted)]
        assert lengths[0] == pytest.approx(lengths[1], abs=0.05), copy.name


@pytest.mark.parametrize("rate", [24_000 / 1001, 25, 60])
def test_at_any_rate_melt_counts_the_same_frames(export: Export, tmp_path: Path, rate: float) -> None:
    for media in ("audio", "images", "videos"):
        (tmp_path / media).symlink_to(export.folder / media)
    draft = export.told.draft
    told = replace(export.told, draft=replace(draft, project=draft.project.model_copy(update={"frame_rate": rate})))
    cut = assemble(told, tmp_path)
    assert len(pictures(tmp_path)) == cut.frames


def test_the_demos_own_export_plays(tmp_path: Path) -> None:
    folder = lighthouse(tmp_path)
    (tractor,) = parsed((folder / TIMELINE_NAMES[Timeline.MLT]).read_text()).iter("tractor")
    shown = pictures(folder)
    assert len(shown) == int(tractor.get("out", "")) + 1
    assert len(set(shown)) > 20  # more than its nine stills: its films move
