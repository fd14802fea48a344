"""Errors of a cassette, told to the client in the envelope of its dialect, so that its SDK raises what it raises.

What does not live here: what went wrong.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from compatgw_testing.doors.exchange import Send


async def error_answer(send: Send, dialect: str, status: int, code: str, message: str) -> None:
    """Answers with an error; no official SDK tries again.

    Args:
        send: Of ASGI.
        dialect: "openai", "anthropic", "gemini", "cohere" or "bedrock".
        status: An HTTP status that is not worth another try, such as 400.
        code: For programs.
        message: For people.
    """
    body = json.dumps(envelope(dialect, status, code, message), ensure_ascii=False).encode()
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
        (b"x-should-retry", b"false"),
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": False})


def envelope(dialect: str, status: int, code: str, message: str) -> dict[str, Any]:
    """The body of an error."""
    text = f"compatgw_testing: {message}"
    if dialect == "anthropic":
        return {"type": "error", "error": {"type": "invalid_request_error", "message": f"{code}: {text}"}}
    if dialect == "gemini":
        info = {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": code.upper(), "domain": "cassette"}
        return {"error": {"code": status, "message": text, "status": "INVALID_ARGUMENT", "details": [info]}}
    if dialect in ("cohere", "bedrock"):
        return {"message": f"{code}: {text}"}
    return {"error": {"message": text, "type": "invalid_request_error", "param": None, "code": code}}
