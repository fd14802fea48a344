"""The response object: what it repeats of the request, how it ended, what it came to.

What does not live here: its output items (`stream.py`), the events of a stream (`stream.py`, `face.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from compatgw.errors import GatewayError

Json = dict[str, Any]

_CUT = {"length": "max_output_tokens", "content_filter": "content_filter"}
_TIERS = frozenset({"auto", "default", "flex", "scale", "priority"})
# What is repeated as it came, and what stands there when nothing came.
_REPEATED: tuple[tuple[str, Any], ...] = (
    ("background", False),
    ("instructions", None),
    ("max_output_tokens", None),
    ("max_tool_calls", None),
    ("metadata", {}),
    ("parallel_tool_calls", True),
    ("previous_response_id", None),
    ("prompt_cache_key", None),
    ("safety_identifier", None),
    ("store", True),
    ("temperature", 1.0),
    ("tool_choice", "auto"),
    ("top_logprobs", 0),
    ("top_p", 1.0),
    ("truncation", "disabled"),
    ("user", None),
)


def cut(finish: str | None) -> str | None:
    """Why an answer with this finish reason is incomplete, None when it is whole."""
    return _CUT.get(finish or "")


def skeleton(request: Mapping[str, Any], *, id: str, created: int, model: str) -> Json:
    """A response that has just begun.

    Args:
        request: The client's, validated.
        created: Seconds since 1970.
        model: Who answers.
    """
    reasoning, text = request.get("reasoning") or {}, request.get("text") or {}
    form = text.get("format") or {"type": "text"}
    if form["type"] == "json_schema":
        form = {"description": None, "strict": False, **form}
    tier = request.get("service_tier")
    return {
        "id": id,
        "object": "response",
        "created_at": created,
        "status": "in_progress",
        "error": None,
        "incomplete_details": None,
        "model": model,
        "output": [],
        **{name: request.get(name, default) for name, default in _REPEATED},
        "reasoning": {"effort": reasoning.get("effort"), "summary": reasoning.get("summary")},
        "service_tier": tier if tier in _TIERS else "auto",
        "text": {"format": form, "verbosity": text.get("verbosity", "medium")},
        "tools": [_tool(tool) for tool in request.get("tools", ())],
        "usage": None,
    }


def _tool(tool: Mapping[str, Any]) -> Json:
    if tool["type"] == "function":
        return {"description": None, "parameters": None, "strict": None, **tool}
    if tool["type"] == "namespace":
        return {"description": None, **tool, "tools": [_tool(one) for one in tool["tools"]]}
    return dict(tool)


def ended(response: Mapping[str, Any], output: list[Json], finish: str | None, usage: Any, tier: Any) -> Json:
    """`response` with how it ended.

    Args:
        finish: The hub's finish reason.
        usage: The hub's, None when nobody says.
        tier: The service tier that the upstream names.
    """
    reason = cut(finish)
    return {
        **response,
        "status": "completed" if reason is None else "incomplete",
        "incomplete_details": None if reason is None else {"reason": reason},
        "output": output,
        "service_tier": tier if tier in _TIERS else "default",
        "usage": None if not usage else usage_of(usage),
    }


def usage_of(usage: Mapping[str, Any]) -> Json:
    """The hub's usage as this protocol has it."""
    prompt, completion = usage.get("prompt_tokens_details") or {}, usage.get("completion_tokens_details") or {}
    out: Json = {
        "input_tokens": usage["prompt_tokens"],
        "input_tokens_details": {
            "cached_tokens": prompt.get("cached_tokens") or 0,
            "cache_write_tokens": prompt.get("cache_write_tokens") or 0,
        },
        "output_tokens": usage["completion_tokens"],
        "output_tokens_details": {"reasoning_tokens": completion.get("reasoning_tokens") or 0},
        "total_tokens": usage["total_tokens"],
    }
    if "cost" in usage:
        out["cost"] = usage["cost"]
    return out


def failed(response: Mapping[str, Any], error: GatewayError, output: list[Json]) -> Json:
    """`response` as it is when its call failed."""
    body = error.envelope()["error"]
    code = body["code"] or body["type"]
    return {**response, "status": "failed", "error": {"code": code, "message": body["message"]}, "output": output}
