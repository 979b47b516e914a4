"""A file that changes under a download, in whatever way, breaks the connection: no client takes it for whole."""

import socket
import zipfile
from collections.abc import AsyncIterator, Callable
from functools import partial
from io import BytesIO
from pathlib import Path

import httpx
import pytest

from tests.gateway.replicas import PATIENCE_SECONDS, House, asked, ended, house
from tests.zip.archives import begin_of_body
from tests.zip.changes import CHANGES, IN_PLACE, REPLACED

MIB = 1024 * 1024
# More than the sockets on the way hold, so that the end of the file is not read before the client asks for it.
BIG_BYTES = 12 * MIB
SMALL_BUFFER = [(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)]


@pytest.fixture
async def home(tmp_path: Path) -> AsyncIterator[House]:
    async with house(tmp_path) as found:
        yield found


class Download:
    """Of a finished export that begins with a long video, and has a short one for each of `CHANGES`."""

    def __init__(self, client: httpx.AsyncClient, path: str, videos: Path) -> None:
        self._client = client
        self._path = path
        self.long, *self.short = sorted(videos.iterdir())
        self.came = bytearray()

    async def whole(self) -> bytes:
        return (await self._client.get(self._path)).content

    async def go(self, meanwhile: Callable[[], object], **headers: str) -> None:
        """Downloads it; something happens when the first bytes have come. Raises RemoteProtocolError."""
        async with self._client.stream("GET", self._path, headers=headers) as answer:
            reading = answer.aiter_raw()
            self.came = bytearray(await anext(reading))
            meanwhile()
            async for piece in reading:
                self.came += piece


@pytest.fixture
async def download(home: House) -> AsyncIterator[Download]:
    await home.worker()
    replica = await home.replica()
    shown = await ended(replica, await asked(replica, home.project(0, big=[BIG_BYTES, *[300_000] * len(CHANGES)])))
    path, folder = f"/api/v1/exports/{shown['export_id']}/download", home.exports / shown["result"]["folder"]["name"]
    transport = httpx.AsyncHTTPTransport(socket_options=SMALL_BUFFER)
    async with httpx.AsyncClient(base_url=replica.url, transport=transport, timeout=PATIENCE_SECONDS) as client:
        yield Download(client, path, folder / "videos")


async def test_a_file_that_becomes_another_before_its_turn_breaks_the_download_off(download: Download) -> None:
    whole = await download.whole()
    # From the last one to the first, so that each is the first one that is another.
    for change, file in zip(CHANGES, reversed(download.short), strict=True):
        with pytest.raises(httpx.RemoteProtocolError):
            await download.go(partial(CHANGES[change], file))
        assert whole.startswith(download.came), change
        assert len(download.came) <= begin_in(whole, file), change


def begin_in(whole: bytes, file: Path) -> int:
    """Where the archive has the body of this file."""
    [info] = (one for one in zipfile.ZipFile(BytesIO(whole)).infolist() if one.filename.endswith(f"/{file.name}"))
    return begin_of_body(whole, info)


@pytest.mark.parametrize("change", IN_PLACE)
async def test_a_file_that_changes_while_it_is_sent_breaks_the_download_off(change: str, download: Download) -> None:
    with pytest.raises(httpx.RemoteProtocolError):
        await download.go(lambda: IN_PLACE[change](download.long))


@pytest.mark.parametrize("change", REPLACED)
async def test_a_file_that_is_replaced_while_it_is_sent_is_sent_as_it_was(change: str, download: Download) -> None:
    whole = await download.whole()
    await download.go(lambda: REPLACED[change](download.long))
    assert download.came == whole


async def test_a_range_that_ends_within_a_changed_file_breaks_off_too(download: Download) -> None:
    with pytest.raises(httpx.RemoteProtocolError):
        await download.go(lambda: IN_PLACE["content"](download.long), range=f"bytes={MIB}-{11 * MIB}")


async def test_a_range_of_whole_mebibytes_breaks_off_too(download: Download) -> None:
    """Its last byte fills a chunk."""
    with pytest.raises(httpx.RemoteProtocolError):
        await download.go(lambda: IN_PLACE["content"](download.long), range=f"bytes={MIB}-{11 * MIB - 1}")
