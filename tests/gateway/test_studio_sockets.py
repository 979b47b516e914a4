"""The studio's own dialect at /ws, over two replicas: its page works as it is."""

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from websockets.exceptions import InvalidStatus

from tests.broker.commands import Document
from tests.gateway.replicas import House, Replica, Socket, asked, ended, house
from tests.gateway.tokens import SHARED, bearer, token


@pytest.fixture
async def home(tmp_path: Path) -> AsyncIterator[House]:
    async with house(tmp_path) as found:
        yield found


@pytest.fixture
async def pair(home: House) -> tuple[Replica, Replica]:
    return await home.replica(), await home.replica()


async def until(socket: Socket, kind: str) -> Document:
    """The first frame of this type; those before it are kept in `heard`."""
    while (frame := await socket.hear())["type"] != kind:
        pass
    return frame


async def test_a_page_is_told_of_an_export_from_the_beginning_to_the_end(
    home: House, pair: tuple[Replica, Replica]
) -> None:
    one, other = pair
    async with other.bare_socket("/ws") as socket:
        assert (await socket.hear())["clientId"]
        await socket.say(type="subscribe", projectId="story")
        assert await socket.hear() == {"type": "subscribed", "projectId": "story"}
        export_id = await asked(one, home.project())
        await home.worker()
        end = await until(socket, "job_complete")
        told = [frame for frame in socket.heard if frame["type"] == "progress"]
    about = {"projectId": "story", "jobId": export_id, "jobType": "export"}
    assert all(about.items() <= frame.items() for frame in (*told, end))
    assert [frame["progress"] for frame in told] == sorted(frame["progress"] for frame in told)
    assert all(0 <= frame["progress"] <= 100 and 1 <= frame["currentStep"] <= frame["totalSteps"] for frame in told)
    assert (await one.http.get(end["result"]["downloadUrl"])).status_code == 200


async def test_who_comes_late_is_told_where_it_is(home: House, pair: tuple[Replica, Replica]) -> None:
    one, other = pair
    export_id = await asked(one, home.project())
    async with other.bare_socket("/ws") as socket:
        await socket.say(type="subscribe", projectId="story")
        assert (await until(socket, "progress"))["jobId"] == export_id
        await home.worker()
        await until(socket, "job_complete")
    async with one.bare_socket("/ws") as socket:
        await socket.say(type="subscribe", projectId="story")
        assert (await until(socket, "job_complete"))["jobId"] == export_id


async def test_a_failure_is_told_in_words(home: House, pair: tuple[Replica, Replica]) -> None:
    one, other = pair
    project = home.project()
    (home.media / "story/1.wav").unlink()
    async with other.bare_socket("/ws") as socket:
        await socket.say(type="subscribe", projectId="story")
        await asked(one, project, on_missing="fail")
        await home.worker()
        error = (await until(socket, "job_failed"))["error"]
    assert "1.wav" in error or "missing" in error


async def test_only_what_is_subscribed_is_told(home: House, pair: tuple[Replica, Replica]) -> None:
    one, other = pair
    await home.worker()
    async with other.bare_socket("/ws") as socket:
        await socket.say(type="subscribe", projectId="story")
        await socket.say(type="subscribe", projectId="story")
        await socket.say(type="subscribe", projectId="another")
        await socket.say(type="unsubscribe", projectId="another")
        assert (await until(socket, "unsubscribed"))["projectId"] == "another"
        await ended(one, await asked(one, home.project(name="another")))
        await ended(one, await asked(one, home.project()))
        await until(socket, "job_complete")
        told = [frame for frame in socket.heard if "jobId" in frame]
    assert {frame["projectId"] for frame in told} == {"story"}
    assert [frame["type"] for frame in told].count("job_complete") == 1


@pytest.mark.parametrize(
    ("frame", "code"),
    [
        ("no json", "INVALID_MESSAGE"),
        ("[]", "INVALID_MESSAGE"),
        (json.dumps({"type": "dance"}), "UNKNOWN_MESSAGE_TYPE"),
        (json.dumps({"type": "subscribe"}), "INVALID_PROJECT_ID"),
        (json.dumps({"type": "subscribe", "projectId": ""}), "INVALID_PROJECT_ID"),
        (json.dumps({"type": "subscribe", "projectId": 7}), "INVALID_PROJECT_ID"),
        (json.dumps({"type": "subscribe", "projectId": "p" * 51}), "INVALID_PROJECT_ID"),
    ],
)
async def test_what_is_wrong_is_told_and_the_socket_stays(home: House, frame: str, code: str) -> None:
    replica = await home.replica()
    async with replica.bare_socket("/ws") as socket:
        await until(socket, "connected")
        await socket.connection.send(frame)
        assert (await socket.hear())["code"] == code
        await socket.say(type="subscribe", projectId="story")
        assert (await socket.hear())["type"] == "subscribed"


async def test_what_is_not_yours_is_not_told(home: House) -> None:
    replica = await home.replica(**SHARED)
    with pytest.raises(InvalidStatus, match="403"):
        async with replica.bare_socket("/ws"):
            pass
    headers = bearer(token(projects=["mine"]))
    async with replica.bare_socket("/ws", additional_headers=headers) as socket:
        await socket.say(type="subscribe", projectId="story")
        assert (await until(socket, "error"))["code"] == "INVALID_PROJECT_ID"
        await socket.say(type="subscribe", projectId="mine")
        assert (await socket.hear())["type"] == "subscribed"


async def test_a_replica_that_ends_closes_with_the_code_of_a_restart(home: House) -> None:
    async with home.replica_for_a_while() as replica, replica.bare_socket("/ws") as socket:
        await until(socket, "connected")
        replica.stop.set()
        assert await socket.closed() == 1012
