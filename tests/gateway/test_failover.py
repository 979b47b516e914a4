"""Replicas behind a proxy without stickiness: whichever is killed, cut off or deaf, a client is told the truth."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import httpx
import pytest
from websockets.exceptions import WebSocketException

from tests.broker.commands import Document
from tests.broker.proxy import Proxy
from tests.gateway.proxy import Balancer
from tests.gateway.replicas import PATIENCE_SECONDS, House, Replica, Socket, asked, ended, house, until


@pytest.fixture
async def home(tmp_path: Path) -> AsyncIterator[House]:
    async with house(tmp_path) as found:
        yield found


def through(proxy: Proxy, replica: Replica) -> Replica:
    """The replica, as one reaches it on another way."""
    return Replica(replica.gateway, proxy.port, replica.http, replica.stop)


async def end_of(replica: Replica, export_id: str) -> Document:
    """As the page does: comes back with what it has seen until it has seen the end."""
    seen = ""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            try:
                async with replica.bare_socket() as socket:
                    await socket.say(type="hello", exports=[{"id": export_id, "at": seen}])
                    while True:
                        shown = await state(socket)
                        seen = shown["position"]
                        if shown["result"] is not None:
                            return shown
            except (WebSocketException, OSError, EOFError):
                await asyncio.sleep(0.02)


async def state(socket: Socket) -> Document:
    frame = await socket.hear()
    while frame["type"] != "state":
        frame = await socket.hear()
    export: Document = frame["export"]
    return export


async def test_whoever_is_cut_off_again_and_again_is_told_every_end(home: House) -> None:
    one, other = await home.replica(), await home.replica()
    await home.worker()
    async with Balancer(one.port, other.port) as balancer:
        for number in range(5):
            export_id = await asked(one, home.project(name=f"p{number}"))
            waiting = [asyncio.create_task(end_of(through(balancer, one), export_id)) for _ in range(5)]
            while not all(task.done() for task in waiting):
                balancer.reset()
                await asyncio.sleep(0.03)
            ends = [task.result() for task in waiting]
            assert {(end["state"], end["position"]) for end in ends} == {("completed", ends[0]["position"])}


async def test_a_replica_that_goes_is_followed_by_the_others(home: House) -> None:
    """The first goes while the export waits; what comes after it was never asked, and the client never knew it."""
    async with AsyncExitStack() as stack:
        mortal = await stack.enter_async_context(home.replica_for_a_while())
        other = await home.replica()
        balancer = await stack.enter_async_context(Balancer(mortal.port, other.port))
        export_id = await asked(mortal, home.project())
        waiting = [asyncio.create_task(end_of(through(balancer, other), export_id)) for _ in range(6)]
        await asyncio.sleep(0.1)
        mortal.stop.set()
        balancer.ports = [other.port]
        await home.worker()
        for task in waiting:
            assert (await task)["state"] == "completed"
        for task in waiting:
            assert task.exception() is None


async def test_half_open_sockets_hold_nobody_up_and_are_let_go(home: House) -> None:
    """The client's machine is gone, and no word of it comes."""
    replica = await home.replica()
    await home.worker()
    export_id = await asked(replica, home.project())
    async with Proxy(replica.port) as wire, replica.socket(export_id) as listener:
        deaf = through(wire, replica)
        async with AsyncExitStack() as stack:
            for _ in range(10):
                await stack.enter_async_context(deaf.socket(export_id))
            wire.hole(True)
            await listener.state("completed")
            assert replica.gateway.sockets.open == 11
            wire.reset()
            await until(lambda: replica.gateway.sockets.open == 1)
            wire.hole(False)


async def test_a_replica_that_no_event_reaches_tells_the_end_from_storage(home: House) -> None:
    """Its consumer is gone, with its queue; the worker's connection is well."""
    replica = await home.replica()
    await home.worker()
    export_id = await asked(replica, home.project())
    await ended(replica, export_id)
    deaf = await home.replica()
    second = await asked(replica, home.project(name="second"))
    async with deaf.socket(second) as socket:
        await socket.state()
        assert home.broker is not None
        home.broker.drop_connections()
        shown = await socket.state("completed")
    assert shown["result"]["outcome"] == "complete"


async def test_a_decided_export_is_publishing_until_its_folder_is_there(home: House) -> None:
    """Where the worker dies between both: no event was sent, and nothing is visible yet."""
    one, other = await home.replica(), await home.replica()
    await home.worker()
    export_id = await asked(one, home.project())
    shown = await ended(one, export_id)
    folder = home.exports / shown["result"]["folder"]["name"]
    fresh = await home.replica()
    attempt = max((home.exports / ".exports" / export_id).glob("a-*"), default=None)
    where = (attempt or home.exports / ".exports" / export_id / "a-000001") / "tree"
    where.parent.mkdir(parents=True, exist_ok=True)
    folder.rename(where)
    for replica in (fresh, await home.replica()):
        seen = (await replica.http.get(f"/api/v1/exports/{export_id}")).json()
        assert (seen["state"], seen["result"], seen["links"]["download"]) == ("publishing", None, None)
        answer = await replica.http.get(f"/api/v1/exports/{export_id}/download")
        assert answer.status_code == 409
    where.rename(folder)
    assert (await ended(other, export_id))["state"] == "completed"
    assert (await ended(fresh, export_id))["state"] == "completed"


async def test_no_replica_at_all_is_an_error_and_not_an_answer(home: House) -> None:
    replica = await home.replica()
    export_id = await asked(replica, home.project())
    async with Balancer() as balancer, httpx.AsyncClient() as client:
        balancer.ports = [1]
        with pytest.raises(httpx.TransportError):
            await client.get(f"http://127.0.0.1:{balancer.port}/api/v1/exports/{export_id}")
