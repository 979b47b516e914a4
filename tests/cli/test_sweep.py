"""`sweep` keeps an exports root in order, says what it did, and touches nothing else."""

import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.cli.command import Said, call
from tests.cli.conftest import Desk


def done(said: Said) -> dict[str, int]:
    """What it says it did, by the first word of each line."""
    assert (said.code, said.err) == (0, "")
    found = re.findall(r"^(\w+) +(\d+) ", said.out, re.MULTILINE)
    return {word: int(count) for word, count in found}


def test_a_tidy_root_needs_nothing(desk: Desk) -> None:
    desk.run()
    before = sorted(desk.exports.rglob("*"))
    assert done(call("sweep", "--to", desk.exports)) == {"published": 0, "withdrew": 0, "cleared": 0, "forgot": 0}
    assert sorted(desk.exports.rglob("*")) == before


def test_an_expired_export_is_withdrawn_and_another_one_kept(desk: Desk) -> None:
    desk.run("--export-id", "short", "--retain-days", "1", "--archive", "zip")
    desk.run("--export-id", "long")
    let_expire(desk.exports / ".exports" / "short" / "outcome.json")
    assert done(call("sweep", "--to", desk.exports))["withdrew"] == 1
    (kept,) = desk.exports.glob("export_*")
    assert json.loads((kept / "manifest.json").read_bytes())["export_id"] == "long"


def let_expire(outcome: Path) -> None:
    """As if it had been decided two days ago."""
    decision = json.loads(outcome.read_bytes())
    event = json.loads(decision["body"])
    for name in ("at", "expires_at"):
        moment = datetime.fromisoformat(event[name]) - timedelta(days=2)
        event[name] = moment.astimezone(UTC).isoformat()
    decision["body"] = json.dumps(event)
    outcome.write_text(json.dumps(decision))


def test_what_was_begun_long_ago_and_given_up_is_cleared(desk: Desk) -> None:
    given_up = desk.exports / ".exports" / "e1" / "a-000001" / "tree" / "audio" / "001.wav.part"
    desk.run("--export-id", "other")
    given_up.parent.mkdir(parents=True)
    given_up.write_bytes(b"half")
    assert done(call("sweep", "--to", desk.exports))["cleared"] == 0
    assert done(call("sweep", "--to", desk.exports, "--abandoned-after", "0"))["cleared"] == 1
    assert not given_up.exists()


def test_a_directory_that_is_no_exports_root_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("precious")
    said = call("sweep", "--to", tmp_path)
    assert said.code == 2
    assert said.sentence == (
        f"export-service: --to {tmp_path}: the exports root has no .exports/store.json: is it mounted?"
    )
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


@pytest.mark.parametrize("name", ["no", "file"])
def test_what_is_no_directory_is_named(name: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    said = call("sweep", "--to", tmp_path / name)
    assert (said.code, said.sentence) == (2, f"export-service: --to {tmp_path / name}: no such directory")


@pytest.mark.parametrize("hours", ["soon", "-1", "nan", "inf", "1e3", "9999999"])
def test_hours_that_are_none_are_refused(hours: str, tmp_path: Path) -> None:
    said = call("sweep", "--to", tmp_path, "--abandoned-after", hours)
    assert said.code == 2
    assert "--abandoned-after" in said.sentence


def test_an_export_that_cannot_be_swept_is_no_fault_of_the_arguments(desk: Desk) -> None:
    desk.run("--export-id", "e1")
    desk.run("--export-id", "e2", "--retain-days", "1")
    let_expire(desk.exports / ".exports" / "e2" / "outcome.json")
    (desk.exports / ".exports" / "e1" / "outcome.json").write_text("{}")
    said = call("sweep", "--to", desk.exports)
    assert said.code == 1
    assert said._replace(out="").sentence.startswith(f"export-service: --to {desk.exports}: export e1: ")
    assert "withdrew  1 expired export\n" in said.out, "what was done for the others is said all the same"


def test_one_is_told_as_one_and_several_as_several(desk: Desk) -> None:
    desk.run()
    for export_id in ("e1", "e2"):
        (desk.exports / ".exports" / export_id / "a-000001" / "tree").mkdir(parents=True)
    out = call("sweep", "--to", desk.exports, "--abandoned-after", "0").out
    assert "cleared   2 interrupted exports\n" in out
