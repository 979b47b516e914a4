"""Makes a sample project with real media out of nothing: a story of ten sentences about a lighthouse.

Not everything in it is finished, as in life: `STORY` says what is not. The same call always writes the same bytes.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from itertools import accumulate, pairwise
from pathlib import Path
from typing import assert_never

from contracts.project import (
    Asset,
    CompletedAsset,
    Kind,
    PendingAsset,
    Project,
    Section,
    Sentence,
    Slice,
    WordTiming,
)
from demo import clip, picture, tone

PROJECT_ID = "lighthouse"


@dataclass(frozen=True, slots=True)
class Sample:
    """Where everything is."""

    directory: Path
    project: Path
    """The project as the contract has it."""
    studio: Path
    """The same project as the studio answers `GET /projects/{id}`."""
    media: Path
    """The directory that the references in both are relative to."""

    @property
    def projects(self) -> Path:
        """Holds the project in the way in which a gateway looks for it: `{id}/project.json`."""
        return self.directory / "projects"


def make_sample(directory: Path) -> Sample:
    """Writes the sample below `directory`, which is made if need be."""
    for name, content in _files():
        _write(directory / name, content)
    return sample_in(directory)


def complete_sample(directory: Path) -> list[str]:
    """Writes only what is not there, and names the files that are there with another content."""
    changed = []
    for name, content in _files():
        path = directory / name
        if not path.exists():
            _write(path, content)
        elif not path.is_file() or path.read_bytes() != content:
            changed.append(name)
    return changed


def sample_in(directory: Path) -> Sample:
    return Sample(directory, directory / "project.json", directory / "studio.json", directory / "media")


def _files() -> Iterator[tuple[str, bytes]]:
    """Everything: its name below the sample's directory, and its bytes."""
    for key, file in _media():
        yield f"media/{key}", file
    project = sample_project()
    content = project.model_dump_json(indent=2, exclude_none=True, exclude_unset=True).encode()
    yield "project.json", content
    yield f"projects/{PROJECT_ID}/project.json", content
    yield "studio.json", json.dumps(_studio_answer(project), indent=2, ensure_ascii=False).encode()


def _write(path: Path, content: bytes) -> None:
    """Whole or not at all: half a file would pass for one that a person has changed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.part")
    part.write_bytes(content)
    part.replace(path)


# ---- the story -------------------------------------------------------------------------------------


class State(Enum):
    """What became of an asset."""

    THERE = auto()
    STALE = auto()
    """There, made from an older text."""
    MISSING = auto()
    """Said to be finished, but there is no file."""
    PENDING = auto()
    GENERATING = auto()
    NONE = auto()
    """Never asked for."""


@dataclass(frozen=True, slots=True)
class Line:
    """A sentence. One without words has no narration."""

    id: str
    text: str
    image: State = State.THERE
    video: State = State.THERE


@dataclass(frozen=True, slots=True)
class Chapter:
    """A section whose sentences are narrated one by one."""

    id: str
    title: str
    mood: picture.Mood
    lines: tuple[Line, ...]


@dataclass(frozen=True, slots=True)
class ChapterInOneBreath(Chapter):
    """A section whose narration is a single file, from which the sentences are cut."""


STORY: tuple[Chapter, ...] = (
    Chapter(
        id="lamp",
        title="First, the lamp: one flame, many miles!",
        mood=picture.Mood(
            zenith=(24, 28, 66), horizon=(122, 96, 150), shallows=(58, 62, 110), deep=(16, 22, 48), land=(22, 24, 46)
        ),
        lines=(
            Line("s01", "At dusk the keeper climbs one hundred and ninety steps."),
            Line("s02", "At the top waits a lamp no larger than a teacup.", video=State.STALE),
            Line("s03", "Left alone, it would hardly light the kitchen.", video=State.MISSING),
            Line("s04", "So how do ships see it from twenty miles away?"),
        ),
    ),
    ChapterInOneBreath(
        id="lens",
        title="A lens like a beehive",
        mood=picture.Mood(
            zenith=(9, 46, 66), horizon=(72, 160, 160), shallows=(30, 98, 112), deep=(8, 36, 52), land=(12, 36, 46)
        ),
        lines=(
            Line("s05", "Around the lamp stand rings of polished glass."),
            Line("s06", "Each ring bends a little light toward the horizon.", video=State.PENDING),
            Line("s07", "Together they gather every stray ray into one beam."),
        ),
    ),
    Chapter(
        id="coast",
        title="Café, Küste & 灯台",
        mood=picture.Mood(
            zenith=(70, 38, 84), horizon=(244, 146, 92), shallows=(150, 84, 96), deep=(48, 30, 66), land=(38, 26, 52)
        ),
        lines=(
            Line(
                "s08",
                "The beam turns, and every lighthouse keeps its own rhythm.",
                image=State.GENERATING,
                video=State.NONE,
            ),
            Line("s09", "A sailor counts the dark between and knows: almost home."),
            Line("s10", "", video=State.NONE),
        ),
    ),
)


# ---- as the contract has it ------------------------------------------------------------------------

_FOLDERS = {Kind.AUDIO: ("audio", "wav"), Kind.IMAGE: ("images", "png"), Kind.VIDEO: ("videos", "mp4")}


def sample_project() -> Project:
    """The story as a project."""
    return Project(
        id=PROJECT_ID,
        name="How a lighthouse works",
        language="en",
        frame_rate=clip.FRAMES_PER_SECOND,
        sections=tuple(map(_section, STORY)),
    )


def _section(chapter: Chapter) -> Section:
    if not isinstance(chapter, ChapterInOneBreath):
        sentences = tuple(_sentence(line, _own_narration(line), _word_timings(line)) for line in chapter.lines)
        return Section(id=chapter.id, title=chapter.title, sentences=sentences)
    cuts_ms = list(accumulate(map(_narration_ms, chapter.lines), initial=0))
    slices = (Slice(start_ms=start_ms, end_ms=end_ms) for start_ms, end_ms in pairwise(cuts_ms))
    return Section(
        id=chapter.id,
        title=chapter.title,
        audio=CompletedAsset(
            status="completed", uri=_key(Kind.AUDIO, f"section_{chapter.id}"), duration_ms=cuts_ms[-1]
        ),
        sentences=tuple(
            # Without word timings: from where the studio would count them in a shared file is not known.
            _sentence(line, CompletedAsset(status="completed", slice=part), ())
            for line, part in zip(chapter.lines, slices, strict=True)
        ),
    )


def _sentence(line: Line, audio: Asset | None, words: tuple[WordTiming, ...]) -> Sentence:
    return Sentence(
        id=line.id,
        text=line.text,
        audio=audio,
        image=_asset(line.image, _key(Kind.IMAGE, line.id)),
        video=_asset(line.video, _key(Kind.VIDEO, line.id)),
        word_timings=words,
    )


def _own_narration(line: Line) -> Asset | None:
    if not line.text:
        return None
    key = _key(Kind.AUDIO, line.id)
    return CompletedAsset(status="completed", uri=key, duration_ms=_narration_ms(line))


def _narration_ms(line: Line) -> int:
    return tone.melody(line.text)[-1].end_ms


def _word_timings(line: Line) -> tuple[WordTiming, ...]:
    return tuple(
        WordTiming(word=note.word, start_ms=note.start_ms, end_ms=note.end_ms) for note in tone.melody(line.text)
    )


def _asset(state: State, key: str) -> Asset | None:
    match state:
        case State.THERE | State.MISSING:
            return CompletedAsset(status="completed", uri=key)
        case State.STALE:
            return CompletedAsset(status="completed", uri=key, stale=True)
        case State.PENDING:
            return PendingAsset(status="pending")
        case State.GENERATING:
            return PendingAsset(status="generating")
        case State.NONE:
            return None
        case never:
            assert_never(never)


def _key(kind: Kind, name: str) -> str:
    folder, extension = _FOLDERS[kind]
    return f"projects/{PROJECT_ID}/{folder}/{name}.{extension}"


# ---- its media -------------------------------------------------------------------------------------

_IMAGE_WIDTH, _IMAGE_HEIGHT = 640, 360
_ON_DISK = (State.THERE, State.STALE)


def _media() -> Iterator[tuple[str, bytes]]:
    """Every file of the project: its key, and its bytes."""
    first = 1
    for chapter in STORY:
        yield from _narration(chapter)
        yield from _images(chapter, first)
        yield from _videos(chapter, first)
        first += len(chapter.lines)


def _narration(chapter: Chapter) -> Iterator[tuple[str, bytes]]:
    spoken = [(line.id, tone.play(tone.melody(line.text))) for line in chapter.lines if line.text]
    if isinstance(chapter, ChapterInOneBreath):
        spoken = [(f"section_{chapter.id}", b"".join(pcm for _, pcm in spoken))]
    for name, pcm in spoken:
        yield _key(Kind.AUDIO, name), tone.wav(pcm)


def _images(chapter: Chapter, first: int) -> Iterator[tuple[str, bytes]]:
    still = picture.render(picture.lighthouse(chapter.mood), _IMAGE_WIDTH, _IMAGE_HEIGHT)
    for number, line in enumerate(chapter.lines, first):
        if line.image in _ON_DISK:
            shapes = picture.numeral(number) + picture.beam(_beam_degrees(number))
            yield _key(Kind.IMAGE, line.id), picture.png(picture.paint(still, shapes))


def _videos(chapter: Chapter, first: int) -> Iterator[tuple[str, bytes]]:
    still = clip.picture(picture.lighthouse(chapter.mood))
    for number, line in enumerate(chapter.lines, first):
        if line.video in _ON_DISK:
            numbered = clip.paint_over(still, picture.numeral(number))
            half_seconds = -(-_narration_ms(line) // 500)
            turns = (picture.beam(_beam_degrees(number + step)) for step in range(half_seconds))
            yield _key(Kind.VIDEO, line.id), clip.mp4([clip.paint_over(numbered, turn) for turn in turns])


def _beam_degrees(step: int) -> float:
    """From a little above the horizon down to the sea, and again."""
    return 192 - 7 * (step % 6)


# ---- as the studio has it --------------------------------------------------------------------------

_MOMENT = "2026-03-01T18:30:00.000Z"
_PREFIXES = ("/media/", "data\\", "data/", "./data/")
"""All mean the media directory; the second was written on Windows."""

Json = dict[str, object]


def _studio_answer(project: Project) -> Json:
    sections = [_studio_section(section, order) for order, section in enumerate(project.sections)]
    return {
        "success": True,
        "data": {
            "id": project.id,
            "name": project.name,
            "topic": "Why a small flame can be seen from far away",
            "targetDuration": 1,
            "modelId": None,
            "styleId": None,
            "visualStyle": "flat night scenes",
            "voiceId": "marimba",
            "status": "generating",
            "createdAt": _MOMENT,
            "updatedAt": _MOMENT,
            "sections": _shuffled(sections),
            "cast": [],
        },
    }


def _studio_section(section: Section, order: int) -> Json:
    sentences = [_studio_sentence(section, sentence, place) for place, sentence in enumerate(section.sentences)]
    return {
        "id": section.id,
        "projectId": PROJECT_ID,
        "title": section.title,
        "order": order,
        "sentences": _shuffled(sentences),
    }


def _studio_sentence(section: Section, sentence: Sentence, order: int) -> Json:
    audio = sentence.audio if isinstance(sentence.audio, CompletedAsset) else None
    part = audio.slice if audio else None
    return {
        "id": sentence.id,
        "sectionId": section.id,
        "text": sentence.text,
        "order": order,
        "imagePrompt": f"a lighthouse at dusk, {section.title}",
        "videoPrompt": "the beam sweeps over the sea",
        "cameraMovement": "static",
        "motionStrength": 0.4,
        "audioFile": _studio_reference(sentence.audio, order + 1),
        "audioDuration": audio.duration_ms if audio else None,
        "audioStartMs": part.start_ms if part else None,
        "audioEndMs": part.end_ms if part else None,
        "sectionAudioFile": _studio_reference(section.audio, order),
        "wordTimings": [_studio_word(timing) for timing in sentence.word_timings],
        "imageFile": _studio_reference(sentence.image, order),
        "videoFile": _studio_reference(sentence.video, order + 2),
        "isAudioDirty": False,
        "isImageDirty": False,
        "isVideoDirty": isinstance(sentence.video, CompletedAsset) and sentence.video.stale,
        "status": "generating",
        "createdAt": _MOMENT,
        "updatedAt": _MOMENT,
    }


def _studio_word(timing: WordTiming) -> Json:
    return {"word": timing.word, "startMs": timing.start_ms, "endMs": timing.end_ms, "probability": 1.0}


def _studio_reference(asset: Asset | None, turn: int) -> str | None:
    """The asset's file in one of the studio's dialects; nothing if it has none of its own."""
    if not isinstance(asset, CompletedAsset) or asset.uri is None:
        return None
    prefix = _PREFIXES[turn % len(_PREFIXES)]
    return prefix + (asset.uri.replace("/", "\\") if "\\" in prefix else asset.uri)


def _shuffled(entries: Sequence[Json]) -> list[Json]:
    """Not in their `order`: the studio does not promise it."""
    return [*entries[1::2], *entries[0::2]]
