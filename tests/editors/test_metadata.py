"""The studio can read an export as one of its projects, and finds in it what it knows by its own names."""

import json
from typing import Any

from hypothesis import given, settings

from contracts import CompletedAsset, Sentence
from service.index.metadata import write_metadata
from service.studio import from_studio, is_studio_project
from tests.core.projects import FAILED, PENDING, completed, part, project, section
from tests.editors.told import Told, speech, stories, timed, told

some = settings(max_examples=60)


def metadata(story: Told) -> Any:
    return json.loads("".join(write_metadata(*story)))


def test_metadata_look_like_this() -> None:
    story = told(
        project(
            section(
                Sentence(
                    id="s-1",
                    text="Calm.",
                    audio=completed("calm.wav", stale=True),
                    word_timings=timed(("Calm.", 20, 900)),
                ),
                Sentence(text="Lit.", audio=part(0, 500), image=FAILED),
                title="Intro",
                audio=completed("n.mp3"),
                id="one",
            ),
            id="p-1",
            name="The Lighthouse",
            language="en",
            frame_rate=25,
        ),
        {"calm.wav": speech(2), "n.mp3": speech("0.5")},
    )
    assert "".join(write_metadata(*story)) == (
        '{\n"id": "p-1",\n"name": "The Lighthouse",\n"language": "en",\n"exportId": "e-1",\n'
        '"exportedAt": "2026-03-01T12:00:00Z",\n"outcome": "partial",\n"frameRate": 25.0,\n'
        '"width": 1920,\n"height": 1080,\n"durationMs": 2520,\n'
        '"totals": {"sections": 1, "sentences": 2, "files": {"audio": 2, "image": 0, "video": 0}, '
        '"sizeBytes": 20088, "omissions": 2},\n'
        f'"warnings": {json.dumps(list(story.plan.warnings))},\n"sections": [\n'
        '{"id": "one", "projectId": "p-1", "title": "Intro", "order": 0, "startMs": 0, "durationMs": 2520, '
        '"sectionAudioFile": "audio/001_intro_section_audio.mp3", "sentences": [\n'
        '{"id": "s-1", "sectionId": "one", "order": 0, "seq": 1, "text": "Calm.", "startMs": 0, "durationMs": 2000, '
        '"audioStatus": "completed", "isAudioDirty": true, "audioFile": "audio/001_intro_audio.wav", '
        '"audioDuration": 2000, "wordTimings": [{"word": "Calm.", "startMs": 20, "endMs": 900}]},\n'
        '{"sectionId": "one", "order": 1, "seq": 2, "text": "Lit.", "startMs": 2000, "durationMs": 520, '
        '"audioStatus": "inSectionAudio", "sectionAudioFile": "audio/001_intro_section_audio.mp3", '
        '"audioStartMs": 0, "audioEndMs": 500, "imageStatus": "failed", "omissions": [{"kind": "audio", '
        '"reason": "inSectionAudio", "detail": "in audio/001_intro_section_audio.mp3"}, {"kind": "image", '
        '"reason": "failed", "detail": "no credit left"}]}\n]}\n]\n}\n'
    )


def test_what_is_not_known_is_not_there() -> None:
    (sentence,) = metadata(told(project(section(Sentence(text="One.", image=PENDING)))))["sections"][0]["sentences"]
    assert sentence.keys() == {"order", "seq", "text", "startMs", "durationMs", "imageStatus", "omissions"}


@some
@given(stories)
def test_the_studio_reads_it_as_its_own_project(story: Told) -> None:
    document = metadata(story)
    told_as = story.plan.draft.project
    assert is_studio_project(document) or not story.plan.copies
    read = from_studio(document)
    assert (read.id, read.name) == (told_as.id, told_as.name)
    for ours, theirs in zip(told_as.sections, read.sections, strict=True):
        assert (ours.id, ours.title) == (theirs.id, theirs.title)
        assert [(one.id, one.text) for one in ours.sentences] == [(one.id, one.text) for one in theirs.sentences]


@some
@given(stories)
def test_every_file_is_named_where_it_belongs(story: Told) -> None:
    named = [
        sentence[f"{kind}File"]
        for one in metadata(story)["sections"]
        for sentence in one["sentences"]
        for kind in ("audio", "image", "video")
        if f"{kind}File" in sentence
    ]
    assert named == [copy.name for copy in story.plan.copies if copy.spot.in_section is not None]
    read = from_studio(metadata(story))
    shared = {one.audio.uri for one in read.sections if isinstance(one.audio, CompletedAsset)}
    assert shared <= {copy.name for copy in story.plan.copies if copy.spot.in_section is None}
