"""Tools and the choice among them, by what each model takes; and their calls on the way back."""

from __future__ import annotations

from typing import Any

import pytest

from compatgw.errors import InvalidRequest, UnsupportedParameter

from .bedrock_answers import answer, body, closed, decoded, delta, opened, pieces, streamed, use
from .bedrock_asking import (
    CLAUDE,
    HI,
    LLAMA,
    MISTRAL,
    NOVA,
    TITAN,
    accepted,
    called,
    context,
    encode,
    result,
    sent,
    tool,
)

ONE: dict[str, Any] = {"type": "function", "function": {"name": "a"}}
TWO = [tool("a"), tool("b")]


def test_a_function_as_it_is_sent() -> None:
    """With an object for its input; an empty description is left out."""
    tools = [
        tool("a", description="Does it", strict=True),
        {"type": "function", "function": {"name": "b", "description": " "}},
    ]

    assert sent(tools=tools)["toolConfig"] == {
        "tools": [
            {
                "toolSpec": {
                    "name": "a",
                    "description": "Does it",
                    "inputSchema": {"json": {"type": "object", "properties": {"city": {"type": "string"}}}},
                    "strict": True,
                }
            },
            {"toolSpec": {"name": "b", "inputSchema": {"json": {"type": "object", "properties": {}}}}},
        ]
    }  # fmt: skip


def test_strictness_is_a_hint_elsewhere() -> None:
    """Left out and said."""
    outgoing = encode(NOVA, tools=[tool("a", strict=True)])

    assert outgoing.dropped == ("tools.strict",)
    assert "strict" not in str(accepted(outgoing, NOVA)["toolConfig"])


@pytest.mark.parametrize(
    ("model", "choice", "expected", "names"),
    [
        (CLAUDE, None, None, ["a", "b"]),
        (CLAUDE, "auto", {"auto": {}}, ["a", "b"]),
        (CLAUDE, "required", {"any": {}}, ["a", "b"]),
        (CLAUDE, ONE, {"tool": {"name": "a"}}, ["a", "b"]),
        (MISTRAL, ONE, {"any": {}}, ["a"]),
        (MISTRAL, "required", {"any": {}}, ["a", "b"]),
        (CLAUDE, {"type": "allowed_tools", "allowed_tools": {"mode": "required", "tools": [ONE]}}, {"any": {}}, ["a"]),
        (LLAMA, {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": [ONE]}}, {"auto": {}}, ["a"]),
    ],
)
def test_the_choice(model: str, choice: Any, expected: Any, names: list[str]) -> None:
    """Named where it can be, narrowed where it cannot."""
    config = sent(model, tools=TWO, tool_choice=choice)["toolConfig"]

    assert config.get("toolChoice") == expected
    assert [one["toolSpec"]["name"] for one in config["tools"]] == names


@pytest.mark.parametrize("choice", ["required", ONE])
def test_a_call_that_cannot_be_forced_is_refused(choice: Any) -> None:
    """Or asked for in words under `drop`."""
    with pytest.raises(UnsupportedParameter) as error:
        encode(LLAMA, tools=TWO, tool_choice=choice)
    assert error.value.param == "tool_choice"
    body = sent(LLAMA, where={"unsupported": "drop"}, tools=TWO, tool_choice=choice)
    assert "Answer by calling" in body["system"][0]["text"]
    assert body["toolConfig"]["toolChoice"] == {"auto": {}}


def test_no_call_is_no_tools() -> None:
    """Unless the history needs them: then it is asked for."""
    assert "toolConfig" not in sent(tools=TWO, tool_choice="none")
    body = sent(messages=[HI, called("a"), result()], tools=TWO, tool_choice="none")
    assert len(body["toolConfig"]["tools"]) == 2
    assert "without calling" in body["system"][0]["text"]


@pytest.mark.parametrize(
    ("members", "param"),
    [
        ({"tool_choice": "required"}, "tool_choice"),
        ({"tools": TWO, "tool_choice": {"type": "function", "function": {"name": "z"}}}, "tool_choice.function.name"),
        ({"tools": TWO, "tool_choice": {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": [{"type": "function", "function": {"name": "z"}}]}}},
         "tool_choice.allowed_tools.tools[0]"),
        ({"tools": TWO, "tool_choice": {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": []}}}, "tool_choice.allowed_tools.tools"),
        ({"tools": [tool("a", parameters={"type": "string"})]}, "tools[0].function.parameters"),
        ({"functions": [{"name": "a", "parameters": {"type": "array"}}]}, "functions[0].parameters"),
    ],
)  # fmt: skip
def test_what_cannot_be_meant_is_refused(members: dict[str, Any], param: str) -> None:
    """With its path."""
    with pytest.raises(InvalidRequest) as error:
        encode(**members)
    assert error.value.param == param


def test_a_model_without_tools_is_no_model_for_them() -> None:
    """It would only ignore them."""
    with pytest.raises(UnsupportedParameter, match="tools"):
        encode(TITAN, tools=TWO)
    with pytest.raises(UnsupportedParameter, match="type"):
        encode(tools=[{"type": "web_search"}])


# --- the way back ----------------------------------------------------------------------------


def test_a_custom_tool_is_called_with_text() -> None:
    """Whole and streamed, its one argument is the input."""
    asked = context(encode(tools=[{"type": "custom", "custom": {"name": "sh"}}]))
    parts = [
        opened(0, toolUse={"toolUseId": "t", "name": "sh"}),
        delta(0, toolUse={"input": '{"inp'}),
        delta(0, toolUse={"input": 'ut": "ls"}'}),
        closed(0),
    ]
    whole = answer(use("t", "sh", input="ls"), asked=asked)["tool_calls"]

    assert whole == [{"id": "t", "type": "custom", "custom": {"name": "sh", "input": "ls"}}]
    found = [
        piece.chunk["choices"][0]["delta"].get("tool_calls")
        for piece in pieces(*parts, asked=asked)
        if piece.chunk["choices"]
    ]
    assert [call for calls in found if calls for call in calls] == [
        {"index": 0, "id": "t", "type": "custom", "custom": {"name": "sh", "input": ""}},
        {"index": 0, "custom": {"input": "ls"}},
    ]


def test_a_grammar_cannot_be_sent() -> None:
    """With its path."""
    with pytest.raises(UnsupportedParameter, match="format"):
        encode(tools=[{"type": "custom", "custom": {"name": "sh", "format": {"type": "grammar"}}}])


def test_the_tool_that_stands_for_the_answer_is_text() -> None:
    """What it was called with, and nothing of what was said before."""
    form = {"type": "json_schema", "json_schema": {"name": "A", "schema": {"type": "object"}}}
    asked = context(encode(NOVA, response_format=form))
    parts = [
        delta(0, text="Well"),
        closed(0),
        opened(1, toolUse={"toolUseId": "t", "name": "json_response"}),
        delta(1, toolUse={"input": '{"a":1}'}),
        closed(1),
    ]

    for found in (
        decoded(body({"text": "Well"}, use("t", "json_response", a=1), stop="tool_use"), asked),
        streamed(*parts, asked=asked, stop="tool_use"),
    ):
        choice = found["choices"][0]
        assert (choice["message"]["content"], choice["message"].get("tool_calls"), choice["finish_reason"]) == (
            '{"a":1}',
            None,
            "stop",
        )
    assert streamed(delta(0, text="No"), closed(0), asked=asked)["choices"][0]["message"]["content"] == "No"


@pytest.mark.parametrize(
    "members", [{"parallel_tool_calls": False, "tools": TWO}, {"functions": [{"name": "a"}, {"name": "b"}]}]
)
def test_one_call_alone_is_kept(members: dict[str, Any]) -> None:
    """Where the caller can take only one."""
    asked = context(encode(**members))
    parts = [
        part
        for n, name in enumerate("ab")
        for part in (opened(n, toolUse={"toolUseId": name, "name": name}), delta(n, toolUse={"input": "{}"}), closed(n))
    ]

    for found in (
        decoded(body(use("a", "a"), use("b", "b"), stop="tool_use"), asked),
        streamed(*parts, asked=asked, stop="tool_use"),
    ):
        message = found["choices"][0]["message"]
        if "functions" in members:
            assert message["function_call"] == {"name": "a", "arguments": "{}"}
            assert found["choices"][0]["finish_reason"] == "function_call"
        else:
            assert [call["id"] for call in message["tool_calls"]] == ["a"]


def test_names_and_ids_go_back_to_the_callers_own() -> None:
    """What was made to fit is as it was."""
    talk = [HI, called("my.tool", ids=["a/b"]), result("a/b")]
    outgoing = encode(messages=talk, tools=[tool("my.tool")])
    spec = accepted(outgoing)["toolConfig"]["tools"][0]["toolSpec"]["name"]

    assert spec != "my.tool"
    for message in (
        answer(use("t", spec), asked=context(outgoing), stop="tool_use"),
        streamed(
            opened(0, toolUse={"toolUseId": "t", "name": spec}), closed(0), asked=context(outgoing), stop="tool_use"
        )["choices"][0]["message"],
    ):
        assert [call["function"]["name"] for call in message["tool_calls"]] == ["my.tool"]
