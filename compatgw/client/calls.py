"""Requests of one in-process client and their answers, in no library's types.

A body of unknown length is handed over part by part, in the task or the thread of whoever sends it, as
over a socket: what its iterator raises reaches the caller as it is, and nothing is sent any more once
the answer has begun.

What does not live here: running the application (`upstream/inprocess.py`), threads (`thread.py`).
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from compatgw.upstream.inprocess import Exchange
from compatgw.upstream.transport import TransportFailed

if TYPE_CHECKING:
    from collections.abc import Mapping

    from compatgw.upstream.inprocess import ASGIApp


class TooSlow(Exception):
    """The application took longer than the caller wanted to wait."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """The head of a request.

    Attributes:
        method: HTTP method.
        url: Absolute.
        headers: In their order.
        read: Seconds to wait for the head or a piece of the answer. write: For the application to take a part of
            the body. None: for ever.
    """

    method: str
    url: str
    headers: list[tuple[str, str]]
    read: float | None = None
    write: float | None = None


class Parts:
    """A request body on its way, of which one part waits at most."""

    def __init__(self) -> None:
        self._waiting: asyncio.Queue[bytes | None] = asyncio.Queue(1)

    def __aiter__(self) -> Parts:
        return self

    async def __anext__(self) -> bytes:
        part = await self._waiting.get()
        if part is None:
            raise TransportFailed("the body was broken off")
        if not part:
            raise StopAsyncIteration
        return part

    async def give(self, part: bytes) -> None:
        """Waits until the application has taken the part before; an empty part is the end."""
        await self._waiting.put(part)

    def cut(self) -> None:
        """Nothing comes any more."""
        if self._waiting.full():
            self._waiting.get_nowait()
        self._waiting.put_nowait(None)


class Sent:
    """One request that an application works on, and its answer.

    Args:
        exchange: The same in the running loop.
        asked: What was asked.
        parts: The body, if it is still to come.
    """

    def __init__(self, exchange: Exchange, asked: Asked, parts: Parts | None) -> None:
        self._exchange = exchange
        self._asked = asked
        self._parts = parts

    async def give(self, part: bytes) -> bool:
        """Hands over a part of the body, an empty one as its end; False when no more is wanted.

        Raises:
            TooSlow: Nobody took the part before.
        """
        if self._parts is None or self._exchange.began.done():
            return self._cut()
        began = self._exchange.began
        giving = asyncio.ensure_future(self._parts.give(part))
        try:
            await asyncio.wait((giving, began), timeout=self._asked.write, return_when=asyncio.FIRST_COMPLETED)
        finally:
            if not giving.done():
                giving.cancel()
        if giving.done() and not giving.cancelled():
            return True
        if not began.done():
            raise TooSlow("nobody took the request body in time")
        return self._cut()

    def _cut(self) -> bool:
        if self._parts is not None:
            self._parts.cut()
        return False

    @property
    def over(self) -> bool:
        """Whether the application has ended."""
        return self._exchange.ended

    async def head(self) -> tuple[int, list[tuple[bytes, bytes]]]:
        """Status and headers.

        Raises:
            TransportFailed: The application ended without an answer.
            TooSlow: It took too long.
        """
        try:
            async with asyncio.timeout(self._asked.read):
                return await self._exchange.head()
        except TimeoutError:
            raise TooSlow("no answer began in time") from None

    async def piece(self) -> bytes:
        """The next piece of the answer; empty at its end.

        Raises:
            TransportFailed: The answer broke off.
            TooSlow: It took too long.
        """
        try:
            async with asyncio.timeout(self._asked.read):
                return await self._exchange.piece()
        except TimeoutError:
            raise TooSlow("the answer did not go on in time") from None

    async def aclose(self) -> None:
        """Leaves: the application is cancelled, if it still works. Idempotent."""
        await self._exchange.aclose()


class Calls:
    """What one client has under way.

    Args:
        app: The application.
        scope: Further members of the ASGI scope of each request.
    """

    def __init__(self, app: ASGIApp, scope: Mapping[str, object]) -> None:
        self._app = app
        self._scope = scope
        self._open: dict[Exchange, asyncio.AbstractEventLoop] = {}

    async def send(self, asked: Asked, body: bytes | None) -> Sent:
        """Begins a request; without a body it is to be given."""
        parts = Parts() if body is None else None
        exchange = Exchange(self._app, asked.method, asked.url, asked.headers, parts or body or b"", self._scope)
        self._open[exchange] = asyncio.get_running_loop()
        exchange.over(lambda: self._open.pop(exchange, None))
        return Sent(exchange, asked, parts)

    async def aclose(self) -> None:
        """Leaves every request of the running loop. Idempotent."""
        here = asyncio.get_running_loop()
        for exchange in [one for one, loop in list(self._open.items()) if loop is here]:
            await exchange.aclose()
