"""What a gateway with a ledger or shared counters does from time to time: one task in each loop, closed with it.

Every second it exchanges with other processes which upstreams are to be left alone. Every round says that
this process lives, and gives back what dead ones held; now and then one deletes what is too old.

What does not live here: how any of it is done (`state/`).
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from compatgw.state.base import AuditEntry, CountersLost, Reservation, StateError, Turn, UsageRow
from compatgw.state.loops import PerLoop

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from compatgw.flow.health import Health
    from compatgw.sections import StateSettings
    from compatgw.state.base import Ledger

_log = logging.getLogger("compatgw")
_DAY = 86_400.0
_BATCH = 1000
# Seconds for a round to end.
_PATIENCE = 10.0
# Rounds between two deletions.
_PRUNE_EVERY = 240
# A settled or released reservation is only of use to somebody who repeats its settling.
_RESERVATION_DAYS = 7


class Chores:
    """The chores of one gateway.

    Args:
        ledger: Whose; None in a gateway without.
        health: What is exchanged.
        settings: How long records are kept.
        clock: Seconds since 1970.
        every: Seconds between rounds. often: Seconds between exchanges.
    """

    def __init__(
        self,
        ledger: Ledger | None,
        health: Health,
        settings: StateSettings,
        *,
        clock: Callable[[], float],
        every: float = 15.0,
        often: float = 1.0,
    ) -> None:
        self._ledger = ledger
        self._health = health
        # Who shares nothing has nothing to exchange.
        self._often = often if health.shared else every
        self._kept: tuple[tuple[type[object], int], ...] = (
            (UsageRow, settings.usage_days),
            (AuditEntry, settings.audit_days),
            (Reservation, _RESERVATION_DAYS),
        )
        self._clock = clock
        self._every = every
        self._failed = False
        self._rounds: PerLoop[_Rounds] = PerLoop(lambda: _Rounds(self._go_round))

    async def start(self) -> None:
        """Begins in the running loop, unless it has begun."""
        if self._rounds.here() is None:
            await self._rounds.get()

    async def aclose(self) -> None:
        """Ends in the running loop."""
        await self._rounds.aclose()

    async def _go_round(self, over: asyncio.Event) -> None:
        loop = asyncio.get_running_loop()
        number, due = 0, loop.time()
        while not over.is_set():
            await self._exchange()
            if loop.time() >= due:
                await self.once(prune=number % _PRUNE_EVERY == 1)
                number, due = number + 1, loop.time() + self._every
            try:
                await asyncio.wait_for(over.wait(), self._often)
            except TimeoutError:
                continue

    async def _exchange(self) -> None:
        try:
            await self._health.exchange()
        except CountersLost as error:
            _log.debug("Upstreams' states are not exchanged: %s", error)

    async def once(self, *, prune: bool) -> None:
        """One round; a ledger that is away is asked again in the next one."""
        ledger = self._ledger
        if ledger is None:
            return
        try:
            await ledger.sweep()
            if prune:
                await self._prune(ledger)
        except StateError as error:
            if not self._failed:
                _log.warning("The ledger's chores wait: %s", error)
            self._failed = True
        else:
            self._failed = False

    async def _prune(self, ledger: Ledger) -> None:
        now = self._clock()
        # A kept response says itself when it ends.
        over = [(Turn, now), *[(kind, now - days * _DAY) for kind, days in self._kept if days]]
        for kind, before in over:
            # In batches, so that calls are not kept waiting.
            while await ledger.prune(kind, before, _BATCH) == _BATCH:
                pass


class _Rounds:
    """The task of one loop."""

    def __init__(self, work: Callable[[asyncio.Event], Coroutine[None, None, None]]) -> None:
        self._over = asyncio.Event()
        self._task = asyncio.get_running_loop().create_task(work(self._over))

    async def aclose(self) -> None:
        # A round that has begun goes on to its end: what is cancelled in the middle leaves the
        # database's own thread with an answer that nobody takes.
        self._over.set()
        _, late = await asyncio.wait([self._task], timeout=_PATIENCE)
        if late:
            self._task.cancel()
            await asyncio.wait([self._task])
