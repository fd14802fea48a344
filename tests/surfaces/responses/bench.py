"""The surface over one upstream without the rest of the gateway, and OpenAI's SDK as its client.

Responses are kept in memory and worked on in the background, as the gateway's routes do it.

What does not live here: tests, keys, limits, fallbacks.
"""

from __future__ import annotations

import asyncio
import itertools
import random
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

import httpx
import httpx2
import orjson
from openai import AsyncOpenAI, OpenAI

from compatgw.dialects.base import Context, Leftovers, Target
from compatgw.dialects.table import DIALECTS
from compatgw.errors import GatewayError, NotFound
from compatgw.flow.background import Background
from compatgw.flow.conversations import Conversations, Keeping
from compatgw.flow.shelves import CounterShelf
from compatgw.flow.tasks import Tasks
from compatgw.providers.table import PROVIDERS
from compatgw.state.memory import MemoryCounters
from compatgw.surfaces.base import View
from compatgw.surfaces.responses import RESPONSES, stored
from compatgw.surfaces.responses.face import ResponsesFace

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from compatgw.flow.call import Client
    from compatgw.surfaces.base import Parsed

MODELS = {
    "openai": "gpt-4o-mini",
    "anthropic": "claude-sonnet-5",
    "gemini": "gemini-2.5-flash",
    "cohere": "command-a-03-2025",
}
_KEYS = {"anthropic": "x-api-key", "gemini": "x-goog-api-key"}
OWNER = "team a"
_ONE = re.compile(r"/v1/responses/([^/]+)(/input_items|/cancel)?")


class Bench:
    """An ASGI application: `/v1/responses` and what is below it, over one upstream.

    Args:
        name: The upstream's dialect, whose provider is called the same.
        upstream: Its application.
        native: Requests go as they came where the upstream speaks their protocol.

    Attributes:
        sent: Bodies that went to the upstream.
        dropped: Members that the last call left out.
        policy: What happens to members that cannot be carried.
    """

    def __init__(self, name: str, upstream: Any, *, native: bool = True, keeping: Keeping | None = None) -> None:
        self.model = MODELS[name]
        self.sent: list[Any] = []
        self.dropped: tuple[str, ...] = ()
        self.policy: Any = "hints"
        self.owner = OWNER
        self.tasks = Tasks()
        self.conversations = Conversations(CounterShelf(MemoryCounters()), keeping)
        self.background = Background(self.conversations, self.tasks)
        self._words = itertools.count()
        self._name, self._upstream, self._native = name, upstream, native
        self._dialect = DIALECTS[name]

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """The application."""
        body, more = b"", True
        while more:
            message = await receive()
            body += message.get("body", b"")
            more = message.get("more_body", False)
        try:
            query = dict(parse_qsl(scope["query_string"].decode()))
            kind, pieces = await self._route(scope["method"], scope["path"], query, body)
        except GatewayError as error:
            await _start(send, error.status, "application/json")
            await send({"type": "http.response.body", "body": orjson.dumps(RESPONSES.envelope(error))})
            return
        await _start(send, 200, kind)
        async for piece in pieces:
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b""})

    async def _route(
        self, method: str, path: str, query: dict[str, str], body: bytes
    ) -> tuple[str, AsyncIterator[bytes]]:
        if method == "POST" and path == "/v1/responses":
            return await self._create(body)
        found = _ONE.fullmatch(path)
        if found is None:
            raise NotFound("no such path", code="unknown_endpoint")
        id, tail = found[1], found[2]
        if method == "GET" and tail is None:
            if stored.streams(query):
                frames = self.background.follow(self.owner, id, stored.starting_after(query))
                return "text/event-stream", _chained(await anext(frames), frames)
            return _document((await self.background.retrieve(self.owner, id)).response)
        if method == "DELETE":
            await self.conversations.drop(self.owner, id)
            return _document(stored.deleted(id))
        if method == "POST" and tail == "/cancel":
            return _document(await self.background.cancel(self.owner, id))
        kept = await self.conversations.find(self.owner, id)
        return _document(stored.page(kept.inputs, query))

    async def _create(self, body: bytes) -> tuple[str, AsyncIterator[bytes]]:
        parsed = await self.conversations.resolved(self.owner, RESPONSES.parse(body))
        face = ResponsesFace(parsed, View(f"{next(self._words):06x}", 1_780_000_000))
        if parsed.asked["background"]:
            queued = await self.background.begin(
                self.owner, parsed, face, lambda client: self._run(parsed, face, client)
            )
            if not parsed.request.get("stream"):
                return _document(queued)
            return "text/event-stream", self.background.follow(self.owner, queued["id"])
        client = _Straight()
        await self._run(parsed, face, client)
        return client.kind, _chained(client.data)

    async def _run(self, parsed: Parsed, face: ResponsesFace, client: Client) -> None:
        row = PROVIDERS[self._name]
        target = Target(row.name, self.model, row.quirks, unsupported=self.policy)
        codec: Any = self._dialect.chat
        asked: Any = parsed.request
        native = self._dialect.native.get(parsed.native.surface if parsed.native is not None else "")
        if parsed.native is not None and native is not None and self._native and native.serves(target.quirks):
            codec, asked = native, parsed.native
        else:
            left = Leftovers(target)
            for one in parsed.native.foreign if parsed.native is not None else ():
                if one.semantic:
                    left.semantic(one.name, one.value, one.param, one.why)
                else:
                    left.hint(one.name, one.value)
            self.dropped = tuple(left.dropped)
        outgoing = codec.encode(asked, target)
        self.dropped += outgoing.dropped
        self.sent.append(orjson.loads(outgoing.body))
        base = "/" + row.base_url.partition("://")[2].partition("/")[2]
        key, secret = _KEYS.get(self._name, "authorization"), self._upstream.api_key
        given = {key: secret if key != "authorization" else f"Bearer {secret}", "content-type": "application/json"}
        async with httpx.AsyncClient(transport=httpx.ASGITransport(self._upstream)) as http:
            url = f"http://upstream{base.rstrip('/')}{outgoing.path}"
            got = await http.post(url, content=outgoing.body, headers={**given, **dict(outgoing.headers)})
        if got.status_code >= 400:
            raise codec.error(got.status_code, got.headers, got.content, target)
        context = Context(target, "chatcmpl-ours", 1_780_000_000, outgoing.memo)
        about = (("X-Provider", row.name),)
        if not parsed.request.get("stream"):
            answer = codec.decode(got.content, context)
            await self.conversations.settle(self.owner, parsed, face, row.name, answer)
            await client.answer(200, about, face.whole(answer))
            return
        await client.begin(about)
        chance, decoder, data = random.Random(len(got.content)), codec.stream(context), got.content
        try:
            while data and not decoder.done:
                size = chance.randrange(1, 200)
                if told := face.events(decoder.feed(data[:size])):
                    await client.write(told)
                data = data[size:]
            if told := face.events(decoder.finish()):
                await client.write(told)
            await self.conversations.settle(self.owner, parsed, face, row.name)
            await client.write(face.end())
        except GatewayError as error:
            await client.write(face.failed(error))
        await client.end()


class _Straight:
    """A client that takes all and hands it on at once."""

    def __init__(self) -> None:
        self.kind = "application/json"
        self.data = b""

    async def answer(self, status: int, headers: Any, body: bytes, kind: str = "application/json") -> None:
        """A complete answer."""
        self.kind, self.data = kind, body

    async def begin(self, headers: Any, kind: str = "text/event-stream") -> None:
        """The head of a stream."""
        self.kind = kind

    async def write(self, data: bytes) -> None:
        """Events."""
        self.data += data

    async def end(self) -> None:
        """The end."""

    async def cut(self) -> None:
        """No end."""


async def _start(send: Any, status: int, kind: str) -> None:
    await send({"type": "http.response.start", "status": status, "headers": [(b"content-type", kind.encode())]})


async def _chained(first: bytes, rest: AsyncIterator[bytes] | None = None) -> AsyncIterator[bytes]:
    yield first
    if rest is not None:
        async for one in rest:
            yield one


def _document(value: Any) -> tuple[str, AsyncIterator[bytes]]:
    return "application/json", _chained(orjson.dumps(value))


def client(bench: Bench) -> AsyncOpenAI:
    """The SDK, asynchronous."""
    http = httpx2.AsyncClient(transport=httpx2.ASGITransport(bench))
    return AsyncOpenAI(api_key="k", base_url="http://gateway/v1", http_client=http, max_retries=0)


def blocking(bench: Bench) -> OpenAI:
    """The SDK, synchronous; each request is a loop of its own, so nothing goes on between two."""

    def answer(request: httpx2.Request) -> httpx2.Response:
        async def ask() -> tuple[int, Any, bytes]:
            async with httpx2.AsyncClient(transport=httpx2.ASGITransport(bench)) as http:
                got = await http.request(
                    request.method, str(request.url), content=request.content, headers=dict(request.headers)
                )
                return got.status_code, got.headers, got.content

        status, headers, body = asyncio.run(ask())
        return httpx2.Response(status, headers=headers, content=body)

    http = httpx2.Client(transport=httpx2.MockTransport(answer))
    return OpenAI(api_key="k", base_url="http://gateway/v1", http_client=http, max_retries=0)
