"""What `plan` and `run` promise: their answers, and their exit codes."""

import json
import os
import shlex
import shutil
import subprocess
from io import StringIO
from pathlib import Path

import jsonschema
import pytest
from rich.console import Console

from cli.show import show_completed
from contracts import ExportCompleted, ExportFailed, Layout
from service.storage.disk import Disk
from tests.cli.command import EXPORT_SERVICE
from tests.cli.conftest import AT, Desk
from tests.engine.faulty import SharingDisk

SCHEMAS = Path(__file__).parents[2] / "contracts" / "schemas"


def everything_in(directory: Path) -> dict[str, tuple[int, int]]:
    return {str(path): (path.stat().st_mtime_ns, path.stat().st_size) for path in directory.rglob("*")}


# ---- exit codes


def test_0_when_everything_that_was_asked_for_is_there(desk: Desk) -> None:
    assert desk.run("--kinds", "audio,video").code == 0
    assert desk.plan("--kinds", "audio,video").code == 0


def test_3_when_something_is_left_out(desk: Desk) -> None:
    assert desk.run().code == 3
    assert desk.plan().code == 3


def test_3_when_nothing_can_be_exported(desk: Desk) -> None:
    desk.project.write_text('{"id": "p", "sections": [{"sentences": [{"image": {"status": "pending"}}]}]}')
    assert desk.plan("--json").json["outcome"] == "empty"
    assert desk.run().code == 3


def test_1_when_a_finished_file_is_missing_and_that_shall_fail(desk: Desk) -> None:
    (desk.media / "2.png").unlink()
    assert desk.plan("--on-missing", "fail").code == 1
    said = desk.run("--on-missing", "fail")
    assert (said.code, said.sentence) == (1, 'A finished file is missing: image of sentence 2 ("2.png") is missing')


def test_2_when_the_arguments_cannot_be_right(desk: Desk) -> None:
    assert desk.run("--archive", "rar").code == 2


# ---- plan


def test_a_plan_changes_nothing(desk: Desk) -> None:
    before = everything_in(desk.project.parent)
    desk.plan("--archive", "zip")
    assert everything_in(desk.project.parent) == before


def test_a_plan_shows_the_tree_with_bytes_and_what_is_left_out(desk: Desk) -> None:
    shown = desk.plan("--requested-at", "2026-11-23T18:42:20Z").out
    assert "export_p1_20261123T184220Z/" in shown
    assert "images/  3 files" in shown
    assert "001_intro_image.png  5.0 kB" in shown
    assert "004_fin_video.mp4  600.0 kB" in shown
    assert "4         image  pending" in shown
    assert "partial  7 files" in shown


def test_a_plan_as_json_lists_what_a_run_then_makes(desk: Desk) -> None:
    known = ["--export-id", "e1", "--requested-at", "2026-11-23T18:42:20Z", "--archive", "zip"]
    plan = desk.plan(*known, "--json").json
    event = ExportCompleted.model_validate_json(desk.run(*known, "--json").out)
    assert event.archive
    folder, archive = desk.exports / event.folder.name, desk.exports / event.archive.name
    assert plan["folder"] == event.folder.name
    assert plan["outcome"] == event.outcome
    assert plan["archive_size_bytes"] == event.archive.size_bytes == archive.stat().st_size
    assert {(one["name"], one["size_bytes"]) for one in plan["files"]} == {
        (path.relative_to(folder).as_posix(), path.stat().st_size) for path in folder.glob("*/*")
    }
    assert plan["omissions"] == [one.model_dump(mode="json", exclude_none=True) for one in event.omissions]


def test_a_plan_for_people_has_the_size_of_the_zip_too(desk: Desk) -> None:
    known = ["--export-id", "e1", "--requested-at", "2026-11-23T18:42:20Z", "--archive", "zip"]
    shown = desk.plan(*known).out
    desk.run(*known)
    assert f"as a ZIP {(desk.exports / 'export_p1_20261123T184220Z.zip').stat().st_size:,} bytes" in shown


# ---- plan and run, of what changed


def with_one_more_still(desk: Desk) -> Path:
    """The folder of an export that was made before the pending still was there."""
    first = ExportCompleted.model_validate(desk.run("--export-id", "e0", "--json").json)
    project = json.loads(desk.project.read_bytes())
    project["sections"][1]["sentences"][-1]["image"] = {"status": "completed", "uri": "1.png"}
    desk.project.write_text(json.dumps(project))
    return desk.exports / first.folder.name


LATER = ["--archive", "zip", "--export-id", "e1", "--requested-at", "2026-11-24T08:00:00Z"]


@pytest.mark.parametrize("named", ["its id", "its folder", "its folder's name"])
def test_a_plan_of_what_changed_says_what_a_run_then_makes(named: str, desk: Desk) -> None:
    folder = with_one_more_still(desk)
    since = {"its id": "e0", "its folder": f"{folder}/", "its folder's name": folder.name}[named]
    plan = desk.plan(*LATER, "--since", since, "--to", desk.exports, "--json").json
    shown = desk.plan(*LATER, "--since", since, "--to", desk.exports).out
    event = ExportCompleted.model_validate(desk.run(*LATER, "--since", since, "--json").json)
    assert event.archive
    assert event.archive.layout is Layout.CHANGES
    assert plan["archive_size_bytes"] == event.archive.size_bytes
    assert plan["warnings"] == list(event.warnings)
    assert f"as a ZIP of what changed at least {event.archive.size_bytes:,} bytes" in shown


def test_a_plan_that_looks_an_earlier_export_up_changes_nothing(desk: Desk) -> None:
    with_one_more_still(desk)
    before = everything_in(desk.project.parent)
    desk.plan(*LATER, "--since", "e0", "--to", desk.exports)
    assert everything_in(desk.project.parent) == before


def test_a_plan_of_what_changed_without_the_exports_root_claims_nothing_of_it(desk: Desk) -> None:
    with_one_more_still(desk)
    plan = desk.plan(*LATER, "--since", "e0", "--json").json
    assert plan["archive_size_bytes"] is None
    assert not [warning for warning in plan["warnings"] if "everything" in warning]
    assert "what changed since e0 is known to `run` only, or with --to DIR" in desk.plan(*LATER, "--since", "e0").out


def test_a_plan_says_that_an_earlier_export_is_unknown_to_the_exports_root(desk: Desk) -> None:
    with_one_more_still(desk)
    warnings = desk.plan(*LATER, "--since", "e7", "--to", desk.exports, "--json").json["warnings"]
    [warning] = [one for one in warnings if "everything" in one]
    assert warning.endswith("since e7: that is no export of this project")


def test_a_plan_that_follows_nothing_does_not_ask_for_an_exports_root(desk: Desk) -> None:
    assert desk.plan("--requested-at", AT, "--to", desk.exports) == desk.plan("--requested-at", AT)


def test_a_plan_refuses_an_exports_root_that_is_none(desk: Desk) -> None:
    for root in (desk.media, desk.media / "nowhere"):
        said = desk.plan(*LATER, "--since", "e0", "--to", root)
        assert (said.code, f"--to {root}: is no exports root" in said.sentence) == (2, True)


@pytest.mark.parametrize("content", [None, b"{", b"{}", b'{"export_id": "E 1"}', b'{"export_id": 5}'])
def test_since_is_no_folder_that_names_no_export(content: bytes | None, desk: Desk) -> None:
    folder = desk.media / "Some_folder"
    if content is not None:
        folder.mkdir()
        (folder / "manifest.json").write_bytes(content)
    said = desk.run(*LATER, "--since", folder)
    assert (said.code, "is neither the id of an export" in said.sentence) == (2, True)


# ---- run


def test_a_run_shows_the_tree_the_zip_and_where_they_are(desk: Desk) -> None:
    said = desk.run("--archive", "zip")
    assert "export_p1_20261123T184220Z/  19 files" in said.out
    assert "export_p1_20261123T184220Z.zip" in said.out
    assert f"in {desk.exports / 'export_p1_20261123T184220Z'}" in said.out
    assert "partial  3 audio, 3 image, 1 video" in said.out


def test_a_run_as_json_prints_the_terminal_event_and_nothing_else(desk: Desk) -> None:
    said = desk.run("--json")
    assert ExportCompleted.model_validate(said.json).omissions_total == 1
    assert said.out.count("\n") == 1
    assert said.err == ""


def test_a_failed_run_as_json_prints_the_terminal_event_and_nothing_else(desk: Desk) -> None:
    (desk.media / "2.png").unlink()
    said = desk.run("--on-missing", "fail", "--json")
    assert ExportFailed.model_validate(said.json).error.code == "source_missing"
    assert (said.code, said.err) == (1, "")


def test_an_undecided_run_as_json_says_that_it_can_be_tried_again(desk: Desk) -> None:
    for path in desk.media.iterdir():
        path.unlink()
    said = desk.run("--json")
    assert (said.code, said.json["error"]["code"], said.json["error"]["retryable"]) == (1, "storage_unavailable", True)
    assert said.json["export_id"] in said.err  # the line that goes on


def test_wrong_arguments_print_nothing_where_json_is_expected(desk: Desk) -> None:
    desk.project.write_text("[]")
    assert (desk.run("--json").out, desk.plan("--json").out) == ("", "")


def test_the_same_run_again_tells_the_same(desk: Desk) -> None:
    first = desk.run("--export-id", "e1", "--json")
    assert desk.run("--export-id", "e1", "--json") == first
    assert len(list(desk.exports.glob("export_*"))) == 1


def test_only_the_chosen_kinds_and_sections_are_exported(desk: Desk) -> None:
    files = desk.plan("--kinds", "image", "--sections", "a", "--json").json["files"]
    assert [one["name"] for one in files] == [f"images/00{n}_intro_image.png" for n in (1, 2, 3)]


def test_what_is_left_out_by_choice_is_counted_and_not_listed(desk: Desk) -> None:
    for said in (desk.plan("--kinds", "image"), desk.run("--kinds", "image")):
        assert "Not in the export: 1 " in said.out
        assert "4         image  pending" in said.out
        assert "Left out as you chose: 4 audio, 1 video\n" in said.out
        assert "excluded" not in said.out


def test_a_file_that_is_missing_is_told_with_its_path(desk: Desk) -> None:
    (desk.media / "2.png").unlink()
    assert "2         image  missing  2.png" in desk.plan().out


def test_no_title_or_reason_reaches_the_terminal_as_a_command(desk: Desk) -> None:
    project = json.loads(desk.project.read_bytes())
    sentence = project["sections"][0]["sentences"][0]
    sentence["image"] = {"status": "failed", "error": "\x1b]0;mine\x07 \x1b[2J [red]no"}
    project["sections"][0]["audio"]["uri"] = "1.png"  # cannot be cut, which gives a warning with the title
    project["sections"][0]["title"] = "\x1b[2J\x07"
    desk.project.write_text(json.dumps(project))
    for said in (desk.plan(), desk.run()):
        assert said.code == 3
        assert "\x1b" not in said.out + said.err
        assert "[red]no" in said.out


@pytest.mark.parametrize("command", [["plan"], ["run", "--to", "exports"], ["--help"]])
def test_a_terminal_that_knows_ascii_only_gets_an_answer(command: list[str], desk: Desk) -> None:
    name, *more = command
    words = [name] if name == "--help" else [name, str(desk.project), "--media", str(desk.media), *more]
    done = subprocess.run(
        [EXPORT_SERVICE, *words], cwd=desk.project.parent, env={"PYTHONIOENCODING": "ascii"}, capture_output=True,
        check=False,
    )  # fmt: skip
    assert done.returncode in {0, 3}
    assert done.stdout
    assert b"Traceback" not in done.stderr


def test_a_reader_that_has_seen_enough_is_no_fault(desk: Desk) -> None:
    line = f"{EXPORT_SERVICE} plan {desk.project} --media {desk.media} | true"
    done = subprocess.run(["sh", "-c", line], capture_output=True, text=True, check=False)
    assert done.stderr == ""


@pytest.mark.parametrize("more", ["", "--json"])
def test_a_reader_who_leaves_early_does_not_change_how_an_export_ended(more: str, desk: Desk) -> None:
    line = f"({EXPORT_SERVICE} {shlex.join(desk.words())} {more}; echo $? >&2) | true"
    done = subprocess.run(["sh", "-c", line], capture_output=True, text=True, check=False)
    assert done.stderr == "3\n"


@pytest.mark.parametrize("more", ["", "--json"])
def test_an_answer_that_cannot_be_printed_is_told_in_one_sentence(more: str, desk: Desk) -> None:
    line = f"{EXPORT_SERVICE} {shlex.join(desk.words())} {more} >/dev/full"
    done = subprocess.run(["sh", "-c", line], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr == "export-service: the answer cannot be printed: no space left on device\n"


# ---- an export that was made before


def without_its_folder(desk: Desk) -> None:
    desk.run("--export-id", "e1", "--archive", "zip")
    shutil.rmtree(next(desk.exports.glob("export_*Z")))


def test_an_export_whose_folder_was_removed_is_no_success(desk: Desk) -> None:
    without_its_folder(desk)
    said = desk.run("--export-id", "e1", "--archive", "zip")
    assert said.code == 1
    assert said.sentence.startswith("This export was made at 20")
    assert said.sentence.endswith(" UTC, and it is no longer there; for a new one leave out --export-id")


def test_an_export_whose_folder_was_removed_is_told_as_json_all_the_same(desk: Desk) -> None:
    without_its_folder(desk)
    said = desk.run("--export-id", "e1", "--archive", "zip", "--json")
    assert (said.code, said.json["export_id"]) == (1, "e1")
    assert "it is no longer there" in said.err


def test_an_export_whose_zip_was_removed_is_no_success(desk: Desk) -> None:
    desk.run("--export-id", "e1", "--archive", "zip")
    next(desk.exports.glob("*.zip")).unlink()
    said = desk.run("--export-id", "e1", "--archive", "zip")
    assert (said.code, "and its ZIP is no longer there" in said.sentence) == (1, True)


def test_an_export_that_expired_is_told_so(desk: Desk) -> None:
    desk.run("--export-id", "e1")
    (desk.exports / ".exports" / "e1" / "gone.json").write_text('{"reason": "expired"}')
    shutil.rmtree(next(desk.exports.glob("export_*")))
    assert "it is no longer there (expired)" in desk.run("--export-id", "e1").sentence


# ---- what is printed


@pytest.mark.parametrize(("more", "type_"), [([], "export.completed"), (["--on-missing", "fail"], "export.failed")])
def test_the_event_as_json_is_what_the_contract_s_schema_says(more: list[str], type_: str, desk: Desk) -> None:
    (desk.media / "2.png").unlink()
    schema = json.loads((SCHEMAS / f"{type_}.json").read_bytes())
    jsonschema.validate(desk.run(*more, "--json").json, schema)


def test_a_run_ends_with_the_id_that_repeats_it(desk: Desk) -> None:
    assert desk.run("--export-id", "e1").out.endswith("\nexport id e1\n")


def test_one_file_is_one_file_and_a_folder_without_any_is_empty(desk: Desk) -> None:
    shown = desk.plan("--kinds", "video").out
    assert "videos/  1 file, " in shown
    assert "images/  empty" in shown
    assert "complete  1 file, " in shown


def test_a_sentence_that_is_heard_in_its_section_s_narration_is_not_called_absent(desk: Desk) -> None:
    project = json.loads(desk.project.read_bytes())
    project["sections"][0]["audio"]["uri"] = "1.png"  # cannot be cut
    desk.project.write_text(json.dumps(project))
    shown = desk.plan("--kinds", "audio").out
    assert "Inside the section's narration: " in shown
    assert "\ncomplete  " in shown


def test_a_speed_is_told_of_what_one_attempt_copied_only(desk: Desk) -> None:
    event = ExportCompleted.model_validate(desk.run("--archive", "zip", "--json").json)
    assert "; folder and ZIP; media copied at " in printed(event)
    second = printed(event.model_copy(update={"attempt": 2}))
    assert " s of attempt 2; folder and ZIP\n" in second
    assert "copied at" not in second


def test_a_bundle_is_called_a_bundle(desk: Desk) -> None:
    known = ["--export-id", "e1", "--archive", "otioz"]
    assert "; folder and bundle" in desk.run(*known).out
    next(desk.exports.glob("*.otioz")).unlink()
    assert "and its bundle is no longer there" in desk.run(*known).sentence


def printed(event: ExportCompleted) -> str:
    out = Console(file=StringIO(), width=200)
    show_completed(out, event, [], "exports")
    assert isinstance(out.file, StringIO)
    return out.file.getvalue()


# ---- checksums


@pytest.mark.parametrize("flags", [[], ["--trusted-checksums"]])
def test_a_projects_checksums_are_believed_when_that_is_asked_for(
    flags: list[str], desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a file system that shares blocks; any other is read in any case."""
    monkeypatch.setattr(Disk, "file_system", SharingDisk.file_system)
    monkeypatch.setattr(Disk, "clone", SharingDisk.clone)
    project = json.loads(desk.project.read_bytes())
    clip = project["sections"][1]["sentences"][0]["video"]
    clip |= {"crc32": 7, "size_bytes": (desk.media / clip["uri"]).stat().st_size}
    os.utime(desk.media / clip["uri"], ns=(1, 1))
    desk.project.write_text(json.dumps(project))
    warnings = desk.run("--json", *flags).json["warnings"]
    assert len([one for one in warnings if "CRC-32" in one]) == (0 if flags else 1)
