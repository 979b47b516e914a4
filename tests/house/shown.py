"""What a page of documentation shows (commands with their output, programs, data) and whether it is so.

A fenced block is tried when its fence says no more than `console`, `sh`, `python` or `json`; with a word more
(`python sketch`) it is there to be read. Among commands, a line that begins with `$ ` is one, and the lines after it
are what it prints: each must occur in its real output, where a number stands for any number and `…` for anything.
"""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from textwrap import dedent
from typing import NamedTuple

FENCED = re.compile(r"^( *)(```+|~~~+) *(?P<info>[^\n`]*)\n(?P<text>.*?)^\1\2 *$", re.MULTILINE | re.DOTALL)

# What would call these tests, changes the checkout, asks the network or a broker, or waits for Ctrl-C.
NOT_RUN = re.compile(
    r"""(\w+=\S*\s+)* (
      make \s (?!demo\b|help\b) | cd \s+ export-service\b | python3? \s+ -m \s+ (pip|venv)\b | .*\s --serve\b
    | (apt|apt-get|brew|curl|docker|git|helm|kubectl|npm|npx|pip|pipx|sudo|uv|wget)\b
    | (\S*/)?export-service \s+ (cancel|dead|gateway|submit|watch|worker)\b
    )""",
    re.VERBOSE,
)
PATIENCE_SECONDS = 120.0
NO_FAILURE = {0, 3}  # 3 is how `export-service` says that an export has omissions
# What `make` would make first, a .venv, is there, and must not be made anew for a page of text.
AS_IT_IS = 'make() { command make -o .venv/.complete "$@"; }\n'
MARK = "\x1e"  # ASCII's record separator, between what one command prints and the next


class Block(NamedTuple):
    language: str
    text: str
    line: int


class Command(NamedTuple):
    line: str
    output: list[str]


class Ran(NamedTuple):
    output: str
    status: int


def faults(page: str, checkout: Path) -> list[str]:
    """Everything that `page` shows and that is not so, tried in the page's order with `checkout` as the directory."""
    return [
        f"line {block.line}: {fault}"
        for block in blocks(page)
        for fault in FAULTS_OF[block.language](block.text, checkout)
    ]


def blocks(page: str) -> list[Block]:
    """What is there to be tried.

    >>> blocks("Text.\\n```json\\n{}\\n```\\n")
    [Block(language='json', text='{}\\n', line=2)]
    """
    return [
        Block(fence["info"].strip(), dedent(fence["text"]), page.count("\n", 0, fence.start()) + 1)
        for fence in FENCED.finditer(page)
        if fence["info"].strip() in FAULTS_OF
    ]


def commands(text: str) -> list[Command]:
    r"""What is typed, each with what it shows.

    >>> commands("$ zip a.zip \\\n    a\n  adding: a\n\n$ ls\n")
    [Command(line='zip a.zip \\\n    a', output=['  adding: a']), Command(line='ls', output=[])]
    """
    found: list[Command] = []
    for line in text.splitlines():
        if line.startswith("$ "):
            found.append(Command(line[2:], []))
        elif found and found[-1].line.endswith("\\"):
            found[-1] = Command(f"{found[-1].line}\n{line}", [])
        elif found and line.strip():
            found[-1].output.append(line)
    return found


def pattern(line: str) -> str:
    r"""What a shown line promises of the real output.

    >>> bool(re.search(pattern("12 files, …, 3.4 MB"), "  7 files, in 0.1 s, 88.0 MB  "))
    True
    >>> bool(re.search(pattern("12 files"), "no files"))
    False
    """
    return re.sub(r"\d+", r"\\d+", re.escape(line.strip())).replace("…", ".*")


def _faults_of_commands(text: str, checkout: Path) -> Iterator[str]:
    shown = [one for one in commands(text) if not NOT_RUN.match(one.line)]
    for position, (one, ran) in enumerate(zip(shown, _run_in_one_shell(shown, checkout), strict=True)):
        for line in one.output:
            if not re.search(pattern(line), ran.output):
                yield f"$ {one.line}\ndoes not print “{line.strip()}” but:\n{ran.output}"
        is_asked_for_its_status = [after.line for after in shown[position + 1 : position + 2]] == ["echo $?"]
        if ran.status not in NO_FAILURE and not is_asked_for_its_status:
            yield f"$ {one.line}\nends with {ran.status} and says:\n{ran.output}"


def _run_in_one_shell(shown: list[Command], checkout: Path) -> list[Ran]:
    """One shell for a block, so that variables, `cd` and `$?` mean what they mean to who types it."""
    typed = "".join(f"{one.line}\nstatus=$?; printf '{MARK}%s{MARK}' $status; (exit $status)\n" for one in shown)
    everything = _run(["bash", "-c", AS_IT_IS + typed], checkout)
    *parts, rest = everything.output.split(MARK)
    ran = [Ran(output, int(status)) for output, status in zip(parts[::2], parts[1::2], strict=True)]
    return ran + [Ran(rest, everything.status)] * (len(shown) - len(ran))


def _faults_of_a_program(text: str, checkout: Path) -> Iterator[str]:
    ran = _run([sys.executable, "-c", text], checkout)
    if ran.status:
        yield f"the program ends with {ran.status} and says:\n{ran.output}"


def _faults_of_data(text: str, _: Path) -> Iterator[str]:
    try:
        json.loads(text)
    except ValueError as error:
        yield f"this is no JSON: {error}"


def _run(command: list[str], checkout: Path) -> Ran:
    """With nothing on standard input, and an end: whatever still runs then is killed with its children."""
    with subprocess.Popen(
        command,
        cwd=checkout,
        env=_environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            output, _ = process.communicate(timeout=PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            output, _ = process.communicate()
    return Ran(output, process.returncode)


def _environment() -> dict[str, str]:
    """This process's own, without settings of the service or of pytest, and with the venv's commands first."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("EXPORT_", "PYTEST_"))}
    path = f"{Path(sys.prefix) / 'bin'}{os.pathsep}{kept.get('PATH', os.defpath)}"
    return kept | {"PATH": path, "COLUMNS": "120", "NO_COLOR": "1", "PYTHONUTF8": "1", "TERM": "dumb"}


FAULTS_OF: dict[str, Callable[[str, Path], Iterator[str]]] = {
    "console": _faults_of_commands,
    "sh": _faults_of_commands,
    "python": _faults_of_a_program,
    "json": _faults_of_data,
}
