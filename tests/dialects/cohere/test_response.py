"""Whole answers and refusals of `/v2/chat`, judged by the OpenAI SDK's types."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from compatgw.dialects.base import Context, Target
from compatgw.dialects.cohere import DIALECT
from compatgw.errors import Blame, GatewayError, UpstreamFailure, UpstreamTimeout
from tests.properties.judges import whole

TARGET = Target(provider="Cohere", model="command-a-03-2025")
USAGE = {"billed_units": {"input_tokens": 46.0, "output_tokens": 14.0}, "tokens": {"input_tokens": 1445.0, "output_tokens": 43.0}, "cached_tokens": 992.0}  # fmt: skip
CALL = {"id": "get_1", "type": "function", "function": {"name": "get", "arguments": '{"x":1}'}}
OTHER = {"id": "put_2", "type": "function", "function": {"name": "put", "arguments": "null"}}


def read(message: dict[str, Any], finish: Any = "COMPLETE", memo: dict[str, Any] | None = None, **more: Any) -> Any:
    assert DIALECT.chat is not None
    body = {"id": "c1", "finish_reason": finish, "message": {"role": "assistant", **message}, "usage": USAGE, **more}
    context = Context(TARGET, id="chatcmpl-ours", created=1_780_000_000, memo=memo or {})
    answer = DIALECT.chat.decode(orjson.dumps(body), context)
    whole(answer)
    assert answer.raw is None
    return answer.completion


def said(*parts: dict[str, Any]) -> dict[str, Any]:
    return {"content": list(parts)}


def text(value: str) -> dict[str, Any]:
    return {"type": "text", "text": value}


def failed(status: int, body: Any, headers: dict[str, str] | None = None) -> UpstreamFailure:
    assert DIALECT.chat is not None
    raw = body if isinstance(body, bytes) else orjson.dumps(body)
    return DIALECT.chat.error(status, headers or {}, raw, TARGET)


def test_a_plain_answer_becomes_a_completion() -> None:
    """Id with OpenAI's prefix, our time, the provider's model id, whole numbers."""
    assert read(said(text("Hi"), text(" you"))) == {
        "id": "chatcmpl-c1",
        "object": "chat.completion",
        "created": 1_780_000_000,
        "model": "command-a-03-2025",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": "Hi you", "refusal": None},
                "logprobs": None,
                "finish_reason": "stop",
            }
        ],
        "usage": {
            "prompt_tokens": 1445,
            "completion_tokens": 43,
            "total_tokens": 1488,
            "prompt_tokens_details": {"cached_tokens": 992},
            "billed_units": {"input_tokens": 46, "output_tokens": 14},
        },
    }


@pytest.mark.parametrize(
    ("word", "calls", "expected"),
    [
        ("COMPLETE", [], "stop"), ("STOP_SEQUENCE", [], "stop"), ("MAX_TOKENS", [], "length"),
        ("TOOL_CALL", [CALL], "tool_calls"), ("COMPLETE", [CALL], "tool_calls"), ("MAX_TOKENS", [CALL], "length"),
        ("TOOL_CALL", [], "stop"), ("ERROR_TOXIC", [], "content_filter"), ("ERROR_LIMIT", [], "length"),
        ("USER_CANCEL", [], "stop"), ("SOMETHING_NEW", [], "stop"), (None, [], "stop"), (7, [], "stop"),
    ],
)  # fmt: skip
def test_each_finish_reason_has_its_counterpart(word: Any, calls: list[Any], expected: str) -> None:
    """The table, and calls decide over a word that says otherwise."""
    assert read({"tool_calls": calls}, word)["choices"][0]["finish_reason"] == expected


@pytest.mark.parametrize(
    ("word", "status", "code"), [("ERROR", 502, "upstream_error"), ("TIMEOUT", 504, "upstream_timeout")]
)
def test_an_answer_that_says_it_failed_is_a_failure(word: str, status: int, code: str) -> None:
    """A 200 with such a finish reason is not an answer."""
    with pytest.raises(UpstreamFailure) as caught:
        read({}, word, error="your request resulted in an invalid tool generation")

    assert (caught.value.status, caught.value.code) == (status, code)
    assert "invalid tool generation" in caught.value.message


def test_tool_calls_come_with_null_content_and_the_plan_as_reasoning() -> None:
    """The plan is never content: agents would show it."""
    message = read({"tool_plan": "I will.", "tool_calls": [CALL, OTHER]}, "TOOL_CALL")["choices"][0]["message"]

    assert message["content"] is None
    assert message["tool_calls"] == [CALL, {**OTHER, "function": {"name": "put", "arguments": "{}"}}]
    assert (message["reasoning_content"], message["reasoning"]) == ("I will.", "I will.")


def test_thinking_is_reasoning() -> None:
    """Thinking parts stand apart from the text, before a plan."""
    parts = said({"type": "thinking", "thinking": "hm"}, text("4"))
    message = read({**parts, "tool_plan": "plan", "tool_calls": [CALL]})["choices"][0]["message"]

    assert (message["content"], message["reasoning_content"]) == ("4", "hm\nplan")


def test_only_the_first_call_is_kept_without_parallel_calls() -> None:
    """`parallel_tool_calls: false` is emulated."""
    message = read({"tool_calls": [CALL, OTHER]}, memo={"single_call": True})["choices"][0]["message"]

    assert message["tool_calls"] == [CALL]


def test_the_answer_tool_becomes_the_text() -> None:
    """A schema that was sent as a tool comes back as content, and the finish reason says stop."""
    answer = {"id": "j", "type": "function", "function": {"name": "json_response", "arguments": '{"x":1}'}}
    choice = read({"tool_calls": [answer]}, "TOOL_CALL", {"json_tool": "json_response"})["choices"][0]
    both = read({"tool_calls": [answer, CALL]}, "TOOL_CALL", {"json_tool": "json_response"})["choices"][0]

    assert (choice["message"]["content"], choice["finish_reason"]) == ('{"x":1}', "stop")
    assert "tool_calls" not in choice["message"]
    assert (both["message"]["tool_calls"], both["finish_reason"]) == ([CALL], "tool_calls")


def test_a_call_of_the_oldest_form_comes_back_in_it() -> None:
    """A request with `functions` is answered with `function_call`."""
    choice = read({"tool_calls": [CALL, OTHER]}, "TOOL_CALL", {"legacy": True, "single_call": True})["choices"][0]

    assert choice["message"]["function_call"] == CALL["function"]
    assert "tool_calls" not in choice["message"]
    assert choice["finish_reason"] == "function_call"


def source(kind: str = "document", **inside: Any) -> dict[str, Any]:
    return {"type": kind, "id": "doc:0", ("document" if kind == "document" else "tool_output"): inside}


def test_citations_become_annotations_and_stay_as_they_are() -> None:
    """Positions count in the whole text; the raw list is kept."""
    citations = [
        {"start": 0, "end": 2, "text": "Hi", "sources": [source(title="T", url="https://x.test")], "type": "TEXT_CONTENT"},
        {"start": 1, "end": 3, "text": "yo", "sources": [source(), source("tool"), source("tool", url="u")], "content_index": 2},
        {"start": 0, "end": 1, "text": "h", "sources": [source()], "type": "THINKING_CONTENT", "content_index": 1},
        {"start": 0, "end": 1, "text": "p", "sources": [source()], "type": "PLAN"},
    ]  # fmt: skip
    message = read({**said(text("Hi"), {"type": "thinking", "thinking": "h"}, text(" yo")), "citations": citations})
    message = message["choices"][0]["message"]

    assert message["citations"] == citations
    assert [tuple(a["url_citation"].values()) for a in message["annotations"]] == [
        ("https://x.test", "T", 0, 2),
        ("doc:0", "doc:0", 3, 5),
        ("u", "doc:0", 3, 5),
    ]
    assert {a["type"] for a in message["annotations"]} == {"url_citation"}


def test_logprobs_become_openais_entries() -> None:
    """One entry for each piece of text; several tokens in a piece are added up."""
    items = [
        {"text": "Hé", "token_ids": [1, 2], "logprobs": [-0.5, -0.25]},
        {"text": "y", "token_ids": [3], "logprobs": [-1]},
        {"token_ids": [4]},
    ]
    content = read(said(text("Héy")), logprobs=items)["choices"][0]["logprobs"]["content"]

    assert [(e["token"], e["logprob"]) for e in content] == [("Hé", -0.75), ("y", -1.0)]
    assert content[0]["bytes"] == [72, 195, 169]


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        ({"billed_units": {"input_tokens": 3.0, "output_tokens": 2.0}}, (3, 2, 5)),
        ({"tokens": {"input_tokens": 9.0}, "billed_units": {"input_tokens": 3.0, "output_tokens": 2.0}}, (9, 2, 11)),
        ({"tokens": {"input_tokens": 1e300, "output_tokens": -4}}, (2**53, 0, 2**53)),
        ({"tokens": {}}, (0, 0, 0)),
        ({}, None),
        (None, None),
        ("soon", None),
    ],
)
def test_usage_falls_back_to_what_is_billed(usage: Any, expected: tuple[int, int, int] | None) -> None:
    """Tokens first, billed units where they are missing, nothing where nothing is said."""
    found = read(said(text("x")), usage=usage).get("usage")

    totals = found and (found["prompt_tokens"], found["completion_tokens"], found["total_tokens"])
    assert totals == expected


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"[]",
        b"1",
        b'{"id":"x"}',
        b'{"message":[]}',
        b'{"message":"model is sad"}',
        b'{"message":{"content":[]},"error":"no"}',
        b"\xff",
    ],
)
def test_what_is_not_an_answer_is_an_upstream_failure(body: bytes) -> None:
    """A good status does not make an answer."""
    assert DIALECT.chat is not None
    with pytest.raises(UpstreamFailure) as caught:
        DIALECT.chat.decode(body, Context(TARGET, id="i", created=1))

    assert caught.value.status == 502


@pytest.mark.parametrize(
    "message",
    [
        {"content": None}, {"content": "text"}, {"content": [1, None, {"type": "text"}]}, {"tool_calls": "no"},
        {"tool_calls": [None, {}, {"function": 3}]}, {"citations": [None, 4, {"start": "a"}]}, {"tool_plan": 4},
        {"citations": [{"start": 0, "end": 1, "sources": [3, {}], "content_index": [1]}]},
        {"citations": [{"start": "0", "end": 1, "sources": [{}]}]},
    ],
)  # fmt: skip
def test_odd_shapes_do_not_break_the_reader(message: dict[str, Any]) -> None:
    """What cannot be read is left out; the answer stays one that clients take."""
    read(message)


# --- refusals --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "body", "expected", "code", "blame"),
    [
        (400, {"message": "invalid request: bad"}, 400, "invalid_value", Blame.CALLER),
        (400, {"error_type": "TOO_MANY_TOKENS", "message": "too many tokens: size limit exceeded by 9 tokens."},
         400, "context_length_exceeded", Blame.CONTEXT),
        (400, {"message": "prompt exceeds the maximum context length"}, 400, "context_length_exceeded", Blame.CONTEXT),
        (401, {"message": "invalid api token"}, 502, "upstream_error", Blame.CREDENTIAL),
        (402, {"message": "billing limit"}, 503, "upstream_unavailable", Blame.ACCOUNT),
        (403, {"message": "no"}, 502, "upstream_error", Blame.CREDENTIAL),
        (404, {"message": "model 'x' not found, make sure the correct model ID was used"},
         404, "model_not_found", Blame.MODEL),
        (422, {"message": "unknown field: parameter 'strict' is not a valid field"},
         400, "invalid_value", Blame.CALLER),
        (429, {"message": "You are using a Trial key, which is limited to 1000 API calls / month."},
         503, "upstream_unavailable", Blame.ACCOUNT),
        (429, {"message": "You are using a Trial key, which is limited to 20 API calls / minute."},
         429, "upstream_rate_limited", Blame.LIMIT),
        (429, {"message": "Please wait and try again later"}, 429, "upstream_rate_limited", Blame.LIMIT),
        (498, {"message": "blocked output: the content is not allowed"}, 400, "content_blocked", Blame.CALLER),
        (498, {"message": "invalid token"}, 502, "upstream_error", Blame.CREDENTIAL),
        (499, {"message": "client closed"}, 502, "upstream_error", Blame.UPSTREAM),
        (500, {"message": "internal server error"}, 502, "upstream_error", Blame.UPSTREAM),
        (501, {"message": "not implemented for this model"}, 400, "unsupported_parameter", Blame.CALLER),
        (503, {"data": "no healthy upstream"}, 503, "upstream_unavailable", Blame.UPSTREAM),
        (504, {"message": "slow"}, 504, "upstream_timeout", Blame.UPSTREAM),
        (502, b"<html><h1>Bad gateway</h1></html>", 502, "upstream_error", Blame.UPSTREAM),
        (500, b"", 502, "upstream_error", Blame.UPSTREAM),
    ],
)  # fmt: skip
def test_each_refusal_is_judged_as_the_table_says(
    status: int, body: Any, expected: int, code: str, blame: Blame
) -> None:
    """Status, code and whose fault it is, for each row of the document."""
    failure = failed(status, body)

    assert (failure.status, failure.code, failure.blame) == (expected, code, blame)
    assert failure.upstream_status == status
    assert set(failure.envelope()["error"]) == {"message", "type", "param", "code"}


def test_a_month_s_trial_limit_is_not_worth_a_retry() -> None:
    """A minute's limit passes, a month's does not."""
    month = failed(429, {"message": "You are using a Trial key, which is limited to 1000 API calls / month"})
    minute = failed(429, {"message": "limited to 10 API calls / minute"}, {"retry-after": "7"})

    assert month.should_retry is False
    assert (minute.should_retry, minute.retry_after) == (None, 7.0)


def test_the_data_member_is_the_message() -> None:
    """The other flat form."""
    assert "no healthy upstream" in failed(503, {"data": "no healthy upstream"}).message
    assert isinstance(failed(504, {"data": "x"}), UpstreamTimeout)


def test_a_refused_key_is_never_repeated() -> None:
    """The upstream's sentence about the key stays here."""
    failure: GatewayError = failed(401, {"message": "Incorrect API key provided: abc***def"})

    assert "abc" not in failure.message
