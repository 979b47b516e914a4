"""The contact sheet in a real browser, opened by a double click: from a folder, without a server."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from service.contents import INDEX_PAGE
from service.index.page import write_index_page
from tests.editors.lighthouse import lighthouse
from tests.editors.test_index_page import SCRIPT, hostile
from tests.editors.told import narrated
from tests.gateway.test_page import AXE, CHROMIUM

pytestmark = pytest.mark.skipif(
    CHROMIUM is None and "CI" not in os.environ, reason="there is no chromium here: apt-get install chromium"
)


@pytest.fixture(scope="module")
def export(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return lighthouse(tmp_path_factory.mktemp("Été 夏 dir"))


@pytest.fixture(scope="module")
def browser(export: Path) -> Iterator[Browser]:
    """After the export, which needs an event loop of its own."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@dataclass
class Screen:
    page: Page
    complaints: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    """Every address that it loaded something from."""


@contextmanager
def screen(browser: Browser, file: Path, **context: Any) -> Iterator[Screen]:
    opened = browser.new_context(**context)
    shown = Screen(opened.new_page())
    shown.page.on("console", lambda said: shown.complaints.append(said.text))
    shown.page.on("pageerror", lambda fault: shown.complaints.append(str(fault)))
    shown.page.on("dialog", lambda dialog: shown.complaints.append(f"dialog: {dialog.message}"))
    shown.page.on("request", lambda request: shown.asked.append(request.url))
    shown.page.goto(file.as_uri())
    yield shown
    opened.close()


def test_it_shows_and_plays_what_is_in_the_folder(browser: Browser, export: Path) -> None:
    with screen(browser, export / INDEX_PAGE) as shown:
        page = shown.page
        assert page.title() == "How a lighthouse works"
        page.wait_for_function("document.querySelector('#s1 img').naturalWidth === 640")
        assert page.evaluate(f"{_LOADED}(document.querySelector('#s1 audio'))") == pytest.approx(2.2, abs=0.01)
        page.locator("#s1 summary").first.click()
        assert page.evaluate(f"{_LOADED}(document.querySelector('#s1 video'))") == pytest.approx(2.5, abs=0.05)
        assert shown.complaints == []
        assert all(url.startswith(export.as_uri()) for url in shown.asked)


_LOADED = """(player => new Promise((done, failed) => {
    player.onloadedmetadata = () => done(player.duration);
    player.onerror = () => failed(player.error.message);
    player.load(); player.preload = 'metadata';
}))"""


def test_every_file_that_it_names_is_there(browser: Browser, export: Path) -> None:
    with screen(browser, export / INDEX_PAGE) as shown:
        named = shown.page.evaluate(
            "[...document.querySelectorAll('[src],[href]')]"
            ".map(one => one.getAttribute('src') ?? one.getAttribute('href'))"
        )
    files = [name for name in named if not name.startswith("#")]
    assert len(files) > 60
    assert all((export / name).is_file() for name in files)
    texts = {path.name for path in export.iterdir() if path.is_file()} - {INDEX_PAGE}
    assert texts <= set(files)


def test_what_it_shows_is_not_carried_out(browser: Browser, tmp_path: Path) -> None:
    (tmp_path / INDEX_PAGE).write_text("".join(write_index_page(*hostile(SCRIPT))))
    with screen(browser, tmp_path / INDEX_PAGE) as shown:
        assert shown.page.locator("script").count() == 0
        assert shown.page.locator("h1").inner_text() == SCRIPT
        assert not [said for said in shown.complaints if "dialog" in said or "Content Security Policy" in said]


def test_even_a_script_that_got_in_would_not_run(browser: Browser, export: Path, tmp_path: Path) -> None:
    page = (export / INDEX_PAGE).read_text().replace("<main", f"{SCRIPT}<p onclick='x' style='color:red'>x</p><main")
    (tmp_path / INDEX_PAGE).write_text(page)
    with screen(browser, tmp_path / INDEX_PAGE) as shown:
        assert sum("Content Security Policy" in said for said in shown.complaints) >= 2
        assert not any(said.startswith("dialog") for said in shown.complaints)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_everyone_can_read_it(browser: Browser, export: Path, scheme: str) -> None:
    """As far as a program can tell: WCAG by axe-core, with all that is folded opened."""
    if not AXE.exists() and "CI" not in os.environ:
        pytest.skip("there is no axe-core here: make tools")
    with screen(browser, export / INDEX_PAGE, color_scheme=scheme) as shown:
        shown.page.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")
        shown.page.evaluate(AXE.read_text())
        found = shown.page.evaluate("axe.run().then(({violations}) => violations.map(one => one.id + one.help))")
    assert found == []


@pytest.mark.parametrize("width", [320, 390, 1240])
def test_it_is_as_wide_as_its_window(browser: Browser, export: Path, width: int) -> None:
    with screen(browser, export / INDEX_PAGE, viewport={"width": width, "height": 800}) as shown:
        shown.page.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")
        assert shown.page.evaluate("document.documentElement.scrollWidth") == width


def test_the_first_key_skips_to_the_story(browser: Browser, export: Path) -> None:
    with screen(browser, export / INDEX_PAGE) as shown:
        shown.page.keyboard.press("Tab")
        assert shown.page.evaluate("document.activeElement.textContent") == "Skip to the story"
        shown.page.keyboard.press("Enter")
        assert shown.page.url.endswith("#story")


def test_on_paper_there_is_the_story_and_nothing_to_press(browser: Browser, export: Path) -> None:
    with screen(browser, export / INDEX_PAGE) as shown:
        shown.page.emulate_media(media="print")
        seen = "[...document.querySelectorAll('{}')].filter(one => one.checkVisibility()).length"
        assert shown.page.evaluate(seen.format("audio, .links, .about details")) == 0
        assert shown.page.evaluate(seen.format(".card .text")) == 10


def test_a_thousand_sentences_load_what_is_seen(browser: Browser, tmp_path: Path) -> None:
    story = narrated(*[(f"Sentence {at} of a long story, told in one breath.", 3) for at in range(1000)])
    page = "".join(write_index_page(*story))
    pictures = page.replace(
        '<div class="tile"><span>No picture</span></div>', '<div class="tile"><img src="x.png" loading="lazy"></div>'
    )
    for at in range(1000):
        pictures = pictures.replace('src="x.png"', f'src="images/{at}.png"', 1)
    (tmp_path / INDEX_PAGE).write_text(pictures)
    with screen(browser, tmp_path / INDEX_PAGE) as shown:
        assert shown.page.locator(".card").count() == 1000
        shown.page.wait_for_timeout(500)
        assert 0 < len([url for url in shown.asked if url.endswith(".png")]) < 100
        assert not [url for url in shown.asked if url.endswith(".wav")]
        took_ms = shown.page.evaluate("performance.getEntriesByType('navigation')[0].domContentLoadedEventEnd")
    assert took_ms < 10_000
