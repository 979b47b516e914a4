"""The exchanges, queues, policies and users on RabbitMQ; `deploy/rabbitmq/definitions.json` is made of this.

What an entity *is* (its type, where its dead letters go) is an argument and can never change; numbers that operators
tune are policies. Consuming services add a queue of their own with `results_queue`.
"""

from dataclasses import dataclass, field
from typing import Any

Arguments = dict[str, str | int]

EVENTS = "export.events"
"""Every message of the contract goes through this exchange; its routing key is its type."""
START = "export.start"
CANCEL = "export.cancel"
DELETE = "export.delete"
DEAD = "export.dead"
"""Commands that were delivered too often."""
PARKED = "export.parked"
"""Messages that cannot be carried out, with the reason in their headers; a person looks at them (`dead list`)."""
UNROUTED = "export.unrouted"
"""What nobody listens to, progress aside: an alarm, and never a stalled worker."""

COMMANDS = ("export.start", "export.cancel", "export.delete")
TERMINALS = ("export.completed", "export.failed", "export.cancelled")
PROGRESS = "export.progress"

WORKER_QUEUES = "export.worker."
GATEWAY_QUEUES = "export.gateway."
RESULTS_QUEUES = "export.results."


@dataclass(frozen=True, slots=True)
class Exchange:
    """A durable exchange."""

    name: str
    type: str
    arguments: Arguments = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Queue:
    """A durable queue, bound to `exchange` by each of `keys`."""

    name: str
    exchange: str
    keys: tuple[str, ...]
    arguments: Arguments


@dataclass(frozen=True, slots=True)
class Policy:
    """Numbers for the queues that match `pattern`; AMQP cannot set them, definitions and `rabbitmqctl` can."""

    name: str
    pattern: str
    definition: Arguments
    without_it: str
    """What it costs not to have it."""


@dataclass(frozen=True, slots=True)
class User:
    """Somebody with no more rights than needed. Made without a password: nobody can log in until one is set."""

    name: str
    configure: str
    write: str
    read: str
    topics_written: str = ""
    """Routing keys of `export.events`."""
    topics_read: str = ""


_QUORUM: Arguments = {"x-queue-type": "quorum"}
# From RabbitMQ 4 on a quorum queue drops what was given back 20 times, and whoever only looks gives back.
_KEPT: Arguments = {**_QUORUM, "x-delivery-limit": 1_000_000}


def _dead_letters_to(exchange: str) -> Arguments:
    # At-least-once dead-lettering needs all three: rabbitmq.com/docs/quorum-queues, "Dead Lettering".
    return {
        **_QUORUM,
        "x-dead-letter-exchange": exchange,
        "x-dead-letter-strategy": "at-least-once",
        "x-overflow": "reject-publish",
    }


EXCHANGES = (
    Exchange(EVENTS, "topic", {"alternate-exchange": UNROUTED}),
    Exchange(UNROUTED, "topic"),
    Exchange(DEAD, "fanout"),
    Exchange(PARKED, "fanout"),
)

QUEUES = (
    Queue(START, EVENTS, ("export.start",), _dead_letters_to(DEAD)),
    Queue(CANCEL, EVENTS, ("export.cancel",), _dead_letters_to(PARKED)),
    Queue(DELETE, EVENTS, ("export.delete",), _dead_letters_to(PARKED)),
    Queue(DEAD, DEAD, ("",), _dead_letters_to(PARKED)),
    Queue(PARKED, PARKED, ("",), _KEPT),
    Queue(UNROUTED, UNROUTED, (*COMMANDS, *TERMINALS), _KEPT),
)

POLICIES = (
    Policy(
        "export-delivery-limit",
        r"^export\.(start|cancel|delete|dead)$",
        {"delivery-limit": 100},
        "before RabbitMQ 4 a message that kills every worker before it can be noted is delivered for ever; "
        "from 4.0 on the limit is 20, which only means more work for the queue export.dead",
    ),
)

USERS = (
    User(
        "export-worker",
        configure=r"^export\.worker\.",
        write=r"^export\.(events$|parked$|worker\.)",
        read=r"^export\.((events|start|cancel|delete|dead)$|worker\.)",
        topics_written=r"^export\.(start|progress|completed|failed|cancelled)$",
        topics_read=r"^export\.cancel$",
    ),
    User(
        "export-gateway",
        configure=r"^export\.gateway\.",
        write=r"^export\.(events$|gateway\.)",
        read=r"^export\.(events$|gateway\.)",
        topics_written=r"^export\.(start|cancel|delete)$",
        topics_read=r"^export\.(progress|completed|failed|cancelled)$",
    ),
    User(
        "export-operator",
        configure=r"^export\.",
        write=r"^export\.",
        read=r"^export\.",
        topics_written=r"^export\.",
        topics_read=r"^export\.",
    ),
)


def own_queue(prefix: str, name: str, keys: tuple[str, ...]) -> Queue:
    """The queue of one replica: it outlives a short loss of the connection, and goes a minute after its owner."""
    arguments: Arguments = {"x-expires": 60_000, "x-max-length": 50_000, "x-overflow": "drop-head"}
    return Queue(f"{prefix}{name}", EVENTS, keys, arguments)


def results_queue(service: str) -> Queue:
    """The queue in which a consuming service finds every terminal event, also those of its own down-time."""
    return Queue(f"{RESULTS_QUEUES}{service}", EVENTS, TERMINALS, dict(_KEPT))


def definitions(vhost: str = "/") -> dict[str, Any]:
    """All of it in the form that `rabbitmqctl import_definitions` and the management API take."""
    return {
        "vhosts": [{"name": vhost}],
        "users": [
            {
                "name": user.name,
                "password_hash": "",
                "hashing_algorithm": "rabbit_password_hashing_sha256",
                "tags": "",
            }
            for user in USERS
        ],
        "permissions": [
            {"user": user.name, "vhost": vhost, "configure": user.configure, "write": user.write, "read": user.read}
            for user in USERS
        ],
        "topic_permissions": [
            {"user": user.name, "vhost": vhost, "exchange": EVENTS, "write": user.topics_written,
             "read": user.topics_read}
            for user in USERS
        ],
        "policies": [
            {"name": policy.name, "vhost": vhost, "pattern": policy.pattern, "apply-to": "queues",
             "definition": policy.definition, "priority": 0}
            for policy in POLICIES
        ],
        "exchanges": [
            {"name": exchange.name, "vhost": vhost, "type": exchange.type, "durable": True, "auto_delete": False,
             "internal": False, "arguments": exchange.arguments}
            for exchange in EXCHANGES
        ],
        "queues": [
            {"name": queue.name, "vhost": vhost, "durable": True, "auto_delete": False, "arguments": queue.arguments}
            for queue in QUEUES
        ],
        "bindings": [
            {"source": queue.exchange, "vhost": vhost, "destination": queue.name, "destination_type": "queue",
             "routing_key": key, "arguments": {}}
            for queue in QUEUES
            for key in queue.keys
        ],
    }  # fmt: skip
