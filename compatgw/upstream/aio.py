"""Calls over aiohttp: the fast transport, used where aiohttp is installed.

What does not live here: the choice of transport (`client.py`).
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING
from urllib.request import getproxies, proxy_bypass

import aiohttp
from yarl import URL

from compatgw.upstream.transport import TransportFailed, TransportTimeout

if TYPE_CHECKING:
    from collections.abc import Mapping

    from compatgw.upstream.transport import Body, Call, Reply

# Azure and others put more into one header than aiohttp takes by default.
_HEADER_LIMIT = 64 * 1024
# aiohttp warns about larger bodies given as bytes; a file object it writes piece by piece.
_PIECEWISE = 512 * 1024
# Gemini has the model in its path: the memory of parsed URLs is bounded.
_WAYS = 1024


class AiohttpTransport:
    """One aiohttp session, bound to the loop that it is made in."""

    name = "aiohttp"

    def __init__(self) -> None:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, ttl_dns_cache=60),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=None),
            max_line_size=_HEADER_LIMIT,
            max_field_size=_HEADER_LIMIT,
            skip_auto_headers=("User-Agent", "Accept"),
        )
        self._timeouts: dict[float, aiohttp.ClientTimeout] = {}
        self._proxies = getproxies()
        self._ways: dict[str, tuple[URL, str | None]] = {}

    async def send(self, call: Call) -> Reply:
        """Sends, and waits for the head of the answer."""
        timeout = self._timeouts.get(call.connect_timeout)
        if timeout is None:
            timeout = aiohttp.ClientTimeout(total=None, connect=call.connect_timeout)
            self._timeouts[call.connect_timeout] = timeout
        url, proxy = self._ways.get(call.url) or self._way(call.url)
        body: bytes | io.BytesIO | Body
        if isinstance(call.body, bytes):
            body = call.body if len(call.body) < _PIECEWISE else io.BytesIO(call.body)
        else:
            body = call.body
        try:
            response = await self._session.request(
                call.method,
                url,
                data=body,
                headers=call.headers,
                timeout=timeout,
                proxy=proxy,
                allow_redirects=False,
            )
        except TimeoutError:
            raise TransportTimeout("the connection did not stand in time") from None
        except aiohttp.ClientError as error:
            raise TransportFailed(_words(error)) from None
        return AiohttpReply(response)

    def _way(self, url: str) -> tuple[URL, str | None]:
        """A parsed URL and its proxy. aiohttp's own look-up asks a thread, twice a call."""
        parsed = URL(url, encoded=True)
        host = parsed.host or ""
        proxy = None if proxy_bypass(host) else self._proxies.get(parsed.scheme) or self._proxies.get("all")
        if len(self._ways) < _WAYS:
            self._ways[url] = (parsed, proxy)
        return parsed, proxy

    async def aclose(self) -> None:
        """Closes all connections."""
        await self._session.close()


class AiohttpReply:
    """An answer of aiohttp."""

    __slots__ = ("_response", "headers", "status")

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._response = response
        self.status = response.status
        self.headers: Mapping[str, str] = response.headers

    async def chunk(self) -> bytes:
        """The next bytes as they arrive."""
        try:
            return await self._response.content.readany()
        except (aiohttp.ClientError, OSError) as error:
            raise TransportFailed(_words(error)) from None

    async def aclose(self) -> None:
        """Ends the call."""
        if self._response.content.at_eof():
            self._response.release()
        else:
            self._response.close()


def _words(error: BaseException) -> str:
    """What went wrong, without addresses that a library puts into its messages."""
    kind = type(error).__name__
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return "its TLS certificate could not be verified"
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return "its host name could not be resolved"
    if isinstance(error, aiohttp.ClientConnectorError):
        return "the connection was refused"
    if isinstance(error, (aiohttp.ServerDisconnectedError, aiohttp.ClientPayloadError, ConnectionResetError)):
        return "the connection broke before the end of the answer"
    return f"the connection failed ({kind})"
