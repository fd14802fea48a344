"""Refusals: whose fault each of them is, and what the caller may hear of it."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from compatgw.dialects.base import Target
from compatgw.dialects.gemini import DIALECT
from compatgw.errors import Blame, UpstreamFailure

TARGET = Target("Google", "gemini-3.7-flash")
KEY = "AIzaSyD-secret"


def refused(status: int, body: Any, headers: dict[str, str] | None = None) -> UpstreamFailure:
    assert DIALECT.chat is not None
    raw = body if isinstance(body, bytes) else orjson.dumps(body)
    return DIALECT.chat.error(status, headers or {}, raw, TARGET)


def envelope(status: int, word: str, message: str, *details: dict[str, Any]) -> dict[str, Any]:
    return {"error": {"code": status, "message": message, "status": word, "details": list(details)}}


def info(reason: str) -> dict[str, Any]:
    return {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": reason, "domain": "googleapis.com"}


def quota(*ids: str) -> dict[str, Any]:
    return {"@type": "type.googleapis.com/google.rpc.QuotaFailure", "violations": [{"quotaId": id} for id in ids]}


def retry(delay: str) -> dict[str, Any]:
    return {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": delay}


PLAN = "You exceeded your current quota, please check your plan and billing details."
OVERFLOW = "The input token count (1200000) exceeds the maximum number of tokens allowed (1048576)."


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (400, envelope(400, "INVALID_ARGUMENT", "Bad field."), (400, "invalid_value", Blame.CALLER)),
        (400, envelope(400, "INVALID_ARGUMENT", OVERFLOW), (400, "context_length_exceeded", Blame.CONTEXT)),
        (400, envelope(400, "INVALID_ARGUMENT", "API key not valid.", info("API_KEY_INVALID")), (502, "upstream_error", Blame.CREDENTIAL)),
        (400, envelope(400, "INVALID_ARGUMENT", "Renew it.", info("API_KEY_EXPIRED")), (502, "upstream_error", Blame.CREDENTIAL)),
        (400, envelope(400, "INVALID_ARGUMENT", "API key expired. Please renew the API key."), (502, "upstream_error", Blame.CREDENTIAL)),
        (400, envelope(400, "INVALID_ARGUMENT", "Penalty is not enabled for models/x"), (400, "unsupported_parameter", Blame.CALLER)),
        (400, envelope(400, "FAILED_PRECONDITION", "User location is not supported for the API use."), (502, "upstream_error", Blame.ACCOUNT)),
        (400, envelope(400, "FAILED_PRECONDITION", "Please enable billing on project in Google AI Studio."), (503, "upstream_unavailable", Blame.ACCOUNT)),
        (401, envelope(401, "UNAUTHENTICATED", "Expired."), (502, "upstream_error", Blame.CREDENTIAL)),
        (403, envelope(403, "PERMISSION_DENIED", "API disabled.", info("SERVICE_DISABLED")), (502, "upstream_error", Blame.CREDENTIAL)),
        (403, envelope(403, "PERMISSION_DENIED", "CachedContent not found (or permission denied)"), (400, "invalid_value", Blame.CALLER)),
        (403, envelope(403, "PERMISSION_DENIED", "You do not have permission to access the File abc"), (400, "invalid_value", Blame.CALLER)),
        (404, envelope(404, "NOT_FOUND", "models/x is not found for API version v1beta"), (404, "model_not_found", Blame.MODEL)),
        (409, envelope(409, "ABORTED", "Again."), (502, "upstream_error", Blame.UPSTREAM)),
        (413, envelope(413, "INVALID_ARGUMENT", "Too large."), (413, "request_too_large", Blame.CALLER)),
        (429, envelope(429, "RESOURCE_EXHAUSTED", "Resource has been exhausted (e.g. check quota)."), (429, "upstream_rate_limited", Blame.LIMIT)),
        (429, envelope(429, "RESOURCE_EXHAUSTED", PLAN, quota("PerMinute-FreeTier"), retry("34.4s")), (429, "upstream_rate_limited", Blame.LIMIT)),
        (429, envelope(429, "RESOURCE_EXHAUSTED", PLAN), (503, "upstream_unavailable", Blame.ACCOUNT)),
        (429, envelope(429, "RESOURCE_EXHAUSTED", "Busy.", quota("PerMinute", "GenerateRequestsPerDay"), retry("9s")), (503, "upstream_unavailable", Blame.ACCOUNT)),
        (429, envelope(429, "RESOURCE_EXHAUSTED", f"{PLAN} * Quota exceeded, limit: 0", retry("9s")), (503, "upstream_unavailable", Blame.ACCOUNT)),
        (499, envelope(499, "CANCELLED", "Gone."), (502, "upstream_error", Blame.UPSTREAM)),
        (500, envelope(500, "INTERNAL", "Oops."), (502, "upstream_error", Blame.UPSTREAM)),
        (503, envelope(503, "UNAVAILABLE", "Overloaded."), (503, "upstream_unavailable", Blame.UPSTREAM)),
        (504, envelope(504, "DEADLINE_EXCEEDED", "Slow."), (504, "upstream_timeout", Blame.UPSTREAM)),
        (404, b"<html><title>404</title>Not here</html>", (404, "model_not_found", Blame.MODEL)),
        (502, b"Bad Gateway", (502, "upstream_error", Blame.UPSTREAM)),
        (500, b"", (502, "upstream_error", Blame.UPSTREAM)),
        (400, b'{"error": {"code": 400, "mess', (400, "invalid_value", Blame.CALLER)),
        (400, {"error": "flat"}, (400, "invalid_value", Blame.CALLER)),
    ],
)  # fmt: skip
def test_every_refusal_has_its_answer_and_its_blame(status: int, body: Any, expected: tuple[int, str, Blame]) -> None:
    """In an object, or in a list of one."""
    for dressed in (body, [body]) if isinstance(body, dict) else (body,):
        found = refused(status, dressed)
        assert (found.status, found.code, found.blame) == expected
        assert found.upstream_status == status


@pytest.mark.parametrize(
    ("body", "headers", "expected"),
    [
        (envelope(429, "RESOURCE_EXHAUSTED", PLAN, retry("34.4s")), {}, 35.0),
        (envelope(429, "RESOURCE_EXHAUSTED", "Busy.", retry("2s")), {"retry-after": "9"}, 2.0),
        (envelope(429, "RESOURCE_EXHAUSTED", "Busy."), {"retry-after": "9"}, 9.0),
        (envelope(429, "RESOURCE_EXHAUSTED", "Busy.", retry("soon")), {}, None),
        (envelope(503, "UNAVAILABLE", "Busy.", retry("1.2s")), {}, 2.0),
    ],
)
def test_a_delay_is_read_from_the_body_and_else_from_the_header(
    body: Any, headers: dict[str, str], expected: float | None
) -> None:
    """In whole seconds, never less than asked."""
    assert refused(body["error"]["code"], body, headers).retry_after == expected


@pytest.mark.parametrize("word", ["credential", "message"])
def test_a_bad_key_of_ours_is_never_shown(word: str) -> None:
    """Nor is the caller told that it is theirs."""
    body = envelope(400, "INVALID_ARGUMENT", f"API key not valid: {KEY} ({word})", info("API_KEY_INVALID"))
    found = refused(400, body)

    assert KEY not in found.message
    assert "own credential" in found.message
    assert found.should_retry is False


def test_whose_project_it_is_concerns_nobody() -> None:
    """Paths of resources name it."""
    found = refused(
        404, envelope(404, "NOT_FOUND", "Publisher Model `projects/acme-1/locations/x/models/y` not found.")
    )

    assert "acme-1" not in found.message
    assert "projects/-/locations/x" in found.message


@pytest.mark.parametrize("details", [3, "x", {}, [3, {"violations": 4}, {"reason": 5}, {"retryDelay": 6}], None])
def test_details_of_any_shape_do_no_harm(details: Any) -> None:
    """They are read when they are what they should be."""
    body = {"error": {"code": 429, "message": "Busy.", "status": "RESOURCE_EXHAUSTED", "details": details}}

    assert refused(429, body).code == "upstream_rate_limited"
