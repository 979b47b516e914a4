"""A sentence on the contact sheet: its picture, its text, its voice, its files, and what it lacks. Pure."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from contracts import Kind
from service.cut import Cut, Slot
from service.index.listing import Places
from service.index.words import CHOSEN, counted, known, lack, language_of, length, older, paragraphs, size, text, url
from service.model import Copy, Omission, Plan
from service.timecodes import has_times, timecode


class Page(NamedTuple):
    """What every part of it looks things up in."""

    plan: Plan
    cut: Cut
    places: Places
    copies: Mapping[tuple[int, int | None], list[Copy]]
    omissions: Mapping[tuple[int, int | None], list[Omission]]
    """Both by the positions of section and sentence."""
    language: str
    english: str
    """The attribute of what is in the page's own words, where these are not in the story's language."""
    has_times: bool

    @classmethod
    def of(cls, plan: Plan, cut: Cut) -> "Page":
        copies: dict[tuple[int, int | None], list[Copy]] = defaultdict(list)
        for copy in plan.copies:
            copies[copy.spot.section, copy.spot.in_section].append(copy)
        omissions: dict[tuple[int, int | None], list[Omission]] = defaultdict(list)
        for omission in plan.omissions:
            omissions[omission.spot.section, omission.spot.in_section].append(omission)
        language = language_of(plan.draft.project.language)
        english = "" if language.lower().split("-")[0] == "en" else ' lang="en"'
        return cls(plan, cut, Places(cut), copies, omissions, language, english, has_times(cut))

    @property
    def title(self) -> str:
        project = self.plan.draft.project
        return text(project.name) or text(project.id)


# ---- a sentence ------------------------------------------------------------------------------------


def card(page: Page, position: int, at: int, seq: int) -> Iterator[str]:
    sentence = page.plan.draft.project.sections[position].sentences[at]
    copies = {copy.spot.kind: copy for copy in page.copies.get((position, at), ())}
    omissions = page.omissions.get((position, at), [])
    slot = page.places.slot(position, at) if page.has_times else None
    yield f'<li class="card" id="s{seq}">\n{_tile(page, copies, omissions, seq)}'
    yield f'<p class="when figures"{page.english}><b>{seq:0{page.plan.draft.width}d}</b>{_when(page.cut, slot)}</p>\n'
    yield _told(page, paragraphs(sentence.text))
    if Kind.AUDIO in copies:
        yield player(copies[Kind.AUDIO], f"Narration of sentence {seq}")
    about = "".join(_about(page, copies, omissions, slot, seq, sentence.id))
    yield f'<div class="about"{page.english}>\n{about}</div>\n' if about else ""
    yield "</li>\n"


def _told(page: Page, words: str) -> str:
    if not words:
        return f'<p class="text quiet"{page.english}>(no text)</p>\n'
    return f'<p class="text" dir="auto">{words}</p>\n'


def _when(cut: Cut, slot: Slot | None) -> str:
    if slot is None:
        return ""
    return f" <span>{timecode(cut, slot.start)}</span> <span>{length(cut.seconds(slot.frames))}</span>"


def _tile(page: Page, copies: Mapping[Kind, Copy], omissions: Sequence[Omission], seq: int) -> str:
    """The still, else the film, else why there is neither."""
    still, film = copies.get(Kind.IMAGE), copies.get(Kind.VIDEO)
    if still is not None:
        where = url(still.name)
        picture = f'<img src="{where}" alt="Image of sentence {seq}" loading="lazy" decoding="async">'
        return f'<div class="tile"><a href="{where}">{picture}</a></div>\n'
    if film is not None:
        return f'<div class="tile">{_film(film, seq)}</div>\n'
    why = next((lack(one) for one in omissions if one.spot.kind is not Kind.AUDIO), "No picture")
    return f'<div class="tile"{page.english}><span>{why}</span></div>\n'


def _film(copy: Copy, seq: int) -> str:
    return f'<video controls preload="none" src="{url(copy.name)}" aria-label="Film of sentence {seq}"></video>'


def player(copy: Copy, label: str) -> str:
    return f'<audio controls preload="none" src="{url(copy.name)}" aria-label="{label}"></audio>\n'


def _about(
    page: Page,
    copies: Mapping[Kind, Copy],
    omissions: Sequence[Omission],
    slot: Slot | None,
    seq: int,
    sentence_id: str | None,
) -> Iterator[str]:
    for omission in omissions:
        yield f"{lacking(omission, page)}\n"
    for copy in copies.values():
        yield aged(copy, page)
    if slot is not None and slot.note is not None and not omissions:
        yield f'<p class="lacking">In the timelines: {text(slot.note)}</p>\n'
    film = copies.get(Kind.VIDEO)
    if film is not None and Kind.IMAGE in copies:
        lasts = "" if film.media.duration is None else f", {length(film.media.duration)}"
        yield f"<details><summary>Film{lasts}</summary>{_film(film, seq)}</details>\n"
    if copies:
        yield f"<details><summary>{counted(len(copies), 'file')}</summary>"
        files = "".join(f"<li>{file(copy)}</li>\n" for copy in copies.values())
        named = f'<p class="quiet">Sentence {text(sentence_id)}</p>' if sentence_id else ""
        yield f'<ul class="files">\n{files}</ul>{named}</details>\n'


def lacking(omission: Omission, page: Page) -> str:
    tone = "quiet" if omission.reason in CHOSEN else "lacking"
    return f'<p class="{tone}"{page.english}>{lack(omission)}</p>'


def aged(copy: Copy, page: Page) -> str:
    """A word of warning where the text was changed after the file was made."""
    return f'<p class="lacking"{page.english}>{older(copy)}</p>\n' if copy.is_stale else ""


def file(copy: Copy) -> str:
    """Its name, what is known of it, and where it came from."""
    facts = ", ".join([*known(copy.media), size(copy.size_bytes)])
    name = copy.name.rpartition("/")[2]
    return f'<a href="{url(copy.name)}">{text(name)}</a> <span class="quiet">{facts}, from {text(copy.uri)}</span>'
