"""Hub chunks to tell, and requests to tell them to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import orjson

from compatgw.dialects.base import Answer, Piece
from compatgw.surfaces.base import Parsed, View
from compatgw.surfaces.responses import ResponsesFace, parse

if TYPE_CHECKING:
    from compatgw.wire.chat import ChatChunk, ChatCompletion

HEAD = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 5, "model": "up-1"}
USAGE = {
    "prompt_tokens": 7,
    "completion_tokens": 5,
    "total_tokens": 12,
    "prompt_tokens_details": {"cached_tokens": 3},
    "completion_tokens_details": {"reasoning_tokens": 2},
}


def request(**members: Any) -> Parsed:
    """A parsed request."""
    return parse(orjson.dumps({"model": "m", "input": "hi", **members}))


def face(parsed: Parsed | None = None, *, echo: bool = False) -> ResponsesFace:
    """A face with ids that do not change."""
    return ResponsesFace(parsed or request(), View(id="w0rd", created=9, echo=echo))


def piece(delta: Any, finish: str | None = None, logprobs: Any = None) -> Piece:
    """A chunk of one choice."""
    row = {"index": 0, "delta": delta, "logprobs": logprobs, "finish_reason": finish}
    return Piece(cast("ChatChunk", {**HEAD, "choices": [row]}))


def usage(**more: Any) -> Piece:
    """The chunk with the totals."""
    return Piece(cast("ChatChunk", {**HEAD, "choices": [], "usage": {**USAGE, **more}}))


def opener(index: int, name: str = "f", id: str | None = None, **more: Any) -> Piece:
    """The first piece of a call."""
    call = {
        "index": index,
        "id": id or f"call_{index}",
        "type": "function",
        "function": {"name": name, "arguments": ""},
    }
    return piece({"tool_calls": [{**call, **more}]})


def more(index: int, text: str) -> Piece:
    """A further piece of a call."""
    return piece({"tool_calls": [{"index": index, "function": {"arguments": text}}]})


def whole_of(message: Any, finish: str = "stop", **members: Any) -> Answer:
    """A whole answer."""
    said = {"role": "assistant", "content": None, "refusal": None, **message}
    choice = {"index": 0, "message": said, "logprobs": None, "finish_reason": finish}
    completion = {**HEAD, "object": "chat.completion", "choices": [choice], "usage": USAGE, **members}
    return Answer(cast("ChatCompletion", completion))


def told(*pieces: Piece, parsed: Parsed | None = None, one_by_one: bool = True) -> bytes:
    """All bytes of a stream."""
    teller = face(parsed)
    body = b"".join(teller.events([one]) for one in pieces) if one_by_one else teller.events(list(pieces))
    return teller.begin() + body + teller.end()
