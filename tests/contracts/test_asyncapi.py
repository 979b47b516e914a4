"""contracts/asyncapi.yaml says what the worker does, in the words of the contract, and as the specification asks."""

import copy
import os
import shutil
import subprocess
from dataclasses import replace
from functools import reduce
from operator import getitem
from pathlib import Path
from typing import Any

import pytest
import yaml
from faststream.rabbit import ExchangeType, RabbitBroker, RabbitExchange, RabbitQueue
from jsonschema import Draft7Validator, FormatChecker

import contracts
from contracts import MESSAGES, topology
from contracts.messages import Message
from service import asyncapi
from service.asyncapi import Drift, as_yaml, document, of_the_worker
from tests.house.repository import ROOT

COMMITTED = Path(contracts.__file__).with_name("asyncapi.yaml")
DESCRIBED: dict[str, Any] = yaml.safe_load(COMMITTED.read_text(encoding="utf-8"))
PARSER = ROOT / "build/tools/node/node_modules"
PARSER_IS_THERE = (PARSER / "@asyncapi/parser").is_dir() and shutil.which("node") is not None
QUEUES = ("export.start", "export.cancel", "export.delete", "export.dead")


def test_the_committed_document_is_that_of_the_worker() -> None:
    assert as_yaml(of_the_worker()) == COMMITTED.read_text(encoding="utf-8")


def test_each_message_of_the_contract_has_examples_that_fit_its_schemas() -> None:
    for key in MESSAGES:
        message = DESCRIBED["components"]["messages"][key]
        assert message["examples"]
        for example in message["examples"]:
            assert complaints(message["payload"], example["payload"]) == []
            assert complaints(message["headers"], example["headers"]) == []


def test_a_payload_that_does_not_fit_is_noticed() -> None:
    message = DESCRIBED["components"]["messages"]["export.progress"]

    assert complaints(message["payload"], message["examples"][0]["payload"] | {"percent": 101}) != []


def test_whoever_wants_to_know_finds_exchange_key_queue_and_arguments() -> None:
    start, operation = DESCRIBED["channels"]["export.start"], DESCRIBED["operations"]["receive.export.start"]

    assert start["address"] == "export.start"
    assert start["bindings"]["amqp"]["exchange"]["name"] == "export.events"
    assert start["bindings"]["amqp"]["x-arguments"] == {"alternate-exchange": "export.unrouted"}
    assert operation["x-queue"]["arguments"] == topology.QUEUES[0].arguments


def test_progress_may_be_lost_and_nothing_else() -> None:
    lossy = [
        name
        for name, operation in DESCRIBED["operations"].items()
        if operation["bindings"]["amqp"].get("deliveryMode") == 1
    ]
    assert lossy == ["send.export.progress"]


def test_the_document_names_no_server_of_anybody() -> None:
    assert DESCRIBED["servers"]["rabbitmq"]["host"] == "{host}:{port}"


# ---- the official parser


@pytest.mark.skipif(not PARSER_IS_THERE, reason="AsyncAPI's parser is not installed: `make tools`, with node and npm")
def test_the_official_parser_accepts_it() -> None:
    assert faults_by_the_parser(COMMITTED) == []


@pytest.mark.skipif(not PARSER_IS_THERE, reason="AsyncAPI's parser is not installed: `make tools`, with node and npm")
@pytest.mark.parametrize(
    ("where", "wrong"),
    [
        ("operations/send.export.failed/action", "shout"),
        ("channels/export.dead/bindings/amqp/is", "stream"),
        ("components/messages/export.cancel/payload/$ref", "#/components/schemas/ExportUndo"),
    ],
)
def test_the_official_parser_would_say_what_is_wrong(tmp_path: Path, where: str, wrong: object) -> None:
    changed = copy.deepcopy(DESCRIBED)
    *parents, last = where.split("/")
    reduce(getitem, parents, changed)[last] = wrong
    (tmp_path / "wrong.yaml").write_text(as_yaml(changed), encoding="utf-8")

    assert any(fault.startswith(where) for fault in faults_by_the_parser(tmp_path / "wrong.yaml"))


# ---- drift


def consuming(*queues: str) -> RabbitBroker:
    broker = RabbitBroker()
    for queue in queues:
        broker.subscriber(RabbitQueue(queue, declare=False))(ignore)
    return broker


async def ignore(_: bytes) -> None:
    """Never called."""


@pytest.mark.parametrize("missing", QUEUES)
def test_a_queue_that_the_worker_forgot_is_noticed(missing: str) -> None:
    with pytest.raises(Drift, match=f"nobody takes from {missing}"):
        document(consuming(*(queue for queue in QUEUES if queue != missing)), RabbitBroker())


def test_a_queue_that_the_contract_does_not_know_is_noticed() -> None:
    with pytest.raises(Drift, match=r"takes from export\.pause"):
        document(consuming(*QUEUES, "export.pause"), RabbitBroker())


def test_a_publisher_of_what_the_contract_does_not_know_is_noticed() -> None:
    produce = RabbitBroker()
    produce.publisher(exchange=RabbitExchange(topology.EVENTS, type=ExchangeType.TOPIC), routing_key="export.started")

    with pytest.raises(Drift, match=r"publishes export\.started"):
        document(consuming(*QUEUES), produce)


def test_a_publisher_past_the_exchange_of_the_contract_is_noticed() -> None:
    produce = RabbitBroker()
    produce.publisher(routing_key="export.completed")

    with pytest.raises(Drift, match="to the default exchange"):
        document(consuming(*QUEUES), produce)


def test_a_new_command_that_no_queue_takes_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    class ExportPause(contracts.ExportCancel):
        type = "export.pause"

    monkeypatch.setattr(asyncapi, "MESSAGES", with_message(ExportPause))

    with pytest.raises(Drift, match=r"nobody receives export\.pause"):
        document(consuming(*QUEUES), RabbitBroker())


def test_a_new_event_that_the_worker_may_not_send_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    class ExportExpired(contracts.ExportCancelled):
        type = "export.expired"

    monkeypatch.setattr(asyncapi, "MESSAGES", with_message(ExportExpired))

    with pytest.raises(Drift, match=r"nobody may send export\.expired"):
        document(consuming(*QUEUES), RabbitBroker())


def test_an_event_that_the_worker_lost_the_right_to_send_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    users = tuple(replace(user, topics_written=r"^export\.(start|progress)$") for user in topology.USERS)
    monkeypatch.setattr(topology, "USERS", users)

    with pytest.raises(Drift, match=r"nobody may send export\.completed"):
        document(consuming(*QUEUES), RabbitBroker())


# ---- helpers


def complaints(schema: dict[str, Any], value: object) -> list[str]:
    within = {"allOf": [schema], "components": DESCRIBED["components"]}
    return [error.message for error in Draft7Validator(within, format_checker=FormatChecker()).iter_errors(value)]


def faults_by_the_parser(file: Path) -> list[str]:
    ran = subprocess.run(
        ["node", ROOT / "tests/tools/asyncapi.js", file],
        env={"PATH": os.environ["PATH"], "NODE_PATH": str(PARSER)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout.splitlines()


def with_message(model: type[Message]) -> dict[str, type[Message]]:
    return MESSAGES | {model.type: model}
