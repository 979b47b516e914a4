"""Real processes, real signals: whatever becomes of them, the export is the one that an undisturbed run makes."""

import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.engine.workbench import FOLDER, images_project, make_media, moments, noise, small_project, staged, visible

pytestmark = pytest.mark.slow

COMMAND = str(Path(sys.executable).with_name("export-service"))

# A small project's pictures, and three files that a run takes long enough for.
LARGE_BYTES = 32 * 1024 * 1024


@dataclass(frozen=True)
class Home:
    """Media and a project file for `export-service run`."""

    place: Path

    @property
    def media(self) -> Path:
        return self.place / "media"

    def words(self, exports: Path, export_id: str = "e1") -> list[str]:
        fixed = ["--requested-at", "2026-11-23T18:42:20+00:00", "--archive", "zip", "--export-id", export_id, "--json"]
        return [COMMAND, "run", str(self.place / "project.json"),
                "--media", str(self.media), "--to", str(exports), *fixed]  # fmt: skip

    def begin(self, exports: Path, **environment: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            self.words(exports),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, **environment},
        )

    def finish(self, exports: Path, **environment: str) -> dict[str, object]:
        return answer(self.begin(exports, **environment))


def answer(process: subprocess.Popen[str]) -> dict[str, object]:
    out, err = process.communicate(timeout=60)
    assert process.returncode in {0, 3}, err
    event: dict[str, object] = json.loads(out)
    return event


@pytest.fixture
def large(place: Path) -> Home:
    (place / "media").mkdir()
    uris = [f"{n}.png" for n in range(1, 7)]
    for n, uri in enumerate(uris, 1):
        (place / "media" / uri).write_bytes(noise(LARGE_BYTES if n % 2 else 20_000, n))
    (place / "project.json").write_text(images_project(*uris).model_dump_json(exclude_none=True))
    return Home(place)


@pytest.fixture
def small(place: Path) -> Home:
    make_media(place / "media")
    (place / "project.json").write_text(small_project().model_dump_json(exclude_none=True))
    return Home(place)


def sums(exports: Path) -> Mapping[str, str | None]:
    """Everything visible, by its SHA-256 and modification time."""
    return {
        name: None if content is None else f"{hashlib.sha256(content).hexdigest()} {_mtime(exports / name)}"
        for name, content in visible(exports).items()
    }


def _mtime(path: Path) -> int:
    return path.stat().st_mtime_ns


def began(process: subprocess.Popen[str], exports: Path, attempt: int) -> bool:
    """Waits for the process's own attempt; whether it came to one."""
    while process.poll() is None:
        if (exports / f".exports/e1/a-{attempt:06d}/journal.jsonl").exists():
            return True
        time.sleep(0.002)
    return False


def test_an_export_killed_ten_times_ends_as_if_it_had_not_been(large: Home) -> None:
    exports, other = large.place / "killed", large.place / "undisturbed"
    process = large.begin(other)
    assert began(process, other, 1)
    since = time.monotonic()
    answer(process)
    seconds = time.monotonic() - since
    undisturbed = sums(other)
    chance = random.Random(9)
    killed_under_way = 0
    for attempt in range(1, 11):
        process = large.begin(exports)
        if began(process, exports, attempt):
            time.sleep(seconds * chance.uniform(0, 0.4))
        killed_under_way += process.poll() is None and not list(exports.glob(".exports/e1/outcome.json"))
        process.send_signal(signal.SIGKILL)
        process.communicate()
        seen = sums(exports)
        assert seen.items() <= undisturbed.items(), "what is visible is as it will stay"
        assert f"{FOLDER}/manifest.json" in seen or FOLDER not in seen
    assert killed_under_way >= 3
    large.finish(exports)
    assert sums(exports) == undisturbed
    assert len(moments(exports)) == 1
    words = [COMMAND, "sweep", "--to", str(exports), "--abandoned-after", "0"]
    subprocess.run(words, check=True, capture_output=True)
    assert staged(exports) == []


def test_three_processes_with_one_id_make_one_export_and_say_the_same(small: Home) -> None:
    exports = small.place / "exports"
    processes = [small.begin(exports) for _ in range(3)]
    said = [answer(process) for process in processes]
    assert said[0] == said[1] == said[2]
    assert len(list(exports.glob("export_*"))) == 2, "one folder, one archive"
    assert len(list(exports.glob(".exports/*/outcome.json"))) == 1


def test_neither_place_nor_time_zone_nor_umask_nor_file_system_is_in_an_export(
    small: Home, tmp_path: Path, undisturbed_home: Home
) -> None:
    small.finish(small.place / "here", TZ="UTC")
    here = sums(small.place / "here")
    undisturbed_home.finish(tmp_path / "exports", TZ="Asia/Kathmandu", PYTHONHASHSEED="7", LC_ALL="C")
    assert sums(tmp_path / "exports") == here
    previous = os.umask(0o077)
    try:
        small.finish(small.place / "private", TZ="America/St_Johns")
    finally:
        os.umask(previous)
    assert sums(small.place / "private") == here


@pytest.fixture
def undisturbed_home(tmp_path: Path) -> Home:
    """The same media once more, in another directory and, where there is a tmpfs, on another file system."""
    make_media(tmp_path / "media")
    (tmp_path / "project.json").write_text(small_project().model_dump_json(exclude_none=True))
    return Home(tmp_path)
