"""A socket shows the newest state of each export it follows, on any replica, whatever was missed in between."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import anyio
import anyio.lowlevel
import pytest
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import InvalidStatus

from tests.gateway.replicas import House, Replica, asked, ended, house, until
from tests.gateway.test_states import progress


@pytest.fixture
async def home(tmp_path: Path) -> AsyncIterator[House]:
    async with house(tmp_path) as found:
        yield found


async def test_from_asking_to_the_end_on_another_replica(home: House) -> None:
    one, other = await home.replica(), await home.replica()
    project = home.project()
    export_id = await asked(one, project)
    async with other.socket(export_id) as socket:
        assert (await socket.state())["state"] == "queued"
        await home.worker()
        end = await socket.state("completed")
    assert end["result"]["outcome"] == "complete"
    assert end["links"]["download"]


async def test_who_comes_after_the_end_is_told_of_it(home: House) -> None:
    one = await home.replica()
    await home.worker()
    export_id = await asked(one, home.project())
    await ended(one, export_id)
    fresh = await home.replica()
    async with fresh.socket(export_id) as socket:
        assert (await socket.state())["state"] == "completed"


async def test_an_end_that_no_replica_heard_comes_from_storage(home: House) -> None:
    """The gateway's connection is gone while the export ends."""
    one = await home.replica()
    export_id = await asked(one, home.project())
    async with one.socket(export_id) as socket:
        await one.gateway.stream.stop()
        await home.worker()
        assert (await socket.state("completed"))["percent"] == 100


async def test_an_unchanged_state_is_not_sent_again(home: House) -> None:
    one, other = await home.replica(), await home.replica()
    export_id = await asked(one, home.project())
    async with one.socket(export_id) as socket:
        at = (await socket.state())["position"]
    async with other.bare_socket() as socket:
        await socket.say(type="hello", exports=[{"id": export_id, "at": at}])
        assert (await socket.hear())["type"] == "welcome"
        assert await socket.hear() == {"type": "current", "export_id": export_id, "position": at}


async def test_what_is_not_there_is_missing_and_the_rest_goes_on(home: House) -> None:
    one = await home.replica()
    export_id = await asked(one, home.project())
    async with one.socket("nobodys", export_id) as socket:
        assert await socket.hear() == {"type": "missing", "export_id": "nobodys"}
        assert (await socket.state())["export_id"] == export_id


async def test_who_draws_slowly_is_sent_the_newest_state_only(home: House) -> None:
    one = await home.replica()
    export_id = await asked(one, home.project())
    async with one.socket(export_id, acks=True) as socket:
        await socket.state()
        for seq in range(1, 50):
            one.gateway.parts.relay.hear(progress(1, seq).model_copy(update={"export_id": export_id}), b"")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(socket.connection.recv(), 0.2)
        await socket.say(type="ack")
        assert (await socket.state())["seq"] == 49
    assert one.gateway.sockets.tally.conflated >= 47


async def test_an_end_waits_for_no_ack(home: House) -> None:
    one = await home.replica()
    await home.worker()
    export_id = await asked(one, home.project())
    async with one.socket(export_id, acks=True) as socket:
        assert (await socket.state("completed"))["percent"] == 100


async def test_a_replica_that_ends_says_goodbye_first(home: House) -> None:
    async with home.replica_for_a_while() as one, one.socket() as socket:
        one.stop.set()
        bye = await socket.hear()
        assert bye["type"] == "bye"
        assert 0 <= bye["reconnect_in_ms"] <= 1000
        assert await socket.closed() == 4000


async def test_heartbeats_say_that_events_do_not_come(home: House) -> None:
    one = await home.replica(socket_heartbeat_seconds=0.15)
    async with one.bare_socket() as socket:
        await socket.say(type="hello", exports=[])
        beat = await _beat(socket.connection)
        assert beat == '{"type":"heartbeat","stale_since":null}'
        one.gateway.parts.relay.connected(is_connected=False)
        assert 'stale_since":"20' in await _beat(socket.connection)


async def _beat(connection: ClientConnection) -> str:
    with anyio.fail_after(5):
        while True:
            frame = str(await connection.recv())
            if "heartbeat" in frame and '"welcome"' not in frame:
                return frame


# ---- those who do not mean well


@pytest.mark.parametrize(
    ("frame", "code"),
    [
        ("not json", 4509),
        ("[]", 4509),
        (b"\x00\x01", 4509),
        ('{"type":"subscribe","exports":[]}', 4508),
        ('{"type":"hello","exports":["../../etc"]}', 4509),
        ('{"type":"hello","exports":"e1"}', 4509),
        ('{"type":"hello","exports":[' + ",".join(['"e1"'] * 2000) + "]}", 4509),
        ("[" * 10_000, 4509),
        ("x" * 20_000, 1009),
    ],
)
async def test_who_speaks_wrongly_is_told_so_by_the_code(home: House, frame: str | bytes, code: int) -> None:
    one = await home.replica()
    async with one.bare_socket() as socket:
        await socket.connection.send(frame)
        assert await socket.closed() == code


async def test_who_says_nothing_is_not_waited_for(home: House) -> None:
    one = await home.replica(hello_seconds=0.1)
    async with one.bare_socket() as socket:
        assert await socket.closed() == 4508


async def test_who_floods_is_asked_to_come_back_later(home: House) -> None:
    one = await home.replica()
    async with one.socket() as socket:
        for _ in range(100):
            await socket.say(type="ping")
        assert await socket.closed() == 4029


async def test_more_exports_than_allowed_are_refused(home: House) -> None:
    one = await home.replica(exports_per_socket=2)
    ids = [await asked(one, home.project(name=f"p{number}")) for number in range(3)]
    async with one.socket(*ids[:2]) as socket:
        await socket.say(type="subscribe", exports=ids[2:])
        assert await socket.closed() == 4509


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://127.0.0.1"])
async def test_a_page_of_another_origin_gets_no_socket(home: House, origin: str) -> None:
    one = await home.replica()
    with pytest.raises(InvalidStatus) as refused:
        async with one.bare_socket(additional_headers={"Origin": origin}):
            pass
    assert refused.value.response.status_code == 403


async def test_the_gateways_own_page_gets_a_socket(home: House) -> None:
    one = await home.replica()
    async with one.bare_socket(additional_headers={"Origin": one.url}) as socket:
        await socket.say(type="hello", exports=[])
        assert (await socket.hear())["type"] == "welcome"


async def test_who_never_reads_keeps_nobody_waiting(home: House) -> None:
    one = await home.replica()
    export_id = await asked(one, home.project())
    async with one.socket(export_id) as sleeper, one.socket(export_id) as other:
        sleeper.connection.transport.pause_reading()
        await _tell(one, export_id, 20_000)
        while (await other.state())["seq"] != 20_000:
            pass
        sleeper.connection.transport.resume_reading()
        seen = [(await sleeper.state())["seq"]]
        while seen[-1] != 20_000:
            seen.append((await sleeper.state())["seq"])
    assert len(seen) < 15_000


async def _tell(replica: Replica, export_id: str, count: int) -> None:
    event = progress(1, 1)
    for seq in range(1, count + 1):
        replica.gateway.parts.relay.hear(event.model_copy(update={"export_id": export_id, "seq": seq}), b"")
        if seq % 20 == 0:
            await anyio.lowlevel.checkpoint()


async def test_sockets_leave_nothing_behind(home: House) -> None:
    one = await home.replica()
    export_id = await asked(one, home.project())
    for _ in range(20):
        async with one.socket(export_id):
            pass
    await until(lambda: one.gateway.sockets.open == 0)
    assert one.gateway.sockets.subjects == {}
