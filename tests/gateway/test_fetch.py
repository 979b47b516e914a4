"""`fetch`: from a gateway to a verified file, whatever happens on the way."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from cli.fetch import part_of
from tests.cli.command import Said, call
from tests.gateway.proxy import Balancer
from tests.gateway.replicas import House, Replica, asked, ended, house
from tests.gateway.tokens import SHARED, bearer, token

BIG_BYTES = 30_000_000


@pytest.fixture
async def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[House]:
    for name in ("EXPORT_TOKEN", "EXPORT_GATEWAY_URL"):
        monkeypatch.delenv(name, raising=False)
    async with house(tmp_path) as found:
        yield found


@pytest.fixture
def to(tmp_path: Path) -> Path:
    (tmp_path / "downloads").mkdir()
    return tmp_path / "downloads"


async def fetch(export_id: str, to: Path, url: str, *more: str) -> Said:
    """Calls the command, in a thread: this loop serves the gateway."""
    return await asyncio.to_thread(call, "fetch", export_id, "--to", to, "--gateway", url, *more)


def files(to: Path) -> list[str]:
    return [path.name for path in to.iterdir()]


def only(to: Path) -> Path:
    [file] = to.iterdir()
    return file


async def test_a_finished_export_is_fetched_and_verified(home: House, to: Path) -> None:
    await home.worker()
    replica = await home.replica()
    export_id = await asked(replica, home.project(), archive="zip")
    shown = await ended(replica, export_id)
    said = await fetch(export_id, to, replica.url)
    name = f"{shown['result']['folder']['name']}.zip"
    assert (said.code, said.err, files(to)) == (0, "", [name])
    assert (to / name).read_bytes() == (home.exports / name).read_bytes()
    again = await fetch(export_id, to, replica.url, "--json")
    assert again.json["path"] == str(to / name)
    (to / name).write_bytes(b"a file of somebody else")
    said = await fetch(export_id, to, replica.url)
    assert said.code == 1
    assert "is there already, and is something else" in said.sentence


async def test_it_waits_for_the_end(home: House, to: Path) -> None:
    replica = await home.replica()
    export_id = await asked(replica, home.project())
    fetching = asyncio.create_task(fetch(export_id, to, replica.url))
    await asyncio.sleep(0.3)
    await home.worker()
    assert (await fetching).code == 0


async def test_a_download_that_breaks_is_finished_by_other_replicas(home: House, to: Path) -> None:
    await home.worker()
    one, other = await home.replica(), await home.replica()
    export_id = await asked(one, home.project(1, big=[BIG_BYTES]))
    await ended(one, export_id)
    async with Balancer(one.port, other.port) as balancer:
        fetching = asyncio.create_task(fetch(export_id, to, f"http://127.0.0.1:{balancer.port}"))
        while not fetching.done():
            if not balancer.is_to_be_cut:
                balancer.cut_after(9_000_000)
            await asyncio.sleep(0.001)
        assert (await fetching).code == 0
        assert balancer.connections > 3
    file = only(to)
    assert file.read_bytes() == (await one.http.get(f"/api/v1/exports/{export_id}/download")).content


async def test_what_another_call_left_is_used(home: House, to: Path) -> None:
    await home.worker()
    replica = await home.replica()
    export_id = await asked(replica, home.project(1, big=[BIG_BYTES]))
    await ended(replica, export_id)
    assert (await fetch(export_id, to, replica.url)).code == 0
    file = only(to)
    whole = file.read_bytes()
    sent = replica.gateway.parts.metrics.download_bytes
    before = sent._value.get()
    await broken_off(replica, export_id, to, whole[:-1000])
    assert (await fetch(export_id, to, replica.url)).code == 0
    assert sent._value.get() - before <= 1000
    assert file.read_bytes() == whole


async def broken_off(replica: Replica, export_id: str, to: Path, content: bytes) -> None:
    """As if an earlier call had come so far."""
    etag = (await replica.http.head(f"/api/v1/exports/{export_id}/download")).headers["etag"]
    file = only(to)
    part_of(file, etag).write_bytes(content)
    file.unlink()


async def test_a_part_that_is_wrong_is_not_taken_for_the_export(home: House, to: Path) -> None:
    await home.worker()
    replica = await home.replica()
    export_id = await asked(replica, home.project(1, big=[BIG_BYTES]))
    await ended(replica, export_id)
    assert (await fetch(export_id, to, replica.url)).code == 0
    await broken_off(replica, export_id, to, b"x" * 5000)
    said = await fetch(export_id, to, replica.url)
    assert said.code == 1
    assert "What came is not what was exported" in said.sentence
    assert files(to) == []
    assert (await fetch(export_id, to, replica.url)).code == 0


async def test_what_cannot_be_had_is_told_in_a_sentence(home: House, to: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    await home.worker()
    replica = await home.replica(**SHARED)
    headers = bearer(token())
    answer = await replica.http.post(
        "/api/v1/projects/story/export", json={"project": home.project(1)}, headers=headers
    )
    export_id = answer.json()["export_id"]
    refused = await fetch(export_id, to, replica.url)
    assert refused.code == 1
    assert "401" in refused.sentence
    assert "EXPORT_TOKEN" in refused.sentence
    monkeypatch.setenv("EXPORT_TOKEN", token())
    assert (await fetch(export_id, to, replica.url)).code == 0
    absent = await fetch("no-such-export", to, replica.url)
    assert (absent.code, absent.sentence) == (
        1, 'export-service: 404: There is no export "no-such-export", or it is not yours.'
    )  # fmt: skip
    replica.http.headers.update(headers)
    assert (await replica.http.delete(f"/api/v1/exports/{export_id}")).status_code == 204
    gone = await fetch(export_id, to, replica.url)
    assert gone.code == 1
    assert "deleted" in gone.sentence


async def test_a_gateway_that_stays_away_ends_the_patience(to: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cli.fetch._PATIENCE_SECONDS", 0.5)
    said = await fetch("an-export", to, "http://127.0.0.1:1")
    assert said.code == 1
    assert "cannot be reached" in said.sentence


@pytest.mark.parametrize("url", ["127.0.0.1:8080", "ftp://host/", "http://", "http://[::1"])
async def test_an_address_that_is_none_is_refused(to: Path, url: str) -> None:
    said = await fetch("an-export", to, url)
    assert said.code == 2
    assert "is no address of a gateway" in said.sentence


async def test_a_directory_that_is_not_there_is_refused(to: Path) -> None:
    said = await fetch("an-export", to / "nowhere", "http://127.0.0.1:1")
    assert said.code == 2
    assert "no such directory" in said.sentence
