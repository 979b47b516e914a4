"""Every byte that worker, gateway and commands move beneath a root is moved by the storage port, and so is every name.

Watched at run time, by what the interpreter says of itself (sys.addaudithook); test_disk.py reads the source.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.house.repository import ROOT


def watched(act: str, place: Path) -> dict[str, Any]:
    """What was heard of an act, in a process of its own."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("EXPORT_")}
    done = subprocess.run(
        [sys.executable, "-m", "tests.house.moves", act, place],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    report: dict[str, Any] = json.loads((place / "report.json").read_text())
    return report


@pytest.mark.slow
@pytest.mark.parametrize("act", ["commands", "worker", "gateway"])
def test_nothing_beneath_the_roots_is_touched_past_the_storage_port(act: str, tmp_path: Path) -> None:
    report = watched(act, tmp_path)
    assert report["past"] == []
    assert {"open", "os.link", "os.rename", "os.remove"} <= report["through"].keys()


@pytest.mark.slow
def test_every_way_past_the_port_would_be_heard(tmp_path: Path) -> None:
    heard = watched("planted", tmp_path)["heard"]
    nameless = heard.pop("open in a thread that is handed the function")
    assert "by nobody of ours" in str(nameless)
    assert len(heard) > 20
    assert [way for way in heard if "by gateway/planted.py" not in str(heard[way])] == []


@pytest.mark.slow
def test_the_port_itself_and_what_lies_elsewhere_are_left_alone(tmp_path: Path) -> None:
    report = watched("allowed", tmp_path)
    assert (report["through"], report["past"]) == ({"open": 1}, [])
