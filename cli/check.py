"""`check`: whether a deployment is sound: the broker with its exchanges and queues, and the roots on this machine."""

import asyncio
import json
import time
from argparse import Namespace
from datetime import UTC, datetime

from cli import exits
from cli.answer import answered
from cli.broker import broker_of
from cli.check_broker import START_ONE, look_at_broker
from cli.check_roots import look_at_roots
from cli.ending import say_out
from cli.errors import UsageError
from cli.findings import Finding, as_json, is_sound, note, ok, problem, show_findings
from cli.roots import Roots
from cli.show import console

# A clock without a battery starts in 1970; what is decided in that year expires at once when the clock is set right.
_PLAUSIBLE_YEARS = range(2025, 2100)


def check(args: Namespace) -> int:
    """Exit code 0 when there is no problem."""
    roots = Roots.of(args)
    if args.no_broker and roots.media_root is None and roots.exports_root is None:
        raise UsageError("--no-broker: then there is nothing to look at; name the roots: --media DIR, --to DIR")
    settings = None if args.no_broker else broker_of(args)
    findings = [_clock(), *look_at_roots(roots, is_new=args.init)]
    if settings is not None:
        findings += asyncio.run(look_at_broker(settings))
    if args.init:
        findings = [_before_the_workers(finding) for finding in findings]
    code = exits.COMPLETE if is_sound(findings) else exits.FAILED
    if args.json:
        return answered(code, lambda: say_out(json.dumps(as_json(findings))))
    return answered(code, lambda: show_findings(console(), findings))


def _before_the_workers(finding: Finding) -> Finding:
    """Who makes a new root has no worker yet; commands may wait already."""
    return note(finding.subject, finding.detail, finding.mend) if finding.mend == START_ONE else finding


def _clock() -> Finding:
    now = datetime.fromtimestamp(time.time(), UTC)
    told = f"{now:%Y-%m-%dT%H:%M:%SZ}"
    if now.year not in _PLAUSIBLE_YEARS:
        return problem("clock", f"this machine's says {told}", "set it, and let it follow a time server")
    return ok("clock", f"{told}; waits go by {time.get_clock_info('monotonic').implementation}, which does not jump")
