"""`Watch`: what was remembered of the ledger is looked at again every few seconds.

A process keeps identities and accounts in memory, so that a call need not ask the database. The
watch asks what has changed, at most once in `fresh` seconds and only while somebody calls, and tells
those who remember. This is what revocation on other nodes rests on: nothing that was told is older
than `fresh` seconds, but while the ledger is away, and then than `stale`.

What does not live here: what is remembered (`verify.py`).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING

from compatgw.state.base import LedgerUnavailable

if TYPE_CHECKING:
    from compatgw.state.base import Ledger

Forget = Callable[[Collection[str] | None], None]
"""Told the ids of what has changed, or None: anything may have."""


class Watch:
    """Looks at a ledger's changes.

    Args:
        ledger: Whose.
        fresh: Seconds between looks.
        stale: Seconds for which what is remembered goes on while the ledger is away.
        monotonic: Seconds of a clock that never goes back.
    """

    def __init__(
        self,
        ledger: Ledger,
        *,
        fresh: float = 2.0,
        stale: float = 15.0,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._ledger = ledger
        self._fresh = fresh
        self._stale = stale
        self._monotonic = monotonic
        self._listeners: list[Forget] = []
        self._cursor: int | None = None
        self._looked = self._failed = float("-inf")
        self._looking: dict[asyncio.AbstractEventLoop, asyncio.Task[None]] = {}

    def tell(self, listener: Forget) -> None:
        """Tells `listener` from now on."""
        self._listeners.append(listener)

    def forget(self, *ids: str) -> None:
        """Tells that these records have changed: what this process changes itself holds here at once."""
        for listener in self._listeners:
            listener(ids)

    def is_fresh(self) -> bool:
        """True when what is remembered may be used without waiting; starts a look in good time before it may not."""
        age = self._monotonic() - self._looked
        if age > self._fresh / 2:
            if age > self._fresh:
                return False
            self._start()
        return True

    async def refresh(self) -> None:
        """Looks, unless somebody did within `fresh` seconds.

        Raises:
            LedgerUnavailable: It has been away for longer than `stale` seconds.
        """
        now = self._monotonic()
        if now - self._looked <= self._fresh:
            return
        if now - self._failed <= self._fresh and now - self._looked <= self._stale:
            return
        try:
            await asyncio.shield(self._start())
        except LedgerUnavailable:
            self._failed = self._monotonic()
            if self._failed - self._looked > self._stale:
                raise

    def _start(self) -> asyncio.Task[None]:
        loop = asyncio.get_running_loop()
        looking = self._looking.get(loop)
        if looking is None:
            looking = self._looking[loop] = loop.create_task(self._look())
            looking.add_done_callback(lambda task: _over(self._looking, loop, task))
        return looking

    async def _look(self) -> None:
        began = self._monotonic()
        first = self._cursor is None
        self._cursor, changes = await self._ledger.changes(self._cursor)
        ids = {change.id for change in changes}
        if first or ids:
            # What changed between the reading of a record and the first look is not known.
            for listener in self._listeners:
                listener(None if first else ids)
        self._looked = began


def _over(
    tasks: dict[asyncio.AbstractEventLoop, asyncio.Task[None]],
    loop: asyncio.AbstractEventLoop,
    task: asyncio.Task[None],
) -> None:
    tasks.pop(loop, None)
    if not task.cancelled():
        # Whoever waited was told; that nobody did is no news.
        task.exception()
