"""What the service is for, one sentence each: others ask by a message and watch what goes on in the background."""

import asyncio
import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import aio_pika
import pytest
from aio_pika.abc import AbstractIncomingMessage

from contracts import ExportStart, topology
from contracts.envelope import envelop
from demo.broker import broker
from demo.sample import Sample, make_sample
from tests.broker.workers import Worker
from tests.cli.command import call

AT = "2026-03-01T10:15:30Z"
FOLDER = "export_lighthouse_20260301T101530Z"
END_SECONDS = 30.0


@dataclass(frozen=True)
class Told:
    """One message that the service sent."""

    key: str
    event: dict[str, Any]

    @property
    def is_the_end(self) -> bool:
        return self.key in topology.TERMINALS


@dataclass(frozen=True)
class Service:
    """The sample's project, asked for by a message and exported by a worker process that was not asked for anything."""

    sample: Sample
    exports: Path
    told: list[Told]

    @property
    def progress(self) -> list[dict[str, Any]]:
        return [told.event for told in self.told if told.key == topology.PROGRESS]


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Service:
    home = tmp_path_factory.mktemp("service")
    sample = make_sample(home / "sample")
    exports = home / "exports"
    assert call(
        "check", "--init", "--media", sample.media, "--to", exports, "--broker", "amqp://nobody@127.0.0.1:1/"
    ).out
    return Service(sample, exports, asyncio.run(_asked_and_heard(sample, exports, home)))


async def _asked_and_heard(sample: Sample, exports: Path, home: Path) -> list[Told]:
    async with broker() as rabbit, _a_worker(rabbit.url, sample, exports, home):
        connection = await aio_pika.connect(rabbit.url)
        async with connection, await connection.channel() as channel:
            heard = await _listening(channel)
            events = await channel.get_exchange(topology.EVENTS)
            asked = _message(sample)
            await events.publish(aio_pika.Message(asked), topology.START, mandatory=True)
            return await asyncio.wait_for(_until_the_end(heard), END_SECONDS)


def _message(sample: Sample) -> bytes:
    asked = {
        "export_id": "the-story",
        "requested_at": AT,
        "project": json.loads(sample.project.read_bytes()),
        "options": {"archive": "zip"},
    }
    return envelop(ExportStart.model_validate(asked)).body


async def _listening(channel: aio_pika.abc.AbstractChannel) -> "asyncio.Queue[Told]":
    heard: asyncio.Queue[Told] = asyncio.Queue()

    async def hear(message: AbstractIncomingMessage) -> None:
        heard.put_nowait(Told(message.routing_key or "", json.loads(message.body)))

    queue = await channel.declare_queue(exclusive=True)
    for key in (topology.PROGRESS, *topology.TERMINALS):
        await queue.bind(topology.EVENTS, key)
    await queue.consume(hear, no_ack=True)
    return heard


async def _until_the_end(heard: "asyncio.Queue[Told]") -> list[Told]:
    told = [await heard.get()]
    while not told[-1].is_the_end:
        told.append(await heard.get())
    return told


@asynccontextmanager
async def _a_worker(url: str, sample: Sample, exports: Path, home: Path) -> AsyncIterator[None]:
    environment = {
        **os.environ,
        "EXPORT_BROKER_URL": url,
        "EXPORT_MEDIA_ROOT": str(sample.media),
        "EXPORT_EXPORTS_ROOT": str(exports),
        "EXPORT_HEALTH_PORT": "0",
    }
    worker = Worker("the worker", environment, home / "worker.log", 0)
    try:
        yield
    finally:
        await worker.sigterm()


def test_a_message_is_all_it_takes(service: Service) -> None:
    assert service.told[-1].key == "export.completed"
    assert (service.exports / FOLDER / "manifest.json").is_file()
    assert (service.exports / f"{FOLDER}.zip").is_file()


def test_progress_arrives_while_the_work_goes_on(service: Service) -> None:
    assert service.progress
    assert [event["seq"] for event in service.progress] == sorted({event["seq"] for event in service.progress})
    percents = [event["percent"] for event in service.progress]
    assert all(before <= after for before, after in pairwise(percents))
    assert percents[-1] == 100


def test_whoever_sees_one_event_needs_no_other(service: Service) -> None:
    for event in service.progress:
        assert event["export_id"] == "the-story"
        assert event["project_id"] == "lighthouse"
        assert {"state", "percent", "files", "bytes", "by_kind", "rate_bytes_per_second", "at"} <= event.keys()


def test_the_end_names_what_was_made_and_what_is_missing(service: Service) -> None:
    end = service.told[-1].event
    assert end["outcome"] == "partial"
    assert end["folder"]["name"] == FOLDER
    assert end["archive"]["size_bytes"] == (service.exports / f"{FOLDER}.zip").stat().st_size
    assert [omission["reason"] for omission in end["omissions"]] == ["missing", "pending", "generating"]


def test_the_background_job_makes_the_same_bytes_as_the_command(service: Service, tmp_path: Path) -> None:
    command = ("run", service.sample.project, "--media", service.sample.media, "--to", tmp_path / "by-hand")
    call(*command, "--archive", "zip", "--requested-at", AT, "--export-id", "the-story")
    assert files_of(service.exports / FOLDER) == files_of(tmp_path / "by-hand" / FOLDER)
    archive = f"{FOLDER}.zip"
    assert (service.exports / archive).read_bytes() == (tmp_path / "by-hand" / archive).read_bytes()


def files_of(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
