"""Small independent writers of abstract answers, as each vendor would write them: whole and streamed.

They are written from the vendors' documents, know nothing of the translators, and do not
try to be complete. `END` tells which event makes a stream whole.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import orjson

from .answers import Abstract


@dataclass(frozen=True, slots=True)
class Event:
    """One event: its `event:` name, or None, and the value of its data (bytes: as they are)."""

    value: Any
    name: str | None = None

    def write(self, newline: bytes = b"\n") -> bytes:
        """The event as bytes, with its blank line."""
        data = self.value if isinstance(self.value, bytes) else orjson.dumps(self.value)
        head = b"event: " + self.name.encode() + newline if self.name else b""
        return head + b"data: " + data + newline * 2


@dataclass(frozen=True, slots=True)
class Frame(Event):
    """An event in a frame of its own length, as AWS writes them; it has no lines."""

    def write(self, newline: bytes = b"\n") -> bytes:
        """The event as bytes."""
        payload = self.value if isinstance(self.value, bytes) else orjson.dumps(self.value)
        pairs = {":event-type": self.name or "", ":message-type": "event", ":content-type": "application/json"}
        head = b"".join(
            bytes([len(name)]) + name.encode() + b"\x07" + len(value).to_bytes(2, "big") + value.encode()
            for name, value in pairs.items()
        )
        start = (16 + len(head) + len(payload)).to_bytes(4, "big") + len(head).to_bytes(4, "big")
        data = start + zlib.crc32(start).to_bytes(4, "big") + head + payload
        return data + zlib.crc32(data).to_bytes(4, "big")


@dataclass(frozen=True, slots=True)
class Renderer:
    """How one vendor writes answers.

    Attributes:
        whole: A plain body.
        stream: The events of a stream.
        last: Index, from the end, of the event without which a stream is not whole.
        unknown: An event that a newer server might send.
        comment: What may stand between two events and means nothing.
    """

    dialect: str
    whole: Callable[[Abstract], dict[str, Any]]
    stream: Callable[[Abstract], list[Event]]
    last: int
    unknown: Event | None
    gives_ids: bool = True
    comment: bytes = b": keep-alive\n\n"


# --- OpenAI ----------------------------------------------------------------------------------


def _openai_usage(answer: Abstract) -> dict[str, Any]:
    return {
        "prompt_tokens": answer.prompt,
        "completion_tokens": answer.completion,
        "total_tokens": answer.prompt + answer.completion,
        "prompt_tokens_details": {"cached_tokens": answer.cached},
    }


def openai_whole(answer: Abstract) -> dict[str, Any]:
    """A chat completion."""
    message: dict[str, Any] = {"role": "assistant", "content": "".join(answer.text) or None, "refusal": None}
    if answer.reasoning:
        message["reasoning_content"] = "".join(answer.reasoning)
    if answer.calls:
        message["tool_calls"] = [
            {"id": c.id, "type": "function", "function": {"name": c.name, "arguments": c.arguments}}
            for c in answer.calls
        ]
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 7,
        "model": "m-1",
        "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": answer.finish}],
        "usage": _openai_usage(answer),
    }


def openai_stream(answer: Abstract) -> list[Event]:
    """Chunks, and the end mark."""
    deltas: list[dict[str, Any]] = [{"role": "assistant", "content": ""}]
    deltas += [{"reasoning_content": piece} for piece in answer.reasoning]
    deltas += [{"content": piece} for piece in answer.text]
    for index, call in enumerate(answer.calls):
        opener = {
            "index": index,
            "id": call.id,
            "type": "function",
            "function": {"name": call.name, "arguments": ""},
        }
        deltas.append({"tool_calls": [opener]})
        deltas += [{"tool_calls": [{"index": index, "function": {"arguments": f}}]} for f in call.fragments]
    frame = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 7, "model": "m-1"}
    ends = [*((delta, None) for delta in deltas), ({}, answer.finish)]
    choices = [[{"index": 0, "delta": d, "logprobs": None, "finish_reason": reason}] for d, reason in ends]
    return [
        *(Event({**frame, "choices": choice, "usage": None}) for choice in choices),
        Event({**frame, "choices": [], "usage": _openai_usage(answer)}),
        Event(b"[DONE]"),
    ]


# --- Anthropic -------------------------------------------------------------------------------


def _anthropic_usage(answer: Abstract) -> dict[str, Any]:
    return {
        "input_tokens": answer.prompt - answer.cached,
        "cache_read_input_tokens": answer.cached,
        "cache_creation_input_tokens": 0,
        "output_tokens": answer.completion,
    }


def _anthropic_stop(answer: Abstract) -> str:
    return {"stop": "end_turn", "length": "max_tokens", "tool_calls": "tool_use"}[answer.finish]


def anthropic_whole(answer: Abstract) -> dict[str, Any]:
    """A message."""
    content: list[dict[str, Any]] = []
    if answer.reasoning:
        content.append({"type": "thinking", "thinking": "".join(answer.reasoning), "signature": "c2ln"})
    if answer.text:
        content.append({"type": "text", "text": "".join(answer.text)})
    content += [
        {"type": "tool_use", "id": c.id, "name": c.name, "input": orjson.loads(c.arguments)} for c in answer.calls
    ]
    return {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "m-1",
        "content": content,
        "stop_reason": _anthropic_stop(answer),
        "stop_sequence": None,
        "usage": _anthropic_usage(answer),
    }


def anthropic_stream(answer: Abstract) -> list[Event]:
    """The events of a message."""
    blocks: list[tuple[dict[str, Any], list[dict[str, Any]]]] = []
    if answer.reasoning:
        deltas = [{"type": "thinking_delta", "thinking": piece} for piece in answer.reasoning]
        deltas.append({"type": "signature_delta", "signature": "c2ln"})
        blocks.append(({"type": "thinking", "thinking": "", "signature": ""}, deltas))
    if answer.text:
        blocks.append(({"type": "text", "text": ""}, [{"type": "text_delta", "text": piece} for piece in answer.text]))
    for call in answer.calls:
        deltas = [{"type": "input_json_delta", "partial_json": fragment} for fragment in ("", *call.fragments)]
        blocks.append(({"type": "tool_use", "id": call.id, "name": call.name, "input": {}}, deltas))
    start = {**anthropic_whole(answer), "content": [], "stop_reason": None}
    start["usage"] = {**start["usage"], "output_tokens": 1}
    events: list[dict[str, Any]] = [{"type": "message_start", "message": start}, {"type": "ping"}]
    for index, (block, deltas) in enumerate(blocks):
        events.append({"type": "content_block_start", "index": index, "content_block": block})
        events += [{"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas]
        events.append({"type": "content_block_stop", "index": index})
    stop = {"stop_reason": _anthropic_stop(answer), "stop_sequence": None}
    events.append({"type": "message_delta", "delta": stop, "usage": {"output_tokens": answer.completion}})
    events.append({"type": "message_stop"})
    return [Event(event, event["type"]) for event in events]


# --- Gemini ----------------------------------------------------------------------------------


def _gemini(parts: list[dict[str, Any]], finish: str | None, answer: Abstract) -> dict[str, Any]:
    usage: dict[str, Any] = {
        "promptTokenCount": answer.prompt,
        "candidatesTokenCount": answer.completion,
        "totalTokenCount": answer.prompt + answer.completion,
    }
    if answer.cached:  # values that are 0 are not written there
        usage["cachedContentTokenCount"] = answer.cached
    candidate: dict[str, Any] = {"content": {"role": "model", "parts": parts}, "index": 0}
    if finish:
        candidate["finishReason"] = finish
    return {"candidates": [candidate], "usageMetadata": usage, "modelVersion": "m-1", "responseId": "beHB"}


def _gemini_calls(answer: Abstract) -> list[dict[str, Any]]:
    # Arguments that are empty are left out there.
    values = [(call.name, orjson.loads(call.arguments)) for call in answer.calls]
    return [{"functionCall": {"name": name, **({"args": value} if value else {})}} for name, value in values]


def gemini_whole(answer: Abstract) -> dict[str, Any]:
    """One response."""
    thoughts = [{"text": "".join(answer.reasoning), "thought": True}] if answer.reasoning else []
    texts = [{"text": "".join(answer.text)}] if answer.text else []
    finish = "MAX_TOKENS" if answer.cut_short else "STOP"
    return _gemini([*thoughts, *texts, *_gemini_calls(answer)], finish, answer)


def gemini_stream(answer: Abstract) -> list[Event]:
    """Responses that each hold what is new, and the totals so far."""
    parts = [{"text": piece, "thought": True} for piece in answer.reasoning]
    parts += [{"text": piece} for piece in answer.text]
    parts += _gemini_calls(answer)
    finish = "MAX_TOKENS" if answer.cut_short else "STOP"
    return [
        *(Event(_gemini([part], None, answer)) for part in parts),
        Event(_gemini([{"text": ""}], finish, answer)),
    ]


# --- Cohere ----------------------------------------------------------------------------------


def _cohere_usage(answer: Abstract) -> dict[str, Any]:
    tokens = {"input_tokens": float(answer.prompt), "output_tokens": float(answer.completion)}
    return {
        "billed_units": {"input_tokens": 1.0, "output_tokens": 1.0},
        "tokens": tokens,
        "cached_tokens": answer.cached,
    }


def _cohere_finish(answer: Abstract) -> str:
    return {"stop": "COMPLETE", "length": "MAX_TOKENS", "tool_calls": "TOOL_CALL"}[answer.finish]


def cohere_whole(answer: Abstract) -> dict[str, Any]:
    """A version 2 answer."""
    content = [{"type": "thinking", "thinking": "".join(answer.reasoning)}] if answer.reasoning else []
    content += [{"type": "text", "text": "".join(answer.text)}] if answer.text else []
    message: dict[str, Any] = {"role": "assistant", **({"content": content} if content else {})}
    if answer.calls:
        message["tool_calls"] = [
            {"id": c.id, "type": "function", "function": {"name": c.name, "arguments": c.arguments}}
            for c in answer.calls
        ]
    return {"id": "c9", "finish_reason": _cohere_finish(answer), "message": message, "usage": _cohere_usage(answer)}


def cohere_stream(answer: Abstract) -> list[Event]:
    """The events of a message."""
    events: list[dict[str, Any]] = [
        {"type": "message-start", "id": "c9", "delta": {"message": {"role": "assistant", "content": []}}}
    ]
    items = [(kind, texts) for kind, texts in (("thinking", answer.reasoning), ("text", answer.text)) if texts]
    for index, (kind, texts) in enumerate(items):
        first = {"message": {"content": {"type": kind, kind: ""}}}
        events.append({"type": "content-start", "index": index, "delta": first})
        events += [
            {"type": "content-delta", "index": index, "delta": {"message": {"content": {kind: text}}}} for text in texts
        ]
        events.append({"type": "content-end", "index": index})
    for index, call in enumerate(answer.calls):
        opener = {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": ""}}
        events.append({"type": "tool-call-start", "index": index, "delta": {"message": {"tool_calls": opener}}})
        for fragment in call.fragments:
            delta = {"message": {"tool_calls": {"function": {"arguments": fragment}}}}
            events.append({"type": "tool-call-delta", "index": index, "delta": delta})
        events.append({"type": "tool-call-end", "index": index})
    end = {"finish_reason": _cohere_finish(answer), "usage": _cohere_usage(answer)}
    events.append({"type": "message-end", "delta": end})
    return [Event(event, event["type"]) for event in events]


# --- Bedrock ---------------------------------------------------------------------------------


def _bedrock_finish(answer: Abstract) -> str:
    return {"stop": "end_turn", "length": "max_tokens", "tool_calls": "tool_use"}[answer.finish]


def _bedrock_totals(answer: Abstract) -> dict[str, Any]:
    usage = {
        "inputTokens": answer.prompt - answer.cached,
        "outputTokens": answer.completion,
        "totalTokens": answer.prompt + answer.completion,
        "cacheReadInputTokens": answer.cached,
        "cacheWriteInputTokens": 0,
    }
    return {"usage": usage, "metrics": {"latencyMs": 1}}


def bedrock_whole(answer: Abstract) -> dict[str, Any]:
    """An answer of Converse."""
    content: list[dict[str, Any]] = []
    if answer.reasoning:
        thought = {"text": "".join(answer.reasoning), "signature": "c2lnbmVk"}
        content.append({"reasoningContent": {"reasoningText": thought}})
    if answer.text:
        content.append({"text": "".join(answer.text)})
    content += [
        {"toolUse": {"toolUseId": c.id, "name": c.name, "input": orjson.loads(c.arguments)}} for c in answer.calls
    ]
    message = {"role": "assistant", "content": content}
    return {"output": {"message": message}, "stopReason": _bedrock_finish(answer), **_bedrock_totals(answer)}


def bedrock_stream(answer: Abstract) -> list[Event]:
    """The events of a message; only calls have one that begins them."""
    events: list[Event] = [Frame({"role": "assistant", "p": "abc"}, "messageStart")]
    blocks: list[tuple[dict[str, Any] | None, list[dict[str, Any]]]] = []
    if answer.reasoning:
        deltas = [{"reasoningContent": {"text": piece}} for piece in answer.reasoning]
        blocks.append((None, [*deltas, {"reasoningContent": {"signature": "c2lnbmVk"}}]))
    if answer.text:
        blocks.append((None, [{"text": piece} for piece in answer.text]))
    for call in answer.calls:
        fragments = [{"toolUse": {"input": piece}} for piece in call.fragments] if call.arguments != "{}" else []
        blocks.append(({"toolUse": {"toolUseId": call.id, "name": call.name}}, fragments))
    for index, (start, deltas) in enumerate(blocks):
        if start is not None:
            events.append(Frame({"contentBlockIndex": index, "start": start}, "contentBlockStart"))
        events += [Frame({"contentBlockIndex": index, "delta": delta}, "contentBlockDelta") for delta in deltas]
        events.append(Frame({"contentBlockIndex": index}, "contentBlockStop"))
    events.append(Frame({"stopReason": _bedrock_finish(answer)}, "messageStop"))
    return [*events, Frame(_bedrock_totals(answer), "metadata")]


RENDERERS = (
    # OpenAI's stream is whole with its finish reason: some vendors close without the end mark.
    Renderer("openai", openai_whole, openai_stream, -3, None),
    Renderer("anthropic", anthropic_whole, anthropic_stream, -1, Event({"type": "news", "index": 0}, "news")),
    Renderer("gemini", gemini_whole, gemini_stream, -1, Event({"modelVersion": "m-1", "news": 1}), gives_ids=False),
    Renderer("cohere", cohere_whole, cohere_stream, -1, Event({"type": "news", "delta": {}}, "news")),
    Renderer(
        "bedrock", bedrock_whole, bedrock_stream, -1, Frame({"contentBlockIndex": 0, "news": 1}, "news"), comment=b""
    ),
)
