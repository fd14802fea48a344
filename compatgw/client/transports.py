"""Transports of httpx and of httpx2 into an application of this process.

The two libraries share no class, so the classes are made here for the one that is asked for. Each hands on
every piece of an answer as it is written, takes a body as it comes, and raises the library's own errors.

What does not live here: the calls themselves (`calls.py`), the thread of the synchronous ones (`thread.py`).
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from compatgw.client.calls import Asked, Calls, TooSlow
from compatgw.client.thread import LoopThread, ThreadClosed
from compatgw.upstream.transport import TransportFailed

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

    from compatgw.client.calls import Sent

    Close = Callable[[], Awaitable[None]]

_EXTENSIONS = {"http_version": b"HTTP/1.1"}


def asynchronous(library: Any, calls: Calls) -> Any:
    """A transport for `library.AsyncClient`; the application runs in the caller's event loop."""

    class Body(library.AsyncByteStream):  # type: ignore[misc]
        def __init__(self, sent: Sent, request: Any) -> None:
            self._sent = sent
            self._request = request

        async def __aiter__(self) -> AsyncIterator[bytes]:
            with _told(library, self._request):
                while piece := await self._sent.piece():
                    yield piece

        async def aclose(self) -> None:
            await self._sent.aclose()

    class InProcess(library.AsyncBaseTransport):  # type: ignore[misc]
        async def handle_async_request(self, request: Any) -> Any:
            with _told(library, request):
                body = _whole(library, request)
                sent = await calls.send(_asked(request), body)
                try:
                    if body is None:
                        await self._give(sent, request)
                    status, headers = await sent.head()
                except BaseException:
                    await sent.aclose()
                    raise
            return library.Response(status, headers=headers, stream=Body(sent, request), extensions=_EXTENSIONS)

        async def _give(self, sent: Sent, request: Any) -> None:
            with _writing(library, request):
                async for part in request.stream:
                    if part and not await sent.give(part):
                        return
                await sent.give(b"")

        async def aclose(self) -> None:
            await calls.aclose()

    return InProcess()


def synchronous(library: Any, calls: Calls, close: Close) -> Any:
    """A transport for `library.Client`, from any threads; the application runs in a thread of the transport's own.

    Args:
        library: The module.
        calls: What it has under way.
        close: Closes what the application keeps in that thread.
    """

    async def last() -> None:
        await calls.aclose()
        await close()

    thread = LoopThread(last)

    class Body(library.SyncByteStream):  # type: ignore[misc]
        def __init__(self, sent: Sent, request: Any) -> None:
            self._sent = sent
            self._request = request

        def __iter__(self) -> Iterator[bytes]:
            with _told(library, self._request):
                while piece := thread.run(self._sent.piece()):
                    yield piece

        def close(self) -> None:
            _leave(thread, self._sent)

    class InProcess(library.BaseTransport):  # type: ignore[misc]
        def handle_request(self, request: Any) -> Any:
            with _told(library, request):
                body = _whole(library, request)
                sent = thread.run(calls.send(_asked(request), body))
                try:
                    if body is None:
                        self._give(sent, request)
                    status, headers = thread.run(sent.head())
                except BaseException:
                    _leave(thread, sent)
                    raise
            return library.Response(status, headers=headers, stream=Body(sent, request), extensions=_EXTENSIONS)

        def _give(self, sent: Sent, request: Any) -> None:
            with _writing(library, request):
                for part in request.stream:
                    if part and not thread.run(sent.give(part)):
                        return
                thread.run(sent.give(b""))

        def close(self) -> None:
            thread.close()

    return InProcess()


def _leave(thread: LoopThread, sent: Sent) -> None:
    # Most have ended by themselves: then the thread need not be asked, nor be there.
    if sent.over:
        return
    try:
        thread.run(sent.aclose())
    except ThreadClosed:
        # All its calls ended with it.
        pass


def _asked(request: Any) -> Asked:
    limits = request.extensions.get("timeout") or {}
    return Asked(
        method=request.method,
        url=str(request.url),
        headers=[(name.decode("latin-1"), value.decode("latin-1")) for name, value in request.headers.raw],
        read=limits.get("read"),
        write=limits.get("write"),
    )


def _whole(library: Any, request: Any) -> bytes | None:
    """The body, where it is in memory already."""
    return b"".join(request.stream) if isinstance(request.stream, library.ByteStream) else None


@contextmanager
def _told(library: Any, request: Any) -> Iterator[None]:
    try:
        yield
    except TransportFailed as error:
        raise library.RemoteProtocolError(str(error), request=request) from error
    except TooSlow as error:
        raise library.ReadTimeout(str(error), request=request) from error
    except ThreadClosed as error:
        raise library.ReadError("the client was closed", request=request) from error


@contextmanager
def _writing(library: Any, request: Any) -> Iterator[None]:
    try:
        yield
    except TooSlow as error:
        raise library.WriteTimeout(str(error), request=request) from error
