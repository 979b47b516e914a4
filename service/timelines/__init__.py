"""The assembled story as files that editors open; each is written from the same cut. Pure."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

from contracts.messages import Timeline
from service.contents import TIMELINE_NAMES
from service.cut import Cut
from service.model import Plan
from service.timelines.fcpxml import write_fcpxml
from service.timelines.mlt import write_mlt
from service.timelines.otio import write_otio
from service.timelines.premiere import write_premiere
from service.timelines.where import Where, in_bundle, where_of

Writer = Callable[[Plan, Cut, Where], Iterator[str]]


class TimelineFile(NamedTuple):
    """A file at the top of the folder, beside the media that it refers to."""

    name: str
    write: Writer


TIMELINES: dict[Timeline, TimelineFile] = {
    Timeline.OTIO: TimelineFile(TIMELINE_NAMES[Timeline.OTIO], write_otio),
    Timeline.FCPXML: TimelineFile(TIMELINE_NAMES[Timeline.FCPXML], write_fcpxml),
    Timeline.PREMIERE: TimelineFile(TIMELINE_NAMES[Timeline.PREMIERE], write_premiere),
    Timeline.MLT: TimelineFile(TIMELINE_NAMES[Timeline.MLT], write_mlt),
}


def write_timeline(plan: Plan, cut: Cut, timeline: Timeline) -> Iterator[str]:
    """The file in pieces that end in `\\n`; the same plan gives the same bytes."""
    return TIMELINES[timeline].write(plan, cut, where_of(plan, timeline))


def otioz_content(plan: Plan, cut: Cut) -> Iterator[str]:
    """`content.otio` of an `.otioz`, whose media lie flat in `media/`."""
    return write_otio(plan, cut, in_bundle)


__all__ = ["TIMELINES", "TimelineFile", "Where", "Writer", "in_bundle", "otioz_content", "write_timeline"]
