"""Gets the bytes of one link from one address, over httpx.

The connection goes to the address that was handed in: no name is looked up on the way, and no proxy of the
environment is asked. `Host` and the certificate are still those of the name. Redirects are handed back.

What does not live here: which links and addresses may be asked at all (`policy/fetching.py`), following redirects,
what the bytes are for (`flow/fetch.py`).
"""

from __future__ import annotations

import asyncio
import socket
import zlib
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterator

    import httpx

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
"""Addresses of a host name and port, as text; none for a name that is not known."""

_ENCODED = frozenset({"gzip", "x-gzip", "deflate"})
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_STEP = 64 * 1024
_LOOKUPS = 8


class FetchFailed(Exception):
    """Nothing came. The text goes on after the link's path, and shows neither address nor content."""


class Unreached(FetchFailed):
    """The connection to this address could not be made; another may answer."""


class Fetched(NamedTuple):
    """An answer.

    Attributes:
        data: Its bytes, empty for a redirect.
        type: `Content-Type` as it was declared.
        location: Where it sends on to; None for what is not a redirect.
    """

    data: bytes
    type: str = ""
    location: str | None = None


class Name(NamedTuple):
    """Who is asked.

    Attributes:
        host: Whose certificate it must be.
        authority: The `Host` header.
        tls: Over TLS.
    """

    host: str
    authority: str
    tls: bool


class SystemNames:
    """What the system's own name service says.

    A look-up blocks a thread for as long as the system likes, also when nobody waits for it any more. These threads
    are few and do nothing else, so that names which take for ever hold up nothing but other look-ups.
    """

    __slots__ = ("_threads",)

    def __init__(self) -> None:
        self._threads: ThreadPoolExecutor | None = None

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        """The addresses of `host`."""
        if self._threads is None:
            self._threads = ThreadPoolExecutor(_LOOKUPS, "compatgw-names")
        look = partial(socket.getaddrinfo, host, port, type=socket.SOCK_STREAM)
        try:
            found = await asyncio.get_running_loop().run_in_executor(self._threads, look)
        except (OSError, UnicodeError):
            return ()
        # The zone of a link-local address comes behind a percent sign: whoever judges it finds it there.
        return tuple(dict.fromkeys(str(entry[4][0]) for entry in found))

    def close(self) -> None:
        """Ends its threads. Idempotent; a later look-up begins others."""
        if self._threads is not None:
            # Look-ups that another loop waits for come to their end.
            self._threads.shutdown(wait=False)
            self._threads = None


class Budget:
    """Bytes that may still come, of all files of one call together.

    Args:
        most: All of them.
    """

    __slots__ = ("_left", "_most")

    def __init__(self, most: int) -> None:
        self._left = self._most = most

    def take(self, size: int) -> None:
        """Counts bytes before they are kept.

        Raises:
            FetchFailed: They are too many.
        """
        self._left -= size
        if self._left < 0:
            raise FetchFailed(f"leads to more than fits into {self._most} bytes together with the other links")


class Getter:
    """Gets links; nothing is kept from one to the next but the certificates that are trusted.

    Args:
        tls: What certificates are checked with. Default: the usual authorities.
        resolve: Looks names up. Default: the system.
        user_agent: What servers see.
    """

    __slots__ = ("_names", "_tls", "_user_agent", "resolve")

    def __init__(
        self,
        *,
        tls: ssl.SSLContext | None = None,
        resolve: Resolve | None = None,
        user_agent: str = "compatgw",
    ) -> None:
        self._tls = tls
        self._user_agent = user_agent
        self._names = SystemNames()
        self.resolve: Resolve = resolve if resolve is not None else self._names

    def close(self) -> None:
        """Ends the threads that look names up. Idempotent; a later fetch begins others."""
        self._names.close()

    async def get(self, address: str, port: int, *, name: Name, target: str, limit: int, budget: Budget) -> Fetched:
        """What `target` at `address` answers.

        Args:
            address: Where to connect to, an IP address.
            port: And at which port.
            name: Who is asked there.
            target: Path and query.
            limit: Most bytes of the file.
            budget: Of all files.

        Raises:
            Unreached: No connection to this address.
            FetchFailed: Another failure: status, broken connection, encoding, size.
        """
        import httpx

        context: ssl.SSLContext | bool = self._context() if name.tls else False
        place = f"[{address}]" if ":" in address else address
        headers = {
            "Host": name.authority,
            "Accept": "*/*",
            "Accept-Encoding": "identity",
            "User-Agent": self._user_agent,
            "Connection": "close",
        }
        # A client of its own: no connection may be used again for another name at the same address.
        async with httpx.AsyncClient(verify=context, trust_env=False, timeout=None, follow_redirects=False) as client:  # noqa: S113 - bounded by the caller
            try:
                request = client.build_request(
                    "GET",
                    f"{'https' if name.tls else 'http'}://{place}:{port}{target}",
                    headers=headers,
                    extensions={"sni_hostname": name.host} if name.tls else {},
                )
                response = await client.send(request, stream=True)
                try:
                    return await _read(response, limit, budget)
                finally:
                    await response.aclose()
            except httpx.ConnectError as error:
                if "certificate" in str(error).lower():
                    raise FetchFailed("leads to a server whose TLS certificate cannot be verified") from None
                raise Unreached("leads to a server that cannot be reached") from None
            except (httpx.TransportError, httpx.InvalidURL):
                raise FetchFailed("leads to a server that broke off its answer") from None

    def _context(self) -> ssl.SSLContext:
        if self._tls is None:
            import httpx

            self._tls = httpx.create_ssl_context()
        return self._tls


async def _read(response: httpx.Response, limit: int, budget: Budget) -> Fetched:
    status = response.status_code
    if status in _REDIRECTS:
        return Fetched(b"", location=response.headers.get("location", ""))
    if status != 200:
        raise FetchFailed(f"leads to a server that answers with status {status}")
    encoding = response.headers.get("content-encoding", "").strip().lower() or "identity"
    if encoding != "identity" and encoding not in _ENCODED:
        raise FetchFailed("leads to a server that answers in an encoding that was not asked for")
    length = response.headers.get("content-length", "")
    # What says itself that it is too large need not be read.
    if encoding == "identity" and length.isascii() and length.isdigit() and int(length[:20]) > limit:
        raise _too_large(limit)
    unpacker = zlib.decompressobj(zlib.MAX_WBITS | 32) if encoding in _ENCODED else None
    parts: list[bytes] = []
    size = 0
    async for raw in response.aiter_raw():
        for data in _unpacked(unpacker, raw) if unpacker is not None else (raw,):
            size += len(data)
            if size > limit:
                raise _too_large(limit)
            budget.take(len(data))
            parts.append(data)
    if unpacker is not None and not unpacker.eof:
        raise FetchFailed("leads to a server that broke off its answer")
    return Fetched(b"".join(parts), response.headers.get("content-type", ""))


def _unpacked(unpacker: zlib._Decompress, raw: bytes) -> Iterator[bytes]:
    """What `raw` unpacks to, in steps: no small answer fills the memory at once."""
    while raw and not unpacker.eof:
        try:
            data = unpacker.decompress(raw, _STEP)
        except zlib.error:
            raise FetchFailed("leads to a server whose answer cannot be unpacked") from None
        yield data
        raw = unpacker.unconsumed_tail


def _too_large(limit: int) -> FetchFailed:
    return FetchFailed(f"leads to more than {limit} bytes, which is the most that is fetched for one file")
