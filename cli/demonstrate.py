"""`demo`: makes a sample project, shows its plan, exports it as folder and ZIP, and verifies both."""

import shutil
from argparse import Namespace
from pathlib import Path

from rich.console import Console
from rich.markup import escape

from cli.errors import UsageError
from cli.main import main
from cli.run import EXIT_PARTIAL
from demo.sample import make_sample

_MARK = ".made-by-export-service-demo"


def demonstrate(args: Namespace) -> int:
    """Exit code 0 when the sample was exported as it should be: partial, since it has two pending and one missing."""
    console = Console(highlight=False)
    _make_empty(args.to)
    sample = make_sample(args.to / "sample")
    exports = args.to / "exports"
    console.print(f"A sample project, media made by code: [bold]{escape(str(sample.project))}[/]\n", soft_wrap=True)
    words = ["run", str(sample.project), "--media", str(sample.media), "--to", str(exports), "--archive", "zip"]
    console.print(f"[dim]$ export-service {escape(' '.join(words))}[/]\n", soft_wrap=True)
    ended = main(words)
    checked = [_verified(console, path) for path in sorted(exports.glob("export_*"))]
    return 0 if ended == EXIT_PARTIAL and checked == [0, 0] else 1


def _verified(console: Console, path: Path) -> int:
    console.print(f"\n[dim]$ export-service verify {escape(str(path))}[/]", soft_wrap=True)
    return main(["verify", str(path)])


def _make_empty(directory: Path) -> None:
    """Removes an earlier demo, and nothing else."""
    if directory.exists() and any(directory.iterdir()):
        if not (directory / _MARK).exists():
            raise UsageError(f"--to {directory}: is not empty, and was not made by the demo")
        shutil.rmtree(directory)
    directory.mkdir(parents=True, exist_ok=True)
    (directory / _MARK).touch()
