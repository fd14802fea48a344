"""Transports of httpx into an ASGI application.

The twin of `on_httpx2.py`: the two libraries share no class, and type checkers know each by its own. A test keeps
the twins alike.

What does not live here: serving a request (`exchange.py`), choosing a library (`inprocess.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

import httpx

from compatgw_testing.doors.exchange import Asked, Broken

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from compatgw_testing.doors.exchange import Exchange
    from compatgw_testing.doors.room import Room, SyncRoom


class _Stream(httpx.AsyncByteStream):
    def __init__(self, exchange: Exchange, request: httpx.Request) -> None:
        self._exchange = exchange
        self._request = request

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            while (piece := await self._exchange.piece()) is not None:
                yield piece
        except Broken as broken:
            _fail(broken, self._request)

    async def aclose(self) -> None:
        await self._exchange.aclose()


class _SyncStream(httpx.SyncByteStream):
    def __init__(self, room: SyncRoom, exchange: Exchange, request: httpx.Request) -> None:
        self._room = room
        self._exchange = exchange
        self._request = request

    def __iter__(self) -> Iterator[bytes]:
        try:
            while (piece := self._room.piece(self._exchange)) is not None:
                yield piece
        except Broken as broken:
            _fail(broken, self._request)

    def close(self) -> None:
        self._room.leave(self._exchange)


class AsyncTransport(httpx.AsyncBaseTransport):
    """For `httpx.AsyncClient`."""

    def __init__(self, room: Room) -> None:
        self._room = room

    async def __aenter__(self) -> AsyncTransport:
        await self._room.start()
        return self

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Sends one request; returns when its answer has begun."""
        try:
            exchange = await self._room.open(_asked(request, await request.aread(), virtual=self._room.virtual))
        except Broken as broken:
            _fail(broken, request)
        return _response(exchange, _Stream(exchange, request))

    async def aclose(self) -> None:
        """Ends every answer that is not complete, then the application."""
        await self._room.aclose()


class SyncTransport(httpx.BaseTransport):
    """For `httpx.Client`; the application runs on an event loop in a thread of the transport's own."""

    def __init__(self, room: SyncRoom) -> None:
        self._room = room

    def __enter__(self) -> SyncTransport:
        self._room.start()
        return self

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Sends one request; returns when its answer has begun."""
        try:
            exchange = self._room.open(_asked(request, request.read(), virtual=self._room.virtual))
        except Broken as broken:
            _fail(broken, request)
        return _response(exchange, _SyncStream(self._room, exchange, request))

    def close(self) -> None:
        """Ends every answer that is not complete, then the application, then the thread."""
        self._room.close()


def _asked(request: httpx.Request, body: bytes, *, virtual: bool) -> Asked:
    url = request.url
    limits = request.extensions.get("timeout") or {}
    return Asked(
        method=request.method,
        scheme=url.scheme,
        host=url.host,
        port=url.port or (443 if url.scheme == "https" else 80),
        target=url.raw_path.partition(b"?")[0],
        query=url.query,
        headers=request.headers.raw,
        body=body,
        read_timeout=limits.get("read"),
        virtual=virtual,
    )


def _response(exchange: Exchange, stream: _Stream | _SyncStream) -> httpx.Response:
    extensions = {"http_version": b"HTTP/1.1"}
    return httpx.Response(exchange.status, headers=exchange.headers, stream=stream, extensions=extensions)


def _fail(broken: Broken, request: httpx.Request) -> NoReturn:
    kinds: dict[str, type[httpx.TransportError]] = {
        "ConnectError": httpx.ConnectError,
        "ReadError": httpx.ReadError,
        "ReadTimeout": httpx.ReadTimeout,
        "RemoteProtocolError": httpx.RemoteProtocolError,
    }
    raise kinds[broken.kind](str(broken), request=request) from broken.__cause__
