"""The floor: the least that a proxy in Python can do, over the gateway's own server and transport.

A raw ASGI application and one aiohttp session. It reads a body, sends it on and passes the answer
back as it comes; it looks into neither.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import aiohttp
from yarl import URL

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, MutableMapping

    Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
    Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

_HEADERS = {"content-type": "application/json", "authorization": "Bearer k", "accept-encoding": "identity"}


class Relay:
    """Sends every request on to the same path of `upstream`, such as `http://127.0.0.1:9900`."""

    def __init__(self, upstream: str) -> None:
        self._upstream = upstream
        self._urls: dict[str, URL] = {}
        self._session: aiohttp.ClientSession | None = None

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """The ASGI application."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
            return
        body = await _body(receive)
        if body is None:
            return
        url = self._urls.get(scope["path"])
        if url is None:
            url = self._urls[scope["path"]] = URL(self._upstream + scope["path"])
        assert self._session is not None
        async with self._session.request(scope["method"], url, data=body, headers=_HEADERS) as answer:
            kind = answer.headers.get("content-type", "").encode()
            start = {"type": "http.response.start", "status": answer.status}
            if answer.content_length is None:
                await send({**start, "headers": [(b"content-type", kind)]})
                async for chunk in answer.content.iter_any():
                    await send({"type": "http.response.body", "body": chunk, "more_body": True})
                await send({"type": "http.response.body", "body": b""})
                return
            content = await answer.read()
            length = str(len(content)).encode()
            await send({**start, "headers": [(b"content-type", kind), (b"content-length", length)]})
            await send({"type": "http.response.body", "body": content})

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0), timeout=aiohttp.ClientTimeout(total=None), auto_decompress=False
        )
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await self._session.close()
        await send({"type": "lifespan.shutdown.complete"})


async def _body(receive: Receive) -> bytes | None:
    """The request's body; None when its sender has left."""
    pieces: list[bytes] = []
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        pieces.append(message["body"])
        if not message.get("more_body"):
            return b"".join(pieces) if len(pieces) > 1 else pieces[0]
