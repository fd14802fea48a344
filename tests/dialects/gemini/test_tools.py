"""Functions, the choice among them, answer formats beside them, and the memo for reading their calls."""

from __future__ import annotations

from typing import Any

import pytest

from compatgw.errors import InvalidRequest, UnsupportedParameter

from .asking import FLASH, NEW, OLD, SCHEMA, TIME, WEATHER, send, sent

GEMMA = "gemma-3-27b-it"
CUSTOM = {"type": "custom", "custom": {"name": "sql", "description": "Runs a query."}}
FORMAT = {"type": "json_schema", "json_schema": {"name": "answer", "schema": SCHEMA}}


def strict(tool: dict[str, Any]) -> dict[str, Any]:
    return {**tool, "function": {**tool["function"], "strict": True}}


def named(*names: str) -> list[dict[str, Any]]:
    return [{"type": "function", "function": {"name": name}} for name in names]


def allowed(mode: str, *names: str) -> dict[str, Any]:
    return {"type": "allowed_tools", "allowed_tools": {"mode": mode, "tools": named(*names)}}


# --- declarations ----------------------------------------------------------------------------


def test_all_functions_are_one_list_with_their_schemas() -> None:
    """A function without arguments has no schema at all: an empty one was an error once."""
    assert sent(tools=[WEATHER, TIME])["tools"] == [
        {
            "functionDeclarations": [
                {"name": "weather", "description": "d", "parametersJsonSchema": SCHEMA},
                {"name": "time"},
            ]
        }
    ]


def test_older_models_get_the_older_schema() -> None:
    """The two forms exclude each other."""
    declaration = sent(OLD, tools=[WEATHER])["tools"][0]["functionDeclarations"][0]

    assert declaration["parameters"] == {
        "type": "OBJECT",
        "properties": {"city": {"type": "STRING"}},
        "required": ["city"],
        "propertyOrdering": ["city"],
    }


def test_a_schema_without_its_type_gets_one() -> None:
    """Arguments are an object."""
    tool = {"type": "function", "function": {"name": "f", "parameters": {"anyOf": [{"required": ["a"]}]}}}

    assert sent(tools=[tool])["tools"][0]["functionDeclarations"][0]["parametersJsonSchema"]["type"] == "object"


def test_the_oldest_form_of_functions_is_declared_and_noted() -> None:
    """Its answers have their own shape, and one call each."""
    body, outgoing = send({"functions": [WEATHER["function"]], "function_call": {"name": "weather"}})

    assert body["tools"][0]["functionDeclarations"][0]["name"] == "weather"
    assert body["toolConfig"] == {"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["weather"]}}
    assert outgoing.memo == {"legacy": True, "single_call": True}


def test_custom_tools_are_functions_with_one_text() -> None:
    """The decoder makes custom calls of theirs."""
    body, outgoing = send({"tools": [CUSTOM], "tool_choice": {"type": "custom", "custom": {"name": "sql"}}})
    declaration = body["tools"][0]["functionDeclarations"][0]

    assert list(declaration["parametersJsonSchema"]["properties"]) == ["input"]
    assert body["toolConfig"]["functionCallingConfig"]["allowedFunctionNames"] == ["sql"]
    assert outgoing.memo == {"custom": ("sql",)}


def test_grammars_cannot_be_kept() -> None:
    """What they promise would not hold."""
    tool = {
        "type": "custom",
        "custom": {"name": "sql", "format": {"type": "grammar", "grammar": {"syntax": "lark", "definition": "x"}}},
    }
    with pytest.raises(UnsupportedParameter) as caught:
        sent(tools=[WEATHER, tool])

    assert caught.value.param == "tools[1].custom.format"
    assert send({"tools": [tool]}, unsupported="drop")[1].dropped == ("tools",)


@pytest.mark.parametrize("model", [GEMMA, "gemini-2.5-flash-image", "gemini-2.5-flash-preview-tts"])
def test_models_without_functions_say_so(model: str) -> None:
    """Unless none was to be called anyway."""
    with pytest.raises(UnsupportedParameter) as caught:
        sent(model, tools=[WEATHER])

    assert caught.value.param == "tools"
    assert "tools" not in sent(model, tools=[WEATHER], tool_choice="none")


def test_parallel_calls_are_switched_off_by_the_decoder() -> None:
    """There is no switch: only the first call is kept, and nothing is reported as left out."""
    _, outgoing = send({"tools": [WEATHER], "parallel_tool_calls": False})

    assert (outgoing.memo, outgoing.dropped) == ({"single_call": True}, ())
    assert send({"tools": [WEATHER], "parallel_tool_calls": True})[1].memo == {}
    assert send({"parallel_tool_calls": False})[1].memo == {}


# --- the choice ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        ("auto", None),
        ("none", {"mode": "NONE"}),
        ("required", {"mode": "ANY"}),
        ({"type": "function", "function": {"name": "time"}}, {"mode": "ANY", "allowedFunctionNames": ["time"]}),
        (allowed("required", "time", "weather"), {"mode": "ANY", "allowedFunctionNames": ["time", "weather"]}),
        (allowed("auto", "time"), {"mode": "VALIDATED", "allowedFunctionNames": ["time"]}),
        (
            {
                "type": "allowed_tools",
                "allowed_tools": {"mode": "auto", "tools": [{"type": "function", "name": "time"}]},
            },
            {"mode": "VALIDATED", "allowedFunctionNames": ["time"]},
        ),
    ],
)
def test_every_form_of_choice_has_its_mode(choice: Any, expected: Any) -> None:
    """The default is not written."""
    config = sent(tools=[WEATHER, TIME], tool_choice=choice).get("toolConfig", {})

    assert config.get("functionCallingConfig") == expected


def test_a_subset_without_force_is_all_that_older_models_see() -> None:
    """They cannot be limited otherwise."""
    body = sent("gemini-2.0-flash", tools=[WEATHER, TIME], tool_choice=allowed("auto", "time"))

    assert body["tools"] == [{"functionDeclarations": [{"name": "time"}]}]
    assert "toolConfig" not in body


@pytest.mark.parametrize(
    ("choice", "param"),
    [
        ({"type": "function", "function": {"name": "gone"}}, "tool_choice.function.name"),
        ({"type": "custom", "custom": {"name": "gone"}}, "tool_choice.custom.name"),
        (allowed("auto", "time", "gone"), "tool_choice.allowed_tools.tools"),
        (allowed("auto"), "tool_choice.allowed_tools.tools"),
    ],
)
def test_a_choice_of_what_is_not_there_is_refused(choice: Any, param: str) -> None:
    """The vendor's own sentence speaks of its own fields."""
    with pytest.raises(InvalidRequest) as caught:
        sent(tools=[WEATHER, TIME], tool_choice=choice)

    assert caught.value.param == param


def test_a_forced_call_needs_functions() -> None:
    """As at OpenAI."""
    with pytest.raises(InvalidRequest) as caught:
        sent(tool_choice="required")

    assert caught.value.param == "tool_choice"


def test_strict_on_all_functions_is_the_validated_mode() -> None:
    """Calls then obey their schemas; on some functions alone that cannot be said."""
    assert sent(tools=[strict(WEATHER), strict(TIME)])["toolConfig"] == {"functionCallingConfig": {"mode": "VALIDATED"}}
    body, outgoing = send({"tools": [strict(WEATHER), TIME]})
    assert "toolConfig" not in body
    assert outgoing.dropped == ("tools.strict",)
    assert send({"tools": [strict(WEATHER)]}, "gemini-2.0-flash")[1].dropped == ("tools.strict",)
    assert send({"tools": [strict(WEATHER), TIME], "tool_choice": "required"})[1].dropped == ()


# --- search ----------------------------------------------------------------------------------


def test_web_search_is_a_tool_of_googles() -> None:
    """Its options have no place there."""
    body, outgoing = send({"web_search_options": {"search_context_size": "low"}}, FLASH)

    assert body["tools"] == [{"googleSearch": {}}]
    assert outgoing.dropped == ("web_search_options.search_context_size",)
    assert sent(OLD, web_search_options={})["tools"] == [{"googleSearchRetrieval": {}}]


def test_search_beside_functions_is_for_the_newest_models() -> None:
    """They have to be told that both are meant."""
    body = sent(tools=[WEATHER], web_search_options={})

    assert [list(tool) for tool in body["tools"]] == [["googleSearch"], ["functionDeclarations"]]
    assert body["toolConfig"] == {"includeServerSideToolInvocations": True}
    with pytest.raises(UnsupportedParameter) as caught:
        sent(FLASH, tools=[WEATHER], web_search_options={})
    assert caught.value.param == "web_search_options"
    told = send({"tools": [WEATHER], "web_search_options": {}}, traits={"server_invocations": False})[0]
    assert "toolConfig" not in told


def test_search_is_refused_where_there_is_none() -> None:
    """An answer without sources is another answer."""
    with pytest.raises(UnsupportedParameter) as caught:
        sent(GEMMA, web_search_options={})

    assert caught.value.param == "web_search_options"


def test_what_cannot_be_searched_may_be_left_out() -> None:
    """When the caller prefers any answer to none."""
    for model in (FLASH, GEMMA):
        tools = [] if model == GEMMA else [WEATHER]
        body, outgoing = send({"tools": tools, "web_search_options": {}}, model, unsupported="drop")
        assert outgoing.dropped == ("web_search_options",)
        assert [list(tool) for tool in body.get("tools", ())] == [["functionDeclarations"]] * len(tools)


def test_other_built_in_tools_are_passed_on() -> None:
    """Under the vendor's own member."""
    body = sent(google={"tools": [{"code_execution": {}}, {"urlContext": {}}]}, web_search_options={})

    assert body["tools"] == [{"codeExecution": {}}, {"urlContext": {}}, {"googleSearch": {}}]


# --- formats ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "wanted", "expected"),
    [
        (NEW, {"type": "text"}, {}),
        (NEW, {"type": "json_object"}, {"responseMimeType": "application/json"}),
        (FLASH, FORMAT, {"responseMimeType": "application/json", "responseJsonSchema": SCHEMA}),
        (FLASH, {"type": "json_schema", "json_schema": {"name": "n"}}, {"responseMimeType": "application/json"}),
        (
            OLD,
            FORMAT,
            {
                "responseMimeType": "application/json",
                "responseSchema": {
                    "type": "OBJECT",
                    "properties": {"city": {"type": "STRING"}},
                    "required": ["city"],
                    "propertyOrdering": ["city"],
                },
            },
        ),
    ],
)
def test_formats_are_native_where_they_stand_alone(model: str, wanted: Any, expected: dict[str, Any]) -> None:
    """The schema goes in the dialect that the model reads."""
    assert sent(model, response_format=wanted).get("generationConfig", {}) == expected


def test_formats_beside_tools_are_native_for_the_newest_models() -> None:
    """They take both."""
    body = sent(response_format=FORMAT, tools=[WEATHER])

    assert body["generationConfig"]["responseJsonSchema"] == SCHEMA
    assert "toolConfig" not in body


def test_formats_beside_tools_are_one_more_function_elsewhere() -> None:
    """A call is forced, and the arguments of that function are the answer."""
    body, outgoing = send({"response_format": FORMAT, "tools": [WEATHER]}, FLASH)
    names = [d["name"] for d in body["tools"][0]["functionDeclarations"]]

    assert names == ["weather", "json_response"]
    assert body["tools"][0]["functionDeclarations"][1]["parametersJsonSchema"] == SCHEMA
    assert body["toolConfig"] == {"functionCallingConfig": {"mode": "ANY"}}
    assert outgoing.memo == {"json_tool": "json_response"}
    assert "generationConfig" not in body


def test_the_function_that_answers_is_among_the_allowed_ones_and_has_a_name_of_its_own() -> None:
    """A caller's function may be called the same."""
    taken = {"type": "function", "function": {"name": "json_response"}}
    body, outgoing = send(
        {"response_format": FORMAT, "tools": [taken], "tool_choice": allowed("auto", "json_response")}, FLASH
    )

    assert body["toolConfig"]["functionCallingConfig"]["allowedFunctionNames"] == ["json_response", "json_response_"]
    assert outgoing.memo["json_tool"] == "json_response_"


def test_a_forced_call_has_no_format_and_forbidden_tools_do_not_forbid_one() -> None:
    """The answer is a call, or there are no calls at all."""
    forced = sent(FLASH, response_format=FORMAT, tools=[WEATHER], tool_choice="required")
    assert "generationConfig" not in forced
    assert len(forced["tools"][0]["functionDeclarations"]) == 1
    forbidden = sent(FLASH, response_format=FORMAT, tools=[WEATHER], tool_choice="none")
    assert forbidden["generationConfig"]["responseJsonSchema"] == SCHEMA
    assert "tools" not in forbidden


@pytest.mark.parametrize(
    ("model", "request_"),
    [
        (FLASH, {"response_format": {"type": "json_object"}, "tools": [WEATHER]}),
        (FLASH, {"response_format": FORMAT, "web_search_options": {}}),
        (
            FLASH,
            {
                "response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": {"type": "array"}}},
                "tools": [WEATHER],
            },
        ),
        (GEMMA, {"response_format": {"type": "json_object"}}),
    ],
)
def test_a_format_that_cannot_be_kept_is_refused(model: str, request_: dict[str, Any]) -> None:
    """Unless the caller prefers any answer to none."""
    with pytest.raises(UnsupportedParameter) as caught:
        send(request_, model)

    assert caught.value.param == "response_format"
    assert send(request_, model, unsupported="drop")[1].dropped == ("response_format",)
