"""Clients that call a gateway in this process: no socket, and bodies that really stream, both ways.

httpx's own ASGI transport collects a whole answer before it gives any of it. These hand on each piece
as it is written, hold the application back when nobody reads, raise the library's own error when an
answer breaks off, and tell the gateway when the caller has left.

What does not live here: the libraries' transports (`transports.py`), calls (`calls.py`), the thread of
synchronous clients (`thread.py`).
"""

from __future__ import annotations

import importlib
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal, overload

from compatgw.client import transports
from compatgw.client.calls import Calls

if TYPE_CHECKING:
    from collections.abc import Mapping

    import httpx
    import httpx2

    from compatgw.client.transports import Close
    from compatgw.upstream.inprocess import ASGIApp

BASE_URL = "http://gateway"
_NOTHING: Mapping[str, object] = MappingProxyType({})


@overload
def client(
    app: ASGIApp, library: Literal["httpx"], api_key: str | None, scope: Mapping[str, object] = ...
) -> httpx.AsyncClient: ...
@overload
def client(
    app: ASGIApp, library: Literal["httpx2"], api_key: str | None, scope: Mapping[str, object] = ...
) -> httpx2.AsyncClient: ...
def client(
    app: ASGIApp, library: Literal["httpx", "httpx2"], api_key: str | None, scope: Mapping[str, object] = _NOTHING
) -> httpx.AsyncClient | httpx2.AsyncClient:
    """An asynchronous client of `library` whose every call goes to `app`.

    Args:
        app: Any ASGI application.
        library: What the client is of.
        api_key: Sent as a bearer token when given.
        scope: Further members of the ASGI scope of each request.

    Raises:
        ModuleNotFoundError: `library` is not installed.
    """
    module = importlib.import_module(library)
    made: httpx.AsyncClient | httpx2.AsyncClient = module.AsyncClient(
        transport=transports.asynchronous(module, Calls(app, scope)),
        base_url=BASE_URL,
        headers=_headers(api_key),
        timeout=None,
    )
    return made


@overload
def sync_client(
    app: ASGIApp, library: Literal["httpx"], api_key: str | None, close: Close, scope: Mapping[str, object] = ...
) -> httpx.Client: ...
@overload
def sync_client(
    app: ASGIApp, library: Literal["httpx2"], api_key: str | None, close: Close, scope: Mapping[str, object] = ...
) -> httpx2.Client: ...
def sync_client(
    app: ASGIApp,
    library: Literal["httpx", "httpx2"],
    api_key: str | None,
    close: Close,
    scope: Mapping[str, object] = _NOTHING,
) -> httpx.Client | httpx2.Client:
    """The same for callers without an event loop: `app` runs in a thread that ends when the client is closed.

    Args:
        app, library, api_key, scope: As of `client`.
        close: Closes what `app` keeps in the event loop of that thread.

    Raises:
        ModuleNotFoundError: `library` is not installed.
    """
    module = importlib.import_module(library)
    made: httpx.Client | httpx2.Client = module.Client(
        transport=transports.synchronous(module, Calls(app, scope), close),
        base_url=BASE_URL,
        headers=_headers(api_key),
        timeout=None,
    )
    return made


def _headers(api_key: str | None) -> dict[str, str]:
    return {"Authorization": f"Bearer {api_key}"} if api_key is not None else {}
