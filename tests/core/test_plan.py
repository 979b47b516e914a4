"""What an export holds: which files, under which names and numbers, and what is left out for which reason."""

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

import pytest
from hypothesis import given, settings

from contracts import (
    Asset,
    CompletedAsset,
    ErrorCode,
    FailedAsset,
    Include,
    Kind,
    Outcome,
    PendingAsset,
    Project,
    Reason,
    Section,
    Sentence,
)
from service.errors import Verdict
from service.model import Copy, Facts, Found, Missing, Omission, Plan, Spot, Unreadable
from service.plan import plan_export
from service.references import Source
from service.segments import Written
from service.settle import settle, with_checksum_warnings
from tests.core.projects import (
    FAILED,
    FIVE_SECONDS,
    GENERATING,
    NOON,
    PENDING,
    Case,
    cases,
    command,
    completed,
    found,
    left_out,
    names,
    part,
    plan,
    project,
    section,
    warnings,
)

few = settings(max_examples=20)

DEVICES = {"con", "prn", "aux", "nul"} | {f"{port}{n}" for port in ("com", "lpt") for n in range(10)}
NAME = re.compile(
    r"(audio/\d{3}_[a-z0-9]+(-[a-z0-9]+)*_(section_)?audio\.[a-z0-9]{1,8}"
    r"|images/\d{3}_[a-z0-9]+(-[a-z0-9]+)*_image\.[a-z0-9]{1,8}"
    r"|videos/\d{3}_[a-z0-9]+(-[a-z0-9]+)*_video\.[a-z0-9]{1,8})"
)


# ---- an oracle that goes through the project by itself ---------------------------------------------


class Place(NamedTuple):
    """Of an asset in the project; a section's own narration has no `in_section`."""

    section: int
    in_section: int | None
    kind: Kind


def place(spot: Spot) -> Place:
    return Place(spot.section, spot.in_section, spot.kind)


def assets_of(told: Project) -> Iterator[tuple[Place, Section, Asset]]:
    for at, one in enumerate(told.sections):
        if one.audio is not None:
            yield Place(at, None, Kind.AUDIO), one, one.audio
        for within, sentence in enumerate(one.sentences):
            for kind in Kind:
                asset = getattr(sentence, kind)
                if asset is not None:
                    yield Place(at, within, kind), one, asset


def uri_of(asset: Asset, within: Section) -> str | None:
    """Where the file must be, if there is one."""
    if not isinstance(asset, CompletedAsset):
        return None
    return asset.uri or (within.audio.uri if isinstance(within.audio, CompletedAsset) else None)


def copies_at(planned: Plan, at: Place, uri: str | None) -> list[Copy]:
    """Of that asset: a narration of several sentences stands where a section's own would, with another uri."""
    return [copy for copy in planned.copies if place(copy.spot) == at and copy.uri == uri]


def omissions_at(planned: Plan, at: Place) -> list[Omission]:
    return [omission for omission in planned.omissions if place(omission.spot) == at]


def is_cut(planned: Plan, at: int, uri: str | None) -> bool:
    return any(copy.uri == uri and copy.spot.section == at and len(copy.segments) > 1 for copy in planned.copies)


def reason_before_any_file(asset: Asset, within: Section, case: Case) -> Reason | None:
    if isinstance(asset, CompletedAsset) and uri_of(asset, within) is None:
        assert within.audio is not None
        asset = within.audio
    if isinstance(asset, PendingAsset | FailedAsset):
        return Reason(asset.status)
    return Reason.STALE if asset.stale and case.options.stale == "skip" else None


def is_excluded(at: Place, within: Section, include: Include) -> bool:
    return at.kind not in include.kinds or (include.sections is not None and within.id not in include.sections)


# ---- nothing is lost, nothing is twice -------------------------------------------------------------


@few
@given(cases)
def test_every_asset_is_exported_once_or_left_out_once(case: Case) -> None:
    planned = case.plan()
    for at, within, asset in assets_of(case.project):
        uri = uri_of(asset, within)
        exported, omitted = copies_at(planned, at, uri), omissions_at(planned, at)
        in_slices = at.in_section is None and is_cut(planned, at.section, uri)
        assert len(exported) + len(omitted) == 1 or (in_slices and not exported and not omitted)


@few
@given(cases)
def test_every_copy_and_omission_is_of_the_project(case: Case) -> None:
    planned = case.plan()
    known = {at for at, _, _ in assets_of(case.project)}
    voiceless = {place(one.spot) for one in planned.omissions if one.reason is Reason.IN_SECTION_AUDIO}
    assert {place(one.spot) for one in planned.omissions} <= known | voiceless
    shared = {(copy.spot.section, copy.uri) for copy in planned.copies if place(copy.spot) not in known}
    assert all(narration_of_several(case.project.sections[at], uri) for at, uri in shared)
    assert len({(place(copy.spot), copy.uri) for copy in planned.copies}) == len(planned.copies)


def narration_of_several(told: Section, uri: str) -> bool:
    parts = (sentence.audio for sentence in told.sentences)
    return any(isinstance(one, CompletedAsset) and one.slice is not None and one.uri == uri for one in parts)


@few
@given(cases)
def test_the_reason_is_the_first_that_applies(case: Case) -> None:
    planned = case.plan()
    for at, within, asset in assets_of(case.project):
        given_reasons = [omission.reason for omission in omissions_at(planned, at)]
        if is_excluded(at, within, case.options.include):
            assert given_reasons == [Reason.EXCLUDED]
        elif reason := reason_before_any_file(asset, within, case):
            assert given_reasons == [reason]
        else:
            assert set(given_reasons) <= reasons_of_file(asset, within, case)


def reasons_of_file(asset: Asset, within: Section, case: Case) -> set[Reason]:
    uri = uri_of(asset, within)
    assert uri is not None
    fact = case.facts[uri]
    if not isinstance(fact, Found):
        return {Reason.MISSING if isinstance(fact, Missing) else Reason.UNREADABLE}
    if not isinstance(asset, CompletedAsset) or asset.slice is None:
        return set()
    return {Reason.IN_SECTION_AUDIO} | ({Reason.STALE} if case.options.stale == "skip" else set())


@few
@given(cases)
def test_a_sentence_that_is_only_in_a_narration_says_in_which_file(case: Case) -> None:
    planned = case.plan()
    narrations = {f"in {copy.name}": copy for copy in planned.copies if "_section_audio." in copy.name}
    for one in planned.omissions:
        if one.reason is Reason.IN_SECTION_AUDIO:
            assert one.detail in narrations
    for copy in narrations.values():
        own = case.project.sections[copy.spot.section].audio
        is_own = isinstance(own, CompletedAsset) and own.uri == copy.uri
        for within, sentence in enumerate(case.project.sections[copy.spot.section].sentences):
            if is_own and sentence.audio is None:
                (said,) = omissions_at(planned, Place(copy.spot.section, within, Kind.AUDIO))
                assert said.detail == f"in {copy.name}"


@few
@given(cases)
def test_only_finished_files_that_are_there_are_copied_whole_or_in_part(case: Case) -> None:
    for copy in case.plan().copies:
        fact = case.facts[copy.uri]
        assert isinstance(fact, Found)
        for extent in copy.sources:
            assert (extent.root, extent.key, extent.version) == (*fact.source, fact.version)
            assert 0 <= extent.start <= extent.stop <= fact.version.size_bytes
        assert len(copy.segments) > 1 or copy.size_bytes == fact.version.size_bytes


# ---- names and numbers -----------------------------------------------------------------------------


@few
@given(cases)
def test_names_are_plain_and_differ_even_if_case_is_ignored(case: Case) -> None:
    made = names(case.plan())
    assert [name for name in made if not NAME.fullmatch(name)] == []
    assert len({name.casefold() for name in made}) == len(made)
    parts = {part for name in made for part in name.split("/")}
    assert all(len(part) <= 255 and part.partition(".")[0] not in DEVICES for part in parts)


def test_the_extension_is_that_of_the_file_and_not_of_the_reference() -> None:
    uri = "file:///srv/media/a.PNG?v=1.5"
    seen = found(uri)._replace(source=Source("media", "a.PNG"))
    assert names(plan(project(section(Sentence(image=completed(uri)))), {uri: seen})) == ["images/001_intro_image.png"]


@few
@given(cases)
def test_a_number_is_the_sentence_s_position_in_the_whole_script(case: Case) -> None:
    planned = case.plan()
    position = {(at, within): seq for seq, (at, within) in enumerate(places_of_sentences(case.project), 1)}
    for copy in planned.copies:
        assert copy.name.split("/")[1].startswith(f"{copy.spot.seq:03d}_")
        if copy.spot.in_section is not None:
            assert copy.spot.seq == position[copy.spot.section, copy.spot.in_section]
    for omission in planned.omissions:
        if omission.spot.in_section is not None:
            assert omission.spot.seq == position[omission.spot.section, omission.spot.in_section]


def places_of_sentences(told: Project) -> Iterator[tuple[int, int]]:
    return ((at, within) for at, one in enumerate(told.sections) for within in range(len(one.sentences)))


@few
@given(cases)
def test_copies_and_omissions_stand_in_story_order_and_so_do_sorted_names(case: Case) -> None:
    planned = case.plan()
    for spots in ([copy.spot for copy in planned.copies], [one.spot for one in planned.omissions]):
        assert [(spot.section, spot.seq) for spot in spots] == sorted((spot.section, spot.seq) for spot in spots)
    for kind in Kind:
        of_kind = [copy for copy in planned.copies if copy.spot.kind is kind]
        assert [c.spot.seq for c in sorted(of_kind, key=lambda c: c.name)] == [c.spot.seq for c in of_kind]


@pytest.mark.parametrize("count", [1, 9, 10, 99, 999, 1000, 1001, 5000])
def test_sorted_names_tell_the_story_however_long_it_is(count: int) -> None:
    picture, title = Sentence(image=completed("a.png")), "The same title"
    told = project(
        section(*[picture] * (count // 2), title=title), section(*[picture] * (count - count // 2), title=title)
    )
    made = names(plan(told))
    width = max(3, len(str(count)))
    assert made == [f"images/{number:0{width}d}_the-same-title_image.png" for number in range(1, count + 1)]
    assert sorted(made) == made


def test_narration_after_the_last_sentence_has_a_number_of_its_own_and_the_width_for_it() -> None:
    coda = section(title="Coda", audio=completed("z.wav"))
    silent = section(title="Credits")
    told = project(section(*[Sentence(image=completed("a.png"))] * 999), coda, silent)
    made = names(plan(told))
    assert made[0] == "images/0001_intro_image.png"
    assert made[-1] == "audio/1000_coda-2_section_audio.wav"


def test_sections_without_sentences_share_the_next_number_and_differ_in_theirs() -> None:
    mute = section(title="x", audio=completed("a.wav"))
    told = project(mute, mute, section(Sentence(audio=completed("b.wav")), title="x-1", audio=completed("c.wav")))
    assert names(plan(told)) == [
        "audio/001_x-1_section_audio.wav",
        "audio/001_x-2_section_audio.wav",
        "audio/001_x-1-3_section_audio.wav",
        "audio/001_x-1_audio.wav",
    ]


@few
@given(cases)
def test_filling_holes_later_renames_nothing(case: Case) -> None:
    before = {(copy.spot, copy.uri): copy.name for copy in case.plan().copies}
    after = {(copy.spot, copy.uri): copy.name for copy in with_holes_filled(case).plan().copies}
    assert before.items() <= after.items()
    assert len(set(after.values())) == len(after)


def with_holes_filled(case: Case) -> Case:
    facts = dict(case.facts)

    def fill(asset: Asset | None) -> Asset | None:
        if asset is None or isinstance(asset, CompletedAsset):
            return asset
        uri = f"asset:later/{len(facts)}.wav"
        facts[uri] = found(uri, wav=FIVE_SECONDS)
        return completed(uri)

    def fill_sentence(one: Sentence) -> Sentence:
        return one.model_copy(update={kind.value: fill(getattr(one, kind)) for kind in Kind})

    sections = tuple(
        one.model_copy(update={"audio": fill(one.audio), "sentences": tuple(map(fill_sentence, one.sentences))})
        for one in case.project.sections
    )
    return case._replace(project=case.project.model_copy(update={"sections": sections}), facts=facts)


def test_a_narration_that_cannot_be_cut_keeps_its_name_when_an_earlier_part_of_it_comes() -> None:
    second = Sentence(audio=part(1000, 2000))
    facts = {"n.mp3": found("n.mp3", wav="not a WAV file")}
    for first in (PENDING, part(0, 1000), completed("own.wav")):
        told = project(section(Sentence(audio=first), second, audio=completed("n.mp3")))
        assert "audio/001_intro_section_audio.mp3" in names(plan(told, facts))


def test_a_shared_narration_leaves_the_section_s_own_its_name() -> None:
    facts = {"other.mp3": found("other.mp3", wav="not a WAV file")}
    for own in (PENDING, completed("own.wav")):
        told = project(section(Sentence(audio=part(0, 1000, "other.mp3")), audio=own))
        assert "audio/001_intro-shared_section_audio.mp3" in names(plan(told, facts))


# ---- the same input, the same plan -----------------------------------------------------------------


@few
@given(cases)
def test_neither_its_way_here_nor_the_order_of_facts_nor_the_folder_changes_what_is_exported(case: Case) -> None:
    received = Project.model_validate_json(case.project.model_dump_json())
    elsewhere = replace(case._replace(project=received).draft(), folder="export_p_20260301T120000Z_b94f5231")
    again = settle(elsewhere, dict(reversed([*case.facts.items()])))
    planned = case.plan()
    assert (again.copies, again.omissions, again.warnings) == (planned.copies, planned.omissions, planned.warnings)


# ---- missing files ---------------------------------------------------------------------------------


@few
@given(cases)
def test_on_missing_fail_fails_exactly_when_a_wanted_file_is_not_there(case: Case) -> None:
    drafted = case.draft(on_missing="fail")
    codes = {Missing: ErrorCode.SOURCE_MISSING, Unreadable: ErrorCode.SOURCE_UNREADABLE, Found: None}
    expected = {codes[type(case.facts[one.uri])] for one in drafted.wanted} - {None}
    if not expected:
        assert settle(drafted, case.facts).copies == case.plan().copies
        return
    with pytest.raises(Verdict) as refusal:
        settle(drafted, case.facts)
    assert refusal.value.code in expected


@pytest.mark.parametrize(
    ("fact", "code", "reason"),
    [
        (Missing(), ErrorCode.SOURCE_MISSING, "missing"),
        (Unreadable("Input/output error"), ErrorCode.SOURCE_UNREADABLE, "unreadable"),
    ],
)
def test_the_refusal_names_the_sentence_and_the_file(fact: Missing | Unreadable, code: ErrorCode, reason: str) -> None:
    told = project(section(Sentence()), section(Sentence(image=completed("p/a.png")), audio=completed("n.wav")))
    with pytest.raises(Verdict) as refusal:
        plan(told, {"p/a.png": fact}, on_missing="fail")
    assert (refusal.value.code, refusal.value.detail) == (code, f'image of sentence 2 ("p/a.png") is {reason}')
    with pytest.raises(Verdict, match=rf'^narration of section 2 \("n.wav"\) is {reason}$'):
        plan(told, {"n.wav": fact}, on_missing="fail")


def test_a_missing_narration_is_missing_for_its_section_and_for_each_part() -> None:
    told = project(section(Sentence(audio=part(0, 1000)), Sentence(audio=part(1000, 2000)), audio=completed("n.wav")))
    planned = plan(told, {"n.wav": Missing()})
    assert left_out(planned) == [(1, "audio", "missing"), (1, "audio", "missing"), (2, "audio", "missing")]
    assert [one.spot.in_section for one in planned.omissions] == [None, 0, 1]


def test_what_is_missing_says_where_it_was_looked_for() -> None:
    told = project(section(Sentence(audio=part(0, 1000), video=completed("p/v.mp4")), audio=completed("n.wav")))
    planned = plan(told, {"p/v.mp4": Missing(), "n.wav": Missing()})
    assert [one.as_message().detail for one in planned.omissions] == ["n.wav", "n.wav", "p/v.mp4"]


def test_what_could_not_be_read_says_why() -> None:
    told = project(section(Sentence(video=completed("v.mp4"))))
    (omission,) = plan(told, {"v.mp4": Unreadable("is not a regular file")}).omissions
    assert omission.as_message().detail == "is not a regular file"


# ---- narration that is in one file -----------------------------------------------------------------


def test_a_narration_that_was_cut_is_not_copied_as_well() -> None:
    told = project(section(Sentence(audio=part(0, 2000)), Sentence(audio=part(2000, 5000)), audio=completed("n.wav")))
    assert names(plan(told)) == ["audio/001_intro_audio.wav", "audio/002_intro_audio.wav"]
    assert plan(told).omissions == ()


def test_a_narration_is_copied_beside_its_parts_for_a_sentence_that_is_only_in_it() -> None:
    told = project(section(Sentence(audio=part(0, 2000)), Sentence(), audio=completed("n.wav")))
    planned = plan(told)
    assert names(planned) == ["audio/001_intro_section_audio.wav", "audio/001_intro_audio.wav"]
    assert left_out(planned) == [(2, "audio", "in_section_audio")]


def test_a_narration_that_cannot_be_cut_is_whole_with_a_warning() -> None:
    told = project(section(Sentence(), title="a"), section(Sentence(audio=part(0, 2000, "n.MP3")), title="b"))
    planned = plan(told, {"n.MP3": found("n.MP3", wav="not PCM (format 0x0055)")})
    assert names(planned) == ["audio/002_b_section_audio.mp3"]
    assert left_out(planned) == [(2, "audio", "in_section_audio")]
    assert warnings(planned) == (
        'section 2 "b": its narration could not be cut into sentences: not PCM (format 0x0055)',
    )


def test_one_narration_of_several_sections_that_cannot_be_cut_is_copied_once() -> None:
    told = project(section(Sentence(audio=part(0, 900, "n.mp3"))), section(Sentence(audio=part(900, 2000, "n.mp3"))))
    planned = plan(told, {"n.mp3": found("n.mp3", wav="not a WAV file")})
    assert names(planned) == ["audio/001_intro_section_audio.mp3"]
    assert left_out(planned) == [(1, "audio", "in_section_audio"), (2, "audio", "in_section_audio")]


def test_a_stale_narration_is_not_exported_for_the_sake_of_a_fresh_part() -> None:
    fresh, whole = Sentence(audio=part(0, 1000)), completed("n.wav", stale=True)
    told = project(section(fresh, audio=whole))
    assert names(plan(told, stale="skip")) == ["audio/001_intro_audio.wav"]
    planned = plan(told, {"n.wav": found("n.wav", wav="not a WAV file")}, stale="skip")
    assert (names(planned), left_out(planned)) == ([], [(1, "audio", "stale"), (1, "audio", "stale")])


def test_what_is_exported_of_an_older_text_is_marked() -> None:
    sentence = Sentence(audio=completed("a.wav"), image=completed("a.png"), video=completed("a.mp4", stale=True))
    planned = plan(project(section(sentence)))
    assert [copy.name for copy in planned.copies if copy.is_stale] == ["videos/001_intro_video.mp4"]
    assert len([warning for warning in planned.warnings if "(001_intro_video.mp4)" in warning]) == 1
    assert not any("older text" in warning for warning in plan(project(section(sentence)), stale="skip").warnings)


@pytest.mark.parametrize("whole", [None, completed("n.wav")])
def test_a_narration_is_as_old_as_the_oldest_sentence_that_is_only_in_it(whole: Asset | None) -> None:
    fresh, older = part(0, 1000, "n.wav"), part(1000, 2000, "n.wav", stale=True)
    told = project(section(Sentence(audio=fresh), Sentence(audio=older), audio=whole))
    assert [copy.is_stale for copy in plan(told).copies] == [False, True]
    (uncut,) = plan(told, {"n.wav": found("n.wav", wav="not a WAV file")}).copies
    assert uncut.is_stale


@pytest.mark.parametrize("awaited", [PENDING, GENERATING, FAILED])
def test_a_part_of_a_narration_that_is_not_there_yet_is_as_pending_as_that(awaited: Asset) -> None:
    told = project(section(Sentence(audio=part(0, 1000)), audio=awaited))
    assert left_out(plan(told)) == [(1, "audio", awaited.status)] * 2


def test_sections_that_repeat_a_narration_each_have_all_of_it() -> None:
    told = section(Sentence(audio=part(0, 2000)), Sentence(audio=part(2000, 5000)), audio=completed("n.wav"))
    sizes = [copy.sources[0].size_bytes for copy in plan(project(told, told)).copies]
    assert sizes == [4000, 6000, 4000, 6000]


# ---- options ---------------------------------------------------------------------------------------


def test_what_was_not_chosen_is_excluded_whatever_became_of_it() -> None:
    both = Sentence(image=PENDING, audio=completed("a.wav", stale=True))
    told = project(section(both, id="s-1"), section(both, id="s-2"), section(both))
    planned = plan(told, include=Include(kinds=(Kind.AUDIO,), sections=("s-2",)), stale="skip")
    assert [reason for _, _, reason in left_out(planned)] == ["excluded"] * 2 + ["stale"] + ["excluded"] * 3


# ---- how whole it is -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sentences", "outcome"),
    [
        ([], Outcome.EMPTY),
        ([Sentence(text="No media was ever asked for.")], Outcome.EMPTY),
        ([Sentence(image=PENDING)], Outcome.EMPTY),
        ([Sentence(image=completed("a.png"))], Outcome.COMPLETE),
        ([Sentence(image=completed("a.png"), video=PENDING)], Outcome.PARTIAL),
        ([Sentence(image=completed("a.png"), video=GENERATING)], Outcome.PARTIAL),
        ([Sentence(image=completed("a.png"), video=FAILED)], Outcome.PARTIAL),
        ([Sentence(image=completed("a.png"), video=completed("gone.mp4"))], Outcome.PARTIAL),
        ([Sentence(image=completed("a.png"), video=completed("broken.mp4"))], Outcome.PARTIAL),
        ([Sentence(image=completed("a.png"), video=completed("b.mp4", stale=True))], Outcome.COMPLETE),
        ([Sentence(image=completed("a.png"), audio=completed("excluded.wav"))], Outcome.COMPLETE),
    ],
)
def test_only_what_the_creator_did_not_choose_makes_an_export_partial(
    sentences: list[Sentence], outcome: Outcome
) -> None:
    facts: Facts = {"gone.mp4": Missing(), "broken.mp4": Unreadable("")}
    chosen = Include(kinds=(Kind.IMAGE, Kind.VIDEO))
    assert plan(project(section(*sentences)), facts, stale="skip", include=chosen).outcome is outcome


def test_sentences_inside_an_exported_narration_are_exported() -> None:
    assert plan(project(section(Sentence(), Sentence(), audio=completed("n.wav")))).outcome is Outcome.COMPLETE


# ---- sizes and checksums ---------------------------------------------------------------------------


def test_a_size_beside_a_slice_is_that_of_the_whole_file() -> None:
    parts = [Sentence(audio=part(0, 1000, size_bytes=10_044)), Sentence(audio=part(1000, 2000, size_bytes=9))]
    planned = plan(project(section(*parts, audio=completed("n.wav", size_bytes=8))))
    assert warnings(planned) == (
        "narration of section 1: the project says 8 bytes, the file has 10044",
        "audio of sentence 2: the project says 9 bytes, the file has 10044",
    )


def test_a_checksum_that_is_not_as_declared_is_told_of_every_whole_file() -> None:
    own = completed("cut.wav", crc32=10)
    told = project(
        section(Sentence(audio=part(0, 1000, crc32=10)), audio=own),
        section(Sentence(image=completed("a.png", crc32=7)), Sentence(image=completed("b.png", crc32=8))),
        section(Sentence(audio=part(0, 1000)), audio=completed("n.mp3", crc32=9)),
    )
    planned = plan(told, {"n.mp3": found("n.mp3", wav="not a WAV file")})
    media = {copy.name: Written(copy.size_bytes, 7) for copy in planned.copies}
    assert with_checksum_warnings(planned, media).warnings[len(planned.warnings) :] == (
        "images/003_intro_image.png: its CRC-32 is 00000007, the project says 00000008",
        "audio/004_intro_section_audio.mp3: its CRC-32 is 00000007, the project says 00000009",
    )


def test_a_draft_carries_the_command_s_own_time_and_id() -> None:
    told = project()
    drafted = plan_export(command(told), told, "a-folder")
    assert (drafted.requested_at, drafted.export_id, drafted.folder) == (NOON, "e-1", "a-folder")


def test_a_section_that_is_asked_for_and_does_not_exist_is_named() -> None:
    told = project(section(Sentence(image=completed("1.png")), id="a"))
    planned = plan(told, include=Include(sections=("a", "b\u202e")))
    assert warnings(planned) == ('options.include.sections: the project has no section "b"',)
    assert len(planned.copies) == 1
