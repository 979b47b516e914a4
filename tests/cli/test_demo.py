"""`demo`: what a person did in its directory stays, one runs there at a time, and the page's port is taken first."""

import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple
from urllib.request import urlopen

import pytest

from tests.cli.command import EXPORT_SERVICE, call
from tests.house.repository import ROOT
from tests.house.shown import FENCED


@pytest.fixture(autouse=True)
def no_other_broker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("EXPORT_BROKER_URL", raising=False)


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of a demo that is over. Not to be changed."""
    directory = tmp_path_factory.mktemp("shown") / "demo"
    assert call("demo", "--to", directory).code == 0
    return directory


@pytest.fixture
def demo(shown: Path, tmp_path: Path) -> Path:
    """The same, to do with as one likes."""
    return Path(shutil.copytree(shown, tmp_path / "demo"))


class Served(NamedTuple):
    """What a `demo --serve` says that it is to be reached at."""

    page: str
    broker_url: str


@contextmanager
def serving(directory: Path) -> Iterator[Served]:
    words = [EXPORT_SERVICE, "demo", "--to", str(directory), "--serve", "--port", str(free_port())]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield Served(_said(process, "The page: "), _said(process, "  export EXPORT_BROKER_URL="))
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=60)
        finally:
            process.kill()
    assert process.returncode == 0


def _said(process: "subprocess.Popen[str]", before: str) -> str:
    """The next word after these."""
    assert process.stdout
    return next(line.removeprefix(before).split()[0] for line in process.stdout if line.startswith(before))


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port: int = taken.getsockname()[1]
        return port


def contents(directory: Path) -> dict[str, bytes]:
    """Without the ledger's own records, which each worker touches."""
    files = (path for path in directory.rglob("*") if path.is_file() and ".exports" not in path.parts)
    return {str(path.relative_to(directory)): path.read_bytes() for path in files}


def test_a_second_demo_adds_its_export_and_leaves_all_else_as_it_was(demo: Path) -> None:
    before = contents(demo)
    said = call("demo", "--to", demo)
    assert said.code == 0, said
    assert "Kept from before: every export. To start over: rm -r " in said.out
    after = contents(demo)
    assert {name: after.get(name) for name in before} == before
    assert {name.split("/")[0] for name in after.keys() - before.keys()} == {"exports"}


def test_what_a_person_changed_in_the_sample_stays_and_is_exported(demo: Path) -> None:
    project = demo / "sample/project.json"
    project.write_text(project.read_text().replace("no larger than a teacup", "no larger than a thimble"))
    (demo / "sample/notes.txt").write_text("mine")
    edited = project.read_bytes()
    said = call("demo", "--to", demo)
    assert said.code == 0, said
    assert "Kept from before: project.json of the sample, as changed since; every export." in said.out
    assert (project.read_bytes(), (demo / "sample/notes.txt").read_text()) == (edited, "mine")
    scripts = [path.read_text() for path in sorted((demo / "exports").glob("export_*/script.txt"))]
    assert ["thimble" in script for script in scripts] == [False, True]


def test_a_sample_that_a_person_made_whole_is_no_failure(demo: Path) -> None:
    project = demo / "sample/project.json"
    whole = '{"id": "mine", "sections": [{"title": "One", "sentences": [{"text": "Nothing but words."}]}]}'
    project.write_text(whole)
    assert call("demo", "--to", demo).code == 0
    assert project.read_text() == whole


def test_what_is_gone_from_the_sample_is_made_again(demo: Path, shown: Path) -> None:
    shutil.rmtree(demo / "sample/media/projects/lighthouse/images")
    assert call("demo", "--to", demo).code == 0
    assert contents(demo / "sample") == contents(shown / "sample")


def test_a_demo_on_the_directory_of_one_that_runs_is_refused_and_hurts_nothing(tmp_path: Path) -> None:
    with serving(tmp_path / "demo") as served:
        before = contents(tmp_path / "demo")
        refused = call("demo", "--to", tmp_path / "demo")
        assert refused.code == 2
        assert refused.sentence.endswith("demo: another demo is running there; --to DIR takes another directory")
        assert contents(tmp_path / "demo") == before
        assert served.page.endswith("/projects/lighthouse")
        with urlopen(served.page) as answer:  # noqa: S310 - a loopback address
            assert answer.status == 200


def test_a_port_that_is_taken_is_said_before_anything_is_made(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        refused = call("demo", "--serve", "--port", str(port), "--to", tmp_path / "demo")
    assert refused.code == 2
    assert refused.sentence == f"export-service: port {port} is taken: --port N takes another"
    assert contents(tmp_path / "demo") == {".made-by-export-service-demo": b""}


def test_a_directory_that_is_no_demos_is_refused(tmp_path: Path) -> None:
    (tmp_path / "film.mp4").write_bytes(b"mine")
    refused = call("demo", "--to", tmp_path)
    assert (refused.code, contents(tmp_path)) == (2, {"film.mp4": b"mine"})
    assert refused.sentence.endswith("is not empty, and was not made by the demo")


def test_the_readmes_program_hears_of_its_export_from_the_demos_broker(tmp_path: Path) -> None:
    shown = [fence["text"] for fence in FENCED.finditer((ROOT / "README.md").read_text()) if "python" in fence["info"]]
    program = tmp_path / "publish.py"
    program.write_text("\n".join(shown))
    with serving(tmp_path / "demo") as served:
        environment = os.environ | {"EXPORT_BROKER_URL": served.broker_url}
        for _ in range(2):  # the same export once more is told once more
            ran = subprocess.run(
                [sys.executable, program], env=environment, capture_output=True, text=True, timeout=60, check=False
            )
            assert ran.returncode == 0, ran.stderr
            assert ran.stdout.splitlines()[-1].startswith("export.completed "), ran.stdout
