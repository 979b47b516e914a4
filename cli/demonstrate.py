"""`demo`: makes a sample project, shows its plan, exports it as folder and ZIP, and verifies both."""

import shutil
from argparse import Namespace
from pathlib import Path

from rich.markup import escape

from cli import exits
from cli.answer import answered
from cli.errors import UsageError
from cli.main import main
from cli.show import console
from demo.sample import make_sample

_MARK = ".made-by-export-service-demo"


def demonstrate(args: Namespace) -> int:
    """Exit code 0 when the sample was exported as it should be: partial, since it has two pending and one missing."""
    _make_empty(args.to)
    sample = make_sample(args.to / "sample")
    exports = args.to / "exports"
    shown = [_say(f"A sample project, media made by code: [bold]{escape(str(sample.project))}[/]\n")]
    words = ["run", str(sample.project), "--media", str(sample.media), "--to", str(exports), "--archive", "zip"]
    shown.append(_say(f"[dim]$ export-service {escape(' '.join(words))}[/]\n"))
    ended = main(words)
    checked = [_verified(path) for path in sorted(exports.glob("export_*"))]
    is_as_it_should_be = ended == exits.PARTIAL and checked == [exits.COMPLETE] * 2 and not any(shown)
    return exits.COMPLETE if is_as_it_should_be else exits.FAILED


def _verified(path: Path) -> int:
    shown = _say(f"\n[dim]$ export-service verify {escape(str(path))}[/]")
    return shown or main(["verify", str(path)])


def _say(line: str) -> int:
    return answered(exits.COMPLETE, lambda: console().print(line, soft_wrap=True))


def _make_empty(directory: Path) -> None:
    """Removes an earlier demo, and nothing else."""
    if directory.exists() and any(directory.iterdir()):
        if not (directory / _MARK).exists():
            raise UsageError(f"--to {directory}: is not empty, and was not made by the demo")
        shutil.rmtree(directory)
    directory.mkdir(parents=True, exist_ok=True)
    (directory / _MARK).touch()
