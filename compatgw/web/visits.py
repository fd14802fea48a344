"""The requests under way in each event loop, and how they end when the process does.

A server that goes down waits for open streams, and tells its application of the end only when they are
over: uvicorn for ever, unless it is told otherwise. So while there are requests, the server is looked at:
once it wants to stop, they have `shutdown_grace` seconds. Whoever is not done by then gets an error in its
own protocol, and the connection an ordinary end.

What does not live here: one request (`visit.py`), what is closed after the last of them (`standing.py`).
"""

from __future__ import annotations

import asyncio
import signal
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from compatgw.errors import Overloaded
from compatgw.state.loops import PerLoop

if TYPE_CHECKING:
    from collections.abc import Callable

    from compatgw.web.visit import Visit

# Seconds between two looks at the server, and from the end of the grace to the last of those that were ended.
_LOOK = 0.25
_LAST = 5.0


@runtime_checkable
class Stopping(Protocol):
    """A server that says whether it is on its way out."""

    should_exit: bool


def server_here() -> Stopping | None:
    """The server that SIGTERM goes to in this process; None for one that does not say when it stops.

    uvicorn's handler is a method of the server, whichever way it was started. It is only looked at.
    """
    owner = getattr(signal.getsignal(signal.SIGTERM), "__self__", None)
    return owner if isinstance(owner, Stopping) else None


class Visits:
    """The requests under way.

    Args:
        grace: Seconds that they have for their end when the process stops.
        stopping: Is called when a server is seen to stop.
        server: Finds the server of the process.
    """

    def __init__(
        self, grace: float, stopping: Callable[[], None], server: Callable[[], Stopping | None] = server_here
    ) -> None:
        self._rooms: PerLoop[Room] = PerLoop(lambda: Room(grace, stopping, server()))

    def here(self) -> Room | None:
        """Those of the running loop, if it has had any."""
        return self._rooms.here()

    async def get(self) -> Room:
        """Those of the running loop."""
        return await self._rooms.get()

    async def aclose(self) -> None:
        """Waits for those of the running loop, `grace` seconds at most, and ends those that are left."""
        room = self._rooms.here()
        if room is not None:
            await room.drain()
            await self._rooms.aclose()


class Room:
    """The requests of one loop."""

    __slots__ = ("_due", "_empty", "_grace", "_loop", "_server", "_stopping", "_timer", "_visits")

    def __init__(self, grace: float, stopping: Callable[[], None], server: Stopping | None) -> None:
        self._loop = asyncio.get_running_loop()
        self._grace = grace
        self._stopping = stopping
        self._server = server
        self._visits: set[Visit] = set()
        self._empty: asyncio.Event | None = None
        self._timer: asyncio.TimerHandle | None = None
        # When those that are left are ended, in the loop's time.
        self._due: float | None = None

    def enter(self, visit: Visit) -> None:
        """A request begins."""
        self._visits.add(visit)
        if self._timer is None and self._server is not None:
            self._timer = self._loop.call_later(_LOOK, self._look)

    def leave(self, visit: Visit) -> None:
        """It is over."""
        self._visits.discard(visit)
        if self._empty is not None:
            self._empty.set()

    async def drain(self) -> None:
        """Waits for all but the request that asks for it, as long as there is time, and then ends them."""
        if self._due is None:
            self._due = self._loop.time() + self._grace
        while self._others() and (left := (self._due or 0.0) - self._loop.time()) > 0:
            await self._one_left(left)
        self._stop()
        last = self._loop.time() + _LAST
        while self._others() and (left := last - self._loop.time()) > 0:
            await self._one_left(left)
        self._due = None

    async def aclose(self) -> None:
        """Looks no more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    async def _one_left(self, seconds: float) -> None:
        empty = self._empty = asyncio.Event()
        try:
            await asyncio.wait_for(empty.wait(), seconds)
        except TimeoutError:
            return

    def _others(self) -> list[Visit]:
        own = asyncio.current_task()
        return [visit for visit in self._visits if visit.task is not own]

    def _stop(self) -> None:
        for visit in self._others():
            visit.stop(Overloaded("The gateway is shutting down. Send the request again.", retry_after=1))

    def _look(self) -> None:
        self._timer = None
        if self._server is None or not self._visits:
            return
        if self._server.should_exit:
            if self._due is None:
                self._due = self._loop.time() + self._grace
                self._stopping()
            if self._loop.time() >= self._due:
                self._stop()
        self._timer = self._loop.call_later(_LOOK, self._look)
