"""The AsyncAPI 3.0 document of a worker: `python -m service.asyncapi >contracts/asyncapi.yaml` (needs PyYAML).

What is received is read off FastStream's subscribers, what may be sent off the worker's rights on the broker; payloads,
queues and examples are the contract's. Whatever one side has and the other lacks is a Drift. Touches no network.
"""

import json
import re
import sys
from collections.abc import Iterator
from inspect import getdoc
from pathlib import Path
from typing import Any, Final

from faststream.rabbit import RabbitBroker
from pydantic.json_schema import models_json_schema

from contracts import MESSAGES, topology
from contracts.envelope import SOURCE, envelop
from contracts.generate import WithoutFieldTitles, mode_of
from contracts.golden import INBOUND, as_written, golden_examples
from contracts.messages import CONTRACT_VERSION, ExportProgress, Message
from contracts.topology import Exchange, Queue
from service.broker import connections
from service.handlers import Handlers, subscribe
from service.settings import WorkerSettings

Json = dict[str, Any]

BINDING: Final = {"bindingVersion": "0.3.0"}
WORKER: Final = "export-worker"
EXAMPLE_BYTES: Final = 4096
"""Longer examples are in `contracts/examples/` only."""

DESCRIPTION = """\
Turns a project into numbered media, a script and an archive. Publish commands to the exchange `export.events`; their
routing key is their type. Any number of `export.progress` follow, then exactly one of `export.completed`,
`export.failed` and `export.cancelled`. `contracts/README.md` has the rules of change, and what no schema can say."""


class Drift(Exception):
    """The worker and the contract do not say the same."""


def main() -> None:
    sys.stdout.write(as_yaml(of_the_worker()))


def of_the_worker() -> Json:
    """Of the worker as it is wired, without running it."""
    settings = WorkerSettings(media_root=Path("/media"), exports_root=Path("/exports"))
    produce, consume = connections(settings)
    nothing: Any = None  # its handlers are described, never called
    subscribe(consume, Handlers(nothing, nothing, nothing, settings.unavailable_seconds), settings.prefetch)
    return document(consume, produce)


def document(consume: RabbitBroker, produce: RabbitBroker) -> Json:
    """Raises Drift for a subscriber or publisher without a message in the contract, and the reverse."""
    received = _received(consume)
    sent = _sent(produce)
    _insist_that_all_is_there(received, sent)
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Export service",
            "version": str(CONTRACT_VERSION),
            "description": DESCRIPTION,
            "license": {"name": "MIT"},
        },
        "defaultContentType": "application/json",
        "servers": {"rabbitmq": _SERVER},
        "channels": _channels(),
        "operations": {
            **{f"receive.{_key(queue)}": _receive(queue) for queue in received},
            **{f"send.{key}": _send(MESSAGES[key]) for key in sent},
            f"send.{topology.PARKED}": _park(),
        },
        "components": {
            "messages": {**{key: _message(model) for key, model in MESSAGES.items()}, topology.PARKED: _PARKED},
            "schemas": _schemas(),
        },
    }


def as_yaml(described: Json) -> str:
    import yaml  # noqa: PLC0415 - the worker does without

    class Dumper(yaml.SafeDumper):
        def ignore_aliases(self, data: object) -> bool:
            return True

    def text(dumper: Dumper, value: str) -> yaml.ScalarNode:
        return dumper.represent_scalar("tag:yaml.org,2002:str", value, style="|" if "\n" in value else None)

    Dumper.add_representer(str, text)
    head = "# Written by `python -m service.asyncapi`.\n"
    return head + yaml.dump(described, Dumper=Dumper, sort_keys=False, allow_unicode=True, width=120)


# ---- the worker against the contract


def _received(consume: RabbitBroker) -> list[Queue]:
    # mypy: RabbitMQ's, of which the base class knows nothing
    names = [subscriber.queue.name for subscriber in consume.subscribers]  # type: ignore[attr-defined]
    # FastStream has them as a set.
    return sorted(map(_queue_of, names), key=lambda queue: (queue not in topology.QUEUES, queue.name))


def _queue_of(name: str) -> Queue:
    if name.startswith(topology.WORKER_QUEUES):
        return topology.own_queue(topology.WORKER_QUEUES, "{worker}", (topology.CANCEL,))
    for queue in topology.QUEUES:
        if queue.name == name:
            return queue
    raise Drift(f"the worker takes from {name}, which is not in contracts/topology.py")


def _sent(produce: RabbitBroker) -> list[str]:
    """What the broker lets a worker publish. Publishers of FastStream, should there be any, are among it."""
    [user] = [user for user in topology.USERS if user.name == WORKER]
    allowed = [key for key in MESSAGES if re.search(user.topics_written, key)]
    for publisher in produce.publishers:
        # mypy: RabbitMQ's, of which the base class knows nothing
        exchange, key = publisher.exchange.name, publisher.routing_key  # type: ignore[attr-defined]
        if exchange != topology.PARKED and (exchange != topology.EVENTS or key not in allowed):
            raise Drift(f"the worker publishes {key} to {exchange or 'the default exchange'}, which the contract lacks")
    return allowed


def _insist_that_all_is_there(received: list[Queue], sent: list[str]) -> None:
    for queue in topology.QUEUES:
        is_work = queue.exchange in {topology.EVENTS, topology.DEAD}
        if is_work and queue not in received:
            raise Drift(f"nobody takes from {queue.name}")
    for key, model in MESSAGES.items():
        if issubclass(model, INBOUND) and not any(key in queue.keys for queue in received):
            raise Drift(f"nobody receives {key}")
        if not issubclass(model, INBOUND) and key not in sent:
            raise Drift(f"nobody may send {key}")


def _key(queue: Queue) -> str:
    """Its name in the document, where braces are for addresses only."""
    return queue.name.partition(".{")[0]


# ---- channels: where messages go, and where those stay that went nowhere

_SERVER = {
    "host": "{host}:{port}",
    "protocol": "amqp",
    "protocolVersion": "0.9.1",
    "description": "RabbitMQ 3.10 or newer; its exchanges, queues and users are in `deploy/rabbitmq/`.",
    "variables": {"host": {"default": "localhost"}, "port": {"default": "5672"}},
}


def _channels() -> Json:
    [events] = [exchange for exchange in topology.EXCHANGES if exchange.name == topology.EVENTS]
    by_name = {queue.name: queue for queue in topology.QUEUES}
    results = topology.results_queue("{service}")
    return {
        **{key: _routed(events, key, model) for key, model in MESSAGES.items()},
        topology.DEAD: _stored(by_name[topology.DEAD], "Commands that were delivered too often; workers settle them."),
        topology.PARKED: _stored(
            by_name[topology.PARKED], "Messages that nobody can carry out, as they came. Alarm when it is not empty."
        ),
        topology.UNROUTED: _stored(
            by_name[topology.UNROUTED],
            "Commands and results that no queue took. Alarm when it is not empty: a consumer lacks its queue.",
        ),
        _key(results): _stored(
            results,
            "How each export ended: one such queue for every service that wants to know, whatever else happens to it.",
        )
        | {"parameters": {"service": {"description": "The consuming service's own name.", "examples": ["studio"]}}},
    }


def _routed(exchange: Exchange, key: str, model: type[Message]) -> Json:
    binding = {
        "is": "routingKey",
        "exchange": {
            "name": exchange.name,
            "type": exchange.type,
            "durable": True,
            "autoDelete": False,
            "vhost": "/",
        },
        "x-arguments": exchange.arguments,
    }
    return _channel(key, _summary(model), [key], binding)


def _stored(queue: Queue, summary: str) -> Json:
    messages = [topology.PARKED] if queue.name == topology.PARKED else list(_messages_in(queue))
    binding = {
        "is": "queue",
        "queue": {"name": queue.name, "durable": True, "exclusive": False, "autoDelete": False, "vhost": "/"},
        "x-arguments": queue.arguments,
    }
    return _channel(queue.name, summary, messages, binding)


def _channel(address: str, summary: str, messages: list[str], binding: Json) -> Json:
    return {
        "address": address,
        "summary": summary,
        "messages": {key: {"$ref": f"#/components/messages/{key}"} for key in messages},
        "bindings": {"amqp": binding | BINDING},
    }


def _messages_in(queue: Queue) -> Iterator[str]:
    """By its bindings; in a queue of dead letters, what is in the queues that leave theirs to it."""
    if queue.exchange in {topology.EVENTS, topology.UNROUTED}:
        yield from queue.keys
        return
    for living in topology.QUEUES:
        if living.arguments.get("x-dead-letter-exchange") == queue.exchange:
            yield from _messages_in(living)


# ---- operations, as the worker sees them


def _receive(queue: Queue) -> Json:
    [key] = _messages_in(queue)
    channel = queue.name if queue.name == topology.DEAD else key
    return {
        "action": "receive",
        "channel": {"$ref": f"#/channels/{channel}"},
        "summary": f"Taken from the queue `{queue.name}`.",
        "messages": [{"$ref": f"#/channels/{channel}/messages/{key}"}],
        "bindings": {"amqp": {"ack": True} | BINDING},
        "x-queue": {
            "name": queue.name,
            "exchange": queue.exchange,
            "keys": list(queue.keys),
            "arguments": queue.arguments,
        },
    }


def _send(model: type[Message]) -> Json:
    is_persistent = not issubclass(model, ExportProgress)
    return {
        "action": "send",
        "channel": {"$ref": f"#/channels/{model.type}"},
        "summary": "Published anew, when it was lost." if issubclass(model, INBOUND) else _summary(model),
        "messages": [{"$ref": f"#/channels/{model.type}/messages/{model.type}"}],
        "bindings": {"amqp": {"deliveryMode": 2 if is_persistent else 1, "mandatory": is_persistent} | BINDING},
    }


def _park() -> Json:
    return {
        "action": "send",
        "channel": {"$ref": f"#/channels/{topology.PARKED}"},
        "summary": "Put aside for a person, through the exchange of the same name.",
        "messages": [{"$ref": f"#/channels/{topology.PARKED}/messages/{topology.PARKED}"}],
        "bindings": {"amqp": {"deliveryMode": 2} | BINDING},
    }


# ---- messages

_PARKED = {
    "name": topology.PARKED,
    "summary": "A message that cannot be carried out, byte for byte; its own headers are kept.",
    "contentType": "application/octet-stream",
    "headers": {
        "type": "object",
        "required": ["x-reason", "x-detail"],
        "properties": {
            "x-reason": {"type": "string", "description": "For a machine, such as an error code."},
            "x-detail": {"type": "string", "description": "For a person."},
        },
    },
    "payload": {"description": "Whatever came."},
}


def _message(model: type[Message]) -> Json:
    return {
        "name": model.type,
        "summary": _summary(model),
        "contentType": "application/json",
        "correlationId": {
            "description": "The AMQP property `correlation_id` repeats it.",
            "location": "$message.payload#/export_id",
        },
        "headers": _headers(model),
        "payload": {"$ref": f"#/components/schemas/{model.__name__}"},
        "bindings": {"amqp": {"messageType": model.type} | BINDING},
        "examples": list(_examples(model)),
    }


def _summary(model: type[Message]) -> str:
    return (getdoc(model) or "").partition("\n")[0]


def _headers(model: type[Message]) -> Json:
    """CloudEvents 1.0 and W3C Trace Context. The worker sends them and takes commands without any."""
    properties = {
        "ce-specversion": {"const": "1.0"},
        "ce-type": {"const": model.type},
        "ce-source": {"type": "string", "format": "uri-reference"},
        "ce-id": {"type": "string", "description": "The same for every repeat, and in the AMQP property `message_id`."},
        "ce-subject": {"type": "string", "description": "The export_id."},
        "ce-dataschema": {"const": f"urn:export-service:{model.type}:{CONTRACT_VERSION}"},
        "ce-time": {"type": "string", "format": "date-time"},
        "traceparent": {"type": "string", "pattern": "^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$"},
    }
    always = [] if issubclass(model, INBOUND) else [name for name in properties if name != "traceparent"]
    return {"type": "object", "properties": properties} | ({"required": always} if always else {})


def _examples(model: type[Message]) -> Iterator[Json]:
    source = "/studio" if issubclass(model, INBOUND) else SOURCE
    for name, example in golden_examples().items():
        if isinstance(example, Message) and type(example) is model:
            text = as_written(example)
            if len(text.encode()) <= EXAMPLE_BYTES:
                headers = envelop(example, source=source).headers
                yield {"name": name.rpartition("/")[2], "headers": headers, "payload": json.loads(text)}


def _schemas() -> Json:
    models = [(model, mode_of(model)) for model in MESSAGES.values()]
    _, definitions = models_json_schema(
        models, ref_template="#/components/schemas/{model}", schema_generator=WithoutFieldTitles
    )
    return {name: _without_discriminators(schema) for name, schema in definitions["$defs"].items()}


def _without_discriminators(schema: Any) -> Any:
    """AsyncAPI's `discriminator` is a string, pydantic's an OpenAPI object; the alternatives' `const` say as much."""
    if isinstance(schema, list):
        return [_without_discriminators(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        key: _without_discriminators(value)
        for key, value in schema.items()
        if not (key == "discriminator" and "oneOf" in schema)
    }


if __name__ == "__main__":
    main()
