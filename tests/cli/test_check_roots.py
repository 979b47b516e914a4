"""`check` on directories: what is wrong with a root or its file system is named with what mends it."""

import errno
import os
import re
import shutil
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from service.storage.disk import Disk
from tests.cli.checked import checked, findings, looked_at, problems
from tests.cli.command import call
from tests.cli.conftest import Desk
from tests.cli.mounts import Mounts, mounts_of_one_test
from tests.cli.rabbit import Rabbit
from tests.engine.faulty import SharingDisk

PROBES = ("writes durably", "first name wins", "moves folders", "locks", "times", "clock", "shares blocks")


@pytest.fixture
def mounts() -> Iterator[Mounts]:
    with mounts_of_one_test() as mounts:
        yield mounts


async def test_a_sound_deployment_has_no_problem(rabbit: Rabbit, desk: Desk) -> None:
    said = await checked(rabbit, desk, "--init")
    assert problems(said) == []
    assert set(findings(said, "ok")) >= {
        *("broker", "media root", "exports root", "exchange export.events", "queue export.cancel"),
        *(f"exports root: {probe}" for probe in PROBES),
        *("clock", "broker: connection", "broker: takes messages"),
    }


async def test_a_person_sees_one_line_for_each_finding(rabbit: Rabbit, desk: Desk) -> None:
    said = await rabbit.told("check", "--media", desk.media, "--to", desk.exports)
    assert said.code == 1
    assert re.search(rf"^problem  exports root +{desk.exports} is not there", said.out, re.MULTILINE)
    assert "export-service check --init" in said.out


async def test_init_makes_a_root_that_run_and_workers_accept(rabbit: Rabbit, desk: Desk) -> None:
    assert problems(await checked(rabbit, desk)) == ["exports root"]
    assert not desk.exports.exists()
    assert problems(await checked(rabbit, desk, "--init")) == []
    store = (desk.exports / ".exports" / "store.json").read_bytes()
    assert problems(await checked(rabbit, desk, "--init")) == []
    assert (desk.exports / ".exports" / "store.json").read_bytes() == store


async def test_a_check_leaves_the_root_as_it_was(rabbit: Rabbit, desk: Desk) -> None:
    await checked(rabbit, desk, "--init")
    before = sorted(path.relative_to(desk.exports) for path in desk.exports.rglob("*"))
    await checked(rabbit, desk)
    after = sorted(path.relative_to(desk.exports) for path in desk.exports.rglob("*"))
    assert [path for path in after if path.name != "_trash"] == before


async def test_a_directory_that_is_no_exports_root_is_not_made_one(rabbit: Rabbit, desk: Desk) -> None:
    desk.exports.mkdir()
    said = await checked(rabbit, desk)
    assert "is it mounted?" in findings(said, "problem")["exports root"]["detail"]
    assert list(desk.exports.iterdir()) == []


async def test_missing_media_are_a_problem_and_none_at_all_a_note(rabbit: Rabbit, desk: Desk) -> None:
    shutil.rmtree(desk.media)
    assert problems(await checked(rabbit, desk, "--init")) == ["media root"]
    desk.media.mkdir()
    said = await checked(rabbit, desk)
    assert problems(said) == []
    assert "is it mounted?" in findings(said, "note")["media root"]["detail"]


@pytest.mark.parametrize("inside", ["media/exports", "media", "."])
async def test_roots_that_overlap_are_a_problem_and_nothing_is_made(inside: str, rabbit: Rabbit, desk: Desk) -> None:
    exports = desk.media.parent / inside
    said = await rabbit.told("check", "--media", desk.media, "--to", exports, "--init", "--json")
    assert problems(said) == ["roots"]
    assert not (exports / ".exports").exists()


async def test_a_link_does_not_hide_that_roots_overlap(rabbit: Rabbit, desk: Desk) -> None:
    link = desk.media.with_name("link")
    link.symlink_to(desk.media)
    said = await rabbit.told("check", "--media", desk.media, "--to", link / "exports", "--init", "--json")
    assert problems(said) == ["roots"]


@pytest.mark.parametrize(
    ("method", "fault", "subject"),
    [
        ("mkdir", errno.EACCES, "exports root: writes durably"),
        ("fsync", errno.EIO, "exports root: writes durably"),
        ("link", errno.EPERM, "exports root: first name wins"),
        ("rename", errno.EIO, "exports root: moves folders"),
        ("lock", errno.EIO, "exports root: locks"),
    ],
)
async def test_a_file_system_that_cannot_do_something_is_found_out(
    method: str, fault: int, subject: str, rabbit: Rabbit, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    await checked(rabbit, desk, "--init")

    def fail(*_: object) -> None:
        raise OSError(fault, "it fails")

    monkeypatch.setattr(Disk, method, fail)
    said = await checked(rabbit, desk)
    assert problems(said) == [subject]
    is_about_rights = subject.endswith("writes durably")
    assert ("let this user" if is_about_rights else "hard links and locks") in findings(said, "problem")[subject][
        "mend"
    ]


async def test_a_file_system_on_which_the_second_wins_is_found_out(
    rabbit: Rabbit, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    await checked(rabbit, desk, "--init")
    monkeypatch.setattr(Disk, "link", lambda _, path, target: shutil.copy(path, target))
    assert problems(await checked(rabbit, desk)) == ["exports root: first name wins"]


async def test_a_file_system_without_locks_is_a_note(
    rabbit: Rabbit, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    await checked(rabbit, desk, "--init")

    def no_locks(*_: object) -> None:
        raise OSError(errno.EOPNOTSUPP, "no locks")

    monkeypatch.setattr(Disk, "lock", no_locks)
    said = await checked(rabbit, desk)
    assert problems(said) == []
    assert "exports root: locks" in findings(said, "note")


def test_a_file_system_that_moves_one_folder_over_another_is_found_out(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked_at(desk, "--init")

    def replace(_: Disk, path: str, target: str) -> None:
        shutil.rmtree(target, ignore_errors=True)
        Path(path).rename(target)

    monkeypatch.setattr(Disk, "rename", replace)
    assert problems(looked_at(desk)) == ["exports root: moves folders"]


@pytest.mark.parametrize(("second", "state", "words"), [(1, "note", "to the second: "), (2, "note", "2 seconds: ")])
def test_a_file_system_that_keeps_coarse_times_is_a_note(
    second: int, state: str, words: str, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    unit = second * 10**9
    monkeypatch.setattr(
        Disk, "set_times", lambda _, target, moment_ns: os.utime(target, ns=(0, moment_ns // unit * unit))
    )
    said = looked_at(desk, "--init")
    assert problems(said) == []
    assert words in findings(said, state)["exports root: times"]["detail"]


# ---- real file systems, for whoever may mount


def test_a_root_that_is_mounted_read_only_is_a_problem_and_told_as_one(desk: Desk, mounts: Mounts) -> None:
    mounts.tmpfs(desk.exports, "size=16m")
    assert problems(looked_at(desk, "--init")) == []
    mounts.remount(desk.exports, "ro")
    said = looked_at(desk)
    assert problems(said) == ["exports root: writes durably"]
    assert "mounted read-only" in findings(said, "problem")["exports root: writes durably"]["mend"]


def test_a_root_without_inodes_is_a_problem_however_many_bytes_are_free(desk: Desk, mounts: Mounts) -> None:
    mounts.tmpfs(desk.exports, "size=2g,nr_inodes=60")
    said = looked_at(desk, "--init")
    assert problems(said) == []
    assert "an export has a file for each asset" in findings(said, "note")["exports root: files"]["mend"]
    for number in range(60):
        with suppress(OSError):
            (desk.exports / f"file-{number}").touch()
    said = looked_at(desk)
    assert problems(said) == ["exports root: files"]
    assert "exports root: room" in findings(said, "ok")


def test_a_root_that_is_full_is_a_problem(desk: Desk, mounts: Mounts) -> None:
    mounts.tmpfs(desk.exports, "size=1m")
    looked_at(desk, "--init")
    with suppress(OSError), (desk.exports / "all").open("wb") as file:
        file.write(bytes(2 << 20))
    assert problems(looked_at(desk)) == ["exports root: room"]


def test_nothing_of_a_probe_stays_on_a_root_that_fills_up_under_it(desk: Desk, mounts: Mounts) -> None:
    mounts.tmpfs(desk.exports, "size=1m,nr_inodes=16")
    looked_at(desk, "--init")
    for free in range(8):
        for file in desk.exports.glob("file-*"):
            file.unlink()
        with suppress(OSError):
            for number in range(16 - free):
                (desk.exports / f"file-{number}").touch()
        looked_at(desk)
        assert [path.name for path in (desk.exports / ".exports").iterdir() if path.name.startswith("_probe")] == []


# ---- clocks


def jump(patch: pytest.MonkeyPatch, seconds: int) -> None:
    """This machine's clock; not that of the kernel, which dates files."""
    real, real_ns = time.time, time.time_ns
    patch.setattr(time, "time", lambda: real() + seconds)
    patch.setattr(time, "time_ns", lambda: real_ns() + seconds * 10**9)


@pytest.mark.parametrize(("seconds", "side"), [(3600, "3,600 seconds behind"), (-86_400, "86,400 seconds ahead of")])
def test_a_storage_and_a_machine_that_do_not_agree_on_the_time_are_a_note(
    seconds: int, side: str, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    jump(monkeypatch, seconds)
    said = looked_at(desk, "--init")
    assert problems(said) == []
    finding = findings(said, "note")["exports root: clock"]
    assert finding["detail"] == f"the storage's is {side} this machine's"
    assert "time server" in finding["mend"]


@pytest.mark.parametrize("years", [-56, 80])
def test_a_machine_that_lives_in_another_age_is_a_problem(
    years: int, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    jump(monkeypatch, years * 366 * 86_400)
    assert problems(looked_at(desk, "--init")) == ["clock"]


# ---- shared blocks


@pytest.mark.parametrize(("fault", "answer"), [(None, "yes: "), (errno.EOPNOTSUPP, "no: ")])
async def test_whether_blocks_can_be_shared_is_told(
    fault: int | None, answer: str, rabbit: Rabbit, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    def clone(*_: object) -> None:
        if fault is not None:
            raise OSError(fault, "cannot")

    monkeypatch.setattr(Disk, "clone", clone)
    monkeypatch.setattr(Disk, "file_system", SharingDisk.file_system)
    said = await checked(rabbit, desk, "--init")
    assert problems(said) == []
    for subject in ("exports root: shares blocks", "roots: shared blocks"):
        assert findings(said, "ok")[subject]["detail"].startswith(answer)


async def test_the_roots_may_come_from_the_environment_or_not_be_looked_at(
    rabbit: Rabbit, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = await rabbit.told("check", "--json")
    assert problems(said) == []
    assert "EXPORT_MEDIA_ROOT" in findings(said, "note")["media root"]["detail"]
    monkeypatch.setenv("EXPORT_MEDIA_ROOT", str(desk.media))
    monkeypatch.setenv("EXPORT_EXPORTS_ROOT", str(desk.exports))
    said = await rabbit.told("check", "--json", "--init")
    assert {"media root", "exports root"} <= set(findings(said, "ok"))


def test_init_without_a_place_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("EXPORT_EXPORTS_ROOT", raising=False)
    said = call("check", "--init")
    assert (said.code, said.sentence) == (2, "export-service: --init: say where: --to DIR, or EXPORT_EXPORTS_ROOT")
