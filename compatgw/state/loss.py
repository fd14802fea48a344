"""What happens while the counters are lost: `local` limits of this process, or a refusal.

What does not live here: the counters.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Literal, TypeVar

from compatgw.state.base import CountersLost
from compatgw.state.memory import MemoryCounters

if TYPE_CHECKING:
    from compatgw.state.base import Bucket, Counters, Lease, Level, Verdict

Result = TypeVar("Result")

_log = logging.getLogger("compatgw")


class GuardedCounters:
    """`Counters` that outlive the loss of shared ones.

    Args:
        shared: The counters that are asked first.
        on_loss: `local` counts in this process alone meanwhile, `refuse` raises `CountersLost`.
        again: Seconds after a loss in which nobody waits for the lost ones.
        monotonic: Seconds of a clock that never goes back.
    """

    def __init__(
        self,
        shared: Counters,
        on_loss: Literal["local", "refuse"] = "local",
        *,
        again: float = 1.0,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._shared = shared
        self._local = MemoryCounters(clock=monotonic) if on_loss == "local" else None
        self._again = again
        self._monotonic = monotonic
        self._lost_until = float("-inf")
        self.lost_since: float | None = None

    @property
    def shared(self) -> bool:
        """As the counters that are guarded."""
        return self._shared.shared

    @property
    def state(self) -> str:
        """`shared`, or `lost: ...` with what happens meanwhile."""
        if self.lost_since is None:
            return self._shared.state
        return "lost: limits are of this process alone" if self._local is not None else "lost: calls are refused"

    async def take(
        self,
        group: str,
        costs: Sequence[tuple[Bucket, int]],
        leases: Sequence[Lease] = (),
        holder: str = "",
        ttl: int = 600,
    ) -> Verdict:
        """Takes all costs and all leases, or nothing; see `Counters`."""
        return await self._ask(lambda counters: counters.take(group, costs, leases, holder, ttl))

    async def settle(
        self, group: str, corrections: Sequence[tuple[Bucket, int]], leases: Sequence[Lease] = (), holder: str = ""
    ) -> tuple[Level, ...]:
        """Takes more or gives back, and ends leases; see `Counters`."""
        return await self._ask(lambda counters: counters.settle(group, corrections, leases, holder))

    async def look(self, group: str, buckets: Sequence[Bucket]) -> tuple[Level, ...]:
        """The buckets as they are; see `Counters`."""
        return await self._ask(lambda counters: counters.look(group, buckets))

    async def renew(self, group: str, leases: Sequence[Lease], holder: str, ttl: int = 600) -> None:
        """Lets leases last on; see `Counters`."""
        await self._ask(lambda counters: counters.renew(group, leases, holder, ttl))

    async def get(self, name: str) -> bytes | None:
        """The value under `name`; see `Counters`."""
        return await self._ask(lambda counters: counters.get(name))

    async def put(self, name: str, value: bytes, ttl: float, *, only_new: bool = False) -> bool:
        """Keeps a value; see `Counters`."""
        return await self._ask(lambda counters: counters.put(name, value, ttl, only_new=only_new))

    async def drop(self, *names: str) -> None:
        """Forgets values; see `Counters`."""
        await self._ask(lambda counters: counters.drop(*names))

    async def add(self, name: str, amount: int, ttl: float) -> int:
        """Adds to a number; see `Counters`."""
        return await self._ask(lambda counters: counters.add(name, amount, ttl))

    async def announce(self, word: str) -> None:
        """Tells `word` to all processes; see `Counters`. While they are lost it raises: others do not hear it."""
        await self._ask_shared(lambda counters: counters.announce(word))

    async def announced(self, cursor: str) -> tuple[str, tuple[str, ...]]:
        """What was announced after `cursor`; nothing while the shared counters are lost: theirs are other cursors."""
        try:
            return await self._ask_shared(lambda counters: counters.announced(cursor))
        except CountersLost:
            if self._local is None:
                raise
            return cursor, ()

    async def ping(self) -> None:
        """Passes when the shared counters answer; see `Counters`."""
        await self._shared.ping()

    async def aclose(self) -> None:
        """Closes the running loop's connections; see `Counters`."""
        await self._shared.aclose()

    async def _ask(self, question: Callable[[Counters], Awaitable[Result]]) -> Result:
        try:
            return await self._ask_shared(question)
        except CountersLost:
            if self._local is None:
                raise
            return await question(self._local)

    async def _ask_shared(self, question: Callable[[Counters], Awaitable[Result]]) -> Result:
        now = self._monotonic()
        if now < self._lost_until:
            raise CountersLost("The shared counters were lost a moment ago. They are asked again soon.")
        try:
            answer = await question(self._shared)
        except CountersLost as error:
            self._lost_until = self._monotonic() + self._again
            if self.lost_since is None:
                self.lost_since = now
                _log.error(
                    "%s Limits are now %s.", error, "refusals" if self._local is None else "of this process alone"
                )
            raise
        if self.lost_since is not None:
            _log.warning("The shared counters answer again.")
            self.lost_since = None
        return answer
