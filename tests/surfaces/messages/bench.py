"""What the surface is tried on: a real gateway over fakes, the bare surface where the gateway would take another way.

What does not live here: tests.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any, NamedTuple

import anthropic
import httpx
import httpx2
import orjson

from compatgw.dialects.base import Codec, Context, Dialect, Leftovers, Result, Target
from compatgw.dialects.table import DIALECTS
from compatgw.errors import GatewayError
from compatgw.providers.table import PROVIDERS
from compatgw.surfaces.base import Parsed, Surface, View
from compatgw.surfaces.messages import COUNT_TOKENS, MESSAGES
from compatgw.wire.messages import HEADERS
from compatgw_testing.harness import KEY

MODELS = {
    "openai": "gpt-4o-mini",
    "anthropic": "claude-sonnet-5",
    "gemini": "gemini-2.5-flash",
    "cohere": "command-a-03-2025",
}
_KEYS = {"anthropic": "x-api-key", "gemini": "x-goog-api-key"}
PATHS = {"/v1/messages": MESSAGES, "/v1/messages/count_tokens": COUNT_TOKENS}


class Scene(NamedTuple):
    """One upstream protocol behind the surface.

    Attributes:
        name: The protocol.
        model: What a client asks for.
        app: An ASGI application.
        fake: The upstream.
        native: Requests go to it as they came.
    """

    name: str
    model: str
    app: Any
    fake: Any
    native: bool = False


class Bench:
    """An ASGI application: `POST /v1/messages` over one upstream, without the rest of the gateway.

    Args:
        name: The upstream's dialect, whose provider is called the same.
        upstream: Its application.
        view: What faces know of the gateway.
        native: Requests go as they came where the upstream speaks their protocol.
    """

    def __init__(self, name: str, upstream: Any, *, view: View | None = None, native: bool = True) -> None:
        self._model = MODELS[name]
        self._name = name
        self._upstream = upstream
        self._dialect: Dialect = DIALECTS[name]
        self._view = view or View("word", 1_780_000_000)
        self._native = native

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """The application."""
        if scope["type"] == "lifespan":
            while True:
                message = await receive()
                await send({"type": f"{message['type']}.complete"})
                if message["type"] == "lifespan.shutdown":
                    return
        body = b""
        while True:
            message = await receive()
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
        headers = {name.decode().lower(): value.decode() for name, value in scope["headers"]}
        surface = PATHS[scope["path"]]
        try:
            status, kind, data = await self._answer(surface, headers, body)
        except GatewayError as error:
            status, kind, data = error.status, "application/json", orjson.dumps(surface.envelope(error))
        await send(
            {"type": "http.response.start", "status": status, "headers": [(b"content-type", kind.encode())]},
        )
        await send({"type": "http.response.body", "body": data})

    async def _answer(self, surface: Surface, headers: Mapping[str, str], body: bytes) -> tuple[int, str, bytes]:
        parsed = surface.parse(body)
        row = PROVIDERS[self._name]
        target = Target(row.title, self._model, row.quirks)
        codec, asked = self._codec(parsed, headers, target)
        if surface is COUNT_TOKENS and asked is parsed.request:
            return 200, "application/json", surface.face(parsed, self._view).whole(Result({"input_tokens": 17}))
        outgoing = codec.encode(asked, target)
        base = "/" + row.base_url.partition("://")[2].partition("/")[2]
        key = _KEYS.get(self._name, "authorization")
        secret = self._upstream.api_key
        given = {key: secret if key != "authorization" else f"Bearer {secret}", "content-type": "application/json"}
        transport = httpx.ASGITransport(self._upstream)
        async with httpx.AsyncClient(transport=transport) as http:
            url = f"http://upstream{base.rstrip('/')}{outgoing.path}"
            got = await http.post(url, content=outgoing.body, headers={**given, **dict(outgoing.headers)})
        if got.status_code >= 400:
            raise codec.error(got.status_code, got.headers, got.content, target)
        context = Context(target, "chatcmpl-ours", 1_780_000_000, outgoing.memo)
        face = surface.face(parsed, self._view)
        if not orjson.loads(body).get("stream"):
            return 200, "application/json", face.whole(codec.decode(got.content, context))
        return 200, face.stream_type, _streamed(codec, context, face, got.content)

    def _codec(self, parsed: Parsed, headers: Mapping[str, str], target: Target) -> tuple[Codec[Any, Any], Any]:
        native = parsed.native
        if native is not None and self._native and native.surface in self._dialect.native:
            given = tuple((name, headers[name]) for name in HEADERS if name in headers)
            return self._dialect.native[native.surface], native._replace(headers=given)
        left_out(parsed, Leftovers(target))
        assert self._dialect.chat is not None
        return self._dialect.chat, parsed.request


def _streamed(codec: Codec[Any, Any], context: Context, face: Any, body: bytes) -> bytes:
    """The stream as the client gets it, of an upstream's bytes that come in odd pieces."""
    chance = random.Random(len(body))
    out = [face.begin()]
    decoder = codec.stream(context)
    try:
        while body and not decoder.done:
            size = chance.randrange(1, 80)
            out.append(face.events(decoder.feed(body[:size])))
            body = body[size:]
        out += [face.events(decoder.finish()), face.end()]
    except GatewayError as error:
        out.append(face.failed(error))
    return b"".join(out)


def left_out(parsed: Parsed, left: Leftovers) -> list[str]:
    """What an upstream of another protocol does not get; a refusal where the policy has it."""
    for one in parsed.native.foreign if parsed.native is not None else ():
        if one.semantic:
            left.semantic(one.name, one.value, one.param, one.why)
        else:
            left.hint(one.name, one.value)
    return left.dropped


def client(app: Any, **options: Any) -> anthropic.AsyncAnthropic:
    """The SDK's client of an application, in process."""
    http = httpx2.AsyncClient(transport=httpx2.ASGITransport(app))
    return anthropic.AsyncAnthropic(
        api_key=KEY, base_url="http://gateway.test", max_retries=0, http_client=http, **options
    )


def read(events: bytes) -> list[dict[str, Any]]:
    """The events of a stream, by their data; their names say the same."""
    found = []
    for frame in events.split(b"\n\n")[:-1]:
        name, _, data = frame.partition(b"\n")
        value = orjson.loads(data.removeprefix(b"data: "))
        assert name == b"event: " + value["type"].encode()
        found.append(value)
    return found
