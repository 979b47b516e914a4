"""What becomes of a command that was delivered too often. Parses none of it: that may be what kills."""

from collections.abc import Mapping

from anyio import to_thread

from contracts.envelope import Envelope
from service.announce import Announcer
from service.deliveries import anew
from service.export import give_up
from service.intake import Unusable, glance
from service.ledger import Decision
from service.supervisor import Supervisor

_REVIVED = "x-revived"
_MOST_REVIVALS = 3


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
        # Who handed it back may have had no storage to note it in: that proves nothing against the command.
        await announcer.send(_once_more(export_id, body, headers))
        return None
    verdict = await supervisor.verdict_on(export_id)
    if verdict is not None:
        return await give_up(command, supervisor.shop, verdict)
    await announcer.send(anew(export_id, body, headers))
    return None


def _once_more(export_id: str, body: bytes, headers: Mapping[str, object]) -> Envelope:
    """Raises Unusable for what came back from that, too: no worker ever got as far as to store it."""
    times = headers.get(_REVIVED, 0)
    if isinstance(times, int) and times >= _MOST_REVIVALS:
        raise Unusable("undeliverable", "it was delivered too often, and no worker could ever store it")
    again = anew(export_id, body, headers)
    return again._replace(headers={**again.headers, _REVIVED: times + 1 if isinstance(times, int) else 1})
