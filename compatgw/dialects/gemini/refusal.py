"""Gemini's failures, judged: refusals with a status, errors inside answers and streams, blocked prompts.

The envelope is `{"error": {"code", "message", "status", "details"}}`, sometimes in a list of
one. Who is to blame often stands in `details` alone: a bad key of ours is a 400, a used up day
looks like a busy minute, and the vendor's 429 speaks of billing even when waiting helps.

What does not live here: answers that are none because of how they ended (`candidate.py`).
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any

import orjson

from compatgw.dialects import failure
from compatgw.errors import Blame, UpstreamFailure, UpstreamRateLimited, UpstreamRejected

if TYPE_CHECKING:
    from collections.abc import Mapping

    from compatgw.dialects.base import Target

_HTTP_OF = {
    "INVALID_ARGUMENT": 400, "FAILED_PRECONDITION": 400, "OUT_OF_RANGE": 400, "UNAUTHENTICATED": 401,
    "PERMISSION_DENIED": 403, "NOT_FOUND": 404, "ABORTED": 409, "ALREADY_EXISTS": 409, "RESOURCE_EXHAUSTED": 429,
    "CANCELLED": 499, "DATA_LOSS": 500, "INTERNAL": 500, "UNKNOWN": 500, "UNIMPLEMENTED": 501, "UNAVAILABLE": 503,
    "DEADLINE_EXCEEDED": 504,
}  # fmt: skip
_KEY_REASONS = re.compile(r"API_KEY|ACCESS_TOKEN|CREDENTIALS|SERVICE_DISABLED|CONSUMER_")
_MONEY = re.compile(r"billing|free tier|quota exceeded|prepay", re.IGNORECASE)
# A file or cache of the caller's that this key cannot see is a 403, although nothing is wrong with the key.
_CALLERS_THING = re.compile(r"CachedContent not found|access the File|File .{0,80}(not exist|not found)", re.IGNORECASE)
_DAY = re.compile(r"PerDay|limit: 0\b")
_SWITCHED_OFF = re.compile(r"is not (enabled|supported) (for|by|in|on)", re.IGNORECASE)
# Whose project it is concerns the operator, not the caller.
_PROJECT = re.compile(r"projects/[^/\s`'\"]+")
_SECONDS = re.compile(r"(\d+(?:\.\d+)?)s")


def error(status: int, headers: Mapping[str, str], body: bytes, target: Target) -> UpstreamFailure:
    """A refusal with its status."""
    try:
        value = unwrapped(orjson.loads(body))
    except orjson.JSONDecodeError:
        value = None
    inner = value.get("error") if isinstance(value, dict) else None
    if isinstance(inner, dict) and isinstance(inner.get("message"), str):
        return _judged(status, inner, target, failure.retry_after(headers))
    message, code, kind, param = failure.extract(body)
    return failure.judge(
        status, message, target, code=code, kind=kind, param=param, retry_after=failure.retry_after(headers)
    )


def inside(value: Any, target: Target) -> UpstreamFailure | None:
    """The failure that an object with an `error` member stands for, None when it has none."""
    found = value.get("error") if isinstance(value, dict) else None
    if not found:
        return None
    if not isinstance(found, dict) or not isinstance(found.get("message"), str):
        return failure.from_value(value, target)
    code = found.get("code")
    status = code if isinstance(code, int) and 400 <= code < 600 else _HTTP_OF.get(str(found.get("status")), 502)
    return _judged(status, found, target, None)


def blocked(feedback: Any, target: Target) -> UpstreamFailure | None:
    """The failure of a prompt that was not let through, None when it was."""
    reason = feedback.get("blockReason") if isinstance(feedback, dict) else None
    if not reason:
        return None
    more = feedback.get("blockReasonMessage")
    why = f"{reason}: {more}" if isinstance(more, str) and more else str(reason)
    return UpstreamRejected(
        f"{target.provider} (model '{target.model}') blocked the prompt ({why}). Change what it says.",
        blame=Blame.CALLER,
        upstream_status=200,
        status=400,
        param="messages",
        code="content_blocked",
    )


def unwrapped(value: Any) -> Any:
    """What a list of one holds; everything else as it is."""
    return value[0] if isinstance(value, list) and len(value) == 1 else value


def _judged(status: int, found: dict[str, Any], target: Target, waiting: float | None) -> UpstreamFailure:
    message = _PROJECT.sub("projects/-", found["message"][:4000])
    details = _objects(found.get("details"))
    reason = " ".join(entry["reason"] for entry in details if isinstance(entry.get("reason"), str))
    waiting = _delay(details) or waiting
    where = f"{target.provider} (model '{target.model}')"
    common: dict[str, Any] = {"upstream_status": status}
    if status == 429:
        return _limited(message, details, waiting, target)
    if status in (400, 401, 403) and _CALLERS_THING.search(message):
        return UpstreamRejected(message, blame=Blame.CALLER, status=400, param="messages", **common)
    if status == 400 and _KEY_REASONS.search(reason):
        return failure.judge(400, message, target, code="api_key_invalid")
    if status == 400 and found.get("status") == "FAILED_PRECONDITION":
        if _MONEY.search(message):
            return failure.judge(400, message, target, code="billing")
        return UpstreamFailure(
            f"{where} does not serve this gateway's account: {message}",
            blame=Blame.ACCOUNT,
            should_retry=False,
            **common,
        )
    judged = failure.judge(status, message, target, code=reason, retry_after=waiting)
    if judged.code == "invalid_value" and _SWITCHED_OFF.search(message):
        judged.code = "unsupported_parameter"
    return judged


def _limited(message: str, details: list[dict[str, Any]], waiting: float | None, target: Target) -> UpstreamFailure:
    """A 429: a limit that passes, or a quota that is used up for today or for good."""
    quotas = " ".join(
        str(violation.get("quotaId")) for entry in details for violation in _objects(entry.get("violations"))
    )
    if _DAY.search(quotas) or _DAY.search(message):
        return failure.judge(429, message, target, code="exceeded_current_quota")
    if waiting is None:
        return failure.judge(429, message, target)
    # With a delay given, what the message says of plan and billing is the usual phrase, not the reason.
    return UpstreamRateLimited(
        f"{target.provider} (model '{target.model}') is limiting requests: {message}",
        blame=Blame.LIMIT,
        upstream_status=429,
        retry_after=waiting,
    )


def _objects(value: Any) -> list[dict[str, Any]]:
    return [entry for entry in value if isinstance(entry, dict)] if isinstance(value, list) else []


def _delay(details: list[dict[str, Any]]) -> float | None:
    """`RetryInfo.retryDelay`, as whole seconds."""
    for entry in details:
        given = entry.get("retryDelay")
        match = _SECONDS.fullmatch(given) if isinstance(given, str) else None
        if match is not None:
            return float(math.ceil(float(match[1])))
    return None
