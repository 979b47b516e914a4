"""Ctrl-C in the middle of a copy: the command ends at once and says how to go on, and that very line does."""

import filecmp
import shlex
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.command import EXPORT_SERVICE, call
from tests.cli.conftest import AT, Desk

MIB = bytes(range(256)) * 4096
VIDEO_MIB = 300
PATIENCE_SECONDS = 30.0
PROJECT = """{"id": "p", "sections": [{"title": "Intro", "sentences": [
    {"text": "One.", "image": {"status": "completed", "uri": "1.png"}},
    {"text": "Two.", "video": {"status": "completed", "uri": "long.mp4"}}
]}]}"""


@pytest.fixture
def memory_disk() -> Iterator[Path]:
    """Gigabytes are moved here: on tmpfs, where there is one. The name is one that a shell must be told carefully."""
    home = Path("/dev/shm") if Path("/dev/shm").is_dir() else None  # noqa: S108 - made private just below
    with tempfile.TemporaryDirectory(dir=home, prefix="the keeper's $HOME ") as directory:
        yield Path(directory)


def run_words(home: Path, to: str) -> list[str]:
    files = [str(home / "project.json"), "--media", str(home / "media"), "--to", str(home / to)]
    return ["run", *files, "--archive", "zip", "--copiers", "1", "--requested-at", AT]


def big_project(home: Path) -> None:
    (home / "project.json").write_text(PROJECT)
    (home / "media").mkdir()
    (home / "media" / "1.png").write_bytes(b"small")
    with (home / "media" / "long.mp4").open("wb") as video:
        for _ in range(VIDEO_MIB):
            video.write(MIB)


def wait_for(exports: Path, pattern: str) -> Path:
    """The first file of that name, as soon as there is something in it."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        for path in exports.glob(pattern):
            if path.stat().st_size:
                return path
        time.sleep(0.002)
    raise TimeoutError(pattern)


@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM])
def test_what_is_stopped_half_way_goes_on_with_the_printed_line(sign: signal.Signals, memory_disk: Path) -> None:
    big_project(memory_disk)
    exports = memory_disk / "exports"
    with subprocess.Popen(
        [EXPORT_SERVICE, *run_words(memory_disk, "exports")], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        wait_for(exports, ".exports/*/a-000001/tree/videos/*.part")
        process.send_signal(sign)
        stopped = time.monotonic()
        out, err = process.communicate(timeout=PATIENCE_SECONDS)
    assert time.monotonic() - stopped < 2
    assert (process.returncode, out) == (130, "")
    said, line = err.splitlines()
    assert said == "Stopped. What is finished is kept; go on with:"
    assert list(exports.iterdir()) == [exports / ".exports"]

    kept = next(exports.glob(".exports/*/a-000001/tree/images/*"))
    inode = kept.stat().st_ino
    assert subprocess.run(["sh", "-c", line], capture_output=True, check=False).returncode == 0
    (image,) = exports.glob("export_p_*/images/*")
    assert image.stat().st_ino == inode  # it was not copied again

    (export_id,) = (path.name for path in (exports / ".exports").iterdir() if (path / "outcome.json").exists())
    call(*run_words(memory_disk, "undisturbed"), "--export-id", export_id)
    assert_equal(exports, memory_disk / "undisturbed")


def assert_equal(one: Path, other: Path) -> None:
    """What a reader sees of both roots is the same, with names, bytes and times."""
    names = [path.relative_to(one) for path in one.rglob("*") if ".exports" not in path.parts]
    assert names == [path.relative_to(other) for path in other.rglob("*") if ".exports" not in path.parts]
    assert len(names) == 19
    for name in names:
        assert (one / name).stat().st_mtime_ns == (other / name).stat().st_mtime_ns
        assert (one / name).is_dir() or filecmp.cmp(one / name, other / name, shallow=False), name


def test_the_printed_line_holds_for_arguments_behind_two_dashes_too(desk: Desk) -> None:
    elsewhere = desk.media.rename(desk.media.with_name("elsewhere"))
    desk.media.mkdir()
    words = ["--media", str(desk.media), "--to", str(desk.exports), "--", str(desk.project)]
    line = call("run", *words).err.splitlines()[-1]
    desk.media.rmdir()
    elsewhere.rename(desk.media)
    command, *rest = shlex.split(line)
    assert command == "export-service"
    assert call(*rest).code == 3


def test_ctrl_c_while_a_command_is_being_loaded_ends_without_a_traceback(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(_: str) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("cli.main.import_module", interrupt)
    assert desk.run() == (130, "", "")


def test_the_command_can_catch_ctrl_c_before_anything_heavy_is_loaded() -> None:
    heavy = "import cli.main, sys; print({'pydantic', 'anyio', 'rich'} & sys.modules.keys())"
    done = subprocess.run([sys.executable, "-c", heavy], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
