"""The way through RabbitMQ: what it adds to an export, how many a worker does, and how soon it obeys.

Always against a node of its own, with workers as processes that log in as `export-worker`.
"""

import asyncio
import json
import operator
import os
import shutil
import statistics
import sys
from collections import defaultdict
from collections.abc import Sequence
from heapq import nlargest
from itertools import count
from unittest.mock import patch

from bench.cases import RUN, run, stages
from bench.disturbed import disturbed
from bench.measuring import ROOT, Cost, Result, expect, sizes_beneath
from bench.plant import Plant
from bench.profiling import BEGIN, OUT, PLACES
from bench.promptness import promptness
from bench.report import Goal, Group, Ratio, Sheet, Table, together
from bench.samples import KB, Lot, Sample
from bench.scene import SETTINGS, Scene, cpu_seconds, memory_bytes, open_scene, project_of, settle_disk
from bench.steady import steady
from tests.broker import workers as crews
from tests.broker.commands import Document, export_start
from tests.broker.node import RabbitMissing
from tests.broker.workers import Worker, Workers

WORKER = "export.start to export.completed"
_CORES = os.cpu_count() or 1
_IDLE_SECONDS = 10


def broker(plant: Plant) -> Group:
    """All of it; where RabbitMQ is absent, a line that says so."""
    try:
        return asyncio.run(_measured(plant))
    except RabbitMissing as reason:
        return Group([], [f"The way through RabbitMQ was not measured: {reason}."])


async def _measured(plant: Plant) -> Group:
    place = plant.track.place / "broker"
    place.mkdir()
    groups: list[Group] = []
    async with open_scene(place) as scene:
        for part in (single, many, idle, promptness, disturbed, steady):
            groups.append(await part(scene, plant))  # noqa: PERF401 - one after the other
    return together(groups)


# ---- one large export


async def single(scene: Scene, plant: Plant) -> Group:
    """The same project by `run`, and through a worker that is there already, in turns."""
    film = plant.film
    case = run(RUN, film)
    runs: list[Cost] = []
    through: list[Cost] = []
    async with scene.crew("single", film.media) as workers:
        [worker] = await workers.ready(1, **SETTINGS)
        await _through(scene, workers, worker, film, "warm")
        for number in range(plant.rounds):
            if number % 2:
                through.append(await _through(scene, workers, worker, film, f"film-{number}"))
            [ran] = await asyncio.to_thread(plant.track.race, [case], 1)
            runs += ran.costs
            if not number % 2:
                through.append(await _through(scene, workers, worker, film, f"film-{number}"))
    ours, warm = Result.of(RUN, runs), Result.of(WORKER, through)
    own, own_warm = stages(ours), stages(warm)
    beside = statistics.median(map(operator.sub, warm.wall_seconds, own_warm.wall_seconds))
    note = (
        f"Of `{WORKER}`, {beside * 1000:.0f} ms are no stage of the export: broker, acceptance, decision and "
        f"publication. It takes {warm.times(own):.2f} times the stages of `{RUN}`, in which Python does not start."
    )
    times = warm.times(ours)
    goal = Goal("an export through the broker below 1.10 times `run`", f"{times:.2f} times", times < 1.10)
    title = f"Through RabbitMQ: {film.described}, one warm worker"
    return Group([Table(title, [ours, own, warm, own_warm], [Ratio(RUN), Ratio(own.name)])], [note], [goal])


async def _through(scene: Scene, workers: Workers, worker: Worker, sample: Sample, export_id: str) -> Cost:
    """One export by the worker, looked at and removed."""
    await settle_disk(scene.place)
    before = cpu_seconds(worker.pid)
    began = await scene.ask(export_start(export_id, project_of(sample.project, id=export_id)))
    end = await scene.completed(export_id)
    cost = Cost(end.at - began, cpu_seconds(worker.pid) - before, memory_bytes(worker.pid, "status", "VmHWM"),
                json.dumps(end.document))  # fmt: skip
    folder = workers.exports_root / end.document["folder"]["name"]
    media = [size for name in ("audio", "images", "videos") for size in sizes_beneath(folder / name)]
    expect(export_id, media, sample.files, sample.size_bytes)
    await asyncio.to_thread(shutil.rmtree, folder)
    return cost


# ---- many small exports


async def many(scene: Scene, plant: Plant) -> Group:
    """Asked for at once, with a worker for each core."""
    sample = plant.sample("few", Lot("image", 10, 100 * KB))
    exports = plant.part(200)
    numbers = count()
    rates: dict[int, list[float]] = {2: [], 4: []}
    used: dict[int, list[tuple[float, float]]] = {2: [], 4: []}
    for number in range(min(3, plant.rounds)):
        for prefetch in (2, 4) if number % 2 else (4, 2):
            async with scene.crew(f"many-{next(numbers)}", sample.media) as workers:
                crew = await workers.ready(_CORES, **SETTINGS | {"prefetch": prefetch})
                seconds, *cpu = await _burst(scene, crew, sample, exports, f"burst-{prefetch}-{number}")
            rates[prefetch].append(exports / seconds)
            used[prefetch].append((cpu[0] / exports, cpu[1] / exports))
    rows = [["prefetch", "exports/s", "best", "worker CPU ms an export", "RabbitMQ CPU ms an export"]]
    rows += [
        [str(prefetch), f"{statistics.median(found):.1f}", f"{max(found):.1f}",
         *(_ms(statistics.median(each)) for each in zip(*used[prefetch], strict=True))]
        for prefetch, found in rates.items()
    ]  # fmt: skip
    title = f"Through RabbitMQ: {exports} exports of 10 files of 100 KB at once, {_CORES} workers"
    return Group([Sheet(title, rows), *(await _profile(scene, sample, exports))])


async def _burst(
    scene: Scene, crew: Sequence[Worker], sample: Sample, exports: int, name: str
) -> tuple[float, float, float]:
    """Seconds from the first message to the last end, and CPU seconds of the workers and of the node."""
    commands = [_command(sample, f"{name}-{number}") for number in range(exports)]
    await settle_disk(scene.place)
    pids = [worker.pid for worker in crew]
    ours, node = cpu_seconds(*pids), cpu_seconds(scene.node.pid)
    begun = [await scene.ask(command) for command in commands]
    ends = [await scene.completed(command["export_id"]) for command in commands]
    seconds = max(end.at for end in ends) - begun[0]
    return seconds, cpu_seconds(*pids) - ours, cpu_seconds(scene.node.pid) - node


def _command(sample: Sample, export_id: str) -> Document:
    return export_start(export_id, project_of(sample.project, id=export_id))


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.1f}"


async def _profile(scene: Scene, sample: Sample, exports: int) -> list[Sheet]:
    """Once more, under a profiler, which makes everything slower: the shares are what counts."""
    out = scene.place / "profile"
    start = out.with_suffix(".sh")
    # It becomes the worker's process, so signals reach that.
    start.write_text(f'#!/bin/sh\ncd {ROOT} && {OUT}={out} exec {sys.executable} -m bench.profiling "$@"\n')
    start.chmod(0o755)
    with patch.object(crews, "COMMAND", str(start)):
        async with scene.crew("profiled", sample.media) as workers:
            crew = await workers.ready(_CORES, **SETTINGS)
            for worker in crew:
                worker.stop_cont(BEGIN)
            await _burst(scene, crew, sample, exports, "profiled")
            await asyncio.gather(*(worker.sigterm() for worker in crew))
    seen = [json.loads(file.read_text()) for file in scene.place.glob("profile.[0-9]*")]
    cpu, disk, calls = (_sum(seen, what) for what in ("cpu_seconds", "disk_seconds", "calls"))
    rows = [["", "share of the CPU", "ms an export in calls of the disk, all threads"]]
    rows += [
        [place, f"{cpu[place] / sum(cpu.values()):.0%}", _ms(disk[place] / exports) if place in disk else ""]
        for place in PLACES
    ]
    told = ", ".join(f"{calls[name] / exports:.0f} {name}" for name in nlargest(9, calls, calls.__getitem__))
    return [Sheet(f"Where their time goes; an export asks the disk for {told}", rows)]


def _sum(seen: Sequence[dict[str, dict[str, float]]], what: str) -> dict[str, float]:
    sums: dict[str, float] = defaultdict(float)
    for one in seen:
        for name, value in one[what].items():
            sums[name] += value
    return sums


# ---- an idle worker


async def idle(scene: Scene, plant: Plant) -> Group:
    """A worker that has done one export and has nothing to do."""
    sample = plant.sample("one-of-idle", Lot("image", 10, 100 * KB))
    async with scene.crew("idle", sample.media) as workers:
        [worker] = await workers.ready(1, **SETTINGS)
        fresh = memory_bytes(worker.pid, "smaps_rollup", "Rss")
        await scene.ask(_command(sample, "idle"))
        await scene.completed("idle")
        await asyncio.sleep(1)
        before = cpu_seconds(worker.pid)
        await asyncio.sleep(_IDLE_SECONDS)
        spent = cpu_seconds(worker.pid) - before
        rss, pss = (memory_bytes(worker.pid, "smaps_rollup", name) for name in ("Rss", "Pss"))
    head = ["RSS MB, just started", "RSS MB", "PSS MB", f"CPU ms in {_IDLE_SECONDS} s"]
    return Group([Sheet("An idle worker", [head, [*(f"{size / 1e6:.0f}" for size in (fresh, rss, pss)), _ms(spent)]])])
