"""Takes the pictures of the creator's page for the docs: while the demo's files are copied, and at the end on a phone.

python -m tests.tools.page docs/pictures

The end is a real one. The demo's files are copied in less time than a picture takes, so the page is told that they are
half-way, in an event as a worker sends it.
"""

import asyncio
import sys
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from PIL import Image

from contracts import ExportProgress, Kind, State
from contracts.messages import Tally
from tests.broker.commands import Document
from tests.gateway.test_page import Screen, Studio, a_sample, studio

MAY_WEIGH_BYTES = 200_000
PHONE = {"viewport": {"width": 390, "height": 844}, "device_scale_factor": 2, "is_mobile": True, "color_scheme": "dark"}
DESK = {"viewport": {"width": 1280, "height": 900}}
DONE = 13
"""So many of the demo's files are copied in the picture."""


async def main(to: Path) -> None:
    with TemporaryDirectory() as place:
        settings = a_sample(Path(place))
        async with studio(Path(place), **settings) as on:
            _write(to / "copying.png", await _copying(on))
            await on.home.worker(media_root=settings["media_root"])
            _write(to / "partial-phone-dark.png", await _partial(on))


async def _copying(on: Studio) -> bytes:
    """Of an export that no worker has taken yet."""
    async with on.screen("/projects/lighthouse", **DESK) as screen:
        await screen.page.get_by_role("button", name="Export anyway").click()
        await screen.sees("Waiting for its turn")
        export_id = screen.page.url.rpartition("/")[2]
        plan = (await on.replica.http.post("/api/v1/projects/lighthouse/export/plan")).json()
        on.replica.gateway.parts.relay.hear(half_way(export_id, plan), b"")
        await screen.sees("Copying files")
        return await _shot(screen)


async def _partial(on: Studio) -> bytes:
    async with on.screen("/projects/lighthouse", **PHONE) as screen:
        await screen.page.get_by_role("button", name="Export anyway").click()
        await screen.sees("Ready, but not everything is in it")
        return await _shot(screen)


async def _shot(screen: Screen) -> bytes:
    await screen.page.mouse.move(0, 0)
    await screen.page.wait_for_timeout(1500)  # until bars have moved and thumbnails are there
    return await screen.page.screenshot()


def half_way(export_id: str, plan: Document) -> ExportProgress:
    """The first of the plan's files are copied, sentence by sentence."""
    files: list[dict[str, Any]] = sorted(plan["tree"], key=lambda file: file["seq"])
    kinds = {kind: [file["kind"] == kind for file in files] for kind in Kind}
    sizes = [file["size_bytes"] for file in files]
    return ExportProgress(
        export_id=export_id,
        project_id="lighthouse",
        attempt=1,
        seq=1,
        state=State.COPYING,
        percent=100 * sum(sizes[:DONE]) // sum(sizes),
        files=Tally(done=DONE, total=len(files)),
        bytes=Tally(done=sum(sizes[:DONE]), total=sum(sizes)),
        by_kind={kind: Tally(done=sum(of[:DONE]), total=sum(of)) for kind, of in kinds.items()},
        current=files[DONE]["name"],
        at=datetime.now(UTC),
    )


def _write(to: Path, shot: bytes) -> None:
    """In 256 colours, which a page of few needs."""
    packed = BytesIO()
    Image.open(BytesIO(shot)).convert("RGB").quantize(256, dither=Image.Dither.NONE).save(packed, "PNG", optimize=True)
    if packed.tell() > MAY_WEIGH_BYTES:
        raise SystemExit(f"{to} would weigh {packed.tell()} bytes")
    to.write_bytes(packed.getvalue())


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
