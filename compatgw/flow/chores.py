"""What a gateway with a ledger does from time to time: one task in each loop, closed with it.

Every round says that this process lives, and gives back what dead ones held; now and then one deletes
what is older than the settings say.

What does not live here: how any of it is done (`state/`).
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from compatgw.state.base import AuditEntry, Reservation, StateError, UsageRow
from compatgw.state.loops import PerLoop

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from compatgw.config import StateSettings
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
        ledger: Whose.
        settings: How long records are kept.
        clock: Seconds since 1970.
        every: Seconds between rounds.
    """

    def __init__(
        self, ledger: Ledger, settings: StateSettings, *, clock: Callable[[], float], every: float = 15.0
    ) -> None:
        self._ledger = ledger
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
        number = 0
        while not over.is_set():
            await self.once(prune=number % _PRUNE_EVERY == 1)
            number += 1
            try:
                await asyncio.wait_for(over.wait(), self._every)
            except TimeoutError:
                continue

    async def once(self, *, prune: bool) -> None:
        """One round; a ledger that is away is asked again in the next one."""
        try:
            await self._ledger.sweep()
            if prune:
                await self._prune()
        except StateError as error:
            if not self._failed:
                _log.warning("The ledger's chores wait: %s", error)
            self._failed = True
        else:
            self._failed = False

    async def _prune(self) -> None:
        for kind, days in self._kept:
            # In batches, so that calls are not kept waiting.
            while days and await self._ledger.prune(kind, self._clock() - days * _DAY, _BATCH) == _BATCH:
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
