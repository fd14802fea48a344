"""Calls into an ASGI application in this process: no socket, and streams that really stream.

`Exchange` runs an application for one request and hands its answer on as it is written, one
piece at a time, so that a slow reader holds the application back. It serves as a transport
to fakes and other gateways, and as the core of `Gateway.client()`.

What does not live here: httpx's own request and response types (`compatgw/client/`).
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from compatgw.upstream.transport import TransportFailed

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, Awaitable, Callable, Iterable, Mapping, MutableMapping

    from compatgw.upstream.transport import Body, Call, Reply

    Message = MutableMapping[str, Any]
    ASGIApp = Callable[
        [MutableMapping[str, Any], Callable[[], Awaitable[Message]], Callable[[Message], Awaitable[None]]],
        Awaitable[None],
    ]

_FRAMING = frozenset({b"content-length", b"transfer-encoding"})


class Exchange:
    """One request to an application and its answer.

    Args:
        app: The application.
        method: HTTP method.
        url: Absolute; host, path and query are taken from it.
        headers: Pairs of bytes or strings.
        body: The request body; parts whose size is not known need a header that says so. One that raises
            `TransportFailed` was broken off: the application is told that its client is gone.
        more: Further members of the ASGI scope.

    Attributes:
        began: Done once the application has sent the head of its answer, or ended without one.
    """

    def __init__(
        self,
        app: ASGIApp,
        method: str,
        url: str,
        headers: Iterable[tuple[str, str]],
        body: bytes | Body | AsyncIterable[bytes],
        more: Mapping[str, object] | None = None,
    ) -> None:
        parts = urlsplit(url)
        raw = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers]
        if not any(name == b"host" for name, _ in raw):
            raw.append((b"host", parts.netloc.encode("idna")))
        size = len(body) if isinstance(body, bytes) else getattr(body, "size", None)
        if size is not None and not any(name in _FRAMING for name, _ in raw):
            raw.append((b"content-length", str(size).encode()))
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
            **(more or {}),
        }
        self._app = app
        self._body: bytes | None = body if isinstance(body, bytes) else None
        self._parts = None if isinstance(body, bytes) else aiter(body)
        self._gone = asyncio.Event()
        self.began: asyncio.Future[Message] = asyncio.get_running_loop().create_future()
        # One piece waits at most: the application's `send` returns when the reader wants more.
        self._pieces: asyncio.Queue[bytes | BaseException | None] = asyncio.Queue(1)
        self._ended = False
        self._complete = False
        self._task = asyncio.create_task(self._run())

    async def head(self) -> tuple[int, list[tuple[bytes, bytes]]]:
        """Status and headers, once the application has sent them.

        Raises:
            TransportFailed: It ended without an answer.
        """
        message = await asyncio.shield(self.began)
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

    @property
    def ended(self) -> bool:
        """Whether the application has ended."""
        return self._task.done()

    def over(self, done: Callable[[], object]) -> None:
        """Has `done` called when the application has ended."""
        self._task.add_done_callback(lambda _: done())

    async def _run(self) -> None:
        failure: BaseException | None = None
        try:
            await self._app(self._scope, self._receive, self._send)
        except asyncio.CancelledError:
            if not self._gone.is_set():
                self._break()
            raise
        except Exception as error:  # noqa: BLE001 - what an application raises is its answer here
            failure = TransportFailed(f"the application in this process failed ({type(error).__name__})")
            failure.__cause__ = error
        if not self.began.done():
            self._no_answer(failure or TransportFailed("the application in this process gave no answer"))
        elif not self._complete:
            # A server closes the connection of an application that leaves like this.
            await self._pieces.put(failure or TransportFailed("the application in this process broke its answer off"))
        elif not self._ended:
            await self._pieces.put(None)

    def _no_answer(self, failure: BaseException) -> None:
        self.began.set_exception(failure)
        self.began.exception()  # seen: perhaps nobody is left to raise it to

    def _break(self) -> None:
        """Somebody cancelled the application: its reader must not wait for ever."""
        failure = TransportFailed("the application in this process was cancelled")
        if not self.began.done():
            self._no_answer(failure)
            return
        if self._pieces.full():
            self._pieces.get_nowait()
        self._pieces.put_nowait(failure)

    async def _receive(self) -> Message:
        if self._body is not None:
            body, self._body = self._body, None
            return {"type": "http.request", "body": body, "more_body": False}
        if self._parts is not None:
            try:
                part = await anext(self._parts, b"")
            except TransportFailed:
                self._parts = None
                return {"type": "http.disconnect"}
            if part:
                return {"type": "http.request", "body": part, "more_body": True}
            self._parts = None
            return {"type": "http.request", "body": b"", "more_body": False}
        await self._gone.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Message) -> None:
        if self._gone.is_set():
            # As on a socket: nobody reads it, and nothing is said of it.
            await asyncio.sleep(0)
        elif message["type"] == "http.response.start":
            if not self.began.done():
                self.began.set_result(message)
        elif message["type"] == "http.response.body":
            body = message.get("body", b"")
            if body:
                await self._pieces.put(bytes(body))
            self._complete = self._complete or not message.get("more_body", False)


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
