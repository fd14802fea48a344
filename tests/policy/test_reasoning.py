"""What of an answer is kept for its next turn, where it is found again, and to whom it may go."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from compatgw.dialects.base import Quirks, Target
from compatgw.dialects.table import DIALECTS
from compatgw.errors import UpstreamFailure, UpstreamRejected
from compatgw.policy.reasoning import (
    MOST,
    Kept,
    family,
    for_target,
    kept,
    refused,
    restored,
    returns,
    stripped,
    wanted,
)

OPENAI, ANTHROPIC, GEMINI, COHERE = (DIALECTS[name] for name in ("openai", "anthropic", "gemini", "cohere"))
CLAUDE, PRO, PLAIN = Target("anthropic", "claude-sonnet-4-5"), Target("gemini", "gemini-3-pro"), Target("v", "m")
BACK = Target("v", "m", quirks=Quirks(reasoning_back="always"))
SIGNED = {"google": {"thought_signature": "c2ln"}}
CLAUDES = {"type": "reasoning.text", "text": "hm", "signature": "s", "format": "anthropic-claude-v1", "index": 0}
GEMINIS = {"type": "reasoning.encrypted", "data": "d", "id": "call_1", "format": "google-gemini-v1", "index": 0}


def call(id: str = "call_1", arguments: str = '{"a": 1, "b": [2]}', **more: Any) -> dict[str, Any]:
    """A tool call."""
    return {"id": id, "type": "function", "function": {"name": "f", "arguments": arguments}, **more}


def said(content: Any = None, **members: Any) -> dict[str, Any]:
    """An assistant's message."""
    return {"role": "assistant", "content": content, **members}


def asking(*messages: Any) -> Any:
    """A request."""
    return {"model": "m", "messages": [{"role": "user", "content": "hi"}, *messages]}


def answer(*messages: dict[str, Any]) -> Any:
    """An answer with these messages as its choices."""
    return {"choices": [{"index": n, "message": each, "finish_reason": "stop"} for n, each in enumerate(messages)]}


def again(message: dict[str, Any], *, tenant: str = "t", signer: str = "x", before: Any = None) -> Any:
    """The assistant's message as it is restored, when a client has brought back `message` without any of its own."""
    first = before if before is not None else asking()
    entries = dict(kept("t", first, answer(message), "x"))
    bare = {name: message[name] for name in ("role", "content", "tool_calls") if name in message}
    if "tool_calls" in bare:
        bare["tool_calls"] = [{n: v for n, v in one.items() if n != "extra_content"} for one in bare["tool_calls"]]
    request: Any = {**first, "messages": [*first["messages"], bare]}
    text = orjson.dumps(request)
    found = {want: entries[want.key] for want in wanted(tenant, request) if want.key in entries}
    out = restored(request, found, signer)
    assert orjson.dumps(request) == text, "the argument was changed"
    return out["messages"][-1]


@pytest.mark.parametrize(
    "message",
    [
        said(None, tool_calls=[call()], reasoning_details=[CLAUDES]),
        said("Let me see.", tool_calls=[call(extra_content=SIGNED), call("call_2")]),
        said(None, tool_calls=[call(extra_content=SIGNED), call("call_2", extra_content=SIGNED)], extra_content=SIGNED),
        said(None, tool_calls=[call()], reasoning_content="hm"),
        said("The answer.", extra_content=SIGNED),
        said("The answer.", reasoning_details=[CLAUDES]),
        said(None, tool_calls=[{"id": "c", "type": "custom", "custom": {"name": "f", "input": "x"}}], reasoning_details=[CLAUDES]),
    ],
)  # fmt: skip
def test_what_a_client_drops_comes_back_where_it_was(message: dict[str, Any]) -> None:
    """Blocks of a turn, signatures of single calls, and of texts."""
    assert again(message) == message


def test_a_client_that_writes_arguments_anew_is_understood() -> None:
    """Other spaces, another order of members; other values are another call."""
    entries = dict(kept("t", asking(), answer(said(None, tool_calls=[call(extra_content=SIGNED)])), "x"))
    for arguments, found in (('{"b":[2],"a":1}', True), ('{"a": 1, "b": [3]}', False), ("{", False)):
        request = asking(said(None, tool_calls=[call(arguments=arguments)]))
        assert (wanted("t", request)[0].key in entries) is found


def test_the_texts_of_two_conversations_are_not_one() -> None:
    """The same short answer elsewhere does not bring thoughts of this one."""
    message = said("Yes.", extra_content=SIGNED)
    ((key, _),) = kept("t", asking(), answer(message), "x")
    same = wanted("t", asking(said("Yes.")))[0].key
    parts = wanted("t", asking(said([{"type": "text", "text": "Yes. "}])))[0].key
    other = {"model": "m", "messages": [{"role": "user", "content": "Really?"}, said("Yes.")]}
    assert key == same == parts
    assert wanted("t", other)[0].key != key  # type: ignore[arg-type]


def test_nobody_finds_what_another_team_has() -> None:
    """A key that is the same for two teams would tell one of the other's thoughts."""
    message = said(None, tool_calls=[call(extra_content=SIGNED)])
    assert again(message, tenant="other")["tool_calls"] == [call()]
    assert "extra_content" not in again(said("Yes.", extra_content=SIGNED), tenant="other")


def test_only_the_model_that_made_it_gets_it_back() -> None:
    """Another model, platform or protocol is another signer."""
    assert again(said("x", extra_content=SIGNED), signer="y") == said("x")
    same = [
        Target("p", name) for name in ("claude-sonnet-4-5", "claude-sonnet-4-5-20250929", "claude-sonnet-4-5-latest")
    ]
    assert len({family(ANTHROPIC, target) for target in same}) == 1
    assert family(GEMINI, Target("g", "gemini-3-pro")) == family(GEMINI, Target("g", "gemini-3-pro-preview-11-2025"))
    others = [
        (ANTHROPIC, CLAUDE),
        (OPENAI, CLAUDE),
        (ANTHROPIC, Target("host", CLAUDE.model)),
        (ANTHROPIC, Target("anthropic", "claude-opus-4-5")),
    ]
    assert len({family(*each) for each in others}) == len(others)


def test_what_a_client_brings_itself_is_not_looked_for() -> None:
    """In whichever of the members that gateways have made up for it."""
    for message in (
        said("x", reasoning_details=[CLAUDES]),
        said("x", thinking_blocks=[{"type": "thinking"}]),
        said([{"type": "thinking", "thinking": "hm", "signature": "s"}, {"type": "text", "text": "x"}]),
        said(None, tool_calls=[call(extra_content=SIGNED)]),
        said(None, tool_calls=[call("call_1__thought__c2ln")]),
        said(None, tool_calls=[call(provider_specific_fields={"thought_signature": "s"})]),
        said(None, tool_calls=[{**call(), "function": {**call()["function"], "thought_signature": "s"}}]),
        said(""),
        said(None),
    ):
        assert wanted("t", asking(message)) == []


def test_nothing_is_kept_of_an_answer_without_thoughts() -> None:
    """Nor of one without a name to find it by."""
    assert (
        kept("t", asking(), answer(said("x"), said(None, tool_calls=[call()]), said("", extra_content=SIGNED)), "x")
        == []
    )


def test_several_choices_are_kept_each() -> None:
    """Nobody knows which of them the client goes on with."""
    assert len(kept("t", asking(), answer(said("a", extra_content=SIGNED), said("b", extra_content=SIGNED)), "x")) == 2


def test_a_long_conversation_is_looked_at_from_its_end() -> None:
    """No more names than `MOST`, the newest."""
    messages = [said(f"answer {number}") for number in range(MOST * 2)]
    found = wanted("t", asking(*messages))
    assert [want.message for want in found] == list(range(MOST + 1, MOST * 2 + 1))
    assert (
        len(
            kept(
                "t",
                asking(),
                answer(said(None, tool_calls=[call(str(n), extra_content=SIGNED) for n in range(99)])),
                "x",
            )
        )
        == MOST
    )


def test_what_the_client_says_of_a_turn_wins() -> None:
    """Members that are there stay."""
    request = asking(said(None, tool_calls=[call()], reasoning_content="mine"))
    found = {
        want: Kept("x", None, {"reasoning_content": "kept", "extra_content": SIGNED}) for want in wanted("t", request)
    }
    message: Any = restored(request, found, "x")["messages"][-1]
    assert message["reasoning_content"] == "mine"
    assert message["extra_content"] == SIGNED


_JSON = st.recursive(
    st.none() | st.integers(-(2**53), 2**53) | st.text(max_size=5), lambda inner: st.dictionaries(st.text(max_size=4), inner, max_size=3), max_leaves=5
)  # fmt: skip


@given(st.text(min_size=1, max_size=20), _JSON, st.text(max_size=20))
def test_any_call_and_any_text_are_found_again(id: str, arguments: Any, text: str) -> None:
    """Whatever is in their names, arguments and words."""
    made = call(id, orjson.dumps(arguments).decode(), extra_content=SIGNED) if "__thought__" not in id else call()
    message = said(text, tool_calls=[made], reasoning_details=[CLAUDES])
    assert again(message) == message
    alone = said(text, reasoning_details=[CLAUDES])
    assert again(alone) == (alone if text.strip() else said(text))


# --- what goes where ---


EVERYTHING = asking(
    said(
        [{"type": "thinking", "thinking": "hm", "signature": "s"}, {"type": "text", "text": "x"}],
        reasoning_details=[CLAUDES, {"type": "reasoning.text", "text": "more", "index": 0}, GEMINIS | {"index": 1}],
        thinking_blocks=[{"type": "thinking", "thinking": "hm", "signature": "s"}],
        extra_content={**SIGNED, "own": 1},
        reasoning_content="hm",
        tool_calls=[
            call("call_1__thought__c2ln", extra_content=SIGNED, provider_specific_fields={"thought_signature": "s"}),
            {**call("call_2"), "function": {**call()["function"], "thought_signature": "s"}},
        ],
    ),
    {"role": "tool", "tool_call_id": "call_1__thought__c2ln", "content": "1"},
    {"role": "tool", "tool_call_id": "call_2", "content": "2"},
)


def sent(request: Any) -> Any:
    """The assistant's message of a request."""
    return request["messages"][1]


def test_without_anything_signed_the_rest_is_what_it_was() -> None:
    """Text, calls with the same ids, results that still answer them, and reasoning text that nobody signed."""
    before = orjson.dumps(EVERYTHING)
    plain: Any = stripped(EVERYTHING)
    assert orjson.dumps(EVERYTHING) == before, "the argument was changed"
    assert sent(plain) == said(
        [{"type": "text", "text": "x"}],
        extra_content={"own": 1},
        reasoning_content="hm",
        tool_calls=[call(), call("call_2")],
    )
    assert [message["tool_call_id"] for message in plain["messages"][2:]] == ["call_1", "call_2"]
    assert stripped(plain) is plain


@pytest.mark.parametrize(
    ("dialect", "target", "details", "blocks", "google"),
    [
        (ANTHROPIC, CLAUDE, [0, 1], True, False),
        (GEMINI, PRO, [2], False, True),
        (COHERE, PLAIN, [], False, False),
        (OPENAI, PLAIN, [], False, False),
        (OPENAI, BACK, [], False, False),
    ],
)
def test_on_a_fallback_each_vendor_gets_what_its_own_models_signed(
    dialect: Any, target: Target, details: list[int], blocks: bool, google: bool
) -> None:
    """Everybody else's stays away, wherever it is hidden."""
    found = sent(for_target(EVERYTHING, dialect, target, away=True))
    whole = sent(EVERYTHING)
    assert found.get("reasoning_details", []) == [whole["reasoning_details"][place] for place in details]
    assert ("thinking_blocks" in found) is blocks
    assert any(part["type"] == "thinking" for part in found["content"]) is blocks
    assert ("google" in found["extra_content"]) is google
    assert (found["tool_calls"] == whole["tool_calls"]) is google
    assert found["reasoning_content"] == "hm"


def test_what_comes_back_to_an_upstream_of_openais_protocol_is_its_own() -> None:
    """Unless it is a fallback: a strict one refuses members that it does not know."""
    assert for_target(EVERYTHING, OPENAI, BACK, away=False) is EVERYTHING
    assert sent(for_target(EVERYTHING, OPENAI, PLAIN, away=False))["extra_content"] == {"own": 1}


def test_a_request_without_anything_of_that_stays_the_same() -> None:
    """No copy for nearly every call."""
    request = asking(said("x", tool_calls=[call()], reasoning_content="hm"), {"role": "tool", "tool_call_id": "call_1"})
    for dialect, target in ((ANTHROPIC, CLAUDE), (GEMINI, PRO), (OPENAI, PLAIN)):
        assert for_target(request, dialect, target, away=True) is request
    assert stripped(request) is request


def test_a_streams_pieces_that_a_client_kept_apart_stay_together() -> None:
    """Those without a format belong to the one before them; alone, what is signed is nobody's."""
    pieces = [CLAUDES | {"signature": None}, {"index": 0, "text": "b"}, {"index": 0, "signature": "s"}]
    alone = [
        {"index": 5, "type": "reasoning.text", "text": "a"},
        {"index": 6, "signature": "s"},
        {"index": 7, "data": "d"},
    ]
    request = asking(said("x", reasoning_details=[*pieces, *alone, 5]))
    assert sent(for_target(request, ANTHROPIC, CLAUDE, away=True))["reasoning_details"] == [*pieces, alone[0]]
    assert sent(for_target(request, GEMINI, PRO, away=True))["reasoning_details"] == [alone[0]]


@pytest.mark.parametrize(
    ("dialect", "target", "back"),
    [
        (ANTHROPIC, CLAUDE, True),
        (GEMINI, PRO, True),
        (OPENAI, PLAIN, False),
        (OPENAI, BACK, True),
        (COHERE, PLAIN, False),
    ],
)
def test_only_targets_that_take_reasoning_back_are_served(dialect: Any, target: Target, back: bool) -> None:
    """The others cost nothing."""
    assert returns(dialect, target) is back


@pytest.mark.parametrize(
    "message",
    [
        "messages.1.content.0: Invalid `signature` in `thinking` block",
        "messages.3.content.0.thinking.signature: Field required",
        "messages.5.content.0: `thinking` or `redacted_thinking` blocks in the latest assistant message cannot be modified.",
        "messages.1.content.0.type: Expected `thinking` or `redacted_thinking`, but found `tool_use`.",
        "Thought signature is not valid",
        "Corrupted thought signature.",
        "Function call is missing a thought_signature in functionCall parts. This is required for tools to work correctly.",
        "The encrypted content for item rs_1 could not be verified.",
        "The model returned the following errors: messages.1.content.0: Invalid `signature` in `thinking` block",
    ],
)
def test_a_refused_signature_is_known_by_its_words(message: str) -> None:
    """Of each vendor, with the statuses that they use; another status is another failure."""
    assert refused(UpstreamRejected(message, upstream_status=400))
    assert not refused(UpstreamFailure(message, upstream_status=500))
    assert not refused(UpstreamFailure(message))


@pytest.mark.parametrize(
    "message",
    ["max_tokens is too large", "Invalid schema for function 'f': 'signature' is required", "The request signature we calculated does not match", "thinking.budget_tokens: must be less than max_tokens"],
)  # fmt: skip
def test_other_refusals_are_not_taken_for_one(message: str) -> None:
    """Asking again would not help."""
    assert not refused(UpstreamRejected(message, upstream_status=400))
