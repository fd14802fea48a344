"""Chunks make a completion and a completion makes chunks: one is the other's inverse."""

from __future__ import annotations

from typing import Any, cast

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from compatgw.dialects import assemble
from compatgw.errors import StreamInterrupted
from tests.properties.judges import assembled, essence, rules, whole

from .sending import CODEC, ROLE, STOP, chunk, context, read, sse

RANGE = {"start_index": 0, "end_index": 1, "title": "T"}
TEXT = st.text(min_size=1, max_size=8)
CALLS = st.lists(
    st.builds(
        lambda call, name, arguments: {
            "id": call,
            "type": "function",
            "function": {"name": name, "arguments": arguments},
        },
        st.integers(0, 99).map("call_{}".format),
        st.sampled_from(["f", "g"]),
        st.sampled_from(["{}", '{"a":1}']),
    ),
    min_size=1,
    max_size=3,
    unique_by=lambda call: call["id"],
)
TOKENS = st.lists(
    st.fixed_dictionaries({"token": TEXT, "logprob": st.just(-0.5), "bytes": st.none(), "top_logprobs": st.just([])}),
    min_size=1,
    max_size=2,
)


@st.composite
def choices(draw: st.DrawFn, index: int) -> dict[str, Any]:
    """A choice as a canonical answer has it."""
    calls = draw(st.none() | CALLS)
    text = draw(TEXT if calls is None else st.none() | TEXT)
    message: dict[str, Any] = {"role": "assistant", "content": text, "refusal": None}
    if calls is None and draw(st.booleans()):
        message.update(content=None, refusal=draw(TEXT))
    if calls is not None:
        message["tool_calls"] = calls
    if draw(st.booleans()):
        message["reasoning_content"] = message["reasoning"] = draw(TEXT)
    if draw(st.booleans()):
        message["reasoning_details"] = [{"type": "reasoning.text", "text": draw(TEXT), "index": 0}]
    if draw(st.booleans()):
        message["annotations"] = [{"type": "url_citation", "url_citation": {**RANGE, "url": draw(TEXT)}}]
    logprobs = {"content": draw(TOKENS), "refusal": None} if draw(st.booleans()) else None
    reason = "stop" if calls is None else "tool_calls"
    return {"index": index, "message": message, "logprobs": logprobs, "finish_reason": reason}


@st.composite
def completions(draw: st.DrawFn) -> dict[str, Any]:
    """A canonical answer."""
    out: dict[str, Any] = {"id": "c-1", "object": "chat.completion", "created": 7, "model": "m"}
    out["choices"] = [draw(choices(index)) for index in range(draw(st.integers(1, 3)))]
    if draw(st.booleans()):
        out["usage"] = {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}
    if draw(st.booleans()):
        out |= {"service_tier": "default", "system_fingerprint": None, "x_vendor": {"a": 1}}
    return out


@given(completions())
def test_a_completion_survives_being_streamed(completion: dict[str, Any]) -> None:
    """Member by member; and its chunks keep every rule of a stream."""
    pieces = assemble.chunks(cast("Any", completion))

    rules(pieces)
    assert assemble.completion(piece.chunk for piece in pieces) == completion


@given(completions())
def test_the_sdk_puts_the_same_together(completion: dict[str, Any]) -> None:
    """The judge knows nothing of ours."""
    pieces = assemble.chunks(cast("Any", completion))

    assert essence(assembled(pieces)) == essence(completion)


def test_a_stream_put_together_is_the_plain_answer() -> None:
    """Texts, reasoning, calls, log probabilities and totals."""
    piece = {"index": 0, "id": "call_a", "type": "function", "function": {"name": "f", "arguments": '{"a"'}}
    token: dict[str, Any] = {
        "content": [{"token": "H", "logprob": -1.0, "bytes": None, "top_logprobs": []}],
        "refusal": None,
    }
    events = [
        ROLE,
        chunk({"reasoning_content": "th"}),
        chunk({"reasoning_content": "en"}),
        chunk({"content": "H"}, choice={"logprobs": token}),
        chunk({"content": "i"}, choice={"logprobs": token}),
        chunk({"tool_calls": [piece]}),
        chunk({"tool_calls": [{"index": 0, "function": {"arguments": ":1}"}}]}),
        {**chunk({}, "tool_calls"), "usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}},
    ]
    found = assemble.completion(piece.chunk for piece in read(sse(*events)))

    assert found["choices"][0]["message"] == {
        "role": "assistant",
        "content": "Hi",
        "refusal": None,
        "reasoning_content": "then",
        "reasoning": "then",
        "tool_calls": [{"id": "call_a", "type": "function", "function": {"name": "f", "arguments": '{"a":1}'}}],
    }
    assert found["choices"][0]["logprobs"] == {"content": token["content"] * 2, "refusal": None}
    assert found["usage"]["total_tokens"] == 3


def test_audio_and_legacy_functions_are_joined() -> None:
    """Data, transcript and arguments come in pieces."""
    events = [
        chunk({"role": "assistant", "audio": {"id": "a", "transcript": "He"}}),
        chunk({"audio": {"data": "AA", "transcript": "y"}}),
        chunk({"audio": {"data": "BB", "expires_at": 9}}),
        chunk({"function_call": {"name": "f", "arguments": ""}}),
        chunk({"function_call": {"arguments": "{}"}}),
        chunk({}, "function_call"),
    ]
    message = assemble.completion(piece.chunk for piece in read(sse(*events)))["choices"][0]["message"]

    assert message["audio"] == {"id": "a", "transcript": "Hey", "data": "AABB", "expires_at": 9}
    assert message["function_call"] == {"name": "f", "arguments": "{}"}


def test_chunks_are_not_changed_by_being_put_together() -> None:
    """They are on their way to a client."""
    pieces = read(sse(ROLE, chunk({"content": "a"}), chunk({"content": "b"}), STOP))
    before = [dict(piece.chunk) for piece in pieces]
    once = assemble.completion(piece.chunk for piece in pieces)

    assert assemble.completion(piece.chunk for piece in pieces) == once
    assert [dict(piece.chunk) for piece in pieces] == before


def test_padding_is_no_part_of_an_answer() -> None:
    """OpenAI hides lengths with it."""
    found = assemble.completion(
        piece.chunk for piece in read(sse(ROLE, {**chunk({"content": "a"}), "obfuscation": "x"}, STOP))
    )

    assert "obfuscation" not in found


@pytest.mark.parametrize("events", [[], [ROLE], [ROLE, chunk({"content": "x"})]])
def test_an_unfinished_stream_is_no_answer(events: list[dict[str, Any]]) -> None:
    """Its end is missing."""
    with pytest.raises(StreamInterrupted):
        assemble.completion(cast("Any", events))


def test_a_recoded_answer_is_canonical() -> None:
    """What was put together passes through another gateway of ours as it is."""
    found = assemble.completion(piece.chunk for piece in read(sse(ROLE, chunk({"content": "a"}), STOP)))
    usage = {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}

    again = CODEC.decode(orjson.dumps({**found, "usage": usage}), context())
    assert again.raw is not None
    assert whole(again)["choices"][0]["message"]["content"] == "a"
