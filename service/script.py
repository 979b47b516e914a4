"""`script.txt`: every sentence under its section's header, numbered like the files. Pure."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from math import floor
from typing import NamedTuple

from contracts import Project, Reason, Section, Sentence
from service.cut import Cut
from service.graphemes import columns_of
from service.model import Plan
from service.naming import one_line, plain_text
from service.timecodes import clock, has_times

_INDENT = "  "


def write_script(plan: Plan, cut: Cut | None = None) -> str:
    """The story to read, and under each sentence what is not there and why. Lines end in `\\n`; one at the end.

    With a cut in which the length of something is known, each sentence and section has the time when it begins.
    """
    times = _times(cut)
    notes = _notes(plan)
    lines = [*_head(plan, times)]
    for position, section in enumerate(plan.draft.project.sections):
        lines += _section(plan, position, section, notes, times)
    return "\n".join(lines) + "\n"


class _Times(NamedTuple):
    """When what begins, as it is written; all of one width, and all empty where nothing is known."""

    sentences: Mapping[int, str]
    sections: Mapping[int, str]
    blank: str = ""
    """For a sentence that has no time in the timelines."""
    total: str = ""


def _times(cut: Cut | None) -> _Times:
    if cut is None or not has_times(cut):
        return _Times({}, {})
    total = clock(floor(cut.seconds(cut.frames)))
    sections: dict[int, str] = {}
    sentences: dict[int, str] = {}
    for slot in cut.slots:
        start = clock(floor(cut.seconds(slot.start)))
        sections.setdefault(slot.section, start)
        if slot.in_section is not None:
            sentences[slot.seq] = f"{start:>{len(total)}}{_INDENT}"
    return _Times(sentences, sections, " " * len(total) + _INDENT, total)


def _head(plan: Plan, times: _Times) -> Iterator[str]:
    project = plan.draft.project
    title = one_line(project.name) or one_line(project.id)
    length = f", {times.total}" if times.total else ""
    yield from _underlined(title, "=")
    yield f"{_counted(len(project.sections), 'section')}, {_counted(_sentences(project), 'sentence')}{length}"
    # Not strftime: whether its %Y pads a year to four digits differs from system to system.
    moment = plan.draft.requested_at.replace(tzinfo=None).isoformat(sep=" ", timespec="minutes")
    yield f"Exported {moment} UTC, project {one_line(project.id)}"
    if times.total:
        yield "Times count from the beginning of the assembled video, in whole seconds."
    if plan.omissions:
        yield "Media that is not in this export is noted in square brackets."


def _section(
    plan: Plan, position: int, section: Section, notes: Mapping[int, list[str]], times: _Times
) -> Iterator[str]:
    title = one_line(section.title)
    start = f"  ({times.sections[position]})" if position in times.sections else ""
    yield ""
    yield ""
    yield from _underlined((f"{position + 1}. {title}" if title else f"Section {position + 1}") + start, "-")
    first = plan.draft.first_numbers[position]
    for note in notes.get(-position - 1, ()):
        yield f"[{note}]"
    for number, sentence in enumerate(section.sentences, first):
        yield ""
        label = f"{number:0{plan.draft.width}d}{_INDENT}{times.sentences.get(number, times.blank)}"
        yield from _sentence(label, sentence, notes.get(number, []))


def _sentence(label: str, sentence: Sentence, notes: list[str]) -> Iterator[str]:
    margin = " " * len(label)
    first, *rest = plain_text(sentence.text).strip().split("\n")
    yield f"{label}{first or '(no text)'}"
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
    """As an editor shows it that does not join emoji: a line that is too long is better than one too short."""
    return sum(map(columns_of, text))


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def _sentences(project: Project) -> int:
    return sum(len(section.sentences) for section in project.sections)
