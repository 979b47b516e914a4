"""tests/tools/install brings AsyncAPI's parser where npm can, and nothing fails where it cannot."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.house.repository import ROOT

pytestmark = pytest.mark.skipif(
    not all(map(shutil.which, ["unzip", "zip", "7z", "bsdtar", "chromium"]))
    or not Path("/usr/lib/rabbitmq/lib").is_dir(),
    reason="the script would install more than the parser: make tools",
)
SAID = "tests/tools/install: npm installs the AsyncAPI parser and axe-core\n"


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """With the script and no parser yet."""
    tools = tmp_path / "tests/tools"
    tools.mkdir(parents=True)
    for name in ("install", "package.json"):
        shutil.copy(ROOT / "tests/tools" / name, tools)
    return tmp_path


def install(checkout: Path, npm: str) -> subprocess.CompletedProcess[str]:
    """With a node and an npm that are a line of shell each, before all others on the PATH."""
    for name, line in (("node", ""), ("npm", npm)):
        command = checkout / "bin" / name
        command.parent.mkdir(exist_ok=True)
        command.write_text(f"#!/bin/sh\n{line}\n")
        command.chmod(0o755)
    environment = {"PATH": f"{checkout / 'bin'}{os.pathsep}{os.environ['PATH']}"}
    words = [checkout / "tests/tools/install"]
    return subprocess.run(words, env=environment, capture_output=True, text=True, check=False)


def test_the_parser_is_installed_once_outside_version_control(checkout: Path) -> None:
    ran = install(checkout, f'echo noise; echo "$@" >>{checkout}/asked')
    again = install(checkout, "exit 1")

    assert (ran.returncode, ran.stdout, ran.stderr) == (0, SAID, "")
    assert (again.returncode, again.stdout, again.stderr) == (0, "", "")
    assert (checkout / "build/tools/node/package.json").is_file()
    assert "--no-package-lock" in (checkout / "asked").read_text()


def test_another_version_is_installed_anew(checkout: Path) -> None:
    install(checkout, "exit 0")
    (checkout / "tests/tools/package.json").write_text("{}\n")

    assert install(checkout, "exit 0").stdout == SAID
    assert (checkout / "build/tools/node/package.json").read_text() == "{}\n"


def test_without_a_network_the_test_is_skipped_and_nothing_fails(checkout: Path) -> None:
    ran = install(checkout, "echo no network >&2; exit 1")

    assert (ran.returncode, ran.stderr) == (0, "")
    assert ran.stdout.endswith("npm could not; those tests will be skipped\n")
    assert not (checkout / "build/tools/node").exists()
