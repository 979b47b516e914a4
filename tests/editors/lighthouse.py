"""The demo's export with everything that an editor and a creator may want beside it; and its picture for the docs.

python -m tests.editors.lighthouse docs/pictures/contact-sheet.png
"""

import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import anyio
from PIL import Image
from playwright.sync_api import sync_playwright

from contracts import ExportStart
from contracts.messages import Timeline
from demo.sample import make_sample, sample_project
from service.captions import SRT, VTT, write_srt, write_vtt
from service.chapters import CHAPTERS, write_chapters
from service.conformity import conformity
from service.cut import Cut, make_cut
from service.index_page import PAGE, write_index_page
from service.index_table import TABLE, write_index_table
from service.media import Media
from service.metadata import METADATA, write_metadata
from service.model import Copy, Plan
from service.plan import plan_export
from service.probe import probe
from service.settle import settle
from service.storage.local import LocalStorage
from service.survey import survey
from service.timelines import TIMELINES, write_timeline
from tests.cli.command import call
from tests.gateway.test_page import CHROMIUM

MAY_WEIGH_BYTES = 200_000


class Exported(NamedTuple):
    """A folder as an export leaves it."""

    folder: Path
    plan: Plan
    cut: Cut


def lighthouse(place: Path) -> Exported:
    """Exported by the command, with the texts of this plan beside the media."""
    sample = make_sample(place / "sample")
    call("run", sample.project, "--media", sample.media, "--to", place / "exports")
    (folder,) = (place / "exports").glob("export_*")
    planned = _plan(sample.media, place / "exports", folder.name)
    copies = tuple(replace(copy, media=_facts(folder, copy)) for copy in planned.copies)
    planned = replace(planned, copies=copies, warnings=(*planned.warnings, *conformity(sample_project(), copies)))
    cut = make_cut(planned)
    for name, text in _texts(planned, cut):
        (folder / name).write_text("".join(text), newline="")
    page = "".join(write_index_page(planned, cut, sorted(path.name for path in folder.iterdir())))
    (folder / PAGE).write_text(page)
    return Exported(folder, planned, cut)


def _plan(media: Path, exports: Path, folder: str) -> Plan:
    moment = datetime(2026, 3, 1, 12, tzinfo=UTC)
    command = ExportStart(export_id="e-1", requested_at=moment, project=sample_project())
    draft = plan_export(command, sample_project(), folder)
    return settle(draft, anyio.run(survey, draft, LocalStorage({"media": media}, exports)))


def _facts(folder: Path, copy: Copy) -> Media:
    content = (folder / copy.name).read_bytes()
    return probe(lambda start, stop: content[start:stop], len(content))


def _texts(plan: Plan, cut: Cut) -> Iterator[tuple[str, Iterator[str]]]:
    for timeline, file in TIMELINES.items():
        yield file.name, write_timeline(plan, cut, Timeline(timeline))
    yield SRT, write_srt(plan, cut)
    yield VTT, write_vtt(plan, cut)
    yield CHAPTERS, write_chapters(plan, cut)
    yield TABLE, write_index_table(plan, cut)
    yield METADATA, write_metadata(plan, cut)


def _picture(page: Path, width: int = 1240, height: int = 1180) -> bytes:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        sheet = browser.new_page(viewport={"width": width, "height": height})
        sheet.goto(page.as_uri())
        sheet.wait_for_timeout(1000)  # until the players have drawn themselves
        shot = sheet.screenshot()
        browser.close()
    return shot


def _smaller(shot: bytes) -> bytes:
    """In 256 colours, which a page of few needs."""
    packed = BytesIO()
    Image.open(BytesIO(shot)).convert("RGB").quantize(256, dither=Image.Dither.NONE).save(packed, "PNG", optimize=True)
    return packed.getvalue()


def main(to: Path) -> None:
    with TemporaryDirectory() as place:
        picture = _smaller(_picture(lighthouse(Path(place)).folder / PAGE))
    if len(picture) > MAY_WEIGH_BYTES:
        raise SystemExit(f"{to} would weigh {len(picture)} bytes")
    to.write_bytes(picture)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
