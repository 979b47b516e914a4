"""What a worker answers to an orchestrator."""

import asyncio
import json
import re
import urllib.error
import urllib.request
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest

from service.health import Health, serve
from tests.worker.stand import Brake, Stand, only_embedded, until

pytestmark = only_embedded


async def asked(health: Health, path: str) -> tuple[int, dict[str, Any]]:
    """Status and body."""
    sent: list[dict[str, Any]] = []

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    await health.answer({"type": "http", "path": path}, None, send)
    head, body = sent
    return head["status"], json.loads(body["body"])


async def test_a_worker_that_takes_work_is_ready_and_says_how_much_it_has(stand: Stand) -> None:
    async with stand.working(Brake()) as parts:
        assert await asked(parts.health, "/readyz") == (200, {"status": "ready", "running": 0})
        await stand.ask("e1", stand.project(big=1))
        await stand.listener.copying("e1")
        assert await asked(parts.health, "/livez") == (200, {"status": "alive", "running": 1})


async def test_a_worker_that_has_not_begun_lives_and_is_not_ready(stand: Stand) -> None:
    async with stand.worker() as parts:
        assert (await asked(parts.health, "/livez"))[0] == 200
        because = {"status": "not ready", "because": ["not consuming from the broker"]}
        assert await asked(parts.health, "/readyz") == (503, because)


async def test_a_worker_without_its_storage_says_so(stand: Stand) -> None:
    async with stand.working() as parts:
        stand.media.rmdir()
        await until(parts.health.unready)
        status, body = await asked(parts.health, "/readyz")
        assert (status, body["because"][0][:22]) == (503, "storage: the media roo")
        assert (await asked(parts.health, "/livez"))[0] == 200


async def test_a_worker_that_ends_is_not_ready(stand: Stand) -> None:
    async with stand.working() as parts:
        pass
    assert await asked(parts.health, "/readyz") == (503, {"status": "not ready", "because": ["the worker is stopping"]})


async def test_another_page_is_not_there(stand: Stand) -> None:
    async with stand.worker() as parts:
        status, body = await asked(parts.health, "/")
        assert (status, body["status"]) == (404, "no such page; there are /livez and /readyz")


# ---- over HTTP


@asynccontextmanager
async def served(health: Health, caplog: pytest.LogCaptureFixture) -> AsyncIterator[str]:
    """Where it is answered while the block runs."""
    async with anyio.create_task_group() as tasks:
        await tasks.start(serve, health, "127.0.0.1", 0)
        found = re.search(r"health: (http://127\.0\.0\.1:\d+)/readyz", caplog.text)
        assert found is not None, caplog.text
        yield found[1]
        tasks.cancel_scope.cancel()


def fetched(url: str) -> tuple[int, bytes]:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:  # noqa: S310 (our own)
            return answer.status, answer.read()
    except urllib.error.HTTPError as fault:
        with fault:
            return fault.code, fault.read()


async def test_it_is_answered_over_http_on_a_free_port(stand: Stand, caplog: pytest.LogCaptureFixture) -> None:
    async with stand.working() as parts, served(parts.health, caplog) as address:
        assert await asyncio.to_thread(fetched, f"{address}/readyz") == (200, b'{"status": "ready", "running": 0}\n')
        assert (await asyncio.to_thread(fetched, f"{address}/metrics"))[0] == 404


async def test_a_port_that_is_taken_is_said_with_its_setting(stand: Stand, caplog: pytest.LogCaptureFixture) -> None:
    async with stand.worker() as parts, served(parts.health, caplog) as address:
        with pytest.raises(OSError, match="EXPORT_HEALTH_PORT"):
            await serve(parts.health, "127.0.0.1", int(address.rsplit(":", 1)[1]))
