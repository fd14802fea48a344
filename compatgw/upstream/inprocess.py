"""Calls into an ASGI application in this process: no socket, and streams that really stream.

`Exchange` runs an application for one request and hands its answer on as it is written, one
piece at a time, so that a slow reader holds the application back. It serves as a transport
to fakes and other gateways, and as the core of `Gateway.client()`.

What does not live here: httpx's own request and response types (`compatgw/client.py`).
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from compatgw.upstream.transport import TransportFailed

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping, MutableMapping

    from compatgw.upstream.transport import Body, Call, Reply

    Message = MutableMapping[str, Any]
    ASGIApp = Callable[
        [MutableMapping[str, Any], Callable[[], Awaitable[Message]], Callable[[Message], Awaitable[None]]],
        Awaitable[None],
    ]


class Exchange:
    """One request to an application and its answer.

    Args:
        app: The application.
        method: HTTP method.
        url: Absolute; host, path and query are taken from it.
        headers: Pairs of bytes or strings.
        body: The request body.
    """

    def __init__(
        self, app: ASGIApp, method: str, url: str, headers: Iterable[tuple[str, str]], body: bytes | Body
    ) -> None:
        parts = urlsplit(url)
        raw = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers]
        if not any(name == b"host" for name, _ in raw):
            raw.append((b"host", parts.netloc.encode("idna")))
        if not any(name == b"content-length" for name, _ in raw):
            raw.append((b"content-length", str(len(body) if isinstance(body, bytes) else body.size).encode()))
        self._scope: dict[str, Any] = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": method,
            "scheme": parts.scheme or "http",
            "path": unquote(parts.path) or "/",
            "raw_path": (parts.path or "/").encode("ascii"),
            "root_path": "",
            "query_string": parts.query.encode("ascii"),
            "headers": raw,
            "client": ("127.0.0.1", 0),
            "server": (parts.hostname or "localhost", parts.port or 80),
            "state": {},
            "extensions": {},
        }
        self._app = app
        self._body: bytes | None = body if isinstance(body, bytes) else None
        self._parts = None if isinstance(body, bytes) else aiter(body)
        self._gone = asyncio.Event()
        self._head: asyncio.Future[Message] = asyncio.get_running_loop().create_future()
        # One piece waits at most: the application's `send` returns when the reader wants more.
        self._pieces: asyncio.Queue[bytes | BaseException | None] = asyncio.Queue(1)
        self._ended = False
        self._task = asyncio.create_task(self._run())

    async def head(self) -> tuple[int, list[tuple[bytes, bytes]]]:
        """Status and headers, once the application has sent them.

        Raises:
            TransportFailed: It ended without an answer.
        """
        message = await asyncio.shield(self._head)
        return message["status"], list(message.get("headers", ()))

    async def piece(self) -> bytes:
        """The next part of the body; empty at the end.

        Raises:
            TransportFailed: The application failed before its end.
        """
        while not self._ended:
            got = await self._pieces.get()
            if got is None:
                self._ended = True
            elif isinstance(got, BaseException):
                self._ended = True
                raise got
            elif got:
                return got
        return b""

    async def aclose(self) -> None:
        """Tells the application that its client is gone, and waits for it to end. Idempotent."""
        self._ended = True
        self._gone.set()
        if not self._task.done():
            self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        if self._head.done() and not self._head.cancelled():
            self._head.exception()  # seen: nobody is left to raise it to

    async def _run(self) -> None:
        try:
            await self._app(self._scope, self._receive, self._send)
            failure: BaseException | None = None
        except Exception as error:  # noqa: BLE001 - what an application raises is its answer here
            failure = TransportFailed(f"the application in this process failed ({type(error).__name__})")
            failure.__cause__ = error
        if not self._head.done():
            self._head.set_exception(failure or TransportFailed("the application in this process gave no answer"))
        elif failure is not None:
            await self._pieces.put(failure)
        elif not self._ended:
            await self._pieces.put(None)

    async def _receive(self) -> Message:
        if self._body is not None:
            body, self._body = self._body, None
            return {"type": "http.request", "body": body, "more_body": False}
        if self._parts is not None:
            if part := await anext(self._parts, b""):
                return {"type": "http.request", "body": part, "more_body": True}
            self._parts = None
            return {"type": "http.request", "body": b"", "more_body": False}
        await self._gone.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            if not self._head.done():
                self._head.set_result(message)
        elif message["type"] == "http.response.body":
            body = message.get("body", b"")
            if body:
                await self._pieces.put(bytes(body))


class InProcessTransport:
    """Sends every call to one application."""

    name = "in-process"

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def send(self, call: Call) -> Reply:
        """Sends, and waits for the head of the answer."""
        exchange = Exchange(self._app, call.method, call.url, call.headers, call.body)
        try:
            status, headers = await exchange.head()
        except BaseException:
            await exchange.aclose()
            raise
        return InProcessReply(exchange, status, headers)

    async def aclose(self) -> None:
        """Nothing stays open between calls."""


class InProcessReply:
    """An application's answer."""

    __slots__ = ("_exchange", "headers", "status")

    def __init__(self, exchange: Exchange, status: int, headers: list[tuple[bytes, bytes]]) -> None:
        self._exchange = exchange
        self.status = status
        self.headers: Mapping[str, str] = {
            name.decode("latin-1").lower(): value.decode("latin-1") for name, value in headers
        }

    async def chunk(self) -> bytes:
        """The next bytes as they are written."""
        return await self._exchange.piece()

    async def aclose(self) -> None:
        """Ends the call."""
        await self._exchange.aclose()
