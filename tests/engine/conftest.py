"""What the engine's tests share: a fast disk, some media, and the export that nothing happened to."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.engine.power_proof import Proof
from tests.engine.workbench import Bench, Undisturbed, make_media


@pytest.fixture(scope="session")
def memory_disk() -> Iterator[Path]:
    """Thousands of exports with all their fsyncs: on tmpfs, where there is one, they take a minute."""
    home = Path("/dev/shm") if Path("/dev/shm").is_dir() else None  # noqa: S108 - made private just below
    with tempfile.TemporaryDirectory(dir=home) as directory:
        yield Path(directory)


@pytest.fixture(scope="session")
def undisturbed(memory_disk: Path) -> Undisturbed:
    """The small project's export; its media are shared, so no test may change them."""
    make_media(memory_disk / "media")
    return Undisturbed.of(memory_disk / "media", memory_disk / "undisturbed")


@pytest.fixture
def place(memory_disk: Path) -> Iterator[Path]:
    """An empty directory on the fast disk."""
    with tempfile.TemporaryDirectory(dir=memory_disk) as directory:
        yield Path(directory)


@pytest.fixture
def bench(undisturbed: Undisturbed, place: Path) -> Bench:
    """The shared media, and an exports root of the test's own."""
    return Bench(undisturbed.media, place, [])


@pytest.fixture
def own_bench(place: Path) -> Bench:
    """Media that the test may change, and an exports root."""
    make_media(place / "media")
    (place / "exports").mkdir()
    return Bench(place / "media", place / "exports", [])


@pytest.fixture
def proof(place: Path, undisturbed: Undisturbed) -> Proof:
    return Proof(place, undisturbed)


@pytest.fixture
def in_a_hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Second looks and new tries come at once."""
    monkeypatch.setattr("service.export.BACK_OFF_SECONDS", (0.01, 0.01))
    monkeypatch.setattr("service.survey._LOOK_AGAIN_AFTER_SECONDS", (0.01, 0.01))
