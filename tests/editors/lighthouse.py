"""The demo's export, and how its contact sheet looks: for tests, and as a picture for the docs.

python -m tests.editors.lighthouse docs/pictures/contact-sheet.png
"""

import sys
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory

from PIL import Image
from playwright.sync_api import sync_playwright

from demo.sample import make_sample
from service.contents import INDEX_PAGE
from tests.cli.command import call
from tests.gateway.test_page import CHROMIUM

MAY_WEIGH_BYTES = 200_000


def lighthouse(place: Path) -> Path:
    """The folder that the command makes of the sample project."""
    sample = make_sample(place / "sample")
    call("run", sample.project, "--media", sample.media, "--to", place / "exports")
    (folder,) = (place / "exports").glob("export_*")
    return folder


def _picture(page: Path, width: int = 1240, height: int = 1360) -> bytes:
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
        picture = _smaller(_picture(lighthouse(Path(place)) / INDEX_PAGE))
    if len(picture) > MAY_WEIGH_BYTES:
        raise SystemExit(f"{to} would weigh {len(picture)} bytes")
    to.write_bytes(picture)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
