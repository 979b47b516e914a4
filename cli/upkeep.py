"""`sweep`: keeps an exports root in order."""

from argparse import Namespace
from datetime import UTC, datetime, timedelta

from rich.console import Console

from cli.errors import UsageError
from service.errors import Trouble
from service.ledger import Ledger
from service.storage.local import LocalStorage
from service.sweep import sweep


def sweep_root(args: Namespace) -> int:
    """Says what was done, a line for each kind of thing."""
    if not args.to.is_dir():
        raise UsageError(f"--to {args.to}: no such directory")
    storage = LocalStorage({}, args.to)
    try:
        swept = sweep(Ledger(storage), datetime.now(UTC), timedelta(hours=args.abandoned_after))
    except Trouble as trouble:
        raise UsageError(f"--to {args.to}: {trouble.detail}") from None
    finally:
        storage.close()
    console = Console(highlight=False)
    console.print(f"published {len(swept.published)} that were decided and not yet visible")
    console.print(f"withdrew  {len(swept.expired)} that had expired")
    console.print(f"cleared   {len(swept.cleared)} of files that attempts had left")
    console.print(f"forgot    {len(swept.forgotten)} that expired long ago")
    return 0
