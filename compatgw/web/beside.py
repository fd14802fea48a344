"""The gateway and another ASGI application behind one door: for hosts that have no mounts of their own.

The prefix is looked for in the route, not in the path: a server's `--root-path` stands before it in one and
not in the other, and `/ai` must not catch `/aix`.

What does not live here: the route (`paths.py`), what answers at it (`routes.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from compatgw.state.base import StateError
from compatgw.web.paths import place_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, MutableMapping

    from compatgw.web.visit import Message, Receive, Send

    # Frameworks differ in how they write these three; any of theirs will do.
    Application = Callable[[Any, Any, Any], Awaitable[None]]


class Beside:
    """An application that has the gateway under a path of its own.

    Args:
        gateway: Answers everything under `path`.
        host: Answers everything else. A lifespan reaches it as it reaches the gateway.
        path: Such as `/ai`.
        opened, closed: Begin and end the gateway's life, where the server tells of the host's.

    Raises:
        ValueError: `path` is none, or `/`, under which nothing would be left for the host.
    """

    def __init__(
        self,
        gateway: Application,
        host: Application,
        path: str,
        *,
        opened: Callable[[], Awaitable[None]],
        closed: Callable[[], Awaitable[None]],
    ) -> None:
        self._prefix = "/" + path.strip("/")
        if not path.startswith("/") or self._prefix == "/":
            raise ValueError(f"The path {path!r} is no place beside an application: it begins with / and has a name.")
        self._gateway = gateway
        self._host = host
        self._opened = opened
        self._closed = closed

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """The ASGI application."""
        if scope["type"] == "lifespan":
            await _Life(self._opened, self._closed, receive, send).live(self._host, scope)
            return
        place = place_of(scope)
        if place is not None and (place.route == self._prefix or place.route.startswith(self._prefix + "/")):
            await self._gateway({**scope, "root_path": place.root + self._prefix}, receive, send)
        else:
            await self._host(scope, receive, send)


class _Life:
    """One lifespan for two: the gateway begins before the host, and ends before it."""

    def __init__(
        self,
        opened: Callable[[], Awaitable[None]],
        closed: Callable[[], Awaitable[None]],
        receive: Receive,
        send: Send,
    ) -> None:
        self._opened = opened
        self._closed = closed
        self._receive = receive
        self._send = send
        self._first: Message | None = None
        # What the host said of its start, and of its end.
        self._told = 0

    async def live(self, host: Application, scope: MutableMapping[str, Any]) -> None:
        """From the start to the end."""
        self._first = await self._receive()
        try:
            await self._opened()
        except StateError as error:
            await self._send({"type": "lifespan.startup.failed", "message": f"compatgw: {error}"})
            return
        try:
            await host(scope, self._hear, self._tell)
        except Exception:  # an application without a lifespan says so in this way
            if self._told:
                raise
        if not self._told:
            await self._send({"type": "lifespan.startup.complete"})
            await self._receive()
            await self._closed()
            await self._send({"type": "lifespan.shutdown.complete"})

    async def _hear(self) -> Message:
        if self._first is not None:
            message, self._first = self._first, None
            return message
        message = await self._receive()
        if message["type"] == "lifespan.shutdown":
            await self._closed()
        return message

    async def _tell(self, message: Message) -> None:
        self._told += 1
        await self._send(message)
