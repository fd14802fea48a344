"""Tools, the choice among them, names that the API refuses, and answer formats."""

from __future__ import annotations

from typing import Any

import pytest

from compatgw.errors import InvalidRequest, UnsupportedParameter

from .claude_asking import BETWEEN, HI, MANUAL, MODERN, OLD, UNFORCED, call, encode, result, said, sent, tool

SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
CUSTOM = {"type": "custom", "custom": {"name": "sh", "description": "Runs it."}}
OTHER = tool("other")


def named(name: str) -> dict[str, Any]:
    return {"type": "function", "function": {"name": name}}


def test_a_function_tool() -> None:
    """Name, description and schema, the schema as it is."""
    assert sent(tools=[tool()])["tools"] == [{"name": "get_weather", "description": "d", "input_schema": SCHEMA}]


def test_a_function_without_parameters_takes_none() -> None:
    """An object without properties."""
    empty = {"type": "object", "properties": {}}
    for function in ({"name": "f"}, {"name": "f", "parameters": {}}):
        assert sent(tools=[{"type": "function", "function": function}])["tools"][0]["input_schema"] == empty


def test_native_members_of_a_tool_are_kept() -> None:
    """Marks, deferred loading and the rest."""
    extra = {"cache_control": {"type": "ephemeral"}, "defer_loading": True, "input_examples": [{"city": "Paris"}]}
    found = sent(tools=[{**tool(), **extra}])["tools"][0]

    assert {name: found[name] for name in extra} == extra


def test_the_vendors_own_tools_pass() -> None:
    """They carry a date in their type; other unknown types are refused."""
    native = {"type": "web_search_20250305", "name": "web_search", "max_uses": 2}
    assert sent(tools=[native, tool()])["tools"][0] == native

    with pytest.raises(UnsupportedParameter) as caught:
        encode(tools=[{"type": "file_search"}])
    assert caught.value.param == "tools[0].type"


def test_a_custom_tool_is_a_function_of_one_text() -> None:
    """And the memo says so."""
    outgoing = encode(tools=[CUSTOM])
    found = sent(tools=[CUSTOM])["tools"][0]

    assert (found["name"], found["description"]) == ("sh", "Runs it.")
    assert found["input_schema"]["required"] == ["input"]
    assert found["input_schema"]["properties"]["input"]["type"] == "string"
    assert outgoing.memo["custom"] == ("sh",)


def test_a_grammar_cannot_be_carried() -> None:
    """It would change what the caller gets."""
    grammar = {"type": "grammar", "grammar": {"syntax": "regex", "definition": "a+"}}
    members: dict[str, Any] = {"tools": [{"type": "custom", "custom": {"name": "sh", "format": grammar}}]}

    with pytest.raises(UnsupportedParameter) as caught:
        encode(**members)
    assert caught.value.param == "tools[0].custom.format"
    assert encode(**members, where={"unsupported": "drop"}).dropped == ("tools[0].custom.format",)
    assert encode(tools=[{"type": "custom", "custom": {"name": "sh", "format": {"type": "text"}}}]).dropped == ()


@pytest.mark.parametrize(("model", "strict"), [(MODERN, True), (MANUAL, True), (OLD, False)])
def test_strict_tools(model: str, strict: bool) -> None:
    """Within the subset of schemas where they are known; reported where they are not."""
    members: dict[str, Any] = {"tools": [tool(strict=True, parameters={**SCHEMA, "minProperties": 1})]}
    outgoing, found = encode(model, **members), sent(model, **members)["tools"][0]

    if strict:
        assert found["strict"] is True
        assert found["input_schema"]["additionalProperties"] is False
        assert "minProperties" not in found["input_schema"]
        assert outgoing.dropped == ()
    else:
        assert "strict" not in found
        assert outgoing.dropped == ("tools.strict",)


# --- the choice ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        (None, None),
        ("auto", {"type": "auto"}),
        ("none", {"type": "none"}),
        ("required", {"type": "any"}),
        (named("other"), {"type": "tool", "name": "other"}),
        ({"type": "custom", "custom": {"name": "sh"}}, {"type": "tool", "name": "sh"}),
    ],
)
@pytest.mark.parametrize("parallel", [None, True, False])
def test_choices(choice: Any, expected: dict[str, Any] | None, parallel: bool | None) -> None:
    """With the switch for parallel calls inside, but for `none`, which has no place for it."""
    members: dict[str, Any] = {"tools": [tool(), OTHER, CUSTOM]}
    if choice is not None:
        members["tool_choice"] = choice
    if parallel is not None:
        members["parallel_tool_calls"] = parallel
    if parallel is False and choice != "none":
        expected = {**(expected or {"type": "auto"}), "disable_parallel_tool_use": True}

    assert sent(**members).get("tool_choice") == expected


@pytest.mark.parametrize(("mode", "kind"), [("auto", "auto"), ("required", "any")])
def test_allowed_tools_are_the_only_ones_sent(mode: str, kind: str) -> None:
    """There is no other way to say it."""
    allowed = [named("other"), {"type": "custom", "custom": {"name": "sh"}}]
    choice = {"type": "allowed_tools", "allowed_tools": {"mode": mode, "tools": allowed}}
    body = sent(tools=[tool(), OTHER, CUSTOM], tool_choice=choice)

    assert [entry["name"] for entry in body["tools"]] == ["other", "sh"]
    assert body["tool_choice"] == {"type": kind}


@pytest.mark.parametrize(
    ("members", "param"),
    [
        ({"tool_choice": "required"}, "tool_choice"),
        ({"tools": [tool()], "tool_choice": named("nope")}, "tool_choice.function.name"),
        ({"functions": [{"name": "f"}], "function_call": {"name": "nope"}}, "function_call.name"),
        (
            {
                "tools": [tool()],
                "tool_choice": {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": [named("nope")]}},
            },
            "tool_choice.allowed_tools.tools[0]",
        ),
        (
            {
                "tools": [tool()],
                "tool_choice": {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": []}},
            },
            "tool_choice.allowed_tools.tools",
        ),
        ({"tools": [tool(parameters={"type": "array"})]}, "tools[0].function.parameters"),
        ({"functions": [{"name": "f", "parameters": {"$ref": "#/x"}}]}, "functions[0].parameters"),
    ],
)
def test_a_choice_or_schema_that_makes_no_sense(members: dict[str, Any], param: str) -> None:
    """400 with the path."""
    with pytest.raises(InvalidRequest) as caught:
        encode(**members)

    assert caught.value.param == param


ANY_OF_THEM = {"type": "allowed_tools", "allowed_tools": {"mode": "required", "tools": [named("get_weather")]}}


@pytest.mark.parametrize("choice", ["required", named("get_weather"), ANY_OF_THEM])
@pytest.mark.parametrize("model", [UNFORCED, "claude-fable-5-1", "claude-mythos-5-2"])
def test_a_call_that_cannot_be_forced_is_refused(model: str, choice: Any) -> None:
    """Unless the policy is to drop: then it is asked for in words."""
    members: dict[str, Any] = {"tools": [tool()], "tool_choice": choice}
    with pytest.raises(UnsupportedParameter) as caught:
        encode(model, **members)
    assert caught.value.param == "tool_choice"

    outgoing = encode(model, **members, where={"unsupported": "drop"})
    body = sent(model, **members, where={"unsupported": "drop"})
    assert outgoing.dropped == ("tool_choice",)
    assert body["tool_choice"] == {"type": "auto"}
    assert "calling" in body["system"][-1]["text"]


# --- functions -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        (None, {"type": "auto", "disable_parallel_tool_use": True}),
        ("auto", {"type": "auto", "disable_parallel_tool_use": True}),
        ("none", {"type": "none"}),
        ({"name": "f"}, {"type": "tool", "name": "f", "disable_parallel_tool_use": True}),
    ],
)
def test_functions_are_tools_called_one_at_a_time(call: Any, expected: dict[str, Any]) -> None:
    """Their answer has room for one call."""
    members: dict[str, Any] = {"functions": [{"name": "f", "parameters": SCHEMA}]}
    if call is not None:
        members["function_call"] = call
    body = sent(**members)

    assert body["tools"] == [{"name": "f", "input_schema": SCHEMA}]
    assert body["tool_choice"] == expected
    assert encode(**members).memo["legacy"] is True


# --- names -----------------------------------------------------------------------------------


def test_names_that_the_api_refuses_have_stand_ins() -> None:
    """The same in tools, choice and history; the memo leads back."""
    odd = "mcp.server:tool"
    members: dict[str, Any] = {
        "messages": [HI, said(None, call("functions.Bash:0", odd)), result("functions.Bash:0"), HI],
        "tools": [tool(odd)],
        "tool_choice": named(odd),
    }
    body, memo = sent(MANUAL, **members), encode(MANUAL, **members).memo
    stand_in = body["tools"][0]["name"]
    use = body["messages"][1]["content"][0]

    assert body["tool_choice"]["name"] == use["name"] == stand_in != odd
    assert memo["names"] == {stand_in: odd}
    assert memo["ids"] == {use["id"]: "functions.Bash:0"}
    assert body["messages"][2]["content"][0]["tool_use_id"] == use["id"]


def test_good_names_and_ids_are_left_alone() -> None:
    """Nothing to lead back from."""
    name, id = "n" * 128, "toolu_" + "x" * 200
    outgoing = encode(messages=[HI, said(None, call(id, name)), result(id)], tools=[tool(name)])

    assert outgoing.memo == {}
    assert sent(tools=[tool(name)])["tools"][0]["name"] == name


# --- formats ---------------------------------------------------------------------------------

FORMAT = {
    "type": "json_schema",
    "json_schema": {"name": "city", "strict": True, "description": "A city.", "schema": SCHEMA},
}
STRICT = {**SCHEMA, "additionalProperties": False}


@pytest.mark.parametrize("model", [MANUAL, BETWEEN, MODERN, UNFORCED])
def test_a_schema_is_a_native_format(model: str) -> None:
    """Without a forced tool, which newer models refuse, and beside tools and thinking."""
    body = sent(model, response_format=FORMAT, tools=[tool()], reasoning_effort="high")

    assert body["output_config"]["format"] == {"type": "json_schema", "schema": STRICT}
    assert [entry["name"] for entry in body["tools"]] == ["get_weather"]
    assert "thinking" in body
    assert "tool_choice" not in body


@pytest.mark.parametrize(
    ("members", "names", "choice"),
    [
        ({}, ["json_response"], {"type": "tool", "name": "json_response"}),
        ({"tools": [tool()]}, ["get_weather", "json_response"], {"type": "any"}),
        ({"tools": [tool("json_response")]}, ["json_response", "json_response_"], {"type": "any"}),
        (
            {"tools": [tool()], "parallel_tool_calls": False},
            ["get_weather", "json_response"],
            {"type": "any", "disable_parallel_tool_use": True},
        ),
        (
            {"tools": [tool()], "tool_choice": "none"},
            ["get_weather", "json_response"],
            {"type": "tool", "name": "json_response"},
        ),
        ({"tools": [tool()], "tool_choice": "required"}, ["get_weather"], {"type": "any"}),
    ],
)
def test_old_models_answer_through_a_tool(members: dict[str, Any], names: list[str], choice: dict[str, Any]) -> None:
    """Whose input is the answer; a call that the caller forces has no format."""
    body, memo = sent(OLD, response_format=FORMAT, **members), encode(OLD, response_format=FORMAT, **members).memo

    assert [entry["name"] for entry in body["tools"]] == names
    assert body["tool_choice"] == choice
    assert memo.get("json_tool") == (names[-1] if names[-1].startswith("json") else None)
    assert "output_config" not in body


def test_a_format_through_a_tool_comes_before_thinking() -> None:
    """Both together are refused there; the format changes what the caller gets."""
    outgoing = encode("claude-opus-4-1", response_format=FORMAT, reasoning_effort="high")

    assert outgoing.dropped == ("reasoning_effort",)
    assert "thinking" not in sent("claude-opus-4-1", response_format=FORMAT, reasoning_effort="high")


def test_a_model_that_can_do_neither_refuses_a_schema() -> None:
    """By configuration, for other servers of this protocol."""
    where = {"traits": {"structured": False, "forced": False}}
    with pytest.raises(UnsupportedParameter) as caught:
        encode(MODERN, response_format=FORMAT, where=where)
    assert caught.value.param == "response_format"

    body = sent(MODERN, response_format=FORMAT, where={**where, "unsupported": "drop"})
    assert "JSON" in body["system"][0]["text"]


@pytest.mark.parametrize("wanted", [{"type": "json_object"}, {"type": "json_schema", "json_schema": {"name": "a"}}])
def test_a_json_object_is_asked_for_in_words(wanted: dict[str, Any]) -> None:
    """There is no native form; the caller is told."""
    messages = [{"role": "system", "content": "Be brief."}, HI]
    outgoing = encode(messages=messages, response_format=wanted)
    body = sent(messages=messages, response_format=wanted)

    assert body["system"][0]["text"] == "Be brief."
    assert "one JSON object" in body["system"][1]["text"]
    assert outgoing.clamped == (("response_format", "instruction"),)
    assert outgoing.memo == {"json_object": True}


def test_plain_text_is_no_format() -> None:
    """It is what comes anyway."""
    assert "output_config" not in sent(response_format={"type": "text"})


# --- search ----------------------------------------------------------------------------------


def test_search_is_refused_unless_it_is_switched_on() -> None:
    """By a trait of the model, in configuration."""
    place = {"type": "approximate", "approximate": {"city": "Hanoi", "country": "VN"}}
    options = {"user_location": place, "search_context_size": "low"}
    with pytest.raises(UnsupportedParameter) as caught:
        encode(web_search_options=options)
    assert caught.value.param == "web_search_options"

    body = sent(web_search_options=options, where={"traits": {"web_search": "web_search_20250305"}})
    location = {"type": "approximate", "city": "Hanoi", "country": "VN"}
    assert body["tools"] == [{"type": "web_search_20250305", "name": "web_search", "user_location": location}]
    assert encode(web_search_options={}, where={"unsupported": "drop"}).dropped == ("web_search_options",)
