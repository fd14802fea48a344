"""A stream as a user of the official client receives it: our bytes, its client, its accumulator."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx2
from openai import OpenAI
from openai.lib.streaming.chat import ChatCompletionStreamState

from compatgw.surfaces.chat import render_chunk
from compatgw.wire.sse import DONE, frame

if TYPE_CHECKING:
    from collections.abc import Sequence

    from compatgw.dialects.base import Piece


def read_by_sdk(pieces: Sequence[Piece]) -> dict[str, Any]:
    """The completion that the official client puts together from our events."""
    body = b"".join(frame(data) for piece in pieces if (data := render_chunk(piece)) is not None) + DONE

    def answer(_: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(200, headers={"content-type": "text/event-stream"}, content=body)

    state: ChatCompletionStreamState[None] = ChatCompletionStreamState()
    with (
        httpx2.Client(transport=httpx2.MockTransport(answer)) as http,
        OpenAI(api_key="k", base_url="http://gateway.test/v1", http_client=http) as client,
    ):
        stream = client.chat.completions.create(model="m", messages=[], stream=True)
        for chunk in stream:
            for _ in state.handle_chunk(chunk):
                pass
    return state.current_completion_snapshot.model_dump()
