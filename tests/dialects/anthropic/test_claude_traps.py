"""The failures that gateways in front of this vendor are known for, one test each."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from compatgw.dialects.blocks.thoughts import origin
from compatgw.errors import UnsupportedParameter

from .claude_answers import (
    answer,
    called,
    closed,
    decoded,
    delta,
    deltas,
    ended,
    message,
    opened,
    start,
    streamed,
    text,
    texted,
    thinking,
    thought,
)
from .claude_asking import (
    BETWEEN,
    HI,
    MANUAL,
    MODERN,
    OPT_IN,
    SIGNATURE,
    UNFORCED,
    call,
    context,
    encode,
    image,
    result,
    said,
    sent,
    shape,
    target,
    tool,
    user,
)
from .claude_asking import thought as replay


def test_parallel_streamed_calls_count_from_zero() -> None:
    """Not with the index of their block, which counts text and thinking too."""
    found = deltas(
        start(), thought(0, "Hm"), texted(1, "Hi"), called(2, "a"), called(3, "b"), called(4, "c"), ended("tool_use")
    )
    openers = [d["tool_calls"][0] for d in found if "tool_calls" in d and "id" in d["tool_calls"][0]]

    assert [(opener["index"], opener["id"]) for opener in openers] == [(0, "a"), (1, "b"), (2, "c")]


def test_every_call_is_opened_with_its_id_and_name() -> None:
    """The second and third as the first, and never twice."""
    found = deltas(start(), called(0, "a", "{}"), called(1, "b", "{", "}"), called(2, "c"), ended("tool_use"))
    named = [d["tool_calls"][0] for d in found if "name" in d.get("tool_calls", [{}])[0].get("function", {})]

    assert [one["id"] for one in named] == ["a", "b", "c"]
    assert {one["function"]["name"] for one in named} == {"get_weather"}


def test_interleaved_fragments_find_their_call() -> None:
    """The vendor does not interleave; servers that imitate it do."""
    use = {"type": "tool_use", "name": "f", "input": {}}
    found = streamed(
        start(),
        opened(0, {**use, "id": "a"}),
        opened(1, {**use, "id": "b"}),
        delta(1, "input_json_delta", partial_json='{"b"'),
        delta(0, "input_json_delta", partial_json='{"a":1}'),
        delta(1, "input_json_delta", partial_json=":2}"),
        ended("tool_use"),
    )

    calls = found["choices"][0]["message"]["tool_calls"]
    assert [(c["id"], c["function"]["arguments"]) for c in calls] == [("a", '{"a":1}'), ("b", '{"b":2}')]


def test_an_answer_of_reasoning_alone_is_whole() -> None:
    """And says its role once."""
    found = deltas(start(), thought(0, "Hm"), ended())

    assert [d for d in found if "role" in d] == [{"role": "assistant", "content": ""}]
    assert streamed(start(), thought(0, "Hm"), ended())["choices"][0]["finish_reason"] == "stop"


def test_the_first_text_is_not_lost() -> None:
    """Neither in the event that opens the block nor in the first delta."""
    assert deltas(start(), opened(0, text("A")), delta(0, "text_delta", text="B"), closed(0), ended())[1:] == [
        {"content": "A"},
        {"content": "B"},
    ]


def test_blocks_stand_in_the_order_that_the_api_wants() -> None:
    """Thinking, text, calls; then results, first and together, with their images inside."""
    messages = [
        HI,
        {**said("Looking.", call("a"), call("b")), "reasoning_details": [replay()]},
        result("b", [image()]),
        user("And then?"),
        result("a"),
    ]

    assert shape(sent(messages=messages, tools=[tool()])["messages"])[1:] == [
        ("assistant", ["thinking", "text", "tool_use", "tool_use"]),
        ("user", ["tool_result", "tool_result", "text"]),
    ]


@pytest.mark.parametrize("id", ["functions.Bash:0", "", "toolu_good", "ü" * 500])
def test_any_id_survives_a_round_trip(id: str) -> None:
    """The call and its result carry the same good one; what comes back is the caller's."""
    outgoing = encode(messages=[HI, said(None, call(id)), result(id)], tools=[tool()])
    body = sent(messages=[HI, said(None, call(id)), result(id)], tools=[tool()])
    sent_id = body["messages"][1]["content"][0]["id"]

    assert body["messages"][2]["content"][0]["tool_use_id"] == sent_id
    block = {"type": "tool_use", "id": sent_id, "name": "get_weather", "input": {}}
    assert answer(block, asked=context(outgoing))["tool_calls"][0]["id"] == id
    stream = [start(), called(0, sent_id), ended("tool_use")]
    assert deltas(*stream, asked=context(outgoing))[1]["tool_calls"][0]["id"] == id


def test_several_empty_ids_are_paired_in_order() -> None:
    """Ids must be unlike each other."""
    calls = [call("", arguments='{"n":1}'), call("", arguments='{"n":2}')]
    body = sent(messages=[HI, said(None, *calls), result("", "one"), result("", "two")], tools=[tool()])
    uses, results = body["messages"][1]["content"], body["messages"][2]["content"]

    assert [use["id"] for use in uses] == [one["tool_use_id"] for one in results]
    assert len({use["id"] for use in uses}) == 2
    assert [one["content"] for one in results] == ["one", "two"]


def test_a_model_switch_drops_the_thinking_of_the_other_model() -> None:
    """Its signatures are refused there; the body really changes."""
    mine, other = target(MODERN), target(OPT_IN)
    found = decoded(message(thinking("Hm", "s1"), text("Hi")), context(model=OPT_IN))["choices"][0]["message"]
    turn = {"role": "assistant", "content": "Hi", "reasoning_details": found["reasoning_details"]}

    assert found["reasoning_details"][0]["id"] == origin(other) != origin(mine)
    assert shape(sent(OPT_IN, messages=[HI, turn, HI])["messages"])[1] == ("assistant", ["thinking", "text"])
    assert shape(sent(MODERN, messages=[HI, turn, HI])["messages"])[1] == ("assistant", ["text"])


def test_thinking_without_text_is_replayed_and_so_is_the_second_block() -> None:
    """The signature is what counts."""
    details = [replay(""), replay("Two", "s2")]
    body = sent(messages=[HI, {**said(None, call("a")), "reasoning_details": details}, result("a")], tools=[tool()])

    assert [block.get("signature") for block in body["messages"][1]["content"]] == [SIGNATURE, "s2", None]


def test_totals_hold_what_was_read_from_the_cache_and_what_was_written_to_it() -> None:
    """Once each."""
    usage = {"input_tokens": 30, "cache_read_input_tokens": 80, "cache_creation_input_tokens": 10, "output_tokens": 42}
    for found in (
        decoded(message(text("a"), usage=usage)),
        streamed(start(usage=usage), texted(0, "a"), ended(usage=usage)),
    ):
        assert (found["usage"]["prompt_tokens"], found["usage"]["total_tokens"]) == (120, 162)


@pytest.mark.parametrize("model", ["claude-opus-4-7", OPT_IN, MODERN, UNFORCED])
def test_newer_models_get_no_sampling(model: str) -> None:
    """Not even what OpenAI's clients send without being asked."""
    body = sent(model, temperature=0.7, top_p=0.9, top_k=40)

    assert not body.keys() & {"temperature", "top_p", "top_k"}


def test_xhigh_is_not_turned_into_max() -> None:
    """It goes as it is, or becomes the next lower one."""
    assert sent(OPT_IN, reasoning_effort="xhigh")["output_config"] == {"effort": "xhigh"}
    assert sent(BETWEEN, reasoning_effort="xhigh")["output_config"] == {"effort": "high"}


@pytest.mark.parametrize(
    ("stop", "expected"), [("refusal", "content_filter"), ("model_context_window_exceeded", "length")]
)
def test_newer_stop_reasons_are_not_just_a_stop(stop: str, expected: str) -> None:
    """Whole and streamed."""
    assert decoded(message(text("a"), stop=stop))["choices"][0]["finish_reason"] == expected
    assert streamed(start(), texted(0, "a"), ended(stop))["choices"][0]["finish_reason"] == expected


def test_a_forced_call_is_refused_by_name_and_thinking_gives_way_to_it() -> None:
    """On the newest models it cannot be had; with a budget the call is what the caller insists on."""
    forced: dict[str, Any] = {"tools": [tool()], "tool_choice": "required"}
    with pytest.raises(UnsupportedParameter) as caught:
        encode(UNFORCED, **forced)
    assert caught.value.param == "tool_choice"

    body = sent(MANUAL, **forced, reasoning_effort="high")
    assert body["tool_choice"] == {"type": "any"}
    assert "thinking" not in body


def test_a_schema_never_forces_a_tool_on_models_that_refuse_it() -> None:
    """Structured output has its own form there."""
    schema = {"type": "json_schema", "json_schema": {"name": "a", "schema": {"type": "object", "properties": {}}}}
    body = sent(UNFORCED, response_format=schema)

    assert "tools" not in body
    assert "tool_choice" not in body


def test_system_text_in_the_middle_works_on_models_that_refuse_it() -> None:
    """As agents send it: behind every turn."""
    messages = [HI, said(None, call("a")), result("a"), {"role": "system", "content": "Mind the time."}]
    old, new = (sent(model, messages=messages, tools=[tool()])["messages"] for model in (MANUAL, MODERN))

    assert shape(old)[-1] == ("user", ["tool_result", "text"])
    assert shape(new)[-2:] == [("user", ["tool_result"]), ("system", ["text"])]


def test_unknown_members_of_a_request_are_left_out() -> None:
    """Agents send the fields of all vendors at once."""
    outgoing = encode(betas=["x"], enable_search=True, extra_body={"a": 1})

    assert outgoing.dropped == ("betas", "enable_search", "extra_body")
    assert not orjson.loads(outgoing.body).keys() & set(outgoing.dropped)


def test_reasoning_is_given_out_under_both_names() -> None:
    """One half of the clients reads each."""
    for found in (
        answer(thinking("Hm"), text("a")),
        streamed(start(), thought(0, "Hm"), texted(1, "a"), ended())["choices"][0]["message"],
    ):
        assert (found["reasoning"], found["reasoning_content"]) == ("Hm", "Hm")


def test_a_cached_prefix_stays_the_same_bytes() -> None:
    """Inputs keep the order of their members; later turns change nothing before them."""
    turn = [HI, said(None, call("a b", arguments='{"z": 1, "a": {"y": 2, "b": 3}}')), result("a b")]
    short, long = (encode(messages=messages, tools=[tool()]).body for messages in (turn, [*turn, said("So."), HI]))
    prefix = short[: short.index(b'"tool_result"')]

    assert b'"input":{"z":1,"a":{"y":2,"b":3}}' in prefix
    assert long.startswith(prefix)
