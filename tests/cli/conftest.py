"""A small project on the disk, and the arguments that export it."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.cli.command import Said, call
from tests.engine.workbench import make_media, small_project

AT = "2026-11-23T18:42:20Z"


@dataclass(frozen=True)
class Desk:
    """Directories of one test."""

    project: Path
    media: Path
    exports: Path

    def plan(self, *more: str | Path) -> Said:
        return call("plan", self.project, "--media", self.media, *more)

    def run(self, *more: str | Path) -> Said:
        return call(*self.words(*more))

    def words(self, *more: str | Path) -> list[str]:
        words = ["run", self.project, "--media", self.media, "--to", self.exports, "--requested-at", AT, *more]
        return [str(word) for word in words]


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    """One image of the project is pending, so that an export of all of it is partial."""
    make_media(tmp_path / "media")
    project = tmp_path / "project.json"
    project.write_text(small_project().model_dump_json(exclude_none=True))
    return Desk(project, tmp_path / "media", tmp_path / "exports")
