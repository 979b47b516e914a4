"""`setup-broker`: makes on RabbitMQ what AMQP can make of the topology, and says what it cannot."""

from argparse import Namespace
from collections.abc import Sequence
from typing import NamedTuple

from rich.console import Console
from rich.markup import escape

from cli import exits
from cli.answer import answered
from cli.broker import Connection, through_broker
from cli.entities import Differs, Entity, Forbidden, label, looked_up, make, wanted
from cli.show import console
from contracts import topology

DEFINITIONS = "deploy/rabbitmq/definitions.json"
_STYLES = {"made": "green", "was there": "dim", "differs": "red", "refused": "red"}


class Row(NamedTuple):
    """What became of one exchange or queue."""

    entity: Entity
    what: str
    detail: str = ""


def setup_broker(args: Namespace) -> int:
    """Exit code 1 when something is there that is not as it should be; all else is made all the same."""
    entities: list[Entity] = [*topology.EXCHANGES, *topology.QUEUES, *map(topology.results_queue, args.results)]

    async def work(connection: Connection) -> int:
        rows = [await _made(connection, entity) for entity in entities]
        is_sound = all(row.what in {"made", "was there"} for row in rows)
        return answered(exits.COMPLETE if is_sound else exits.FAILED, lambda: _show(console(), rows))

    return through_broker(args, work)


async def _made(connection: Connection, entity: Entity) -> Row:
    before = await looked_up(connection, entity)
    try:
        await make(connection, entity)
    except Differs as fault:
        return Row(entity, "differs", str(fault))
    except Forbidden as fault:
        return Row(entity, "refused", str(fault))
    return Row(entity, "made" if before is None else "was there")


def _show(out: Console, rows: Sequence[Row]) -> None:
    for row in rows:
        out.print(f"[{_STYLES[row.what]}]{row.what:<9}[/]  {escape(label(row.entity))}", soft_wrap=True)
        if row.detail:
            out.print(f"           broker: {escape(row.detail)}", soft_wrap=True)
            out.print(f"           wanted: {escape(wanted(row.entity))}", soft_wrap=True)
    if any(row.what == "differs" for row in rows):
        out.print("\nArguments never change: delete what differs once it is empty, then call this again.")
    if any(row.what == "refused" for row in rows):
        out.print("\nThis takes a user who may configure export.*, such as export-operator.")
    out.print("\n[bold]Not to be seen over AMQP, and not to be made:[/]")
    for policy in topology.POLICIES:
        numbers = ", ".join(f"{name}: {value}" for name, value in policy.definition.items())
        out.print(f"policy {policy.name}  {escape(policy.pattern)}  {numbers}", soft_wrap=True)
        out.print(f"           without it {escape(policy.without_it)}", soft_wrap=True)
    out.print("users and rights", soft_wrap=True)
    out.print("           without them every service needs a user who may do anything", soft_wrap=True)
    out.print(f"Both come with:  rabbitmqctl import_definitions {DEFINITIONS}", soft_wrap=True)
    out.print("consumer_timeout", soft_wrap=True)
    cost = "the message of an export of more than half an hour is delivered again; the export goes on"
    out.print(f"           without it {cost}", soft_wrap=True)
    out.print("It comes with:   deploy/rabbitmq/rabbitmq.conf, on the node", soft_wrap=True)
