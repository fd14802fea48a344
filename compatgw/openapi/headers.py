"""The headers that requests may have and answers have, by their names.

What does not live here: what they do.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

REQUEST: Mapping[str, str] = MappingProxyType(
    {
        "X-Request-ID": "The call's id, kept if it is well formed; else a new one is made.",
        "Idempotency-Key": "The same key with the same body is answered once more from what was kept, and paid once.",
        "X-On-Unsupported": "`drop` or `reject` what the model cannot carry.",
        "X-Guardrails": "Further guardrails for request and answer, joined by commas.",
        "X-Cache": "`no-cache` asks the model anew.",
        "X-Cache-TTL": "Seconds for which the answer is kept, at most 86400.",
        "X-Gateway-Explain": "`1` answers with the plan of the call instead of making it.",
        "traceparent": "The trace that the call belongs to, as W3C Trace Context has it.",
    }
)
"""Of calls."""

RESPONSE: Mapping[str, str] = MappingProxyType(
    {
        "X-Request-ID": "The call's id; `/v1/generation?id=` finds the call by it.",
        "X-Model-Used": "`provider/model` that answered.",
        "X-Provider": "The provider that answered.",
        "X-Cache": "`HIT`, `MISS` or `BYPASS`.",
        "Age": "Seconds since an answer from the cache was made.",
        "X-Fallback-From": "The model that failed before this one.",
        "X-Retry-Count": "Attempts beyond the first.",
        "X-Guardrail-Status": "What each guardrail did, as in `pii:redact`.",
        "X-Dropped-Params": "Members that the model could not carry and that were left out.",
        "X-Clamped-Params": "Members that were lowered to what the model takes.",
        "X-Vision-Fallback": "The model that put images into words.",
        "X-Cost": "What the call cost, in the gateway's currency.",
        "Server-Timing": "Which part of the time was the gateway's.",
    }
)
"""Of calls that were answered; each is there when it has something to say."""

LIMITS: Mapping[str, str] = MappingProxyType(
    {
        f"x-ratelimit-{what}-{of}": f"{text} of the caller's {of} a minute."
        for what, text in (("limit", "The limit"), ("remaining", "What is left"), ("reset", "Time until all is back"))
        for of in ("requests", "tokens")
    }
)
"""Of callers that have limits."""
