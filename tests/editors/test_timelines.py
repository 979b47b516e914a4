"""Every timeline tells the same story, frame for frame, to programs that were written by others."""

import json
import re
import time
import tracemalloc
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from zlib import crc32

import opentimelineio as otio  # type: ignore[import-untyped]
import pytest
from hypothesis import given, settings
from pydantic import ValidationError

from contracts import ExportOptions, Sentence
from contracts.messages import Timeline
from service.cut import Cut, make_cut
from service.media import Container, Media, Picture, Sound
from service.model import Plan
from service.streaming_zip import Entry, plan_zip
from service.timelines import TIMELINES, otioz_content, write_timeline
from tests.core.projects import FOLDER, NOON, PENDING, completed, found, part, plan, project, section
from tests.editors.content_model import faults
from tests.editors.footage import story
from tests.editors.readers import Laid, in_cut, in_fcpxml, in_mlt, in_otio, in_premiere, parsed
from tests.editors.stories import having, stories

few = settings(max_examples=40)

READERS: dict[Timeline, Callable[[str], set[Laid]]] = {
    Timeline.OTIO: in_otio,
    Timeline.FCPXML: in_fcpxml,
    Timeline.PREMIERE: in_premiere,
    Timeline.MLT: in_mlt,
}
HERE = {Timeline.OTIO: "", Timeline.FCPXML: "./", Timeline.PREMIERE: "./", Timeline.MLT: ""}


def written(told: Plan, timeline: Timeline, cut: Cut | None = None) -> str:
    return "".join(write_timeline(told, cut or make_cut(told), timeline))


# ---- one story in all formats ----------------------------------------------------------------------


@few
@given(stories)
def test_all_formats_have_the_same_files_on_the_same_tracks_at_the_same_frames(told: Plan) -> None:
    cut = make_cut(told)
    for timeline, read in READERS.items():
        assert read(written(told, timeline, cut)) == in_cut(cut, HERE[timeline]), timeline


@pytest.mark.parametrize("timeline", Timeline)
def test_a_narration_that_begins_in_the_middle_of_its_file_does_so_in_all_formats(timeline: Timeline) -> None:
    told = project(
        section(
            Sentence(audio=part(0, 1_000)), Sentence(), Sentence(audio=part(3_000, 5_000)), audio=completed("n.wav")
        ),
        frame_rate=25,
    )
    planned = plan(told)
    lengths = {copy.name: Fraction(copy.size_bytes - 44, 2_000) for copy in planned.copies}
    copies = (replace(one, media=Media(duration=lengths[one.name], sound=Sound(1_000, 1))) for one in planned.copies)
    laid = READERS[timeline](written(replace(planned, copies=tuple(copies)), timeline))
    (middle,) = (one for one in laid if "section_audio" in one.file)
    assert (middle.start, middle.frames, middle.offset) == (25, 50, 25)


@pytest.mark.parametrize("timeline", Timeline)
def test_every_reference_is_a_file_of_the_export_beside_the_timeline(timeline: Timeline) -> None:
    told = story()
    referred = {laid.file.removeprefix("./") for laid in READERS[timeline](written(told, timeline))}
    assert referred == {copy.name for copy in told.copies}


@few
@given(stories)
def test_titles_and_texts_of_any_kind_leave_every_file_well_formed(told: Plan) -> None:
    json.loads(written(told, Timeline.OTIO))
    for timeline in (Timeline.FCPXML, Timeline.PREMIERE, Timeline.MLT):
        parsed(written(told, timeline))


@pytest.mark.parametrize("timeline", Timeline)
def test_what_xml_cannot_write_is_left_out(timeline: Timeline) -> None:
    odd = "\ufffe\uffff\x00\u202e"
    told = project(section(Sentence(text=f"a{odd}b", audio=completed("a.wav")), title=f"c{odd}d"), name=f"e{odd}f")
    text = written(plan(told), timeline)
    assert not set(odd) & set(text)
    assert {"ab", "cd", "ef"} <= set(re.findall(r"\b[a-f]{2}\b", text))


@pytest.mark.parametrize("timeline", Timeline)
def test_the_same_plan_gives_the_same_bytes_in_whole_lines(timeline: Timeline) -> None:
    text = written(story(), timeline)
    assert text == written(story(), timeline)
    assert text.endswith("\n")
    assert "\r" not in text


@pytest.mark.parametrize("timeline", Timeline)
def test_an_empty_project_is_an_empty_timeline(timeline: Timeline) -> None:
    empty = plan(project(section()))
    assert READERS[timeline](written(empty, timeline)) == set()


@pytest.mark.parametrize("timeline", Timeline)
def test_a_clip_is_called_as_its_file_is_so_that_an_editor_finds_it_again(timeline: Timeline) -> None:
    text = written(story(), timeline)
    assert all(copy.name.rpartition("/")[2] in text for copy in story().copies)


# ---- what each reader makes of it ------------------------------------------------------------------


def test_opentimelineio_reads_length_tracks_rate_and_markers() -> None:
    told = story()
    timeline = otio.adapters.read_from_string(written(told, Timeline.OTIO), "otio_json")
    assert timeline.name == "The lighthouse"
    assert timeline.duration() == otio.opentime.RationalTime(make_cut(told).frames, 30)
    assert [(track.name, track.kind) for track in timeline.tracks] == [
        ("Stills", "Video"),
        ("Motion", "Video"),
        ("Narration", "Audio"),
        ("Clip sound", "Audio"),
    ]
    markers = [(marker.name, marker.comment, marker.color) for marker in timeline.tracks.markers]
    pending = "004 narration pending; held for 4 s"
    assert markers == [
        ("At night", "At night", "GREEN"),
        ("Still to come", "Still to come", "GREEN"),
        ("By day", "By day", "GREEN"),
        (pending, pending, "RED"),
    ]


def test_premiere_links_a_film_to_its_own_sound_only_and_knows_mono_from_stereo() -> None:
    timeline = otio.adapters.read_from_string(written(long_story(10), Timeline.OTIO), "otio_json")
    told = {
        track.name: [dict(clip.metadata.get("PremierePro_OTIO", {})) for clip in track.find_clips()]
        for track in timeline.tracks
    }
    assert [one.get("LinkID") for one in told["Motion"]] == [1, 4, 7, 10]
    assert [one.get("LinkID") for one in told["Clip sound"]] == [1, 4, 7, 10]
    assert {one["AudioChannels"]["ChannelType"] for one in told["Narration"]} == {"Mono"}
    assert {one["AudioChannels"]["ChannelType"] for one in told["Clip sound"]} == {"Stereo"}
    assert not any("LinkID" in one for one in told["Narration"] + told["Stills"])


def test_the_rate_in_opentimelineio_is_exactly_the_one_that_kdenlive_compares_with() -> None:
    told = plan(project(section(Sentence(audio=completed("a.wav"))), frame_rate=29.97))
    timeline = otio.adapters.read_from_string(written(told, Timeline.OTIO), "otio_json")
    assert timeline.duration().rate == 30000 / 1001


def test_opentimelineio_opens_the_bundle_and_finds_every_file_in_it(tmp_path: Path) -> None:
    told = story()
    content = "".join(otioz_content(told, make_cut(told))).encode()
    media = {f"media/{copy.name.rpartition('/')[2]}": copy.name.encode() for copy in told.copies}
    files = {"version.txt": b"1.0.0", **media, "content.otio": content}
    entries = [Entry(name, body, crc32(body)) for name, body in files.items()]
    bundle = tmp_path / "story.otioz"
    bundle.write_bytes(b"".join(part for part in plan_zip(entries, NOON).segments if isinstance(part, bytes)))
    (tmp_path / "unpacked").mkdir()
    timeline = otio.adapters.read_from_file(str(bundle), extract_to_directory=str(tmp_path / "unpacked"))
    referred = {clip.media_reference.target_url for clip in timeline.find_clips()}
    assert referred == set(media)
    assert all((tmp_path / "unpacked" / name).read_bytes() == body for name, body in media.items())


def test_final_cuts_rules_are_kept() -> None:
    assert faults(written(story(), Timeline.FCPXML)) == []


@few
@given(stories)
def test_final_cuts_rules_are_kept_by_any_project(told: Plan) -> None:
    assert faults(written(told, Timeline.FCPXML)) == []


@pytest.mark.parametrize(
    ("good", "bad"),
    [
        ("<note>", "<marker start='0s' value='x'/><note>"),
        (' duration="0s" hasVideo', ' duration="5s" hasVideo'),
        ('<format id="r1"', '<format id="r1" frameDuration="1/25s"'),
        ('ref="a1"', 'ref="a99"'),
        ("<event ", '<event pathurl="x" '),
        ('completed="0"', 'complete="0"'),
        ('offset="0s"', 'offset="0.0"'),
        ('id="a2"', 'id="a1"'),
    ],
)
def test_who_watches_final_cuts_rules_sees_each_broken_one(good: str, bad: str) -> None:
    text = written(story(), Timeline.FCPXML)
    assert good in text
    assert faults(text.replace(good, bad, 1)) != []


def test_final_cut_is_given_a_version_that_resolve_reads_and_a_to_do_for_what_is_pending() -> None:
    root = parsed(written(story(), Timeline.FCPXML))
    assert root.get("version") == "1.10"
    assert [(marker.get("value"), marker.get("completed")) for marker in root.iter("marker")] == [
        ("004 narration pending; held for 4 s", "0")
    ]
    assert [marker.get("value") for marker in root.iter("chapter-marker")] == ["At night", "Still to come", "By day"]


def test_times_at_23_976_are_whole_frames_in_final_cut() -> None:
    told = plan(project(section(Sentence(audio=completed("a.wav"))), frame_rate=23.976))
    (gap,) = parsed(written(told, Timeline.FCPXML)).iter("gap")
    assert Fraction((gap.get("start") or "")[:-1]) == Fraction(86_399_313, 24_000)  # as Final Cut's own files have it


def test_premiere_finds_size_rate_and_sound_of_the_sequence() -> None:
    root = parsed(written(story(), Timeline.PREMIERE))
    form = root.find("sequence/media/video/format/samplecharacteristics")
    assert form is not None
    assert [form.findtext(name) for name in ("width", "height", "rate/timebase")] == ["192", "108", "30"]
    assert root.findtext("sequence/media/audio/format/samplecharacteristics/samplerate") == "48000"


def test_premiere_hears_mono_on_both_sides_and_stereo_as_a_pair() -> None:
    told = project(section(Sentence(audio=completed("mono.wav")), Sentence(audio=completed("stereo.wav"))))
    planned, channels = plan(told), {"mono.wav": 1, "stereo.wav": 2}
    copies = (
        replace(copy, media=Media(duration=Fraction(1), sound=Sound(48_000, channels[copy.uri])))
        for copy in planned.copies
    )
    root = parsed(written(replace(planned, copies=tuple(copies)), Timeline.PREMIERE))
    tracks = [
        (track.get("premiereTrackType"), track.get("totalExplodedTrackCount"), track.findtext("clipitem/name"))
        for track in root.findall("sequence/media/audio/track")
    ]
    assert tracks == [
        ("Mono", "1", "001_intro_audio.wav"),
        ("Stereo", "2", "002_intro_audio.wav"),
        ("Stereo", "2", "002_intro_audio.wav"),
    ]


def test_premiere_is_never_asked_for_more_of_a_file_than_it_is_told_that_there_is() -> None:
    """A narration that does not say how long it is, heard twice: from its beginning, and from two seconds on."""
    own = Sentence(audio=completed("own.wav"))
    told = project(section(Sentence(audio=part(0, 2_000, "n.aac")), own, Sentence(audio=part(2_000, 5_000, "n.aac"))))
    root = parsed(written(plan(told, {"n.aac": found("n.aac", wav="no WAV")}), Timeline.PREMIERE))
    whole = {file.get("id"): int(file.findtext("duration", "")) for file in root.iter("file") if len(file)}
    asked = [
        (int(item.findtext("out", "")), int(item.findtext("duration", "")), whole[item.find("file").get("id")])  # type: ignore[union-attr]
        for item in root.iter("clipitem")
    ]
    assert max(stop for stop, _, _ in asked) == 150
    assert all(stop <= of_item == of_file for stop, of_item, of_file in asked)


def test_premiere_moves_a_film_and_its_sound_together() -> None:
    root = parsed(written(story(), Timeline.PREMIERE))
    items = {item.get("id"): item for item in root.iter("clipitem")}
    linked = {link.text for link in items["motion-61"].iter("linkclipref")}
    assert linked == {"motion-61", "clip_sound-61-1"}
    assert all(link.text in items for link in root.iter("linkclipref"))


def test_what_nobody_knows_is_left_out_and_not_guessed() -> None:
    told = plan(
        project(section(Sentence(audio=completed("a.mp3"), image=completed("a.png"), video=completed("a.mp4"))))
    )
    fcpxml = parsed(written(told, Timeline.FCPXML))
    known = {asset.get("name", "")[-3:]: asset.attrib for asset in fcpxml.iter("asset")}
    assert not {"duration", "audioRate", "audioChannels"} & known["mp3"].keys()
    assert not {"duration", "hasAudio"} & known["mp4"].keys()
    clips = otio.adapters.read_from_string(written(told, Timeline.OTIO), "otio_json").find_clips()
    ranges = {clip.name[-3:]: clip.media_reference.available_range for clip in clips}
    assert (ranges["mp3"], ranges["mp4"]) == (None, None)
    assert not list(parsed(written(told, Timeline.PREMIERE)).iterfind(".//file//samplerate"))


def test_shotcut_tells_tracks_of_pictures_from_tracks_of_sound() -> None:
    playlists = parsed(written(story(), Timeline.MLT)).findall("playlist")
    names = [{one.get("name"): one.text for one in playlist.iter("property")} for playlist in playlists]
    kinds = {one["shotcut:name"]: "shotcut:video" in one for one in names if "shotcut:name" in one}
    assert kinds == {"Stills": True, "Motion": True, "Narration": False, "Clip sound": False}


def test_a_files_own_timecode_is_where_its_clip_begins() -> None:
    planned = plan(project(section(Sentence(video=completed("a.mp4"))), frame_rate=25))
    media = Media(Container.MP4, Fraction(2), Picture(64, 36, frame_rate=Fraction(25)), start=Fraction(3600))
    told = replace(planned, copies=tuple(replace(copy, media=media) for copy in planned.copies))
    (clip,) = otio.adapters.read_from_string(written(told, Timeline.OTIO), "otio_json").find_clips()
    assert clip.source_range.start_time == clip.media_reference.available_range.start_time
    assert clip.source_range.start_time.value == 90_000
    fcpxml = parsed(written(told, Timeline.FCPXML))
    assert {element.get("start") for tag in ("asset", "asset-clip") for element in fcpxml.iter(tag)} == {"3600s"}
    file = parsed(written(told, Timeline.PREMIERE)).find(".//file/timecode")
    assert file is not None
    assert (file.findtext("string"), file.findtext("frame")) == ("01:00:00:00", "90000")


# ---- where the files are ---------------------------------------------------------------------------

ROOTED = {
    "/Volumes/Our NAS/é&x": {
        Timeline.OTIO: "file:///Volumes/Our%20NAS/%C3%A9%26x/",
        Timeline.FCPXML: "file:///Volumes/Our%20NAS/%C3%A9%26x/",
        Timeline.PREMIERE: "file://localhost/Volumes/Our%20NAS/%C3%A9%26x/",
        Timeline.MLT: "/Volumes/Our NAS/é&x/",
    },
    "D:\\exports\\": {
        Timeline.OTIO: "file:///D:/exports/",
        Timeline.FCPXML: "file:///D:/exports/",
        Timeline.PREMIERE: "file://localhost/D%3a/exports/",
        Timeline.MLT: "D:/exports/",
    },
    "\\\\server\\share": {
        Timeline.OTIO: "file://server/share/",
        Timeline.FCPXML: "file://server/share/",
        Timeline.PREMIERE: "file://localhost//server/share/",
        Timeline.MLT: "//server/share/",
    },
}


@pytest.mark.parametrize("timeline", Timeline)
@pytest.mark.parametrize("root", ROOTED)
def test_a_team_finds_the_files_where_it_has_its_exports_mounted(root: str, timeline: Timeline) -> None:
    told = having(story(), media_root=root)
    cut = make_cut(told)
    assert READERS[timeline](written(told, timeline, cut)) == in_cut(cut, f"{ROOTED[root][timeline]}{FOLDER}/")


@pytest.mark.parametrize(
    "root",
    ["", "exports", "./x", "D:x", "\\\\", "/mnt/../etc", "D:\\..\\x", "/line\nfeed", "/no\ufffecharacter", "/\uffff"],
)
def test_a_directory_that_no_timeline_could_name_is_refused(root: str) -> None:
    with pytest.raises(ValidationError, match="no absolute directory"):
        ExportOptions(media_root=root)


@pytest.mark.parametrize("timeline", Timeline)
def test_relative_names_climb_nowhere_and_name_no_drive(timeline: Timeline) -> None:
    assert not re.search(r"\.\./|\\|file:", written(story(), timeline))


# ---- many sentences --------------------------------------------------------------------------------


def long_story(sentences: int) -> Plan:
    told = (
        Sentence(
            text=f"Sentence {number} of a long story.",
            audio=PENDING if number % 10 == 0 else completed(f"{number}.wav"),
            image=completed(f"{number}.png"),
            video=completed(f"{number}.mp4") if number % 3 == 0 else None,
        )
        for number in range(sentences)
    )
    planned = plan(project(section(*told), frame_rate=30))
    picture = Picture(1920, 1080, frame_rate=Fraction(30))
    media = {
        "wav": Media(Container.WAV, Fraction(12_345, 4_800), sound=Sound(48_000, 1)),
        "png": Media(Container.PNG, picture=Picture(1920, 1080)),
        "mp4": Media(Container.MP4, Fraction(5), picture, Sound(48_000, 2)),
    }
    return replace(planned, copies=tuple(replace(copy, media=media[copy.name[-3:]]) for copy in planned.copies))


def test_a_thousand_sentences_are_written_in_all_formats_in_a_moment() -> None:
    told = long_story(1000)
    begin = time.process_time()
    cut = make_cut(told)
    size = sum(len(piece) for timeline in TIMELINES for piece in write_timeline(told, cut, timeline))
    took = time.process_time() - begin
    print(f"1,000 sentences: {size / 1e6:.1f} MB in {took:.2f} s")
    assert took < 6  # 0.4 s where nothing else runs; 1.5 s are promised


@pytest.mark.parametrize("timeline", Timeline)
def test_writing_holds_less_than_a_kilobyte_a_sentence(timeline: Timeline) -> None:
    told = long_story(1000)
    cut = make_cut(told)
    tracemalloc.start()
    try:
        size = sum(len(piece) for piece in write_timeline(told, cut, timeline))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    print(f"{timeline}: {size / 1e6:.1f} MB written with {peak / 1e6:.2f} MB")
    assert peak < 1e6
