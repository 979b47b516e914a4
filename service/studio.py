"""The studio's own project JSON, read as a `Project`. Pure: no clock, no disk, no network.

The one place that knows the studio's names. It never asks whether a file exists: a file that is named is a
finished asset whatever the sentence's `status` says, and one that is not there is found missing later.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from math import isfinite
from typing import Annotated, TypeVar

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    FailFast,
    Field,
    StringConstraints,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
)

from contracts import CompletedAsset, Project, Section, Sentence, Slice, WordTiming
from contracts.base import ItemId, Milliseconds, ProjectId, Reference
from contracts.limits import MAX_SECTIONS, MAX_SENTENCES, MAX_TITLE_CHARACTERS, MAX_WORD_CHARACTERS, MAX_WORD_TIMINGS
from contracts.project import Text, Title


def is_studio_project(document: object) -> bool:
    """Whether a decoded JSON value is the studio's answer `{"success", "data"}`, or the bare project of one.

    By structure alone. An answer has a boolean `success` and no `sections` of its own; an error is one too, so
    that `from_studio` can repeat what the studio said. A bare project has, in itself, a section or a sentence, a
    name that only the studio writes (`voiceId`, `projectId`, `imageFile`, …). Neither is the studio's once it
    holds something under a name that only our own form has (`audio`, `image`, …): ours may carry foreign names.

    >>> is_studio_project({"id": "p", "sections": [{"id": "s", "projectId": "p", "order": 0}]})
    True
    >>> is_studio_project({"id": "p", "sections": [{"id": "s", "title": "Intro"}]})
    False
    """
    if not isinstance(document, dict):
        return False
    if _is_answer(document):
        return not _holds_our_names(document.get("data"))
    return not _holds_our_names(document) and any(_STUDIO_NAMES & part.keys() for part in _parts(document))


def from_studio(document: object) -> Project:
    """The project in the studio's answer, or in the bare project of one, in story order.

    Raises pydantic's ValidationError, with the path in the studio's own names (`sections.3.sentences.0.order`),
    or ValueError with a sentence: for an error of the studio's, and for a project in our own form, of which only
    the texts would be left.

    >>> project = from_studio({"id": "p", "sections": [{"id": "s", "order": 0, "sentences": [
    ...     {"id": "-1", "order": 0, "text": "Hello.", "imageFile": "/media/projects/p/images/-1.png"}]}]})
    >>> project.sections[0].sentences[0].image.uri
    '/media/projects/p/images/-1.png'
    """
    project = _project_in(document)
    if _holds_our_names(project):
        raise ValueError("the project is in the export service's own form already, not in the studio's")
    studio = _Project.model_validate(project)
    return Project(
        id=studio.id,
        # A topic is prose, and only stands in for a name; a name is held to its limit instead.
        name=studio.name or (studio.topic or "")[:MAX_TITLE_CHARACTERS],
        sections=tuple(_section(section) for section in _in_order(studio.sections)),
    )


# ---- whose form it is ------------------------------------------------------------------------------

_STUDIO_NAMES = frozenset(
    {
        *("targetDuration", "modelId", "styleId", "visualStyle", "voiceId"),
        *("projectId", "sectionId"),
        *("audioFile", "sectionAudioFile", "imageFile", "videoFile"),
    }
)
_OUR_NAMES = frozenset({"frame_rate", "audio", "image", "video", "word_timings"})


def _is_answer(document: dict[str, object]) -> bool:
    return isinstance(document.get("success"), bool) and "sections" not in document


def _holds_our_names(project: object) -> bool:
    return any(part.get(name) for part in _parts(project) for name in _OUR_NAMES)


def _parts(project: object) -> Iterator[dict[str, object]]:
    """The project, its sections and their sentences, as far as they are objects."""
    for whole in _objects([project]):
        yield whole
        for section in _objects(whole.get("sections")):
            yield section
            yield from _objects(section.get("sentences"))


def _objects(value: object) -> Iterator[dict[str, object]]:
    return (item for item in value if isinstance(item, dict)) if isinstance(value, list) else iter(())


def _project_in(document: object) -> object:
    if not isinstance(document, dict) or not _is_answer(document):
        return document
    if not document["success"]:
        raise ValueError(f"the studio answered with an error: {_complaint(document)}")
    return _Answer.model_validate(document).data


def _complaint(answer: dict[str, object]) -> str:
    error = answer.get("error")
    told = (error.get("message") if isinstance(error, dict) else error) or answer.get("message")
    return told[:500] if isinstance(told, str) else "it gave no reason"


# ---- the studio's form -----------------------------------------------------------------------------


def _filled(value: object) -> object:
    return None if value == "" else value


def _rounded(value: object) -> object:
    return round(value) if isinstance(value, float) and isfinite(value) else value


def _or_nothing(value: object, accept: ValidatorFunctionWrapHandler) -> object:
    try:
        return accept(value)
    except ValidationError:
        return None


def _listed(value: object) -> object:
    return [] if value is None else value


def _listed_or_nothing(value: object) -> object:
    return value if isinstance(value, list) else []


_File = Annotated[Reference | None, BeforeValidator(_filled)]
_Time = Annotated[Milliseconds, BeforeValidator(_rounded)]
# A time that is negative, absurd or no number is as good as none: no reason to refuse a project.
_TimeIfAny = Annotated[_Time | None, WrapValidator(_or_nothing)]


class _Studio(BaseModel):
    """Tolerant of all that is not needed here; numbers may be floats."""

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True, title="the studio's project")


class _Ordered(_Studio):
    id: ItemId | None = None
    order: Annotated[float | None, Field(allow_inf_nan=False)] = None


class _Word(_Studio):
    word: Annotated[str, StringConstraints(max_length=MAX_WORD_CHARACTERS)]
    start_ms: _Time = Field(alias="startMs")
    end_ms: _Time = Field(alias="endMs")


# Captions can do without a word, or without all of them; the project must not fail for one.
_Words = Annotated[
    list[Annotated[_Word | None, WrapValidator(_or_nothing)]],
    FailFast(),
    Field(max_length=MAX_WORD_TIMINGS),
    BeforeValidator(_listed_or_nothing),
]


class _Sentence(_Ordered):
    text: Text | None = None
    audio_file: _File = Field(alias="audioFile", default=None)
    section_audio_file: _File = Field(alias="sectionAudioFile", default=None)
    audio_start_ms: _TimeIfAny = Field(alias="audioStartMs", default=None)
    audio_end_ms: _TimeIfAny = Field(alias="audioEndMs", default=None)
    audio_duration_ms: _TimeIfAny = Field(alias="audioDuration", default=None)
    word_timings: _Words = Field(alias="wordTimings", default=[])
    image_file: _File = Field(alias="imageFile", default=None)
    video_file: _File = Field(alias="videoFile", default=None)
    is_audio_dirty: bool | None = Field(alias="isAudioDirty", default=None)
    is_image_dirty: bool | None = Field(alias="isImageDirty", default=None)
    is_video_dirty: bool | None = Field(alias="isVideoDirty", default=None)


_Sentences = Annotated[list[_Sentence], FailFast(), Field(max_length=MAX_SENTENCES), BeforeValidator(_listed)]


class _Section(_Ordered):
    title: Title | None = None
    sentences: _Sentences = []


class _Project(_Studio):
    id: ProjectId
    name: Title | None = None
    topic: str | None = None
    sections: Annotated[list[_Section], FailFast(), Field(max_length=MAX_SECTIONS)]


class _Answer(_Studio):
    data: dict[str, object]


# ---- from the one to the other ---------------------------------------------------------------------

_Item = TypeVar("_Item", bound=_Ordered)


def _in_order(items: Iterable[_Item]) -> list[_Item]:
    """By `order`; equals stay as listed, and so do those without one, after all others."""
    return sorted(items, key=lambda item: (item.order is None, item.order or 0))


def _section(studio: _Section) -> Section:
    sentences = _with_one_spelling(_in_order(studio.sentences))
    own_file = _own_file(sentences)
    return Section(
        id=studio.id,
        title=studio.title or "",
        # Stale as a whole once every sentence in it is.
        audio=_finished(own_file, all(s.is_audio_dirty for s in sentences if s.section_audio_file == own_file)),
        sentences=tuple(_sentence(sentence, own_file) for sentence in sentences),
    )


def _with_one_spelling(sentences: Iterable[_Sentence]) -> list[_Sentence]:
    """Each shared narration spelled as it was first; none where a sentence has a file of its own, which wins."""
    spelling: dict[str, str] = {}

    def spelled(sentence: _Sentence) -> _Sentence:
        file = sentence.section_audio_file
        if file is not None:
            file = spelling.setdefault(_place(file), file) if sentence.audio_file is None else None
        return sentence.model_copy(update={"section_audio_file": file})

    return [spelled(sentence) for sentence in sentences]


def _place(reference: str) -> str:
    r"""Where a reference points beneath the media root: equal for the studio's spellings of one place.

    >>> {_place(r) for r in (r"data\projects\p\a.wav", "./data/projects/p/a.wav", "/media/projects/p/a.wav")}
    {'projects/p/a.wav'}
    """
    return re.sub(r"^(/media/|(\./)?data/)", "", reference.replace("\\", "/"))


def _own_file(sentences: Sequence[_Sentence]) -> str | None:
    """The section's narration: of several, the one that some sentence needs whole; else the first."""
    named = [sentence for sentence in sentences if sentence.section_audio_file is not None]
    needed_whole = [sentence for sentence in named if _slice(sentence) is None]
    return next((sentence.section_audio_file for sentence in needed_whole or named), None)


def _sentence(studio: _Sentence, section_file: str | None) -> Sentence:
    return Sentence(
        id=studio.id,
        text=studio.text or "",
        audio=_audio(studio, section_file),
        image=_finished(studio.image_file, studio.is_image_dirty),
        video=_finished(studio.video_file, studio.is_video_dirty),
        word_timings=_word_timings(studio.word_timings),
    )


def _audio(studio: _Sentence, section_file: str | None) -> CompletedAsset | None:
    """Its own file, or its part of a shared one. Of which no part is known, it has none: the section has it.

    Should the section have another one, the sentence gets the whole file: rather twice than not at all.
    """
    if studio.audio_file is not None:
        return _finished(studio.audio_file, studio.is_audio_dirty, studio.audio_duration_ms)
    part = _slice(studio)
    if part is None and studio.section_audio_file == section_file:
        return None
    return _finished(studio.section_audio_file, studio.is_audio_dirty, studio.audio_duration_ms, part)


def _slice(studio: _Sentence) -> Slice | None:
    start_ms, end_ms = studio.audio_start_ms, studio.audio_end_ms
    if start_ms is None or end_ms is None or end_ms <= start_ms:
        return None
    return Slice(start_ms=start_ms, end_ms=end_ms)


def _finished(
    file: str | None, dirty: bool | None, duration_ms: int | None = None, part: Slice | None = None
) -> CompletedAsset | None:
    if file is None:
        return None
    return CompletedAsset(status="completed", uri=file, stale=bool(dirty), duration_ms=duration_ms, slice=part)


def _word_timings(words: Iterable[_Word | None]) -> tuple[WordTiming, ...]:
    # As given. Whether the studio counts from the start of the sentence or, in a shared narration, of the file
    # is not known; our own model says: of the sentence.
    return tuple(
        WordTiming(word=word.word, start_ms=word.start_ms, end_ms=word.end_ms) for word in words if word is not None
    )
