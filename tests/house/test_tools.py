"""tests/tools/install says nothing when all is there, installs where it may, and else says what to type."""

import subprocess
from pathlib import Path
from shutil import which

import pytest

from tests.house.repository import ROOT

TOOLS = ["unzip", "zip", "7z", "bsdtar", "chromium", "rsync", "melt", "faketime", "ffmpeg"]
MAKERS = ["mkfs.ext4", "mkfs.xfs", "mkfs.btrfs"]


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    """A PATH of its own: all tools, and an apt-get that writes down what it is asked for."""
    for name in [*TOOLS, *MAKERS]:
        fake(tmp_path, name, "")
    fake(tmp_path, "apt-get", f'echo "$@" >>{tmp_path}/asked; echo noise; echo noise >&2')
    return tmp_path


def fake(machine: Path, name: str, script: str) -> None:
    file = machine / name
    file.write_text(f"#!{which('sh')}\n{script}\n")
    file.chmod(0o755)


def install(machine: Path, uid: int) -> subprocess.CompletedProcess[str]:
    fake(machine, "id", f"echo {uid}")
    command = [str(which("sh")), str(ROOT / "tests/tools/install")]
    return subprocess.run(command, env={"PATH": str(machine)}, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("uid", [0, 1000])
def test_where_nothing_is_missing_nothing_is_said_or_done(machine: Path, uid: int) -> None:
    ran = install(machine, uid)
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "", "")
    assert not (machine / "asked").exists()


def test_root_gets_what_is_missing_by_one_update_and_one_install(machine: Path) -> None:
    (machine / "7z").unlink()
    (machine / "bsdtar").unlink()
    ran = install(machine, uid=0)
    assert (ran.returncode, ran.stdout, ran.stderr) == (
        0,
        "tests/tools/install: apt-get installs p7zip-full libarchive-tools\n",
        "",
    )
    assert (machine / "asked").read_text().splitlines() == [
        "update -qq",
        "install -y -qq --no-install-recommends p7zip-full libarchive-tools",
    ]


def test_who_may_not_install_is_told_what_to_type(machine: Path) -> None:
    (machine / "unzip").unlink()
    ran = install(machine, uid=1000)
    assert ran.returncode == 1
    assert ran.stderr.endswith("apt-get update && apt-get install -y unzip\n")
    assert not (machine / "asked").exists()


def test_who_may_not_mount_needs_no_file_systems(machine: Path) -> None:
    for program in machine.glob("mkfs.*"):
        program.unlink()
    assert install(machine, uid=1000).returncode == 0


def test_what_apt_says_is_shown_when_it_fails(machine: Path) -> None:
    (machine / "zip").unlink()
    fake(machine, "apt-get", "echo no space left; exit 100")
    ran = install(machine, uid=0)
    assert (ran.returncode, ran.stderr) == (1, "no space left\n")
