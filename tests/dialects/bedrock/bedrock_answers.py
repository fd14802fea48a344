"""Answers for tests, whole and streamed, as the service writes them."""

from __future__ import annotations

import struct
import zlib
from typing import Any

import orjson

from compatgw.dialects.base import Context, Piece
from tests.properties.judges import assembled, drive, whole

from .bedrock_asking import codec, context

Json = dict[str, Any]
USAGE = {"inputTokens": 11, "outputTokens": 7, "totalTokens": 18}


def body(*content: Json, stop: Any = "end_turn", **members: Any) -> Json:
    """A whole answer."""
    return {
        "output": {"message": {"role": "assistant", "content": list(content)}},
        "stopReason": stop,
        "usage": USAGE,
        "metrics": {"latencyMs": 1},
        **members,
    }


def use(id: str = "tooluse_a", name: str = "get_weather", **input: Any) -> Json:
    """A call."""
    return {"toolUse": {"toolUseId": id, "name": name, "input": input}}


def thought(text: str = "Hm", signature: str = "c2ln") -> Json:
    """Reasoning."""
    return {"reasoningContent": {"reasoningText": {"text": text, "signature": signature}}}


def decoded(value: Json | bytes, asked: Context | None = None) -> Json:
    """The completion, as the SDK reads it."""
    raw = value if isinstance(value, bytes) else orjson.dumps(value)
    return whole(codec().decode(raw, asked or context()))


def answer(*content: Json, asked: Context | None = None, **members: Any) -> Json:
    """The message of the completion."""
    found: Json = decoded(body(*content, **members), asked)["choices"][0]["message"]
    return found


# --- streams ---------------------------------------------------------------------------------


def framed(headers: dict[str, str], payload: bytes) -> bytes:
    """One message of an event stream."""
    head = b"".join(
        bytes([len(name)]) + name.encode() + b"\x07" + struct.pack(">H", len(value)) + value.encode()
        for name, value in headers.items()
    )
    start = struct.pack(">II", 16 + len(head) + len(payload), len(head))
    data = start + struct.pack(">I", zlib.crc32(start)) + head + payload
    return data + struct.pack(">I", zlib.crc32(data))


def event(name: str, **members: Any) -> bytes:
    """One event."""
    return framed({":event-type": name, ":message-type": "event"}, orjson.dumps(members))


def exception(name: str, message: str = "no") -> bytes:
    """A failure within a stream."""
    return framed({":exception-type": name, ":message-type": "exception"}, orjson.dumps({"message": message}))


def delta(index: int, **members: Any) -> bytes:
    """A block goes on."""
    return event("contentBlockDelta", contentBlockIndex=index, delta=members)


def opened(index: int, **start: Any) -> bytes:
    """A block begins."""
    return event("contentBlockStart", contentBlockIndex=index, start=start)


def closed(index: int) -> bytes:
    """A block ends."""
    return event("contentBlockStop", contentBlockIndex=index)


START = event("messageStart", role="assistant")
STOP = event("messageStop", stopReason="end_turn")
TOTALS = event("metadata", usage=USAGE, metrics={"latencyMs": 1})


def pieces(*parts: bytes, asked: Context | None = None, stop: str = "end_turn") -> list[Piece]:
    """What the decoder makes of `parts`, with a beginning and an end round them."""
    stream = codec().stream(asked or context())
    return drive(stream, [START, *parts, event("messageStop", stopReason=stop), TOTALS])


def streamed(*parts: bytes, asked: Context | None = None, stop: str = "end_turn") -> Json:
    """The completion that the SDK's accumulator puts together."""
    return assembled(pieces(*parts, asked=asked, stop=stop))
