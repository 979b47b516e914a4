"""The contact sheet shows all that is in the export and all that is not, and obeys nothing that it shows."""

from collections import Counter
from html.parser import HTMLParser
from typing import Any
from urllib.parse import unquote

import pytest
from hypothesis import given, settings

from contracts import ExportOptions, Reason, Sentence
from service.contents import MANIFEST, text_names
from service.index.page import write_index_page
from service.naming import one_line, plain_text
from service.settle import settle
from tests.core.hostile_titles import HOSTILE_TITLES
from tests.core.projects import FAILED, PENDING, completed, draft, found, project, section
from tests.editors.told import Told, narrated, speech, stories, told

SCRIPT = "<script>alert(1)</script>"
VOID = {"meta", "img", "link", "br"}
TAGS = {
    *("html", "head", "meta", "title", "style", "body", "a", "header", "main", "footer", "nav", "section", "div"),
    *("p", "span", "b", "h1", "h2", "ul", "ol", "li", "details", "summary", "img", "audio", "video"),
}
ATTRIBUTES = {
    *(
        "lang",
        "charset",
        "http-equiv",
        "content",
        "name",
        "class",
        "href",
        "id",
        "dir",
        "aria-label",
        "aria-labelledby",
    ),
    *("src", "alt", "loading", "decoding", "controls", "preload", "open"),
}


class Page(HTMLParser):
    """What a browser makes of it, as far as the standard library knows."""

    def __init__(self, story: Told) -> None:
        super().__init__()
        self.html = "".join(write_index_page(*story))
        self.open: list[str] = []
        self.tags: Counter[str] = Counter()
        self.attributes: list[tuple[str, str, str]] = []
        self.texts: list[str] = []
        self.feed(self.html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] != "style":
            self.texts.append(data)

    def values(self, *names: str) -> list[str]:
        return [value for _, name, value in self.attributes if name in names]

    @property
    def text(self) -> str:
        return "".join(self.texts)


# ---- what is on it ---------------------------------------------------------------------------------

LIGHTHOUSE = project(
    section(
        Sentence(text="The sea is calm.", audio=completed("calm.wav"), image=completed("calm.png")),
        Sentence(text="A lamp\nis lit.", audio=PENDING, image=FAILED, video=completed("lamp.mp4")),
        title="Intro",
    ),
    section(Sentence(text="Told at once."), title="Outro", audio=completed("outro.mp3")),
    name="The Lighthouse",
    frame_rate=25,
)


def test_a_page_says_what_there_is() -> None:
    page = Page(told(LIGHTHOUSE, {"calm.wav": speech(61), "outro.mp3": speech(2)}))
    for words in (
        *("The Lighthouse", "01:07 at 25 frames a second", "3 sentences in 2 sections", "4 files of media, 40 kB"),
        *("Exported 2026-03-01 12:00 UTC", "The sea is calm.", "A lamp\nis lit.", "001 00:00:00:00 01:01"),
        *("Image: could not be generated (no credit left)", "Narration: not generated yet", "Not in this export 2"),
        *("1 sentence · 00:01:05:00 · 2.0 s", "Narration: in the section’s narration", "24 kHz, mono, 10 kB"),
    ):
        assert words in page.text


def test_what_was_made_from_an_older_text_is_marked_where_it_is_seen() -> None:
    older = Sentence(text="One.", image=completed("one.png"), video=completed("one.mp4", stale=True))
    page = Page(told(project(section(older, Sentence(), audio=completed("n.wav", stale=True)))))
    marks = [line for line in page.texts if "made from an older text" in line]
    assert marks == ["Narration of the section: made from an older text", "Film: made from an older text"]


def test_it_says_what_youtube_would_make_of_the_chapters() -> None:
    known = {"calm.wav": speech(61), "outro.mp3": speech(2)}
    assert "YouTube shows chapters from 3 on; there are 2" in Page(told(LIGHTHOUSE, known)).text
    assert "YouTube" not in Page(told(LIGHTHOUSE, known, timelines=(), captions=())).text
    assert "YouTube" not in Page(told(LIGHTHOUSE)).text


def test_without_a_known_length_it_has_no_times() -> None:
    assert "00:00" not in Page(told(LIGHTHOUSE)).text


def test_an_empty_project_has_a_page_too() -> None:
    page = Page(told(project(name="", id="p-1")))
    assert "p-1" in page.text
    assert page.tags["section"] == 0


@settings(max_examples=60)
@given(stories)
def test_every_file_is_on_it(story: Told) -> None:
    page = Page(story)
    shown = {unquote(value) for value in page.values("src", "href") if "/" in value}
    assert shown == {copy.name for copy in story.plan.copies}
    assert page.tags["audio"] == sum(copy.spot.kind == "audio" for copy in story.plan.copies)
    assert page.tags["video"] == sum(copy.spot.kind == "video" for copy in story.plan.copies)
    assert page.tags["img"] == sum(copy.spot.kind == "image" for copy in story.plan.copies)


@settings(max_examples=60)
@given(stories)
def test_every_word_is_on_it(story: Told) -> None:
    page = Page(story)
    whole = " ".join(page.text.split())
    for one in story.plan.draft.project.sections:
        assert one_line(one.title) in whole
        assert all(" ".join(plain_text(sentence.text).split()) in whole for sentence in one.sentences)
    told_why = [one.detail or "" for one in story.plan.omissions if one.reason is not Reason.IN_SECTION_AUDIO]
    assert all(one_line(detail) in whole for detail in told_why)
    assert all(one_line(warning) in whole for warning in story.plan.warnings)


@settings(max_examples=60)
@given(stories)
def test_every_link_leads_somewhere(story: Told) -> None:
    page = Page(story)
    ids = page.values("id")
    assert len(ids) == len(set(ids))
    assert {value[1:] for value in page.values("href") if value.startswith("#")} <= set(ids)
    assert set(page.values("aria-labelledby")) <= set(ids)


@pytest.mark.parametrize(
    "options", [{}, {"timelines": (), "captions": ()}, {"timelines": ("mlt",), "captions": ("vtt",)}]
)
def test_what_lies_beside_it_is_linked(options: dict[str, Any]) -> None:
    story = told(LIGHTHOUSE, **options)
    links = [value for value in Page(story).values("href") if "/" not in value and not value.startswith("#")]
    assert {*links, "index.html"} == {*text_names(story.plan.draft.options), MANIFEST}


@pytest.mark.parametrize(
    ("told_as", "language"),
    [("de", "de"), ("zh-Hant-TW", "zh-Hant-TW"), (None, "en"), ('en" onload="x', "en"), ("klingon please", "en")],
)
def test_it_is_in_the_language_of_the_project(told_as: str | None, language: str) -> None:
    page = Page(narrated(("Eins.", 1), language=told_as))
    assert page.attributes[0] == ("html", "lang", language)
    assert ("p", "lang", "en") in page.attributes or language == "en"


# ---- what it obeys ---------------------------------------------------------------------------------


def hostile(text: str) -> Told:
    """A story in which everything that may be said says this."""
    uri = f"asset:{one_line(text) or 'x'}.wav"[:200]
    drafted = draft(
        project(
            section(
                Sentence(id=one_line(text)[:128] or None, text=text, audio=completed("a.wav"), image=PENDING),
                Sentence.model_validate({"text": text, "image": {"status": "failed", "error": text[:2000]}}),
                title=text,
                id=one_line(text)[:128] or None,
                audio=completed(uri),
            ),
            section(title=text),
            name=text,
            language=text[:35],
        )
    )
    planned = settle(drafted, {one.uri: found(one.uri) for one in drafted.wanted})
    return Told(planned, told(LIGHTHOUSE).cut)


@pytest.mark.parametrize(
    "text", [SCRIPT, '" onerror="alert(1)', "'><img src=x onerror=alert(1)>", "</style>", "-->", "&amp;"]
)
def test_what_it_shows_stays_text(text: str) -> None:
    page = Page(hostile(text))
    assert page.text.count(text) >= 7
    assert_obeys_nothing(page)


def test_hostile_titles_stay_text() -> None:
    for title in HOSTILE_TITLES:
        page = Page(hostile(title[:300]))
        assert one_line(title[:300]) in " ".join(page.text.split())
        assert_obeys_nothing(page)


def assert_obeys_nothing(page: Page) -> None:
    assert set(page.tags) <= TAGS
    assert {name for _, name, _ in page.attributes} <= ATTRIBUTES
    beside = {*text_names(ExportOptions()), MANIFEST}
    addresses = [value for value in page.values("href", "src") if value not in beside]
    assert all(value.startswith(("#", "audio/", "images/", "videos/")) for value in addresses)
    assert not set("\x00\u202e\u2066\u2028\x1b") & set(page.html)


def test_its_policy_allows_no_script_and_nothing_from_elsewhere() -> None:
    page = Page(narrated(("One.", 1)))
    (policy,) = [value for value in page.values("content") if "default-src" in value]
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules["default-src"] == "'none'"
    assert rules["style-src"].startswith("'sha256-")
    assert "script-src" not in rules
    assert not any(word in policy for word in ("unsafe", "http:", "https:", "data:", "*"))


def test_the_same_plan_gives_the_same_page() -> None:
    story = told(LIGHTHOUSE, {"calm.wav": speech(61)})
    assert Page(story).html == Page(story).html


def test_it_comes_in_pieces_of_a_sentence() -> None:
    pieces = list(write_index_page(*narrated(*[("One.", 1)] * 50)))
    assert len(pieces) > 50
    assert max(map(len, pieces)) < 6000
