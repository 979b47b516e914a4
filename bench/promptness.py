"""How soon a worker begins, stops, and hands on: from a message or a signal to the event that shows it."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from time import monotonic

from bench.measuring import percentile
from bench.plant import Plant
from bench.report import Goal, Group, Sheet
from bench.samples import KB, Lot, make_sample
from bench.scene import SETTINGS, Heard, Scene, is_copying, project_of
from contracts import topology
from service.announce import PROGRESS_EVERY_SECONDS
from tests.broker.commands import Document, export_start, make_project
from tests.broker.workers import Worker

_LONG_BYTES = 10_000_000_000
"""A hole: nothing to make, and still work to copy."""
_SOON_SECONDS = 1.0


async def promptness(scene: Scene, plant: Plant) -> Group:
    """Each several times, one after the other."""
    begun, ended = await _short_exports(scene, plant.part(50))
    stopped = await _cancels(scene, plant.part(20))
    handed_on = await _successions(scene, plant.part(10), "sigterm", _terminate)
    taken_up = await _successions(scene, plant.part(10), "killed", _kill)
    told = {
        "export.start → first export.progress": begun,
        "export.start → export.completed, 10 files of 100 KB": ended,
        "export.cancel in the middle of 10 GB → export.cancelled": stopped,
        "SIGTERM → first progress of the next worker": handed_on,
        "kill -9 → first progress of the next worker": taken_up,
    }
    rows = [["", "rounds", "p50 ms", "p99 ms", "longest ms"]]
    rows += [
        [name, str(len(found)), *(f"{seconds * 1000:.0f}" for seconds in _percentiles(found))]
        for name, found in told.items()
    ]
    goals = [
        Goal(f"{what} below a second, each time", f"{max(found):.2f} s", max(found) < _SOON_SECONDS)
        for what, found in (
            ("cancelled", stopped),
            ("on another worker after a SIGTERM", handed_on),
            ("on another worker after a kill -9", taken_up),
        )
    ]
    return Group([Sheet("How soon", rows)], goals=goals)


def _percentiles(found: Sequence[float]) -> tuple[float, float, float]:
    return percentile(found, 0.5), percentile(found, 0.99), max(found)


async def _short_exports(scene: Scene, rounds: int) -> tuple[list[float], list[float]]:
    """To the first progress and to the end."""
    sample = make_sample(scene.place / "short", Lot("image", 10, 100 * KB))
    begun: list[float] = []
    ended: list[float] = []
    async with scene.crew("short-exports", sample.media) as workers:
        await workers.ready(1, **SETTINGS)
        for number in range(rounds):
            # Progress goes out four times a second at most: right after another export it would come with the end.
            await asyncio.sleep(2 * PROGRESS_EVERY_SECONDS)
            export_id = f"short-{number}"
            since = await scene.ask(export_start(export_id, project_of(sample.project, id=export_id)))
            begun.append((await scene.ear.first(export_id, _is_progress)).at - since)
            ended.append((await scene.completed(export_id)).at - since)
    return begun, ended


async def _cancels(scene: Scene, rounds: int) -> list[float]:
    found: list[float] = []
    project = _long_project(scene)
    async with scene.crew("cancels", scene.place / "long") as workers:
        await workers.ready(1, **SETTINGS)
        for number in range(rounds):
            export_id = f"cancel-{number}"
            await _busy(scene, export_id, project)
            since = await scene.cancel(export_id)
            found.append((await scene.cancelled(export_id)).at - since)
    return found


async def _successions(scene: Scene, rounds: int, name: str, end: Callable[[Worker], Awaitable[object]]) -> list[float]:
    """The only worker is busy; another one comes; the first one ends."""
    found: list[float] = []
    project = _long_project(scene)
    async with scene.crew(f"{name}-rounds", scene.place / "long") as workers:
        [worker] = await workers.ready(1, **SETTINGS)
        for number in range(rounds):
            export_id = f"{name}-{number}"
            await _busy(scene, export_id, project)
            [successor] = await workers.ready(1, **SETTINGS)
            since = monotonic()
            ending = asyncio.ensure_future(end(worker))
            found.append((await scene.ear.first(export_id, _is_second)).at - since)
            await ending
            worker = successor
            await scene.cancel(export_id)
            await scene.cancelled(export_id)
    return found


async def _terminate(worker: Worker) -> None:
    await worker.sigterm()


async def _kill(worker: Worker) -> None:
    worker.kill()


def _is_progress(event: Heard) -> bool:
    return event.key == topology.PROGRESS


def _is_second(event: Heard) -> bool:
    return _is_progress(event) and event.document["attempt"] == 2


def _long_project(scene: Scene) -> Document:
    media = scene.place / "long"
    media.mkdir(exist_ok=True)
    return make_project(media, 0, big=[_LONG_BYTES], name=f"long-{len(list(media.iterdir()))}")


async def _busy(scene: Scene, export_id: str, project: Document) -> None:
    """The export is in the middle of its file."""
    await scene.ask(export_start(export_id, project | {"id": export_id}))
    await scene.ear.first(export_id, is_copying)
