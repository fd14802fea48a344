"""Transports that record what a client of httpx or httpx2 sends and gets, without an application in between.

    session = Session("cassettes/mine.jsonl", "rewrite")
    http = httpx2.Client(transport=recording(httpx2.HTTPTransport(), session.tape, library="httpx2", sync=True))
    ...
    session.finish(passed=True)

Chunks pass as they come. A library is imported when a transport of it is asked for. What does not live here: the tape
(`record.py`), replay without an application (`doors/inprocess.py` has a client for it).
"""

from __future__ import annotations

from contextlib import contextmanager
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final, Literal, overload
from urllib.parse import parse_qsl

from compatgw_testing.cassettes.format import RecordedRequest
from compatgw_testing.cassettes.record import end_of, kept_headers
from compatgw_testing.cassettes.services import service_at

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    import httpx
    import httpx2

    from compatgw_testing.cassettes.record import Take, Tape

_IDENTITY: Final = "identity"


@overload
def recording(
    transport: httpx.BaseTransport, tape: Tape, *, library: Literal["httpx"], sync: Literal[True]
) -> httpx.BaseTransport: ...
@overload
def recording(
    transport: httpx.AsyncBaseTransport, tape: Tape, *, library: Literal["httpx"], sync: Literal[False] = ...
) -> httpx.AsyncBaseTransport: ...
@overload
def recording(
    transport: httpx2.BaseTransport, tape: Tape, *, library: Literal["httpx2"], sync: Literal[True]
) -> httpx2.BaseTransport: ...
@overload
def recording(
    transport: httpx2.AsyncBaseTransport, tape: Tape, *, library: Literal["httpx2"], sync: Literal[False] = ...
) -> httpx2.AsyncBaseTransport: ...
def recording(transport: Any, tape: Tape, *, library: Literal["httpx", "httpx2"], sync: bool = False) -> Any:
    """A transport that sends through another one, and records.

    Args:
        transport: What really sends.
        tape: Where it is recorded.
        library: Whose types both have.
        sync: For a `Client`. Default: for an `AsyncClient`.

    Raises:
        ModuleNotFoundError: The library is not installed.
    """
    module = import_module(library)
    kind, base = (_Sync, module.BaseTransport) if sync else (_Async, module.AsyncBaseTransport)
    # The libraries want their own base classes, and those are known only now.
    return type(f"Recording{base.__name__}", (kind, base), {})(transport, tape, module)


class _Recording:
    """What both kinds of transport have in common."""

    def __init__(self, transport: Any, tape: Tape, library: Any) -> None:
        self._transport = transport
        self._tape = tape
        self._library = library

    def _passed(self, answer: Any, take: Take, kind: type[_Chunks], base: type) -> Any:
        kept, packed = kept_headers(answer.headers.multi_items())
        take.head(answer.status_code, kept)
        stream = type("RecordedStream", (kind, base), {})(answer, packed, take, self._library)
        return self._library.Response(
            answer.status_code, headers=list(kept), stream=stream, extensions=answer.extensions
        )


class _Chunks:
    """What both kinds of stream have in common."""

    def __init__(self, answer: Any, packed: bool, take: Take, library: Any) -> None:
        self._answer = answer
        self._packed = packed
        self._take = take
        self._library = library


class _Sync(_Recording):
    def handle_request(self, request: Any) -> Any:
        request.headers["accept-encoding"] = _IDENTITY
        take = self._tape.begin(_recorded(request, request.read()))
        with _failures(take, self._library):
            answer = self._transport.handle_request(request)
        return self._passed(answer, take, _SyncChunks, self._library.SyncByteStream)

    def close(self) -> None:
        self._transport.close()


class _SyncChunks(_Chunks):
    def __iter__(self) -> Iterator[bytes]:
        with _failures(self._take, self._library):
            for chunk in self._answer.iter_bytes() if self._packed else self._answer.iter_raw():
                self._take.chunk(chunk)
                yield chunk
        self._take.end("eof")

    def close(self) -> None:
        self._take.end("client_closed")
        self._answer.close()


class _Async(_Recording):
    async def handle_async_request(self, request: Any) -> Any:
        request.headers["accept-encoding"] = _IDENTITY
        take = self._tape.begin(_recorded(request, await request.aread()))
        with _failures(take, self._library):
            answer = await self._transport.handle_async_request(request)
        return self._passed(answer, take, _AsyncChunks, self._library.AsyncByteStream)

    async def aclose(self) -> None:
        await self._transport.aclose()


class _AsyncChunks(_Chunks):
    async def __aiter__(self) -> AsyncIterator[bytes]:
        with _failures(self._take, self._library):
            async for chunk in self._answer.aiter_bytes() if self._packed else self._answer.aiter_raw():
                self._take.chunk(chunk)
                yield chunk
        self._take.end("eof")

    async def aclose(self) -> None:
        self._take.end("client_closed")
        await self._answer.aclose()


@contextmanager
def _failures(take: Take, library: Any) -> Iterator[None]:
    """A failure of the library's ends the take, and goes on."""
    try:
        yield
    except library.RequestError as failure:
        take.end(end_of(failure), type(failure).__name__)
        raise


def _recorded(request: Any, body: bytes) -> RecordedRequest:
    service, path = service_at(str(request.url.copy_with(query=None, username=None, password=None)))
    return RecordedRequest(
        method=request.method.upper(),
        service=service,
        path=path,
        query=tuple(parse_qsl(request.url.query.decode("ascii"), keep_blank_values=True)),
        headers=tuple((name.lower(), value) for name, value in request.headers.multi_items()),
        body=body,
    )
