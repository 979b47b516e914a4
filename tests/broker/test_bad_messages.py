"""Whatever is put into the queue: it ends in one event or is parked with its reason, and the next export is made."""

import hashlib
import json
from collections.abc import Callable
from typing import Any

import aiormq
import pytest
from pamqp import encode
from pamqp.commands import Basic

from tests.broker.commands import Document, export_start, start
from tests.broker.stage import Stage

pytestmark = pytest.mark.slow

LOG_CHARACTERS = 4000
"""Per message; an export that ends well says a few lines, too."""

Bad = Callable[[Stage], bytes]


def message(stage: Stage, **changed: object) -> Document:
    document: Document = export_start("bad", stage.project(name="bad")) | changed
    return {key: value for key, value in document.items() if value is not None}


def written(document: Document) -> bytes:
    return json.dumps(document).encode()


# ---- what speaks for its id


def a_wrong_field(stage: Stage) -> bytes:
    return written(message(stage, requested_at="soon"))


def both_a_project_and_a_reference(stage: Stage) -> bytes:
    return written(message(stage, project_ref={"uri": "asset:p.json", "sha256": "0" * 64}))


def neither_a_project_nor_a_reference(stage: Stage) -> bytes:
    return written(message(stage, project=None))


def another_project_behind_the_reference(stage: Stage) -> bytes:
    (stage.media / "p.json").write_text(json.dumps(stage.project(name="referred")))
    sha256 = hashlib.sha256(b"what was meant").hexdigest()
    return written(message(stage, project=None, project_ref={"uri": "asset:p.json", "sha256": sha256}))


def with_uri(stage: Stage, uri: str) -> bytes:
    document = message(stage)
    document["project"]["sections"][0]["sentences"][0]["video"]["uri"] = uri
    return written(document)


def a_file_outside_every_root(stage: Stage) -> bytes:
    return with_uri(stage, "../../etc/passwd")


def an_absolute_file_outside_every_root(stage: Stage) -> bytes:
    return with_uri(stage, "file:///etc/passwd")


def a_nul_in_a_reference(stage: Stage) -> bytes:
    return with_uri(stage, "story/1.wav\x00.mp4")


def a_million_sentences(stage: Stage) -> bytes:
    head, tail = written(message(stage, project={"id": "p", "sections": [{"sentences": ["HERE"]}]})).split(b'"HERE"')
    return head + b",".join([b"{}"] * 1_000_000) + tail


def a_million_wrong_sentences(stage: Stage) -> bytes:
    return a_million_sentences(stage).replace(b"{}", b"7")


def twenty_megabytes(stage: Stage) -> bytes:
    return written(message(stage, padding="x" * 20_000_000))


DECIDED: list[tuple[Bad, set[str]]] = [
    (a_wrong_field, {"invalid_message"}),
    (both_a_project_and_a_reference, {"invalid_message"}),
    (neither_a_project_nor_a_reference, {"invalid_message"}),
    (another_project_behind_the_reference, {"project_unavailable"}),
    (a_file_outside_every_root, {"reference_refused"}),
    (an_absolute_file_outside_every_root, {"reference_refused"}),
    (a_nul_in_a_reference, {"invalid_message"}),
    (a_million_sentences, {"limit_exceeded"}),
    (a_million_wrong_sentences, {"limit_exceeded", "invalid_message"}),
    (twenty_megabytes, {"limit_exceeded"}),
]


@pytest.mark.parametrize(("bad", "codes"), DECIDED, ids=lambda value: getattr(value, "__name__", ""))
async def test_a_bad_message_with_a_new_id_fails_once(stage: Stage, bad: Bad, codes: set[str]) -> None:
    [worker] = await stage.workers.ready()
    await start(stage.node, bad(stage))
    end = await stage.listener.terminal("bad")
    assert end.key == "export.failed"
    assert end.document["error"]["code"] in codes
    assert not end.document["error"]["retryable"] or "project_unavailable" in codes
    assert len(end.body) < 4000
    await stage.ended(await stage.ask("good", stage.project()))
    assert await stage.judged(message_of_nothing()) == []
    assert len(stage.terminals("bad")) == 1
    assert len(worker.said) < LOG_CHARACTERS


def message_of_nothing() -> Document:
    """For the judge: of a failed export nothing may be seen, whatever it asked for."""
    return {"export_id": "bad"}


# ---- what speaks for nobody


NAMELESS = {
    "not JSON": b"not JSON",
    "nothing": b"",
    "zeros": b"\x00" * 1000,
    "no UTF-8": b'{"export_id": "\xff\xfe"}',
    "a list": b"[1, 2, 3]",
    "no id": b'{"version": 1}',
    "an id that is a path": b'{"export_id": "../../etc", "requested_at": "2026-11-23T18:42:20Z"}',
    "very deep": b"[" * 200_000,
}


@pytest.mark.parametrize("body", NAMELESS.values(), ids=NAMELESS)
async def test_a_message_without_a_readable_id_is_parked_whole(stage: Stage, body: bytes) -> None:
    [worker] = await stage.workers.ready()
    await start(stage.node, body)
    [(parked, headers)] = await stage.parked()
    assert parked == body
    assert headers["x-reason"] == "invalid_message"
    assert 0 < len(headers["x-detail"]) <= 1000
    await stage.ended(await stage.ask("good", stage.project()))
    assert len(worker.said) < LOG_CHARACTERS


async def test_a_bad_message_under_the_id_of_an_export_does_it_no_harm(stage: Stage) -> None:
    await stage.workers.ready()
    good = await stage.ask("bad", stage.project())
    await stage.ended(good)
    await start(stage.node, a_wrong_field(stage))
    [(_, headers)] = await stage.parked()
    assert headers["x-reason"] == "invalid_message"
    await stage.ended(good)


# ---- what no reader understands beside a body


class Octets(str):
    """A text that is written in another encoding."""

    __slots__ = ()

    def encode(self, *_: object) -> bytes:
        return b"\xe9\xff"


UNREADABLE: dict[str, dict[str, Any]] = {
    "a time in nanoseconds": {"timestamp": 1_764_000_000_000_000_000},
    "a time after all times": {"timestamp": 2**64 - 1},
    "Latin-1 in its id": {"message_id": Octets("é")},
    "Latin-1 in its type": {"content_type": Octets("é")},
    "Latin-1 in the name of a header": {"headers": {Octets("é"): 1}},
}


@pytest.mark.parametrize("properties", UNREADABLE.values(), ids=UNREADABLE)
async def test_properties_that_no_reader_understands_end_no_connection(
    stage: Stage, properties: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each would end the connection of every worker in turn, with the exports' deliveries that hang on it."""
    monkeypatch.setitem(encode.METHODS, "timestamp", lambda number: number.to_bytes(8, "big"))
    [worker] = await stage.workers.ready()
    good = message(stage)
    connection = await aiormq.connect(stage.node.url())
    async with connection:
        channel = await connection.channel()
        beside = Basic.Properties(delivery_mode=2, **properties)
        await channel.basic_publish(
            written(good), exchange="export.events", routing_key="export.start", properties=beside
        )
        await stage.ended(good)
    assert "connection" not in worker.said


# ---- what somebody newer may read


async def test_a_message_of_a_newer_contract_waits_for_a_newer_worker(stage: Stage) -> None:
    await stage.workers.ready()
    await start(stage.node, written(message(stage, version=2)))
    good = await stage.ask("good", stage.project())
    assert (await stage.listener.terminal("good")).key == "export.completed"
    assert await stage.judged(good) == ["1 message(s) left in export.start (unacknowledged)"]
    assert not stage.terminals("bad")
