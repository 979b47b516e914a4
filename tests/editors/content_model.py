"""What Final Cut insists on in an FCPXML 1.10, in words of our own: which element may hold what, in which order."""

import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator

from tests.editors.readers import parsed

# Each element's children as a pattern over their names, each followed by a blank.
_ANCHORED = "(asset-clip )*"
_MARKED = "((chapter-marker|marker) )*"
_CHILDREN = {
    "fcpxml": "resources event ",
    "resources": "((format|asset) )*",
    "format": "",
    "asset": "(media-rep )+",
    "media-rep": "",
    "event": "project ",
    "project": "sequence ",
    "sequence": "spine ",
    "spine": "((video|gap) )*",
    "video": f"(note )?{_ANCHORED}{_MARKED}",
    "gap": f"(note )?{_ANCHORED}{_MARKED}",
    "asset-clip": "",
    "marker": "",
    "chapter-marker": "",
    "note": "",
}
# Each element's attributes; those that it must have in capitals.
_ATTRIBUTES = {
    "fcpxml": "VERSION",
    "resources": "",
    "format": "ID name frameDuration width height colorSpace",
    "asset": "ID name start duration hasVideo format hasAudio videoSources audioSources audioChannels audioRate",
    "media-rep": "SRC kind",
    "event": "name",
    "project": "name",
    "sequence": "FORMAT duration tcStart tcFormat audioLayout audioRate",
    "spine": "",
    "video": "REF DURATION name offset start role",
    "gap": "DURATION name offset start",
    "asset-clip": "REF lane offset name start duration audioRole videoRole",
    "marker": "START VALUE duration completed",
    "chapter-marker": "START VALUE duration posterOffset",
    "note": "",
}
_TIMES = {"start", "duration", "offset", "frameDuration", "tcStart", "posterOffset"}
_TIME = re.compile(r"\d+(/\d+)?s")


def faults(text: str) -> list[str]:
    """Everything that Final Cut would refuse, as sentences; none for a good file."""
    root = parsed(text)
    ids = [element.get("id", "") for element in root.iter() if "id" in element.attrib]
    found = [fault for element in root.iter() for fault in _faults_of(element, set(ids))]
    if len(ids) != len(set(ids)):
        found.append("an id is there twice")
    return [*found, *_faults_of_stills(root)]


def _faults_of(element: ET.Element, ids: set[str]) -> Iterator[str]:
    tag, allowed = element.tag, _ATTRIBUTES[element.tag].split()
    children = "".join(f"{child.tag} " for child in element)
    if not re.fullmatch(_CHILDREN[tag], children):
        yield f"{tag} holds {children or 'nothing'}"
    for name in allowed:
        if name.isupper() and name.lower() not in {known.lower() for known in element.attrib}:
            yield f"{tag} has no {name.lower()}"
    for name, value in element.attrib.items():
        if name not in allowed and name.upper() not in allowed:
            yield f"{tag} must not have {name}"
        if name in _TIMES and not _TIME.fullmatch(value):
            yield f'{tag}: {name}="{value}" is no time'
        if name in {"ref", "format"} and value not in ids:
            yield f'{tag}: there is no "{value}"'


def _faults_of_stills(root: ET.Element) -> Iterator[str]:
    """A still in an asset-clip, or with a format that has a frame duration, brings Final Cut down."""
    timed = {form.get("id") for form in root.iter("format") if "frameDuration" in form.attrib}
    stills = {asset.get("id") for asset in root.iter("asset") if asset.get("duration") == "0s"}
    for asset in root.iter("asset"):
        if asset.get("id") in stills and asset.get("format") in timed:
            yield "a still's format has a frame duration"
    for clip in root.iter("asset-clip"):
        if clip.get("ref") in stills:
            yield "a still is an asset-clip"
    for video in root.iter("video"):
        if video.get("ref") not in stills:
            yield "a video is no still"
