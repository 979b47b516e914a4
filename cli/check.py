"""`check`: whether a deployment is sound: the broker with its exchanges and queues, and the roots on this machine."""

import asyncio
import json
import re
from argparse import Namespace

from cli import exits
from cli.answer import answered
from cli.broker import SETUP, BrokerFault, Connection, broker_of, connected, place
from cli.check_roots import look_at_roots
from cli.ending import say_out
from cli.entities import Differs, Entity, Filling, Forbidden, compare, label, looked_up, wanted
from cli.findings import Finding, as_json, is_sound, note, ok, problem, show_findings
from cli.roots import Roots
from cli.show import console, counted
from contracts import topology
from contracts.topology import Queue
from service.settings import BrokerSettings

_OLDEST = (3, 10)
"""The first RabbitMQ that dead-letters at least once."""
_LOOK_INTO = {
    topology.PARKED: "look at them with: export-service dead list",
    topology.UNROUTED: f"look at them with: export-service dead list --queue {topology.UNROUTED}",
    topology.DEAD: "the next worker decides on them",
}
_BROKER = "broker"
_START_ONE = "start one: export-service worker"


def check(args: Namespace) -> int:
    """Exit code 0 when there is no problem."""
    settings = broker_of(args)
    findings = look_at_roots(Roots.of(args), is_new=args.init) + asyncio.run(_look_at_broker(settings))
    if args.init:
        findings = [_before_the_workers(finding) for finding in findings]
    code = exits.COMPLETE if is_sound(findings) else exits.FAILED
    if args.json:
        return answered(code, lambda: say_out(json.dumps(as_json(findings))))
    return answered(code, lambda: show_findings(console(), findings))


def _before_the_workers(finding: Finding) -> Finding:
    """Who makes a new root has no worker yet; commands may wait already."""
    return note(finding.subject, finding.detail, finding.mend) if finding.mend == _START_ONE else finding


async def _look_at_broker(settings: BrokerSettings) -> list[Finding]:
    try:
        async with connected(settings) as connection:
            entities: list[Entity] = [*topology.EXCHANGES, *topology.QUEUES]
            looks = [await _look_at(connection, entity) for entity in entities]
            return [_version(connection, settings), *looks, _unseen()]
    except BrokerFault as fault:
        return [
            problem(
                _BROKER, str(fault), "start it, or set EXPORT_BROKER_URL right: address, user, password, virtual host"
            )
        ]


def _version(connection: Connection, settings: BrokerSettings) -> Finding:
    transport = connection.transport
    properties = {} if transport is None else transport.connection.server_properties
    product, version = (_text(properties.get(name)) for name in ("product", "version"))
    detail = f"{product} {version} at {place(settings)}"
    numbers = re.match(r"(\d+)\.(\d+)", version)
    if numbers and tuple(map(int, numbers.groups())) < _OLDEST:
        return problem(_BROKER, detail, "RabbitMQ 3.10 or newer is needed: older ones may lose dead letters")
    return ok(_BROKER, detail)


def _text(value: object) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value or "?")


def _unseen() -> Finding:
    policies = ", ".join(policy.name for policy in topology.POLICIES)
    return note(
        "policies", f"not to be seen over AMQP: {policies}; nor is consumer_timeout", "rabbitmqctl list_policies"
    )


async def _look_at(connection: Connection, entity: Entity) -> Finding:
    filling = await looked_up(connection, entity)
    if filling is None:
        return problem(label(entity), "is not there", SETUP)
    try:
        await compare(connection, entity)
    except Differs as fault:
        mend = f"wanted: {wanted(entity)}. Delete it once it is empty, then: {SETUP}"
        return problem(label(entity), f"is there with other arguments: {fault}", mend)
    except Forbidden:
        return _content(entity, filling, "; this user may not see its arguments")
    return _content(entity, filling, "")


def _content(entity: Entity, filling: Filling, remark: str) -> Finding:
    if not isinstance(entity, Queue):
        return ok(label(entity), f"is there{remark}")
    detail = f"{counted(filling.messages, 'message')}, {counted(filling.consumers, 'consumer')}{remark}"
    if entity.name == topology.START and not filling.consumers:
        if filling.messages:
            return problem(label(entity), f"{detail}: nobody takes the commands", _START_ONE)
        return note(label(entity), f"{detail}: no worker is there", _START_ONE)
    if filling.messages and entity.name in _LOOK_INTO:
        return note(label(entity), detail, _LOOK_INTO[entity.name])
    return ok(label(entity), detail)
