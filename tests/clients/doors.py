"""The ways to one gateway: a socket, and clients in this process, with and without an event loop, of both libraries.

What does not live here: what is asked (`test_doors.py`).
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from typing import Any, NamedTuple

import httpx
import httpx2

from compatgw import Gateway
from compatgw_testing.harness import KEY

LIBRARIES: dict[str, Any] = {"httpx": httpx, "httpx2": httpx2}
# What a server adds, and what measures time.
_NOT_COMPARED = frozenset({"connection", "date", "server", "server-timing", "transfer-encoding"})


class Door(NamedTuple):
    """One way in.

    Attributes:
        library: `httpx` or `httpx2`.
        sync: Of a client that awaits nothing.
    """

    library: str
    sync: bool

    def __str__(self) -> str:
        return f"{self.library}-{'sync' if self.sync else 'async'}"

    def client(self, gateway: Gateway, **options: Any) -> Any:
        """A client of `gateway`."""
        make: Callable[..., Any] = gateway.sync_client if self.sync else gateway.client
        return make(self.library, **options)


def coming(parts: Iterable[bytes], sync: bool) -> Any:
    """A request body that comes in parts, iterable or asynchronously so: libraries refuse what is both."""
    return _Now(parts) if sync else _Later(parts)


def _made(request: dict[str, Any], sync: bool) -> dict[str, Any]:
    if isinstance(request.get("content"), list):
        return {**request, "content": coming(request["content"], sync)}
    return request


class _Now:
    def __init__(self, parts: Iterable[bytes]) -> None:
        self._parts = parts

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._parts)


class _Later:
    def __init__(self, parts: Iterable[bytes]) -> None:
        self._parts = parts

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for part in self._parts:
            yield part


DOORS = tuple(Door(library, sync) for library in LIBRARIES for sync in (False, True))


class Seen(NamedTuple):
    """What a client got.

    Attributes:
        status: HTTP status.
        headers: All that say the same through every door.
        body: Its bytes; what came of it, where it broke off.
        broke: Name of the library's error that ended it.
    """

    status: int
    headers: dict[str, str]
    body: bytes
    broke: str


def shown(status: int, headers: Any, body: bytes, broke: str) -> Seen:
    """An answer, without what may differ."""
    kept = {name: value for name, value in headers.items() if name not in _NOT_COMPARED}
    return Seen(status, kept, body, broke)


def ask(client: Any, method: str, path: str, **request: Any) -> Seen:
    """One request of a synchronous client, read as a stream."""
    module = LIBRARIES[type(client).__module__.partition(".")[0]]
    parts: list[bytes] = []
    request = _made(request, sync=True)
    with client.stream(method, path, **request) as answer:
        try:
            parts.extend(answer.iter_raw())
            broke = ""
        except module.TransportError as error:
            broke = type(error).__name__
        return shown(answer.status_code, answer.headers, b"".join(parts), broke)


async def ask_async(client: Any, method: str, path: str, **request: Any) -> Seen:
    """The same of an asynchronous client."""
    module = LIBRARIES[type(client).__module__.partition(".")[0]]
    parts: list[bytes] = []
    request = _made(request, sync=False)
    async with client.stream(method, path, **request) as answer:
        try:
            async for part in answer.aiter_raw():
                parts.append(part)  # noqa: PERF401 - what came before it breaks counts, too
            broke = ""
        except module.TransportError as error:
            broke = type(error).__name__
        return shown(answer.status_code, answer.headers, b"".join(parts), broke)


async def through(door: Door, gateway: Gateway, method: str, path: str, **request: Any) -> Seen:
    """One request in this process."""
    if not door.sync:
        async with door.client(gateway, api_key=request.pop("key", KEY)) as client:
            return await ask_async(client, method, path, **request)

    def work() -> Seen:
        with door.client(gateway, api_key=request.pop("key", KEY)) as client:
            return ask(client, method, path, **request)

    return await asyncio.to_thread(work)


async def over_socket(origin: str, method: str, path: str, **request: Any) -> Seen:
    """The same request over a socket."""
    key = request.pop("key", KEY)
    headers = {"Authorization": f"Bearer {key}"} if key is not None else {}
    async with httpx.AsyncClient(base_url=origin, headers=headers, timeout=20) as client:
        return await ask_async(client, method, path, **request)
