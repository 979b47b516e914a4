"""The long form of the proof: what it looks at, that it sees a bug, and that a violation can be looked at again."""

import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bench.report import END
from tests.engine.test_every_fault import FAULTS
from tests.engine.test_faults_of_records import OPERATIONS
from tests.engine.test_seeded_bugs import it_publishes_before_it_decides
from tests.house.repository import ROOT, committed_files, text_of
from tests.prove.__main__ import CANNOT, CTRL_C, exit_code, main
from tests.prove.besieging import SIEGES
from tests.prove.running import Found, Wrong, fast_disk, together
from tests.prove.table import BEGIN, COMMAND, Row, rows_of, write_rows
from tests.prove.techniques import TECHNIQUES, Arena, Faults, Pairs, Space, Technique, in_a_hurry

PAGE = ROOT / "docs" / "reliability.md"


@pytest.fixture(scope="module")
def arena() -> Iterator[Arena]:
    with tempfile.TemporaryDirectory(dir=fast_disk()) as home:
        yield Arena.made_in(Path(home))


def test_every_fault_comes_to_every_operation_of_an_export_and_of_its_records(arena: Arena) -> None:
    technique = Faults(arena)
    cases = [case.split(", ") for case in technique.cases(1)]
    assert len(cases) == technique.total == len(set(technique.cases(2)))
    assert {where for where, _, _ in cases} == {Faults.EXPORT, Faults.SHARING, *OPERATIONS}
    assert {name for where, name, _ in cases if where == Faults.EXPORT} == set(FAULTS)
    killed = {int(at) for where, name, at in cases if (where, name) == (Faults.EXPORT, "killed before")}
    assert killed == set(range(len(arena.undisturbed.calls)))


def test_every_pair_of_kills_and_every_byte_is_drawn_once(arena: Arena) -> None:
    pairs, space = Pairs(arena), Space(arena)
    assert sum(map(pairs.stands_for, drawn_once(pairs))) == pairs.total
    assert len(drawn_once(space)) == space.total


def drawn_once(technique: Technique) -> list[str]:
    """Its cases, which another seed gives in another order."""
    cases = list(technique.cases(1))
    assert len(cases) == len(set(cases))
    assert cases != list(technique.cases(2))
    return cases


def begun(*words: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "tests.prove", *words],
        cwd=ROOT,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


@pytest.mark.slow
def test_all_techniques_look_at_something_and_find_nothing() -> None:
    alone = [word for name in TECHNIQUES for word in ("--only", name)]
    with begun("--minutes", "0.03", "--seed", "3", *alone) as proof:
        said, complained = proof.communicate(timeout=300)
    assert proof.returncode == 0, complained
    [_, *lines] = [line.split() for line in said.splitlines()]
    assert [line[0] for line in lines] == list(TECHNIQUES)
    assert all(int(line[1]) > 0 for line in lines)


@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_who_ends_the_proof_ends_its_processes(how: signal.Signals) -> None:
    with begun("--minutes", "5") as proof:
        assert proof.stdout is not None
        proof.stdout.readline()
        wait_until(lambda: bool(children_of(proof.pid)))
        children = children_of(proof.pid)
        proof.send_signal(how)
        proof.communicate(timeout=20)
    assert proof.returncode == CTRL_C
    # One that was only just being started ends when it finds nobody to tell it what to do.
    wait_until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in children))


def wait_until(holds: Callable[[], bool]) -> None:
    until = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < until
        time.sleep(0.02)


def children_of(pid: int) -> list[str]:
    """But for the one that only looks after what processes share, and ends with them in its own time."""
    found = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [one for one in found if b"spawn_main" in Path(f"/proc/{one}/cmdline").read_bytes()]


@pytest.mark.slow
def test_a_violation_is_told_with_the_command_that_makes_it_again(
    arena: Arena, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    it_publishes_before_it_decides(monkeypatch)
    rivals = TECHNIQUES["rivals"](arena)
    with in_a_hurry():
        case = next(case for case in map(str, range(1000)) if rivals.look(case).wrong)
    assert main(["--again", "rivals", case]) == 1
    assert f"{COMMAND} --again rivals '{case}'" in capsys.readouterr().out
    monkeypatch.undo()
    assert main(["--again", "rivals", case]) == 0


def test_without_rabbitmq_what_needs_one_is_left_out_and_said_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("tests.broker.node.SBIN", "nowhere/*")
    assert main(["--only", "workers"]) == CANNOT
    assert "workers  is left out: RabbitMQ is not installed" in capsys.readouterr().out


def test_what_several_processes_found_is_one_result() -> None:
    one, other = Found(3, 9, 1.0, [Wrong("1", "so")]), Found(4, 9, 2.0, [Wrong("2", "or so")])
    assert together([one, other]) == Found(7, 9, 2.0, [Wrong("1", "so"), Wrong("2", "or so")])


def test_one_violation_is_enough_to_end_in_failure() -> None:
    fine, bad = Found(9, None, 1.0, []), Found(9, None, 1.0, [Wrong("7", "two ends were told")])
    assert exit_code([fine, fine]) == 0
    assert exit_code([fine, bad]) == 1


def test_a_run_of_one_technique_replaces_its_row_and_no_other(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"before\n{BEGIN}\n{END}\nafter\n")
    one, other = (
        Row.of("one", "a way", Found(1234, None, 60.0, []), 1),
        Row.of("two", "another", Found(3, 9, 6.0, []), 2),
    )
    write_rows(page, {"two": other, "one": one}, ["one", "two"])
    assert list(rows_of(page).items()) == [("one", one), ("two", other)]
    again = Row.of("two", "another", Found(4, 9, 6.0, [Wrong("7", "so")], "5 of something else"), 3)
    write_rows(page, {"two": again}, ["one", "two"])
    assert list(rows_of(page).items()) == [("one", one), ("two", again)]
    assert page.read_text().startswith("before\n")
    assert page.read_text().endswith("after\n")
    assert "--only two --seed 3 " in page.read_text()


def test_the_page_has_a_row_for_each_technique() -> None:
    rows = rows_of(PAGE)
    assert list(rows) == [*TECHNIQUES, *SIEGES]
    assert all(int(row.cases.partition(" ")[0].replace(",", "")) > 0 for row in rows.values())


def test_the_page_names_tests_that_exist_and_has_a_place_for_the_table() -> None:
    page = PAGE.read_text()
    assert BEGIN in page
    files = [file for file in committed_files() if file.name.startswith("test_")]
    exist = {name for file in files for name in re.findall(r"def (test_\w+)", text_of(file))}
    named = set(re.findall(r"`(test_\w+)`", page))
    assert len(named) > 30
    assert named - exist == set()
