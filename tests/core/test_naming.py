"""No title, id or key can make a name that a file system, a shell or an editor stumbles over."""

import re
import unicodedata
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

from contracts.base import ProjectId
from contracts.limits import MAX_TITLE_CHARACTERS
from contracts.project import Section
from service.naming import (
    SLUG_CHARACTERS,
    asset_name,
    extension,
    folder_name,
    folder_name_beside,
    one_line,
    plain_text,
    sequence_width,
    slug,
)
from tests.core.hostile_titles import HOSTILE_TITLES

KIND_WORDS = ("audio", "image", "video", "section_audio")
DEVICES = {"con", "prn", "aux", "nul"} | {f"{port}{n}" for port in ("com", "lpt") for n in range(10)}
BIDI_CONTROLS = set("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)

few = settings(max_examples=50, deadline=None, database=None)
texts = st.text() | st.lists(st.sampled_from(HOSTILE_TITLES) | st.text(max_size=3), max_size=3).map("".join)
project_ids = st.text(
    st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="/\\"), min_size=1, max_size=128
)


def slugs() -> Iterator[tuple[str, str]]:
    return ((title, slug(title, "section-4")) for title in HOSTILE_TITLES)


def is_safe_slug(text: str) -> bool:
    shape = re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", text)
    return shape is not None and len(text) <= SLUG_CHARACTERS and text not in DEVICES


def is_plain(text: str) -> bool:
    obeyed = {c for c in text if unicodedata.category(c) in {"Cc", "Zl", "Zp"}} - {"\n", "\t"}
    return not obeyed and BIDI_CONTROLS.isdisjoint(text) and "\ufeff" not in text


class TestTheHostileTitles:
    def test_there_are_many_and_all_differ(self) -> None:
        assert len(set(HOSTILE_TITLES)) == len(HOSTILE_TITLES) >= 330

    def test_the_contract_lets_every_one_in(self) -> None:
        for title in HOSTILE_TITLES:
            assert Section(title=title).title == title


class TestSlug:
    def test_every_hostile_title_becomes_a_safe_slug(self) -> None:
        assert [(title[:40], made) for title, made in slugs() if not is_safe_slug(made)] == []

    @few
    @given(texts)
    def test_every_other_title_does_too(self, title: str) -> None:
        assert is_safe_slug(slug(title, "section-4"))

    def test_a_slug_is_its_own_slug(self) -> None:
        assert [made for _, made in slugs() if slug(made, "section-9") != made] == []

    @pytest.mark.parametrize("title", ["", " \n\t", "🎬🎬", "...", "../..", "\u202e", "¿?", "\x00", "\u0301"])
    def test_a_title_without_letters_or_digits_is_called_by_its_number(self, title: str) -> None:
        assert slug(title, "section-4") == "section-4"

    @pytest.mark.parametrize(
        ("title", "expected"),
        [
            ("第一章 开始", "di-yi-zhang-kai-shi"),
            ("はじめに", "hasimeni"),
            ("시작", "sijag"),
            ("مقدمة", "mqdm"),
            ("Введение в тему", "vvedenie-v-temu"),
            ("Café & Straße", "cafe-strasse"),
            ("../../etc/passwd", "etc-passwd"),
            ("1,000 sheep", "1000-sheep"),
        ],
    )
    def test_other_scripts_are_spelled_in_latin_letters(self, title: str, expected: str) -> None:
        assert slug(title, "section-1") == expected

    def test_both_normal_forms_of_a_title_have_one_slug(self) -> None:
        for title in ("Ångström", "Việt Nam", "ἀρχή", "パン"):
            forms = {slug(unicodedata.normalize(form, title), "section-1") for form in ("NFC", "NFD")}
            assert len(forms) == 1

    @pytest.mark.parametrize(
        ("title", "device"),
        [("CON", "con"), ("nul.", "nul"), ("aux ", "aux"), ("_prn_", "prn"), ("COM¹", "com1"), ("ＬＰＴ０", "lpt0")],
    )
    def test_a_device_name_is_followed_by_the_number(self, title: str, device: str) -> None:
        assert slug(title, "section-4") == f"{device}-section-4"

    def test_a_long_title_is_cut_between_words(self) -> None:
        assert slug("The quick brown fox jumps over the lazy dog and sleeps", "x") == (
            "the-quick-brown-fox-jumps-over-the-lazy-dog-and"
        )

    def test_a_long_first_word_is_cut_and_not_dropped(self) -> None:
        assert slug("a" * 60 + " bb", "section-4") == "a" * SLUG_CHARACTERS

    def test_no_word_in_the_middle_is_dropped(self) -> None:
        assert slug("intro " + "a" * 60 + " end", "section-4") == "intro"

    @pytest.mark.parametrize(("first_word", "expected"), [(45, "a" * 45 + "-bb"), (46, "a" * 46), (48, "a" * 48)])
    def test_the_limit_itself_may_be_reached(self, first_word: int, expected: str) -> None:
        assert slug("a" * first_word + " bb", "section-4") == expected

    def test_only_the_first_thousand_characters_count(self) -> None:
        assert slug("🎬" * 999 + "abc", "section-4") == "a"

    def test_the_longest_title_is_named_like_its_beginning(self) -> None:
        title = ("Once upon a time " * 1_000)[:MAX_TITLE_CHARACTERS]
        assert (
            slug(title, "section-4") == slug(title[:60], "section-4") == "once-upon-a-time-once-upon-a-time-once-upon-a"
        )


class TestAssetNames:
    def test_they_are_safe_on_every_file_system(self) -> None:
        for _, made in slugs():
            for kind_word in KIND_WORDS:
                name = asset_name(99_999, 6, made, kind_word, "abcdefgh")
                assert re.fullmatch(r"[0-9]{6}_[a-z0-9-]+_[a-z_]+\.[a-z0-9]+", name)
                assert len(name.encode()) <= 255
                assert name.partition(".")[0] not in DEVICES

    def test_assets_of_one_sentence_belong_together(self) -> None:
        names = [asset_name(3, 3, "the-start", kind_word, "bin") for kind_word in KIND_WORDS]
        assert {name[:14] for name in names} == {"003_the-start_"}
        assert len(set(names)) == len(KIND_WORDS)

    def test_different_numbers_make_different_names_whatever_the_title(self) -> None:
        names = [asset_name(seq, 3, made, "image", "png") for seq, (_, made) in enumerate(slugs(), 1)]
        assert len({name.casefold() for name in names}) == len(names)

    @pytest.mark.parametrize("count", [1, 2, 9, 10, 99, 100, 101, 999, 1000, 1001, 5000])
    def test_sorted_by_name_is_sorted_by_number(self, count: int) -> None:
        width = sequence_width(count)
        titles = ("zebra", "0", "10", "a-b", "section-4")
        names = [asset_name(seq, width, titles[seq % 5], "audio", "wav") for seq in range(1, count + 1)]
        assert sorted(names) == names

    def test_numbers_have_three_digits_or_as_many_as_the_highest_needs(self) -> None:
        assert {sequence_width(highest) for highest in range(1, 1000)} == {3}
        assert {sequence_width(highest) for highest in range(1000, 5001)} == {4}
        assert sequence_width(100_000) == 6


class TestExtension:
    @pytest.mark.parametrize(
        ("key", "expected"),
        [
            ("a.wav", "wav"),
            ("a.WAV", "wav"),
            ("a.tar.gz", "gz"),
            ("take 1. final.mp4", "mp4"),
            ("asset:p1/scene.png", "png"),
            ("file:///media/p1/scene.jpeg", "jpeg"),
            ("v1.0/a.b/clip.7z", "7z"),
            ("12:30.m4a", "m4a"),
        ],
    )
    def test_it_is_the_assets_own(self, key: str, expected: str) -> None:
        assert extension(key) == expected

    @pytest.mark.parametrize(
        "key",
        ["", "a", "a.", ".", "..", ".wav", "a/.wav", "asset:.wav", "a.b/c", "a.b/", "a.wav/..", "a.wav?x=1", "a.-rf"],
    )
    def test_none_at_all_is_bin(self, key: str) -> None:
        assert extension(key) == "bin"

    @pytest.mark.parametrize(
        "key", ["a.waaaaaaav", "a.w v", "a.wa\\v", "a.ünï", "a.wav\n", "a.\u212am", "a.wav\u202e", "a.١", "a.{x}"]
    )
    def test_one_of_another_form_is_bin(self, key: str) -> None:
        assert extension(key) == "bin"

    @few
    @given(st.lists(texts | st.sampled_from([".", "/", ".wav", "\\"]), max_size=4).map("".join))
    def test_no_key_can_put_anything_else_into_a_name(self, key: str) -> None:
        assert re.fullmatch(r"[a-z0-9]{1,8}", extension(key))


class TestFolderName:
    @few
    @given(project_ids, st.datetimes(timezones=st.just(UTC)))
    def test_every_project_has_a_safe_folder_name(self, project_id: str, requested_at: datetime) -> None:
        assert TypeAdapter(ProjectId).validate_python(project_id) == project_id
        name = folder_name(project_id, requested_at)
        assert re.fullmatch(r"export_[A-Za-z0-9_-]{1,64}_[0-9]{8}T[0-9]{6}Z", name)

    @pytest.mark.parametrize("project_id", ["..", "~", "con", "-rf", "a b", "日本", "a:b", "x.", "*", "🎬" * 128])
    def test_no_project_id_leaves_its_part_of_the_name(self, project_id: str) -> None:
        assert re.fullmatch(r"export_[a-z-]{1,64}_20260301T120000Z", folder_name(project_id, NOON))

    def test_the_case_of_an_id_is_kept(self) -> None:
        assert folder_name("V1StGXR8_Z5j-Hi", NOON) == "export_V1StGXR8_Z5j-Hi_20260301T120000Z"

    def test_the_time_is_in_utc_whatever_offset_it_came_with(self) -> None:
        elsewhere = NOON.astimezone(timezone(timedelta(hours=-9, minutes=-30)))
        assert folder_name("p", elsewhere) == folder_name("p", NOON)

    def test_a_fraction_of_a_second_is_dropped_and_not_rounded(self) -> None:
        assert folder_name("p", NOON.replace(microsecond=999_999)) == folder_name("p", NOON)

    def test_even_an_early_year_has_four_digits(self) -> None:
        assert folder_name("p", NOON.replace(year=33)) == "export_p_00330301T120000Z"

    def test_sorted_by_name_is_sorted_by_time(self) -> None:
        moments = [NOON + timedelta(days=days, seconds=days) for days in range(0, 4000, 37)]
        names = [folder_name("p", moment) for moment in moments]
        assert sorted(names) == names

    def test_a_taken_name_gets_the_same_suffix_every_time(self) -> None:
        name = folder_name("p", NOON)
        assert folder_name_beside(name, "e-1") == folder_name_beside(name, "e-1") == f"{name}_b94f5231"

    def test_two_exports_beside_a_taken_name_do_not_meet(self) -> None:
        longest = folder_name("p" * 128, NOON)
        names = {folder_name_beside(longest, f"e-{n}") for n in range(1000)}
        assert len(names) == 1000
        assert max(map(len, names)) <= 255


class TestPlainText:
    def test_no_hostile_title_keeps_what_a_terminal_would_obey(self) -> None:
        assert [title[:40] for title in HOSTILE_TITLES if not is_plain(plain_text(title))] == []

    @few
    @given(texts)
    def test_no_other_text_does_and_once_is_enough(self, text: str) -> None:
        plain = plain_text(text)
        assert is_plain(plain)
        assert plain_text(plain) == plain

    @pytest.mark.parametrize("line_break", ["\n", "\r\n", "\r", "\v", "\f", "\x85", "\u2028", "\u2029"])
    def test_every_line_break_is_a_newline(self, line_break: str) -> None:
        assert plain_text(f"one{line_break}two") == "one\ntwo"

    def test_two_line_breaks_stay_two(self) -> None:
        assert plain_text("a\r\rb\r\n\r\nc\n\rd") == "a\n\nb\n\nc\n\nd"

    @pytest.mark.parametrize(
        "text",
        [
            "می\u200cخواهم",
            "👩\u200d👩\u200d👧",
            "क\u094d\u200dष",
            "C++\u200f (\u061cא)\u200e",
            "Cafe\u0301",
            "\uf900",
            "ไทย\u200bไทย",
            "a\tb\n",
            "  spaces  ",
            "🏴\U000e0067\U000e0062\U000e007f",
        ],
    )
    def test_what_writing_needs_is_kept(self, text: str) -> None:
        assert plain_text(text) == text

    def test_nobody_can_reverse_the_words_beside_a_title(self) -> None:
        assert plain_text("photo\u202egpj.exe\u2066\u2069") == "photogpj.exe"


class TestOneLine:
    def test_every_hostile_title_fits_into_a_header(self) -> None:
        for title in HOSTILE_TITLES:
            words = one_line(title)
            assert is_plain(words)
            assert words == " ".join(words.split())

    def test_every_kind_of_space_is_one_space(self) -> None:
        assert one_line(" \ta \u00a0\u3000b\r\n\u2028c\v") == "a b c"
