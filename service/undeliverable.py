"""What becomes of a command that was delivered too often. Looks at its beginning only: the whole may be what kills."""

from collections.abc import Mapping

from anyio import to_thread

from contracts import ErrorCode, topology
from contracts.envelope import Envelope
from service.announce import Announcer
from service.errors import Verdict
from service.export import give_up
from service.intake import Unusable, glance, refuse
from service.ledger import Decision
from service.supervisor import Supervisor


async def revive(
    body: bytes, headers: Mapping[str, object], supervisor: Supervisor, announcer: Announcer
) -> Decision | None:
    """The decision to announce, if the command is to blame or decided; else it is sent anew.

    Raises Unusable when it names no export.
    """
    ledger = supervisor.shop.ledger
    export_id = glance(body, headers).export_id
    if export_id is None:
        raise Unusable("undeliverable", "it was delivered too often, and no export_id can be read")
    decision = await to_thread.run_sync(ledger.decision, export_id)
    if decision is not None:
        return decision
    command = await to_thread.run_sync(ledger.command, export_id)
    if command is None:
        # Every delivery ended before the command could be stored, which is the first thing done with it.
        detail = "the message ended every worker that took it, before it could be read"
        return await refuse(body, headers, Verdict(ErrorCode.POISON, detail), ledger)
    verdict = await supervisor.verdict_on(export_id)
    if verdict is not None:
        return await give_up(command, supervisor.shop, verdict)
    await announcer.send(_anew(export_id, body, headers))
    return None


def _anew(export_id: str, body: bytes, headers: Mapping[str, object]) -> Envelope:
    texts = {name: value for name, value in headers.items() if isinstance(value, str)}
    message_id = texts.get("ce-id", f"{export_id}:{topology.START}")
    return Envelope(topology.START, body, message_id, export_id, texts, is_persistent=True)
