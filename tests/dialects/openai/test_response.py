"""Whole answers: canonical ones pass as their own bytes, all others are mended into what the SDK's types take."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from openai.types.chat import ChatCompletion

from compatgw.dialects.base import Quirks
from compatgw.errors import Blame, UpstreamFailure, UpstreamRejected

from .sending import CODEC, answer, context, decode, message

USAGE = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
CALL = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": '{"a":1}'}}
PLAIN = answer({"content": "Hi", "refusal": None}, usage=USAGE, choice={"logprobs": None})


@pytest.mark.parametrize(
    "value",
    [
        PLAIN,
        {**PLAIN, "service_tier": "default", "system_fingerprint": None, "x_vendor": {"a": 1}},
        answer({"content": None, "refusal": "No."}, usage=USAGE, choice={"logprobs": None}),
        answer(
            {"content": None, "refusal": None, "tool_calls": [CALL]},
            "tool_calls",
            usage={**USAGE, "prompt_tokens_details": {"cached_tokens": 1}},
            choice={"logprobs": None},
        ),
        answer(
            {"content": "4", "refusal": None, "reasoning_content": "t", "reasoning": "t", "annotations": []},
            usage=USAGE,
            choice={"logprobs": {"content": [], "refusal": None}},
        ),
    ],
)
def test_a_canonical_answer_is_passed_on_as_its_own_bytes(value: dict[str, Any]) -> None:
    """No rebuilding, no change of spelling."""
    data = orjson.dumps(value)
    found = CODEC.decode(data, context())

    assert found.raw is data
    assert found.completion == value


BAD_CALLS: tuple[Any, ...] = (
    [],
    {},
    [3],
    [{**CALL, "id": ""}],
    [{**CALL, "function": {"name": ""}}],
    [{**CALL, "function": {"name": "f"}}],
)


NEARLY: list[dict[str, Any]] = [
    answer({"content": "Hi", "refusal": ""}, usage=USAGE, choice={"logprobs": None}),
    answer({"content": "Hi", "refusal": None}, usage=USAGE),
    answer({"content": "Hi", "refusal": None}, usage=USAGE, choice={"logprobs": 3}),
    answer({"content": "Hi", "refusal": None}, usage=USAGE, choice={"logprobs": None, "index": 4}),
    answer({"content": "Hi", "refusal": None}, "eos", usage=USAGE, choice={"logprobs": None}),
    answer({"content": "Hi", "refusal": None, "reasoning": "t"}, usage=USAGE, choice={"logprobs": None}),
    answer({"content": "Hi", "refusal": None, "annotations": {}}, usage=USAGE, choice={"logprobs": None}),
    answer({"content": ["Hi"], "refusal": None}, usage=USAGE, choice={"logprobs": None}),
    answer({"content": "Hi", "refusal": None, "audio": {"id": ""}}, usage=USAGE, choice={"logprobs": None}),
    answer({"content": "<think>t</think>Hi", "refusal": None}, usage=USAGE, choice={"logprobs": None}),
    *(
        answer(
            {"content": None, "refusal": None, "tool_calls": calls},
            "tool_calls",
            usage=USAGE,
            choice={"logprobs": None},
        )
        for calls in BAD_CALLS
    ),
    answer({"content": "Hi", "refusal": None}, choice={"logprobs": None}),
    {**PLAIN, "citations": []},
]


@pytest.mark.parametrize("value", NEARLY)
def test_what_is_only_nearly_canonical_is_mended(value: dict[str, Any]) -> None:
    """One wrong member is enough."""
    found = CODEC.decode(orjson.dumps(value), context())

    assert found.raw is None
    ChatCompletion.model_validate(found.completion)


MENDED = [
    ({"object": "text_completion"}, {"object": "chat.completion"}),
    ({"id": ""}, {"id": "chatcmpl-ours"}),
    ({"id": None}, {"id": "chatcmpl-ours"}),
    ({"created": 0}, {"created": 1_780_000_000}),
    ({"created": 7.9}, {"created": 7}),
    ({"model": ""}, {"model": "m"}),
    ({"service_tier": "on_demand"}, {"service_tier": "default"}),
]


@pytest.mark.parametrize(("given", "expected"), MENDED)
def test_what_is_missing_at_the_top_is_filled(given: dict[str, Any], expected: dict[str, Any]) -> None:
    """Typed clients need every required member."""
    found = decode({**PLAIN, **given})

    assert {name: found[name] for name in expected} == expected
    ChatCompletion.model_validate(found)


def test_every_required_member_of_a_message_is_there() -> None:
    """Content, refusal and logprobs as null where nothing was said."""
    found = decode(answer({}))["choices"][0]

    assert found["logprobs"] is None
    assert found["message"] == {"role": "assistant", "content": None, "refusal": None}


REASONS = [
    ("stop", "stop"), ("eos", "stop"), ("end_turn", "stop"), ("stop_sequence", "stop"), ("whatever", "stop"),
    ("length", "length"), ("max_tokens", "length"), ("model_length", "length"), ("abort", "length"),
    ("model_context_window_exceeded", "length"), ("insufficient_system_resource", "length"),
    ("content_filter", "content_filter"), ("sensitive", "content_filter"), ("SAFETY", "content_filter"),
    ("tool_calls", "stop"), ("", "stop"), (None, "stop"), (3, "stop"),
]  # fmt: skip


@pytest.mark.parametrize(("word", "expected"), REASONS)
def test_finish_reasons_become_openais_five(word: Any, expected: str) -> None:
    """`tool_calls` without calls is a stop."""
    assert decode(answer({"content": "x"}, word))["choices"][0]["finish_reason"] == expected


@pytest.mark.parametrize("word", ["stop", "tool_calls", "eos", None, ""])
def test_an_answer_with_calls_ends_with_tool_calls(word: Any) -> None:
    """Agents decide by the finish reason."""
    assert decode(answer({"tool_calls": [CALL]}, word))["choices"][0]["finish_reason"] == "tool_calls"


@pytest.mark.parametrize("word", ["error", "network_error"])
def test_a_finish_reason_that_says_failure_is_one(word: str) -> None:
    """Passing it on as `length` would report a broken answer as a whole one."""
    with pytest.raises(UpstreamFailure, match=word):
        decode(answer({"content": "x"}, word))


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        ({**CALL, "index": 0}, CALL),
        ({"id": "call_1", "function": CALL["function"]}, CALL),
        ({**CALL, "function": {"name": "f", "arguments": {"a": 1}}}, CALL),
        ({**CALL, "function": {"name": "f", "arguments": ""}}, {**CALL, "function": {"name": "f", "arguments": "{}"}}),
        (
            {**CALL, "function": {"name": "f", "arguments": None}},
            {**CALL, "function": {"name": "f", "arguments": "{}"}},
        ),
        ({"id": "call_1", "name": "f", "arguments": {"a": 1}}, CALL),
        (
            {"id": "call_1", "type": "custom", "custom": {"name": "c", "input": "x"}},
            {"id": "call_1", "type": "custom", "custom": {"name": "c", "input": "x"}},
        ),
    ],
)
def test_calls_have_id_type_and_arguments_as_a_string(call: dict[str, Any], expected: dict[str, Any]) -> None:
    """Whatever the server made of them."""
    assert message({"tool_calls": [call]})["tool_calls"] == [expected]


@pytest.mark.parametrize("id", ["", None, "null"])
def test_a_call_without_an_id_gets_one_that_stays_the_same(id: Any) -> None:
    """Retries and caches must agree on it."""
    value = {"tool_calls": [{**CALL, "id": id}, {**CALL, "id": id}]}
    first, second = (call["id"] for call in message(value)["tool_calls"])

    assert first.startswith("call_")
    assert first != second
    assert [first, second] == [call["id"] for call in message(value)["tool_calls"]]


def test_an_empty_list_of_calls_is_left_out_and_empty_content_beside_calls_is_null() -> None:
    """Clients test the array, and the content."""
    assert "tool_calls" not in message({"content": "x", "tool_calls": []})
    assert "tool_calls" not in message({"content": "x", "tool_calls": None})
    assert message({"content": "", "tool_calls": [CALL]})["content"] is None


@pytest.mark.parametrize(
    "given",
    [
        {"content": "4", "reasoning_content": "t"},
        {"content": "4", "reasoning": "t"},
        {"content": "4", "reasoning": None, "reasoning_details": [{"type": "reasoning.text", "text": "t", "index": 0}]},
        {"content": "<think>\nt</think>\n\n4"},
        {"content": "\n<think>t</think>4"},
        {"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "t"}]}, {"type": "text", "text": "4"}]},
        {"content": [{"type": "thinking", "thinking": "t"}, {"type": "reference", "reference_ids": [1]}, "4"]},
    ],
)
def test_reasoning_stands_under_both_names_and_never_in_content(given: dict[str, Any]) -> None:
    """One family of clients reads each."""
    found = message(given)

    assert (found["content"], found["reasoning_content"], found["reasoning"]) == ("4", "t", "t")


@pytest.mark.parametrize("text", ["see <think>this</think>", "a</think>b", "<thinking>x", "think"])
def test_a_tag_that_is_not_the_beginning_is_text(text: str) -> None:
    """The model talks about it."""
    found = message({"content": text})

    assert found["content"] == text
    assert "reasoning" not in found


def test_reasoning_that_was_cut_off_is_no_text() -> None:
    """A tag that never closed, as at `length`."""
    found = message({"content": "<think>so far"}, "length")

    assert (found["content"], found["reasoning"]) == ("", "so far")


def test_an_object_as_content_becomes_its_json() -> None:
    """Workers AI parses structured answers."""
    assert message({"content": {"a": 1}})["content"] == '{"a":1}'


def test_citations_beside_the_choices_become_annotations() -> None:
    """Perplexity's, with the title where there is one."""
    url = "https://x.test"
    found = decode(answer({"content": "x"}, citations=[url], search_results=[{"title": "X", "url": url}]))

    citation = {"start_index": 0, "end_index": 0, "title": "X", "url": url}
    assert found["choices"][0]["message"]["annotations"] == [{"type": "url_citation", "url_citation": citation}]
    assert found["citations"] == [url]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (USAGE, USAGE),
        ({"prompt_tokens": 3.0, "completion_tokens": 2, "total_tokens": 5}, USAGE),
        ({"prompt_tokens": 3, "completion_tokens": 2}, USAGE),
        ({"prompt_tokens": 3, "completion_tokens": None}, {**USAGE, "completion_tokens": 0, "total_tokens": 3}),
        ({**USAGE, "prompt_tokens_details": None}, USAGE),
        ({**USAGE, "cached_tokens": 1}, {**USAGE, "cached_tokens": 1, "prompt_tokens_details": {"cached_tokens": 1}}),
        (
            {**USAGE, "prompt_cache_hit_tokens": 2, "prompt_cache_miss_tokens": 1},
            {
                **USAGE,
                "prompt_cache_hit_tokens": 2,
                "prompt_cache_miss_tokens": 1,
                "prompt_tokens_details": {"cached_tokens": 2},
            },
        ),
        (
            {**USAGE, "total_tokens": 9, "completion_tokens_details": {"reasoning_tokens": 4, "audio_tokens": None}},
            {
                "prompt_tokens": 3,
                "completion_tokens": 6,
                "total_tokens": 9,
                "completion_tokens_details": {"reasoning_tokens": 4},
            },
        ),
        (
            {**USAGE, "completion_tokens_details": {"reasoning_tokens": 1}},
            {**USAGE, "completion_tokens_details": {"reasoning_tokens": 1}},
        ),
    ],
)
def test_usage_adds_up(given: dict[str, Any], expected: dict[str, Any]) -> None:
    """Integers, details never null, cached and reasoning tokens where OpenAI has them."""
    assert decode(answer({"content": "x"}, usage=given))["usage"] == expected


def test_reasoning_is_added_where_the_row_says_that_it_is_left_out() -> None:
    """xAI's totals, even where nobody counts reasoning by name; never twice."""
    quirks = Quirks(excludes_reasoning=True)
    hidden = decode(answer({"content": "x"}, usage={**USAGE, "total_tokens": 12}), quirks)["usage"]
    assert (hidden["completion_tokens"], hidden["completion_tokens_details"]) == (9, {"reasoning_tokens": 7})
    whole = {**USAGE, "completion_tokens_details": {"reasoning_tokens": 1}}
    assert decode(answer({"content": "x"}, usage=whole), quirks)["usage"] == whole


@pytest.mark.parametrize(
    "given", [{"x_groq": {"usage": USAGE}}, {"choice": {"usage": USAGE}}, {"usage": None, "x_groq": {"usage": USAGE}}]
)
def test_usage_is_found_wherever_it_stands(given: dict[str, Any]) -> None:
    """Groq's and Moonshot's places."""
    assert decode(answer({"content": "x"}, **given))["usage"] == USAGE


def test_choices_are_put_in_order_of_their_indexes() -> None:
    """Or numbered anew where those make no sense."""
    one, two = ({"index": n, "message": {"content": str(n)}, "finish_reason": "stop"} for n in (0, 1))
    swapped = decode({**PLAIN, "choices": [two, one]})["choices"]
    assert [(c["index"], c["message"]["content"]) for c in swapped] == [(0, "0"), (1, "1")]
    same = decode({**PLAIN, "choices": [one, {**two, "index": 0}]})["choices"]
    assert [(c["index"], c["message"]["content"]) for c in same] == [(0, "0"), (1, "1")]


def test_members_that_nobody_knows_are_kept() -> None:
    """At every level."""
    value = answer({"content": "x", "audio_x": 1}, choice={"seed": 4}, provider="Y", usage={**USAGE, "cost": 0.1})
    found = decode(value)

    assert found["provider"] == "Y"
    assert found["usage"]["cost"] == 0.1
    assert found["choices"][0]["seed"] == 4
    assert found["choices"][0]["message"]["audio_x"] == 1


def test_legacy_function_calls_are_kept() -> None:
    """Their finish reason too."""
    found = decode(answer({"content": None, "function_call": {"name": "f", "arguments": ""}}, "function_call"))

    assert found["choices"][0]["message"]["function_call"] == {"name": "f", "arguments": "{}"}
    assert found["choices"][0]["finish_reason"] == "function_call"


def test_what_a_mended_answer_becomes_needs_no_second_mending() -> None:
    """Another gateway of ours passes it through as bytes."""
    once = decode(answer({"reasoning": "t", "content": "4", "tool_calls": [{**CALL, "id": ""}]}, "eos", usage=USAGE))
    data = orjson.dumps(once)

    assert CODEC.decode(data, context()).raw is data


# --- answers that are none -----------------------------------------------------------------------


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\n\n",
        b"<html><body>502 Bad Gateway</body></html>",
        b"oops",
        b'{"id": "c',
        b"3",
        b'"x"',
        b"[]",
        b"{}",
        b'{"choices": []}',
        b'{"choices": null}',
        b'{"choices": [1]}',
        b'{"choices": {"a": 1}}',
    ],
)
def test_a_body_that_is_no_completion_is_the_upstreams_failure(data: bytes) -> None:
    """502, with what can be said of it."""
    with pytest.raises(UpstreamFailure, match="Vendor") as error:
        decode(data)

    assert (error.value.status, error.value.blame) == (502, Blame.UPSTREAM)


@pytest.mark.parametrize(
    ("value", "status"),
    [
        ({"error": {"message": "Slow down", "code": 429}}, 429),
        ({"error": {"message": "No", "code": "401"}}, 502),
        ({"error": {"message": "This is wrong", "type": "invalid_request_error"}}, 400),
        ({"error": "it broke"}, 502),
        ([{"error": {"message": "Bad", "code": 400, "status": "INVALID_ARGUMENT"}}], 400),
        ({**PLAIN, "error": {"message": "Gone", "code": 503}}, 503),
        ({**PLAIN, "choices": [{**PLAIN["choices"][0], "error": {"message": "Broke", "code": 502}}]}, 502),
        ({"object": "error", "message": "maximum context length is 8192 tokens", "code": 400}, 400),
        ({"detail": "nobody home", "status": 503}, 503),
    ],
)
def test_an_error_inside_a_200_is_an_error(value: Any, status: int) -> None:
    """OpenRouter, SambaNova and proxies answer so."""
    with pytest.raises(UpstreamFailure) as error:
        decode(value)

    assert error.value.status == status


def test_an_overlong_prompt_inside_a_200_is_known_as_one() -> None:
    """So that a planner may try a larger model."""
    with pytest.raises(UpstreamRejected) as error:
        decode({"error": "the request exceeds the available context size"})

    assert (error.value.code, error.value.blame) == ("context_length_exceeded", Blame.CONTEXT)
