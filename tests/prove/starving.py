"""Real disks that are full and then have room, and roots that are unmounted under running workers and come back."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

from tests.broker.commands import make_exports_root
from tests.prove.siege import Place, Round, Siege
from tests.storage.file_systems import lacks_mounts_of_its_own

ROOMY_BYTES = 1 << 30
MOST_LEFT_BYTES = 600_000
"""A few small exports; the disk is full somewhere in the next one."""
LONGEST_MISERY_SECONDS, LONGEST_PEACE_SECONDS = 3.0, 1.5
FULL, NO_EXPORTS, NO_MEDIA = "full", "no exports root", "no media root"
MOVES = {FULL: 3, NO_EXPORTS: 1, NO_MEDIA: 1}


class Disks(NamedTuple):
    """Where what is mounted as a root really lies."""

    exports: Path
    media: Path


class Starving(Siege):
    """The workers live all the time, and what they have begun must go on when there is room, and a root, again."""

    says = "a real disk full, roots unmounted"
    share = 2
    case = "faults of the store"
    beside = {  # noqa: RUF012 - nobody changes it
        FULL: "times full",
        NO_EXPORTS: "times without the exports root",
        NO_MEDIA: "times without the media root",
        "export.completed": "exports completed",
        "taken over": "by a later attempt",
    }
    customers = 6
    places = 3

    def obstacle(self) -> str | None:
        """Also gives this process mounts of its own: so nothing stays mounted, whatever becomes of it."""
        return "only root may mount" if os.geteuid() else lacks_mounts_of_its_own()

    @contextmanager
    def place(self, home: Path) -> Iterator[Place]:
        place, disks = Place(home / "media", home / "exports"), _disks(home)
        for directory in (place.media, place.exports, *disks):
            directory.mkdir()
        with ExitStack() as mounted:
            _mount("-t", "tmpfs", "-o", f"size={ROOMY_BYTES}", "exports", disks.exports)
            mounted.callback(_umount, disks.exports)
            for root, disk in zip((place.exports, place.media), disks, strict=True):
                _mount("--bind", disk, root)
                mounted.callback(_umount, root)
            make_exports_root(place.exports)
            yield place

    async def besiege(self, this: Round) -> None:
        workers = [await this.worker(f"w{number + 1}") for number in range(self.places)]
        while await this.pause(this.random.uniform(0, LONGEST_PEACE_SECONDS)):
            [move] = this.random.choices(list(MOVES), list(MOVES.values()))
            this.note(move)
            had_effect = await self._make(this, move)
            this.note(f"{move}: over")
            this.tally[move] += had_effect
            this.tally[self.case] += had_effect
        for worker in workers:
            await this.forks.stop(worker)

    async def _make(self, this: Round, move: str) -> bool:
        """Whether it was felt."""
        disks = _disks(this.home)
        if move == FULL:
            return await self._fill(this, disks.exports)
        if move == NO_EXPORTS:
            return await self._unmount(this, this.place.exports, disks.exports)
        return await self._unmount(this, this.place.media, disks.media)

    async def _fill(self, this: Round, disk: Path) -> bool:
        """Whether a worker ran out of space meanwhile, by its own words."""
        complaints = _complaints(this.home)
        while not _resize(disk, _used_bytes(disk) + this.random.randrange(MOST_LEFT_BYTES)):
            pass  # more was written since, by those who are at work
        await this.pause(this.random.uniform(0, LONGEST_MISERY_SECONDS))
        assert _resize(disk, ROOMY_BYTES)
        return _complaints(this.home) > complaints

    async def _unmount(self, this: Round, root: Path, disk: Path) -> bool:
        _umount(root)
        await this.pause(this.random.uniform(0, LONGEST_MISERY_SECONDS))
        this.wrong += [f"written to the empty mount point: {path.name}" for path in _entries(root)]
        _mount("--bind", disk, root)
        return True


def _entries(directory: Path) -> list[Path]:
    return list(directory.iterdir())


def _disks(home: Path) -> Disks:
    return Disks(home / "exports.disk", home / "media.disk")


def _used_bytes(disk: Path) -> int:
    return shutil.disk_usage(disk).used


def _resize(disk: Path, size_bytes: int) -> bool:
    """Not to less than what is used."""
    words = ["mount", "-o", f"remount,size={size_bytes}", str(disk)]
    return subprocess.run(words, stderr=subprocess.DEVNULL, check=False).returncode == 0


def _complaints(home: Path) -> int:
    return sum(log.read_text().count("space") for log in home.glob("w*.log"))


def _mount(*words: str | Path) -> None:
    subprocess.run(["mount", *words], check=True)


def _umount(place: Path) -> None:
    """At once; who has something open in it keeps that."""
    subprocess.run(["umount", "--lazy", place], check=True)
