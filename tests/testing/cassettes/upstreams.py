"""Servers to record from, requests to make, and a client that sees the chunks of HTTP itself."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import httpx

from compatgw_testing.cassettes.format import Chunk, End, Head, Interaction, RecordedRequest, compact

HEADERS = {"content-type": "text/event-stream", "x-request-id": "req-1"}
HI = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Hi"}]}
CHAT = "/openai/v1/chat/completions"
# Two events of a chat stream, in three chunks, one of which ends within a character.
EVENTS = (
    b'data: {"id":"1","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":'
    b'{"role":"assistant","content":"caf\xc3\xa9 "},"finish_reason":null}]}\n\n'
    b'data: {"id":"1","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":'
    b'{"content":"\xe2\x98\x95"},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'
)
CUT = EVENTS.index(b"\xe2") + 1
CHUNKS = (EVENTS[:60], EVENTS[60:CUT], EVENTS[CUT:])

App = Callable[[Any, Any, Any], Awaitable[None]]


class Upstream:
    """An application that sends chunks one by one, and goes wrong after them if told.

    Attributes:
        asked: The headers and the body of each request.
        cancelled: Set when the client left before the end.
    """

    def __init__(
        self,
        *chunks: bytes,
        status: int = 200,
        headers: Mapping[str, str] | None = None,
        gate: asyncio.Event | None = None,
        failure: BaseException | None = None,
    ) -> None:
        self.chunks = chunks or CHUNKS
        self.status = status
        self.headers = HEADERS if headers is None else headers
        self.gate = gate
        self.failure = failure
        self.asked: list[tuple[dict[str, str], bytes]] = []
        self.paths: list[str] = []
        self.cancelled = asyncio.Event()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message.get("body", b""), message.get("more_body", False)
        self.asked.append(({name.decode(): value.decode() for name, value in scope["headers"]}, body))
        self.paths.append(scope["path"] + (f"?{scope['query_string'].decode()}" if scope["query_string"] else ""))
        raw = [(name.encode(), value.encode()) for name, value in self.headers.items()]
        await send({"type": "http.response.start", "status": self.status, "headers": raw})
        try:
            for number, chunk in enumerate(self.chunks):
                if number and self.gate is not None:
                    await self.gate.wait()
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
        except asyncio.CancelledError:
            self.cancelled.set()
            raise
        if self.failure is not None:
            raise self.failure
        await send({"type": "http.response.body", "body": b"", "more_body": False})


class Seen(NamedTuple):
    """What came over a socket: the status, and each chunk of HTTP's own; whether it ended as it should."""

    status: int
    chunks: list[bytes]
    complete: bool


async def by_hand(origin: str, path: str, body: object, headers: Mapping[str, str] | None = None) -> Seen:
    """One request over a bare socket."""
    place = urlsplit(origin)
    reader, writer = await asyncio.open_connection(place.hostname, place.port)
    raw = json.dumps(body).encode()
    lines = [f"POST {place.path}{path} HTTP/1.1", f"host: {place.netloc}", f"content-length: {len(raw)}"]
    lines += ["content-type: application/json", "connection: close"]
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    writer.write("\r\n".join([*lines, "", ""]).encode() + raw)
    async with asyncio.timeout(10):
        head = await reader.readuntil(b"\r\n\r\n")
        status = int(head.split(b" ")[1])
        chunks: list[bytes] = []
        complete = False
        try:
            while size := int(await reader.readuntil(b"\r\n"), 16):
                chunks.append((await reader.readexactly(size + 2))[:-2])
            complete = True
        except (asyncio.IncompleteReadError, ConnectionResetError):
            pass
        finally:
            writer.close()
    return Seen(status, chunks, complete)


async def drink(http: httpx.AsyncClient, got: list[bytes]) -> None:
    """Reads a stream into `got`, chunk by chunk; what came before a break is there, too."""
    async with http.stream("POST", CHAT, json=HI) as answer:
        async for chunk in answer.aiter_raw():
            got.append(chunk)  # noqa: PERF401


def asked(
    body: object = HI, *, service: str = "openai", path: str = "/v1/chat/completions", **more: Any
) -> RecordedRequest:
    """A request as it would be on a cassette."""
    raw = body if isinstance(body, bytes) else compact(body)
    return RecordedRequest("POST", service, path, body=raw, **more)


def answered(request: RecordedRequest, *chunks: bytes, status: int = 200, end: End | None = None) -> Interaction:
    """An answer as it would be on a cassette: a chunk each ten milliseconds."""
    head = Head(status, (("content-type", "text/event-stream"),), 5.0)
    made = tuple(Chunk(10.0 * number, data) for number, data in enumerate(chunks, 1))
    return Interaction(request, head, made, end or End("eof", None, 10.0 * (len(chunks) + 1)))
