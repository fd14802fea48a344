"""Errors in the envelope of this protocol.

What does not live here: which error it is (`errors.py`), headers and statuses (`web/`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from compatgw.surfaces.messages.stream import event
from compatgw.wire.messages import THREAD

if TYPE_CHECKING:
    from collections.abc import Mapping

    from compatgw.errors import GatewayError

_TYPES = {
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    408: "timeout_error",
    409: "conflict_error",
    413: "request_too_large",
    429: "rate_limit_error",
    503: "overloaded_error",
    504: "timeout_error",
    529: "overloaded_error",
}
_FULL = "prompt is too long"
# The hub's members as the client knows them.
_MEMBERS = {
    "parallel_tool_calls": "tool_choice.disable_parallel_tool_use",
    "reasoning_effort": "output_config.effort",
    "response_format": "output_config.format",
    "stop": "stop_sequences",
    "user": "metadata.user_id",
}
# The SDKs send the whole conversation instead when they read this.
_UNTHREADED = {"error_code": "thread_unsupported_request", "unsupported": [THREAD]}


def envelope(error: GatewayError, request_id: str | None = None) -> Mapping[str, Any]:
    """The body of an error answer; `param` and `code` are the gateway's own, beside the protocol's members.

    Args:
        error: What failed.
        request_id: Of the call, where it is known.
    """
    inside = error.envelope()["error"]
    message, param = inside["message"], inside["param"]
    if param in _MEMBERS:
        param, ours = _MEMBERS[param], param
        message = message.replace(f"'{ours}'", f"'{param}'")
    # Claude Code makes its history shorter when it reads these words.
    if error.code == "context_length_exceeded" and _FULL not in message.lower():
        message = f"{_FULL}: {message}"
    kind = _TYPES.get(error.status, "invalid_request_error" if error.status < 500 else "api_error")
    told: dict[str, Any] = {"type": kind, "message": message, "param": param, "code": inside["code"]}
    if error.param == THREAD:
        told["details"] = _UNTHREADED
    out: dict[str, Any] = {"type": "error", "error": told}
    return {**out, "request_id": request_id} if request_id else out


def failed(error: GatewayError) -> bytes:
    """The last event of a stream that broke."""
    return event("error", {name: value for name, value in envelope(error).items() if name != "type"})
