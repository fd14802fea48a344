"""Whole answers and refusals."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from compatgw.dialects.blocks.thoughts import origin
from compatgw.errors import Blame, UpstreamFailure

from .claude_answers import USAGE, answer, decoded, message, text, thinking, use
from .claude_asking import codec, context, encode, target, tool


def test_the_worked_example() -> None:
    """Of the vendor's own documents: thinking, text, a call and all kinds of tokens."""
    usage = {
        "input_tokens": 30,
        "cache_read_input_tokens": 80,
        "cache_creation_input_tokens": 10,
        "cache_creation": {"ephemeral_5m_input_tokens": 10, "ephemeral_1h_input_tokens": 0},
        "output_tokens": 42,
        "output_tokens_details": {"thinking_tokens": 12},
        "service_tier": "standard",
    }
    body = message(thinking("Two calls.", "EqQB"), text("Checking."), use(city="Paris"), stop="tool_use", usage=usage)
    found = codec().decode(orjson.dumps(body), context()).completion

    assert found == {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1_780_000_000,
        "model": "claude-sonnet-5-5",
        "choices": [
            {
                "index": 0,
                "message": {
                    "role": "assistant",
                    "content": "Checking.",
                    "refusal": None,
                    "tool_calls": [
                        {
                            "id": "toolu_a",
                            "type": "function",
                            "function": {"name": "get_weather", "arguments": '{"city":"Paris"}'},
                        }
                    ],
                    "reasoning_content": "Two calls.",
                    "reasoning": "Two calls.",
                    "reasoning_details": [
                        {
                            "index": 0,
                            "type": "reasoning.text",
                            "text": "Two calls.",
                            "signature": "EqQB",
                            "format": "anthropic-claude-v1",
                            "id": origin(target()),
                        }
                    ],
                    "thinking_blocks": [{"type": "thinking", "thinking": "Two calls.", "signature": "EqQB"}],
                },
                "logprobs": None,
                "finish_reason": "tool_calls",
            }
        ],
        "usage": {
            "prompt_tokens": 120,
            "completion_tokens": 42,
            "total_tokens": 162,
            "prompt_tokens_details": {"cached_tokens": 80, "cache_write_tokens": 10},
            "completion_tokens_details": {"reasoning_tokens": 12},
            "cache_creation": {"ephemeral_5m_input_tokens": 10, "ephemeral_1h_input_tokens": 0},
        },
        "service_tier": "default",
    }
    decoded(body)


@pytest.mark.parametrize(
    ("stop", "content", "expected"),
    [
        ("end_turn", [text("a")], "stop"),
        ("stop_sequence", [text("a")], "stop"),
        ("pause_turn", [text("a")], "stop"),
        ("compaction", [text("a")], "stop"),
        ("from_tomorrow", [text("a")], "stop"),
        (None, [text("a")], "stop"),
        ("max_tokens", [text("a")], "length"),
        ("max_tokens", [use()], "length"),
        ("model_context_window_exceeded", [text("a")], "length"),
        ("tool_use", [use()], "tool_calls"),
        ("end_turn", [use()], "tool_calls"),
        ("tool_use", [text("a")], "stop"),
        ("refusal", [], "content_filter"),
    ],
)
def test_finish_reasons(stop: str | None, content: list[Any], expected: str) -> None:
    """None is one that OpenAI's clients do not know, and calls are never just a stop."""
    assert decoded(message(*content, stop=stop))["choices"][0]["finish_reason"] == expected


def test_texts_are_joined_without_anything_between() -> None:
    """They are split at citations."""
    assert answer(text("The sky"), text(" is blue"), text("."))["content"] == "The sky is blue."


def test_no_text_is_null() -> None:
    """As OpenAI has it."""
    assert answer(use())["content"] is None
    assert answer()["content"] is None


def test_a_refusal_says_why() -> None:
    """Where the vendor does."""
    details = {"type": "refusal", "category": "cyber", "explanation": "Blocked."}

    assert answer(stop="refusal", stop_details=details)["refusal"] == "Blocked."
    assert answer(stop="refusal", stop_details={**details, "explanation": None})["refusal"] is None
    assert answer(stop="refusal", stop_details=None)["refusal"] is None


def test_the_vendors_own_tools_stay_out_of_the_answer() -> None:
    """The caller cannot run them, and their results are not text."""
    found = answer(
        text("a"),
        {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {"query": "q"}},
        {"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": [{"type": "text", "text": "no"}]},
        {"type": "from_tomorrow", "text": "no"},
        text("b"),
    )

    assert found["content"] == "ab"
    assert not found["tool_calls"]


def test_citations_with_an_address_are_annotations() -> None:
    """Of the text that they stand on; those of documents have no place."""
    web = {
        "type": "web_search_result_location",
        "url": "https://x.test/1",
        "title": "One",
        "cited_text": "c",
        "encrypted_index": "e",
    }
    found = answer(
        text("See "),
        text("this", citations=[web, {"type": "char_location", "cited_text": "c", "document_index": 0}]),
        text(" and that", citations=[{"type": "search_result_location", "source": "https://x.test/2", "title": None}]),
    )

    assert [entry["url_citation"] for entry in found["annotations"]] == [
        {"start_index": 4, "end_index": 8, "title": "One", "url": "https://x.test/1"},
        {"start_index": 8, "end_index": 17, "title": "https://x.test/2", "url": "https://x.test/2"},
    ]


def test_all_thinking_blocks_are_given_out() -> None:
    """Those without text and those that are encrypted too: they have to come back."""
    found = answer(
        thinking("One", "s1"),
        thinking("", "s2"),
        {"type": "redacted_thinking", "data": "ZA"},
        thinking("Two", "s3"),
        text("a"),
    )

    assert found["reasoning_content"] == "OneTwo"
    assert [(e["index"], e["type"], e.get("signature"), e.get("data")) for e in found["reasoning_details"]] == [
        (0, "reasoning.text", "s1", None),
        (1, "reasoning.text", "s2", None),
        (2, "reasoning.encrypted", None, "ZA"),
        (3, "reasoning.text", "s3", None),
    ]
    assert len(found["thinking_blocks"]) == 4


def test_what_was_given_out_comes_back_in() -> None:
    """Through either of its members, unchanged."""
    blocks = [thinking("One", "s1"), thinking("", "s2"), {"type": "redacted_thinking", "data": "ZA"}]
    found = answer(*blocks, text("Hi"))
    for name in ("reasoning_details", "thinking_blocks"):
        said = {"role": "assistant", "content": found["content"], name: found[name]}
        asked = {"role": "user", "content": "Hi"}
        body = orjson.loads(encode(messages=[asked, said, asked]).body)
        assert body["messages"][1]["content"] == [*blocks, {"type": "text", "text": "Hi"}]


def test_hidden_thinking_keeps_its_signature() -> None:
    """The caller does not want to read it, but the next turn needs it."""
    memo = encode(reasoning={"effort": "low", "exclude": True}).memo
    found = answer(thinking("Secret", "s1"), text("a"), asked=context(**memo))

    assert "reasoning_content" not in found
    assert "Secret" not in str(found)
    assert found["reasoning_details"][0]["signature"] == "s1"


@pytest.mark.parametrize(
    ("usage", "prompt", "details"),
    [
        ({"input_tokens": 5, "output_tokens": 7}, 5, {"cached_tokens": 0, "cache_write_tokens": 0}),
        (
            {"input_tokens": 5, "cache_read_input_tokens": 3, "cache_creation_input_tokens": 2, "output_tokens": 7},
            10,
            {"cached_tokens": 3, "cache_write_tokens": 2},
        ),
        (
            {
                "input_tokens": 5,
                "cache_read_input_tokens": None,
                "cache_creation_input_tokens": None,
                "output_tokens": 7,
            },
            5,
            {"cached_tokens": 0, "cache_write_tokens": 0},
        ),
    ],
)
def test_the_prompt_counts_what_the_cache_did(usage: dict[str, Any], prompt: int, details: dict[str, int]) -> None:
    """The vendor counts it apart."""
    found = decoded(message(text("a"), usage=usage))["usage"]

    assert (found["prompt_tokens"], found["completion_tokens"], found["total_tokens"]) == (prompt, 7, prompt + 7)
    assert {name: found["prompt_tokens_details"][name] for name in details} == details


@pytest.mark.parametrize(
    ("tier", "expected"), [("standard", "default"), ("priority", "priority"), ("batch", None), (None, None)]
)
def test_service_tiers_of_answers(tier: str | None, expected: str | None) -> None:
    """In the words of OpenAI, or not at all."""
    assert decoded(message(text("a"), usage={**USAGE, "service_tier": tier}))["service_tier"] == expected


def test_an_answer_without_an_identity_gets_ours() -> None:
    """Other servers of this protocol leave things out."""
    found = decoded(orjson.dumps({"content": [{"type": "text", "text": "a"}, use(id="")]}))

    assert (found["id"], found["model"]) == ("chatcmpl-ours", "claude-sonnet-5-5")
    assert found["choices"][0]["message"]["tool_calls"][0]["id"].startswith("call_")
    assert found["usage"] is None


# --- what the request left in the memo -------------------------------------------------------


def test_names_and_ids_come_back_as_the_caller_gave_them() -> None:
    """Whatever was sent in their place."""
    outgoing = encode(tools=[tool("my tool")])
    sent = orjson.loads(outgoing.body)["tools"][0]["name"]
    found = answer(use("toolu_a", sent), asked=context(outgoing, ids={"toolu_a": "functions.Bash:0"}))

    call = found["tool_calls"][0]
    assert (call["id"], call["function"]["name"]) == ("functions.Bash:0", "my tool")


def test_a_custom_tools_input_is_unwrapped() -> None:
    """Arguments that are not the one that was declared stay visible."""
    outgoing = encode(tools=[{"type": "custom", "custom": {"name": "sh"}}])
    found = answer(use(name="sh", input="ls -l"), asked=context(outgoing))
    assert found["tool_calls"] == [{"id": "toolu_a", "type": "custom", "custom": {"name": "sh", "input": "ls -l"}}]

    odd = answer(use(name="sh", input=["ls"]), asked=context(outgoing))
    assert odd["tool_calls"][0]["custom"]["input"] == '{"input":["ls"]}'


def test_the_oldest_form_has_one_call() -> None:
    """Its answer has no room for more."""
    outgoing = encode(functions=[{"name": "f"}])
    body = message(use("toolu_a", "f", a=1), use("toolu_b", "f", a=2), stop="tool_use")
    found = decoded(body, context(outgoing))["choices"][0]

    assert found["message"]["function_call"] == {"name": "f", "arguments": '{"a":1}'}
    assert not found["message"]["tool_calls"]
    assert found["finish_reason"] == "function_call"


SCHEMA = {
    "type": "json_schema",
    "json_schema": {"name": "a", "schema": {"type": "object", "properties": {"a": {"type": "integer"}}}},
}


def test_an_answer_through_a_tool_is_text() -> None:
    """And ends as an answer does; what was said beside it would spoil the JSON."""
    outgoing = encode("claude-3-5-haiku-20241022", response_format=SCHEMA)
    body = message(text("Here it is:"), use(name="json_response", a=1), stop="tool_use")
    found = decoded(body, context(outgoing))["choices"][0]

    assert found["message"]["content"] == '{"a":1}'
    assert not found["message"]["tool_calls"]
    assert found["finish_reason"] == "stop"


def test_other_calls_beside_an_answer_through_a_tool_are_calls() -> None:
    """The model chose one of the caller's tools instead."""
    outgoing = encode("claude-3-5-haiku-20241022", response_format=SCHEMA, tools=[tool()])
    found = decoded(message(text("Looking."), use(), stop="tool_use"), context(outgoing))["choices"][0]

    assert (found["message"]["content"], found["finish_reason"]) == ("Looking.", "tool_calls")


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ('{"a":1}', '{"a":1}'),
        ('```json\n{"a":1}\n```', '{"a":1}'),
        ('```\n{"a":1}```\n', '{"a":1}'),
        ('\n{"a":"```"}', '\n{"a":"```"}'),
        ("```json is a fence", "```json is a fence"),
        ('```json\n{"a":1}', '{"a":1}'),
    ],
)
def test_a_fence_round_a_json_object_is_taken_off(said: str, expected: str) -> None:
    """Only where an object was asked for, and only a whole fence."""
    assert answer(text(said), asked=context(encode(response_format={"type": "json_object"})))["content"] == expected
    assert answer(text(said))["content"] == said


# --- what is no answer -----------------------------------------------------------------------


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b"{}", b'"x"', b'{"type":"message"}', b'{"content":"text"}'])
def test_what_is_no_message_is_an_upstream_failure(body: bytes) -> None:
    """502, whatever came."""
    with pytest.raises(UpstreamFailure) as caught:
        codec().decode(body, context())
    assert caught.value.status == 502


def test_an_error_in_the_place_of_an_answer_is_judged() -> None:
    """Some servers say it with status 200."""
    body = orjson.dumps({"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}})
    with pytest.raises(UpstreamFailure) as caught:
        codec().decode(body, context())
    assert (caught.value.status, caught.value.code) == (503, "upstream_unavailable")


def test_an_input_that_cannot_be_written_again_is_an_upstream_failure() -> None:
    """It nests deeper than JSON is written here."""
    deep = b'{"content":[{"type":"tool_use","id":"a","name":"f","input":' + b'{"a":' * 300 + b"1" + b"}" * 300 + b"}]}"
    with pytest.raises(UpstreamFailure):
        codec().decode(deep, context())


# --- refusals --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "kind", "said", "expected"),
    [
        (400, "invalid_request_error", "max_tokens: 9 > 8", (400, "invalid_value", "max_tokens", Blame.CALLER)),
        (
            400,
            "invalid_request_error",
            "prompt is too long: 9 tokens > 8 maximum",
            (400, "context_length_exceeded", "messages", Blame.CONTEXT),
        ),
        (
            400,
            "invalid_request_error",
            "input length and `max_tokens` exceed context limit: 8 + 9 > 16",
            (400, "context_length_exceeded", "messages", Blame.CONTEXT),
        ),
        (
            400,
            "invalid_request_error",
            "messages.0.content.1.text: text content blocks must be non-empty",
            (400, "invalid_value", "messages", Blame.CALLER),
        ),
        (
            400,
            "invalid_request_error",
            "output_config.format.schema: bad",
            (400, "invalid_value", "response_format", Blame.CALLER),
        ),
        (
            400,
            "invalid_request_error",
            "`temperature` is deprecated for this model.",
            (400, "invalid_value", "temperature", Blame.CALLER),
        ),
        (
            400,
            "invalid_request_error",
            "Your credit balance is too low",
            (503, "upstream_unavailable", None, Blame.ACCOUNT),
        ),
        (401, "authentication_error", "invalid x-api-key", (502, "upstream_error", None, Blame.CREDENTIAL)),
        (402, "billing_error", "Pay", (503, "upstream_unavailable", None, Blame.ACCOUNT)),
        (403, "permission_error", "No", (502, "upstream_error", None, Blame.CREDENTIAL)),
        (404, "not_found_error", "model: claude-9", (404, "model_not_found", "model", Blame.MODEL)),
        (408, "timeout_error", "Late", (504, "upstream_timeout", None, Blame.UPSTREAM)),
        (413, "request_too_large", "Too large", (413, "request_too_large", None, Blame.CALLER)),
        (429, "rate_limit_error", "Slow down", (429, "upstream_rate_limited", None, Blame.LIMIT)),
        (500, "api_error", "Oops", (502, "upstream_error", None, Blame.UPSTREAM)),
        (503, "api_error", "Down", (503, "upstream_unavailable", None, Blame.UPSTREAM)),
        (504, "timeout_error", "Late", (504, "upstream_timeout", None, Blame.UPSTREAM)),
        (529, "overloaded_error", "Overloaded", (503, "upstream_unavailable", None, Blame.UPSTREAM)),
    ],
)
def test_refusals(status: int, kind: str, said: str, expected: tuple[int, str, str | None, Blame]) -> None:
    """The table of the contract."""
    body = orjson.dumps({"type": "error", "error": {"type": kind, "message": said}, "request_id": "req_1"})
    failure = codec().error(status, {"retry-after": "3"}, body, target())

    assert (failure.status, failure.code, failure.param, failure.blame) == expected
    assert failure.upstream_status == status
    if status in (429, 529):
        assert failure.retry_after == 3
    if status in (401, 403):
        assert failure.should_retry is False
        assert "x-api-key" not in failure.message


@pytest.mark.parametrize("body", [b"", b"<html>Bad gateway</html>", b"{", b"null", b'{"error":"text"}'])
def test_a_refusal_in_any_other_form_is_judged_by_its_status(body: bytes) -> None:
    """Proxies write what they like."""
    assert codec().error(503, {}, body, target()).status == 503
