"""How a timeline names a file: from where it lies itself, or by where a team has its exports mounted. Pure.

Without `media_root` every name is relative, so that the folder may be moved about. A name in the folder is plain ASCII
and needs no encoding; a team's directory may be called anything.
"""

import re
from collections.abc import Callable
from urllib.parse import quote

from contracts.messages import Timeline
from service.contents import otioz_place
from service.model import Copy, Plan

Where = Callable[[Copy], str]
"""What a timeline calls the file; not yet escaped for XML."""

_DRIVE = re.compile(r"[A-Za-z]:")

# Storyboarder ships `./` in both, and Apple's reference has it; in OTIO it kept Resolve from finding the files
# (ynput/ayon-unreal#132), and MLT needs none.
_HERE = {Timeline.OTIO: "", Timeline.FCPXML: "./", Timeline.PREMIERE: "./", Timeline.MLT: ""}


def where_of(plan: Plan, timeline: Timeline) -> Where:
    """By `options.media_root` if it is given: the exports are then mounted there, this one under its folder's name."""
    root = plan.draft.options.media_root
    if root is None:
        prefix = _HERE[timeline]
    else:
        directory = root.replace("\\", "/").rstrip("/")
        prefix = _ROOTED[timeline](f"{directory}/{plan.draft.folder}/")
    return lambda copy: prefix + copy.name


def in_bundle(copy: Copy) -> str:
    """Its place in an `.otioz`."""
    return otioz_place(copy.name)


def file_url(path: str) -> str:
    """RFC 8089, which Final Cut and OpenTimelineIO read.

    >>> file_url("/Volumes/Our NAS/x"), file_url("D:/x/é"), file_url("//server/share/x")
    ('file:///Volumes/Our%20NAS/x', 'file:///D:/x/%C3%A9', 'file://server/share/x')
    """
    if path.startswith("//"):
        return "file:" + quote(path)
    if _DRIVE.match(path):
        return f"file:///{path[:2]}{quote(path[2:])}"
    return "file://" + quote(path)


def premiere_url(path: str) -> str:
    """As Premiere itself writes it: with a host, and a drive's colon encoded (WyattBlue/auto-editor#130).

    >>> premiere_url("/Volumes/NAS/x"), premiere_url("D:/x"), premiere_url("//server/share/x")
    ('file://localhost/Volumes/NAS/x', 'file://localhost/D%3a/x', 'file://localhost//server/share/x')
    """
    if _DRIVE.match(path):
        return f"file://localhost/{path[0]}%3a{quote(path[2:])}"
    return "file://localhost" + quote(path)


def _plain(path: str) -> str:
    """MLT takes paths, not URLs: nothing in one is encoded."""
    return path


_ROOTED: dict[Timeline, Callable[[str], str]] = {
    Timeline.OTIO: file_url,
    Timeline.FCPXML: file_url,
    Timeline.PREMIERE: premiere_url,
    Timeline.MLT: _plain,
}
