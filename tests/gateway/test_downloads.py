"""The ZIP, written or never written: the same bytes from every replica, in any pieces, or a broken connection."""

import asyncio
import hashlib
import io
import os
import zipfile
import zlib
from collections.abc import AsyncIterator
from pathlib import Path
from random import Random
from typing import Any

import anyio
import httpx
import pytest
from PIL import Image

from tests.broker.commands import Document
from tests.gateway.replicas import House, Replica, asked, ended, house, until
from tests.gateway.test_http import insist_on_problem

BIG_BYTES = 40_000_000


@pytest.fixture
async def home(tmp_path: Path) -> AsyncIterator[House]:
    async with house(tmp_path) as found:
        yield found


async def made(home: House, replica: Replica, project: Document, **options: Any) -> Document:
    """A finished export, as its snapshot."""
    export_id = await asked(replica, project, **options)
    shown = await ended(replica, export_id)
    assert shown["state"] == "completed", shown
    return shown


@pytest.fixture
async def pair(home: House) -> tuple[Replica, Replica]:
    """Two replicas and a worker."""
    await home.worker()
    return await home.replica(), await home.replica()


def download(shown: Document) -> str:
    return f"/api/v1/exports/{shown['export_id']}/download"


def folder(home: House, shown: Document) -> Path:
    return home.exports / str(shown["result"]["folder"]["name"])


async def test_a_zip_that_was_never_written_is_the_one_that_would_have_been(
    home: House, pair: tuple[Replica, Replica]
) -> None:
    one, other = pair
    shown = await made(home, one, home.project(), archive="zip")
    written = await one.http.get(download(shown))
    archive = home.exports / f"{folder(home, shown).name}.zip"
    assert written.content == archive.read_bytes()
    assert written.headers["etag"] == shown["result"]["archive"]["etag"]
    archive.unlink()
    virtual = await other.http.get(download(shown))
    assert (virtual.content, virtual.headers["etag"]) == (written.content, written.headers["etag"])
    assert zipfile.ZipFile(io.BytesIO(virtual.content)).testzip() is None
    for replica in pair:
        plan = (await replica.http.get(f"/api/v1/exports/{shown['export_id']}/plan")).json()
        assert plan["archive_size_bytes"] == len(virtual.content)
        assert plan["archive_crc32"] == f"{zlib.crc32(virtual.content):08x}"
        assert plan["texts"] == sorted(path.name for path in folder(home, shown).iterdir() if path.is_file())


async def test_every_range_of_it_is_the_same_from_every_replica(home: House, pair: tuple[Replica, Replica]) -> None:
    shown = await made(home, pair[0], home.project())
    whole = (await pair[0].http.get(download(shown))).content
    random = Random(7)
    edges = [0, 1, len(whole) - 1, len(whole)]
    for turn in range(60):
        start, stop = sorted(random.choice([*edges, random.randrange(len(whole))]) for _ in range(2))
        if start == stop:
            continue
        answer = await pair[turn % 2].http.get(download(shown), headers={"range": f"bytes={start}-{stop - 1}"})
        assert answer.status_code == 206
        assert answer.content == whole[start:stop]
        assert answer.headers["content-range"] == f"bytes {start}-{stop - 1}/{len(whole)}"
        assert int(answer.headers["content-length"]) == stop - start


async def test_conditions_are_met_as_the_standard_says(home: House, pair: tuple[Replica, Replica]) -> None:
    one, other = pair
    shown = await made(home, one, home.project())
    head = await one.http.head(download(shown))
    etag, size = head.headers["etag"], int(head.headers["content-length"])
    assert (head.status_code, head.content, head.headers["accept-ranges"]) == (200, b"", "bytes")
    assert head.headers["content-disposition"].startswith(f'attachment; filename="{folder(home, shown).name}.zip"')

    async def asking(**headers: str) -> httpx.Response:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return await other.http.get(download(shown), headers=named)

    assert (await asking(if_none_match=etag)).status_code == 304
    assert (await asking(if_match='"another"')).status_code == 412
    assert (await asking(if_match=etag, range="bytes=0-9")).status_code == 206
    assert (await asking(if_range=etag, range="bytes=0-9")).status_code == 206
    assert len((await asking(if_range='"another"', range="bytes=0-9")).content) == size
    beyond = await asking(range=f"bytes={size}-")
    assert (beyond.status_code, beyond.headers["content-range"]) == (416, f"bytes */{size}")
    assert (await asking(range="bytes=-1")).content == (await asking()).content[-1:]
    assert len((await asking(range="bytes=0-1,5-6")).content) == size


async def test_a_file_that_was_changed_is_never_sent(home: House, pair: tuple[Replica, Replica]) -> None:
    one, other = pair
    shown = await made(home, one, home.project())
    assert (await one.http.get(download(shown))).status_code == 200
    victim = folder(home, shown) / shown_file(home, shown, "images")
    victim.write_bytes(os.urandom(victim.stat().st_size))
    for replica in (other, one):
        insist_on_problem(await replica.http.get(download(shown)), 409, "export-changed")
    plan = (await other.http.get(f"/api/v1/exports/{shown['export_id']}/plan")).json()
    assert (plan["archive_size_bytes"], plan["archive_crc32"]) == (None, None)
    victim.unlink()
    insist_on_problem(await other.http.get(download(shown)), 409, "export-changed")


def shown_file(home: House, shown: Document, kind: str) -> str:
    """The name of the first file of this kind."""
    return f"{kind}/{min((folder(home, shown) / kind).iterdir()).name}"


async def test_a_file_that_changes_while_it_is_sent_breaks_the_connection(
    home: House, pair: tuple[Replica, Replica]
) -> None:
    one, _ = pair
    shown = await made(home, one, home.project(1, big=[BIG_BYTES]))
    victim = max((folder(home, shown) / "videos").iterdir())
    came = 0
    async with one.http.stream("GET", download(shown)) as answer:
        pieces = answer.aiter_raw()
        came += len(await anext(pieces))
        victim.write_bytes(b"short")
        with pytest.raises(httpx.RemoteProtocolError):
            came += await _length(pieces)
    assert came < int(answer.headers["content-length"])


async def _length(pieces: AsyncIterator[bytes]) -> int:
    return sum([len(piece) async for piece in pieces])


async def test_files_that_are_gone_are_told_as_gone(home: House, pair: tuple[Replica, Replica]) -> None:
    one, other = pair
    shown = await made(home, one, home.project())
    assert (await other.http.get(download(shown))).status_code == 200
    assert (await one.http.delete(f"/api/v1/exports/{shown['export_id']}")).status_code == 204
    await until(lambda: not folder(home, shown).exists())
    for replica in pair:
        insist_on_problem(await replica.http.get(download(shown)), 410, "export-deleted")


async def test_what_is_not_finished_is_not_downloaded(home: House) -> None:
    replica = await home.replica()
    export_id = await asked(replica, home.project())
    answer = await replica.http.get(f"/api/v1/exports/{export_id}/download")
    insist_on_problem(answer, 409, "export-unfinished")
    assert answer.headers["retry-after"]


async def test_who_goes_away_leaves_no_open_file_and_no_place_taken(home: House) -> None:
    await home.worker()
    replica = await home.replica(downloads_at_once=2)
    shown = await made(home, replica, home.project(1, big=[BIG_BYTES]))
    assert (await replica.http.get(download(shown), headers={"range": "bytes=0-0"})).status_code == 206
    before = open_media(home)
    for _ in range(6):
        async with replica.http.stream("GET", download(shown)) as answer:
            await anext(answer.aiter_raw())
        await asyncio.sleep(0.05)
    await until(lambda: open_media(home) == before)
    assert (await replica.http.get(download(shown))).status_code == 200


def open_media(home: House) -> int:
    """Descriptors of files beneath the exports root."""
    found = 0
    for link in Path("/proc/self/fd").iterdir():
        try:
            found += str(link.readlink()).startswith(f"{home.exports}/export_")
        except FileNotFoundError:
            continue
    return found


async def test_too_many_downloads_are_told_to_come_back(home: House) -> None:
    await home.worker()
    replica = await home.replica(downloads_at_once=1)
    shown = await made(home, replica, home.project(1, big=[BIG_BYTES]))
    async with replica.http.stream("GET", download(shown)) as first:
        await anext(first.aiter_raw())
        refused = await replica.http.get(download(shown))
        insist_on_problem(refused, 503, "too-many-downloads")
        assert int(refused.headers["retry-after"]) > 0
    await asyncio.sleep(0.1)
    assert (await replica.http.get(download(shown))).status_code == 200


async def test_a_client_that_takes_nothing_is_given_up(home: House) -> None:
    await home.worker()
    replica = await home.replica(downloads_at_once=1, stall_seconds=0.3)
    shown = await made(home, replica, home.project(1, big=[BIG_BYTES]))
    reader, writer = await asyncio.open_connection("127.0.0.1", replica.port, limit=1024)
    writer.write(f"GET {download(shown)} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
    await reader.readline()

    async def is_free() -> bool:
        answer = await replica.http.get(download(shown), headers={"range": "bytes=0-0"})
        return answer.status_code == 206

    with anyio.fail_after(10):
        while not await is_free():  # noqa: ASYNC110 - nobody tells of it
            await anyio.sleep(0.05)
    writer.transport.abort()


async def test_a_download_that_is_cut_again_and_again_is_the_same_file(
    home: House, pair: tuple[Replica, Replica]
) -> None:
    shown = await made(home, pair[0], home.project(1, big=[BIG_BYTES]))
    etag = (await pair[0].http.head(download(shown))).headers["etag"]
    size = int((await pair[0].http.head(download(shown))).headers["content-length"])
    have, digest, turn = 0, hashlib.sha256(), 0
    while have < size:
        headers = {"range": f"bytes={have}-", "if-range": etag}
        turn += 1
        async with pair[turn % 2].http.stream("GET", download(shown), headers=headers) as answer:
            assert answer.status_code == 206
            piece = b""
            async for piece in answer.aiter_raw():
                digest.update(piece)
                have += len(piece)
                if have % 7 == turn % 7:
                    break
    whole = hashlib.sha256((await pair[1].http.get(download(shown))).content)
    assert digest.digest() == whole.digest()


@pytest.mark.slow
async def test_more_than_four_gibibytes_are_told_and_sent_exactly(
    home: House, pair: tuple[Replica, Replica], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.gateway.replicas.PATIENCE_SECONDS", 120)
    size = 2**32 + 5_000_000
    shown = await made(home, pair[0], home.project(1, big=[size]))
    told = [(await replica.http.head(download(shown))).headers for replica in pair]
    length = int(told[0]["content-length"])
    assert length > size
    assert told[0]["etag"] == told[1]["etag"]
    parts = []
    for replica in pair:
        answer = await replica.http.get(download(shown), headers={"range": f"bytes={length - 3_000_000}-"})
        assert (answer.status_code, len(answer.content)) == (206, 3_000_000)
        parts.append(answer.content)
    assert parts[0] == parts[1]
    assert parts[0].endswith(b"PK\x05\x06" + parts[0][-18:])  # the end of the directory, without a comment
    assert b"PK\x06\x06" in parts[0][-200:]  # with a ZIP64 record before it


# ---- thumbnails


def picture(width: int, height: int) -> bytes:
    written = io.BytesIO()
    Image.new("RGB", (width, height), (200, 90, 10)).save(written, "PNG")
    return written.getvalue()


async def test_a_sentence_has_a_small_picture_before_and_after_the_export(home: House) -> None:
    one, other = await home.replica(), await home.replica()
    project = home.project()
    (home.media / "story/1.png").write_bytes(picture(800, 400))
    export_id = await asked(one, project)
    before = await one.http.get(f"/api/v1/exports/{export_id}/thumbnails/1")
    assert (before.status_code, before.headers["content-type"]) == (200, "image/webp")
    assert Image.open(io.BytesIO(before.content)).size == (320, 160)
    await home.worker()
    await ended(one, export_id)
    after = await other.http.get(f"/api/v1/exports/{export_id}/thumbnails/1")
    assert after.content == before.content
    known = {"if-none-match": after.headers["etag"]}
    assert (await one.http.get(f"/api/v1/exports/{export_id}/thumbnails/1", headers=known)).status_code == 304


@pytest.mark.parametrize("content", [b"", b"no image at all", picture(30, 30)[:60], picture(8000, 8000)])
async def test_what_is_no_picture_or_too_large_a_one_has_none(home: House, content: bytes) -> None:
    replica = await home.replica()
    project = home.project(1)
    (home.media / "story/1.png").write_bytes(content)
    export_id = await asked(replica, project)
    for seq in (1, 2):
        answer = await replica.http.get(f"/api/v1/exports/{export_id}/thumbnails/{seq}")
        insist_on_problem(answer, 404, "thumbnail-not-found")
