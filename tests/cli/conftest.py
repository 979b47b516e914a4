"""A small project on the disk, the arguments that export it, and a broker that takes commands."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from demo.broker import broker
from tests.cli.command import Said, call
from tests.cli.rabbit import Rabbit, speaking_to
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


@pytest.fixture
async def rabbit(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Rabbit]:
    """An empty broker; no root is set, unless the test does."""
    for name in ("EXPORT_BROKER_URL", "EXPORT_MEDIA_ROOT", "EXPORT_EXPORTS_ROOT"):
        monkeypatch.delenv(name, raising=False)
    async with broker() as running, speaking_to(running) as rabbit:
        yield rabbit
