"""Why a choice ended, and what went wrong inside a 200: the many words of OpenAI-like servers.

What does not live here: refusals with an error status (`dialects/failure.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from compatgw.dialects import failure
from compatgw.errors import UpstreamFailure

if TYPE_CHECKING:
    from collections.abc import Mapping

    from compatgw.dialects.base import Target
    from compatgw.wire.chat import FinishReason

REASONS: Mapping[str, FinishReason] = {
    "stop": "stop", "eos": "stop", "eos_token": "stop", "end_turn": "stop", "stop_sequence": "stop", "end": "stop",
    "complete": "stop", "completed": "stop",
    "length": "length", "max_tokens": "length", "model_length": "length", "max_length": "length",
    "model_context_window_exceeded": "length",
    # Cut short by the server, without an error: what came is not the whole answer.
    "insufficient_system_resource": "length", "abort": "length",
    "tool_calls": "tool_calls", "tool_use": "tool_calls", "tool_call": "tool_calls",
    "content_filter": "content_filter", "sensitive": "content_filter", "safety": "content_filter",
    "content_filtered": "content_filter",
    "function_call": "function_call",
}  # fmt: skip
_FAILED = ("error", "network_error")


def reason(word: Any, tools: bool, target: Target) -> FinishReason | None:
    """One of OpenAI's five reasons, None while there is none yet.

    Args:
        word: The upstream's own.
        tools: True when the choice made tool calls.
        target: Names model and provider in the message.

    Raises:
        UpstreamFailure: The word says that the upstream failed.
    """
    if not word:
        return None
    name = str(word).lower()
    if name in _FAILED:
        raise UpstreamFailure(
            f"{target.provider} (model '{target.model}') broke off its answer with finish_reason '{name}'. "
            "Send the request again."
        )
    found = REASONS.get(name, "stop")
    if found == "stop" and tools:
        return "tool_calls"
    if found == "tool_calls" and not tools:
        return "stop"
    return found


def fault(value: Mapping[str, Any], target: Target) -> UpstreamFailure | None:
    """The failure that an answer or a chunk with status 200 carries, None when it carries none."""
    if value.get("error"):
        return failure.from_value(value, target)
    extra = value.get("x_groq")
    if isinstance(extra, dict) and extra.get("error"):
        return failure.from_value(extra, target)
    choices = value.get("choices")
    if choices:
        for choice in choices if isinstance(choices, list) else ():
            if isinstance(choice, dict) and choice.get("error"):
                return failure.from_value(choice, target)
        return None
    if choices is None and any(value.get(name) for name in ("message", "detail", "errors", "msg")):
        return failure.from_value(value, target, value.get("status"))
    return None
