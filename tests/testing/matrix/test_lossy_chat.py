"""What a gateway may lose of chat completions: the matrix has to notice.

What does not live here: the other surfaces (`test_lossy_messages.py`, `test_lossy_responses.py`).
"""

import json
import re
from collections.abc import Callable
from typing import Any

import pytest

from compatgw_testing.matrix import MatrixFailure, cases
from tests.testing.check.broken import (
    DONE,
    Bend,
    Json,
    Said,
    answers,
    call,
    choice,
    chunk,
    counted,
    fragment,
    message,
    plain,
    stream,
)
from tests.testing.matrix.gateways import forgetful, found, lossy, without


def _no_arguments(one: Json) -> None:
    one["function"]["arguments"] = ""


def _swallowed_error(events: list[Any]) -> list[Any]:
    """An error in a stream becomes a good end."""
    if not any(one != DONE and one.get("error") for one in events):
        return events
    kept = [one for one in events if one != DONE and not one.get("error")]
    end = {**kept[0], "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]} if kept else {}
    return [*kept, end, DONE]


def _only_first_call(one: Json) -> None:
    if one.get("tool_calls"):
        one["tool_calls"] = one["tool_calls"][:1]


def _said_to_stop(one: Json) -> None:
    if one.get("finish_reason"):
        one["finish_reason"] = "stop"


def _no_thought(one: Json) -> None:
    for name in ("reasoning_content", "reasoning"):
        one.pop(name, None)


def _no_cached(value: Json) -> None:
    (value.get("usage") or {}).pop("prompt_tokens_details", None)


def _first_index(one: Json) -> None:
    one["index"] = 0


def _good_status(said: Said) -> None:
    if said.status >= 400:
        said.status = 200


def _retry_lost(said: Said) -> None:
    for name in ("retry-after", "retry-after-ms"):
        said.headers.pop(name, None)


def _ascii(said: Said) -> None:
    said.body = said.body.decode().encode("ascii", "replace")


LOSSES: dict[str, tuple[Bend, tuple[str, ...]]] = {
    "arguments": (call(_no_arguments), ("chat-anthropic-tool_call-plain", "chat-gemini-tool_nested-plain")),
    "streamed arguments": (
        fragment(_no_arguments),
        (
            "chat-gemini-tool_call-stream",
            "chat-gemini-gemini_tool_after_thought-stream",
            "chat-cohere-tool_call-stream",
        ),
    ),
    "the error in a stream": (
        stream(_swallowed_error),
        (
            "chat-openai-error_mid_stream-stream",
            "chat-anthropic-overloaded_mid_stream-stream",
            "chat-gemini-cut-stream",
            "chat-cohere-truncated-stream",
            "chat-anthropic-truncated_tool-stream",
            "chat-openai-garbage-stream",
        ),
    ),
    "all calls but one": (
        message(_only_first_call),
        ("chat-anthropic-tool_parallel-plain", "chat-cohere-tool_three-plain"),
    ),
    "that calls differ": (
        fragment(_first_index),
        ("chat-openai-tool_parallel-stream", "chat-gemini-gemini_two_tools_two_events-stream"),
    ),
    "why it finished": (
        choice(_said_to_stop),
        (
            "chat-anthropic-tool_call-stream",
            "chat-gemini-length-stream",
            "chat-openai-tool_said_to_stop-stream",
            "chat-anthropic-filtered-stream",
        ),
    ),
    "thought": (
        message(_no_thought),
        ("chat-anthropic-reasoning-plain", "chat-deepseek-reasoning-plain", "chat-gemini-thinking_text_tool-plain"),
    ),
    "streamed thought": (
        choice(lambda one: _no_thought(one["delta"])),
        ("chat-openai-reasoning_and_text_in_one_chunk-stream", "chat-cohere-reasoning_tool-stream"),
    ),
    "what was cached": (plain(_no_cached), ("chat-anthropic-usage_cached-plain", "chat-gemini-usage_cached-plain")),
    "usage": (counted(lambda one: one.pop("usage")), ("chat-openai-usage-stream", "chat-anthropic-text-stream")),
    "that it failed": (
        _good_status,
        ("chat-openai-server_error-plain", "chat-anthropic-overloaded-plain", "chat-gemini-model_missing-plain"),
    ),
    "which failure": (
        answers(lambda said: said.status >= 400, 500, {"error": {"message": "no"}}),
        ("chat-openai-context_length-plain", "chat-anthropic-rate_limited-plain"),
    ),
    "how long to wait": (_retry_lost, ("chat-openai-rate_limited-plain", "chat-anthropic-rate_limited-stream")),
    "letters": (_ascii, ("chat-anthropic-unicode-plain", "chat-gemini-unicode-stream")),
    "the refusal": (
        message(lambda one: one.update(refusal=None)),
        ("chat-openai-refusal-plain", "chat-anthropic-refusal-plain"),
    ),
    "ids within a stream": (
        stream(lambda events: [one.update(id=str(at)) for at, one in enumerate(events) if one != DONE] and None),
        ("chat-cohere-text-stream",),
    ),
    "the end mark": (
        stream(lambda events: events[:-1]),
        ("chat-openai-text-stream", "chat-gemini-finish_without_done-stream")[:1],
    ),
    "the role": (
        choice(lambda one: one["delta"].pop("role", None)),
        ("chat-gemini-text-stream", "chat-mistral-text-stream"),
    ),
    "the object's name": (chunk(lambda one: one.update(object="chunk")), ("chat-anthropic-text-stream",)),
}


@pytest.mark.parametrize("loss", list(LOSSES))
async def test_a_lossy_gateway_is_noticed(loss: str) -> None:
    """Each named case fails."""
    bend, ids = LOSSES[loss]
    for id in ids:
        with pytest.raises(MatrixFailure, match=id):
            await found(id).run(lossy(bend))


def _role(role: str) -> Callable[[bytes], bytes]:
    def change(raw: bytes) -> bytes:
        body = json.loads(raw)
        body["messages"] = [one for one in body["messages"] if one["role"] != role]
        return json.dumps(body).encode()

    return change


def _results_swapped(raw: bytes) -> bytes:
    body = json.loads(raw)
    results = [one for one in body["messages"] if one["role"] == "tool"]
    texts = [one["content"] for one in results]
    for one, text in zip(results, reversed(texts), strict=True):
        one["content"] = text
    return json.dumps(body).encode()


def _without_media(raw: bytes) -> bytes:
    body = json.loads(raw)
    for one in body["messages"]:
        if isinstance(one["content"], list):
            one["content"] = [part for part in one["content"] if part["type"] == "text"]
    return json.dumps(body).encode()


FORGOTTEN: dict[str, tuple[Callable[[bytes], bytes], tuple[str, ...]]] = {
    "the system": (_role("system"), ("system", "two_systems")),
    "the history": (_role("assistant"), ("history",)),
    "tools": (without("tools"), ("tool_offered",)),
    "the choice": (without("tool_choice"), ("tool_required",)),
    "the schema": (without("response_format"), ("schema_in",)),
    "the limit": (without("max_tokens"), ("limit",)),
    "the temperature": (without("temperature"), ("temperature",)),
    "stop": (without("stop"), ("stop",)),
    "pictures": (_without_media, ("image", "document")),
    "which result is whose": (_results_swapped, ("tool_results",)),
    "letters": (lambda raw: re.sub(rb"\\u[0-9a-f]{4}", b"?", json.dumps(json.loads(raw)).encode()), ("unicode_in",)),
}


@pytest.mark.parametrize("upstream", ["openai", "anthropic", "gemini", "bedrock"])
@pytest.mark.parametrize("forgotten", list(FORGOTTEN))
async def test_a_forgetful_gateway_is_noticed(forgotten: str, upstream: str) -> None:
    """What the upstream was not told is named."""
    change, names = FORGOTTEN[forgotten]
    for case in cases(["chat"], [upstream], names):
        with pytest.raises(MatrixFailure, match="was not told"):
            await case.run(forgetful(change))
