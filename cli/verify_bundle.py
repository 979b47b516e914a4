"""What is wrong with an otioz: a timeline, and the media that it names, with the checksums of the ZIP that they are in.

A bundle has no manifest, so this proves that it is as whole as when it was made, and not of what it was made.
"""

import json
import zipfile
from collections.abc import Iterator
from typing import Any

from service.contents import OTIOZ_CONTENT, OTIOZ_MEDIA, OTIOZ_VERSION

MAX_CONTENT_BYTES = 1024**3


def is_bundle(archive: zipfile.ZipFile) -> bool:
    return OTIOZ_CONTENT in archive.namelist()


def bundle_differences(archive: zipfile.ZipFile) -> Iterator[str]:
    """A sentence for each fault. Raises what zipfile raises."""
    damaged = archive.testzip()
    if damaged is not None:
        yield f"{damaged}: has not the CRC-32 that the bundle says"
        return
    if archive.getinfo(OTIOZ_CONTENT).file_size > MAX_CONTENT_BYTES:
        yield f"{OTIOZ_CONTENT}: is too large to be a timeline"
        return
    try:
        named = set(_references(json.loads(archive.read(OTIOZ_CONTENT))))
    except (ValueError, RecursionError) as fault:
        yield f"{OTIOZ_CONTENT}: cannot be understood: {fault}"
        return
    found = set(archive.namelist())
    yield from (f"{name}: is missing" for name in sorted((named | {OTIOZ_VERSION}) - found))
    yield from (f"{name}: is not of a bundle" for name in sorted(found) if not _is_of_bundle(name))


def _is_of_bundle(name: str) -> bool:
    """Also media that no track shows; in a directory beneath they would be found by nobody."""
    directory, _, file = name.rpartition("/")
    return name in {OTIOZ_CONTENT, OTIOZ_VERSION} or (directory == OTIOZ_MEDIA and "\\" not in file)


def _references(node: Any) -> Iterator[str]:
    """Every place of a file that the timeline names."""
    match node:
        case {"target_url": str() as place}:
            yield place
        case dict():
            for value in node.values():
                yield from _references(value)
        case list():
            for value in node:
                yield from _references(value)
        case _:
            return
