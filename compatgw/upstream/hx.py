"""Calls over an httpx or httpx2 client: the host's own, or ours where aiohttp is not wanted.

The two libraries have the same interface and different classes, so the one to use for
errors and time-outs is found from the client itself. Here pytest-httpx, cassettes, proxies
and custom transports of the host see every call. These clients listen only when they have sent all of
a body: an upstream that refuses a large form early and then resets the connection has only broken it.

What does not live here: the choice of transport (`client.py`).
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from compatgw.upstream.transport import TransportFailed, TransportTimeout

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import ModuleType

    import httpx

    from compatgw.upstream.transport import Call, Reply


def new_client() -> httpx.AsyncClient:
    """A client of our own: no pool limit, no time-out of its own, no redirects."""
    import httpx

    limits = httpx.Limits(max_connections=None, max_keepalive_connections=100)
    return httpx.AsyncClient(timeout=None, limits=limits, follow_redirects=False)  # noqa: S113 - bounded by the caller


class HttpxTransport:
    """Sends through `client`.

    Args:
        client: An `httpx.AsyncClient` or `httpx2.AsyncClient`.
        owned: True when closing the transport closes the client.
    """

    def __init__(self, client: Any, *, owned: bool) -> None:
        self._client = client
        self._owned = owned
        self._library = _library_of(client)
        self.name = self._library.__name__

    async def send(self, call: Call) -> Reply:
        """Sends, and waits for the head of the answer."""
        library = self._library
        timeout = library.Timeout(None, connect=call.connect_timeout)
        request = self._client.build_request(
            call.method, call.url, content=call.body, headers=list(call.headers), timeout=timeout
        )
        try:
            response = await self._client.send(request, stream=True, auth=None, follow_redirects=False)
        except library.TimeoutException:
            raise TransportTimeout("the connection did not stand in time") from None
        except (library.TransportError, library.InvalidURL) as error:
            raise TransportFailed(_words(error)) from None
        return HttpxReply(response, library)

    async def aclose(self) -> None:
        """Closes the client if it is ours."""
        if self._owned:
            await self._client.aclose()


class HttpxReply:
    """An answer of httpx or httpx2."""

    __slots__ = ("_bytes", "_library", "_response", "headers", "status")

    def __init__(self, response: Any, library: ModuleType) -> None:
        self._response = response
        self._library = library
        self._bytes = response.aiter_bytes()
        self.status: int = response.status_code
        self.headers: Mapping[str, str] = response.headers

    async def chunk(self) -> bytes:
        """The next bytes as they arrive."""
        try:
            while True:
                data: bytes = await anext(self._bytes, b"")
                if data or self._response.is_stream_consumed:
                    return data
        except self._library.TimeoutException:
            raise TransportTimeout("the answer stopped") from None
        except (self._library.TransportError, self._library.DecodingError) as error:
            raise TransportFailed(_words(error)) from None

    async def aclose(self) -> None:
        """Ends the call."""
        await self._bytes.aclose()
        await self._response.aclose()


def _library_of(client: Any) -> ModuleType:
    for base in type(client).__mro__:
        package = base.__module__.partition(".")[0]
        if base.__name__ == "AsyncClient" and package in ("httpx", "httpx2"):
            return sys.modules[package]
    raise TypeError("http_client must be an httpx.AsyncClient or an httpx2.AsyncClient.")


def _words(error: BaseException) -> str:
    kind = type(error).__name__
    if kind == "ConnectError":
        return "the connection was refused"
    if kind in ("RemoteProtocolError", "ReadError"):
        return "the connection broke before the end of the answer"
    return f"the connection failed ({kind})"
