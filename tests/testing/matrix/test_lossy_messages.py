"""What a gateway may lose of Anthropic's Messages: the matrix has to notice.

What does not live here: the other surfaces (`test_lossy_chat.py`, `test_lossy_responses.py`).
"""

import json
import re
from collections.abc import Callable
from typing import Any

import pytest

from compatgw_testing.matrix import MatrixFailure, cases
from tests.testing.check.broken import Bend, Json, Said, answers, head
from tests.testing.matrix.bending import after, doubled, dropped, each, plain, stream, tail
from tests.testing.matrix.gateways import forgetful, found, lossy, ours, without


def _blocks(kind: str, change: Callable[[Json], Any]) -> Bend:
    """Changes the blocks of one kind in plain answers."""
    return plain(lambda value: [change(one) for one in value["content"] if one["type"] == kind])


def _only_first_call(value: Json) -> None:
    calls = [one for one in value["content"] if one["type"] == "tool_use"]
    value["content"] = [one for one in value["content"] if one not in calls[1:]]


def _swallowed_error(events: list[Json]) -> list[Json] | None:
    """An error in a stream becomes a good end."""
    if events[-1]["type"] != "error":
        return None
    kept = events[:-1]
    begun = [one["index"] for one in kept if one["type"] == "content_block_start"]
    ended = [one["index"] for one in kept if one["type"] == "content_block_stop"]
    delta = {"stop_reason": "end_turn", "stop_sequence": None}
    return [
        *kept,
        *({"type": "content_block_stop", "index": index} for index in begun if index not in ended),
        {"type": "message_delta", "delta": delta, "usage": {"output_tokens": 1}},
        {"type": "message_stop"},
    ]


def _no_thought(events: list[Json]) -> list[Json]:
    thoughts = {
        one["index"]
        for one in events
        if one["type"] == "content_block_start" and one["content_block"]["type"] == "thinking"
    }
    kept = [one for one in events if one.get("index") not in thoughts]
    for one in kept:
        if "index" in one:
            one["index"] -= len(thoughts)
    return kept


def _ended(one: Json) -> None:
    one["delta"]["stop_reason"] = "end_turn"


def _delta(kind: str, member: str, value: object) -> Bend:
    """Sets a member of the deltas of one kind."""

    def change(one: Json) -> None:
        if one["delta"]["type"] == kind:
            one["delta"][member] = value

    return each(change, "content_block_delta")


def _good_status(said: Said) -> None:
    if said.status >= 400:
        said.status = 200


def _retry_lost(said: Said) -> None:
    for name in ("retry-after", "retry-after-ms"):
        said.headers.pop(name, None)


def _ascii(said: Said) -> None:
    said.body = said.body.decode().encode("ascii", "replace")


def _openai_envelope(said: Said) -> None:
    if said.status >= 400:
        error = said.value["error"]
        said.value = {"error": {**error, "param": None, "code": "overloaded"}}


LOSSES: dict[str, tuple[Bend, tuple[str, ...]]] = {
    "arguments": (
        _blocks("tool_use", lambda one: one.update(input={})),
        ("anthropic-tool_call-plain", "gemini-tool_nested-plain", "bedrock-tool_call-plain"),
    ),
    "streamed arguments": (
        _delta("input_json_delta", "partial_json", ""),
        ("anthropic-tool_call-stream", "openai-tool_call-stream", "cohere-tool_call-stream"),
    ),
    "the error in a stream": (
        stream(_swallowed_error),
        (
            "openai-error_mid_stream-stream",
            "anthropic-overloaded_mid_stream-stream",
            "gemini-cut-stream",
            "cohere-truncated-stream",
            "bedrock-garbage-stream",
            "anthropic-truncated_at_the_end-stream",
        ),
    ),
    "all calls but one": (plain(_only_first_call), ("anthropic-tool_parallel-plain", "cohere-tool_three-plain")),
    "why it finished": (
        each(_ended, "message_delta"),
        ("openai-tool_call-stream", "gemini-length-stream", "anthropic-filtered-stream"),
    ),
    "why it finished, in a plain answer": (
        plain(lambda value: value.update(stop_reason="end_turn")),
        ("openai-tool_call-plain", "cohere-length-plain", "anthropic-tool_call-plain"),
    ),
    "thought": (
        plain(lambda value: value.update(content=[one for one in value["content"] if one["type"] != "thinking"])),
        ("anthropic-reasoning-plain", "bedrock-reasoning-plain", "gemini-thinking_text_tool-plain"),
    ),
    "streamed thought": (stream(_no_thought), ("anthropic-reasoning-stream", "cohere-reasoning_tool-stream")),
    "the signature of thought": (
        _blocks("thinking", lambda one: one.update(signature="EqQB")),
        ("anthropic-loop_thinking-plain",),
    ),
    "the signature of streamed thought": (
        _delta("signature_delta", "signature", "EqQB"),
        ("anthropic-loop_thinking-stream",),
    ),
    "what was cached": (
        plain(lambda value: value["usage"].pop("cache_read_input_tokens", None)),
        ("anthropic-usage_cached-plain", "gemini-usage_cached-plain", "openai-usage_cached-plain"),
    ),
    "usage": (
        each(lambda one: one.pop("usage"), "message_delta"),
        ("openai-usage-stream", "anthropic-text-stream"),
    ),
    "usage of a plain answer": (plain(lambda value: value.pop("usage")), ("openai-usage-plain", "cohere-text-plain")),
    "that it failed": (
        _good_status,
        ("openai-server_error-plain", "anthropic-overloaded-plain", "gemini-model_missing-plain"),
    ),
    "which failure": (
        answers(
            lambda said: said.status >= 400, 500, {"type": "error", "error": {"type": "api_error", "message": "n"}}
        ),
        ("openai-context_length-plain", "anthropic-rate_limited-plain"),
    ),
    "that the prompt was too long": (
        lambda said: setattr(said, "body", said.body.replace(b"prompt is too long", b"a mistake")),
        ("openai-context_length-plain", "gemini-context_length-stream", "bedrock-context_length-plain"),
    ),
    "how long to wait": (_retry_lost, ("openai-rate_limited-plain", "anthropic-rate_limited-stream")),
    "the envelope": (_openai_envelope, ("openai-server_error-plain", "anthropic-overloaded-stream")),
    "letters": (_ascii, ("anthropic-unicode-plain", "gemini-unicode-stream")),
    "the id of the call": (head("request-id", None), ("anthropic-text-plain", "openai-server_error-plain")),
    "that sequences end it": (
        plain(lambda value: value.pop("stop_sequence")),
        ("openai-text-plain", "cohere-stop_sequence-plain"),
    ),
}


@pytest.mark.parametrize("loss", list(LOSSES))
async def test_a_lossy_gateway_is_noticed(loss: str) -> None:
    """Each named case fails."""
    bend, ids = LOSSES[loss]
    for id in ids:
        with pytest.raises(MatrixFailure, match=f"messages-{id}"):
            await found(f"messages-{id}").run(lossy(bend))


_BLOCK = {"type": "content_block_start", "index": 3, "content_block": {"type": "text", "text": ""}}
# Streams whose words are all there, and which the protocol does not allow: how they are bent, what is said of them.
GRAMMAR: dict[str, tuple[Bend, str]] = {
    "no beginning": (dropped("message_start"), "came before message_start"),
    "two beginnings": (doubled("message_start"), "message_start came twice"),
    "content at the beginning": (
        each(lambda one: one["message"].update(content=[{"type": "text", "text": "a"}]), "message_start"),
        "message_start has content",
    ),
    "a beginning without usage": (each(lambda one: one["message"].pop("usage"), "message_start"), "has the usage None"),
    "no end mark": (dropped("message_stop"), "came 200 open"),
    "two end marks": (doubled("message_stop"), "after the end came 'message_stop'"),
    "no reason": (dropped("message_delta"), "message_stop came before message_delta"),
    "two reasons": (doubled("message_delta"), "message_delta came after message_delta"),
    "blocks that never end": (dropped("content_block_stop"), "begins before the one before it ended"),
    "blocks that never begin": (dropped("content_block_start"), "which is not open"),
    "blocks that end twice": (doubled("content_block_stop"), "ends, which is not open"),
    "blocks counted from one": (
        each(lambda one: one.update(index=one["index"] + 1), *(f"content_block_{it}" for it in ("start", "stop"))),
        "block 0 has the index 1",
    ),
    "a block after the end": (after("message_delta", _BLOCK), "content_block_start came after message_delta"),
    "thought in a block of text": (
        each(lambda one: one["delta"].update(type="thinking_delta", thinking="a"), "content_block_delta"),
        "gets the delta",
    ),
    "a signature that comes twice": (
        after("content_block_stop", {"type": "content_block_delta", "index": 0, "delta": {}}),
        "which is not open",
    ),
    "a call that begins with its input": (
        each(
            lambda one: one["content_block"].update(input={"city": "Rome"}) if one["index"] == 2 else None,
            "content_block_start",
        ),
        "a block begins with input",
    ),
    "a name that is not that of the event": (each(lambda one: one.update(event="ping")), "the event 'ping' says"),
    "events without names": (each(lambda one: one.update(event="")), "the event '' says"),
    "an end mark of another protocol": (tail(b"data: [DONE]\n\n"), "an event is no JSON object: '\\[DONE\\]'"),
    "an event that does not exist": (
        after("message_start", {"type": "message_news"}),
        "there is no event 'message_news'",
    ),
    "a reason that does not exist": (
        each(lambda one: one["delta"].update(stop_reason="tool_calls"), "message_delta"),
        "stop_reason is 'tool_calls'",
    ),
    "an id that cannot be sent back": (
        each(
            lambda one: one["content_block"].update(id="functions.a:0") if one["index"] == 2 else None,
            "content_block_start",
        ),
        "which could not be sent back",
    ),
    "half of the input": (
        each(
            lambda one: one["delta"].update(partial_json="{") if "partial_json" in one["delta"] else None,
            "content_block_delta",
        ),
        "is no JSON object",
    ),
    "bytes": (tail(b"sorry\n\n"), "the line 'sorry' is no part of an event"),
    "no type": (head("content-type", "text/plain"), "the content type is 'text/plain'"),
}


@pytest.mark.parametrize("upstream", ["anthropic", "gemini"])
@pytest.mark.parametrize("mistake", list(GRAMMAR))
async def test_the_grammar_is_held(mistake: str, upstream: str) -> None:
    """A stream of thought, words and a call that breaks a rule is noticed, and so is the rule."""
    case = found(f"messages-{upstream}-thinking_text_tool-stream")
    bend, said = GRAMMAR[mistake]

    await case.run(ours())
    with pytest.raises(MatrixFailure, match=said):
        await case.run(lossy(bend))


def _said_by(role: str, kind: str | None = None) -> Callable[[bytes], bytes]:
    """Takes messages of a role out, or their blocks of one kind."""

    def change(raw: bytes) -> bytes:
        body = json.loads(raw)
        for one in body["messages"]:
            if one["role"] == role and kind is not None:
                one["content"] = [block for block in one["content"] if block["type"] != kind]
        if kind is None:
            body["messages"] = [one for one in body["messages"] if one["role"] != role]
        return json.dumps(body).encode()

    return change


def _results_swapped(raw: bytes) -> bytes:
    body = json.loads(raw)
    results = [block for one in body["messages"] for block in one["content"] if block["type"] == "tool_result"]
    texts = [one["content"] for one in results]
    for one, text in zip(results, reversed(texts), strict=True):
        one["content"] = text
    return json.dumps(body).encode()


FORGOTTEN: dict[str, tuple[Callable[[bytes], bytes], tuple[str, ...]]] = {
    "the system": (without("system"), ("system", "two_systems")),
    "the history": (_said_by("assistant"), ("history",)),
    "tools": (without("tools"), ("tool_offered",)),
    "the choice": (without("tool_choice"), ("tool_required",)),
    "the schema": (without("output_config"), ("schema_in",)),
    "the limit": (
        lambda raw: json.dumps({**json.loads(raw), "max_tokens": 512}).encode(),
        ("limit",),
    ),
    "the temperature": (without("temperature"), ("temperature",)),
    "stop": (without("stop_sequences"), ("stop",)),
    "pictures": (_said_by("user", "image"), ("image",)),
    "documents": (_said_by("user", "document"), ("document",)),
    "which result is whose": (_results_swapped, ("tool_results",)),
    "letters": (lambda raw: re.sub(rb"\\u[0-9a-f]{4}", b"?", json.dumps(json.loads(raw)).encode()), ("unicode_in",)),
}


@pytest.mark.parametrize("upstream", ["openai", "anthropic", "gemini", "bedrock"])
@pytest.mark.parametrize("forgotten", list(FORGOTTEN))
async def test_a_forgetful_gateway_is_noticed(forgotten: str, upstream: str) -> None:
    """What the upstream was not told is named."""
    change, names = FORGOTTEN[forgotten]
    chosen = cases(["messages"], [upstream], names)
    assert len(chosen) == 2 * len(names)
    for case in chosen:
        with pytest.raises(MatrixFailure, match="was not told"):
            await case.run(forgetful(change))
