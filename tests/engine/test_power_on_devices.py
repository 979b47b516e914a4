"""Real file systems: what their device holds when the power goes, mounted as after a start."""

import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.engine.power_disk import Forgets, Operation, PowerDisk, careful
from tests.engine.power_proof import Cut, Recording, Reports, Story, up_since, wrong_with
from tests.engine.workbench import Bench, Undisturbed, small_project, start
from tests.storage.file_systems import KINDS, _complaint, _obstacle

IMAGE_BYTES = 512 * 1024 * 1024


class Device:
    """A file system in a file, which may be copied under it: nothing is in the copy that was not handed to the disk."""

    def __init__(self, home: Path, kind: str) -> None:
        self.mount = home / "mount"
        self.mount.mkdir()
        self.image = home / "image"
        with self.image.open("wb") as image:
            image.truncate(IMAGE_BYTES)
        assert _complaint(*KINDS[kind], str(self.image)) is None
        self.copies: dict[int, Path] = {}

    def copy(self, at: int) -> None:
        self.copies[at] = self.image.with_name(f"image-{at}")
        subprocess.run(["cp", "--sparse=always", self.image, self.copies[at]], check=True)

    @contextlib.contextmanager
    def mounted(self, image: Path) -> Iterator[Path]:
        """The root of the exports in it."""
        assert _complaint("mount", "-o", "loop", str(image), str(self.mount)) is None
        try:
            yield self.mount / "exports"
        finally:
            assert _complaint("umount", str(self.mount)) is None


class CopyingDisk(PowerDisk):
    """Copies the device after every thirtieth operation."""

    def __init__(self, root: Path, operations: list[Operation], forgets: Forgets, device: Device) -> None:
        super().__init__(root, operations, None, forgets)
        self._device = device

    def _note(self, call: str, about: tuple[str, ...], kind: str, *arguments: Any) -> None:
        super()._note(call, about, kind, *arguments)
        if len(self._operations) % 30 == 0:
            self._device.copy(len(self._operations))


def exported_on(device: Device, undisturbed: Undisturbed, forgets: Forgets) -> Recording:
    operations: list[Operation] = []
    with device.mounted(device.image) as exports, up_since(None):
        exports.mkdir()
        os.sync()
        bench = Bench(undisturbed.media, exports, reports := Reports(operations))
        event = bench.run(start(small_project()), CopyingDisk(exports, operations, forgets, device))
        device.copy(len(operations))
    return Recording({}, operations, reports, event)


def wrong_on(device: Device, undisturbed: Undisturbed, recording: Recording) -> Iterator[str]:
    for at, image in device.copies.items():
        cut = Cut(Story(), at, "real", 1)
        with device.mounted(image) as exports, up_since(cut):
            bench = Bench(undisturbed.media, exports, [])
            yield from (
                f"{cut}: {wrong}" for wrong in wrong_with(bench, undisturbed, recording.told(at), sweeps_first=False)
            )


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_real_file_systems_keep_what_was_announced_and_show_nothing_wrong(
    kind: str, place: Path, undisturbed: Undisturbed
) -> None:
    if obstacle := _obstacle(kind):
        pytest.skip(f"no {kind} here: {obstacle}")
    device = Device(place, kind)
    recording = exported_on(device, undisturbed, careful)
    assert list(wrong_on(device, undisturbed, recording)) == []


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_real_file_systems_forget_what_is_not_synced(kind: str, place: Path, undisturbed: Undisturbed) -> None:
    """Else the test above would show nothing."""
    if obstacle := _obstacle(kind):
        pytest.skip(f"no {kind} here: {obstacle}")
    device = Device(place, kind)
    recording = exported_on(device, undisturbed, lambda path, done: "nothing")
    assert any("it was announced, and is gone" in wrong for wrong in wrong_on(device, undisturbed, recording))
