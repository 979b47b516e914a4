"""Writes the texts of a story, ours or by a library: `python -m bench.writing WAY STORY SENTENCES DIRECTORY`.

Tells of the writing alone, in JSON, the CPU seconds, the bytes, and by how much the peak of memory rose. The libraries
are given what is the most work, the story laid out in frames, and leave out what they have no words for.
"""

import json
import resource
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from importlib import import_module
from itertools import groupby
from pathlib import Path
from time import process_time
from typing import Any

from bench import story
from contracts import Caption, Timeline
from service.captions import write_srt, write_vtt
from service.contents import CAPTION_NAMES
from service.cut import Clip, Cut, Slot, Track, make_cut
from service.model import Plan
from service.texts import texts_of
from service.timecodes import milliseconds
from service.timelines import TIMELINES, write_timeline

STORIES: Mapping[str, Callable[[int], Plan]] = {"silent": story.silent, "with-sound": story.with_sound}

_OTIO, _PREMIERE = TIMELINES[Timeline.OTIO].name, TIMELINES[Timeline.PREMIERE].name
_SRT, _VTT = CAPTION_NAMES[Caption.SRT], CAPTION_NAMES[Caption.VTT]

Way = Callable[[Plan, Cut, Path], None]


def everything(plan: Plan, _: Cut, directory: Path) -> None:
    """All texts of an export but its manifest. They are laid out once more, as an export does it."""
    for name, pieces in texts_of(plan):
        with (directory / name).open("wb") as file:
            file.writelines(pieces)


def our_otio(plan: Plan, cut: Cut, directory: Path) -> None:
    _put(directory / _OTIO, write_timeline(plan, cut, Timeline.OTIO))


def our_premiere(plan: Plan, cut: Cut, directory: Path) -> None:
    _put(directory / _PREMIERE, write_timeline(plan, cut, Timeline.PREMIERE))


def our_captions(plan: Plan, cut: Cut, directory: Path) -> None:
    _put(directory / _SRT, write_srt(plan, cut))
    _put(directory / _VTT, write_vtt(plan, cut))


def _put(file: Path, pieces: Iterable[str]) -> None:
    with file.open("w", encoding="utf-8", newline="") as target:
        target.writelines(pieces)


# ---- by libraries


def opentimelineio(plan: Plan, cut: Cut, directory: Path) -> None:
    otio = import_module("opentimelineio")
    otio.adapters.write_to_file(_timeline(otio, plan, cut), str(directory / _OTIO))


def otio_fcp_adapter(plan: Plan, cut: Cut, directory: Path) -> None:
    otio = import_module("opentimelineio")
    otio.adapters.write_to_file(_timeline(otio, plan, cut), str(directory / _PREMIERE), "fcp_xml")


def pysubs2_and_webvtt(plan: Plan, cut: Cut, directory: Path) -> None:
    """A cue a sentence, on one line however long it is."""
    pysubs2, webvtt = import_module("pysubs2"), import_module("webvtt")
    srt, vtt = pysubs2.SSAFile(), webvtt.WebVTT()
    for start, stop, text in _spoken(plan, cut):
        srt.append(pysubs2.SSAEvent(start, stop, text))
        vtt.captions.append(webvtt.Caption(_stamp(start), _stamp(stop), text))
    srt.save(str(directory / _SRT))
    vtt.save(str(directory / _VTT))


def _timeline(otio: Any, plan: Plan, cut: Cut) -> Any:
    timeline = otio.schema.Timeline(plan.draft.project.name, global_start_time=_time(otio, cut, 0))
    for track, clips in groupby(cut.clips, lambda clip: clip.track):
        is_sound = track in {Track.NARRATION, Track.CLIP_SOUND}
        kind = otio.schema.TrackKind.Audio if is_sound else otio.schema.TrackKind.Video
        timeline.tracks.append(otio.schema.Track(track.value, list(_items(otio, cut, clips)), kind=kind))
    for chapter in cut.chapters:
        marked = _range(otio, cut, chapter.start, chapter.frames)
        timeline.tracks.markers.append(otio.schema.Marker(chapter.title, marked))
    return timeline


def _items(otio: Any, cut: Cut, clips: Iterable[Clip]) -> Iterator[Any]:
    at = 0
    for clip in clips:
        if clip.start > at:
            yield otio.schema.Gap(source_range=_range(otio, cut, 0, clip.start - at))
        file = _range(otio, cut, 0, clip.media_frames or clip.frames)
        media = otio.schema.ExternalReference(clip.copy.name, file)
        yield otio.schema.Clip(clip.copy.name, media, _range(otio, cut, clip.offset, clip.frames))
        at = clip.start + clip.frames


def _range(otio: Any, cut: Cut, start: int, frames: int) -> Any:
    return otio.opentime.TimeRange(_time(otio, cut, start), _time(otio, cut, frames))


def _time(otio: Any, cut: Cut, frames: int) -> Any:
    return otio.opentime.RationalTime(frames, float(cut.rate))


def _spoken(plan: Plan, cut: Cut) -> Iterator[tuple[int, int, str]]:
    for slot in cut.slots:
        yield milliseconds(cut, slot.start), milliseconds(cut, slot.start + slot.frames), _text(plan, slot)


def _text(plan: Plan, slot: Slot) -> str:
    sentences = plan.draft.project.sections[slot.section].sentences
    return "" if slot.in_section is None else sentences[slot.in_section].text


def _stamp(ms: int) -> str:
    seconds, ms = divmod(ms, 1000)
    return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}.{ms:03}"


_ALL: tuple[Way, ...] = (
    *(everything, our_otio, our_premiere, our_captions),
    *(opentimelineio, otio_fcp_adapter, pysubs2_and_webvtt),
)
WAYS: Mapping[str, Way] = {way.__name__: way for way in _ALL}
_LIBRARIES: Mapping[Way, Sequence[str]] = {
    opentimelineio: ("opentimelineio",),
    otio_fcp_adapter: ("opentimelineio", "otio_fcp_adapter"),
    pysubs2_and_webvtt: ("pysubs2", "webvtt"),
}


def main(name: str, of: str, sentences: int, directory: Path) -> None:
    way = WAYS[name]
    for library in _LIBRARIES.get(way, ()):
        import_module(library)  # a studio's server has them loaded
    plan = STORIES[of](sentences)
    cut = make_cut(plan)
    directory.mkdir(exist_ok=True)
    story_bytes, began = _peak_bytes(), process_time()
    way(plan, cut, directory)
    seconds, above_bytes = process_time() - began, _peak_bytes() - story_bytes
    size_bytes = sum(file.stat().st_size for file in directory.iterdir())
    told = {"story_bytes": story_bytes, "above_bytes": above_bytes, "size_bytes": size_bytes}
    print(json.dumps({"cpu_seconds": seconds, **told}))


def _peak_bytes() -> int:
    """What this process has held at most so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), Path(sys.argv[4]))
