"""What a creator would otherwise discover in the editor, as a few lines before it. Pure.

One line for each kind of trouble: how many files, the first of them, what it means, and what to do.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from contracts import Project
from service import troubles
from service.format import format_of
from service.model import Copy
from service.troubles import File, Scene, rate_as_text, size_as_text

NAMED_FILES = 3
"""Of each line; the others are counted."""


def conformity(project: Project, copies: Sequence[Copy]) -> tuple[str, ...]:
    """The lines, the gravest first; none where all is as an editor wants it."""
    scene = Scene(copies, format_of(project, copies))
    found = ((check, list(check.files(scene))) for check in _CHECKS)
    return tuple(_line(check, files, scene) for check, files in found if files)


class _Check(NamedTuple):
    what: str
    """May name the timeline's `{rate}` and its `{size}`."""
    noun: str
    """Of the files, in the singular."""
    advice: str
    files: Callable[[Scene], Iterable[File]]


_CHECKS: tuple[_Check, ...] = (
    _Check(
        "A header that is wrong or unfinished",
        "file",
        "editors may show a wrong length or refuse it; open it in an audio or video tool and save it anew",
        troubles.damaged,
    ),
    _Check(
        "Another kind of media than the project says",
        "file",
        "editors have nothing to show there; make it anew",
        troubles.of_another_kind,
    ),
    _Check(
        "A name that does not say what is in it",
        "file",
        "editors that go by the name refuse it; correct its extension where the project keeps it",
        troubles.misnamed,
    ),
    _Check(
        "A format that Premiere Pro and Final Cut Pro do not open",
        "file",
        "there it is missing; convert it to WAV, PNG or MP4",
        troubles.foreign,
    ),
    _Check(
        "Nothing known of its length or size",
        "file",
        "its place in the timelines is a guess; look at it in the editor, or save it in a usual format",
        troubles.unknown,
    ),
    _Check(
        "Made from an older text",
        "file",
        "look whether it still fits and make it anew if not; an export with the option stale = skip leaves it out",
        troubles.stale,
    ),
    _Check(
        "A frame rate that varies",
        "video",
        "picture and sound drift apart in most editors; convert it to a constant rate",
        troubles.varying,
    ),
    _Check(
        "Shorter than its narration",
        "video",
        "its still is seen for the rest, or black without one; slow it down, or make a longer one",
        troubles.short,
    ),
    _Check(
        "Another frame rate than the timeline's {rate}",
        "video",
        "editors drop or repeat frames, which may stutter; make all at one rate, or set the project's frame rate",
        troubles.of_another_rate,
    ),
    _Check(
        "Another size than the timeline's {size}",
        "picture",
        "editors scale it or leave bars beside it; crop it, or make all pictures in one size",
        troubles.of_another_size,
    ),
    _Check(
        "A start timecode of its own",
        "file",
        "an editor that looks for another time shows it as offline; relink it there, or save it with a start of 0",
        troubles.started_late,
    ),
    _Check(
        "A sample rate other than 48 kHz",
        "file",
        "editors convert it as it plays, so nothing need be done; for the best sound have it made at 48 kHz",
        troubles.of_another_pitch,
    ),
    _Check(
        "Mono and stereo side by side",
        "narration",
        "it sounds louder or from elsewhere than the others; set all to the same in the editor",
        troubles.of_other_channels,
    ),
)


def _line(check: _Check, files: Sequence[File], scene: Scene) -> str:
    rate, size = rate_as_text(scene.format.rate), size_as_text(scene.format.width, scene.format.height)
    noun = check.noun if len(files) == 1 else f"{check.noun}s"
    what = check.what.format(rate=rate, size=size)
    return f"{what}, {len(files):,} {noun} ({_names(files)}): {check.advice}."


def _names(files: Sequence[File]) -> str:
    """The first few, and what is the matter with each: once, where it is the same with all."""
    details = {file.detail for file in files}
    shared = f"{files[0].detail}: " if len(details) == 1 and len(files) > 1 and files[0].detail else ""
    named = [_name(file, is_detailed=not shared) for file in files[:NAMED_FILES]]
    more = len(files) - NAMED_FILES
    return shared + ", ".join(named) + (f" and {more:,} more" if more > 0 else "")


def _name(file: File, *, is_detailed: bool) -> str:
    name = file.copy.name.rpartition("/")[2]
    return f"{name} {file.detail}" if is_detailed and file.detail else name
