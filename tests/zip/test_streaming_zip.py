"""A ZIP is known byte by byte before it exists."""

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import NoReturn

import pytest
from hypothesis import given
from hypothesis import strategies as st
from isal.isal_zlib import crc32

from service.segments import Extent, Version
from service.streaming_zip import Entry, ZipPlan, plan_zip
from tests.zip.archives import FOLDER, LARGE, MOMENT, content, few, file, folders, moments


@few
@given(folders, moments, st.data())
def test_every_range_is_that_slice_of_the_whole(folder: list[Entry], moment: datetime, data: st.DataObject) -> None:
    plan = plan_zip(folder, moment)
    whole = content(plan.segments)
    start, stop = sorted(data.draw(st.tuples(*[st.integers(0, plan.size_bytes + 10)] * 2)))
    assert content(plan.read(start, stop)) == whole[start:stop]


def test_ranges_that_meet_the_edges_of_segments_lose_nothing() -> None:
    plan = plan_zip(FOLDER, MOMENT)
    whole = content(plan.segments)
    edges = sorted({edge + near for edge in plan.starts for near in (-1, 0, 1)} - {-1})
    assert all(content(plan.read(a, b)) == whole[a:b] for a in edges for b in edges if a <= b)


@pytest.mark.parametrize(("start", "stop"), [(-1, 5), (5, 4), (-5, -1)])
def test_a_range_that_is_none_is_refused_at_once(start: int, stop: int) -> None:
    plan = plan_zip(FOLDER, MOMENT)
    with pytest.raises(ValueError, match="range"):
        plan.read(start, stop)


@few
@given(folders, moments)
def test_size_and_checksum_of_the_archive_are_known_without_reading_a_file(
    folder: list[Entry], moment: datetime
) -> None:
    plan = plan_zip(folder, moment)
    whole = content(plan.segments)
    assert (plan.entries, plan.size_bytes, plan.crc32) == (len(folder), len(whole), crc32(whole))


@few
@given(folders)
def test_the_size_is_exact_before_any_checksum_is_known(folder: list[Entry]) -> None:
    early = plan_zip([replace(entry, crc32=0) for entry in folder], MOMENT)
    assert early.size_bytes == plan_zip(folder, MOMENT).size_bytes


def test_the_etag_is_a_quoted_sha256() -> None:
    assert len(plan_zip([], MOMENT).etag) == 66
    assert bytes.fromhex(plan_zip([], MOMENT).etag.strip('"'))


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(replace(file("a.wav", LARGE), name="b.wav"), id="name"),
        pytest.param(file("a.wav", LARGE + b"x"), id="size"),
        pytest.param(replace(file("a.wav", LARGE), crc32=7), id="checksum"),
    ],
)
def test_the_etag_changes_with_any_file(other: Entry) -> None:
    assert plan_zip([other], MOMENT).etag != plan_zip([file("a.wav", LARGE)], MOMENT).etag


def test_the_etag_changes_with_a_text_even_if_its_checksum_does_not() -> None:
    one, other = (plan_zip([Entry("script.txt", text)], MOMENT) for text in (b"one", b"two"))
    assert one.etag != other.etag


def test_the_etag_changes_with_the_moment() -> None:
    assert plan_zip(FOLDER, MOMENT + timedelta(seconds=1)).etag != plan_zip(FOLDER, MOMENT).etag


def test_the_etag_does_not_tell_where_the_files_are() -> None:
    def moved(extent: Extent) -> Extent:
        version = Version(extent.size_bytes, 5, 6)
        return replace(extent, root="elsewhere", key="x", version=version)

    there = [replace(entry, body=moved(entry.body)) for entry in FOLDER if isinstance(entry.body, Extent)]
    here = [entry for entry in FOLDER if isinstance(entry.body, Extent)]
    assert plan_zip(there, MOMENT).etag == plan_zip(here, MOMENT).etag


@pytest.fixture
def zone(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    with monkeypatch.context() as patch:

        def move(name: str) -> None:
            patch.setenv("TZ", name)
            time.tzset()

        yield move
    time.tzset()


def test_the_machines_time_zone_changes_nothing(zone: Callable[[str], None]) -> None:
    def plan_in(name: str) -> ZipPlan:
        zone(name)
        return plan_zip(FOLDER, MOMENT)

    assert plan_in("UTC") == plan_in("America/New_York") == plan_in("Asia/Kolkata")


def test_the_moments_time_zone_changes_nothing() -> None:
    kolkata = timezone(timedelta(hours=5, minutes=30))
    assert plan_zip(FOLDER, MOMENT.astimezone(kolkata)) == plan_zip(FOLDER, MOMENT)


def test_a_moment_without_a_zone_is_refused() -> None:
    with pytest.raises(TypeError, match="naive"):
        plan_zip(FOLDER, MOMENT.replace(tzinfo=None))


def test_no_clock_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    def read_clock(*_: object) -> NoReturn:
        raise AssertionError

    for clock in ("time", "time_ns", "localtime", "gmtime"):
        monkeypatch.setattr(time, clock, read_clock)
    assert plan_zip(FOLDER, MOMENT).entries == len(FOLDER)
