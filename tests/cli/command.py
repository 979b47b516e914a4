"""The command as a person calls it: within this process, or as a process of its own."""

import json
import sys
from contextlib import redirect_stderr, redirect_stdout
from io import BytesIO, TextIOWrapper
from pathlib import Path
from typing import Any, NamedTuple
from unittest.mock import patch

from cli.main import main

EXPORT_SERVICE = str(Path(sys.prefix) / "bin" / "export-service")


class Said(NamedTuple):
    """How a call ended, and what it printed."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        """What is on standard output, which must be one JSON object and nothing else."""
        document = json.loads(self.out)
        assert isinstance(document, dict)
        return document

    @property
    def sentence(self) -> str:
        """The one line on standard error; argparse puts the usage before it."""
        assert "Traceback" not in self.err
        assert not self.out
        told = self.err[self.err.index("export-service") :] if self.err.startswith("usage: ") else self.err
        lines = [line for line in told.splitlines() if "error: " in line] or self.err.splitlines()
        assert len(lines) == 1, self.err
        return lines[0]


def call(*words: str | Path) -> Said:
    """Calls the command within this process; an exception that comes out of it fails the test."""
    out, err = _stream(), _stream()
    with redirect_stdout(out), redirect_stderr(err), patch.object(sys, "argv", ["export-service"]):
        try:
            code = main([str(word) for word in words])
        except SystemExit as end:  # argparse's way to refuse arguments
            code = int(end.code or 0)
    return Said(code, _printed(out), _printed(err))


def _stream() -> TextIOWrapper:
    """With an encoding, as a terminal has one: what cannot be encoded shows here too."""
    return TextIOWrapper(BytesIO(), encoding="utf-8")


def _printed(stream: TextIOWrapper) -> str:
    stream.seek(0)
    return stream.read()
