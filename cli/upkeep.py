"""`sweep`: keeps an exports root in order."""

from argparse import Namespace
from datetime import timedelta

from cli import exits
from cli.answer import answered, complain
from cli.errors import UsageError
from cli.show import console, counted
from contracts import ErrorCode
from service.errors import Trouble
from service.ledger import Ledger
from service.storage.local import LocalStorage
from service.sweep import Swept, sweep


def sweep_root(args: Namespace) -> int:
    """Says what was done, a line for each kind of thing."""
    if not args.to.is_dir():
        raise UsageError(f"--to {args.to}: no such directory")
    storage = LocalStorage({}, args.to)
    try:
        _open(args, Ledger(storage))
        ledger = Ledger(storage)
        swept = sweep(ledger, ledger.now(), timedelta(hours=args.abandoned_after))
    except Trouble as trouble:
        complain(f"--to {args.to}: {trouble.detail}")
        return exits.FAILED
    finally:
        storage.close()
    code = answered(exits.FAILED if swept.troubles else exits.COMPLETE, lambda: _show(swept))
    for export_id, detail in swept.troubles:
        complain(f"--to {args.to}: export {export_id}: {detail}")
    return code


def _open(args: Namespace, ledger: Ledger) -> None:
    """Raises UsageError for a directory that is no exports root."""
    try:
        ledger.open()
    except Trouble as trouble:
        if trouble.code is not ErrorCode.STORAGE_UNAVAILABLE:
            raise
        raise UsageError(f"--to {args.to}: {trouble.detail}") from None


def _show(swept: Swept) -> None:
    out = console()
    out.print(f"published {counted(len(swept.published), 'export')} decided and not yet visible")
    out.print(f"withdrew  {counted(len(swept.expired), 'expired export')}")
    out.print(f"cleared   {counted(len(swept.cleared), 'interrupted export')}")
    out.print(f"forgot    {counted(len(swept.forgotten), 'export')} that expired long ago")
