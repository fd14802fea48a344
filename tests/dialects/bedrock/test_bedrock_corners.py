"""Rarer shapes: the assistant's parts, pieces of reasoning that a client kept apart, limits of thinking, calls cut short."""

from __future__ import annotations

from typing import Any

import pytest

from compatgw.dialects.bedrock import DIALECT
from compatgw.errors import InvalidRequest, UnsupportedParameter

from .bedrock_answers import answer, delta, opened, pieces, use
from .bedrock_asking import ADAPTIVE, BETWEEN, CLAUDE, HI, NOVA_2, PNG, SIGNATURE, context, encode, sent, target, tool


def said(**message: Any) -> list[dict[str, Any]]:
    """The blocks that an assistant's message becomes."""
    messages = sent(messages=[HI, {"role": "assistant", **message}, HI])["messages"]
    found: list[dict[str, Any]] = messages[1]["content"]
    return found


def test_parts_of_the_assistant() -> None:
    """Text, refusals, thinking in its vendor's shape, and what was spoken."""
    thinking = {"type": "thinking", "thinking": "Hm", "signature": SIGNATURE}
    parts = [
        thinking,
        {"type": "text", "text": "A", "cache_control": {"type": "ephemeral"}},
        {"type": "refusal", "refusal": "B"},
    ]

    assert said(content=parts) == [
        {"reasoningContent": {"reasoningText": {"text": "Hm", "signature": SIGNATURE}}},
        {"text": "A"},
        {"cachePoint": {"type": "default"}},
        {"text": "B"},
    ]
    assert said(content=None, refusal="No") == [{"text": "No"}]
    assert said(content=None, audio={"id": "a", "transcript": "Yes"}) == [{"text": "Yes"}]


@pytest.mark.parametrize(
    ("message", "param"),
    [
        ({"content": None, "audio": {"id": "a"}}, "audio"),
        ({"content": [{"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}}]}, "image_url"),
    ],
)
def test_what_an_assistant_cannot_have_said(message: dict[str, Any], param: str) -> None:
    """With its path."""
    with pytest.raises(UnsupportedParameter) as error:
        encode(messages=[HI, {"role": "assistant", **message}, HI])
    assert str(error.value.param).endswith(param)


def test_names_of_people_are_a_hint() -> None:
    """Left out and said."""
    assert encode(messages=[{**HI, "name": "Ann"}]).dropped == ("messages.name",)


def test_pieces_of_reasoning_are_put_together() -> None:
    """As a client that collects the entries of a stream keeps them."""
    first = {"index": 0, "type": "reasoning.text", "text": "H", "format": "anthropic-claude-v1"}
    details = [
        first,
        {"index": 0, "type": "reasoning.text", "text": "m"},
        {"index": 0, "type": "reasoning.text", "signature": SIGNATURE},
        "x",
    ]

    assert said(content="A", reasoning_details=details)[0] == {
        "reasoningContent": {"reasoningText": {"text": "Hm", "signature": SIGNATURE}}
    }
    assert said(content="A", reasoning_details=[{**first, "type": "reasoning.news"}]) == [{"text": "A"}]


@pytest.mark.parametrize(
    ("model", "given", "clamped"),
    [
        (BETWEEN, {"thinking": {"type": "between_tools"}}, ("thinking", "adaptive")),
        (ADAPTIVE, {"thinking": {"type": "enabled", "budget_tokens": 3000}}, ("thinking", "adaptive")),
        (CLAUDE, {"thinking": {"type": "adaptive"}}, ("thinking", "enabled")),
        (CLAUDE, {"thinking": {"type": "enabled", "budget_tokens": 10}}, ("thinking", "1024")),
        (NOVA_2, {"reasoning_effort": "max"}, ("reasoning_effort", "high")),
        (BETWEEN, {"reasoning_effort": "xhigh"}, ("reasoning_effort", "high")),
    ],
)
def test_what_had_to_be_changed_is_said(model: str, given: dict[str, Any], clamped: tuple[str, str]) -> None:
    """With what is sent instead."""
    assert clamped in encode(model, **given).clamped
    sent(model, **given)


def test_thinking_never_takes_the_whole_answer() -> None:
    """Nor more than the model can write."""
    body = sent(max_completion_tokens=70_000, reasoning_effort="max")
    budget = body["additionalModelRequestFields"]["thinking"]["budget_tokens"]

    assert body["inferenceConfig"]["maxTokens"] == 64_000
    assert 1024 <= budget < 64_000
    assert encode(where={"max_output": 1000}, reasoning_effort="low").dropped == ("reasoning_effort",)
    assert encode(thinking={"type": "enabled", "budget_tokens": 2000, "foreign": 1}).dropped == ("thinking.foreign",)


@pytest.mark.parametrize("budget", [1000, 3000, 9000])
def test_a_budget_is_an_effort_where_there_are_no_budgets(budget: int) -> None:
    """By its size."""
    found = sent(ADAPTIVE, reasoning={"max_tokens": budget})["additionalModelRequestFields"]["output_config"]["effort"]

    assert found == {1000: "low", 3000: "medium", 9000: "high"}[budget]


@pytest.mark.parametrize(
    "given",
    [
        {"chat_template_kwargs": {"enable_thinking": True}},
        {"include_reasoning": True},
        {"reasoning": {"enabled": True}},
    ],
)
def test_switches_of_other_servers(given: dict[str, Any]) -> None:
    """Turn thinking on."""
    assert sent(**given)["additionalModelRequestFields"]["thinking"]["type"] == "enabled"


def test_a_custom_call_that_was_cut_short_keeps_what_there_is() -> None:
    """The limit of tokens ends it in the middle of its JSON."""
    asked = context(encode(tools=[{"type": "custom", "custom": {"name": "sh"}}]))
    parts = [opened(0, toolUse={"toolUseId": "t", "name": "sh"}), delta(0, toolUse={"input": '{"input": "ls'})]
    calls = [
        call
        for piece in pieces(*parts, asked=asked, stop="max_tokens")
        for choice in piece.chunk["choices"]
        for call in choice["delta"].get("tool_calls") or ()
    ]

    assert calls[-1] == {"index": 0, "custom": {"input": '{"input": "ls'}}
    whole = answer(use("t", "sh", a=1), asked=asked)["tool_calls"]
    assert whole[0]["custom"]["input"] == '{"a":1}'


def test_a_call_that_begins_anew_is_another_one() -> None:
    """And pieces for nobody are dropped."""
    found = pieces(
        delta(7, toolUse={"input": "lost"}), opened(0, toolUse={"toolUseId": "a", "name": "f"}),
        opened(0, toolUse={"toolUseId": "b", "name": "f"}), stop="tool_use",
    )  # fmt: skip
    ids = [
        call["id"]
        for piece in found
        for choice in piece.chunk["choices"]
        for call in choice["delta"].get("tool_calls") or ()
        if "id" in call
    ]

    assert ids == ["a", "b"]


def test_the_vendors_own_members_win() -> None:
    """Over ours of the same end."""
    assert sent(service_tier="flex", serviceTier={"type": "priority"})["serviceTier"] == {"type": "priority"}


@pytest.mark.parametrize("name", ["outputConfig", "additionalModelRequestFields"])
def test_members_that_are_to_be_objects(name: str) -> None:
    """Else they are refused by name."""
    members: Any = {name: "x"}
    with pytest.raises(InvalidRequest, match=name):
        encode(**members)


def test_the_dialect_says_what_is_fetched_there() -> None:
    """Nothing but its vendor's storage."""
    assert DIALECT.fetches("file", "s3://b/k", target())
    assert not DIALECT.fetches("image", "https://x.test/a.png", target())


def test_a_tool_without_a_type_in_its_schema_is_an_object() -> None:
    """Also where it may be nothing."""
    shapes: list[Any] = [{"properties": {}}, {"type": ["object", "null"]}, {"anyOf": [{"type": "object"}]}]
    for parameters in shapes:
        config = sent(tools=[tool("a", parameters=parameters)])["toolConfig"]
        assert config["tools"][0]["toolSpec"]["inputSchema"]["json"]["type"] == "object"
