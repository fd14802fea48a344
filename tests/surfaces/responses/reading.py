"""Streams and bodies as the official client reads them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx2
from openai import OpenAI

if TYPE_CHECKING:
    from openai.types.responses import ParsedResponse, ResponseStreamEvent


def stream_client(body: bytes) -> OpenAI:
    """A client that gets this stream, whatever it asks."""

    def answer(_: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(200, headers={"content-type": "text/event-stream"}, content=body)

    http = httpx2.Client(transport=httpx2.MockTransport(answer))
    return OpenAI(api_key="k", base_url="http://gateway.test/v1", http_client=http, max_retries=0)


def accumulated(body: bytes) -> dict[str, Any]:
    """The final response that the client's accumulator makes of a stream.

    The accumulator only knows `response.completed`; of an incomplete one the last event is taken.
    """
    with stream_client(body) as client, client.responses.stream(model="m", input="x") as stream:
        last: Any = None
        for event in stream:
            last = event
        if last.type != "response.completed":
            found: dict[str, Any] = last.response.model_dump()
            return found
        final: ParsedResponse[None] = stream.get_final_response()
        return final.model_dump()


def raw_events(body: bytes) -> list[ResponseStreamEvent]:
    """The events of `responses.create(stream=True)`."""
    with stream_client(body) as client, client.responses.create(model="m", input="x", stream=True) as stream:
        return list(stream)
