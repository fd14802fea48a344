"""Short ways to ask the codec: a request as it would be sent, an answer and a stream as they would be read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import orjson

from compatgw.dialects.base import ChatCodec, Context, Quirks, Target
from compatgw.dialects.openai import DIALECT

if TYPE_CHECKING:
    from collections.abc import Iterable

    from compatgw.dialects.base import Outgoing, Piece, Policy
    from compatgw.wire.chat import ChatRequest

assert DIALECT.chat is not None
CODEC: ChatCodec = DIALECT.chat
HI = [{"role": "user", "content": "Hi"}]
TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}
OTHER = {"type": "function", "function": {"name": "g", "parameters": {"type": "object"}}}
HEAD: dict[str, Any] = {"id": "c-1", "object": "chat.completion.chunk", "created": 7, "model": "m-1"}


def target(quirks: Quirks | None = None, model: str = "m", unsupported: Policy = "hints", **more: Any) -> Target:
    """A target at a provider called Vendor."""
    return Target(provider="Vendor", model=model, quirks=quirks or Quirks(), unsupported=unsupported, **more)


def encode(request: dict[str, Any], to: Target | None = None) -> Outgoing:
    """What is sent for `request`, which must come out as it went in."""
    request = {"model": "asked", "messages": HI, **request}
    before = orjson.dumps(request)
    try:
        return CODEC.encode(cast("ChatRequest", request), to or target())
    finally:
        assert orjson.dumps(request) == before, "encoding changed its argument"


def body(request: dict[str, Any], to: Target | None = None) -> dict[str, Any]:
    """The body that is sent for `request`."""
    sent: dict[str, Any] = orjson.loads(encode(request, to).body)
    return sent


def history(messages: list[Any], quirks: Quirks | None = None) -> list[dict[str, Any]]:
    """The messages that are sent."""
    sent: list[dict[str, Any]] = body({"messages": messages}, target(quirks))["messages"]
    return sent


def context(quirks: Quirks | None = None) -> Context:
    """What a decoder knows of its call."""
    return Context(target(quirks), id="chatcmpl-ours", created=1_780_000_000)


def decode(value: Any, quirks: Quirks | None = None) -> dict[str, Any]:
    """The completion that an answer, given as JSON or as bytes, becomes."""
    data = value if isinstance(value, bytes) else orjson.dumps(value)
    return cast("dict[str, Any]", CODEC.decode(data, context(quirks)).completion)


def answer(message: dict[str, Any], finish: Any = "stop", **more: Any) -> dict[str, Any]:
    """A plain answer with one choice."""
    choice = {
        "index": 0,
        "message": {"role": "assistant", **message},
        "finish_reason": finish,
        **more.pop("choice", {}),
    }
    return {"id": "c-1", "object": "chat.completion", "created": 7, "model": "m-1", "choices": [choice], **more}


def message(value: dict[str, Any], finish: Any = "stop", **more: Any) -> dict[str, Any]:
    """The message that a plain answer becomes."""
    found: dict[str, Any] = decode(answer(value, finish, **more))["choices"][0]["message"]
    return found


def chunk(delta: dict[str, Any] | None = None, finish: Any = None, index: int = 0, **more: Any) -> dict[str, Any]:
    """A chunk with one choice."""
    choice = {"index": index, "delta": delta or {}, "finish_reason": finish, **more.pop("choice", {})}
    return {**HEAD, "choices": [choice], **more}


ROLE = chunk({"role": "assistant", "content": ""})
STOP = chunk({}, "stop")


def sse(*events: Any, done: bool = True) -> bytes:
    """Events as bytes: dicts as JSON, strings as they are."""
    lines = [event if isinstance(event, str) else f"data: {orjson.dumps(event).decode()}" for event in events]
    return "".join(f"{line}\n\n" for line in [*lines, *(["data: [DONE]"] if done else [])]).encode()


def read(data: bytes | Iterable[bytes], quirks: Quirks | None = None) -> list[Piece]:
    """All chunks of a stream."""
    decoder = CODEC.stream(context(quirks))
    pieces: list[Piece] = []
    for part in [data] if isinstance(data, bytes) else data:
        pieces += decoder.feed(part)
    return pieces + decoder.finish()


def deltas(pieces: list[Piece], index: int = 0) -> list[dict[str, Any]]:
    """What the chunks add to one choice."""
    found = [c for piece in pieces for c in piece.chunk["choices"] if c["index"] == index]
    return [cast("dict[str, Any]", choice["delta"]) for choice in found]


def finish(pieces: list[Piece]) -> str | None:
    """The finish reason of the first choice."""
    found = [c["finish_reason"] for piece in pieces for c in piece.chunk["choices"] if c["finish_reason"]]
    return found[0] if found else None


def joined(pieces: list[Piece], name: str) -> str:
    """A member of all deltas, joined as clients do."""
    return "".join(delta.get(name) or "" for delta in deltas(pieces))


DECODING = context()
