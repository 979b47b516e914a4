"""The repository as the rules of the house see it: what git has, committed or added."""

import subprocess
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@cache
def committed_files() -> tuple[Path, ...]:
    """Relative to ROOT; what merely lies about in a checkout (a log, a note) is nobody's business."""
    # A CI may check out as one user and test as another; git then refuses to look without this setting.
    git = ["git", "-c", f"safe.directory={ROOT}", "ls-files", "-z"]
    listing = subprocess.run(git, cwd=ROOT, capture_output=True, text=True, check=False)
    if listing.returncode:
        pytest.skip(f"not a git checkout: {listing.stderr.strip()}")
    files = [Path(name) for name in listing.stdout.split("\0") if name]
    return tuple(file for file in files if (ROOT / file).is_file())


@cache
def text_of(file: Path) -> str:
    return (ROOT / file).read_text(encoding="utf-8", errors="replace")


def modules_of(*packages: str) -> list[Path]:
    return [file for file in committed_files() if file.suffix == ".py" and file.parts[0] in packages]
