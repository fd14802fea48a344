"""The doors, and the official SDKs behind them."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack

import pytest

from compatgw_testing import Fake, FakeServer
from tests.testing.doors.sdks import DOORS, Door, Line, line


@pytest.fixture(params=DOORS, ids=str)
def door(request: pytest.FixtureRequest) -> Door:
    """Each door, for sync and async clients, in turn."""
    found: Door = request.param
    return found


@pytest.fixture
async def connect(door: Door, server: FakeServer) -> AsyncIterator[Callable[..., Awaitable[Line]]]:
    """Makes the official SDK of a fake's vendor, behind the door."""
    async with AsyncExitStack() as stack:

        async def make(fake: Fake, *, patience: float = 20, key: str | None = None) -> Line:
            return await line(stack, door, fake, server, patience=patience, key=key)

        yield make
