"""What the service makes of the studio's own project JSON."""

import json
import random
import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from contracts import CompletedAsset, Project, Section, Sentence, Slice, WordTiming
from contracts.limits import MAX_SECTIONS, MAX_TITLE_CHARACTERS, MAX_WORD_TIMINGS
from service.studio import from_studio, is_studio_project

Json = dict[str, Any]

WAV = r"data\projects\p\audio\section_s.wav"
OTHER_WAV = "data/projects/p/audio/section_other.wav"


def studio(*sections: Json, **fields: object) -> Json:
    return {"id": "p", "sections": list(sections), **fields}


def with_sentences(*sentences: Json) -> Json:
    return studio({"id": "s", "projectId": "p", "order": 0, "sentences": list(sentences)})


def section_of(*sentences: Json) -> Section:
    return from_studio(with_sentences(*sentences)).sections[0]


def sentence_of(**fields: object) -> Sentence:
    return section_of({"id": "a", "sectionId": "s", "order": 0, **fields}).sentences[0]


def told(start_ms: float | None, end_ms: float | None, file: str = WAV, **fields: object) -> Json:
    return {"sectionAudioFile": file, "audioStartMs": start_ms, "audioEndMs": end_ms, **fields}


def finished(uri: str, **fields: Any) -> CompletedAsset:
    return CompletedAsset(status="completed", uri=uri, **fields)


# ---- order -----------------------------------------------------------------------------------------


def test_sections_stand_by_their_order_and_not_as_listed() -> None:
    project = from_studio(studio({"title": "C", "order": 2}, {"title": "A", "order": 0}, {"title": "B", "order": 1}))
    assert [section.title for section in project.sections] == ["A", "B", "C"]


def test_the_order_of_sentences_begins_anew_in_each_section() -> None:
    project = from_studio(
        studio(
            {"order": 1, "sentences": [{"order": 1, "text": "d"}, {"order": 0, "text": "c"}]},
            {"order": 0, "sentences": [{"order": 1, "text": "b"}, {"order": 0, "text": "a"}]},
        )
    )
    assert [[sentence.text for sentence in section.sentences] for section in project.sections] == [
        ["a", "b"],
        ["c", "d"],
    ]


def test_what_has_no_order_keeps_its_place_in_the_list_after_what_has_one() -> None:
    section = section_of(
        {"text": "c"}, {"text": "b", "order": 5}, {"text": "d", "order": None}, {"text": "a", "order": 0.0}
    )
    assert [sentence.text for sentence in section.sentences] == ["a", "b", "c", "d"]


def test_equal_orders_stay_as_listed() -> None:
    section = section_of({"text": "a", "order": 1}, {"text": "b", "order": 1}, {"text": "c", "order": 1})
    assert [sentence.text for sentence in section.sentences] == ["a", "b", "c"]


# ---- names and texts -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        ({"name": "My film", "topic": "Films"}, "My film"),
        ({"name": None, "topic": "Films"}, "Films"),
        ({"name": "", "topic": "Films"}, "Films"),
        ({"topic": None}, ""),
        ({}, ""),
    ],
)
def test_a_project_without_a_name_is_called_by_its_topic(fields: Json, name: str) -> None:
    assert from_studio(studio(**fields)).name == name


def test_a_topic_too_long_for_a_name_is_cut_and_no_reason_to_refuse() -> None:
    topic = "x" * (MAX_TITLE_CHARACTERS + 1)
    assert from_studio(studio(topic=topic)).name == topic[:-1]
    assert from_studio(studio(topic=topic, name="Short")).name == "Short"


def test_ids_titles_and_texts_are_kept_to_the_letter() -> None:
    project = from_studio(
        studio({"id": "-S_", "title": " Intro: «1»", "sentences": [{"id": "_a-", "text": "Hé  llo\n"}]}, id="-_P")
    )
    section = project.sections[0]
    assert (project.id, section.id, section.title) == ("-_P", "-S_", " Intro: «1»")
    assert (section.sentences[0].id, section.sentences[0].text) == ("_a-", "Hé  llo\n")


def test_everything_but_ids_and_order_may_be_null_or_absent() -> None:
    names = (
        *("text", "imagePrompt", "audioFile", "audioDuration", "audioStartMs", "audioEndMs", "sectionAudioFile"),
        *("wordTimings", "imageFile", "videoFile", "isAudioDirty", "isImageDirty", "isVideoDirty", "status"),
    )
    empty = Section(id="s", sentences=(Sentence(id="a"),))
    assert section_of({"id": "a", "order": 0}) == empty
    assert section_of({"id": "a", "order": 0, **dict.fromkeys(names)}) == empty
    assert from_studio(studio({"title": None, "sentences": None})).sections == (Section(),)


# ---- images and videos -----------------------------------------------------------------------------


@pytest.mark.parametrize("nothing", [None, ""])
@pytest.mark.parametrize("field", ["audioFile", "sectionAudioFile", "imageFile", "videoFile"])
def test_a_file_that_is_null_or_empty_is_no_asset(field: str, nothing: str | None) -> None:
    section = section_of({field: nothing})
    assert section == Section(id="s", sentences=(Sentence(),))


@pytest.mark.parametrize("status", ["pending", "generating", "completed", "failed", None, "of a later version"])
def test_a_named_file_is_finished_whatever_the_status_says(status: str | None) -> None:
    sentence = sentence_of(imageFile="/media/i.png", videoFile="v.mp4", audioFile="a.wav", status=status)
    assert sentence.image == finished("/media/i.png")
    assert sentence.video == finished("v.mp4")
    assert sentence.audio == finished("a.wav")


@pytest.mark.parametrize("kind", ["audio", "image", "video"])
def test_dirty_means_stale_and_of_its_own_kind_only(kind: str) -> None:
    files = {"audioFile": "a.wav", "imageFile": "i.png", "videoFile": "v.mp4"}
    sentence = sentence_of(**files, **{f"is{kind.title()}Dirty": True})
    stale = {each for each in ("audio", "image", "video") if getattr(sentence, each).stale}
    assert stale == {kind}


def test_dirty_without_a_file_is_still_no_asset() -> None:
    assert sentence_of(isAudioDirty=True, isImageDirty=True, isVideoDirty=True) == Sentence(id="a")


# ---- narration -------------------------------------------------------------------------------------


def test_a_part_of_the_section_narration_is_a_slice_of_that_file() -> None:
    section = section_of(told(0, 1500), told(1500, 4000))
    assert section.audio == finished(WAV)
    assert [sentence.audio for sentence in section.sentences] == [
        finished(WAV, slice=Slice(start_ms=0, end_ms=1500)),
        finished(WAV, slice=Slice(start_ms=1500, end_ms=4000)),
    ]


def test_a_file_of_its_own_beats_a_slice() -> None:
    section = section_of(told(0, 1500, audioFile="own.wav"), told(1500, 4000))
    assert section.sentences[0].audio == finished("own.wav")
    assert section.sentences[1].audio == finished(WAV, slice=Slice(start_ms=1500, end_ms=4000))
    assert section.audio == finished(WAV)


def test_a_section_narration_is_superseded_once_every_sentence_has_its_own_file() -> None:
    section = section_of(told(0, 1500, audioFile="1.wav"), told(None, None, audioFile="2.wav"))
    assert section.audio is None
    assert [sentence.audio for sentence in section.sentences] == [finished("1.wav"), finished("2.wav")]


def test_a_sentences_own_file_counts_even_if_others_share_it() -> None:
    section = section_of({"audioFile": WAV}, told(None, None))
    assert section.audio == finished(WAV)
    assert [sentence.audio for sentence in section.sentences] == [finished(WAV), None]


@pytest.mark.parametrize(
    ("start_ms", "end_ms"),
    [(None, None), (0, None), (None, 900), (900, 900), (900, 100), (-5, 900), (0.2, 0.4), (0, 1e300), ("soon", 900)],
)
def test_narration_of_an_unknown_part_is_left_to_the_section(start_ms: Any, end_ms: Any) -> None:
    section = section_of(told(start_ms, end_ms))
    assert section.audio == finished(WAV)
    assert section.sentences[0].audio is None


@pytest.mark.parametrize(
    "spelling",
    [
        r"data\projects\p\audio\section_s.wav",
        r".\data\projects\p\audio\section_s.wav",
        "data/projects/p/audio/section_s.wav",
        "./data/projects/p/audio/section_s.wav",
        "/media/projects/p/audio/section_s.wav",
    ],
)
def test_two_spellings_of_one_place_are_one_file_written_as_it_was_first(spelling: str) -> None:
    first = "/media/projects/p/audio/section_s.wav"
    section = section_of(told(0, 100, first), told(100, 200, spelling), told(None, None, spelling))
    assert section.audio == finished(first)
    assert [sentence.audio and sentence.audio.model_dump()["uri"] for sentence in section.sentences] == [
        first,
        first,
        None,
    ]


def test_first_means_first_in_the_story() -> None:
    section = section_of(told(1, 2, "/media/a.wav", order=1), told(0, 1, "data/a.wav", order=0))
    assert section.audio == finished("data/a.wav")


@pytest.mark.parametrize(
    "other", ["/media/projects/p/A.wav", "media/projects/p/a.wav", "file:///media/projects/p/a.wav"]
)
def test_other_places_stay_other_files(other: str) -> None:
    section = section_of(told(0, 1, "/media/projects/p/a.wav"), told(1, 2, other))
    assert [sentence.audio for sentence in section.sentences] == [
        finished("/media/projects/p/a.wav", slice=Slice(start_ms=0, end_ms=1)),
        finished(other, slice=Slice(start_ms=1, end_ms=2)),
    ]


def test_of_several_section_narrations_the_first_is_the_sections_own() -> None:
    assert section_of(told(0, 1, WAV), told(0, 1, OTHER_WAV)).audio == finished(WAV)


def test_a_section_narration_that_is_needed_whole_goes_before_one_that_is_cut() -> None:
    section = section_of(told(0, 1, WAV), told(None, None, OTHER_WAV))
    assert section.audio == finished(OTHER_WAV)
    assert section.sentences[0].audio == finished(WAV, slice=Slice(start_ms=0, end_ms=1))
    assert section.sentences[1].audio is None


def test_no_narration_is_lost_when_two_are_needed_whole() -> None:
    section = section_of(told(None, None, WAV), told(None, None, OTHER_WAV))
    assert section.audio == finished(WAV)
    assert [sentence.audio for sentence in section.sentences] == [None, finished(OTHER_WAV)]


def test_a_stale_slice_is_stale_and_the_section_only_with_all_of_its_sentences() -> None:
    clean, dirty = told(0, 1), told(1, 2, isAudioDirty=True)
    section = section_of(clean, dirty)
    assert [sentence.audio and sentence.audio.model_dump()["stale"] for sentence in section.sentences] == [False, True]
    assert section.audio == finished(WAV)
    assert section_of(dirty, dirty).audio == finished(WAV, stale=True)


# ---- times -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given_ms", "duration_ms"),
    [
        (3750, 3750),
        (3749.6, 3750),
        (0, 0),
        (-1, None),
        (1e12, None),
        (float("nan"), None),
        ("long", None),
        (None, None),
    ],
)
def test_a_duration_is_rounded_and_an_absurd_one_is_none(given_ms: Any, duration_ms: int | None) -> None:
    assert sentence_of(audioFile="a.wav", audioDuration=given_ms).audio == finished("a.wav", duration_ms=duration_ms)


def test_times_may_be_fractions_of_a_millisecond() -> None:
    sentence = sentence_of(**told(0.4, 1499.7, audioDuration=1499.3))
    assert sentence.audio == finished(WAV, duration_ms=1499, slice=Slice(start_ms=0, end_ms=1500))


def test_word_timings_are_kept_as_given() -> None:
    words = [
        {"word": "Hello", "startMs": 0, "endMs": 412.6, "probability": 0.9},
        {"word": "", "startMs": 500, "endMs": 400},
    ]
    assert sentence_of(wordTimings=words).word_timings == (
        WordTiming(word="Hello", start_ms=0, end_ms=413),
        WordTiming(word="", start_ms=500, end_ms=400),
    )


def test_a_word_without_numbers_is_skipped_and_the_others_stay() -> None:
    good = {"word": "yes", "startMs": 1, "endMs": 2}
    bad: list[object] = [
        None,
        7,
        "no",
        [],
        {},
        {**good, "word": None},
        {**good, "startMs": None},
        {**good, "endMs": "x"},
        {**good, "endMs": -1},
    ]
    assert sentence_of(wordTimings=[*bad, good, *bad]).word_timings == (WordTiming(word="yes", start_ms=1, end_ms=2),)


@pytest.mark.parametrize("timings", [None, {}, "[]", 5])
def test_word_timings_that_are_no_list_are_none(timings: object) -> None:
    assert sentence_of(wordTimings=timings).word_timings == ()


# ---- whose form it is ------------------------------------------------------------------------------

OURS = Project(
    id="p",
    language="en",
    frame_rate=25,
    sections=(
        Section(
            id="s",
            audio=finished("s.wav"),
            sentences=(
                Sentence(
                    id="a",
                    image=finished("i.png"),
                    audio=CompletedAsset(status="completed", slice=Slice(start_ms=0, end_ms=9)),
                    word_timings=(WordTiming(word="w", start_ms=0, end_ms=9),),
                ),
            ),
        ),
    ),
)


def test_the_studios_answer_and_its_bare_project_are_the_same_project() -> None:
    bare = with_sentences({"id": "a", "order": 0, "imageFile": "i.png"})
    wrapped = {"success": True, "data": bare}
    assert is_studio_project(bare)
    assert is_studio_project(wrapped)
    assert from_studio(bare) == from_studio(wrapped)


def test_a_project_that_has_sections_is_no_answer_even_if_it_says_success() -> None:
    bare = with_sentences({"imageFile": "i.png"})
    assert from_studio({**bare, "success": False}) == from_studio(bare)
    assert not is_studio_project({"id": "p", "success": True, "sections": []})


@pytest.mark.parametrize(
    "document",
    [
        studio({"projectId": "p"}),
        studio({"sentences": [{"sectionId": "s"}]}),
        studio({"sentences": [{"imageFile": None}]}),
        studio(targetDuration=20),
        {"voiceId": "v", "sections": 5},
        {"success": True, "data": studio()},
        {"success": False},
    ],
)
def test_the_studios_names_tell_its_form(document: Json) -> None:
    assert is_studio_project(document)


@pytest.mark.parametrize(
    "document",
    [
        *(None, 5, "voiceId", [], ["projectId"], {}, {"id": "p", "sections": []}),
        {"success": "true", "id": "p"},
        {"id": "p", "sections": [5, None, {"sentences": [{"text": "a"}, 3], "title": "t"}]},
        OURS.model_dump(),
        OURS.model_dump(mode="json"),
        OURS.model_dump(mode="json", exclude_defaults=True),
        Project(id="p", sections=(Section(sentences=(Sentence(),)),)).model_dump(mode="json"),
    ],
)
def test_our_own_form_is_never_the_studios(document: object) -> None:
    assert not is_studio_project(document)


def test_our_own_form_stays_ours_with_foreign_names_in_it_and_in_an_envelope() -> None:
    document = {**OURS.model_dump(mode="json"), "voiceId": "v"}
    document["sections"][0] |= {"projectId": "p", "order": 0}
    assert not is_studio_project(document)
    assert not is_studio_project({"success": True, "data": document})


def test_our_own_form_is_refused_rather_than_stripped_of_its_assets() -> None:
    with pytest.raises(ValueError, match="own form already"):
        from_studio(OURS.model_dump(mode="json"))


# ---- what is refused -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        ({"success": False}, "answered with an error: it gave no reason"),
        ({"success": False, "error": "Project not found"}, "answered with an error: Project not found"),
        ({"success": False, "error": {"code": "X", "message": "Gone"}}, "answered with an error: Gone"),
        ({"success": False, "message": "Gone", "data": studio()}, "answered with an error: Gone"),
        ({"success": False, "error": "x" * 501 + "end"}, f"with an error: {'x' * 500}"),
        ({"success": False, "error": [5]}, "answered with an error: it gave no reason"),
    ],
)
def test_an_error_of_the_studio_is_repeated(answer: Json, sentence: str) -> None:
    with pytest.raises(ValueError, match=f"{re.escape(sentence)}$"):
        from_studio(answer)


@pytest.mark.parametrize(
    ("document", "path"),
    [
        ({"sections": []}, "id"),
        ({"id": "a/b", "sections": []}, "id"),
        ({"id": "p"}, "sections"),
        ({"id": "p", "sections": None}, "sections"),
        ({"id": "p", "sections": {"0": {}}}, "sections"),
        ({"success": True, "data": None}, "data"),
        ({"success": True, "data": {"id": "p", "sections": 5}}, "sections"),
        ({"id": "p", "sections": [{}, None]}, "sections.1"),
        (studio({"title": "x" * (MAX_TITLE_CHARACTERS + 1)}), "sections.0.title"),
        (studio({}, {"sentences": [{}, {"order": "first"}]}), "sections.1.sentences.1.order"),
        (studio({"order": 10**400}), "sections.0.order"),
        (with_sentences({"imageFile": 5}), "sections.0.sentences.0.imageFile"),
        (with_sentences({"videoFile": "a\0b"}), "sections.0.sentences.0.videoFile"),
        (with_sentences({"isAudioDirty": "perhaps"}), "sections.0.sentences.0.isAudioDirty"),
    ],
)
def test_what_is_wrong_is_named_by_the_studios_own_path(document: Json, path: str) -> None:
    with pytest.raises(ValidationError) as refused:
        from_studio(document)
    assert [".".join(map(str, error["loc"])) for error in refused.value.errors()] == [path]


@pytest.mark.parametrize(
    ("document", "told"),
    [
        (studio(*[{}] * (MAX_SECTIONS + 1)), "sections"),
        (with_sentences({"wordTimings": [None] * (MAX_WORD_TIMINGS + 1)}), "wordTimings"),
    ],
)
def test_a_list_beyond_its_limit_is_refused(document: Json, told: str) -> None:
    with pytest.raises(ValidationError, match=rf"{told}\n.*at most"):
        from_studio(document)


def test_a_list_that_is_wrong_throughout_is_refused_at_its_first_fault() -> None:
    with pytest.raises(ValidationError) as refused:
        from_studio(studio(*[{"order": "x"}] * 1000))
    assert refused.value.error_count() == 1


_NAMES = st.sampled_from(
    [
        *("success", "data", "error", "message", "id", "name", "topic", "sections", "sentences", "title", "order"),
        *("projectId", "sectionId", "text", "audioFile", "sectionAudioFile", "audioStartMs", "audioEndMs"),
        *("audioDuration", "wordTimings", "word", "startMs", "endMs", "imageFile", "isImageDirty", "audio"),
    ]
)
_VALUES = st.none() | st.booleans() | st.integers() | st.floats() | st.sampled_from(["", "p", WAV, OTHER_WAV, "1"])
_ANYTHING = st.recursive(
    _VALUES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_NAMES, inner, max_size=5),
    max_leaves=8,
)
_SENTENCES = st.dictionaries(_NAMES, _ANYTHING, max_size=6)
_PROJECTS = st.fixed_dictionaries(
    {
        "id": st.just("p"),
        "sections": st.lists(st.fixed_dictionaries({"sentences": st.lists(_SENTENCES, max_size=3)}), max_size=2),
    }
)


@settings(max_examples=25, deadline=None)
@given(_ANYTHING | _PROJECTS)
def test_any_json_is_a_project_or_refused_and_nothing_else(document: object) -> None:
    assert is_studio_project(document) in {True, False}
    try:
        project = from_studio(document)
    except ValueError:  # pydantic's ValidationError is one
        return
    assert Project.model_validate_json(project.model_dump_json()) == project


# ---- a whole project, with the quirks of a real one ------------------------------------------------

_SENTENCES_PER_SECTION = (8, 7, 8, 7, 7)


def _real_section(order: int, count: int, number_before: int) -> Json:
    section_id = f"-S{order}_wVq"
    return {
        "id": section_id,
        "projectId": "jwZWJt7NKgkaKHl__zbzF",
        "title": f"The Pivot That Defined an Era: Part {order + 1}",
        "order": order,
        "sentences": [_real_sentence(section_id, at, number_before + at) for at in range(count)],
    }


def _real_sentence(section_id: str, order: int, number: int) -> Json:
    folder = "/media/projects/jwZWJt7NKgkaKHl__zbzF"
    sentence_id = f"_{number}-x"
    has_video = number < 9
    return {
        "id": sentence_id,
        "sectionId": section_id,
        "text": f"Sentence {number}.",
        "order": order,
        "imagePrompt": "A red envelope.",
        "videoPrompt": None,
        "cameraMovement": "static",
        "motionStrength": 0.5,
        "audioFile": None,
        "audioDuration": 3750,
        "audioStartMs": order * 3750,
        "audioEndMs": (order + 1) * 3750,
        "sectionAudioFile": rf"data\projects\jwZWJt7NKgkaKHl__zbzF\audio\section_{section_id}.wav",
        "wordTimings": [{"word": "Sentence", "startMs": 0, "endMs": 500, "probability": 0.98}],
        "imageFile": f"{folder}/images/{sentence_id}.png",
        "videoFile": f"{folder}/videos/{sentence_id}.mp4" if has_video else None,
        "isAudioDirty": False,
        "isImageDirty": False,
        "isVideoDirty": has_video,
        "status": "generating",
        "createdAt": "2026-01-04T10:00:00.000Z",
        "updatedAt": "2026-01-04T10:00:00.000Z",
    }


def real_answer() -> Json:
    sections = [
        _real_section(order, count, sum(_SENTENCES_PER_SECTION[:order]))
        for order, count in enumerate(_SENTENCES_PER_SECTION)
    ]
    project = {
        "id": "jwZWJt7NKgkaKHl__zbzF",
        "name": "Streaming",
        "topic": "How streaming took over",
        "targetDuration": 3,
        "modelId": None,
        "styleId": "cinematic",
        "visualStyle": None,
        "voiceId": "v1",
        "status": "generating",
        "createdAt": "2026-01-04T10:00:00.000Z",
        "updatedAt": "2026-01-04T10:00:00.000Z",
        "sections": sections,
        "cast": [],
    }
    return {"success": True, "data": project}


def test_a_real_project_has_all_of_its_media_though_every_status_says_generating() -> None:
    project = from_studio(real_answer())
    sentences = [sentence for section in project.sections for sentence in section.sentences]
    assert (project.id, project.name) == ("jwZWJt7NKgkaKHl__zbzF", "Streaming")
    assert len(project.sections) == 5
    assert len(sentences) == 37
    assert all(isinstance(sentence.image, CompletedAsset) for sentence in sentences)
    assert [sentence.id for sentence in sentences] == [f"_{number}-x" for number in range(37)]
    videos = [sentence.video for sentence in sentences if sentence.video is not None]
    assert videos == [
        finished(f"/media/projects/jwZWJt7NKgkaKHl__zbzF/videos/_{number}-x.mp4", stale=True) for number in range(9)
    ]


def test_the_slices_of_a_real_project_follow_one_another_without_a_gap() -> None:
    for order, section in enumerate(from_studio(real_answer()).sections):
        uri = rf"data\projects\jwZWJt7NKgkaKHl__zbzF\audio\section_-S{order}_wVq.wav"
        assert section.audio == finished(uri)
        assert [sentence.audio for sentence in section.sentences] == [
            finished(uri, duration_ms=3750, slice=Slice(start_ms=at * 3750, end_ms=(at + 1) * 3750))
            for at in range(_SENTENCES_PER_SECTION[order])
        ]


def test_a_real_project_is_the_same_project_in_whatever_order_it_is_listed() -> None:
    answer = real_answer()
    expected = from_studio(real_answer())
    shuffle = random.Random(7).shuffle
    shuffle(answer["data"]["sections"])
    for section in answer["data"]["sections"]:
        shuffle(section["sentences"])
    assert from_studio(answer) == expected
    assert from_studio(answer["data"]) == expected


def test_reading_a_document_leaves_it_as_it_was() -> None:
    answer = real_answer()
    before = json.dumps(answer)
    from_studio(answer)
    assert is_studio_project(answer)
    assert json.dumps(answer) == before
