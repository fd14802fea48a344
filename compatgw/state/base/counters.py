"""`Counters`: fast numbers that all processes share and that may be lost. Never money.

What does not live here: any back end (`state/memory.py`, `state/redis.py`), the algebra (`policy/limits.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, Protocol

BucketKind = Literal["requests", "tokens"]


@dataclass(frozen=True, slots=True)
class Bucket:
    """A token bucket: `limit` units fit in, and as many flow in evenly every `period` milliseconds.

    The two multiplied stay below 2^52: a billion a minute does, a billion a day does not.

    Attributes:
        name: What it counts, unique in its group.
        kind: What its unit is.
    """

    name: str
    kind: BucketKind
    limit: int
    period: int = 60_000


@dataclass(frozen=True, slots=True)
class Lease:
    """A place among at most `limit` that are taken at one time."""

    name: str
    limit: int


class Level(NamedTuple):
    """What is in a bucket: `remaining` whole units (0 when in debt), full again in `reset` milliseconds."""

    # A named tuple, because several are made for every call and a frozen dataclass takes twice as long.

    bucket: Bucket
    remaining: int
    reset: int


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a call may go on.

    Attributes:
        admitted: True when everything was taken; False when nothing was.
        levels: Every bucket as it is now, in the order of the call.
        refused_by: The bucket, or the lease, that was in the way for longest.
        retry_after: Milliseconds until the buckets would admit it; 0 for a lease, whose end nobody knows.
    """

    admitted: bool
    levels: tuple[Level, ...]
    refused_by: Bucket | Lease | None = None
    retry_after: int = 0


class Counters(Protocol):
    """Limits, leases, small values with an end, and announcements.

    Every method is one atomic step, whoever else calls. Every method of a shared back end may
    raise `CountersLost`; waits are bounded. Time is the back end's own clock.
    """

    @property
    def shared(self) -> bool:
        """True when other processes see the same numbers, and asking means waiting."""
        ...

    @property
    def state(self) -> str:
        """For people: `memory`, `shared`, or `lost` with what happens meanwhile."""
        ...

    async def take(
        self,
        group: str,
        costs: Sequence[tuple[Bucket, int]],
        leases: Sequence[Lease] = (),
        holder: str = "",
        ttl: int = 600,
    ) -> Verdict:
        """Takes all costs and all leases, or nothing at all.

        Args:
            group: What the names belong to, such as a team: all of a step are kept in one place.
            costs: Units by bucket. A cost over the bucket's limit counts as the limit: it needs a full bucket.
            holder: Who holds the leases; taking one twice is taking it once.
            ttl: Seconds after which a lease ends by itself, unless renewed.
        """
        ...

    async def settle(
        self, group: str, corrections: Sequence[tuple[Bucket, int]], leases: Sequence[Lease] = (), holder: str = ""
    ) -> tuple[Level, ...]:
        """Takes more (positive, into debt if need be) or gives back (negative, up to full), and ends the leases."""
        ...

    async def look(self, group: str, buckets: Sequence[Bucket]) -> tuple[Level, ...]:
        """The buckets as they are."""
        ...

    async def renew(self, group: str, leases: Sequence[Lease], holder: str, ttl: int = 600) -> None:
        """Lets leases last `ttl` seconds from now, for calls that go on."""
        ...

    async def get(self, name: str) -> bytes | None:
        """The value under `name`, None when there is none or its time is over."""
        ...

    async def put(self, name: str, value: bytes, ttl: float, *, only_new: bool = False) -> bool:
        """Keeps `value` for `ttl` seconds; with `only_new` only if there is none. True when it was kept."""
        ...

    async def drop(self, *names: str) -> None:
        """Forgets values."""
        ...

    async def add(self, name: str, amount: int, ttl: float) -> int:
        """Adds to a number, which ends `ttl` seconds after its first use; the sum."""
        ...

    async def announce(self, word: str) -> None:
        """Tells every process `word`, such as the id of a key that was revoked. Kept for ten minutes."""
        ...

    async def announced(self, cursor: str) -> tuple[str, tuple[str, ...]]:
        """What was announced after `cursor` (empty: nothing yet), and the next cursor.

        Something may be told twice; a cursor older than ten minutes may have missed words.
        """
        ...

    async def ping(self) -> None:
        """Passes when the counters answer."""
        ...

    async def aclose(self) -> None:
        """Closes the connections of the running loop. Idempotent; a later call opens anew."""
        ...
