"""Gateways as processes, with the rights that a gateway has at RabbitMQ: any of them may be killed, none is missed."""

import asyncio
import io
import time
import zipfile
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from bench.gateway import QUICK, measured
from tests.broker.commands import make_project
from tests.broker.node import PrivateNode
from tests.broker.stage import Stage
from tests.broker.workers import Gateway, Workers

pytestmark = pytest.mark.slow

PATIENCE_SECONDS = 30.0
WORDS = {"id": "story", "sections": [{"title": "One", "sentences": [{"text": "Only words."}]}]}


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(timeout=PATIENCE_SECONDS) as client:
        yield client


async def asked(client: httpx.AsyncClient, gateway: Gateway, project: dict[str, Any], key: str = "k") -> str:
    """With the same key again, while the broker is slow to confirm."""
    url = f"{gateway.url}/api/v1/projects/{project['id']}/export"
    answer = await client.post(url, json={"project": project}, headers={"idempotency-key": key})
    if answer.status_code == 503:
        answer = await client.post(url, json={"project": project}, headers={"idempotency-key": key})
    assert answer.status_code == 202, answer.text
    export_id: str = answer.json()["export_id"]
    return export_id


async def until(client: httpx.AsyncClient, gateway: Gateway, export_id: str, *states: str) -> dict[str, Any]:
    """Waits for one of the states, as a script does."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    shown: dict[str, Any] = {}
    while time.monotonic() < deadline:
        shown = (await client.get(f"{gateway.url}/api/v1/exports/{export_id}")).json()
        if shown["state"] in states:
            return shown
        await asyncio.sleep(0.05)
    raise AssertionError(f"{export_id} is {shown.get('state')}, and not {states}")


async def replicas(workers: Workers, count: int = 2) -> list[Gateway]:
    started = [workers.start_gateway() for _ in range(count)]
    await asyncio.gather(*(gateway.ready() for gateway in started))
    return started


async def test_what_one_replica_was_asked_for_is_downloaded_from_another(
    stage: Stage, workers: Workers, client: httpx.AsyncClient
) -> None:
    await workers.ready(1)
    one, other = await replicas(workers)
    export_id = await asked(client, one, stage.project(3))
    shown = await until(client, other, export_id, "completed")
    archive = await client.get(f"{other.url}{shown['links']['download']}")
    assert zipfile.ZipFile(io.BytesIO(archive.content)).testzip() is None
    again = await client.get(f"{other.url}/api/v1/exports/{export_id}/download", headers={"range": "bytes=100-199"})
    assert again.content == archive.content[100:200]
    assert "traceback" not in (one.said + other.said).lower()


async def test_a_gateway_that_is_killed_is_not_missed(
    stage: Stage, workers: Workers, client: httpx.AsyncClient
) -> None:
    """Its successor heard nothing of the export, and says how far it is."""
    await workers.ready(1)
    [first] = await replicas(workers, 1)
    export_id = await asked(client, first, stage.project(1, big=1))
    await until(client, first, export_id, "copying")
    first.kill()
    [second] = await replicas(workers, 1)
    shown = await until(client, second, export_id, "copying", "completed")
    assert shown["project_name"] == "Story"
    assert (await until(client, second, export_id, "completed"))["result"]["outcome"] == "complete"


async def test_a_broker_that_is_killed_and_loses_its_memory_takes_no_state_along(
    media: Path, workers: Workers, client: httpx.AsyncClient, mortal: PrivateNode
) -> None:
    await workers.start().ready()
    one, other = await replicas(workers)
    export_id = await asked(client, one, make_project(media, 2))
    await until(client, one, export_id, "completed")
    mortal.kill()
    other.kill()
    [late] = await _without_broker(workers)
    assert (await until(client, late, export_id, "completed"))["result"]["outcome"] == "complete"
    ready = (await client.get(f"{late.url}/readyz")).json()
    assert ready == {"status": "ready", "degraded": ["no connection to the broker"]}
    refused = await client.post(f"{late.url}/api/v1/projects/story/export", json={"project": WORDS})
    assert refused.status_code == 503
    assert refused.headers["retry-after"]


async def _without_broker(workers: Workers) -> list[Gateway]:
    gateway = workers.start_gateway(confirm_seconds=1)
    await gateway.ready()
    return [gateway]


async def test_no_kill_makes_a_crowd_of_pages_miss_an_end(tmp_path: Path) -> None:
    """`make bench-gateway` kills two hundred times."""
    [found] = await measured(tmp_path, replace(QUICK, kills=4), ["kills"])
    assert all(goal.is_met for goal in found.goals), found


async def test_who_is_told_to_stop_ends_in_its_time(stage: Stage, workers: Workers, client: httpx.AsyncClient) -> None:
    [gateway] = await replicas(workers, 1)
    async with client.stream("GET", f"{gateway.url}/livez") as answer:
        assert answer.status_code == 200
    assert await gateway.sigterm() < 6
    assert gateway.exit_code == 0
    assert "traceback" not in gateway.said.lower()
