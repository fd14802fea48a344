"""A true quota by the minute: buckets that refill as the fake's clock goes.

What does not live here: how a vendor names it in headers and errors.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from compatgw_testing.script import ScriptError

if TYPE_CHECKING:
    from compatgw_testing.clock import Clock

# Seconds that a time of 1970 as a float may be off: who waits as long as told is not refused again for them.
_BLUR = 1e-4


class Room(NamedTuple):
    """What is left of one quota: its limit by the minute, whole units left, seconds until it is full again."""

    limit: int
    remaining: int
    reset: float


class Bucket:
    """Refills by `limit` a minute, up to `limit`.

    Args:
        limit: Units a minute.
        clock: Where the time is read.

    Raises:
        ScriptError: The limit is not above 0.
    """

    def __init__(self, limit: int, clock: Clock) -> None:
        if limit <= 0:
            raise ScriptError(f"a quota is a number above 0 by the minute, got {limit}")
        self.limit = limit
        self._clock = clock
        self._level = float(limit)
        self._at = clock.now()

    def _refill(self) -> None:
        # A machine's clock may be set back: that gives nothing, and takes nothing.
        now = max(self._at, self._clock.now())
        self._level = min(self.limit, self._level + (now - self._at) * self.limit / 60)
        self._at = now

    def wait_for(self, units: float) -> float:
        """Seconds until so many units are there, or all if that is less; 0 if they are."""
        self._refill()
        wait = (min(units, self.limit) - self._level) * 60 / self.limit
        return wait if wait > _BLUR else 0.0

    def take(self, units: float) -> None:
        """Takes units; what was used but not there has to be refilled first."""
        self._refill()
        self._level -= units

    @property
    def room(self) -> Room:
        """What is left."""
        self._refill()
        remaining = int(self._level + _BLUR * self.limit / 60)
        return Room(self.limit, max(0, remaining), max(0.0, (self.limit - self._level) * 60 / self.limit))


class Quota:
    """Requests and tokens by the minute.

    Args:
        clock: Where the time is read.
        rpm: Requests a minute; None for no limit.
        tpm: Tokens a minute; None for no limit.

    Raises:
        ScriptError: A limit is not above 0.
    """

    def __init__(self, clock: Clock, *, rpm: int | None = None, tpm: int | None = None) -> None:
        self.requests = None if rpm is None else Bucket(rpm, clock)
        self.tokens = None if tpm is None else Bucket(tpm, clock)

    def refuse(self, tokens: int) -> float | None:
        """Seconds to wait if a request of so many tokens is too much now; otherwise takes one request."""
        wait = max(
            0.0 if self.requests is None else self.requests.wait_for(1),
            0.0 if self.tokens is None else self.tokens.wait_for(tokens),
        )
        if wait > 0:
            return wait
        if self.requests is not None:
            self.requests.take(1)
        return None

    def spend(self, tokens: int) -> None:
        """Counts the tokens of an answered request."""
        if self.tokens is not None:
            self.tokens.take(tokens)
