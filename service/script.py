"""`script.txt`: every sentence under its section's header, numbered like the files. Pure."""

import unicodedata
from collections import defaultdict
from collections.abc import Iterator, Mapping

from contracts import Project, Reason, Section, Sentence
from service.model import Plan
from service.naming import one_line, plain_text

_INDENT = "  "


def write_script(plan: Plan) -> str:
    """The story to read, and under each sentence what is not there and why. Lines end in `\\n`; one at the end."""
    notes = _notes(plan)
    lines = [*_head(plan)]
    for position, section in enumerate(plan.draft.project.sections):
        lines += _section(plan, position, section, notes)
    return "\n".join(lines) + "\n"


def _head(plan: Plan) -> Iterator[str]:
    project = plan.draft.project
    title = one_line(project.name) or one_line(project.id)
    yield from _underlined(title, "=")
    yield f"{_counted(len(project.sections), 'section')}, {_counted(_sentences(project), 'sentence')}"
    # Not strftime: whether its %Y pads a year to four digits differs from system to system.
    moment = plan.draft.requested_at.replace(tzinfo=None).isoformat(sep=" ", timespec="minutes")
    yield f"Exported {moment} UTC, project {one_line(project.id)}"
    if plan.omissions:
        yield "Media that is not in this export is noted in square brackets."


def _section(plan: Plan, position: int, section: Section, notes: Mapping[int, list[str]]) -> Iterator[str]:
    title = one_line(section.title)
    yield ""
    yield ""
    yield from _underlined(f"{position + 1}. {title}" if title else f"Section {position + 1}", "-")
    first = plan.draft.first_numbers[position]
    for note in notes.get(-position - 1, ()):
        yield f"[{note}]"
    for number, sentence in enumerate(section.sentences, first):
        yield ""
        yield from _sentence(f"{number:0{plan.draft.width}d}", sentence, notes.get(number, []))


def _sentence(number: str, sentence: Sentence, notes: list[str]) -> Iterator[str]:
    margin = " " * len(number) + _INDENT
    first, *rest = plain_text(sentence.text).strip().split("\n")
    yield f"{number}{_INDENT}{first or '(no text)'}"
    for line in rest:
        yield f"{margin}{line}".rstrip()
    for note in notes:
        yield f"{margin}[{note}]"


def _notes(plan: Plan) -> dict[int, list[str]]:
    """What is absent, by sentence number; under `-section` what concerns a whole section, counted from 1."""
    notes: dict[int, list[str]] = defaultdict(list)
    for omission in plan.omissions:
        spot = omission.spot
        if omission.reason is Reason.IN_SECTION_AUDIO:
            notes[spot.seq].append(f"audio: {omission.detail}")
        elif spot.in_section is None:
            notes[-spot.section - 1].append(f"narration of the section: {omission.reason}")
        else:
            notes[spot.seq].append(f"{spot.kind}: {omission.reason}")
    return notes


def _underlined(title: str, rule: str) -> Iterator[str]:
    yield title
    yield rule * min(max(_columns(title), 3), 72)


def _columns(text: str) -> int:
    """How wide a terminal or an editor shows it: ideographs and emoji take two columns, marks and joiners none."""
    return sum(map(_columns_of, text))


def _columns_of(character: str) -> int:
    if unicodedata.category(character) in {"Mn", "Me", "Cf"}:
        return 0
    return 2 if unicodedata.east_asian_width(character) in {"W", "F"} else 1


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def _sentences(project: Project) -> int:
    return sum(len(section.sentences) for section in project.sections)
