"""The sieges in short: real workers on a real RabbitMQ, killed and cut off some dozens of times."""

import asyncio
import os
import tempfile
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from signal import SIGKILL

import pytest

from tests.broker.commands import export_start, make_exports_root, make_project, start
from tests.broker.node import PrivateNode
from tests.prove.aims import AIMS
from tests.prove.cutting import Cutting
from tests.prove.forks import ENDED_SECONDS, Forks
from tests.prove.killing import Killing
from tests.prove.running import fast_disk
from tests.prove.siege import Ground, Round, Siege, played
from tests.prove.taps import CONFIRM, DELIVERY

pytestmark = pytest.mark.slow
ROUND_SECONDS = 5.0


@pytest.fixture
async def ground(node_of_the_run: PrivateNode) -> AsyncIterator[Ground]:
    await node_of_the_run.purge_all()
    with tempfile.TemporaryDirectory(dir=fast_disk()) as home:
        async with Forks() as forks:
            yield Ground(node_of_the_run, forks, Path(home))
    node_of_the_run.drop_own_queues()


async def besieged(siege: Siege, ground: Ground, cases: int) -> Counter[str]:
    """So many cases at least, however long a busy machine takes for them; nothing may be wrong with any round."""
    tally: Counter[str] = Counter()
    while tally[siege.case] < cases:
        this = await played(siege, ground, f"short-{tally[siege.case]}", ROUND_SECONDS)
        assert this.wrong == []
        tally += this.tally
    return tally


async def test_exports_outlive_dozens_of_killed_workers(ground: Ground) -> None:
    tally = await besieged(Killing(), ground, 24)
    assert tally["busy"] > 0
    assert tally["export.completed"] > 0


async def test_exports_outlive_dozens_of_cuts_within_frames(ground: Ground) -> None:
    tally = await besieged(Cutting(), ground, 24)
    assert any(what.startswith(CONFIRM) for what in tally)
    assert any(what.startswith(DELIVERY) for what in tally)


class Littering(Siege):
    """Makes something visible that nobody asked for."""

    says, share, case, beside = "litter", 1, "litter", {}

    async def besiege(self, this: Round) -> None:
        await asyncio.to_thread((this.place.exports / "litter").mkdir)
        await this.over.wait()


async def test_a_round_with_a_violation_is_kept_whole(
    ground: Ground, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.prove.siege.KEPT", tmp_path)
    this = await played(Littering(), ground, "litter", 0.5)
    assert this.wrong == ["visible, and no whole export: litter"]
    assert set(await asyncio.to_thread(os.listdir, tmp_path / "litter")) == {
        "calm1.log", "calm2.log", "events.jsonl", "exports", "media", "moves.txt", "node.log", "wrong.txt",
    }  # fmt: skip
    assert not this.home.exists()


async def test_a_worker_dies_at_every_moment_that_can_be_aimed_at(ground: Ground) -> None:
    media = ground.home / "media"
    project = make_project(media, sentences=1)
    environment = {
        "EXPORT_BROKER_URL": ground.node.url("export-worker"),
        "EXPORT_MEDIA_ROOT": str(media),
        "EXPORT_EXPORTS_ROOT": str(make_exports_root(ground.home / "exports")),
        "EXPORT_HEALTH_PORT": "0",
    }
    for number, aim in enumerate(AIMS):
        await ground.node.purge_all()
        await start(ground.node, export_start(f"aimed-{number}", project, {"archive": "zip"}))
        worker = await ground.forks.fork(f"w{number}", environment, ground.home / f"w{number}.log", aim)
        assert await worker.ends_within(ENDED_SECONDS), aim
        assert worker.status == -SIGKILL, aim
