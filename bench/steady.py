"""What a broker in trouble costs copying, to a percent: one warm worker, the three states in turns, often.

A single copy of a gigabyte differs from the next one by a tenth. So each round has all three states, what counts is the
ratio within a round, and beside the median of the ratios stands how far off it may be. CPU time is less noisy than the
clock where others use the machine, and no cost can hide in it: whoever waits for a broker takes longer, whoever tries
and tries needs more CPU.
"""

import asyncio
import os
import shutil
import signal
import statistics
from collections.abc import Sequence

from bench.disturbed import ALARM, FROZEN, USUAL
from bench.plant import Plant
from bench.report import Goal, Group, Sheet
from bench.samples import MB, Lot, Sample
from bench.scene import PATIENCE_SECONDS, SETTINGS, Scene, cpu_seconds, project_of
from tests.broker.commands import export_start
from tests.broker.stage import until
from tests.broker.workers import Worker, Workers

_ONE_PERCENT = 0.01


async def steady(scene: Scene, plant: Plant) -> Group:
    """The copying stage by the clock, and the CPU of the worker from the command to the decision."""
    sample = plant.sample("steady", Lot("video", plant.part(8), 150 * MB, contents=1))
    clock: dict[str, list[float]] = {state: [] for state in (USUAL, FROZEN, ALARM)}
    cpu: dict[str, list[float]] = {state: [] for state in clock}
    rounds = 4 * plant.rounds
    async with scene.crew("steady", sample.media) as workers:
        [worker] = await workers.ready(1, **SETTINGS)
        for number in range(-1, rounds):  # the first one warms up
            for state in list(clock) if number % 2 else list(clock)[::-1]:
                seconds, spent = await _copied(
                    scene, workers, worker, sample, state, f"{state.split()[0]}-{number + 1}"
                )
                clock[state] += [seconds] if number >= 0 else []
                cpu[state] += [spent] if number >= 0 else []
    rows = [["RabbitMQ", "median s", "time / as usual", "CPU / as usual"]]
    rows += [
        [
            state,
            f"{statistics.median(clock[state]):.2f}",
            _told(clock[state], clock[USUAL]),
            _told(cpu[state], cpu[USUAL]),
        ]
        for state in clock
    ]
    goals = [
        Goal(f"{state}: copying takes no more CPU, to a percent or to what can be told from noise",
             _told(cpu[state], cpu[USUAL]), _is_no_cost(cpu[state], cpu[USUAL]))
        for state in (FROZEN, ALARM)
    ]  # fmt: skip
    title = f"What a broker in trouble costs: {sample.files} files, {sample.size_bytes // MB:,} MB, {rounds} rounds"
    return Group([Sheet(title, rows)], goals=goals)


def _ratio(found: Sequence[float], usual: Sequence[float]) -> tuple[float, float]:
    """The median of the ratios in each round, and how far off it may be: two standard errors of a median."""
    ratios = [one / other for one, other in zip(found, usual, strict=True)]
    spread = statistics.stdev(ratios) if len(ratios) > 1 else 0.0
    return statistics.median(ratios), 2 * 1.253 * spread / len(ratios) ** 0.5


def _told(found: Sequence[float], usual: Sequence[float]) -> str:
    middle, off = _ratio(found, usual)
    return f"{middle:.3f} ± {off:.3f}"


def _is_no_cost(found: Sequence[float], usual: Sequence[float]) -> bool:
    middle, off = _ratio(found, usual)
    return middle - off <= 1 + _ONE_PERCENT


async def _copied(
    scene: Scene, workers: Workers, worker: Worker, sample: Sample, state: str, export_id: str
) -> tuple[float, float]:
    """Seconds of the copying stage, and of CPU. The worker stands still until all is as it shall be."""
    outcome = workers.exports_root / ".exports" / export_id / "outcome.json"
    worker.stop_cont(signal.SIGSTOP)
    await scene.ask(export_start(export_id, project_of(sample.project, id=export_id)))
    await asyncio.sleep(0.2)  # until the message is in the worker's socket
    await _begin(scene, state)
    before = cpu_seconds(worker.pid)
    try:
        worker.stop_cont(signal.SIGCONT)
        await until(outcome.exists, PATIENCE_SECONDS)
        spent = cpu_seconds(worker.pid) - before
    finally:
        await _end(scene, state)
    end = await scene.completed(export_id)
    await asyncio.to_thread(shutil.rmtree, workers.exports_root / end.document["folder"]["name"])
    return float(end.document["timings_seconds"]["copying"]), spent


async def _begin(scene: Scene, state: str) -> None:
    if state == FROZEN:
        os.kill(scene.node.pid, signal.SIGSTOP)
    elif state == ALARM:
        await asyncio.to_thread(scene.node.alarm)


async def _end(scene: Scene, state: str) -> None:
    if state == FROZEN:
        os.kill(scene.node.pid, signal.SIGCONT)
    elif state == ALARM:
        await asyncio.to_thread(scene.node.clear_alarm)
