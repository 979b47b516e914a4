"""What timelines say in words: names, texts, markers. Pure."""

import re

from service.cut import Clip, Cut, Slot, Track
from service.format import nearest_rate
from service.model import Copy, Plan
from service.naming import one_line

# Neither XML 1.0 nor UTF-8 has them: surrogates, and the two that are no characters.
_NOT_WRITABLE = re.compile("[\ud800-\udfff\ufffe\uffff]")


def shown(text: str) -> str:
    """On one line, without anything that XML or a marker list cannot show."""
    return one_line(_NOT_WRITABLE.sub("", text))


def title_of(plan: Plan) -> str:
    """What the timeline is called in an editor's bin."""
    project = plan.draft.project
    return shown(project.name) or shown(project.id) or "Export"


def file_name(copy: Copy) -> str:
    """What a clip is called: as its file is, with its extension, so that an editor can find it again."""
    return copy.name.rpartition("/")[2]


def text_of(plan: Plan, section: int, in_section: int | None) -> str:
    """The sentence; empty for a section's narration."""
    if in_section is None:
        return ""
    return shown(plan.draft.project.sections[section].sentences[in_section].text)


def marker_of(plan: Plan, slot: Slot) -> str:
    """What is missing, after the number that the sentence's files have."""
    return f"{slot.seq:0{plan.draft.width}d} {slot.note}"


def on(cut: Cut, track: Track) -> list[Clip]:
    return [clip for clip in cut.clips if clip.track is track]


def start_frame(copy: Copy, cut: Cut) -> int:
    """The frame that the file's own timecode begins with."""
    return round(copy.media.start * cut.rate) if copy.media.start else 0


def own_rate(copy: Copy, cut: Cut) -> tuple[int, int]:
    """Numerator and denominator of a film's rate; the timeline's where it is not known."""
    picture = copy.media.picture
    rate = nearest_rate(picture.frame_rate) if picture and picture.frame_rate else cut.rate
    return rate.numerator, rate.denominator
