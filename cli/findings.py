"""What a check finds, and how it is told."""

from collections.abc import Sequence
from enum import StrEnum
from typing import NamedTuple

from rich.console import Console
from rich.markup import escape


class State(StrEnum):
    """How bad it is."""

    OK = "ok"
    NOTE = "note"
    """Worth a look; the deployment is sound."""
    PROBLEM = "problem"
    """Exports fail, stand still or can be lost."""


class Finding(NamedTuple):
    """One thing that was looked at."""

    subject: str
    state: State
    detail: str
    mend: str = ""


def ok(subject: str, detail: str) -> Finding:
    return Finding(subject, State.OK, detail)


def note(subject: str, detail: str, mend: str = "") -> Finding:
    return Finding(subject, State.NOTE, detail, mend)


def problem(subject: str, detail: str, mend: str) -> Finding:
    return Finding(subject, State.PROBLEM, detail, mend)


def is_sound(findings: Sequence[Finding]) -> bool:
    return all(finding.state is not State.PROBLEM for finding in findings)


def as_json(findings: Sequence[Finding]) -> dict[str, object]:
    return {"sound": is_sound(findings), "findings": [finding._asdict() for finding in findings]}


_STYLES = {State.OK: "green", State.NOTE: "yellow", State.PROBLEM: "red"}


def show_findings(out: Console, findings: Sequence[Finding]) -> None:
    width = max(len(finding.subject) for finding in findings)
    followers = [*(finding.mend for finding in findings[1:]), ""]
    for (subject, state, detail, mend), next_mend in zip(findings, followers, strict=True):
        out.print(f"[{_STYLES[state]}]{state:<7}[/]  {escape(subject):<{width}}  {escape(detail)}", soft_wrap=True)
        if mend and mend != next_mend:  # said once where several need the same
            out.print(f"{'':7}  {'':{width}}  [bold]{escape(mend)}[/]", soft_wrap=True)
