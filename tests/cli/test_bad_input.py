"""Whatever is wrong with what was asked, one sentence names it, the exit code says whose fault it is: no traceback."""

import errno
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from service.storage.disk import Disk
from tests.cli.command import call
from tests.cli.conftest import Desk

# ---- the project

NO_PROJECTS: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "is not JSON: expecting value in line 1"),
    "not JSON": (b'{\n"id": p}', "is not JSON: expecting value in line 2"),
    "a list": (b"[1, 2]", "a JSON object is expected"),
    "a word": (b'"project"', "a JSON object is expected"),
    "null": (b"null", "a JSON object is expected"),
    "garbage": (bytes(range(256)) * 8, "is not "),
    "a picture": (b"\x89PNG\r\n\x1a\n" + b"\xff" * 100, "is not UTF-8 text"),
    "nested too deeply": (b"[" * 200_000, "nested too deeply"),
    "nested too deeply in a project": (b'{"id": "p", "sections": ' + b"[" * 200_000, "nested too deeply"),
    "a number of 5,000 digits": (b'{"id": ' + b"1" * 5000 + b"}", "5000 digits"),
    "half a character": (b'{"id": "\\ud800", "sections": []}', "id: "),
    "nothing": (b"{}", "id: Field required (and 1 more)"),
    "an id like a path": (b'{"id": "../..", "sections": []}', "id: "),
    "sections that are none": (b'{"id": "p", "sections": {"a": 1}}', "sections: "),
    "a number as a text": (b'{"id": "p", "sections": [{"sentences": [{"text": 5}]}]}', "sections.0.sentences.0.text: "),
    "an unknown status": (
        b'{"id": "p", "sections": [{"sentences": [{"image": {"status": "done"}}]}]}',
        "sections.0.sentences.0.image: status must be one of",
    ),
    "a finished file without a name": (
        b'{"id": "p", "sections": [{"sentences": [{"image": {"status": "completed"}}]}]}',
        "a completed asset needs a uri",
    ),
    "a studio's error": (
        b'{"success": false, "error": {"message": "no such project"}}',
        "the studio answered with an error: no such project",
    ),
    "a studio's order": (
        b'{"success": true, "data": {"id": "p", "sections": [{"id": "s", "order": "x", "sentences": []}]}}',
        "sections.0.order: ",
    ),
}


@pytest.mark.parametrize(("content", "complaint"), NO_PROJECTS.values(), ids=NO_PROJECTS)
def test_what_is_no_project_is_refused_by_file_and_field(content: bytes, complaint: str, desk: Desk) -> None:
    desk.project.write_bytes(content)
    for said in (desk.plan(), desk.run()):
        assert said.code == 2
        assert said.sentence.startswith(f"export-service: {desk.project}: ")
        assert complaint in said.sentence
    assert not desk.exports.exists()


def test_a_project_that_is_not_there_is_named(desk: Desk) -> None:
    desk.project.unlink()
    said = desk.run()
    assert (said.code, said.sentence) == (2, f"export-service: {desk.project}: no such file or directory")


def test_a_directory_is_no_project(desk: Desk) -> None:
    desk.project.unlink()
    desk.project.mkdir()
    assert (desk.run().code, desk.run().sentence) == (2, f"export-service: {desk.project}: is a directory")


def test_a_project_that_cannot_be_read_is_named(desk: Desk) -> None:
    desk.project.unlink()
    desk.project.symlink_to("/proc/self/mem")  # its first page is nobody's, not even root's
    assert (desk.run().code, desk.run().sentence) == (2, f"export-service: {desk.project}: input/output error")


def test_a_reference_out_of_the_media_directory_is_refused_with_its_sentence(desk: Desk) -> None:
    project = json.loads(desk.project.read_bytes())
    project["sections"][0]["sentences"][1]["image"]["uri"] = "../secret.png"
    desk.project.write_text(json.dumps(project))
    for said in (desk.plan(), desk.run()):
        assert said.code == 1
        assert 'image of sentence 2: "../secret.png" is outside' in said.sentence


# ---- the arguments

WRONG: dict[str, tuple[list[str], str]] = {
    "an unknown option": (["--fast"], "--fast"),
    "an abbreviated option": (["--arch", "zip"], "--arch"),
    "an unknown archive": (["--archive", "rar"], "--archive"),
    "an unknown timeline": (["--timelines", "otio,edl"], "--timelines: 'edl'"),
    "a mount that is no directory": (["--media-root", "exports"], "media_root"),
    "changes without a ZIP": (["--since", "e-1"], "since"),
    "an unknown kind": (["--kinds", "audio,smell"], "--kinds: 'smell'"),
    "no kind": (["--kinds", ""], "--kinds"),
    "no section": (["--sections", ""], "--sections"),
    "a section between two commas": (["--sections", "a,,b"], "--sections"),
    "an unknown policy": (["--on-missing", "weep"], "--on-missing"),
    "another unknown policy": (["--stale", "maybe"], "--stale"),
    "an export id like a path": (["--export-id", "../e"], "--export-id"),
    "an export id in capitals": (["--export-id", "E1"], "--export-id"),
    "an export id too long": (["--export-id", "e" * 65], "--export-id"),
    "a word as a time": (["--requested-at", "yesterday"], "--requested-at"),
    "a time without an offset": (["--requested-at", "2026-11-23T18:42:20"], "--requested-at"),
    "a day that does not exist": (["--requested-at", "2026-02-30T00:00:00Z"], "--requested-at"),
    "a time outside all years": (["--requested-at", "0001-01-01T00:00:00+10:00"], "--requested-at"),
    "no copiers": (["--copiers", "0"], "--copiers"),
    "a million copiers": (["--copiers", "1000000"], "--copiers"),
    "half a copier": (["--copiers", "0.5"], "--copiers"),
    "a thousand years": (["--retain-days", "365000"], "--retain-days"),
    "days before now": (["--retain-days", "-1"], "--retain-days"),
    "an option without its value": (["--archive"], "--archive"),
    "a second project": (["other.json"], "other.json"),
}


@pytest.mark.parametrize(("words", "named"), WRONG.values(), ids=WRONG)
def test_a_wrong_argument_is_refused_by_its_name(words: list[str], named: str, desk: Desk) -> None:
    said = desk.run(*words)
    assert said.code == 2
    assert named in said.sentence
    assert not desk.exports.exists()


@pytest.mark.parametrize("words", [[], ["export"], ["run"], ["run", "x"], ["verify"], ["sweep"]])
def test_too_few_words_are_refused_with_the_usage(words: list[str]) -> None:
    said = call(*words)
    assert said.code == 2
    assert said.err.startswith("usage: export-service")
    assert said.sentence


# ---- the directories


def a_file(path: Path) -> Path:
    path.write_bytes(b"")
    return path


PLACES: dict[str, tuple[str, Callable[[Path], Path], str]] = {
    "media that is not there": ("--media", lambda home: home / "no", "no such directory"),
    "a file as media": ("--media", lambda home: a_file(home / "file"), "not a directory"),
    "a file as the exports root": ("--to", lambda home: a_file(home / "file"), "not a directory"),
    "an exports root under a file": ("--to", lambda home: a_file(home / "file") / "exports", "not a directory"),
    "an exports root in no directory": ("--to", lambda home: home / "no" / "exports", "no such file or directory"),
    "an exports root of an absurd name": ("--to", lambda home: home / ("x" * 300), "file name too long"),
}


@pytest.mark.parametrize(("option", "make", "complaint"), PLACES.values(), ids=PLACES)
def test_a_directory_that_cannot_be_right_is_named(
    option: str, make: Callable[[Path], Path], complaint: str, desk: Desk, tmp_path: Path
) -> None:
    place = make(tmp_path)
    said = desk.run(option, place)
    assert (said.code, said.sentence) == (2, f"export-service: {option} {place}: {complaint}")


def test_the_wrong_media_directory_is_no_empty_export(desk: Desk, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    said = desk.run("--media", tmp_path / "elsewhere")
    assert said.code == 1
    assert f'none of the project\'s 5 files was found in media "{tmp_path / "elsewhere"}"' in said.err
    assert list(desk.exports.glob("export_*")) == []


def test_an_exports_root_that_cannot_be_written_is_named_with_the_line_that_goes_on(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(Disk, "mkdir", refuse)  # root may write everywhere
    said = desk.run()
    complaint, *way_on = said.err.splitlines()
    assert said.code == 1
    assert complaint == 'The storage does not work: ".exports" in the exports root: Read-only file system'
    assert way_on[0] == "Nothing is lost; when that is mended, go on with:"
    assert way_on[1].startswith("  export-service run --export-id ")


def test_the_id_of_another_project_is_refused(desk: Desk) -> None:
    desk.run("--export-id", "e1")
    desk.project.write_text('{"id": "p", "sections": []}')
    said = desk.run("--export-id", "e1")
    assert said.code == 1
    assert said.sentence == 'The export id is taken: export "e1" was asked for before with another project'
    assert desk.run("--export-id", "e1", "--json").json["error"]["code"] == "conflict"


def test_the_id_of_an_export_with_other_options_is_refused(desk: Desk) -> None:
    desk.run("--export-id", "e1")
    said = desk.run("--export-id", "e1", "--archive", "zip")
    assert (said.code, said.sentence.endswith("with other options")) == (1, True)


# ---- in a person's terms


def test_a_section_that_is_not_there_is_refused_with_those_that_are(desk: Desk) -> None:
    said = desk.plan("--sections", "a,elsewhere")
    assert said.code == 2
    assert said.sentence.startswith('export-service: --sections: there is no "elsewhere"; there are "a", ')


def test_of_many_sections_the_first_ten_are_named(desk: Desk) -> None:
    desk.project.write_text(json.dumps({"id": "p", "sections": [{"id": f"s{at}"} for at in range(12)]}))
    assert desk.plan("--sections", "x").sentence.endswith('"s9" and 2 more')


def test_a_section_without_an_id_cannot_be_chosen(desk: Desk) -> None:
    desk.project.write_text('{"id": "p", "sections": [{"title": "a"}]}')
    said = desk.run("--sections", "a")
    assert (said.code, said.sentence.endswith("no section of this project has an id, so none can be chosen")) == (
        2,
        True,
    )


def test_a_time_without_an_offset_is_answered_with_an_example(desk: Desk) -> None:
    said = desk.plan("--requested-at", "2026-11-23T18:42:20")
    assert "has no offset; write it with an offset, such as 2026-11-23T18:42:20Z" in said.sentence


PLAIN = {
    "a project's id": ({"id": "a/b"}, "id: may hold no slash, backslash or control character, and more than dots"),
    "an asset that is a word": (
        {"sections": [{}, {"sentences": [{"image": "a.png"}]}]},
        "sections.1.sentences.0.image: must be a JSON object (section 2, sentence 1 of it)",
    ),
    "a field of an asset": (
        {"sections": [{"sentences": [{"image": {"status": "completed", "uri": ""}}]}]},
        "sections.0.sentences.0.image.uri: must hold something, and no control character (section",
    ),
    "a section": ({"sections": [{"id": ""}]}, "sections.0.id: must hold something, and no control character"),
}


@pytest.mark.parametrize(("part", "complaint"), PLAIN.values(), ids=PLAIN)
def test_a_fault_of_a_project_is_told_in_plain_words(part: dict[str, Any], complaint: str, desk: Desk) -> None:
    desk.project.write_text(json.dumps({"id": "p", "sections": [], **part}))
    assert f"{desk.project}: {complaint}" in desk.plan().sentence


def test_an_export_id_in_capitals_is_answered_with_what_it_may_hold() -> None:
    assert "may hold a to z, 0 to 9 and dashes only" in call("plan", "p", "--media", ".", "--export-id", "E").sentence
