"""Transports and clients that reach an ASGI application in the same process: a fake, a replayed cassette, a gateway.

    import openai
    from compatgw_testing.doors import inprocess

    http = inprocess.client(FakeOpenAI().reply("Hello"), sync=True)
    client = openai.OpenAI(api_key="sk-fake-openai", base_url="http://fake.test/v1", http_client=http)

Answers stream: a piece is seen when it is sent, and a client that leaves is noticed. What breaks, breaks as the
library's own error. A library is imported when a transport of it is asked for.

What does not live here: serving (`room.py`, `exchange.py`).
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Literal, overload

from compatgw_testing.doors.room import Room, SyncRoom

if TYPE_CHECKING:
    import httpx
    import httpx2

    from compatgw_testing.doors.exchange import App

Library = Literal["httpx", "httpx2"]
# The host of clients that are not told another one: no real name ends in `.test`.
ORIGIN = "http://fake.test"


@overload
def transport(
    app: App, *, library: Literal["httpx2"] = ..., sync: Literal[False] = ..., virtual: bool = ..., lifespan: bool = ...
) -> httpx2.AsyncBaseTransport: ...
@overload
def transport(
    app: App, *, library: Literal["httpx2"] = ..., sync: Literal[True], virtual: bool = ..., lifespan: bool = ...
) -> httpx2.BaseTransport: ...
@overload
def transport(
    app: App, *, library: Literal["httpx"], sync: Literal[False] = ..., virtual: bool = ..., lifespan: bool = ...
) -> httpx.AsyncBaseTransport: ...
@overload
def transport(
    app: App, *, library: Literal["httpx"], sync: Literal[True], virtual: bool = ..., lifespan: bool = ...
) -> httpx.BaseTransport: ...
@overload
def transport(
    app: App, *, library: Library = ..., sync: bool = ..., virtual: bool = ..., lifespan: bool = ...
) -> httpx.AsyncBaseTransport | httpx.BaseTransport | httpx2.AsyncBaseTransport | httpx2.BaseTransport: ...
def transport(
    app: App, *, library: Library = "httpx2", sync: bool = False, virtual: bool = True, lifespan: bool = False
) -> httpx.AsyncBaseTransport | httpx.BaseTransport | httpx2.AsyncBaseTransport | httpx2.BaseTransport:
    """A transport into `app`, for any number of requests at once.

    Args:
        app: Any ASGI application.
        library: `httpx2` (openai 3, anthropic, google-genai, Starlette) or `httpx` (cohere, openai 2).
        sync: For a `Client`, from any threads; the application then runs on an event loop in a thread, which starts
            with the first request and ends with the transport. Default: for an `AsyncClient`, on its event loop.
        virtual: A fake plays its delays on a virtual clock: nothing sleeps, and a stall longer than the client's read
            timeout is that timeout at once. False: in real time.
        lifespan: Start the application before the first request, and shut it down with the transport.

    Raises:
        ModuleNotFoundError: The library is not installed.
    """
    room = Room(app, virtual=virtual, lifespan=lifespan)
    # The library itself first, so that one that is missing is named with how to get it.
    _library(library)
    kinds = import_module(f"{__package__}.on_{library}")
    made: httpx.AsyncBaseTransport | httpx.BaseTransport | httpx2.AsyncBaseTransport | httpx2.BaseTransport
    made = kinds.SyncTransport(SyncRoom(room)) if sync else kinds.AsyncTransport(room)
    return made


@overload
def client(
    app: App,
    *,
    library: Literal["httpx2"] = ...,
    sync: Literal[False] = ...,
    virtual: bool = ...,
    lifespan: bool = ...,
    **options: Any,
) -> httpx2.AsyncClient: ...
@overload
def client(
    app: App,
    *,
    library: Literal["httpx2"] = ...,
    sync: Literal[True],
    virtual: bool = ...,
    lifespan: bool = ...,
    **options: Any,
) -> httpx2.Client: ...
@overload
def client(
    app: App,
    *,
    library: Literal["httpx"],
    sync: Literal[False] = ...,
    virtual: bool = ...,
    lifespan: bool = ...,
    **options: Any,
) -> httpx.AsyncClient: ...
@overload
def client(
    app: App,
    *,
    library: Literal["httpx"],
    sync: Literal[True],
    virtual: bool = ...,
    lifespan: bool = ...,
    **options: Any,
) -> httpx.Client: ...
@overload
def client(
    app: App,
    *,
    library: Library = ...,
    sync: bool = ...,
    virtual: bool = ...,
    lifespan: bool = ...,
    **options: Any,
) -> httpx.AsyncClient | httpx.Client | httpx2.AsyncClient | httpx2.Client: ...
def client(
    app: App,
    *,
    library: Library = "httpx2",
    sync: bool = False,
    virtual: bool = True,
    lifespan: bool = False,
    **options: Any,
) -> httpx.AsyncClient | httpx.Client | httpx2.AsyncClient | httpx2.Client:
    """A client whose every request goes to `app`.

    Args:
        app, library, sync, virtual, lifespan: As in `transport`.
        options: What the library's own client takes; `base_url` is `http://fake.test` unless said.

    Raises:
        ModuleNotFoundError: The library is not installed.
    """
    module = _library(library)
    options.setdefault("base_url", ORIGIN)
    made: httpx.AsyncClient | httpx.Client | httpx2.AsyncClient | httpx2.Client
    if sync:
        made = module.Client(
            transport=transport(app, library=library, sync=True, virtual=virtual, lifespan=lifespan), **options
        )
    else:
        made = module.AsyncClient(
            transport=transport(app, library=library, sync=False, virtual=virtual, lifespan=lifespan), **options
        )
    return made


def _library(name: Library) -> Any:
    try:
        return import_module(name)
    except ModuleNotFoundError as missing:
        if missing.name != name:
            raise
        advice = f"the in-process door for {name} needs it: pip install {name}"
        raise ModuleNotFoundError(advice, name=name) from missing
