"""Members beside `messages`: passed on, renamed, clamped, emulated, left out or refused, as quirks say."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from compatgw.dialects.base import Quirks
from compatgw.errors import UnsupportedParameter

from .sending import HI, OTHER, TOOL, body, encode, target

SCHEMA = {"type": "json_schema", "json_schema": {"name": "s", "schema": {"type": "object", "required": ["a"]}}}
OBJECT = {"type": "json_object"}


def test_a_request_that_needs_nothing_goes_as_it_is_with_the_upstreams_model() -> None:
    """Young fields of any vendor reach an upstream that may know them."""
    sent = encode({"temperature": 0.5, "top_k": 3, "tools": [TOOL], "brand_new": {"a": None}})

    assert sent.path == "/chat/completions"
    assert (sent.dropped, sent.clamped) == ((), ())
    assert orjson.loads(sent.body) == {
        "model": "m",
        "messages": HI,
        "temperature": 0.5,
        "top_k": 3,
        "tools": [TOOL],
        "brand_new": {"a": None},
    }


@pytest.mark.parametrize(
    ("quirk", "model", "request_", "expected"),
    [
        ("both", "m", {"max_tokens": 5}, {"max_tokens": 5}),
        ("both", "m", {"max_completion_tokens": 5}, {"max_completion_tokens": 5}),
        ("max_tokens", "m", {"max_completion_tokens": 5}, {"max_tokens": 5}),
        ("max_completion_tokens", "m", {"max_tokens": 5}, {"max_completion_tokens": 5}),
        ("both", "m", {"max_tokens": 9, "max_completion_tokens": 5}, {"max_completion_tokens": 5}),
        ("max_tokens", "m", {"max_tokens": 9, "max_completion_tokens": 5}, {"max_tokens": 5}),
        ("both", "o3", {"max_tokens": 5}, {"max_completion_tokens": 5}),
        ("both", "openai/gpt-5-mini", {"max_tokens": 5}, {"max_completion_tokens": 5}),
        ("both", "kimi-k2-0905", {"max_completion_tokens": 5}, {"max_tokens": 5}),
        ("max_tokens", "o3", {"max_tokens": 5}, {"max_tokens": 5}),
    ],
)
def test_the_limit_goes_under_the_one_name_that_is_taken(
    quirk: Any, model: str, request_: dict[str, Any], expected: dict[str, Any]
) -> None:
    """The newer name wins where a client sends both; the row wins over the model's own rule."""
    sent = body(request_, target(Quirks(max_tokens=quirk), model))

    assert {name: value for name, value in sent.items() if name.startswith("max_")} == expected


def test_a_limit_over_the_models_own_is_clamped_and_said() -> None:
    """The upstream would refuse it; the caller hears what was sent."""
    sent = encode({"max_tokens": 9000}, target(max_output=8192))

    assert orjson.loads(sent.body)["max_tokens"] == 8192
    assert sent.clamped == (("max_tokens", "8192"),)


def test_usage_is_asked_of_every_stream_that_can_be_asked() -> None:
    """The caller's own options are kept; upstreams that refuse the member are not sent it."""
    assert body({"stream": True})["stream_options"] == {"include_usage": True}
    asked = {"include_usage": False, "include_obfuscation": False}
    assert body({"stream": True, "stream_options": asked})["stream_options"] == {
        "include_usage": True,
        "include_obfuscation": False,
    }
    assert "stream_options" not in body({"stream": True, "stream_options": {}}, target(Quirks(stream_options=False)))
    assert "stream_options" not in body({"stream_options": {"include_usage": True}})


def test_hints_are_dropped_and_named_unless_they_are_neutral() -> None:
    """A penalty of 0 says nothing, so nobody needs to hear that it was left out."""
    quirks = Quirks(drop=frozenset({"seed", "frequency_penalty", "presence_penalty"}))
    sent = encode({"seed": 1, "frequency_penalty": 0, "presence_penalty": 0.5}, target(quirks))

    assert sorted(sent.dropped) == ["presence_penalty", "seed"]
    assert set(orjson.loads(sent.body)) == {"model", "messages"}


def test_members_that_change_the_answer_are_refused_by_name() -> None:
    """Under the policy `drop` they are left out and named instead."""
    quirks = Quirks(reject=frozenset({"logprobs"}))
    with pytest.raises(UnsupportedParameter) as error:
        body({"logprobs": True}, target(quirks))

    assert (error.value.status, error.value.param) == (400, "logprobs")
    assert "logprobs" not in body({"logprobs": False}, target(quirks))
    assert encode({"logprobs": True}, target(quirks, unsupported="drop")).dropped == ("logprobs",)


def test_under_the_policy_reject_a_hint_is_refused_too() -> None:
    """Whoever wants all or nothing gets it."""
    with pytest.raises(UnsupportedParameter) as error:
        body({"seed": 1}, target(Quirks(drop=frozenset({"seed"})), unsupported="reject"))

    assert error.value.param == "seed"


def test_a_strict_upstream_gets_known_members_only() -> None:
    """What it has beside OpenAI's is renamed to itself in its row."""
    quirks = Quirks(known_only=True, rename={"seed": "random_seed", "safe_prompt": "safe_prompt"})
    sent = encode({"seed": 3, "safe_prompt": True, "top_k": 4, "user": "u"}, target(quirks))

    assert orjson.loads(sent.body) == {"model": "m", "messages": HI, "random_seed": 3, "safe_prompt": True, "user": "u"}
    assert sent.dropped == ("top_k",)


def test_several_choices_are_refused_where_there_is_only_one() -> None:
    """One choice is what every upstream gives, so `n: 1` is not sent."""
    with pytest.raises(UnsupportedParameter) as error:
        body({"n": 2}, target(Quirks(n=False)))

    assert error.value.param == "n"
    assert "n" not in body({"n": 1}, target(Quirks(n=False)))
    assert body({"n": 2})["n"] == 2


# --- tools ---------------------------------------------------------------------------------------


def test_tools_are_refused_where_there_are_none() -> None:
    """A `tool_choice` beside no tools goes silently."""
    with pytest.raises(UnsupportedParameter) as error:
        body({"tools": [TOOL]}, target(Quirks(tools=False)))

    assert error.value.param == "tools"
    assert set(body({"tool_choice": "required"}, target(Quirks(tools=False)))) == {"model", "messages"}


def test_what_says_nothing_without_tools_is_not_sent() -> None:
    """OpenAI and Mistral refuse an empty list, and `parallel_tool_calls` without one."""
    sent = encode({"tools": [], "parallel_tool_calls": False, "tool_choice": "auto"})

    assert set(orjson.loads(sent.body)) == {"model", "messages"}
    assert sent.dropped == ()


ALLOWED = {
    "type": "allowed_tools",
    "allowed_tools": {"mode": "required", "tools": [{"type": "function", "function": {"name": "g"}}]},
}
NAMED = {"type": "function", "function": {"name": "g"}}


@pytest.mark.parametrize(
    ("served", "choice", "names", "sent_choice"),
    [
        ({"auto", "required"}, NAMED, ["g"], "required"),
        ({"auto", "required", "function"}, NAMED, ["f", "g"], NAMED),
        ({"auto", "required"}, ALLOWED, ["g"], "required"),
        ({"required"}, "auto", ["f", "g"], None),
        ({"auto"}, "none", None, None),
        (set(), ALLOWED, ["f", "g"], ALLOWED),
    ],
)
def test_a_choice_that_is_not_served_is_made_by_the_list_of_tools(
    served: set[str], choice: Any, names: list[str] | None, sent_choice: Any
) -> None:
    """Forcing one tool is forcing any tool of a list of one."""
    quirks = Quirks(tool_choice=frozenset(served))
    sent = body({"tools": [TOOL, OTHER], "tool_choice": choice}, target(quirks))

    assert sent.get("tool_choice") == sent_choice
    assert [tool["function"]["name"] for tool in sent.get("tools", [])] == (names or [])


@pytest.mark.parametrize("choice", ["required", NAMED])
def test_a_choice_that_cannot_be_forced_is_refused(choice: Any) -> None:
    """An answer without the call would not be what was asked for."""
    with pytest.raises(UnsupportedParameter) as error:
        body({"tools": [TOOL, OTHER], "tool_choice": choice}, target(Quirks(tool_choice=frozenset({"auto"}))))

    assert error.value.param == "tool_choice"


def test_a_choice_among_tools_that_are_not_there_is_refused() -> None:
    """Or left out with them where that is the policy."""
    asked = {"tools": [TOOL], "tool_choice": ALLOWED}
    quirks = Quirks(tool_choice=frozenset({"auto"}))
    with pytest.raises(UnsupportedParameter):
        body(asked, target(quirks))

    assert "tools" not in body(asked, target(quirks, unsupported="drop"))


def test_required_goes_under_the_upstreams_own_word() -> None:
    """Mistral calls it `any`."""
    quirks = Quirks(rename={"tool_choice.required": "any"})

    assert body({"tools": [TOOL], "tool_choice": "required"}, target(quirks))["tool_choice"] == "any"


def test_legacy_functions_are_passed_on() -> None:
    """OpenAI still serves them."""
    sent = body({"functions": [{"name": "f"}], "function_call": "auto"})

    assert (sent["functions"], sent["function_call"]) == ([{"name": "f"}], "auto")


# --- structured answers --------------------------------------------------------------------------


def test_a_schema_is_carried_by_json_mode_and_an_instruction() -> None:
    """Nothing of it is silent: the caller hears which format was sent."""
    sent = encode({"response_format": SCHEMA}, target(Quirks(json_schema=False)))
    value = orjson.loads(sent.body)

    assert value["response_format"] == OBJECT
    assert value["messages"][0]["role"] == "system"
    assert '"required":["a"]' in value["messages"][0]["content"]
    assert sent.clamped == (("response_format", "json_object"),)


def test_json_mode_is_carried_by_the_widest_schema() -> None:
    """LM Studio takes schemas only."""
    sent = encode({"response_format": OBJECT}, target(Quirks(json_object=False)))

    assert orjson.loads(sent.body)["response_format"]["json_schema"]["schema"] == {"type": "object"}
    assert sent.clamped == (("response_format", "json_schema"),)


def test_json_mode_without_either_is_an_instruction() -> None:
    """It joins the instructions that are there."""
    asked = {"messages": [{"role": "system", "content": "Be kind."}, *HI], "response_format": OBJECT}
    sent = encode(asked, target(Quirks(json_object=False, json_schema=False)))
    value = orjson.loads(sent.body)

    assert "response_format" not in value
    assert value["messages"][0]["content"].startswith("Be kind.\n\nAnswer with one JSON object")
    assert sent.clamped == (("response_format", "instruction"),)


def test_a_schema_that_nothing_can_hold_to_is_refused() -> None:
    """So is any stand-in under the policy `reject`."""
    for to in (
        target(Quirks(json_object=False, json_schema=False)),
        target(Quirks(json_schema=False), unsupported="reject"),
    ):
        with pytest.raises(UnsupportedParameter) as error:
            body({"response_format": SCHEMA}, to)
        assert error.value.param == "response_format"


# --- reasoning -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("efforts", "asked", "expected", "clamped"),
    [
        ({}, "xhigh", {"reasoning_effort": "xhigh"}, ()),
        ({"low": "low", "high": "high"}, "high", {"reasoning_effort": "high"}, ()),
        ({"low": "low", "high": "high"}, "max", {"reasoning_effort": "high"}, (("reasoning_effort", "high"),)),
        ({"low": "low", "high": "high"}, "medium", {"reasoning_effort": "low"}, (("reasoning_effort", "low"),)),
        ({"medium": "high"}, "medium", {"reasoning_effort": "high"}, (("reasoning_effort", "high"),)),
        ({"none": "none", "low": "low"}, "minimal", {"reasoning_effort": "low"}, (("reasoning_effort", "low"),)),
        ({"low": "low"}, "none", {"reasoning_effort": "low"}, (("reasoning_effort", "low"),)),
        ({"none": "thinking.type=disabled"}, "none", {"thinking": {"type": "disabled"}}, ()),
        ({"none": "enable_thinking=false"}, "none", {"enable_thinking": False}, ()),
        ({"medium": "enable_thinking=true"}, "high", {"enable_thinking": True}, (("reasoning_effort", "medium"),)),
    ],
)
def test_an_effort_becomes_what_the_upstream_has_for_it(
    efforts: dict[str, str], asked: str, expected: dict[str, Any], clamped: Any
) -> None:
    """The nearest one that is served; no reasoning at all is not a little of it."""
    sent = encode({"reasoning_effort": asked}, target(Quirks(efforts=efforts)))
    value = orjson.loads(sent.body)

    assert {name: member for name, member in value.items() if name not in ("model", "messages")} == expected
    assert sent.clamped == clamped


@pytest.mark.parametrize(
    ("asked", "effort"),
    [
        ({"reasoning": {"effort": "high"}}, "high"),
        ({"reasoning": {"enabled": False}}, "none"),
        ({"reasoning": {"enabled": True}}, "medium"),
        ({"reasoning": {"max_tokens": 2000}}, "low"),
        ({"thinking": {"type": "enabled", "budget_tokens": 20000}}, "high"),
        ({"thinking": {"type": "disabled"}}, "none"),
        ({"enable_thinking": True}, "medium"),
        ({"reasoning": {"effort": "high"}, "reasoning_effort": "low"}, "low"),
    ],
)
def test_other_vendors_ways_to_ask_for_reasoning_are_understood(asked: dict[str, Any], effort: str) -> None:
    """Where the upstream has them itself, they are passed on instead."""
    foreign = Quirks(drop=frozenset({"reasoning", "thinking", "enable_thinking"}))
    sent = encode(asked, target(foreign))

    assert orjson.loads(sent.body) == {"model": "m", "messages": HI, "reasoning_effort": effort}
    assert sent.dropped == ()
    assert body(asked) == {"model": "m", "messages": HI, **asked}


def test_an_intent_that_says_nothing_of_effort_is_dropped_and_named() -> None:
    """`exclude` alone asks for no effort."""
    sent = encode({"reasoning": {"exclude": True}}, target(Quirks(drop=frozenset({"reasoning"}))))

    assert sent.dropped == ("reasoning",)


# --- reasoning models ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "request_", "kept", "dropped"),
    [
        ("o3", {"temperature": 0.2, "top_p": 1}, {"top_p": 1}, ("temperature",)),
        ("gpt-5", {"temperature": 1, "presence_penalty": 0.1}, {"temperature": 1}, ("presence_penalty",)),
        ("gpt-5.4", {"temperature": 0.2}, {"temperature": 0.2}, ()),
        ("gpt-5.4", {"temperature": 0.2, "reasoning_effort": "low"}, {"reasoning_effort": "low"}, ("temperature",)),
        ("gpt-5.5", {"temperature": 0.2}, {}, ("temperature",)),
        (
            "gpt-5.6-sol",
            {"temperature": 0.2, "reasoning_effort": "none"},
            {"temperature": 0.2, "reasoning_effort": "none"},
            (),
        ),
        ("gpt-5-chat-latest", {"temperature": 0.2}, {"temperature": 0.2}, ()),
        ("gpt-4o", {"temperature": 0.2, "reasoning_effort": "low"}, {"temperature": 0.2}, ("reasoning_effort",)),
        ("o4-mini", {"reasoning_effort": "minimal"}, {"reasoning_effort": "low"}, ()),
        ("o3-mini", {"stop": ["x"]}, {"stop": ["x"]}, ()),
        ("grok-4", {"frequency_penalty": 1, "reasoning_effort": "low"}, {}, ("frequency_penalty", "reasoning_effort")),
        ("grok-4.3", {"reasoning_effort": "low"}, {"reasoning_effort": "low"}, ()),
        ("openai/gpt-oss-120b", {"temperature": 0.2}, {"temperature": 0.2}, ()),
        ("kimi-k3", {"temperature": 0.2}, {}, ("temperature",)),
    ],
)
def test_what_a_reasoning_model_refuses_is_told_by_its_id(
    model: str, request_: dict[str, Any], kept: dict[str, Any], dropped: tuple[str, ...]
) -> None:
    """Sampling hints are dropped and named; what the model takes goes on."""
    sent = encode(request_, target(model=model))
    value = orjson.loads(sent.body)

    assert {name: member for name, member in value.items() if name not in ("model", "messages")} == kept
    assert sorted(sent.dropped) == sorted(dropped)


@pytest.mark.parametrize(("model", "member"), [("gpt-5-mini", "stop"), ("o3", "logprobs")])
def test_what_changes_the_answer_is_refused_for_a_reasoning_model(model: str, member: str) -> None:
    """OpenAI itself answers 400."""
    with pytest.raises(UnsupportedParameter) as error:
        body({member: ["x"] if member == "stop" else True}, target(model=model))

    assert error.value.param == member


def test_configuration_overrides_what_is_known_of_a_model() -> None:
    """A deployment's name says nothing of its model."""
    traits = {"max_tokens": "max_completion_tokens", "sampling": "never", "efforts": ["low"], "reject": ["stop"]}
    sent = encode(
        {"max_tokens": 5, "temperature": 0, "reasoning_effort": "max"}, target(model="my-deployment", traits=traits)
    )

    assert orjson.loads(sent.body) == {
        "model": "my-deployment",
        "messages": HI,
        "max_completion_tokens": 5,
        "reasoning_effort": "low",
    }
