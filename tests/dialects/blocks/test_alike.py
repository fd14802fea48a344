"""One conversation means the same to both protocols of blocks, and a Claude's traits are the same wherever it is hosted."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from compatgw.dialects.anthropic import DIALECT as ANTHROPIC
from compatgw.dialects.anthropic import models as theirs
from compatgw.dialects.base import Dialect, Target
from compatgw.dialects.bedrock import DIALECT as BEDROCK
from compatgw.dialects.bedrock import models as hosted
from compatgw.errors import UnsupportedParameter

# Neither has a place for system text between the others, both go on with an answer.
CLAUDE = "claude-sonnet-4-5-20250929"
NAMES = ("search", "weather")

Json = dict[str, Any]

texts = st.sampled_from(["Hi", "  ", "One\n", "ü"])
calls = st.builds(
    lambda key, name, text: {"id": key, "type": "function", "function": {"name": name, "arguments": text}},
    st.sampled_from(["call_1", "call_2"]),
    st.sampled_from(NAMES),
    st.sampled_from(["{}", '{"a":1}', "no JSON"]),
)
signed = st.just([{"type": "thinking", "thinking": "Hm", "signature": "c2ln"}])
messages = st.lists(
    st.one_of(
        st.builds(lambda text: {"role": "user", "content": text}, texts),
        st.builds(lambda text: {"role": "system", "content": text}, texts),
        st.builds(
            lambda text, asked, thought: {
                "role": "assistant",
                "content": text,
                **({"tool_calls": asked} if asked else {}),
                **({"thinking_blocks": thought} if thought else {}),
            },
            texts,
            st.lists(calls, max_size=3),
            st.none() | signed,
        ),
        st.builds(
            lambda key, text, bad: {"role": "tool", "tool_call_id": key, "content": text, "is_error": bad},
            st.sampled_from(["call_1", "call_2", "call_3"]),
            texts,
            st.booleans(),
        ),
    ),
    min_size=1,
    max_size=8,
)


def told(dialect: Dialect, model: str, given: list[Json]) -> tuple[Json, tuple[tuple[str, str], ...]]:
    """The body that a dialect makes of messages, and what it changed."""
    assert dialect.chat is not None
    request: Any = {"model": "m", "messages": given}
    outgoing = dialect.chat.encode(request, Target(provider="Vendor", model=model))
    return orjson.loads(outgoing.body), outgoing.clamped


def of_anthropic(block: Json) -> tuple[Any, ...]:
    """What a block of Anthropic's says."""
    kind = block["type"]
    if kind == "text":
        return ("text", block["text"])
    if kind == "thinking":
        return ("thinking", block["thinking"], block["signature"])
    if kind == "tool_use":
        return ("call", block["id"], block["name"], block["input"])
    assert kind == "tool_result"
    said = block.get("content", "(empty)")
    text = said if isinstance(said, str) else "".join(part["text"] for part in said)
    return ("result", block["tool_use_id"], text, block.get("is_error", False))


def of_bedrock(block: Json) -> tuple[Any, ...]:
    """What a block of Bedrock's says."""
    ((kind, value),) = block.items()
    if kind == "text":
        return ("text", value)
    if kind == "reasoningContent":
        return ("thinking", value["reasoningText"]["text"], value["reasoningText"]["signature"])
    if kind == "toolUse":
        return ("call", value["toolUseId"], value["name"], value["input"])
    assert kind == "toolResult"
    text = "".join(part["text"] for part in value["content"])
    return ("result", value["toolUseId"], text, value.get("status") == "error")


@settings(max_examples=200, deadline=None)
@given(messages)
def test_both_protocols_tell_one_conversation(given_messages: list[Json]) -> None:
    """Turns, blocks, their order and every repair are the same; only the spelling differs."""
    ours, changed = told(ANTHROPIC, CLAUDE, given_messages)
    other, also = told(BEDROCK, f"anthropic.{CLAUDE}-v1:0", given_messages)
    assert [(one["role"], [of_anthropic(block) for block in one["content"]]) for one in ours["messages"]] == [
        (one["role"], [of_bedrock(block) for block in one["content"]]) for one in other["messages"]
    ]
    first = [of_anthropic(block) for block in ours.get("system", ())]
    second = [of_bedrock(block) for block in other.get("system", ())]
    # Bedrock has no word that forbids calls, so a sentence does.
    assert second[: len(first)] == first
    assert all(text.startswith("Answer without") for _, text in second[len(first) :])
    assert changed == also


SHARED = ("thinks", "efforts", "sampling", "one_sampling", "structured", "strict_tools", "prefill", "max_output")


@pytest.mark.parametrize(
    "model",
    ["claude-opus-5-5", "claude-opus-5", "claude-fable-5-1", "claude-sonnet-5-5", "claude-opus-4-8", "claude-sonnet-4-6",
     "claude-opus-4-5", "claude-haiku-4-5-20251001", "claude-opus-4-1", "claude-opus-4-20250514", "claude-3-7-sonnet",
     "claude-3-5-haiku-20241022", "claude-3-haiku-20240307", "claude-v2", "claude-next"],
)  # fmt: skip
def test_a_claude_is_the_same_at_every_host(model: str) -> None:
    """What the model does is one table; the host only takes away what it has no word for."""
    own, there = theirs.known(model), hosted.known(f"eu.anthropic.{model}-v1:0")
    assert {name: getattr(own, name) for name in SHARED} == {name: getattr(there, name) for name in SHARED}
    assert there.thinking == tuple(kind for kind in own.thinking if kind != "between_tools")
    assert bool(there.choices) is own.forced


@pytest.mark.parametrize(
    ("dialect", "model"), [(ANTHROPIC, "claude-opus-5-5"), (BEDROCK, "us.anthropic.claude-opus-5-5-v1:0")]
)
def test_a_model_that_cannot_be_forced_says_so_at_every_host(dialect: Dialect, model: str) -> None:
    """A forced call is refused by name, and the caller's switch for thinking becomes the least effort."""
    assert dialect.chat is not None
    tool = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}
    hi = [{"role": "user", "content": "Hi"}]
    forced: Any = {"model": "m", "messages": hi, "tools": [tool], "tool_choice": "required"}
    with pytest.raises(UnsupportedParameter, match="cannot be forced") as refused:
        dialect.chat.encode(forced, Target(provider="Vendor", model=model))
    assert refused.value.param == "tool_choice"
    quiet: Any = {"model": "m", "messages": hi, "reasoning_effort": "none"}
    outgoing = dialect.chat.encode(quiet, Target(provider="Vendor", model=model))
    assert ("reasoning_effort", "low") in outgoing.clamped
    assert b'"disabled"' not in outgoing.body
