"""The rules of the house that no other tool keeps."""

import ast
import os
import re
import subprocess
from pathlib import Path

import pytest

from tests.house.repository import ROOT, committed_files, modules_of, text_of

# A registry's address differs from place to place; it belongs into the settings of a machine.
# (Written so that this file does not find itself.)
ADDRESS_OF_A_REGISTRY = re.compile(
    r"""--(?:extra-)?index[-]url | --find[-]links | --trusted[-]host | "resolved":\s*"http
    | :[/]{2}\S*(?: /simple\b | pypi | pythonhosted | npmjs | \bregistry\b )""",
    re.VERBOSE,
)
HOME_OF_A_PERSON = re.compile(r"(?:/home|/Users|[A-Z]:\\+Users)[/\\]+(?!(?:app|me|user|you)\b)\w[\w.-]*[/\\]")
TARGET = re.compile(r"^([a-z][a-z-]*):(?!=)(.*)$", re.MULTILINE)


def found_in_committed_files(pattern: re.Pattern[str]) -> list[str]:
    return [f"{file}: {hit[0]}" for file in committed_files() for hit in pattern.finditer(text_of(file))]


def test_no_file_names_a_package_registry() -> None:
    assert found_in_committed_files(ADDRESS_OF_A_REGISTRY) == []


@pytest.mark.parametrize(
    "line",
    [
        "pip install --index" + "-url x",
        "--extra-index" + "-url=x",
        '"resolved": ' + '"https:',
        "https:" + "//somewhere.example/simple/",
        "https:" + "//registry.example.org/left-pad",
    ],
)
def test_the_address_of_a_registry_would_be_found(line: str) -> None:
    assert ADDRESS_OF_A_REGISTRY.search(line)


def test_no_lock_is_committed_that_records_a_registry() -> None:
    names = {file.name for file in committed_files()}
    assert {name for name in names if name == "uv.lock" or re.fullmatch(r"pylock(\..+)?\.toml", name)} == set()


def test_no_file_holds_a_path_of_somebodys_machine() -> None:
    assert found_in_committed_files(HOME_OF_A_PERSON) == []
    assert HOME_OF_A_PERSON.search("/home" + "/eve/videos/")
    assert not HOME_OF_A_PERSON.search("/home" + "/you/videos/")


@pytest.mark.skipif(len(ROOT.parts) < 3, reason=f"{ROOT} is a word that any file may use")
def test_no_file_holds_the_path_of_this_checkout() -> None:
    assert found_in_committed_files(re.compile(rf"{re.escape(str(ROOT))}\b")) == []


@pytest.mark.parametrize("lock", ["dev.txt", "run.txt"])
def test_every_locked_package_has_a_version_and_hashes_and_no_address(lock: str) -> None:
    text = text_of(Path("requirements", lock))
    packages = text.replace("\\\n", " ").strip().splitlines()
    pinned = re.compile(r"[a-z0-9-]+==\S+( ; [^#]+?)?(\s+--hash=sha256:[0-9a-f]{64})+")
    assert packages
    assert [package[:60] for package in packages if not pinned.fullmatch(package)] == []
    assert ":/" + "/" not in text


def test_every_make_target_has_a_line_of_help_and_is_no_file() -> None:
    makefile = text_of(Path("Makefile"))
    targets = {name for name, _ in TARGET.findall(makefile)}
    explained = {name for name, rest in TARGET.findall(makefile) if "## " in rest}
    [phony] = re.findall(r"^\.PHONY: (.+)$", makefile, re.MULTILINE)
    assert targets == explained == set(phony.split())


def test_make_alone_lists_every_target() -> None:
    listing = subprocess.run(["make", "--no-print-directory"], cwd=ROOT, capture_output=True, text=True, check=True)
    listed = {line.split()[1] for line in listing.stdout.splitlines()}
    assert listed == {name for name, _ in TARGET.findall(text_of(Path("Makefile")))}


def test_ci_runs_make_test_and_nothing_of_its_own() -> None:
    commands = [line for line in text_of(Path(".ci/run")).splitlines() if line and not line.startswith("#")]
    assert commands[-1] == "exec make test"
    assert len(commands) == 3


@pytest.mark.parametrize("script", [".ci/run", "tests/tools/install"])
def test_a_script_can_be_executed(script: str) -> None:
    assert os.access(ROOT / script, os.X_OK)


def test_every_module_says_what_it_does() -> None:
    modules = modules_of("cli", "contracts", "demo", "service")
    silent = [
        str(module)
        for module in modules
        if not ast.get_docstring(ast.parse(text_of(module))) and not is_an_empty_init(module)
    ]
    assert silent == []


def is_an_empty_init(module: Path) -> bool:
    return module.name == "__init__.py" and not text_of(module).strip()
