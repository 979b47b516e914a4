"""What an export holds, how it ends, and how it is gone on with, does not depend on the kind of storage."""

import hashlib
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import anyio
import pytest

from contracts import ErrorCode, ExportCancelled, ExportStart, Outcome
from contracts.messages import ArchiveSummary
from gateway.published import _virtual
from service.errors import Interrupted, Trouble
from service.export import Threads, Workshop, export
from service.ledger import Decision, Ledger
from service.model import FOLDERS
from service.progress import Stop
from service.storage.port import Storage
from service.sweep import sweep
from tests.engine.workbench import (
    FOLDER,
    REQUESTED_AT,
    completed,
    images_project,
    narration,
    noise,
    omissions,
    small_project,
    start,
)
from tests.storage.places import STORAGES, InMemory, Place

MEDIA = {
    **{f"{number}.png": noise(5_000 + number, number) for number in (1, 2, 3)},
    "clip.mp4": noise(600_000, 99),
    "section.wav": narration(0.9),
}
MOMENT_NS = int(REQUESTED_AT.timestamp()) * 10**9


@pytest.fixture(params=["memory", "local"])
def anywhere(request: pytest.FixtureRequest) -> Iterator[Place]:
    """A place of each kind, with the small project's media."""
    with STORAGES[request.param](request) as place:
        supply(place, MEDIA)
        yield place


def supply(place: Place, media: Mapping[str, bytes]) -> None:
    """Puts all of them there."""
    for key, content in media.items():
        place.put(key, content)


def run(command: ExportStart, storage: Storage, copiers: int = 2) -> Decision:
    """One process's try."""
    assert command.project is not None
    ledger = Ledger(storage)
    ledger.open_or_make()
    accepted = ledger.accept(command, command.project)
    return anyio.run(_run, accepted, storage, copiers)


async def _run(command: ExportStart, storage: Storage, copiers: int) -> Decision:
    shop = Workshop(storage, Ledger(storage), Threads.of_each(copiers))
    return await export(command, shop, lambda _: None, Stop())


class Exported(NamedTuple):
    """All that a reader can have of an export."""

    files: dict[str, bytes]
    moments_ns: set[int]
    archive: ArchiveSummary | None
    archive_sha256: str
    virtual_sha256: str
    """Of the archive as a gateway lays it out from the folder."""


def exported(command: ExportStart, storage: Storage) -> Exported:
    """Makes it, and reads it back by nothing but the storage."""
    event = completed(run(command, storage).event)
    files = {name: storage.get(f"{FOLDER}/{name}") or b"" for name in names(storage)}
    archive = f"{FOLDER}.zip"
    visible = [FOLDER, archive, *(f"{FOLDER}/{name}" for name in (*files, *FOLDERS.values()))]
    moments_ns = {version.mtime_ns for key in visible if (version := storage.version(key))}
    return Exported(files, moments_ns, event.archive, sha256_of(storage.get(archive)), virtual_sha256(storage))


def names(storage: Storage) -> list[str]:
    """Of the files in the folder; of nothing that should not be there it is silent, for it cannot be read."""
    top = set(storage.names(FOLDER)) - set(FOLDERS.values())
    return sorted(
        [*top, *(f"{folder}/{name}" for folder in FOLDERS.values() for name in storage.names(f"{FOLDER}/{folder}"))]
    )


def sha256_of(content: bytes | None) -> str:
    return hashlib.sha256(content or b"").hexdigest()


def virtual_sha256(storage: Storage) -> str:
    digest = hashlib.sha256()
    for segment in _virtual(storage, FOLDER).segments:
        for piece in [segment] if isinstance(segment, bytes) else storage.read(segment):
            digest.update(piece)
    return digest.hexdigest()


# ---- what it holds


def test_an_export_is_the_same_wherever_it_is_made(request: pytest.FixtureRequest) -> None:
    made = []
    for kind in ("memory", "local"):
        with STORAGES[kind](request) as place:
            supply(place, MEDIA)
            made.append(exported(start(small_project()), place.open()))
    assert made[0] == made[1]
    assert made[0].moments_ns == {MOMENT_NS}
    assert sorted(made[0].files) == [
        "audio/001_intro_audio.wav",
        "audio/002_intro_audio.wav",
        "audio/003_intro_audio.wav",
        "chapters.txt",
        "images/001_intro_image.png",
        "images/002_intro_image.png",
        "images/003_intro_image.png",
        "index.csv",
        "index.html",
        "manifest.json",
        "metadata.json",
        "script.txt",
        "timeline.otio",
        "videos/004_fin_video.mp4",
    ]
    assert made[0].files["videos/004_fin_video.mp4"] == MEDIA["clip.mp4"]


def test_its_archive_is_the_one_that_is_laid_out_from_its_folder(anywhere: Place) -> None:
    made = exported(start(small_project()), anywhere.open())
    assert made.archive_sha256 == made.virtual_sha256


# ---- how it ends


def test_a_missing_file_is_listed_wherever_it_is_missing(anywhere: Place) -> None:
    anywhere.take("2.png")
    event = completed(run(start(images_project("1.png", "2.png", "3.png")), anywhere.open()).event)
    assert event.outcome is Outcome.PARTIAL
    assert omissions(event) == [(2, "missing", "2.png")]


def test_media_that_are_not_mounted_are_trouble_wherever_they_should_be(anywhere: Place) -> None:
    anywhere.unmount()
    with pytest.raises(Trouble) as trouble:
        run(start(small_project()), anywhere.open())
    assert trouble.value.code is ErrorCode.STORAGE_UNAVAILABLE
    anywhere.mount_another()
    supply(anywhere, MEDIA)
    assert completed(run(start(small_project()), anywhere.open()).event).outcome is Outcome.PARTIAL


def test_room_is_looked_for_before_anything_is_copied() -> None:
    place = InMemory(room_bytes=1_000_000)
    supply(place, MEDIA)
    with pytest.raises(Trouble) as trouble:
        run(start(small_project()), place.open())
    assert trouble.value.code is ErrorCode.NO_SPACE


def test_a_wish_to_cancel_is_obeyed_on_any_storage(anywhere: Place) -> None:
    storage = anywhere.open()
    Ledger(storage).open_or_make()
    Ledger(storage).cancel("e1", "not needed")
    assert isinstance(run(start(small_project()), storage).event, ExportCancelled)
    assert storage.names("") == [".exports"]


def test_a_deleted_export_is_gone_from_any_storage(anywhere: Place) -> None:
    storage = anywhere.open()
    run(start(small_project()), storage)
    assert storage.names("") == [".exports", FOLDER, f"{FOLDER}.zip"]
    Ledger(storage).delete("e1", "not needed")
    assert storage.names("") == [".exports"]


# ---- how it is gone on with


class Stopping:
    """A storage that notes what is assembled on it, and interrupts whoever wants to assemble a file of this name."""

    def __init__(self, storage: Storage, name: str = "") -> None:
        self.assembled: list[str] = []
        self._storage = storage
        self._name = name

    def __getattr__(self, verb: str) -> Any:
        return getattr(self._storage, verb)

    def assemble(self, key: str, *arguments: Any) -> Any:
        name = key.partition("/tree/")[2]
        if self._name and name == self._name:
            raise Interrupted
        self.assembled.append(name)
        return self._storage.assemble(key, *arguments)


def test_a_repeat_tells_the_same_again_and_makes_nothing(anywhere: Place) -> None:
    first = run(start(small_project()), anywhere.open())
    again: Any = Stopping(anywhere.open())
    assert run(start(small_project()), again).body == first.body
    assert again.assembled == []


def test_another_process_goes_on_where_one_was_stopped(anywhere: Place) -> None:
    stopped: Any = Stopping(anywhere.open(), "videos/004_fin_video.mp4")
    with pytest.raises(Interrupted):
        run(start(small_project()), stopped, copiers=1)
    rest: Any = Stopping(anywhere.open())
    event = completed(run(start(small_project()), rest).event)
    assert event.attempt == 2
    assert [name for name in rest.assembled if "/" in name] == ["videos/004_fin_video.mp4"]


def test_what_nobody_goes_on_with_is_swept_from_any_storage(anywhere: Place) -> None:
    storage = anywhere.open()
    stopped: Any = Stopping(storage, "videos/004_fin_video.mp4")
    with pytest.raises(Interrupted):
        run(start(small_project()), stopped)
    now = datetime.now(UTC)
    assert sweep(Ledger(storage), now, timedelta(hours=1)).cleared == []
    assert sweep(Ledger(storage), now + timedelta(hours=2), timedelta(hours=1)).cleared == ["e1"]
    assert storage.names(".exports/e1/a-000001") == ["lock"]
