"""The broker that a test of AMQP runs against."""

from collections.abc import AsyncIterator

import pytest

from demo.broker import Broker, broker


@pytest.fixture
async def embedded() -> AsyncIterator[Broker]:
    async with broker() as running:
        yield running


@pytest.fixture(params=["embedded"])
def amqp(embedded: Broker) -> str:
    """The URL of a broker; a RabbitMQ node may stand beside the embedded one."""
    return embedded.url
