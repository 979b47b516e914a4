"""The creator's page, in a real browser: from pressing the button to the verified ZIP, whatever happens in between."""

import asyncio
import gzip
import hashlib
import json
import os
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from shutil import which
from typing import Any
from zipfile import ZipFile

import pytest
from playwright.async_api import Browser, ConsoleMessage, Page, async_playwright

from contracts import ExportProgress, State
from demo.sample import make_sample
from gateway.page import page as the_page
from tests.broker.node import PrivateNode
from tests.cli.command import call
from tests.gateway.replicas import House, Replica, asked, ended, house
from tests.gateway.test_states import FAILED, progress
from tests.house.repository import ROOT

CHROMIUM = which("chromium")
AXE = ROOT / "build/tools/node/node_modules/axe-core/axe.min.js"
SCRIPT_BYTES = 16_000
VENDOR = ROOT / "gateway/web/vendor"

in_a_browser = pytest.mark.skipif(
    CHROMIUM is None and "CI" not in os.environ, reason="there is no chromium here: apt-get install chromium"
)


@dataclass
class Screen:
    """A page of a browser, and everything that it complained of."""

    page: Page
    complaints: list[str]

    async def sees(self, text: str) -> None:
        await self.page.get_by_text(text).first.wait_for(timeout=10_000)


def _is_complaint(said: ConsoleMessage) -> bool:
    """A picture that is none has no thumbnail, and browsers say so of each."""
    return said.type == "error" and "/thumbnails/" not in said.location["url"]


@dataclass
class Studio:
    """A gateway with a project to export, and a browser."""

    home: House
    replica: Replica
    browser: Browser

    @asynccontextmanager
    async def screen(self, path: str, **context: Any) -> AsyncIterator[Screen]:
        """With nothing to complain of at its end."""
        opened = await self.browser.new_context(**context)
        page = await opened.new_page()
        screen = Screen(page, [])
        page.on("pageerror", lambda fault: screen.complaints.append(str(fault)))
        page.on("console", lambda said: screen.complaints.append(said.text) if _is_complaint(said) else None)
        await page.goto(f"{self.replica.url}{path}")
        yield screen
        await opened.close()
        assert screen.complaints == []

    async def copying(self, export_id: str, seq: int = 1, percent: int = 40) -> ExportProgress:
        event = progress(1, seq, State.COPYING, percent)
        event = event.model_copy(update={"export_id": export_id, "project_id": "story", "at": datetime.now(UTC)})
        self.replica.gateway.parts.relay.hear(event, b"")
        return event


@asynccontextmanager
async def studio(place: Path, url: str | None = None, **settings: Any) -> AsyncIterator[Studio]:
    async with house(place, url) as home, async_playwright() as playwright:
        replica = await home.replica(**settings)
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        try:
            yield Studio(home, replica, browser)
        finally:
            await browser.close()
            await asyncio.sleep(0.1)  # its driver ends


def a_sample(place: Path) -> dict[str, Any]:
    sample = make_sample(place / "sample")
    return {"media_root": sample.media, "project_directory": sample.projects}


@in_a_browser
async def test_from_the_button_to_the_verified_zip(tmp_path: Path) -> None:
    await _from_the_button_to_the_verified_zip(tmp_path, None)


@in_a_browser
@pytest.mark.slow
async def test_from_the_button_to_the_verified_zip_on_rabbitmq(tmp_path: Path, node_of_the_run: PrivateNode) -> None:
    await _from_the_button_to_the_verified_zip(tmp_path, node_of_the_run.url())


async def _from_the_button_to_the_verified_zip(tmp_path: Path, url: str | None) -> None:
    settings = a_sample(tmp_path)
    async with studio(tmp_path, url, **settings) as on:
        await on.home.worker(media_root=settings["media_root"])
        async with on.screen("/projects/lighthouse") as screen:
            await screen.sees("1 image, 2 videos missing.")
            await screen.sees("36 files: 24 of media (2.8 MB), 12 beside them")
            await screen.sees("script.txt, timeline.fcpxml")
            await screen.page.get_by_role("button", name="Export anyway").click()
            await screen.sees("Ready, but not everything is in it")
            await screen.sees("36 files, ")
            async with screen.page.expect_download() as begun:
                await screen.page.get_by_role("link", name="Download ZIP").click()
            archive = tmp_path / (await begun.value).suggested_filename
            await (await begun.value).save_as(archive)
            assert await screen.page.title() == "Ready, but not everything is in it · How a lighthouse works"
    assert archive.name.startswith("export_lighthouse_")
    assert (await asyncio.to_thread(call, "verify", archive)).code == 0


@in_a_browser
async def test_it_goes_on_when_the_replica_is_replaced(tmp_path: Path) -> None:
    async with studio(tmp_path) as on:
        project = on.home.project()
        async with on.home.replica_for_a_while() as first:
            export_id = await asked(first, project)
            page = await on.browser.new_page()
            await page.goto(f"{first.url}/projects/story/exports/{export_id}")
            await page.get_by_text("Waiting for its turn").first.wait_for()
            first.stop.set()
            await asyncio.sleep(0.5)
        async with on.home.replica_for_a_while(gateway_port=first.port):
            await on.home.worker()
            await page.get_by_text("Your export is ready").first.wait_for(timeout=15_000)
        await page.close()


@in_a_browser
async def test_a_lost_connection_is_told_with_its_age_and_found_again(tmp_path: Path) -> None:
    async with studio(tmp_path, socket_heartbeat_seconds=0.6) as on:
        export_id = await asked(on.replica, on.home.project())
        opened = await on.browser.new_context()
        page = await opened.new_page()
        await page.goto(f"{on.replica.url}/projects/story/exports/{export_id}")
        await page.get_by_text("Waiting for its turn").first.wait_for()
        await opened.set_offline(True)  # Chromium keeps the socket open, and silent
        await page.get_by_text("No connection; last heard").wait_for(timeout=10_000)
        await on.copying(export_id, percent=77)
        await opened.set_offline(False)
        await page.get_by_text("77 %").first.wait_for(timeout=10_000)
        assert await page.get_by_text("No connection").count() == 0
        await opened.close()


@in_a_browser
async def test_whatever_a_project_says_is_shown_as_text(tmp_path: Path) -> None:
    async with studio(tmp_path, project_directory=tmp_path / "projects") as on:
        project = on.home.project()
        project["name"] = "<img src=x onerror=alert(1)>" + "W" * 150
        project["sections"][0]["title"] = "</script><b>\u202eBold"
        (tmp_path / "projects/story").mkdir(parents=True)
        (tmp_path / "projects/story/project.json").write_text(json.dumps(project))
        async with on.screen("/projects/story", viewport={"width": 360, "height": 740}) as screen:
            await screen.sees("<img src=x onerror=alert(1)>")
            assert await screen.page.locator("main img, main b, main script").count() == 0
            assert await screen.page.evaluate("document.documentElement.scrollWidth") <= 360


@in_a_browser
async def test_a_keyboard_is_enough(tmp_path: Path) -> None:
    async with studio(tmp_path, **a_sample(tmp_path)) as on, on.screen("/") as screen:
        await screen.page.get_by_label("Project").focus()
        await screen.page.keyboard.type("lighthouse")
        await screen.page.keyboard.press("Enter")
        await screen.sees("How a lighthouse works")
        for _ in range(12):
            await screen.page.keyboard.press("Tab")
            if await screen.page.evaluate("document.activeElement.textContent") == "Export anyway":
                break
        await screen.page.keyboard.press("Enter")
        await screen.sees("Waiting for its turn")


@in_a_browser
async def test_what_a_creator_leaves_out_is_told_in_one_line(tmp_path: Path) -> None:
    async with studio(tmp_path, **a_sample(tmp_path)) as on, on.screen("/projects/lighthouse") as screen:
        await screen.page.get_by_role("checkbox", name="Narration").uncheck()
        await screen.page.get_by_role("checkbox", name="Videos").uncheck()
        await screen.sees("10 narrations, 8 videos: left out as you chose")
        assert await screen.page.get_by_text("left out as you chose").count() == 1
        await screen.page.get_by_role("checkbox", name="Images").uncheck()
        await screen.sees("Choose something to export.")
        assert await screen.page.get_by_role("button", name="Export").is_disabled()


@in_a_browser
async def test_whoever_is_lost_finds_the_way_to_a_project(tmp_path: Path) -> None:
    async with studio(tmp_path, **a_sample(tmp_path)) as on:
        page = await on.browser.new_page()
        await page.goto(f"{on.replica.url}/projects/nobodys")
        await page.get_by_role("link", name="Open another project").click()
        await page.get_by_label("Project").fill("lighthouse")
        await page.get_by_role("button", name="Open").click()
        await page.get_by_text("How a lighthouse works").first.wait_for()
        await page.close()


@in_a_browser
async def test_earlier_exports_of_one_minute_can_be_told_apart(tmp_path: Path) -> None:
    settings = a_sample(tmp_path)
    async with studio(tmp_path, **settings) as on:
        await on.home.worker(media_root=settings["media_root"])
        for archive in ("otioz", "none"):
            ask = {"options": {"archive": archive, "include": {"kinds": ["image"]}}}
            answer = await on.replica.http.post("/api/v1/projects/lighthouse/export", json=ask)
            await ended(on.replica, answer.json()["export_id"])
        async with on.screen("/projects/lighthouse", locale="en") as screen:
            await screen.sees("Earlier exports")
            rows = await screen.page.locator("section", has_text="Earlier exports").locator("li").all_text_contents()
    assert ["timeline bundle" in row for row in rows] == [False, True]
    times = [re.search(r"\d+:\d\d:\d\d", row) for row in rows]
    assert all(times)


@in_a_browser
async def test_who_has_the_folder_already_gets_what_changed(tmp_path: Path) -> None:
    settings = a_sample(tmp_path)
    async with studio(tmp_path, **settings) as on:
        await on.home.worker(media_root=settings["media_root"])
        first = await on.replica.http.post("/api/v1/projects/lighthouse/export", json={})
        await ended(on.replica, first.json()["export_id"])
        bundle = {"options": {"archive": "otioz", "include": {"kinds": ["image"]}}}
        of_nobody = await on.replica.http.post("/api/v1/projects/lighthouse/export", json=bundle)
        await ended(on.replica, of_nobody.json()["export_id"])
        picture = next(settings["media_root"].rglob("*.png"))
        picture.write_bytes(picture.read_bytes() + b"retouched")
        async with on.screen("/projects/lighthouse") as screen:
            await screen.page.get_by_label("What is new or changed").check()
            unchanged = screen.page.get_by_text(re.compile("^as long as before · "))
            await unchanged.first.wait_for(state="attached")
            assert await unchanged.count() == 23
            earlier = screen.page.get_by_label("The folder is of")
            assert await earlier.input_value() == first.json()["export_id"]
            assert await earlier.locator("option").count() == 1
            await screen.page.get_by_role("button", name="Export anyway").click()
            async with screen.page.expect_download() as begun:
                await screen.page.get_by_role("link", name="Download what changed").click()
            archive = tmp_path / (await begun.value).suggested_filename
            await (await begun.value).save_as(archive)
            await screen.page.get_by_role("link", name="Export again").click()
            await screen.sees("How to download it")
    with ZipFile(archive) as opened:
        media = [one for one in opened.infolist() if "/" in one.filename and not one.is_dir()]
        assert [opened.read(one) for one in media] == [picture.read_bytes()]


@in_a_browser
async def test_a_cancel_can_be_taken_back(tmp_path: Path) -> None:
    async with studio(tmp_path) as on:
        export_id = await asked(on.replica, on.home.project())
        async with on.screen(f"/projects/story/exports/{export_id}") as screen:
            await screen.page.get_by_role("button", name="Cancel").click()
            await screen.page.get_by_role("button", name="Undo: go on exporting").click()
            await asyncio.sleep(5.2)
            assert not on.replica.gateway.parts.ledger.is_cancelled(export_id)
            await screen.page.get_by_role("button", name="Cancel").click()
            await screen.page.get_by_role("heading", name="Stopping").wait_for(timeout=10_000)
            assert on.replica.gateway.parts.ledger.is_cancelled(export_id)


@in_a_browser
async def test_a_screen_reader_hears_quarters_and_not_every_tick(tmp_path: Path) -> None:
    async with studio(tmp_path) as on:
        export_id = await asked(on.replica, on.home.project())
        async with on.screen(f"/projects/story/exports/{export_id}") as screen:
            await screen.sees("Waiting for its turn")
            await screen.page.evaluate(
                "() => { window.said = []; new MutationObserver(() => said.push(document.querySelector('.spoken')"
                ".textContent)).observe(document.querySelector('.spoken'), {characterData: true, subtree: true}) }"
            )
            for seq, percent in enumerate(range(1, 96), 1):
                await on.copying(export_id, seq, percent)
                await asyncio.sleep(0.02)
            await screen.sees("95 %")
            said = await screen.page.evaluate("window.said")
    assert 2 <= len(said) <= 5
    assert said[-1] == "Copying files, 75 %"


@in_a_browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_nothing_stands_in_the_way_of_anybody(tmp_path: Path, scheme: Any) -> None:
    if not AXE.exists() and "CI" not in os.environ:
        pytest.skip("there is no axe-core here: make tools")
    settings = a_sample(tmp_path)
    async with studio(tmp_path, **settings) as on:
        done = await _partial(on, settings["media_root"])
        project = on.home.project()
        running = await asked(on.replica, project)
        await on.copying(running)
        failed = await _failed(on, project)
        places = ["/", "/projects/lighthouse", f"/projects/story/exports/{running}"]
        places += [f"/projects/story/exports/{failed}", f"/projects/lighthouse/exports/{done}", "/projects/nobodys"]
        found = {place: await _violations(on, place, scheme) for place in places}
    assert found == {place: [] for place in places}


async def _failed(on: Studio, project: dict[str, Any]) -> str:
    export_id = await asked(on.replica, project)
    event = FAILED.model_copy(update={"export_id": export_id})
    on.replica.gateway.parts.relay.hear(event, event.model_dump_json().encode())
    return export_id


async def _partial(on: Studio, media: Path) -> str:
    answer = await on.replica.http.post("/api/v1/projects/lighthouse/export", json={})
    export_id: str = answer.json()["export_id"]
    await on.home.worker(media_root=media)
    await ended(on.replica, export_id)
    return export_id


async def _violations(on: Studio, place: str, scheme: Any) -> list[str]:
    opened = await on.browser.new_context(color_scheme=scheme, bypass_csp=True)
    page = await opened.new_page()
    await page.goto(f"{on.replica.url}{place}")
    await page.locator("h1").first.wait_for()
    await asyncio.sleep(0.3)
    await page.add_script_tag(path=AXE)
    found = await page.evaluate("axe.run().then(({violations}) => violations.map(one => one.id + ': ' + one.help))")
    await opened.close()
    violations: list[str] = found
    return violations


# ---- what it is made of


def test_all_its_scripts_together_are_small() -> None:
    packed = {name: len(file.packed) for name, file in the_page().files.items() if name.endswith(".js")}
    assert sum(packed.values()) < SCRIPT_BYTES, packed


def test_what_is_sent_is_what_is_written_but_for_comments() -> None:
    for name, file in the_page().files.items():
        assert gzip.decompress(file.packed) == file.content
        written = (ROOT / "gateway/web" / name).read_text()
        if name.endswith(".js") and "/" not in name:
            assert "`" not in "".join(line for line in written.splitlines() if line.strip().startswith("//"))
            assert file.content.decode().split() == [
                word for line in written.splitlines() if not line.strip().startswith("//") for word in line.split()
            ]


def test_vendored_modules_are_those_of_the_lock() -> None:
    lock = json.loads((VENDOR / "lock.json").read_text())
    sums = {name: digest for package in lock for name, digest in package["sha256"].items()}
    there = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in VENDOR.iterdir()}
    assert there == sums | {"lock.json": there["lock.json"]}
    assert all(package["integrity"].startswith("sha512-") for package in lock)


def test_the_page_may_do_nothing_but_what_it_needs() -> None:
    policy = the_page().policy
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "http" not in policy
