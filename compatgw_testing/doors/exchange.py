"""One request served by an ASGI application on the running event loop, piece by piece, for a client in this process.

What an application sends is seen when it is sent: one piece waits at most, then the application does.
What does not live here: any HTTP library's types (`on_httpx.py`, `on_httpx2.py`), threads (`loopthread.py`).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from compatgw_testing.faults import ConnectionCut, ConnectionReset, ConnectRefused, ReadTimedOut

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]

# What an application that was left may take to notice it before it is cancelled, and one that has answered to end.
GRACE = 0.5
_BODILESS = frozenset({204, 304})
_log = logging.getLogger("compatgw_testing")


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A request, in no library's types.

    Attributes:
        target: Path, percent-encoded, without the query.
        read_timeout: Seconds that the client waits for the next piece; None for ever.
        virtual: Whether a fake shall play its delays on a virtual clock.
    """

    method: str
    scheme: str
    host: str
    port: int
    target: bytes
    query: bytes
    headers: list[tuple[bytes, bytes]]
    body: bytes
    read_timeout: float | None
    virtual: bool

    def scope(self, state: Mapping[str, Any]) -> dict[str, Any]:
        """The ASGI scope; spec version 2.3, as uvicorn has it."""
        return {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": self.method,
            "scheme": self.scheme,
            "path": unquote(self.target.decode("ascii")),
            "raw_path": self.target,
            "query_string": self.query,
            "root_path": "",
            "headers": [(name.lower(), value) for name, value in self.headers],
            "server": (self.host, self.port),
            "client": ("127.0.0.1", 0),
            "state": dict(state),
            "extensions": {"compatgw_testing": {"virtual": self.virtual, "read_timeout": self.read_timeout}},
        }


class Broken(Exception):
    """The answer will not come to its end; a transport raises its library's own error instead.

    Attributes:
        kind: Name of that error, the same in httpx and httpx2.
    """

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


def broken_by(failure: BaseException, *, started: bool) -> Broken:
    """What a client on a socket would have seen of `failure`, which the application raised."""
    if isinstance(failure, ReadTimedOut):
        return Broken("ReadTimeout", "the next piece would have come later than the client waits")
    if isinstance(failure, ConnectionReset):
        return Broken("ReadError", "the connection was reset")
    if isinstance(failure, ConnectRefused) and not started:
        return Broken("ConnectError", "the connection was refused")
    if isinstance(failure, (ConnectionCut, ConnectRefused)):
        where = "in the middle of the answer" if started else "before an answer"
        return Broken("RemoteProtocolError", f"the connection was closed {where}")
    what = f"{type(failure).__name__}: {failure}".rstrip(": ")
    return Broken("RemoteProtocolError", f"the application failed before its answer was whole ({what})")


@dataclass(frozen=True, slots=True)
class _End:
    failure: Broken | None = None


class Exchange:
    """One request and its answer, all on one event loop. The application starts at once.

    Args:
        app: The application.
        asked: The request.
        state: What the application's lifespan keeps for its requests.

    Attributes:
        status: HTTP status.
        headers: As the application sent them.
    """

    def __init__(self, app: App, asked: Asked, state: Mapping[str, Any]) -> None:
        self.status = 0
        self.headers: list[tuple[bytes, bytes]] = []
        self._asked = asked
        self._read = False
        # The head, then the pieces, then the end. The end needs no room: it may come when nobody reads any more.
        self._queue: asyncio.Queue[bytes | Message | _End] = asyncio.Queue()
        self._room = asyncio.Semaphore(1)
        self._over = asyncio.Event()
        self._left = False
        self._started = self._complete = False
        self._promised: int | None = None
        self._bodiless = False
        self._sent = 0
        self._end: _End | None = None
        self.task = asyncio.get_running_loop().create_task(
            self._serve(app, asked.scope(state)), name="in-process answer"
        )

    async def begin(self) -> None:
        """Returns when the application has sent the head of its answer.

        Raises:
            Broken: There is no head.
        """
        try:
            head = await self._next()
        except BaseException:
            await self.aclose()
            raise
        assert not isinstance(head, (bytes, _End))
        self.status = head["status"]
        self.headers = [(bytes(name), bytes(value)) for name, value in head.get("headers", ())]

    async def piece(self) -> bytes | None:
        """The next piece of the body; None at its end.

        Raises:
            Broken: The answer broke off, or the next piece took longer than the client waits.
        """
        item = self._end or await self._next()
        return item if isinstance(item, bytes) else None

    async def aclose(self) -> None:
        """Ends the exchange: an application that is not done is told so, then cancelled. Idempotent.

        One that has answered in full may go on with something else; it is waited for a moment, so that whoever has
        the whole answer finds the application's own notes of it complete.
        """
        self._left = self._left or not self._complete
        self._over.set()
        # Whoever waits goes on: the application to hand on a piece, another thread to read one.
        self._room.release()
        self._queue.put_nowait(_End(Broken("ReadError", "the answer was closed")))
        if self.task.done():
            return
        try:
            await asyncio.wait({self.task}, timeout=GRACE)
        finally:
            if self._left:
                self.task.cancel()
        if self._left:
            await asyncio.wait({self.task}, timeout=GRACE)

    async def _next(self) -> bytes | Message | _End:
        limit = self._asked.read_timeout
        try:
            async with asyncio.timeout(limit):
                item = await self._queue.get()
        except TimeoutError:
            self._end = _End(Broken("ReadTimeout", f"nothing came for {limit:g} seconds"))
            await self.aclose()
            item = self._end
        if not isinstance(item, _End):
            self._room.release()
        else:
            self._end = item
            if item.failure is not None:
                raise item.failure from item.failure.__cause__
        return item

    # The application's side.

    async def _serve(self, app: App, scope: MutableMapping[str, Any]) -> None:
        failure: BaseException | None = None
        try:
            await app(scope, self._receive, self._send)
        except asyncio.CancelledError as cancelled:
            if self._left:
                raise
            failure = cancelled
        except BaseException as raised:  # noqa: BLE001 - whatever an application raises, its client sees a broken answer
            failure = raised
        if self._left:
            return
        if self._complete:
            if failure is not None:
                _log.error("an application failed after its answer was complete", exc_info=failure)
            return
        self._over.set()
        if failure is None:
            failure = RuntimeError("it returned too early")
        broken = broken_by(failure, started=self._started)
        broken.__cause__ = failure
        self._queue.put_nowait(_End(broken))

    async def _receive(self) -> Message:
        if not self._read and not self._over.is_set():
            self._read = True
            return {"type": "http.request", "body": self._asked.body, "more_body": False}
        await self._over.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Message) -> None:
        if self._left:
            # As on a socket, nothing is said of it; but an application that only sends must not hold the loop.
            await asyncio.sleep(0)
            return
        kind = message["type"]
        if self._complete:
            raise RuntimeError(f"the application sent {kind!r} after its answer was complete")
        if kind != ("http.response.body" if self._started else "http.response.start"):
            raise RuntimeError(f"the application sent {kind!r} {'after' if self._started else 'before'} the head")
        if not self._started:
            self._started = True
            self._promise(message)
            await self._put(message)
            return
        await self._send_body(bytes(message.get("body", b"")), more=bool(message.get("more_body", False)))

    def _promise(self, head: Message) -> None:
        self._bodiless = self._asked.method == "HEAD" or head["status"] in _BODILESS
        for name, value in head.get("headers", ()):
            if name.lower() == b"content-length" and not self._bodiless:
                self._promised = int(value)

    async def _send_body(self, body: bytes, *, more: bool) -> None:
        self._sent += len(body)
        if self._promised is not None and (self._sent > self._promised or (not more and self._sent < self._promised)):
            raise RuntimeError(f"its content-length is {self._promised}, its body has {self._sent} bytes")
        if body and not self._bodiless:
            await self._put(body)
        if not more and not self._left:
            self._complete = True
            self._over.set()
            self._queue.put_nowait(_End())

    async def _put(self, item: bytes | Message) -> None:
        await self._room.acquire()
        if self._left:
            self._room.release()
        else:
            self._queue.put_nowait(item)
