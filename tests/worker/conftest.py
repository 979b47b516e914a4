"""A worker in the test's own event loop, on the embedded broker and on RabbitMQ: what one does, the other does."""

import logging
from collections.abc import AsyncIterator
from pathlib import Path
from typing import cast

import pytest

from demo.broker import Broker, broker
from tests.broker.commands import make_exports_root
from tests.broker.listener import Listener
from tests.broker.node import PrivateNode
from tests.broker.workers import USER
from tests.worker.stand import Rabbit, Stand

KINDS = ["embedded", pytest.param("rabbitmq", marks=pytest.mark.slow)]


@pytest.fixture(scope="session", params=KINDS)
def node_if_real(request: pytest.FixtureRequest) -> PrivateNode | None:
    """Of the session, so that each kind's tests run in a row, and no test is charged for the node's processes."""
    if request.param == "embedded":
        return None
    return cast("PrivateNode", request.getfixturevalue("node_of_the_run"))


@pytest.fixture
async def rabbit(node_if_real: PrivateNode | None) -> AsyncIterator[Rabbit]:
    """A broker with empty queues."""
    if node_if_real is None:
        async with broker() as embedded:
            yield Rabbit(embedded.url, embedded.url, embedded)
    else:
        await node_if_real.purge_all()
        yield Rabbit(node_if_real.url(), node_if_real.url(USER))


@pytest.fixture
def embedded(rabbit: Rabbit) -> Broker:
    """For faults that only the embedded broker has at hand."""
    assert rabbit.embedded is not None
    return rabbit.embedded


@pytest.fixture
async def listener(rabbit: Rabbit) -> AsyncIterator[Listener]:
    async with Listener(rabbit.url) as listener:
        yield listener


@pytest.fixture
def stand(rabbit: Rabbit, listener: Listener, tmp_path: Path) -> Stand:
    (tmp_path / "media").mkdir()
    return Stand(rabbit, listener, tmp_path / "media", make_exports_root(tmp_path / "exports"))


@pytest.fixture(autouse=True)
def in_a_hurry(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """Pauses and second looks that no setting shortens; and everything that the worker says."""
    for name, seconds in {
        "service.broker._ANSWER_SECONDS": 0.3,
        "service.broker._RECONNECT_SECONDS": 0.05,
        "service.export.BACK_OFF_SECONDS": (0.01, 0.01),
        "service.handlers.AFTER_AN_ERROR_SECONDS": 0.02,
        "service.intake._LOOK_AGAIN_AFTER_SECONDS": (0.01, 0.01),
        "service.supervisor.FIRST_PAUSE_SECONDS": 0.02,
        "service.supervisor.LONGEST_PAUSE_SECONDS": 0.05,
        "service.survey._LOOK_AGAIN_AFTER_SECONDS": (0.01, 0.01),
    }.items():
        monkeypatch.setattr(name, seconds)
    caplog.set_level(logging.INFO, logger="service")
