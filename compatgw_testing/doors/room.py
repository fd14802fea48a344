"""Where an application runs for clients in this process: on the caller's event loop, or on one in a thread.

What does not live here: serving one request (`exchange.py`), a library's types (`on_httpx.py`, `on_httpx2.py`).
"""

from __future__ import annotations

import asyncio
from concurrent.futures import CancelledError
from typing import TYPE_CHECKING, TypeVar

from compatgw_testing.doors.exchange import GRACE, Broken, Exchange
from compatgw_testing.doors.lifespan import Lifespan
from compatgw_testing.doors.loopthread import LoopThread

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from compatgw_testing.doors.exchange import App, Asked

Result = TypeVar("Result")


class Room:
    """Serves many requests at once, on the event loop of whoever asks.

    Args:
        app: Any ASGI application.
        virtual: Whether a fake shall play its delays on a virtual clock.
        lifespan: Whether the application is started and shut down.
    """

    def __init__(self, app: App, *, virtual: bool, lifespan: bool) -> None:
        self.virtual = virtual
        self._app = app
        self._exchanges: set[Exchange] = set()
        self._lifespan = Lifespan(app) if lifespan else None

    async def start(self) -> None:
        """Starts the application, if it is to be started."""
        if self._lifespan is not None:
            await self._lifespan.start()

    async def open(self, asked: Asked) -> Exchange:
        """Sends a request; returns when its answer has begun, as `Exchange.begin` says."""
        await self.start()
        exchange = Exchange(self._app, asked, {} if self._lifespan is None else self._lifespan.state)
        self._exchanges.add(exchange)
        exchange.task.add_done_callback(lambda _: self._exchanges.discard(exchange))
        await exchange.begin()
        return exchange

    async def aclose(self) -> None:
        """Ends every exchange of this event loop that still runs, then shuts the application down."""
        here = asyncio.get_running_loop()
        for exchange in [one for one in self._exchanges if one.task.get_loop() is here]:
            await exchange.aclose()
            exchange.task.cancel()
            await asyncio.wait({exchange.task}, timeout=GRACE)
        if self._lifespan is not None:
            await self._lifespan.stop()


class SyncRoom:
    """A room on an event loop in a thread, for any number of threads.

    Args:
        room: What it serves; nobody else uses it.
    """

    def __init__(self, room: Room) -> None:
        self.virtual = room.virtual
        self._room = room
        self._loop = LoopThread("in-process application")

    def start(self) -> None:
        """Starts the application, if it is to be started."""
        self._loop.run(self._room.start())

    def open(self, asked: Asked) -> Exchange:
        """Sends a request; see `Room.open`."""
        return self._run(self._room.open(asked))

    def piece(self, exchange: Exchange) -> bytes | None:
        """The next piece of an answer; see `Exchange.piece`."""
        return self._run(exchange.piece())

    def leave(self, exchange: Exchange) -> None:
        """Ends an exchange."""
        # Most answers have ended by themselves: then the thread need not be asked, nor be there.
        if not exchange.task.done():
            self._loop.run(exchange.aclose())

    def close(self) -> None:
        """Ends every exchange, the application and the thread. Idempotent."""
        if self._loop.running:
            self._loop.run(self._room.aclose())
        self._loop.close()

    def _run(self, work: Coroutine[object, object, Result]) -> Result:
        try:
            return self._loop.run(work)
        except CancelledError:
            raise Broken("ReadError", "the client was closed in another thread") from None
