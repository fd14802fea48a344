"""Answers for tests, whole and streamed, as the vendor writes them."""

from __future__ import annotations

from typing import Any

import orjson

from compatgw.dialects.base import Context, Piece
from tests.properties.judges import assembled, drive, whole

from .claude_asking import codec, context

Json = dict[str, Any]
USAGE = {"input_tokens": 11, "cache_read_input_tokens": 0, "cache_creation_input_tokens": 0, "output_tokens": 7}


def message(*content: Json, stop: str | None = "end_turn", **members: Any) -> Json:
    """A whole message."""
    return {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude-sonnet-5-5",
        "content": list(content),
        "stop_reason": stop,
        "stop_sequence": None,
        "usage": USAGE,
        **members,
    }


def text(value: str, **more: Any) -> Json:
    """A text block."""
    return {"type": "text", "text": value, **more}


def use(id: str = "toolu_a", name: str = "get_weather", **input: Any) -> Json:
    """A call."""
    return {"type": "tool_use", "id": id, "name": name, "input": input}


def thinking(value: str = "Hm", signature: str = "c2ln") -> Json:
    """A thinking block."""
    return {"type": "thinking", "thinking": value, "signature": signature}


def decoded(body: Json | bytes, asked: Context | None = None) -> Json:
    """The completion, as the SDK reads it."""
    raw = body if isinstance(body, bytes) else orjson.dumps(body)
    return whole(codec().decode(raw, asked or context()))


def answer(*content: Json, asked: Context | None = None, **members: Any) -> Json:
    """The message of the completion."""
    found: Json = decoded(message(*content, **members), asked)["choices"][0]["message"]
    return found


# --- streams ---------------------------------------------------------------------------------


def event(kind: str, **members: Any) -> bytes:
    """One event."""
    return b"event: %s\ndata: %s\n\n" % (kind.encode(), orjson.dumps({"type": kind, **members}))


def start(**members: Any) -> bytes:
    """The first event."""
    return event("message_start", message={**message(stop=None), "usage": {**USAGE, "output_tokens": 1}, **members})


def opened(index: int, block: Json) -> bytes:
    """A block begins."""
    return event("content_block_start", index=index, content_block=block)


def delta(index: int, kind: str, **members: Any) -> bytes:
    """A block goes on."""
    return event("content_block_delta", index=index, delta={"type": kind, **members})


def closed(index: int) -> bytes:
    """A block ends."""
    return event("content_block_stop", index=index)


def texted(index: int, *pieces: str) -> bytes:
    """A text block in pieces."""
    return (
        opened(index, text("")) + b"".join(delta(index, "text_delta", text=piece) for piece in pieces) + closed(index)
    )


def called(index: int, id: str, *fragments: str, name: str = "get_weather") -> bytes:
    """A call in fragments."""
    pieces = (delta(index, "input_json_delta", partial_json=piece) for piece in fragments)
    return opened(index, {"type": "tool_use", "id": id, "name": name, "input": {}}) + b"".join(pieces) + closed(index)


def thought(index: int, *pieces: str, signature: str = "c2ln") -> bytes:
    """A thinking block in pieces, with its signature."""
    deltas = b"".join(delta(index, "thinking_delta", thinking=piece) for piece in pieces)
    return (
        opened(index, thinking("", "")) + deltas + delta(index, "signature_delta", signature=signature) + closed(index)
    )


def ended(stop: str | None = "end_turn", usage: Json | None = None, **members: Any) -> bytes:
    """The last two events."""
    said = {"stop_reason": stop, "stop_sequence": None, **members}
    return event("message_delta", delta=said, usage=usage or {"output_tokens": 7}) + event("message_stop")


def pieces(*parts: bytes, asked: Context | None = None) -> list[Piece]:
    """The chunks of a stream."""
    return drive(codec().stream(asked or context()), parts)


def deltas(*parts: bytes, asked: Context | None = None) -> list[Any]:
    """What each chunk adds, where it adds anything."""
    chunks = (piece.chunk for piece in pieces(*parts, asked=asked))
    return [choice["delta"] for chunk in chunks for choice in chunk["choices"] if choice["delta"]]


def streamed(*parts: bytes, asked: Context | None = None) -> Json:
    """The completion that the SDK's accumulator makes of a stream."""
    return assembled(pieces(*parts, asked=asked))
