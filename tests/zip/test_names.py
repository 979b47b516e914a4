"""A name that could be unpacked elsewhere, or onto another entry, is refused; all others are kept as they are."""

import re

import pytest

from service.segments import Extent, Version
from service.streaming_zip import Entry, plan_zip
from tests.zip.archives import MOMENT, literal, opened


@pytest.mark.parametrize(
    "name",
    ["", "/", "/etc/passwd", "a//b", "//", "../b", "a/../b", "a/..", "./a", "a/.", "a\\b", "C:b", "a\0b", "\ud800"],
)
def test_a_name_that_leads_elsewhere_is_refused_and_named(name: str) -> None:
    with pytest.raises(ValueError, match=re.escape(f"entry {name!r} ")):
        plan_zip([literal("export_x/script.txt"), literal(name)], MOMENT)


def test_names_like_dots_that_are_ordinary_are_kept() -> None:
    plan = plan_zip([literal("...")], MOMENT)
    assert opened(plan).namelist() == ["..."]


@pytest.mark.parametrize("twin", ["a/Script.TXT", "a/script.txt", "a/script.txt/"])
def test_two_entries_that_some_system_would_make_one_file_are_refused(twin: str) -> None:
    with pytest.raises(ValueError, match="twice"):
        plan_zip([literal("a/script.txt"), Entry(twin)], MOMENT)


def test_a_name_may_have_65535_bytes_and_no_more() -> None:
    longest = "é" * 32767 + "x"
    assert opened(plan_zip([literal(longest)], MOMENT)).namelist() == [longest]
    with pytest.raises(ValueError, match="65,535"):
        plan_zip([literal(longest + "x")], MOMENT)


def test_a_directory_has_no_body() -> None:
    with pytest.raises(ValueError, match="'a/'"):
        plan_zip([literal("a/")], MOMENT)


def test_a_part_of_a_file_is_no_body() -> None:
    part = Extent("exports", "k", 10, 20, Version(20, 0, 1))
    with pytest.raises(ValueError, match="'a'"):
        plan_zip([Entry("a", part)], MOMENT)
