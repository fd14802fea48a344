"""Anthropic's whole answers and refusals, read; and the parts of reading that streams share.

Text of the vendor's own tools is not the caller's: only text, thinking and calls of the
caller's tools are taken out of an answer. Nothing is trusted to have its documented type: a
wrong shape is an `UpstreamFailure`, never another exception.

What does not live here: the completion itself (`blocks/answers.py`), the order of stream events (`stream.py`).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, cast

from compatgw.dialects import failure
from compatgw.dialects.blocks.answers import Reading, annotation, count, load, text_at, totals
from compatgw.dialects.events import broken

if TYPE_CHECKING:
    from collections.abc import Mapping

    from compatgw.dialects.base import Answer, Context, Target
    from compatgw.errors import UpstreamFailure
    from compatgw.wire.chat import FinishReason, Usage

FINISH: Mapping[str, FinishReason] = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "pause_turn": "stop",
    "compaction": "stop",
    "tool_use": "tool_calls",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "refusal": "content_filter",
}
TIERS = {"standard": "default", "priority": "priority"}
_FULL = re.compile(r"exceed(s|ed)? (the )?context (limit|window)", re.IGNORECASE)
# The member that the API's sentence begins with, and what the caller calls it.
_BLAMED = re.compile(r"(?:messages: )?`?([a-z_]+(?:\.format)?)`?(?=[.:` ])")
_PARAMS = {
    "max_tokens": "max_tokens",
    "messages": "messages",
    "metadata": "user",
    "output_config": "reasoning_effort",
    "output_config.format": "response_format",
    "stop_sequences": "stop",
    "system": "messages",
    "temperature": "temperature",
    "thinking": "reasoning_effort",
    "tool_choice": "tool_choice",
    "tools": "tools",
    "top_k": "top_k",
    "top_p": "top_p",
}


def identity(value: Any) -> str | None:
    """The caller's id of an answer, None when the upstream gives none."""
    given = text_at(value, "id")
    return f"chatcmpl-{given.removeprefix('msg_')}" if given else None


def reason_of(word: Any) -> FinishReason:
    """The finish reason that a stop reason stands for."""
    return FINISH.get(word, "stop") if isinstance(word, str) else "stop"


def refusal_of(details: Any) -> str | None:
    """What the vendor says of a refusal, None when it says nothing."""
    return text_at(details, "explanation") or None


def usage_of(value: Any) -> Usage | None:
    """Totals: the vendor counts what came from and went to its cache apart, OpenAI counts it in."""
    if not isinstance(value, dict):
        return None
    usage: dict[str, Any] = {
        **totals(
            value.get("input_tokens"),
            value.get("cache_read_input_tokens"),
            value.get("cache_creation_input_tokens"),
            value.get("output_tokens"),
        )
    }
    details = value.get("output_tokens_details")
    if isinstance(details, dict):
        usage["completion_tokens_details"] = {"reasoning_tokens": count(details.get("thinking_tokens"))}
    for name in ("cache_creation", "server_tool_use"):  # priced apart: writes by how long they last, searches by number
        found = value.get(name)
        counts = {key: count(inner) for key, inner in found.items()} if isinstance(found, dict) else {}
        if any(counts.values()):
            usage[name] = counts
    return cast("Usage", usage)


def annotations_of(citations: Any, start: int, end: int) -> list[dict[str, Any]]:
    """Citations with an address as OpenAI's annotations of the text between two places."""
    out: list[dict[str, Any]] = []
    for citation in citations if isinstance(citations, list) else ():
        url = text_at(citation, "url") or text_at(citation, "source")
        out += annotation(url, text_at(citation, "title"), start, end)
    return out


# --- a whole answer --------------------------------------------------------------------------


def decode(body: bytes, context: Context) -> Answer:
    """The completion that an answer is.

    Raises:
        UpstreamFailure: Not a message, or an error in the place of one.
    """
    target = context.target
    value = load(body, target)
    if isinstance(value, dict) and (value.get("type") == "error" or ("content" not in value and value.get("error"))):
        raise failure.from_value(value, target)
    if not isinstance(value, dict) or not isinstance(value.get("content"), list):
        raise broken("it is no message", target)
    reading = Reading(context)
    for block in value["content"]:
        if isinstance(block, dict):
            _take(reading, block)
    used = value.get("usage")
    return reading.answer(
        reason_of(value.get("stop_reason")),
        usage_of(used),
        TIERS.get(text_at(used, "service_tier")),
        refusal=refusal_of(value.get("stop_details")),
        id=identity(value),
        model=text_at(value, "model"),
    )


def _take(reading: Reading, block: Mapping[str, Any]) -> None:
    """One block of the answer; those of other kinds are the vendor's own business."""
    kind = block.get("type")
    if kind == "text":
        start = len(reading.text)
        reading.text += text_at(block, "text")
        reading.annotations += annotations_of(block.get("citations"), start, len(reading.text))
    elif kind == "tool_use":
        reading.call(text_at(block, "id"), text_at(block, "name"), block.get("input"))
    elif kind == "thinking":
        reading.thought(text_at(block, "thinking"), text_at(block, "signature"))
    elif kind == "redacted_thinking":
        reading.sealed(text_at(block, "data"))


# --- refusals --------------------------------------------------------------------------------


def error(status: int, headers: Mapping[str, str], body: bytes, target: Target) -> UpstreamFailure:
    """A refusal: `{"type": "error", "error": {"type", "message"}}`, or whatever the edge wrote."""
    message, code, kind, param = failure.extract(body)
    if status == 400 and _FULL.search(message):
        code = "context_length_exceeded"
    if param is None and (blamed := _BLAMED.match(message)):
        param = _PARAMS.get(blamed[1])
    return failure.judge(
        status, message, target, code=code, kind=kind, param=param, retry_after=failure.retry_after(headers)
    )
