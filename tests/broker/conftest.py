"""The RabbitMQ of the run, empty before each test, and what goes with it."""

import asyncio
from collections.abc import AsyncIterator, Generator, Iterator
from pathlib import Path

import pytest

from tests.broker.commands import make_exports_root
from tests.broker.listener import Listener
from tests.broker.node import PrivateNode
from tests.broker.stage import Stage
from tests.broker.workers import Workers


@pytest.fixture
def node(node_of_the_run: PrivateNode) -> PrivateNode:
    """The node, with our queues as on the day of their deployment."""
    asyncio.run(node_of_the_run.purge_all())
    return node_of_the_run


@pytest.fixture
def mortal(node: PrivateNode) -> Iterator[PrivateNode]:
    """The node, for a test that kills it; running again afterwards, whatever the test came to."""
    yield node
    if not node.is_running:
        node.start()


@pytest.fixture
async def listener(node: PrivateNode) -> AsyncIterator[Listener]:
    async with Listener(node.url()) as listener:
        yield listener


@pytest.fixture
def media(tmp_path: Path) -> Path:
    (tmp_path / "media").mkdir()
    return tmp_path / "media"


@pytest.fixture
def exports(tmp_path: Path) -> Path:
    return make_exports_root(tmp_path / "exports")


@pytest.fixture
def workers(node: PrivateNode, media: Path, exports: Path, tmp_path: Path) -> Iterator[Workers]:
    workers = Workers(node, media, exports, tmp_path)
    try:
        yield workers
    finally:
        workers.end_all()
        node.drop_own_queues()


@pytest.fixture
def stage(node: PrivateNode, listener: Listener, workers: Workers) -> Stage:
    return Stage(node, listener, workers)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A failed test shows what its workers said."""
    report = yield
    workers = getattr(item, "funcargs", {}).get("workers")
    if report.failed and isinstance(workers, Workers):
        report.sections.extend(workers.report())
    return report
