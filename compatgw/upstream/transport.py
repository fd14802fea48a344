"""The seam between the gateway and whatever carries its calls; kept so narrow that it can be swapped.

Three implementations stand behind it: `aio.py` (aiohttp, fast), `hx.py` (an httpx or httpx2
client, the host's own or ours) and `inprocess.py` (an ASGI application, no socket). Each maps
the errors of its library to `TransportFailed` and `TransportTimeout`, closes its connection at
once when the call is cancelled, follows no redirect and verifies TLS.

What does not live here: time-outs other than the connect time-out, retries, keys, meaning.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping


class TransportFailed(Exception):
    """The connection could not be made, or broke; the text names no URL and no header."""


class TransportTimeout(TransportFailed):
    """The connection did not stand in time."""


class Body(Protocol):
    """A body that is not held in memory; it can be read from its beginning as often as wanted."""

    @property
    def size(self) -> int:
        """Bytes."""
        ...

    def __aiter__(self) -> AsyncIterator[bytes]:
        """The bytes, piece by piece."""
        ...


class Call(NamedTuple):
    """One HTTP request, signed. It holds a credential, so its repr shows none of it.

    With a `Body`, `headers` say its Content-Length.
    """

    method: str
    url: str
    headers: tuple[tuple[str, str], ...]
    body: bytes | Body
    connect_timeout: float

    def __repr__(self) -> str:
        return f"<Call {self.method} {self.url.partition('?')[0]}>"


class Reply(Protocol):
    """An answer whose head has arrived."""

    @property
    def status(self) -> int:
        """HTTP status."""
        ...

    @property
    def headers(self) -> Mapping[str, str]:
        """Headers; to be asked for in lower case."""
        ...

    async def chunk(self) -> bytes:
        """The next bytes as they arrive, decompressed; empty at the end.

        Raises:
            TransportFailed: The connection broke before the end.
        """
        ...

    async def aclose(self) -> None:
        """Ends the call: at once if bytes are still to come, back to the pool if not. Idempotent."""
        ...


class Transport(Protocol):
    """Carries calls, within one event loop."""

    @property
    def name(self) -> str:
        """What `/api/status` calls it."""
        ...

    async def send(self, call: Call) -> Reply:
        """Sends, and waits for the head of the answer.

        Raises:
            TransportFailed: No answer.
        """
        ...

    async def aclose(self) -> None:
        """Closes all connections. Idempotent."""
        ...
