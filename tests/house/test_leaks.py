"""The check that runs after every test sees what it promises to see."""

import asyncio
import os
import socket
import subprocess
import tempfile
import threading
import timeit
from functools import partial
from pathlib import Path

import anyio
import anyio.to_thread
import pytest

from tests.house.leaks import SEES_DESCRIPTORS_AND_CHILDREN, held, leaked, unfinished_tasks

on_linux = pytest.mark.skipif(not SEES_DESCRIPTORS_AND_CHILDREN, reason="descriptors and children are seen in /proc")


def test_nothing_held_more_is_no_leak(system_temp: Path) -> None:
    assert leaked(held(system_temp), system_temp) == []


@on_linux
def test_an_open_descriptor_is_named_with_its_target(system_temp: Path, tmp_path: Path) -> None:
    before = held(system_temp)
    with (tmp_path / "forgotten").open("wb") as file:
        found = leaked(before, system_temp, patience_seconds=0)
        assert found == [f"descriptor {file.fileno()} → {tmp_path / 'forgotten'}"]


@on_linux
def test_another_socket_under_the_same_number_is_a_leak(system_temp: Path) -> None:
    with socket.socket() as first:
        before, number = held(system_temp), first.fileno()
    with socket.socket() as second:
        assert second.fileno() == number
        [found] = leaked(before, system_temp, patience_seconds=0)
        assert found.startswith(f"descriptor {number} → socket:")


def test_a_running_thread_is_named(system_temp: Path) -> None:
    before, done = held(system_temp), threading.Event()
    thread = threading.Thread(target=done.wait, name="forgotten")
    thread.start()
    try:
        assert leaked(before, system_temp, patience_seconds=0) == [f"thread {thread.native_id} forgotten"]
    finally:
        done.set()
        thread.join()


def test_a_thread_that_is_about_to_end_is_waited_for(system_temp: Path) -> None:
    before = held(system_temp)
    thread = threading.Timer(0.05, lambda: None)
    thread.start()
    assert leaked(before, system_temp) == []
    thread.join()


@on_linux
def test_a_child_process_is_named_with_its_command(system_temp: Path) -> None:
    before = held(system_temp)
    with subprocess.Popen(["sleep", "60"]) as child:
        try:
            found = leaked(before, system_temp, patience_seconds=0)
            assert [name for name in found if name.startswith("child")] == [f"child process {child.pid} (sleep 60)"]
        finally:
            child.kill()


@on_linux
def test_a_child_that_nobody_waited_for_is_a_leak(system_temp: Path) -> None:
    before = held(system_temp)
    with subprocess.Popen(["true"]) as child:
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        assert leaked(before, system_temp, patience_seconds=0) == [
            f"child process {child.pid} (ended, and nobody waited for it)"
        ]


def test_a_temporary_file_is_named(system_temp: Path) -> None:
    before = held(system_temp)
    with tempfile.NamedTemporaryFile(prefix="forgotten-") as file:
        assert f"temporary file {Path(file.name).name}" in leaked(before, system_temp, patience_seconds=0)


async def test_an_unfinished_task_is_named_and_one_that_ends_is_not() -> None:
    async with asyncio.TaskGroup() as tasks:
        forgotten = tasks.create_task(asyncio.sleep(60), name="forgotten")
        tasks.create_task(asyncio.sleep(0.02), name="about to end")
        [found] = await unfinished_tasks(patience_seconds=0.1)
        forgotten.cancel()
    assert found.startswith("task forgotten: <coroutine object sleep")


def test_the_worker_threads_of_a_loop_that_ended_are_none(system_temp: Path) -> None:
    before = held(system_temp)
    anyio.run(anyio.to_thread.run_sync, os.getpid)
    assert leaked(before, system_temp) == []


@on_linux
def test_a_worker_thread_that_is_still_at_work_after_its_loop_is_a_leak(system_temp: Path) -> None:
    before, begun, done = held(system_temp), threading.Event(), threading.Event()

    def work() -> None:
        begun.set()
        done.wait()

    async def give_up() -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(partial(anyio.to_thread.run_sync, work, abandon_on_cancel=True))
            await anyio.to_thread.run_sync(begun.wait)
            tasks.cancel_scope.cancel()

    anyio.run(give_up)
    [found] = leaked(before, system_temp, patience_seconds=0)
    done.set()
    assert found.endswith("AnyIO worker thread")


def test_looking_costs_less_than_a_millisecond_for_each_test(system_temp: Path) -> None:
    look_twice_seconds = 2 * min(timeit.repeat(partial(held, system_temp), number=1, repeat=20))
    assert look_twice_seconds < 1e-3


def test_every_test_is_looked_at(request: pytest.FixtureRequest) -> None:
    assert "nothing_leaks" in request.fixturenames
    assert "no_task_stays" not in request.fixturenames


async def test_async_tests_are_looked_at_before_their_loop_ends(request: pytest.FixtureRequest) -> None:
    check, tasks = map(request.fixturenames.index, ["nothing_leaks", "no_task_stays"])
    assert tasks == check + 1
