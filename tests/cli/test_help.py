"""`--help` tells everything, in every installation; a bare one says which packages a command lacks."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.command import call
from tests.cli.conftest import Desk

COMMANDS = [
    *("plan", "run", "verify", "sweep", "demo", "worker", "gateway"),
    *("submit", "watch", "fetch", "cancel", "delete", "dead", "check", "setup-broker"),
]

# Stands in for an installation without the extra: what it brings cannot be imported.
BARE = """
import sys
from importlib.abc import MetaPathFinder

class Bare(MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name.partition(".")[0] in {"anyio", "httpx", "isal", "rich", "slugify", "zipstream"}:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Bare())
from cli.main import main
sys.exit(main())
"""


def bare(*words: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", BARE, *words], capture_output=True, text=True, check=False)


def test_help_lists_every_command_and_the_exit_codes() -> None:
    shown = call("--help")
    assert shown.code == 0
    assert re.findall(r"^    ([\w-]+)\s+\w", shown.out, re.MULTILINE) == COMMANDS
    assert "0 complete, 1 failed, 2 usage, 3 partial or empty, 130 stopped by Ctrl-C" in " ".join(shown.out.split())


@pytest.mark.parametrize("command", COMMANDS)
def test_the_help_of_a_command_explains_each_of_its_arguments(command: str) -> None:
    shown = call(command, "--help")
    assert (shown.code, shown.err) == (0, "")
    explained = re.findall(r"^  (-*[\w|.-]+).*?(?:  |\n {20,})(\w.*)$", shown.out, re.MULTILINE)
    listed = re.findall(r"^  (-*[\w|.-]+)", shown.out, re.MULTILINE)
    assert [name for name, _ in explained] == listed
    assert set(re.findall(r"(?<=[\[ ])--\w[\w-]*", shown.out.partition("\n\n")[0])) <= set(listed)


@pytest.mark.parametrize("words", [["--help"], *([command, "--help"] for command in COMMANDS[:2])])
def test_a_bare_installation_has_help(words: list[str]) -> None:
    done = bare(*words)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("command", ["run", "verify", "sweep", "demo", "gateway", "fetch"])
def test_a_bare_installation_says_what_a_command_needs(command: str, desk: Desk) -> None:
    words: dict[str, list[str | Path]] = {
        "run": [desk.project, "--media", desk.media, "--to", desk.exports],
        "verify": [desk.media],
        "sweep": ["--to", desk.media],
        "demo": ["--to", desk.exports],
        "gateway": [],
        "fetch": ["an-export"],
    }
    done = bare(command, *words[command])
    assert (done.returncode, done.stdout) == (2, "")
    extra = "gateway" if command in {"gateway", "fetch"} else "worker"
    needs = f"export-service: this command needs more packages: pip install 'export-service[{extra}]' (no module "
    assert done.stderr.startswith(needs)
    assert done.stderr.count("\n") == 1
