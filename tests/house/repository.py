"""The repository as the rules of the house see it: the files that are committed, or would be by the next commit."""

import subprocess
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@cache
def committed_files() -> tuple[Path, ...]:
    """Relative to ROOT. New files count before they are committed: a rule broken later is a rule noticed too late."""
    # A CI may check out as one user and test as another; git then refuses to look without this setting.
    git = ["git", "-c", f"safe.directory={ROOT}", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listing = subprocess.run(git, cwd=ROOT, capture_output=True, text=True, check=False)
    if listing.returncode:
        pytest.skip(f"not a git checkout: {listing.stderr.strip()}")
    names = sorted(set(filter(None, listing.stdout.split("\0"))))
    return tuple(Path(name) for name in names if (ROOT / name).is_file())


@cache
def text_of(file: Path) -> str:
    return (ROOT / file).read_text(encoding="utf-8", errors="replace")


def modules_of(*packages: str) -> list[Path]:
    return [file for file in committed_files() if file.suffix == ".py" and file.parts[0] in packages]
