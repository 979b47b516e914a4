"""What the product is for, one sentence each: a project becomes an organised folder that opens in any video editor."""

import hashlib
import json
import re
import shutil
import subprocess
import wave
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from contracts import ExportCompleted
from demo.sample import Sample, make_sample
from tests.cli.command import call

AT = "2026-03-01T10:15:30Z"
FOLDERS = {"audio": "audio", "image": "images", "video": "videos"}
NAME = re.compile(r"(?P<folder>audio|images|videos)/(?P<seq>\d{3,})_(?P<slug>[a-z0-9-]+)_(?P<type>\w+)\.(?P<ext>\w+)")
READERS = {
    "unzip": ("unzip", ["-tq"]),
    "7z": ("p7zip-full", ["t"]),
    "bsdtar": ("libarchive-tools", ["-tf"]),
}


class Asset(NamedTuple):
    """An asset as project.json has it. This module reads that file by itself, without the product's own plan."""

    seq: int
    kind: str
    status: str
    source: Path
    slice_ms: dict[str, int] | None


@dataclass(frozen=True)
class Story:
    """A project, and what became of it."""

    project: dict[str, Any]
    media: Path
    event: ExportCompleted
    folder: Path

    @property
    def archive(self) -> Path:
        return self.folder.with_name(f"{self.folder.name}.zip")

    @property
    def files(self) -> dict[str, Path]:
        return {path.relative_to(self.folder).as_posix(): path for path in self.folder.rglob("*") if path.is_file()}

    @property
    def media_files(self) -> dict[tuple[int, str], Path]:
        """The exported media by the sentence's number and the folder."""
        found = {name: NAME.fullmatch(name) for name in self.files}
        return {(int(match["seq"]), match["folder"]): self.files[name] for name, match in found.items() if match}

    def sentences(self) -> Iterator[tuple[int, dict[str, Any], dict[str, Any]]]:
        """Number, sentence, and its section."""
        pairs = ((sentence, section) for section in self.project["sections"] for sentence in section["sentences"])
        for seq, (sentence, section) in enumerate(pairs, 1):
            yield seq, sentence, section

    def assets(self) -> Iterator[Asset]:
        for seq, sentence, section in self.sentences():
            for kind in FOLDERS:
                if asset := sentence.get(kind):
                    uri = asset.get("uri") or section.get("audio", {}).get("uri", "")
                    yield Asset(seq, kind, asset["status"], self.media / uri, asset.get("slice"))

    def finished(self) -> list[Asset]:
        """What can be exported: it is said to be finished, and there is a file."""
        return [asset for asset in self.assets() if asset.status == "completed" and asset.source.is_file()]


def exported(project: Path, media: Path, to: Path) -> Story:
    """The story of `project`, told by the real command."""
    said = call("run", project, "--media", media, "--to", to, "--archive", "zip", "--requested-at", AT, "--json")
    event = ExportCompleted.model_validate_json(said.out)
    return Story(json.loads(project.read_bytes()), media, event, to / event.folder.name)


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Sample:
    return make_sample(tmp_path_factory.mktemp("sample"))


@pytest.fixture(scope="module")
def story(sample: Sample, tmp_path_factory: pytest.TempPathFactory) -> Story:
    return exported(sample.project, sample.media, tmp_path_factory.mktemp("exports"))


@pytest.fixture(scope="module")
def silent_film(sample: Sample, tmp_path_factory: pytest.TempPathFactory) -> Story:
    """The same project without a single video."""
    project = json.loads(sample.project.read_bytes())
    for section in project["sections"]:
        for sentence in section["sentences"]:
            sentence.pop("video", None)
    home = tmp_path_factory.mktemp("no videos")
    path = home / "project.json"
    path.write_text(json.dumps(project))
    return exported(path, sample.media, home / "exports")


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def samples(path: Path) -> tuple[Any, bytes]:
    """How a WAV file is recorded, and its samples; read by Python's own reader."""
    with wave.open(str(path)) as file:
        return file.getparams()[:3], file.readframes(file.getnframes())


# ---- the folder


def test_the_export_is_a_folder_named_by_project_and_time(story: Story) -> None:
    assert story.folder.name == f"export_{story.project['id']}_20260301T101530Z"
    assert story.folder.is_dir()


def test_every_file_is_named_by_number_section_and_type(story: Story) -> None:
    names = {name for name in story.files if "/" in name}
    for name in names:
        match = NAME.fullmatch(name)
        assert match, name
        assert FOLDERS[match["type"]] == match["folder"], name


def test_the_files_of_a_section_share_its_title_as_a_slug(story: Story) -> None:
    titles = {seq: section["title"] for seq, _, section in story.sentences()}
    slugs: dict[str, set[str]] = {}
    for name in story.files:
        if match := NAME.fullmatch(name):
            slugs.setdefault(titles[int(match["seq"])], set()).add(match["slug"])
    assert all(len(found) == 1 for found in slugs.values())
    assert len(set.union(*slugs.values())) == len(story.project["sections"])
    plain = {title: found for title, found in slugs.items() if title.isascii()}
    assert plain
    for title, (found,) in plain.items():
        assert "-".join(re.findall(r"[a-z0-9]+", title.lower())).startswith(found)


def test_audio_images_and_videos_lie_in_three_folders(story: Story) -> None:
    assert {path.name for path in story.folder.iterdir() if path.is_dir()} == {"audio", "images", "videos"}


def test_the_three_folders_exist_without_any_video_too(silent_film: Story) -> None:
    assert {path.name for path in silent_film.folder.iterdir() if path.is_dir()} == {"audio", "images", "videos"}
    assert list((silent_film.folder / "videos").iterdir()) == []
    with zipfile.ZipFile(silent_film.archive) as archive:
        assert f"{silent_film.folder.name}/videos/" in archive.namelist()


def test_names_sort_into_story_order(story: Story) -> None:
    for folder in FOLDERS.values():
        numbers = [int(path.name.partition("_")[0]) for path in sorted((story.folder / folder).iterdir())]
        assert numbers == sorted(set(numbers))


# ---- what is in it


def test_every_finished_asset_of_the_project_is_in_the_export(story: Story) -> None:
    assert story.media_files.keys() == {(asset.seq, FOLDERS[asset.kind]) for asset in story.finished()}
    assert len(story.finished()) > 20


def test_every_file_has_the_original_quality_byte_for_byte(story: Story) -> None:
    whole = [asset for asset in story.finished() if asset.slice_ms is None]
    for asset in whole:
        copied = story.media_files[asset.seq, FOLDERS[asset.kind]]
        assert copied.suffix == asset.source.suffix
        assert sha256(copied.read_bytes()) == sha256(asset.source.read_bytes()), copied.name
    assert len(whole) > 15


def test_the_slices_of_a_narration_joined_are_its_samples(story: Story) -> None:
    told: dict[Path, list[Path]] = {}
    for asset in story.finished():
        if asset.slice_ms is not None:
            told.setdefault(asset.source, []).append(story.media_files[asset.seq, "audio"])
    assert told
    for source, slices in told.items():
        recorded, whole = samples(source)
        assert {samples(part)[0] for part in slices} == {recorded}
        assert sha256(b"".join(samples(part)[1] for part in slices)) == sha256(whole)


def test_each_slice_lasts_as_long_as_its_sentence(story: Story) -> None:
    for asset in story.finished():
        if asset.slice_ms is not None:
            (channels, width, rate), content = samples(story.media_files[asset.seq, "audio"])
            lasts_ms = len(content) / channels / width / rate * 1000
            assert abs(lasts_ms - (asset.slice_ms["end_ms"] - asset.slice_ms["start_ms"])) < 1, asset


def test_what_is_not_finished_is_listed_with_its_reason(story: Story) -> None:
    expected = {
        (asset.seq, asset.kind, "missing" if asset.status == "completed" else asset.status)
        for asset in story.assets()
        if asset not in story.finished()
    }
    assert {reason for _, _, reason in expected} >= {"missing", "pending"}
    assert {(one.seq, one.kind.value, one.reason.value) for one in story.event.omissions} == expected
    manifest = json.loads(story.files["manifest.json"].read_bytes())
    assert {(one["seq"], one["kind"], one["reason"]) for one in manifest["omissions"]} == expected
    assert story.event.outcome == "partial"


# ---- the script


def test_the_script_has_every_sentence_under_its_section_numbered_like_the_files(story: Story) -> None:
    script = story.files["script.txt"].read_text(encoding="utf-8")
    time = r"\d\d:\d\d"
    position = seq = 0

    def look_for(line: str) -> None:
        nonlocal position
        found = re.compile(line, re.MULTILINE).search(script, position)
        assert found, line
        position = found.end()

    for number, section in enumerate(story.project["sections"], 1):
        look_for(rf"^{number}\. {re.escape(section['title'])}  \({time}\)\n---")
        for sentence in section["sentences"]:
            seq += 1
            look_for(rf"^{seq:03}  {time}  {re.escape(sentence['text'] or '(no text)')}$")


def test_the_script_has_nothing_twice(story: Story) -> None:
    numbers = re.findall(r"^(\d{3})  ", story.files["script.txt"].read_text(encoding="utf-8"), re.MULTILINE)
    assert [int(number) for number in numbers] == [seq for seq, _, _ in story.sentences()]


def test_the_script_says_under_a_sentence_what_it_lacks(story: Story) -> None:
    script = story.files["script.txt"].read_text(encoding="utf-8")
    for one in story.event.omissions:
        paragraph = re.search(rf"^{one.seq:03}  .*?(\n\n|\Z)", script, re.MULTILINE | re.DOTALL)
        assert paragraph
        assert f"[{one.kind}: {one.reason}]" in paragraph[0]


# ---- the ZIP


def test_the_zip_holds_the_folder_as_its_single_top_entry(story: Story) -> None:
    with zipfile.ZipFile(story.archive) as archive:
        assert {name.partition("/")[0] for name in archive.namelist()} == {story.folder.name}
        assert {info.compress_type for info in archive.infolist()} == {zipfile.ZIP_STORED}
        assert archive.testzip() is None


def test_the_zip_holds_the_same_files_and_folders(story: Story, tmp_path: Path) -> None:
    with zipfile.ZipFile(story.archive) as archive:
        archive.extractall(tmp_path)
    assert contents(tmp_path / story.folder.name) == contents(story.folder)


@pytest.mark.parametrize("reader", READERS)
def test_the_zip_opens_with_every_reader(reader: str, story: Story) -> None:
    package, arguments = READERS[reader]
    if shutil.which(reader) is None:
        pytest.fail(f"{reader} is not there: apt-get update && apt-get install -y {package}")
    done = subprocess.run([reader, *arguments, story.archive], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def contents(folder: Path) -> dict[str, str | None]:
    """Every file with its SHA-256, every directory without."""
    return {
        path.relative_to(folder).as_posix(): sha256(path.read_bytes()) if path.is_file() else None
        for path in folder.rglob("*")
    }


# ---- the studio's own form


def test_the_studios_project_gives_the_same_media(sample: Sample, story: Story, tmp_path: Path) -> None:
    studio = exported(sample.studio, sample.media, tmp_path)
    # Not the texts: a file that is still to come is simply not named by the studio, so it is no omission there.
    assert {name: sums for name, sums in contents(studio.folder).items() if "/" in name} == {
        name: sums for name, sums in contents(story.folder).items() if "/" in name
    }
