"""Counters in the memory of this process: the default. Every method runs without a pause, and so is atomic in its loop.

Bounded: buckets that are full again are forgotten, values leave by age of use.

What does not live here: the algebra (`policy/limits.py`).
"""

from __future__ import annotations

import itertools
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from compatgw.policy.limits import corrected, judge, level_at, price_of, shown
from compatgw.state.base import Verdict

if TYPE_CHECKING:
    from compatgw.state.base import Bucket, Lease, Level

_BUCKETS = 4096
_WORDS = 10_000
# A value's own weight beside its bytes, so that very many empty ones are bounded, too.
_OVERHEAD = 200


@dataclass(slots=True)
class _Kept:
    level: int
    at: int
    full_at: int


class MemoryCounters:
    """`Counters` of one process.

    Args:
        clock: Seconds of a clock that only goes forward; one that goes back adds nothing to a bucket.
        max_bytes: What all values may weigh; the one not used for longest goes first.
    """

    def __init__(self, *, clock: Callable[[], float] = time.monotonic, max_bytes: int = 64 * 1024 * 1024) -> None:
        self._clock = clock
        self._max_bytes = max_bytes
        self._buckets: dict[tuple[str, str], _Kept] = {}
        self._prune_at = _BUCKETS
        self._leases: dict[tuple[str, str], dict[str, int]] = {}
        self._values: OrderedDict[str, tuple[bytes, float]] = OrderedDict()
        self._bytes = 0
        self._words: deque[tuple[int, str]] = deque(maxlen=_WORDS)
        self._numbers = itertools.count(1)
        self._last = 0

    @property
    def shared(self) -> bool:
        """False: they are this process's own."""
        return False

    @property
    def state(self) -> str:
        """`memory`."""
        return "memory"

    async def take(
        self,
        group: str,
        costs: Sequence[tuple[Bucket, int]],
        leases: Sequence[Lease] = (),
        holder: str = "",
        ttl: int = 600,
    ) -> Verdict:
        """Takes all costs and all leases, or nothing; see `Counters`."""
        now = int(self._clock() * 1000)
        levels = [self._level(group, bucket, now) for bucket, _ in costs]
        crowded = next((lease for lease in leases if not self._has_place(group, lease, holder, now)), None)
        verdict = judge(costs, levels, crowded)
        if verdict.admitted:
            for (bucket, cost), level, told in zip(costs, levels, verdict.levels, strict=True):
                self._keep(group, bucket, level - price_of(bucket, cost), now, told.reset)
            for lease in leases:
                self._leases.setdefault((group, lease.name), {})[holder] = now + ttl * 1000
        return verdict

    async def settle(
        self, group: str, corrections: Sequence[tuple[Bucket, int]], leases: Sequence[Lease] = (), holder: str = ""
    ) -> tuple[Level, ...]:
        """Takes more or gives back, and ends leases; see `Counters`."""
        now = int(self._clock() * 1000)
        told = []
        for bucket, cost in corrections:
            level = corrected(bucket, self._level(group, bucket, now), cost)
            told.append(shown(bucket, level))
            self._keep(group, bucket, level, now, told[-1].reset)
        for lease in leases:
            held = self._leases.get((group, lease.name))
            if held is not None:
                held.pop(holder, None)
                if not held:
                    del self._leases[group, lease.name]
        return tuple(told)

    async def look(self, group: str, buckets: Sequence[Bucket]) -> tuple[Level, ...]:
        """The buckets as they are; see `Counters`."""
        now = int(self._clock() * 1000)
        return tuple([shown(bucket, self._level(group, bucket, now)) for bucket in buckets])

    async def renew(self, group: str, leases: Sequence[Lease], holder: str, ttl: int = 600) -> None:
        """Lets leases last on; see `Counters`."""
        now = int(self._clock() * 1000)
        for lease in leases:
            held = self._leases.get((group, lease.name), {})
            if held.get(holder, 0) > now:
                held[holder] = now + ttl * 1000

    def _level(self, group: str, bucket: Bucket, now: int) -> int:
        kept = self._buckets.get((group, bucket.name))
        # Once full it is full, whatever its limit has become since.
        if kept is None or kept.full_at <= now:
            return bucket.limit * bucket.period
        return level_at(bucket, kept.level, kept.at, now)

    def _keep(self, group: str, bucket: Bucket, level: int, now: int, wait: int) -> None:
        if wait == 0:
            self._buckets.pop((group, bucket.name), None)
            return
        self._buckets[group, bucket.name] = _Kept(level, now, now + wait)
        if len(self._buckets) > self._prune_at:
            self._buckets = {name: kept for name, kept in self._buckets.items() if kept.full_at > now}
            # Looking at all of them again is worth while only when they are twice as many.
            self._prune_at = max(_BUCKETS, 2 * len(self._buckets))

    def _has_place(self, group: str, lease: Lease, holder: str, now: int) -> bool:
        held = self._leases.get((group, lease.name))
        if held is None:
            return lease.limit > 0
        if len(held) >= lease.limit and held.get(holder, 0) <= now:
            for other in [other for other, until in held.items() if until <= now]:
                del held[other]
            return len(held) < lease.limit
        return True

    # --- values ---

    async def get(self, name: str) -> bytes | None:
        """The value under `name`; see `Counters`."""
        found = self._values.get(name)
        if found is None:
            return None
        if found[1] <= self._clock():
            self._forget(name)
            return None
        self._values.move_to_end(name)
        return found[0]

    async def put(self, name: str, value: bytes, ttl: float, *, only_new: bool = False) -> bool:
        """Keeps a value; see `Counters`."""
        if only_new and await self.get(name) is not None:
            return False
        self._forget(name)
        self._values[name] = (value, self._clock() + ttl)
        self._bytes += len(value) + len(name) + _OVERHEAD
        while self._bytes > self._max_bytes and self._values:
            self._forget(next(iter(self._values)))
        return True

    async def drop(self, *names: str) -> None:
        """Forgets values; see `Counters`."""
        for name in names:
            self._forget(name)

    async def add(self, name: str, amount: int, ttl: float) -> int:
        """Adds to a number; see `Counters`."""
        found = await self.get(name)
        if found is None:
            await self.put(name, b"%d" % amount, ttl)
            return amount
        total = int(found) + amount
        until = self._values[name][1]
        await self.put(name, b"%d" % total, until - self._clock())
        return total

    def _forget(self, name: str) -> None:
        found = self._values.pop(name, None)
        if found is not None:
            self._bytes -= len(found[0]) + len(name) + _OVERHEAD

    # --- announcements ---

    async def announce(self, word: str) -> None:
        """Tells `word` to all who ask; see `Counters`."""
        self._last = next(self._numbers)
        self._words.append((self._last, word))

    async def announced(self, cursor: str) -> tuple[str, tuple[str, ...]]:
        """What was announced after `cursor`; see `Counters`."""
        if not cursor:
            return str(self._last), ()
        return str(self._last), tuple(word for number, word in self._words if number > int(cursor))

    async def ping(self) -> None:
        """Passes."""

    async def aclose(self) -> None:
        """Does nothing: there is nothing to close."""
