"""One HTTP request and its answer over ASGI: body in within bounds, answer out within bounds.

Nothing here raises into the host: whoever handles a visit learns of a client that left by
`ClientGone`, and everything that is sent waits for the client only so long.

What does not live here: routes (`routes.py`), what to answer (`endpoints.py`).
"""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, quote

import orjson

from compatgw.errors import InvalidRequest, Overloaded, RequestTooLarge, UnsupportedMediaType
from compatgw.flow.call import EVENTS, JSON, ClientGone
from compatgw.flow.patience import Patience
from compatgw.surfaces.base import envelope

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, MutableMapping
    from types import TracebackType

    from compatgw.config import Settings
    from compatgw.errors import GatewayError
    from compatgw.flow.call import Call, Headers
    from compatgw.surfaces.base import Face

    Message = MutableMapping[str, Any]
    Receive = Callable[[], Awaitable[Message]]
    Send = Callable[[Message], Awaitable[None]]

_REQUEST_ID = re.compile(r"[A-Za-z0-9._:@/+=-]{1,128}")
# Seconds.
_WATCH_AFTER = 0.02
_LAST_WORD = 1.0
_JSON = (b"content-type", b"application/json")
_EVENTS = (b"content-type", b"text/event-stream; charset=utf-8")
_STREAM = ((b"cache-control", b"no-cache, no-transform"), (b"x-accel-buffering", b"no"))


class Visit:
    """A request in flight. Implements `flow.call.Client`.

    Attributes:
        scope: The ASGI scope, untouched.
        method: HTTP method.
        word: A new one, that ids are made of.
        id: The request id, the client's own if it is well formed.
        root: The prefix that the gateway is mounted under.
        route: The path within the gateway.
        scope_name: Which of the configured scopes the path or host named.
        started: True once the head of the answer was sent.
        envelope: The body of an error answer.
        face: How the client is told that a stream broke off.
        call: What it has become, once that is known.
        stopped: Why the gateway itself ended it.
    """

    __slots__ = (
        "_headers", "_receive", "_send", "_settings", "_soon", "_watcher", "call", "envelope", "extra", "face",
        "finished", "gone", "id", "method", "patience", "root", "route", "scope", "scope_name", "started", "stopped",
        "streaming", "task", "word",
    )  # fmt: skip

    def __init__(
        self, scope: MutableMapping[str, Any], receive: Receive, send: Send, settings: Settings, word: str
    ) -> None:
        self.scope = scope
        self._receive = receive
        self._send = send
        self._settings = settings
        self._headers: dict[bytes, bytes] = dict(scope["headers"])
        self.method: str = scope["method"]
        own = self.header("x-request-id")
        self.id = own if own is not None and _REQUEST_ID.fullmatch(own) else f"req_{word}"
        self.word = word
        self.root = ""
        self.route = "/"
        self.scope_name: str | None = None
        self.started = False
        self.streaming = False
        self.finished = False
        self.gone = False
        self.envelope: Callable[[GatewayError], Mapping[str, Any]] = envelope
        self.face: Face | None = None
        self.call: Call | None = None
        self.stopped: GatewayError | None = None
        self.extra: list[tuple[bytes, bytes]] = []
        self.patience = Patience()
        self.task = asyncio.current_task()
        self._soon: asyncio.TimerHandle | None = None
        self._watcher: asyncio.Task[None] | None = None

    def header(self, name: str) -> str | None:
        """A request header by its name in lower case; the last of equal names."""
        value = self._headers.get(name.encode("latin-1"))
        return value.decode("latin-1") if value is not None else None

    def tell_id(self, names: Iterable[str]) -> None:
        """Has the answer tell its id in these headers, too."""
        self.extra += [(name.encode("latin-1"), self.id.encode("latin-1")) for name in names]

    def headers(self) -> dict[str, str]:
        """All request headers, by their names in lower case."""
        return {name.decode("latin-1"): value.decode("latin-1") for name, value in self._headers.items()}

    @property
    def is_form(self) -> bool:
        """True when the body says that it is a form with files."""
        return (self.header("content-type") or "").lower().lstrip().startswith("multipart/")

    def has_any(self, names: frozenset[bytes]) -> bool:
        """True when the request has one of these headers, in lower case."""
        return not names.isdisjoint(self._headers)

    def query(self) -> dict[str, str]:
        """The members of the query string; the last of equal names."""
        return dict(parse_qsl(self.scope.get("query_string", b"").decode("latin-1"), keep_blank_values=True))

    async def body(self) -> bytes:
        """The whole JSON body.

        Raises:
            UnsupportedMediaType: It says that it is something else.
            RequestTooLarge: It is over the limit; the rest is not read.
            ClientGone: The client left before its end.
        """
        if self._headers.get(b"content-type", b"application/json") != b"application/json":
            kind = (self.header("content-type") or "").partition(";")[0].strip().lower()
            if kind != "application/json" and not kind.endswith("+json"):
                raise UnsupportedMediaType(
                    f"The body must be JSON: send 'Content-Type: application/json', not '{kind[:64]}'."
                )
        limit = self._settings.max_body
        length = self._headers.get(b"content-length", b"")
        if length.isdigit() and int(length) > limit:
            raise _too_large(limit)
        parts: list[bytes] = []
        size = 0
        while True:
            data, more = await self._next()
            if data:
                size += len(data)
                if size > limit:
                    raise _too_large(limit)
                parts.append(data)
            if not more:
                break
        if not parts:
            raise InvalidRequest("The body is empty: a JSON object is expected.", code="invalid_json")
        return parts[0] if len(parts) == 1 else b"".join(parts)

    async def chunks(self) -> AsyncIterator[bytes]:
        """The body as it comes, whatever it is; whoever reads it bounds it.

        Raises:
            ClientGone: The client left before its end.
        """
        more = True
        while more:
            data, more = await self._next()
            if data:
                yield data

    async def _next(self) -> tuple[bytes, bool]:
        with self.patience.within(self._settings.timeouts.body, _slow_body):
            message = await self._receive()
        if message["type"] == "http.disconnect":
            raise ClientGone
        return message.get("body", b""), message.get("more_body", False)

    # --- answering ---

    async def answer(self, status: int, headers: Headers, body: bytes, kind: str = JSON) -> None:
        """A complete answer; `kind` is its content type."""
        first = _JSON if kind == JSON else (b"content-type", _safe(kind))
        lines = [first, (b"content-length", str(len(body)).encode()), *self._lines(headers)]
        self.started = True
        await self._put(
            {"type": "http.response.start", "status": status, "headers": lines},
            {"type": "http.response.body", "body": b"" if self.method == "HEAD" else body},
        )
        self.finished = True

    async def begin(self, headers: Headers, kind: str = EVENTS) -> None:
        """The head of an answer that comes bit by bit."""
        self.started = True
        self.streaming = kind == EVENTS
        first = _EVENTS if self.streaming else (b"content-type", _safe(kind or "application/octet-stream"))
        lines = [first, *_STREAM, *self._lines(headers)]
        await self._put({"type": "http.response.start", "status": 200, "headers": lines})

    async def write(self, data: bytes) -> None:
        """Whole events of a stream."""
        await self._put({"type": "http.response.body", "body": data, "more_body": True})

    async def end(self) -> None:
        """The end of a stream."""
        await self._put({"type": "http.response.body", "body": b"", "more_body": False})
        self.finished = True

    async def cut(self) -> None:
        """No end: the server closes the connection of an application that leaves without one."""
        self.finished = True

    async def error(self, error: GatewayError) -> None:
        """An error envelope: as an answer, or as the last event of a stream that has begun."""
        body = orjson.dumps(self.envelope(error))
        if self.finished:
            return
        if self.started:
            # Nothing can be said behind an answer that is no stream of events.
            if self.streaming and self.face is not None and (last := self.face.failed(error)):
                await self.write(last)
                await self.end()
            else:
                await self.cut()
            return
        headers = []
        if error.retry_after is not None:
            headers.append(("Retry-After", str(max(1, -int(-error.retry_after // 1)))))
        if error.should_retry is not None:
            headers.append(("x-should-retry", "true" if error.should_retry else "false"))
        if error.status == 401:
            headers.append(("WWW-Authenticate", "Bearer"))
        await self.answer(error.status, (*headers, *error.headers), body)

    # --- the gateway ending it ---

    def stop(self, error: GatewayError) -> None:
        """Ends it from outside: its client is told `error`, inside a stream that has begun."""
        if self.stopped is not None or self.finished or self.task is None:
            return
        self.stopped = error
        if self.call is not None:
            # Nobody left: that is not why it ended.
            self.call.failure = self.call.failure or error
        self.task.cancel()

    async def interrupted(self) -> bool:
        """A last word to the client of a request whose task was cancelled; True when that came from `stop`."""
        ours = self.stopped is not None and self.task is not None and self.task.uncancel() == 0
        error = self.stopped or Overloaded("The gateway is shutting down. Send the request again.", retry_after=1)
        if not self.gone:
            try:
                async with asyncio.timeout(_LAST_WORD):
                    await self.error(error)
            except (ClientGone, TimeoutError):
                pass
        return ours

    def _lines(self, headers: Headers) -> list[tuple[bytes, bytes]]:
        lines = [(b"x-request-id", self.id.encode("latin-1")), *self.extra]
        lines.extend((name.lower().encode("latin-1"), _safe(value)) for name, value in headers)
        return lines

    async def _put(self, *messages: Message) -> None:
        try:
            with self.patience.within(self._settings.timeouts.send, ClientGone):
                for message in messages:
                    await self._send(message)
        except OSError:
            raise ClientGone from None

    # --- the client leaving ---

    def watch(self) -> Visit:
        """Watches for the client leaving while the `with` block works; the block is then cancelled.

        The watching task begins a moment later: most answers that come at once need none.
        """
        self._soon = asyncio.get_running_loop().call_later(_WATCH_AFTER, self._begin_watching)
        return self

    def _begin_watching(self) -> None:
        self._watcher = asyncio.get_running_loop().create_task(self._wait_for_leave())

    def __enter__(self) -> Visit:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._soon is not None:
            self._soon.cancel()
        if self._watcher is not None:
            self._watcher.cancel()
            self._watcher = None
        if self.gone and self.task is not None and self.task.uncancel() == 0 and kind is asyncio.CancelledError:
            raise ClientGone from None

    async def _wait_for_leave(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        # Some servers say so after every answer, too.
        if not self.finished and self.task is not None:
            self.gone = True
            self.task.cancel()


def _safe(value: str) -> bytes:
    """A header value that cannot break out of its line, whatever is in a model's name."""
    if value.isascii() and value.isprintable():
        return value.encode("ascii")
    return quote(value, safe=" !#$&'()*+,/:;=?@[]~^`{|}<>\"\\").encode("ascii")


def _too_large(limit: int) -> RequestTooLarge:
    return RequestTooLarge(f"The body is over the limit of {limit} bytes. Send less, or send images as https URLs.")


def _slow_body() -> GatewayError:
    return InvalidRequest("The body did not arrive in time.", code="invalid_json")
