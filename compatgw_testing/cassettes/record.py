"""Recording: an application that stands where the vendors stand, passes everything on, and keeps what passes.

Nothing is held back: a chunk goes to the client when it has gone to the tape. What breaks upstream breaks for the
client, too, and the tape says how. What does not live here: which requests are recorded (`session.py`), what of it may
be written (`scrub.py`), clients that record without an application in between (`transports.py`).
"""

from __future__ import annotations

import asyncio
import ssl
import threading
import time
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlencode

import httpx

from compatgw_testing.cassettes.format import Chunk, End, Head, Interaction
from compatgw_testing.cassettes.incoming import ClientGone, request_of, while_there
from compatgw_testing.cassettes.services import dialect_of, upstream_url
from compatgw_testing.cassettes.telling import error_answer
from compatgw_testing.doors.lifespan import answer_lifespan
from compatgw_testing.faults import ConnectionCut, ConnectionReset, ConnectRefused

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, MutableMapping

    from compatgw_testing.cassettes.format import EndKind, Pairs, RecordedRequest
    from compatgw_testing.doors.exchange import Receive, Send

# What concerns one connection, and not the answer.
_HOP_BY_HOP: Final = frozenset(
    {
        *("connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "proxy-connection", "te"),
        *("trailer", "transfer-encoding", "upgrade"),
    }
)
# Written anew for the connection to the vendor.
_OURS: Final = frozenset({"host", "content-length", "accept-encoding", "expect"})
_TIMEOUT: Final = 600.0
_CONNECT: Final = 30.0
# An SDK that has seen the last event leaves at once; the server has this long to end its answer as it would have done.
_LAST_WORD: Final = 0.5


class Take:
    """One exchange as it is recorded. Any thread may do so."""

    def __init__(self, request: RecordedRequest, clock: Callable[[], float]) -> None:
        self._request = request
        self._clock = clock
        self._began = clock()
        self._head: Head | None = None
        self._chunks: list[Chunk] = []
        self._end: End | None = None

    @property
    def over(self) -> bool:
        """Whether its end is recorded."""
        return self._end is not None

    def head(self, status: int, headers: Pairs) -> None:
        """The head of the answer is there."""
        self._head = Head(status, headers, self._now())

    def chunk(self, data: bytes) -> None:
        """A read of the transport gave something."""
        if data:
            self._chunks.append(Chunk(self._now(), data))

    def end(self, kind: EndKind, error: str | None = None) -> None:
        """The answer is over; only the first end counts."""
        if self._end is None:
            self._end = End(kind, error, self._now())

    def interaction(self) -> Interaction:
        """What was recorded so far; an answer without an end is one that its client did not wait for."""
        end = self._end or End("client_closed", None, self._now())
        return Interaction(self._request, self._head, tuple(self._chunks), end)

    def _now(self) -> float:
        return round((self._clock() - self._began) * 1000, 3)


class Tape:
    """What is recorded, in the order in which the requests came. Any thread may record.

    Args:
        clock: Seconds, for the times on the tape.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._takes: list[Take] = []

    def begin(self, request: RecordedRequest) -> Take:
        """Starts the recording of one exchange, as its request is sent."""
        take = Take(request, self._clock)
        with self._lock:
            self._takes.append(take)
        return take

    @property
    def interactions(self) -> tuple[Interaction, ...]:
        """Everything, those under way included."""
        with self._lock:
            return tuple(take.interaction() for take in self._takes)


class Recorder:
    """An ASGI application that passes each request on to its vendor, and each answer back, recording both.

    Args:
        tape: Where it is recorded.
        environment: Where base URLs of other servers than the vendors' own may stand.
        connect: Makes the client that an exchange goes through. Default: one that is patient, follows no redirects,
            and takes proxies and certificates from the process's environment.
    """

    def __init__(
        self,
        tape: Tape,
        *,
        environment: Mapping[str, str] | None = None,
        connect: Callable[[], httpx.AsyncClient] | None = None,
    ) -> None:
        self.tape = tape
        self._environment = dict(environment or {})
        self._connect = connect or self._client

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """Serves one request."""
        if scope["type"] == "lifespan":
            await answer_lifespan(receive, send)
            return
        try:
            request = await request_of(scope, receive)
        except ClientGone:
            return
        await self.record(request, receive, send)

    async def record(self, request: RecordedRequest, receive: Receive, send: Send) -> None:
        """Passes on and records one request that was read already.

        Raises:
            ConnectionCut: The vendor's server broke off; so does this one.
            ConnectionReset: It reset the connection.
            ConnectRefused: It could not be reached.
        """
        query = f"?{urlencode(request.query)}" if request.query else ""
        try:
            url = upstream_url(request.service, request.path + query, self._environment)
        except LookupError as unknown:
            message = f"this request cannot be recorded: {unknown.args[0]}"
            await error_answer(send, dialect_of(request.service), 400, "no_upstream", message)
            return
        take = self.tape.begin(request)
        gone = asyncio.Event()
        try:
            await while_there(receive, self._pass_on(request, url, take, send, gone), gone=gone, grace=_LAST_WORD)
        except ClientGone:
            take.end("client_closed")
        except asyncio.CancelledError:
            take.end("client_closed")
            raise

    async def _pass_on(self, request: RecordedRequest, url: str, take: Take, send: Send, gone: asyncio.Event) -> None:
        try:
            async with self._connect() as client:
                await self._exchange(client, request, url, take, send, gone)
        except (httpx.RequestError, httpx.InvalidURL) as failure:
            kind = end_of(failure)
            take.end(kind, type(failure).__name__)
            message = f"{request.service} broke off while it was recorded: {type(failure).__name__}"
            broken = {"refused": ConnectRefused, "reset": ConnectionReset}.get(kind, ConnectionCut)
            raise broken(message) from failure

    async def _exchange(
        self,
        client: httpx.AsyncClient,
        request: RecordedRequest,
        url: str,
        take: Take,
        send: Send,
        gone: asyncio.Event,
    ) -> None:
        headers = [(name, value) for name, value in request.headers if name not in _HOP_BY_HOP | _OURS]
        # The bytes on the tape shall be those that mean something.
        asked = client.build_request(
            request.method, url, headers=[*headers, ("accept-encoding", "identity")], content=request.body or None
        )
        answer = await client.send(asked, stream=True)
        try:
            kept, packed = kept_headers(answer.headers.multi_items())
            take.head(answer.status_code, kept)
            await send(_start(answer.status_code, kept))
            async for chunk in answer.aiter_bytes() if packed else answer.aiter_raw():
                if chunk:
                    if gone.is_set():
                        raise ClientGone
                    take.chunk(chunk)
                    await send({"type": "http.response.body", "body": chunk, "more_body": True})
        finally:
            await answer.aclose()
        # Whoever sees the end of the answer finds it on the tape.
        take.end("eof")
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    @cached_property
    def _certificates(self) -> ssl.SSLContext:
        return httpx.create_ssl_context()

    def _client(self) -> httpx.AsyncClient:
        timeout = httpx.Timeout(_TIMEOUT, connect=_CONNECT)
        return httpx.AsyncClient(verify=self._certificates, timeout=timeout, follow_redirects=False)


def kept_headers(headers: Iterable[tuple[str, str]]) -> tuple[Pairs, bool]:
    """The headers of an answer that are about it and not about one connection; and whether its body is packed.

    A server that packs although it was asked not to is unpacked, so the headers that speak of packed bytes go.
    """
    named = [(name.lower(), value) for name, value in headers]
    packed = any(name == "content-encoding" and value.lower() != "identity" for name, value in named)
    gone = _HOP_BY_HOP | ({"content-encoding", "content-length"} if packed else {"content-encoding"})
    return tuple((name, value) for name, value in named if name not in gone), packed


def end_of(failure: Exception) -> EndKind:
    """How an exchange ended that ended with an error of httpx or of httpx2, by the name of the error."""
    names = {one.__name__ for one in type(failure).__mro__}
    if "TimeoutException" in names:
        return "timeout"
    if names & {"ConnectError", "UnsupportedProtocol", "InvalidURL", "ProxyError"}:
        return "refused"
    return "reset" if names & {"ReadError", "WriteError"} else "cut"


def _start(status: int, headers: Pairs) -> dict[str, Any]:
    raw = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers]
    return {"type": "http.response.start", "status": status, "headers": raw}
