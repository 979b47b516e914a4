"""A message that is no good ends in one event, or is put aside with its reason; in few words, and the next is taken."""

import hashlib
import json
import logging
from collections.abc import Callable

import anyio
import pytest

from contracts.limits import MAX_MESSAGE_BYTES
from service.handlers import HANDED_ON_TIMES
from tests.broker.commands import Document, export_start
from tests.broker.listener import PROGRESS
from tests.worker.stand import Stand, only_embedded

pytestmark = only_embedded  # what a message is worth no broker decides; tests/broker sends its own to RabbitMQ

LOG_CHARACTERS = 2000

Bad = Callable[[Stand], bytes]


def message(stand: Stand, **changed: object) -> Document:
    document: Document = export_start("bad", stand.project(name="bad")) | changed
    return {key: value for key, value in document.items() if value is not None}


def written(document: Document) -> bytes:
    return json.dumps(document).encode()


def with_(**changed: object) -> Bad:
    return lambda stand: written(message(stand, **changed))


def referring_to(uri: str, sha256: str = "0" * 64) -> Bad:
    return with_(project=None, project_ref={"uri": uri, "sha256": sha256})


def with_uri(uri: str) -> Bad:
    def bad(stand: Stand) -> bytes:
        document = message(stand)
        document["project"]["sections"][0]["sentences"][0]["video"]["uri"] = uri
        return written(document)

    return bad


def a_reference_to_other_bytes(stand: Stand) -> bytes:
    (stand.media / "p.json").write_text(json.dumps(stand.project(name="referred")))
    return referring_to("asset:p.json", hashlib.sha256(b"what was meant").hexdigest())(stand)


def a_reference_to_no_project(stand: Stand) -> bytes:
    (stand.media / "p.json").write_bytes(b"[]")
    return referring_to("asset:p.json", hashlib.sha256(b"[]").hexdigest())(stand)


def too_many_bytes(stand: Stand) -> bytes:
    return written(message(stand, padding="x" * MAX_MESSAGE_BYTES))


FAILED: dict[str, tuple[Bad, str]] = {
    "cut off behind its id": (lambda stand: written(message(stand))[:200], "invalid_message"),
    "a wrong field": (with_(requested_at="soon"), "invalid_message"),
    "a list for options": (with_(options=[]), "invalid_message"),
    "a project and a reference": (with_(project_ref={"uri": "asset:p", "sha256": "0" * 64}), "invalid_message"),
    "neither project nor reference": (with_(project=None), "invalid_message"),
    "a reference to other bytes": (a_reference_to_other_bytes, "project_unavailable"),
    "a reference to nothing": (referring_to("asset:nothing.json"), "project_unavailable"),
    "a reference outside every root": (referring_to("file:///etc/passwd"), "reference_refused"),
    "a reference upwards": (referring_to("../exports/p.json"), "reference_refused"),
    "a reference to no project": (a_reference_to_no_project, "invalid_message"),
    "an asset outside every root": (with_uri("../../etc/passwd"), "reference_refused"),
    "an absolute asset outside every root": (with_uri("/etc/passwd"), "reference_refused"),
    "a NUL in an asset": (with_uri("bad/1.mp4\0.wav"), "invalid_message"),
    "a NUL in a project's id": (with_(project={"id": "a\0b", "sections": []}), "invalid_message"),
    "version 0": (with_(version=0), "invalid_message"),
    "version x": (with_(version="x"), "invalid_message"),
    "too many bytes": (too_many_bytes, "limit_exceeded"),
}


@pytest.mark.parametrize(("bad", "code"), FAILED.values(), ids=FAILED)
async def test_a_bad_message_with_a_new_id_fails_once_in_few_words(
    stand: Stand, bad: Bad, code: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with stand.working():
        await stand.rabbit.send("export.start", bad(stand))
        error = await stand.failed("bad")
        said = len(caplog.text)
        await stand.ask("good", stand.project(name="good"))
        await stand.ended("good")
        assert await stand.rabbit.taken("export.parked", 0) == []
    assert error["code"] == code
    assert not error["retryable"] or code == "project_unavailable"
    assert len([event for event in stand.listener.of("bad") if event.key != PROGRESS]) == 1
    assert said < LOG_CHARACTERS, caplog.text
    assert len(list(stand.exports.glob("export_*"))) == 1


PARKED: dict[str, Bad] = {
    "not JSON": lambda _: b"not JSON",
    "nothing": lambda _: b"",
    "cut off before its id": lambda stand: written({"project": {}, **message(stand)})[:20],
    "a NUL in its id": with_(export_id="a\0b"),
    "a path for its id": with_(export_id="../../etc"),
    "a number for its id": with_(export_id=7),
    "very deep": lambda _: b"[" * 200_000,
}


@pytest.mark.parametrize("bad", PARKED.values(), ids=PARKED)
async def test_a_message_without_a_readable_id_is_parked_whole_in_few_words(
    stand: Stand, bad: Bad, caplog: pytest.LogCaptureFixture
) -> None:
    body = bad(stand)
    async with stand.working():
        await stand.rabbit.send("export.start", body)
        [parked] = await stand.rabbit.taken("export.parked")
        said = len(caplog.text)
        await stand.ask("good", stand.project(name="good"))
        await stand.ended("good")
    assert parked.body == body
    assert parked.headers["x-reason"] == "invalid_message"
    assert 0 < len(str(parked.headers["x-detail"])) <= 1000
    assert {event.export_id for event in stand.listener.events} == {"good"}
    assert said < LOG_CHARACTERS, caplog.text


async def test_a_nul_in_a_title_is_no_reason_to_fail(stand: Stand) -> None:
    """What a creator typed or pasted: it goes into no name and no line of the script."""
    document = message(stand)
    document["project"]["sections"][0]["title"] = "One\0Two"
    async with stand.working():
        await stand.rabbit.send("export.start", document)
        end = await stand.ended("bad")
    assert b"\0" not in (stand.folder(end) / "script.txt").read_bytes()


async def test_a_message_of_a_newer_contract_is_handed_on_and_fails_when_nobody_takes_it(
    stand: Stand, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, logger="service.handlers")
    async with stand.working(unavailable_seconds=0.1):
        await stand.rabbit.send("export.start", with_(version=2)(stand))
        error = await stand.failed("bad")
        await stand.rabbit.until_depth("export.start", 0)
    assert error["code"] == "unsupported_version"
    assert "no other worker took it" in error["detail"]
    handed_back = [record for record in caplog.records if "is handed back" in record.message]
    assert len(handed_back) == HANDED_ON_TIMES + 1
    assert [record.levelname for record in handed_back].count("WARNING") == 1
    assert len(stand.terminals("bad")) == 1


async def test_a_project_that_one_worker_does_not_find_is_no_reason_to_fail(stand: Stand) -> None:
    """Its mount point may be empty: the export is made by whoever finds the file, or when it is there."""
    project = json.dumps(stand.project()).encode()
    refers = referring_to("asset:later.json", hashlib.sha256(project).hexdigest())(stand)
    async with stand.working(unavailable_seconds=10):
        await stand.rabbit.send("export.start", refers)
        await anyio.sleep(2)
        assert stand.terminals("bad") == []
        (stand.media / "later.json").write_bytes(project)
        await stand.ended("bad")


async def test_a_version_of_a_thousand_digits_is_in_no_log(stand: Stand, caplog: pytest.LogCaptureFixture) -> None:
    async with stand.working(unavailable_seconds=0.1):
        await stand.rabbit.send("export.start", with_(version=10**4000)(stand))
        assert (await stand.failed("bad"))["code"] == "unsupported_version"
    assert len(caplog.text) < LOG_CHARACTERS


async def test_headers_that_our_library_does_not_write_are_parked_as_text(stand: Stand) -> None:
    async with stand.working():
        await stand.rabbit.send(
            "export.start", b"not JSON", x_ratio=1.5, x_list=[1, {"a": None}], x_bytes=bytearray(b"a")
        )
        [parked] = await stand.rabbit.taken("export.parked")
    assert parked.headers["x-ratio"] == "1.5"
    assert parked.headers["x-list"] == "[1, {'a': None}]"
    assert "a" in str(parked.headers["x-bytes"])


async def test_an_id_that_is_too_long_for_a_property_does_not_keep_a_command_from_being_sent_anew(stand: Stand) -> None:
    async with stand.rabbit.spied("export.start") as spy:
        async with stand.working():
            command = export_start("e1", stand.project())
            await stand.rabbit.send("export.start", command, exchange="export.dead", ce_id="i" * 300)
            await stand.ended("e1")
        [anew] = await stand.rabbit.taken(spy)
    assert anew.message_id == "e1:export.start"
    assert anew.headers["ce-id"] == "i" * 300


async def test_a_newer_message_with_fields_that_nobody_knows_here_is_newer_and_not_bad(stand: Stand) -> None:
    async with stand.working(unavailable_seconds=0.1):
        await stand.rabbit.send("export.start", with_(version=2, requested_at={"clock": "atomic"})(stand))
        assert (await stand.failed("bad"))["code"] == "unsupported_version"
