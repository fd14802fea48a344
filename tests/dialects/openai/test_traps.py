"""Known traps of this trade, one test each: bugs that gateways had, and what must hold here instead."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from openai.lib.streaming.chat import ChatCompletionStreamState
from openai.types.chat import ChatCompletionChunk

from compatgw.dialects.base import Quirks
from compatgw.dialects.openai import DIALECT
from compatgw.errors import Blame, UpstreamFailure
from compatgw.providers.table import PROVIDERS
from tests.properties.judges import assembled, rules

from .sending import (
    CODEC,
    DECODING,
    HEAD,
    HI,
    ROLE,
    STOP,
    TOOL,
    body,
    chunk,
    finish,
    history,
    joined,
    message,
    read,
    sse,
    target,
)

USAGE = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
CALL = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
TURNS: list[Any] = [*HI, {"role": "assistant", "reasoning_content": "why", "tool_calls": [CALL]}]
TURNS = [*TURNS, {"role": "tool", "tool_call_id": "call_1", "content": "4"}]


def refused(status: int, error: Any) -> UpstreamFailure:
    """The failure that a refusal becomes."""
    return CODEC.error(status, {}, orjson.dumps(error), target())


def by_sdk(data: bytes) -> Any:
    """The completion that the SDK makes of what we would send on."""
    state: ChatCompletionStreamState[None] = ChatCompletionStreamState()
    for piece in read(data):
        list(state.handle_chunk(ChatCompletionChunk.model_validate_json(piece.raw or orjson.dumps(piece.chunk))))
    return state.get_final_completion()


# --- of upstreams ----------------------------------------------------------------------------------


def test_the_finish_reason_is_not_that_of_the_last_chunk() -> None:
    """OpenRouter's last one has none."""
    last = {**chunk({"role": "assistant", "content": ""}), "usage": USAGE}

    assert finish(read(sse(ROLE, chunk({"content": "x"}), chunk({}, "length"), last))) == "length"


def test_reading_does_not_stop_at_the_finish_reason() -> None:
    """Usage comes after it."""
    decoder = CODEC.stream(DECODING)
    decoder.feed(sse(ROLE, STOP, done=False))

    assert not decoder.done
    assert decoder.feed(sse({**HEAD, "choices": [], "usage": USAGE}))[-1].chunk["usage"] == USAGE


def test_an_error_beside_choices_is_an_error() -> None:
    """OpenRouter's failure in mid-stream is no success."""
    with pytest.raises(UpstreamFailure):
        read(sse(ROLE, {**chunk({"content": ""}, "length"), "error": {"code": 502, "message": "Provider failed"}}))


@pytest.mark.parametrize("error", [{"error": "No such thing"}, {"code": "invalid-argument", "error": "No such thing"}])
def test_an_error_may_be_a_string(error: dict[str, Any]) -> None:
    """xAI's and Hugging Face's."""
    assert refused(400, error).message == "No such thing"


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (401, {"error": {"message": "Incorrect API key provided: sk-secret"}}),
        (403, {"error": {"message": "Your key sk-secret may not do that"}}),
        (400, {"error": "Incorrect API key provided: sk-secret. You can obtain an API key from https://console.x.ai."}),
    ],
)
def test_a_refused_credential_is_the_gateways_own_matter(status: int, error: dict[str, Any]) -> None:
    """502, without a word of the key."""
    found = refused(status, error)

    assert (found.status, found.blame, found.should_retry) == (502, Blame.CREDENTIAL, False)
    assert "sk-secret" not in found.message


def test_mistral_is_not_sent_stream_options() -> None:
    """Every stream would be 422."""
    sent = body({"stream": True, "seed": 1, "user": "u", "store": False}, target(PROVIDERS["mistral"].quirks))

    assert sent == {"model": "m", "messages": HI, "stream": True, "random_seed": 1}


def test_mistral_is_not_sent_openais_tool_ids() -> None:
    """A fallback in mid-conversation would be 400."""
    sent = history(TURNS, PROVIDERS["mistral"].quirks)

    assert len(sent[1]["tool_calls"][0]["id"]) == 9
    assert sent[2] == {"role": "tool", "tool_call_id": sent[1]["tool_calls"][0]["id"], "content": "4", "name": "f"}


@pytest.mark.parametrize("name", ["deepseek", "moonshot"])
def test_thinking_agents_get_their_reasoning_back(name: str) -> None:
    """Without the member they die on the second step, even where the client dropped it."""
    quirks = PROVIDERS[name].quirks
    bare = [TURNS[0], {"role": "assistant", "tool_calls": [CALL]}, TURNS[2]]

    assert history(TURNS, quirks)[1]["reasoning_content"] == "why"
    assert history(bare, quirks)[1]["reasoning_content"] == ""


@pytest.mark.parametrize("name", ["openai", "azure", "together", "perplexity", "mistral"])
def test_strict_upstreams_do_not_get_reasoning(name: str) -> None:
    """They answer 400 or 422."""
    assert "reasoning" not in str(history([*TURNS[:1], {**TURNS[1], "content": "x"}], PROVIDERS[name].quirks))


def test_content_that_is_a_list_is_not_made_a_string_of_it() -> None:
    """Mistral's reasoning would be the text of a Python list."""
    parts = [{"type": "thinking", "thinking": [{"type": "text", "text": "t"}]}, {"type": "text", "text": "4"}]

    assert (message({"content": parts})["content"], message({"content": parts})["reasoning"]) == ("4", "t")


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (402, {"error": {"message": "Insufficient Balance"}}),
        (429, {"error": {"code": "1113", "message": "Please recharge and try again."}}),
        (429, {"error": {"type": "exceeded_current_quota_error", "message": "Your account is suspended"}}),
        (429, {"error": {"code": "insufficient_quota", "message": "You exceeded your current quota"}}),
        (400, {"error": {"message": "Your credit balance is too low"}}),
        (402, {"error": "You have exceeded your monthly included credits"}),
    ],
)
def test_an_empty_account_is_not_a_limit(status: int, error: dict[str, Any]) -> None:
    """Retrying would be endless: 503, fall back, and never the caller's 402 or 429."""
    found = refused(status, error)

    assert (found.status, found.blame, found.should_retry) == (503, Blame.ACCOUNT, False)


def test_a_model_prefix_is_not_ours_to_cut() -> None:
    """Ids contain slashes, colons and at signs."""
    for model in ("anthropic/claude-x", "org/name:provider", "@cf/meta/llama", "accounts/fireworks/models/x"):
        assert body({}, target(model=model))["model"] == model


# --- of clients: what the SDK makes of bad streams -------------------------------------------------


def test_ids_and_names_are_not_repeated() -> None:
    """Clients would read `call_acall_a`."""
    piece = {"index": 0, "id": "call_a", "type": "function", "function": {"name": "f"}}
    pieces = [{**piece, "function": {"name": "f", "arguments": part}} for part in ('{"a"', ":1}")]
    call = by_sdk(sse(ROLE, *(chunk({"tool_calls": [p]}) for p in pieces), STOP)).choices[0].message.tool_calls[0]

    assert (call.id, call.function.name, call.function.arguments) == ("call_a", "f", '{"a":1}')


def test_parallel_calls_on_one_index_are_not_glued_together() -> None:
    """Two calls, each with its own JSON."""
    pieces = [{"index": 0, "id": f"call_{n}", "function": {"name": n, "arguments": "{}"}} for n in "ab"]
    calls = by_sdk(sse(ROLE, *(chunk({"tool_calls": [p]}) for p in pieces), STOP)).choices[0].message.tool_calls

    assert [(call.function.name, call.function.arguments) for call in calls] == [("a", "{}"), ("b", "{}")]


def test_tool_indexes_begin_at_0() -> None:
    """An index of 1 first is an IndexError in the SDK."""
    piece = {"index": 1, "id": "call_a", "type": "function", "function": {"name": "f", "arguments": "{}"}}

    assert len(by_sdk(sse(ROLE, chunk({"tool_calls": [piece]}), STOP)).choices[0].message.tool_calls) == 1


def test_roles_are_not_repeated() -> None:
    """Clients would read `assistantassistant`."""
    found = by_sdk(sse(*(chunk({"role": "assistant", "content": c}) for c in "Hi"), STOP))

    assert (found.choices[0].message.role, found.choices[0].message.content) == ("assistant", "Hi")


@pytest.mark.parametrize("place", [0, 1, 3])
def test_usage_is_neither_lost_nor_overwritten(place: int) -> None:
    """It is lost where it comes first, or where a chunk follows it."""
    events = [ROLE, chunk({"content": "x"}), STOP]
    events.insert(place, {**HEAD, "choices": [], "usage": USAGE})

    assert by_sdk(sse(*events)).usage.total_tokens == 5


def test_choices_begin_in_order() -> None:
    """Index 1 before 0 is an IndexError in the SDK."""
    events = [chunk({"role": "assistant", "content": c}, index=n) for n, c in ((1, "b"), (0, "a"))]
    found = by_sdk(sse(*events, chunk({}, "stop"), chunk({}, "stop", 1)))

    assert [choice.message.content for choice in found.choices] == ["a", "b"]


def test_lists_of_objects_carry_an_index() -> None:
    """The SDK refuses to join them without."""
    citation = {"start_index": 0, "end_index": 0, "title": "T", "url": "https://x.test"}
    for name in ("reasoning_details", "annotations", "images", "executed_tools"):
        events = [chunk({name: [{"type": "url_citation", "text": c, "url_citation": citation}]}) for c in "ab"]
        pieces = read(sse(ROLE, chunk({"content": "x"}), *events, STOP))
        rules(pieces)
        assert assembled(pieces)["choices"][0]["message"][name]


def test_no_chunk_is_an_error_by_accident() -> None:
    """A truthy `error` aborts clients; a null one is dropped or harmless."""
    pieces = read(sse({**ROLE, "error": None}, chunk({"content": "Hi"}), STOP))

    assert joined(pieces, "content") == "Hi"
    assert not any(piece.chunk.get("error") for piece in pieces)


def test_a_cut_connection_is_not_success() -> None:
    """The SDK would say so, with no finish reason."""
    with pytest.raises(UpstreamFailure) as error:
        read(sse(ROLE, chunk({"content": "Hi"}), done=False))

    assert error.value.code == "upstream_stream_interrupted"


def test_an_error_without_our_envelope_still_has_one() -> None:
    """`{"detail": ...}` leaves code, type and message of SDK errors empty."""
    envelope = refused(
        422, {"detail": [{"loc": ["body", "messages", 0, "role"], "msg": "bad", "type": "x"}]}
    ).envelope()

    assert envelope["error"]["message"] == "body.messages.0.role: bad"
    assert envelope["error"]["param"] == "messages[0].role"
    assert (envelope["error"]["type"], envelope["error"]["code"]) == ("invalid_request_error", "invalid_value")


def test_the_dialect_has_a_codec_for_chat() -> None:
    """Under the name that rows use."""
    assert DIALECT.name == "openai"
    assert DIALECT.chat is CODEC
    assert body({"tools": [TOOL]}, target(Quirks()))["tools"] == [TOOL]
