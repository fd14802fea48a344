"""Everything else of a request: version, sampling, limits, users, native members, what is left out."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from compatgw.errors import InvalidRequest, UnsupportedParameter

from .claude_asking import BETWEEN, HI, MANUAL, MODELS, MODERN, OPT_IN, UNFORCED, encode, sent, tool


def test_the_smallest_request() -> None:
    """Path, version, no authentication, and no member too many."""
    outgoing = encode(MANUAL)

    assert (outgoing.method, outgoing.path) == ("POST", "/messages")
    assert outgoing.headers == (("anthropic-version", "2023-06-01"),)
    assert orjson.loads(outgoing.body) == {
        "model": MANUAL,
        "max_tokens": 8192,
        "messages": [{"role": "user", "content": [{"type": "text", "text": "Hi"}]}],
    }
    assert (outgoing.dropped, outgoing.clamped, outgoing.memo) == ((), (), {})


@pytest.mark.parametrize("stream", [True, False])
def test_streaming_is_asked_in_the_body(stream: bool) -> None:
    """Usage comes unasked there."""
    body = sent(stream=stream, stream_options={"include_usage": True})

    assert body.get("stream", False) is stream
    assert encode(stream=stream, stream_options={"include_usage": True}).dropped == ()


# --- sampling --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "given", "expected", "dropped", "clamped"),
    [
        (MANUAL, {"temperature": 0.3}, {"temperature": 0.3}, (), ()),
        (MANUAL, {"temperature": 1.7}, {"temperature": 1}, (), (("temperature", "1"),)),
        (MANUAL, {"top_p": 0.5, "top_k": 4}, {"top_p": 0.5, "top_k": 4}, (), ()),
        (MANUAL, {"top_k": -1}, {}, (), ()),
        (MANUAL, {"temperature": 0.3, "top_p": 0.5}, {"temperature": 0.3}, ("top_p",), ()),
        (MANUAL, {"temperature": 0.3, "top_p": 1.0}, {"temperature": 0.3}, (), ()),
        (MANUAL, {"temperature": 1.0, "top_p": 0.5}, {"top_p": 0.5}, (), ()),
        ("claude-3-7-sonnet-latest", {"temperature": 0.3, "top_p": 0.5}, {"temperature": 0.3, "top_p": 0.5}, (), ()),
        (BETWEEN, {"temperature": 0.3}, {"temperature": 0.3}, (), ()),
        (OPT_IN, {"temperature": 1.0, "top_p": 1.0}, {}, (), ()),
        (OPT_IN, {"temperature": 0.3, "top_p": 0.5, "top_k": 4}, {}, ("temperature", "top_p", "top_k"), ()),
        (UNFORCED, {"temperature": 0.0}, {}, ("temperature",), ()),
        (MANUAL, {"temperature": 0.3, "reasoning_effort": "low"}, {}, ("temperature",), ()),
        (MANUAL, {"temperature": 1.0, "reasoning_effort": "low"}, {}, (), ()),
        (MANUAL, {"top_k": 4, "top_p": 0.5, "reasoning_effort": "low"}, {}, ("top_p", "top_k"), ()),
        (MANUAL, {"top_p": 0.97, "reasoning_effort": "low"}, {"top_p": 0.97}, (), ()),
        (BETWEEN, {"temperature": 0.3, "reasoning_effort": "none"}, {"temperature": 0.3}, (), ()),
        (BETWEEN, {"temperature": 0.3, "reasoning_effort": "high"}, {}, ("temperature",), ()),
    ],
)
def test_sampling_by_model_and_thinking(
    model: str, given: dict[str, Any], expected: dict[str, Any], dropped: tuple[str, ...], clamped: Any
) -> None:
    """What the model does not take is left out: silently if it changes nothing."""
    outgoing, body = encode(model, **given), sent(model, **given)

    assert {name: body[name] for name in ("temperature", "top_p", "top_k") if name in body} == expected
    assert (outgoing.dropped, outgoing.clamped) == (dropped, clamped)


def test_sampling_is_an_error_where_nothing_may_be_dropped() -> None:
    """With the member's name."""
    with pytest.raises(UnsupportedParameter) as caught:
        encode(OPT_IN, temperature=0.3, where={"unsupported": "reject"})
    assert caught.value.param == "temperature"


@pytest.mark.parametrize("value", ["5", 5.5, True])
def test_top_k_must_be_a_number(value: Any) -> None:
    """It is no member of OpenAI's, so nobody has looked at it before."""
    with pytest.raises(InvalidRequest) as caught:
        encode(MANUAL, top_k=value)
    assert caught.value.param == "top_k"


# --- single members --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("stop", "expected", "dropped"),
    [
        ("END", ["END"], ()),
        (["A", "B", "C", "D", "E"], ["A", "B", "C", "D", "E"], ()),
        (["\n", "END"], ["END"], ("stop",)),
        ("\n\n", None, ("stop",)),
    ],
)
def test_stop_sequences(stop: Any, expected: list[str] | None, dropped: tuple[str, ...]) -> None:
    """Any number; those of white space are refused there, and reported."""
    assert sent(stop=stop).get("stop_sequences") == expected
    assert encode(stop=stop).dropped == dropped


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"user": "u-1"}, "u-1"),
        ({"safety_identifier": "s-1", "user": "u-1"}, "s-1"),
        ({"user": ""}, None),
    ],
)
def test_a_user_is_the_only_metadata(given: dict[str, Any], expected: str | None) -> None:
    """The caller's own map is never copied into it."""
    outgoing, body = encode(**given, metadata={"k": "v"}), sent(**given, metadata={"k": "v"})

    assert body.get("metadata") == ({"user_id": expected} if expected else None)
    assert outgoing.dropped == ("metadata",)


@pytest.mark.parametrize("user", ["ann@example.test", "u" * 300])
def test_a_user_who_could_be_told_is_hidden(user: str) -> None:
    """The same stand-in every time."""
    found = sent(user=user)["metadata"]["user_id"]

    assert found == sent(user=user)["metadata"]["user_id"]
    assert user not in found
    assert len(found) == 64


@pytest.mark.parametrize(
    ("tier", "expected", "dropped"),
    [
        ("auto", "auto", ()),
        ("default", "standard_only", ()),
        ("standard_only", "standard_only", ()),
        ("flex", None, ("service_tier",)),
        ("priority", None, ("service_tier",)),
    ],
)
def test_service_tiers(tier: str, expected: str | None, dropped: tuple[str, ...]) -> None:
    """Two of them have a name there."""
    assert sent(service_tier=tier).get("service_tier") == expected
    assert encode(service_tier=tier).dropped == dropped


NATIVE: dict[str, Any] = {
    "container": "container_1",
    "inference_geo": "eu",
    "diagnostics": {"previous_message_id": "msg_1"},
    "cache_control": {"type": "ephemeral", "ttl": "1h"},
    "output_config": {"effort": "max"},
}


def test_native_members_pass() -> None:
    """As the caller gave them."""
    body = sent(OPT_IN, **NATIVE)

    assert {name: body[name] for name in NATIVE} == NATIVE


@pytest.mark.parametrize(
    ("member", "value", "beta"),
    [
        ("context_management", {"edits": []}, "context-management-2025-06-27"),
        ("mcp_servers", [{"type": "url", "name": "m", "url": "https://x.test"}], "mcp-client-2025-04-04"),
        ("speed", "fast", "fast-mode-2026-02-01"),
    ],
)
def test_native_members_of_a_trial_come_with_its_header(member: str, value: Any, beta: str) -> None:
    """Without it they are unknown there."""
    outgoing = encode(**{member: value})

    assert dict(outgoing.headers)["anthropic-beta"] == beta
    assert orjson.loads(outgoing.body)[member] == value


def test_native_configuration_wins() -> None:
    """Over what is derived, member by member."""
    schema = {"type": "json_schema", "json_schema": {"name": "a", "schema": {"type": "object", "properties": {}}}}
    config = sent(reasoning_effort="low", response_format=schema, output_config={"effort": "high"})["output_config"]
    assert config["effort"] == "high"
    assert config["format"]["type"] == "json_schema"

    with pytest.raises(InvalidRequest) as caught:
        encode(output_config="high")
    assert caught.value.param == "output_config"


# --- what is left out ------------------------------------------------------------------------

HINTS: dict[str, Any] = {
    "logit_bias": {"50256": -100.0},
    "seed": 7,
    "presence_penalty": 0.5,
    "frequency_penalty": 0.5,
    "prediction": {"type": "content", "content": "x"},
    "store": True,
    "verbosity": "low",
    "metadata": {"k": "v"},
    "prompt_cache_key": "k",
    "prompt_cache_retention": "24h",
    "moderation": {"model": "m"},
    "min_p": 0.1,
    "from_tomorrow": [1],
}


@pytest.mark.parametrize("name", sorted(HINTS))
def test_hints_are_dropped_and_reported(name: str) -> None:
    """Known and unknown ones; an error where nothing may be dropped."""
    outgoing = encode(MODERN, **{name: HINTS[name]})

    assert outgoing.dropped == (name,)
    assert name not in orjson.loads(outgoing.body)
    with pytest.raises(UnsupportedParameter) as caught:
        encode(MODERN, **{name: HINTS[name]}, where={"unsupported": "reject"})
    assert caught.value.param == name


SEMANTIC: dict[str, Any] = {
    "n": 2,
    "logprobs": True,
    "top_logprobs": 3,
    "audio": {"format": "wav", "voice": "alloy"},
    "modalities": ["text", "audio"],
}


@pytest.mark.parametrize("name", sorted(SEMANTIC))
def test_what_changes_the_answer_is_refused(name: str) -> None:
    """Unless everything may be dropped."""
    with pytest.raises(UnsupportedParameter) as caught:
        encode(MODERN, **{name: SEMANTIC[name]})

    assert (caught.value.param, caught.value.code) == (name, "unsupported_parameter")
    assert encode(MODERN, **{name: SEMANTIC[name]}, where={"unsupported": "drop"}).dropped == (name,)


def test_neutral_values_are_left_out_in_silence() -> None:
    """They mean what leaving them out means."""
    neutral: dict[str, Any] = {
        "n": 1, "logprobs": False, "top_logprobs": 0, "modalities": ["text"], "logit_bias": {}, "presence_penalty": 0.0,
        "frequency_penalty": 0.0, "store": False, "metadata": {}, "verbosity": "medium", "temperature": 1.0, "top_p": 1.0,
        "parallel_tool_calls": True, "stream": False, "response_format": {"type": "text"},
    }  # fmt: skip
    for model in MODELS:
        outgoing = encode(model, **neutral, where={"unsupported": "reject"})
        assert (outgoing.dropped, outgoing.clamped) == ((), ())


def test_what_nests_too_deep_to_be_written_is_the_callers_mistake() -> None:
    """Arguments are text until they get here, so nobody has measured them."""
    deep = '{"a":' * 300 + "1" + "}" * 300
    calls = [{"id": "a", "type": "function", "function": {"name": "f", "arguments": deep}}]
    messages: list[Any] = [
        HI,
        {"role": "assistant", "tool_calls": calls},
        {"role": "tool", "tool_call_id": "a", "content": ""},
    ]
    with pytest.raises(InvalidRequest) as caught:
        encode(messages=messages, tools=[tool("f")])
    assert caught.value.param == "messages"
