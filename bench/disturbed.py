"""Whether copying goes on at its speed while RabbitMQ is frozen, or takes no messages for want of memory."""

import asyncio
import os
import shutil
import signal
import statistics
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from bench.plant import Plant
from bench.report import Goal, Group, Sheet
from bench.samples import MB, Lot, Sample
from bench.scene import PATIENCE_SECONDS, SETTINGS, Scene, project_of, settle_disk
from tests.broker.commands import export_start
from tests.broker.stage import until
from tests.broker.workers import Workers

USUAL, FROZEN, ALARM = "as usual", "frozen (SIGSTOP)", "memory alarm"


async def disturbed(scene: Scene, plant: Plant) -> Group:
    """The copying stage while RabbitMQ is well, frozen, and short of memory."""
    # Below a tenth of most machines' memory: there Linux begins to write, and would be measured.
    sample = plant.sample("disturbed", Lot("video", plant.part(8), 150 * MB, contents=1))
    rates: dict[str, list[float]] = {state: [] for state in (USUAL, FROZEN, ALARM)}
    for number in range(plant.rounds + 2):
        for state in list(rates) if number % 2 else list(rates)[::-1]:
            export_id = f"{state.split()[0]}-{number}"
            async with scene.crew(export_id, sample.media) as workers:
                seconds = await _copied(scene, workers, sample, state, export_id)
            rates[state].append(sample.size_bytes / MB / seconds)
    usual = statistics.median(rates[USUAL])
    rows = [["RabbitMQ", "copied MB/s, median", "best", "speed / as usual"]]
    rows += [
        [state, f"{statistics.median(found):,.0f}", f"{max(found):,.0f}",
         f"{statistics.median(found) / usual:.2f} ({max(found) / max(rates['as usual']):.2f})"]
        for state, found in rates.items()
    ]  # fmt: skip
    worst = min(statistics.median(rates[state]) / usual for state in (FROZEN, ALARM))
    goal = Goal("copying at 0.9 of its speed or more, whatever the broker does", f"{worst:.2f}", worst >= 0.9)
    title = f"The copying stage beside a broker in trouble: {sample.files} files, {sample.size_bytes // MB:,} MB"
    return Group([Sheet(title, rows)], goals=[goal])


async def _copied(scene: Scene, workers: Workers, sample: Sample, state: str, export_id: str) -> float:
    """Seconds of the copying stage. The command waits first, for nobody can publish during an alarm."""
    await scene.ask(export_start(export_id, project_of(sample.project, id=export_id)))
    await settle_disk(scene.place)
    record = workers.exports_root / ".exports" / export_id
    async with _trouble(scene, state, record / "a-000001"):
        workers.start(**SETTINGS)
        await until((record / "outcome.json").exists, PATIENCE_SECONDS)
    end = await scene.completed(export_id)
    await asyncio.to_thread(shutil.rmtree, workers.exports_root / end.document["folder"]["name"])
    return float(end.document["timings_seconds"]["copying"])


@asynccontextmanager
async def _trouble(scene: Scene, state: str, begun: Path) -> AsyncIterator[None]:
    """The block starts the worker. An alarm is there before it; a node is frozen when the worker has the message."""
    if state == ALARM:
        await asyncio.to_thread(scene.node.alarm)
    async with asyncio.TaskGroup() as tasks:
        frozen = tasks.create_task(_freeze(scene.node.pid, begun)) if state == FROZEN else None
        try:
            yield
        finally:
            if frozen is not None:
                await frozen
                os.kill(scene.node.pid, signal.SIGCONT)
            elif state == ALARM:
                await asyncio.to_thread(scene.node.clear_alarm)


async def _freeze(pid: int, begun: Path) -> None:
    await until(begun.exists, PATIENCE_SECONDS)
    os.kill(pid, signal.SIGSTOP)
