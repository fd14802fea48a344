"""A gateway that asks its upstream something else, and says the same whatever comes; of each surface a good answer.

What does not live here: gateways that lose something (`gateways.py`).
"""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

from tests.testing.matrix.bending import written
from tests.testing.matrix.gateways import make

Json = dict[str, Any]
WORDS = "Numb."


def once(raw: bytes) -> Callable[[], Awaitable[Any]]:
    """A `receive` that gives one body, and then waits as for a client that stays."""
    given = [raw]

    async def receive() -> Any:
        if not given:
            await asyncio.Event().wait()
        return {"type": "http.request", "body": given.pop(), "more_body": False}

    return receive


async def unheard(_: Any) -> None:
    """A `send` that nobody hears."""


def numb(fakes: Any) -> Any:
    """The gateway: its upstream hears of another thing, and the client always the same."""
    gateway = make(fakes)

    async def app(scope: Any, receive: Any, send: Any) -> None:
        asked = json.loads((await receive())["body"])
        other = {"model": asked["model"], **_OTHER[scope["path"]]}
        await gateway(scope, once(json.dumps(other).encode()), unheard)
        await _send(send, scope["path"], bool(asked.get("stream")))

    return app


async def constant(scope: Any, receive: Any, send: Any) -> None:
    """A gateway without upstreams, which gives a good answer."""
    asked = json.loads((await receive())["body"])
    await _send(send, scope["path"], bool(asked.get("stream")))


async def _send(send: Any, path: str, streams: bool) -> None:
    kind = b"text/event-stream" if streams else b"application/json"
    raw = _ANSWERS[path](streams)
    headers = [(b"content-type", kind), (b"request-id", b"req_1")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": raw})


def _chat(streams: bool) -> bytes:
    head = {"id": "chatcmpl-1", "created": 1, "model": "m"}
    said = {"role": "assistant", "content": WORDS}
    usage = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
    if not streams:
        choice = {"index": 0, "message": said, "finish_reason": "stop"}
        return json.dumps({**head, "object": "chat.completion", "choices": [choice], "usage": usage}).encode()
    choices = ([{"index": 0, "delta": said}], [{"index": 0, "delta": {}, "finish_reason": "stop"}])
    chunks: list[Json] = [{**head, "object": "chat.completion.chunk", "choices": one} for one in choices]
    chunks.append({**head, "object": "chat.completion.chunk", "choices": [], "usage": usage})
    return b"".join(b"data: " + json.dumps(one).encode() + b"\n\n" for one in chunks) + b"data: [DONE]\n\n"


def _messages(streams: bool) -> bytes:
    usage = {"input_tokens": 1, "output_tokens": 1}
    empty: Json = {"id": "msg_1", "type": "message", "role": "assistant", "model": "m", "usage": usage, "content": []}
    end = {"stop_reason": "end_turn", "stop_sequence": None}
    if not streams:
        return json.dumps({**empty, **end, "content": [{"type": "text", "text": WORDS}]}).encode()
    message = {**empty, "stop_reason": None, "stop_sequence": None}
    return written(
        [
            {"type": "message_start", "message": message},
            {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
            {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": WORDS}},
            {"type": "content_block_stop", "index": 0},
            {"type": "message_delta", "delta": end, "usage": {"output_tokens": 1}},
            {"type": "message_stop"},
        ]
    )


def _responses(streams: bool) -> bytes:
    part: Json = {"type": "output_text", "text": WORDS, "annotations": []}
    item: Json = {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed", "content": [part]}
    usage = {
        "input_tokens": 1,
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens": 1,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": 2,
    }
    response: Json = {
        "id": "resp_1",
        "object": "response",
        "created_at": 1,
        "model": "m",
        "status": "completed",
        "error": None,
        "incomplete_details": None,
        "output": [item],
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        "usage": usage,
    }
    if not streams:
        return json.dumps(response).encode()
    begun = {**response, "status": "in_progress", "output": [], "usage": None}
    at = {"item_id": "msg_1", "output_index": 0, "content_index": 0}
    kind = "response.output_text"
    events: list[Json] = [
        {"type": "response.created", "response": begun},
        {"type": "response.in_progress", "response": begun},
        {
            "type": "response.output_item.added",
            "output_index": 0,
            "item": {**item, "status": "in_progress", "content": []},
        },
        {"type": "response.content_part.added", **at, "part": {**part, "text": ""}},
        {"type": f"{kind}.delta", **at, "delta": WORDS, "logprobs": []},
        {"type": f"{kind}.done", **at, "text": WORDS, "logprobs": []},
        {"type": "response.content_part.done", **at, "part": part},
        {"type": "response.output_item.done", "output_index": 0, "item": item},
        {"type": "response.completed", "response": response},
    ]
    return written([{**one, "sequence_number": number} for number, one in enumerate(events)])


_ASKED = "Quite another thing."
_OTHER: dict[str, Json] = {
    "/v1/chat/completions": {"messages": [{"role": "user", "content": _ASKED}]},
    "/v1/messages": {"max_tokens": 99, "messages": [{"role": "user", "content": _ASKED}]},
    "/v1/responses": {"input": _ASKED},
}
_ANSWERS: dict[str, Callable[[bool], bytes]] = {
    "/v1/chat/completions": _chat,
    "/v1/messages": _messages,
    "/v1/responses": _responses,
}
