"""The HTTP API as its callers see it: every call, whatever they ask, whichever replica answers."""

import asyncio
import json
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.exporting import INLINE_BYTES
from tests.broker.commands import Document
from tests.gateway.replicas import House, Replica, asked, ended, house, until
from tests.gateway.test_states import progress
from tests.gateway.tokens import SHARED, bearer, token
from tests.house.repository import ROOT

NOBODY_LISTENS = "amqp://guest:guest@127.0.0.1:1/"


@pytest.fixture
async def home(tmp_path: Path) -> AsyncIterator[House]:
    async with house(tmp_path) as found:
        yield found


def insist_on_problem(answer: httpx.Response, status: int, slug: str) -> Document:
    """Every error has the form of RFC 9457."""
    assert answer.status_code == status, answer.text[:1000]
    assert answer.headers["content-type"] == "application/problem+json"
    problem: Document = answer.json()
    assert problem["type"] == f"/problems/{slug}"
    assert problem["status"] == status
    assert problem["title"]
    assert problem["detail"].endswith((".", ")")) or problem.get("errors")
    assert problem["instance"] == answer.request.url.path
    return problem


# ---- to ask for an export


async def test_an_export_is_accepted_with_all_that_is_needed_to_follow_it(home: House) -> None:
    one, other = await home.replica(), await home.replica()
    project = home.project()
    answer = await one.http.post("/api/v1/projects/story/export", json={"project": project})
    assert answer.status_code == 202
    accepted = answer.json()
    assert accepted["job_id"] == accepted["export_id"]
    assert accepted["status"] == "queued"
    assert answer.headers["location"] == accepted["links"]["self"]
    assert int(answer.headers["retry-after"]) >= 1
    shown = (await other.http.get(accepted["links"]["self"])).json()
    assert (shown["state"], shown["percent"], shown["result"]) == ("queued", 0, None)
    async with other.socket(accepted["export_id"], ticket=accepted["ticket"]) as socket:
        assert (await socket.state())["export_id"] == accepted["export_id"]


async def test_one_key_is_one_export_on_every_replica(home: House) -> None:
    one, other = await home.replica(), await home.replica()
    project = home.project()
    ids = await asyncio.gather(*(asked(replica, project, "key") for replica in (one, other) * 5))
    assert len(set(ids)) == 1
    assert await asked(one, project, "another") not in ids
    fresh = await home.replica()
    assert await asked(fresh, project, "key") == ids[0]
    body = {"project": project, "options": {"archive": "zip"}}
    answer = await other.http.post("/api/v1/projects/story/export", json=body, headers={"idempotency-key": "key"})
    insist_on_problem(answer, 422, "idempotency-key-reused")
    await home.worker()
    await ended(one, ids[0])
    history = (await other.http.get("/api/v1/projects/story/exports")).json()["exports"]
    assert [shown["export_id"] for shown in history].count(ids[0]) == 1


async def test_one_key_is_one_export_also_when_the_project_was_changed_since(home: House, tmp_path: Path) -> None:
    replica = await home.replica(project_directory=tmp_path / "projects")
    project = home.project()
    place = tmp_path / "projects/story/project.json"
    place.parent.mkdir(parents=True)
    place.write_text(json.dumps(project))
    ask: dict[str, Any] = {"json": {}, "headers": {"idempotency-key": "key"}}
    first = (await replica.http.post("/api/v1/projects/story/export", **ask)).json()
    place.write_text(json.dumps({**project, "name": "Another name"}))
    again = (await replica.http.post("/api/v1/projects/story/export", **ask)).json()
    assert again["export_id"] == first["export_id"]
    shown = (await replica.http.get(first["links"]["self"])).json()
    assert shown["project_name"] == "Story"


async def test_without_a_broker_nothing_is_begun_unless_a_key_says_which(home: House) -> None:
    async with home.replica_for_a_while(broker_url=NOBODY_LISTENS, confirm_seconds=0.3) as lonely:
        project = home.project()
        body = {"project": project}
        answer = await lonely.http.post("/api/v1/projects/story/export", json=body)
        assert "Nothing was begun" in insist_on_problem(answer, 503, "broker-unavailable")["detail"]
        assert int(answer.headers["retry-after"]) >= 1
        keyed = await lonely.http.post("/api/v1/projects/story/export", json=body, headers={"idempotency-key": "key"})
        assert "same Idempotency-Key" in insist_on_problem(keyed, 503, "broker-unavailable")["detail"]
        ready = await lonely.http.get("/readyz")
        assert (ready.status_code, ready.json()["degraded"]) == (200, ["no connection to the broker"])
    one = await home.replica()
    await home.worker()
    export_id = await asked(one, project, "key")
    assert (await ended(one, export_id))["state"] == "completed"
    states = [shown["state"] for shown in (await one.http.get("/api/v1/projects/story/exports")).json()["exports"]]
    assert sorted(states) in (["cancelled", "completed"], ["cancelling", "completed"])


async def test_a_project_too_large_for_a_message_is_exported_by_reference(home: House) -> None:
    replica = await home.replica()
    project = home.project()
    project["sections"][0]["sentences"][0]["text"] = "A word after another. " * 2000
    project["sections"] += [{"title": "x" * 200, "sentences": [{"text": "y" * 4000}]} for _ in range(80)]
    export_id = await asked(replica, project)
    command = replica.gateway.parts.ledger.command_as_sent(export_id)
    assert command is not None
    assert len(json.dumps(project)) > INLINE_BYTES
    assert command.project is None
    await home.worker()
    assert (await ended(replica, export_id))["result"]["counts"]["image"]["exported"] == 2


async def test_a_project_comes_from_another_service_with_the_callers_token(home: House) -> None:
    heard: list[bytes] = []
    project = home.project()
    answers = {"story": (200, json.dumps(project).encode()), "broken": (200, b"{"), "away": (500, b"")}

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = await reader.readuntil(b"\r\n\r\n")
        heard.append(request)
        status, body = answers.get(request.split()[1].decode().rpartition("/")[2], (404, b""))
        writer.write(b"HTTP/1.1 %d X\r\ncontent-length: %d\r\nconnection: close\r\n\r\n%b" % (status, len(body), body))
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        replica = await home.replica(project_url=f"http://127.0.0.1:{port}/projects")
        ask: dict[str, Any] = {"json": {}, "headers": {"authorization": "Bearer of-ada"}}
        answer = await replica.http.post("/api/v1/projects/story/export/plan", **ask)
        assert answer.json()["project"] == {"id": "story", "name": "Story"}
        assert b"Bearer of-ada" in heard[0]
        for name, status, slug in (
            ("broken", 422, "bad-project"),
            ("away", 503, "project-unavailable"),
            ("missing", 404, "project-not-found"),
        ):
            answer = await replica.http.post(f"/api/v1/projects/{name}/export", **ask)
            assert str(port) not in json.dumps(insist_on_problem(answer, status, slug))


async def test_a_plan_says_what_an_export_would_hold_and_changes_nothing(home: House) -> None:
    replica = await home.replica()
    project = home.project()
    (home.media / project["sections"][0]["sentences"][1]["image"]["uri"]).unlink()
    answer = await replica.http.post("/api/v1/projects/story/export/plan", json={"project": project})
    plan = answer.json()
    assert plan["outcome"] == "partial"
    assert plan["counts"]["image"] == {"exported": 1, "omitted": 1, "size_bytes": 20_000}
    assert [omitted["reason"] for omitted in plan["omissions"]] == ["missing"]
    assert plan["tree_total"] == 5
    assert plan["archive_size_bytes"] > 5 * 20_000
    assert {"script.txt", "timeline.otio", "captions.srt", "index.html", "manifest.json"} < set(plan["texts"])
    assert [entry.name for entry in home.exports.iterdir()] == [".exports"]
    nothing = {**project, "sections": []}
    assert (await replica.http.post("/api/v1/projects/story/export/plan", json={"project": nothing})).status_code < 500


# ---- to look


async def test_an_unchanged_state_is_304_and_a_change_is_waited_for(home: House) -> None:
    one, other = await home.replica(), await home.replica()
    export_id = await asked(one, home.project())
    path = f"/api/v1/exports/{export_id}"
    first = await other.http.get(path)
    known = {"if-none-match": first.headers["etag"]}
    assert (await one.http.get(path, headers=known)).status_code == 304
    waiting = asyncio.create_task(other.http.get(path, headers={**known, "prefer": "wait=9"}))
    await asyncio.sleep(0.2)
    event = progress(1, 1, percent=10).model_copy(update={"export_id": export_id})
    other.gateway.parts.relay.hear(event, b"")
    changed = await waiting
    assert (changed.status_code, changed.json()["percent"]) == (200, 10)
    assert changed.headers["preference-applied"] == "wait=9"
    unchanged = await other.http.get(path, headers={"if-none-match": changed.headers["etag"], "prefer": "wait=1"})
    assert unchanged.status_code == 304


async def test_history_goes_on_at_another_replica(home: House) -> None:
    one, other = await home.replica(), await home.replica()
    project = home.project()
    ids = [await asked(one, project) for _ in range(5)]
    found, path, following = [], "/api/v1/projects/story/exports?limit=2", "?"
    for replica in (one, other, one):
        answer = await replica.http.get(path)
        found += [shown["export_id"] for shown in answer.json()["exports"]]
        following = answer.json()["next"]
        if "link" in answer.headers:
            path = answer.headers["link"].partition("<")[2].partition(">")[0]
    assert sorted(found) == sorted(ids)
    assert following is None


async def test_events_come_until_the_end(home: House) -> None:
    one, other = await home.replica(), await home.replica()
    export_id = await asked(one, home.project())
    path, states, last = f"/api/v1/exports/{export_id}/events", [], ""
    async with other.http.stream("GET", path) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        await home.worker()
        async for line in answer.aiter_lines():
            if line.startswith("data: "):
                states.append(json.loads(line[6:])["state"])
            elif line.startswith("id: "):
                last = line[4:]
    assert (states[0], states[-1]) == ("queued", "completed")
    assert (await one.http.get(path, headers={"last-event-id": last})).status_code == 204
    assert "completed" in (await one.http.get(path, headers={"last-event-id": "earlier"})).text


async def test_the_manifest_is_the_one_in_the_folder(home: House) -> None:
    one, other = await home.replica(), await home.replica()
    await home.worker()
    export_id = await asked(one, home.project())
    end = await ended(one, export_id)
    answer = await other.http.get(end["links"]["manifest"])
    assert answer.content == (home.exports / end["result"]["folder"]["name"] / "manifest.json").read_bytes()
    known = {"if-none-match": answer.headers["etag"]}
    assert (await one.http.get(end["links"]["manifest"], headers=known)).status_code == 304
    plan = (await other.http.get(end["links"]["plan"])).json()
    assert plan["folder"] == end["result"]["folder"]["name"]
    assert plan["tree_total"] == 6


# ---- to stop, and to remove


async def test_a_cancel_is_kept_and_may_be_repeated_until_the_end(home: House) -> None:
    one, other = await home.replica(), await home.replica()
    export_id = await asked(one, home.project())
    path = f"/api/v1/exports/{export_id}"
    for replica in (one, other, other):
        answer = await replica.http.post(f"{path}/cancel")
        assert (answer.status_code, answer.json()["state"]) == (202, "cancelling")
    await home.worker()
    assert (await ended(other, export_id))["state"] == "cancelled"
    insist_on_problem(await one.http.post(f"{path}/cancel"), 409, "export-over")
    insist_on_problem(await one.http.get(f"{path}/download"), 404, "export-without-files")


async def test_what_is_deleted_is_gone_and_says_so(home: House) -> None:
    one, other = await home.replica(), await home.replica()
    await home.worker()
    export_id = await asked(one, home.project())
    end = await ended(one, export_id)
    path = f"/api/v1/exports/{export_id}"
    assert (await one.http.delete(path)).status_code == 204
    for replica in (one, other):
        for place in ("/download", "/manifest", "/plan"):
            insist_on_problem(await replica.http.get(path + place), 410, "export-deleted")
    await until(lambda: not (home.exports / end["result"]["folder"]["name"]).exists())
    fresh = await home.replica()
    assert (await fresh.http.get(path)).json()["state"] == "deleted"


async def test_an_unfinished_export_that_is_deleted_is_stopped(home: House) -> None:
    one = await home.replica()
    export_id = await asked(one, home.project())
    insist_on_problem(await one.http.get(f"/api/v1/exports/{export_id}/download"), 409, "export-unfinished")
    assert (await one.http.delete(f"/api/v1/exports/{export_id}")).status_code == 202
    await home.worker()
    assert (await ended(one, export_id))["state"] in {"cancelled", "deleted"}


# ---- what is asked wrongly

BIG = b'{"options": {}, "x": "' + b"x" * 2000 + b'"}'
WRONG: list[tuple[str, str, dict[str, Any], int, str]] = [
    ("GET", "/nowhere", {}, 404, "not-found"),
    ("GET", "/api/v1/exports/unknown", {}, 404, "export-not-found"),
    ("GET", "/api/v1/exports/..%2F..%2Fetc", {}, 404, "not-found"),
    ("GET", f"/api/v1/exports/{'x' * 500}", {}, 404, "export-not-found"),
    ("PUT", "/api/v1/exports/unknown", {}, 405, "method-not-allowed"),
    ("POST", "/api/v1/projects/..%2Fx/export", {"json": {}}, 404, "not-found"),
    ("POST", "/api/v1/projects/nobodys/export", {"json": {}}, 404, "project-not-found"),
    ("POST", "/api/v1/projects/story/export", {"content": BIG}, 413, "body-too-large"),
    ("POST", "/api/v1/projects/story/export", {"content": iter([b"x"] * 2000)}, 413, "body-too-large"),
    ("POST", "/api/v1/projects/story/export", {"content": b"<a/>", "headers": {"content-type": "text/xml"}}, 415,
     "unsupported-media-type"),
    ("POST", "/api/v1/projects/story/export", {"content": b"{"}, 400, "not-json"),
    ("POST", "/api/v1/projects/story/export", {"content": b"[" * 900}, 400, "not-json"),
    ("POST", "/api/v1/projects/story/export", {"json": {"optoins": {}}}, 422, "invalid-request"),
    ("POST", "/api/v1/projects/story/export", {"json": {"options": {"archive": "rar"}}}, 422, "invalid-request"),
    ("POST", "/api/v1/projects/story/export", {"json": {"options": {"since": "e-0"}}}, 422, "invalid-request"),
    ("GET", "/api/v1/exports/unknown/download?which=half", {}, 422, "invalid-request"),
    ("POST", "/api/v1/projects/story/export", {"json": {"project": {"id": "x", "name": "X", "sections": []}}}, 422,
     "other-project"),
    ("POST", "/api/v1/projects/story/export", {"json": {}, "headers": {"idempotency-key": "k" * 300}}, 422,
     "invalid-request"),
    ("GET", "/api/v1/projects/story/exports?limit=0", {}, 422, "invalid-request"),
    ("GET", "/api/v1/projects/story/exports?cursor=%C3%A9", {}, 400, "bad-cursor"),
    ("GET", "/api/v1/exports/unknown/thumbnails/one", {}, 422, "invalid-request"),
]  # fmt: skip


@pytest.fixture
async def small(home: House, tmp_path: Path) -> Replica:
    """A replica that takes little, with a project of its own."""
    (tmp_path / "projects/story").mkdir(parents=True)
    (tmp_path / "projects/story/project.json").write_text(json.dumps(home.project()))
    return await home.replica(project_directory=tmp_path / "projects", body_bytes=1024)


async def test_every_error_is_a_problem_that_names_what_was_wrong(small: Replica) -> None:
    for method, path, more, status, slug in WRONG:
        answer = await small.http.request(method, path, **_asked(more))
        try:
            insist_on_problem(answer, status, slug)
        except AssertionError as fault:
            raise AssertionError(f"{method} {path} {str(more)[:80]}: {fault}") from None
        if status == 405:
            assert answer.headers["allow"]


def _asked(more: dict[str, Any]) -> dict[str, Any]:
    if "content" not in more:
        return more
    content = more["content"]
    body = content if isinstance(content, bytes) else _streamed(content)
    return {"headers": {"content-type": "application/json"}, **more, "content": body}


async def _streamed(pieces: Any) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece


async def test_who_asks_too_often_is_told_when_to_come_back(home: House) -> None:
    replica = await home.replica(requests_per_minute=3)
    answers = [await replica.http.get("/api/v1/exports/unknown") for _ in range(4)]
    assert [answer.status_code for answer in answers] == [404, 404, 404, 429]
    assert int(answers[-1].headers["retry-after"]) >= 1
    insist_on_problem(answers[-1], 429, "too-many-requests")
    assert answers[0].headers["ratelimit-policy"] == '"requests";q=3;w=60'
    assert (await replica.http.get("/livez")).status_code == 200


async def test_exports_in_flight_are_counted_over_all_replicas(home: House) -> None:
    one, other = await home.replica(exports_in_flight=2), await home.replica(exports_in_flight=2)
    project = home.project()
    first = await asked(one, project)
    await asked(other, project, "kept")
    answer = await one.http.post("/api/v1/projects/story/export", json={"project": project})
    insist_on_problem(answer, 429, "too-many-exports")
    await asked(one, project, "kept")  # a repeat is no further one
    await home.worker()
    await ended(one, first)
    await until(lambda: not one.gateway.parts.records.unfinished())
    await asked(one, project)


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://127.0.0.1.evil.example"])
async def test_a_page_of_another_origin_changes_nothing(small: Replica, origin: str) -> None:
    answer = await small.http.post("/api/v1/projects/story/export", json={}, headers={"origin": origin})
    insist_on_problem(answer, 403, "origin-refused")


async def test_a_page_of_an_allowed_origin_may(home: House) -> None:
    replica = await home.replica(allowed_origins=("https://studio.example",))
    headers = {"origin": "https://studio.example"}
    answer = await replica.http.get("/api/v1/exports/unknown", headers=headers)
    assert answer.headers["access-control-allow-origin"] == "https://studio.example"
    asking = {**headers, "access-control-request-method": "POST", "access-control-request-headers": "idempotency-key"}
    preflight = await replica.http.options("/api/v1/projects/story/export", headers=asking)
    assert preflight.status_code == 200
    evil = {**asking, "origin": "https://evil.example"}
    assert (await replica.http.options("/api/v1/projects/story/export", headers=evil)).status_code == 400


async def test_without_tokens_only_names_of_this_machine_are_answered(small: Replica) -> None:
    answer = await small.http.get("/api/v1/projects/story/exports", headers={"host": "evil.example"})
    insist_on_problem(answer, 403, "origin-refused")
    assert (await small.http.get("/", headers={"host": f"localhost:{small.port}"})).status_code == 200


async def test_who_asks_for_a_stream_and_goes_at_once_has_none_open(home: House) -> None:
    replica = await home.replica(sockets_per_subject=5)
    export_id = await asked(replica, home.project())
    path = f"/api/v1/exports/{export_id}/events"
    for _ in range(40):
        _, writer = await asyncio.open_connection("127.0.0.1", replica.port)
        writer.write(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
        await asyncio.sleep(0.001)
        writer.transport.abort()
    await asyncio.sleep(0.2)
    async with AsyncExitStack() as stack:
        for _ in range(5):
            answer = await stack.enter_async_context(replica.http.stream("GET", path))
            assert answer.status_code == 200
        insist_on_problem(await replica.http.get(path), 429, "too-many-requests")


# ---- for operators


async def test_operators_see_how_it_is(home: House) -> None:
    replica = await home.replica()
    await asked(replica, home.project())
    assert (await replica.http.get("/livez")).json() == {"status": "alive"}
    assert (await replica.http.get("/readyz")).json() == {"status": "ready", "degraded": []}
    said = (await replica.http.get("/metrics")).text
    assert 'route="/api/v1/projects/{project_id}/export"' in said or "/api/v1/projects/{project_id}/export" in said
    home.exports.rename(home.exports.with_name("away"))
    assert (await replica.http.get("/readyz")).status_code == 503
    answer = await replica.http.get("/api/v1/projects/story/exports")
    assert str(home.exports) not in answer.text
    home.exports.with_name("away").rename(home.exports)
    assert (await replica.http.get("/readyz")).status_code == 200
    replica.stop.set()
    await until(lambda: replica.gateway.parts.is_draining)


def test_the_committed_document_is_the_one_that_is_served() -> None:
    made = subprocess.run([sys.executable, "-m", "gateway.openapi"], capture_output=True, check=True, cwd=ROOT)
    assert made.stdout == (ROOT / "contracts/openapi.json").read_bytes(), "make contracts"
    assert json.loads(made.stdout)["openapi"].startswith("3.1")


@pytest.mark.slow
@pytest.mark.parametrize("known", [False, True])
async def test_a_fuzzer_finds_no_answer_that_the_document_does_not_know(home: House, known: bool) -> None:
    """With ids of its own making, and with those of an export that is there."""
    replica = await home.replica(**SHARED, requests_per_minute=1_000_000, exports_per_minute=1_000_000)
    await home.worker()
    replica.http.headers.update(bearer(token()))
    export_id = await asked(replica, home.project())
    await ended(replica, export_id)
    work = home.media.parent / "fuzzer"
    work.mkdir()
    ids = f"export_id = {export_id!r}\nproject_id = 'story'\n" if known else ""
    # A project whose files are all absent is trouble: 503, with Retry-After.
    expected = "[checks.not_a_server_error]\nexpected-statuses = ['2xx', '4xx', 503]\n"
    (work / "schemathesis.toml").write_text(f"[parameters]\n{ids}[warnings]\nenabled = false\n{expected}")
    words = ["run", f"{replica.url}/openapi.json", "--max-examples=15", "--seed=7", "--no-color", "--workers=1",
             "--phases=examples,coverage,fuzzing", "--request-timeout=10", f"--header=Authorization: Bearer {token()}",
             "--exclude-checks=positive_data_acceptance", "--generation-database=none",
             *(["--exclude-method=DELETE"] if known else [])]  # fmt: skip
    child = await asyncio.create_subprocess_exec(
        Path(sys.prefix) / "bin/st", *words, cwd=work, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    said, _ = await child.communicate()
    shutil.rmtree(work)
    assert child.returncode == 0, said.decode()[-6000:]
    assert b"Tested: 1" in said
