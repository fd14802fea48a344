"""Streams written by hand, for what no script can say: events of each dialect as bytes.

What does not live here: what they are for (`regressions.py`).
"""

from __future__ import annotations

import json
from typing import Any

from compatgw_testing.script import Raw

Json = dict[str, Any]
_STREAM = {"content-type": "text/event-stream; charset=utf-8"}
_HEAD = {"id": "chatcmpl-raw1", "object": "chat.completion.chunk", "created": 1_780_272_000, "model": "raw-model"}
_USAGE = {"prompt_tokens": 9, "completion_tokens": 5, "total_tokens": 14}


def dumped(value: object) -> str:
    """Compact JSON."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def openai(*deltas: Json | bytes, finish: str | None = "stop", done: bool = True) -> Raw:
    """OpenAI's chunks: one for each delta, then the finish reason, usage and `[DONE]`; bytes go as they are."""
    pieces = [one if isinstance(one, bytes) else _chunk(one) for one in deltas]
    if finish is not None:
        pieces.append(_chunk({}, finish))
        pieces.append(f"data: {dumped({**_HEAD, 'choices': [], 'usage': _USAGE})}\n\n".encode())
    if done:
        pieces.append(b"data: [DONE]\n\n")
    return Raw(pieces=tuple(pieces), headers=_STREAM)


def _chunk(delta: Json, finish: str | None = None) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return f"data: {dumped({**_HEAD, 'choices': [choice]})}\n\n".encode()


def fragment(arguments: str, *, index: int | None = 0, id: str | None = None, name: str | None = None) -> Json:
    """A delta with a fragment of one tool call; a member that is None is left out."""
    function: Json = {"arguments": arguments}
    call: Json = {"function": function}
    if index is not None:
        call["index"] = index
    if id is not None:
        call |= {"id": id, "type": "function"}
    if name is not None:
        function["name"] = name
    return {"tool_calls": [call]}


def anthropic(*blocks: tuple[Json, tuple[Json, ...]], stop: str = "end_turn", odd: bool = False) -> Raw:
    """Anthropic's events for blocks, each with its deltas.

    Args:
        blocks: The block as it starts, and its deltas.
        stop: The stop reason.
        odd: Events and fields that nobody knows yet stand in between.
    """
    message: Json = {
        "id": "msg_raw1",
        "type": "message",
        "role": "assistant",
        "model": "raw-model",
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": {"input_tokens": 9, "output_tokens": 1},
    }
    events: list[Json] = [{"type": "message_start", "message": message}, {"type": "ping"}]
    for index, (start, deltas) in enumerate(blocks):
        events.append({"type": "content_block_start", "index": index, "content_block": start})
        if odd:
            events.append({"type": "weather_report", "index": index, "sunny": True})
        events += [{"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas]
        events.append({"type": "content_block_stop", "index": index})
    ending = {"stop_reason": stop, "stop_sequence": None}
    events.append({"type": "message_delta", "delta": ending, "usage": {"output_tokens": 5}})
    events.append({"type": "message_stop"})
    lines = [f"event: {one['type']}\ndata: {dumped(one)}\n\n".encode() for one in events]
    return Raw(pieces=tuple(lines), headers=_STREAM)


def gemini(*parts: list[Json] | None, finish: str | None = "STOP") -> Raw:
    """Gemini's events: one for each list of parts (None: no content at all), the last with the finish reason."""
    lines = []
    for number, given in enumerate(parts):
        content: Json = {"role": "model"} if given is None else {"role": "model", "parts": given}
        candidate: Json = {"content": content, "index": 0}
        if number == len(parts) - 1 and finish is not None:
            candidate["finishReason"] = finish
        usage = {"promptTokenCount": 9, "candidatesTokenCount": 5, "totalTokenCount": 14}
        value = {
            "candidates": [candidate],
            "usageMetadata": usage,
            "modelVersion": "gemini-2.5-flash",
            "responseId": "raw1",
        }
        lines.append(f"data: {dumped(value)}\r\n\r\n".encode())
    return Raw(pieces=tuple(lines), headers={"content-type": "text/event-stream"})
