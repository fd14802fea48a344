"""The one timer of a call: every wait is bounded, and only a wait that is too long is ended."""

import asyncio

import pytest

from compatgw.errors import UpstreamTimeout
from compatgw.flow.patience import Patience


def late() -> UpstreamTimeout:
    """The error of these tests."""
    return UpstreamTimeout("late")


async def test_a_wait_that_is_too_long_raises_its_error_at_the_wait() -> None:
    """The task goes on afterwards as if nothing had been cancelled."""
    patience = Patience()
    with pytest.raises(UpstreamTimeout, match="late"), patience.within(0.01, late):
        await asyncio.Event().wait()
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0
    patience.close()


async def test_many_short_waits_outlast_the_bound_of_each() -> None:
    """Each wait has its own bound, with one timer for all."""
    patience = Patience()
    loop = asyncio.get_running_loop()
    end = loop.time() + 0.1
    while loop.time() < end:
        with patience.within(0.05, late):
            await asyncio.sleep(0)
    patience.close()


async def test_a_shorter_bound_after_a_longer_one_holds() -> None:
    """The timer is brought forward."""
    patience = Patience()
    with patience.within(60, late):
        await asyncio.sleep(0)
    with pytest.raises(UpstreamTimeout), patience.within(0.01, late):
        await asyncio.Event().wait()
    patience.close()


async def test_time_between_waits_does_not_count() -> None:
    """Only waiting is bounded, not work."""
    patience = Patience()
    with patience.within(0.01, late):
        await asyncio.sleep(0)
    done = asyncio.Event()
    asyncio.get_running_loop().call_later(0.03, done.set)
    await done.wait()
    with patience.within(0.01, late):
        await asyncio.sleep(0)
    patience.close()


async def test_cancellation_from_outside_stays_cancellation() -> None:
    """A host that cancels a request is not told of a time-out."""
    began = asyncio.Event()

    async def work() -> None:
        patience = Patience()
        with patience.within(60, late):
            began.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(work())
    await began.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_closed_patience_leaves_no_timer() -> None:
    """Nothing fires after its call has ended."""
    patience = Patience()
    with patience.within(0.01, late):
        await asyncio.sleep(0)
    patience.close()
    fired = asyncio.Event()
    asyncio.get_running_loop().call_later(0.03, fired.set)
    await fired.wait()
