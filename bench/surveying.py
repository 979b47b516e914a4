"""What a look at each file costs, and what it says of itself: `python -m bench.surveying PROJECT MEDIA EXPORTS`.

Tells CPU seconds in JSON: of finding all files, of the whole survey, and of reading their facts out of bytes in memory.
"""

import json
import sys
from pathlib import Path
from time import process_time

import anyio

from bench.story import draft_of
from contracts import Project
from service.media import Media
from service.model import Draft
from service.probe import probe
from service.references import MEDIA
from service.storage.local import LocalStorage
from service.survey import source_of, survey


def main(project: Path, media: Path, exports: Path) -> None:
    draft = draft_of(Project.model_validate_json(project.read_bytes()))
    exports.mkdir(exist_ok=True)
    storage = LocalStorage({MEDIA: media}, exports)
    try:
        storage.look(source_of(draft.wanted[0], draft, storage))
        began = process_time()
        for wanted in draft.wanted:
            storage.look(source_of(wanted, draft, storage))
        found = process_time()
        anyio.run(survey, draft, storage)
        surveyed = process_time()
    finally:
        storage.close()
    told = {"look": found - began, "survey": surveyed - found, "probe": _probing(draft, media)}
    print(json.dumps({"files": len(draft.wanted), "cpu_seconds": told}))


def _probing(draft: Draft, media: Path) -> float:
    """In memory, so that it is our own reading alone."""
    contents = {suffix: next(media.rglob(f"*.{suffix}")).read_bytes() for suffix in ("wav", "png", "mp4")}
    held = [contents[wanted.uri[-3:]] for wanted in draft.wanted]
    began = process_time()
    for content in held:
        if _probed(content).container is None:
            raise SystemExit("a file of the sample says nothing of itself")
    return process_time() - began


def _probed(content: bytes) -> Media:
    return probe(lambda start, stop: content[start:stop], len(content))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]))
