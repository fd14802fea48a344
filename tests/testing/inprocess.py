"""The official SDKs in the same process as the fakes, sync and async with one way to call them.

What does not live here: which SDK is made how (`doors/sdks.py`).
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

import pytest

from compatgw_testing import Fake
from tests.testing.doors.sdks import Door, each, entered, line, maybe, paged

Connect = Callable[..., Awaitable[Any]]

__all__ = ["Connect", "connect", "entered", "listed", "maybe", "paged"]


@pytest.fixture(params=["sync", "async"])
async def connect(request: pytest.FixtureRequest) -> AsyncIterator[Connect]:
    """Makes the SDK's client for a fake; its retries are off."""
    async with AsyncExitStack() as stack:
        door = Door("process", request.param == "sync")

        async def make(fake: Fake, *, key: str | None = None) -> Any:
            return (await line(stack, door, fake, None, key=key)).client  # type: ignore[arg-type]

        yield make


async def listed(many: Any) -> list[Any]:
    """All of a stream or a list, whichever way it is iterated."""
    return [one async for one in each(await maybe(many))]
