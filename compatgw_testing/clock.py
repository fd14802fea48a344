"""Time as a fake sees it: a clock that stands still until it is told, and the waits of one call.

Delays of a script are played in real time for a client on a socket. A client in this process
gets them on virtual time: nothing sleeps, and a wait longer than the client's read timeout ends
as that timeout at once.

What does not live here: which waits there are (`script.py`, `faults.py`).
"""

from __future__ import annotations

import asyncio
import math
import time
from typing import Protocol

from compatgw_testing.faults import ReadTimedOut

# All made-up times start here (2026-06-01T00:00:00Z).
EPOCH = 1_780_272_000


class Clock(Protocol):
    """Where a fake reads the time: seconds since 1970."""

    def now(self) -> float:
        """The time."""
        ...


class WallClock:
    """The machine's time."""

    def now(self) -> float:
        """The time."""
        return time.time()


class VirtualClock:
    """Stands still until it is advanced.

    Args:
        start: Seconds since 1970.
    """

    def __init__(self, start: float = EPOCH) -> None:
        self._now = float(start)

    def now(self) -> float:
        """The time."""
        return self._now

    def advance(self, seconds: float) -> None:
        """Lets time pass.

        Raises:
            ValueError: `seconds` is negative.
        """
        if seconds < 0:
            raise ValueError(f"time does not run backwards: advance({seconds})")
        self._now += seconds


class Timeline:
    """The waits of one call.

    Args:
        virtual: Waits take no time and are only counted.
        read_timeout: Seconds that the client waits for the next piece; None: for ever. Only virtual time needs it.
    """

    def __init__(self, *, virtual: bool, read_timeout: float | None = None) -> None:
        self.virtual = virtual
        self._read_timeout = read_timeout
        self._start = time.monotonic()
        self._counted = 0.0
        self._since_piece = 0.0

    @property
    def elapsed(self) -> float:
        """Seconds since the call arrived."""
        return self._counted if self.virtual else time.monotonic() - self._start

    def sent(self) -> None:
        """A piece went out: the client's patience starts over."""
        self._since_piece = 0.0

    async def wait(self, seconds: float, left: asyncio.Future[None]) -> bool:
        """Waits; False if the client left meanwhile. `math.inf` waits until it does.

        Raises:
            ReadTimedOut: On virtual time, the client's patience ends first.
        """
        if seconds <= 0:
            return not left.done()
        if not self.virtual:
            await asyncio.wait((left,), timeout=None if math.isinf(seconds) else seconds)
            return not left.done()
        limit = math.inf if self._read_timeout is None else self._read_timeout
        patience = max(0.0, limit - self._since_piece)
        if seconds > patience or math.isinf(seconds):
            # A client without a read timeout would hang for ever, and its test with it.
            self._counted += 0.0 if math.isinf(patience) else patience
            limits = "for ever, as it has no read timeout" if math.isinf(limit) else f"{limit:g} s"
            raise ReadTimedOut(f"nothing came from the fake for longer than the client waits ({limits})")
        self._since_piece += seconds
        self._counted += seconds
        await asyncio.sleep(0)
        return not left.done()
