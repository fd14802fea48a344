"""Refusals: every envelope that OpenAI-like servers write gives a message, a status and somebody to blame."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from compatgw.dialects import failure
from compatgw.errors import Blame, GatewayError

from .sending import CODEC, target

T = target()


def judged(status: int, body: Any, headers: dict[str, str] | None = None) -> Any:
    """What the codec makes of a refusal."""
    data = body if isinstance(body, bytes) else orjson.dumps(body)
    return CODEC.error(status, headers or {}, data, T)


ENVELOPES: list[tuple[Any, str]] = [
    ({"error": {"message": "Bad", "type": "t", "param": "p", "code": "c"}}, "Bad"),
    ({"error": {"message": "Bad", "code": 400}}, "Bad"),
    ([{"error": {"message": "Bad", "code": 400, "status": "INVALID_ARGUMENT"}}], "Bad"),
    ({"error": "Bad"}, "Bad"),
    ({"code": "some text", "error": "Bad"}, "Bad"),
    ({"detail": "Bad"}, "Bad"),
    ({"detail": {"error": "Bad"}}, "Bad"),
    ({"detail": [{"loc": ["body", "n"], "msg": "bad", "type": "int"}, {"msg": "worse"}]}, "body.n: bad; worse"),
    ({"object": "error", "message": "Bad", "type": "BadRequestError", "param": None, "code": 400}, "Bad"),
    ({"object": "error", "message": {"detail": [{"loc": ["body", "n"], "msg": "bad"}]}, "type": "x"}, "body.n: bad"),
    ({"message": "Bad"}, "Bad"),
    ({"code": "InvalidParameter", "message": "Bad", "request_id": "r"}, "Bad"),
    ({"code": 400, "reason": "INVALID", "message": "Bad", "metadata": {}}, "Bad"),
    ({"success": False, "errors": [{"code": 7003, "message": "Bad"}], "messages": [], "result": None}, "Bad"),
    ({"error": {"code": "400", "message": "Bad"}}, "Bad"),
    ({"type": "about:blank", "title": "Bad", "status": 400}, "Bad"),
    ({"title": "Worse", "status": 400, "detail": "Bad"}, "Bad"),
    ({"error": True, "message": "Bad"}, "Bad"),
    ({"error": {"message": "Provider returned error", "metadata": {"raw": '{"error":{"message":"Bad"}}'}}},
     "Provider returned error: Bad"),
    ({"error": {"message": "Provider returned error", "metadata": {"raw": "Bad"}}}, "Provider returned error: Bad"),
    (b"Bad", "Bad"),
    (b"<html><head><title>400</title></head><body><h1>Bad</h1></body></html>", "400 Bad"),
    (b"", "the answer was empty"),
    (b'{"error": {"mess', '{"error": {"mess'),
    ({}, "{}"),
    (b"null", "null"),
]  # fmt: skip


@pytest.mark.parametrize(("body", "expected"), ENVELOPES)
def test_the_message_is_found_in_every_envelope(body: Any, expected: str) -> None:
    """And is the caller's own, word for word, when the request is at fault."""
    found = judged(400, body)

    assert (found.status, found.blame, found.message) == (400, Blame.CALLER, expected)


STATUSES = [
    (400, {"error": {"message": "Bad"}}, 400, "invalid_value", Blame.CALLER),
    (422, {"detail": "Bad"}, 400, "invalid_value", Blame.CALLER),
    (413, {"error": {"message": "Body too large"}}, 413, "request_too_large", Blame.CALLER),
    (400, {"error": {"message": "Unsupported parameter: 'x'"}}, 400, "unsupported_parameter", Blame.CALLER),
    (400, {"error": {"message": "m", "code": "content_filter"}}, 400, "content_blocked", Blame.CALLER),
    (400, {"error": {"message": "m", "innererror": {}, "code": "ResponsibleAIPolicyViolation"}}, 400, "content_blocked", Blame.CALLER),
    (400, {"code": "data_inspection_failed", "message": "m"}, 400, "content_blocked", Blame.CALLER),
    (400, {"error": {"code": "1301", "message": "m"}}, 400, "content_blocked", Blame.CALLER),
    (403, {"error": {"code": 403, "message": "Your input was flagged"}}, 400, "content_blocked", Blame.CALLER),
    (400, {"error": {"message": "This model's maximum context length is 4"}}, 400, "context_length_exceeded", Blame.CONTEXT),
    (400, {"error": {"message": "m", "code": "context_length_exceeded"}}, 400, "context_length_exceeded", Blame.CONTEXT),
    (400, {"error": {"message": "m", "type": "too_many_prompt_tokens"}}, 400, "context_length_exceeded", Blame.CONTEXT),
    (400, {"error": {"message": "m", "type": "exceed_context_size_error"}}, 400, "context_length_exceeded", Blame.CONTEXT),
    (413, {"error": {"code": "tokens_limit_reached", "message": "m"}}, 400, "context_length_exceeded", Blame.CONTEXT),
    (413, {"error": {"code": "rate_limit_exceeded", "message": "Request too large on tokens per minute"}}, 429, "upstream_rate_limited", Blame.LIMIT),
    (429, {"error": {"message": "Slow down"}}, 429, "upstream_rate_limited", Blame.LIMIT),
    (404, {"error": {"message": "m", "code": "DeploymentNotFound"}}, 404, "model_not_found", Blame.MODEL),
    (404, b"<html>nginx</html>", 404, "model_not_found", Blame.MODEL),
    (400, {"error": {"message": "x is not a valid model ID"}}, 404, "model_not_found", Blame.MODEL),
    (401, {"error": {"code": "401", "message": "m"}}, 502, "upstream_error", Blame.CREDENTIAL),
    (403, b"<html>Cloudflare</html>", 502, "upstream_error", Blame.CREDENTIAL),
    (402, {"error": {"message": "m"}}, 503, "upstream_unavailable", Blame.ACCOUNT),
    (408, {"error": {"message": "m"}}, 504, "upstream_timeout", Blame.UPSTREAM),
    (498, {"error": {"message": "flex capacity exceeded"}}, 503, "upstream_unavailable", Blame.UPSTREAM),
    (500, {"error": {"message": "m"}}, 502, "upstream_error", Blame.UPSTREAM),
    (502, b"<html>Bad gateway</html>", 502, "upstream_error", Blame.UPSTREAM),
    (503, {"error": {"code": 503, "message": "Loading model", "type": "unavailable_error"}}, 503, "upstream_unavailable", Blame.UPSTREAM),
    (504, b"", 504, "upstream_timeout", Blame.UPSTREAM),
    (529, {"error": {"message": "m"}}, 503, "upstream_unavailable", Blame.UPSTREAM),
]  # fmt: skip


@pytest.mark.parametrize(("status", "body", "expected", "code", "blame"), STATUSES)
def test_a_refusal_is_judged_once_for_all(status: int, body: Any, expected: int, code: str, blame: Blame) -> None:
    """Status, code and blame decide what the caller hears and what a planner tries next."""
    found = judged(status, body)

    assert (found.status, found.code, found.blame, found.upstream_status) == (
        expected,
        code,
        blame,
        found.upstream_status,
    )
    assert set(found.envelope()["error"]) == {"message", "type", "param", "code"}


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": "7", "retry-after-ms": "1500"}, 1.5),
        ({"retry-after": "Sat, 21 Nov 2026 10:00:30 GMT", "date": "Sat, 21 Nov 2026 10:00:00 GMT"}, 30.0),
        ({"retry-after": "soon"}, None),
        ({}, None),
    ],
)
def test_the_wait_that_an_upstream_asks_for_is_kept(headers: dict[str, str], expected: float | None) -> None:
    """In seconds, from whichever form it has."""
    assert judged(429, {"error": "Slow"}, headers).retry_after == expected


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ((429,), 429),
        (("503",), 503),
        (("rate_limit_exceeded",), 429),
        (("x", "overloaded_error"), 529),
        ((None, 7), 502),
    ],
)
def test_an_error_in_a_stream_stands_for_a_status(words: tuple[Any, ...], expected: int) -> None:
    """By its number or by its word."""
    assert failure.status_of(*words) == expected


@given(st.integers(400, 599), st.binary(max_size=80))
def test_no_refusal_breaks_the_judge(status: int, body: bytes) -> None:
    """Whatever a proxy in between wrote."""
    assert isinstance(judged(status, body), GatewayError)


@pytest.mark.parametrize(
    "message",
    [
        "Invalid value: tool choice 'billing' not found",
        'Unknown field "insufficient funds"',
        "Schema of tool billing_lookup is wrong",
    ],
)
def test_a_callers_own_words_are_not_taken_for_our_account(message: str) -> None:
    """A 400 that repeats the request says nothing of our money: else one caller could shut a provider for all."""
    assert failure.judge(400, message, target()).blame is Blame.CALLER


@pytest.mark.parametrize(
    "message",
    [
        "Your credit balance is too low to access the Anthropic API.",
        "Your billing account has been disabled.",
        "This API method requires billing to be enabled.",
        "billing not active",
    ],
)
def test_a_400_about_our_account_is_ours(message: str) -> None:
    """BerriAI/litellm#16092: some say 400 where they mean 402."""
    assert failure.judge(400, message, target()).blame is Blame.ACCOUNT


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "inf"}, 604_800),
        ({"retry-after": "1e400"}, 604_800),
        ({"retry-after": "nan"}, None),
        ({"retry-after-ms": "soon", "retry-after": "3"}, 3),
        ({"retry-after-ms": "1500", "retry-after": "3"}, 1.5),
        ({"retry-after": "Sat, 21 Nov 2026 00:00:10 -0000", "date": "Sat, 21 Nov 2026 00:00:00 GMT"}, 10),
        ({"retry-after": "Sat, 21 Nov 2026 00:00:10 GMT"}, None),
        ({"retry-after": "tomorrow"}, None),
    ],
)
def test_odd_times_to_wait(headers: dict[str, str], seconds: float | None) -> None:
    """Whatever stands there, what comes out is a time that can be kept, or none."""
    assert failure.retry_after(headers) == seconds
