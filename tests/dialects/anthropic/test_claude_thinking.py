"""How much a model thinks, how long its answer may be, and thinking blocks that come back."""

from __future__ import annotations

from typing import Any

import pytest

from compatgw.dialects.blocks.thoughts import origin
from compatgw.errors import InvalidRequest, UnsupportedParameter

from .claude_asking import (
    ALWAYS,
    BETWEEN,
    HI,
    MANUAL,
    MODERN,
    OLD,
    OPT_IN,
    SIGNATURE,
    UNFORCED,
    call,
    encode,
    result,
    said,
    sent,
    target,
    thought,
    tool,
)

SUMMARY = {"type": "adaptive", "display": "summarized"}
OFF = {"type": "disabled"}


def budget(tokens: int) -> dict[str, Any]:
    return {"type": "enabled", "budget_tokens": tokens}


def planned(model: str, **members: Any) -> tuple[Any, Any, int]:
    body = sent(model, **members)
    return body.get("thinking"), body.get("output_config", {}).get("effort"), body["max_tokens"]


# --- efforts ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "effort", "thinking", "sent_effort"),
    [
        (model, effort, SUMMARY, "low" if effort == "minimal" else effort)
        for model in (OPT_IN, MODERN, ALWAYS, UNFORCED)
        for effort in ("minimal", "low", "medium", "high", "xhigh", "max")
    ]
    + [
        (BETWEEN, "minimal", SUMMARY, "low"),
        (BETWEEN, "high", SUMMARY, "high"),
        (BETWEEN, "xhigh", SUMMARY, "high"),
        (BETWEEN, "max", SUMMARY, "max"),
        (BETWEEN, "none", OFF, None),
        (OPT_IN, "none", OFF, None),
        (MODERN, "none", OFF, None),
        (MANUAL, "none", OFF, None),
        (ALWAYS, "none", None, "low"),
        (UNFORCED, "none", None, "low"),
        (OLD, "none", None, None),
    ],
)
def test_an_effort_becomes_what_the_model_takes(
    model: str, effort: str, thinking: dict[str, Any] | None, sent_effort: str | None
) -> None:
    """Adaptive thinking with an effort, never above the one that was asked for."""
    found, found_effort, _ = planned(model, reasoning_effort=effort)
    outgoing = encode(model, reasoning_effort=effort)

    assert (found, found_effort) == (thinking, sent_effort)
    changed = sent_effort not in (effort, None)
    assert outgoing.clamped == ((("reasoning_effort", str(sent_effort)),) if changed else ())
    assert outgoing.dropped == ()


@pytest.mark.parametrize(
    ("effort", "tokens"),
    [("minimal", 3276), ("low", 6553), ("medium", 16384), ("high", 26214), ("xhigh", 31129), ("max", 31129)],
)
def test_older_models_get_a_share_of_the_answer(effort: str, tokens: int) -> None:
    """Of the default length, as nobody gave one."""
    assert planned(MANUAL, reasoning_effort=effort) == (budget(tokens), None, 32_768)


@pytest.mark.parametrize("model", [OLD, "claude-3-haiku-20240307"])
def test_models_that_cannot_think_say_so(model: str) -> None:
    """The effort is left out and reported."""
    assert encode(model, reasoning_effort="high").dropped == ("reasoning_effort",)
    with pytest.raises(UnsupportedParameter) as caught:
        encode(model, reasoning_effort="high", where={"unsupported": "reject"})
    assert caught.value.param == "reasoning_effort"


@pytest.mark.parametrize(
    ("members", "thinking", "effort"),
    [
        ({"reasoning": {"effort": "high"}}, SUMMARY, "high"),
        ({"reasoning": {"max_tokens": 1500}}, SUMMARY, "low"),
        ({"reasoning": {"max_tokens": 5000}}, SUMMARY, "medium"),
        ({"reasoning": {"max_tokens": 9000}}, SUMMARY, "high"),
        ({"reasoning": {"enabled": True}}, SUMMARY, None),
        ({"reasoning": {"enabled": False}}, OFF, None),
        ({"reasoning": {"effort": "low", "exclude": True}}, {"type": "adaptive", "display": "omitted"}, "low"),
        ({"reasoning": {}}, None, None),
        ({"enable_thinking": True}, SUMMARY, None),
        ({"enable_thinking": False}, OFF, None),
        ({"chat_template_kwargs": {"enable_thinking": False}}, OFF, None),
        ({"include_reasoning": True}, SUMMARY, None),
        ({"include_reasoning": False}, None, None),
        ({"reasoning_effort": "low", "reasoning": {"effort": "high"}}, SUMMARY, "low"),
        ({"thinking": {"type": "adaptive"}}, {"type": "adaptive"}, None),
        ({"thinking": {"type": "adaptive", "display": "omitted"}}, {"type": "adaptive", "display": "omitted"}, None),
        ({"thinking": {"type": "between_tools"}}, {"type": "between_tools"}, None),
        ({"thinking": {"type": "disabled"}, "reasoning_effort": "high"}, OFF, None),
        ({"thinking": {"type": "adaptive"}, "reasoning_effort": "high"}, {"type": "adaptive"}, "high"),
        ({"thinking": budget(2000)}, SUMMARY, "low"),
        ({"thinking": {"type": "enabled"}}, SUMMARY, None),
    ],
)
def test_every_form_of_the_wish_is_read(members: dict[str, Any], thinking: Any, effort: str | None) -> None:
    """The vendor's own form first."""
    assert planned(MODERN, **members)[:2] == (thinking, effort)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"type": "adaptive"}, budget(16_384)),
        ({"type": "enabled"}, budget(16_384)),
        ({"type": "enabled", "display": "omitted"}, {**budget(16_384), "display": "omitted"}),
    ],
)
def test_older_models_get_a_budget_for_the_vendors_newer_form(given: dict[str, Any], expected: dict[str, Any]) -> None:
    """And for the forms of vendors that have no budget."""
    assert planned(MANUAL, thinking=given)[0] == expected


def test_no_budget_fits_into_a_very_short_answer() -> None:
    """Where the model's own limit leaves no room for both."""
    where = {"max_output": 1000}

    assert encode(MANUAL, reasoning_effort="low", where=where).dropped == ("reasoning_effort",)
    assert sent(MANUAL, reasoning_effort="low", where=where)["max_tokens"] == 1000


def test_members_of_other_vendors_inside_thinking_are_left_out() -> None:
    """The API takes no unknown ones."""
    outgoing = encode(MANUAL, thinking={**budget(2000), "clear_thinking": False})

    assert outgoing.dropped == ("thinking.clear_thinking",)
    assert planned(MANUAL, thinking={**budget(2000), "clear_thinking": False})[0] == budget(2000)


@pytest.mark.parametrize(
    ("members", "param"),
    [
        ({"reasoning": "high"}, "reasoning"),
        ({"reasoning": {"effort": "most"}}, "reasoning.effort"),
        ({"reasoning": {"max_tokens": "2"}}, "reasoning.max_tokens"),
        ({"thinking": True}, "thinking"),
        ({"thinking": {"type": "enabled", "budget_tokens": 1.5}}, "thinking.budget_tokens"),
        ({"enable_thinking": "yes"}, "enable_thinking"),
    ],
)
def test_a_wish_of_a_wrong_type_is_refused(members: dict[str, Any], param: str) -> None:
    """With its path."""
    with pytest.raises(InvalidRequest) as caught:
        encode(**members)
    assert caught.value.param == param


# --- the length of the answer ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "members", "expected"),
    [
        (OLD, {}, 8192),
        ("claude-3-haiku-20240307", {}, 4096),
        (MANUAL, {}, 8192),
        (BETWEEN, {}, 8192),
        (OPT_IN, {}, 8192),
        (OPT_IN, {"reasoning_effort": "low"}, 32_768),
        (MODERN, {}, 32_768),
        (MODERN, {"reasoning_effort": "none"}, 8192),
        (UNFORCED, {}, 32_768),
        (UNFORCED, {"reasoning_effort": "none"}, 32_768),
        (MODERN, {"max_tokens": 5}, 5),
        (MODERN, {"max_completion_tokens": 7}, 7),
        (MODERN, {"max_tokens": 1_000_000}, 128_000),
    ],
)
def test_the_length_has_a_default_and_a_limit(model: str, members: dict[str, Any], expected: int) -> None:
    """Longer where thinking takes its part of it."""
    assert planned(model, **members)[2] == expected


@pytest.mark.parametrize("name", ["max_tokens", "max_completion_tokens"])
def test_a_length_over_the_limit_is_clamped_aloud(name: str) -> None:
    """The limit of the catalogue counts."""
    where = {"max_output": 1000}
    long: dict[str, Any] = {name: 5000}

    assert encode(MODERN, where=where, **long).clamped == ((name, "1000"),)
    assert sent(MODERN, where=where, **long)["max_tokens"] == 1000
    assert sent(MODERN, where=where)["max_tokens"] == 1000


@pytest.mark.parametrize(
    ("members", "thinking", "whole", "clamped"),
    [
        # The newer name counts thinking, the older one is for the text that is seen.
        ({"max_completion_tokens": 10_000}, 5000, 10_000, ()),
        ({"max_completion_tokens": 1500}, 1024, 1500, ()),
        ({"max_completion_tokens": 1024}, 1024, 2048, (("max_completion_tokens", "2048"),)),
        ({"max_tokens": 10_000}, 5000, 15_000, (("max_tokens", "15000"),)),
        ({"max_tokens": 100}, 1024, 1124, (("max_tokens", "1124"),)),
        ({"max_tokens": 60_000}, 30_000, 64_000, (("max_tokens", "64000"),)),
        ({"max_tokens": 64_000}, 32_000, 64_000, ()),
    ],
)
def test_a_budget_leaves_room_for_the_answer(
    members: dict[str, Any], thinking: int, whole: int, clamped: tuple[tuple[str, str], ...]
) -> None:
    """At least 1024 for thinking, and never the whole."""
    found, _, length = planned(MANUAL, reasoning_effort="medium", **members)

    assert (found, length) == (budget(thinking), whole)
    assert encode(MANUAL, reasoning_effort="medium", **members).clamped == clamped


@pytest.mark.parametrize(
    ("asked", "members", "expected"),
    [
        (2000, {}, (2000, 32_768)),
        (40_000, {}, (40_000, 48_192)),
        (2000, {"max_tokens": 5000}, (2000, 5000)),
        (2000, {"max_tokens": 500}, (2000, 2500)),
        (10, {}, (1024, 32_768)),
        (100_000, {}, (55_808, 64_000)),
    ],
)
@pytest.mark.parametrize("form", ["thinking", "reasoning"])
def test_a_budget_of_the_callers(form: str, asked: int, members: dict[str, Any], expected: tuple[int, int]) -> None:
    """Is taken as it is, wherever the API takes it."""
    wish = {"thinking": budget(asked)} if form == "thinking" else {"reasoning": {"max_tokens": asked}}
    found, _, length = planned(MANUAL, **wish, **members)

    assert (found, length) == (budget(expected[0]), expected[1])


# --- what stands in the way ------------------------------------------------------------------


@pytest.mark.parametrize(
    "members",
    [
        {"tools": [tool()], "tool_choice": "required"},
        {"messages": [HI, said("The answer is")]},
        {"messages": [HI, said(None, call("a")), result("a")], "tools": [tool()]},
    ],
    ids=["a forced call", "a prefill", "calls without their thinking"],
)
def test_a_budget_that_cannot_be_sent_is_dropped_aloud(members: dict[str, Any]) -> None:
    """The API would refuse the request."""
    assert encode(MANUAL, reasoning_effort="high", **members).dropped == ("reasoning_effort",)
    assert "thinking" not in sent(MANUAL, reasoning_effort="high", **members)


def test_adaptive_thinking_stands_in_nobodys_way() -> None:
    """Calls may be forced, and a turn without its thinking is tolerated."""
    members: dict[str, Any] = {"messages": [HI, said(None, call("a")), result("a")], "tools": [tool()]}

    assert encode(BETWEEN, reasoning_effort="high", tool_choice="required", **members).dropped == ()
    assert planned(BETWEEN, reasoning_effort="high", tool_choice="required", **members)[0] == SUMMARY


def test_a_call_cannot_be_forced_beside_the_callers_own_budget() -> None:
    """The caller has to choose; under `drop` the budget wins."""
    members: dict[str, Any] = {"tools": [tool()], "tool_choice": "required", "thinking": budget(2000)}
    for model in (MANUAL, BETWEEN):
        with pytest.raises(UnsupportedParameter) as caught:
            encode(model, **members)
        assert caught.value.param == "tool_choice"
    body = sent(MANUAL, **members, where={"unsupported": "drop"})
    assert (body["thinking"], body["tool_choice"]) == (budget(2000), {"type": "auto"})


# --- blocks that come back -------------------------------------------------------------------

BLOCK = {"type": "thinking", "thinking": "Hm", "signature": SIGNATURE}
REDACTED = {"type": "redacted_thinking", "data": "ZGF0YQ"}
ENCRYPTED = {"type": "reasoning.encrypted", "data": "ZGF0YQ", "format": "anthropic-claude-v1"}


def replayed(model: str = MODERN, **members: Any) -> list[dict[str, Any]]:
    """The blocks of an assistant's turn with calls."""
    body = sent(model, messages=[HI, {**said("Looking.", call("a")), **members}, result("a")], tools=[tool()])
    blocks: list[dict[str, Any]] = body["messages"][1]["content"]
    assert [block["type"] for block in blocks][-2:] == ["text", "tool_use"]
    return blocks[:-2]


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        ({"reasoning_details": [thought()]}, [BLOCK]),
        (
            {"reasoning_details": [thought(""), ENCRYPTED, thought("2")]},
            [{**BLOCK, "thinking": ""}, REDACTED, {**BLOCK, "thinking": "2"}],
        ),
        ({"thinking_blocks": [BLOCK, REDACTED]}, [BLOCK, REDACTED]),
        ({"reasoning_details": [thought("1")], "thinking_blocks": [BLOCK]}, [{**BLOCK, "thinking": "1"}]),
        ({"reasoning_content": "Hm", "reasoning": "Hm"}, []),
        ({"reasoning_details": [thought(signature="")]}, []),
        ({"thinking_blocks": [{"type": "thinking", "thinking": "Hm"}]}, []),
        ({"reasoning_details": [{**thought(), "format": "openai-responses-v1"}]}, []),
        ({"reasoning_details": [{k: v for k, v in thought().items() if k != "format"}]}, []),
        (
            {
                "reasoning_details": [
                    "odd",
                    {"type": "reasoning.summary", "summary": "s", "format": "anthropic-claude-v1"},
                ]
            },
            [],
        ),
        ({"reasoning_details": "odd", "thinking_blocks": "odd"}, []),
        # Pieces of a stream that a client only collected.
        (
            {
                "reasoning_details": [
                    {"index": 0, "type": "reasoning.text", "text": "H", "format": "anthropic-claude-v1"},
                    {"index": 0, "type": "reasoning.text", "text": "m"},
                    {"index": 0, "type": "reasoning.text", "signature": SIGNATURE},
                    {"index": 1, **ENCRYPTED},
                ]
            },
            [BLOCK, REDACTED],
        ),
    ],
)
def test_signed_thinking_comes_back_as_it_was(members: dict[str, Any], expected: list[dict[str, Any]]) -> None:
    """All of it, in order, first in its message; what has no signature of this vendor stays out."""
    assert replayed(**members) == expected


def test_thinking_inside_the_content_comes_back() -> None:
    """Clients that speak both protocols keep it there."""
    content = [{"type": "thinking", "thinking": "Hm", "signature": SIGNATURE}, {"type": "text", "text": "Looking."}]

    assert replayed(content=content) == [BLOCK]


def test_thinking_of_another_model_stays_out() -> None:
    """Signatures are bound to the model and its host; the dated name is the same model."""
    mine = thought(id=origin(target(MODERN)))
    dated = thought(id=origin(target(f"{MODERN}-20260901")))
    other = thought(id=origin(target("claude-opus-4-8")))
    elsewhere = thought(id=origin(type(target())(provider="Other", model=MODERN)))

    assert replayed(reasoning_details=[mine, dated, other, elsewhere, thought(id="rs_1")]) == [BLOCK, BLOCK, BLOCK]
    assert replayed(reasoning_details=[other], thinking_blocks=[BLOCK]) == []


def test_models_that_cannot_think_get_none() -> None:
    """They would refuse the blocks."""
    assert replayed(OLD, reasoning_details=[thought()]) == []


def test_thinking_alone_is_no_turn() -> None:
    """A message must not end with it."""
    body = sent(messages=[HI, {"role": "assistant", "reasoning_details": [thought()]}, HI])

    assert [message["role"] for message in body["messages"]] == ["user"]


def test_a_budget_is_kept_where_the_thinking_came_back() -> None:
    """The turn that waits for its results begins with it."""
    messages = [HI, {**said(None, call("a")), "reasoning_details": [thought()]}, result("a")]

    assert planned(MANUAL, messages=messages, tools=[tool()], reasoning_effort="low")[0] == budget(6553)
