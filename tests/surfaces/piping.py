"""A bench for surfaces whose answers come whole: bytes in, through a codec to an upstream in process, bytes out."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import httpx
import orjson

from compatgw.dialects import batches
from compatgw.dialects.base import Context, Target
from compatgw.dialects.table import DIALECTS
from compatgw.errors import GatewayError
from compatgw.providers.table import PROVIDERS
from compatgw.surfaces.base import View

if TYPE_CHECKING:
    from compatgw.dialects.base import MediaCodec, Outgoing, Result
    from compatgw.surfaces.base import Surface


class Pipe:
    """An ASGI application with one endpoint, whose answers are an upstream's.

    Attributes:
        sent: What went to the upstream.
        results: What the codec made of its answers.
    """

    def __init__(
        self, surface: Surface, provider: str, app: Any, *, key: str = "test-key", model: str = "", **row_: Any
    ) -> None:
        self.surface = surface
        row = replace(PROVIDERS[provider], **row_)
        self._row, self._app, self._key, self._model = row, app, key, model
        codec: MediaCodec | None = getattr(DIALECTS[row.dialect], surface.codec)
        assert codec is not None
        self.codec = codec
        self.sent: list[Outgoing] = []
        self.results: list[Result] = []
        self.echo = False

    @property
    def bodies(self) -> list[Any]:
        """The bodies that went to the upstream."""
        return [orjson.loads(one.body) for one in self.sent]

    async def ask(self, body: bytes) -> tuple[int, bytes]:
        """Status and body of the answer to `body`."""
        try:
            parsed = self.surface.parse(body)
            model = self._model or parsed.request["model"].removeprefix(f"{self._row.name}/")
            target = Target(self._row.name, model, self._row.quirks)
            parts = batches.split(parsed.request, batches.most(self.codec, target)) if "input" in parsed.request else []
            results = [await self._call(part, target) for part in parts or [parsed.request]]
            result = batches.join(results)
            self.results.append(result)
            return 200, self.surface.face(parsed, View("new", 1_780_000_000, self.echo)).whole(result)
        except GatewayError as error:
            return error.status, orjson.dumps(self.surface.envelope(error))

    async def tell(self, **members: Any) -> tuple[int, Any]:
        """The same with JSON on both sides."""
        status, body = await self.ask(orjson.dumps(members))
        return status, orjson.loads(body)

    async def _call(self, request: Any, target: Target) -> Result:
        outgoing = self.codec.encode(request, target)
        self.sent.append(outgoing)
        name, scheme = {"x-goog-api-key": ("x-goog-api-key", "")}.get(self._row.auth, ("authorization", "Bearer "))
        headers = {"content-type": "application/json", name: scheme + self._key, **dict(outgoing.headers)}
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app=self._app)) as client:
            url = self._row.base_url + outgoing.path
            answer = await client.request(outgoing.method, url, content=outgoing.body, headers=headers)
        if answer.status_code >= 400:
            raise self.codec.error(answer.status_code, dict(answer.headers), answer.content, target)
        context = Context(target, id="ours", created=1_780_000_000, memo=outgoing.memo)
        return self.codec.decode(answer.content, context)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """The ASGI application."""
        if scope["type"] != "http":
            return
        body = b""
        more = True
        while more:
            message = await receive()
            body += message.get("body", b"")
            more = message.get("more_body", False)
        status, answer = await self.ask(body)
        head = [(b"content-type", b"application/json")]
        await send({"type": "http.response.start", "status": status, "headers": head})
        await send({"type": "http.response.body", "body": answer})
