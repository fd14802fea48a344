"""Short ways to ask the codecs of images: a request as it would be sent, answers as they would be read."""

from __future__ import annotations

import base64
from typing import Any

import httpx
import orjson
from openai.types import ImagesResponse

from compatgw.dialects.base import Context, Outgoing, Result, Target
from compatgw.dialects.openai import DIALECT
from compatgw.providers.table import PROVIDERS
from compatgw.wire import multipart
from compatgw.wire.multipart import Upload
from compatgw_testing.fakes import FakeOpenAI
from compatgw_testing.fakes.pictures import png

assert DIALECT.images is not None
assert DIALECT.edits is not None
IMAGES, EDITS = DIALECT.images, DIALECT.edits
NEW, OLD = "gpt-image-2", "dall-e-3"
PNG = png("a", 8, 8)
URL = f"data:image/png;base64,{base64.b64encode(PNG).decode()}"
FILE = Upload("image", "a.png", "image/png", len(PNG), PNG)


def at(provider: str = "openai", model: str = NEW, **more: Any) -> Target:
    """A target at one of the providers of the table."""
    return Target(provider, model, PROVIDERS[provider].quirks, **more)


def send(to: Target, codec: Any = IMAGES, **members: Any) -> Outgoing:
    """What is sent for a request, which is left as it was."""
    request = {"model": "asked", "prompt": "a cat", **members}
    before = repr(request)
    outgoing: Outgoing = codec.encode(request, to)
    assert repr(request) == before, "encoding changed its argument"
    return outgoing


def sent(to: Target, **members: Any) -> dict[str, Any]:
    """The JSON that is sent for a request for images."""
    body: dict[str, Any] = orjson.loads(send(to, **members).body)
    return body


def context(to: Target, outgoing: Outgoing | None = None, **memo: Any) -> Context:
    """What a decoder knows of a call."""
    return Context(to, "id", 1_780_000_000, memo or (outgoing.memo if outgoing else {}))


async def asked(fake: FakeOpenAI, outgoing: Outgoing) -> httpx.Response:
    """The fake's answer to what would be sent."""
    headers = {"authorization": f"Bearer {fake.api_key}", "content-type": "application/json"}
    body = outgoing.body
    if outgoing.form is not None:
        assert body == b""
        headers["content-type"] = multipart.content_type("b0undary")
        pieces = multipart.pieces(outgoing.form, "b0undary")
        body = b"".join(piece if isinstance(piece, bytes) else piece.data or b"" for piece in pieces)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(fake), base_url="http://fake/v1") as client:
        return await client.post(outgoing.path, content=body, headers=headers)


async def made(to: Target, codec: Any = IMAGES, **members: Any) -> Result:
    """The images that a strict fake of OpenAI makes of a request, as the SDK's type takes them."""
    outgoing = send(to, codec, **members)
    answer = await asked(FakeOpenAI(), outgoing)
    assert answer.status_code == 200, answer.text
    result: Result = codec.decode(answer.content, context(to, outgoing))
    ImagesResponse.model_validate(result.body, strict=True)
    return result


def decoded(value: Any, **memo: Any) -> Result:
    """The result that an answer becomes."""
    data = value if isinstance(value, bytes) else orjson.dumps(value)
    result: Result = IMAGES.decode(data, context(at(), **memo))
    return result
