"""Usage in OpenAI's shape: integers that add up, cached and reasoning tokens where they belong.

What does not live here: where in an answer or a stream usage stands (`response.py`, `stream.py`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from collections.abc import Mapping

    from compatgw.wire.chat import Usage

_TOTALS = ("prompt_tokens", "completion_tokens", "total_tokens")
_DETAILS = ("prompt_tokens_details", "completion_tokens_details")
_NAMED = frozenset(_TOTALS + _DETAILS)
# Flat names of the tokens that were read from a cache, and of those written to one.
_CACHED = ("cached_tokens", "num_cached_tokens", "prompt_cache_hit_tokens", "cache_read_input_tokens")
_WRITTEN = "cache_creation_input_tokens"
_FLAT = frozenset({*_CACHED, _WRITTEN})


def is_canonical(usage: Any) -> bool:
    """True when `normal` would change nothing."""
    if usage.__class__ is not dict:
        return False
    prompt, completion = usage.get("prompt_tokens"), usage.get("completion_tokens")
    if prompt.__class__ is not int or completion.__class__ is not int:
        return False
    if usage.get("total_tokens") != prompt + completion:
        return False
    for name in _DETAILS:
        if name in usage:
            details = usage[name]
            if details.__class__ is not dict:
                return False
            for value in details.values():
                if value.__class__ is not int:
                    return False
    return _FLAT.isdisjoint(usage) or "cached_tokens" in usage.get(_DETAILS[0], ())


def normal(usage: Mapping[str, Any], *, excludes_reasoning: bool = False) -> Usage:
    """Usage whose parts add up; members beyond OpenAI's are kept.

    Args:
        usage: The upstream's own.
        excludes_reasoning: Its `completion_tokens` leaves reasoning out.
    """
    prompt, completion, total = (_count(usage.get(name)) for name in _TOTALS)
    before, after = (_details(usage.get(name)) for name in _DETAILS)
    reasoning = after.get("reasoning_tokens", 0)
    if excludes_reasoning and total > prompt + completion:
        # What the total holds beyond both is reasoning, also where nobody counts it by name.
        reasoning = reasoning or total - prompt - completion
        after["reasoning_tokens"] = reasoning
    if reasoning and (total == prompt + completion + reasoning or (excludes_reasoning and not total)):
        completion += reasoning
    if not _FLAT.isdisjoint(usage) and "cached_tokens" not in before:
        before["cached_tokens"] = min(prompt, max(_count(usage.get(name)) for name in _CACHED))
    if usage.get(_WRITTEN) and "cache_write_tokens" not in before:
        before["cache_write_tokens"] = min(prompt, _count(usage[_WRITTEN]))
    out: dict[str, Any] = {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": max(total, prompt + completion),
    }
    if before:
        out["prompt_tokens_details"] = before
    if after:
        out["completion_tokens_details"] = after
    rest = {name: value for name, value in usage.items() if name not in _NAMED and value is not None}
    return cast("Usage", {**out, **rest})


def find(value: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The usage that an answer or a chunk carries, wherever its author put it."""
    usage = value.get("usage")
    if not usage:
        extra = value.get("x_groq")
        usage = extra.get("usage") if isinstance(extra, dict) else None
    if not usage:
        choices = value.get("choices")
        first = choices[0] if isinstance(choices, list) and choices else None
        usage = first.get("usage") if isinstance(first, dict) else None
    return usage if isinstance(usage, dict) and usage else None


def _count(value: Any) -> int:
    if isinstance(value, (int, float)) and 0 <= value < 2**53:
        return int(value)
    return 0


def _details(value: Any) -> dict[str, int]:
    if not isinstance(value, dict):
        return {}
    return {name: _count(count) for name, count in value.items() if isinstance(count, (int, float))}
