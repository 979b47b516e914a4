"""What holds for every test: the same inputs each time, and nothing left behind."""

import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio
from hypothesis import HealthCheck, settings

from tests.house import leaks

if TYPE_CHECKING:
    from tests.broker.node import PrivateNode

# A red test must be red for everybody; to hunt with fresh inputs: pytest --hypothesis-profile=default.
settings.register_profile(
    "ci", derandomize=True, deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("ci")


def pytest_report_header() -> str:
    if leaks.SEES_DESCRIPTORS_AND_CHILDREN:
        return "leak check: threads, tasks, temporary files, descriptors, child processes"
    return "leak check: threads, tasks, temporary files; SKIPPED for descriptors and child processes: no /proc here"


@pytest.hookimpl(tryfirst=True)  # xdist's own looks at the groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if isinstance(item, pytest.Function):
            _look_at_its_loop(item)
            _keep_together(item)


def _look_at_its_loop(item: pytest.Function) -> None:
    """Async tests, and only they, pay for it: first set up in the loop, last torn down."""
    if pytest_asyncio.is_async_test(item) and "no_task_stays" not in item.fixturenames:
        item.fixturenames.insert(item.fixturenames.index("nothing_leaks") + 1, "no_task_stays")


def _keep_together(item: pytest.Function) -> None:
    """When tests run in two processes, one has all that share the node, and all that share what a file makes once."""
    parameters = item.callspec.params if hasattr(item, "callspec") else {}
    if "node_of_the_run" in item.fixturenames or parameters.get("node_if_real") == "rabbitmq":
        item.add_marker(pytest.mark.xdist_group("RabbitMQ"))
    elif any(fixtures[-1].scope == "module" for fixtures in item._fixtureinfo.name2fixturedefs.values()):
        item.add_marker(pytest.mark.xdist_group(item.path.stem))


@pytest.fixture(scope="session", autouse=True)
def system_temp(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The system's temporary directory, for these tests and their child processes: one of their own."""
    home = tmp_path_factory.mktemp("tmp")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TMPDIR", str(home))
        patch.setattr(tempfile, "tempdir", str(home))
        yield home


@pytest.fixture(scope="session")
def node_of_the_run(tmp_path_factory: pytest.TempPathFactory) -> "Iterator[PrivateNode]":
    """One RabbitMQ for all tests that ask for it; without it they fail: what they promise was not looked at."""
    from tests.broker.node import PrivateNode  # most tests need no AMQP, and half a second is half of their time

    node = PrivateNode(tmp_path_factory.mktemp("rabbitmq"))
    try:
        node.start()
        node.import_definitions()
        yield node
    finally:
        node.stop()


@pytest.fixture(autouse=True)
def nothing_leaks(request: pytest.FixtureRequest, system_temp: Path) -> Iterator[None]:
    """Set up first and torn down last: whatever a test and its own fixtures opened is closed again."""
    before = leaks.held(system_temp)
    failed_before = request.session.testsfailed
    yield
    if request.session.testsfailed == failed_before:  # a failed test's traceback holds what it was using
        _insist_on_none(leaks.leaked(before, system_temp))


@pytest.fixture
async def no_task_stays() -> AsyncIterator[None]:
    """Before the loop is closed, which would cancel what still runs and hide it."""
    yield
    _insist_on_none(await leaks.unfinished_tasks())


def _insist_on_none(found: list[str]) -> None:
    if found:
        pytest.fail("this test left behind: " + "; ".join(found), pytrace=False)
