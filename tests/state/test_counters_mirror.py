"""The Lua that runs on the server and the Python that runs here say the same of any history, to the last unit."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Sequence
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from compatgw.state.base import Bucket, Lease
from compatgw.state.memory import MemoryCounters
from compatgw.state.redis import RedisCounters
from tests.state.making import Clock

LIMITS = [0, 1, 3, 60, 100_000, 30_000_000, 1_000_000_000]
PERIODS = [1, 7, 1000, 60_000, 86_400_000]
LEASES = (Lease("c", 1), Lease("d", 2))


class TimedRedis(RedisCounters):
    """Redis that is told the time instead of looking at its own clock."""

    def __init__(self, url: str, prefix: str, clock: Clock) -> None:
        super().__init__(url, prefix=prefix)
        self._clock = clock
        own = "local time = redis.call('TIME')"
        assert all(own in text for text in self._texts.values())
        told = "local time = {table.remove(ARGV), table.remove(ARGV)}"
        # The server forgets by its own clock, which hardly moves beside the one that it is told.
        self._texts = {
            name: text.replace(own, told).replace("wait + 1000", "wait + 1000000") for name, text in self._texts.items()
        }

    async def _run(self, script: str, names: Sequence[bytes], arguments: Sequence[Any]) -> list[int]:
        milliseconds = int(self._clock() * 1000)
        time = [milliseconds % 1000 * 1000, milliseconds // 1000]
        return await super()._run(script, names, [*arguments, *time])


buckets = st.lists(
    st.builds(
        Bucket,
        st.sampled_from("abc"),
        st.just("tokens"),
        st.sampled_from(LIMITS),
        st.sampled_from(PERIODS),
    ).filter(lambda bucket: bucket.limit * bucket.period < 2**52),
    min_size=1,
    max_size=3,
    unique_by=lambda bucket: bucket.name,
)
costs = st.one_of(st.integers(0, 5), st.integers(0, 2_000_000_000))
holders = st.sampled_from("xyz")
steps: st.SearchStrategy[Any] = st.one_of(
    st.tuples(st.just("take"), buckets, costs, st.lists(st.sampled_from(LEASES), unique=True), holders),
    st.tuples(st.just("settle"), buckets, st.integers(-2_000_000_000, 2_000_000_000), st.just(list(LEASES)), holders),
    st.tuples(st.just("look"), buckets, st.just(0), st.just([]), holders),
    st.tuples(st.just("pass"), st.just([]), st.integers(-5_000, 100_000_000), st.just([]), holders),
    st.tuples(st.just("renew"), st.just([]), st.just(0), st.just(list(LEASES)), holders),
)
FRESH = itertools.count()


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(history=st.lists(steps, max_size=25), start=st.integers(1_000, 2_000_000_000))
def test_both_say_the_same_of_any_history(redis_url: str, history: list[Any], start: int) -> None:
    """Verdicts, levels, waits; with a clock that jumps, backwards too, and limits that change."""

    async def run() -> None:
        clock = Clock(float(start))
        memory = MemoryCounters(clock=clock)
        redis = TimedRedis(redis_url, f"mirror{next(FRESH)}", clock)
        for what, named, number, leases, holder in history:
            pairs = [(bucket, number) for bucket in named]
            if what == "pass":
                clock.now += number / 1000
            elif what == "take":
                ours, theirs = [await each.take("g", pairs, leases, holder, 60) for each in (memory, redis)]
                assert ours == theirs
            elif what == "settle":
                mine, other = [await each.settle("g", pairs, leases, holder) for each in (memory, redis)]
                assert mine == other
            elif what == "look":
                mine, other = [await each.look("g", named) for each in (memory, redis)]
                assert mine == other
            else:
                for each in (memory, redis):
                    await each.renew("g", leases, holder, 90)
        await redis.aclose()

    asyncio.run(run())
