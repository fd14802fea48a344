"""Everything of a request but messages and tools: paths, limits, sampling, formats, thinking, native members."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from compatgw.errors import InvalidRequest, UnsupportedParameter

from .bedrock_asking import (
    ADAPTIVE,
    ARN,
    BETWEEN,
    CLAUDE,
    HI,
    LLAMA,
    MODELS,
    NOVA,
    NOVA_2,
    OLD,
    OSS,
    TITAN,
    called,
    codec,
    encode,
    result,
    sent,
    target,
    tool,
)

SCHEMA = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"], "additionalProperties": False}
FORMAT = {"type": "json_schema", "json_schema": {"name": "A", "description": "One", "schema": SCHEMA}}


def test_the_smallest_request() -> None:
    """Path and body, and no member too many."""
    outgoing = encode()

    assert (outgoing.method, outgoing.path) == ("POST", f"/model/{CLAUDE.replace(':', '%3A')}/converse")
    assert outgoing.headers == ()
    assert orjson.loads(outgoing.body) == {"messages": [{"role": "user", "content": [{"text": "Hi"}]}]}
    assert (outgoing.dropped, outgoing.clamped, outgoing.memo) == ((), (), {})


@pytest.mark.parametrize(
    ("model", "path"),
    [
        (
            ARN,
            "/model/arn%3Aaws%3Abedrock%3Aeu-west-1%3A123456789012%3Aapplication-inference-profile%2Fabc123/converse",
        ),
        ("../x?y#z", "/model/..%2Fx%3Fy%23z/converse"),
        (OSS, "/model/openai.gpt-oss-120b-1%3A0/converse"),
    ],
)
def test_an_id_stays_one_piece_of_the_path(model: str, path: str) -> None:
    """Colons, slashes and whatever else means something in an address."""
    assert encode(model).path == path


@pytest.mark.parametrize("model", MODELS)
def test_a_stream_is_another_path(model: str) -> None:
    """Usage comes unasked there."""
    outgoing = encode(model, stream=True, stream_options={"include_usage": True})

    assert outgoing.path.endswith("/converse-stream")
    assert "stream" not in orjson.loads(outgoing.body)
    assert outgoing.dropped == ()


# --- sampling and limits ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "given", "config", "fields", "dropped", "clamped"),
    [
        (CLAUDE, {"temperature": 0.3}, {"temperature": 0.3}, None, (), ()),
        (CLAUDE, {"temperature": 1.7}, {"temperature": 1}, None, (), (("temperature", "1"),)),
        (CLAUDE, {"top_p": 0.5, "top_k": 4}, {"topP": 0.5}, {"top_k": 4}, (), ()),
        (CLAUDE, {"temperature": 0.3, "top_p": 0.5}, {"temperature": 0.3}, None, ("top_p",), ()),
        (OLD, {"temperature": 0.3, "top_p": 0.5}, {"temperature": 0.3, "topP": 0.5}, None, (), ()),
        (ADAPTIVE, {"temperature": 0.3, "top_k": 4}, None, None, ("temperature", "top_k"), ()),
        (NOVA, {"top_k": 4}, None, {"inferenceConfig": {"topK": 4}}, (), ()),
        (LLAMA, {"top_k": 4, "temperature": 0.1}, {"temperature": 0.1}, None, ("top_k",), ()),
        (CLAUDE, {"max_tokens": 5}, {"maxTokens": 5}, None, (), ()),
        (CLAUDE, {"max_completion_tokens": 99_999}, {"maxTokens": 64_000}, None, (), (("max_completion_tokens", "64000"),)),
        (CLAUDE, {"stop": "END"}, {"stopSequences": ["END"]}, None, (), ()),
        (CLAUDE, {"stop": ["a", " ", "b"]}, {"stopSequences": ["a", "b"]}, None, ("stop",), ()),
        (CLAUDE, {"seed": 1, "logit_bias": {"1": 2}, "presence_penalty": 1}, None, None, ("seed", "logit_bias", "presence_penalty"), ()),
        (CLAUDE, {"top_k": 0, "presence_penalty": 0, "n": 1}, None, None, (), ()),
    ],
)  # fmt: skip
def test_sampling_goes_where_the_model_has_it(
    model: str, given: dict[str, Any], config: Any, fields: Any, dropped: tuple[str, ...], clamped: Any
) -> None:
    """In `inferenceConfig`, or among the fields of the model's own."""
    outgoing = encode(model, **given)
    body = sent(model, **given)

    assert body.get("inferenceConfig") == config
    assert body.get("additionalModelRequestFields") == fields
    assert (outgoing.dropped, outgoing.clamped) == (dropped, clamped)


@pytest.mark.parametrize(
    "member", [{"logprobs": True}, {"n": 2}, {"audio": {"voice": "x"}}, {"web_search_options": {}}]
)
def test_what_changes_the_answer_and_cannot_be_sent_is_refused(member: dict[str, Any]) -> None:
    """With its name; under `drop` it is left out."""
    with pytest.raises(UnsupportedParameter) as error:
        encode(**member)

    assert error.value.param in member
    assert encode(where={"unsupported": "drop"}, **member).dropped == tuple(member)


@pytest.mark.parametrize("value", [True, "4", 1.5])
def test_a_top_k_that_is_no_number_is_refused(value: Any) -> None:
    """By name."""
    with pytest.raises(InvalidRequest, match="top_k"):
        encode(top_k=value)


# --- formats ---------------------------------------------------------------------------------


def test_a_schema_is_native_where_the_model_is_held_to_one() -> None:
    """As text, under its name."""
    body = sent(response_format=FORMAT)
    inner = body["outputConfig"]["textFormat"]["structure"]["jsonSchema"]

    assert body["outputConfig"]["textFormat"]["type"] == "json_schema"
    assert orjson.loads(inner.pop("schema")) == SCHEMA
    assert inner == {"name": "A", "description": "One"}


@pytest.mark.parametrize(
    ("model", "choice"), [(OLD, {"tool": {"name": "json_response"}}), (NOVA, {"tool": {"name": "json_response"}})]
)
def test_elsewhere_it_is_a_tool_that_must_be_called(model: str, choice: dict[str, Any]) -> None:
    """The decoder is told which."""
    outgoing, body = encode(model, response_format=FORMAT), sent(model, response_format=FORMAT)

    assert body["toolConfig"]["toolChoice"] == choice
    assert body["toolConfig"]["tools"][-1]["toolSpec"]["inputSchema"]["json"] == SCHEMA
    assert outgoing.memo["json_tool"] == "json_response"


def test_beside_other_tools_some_call_must_be_made() -> None:
    """The answer's tool is one of them."""
    body = sent(OLD, tools=[tool("json_response")], response_format=FORMAT)

    assert body["toolConfig"]["toolChoice"] == {"any": {}}
    assert [one["toolSpec"]["name"] for one in body["toolConfig"]["tools"]] == ["json_response", "json_response_"]


@pytest.mark.parametrize("model", [LLAMA, TITAN])
def test_a_model_that_cannot_be_held_to_it_is_no_model_for_it(model: str) -> None:
    """Refused, or asked in words under `drop`."""
    with pytest.raises(UnsupportedParameter, match="response_format"):
        encode(model, response_format=FORMAT)
    assert "exactly one JSON object" in str(sent(model, where={"unsupported": "drop"}, response_format=FORMAT))


@pytest.mark.parametrize("model", MODELS)
def test_json_without_a_schema_is_asked_for_in_words(model: str) -> None:
    """The decoder takes a fence off."""
    outgoing = encode(model, response_format={"type": "json_object"})

    assert outgoing.memo == {"json_object": True}
    assert outgoing.clamped == (("response_format", "instruction"),)
    assert "exactly one JSON object" in str(sent(model, response_format={"type": "json_object"}))


# --- thinking --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "given", "fields"),
    [
        (CLAUDE, {"reasoning_effort": "medium"}, {"thinking": {"type": "enabled", "budget_tokens": 16_384}}),
        (CLAUDE, {"thinking": {"type": "enabled", "budget_tokens": 2000}}, {"thinking": {"type": "enabled", "budget_tokens": 2000}}),
        (CLAUDE, {"reasoning": {"max_tokens": 3000}}, {"thinking": {"type": "enabled", "budget_tokens": 3000}}),
        (CLAUDE, {"reasoning_effort": "none"}, None),
        (BETWEEN, {"reasoning_effort": "high"}, {"thinking": {"type": "adaptive"}, "output_config": {"effort": "high"}}),
        (BETWEEN, {"thinking": {"type": "enabled", "budget_tokens": 1024}}, {"thinking": {"type": "enabled", "budget_tokens": 1024}}),
        (ADAPTIVE, {"reasoning_effort": "minimal"}, {"thinking": {"type": "adaptive"}, "output_config": {"effort": "low"}}),
        (ADAPTIVE, {"reasoning_effort": "none"}, {"thinking": {"type": "disabled"}}),
        (NOVA_2, {"reasoning_effort": "low"}, {"reasoningConfig": {"type": "enabled", "maxReasoningEffort": "low"}}),
        (NOVA_2, {"reasoning_effort": "none"}, None),
        (OSS, {"reasoning_effort": "xhigh"}, {"reasoning_effort": "high"}),
        (OSS, {"reasoning_effort": "none"}, {"reasoning_effort": "low"}),
        (LLAMA, {"reasoning_effort": "none"}, None),
        (CLAUDE, {"reasoning": {}}, None),
        (CLAUDE, {"enable_thinking": False}, None),
    ],
)  # fmt: skip
def test_thinking_is_asked_in_the_models_own_words(model: str, given: dict[str, Any], fields: Any) -> None:
    """A budget, an effort, or a switch."""
    assert sent(model, **given).get("additionalModelRequestFields") == fields


def test_a_budget_leaves_room_for_the_answer() -> None:
    """Thinking counts in `maxTokens`; the elder name never counted it."""
    body = sent(max_tokens=500, reasoning_effort="low")

    assert body["inferenceConfig"]["maxTokens"] == 1524
    assert body["additionalModelRequestFields"]["thinking"]["budget_tokens"] == 1024
    assert ("max_tokens", "1524") in encode(max_tokens=500, reasoning_effort="low").clamped


def test_a_model_that_does_not_think_is_not_asked_to() -> None:
    """And the caller hears it."""
    assert encode(LLAMA, reasoning_effort="high").dropped == ("reasoning_effort",)
    assert encode(OLD, thinking={"type": "enabled", "budget_tokens": 2000}).dropped == ("thinking",)


def test_a_forced_call_and_a_budget_do_not_go_together() -> None:
    """A call that the caller forces wins over an effort, not over their own budget."""
    forced: dict[str, Any] = {"tools": [tool()], "tool_choice": "required"}
    outgoing = encode(reasoning_effort="low", **forced)
    assert outgoing.dropped == ("reasoning_effort",)
    with pytest.raises(UnsupportedParameter, match="tool_choice"):
        encode(thinking={"type": "enabled", "budget_tokens": 2000}, **forced)


def test_calls_that_came_without_reasoning_are_answered_without() -> None:
    """The model would refuse a turn that has to begin with thinking and does not."""
    talk = [HI, called("get_weather"), result()]

    assert encode(messages=talk, tools=[tool()], reasoning_effort="low").dropped == ("reasoning_effort",)


@pytest.mark.parametrize(
    "given",
    [{"reasoning_effort": "loud"}, {"thinking": 3}, {"enable_thinking": "x"}, {"reasoning": {"max_tokens": "x"}}],
)
def test_a_wish_that_is_none_is_refused(given: dict[str, Any]) -> None:
    """By name."""
    with pytest.raises(InvalidRequest):
        encode(**given)


# --- members of its own ----------------------------------------------------------------------


def test_members_of_its_own_pass() -> None:
    """As they are; the model's fields are merged over ours."""
    own: dict[str, Any] = {
        "guardrailConfig": {"guardrailIdentifier": "g", "guardrailVersion": "1", "trace": "enabled"},
        "performanceConfig": {"latency": "optimized"},
        "additionalModelResponseFieldPaths": ["/stop_sequence"],
        "requestMetadata": {"team": "a"},
        "outputConfig": {"effort": "low"},
    }
    body = sent(top_k=3, additionalModelRequestFields={"anthropic_beta": ["x"]}, **own)

    assert {name: body[name] for name in own} == own
    assert body["additionalModelRequestFields"] == {"top_k": 3, "anthropic_beta": ["x"]}


@pytest.mark.parametrize(
    ("tier", "expected"), [("flex", {"type": "flex"}), ("default", {"type": "default"}), ("auto", None)]
)
def test_the_tier(tier: str, expected: Any) -> None:
    """Under the same names; `auto` is what happens anyway."""
    assert sent(service_tier=tier).get("serviceTier") == expected
    assert encode(service_tier=tier).dropped == ()
    assert encode(service_tier="scale").dropped == ("service_tier",)


@pytest.mark.parametrize(
    ("metadata", "fits"),
    [({"team": "a b", "k:1": "v+w"}, True), ({"team": "ä"}, False), ({"a": "x" * 257}, False), ({str(n): "v" for n in range(17)}, False), ({}, None)],
)  # fmt: skip
def test_metadata_marks_the_log_where_it_may(metadata: dict[str, str], fits: bool | None) -> None:
    """What does not fit is left out as a whole, and said."""
    assert sent(metadata=metadata).get("requestMetadata") == (metadata if fits else None)
    assert encode(metadata=metadata).dropped == (("metadata",) if fits is False else ())


def test_what_nobody_knows_is_left_out_and_said() -> None:
    """A hint, as ever."""
    assert encode(user="u", brand_new=1).dropped == ("user", "brand_new")
    with pytest.raises(UnsupportedParameter):
        encode(where={"unsupported": "reject"}, brand_new=1)


def test_configuration_may_say_what_a_model_can() -> None:
    """Of an ARN nobody else knows it."""
    traits = {"thinking": ["enabled", "disabled"], "cache": True, "top_k": "k"}
    body = sent(ARN, where={"traits": traits, "max_output": 4096}, top_k=2, max_tokens=9999)

    assert body["additionalModelRequestFields"] == {"k": 2}
    assert body["inferenceConfig"] == {"maxTokens": 4096}
    assert "thinking" in sent(ARN, where={"traits": traits}, reasoning_effort="low")["additionalModelRequestFields"]


def test_what_nests_too_deep_is_the_callers_fault() -> None:
    """It cannot be written."""
    deep: Any = {}
    for _ in range(300):
        deep = {"a": deep}
    request = {"messages": [HI], "tools": [tool(parameters={"type": "object", "properties": deep})]}
    with pytest.raises(InvalidRequest, match="deep"):
        codec().encode(request, target())
