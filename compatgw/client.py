"""Clients that call a gateway in this process: no socket, and streams that really stream.

httpx's own ASGI transport collects a whole answer before it gives any of it. The two
transports here, one for httpx and one for httpx2, hand on each piece as it is written,
raise the library's own error when an answer breaks off, and tell the gateway when the
caller has closed the answer early.

What does not live here: running the application (`upstream/inprocess.py`).
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any, Literal, overload

from compatgw.upstream.inprocess import Exchange
from compatgw.upstream.transport import TransportFailed

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import httpx
    import httpx2

    from compatgw.upstream.inprocess import ASGIApp

BASE_URL = "http://gateway"


@overload
def client(app: ASGIApp, library: Literal["httpx"], api_key: str | None) -> httpx.AsyncClient: ...
@overload
def client(app: ASGIApp, library: Literal["httpx2"], api_key: str | None) -> httpx2.AsyncClient: ...
def client(
    app: ASGIApp, library: Literal["httpx", "httpx2"], api_key: str | None
) -> httpx.AsyncClient | httpx2.AsyncClient:
    """An asynchronous client of `library` whose every call goes to `app`.

    Raises:
        ModuleNotFoundError: `library` is not installed.
    """
    module = importlib.import_module(library)
    headers = {"Authorization": f"Bearer {api_key}"} if api_key is not None else {}
    made: httpx.AsyncClient | httpx2.AsyncClient = module.AsyncClient(
        transport=_transport(module, app), base_url=BASE_URL, headers=headers, timeout=None
    )
    return made


def _transport(library: Any, app: ASGIApp) -> Any:
    """A transport of `library`; its classes are made here because the two libraries share none."""

    class Body(library.AsyncByteStream):  # type: ignore[misc]
        def __init__(self, exchange: Exchange, request: Any) -> None:
            self._exchange = exchange
            self._request = request

        async def __aiter__(self) -> AsyncIterator[bytes]:
            try:
                while piece := await self._exchange.piece():
                    yield piece
            except TransportFailed as error:
                raise library.RemoteProtocolError(str(error), request=self._request) from error

        async def aclose(self) -> None:
            await self._exchange.aclose()

    class InProcess(library.AsyncBaseTransport):  # type: ignore[misc]
        async def handle_async_request(self, request: Any) -> Any:
            body = b"".join([part async for part in request.stream])
            headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in request.headers.raw]
            exchange = Exchange(app, request.method, str(request.url), headers, body)
            try:
                status, answer = await exchange.head()
            except TransportFailed as error:
                await exchange.aclose()
                raise library.RemoteProtocolError(str(error), request=request) from error
            except BaseException:
                await exchange.aclose()
                raise
            return library.Response(status, headers=answer, stream=Body(exchange, request))

    return InProcess()
