"""A bundle is one file that OpenTimelineIO opens, with every media file that its timeline names."""

import json
import zipfile
from pathlib import Path
from typing import Any

import opentimelineio as otio  # type: ignore[import-untyped]
import pytest

from cli.verify import verify_archive
from contracts import Layout, Project
from demo.sample import Sample, make_sample
from tests.cli.command import call
from tests.editors.exporting import Exported, Studio


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Sample:
    return make_sample(tmp_path_factory.mktemp("sample"))


@pytest.fixture(scope="module")
def bundle(sample: Sample) -> Exported:
    media = {str(file.relative_to(sample.media)): file.read_bytes() for file in sample.media.rglob("*.*")}
    project = Project.model_validate_json(sample.project.read_bytes())
    return Studio(media).export(project, archive="otioz", media_root="/Volumes/NAS")


@pytest.fixture
def path(bundle: Exported, tmp_path: Path) -> Path:
    file = tmp_path / bundle.archive.name
    file.write_bytes(bundle.packed)
    return file


def test_it_is_named_like_the_folder_and_told_as_what_it_is(bundle: Exported) -> None:
    assert bundle.archive.name == f"{bundle.event.folder.name}.otioz"
    assert bundle.archive.layout is Layout.OTIOZ
    assert bundle.archive.size_bytes == len(bundle.packed)


def test_its_media_are_those_of_the_folder_in_one_directory(bundle: Exported) -> None:
    in_folder = {name.rpartition("/")[2]: content for name, content in bundle.files.items() if "/" in name}
    in_bundle = {name.removeprefix("media/"): content for name, content in bundle.unpacked.items() if "/" in name}
    assert in_bundle == in_folder
    assert bundle.unpacked.keys() - {f"media/{name}" for name in in_bundle} == {"content.otio", "version.txt"}
    assert bundle.unpacked["version.txt"] == b"1.0.0"


def test_every_entry_is_stored_so_that_an_editor_reads_it_in_place(path: Path) -> None:
    with zipfile.ZipFile(path) as opened:
        assert {entry.compress_type for entry in opened.infolist()} == {zipfile.ZIP_STORED}


def test_opentimelineio_unpacks_it_and_finds_every_file(bundle: Exported, path: Path, tmp_path: Path) -> None:
    unpacked = tmp_path / "unpacked"
    unpacked.mkdir()
    timeline = otio.adapters.read_from_file(str(path), extract_to_directory=str(unpacked))
    urls = {clip.media_reference.target_url for clip in timeline.find_clips()}
    assert urls
    assert all((unpacked / url).is_file() or Path(url.removeprefix("file://")).is_file() for url in urls)


def test_its_timeline_is_the_folders_but_for_where_the_files_are(bundle: Exported) -> None:
    ours, beside = (json.loads(bundle.unpacked["content.otio"]), json.loads(bundle.files["timeline.otio"]))
    assert all(url.startswith("media/") for url in urls_taken_from(ours))
    assert all(url.startswith("file:///Volumes/NAS/") for url in urls_taken_from(beside))
    assert ours == beside


def urls_taken_from(node: Any) -> list[str]:
    """Takes them out of the document."""
    if isinstance(node, dict):
        own = [node.pop("target_url")] if "target_url" in node else []
        return own + [url for value in node.values() for url in urls_taken_from(value)]
    return [url for value in node for url in urls_taken_from(value)] if isinstance(node, list) else []


# ---- verify


def test_verify_finds_a_bundle_whole(path: Path) -> None:
    assert list(verify_archive(path)) == []


def test_a_bundle_under_another_name_is_still_compared_with_itself(path: Path) -> None:
    said = call("verify", path.rename(path.with_suffix(".zip")))
    assert (said.code, said.err) == (0, "")
    assert said.out.endswith("every file has the size and CRC-32 that its bundle says\n")


def test_verify_sees_a_byte_that_is_not_what_it_was(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    [difference] = verify_archive(path)
    assert "CRC-32" in difference


def test_verify_names_what_the_timeline_names_and_the_bundle_lacks(bundle: Exported, path: Path) -> None:
    with zipfile.ZipFile(path, "w") as made:
        for name, content in bundle.unpacked.items():
            if not name.endswith("001_first-the-lamp-one-flame-many-miles_audio.wav"):
                made.writestr(name, content)
    assert list(verify_archive(path)) == ["media/001_first-the-lamp-one-flame-many-miles_audio.wav: is missing"]


@pytest.mark.parametrize("name", ["notes.txt", "media/deep/er.wav", "../er.wav"])
def test_verify_names_what_is_not_of_a_bundle(name: str, path: Path) -> None:
    with zipfile.ZipFile(path, "a") as made:
        made.writestr(name, b"")
    assert list(verify_archive(path)) == [f"{name}: is not of a bundle"]
