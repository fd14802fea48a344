"""Legacy completions upstream: requests as the target takes them, answers and streams read with both halves alike."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.types import Completion

from compatgw.dialects import assemble
from compatgw.dialects.base import Context, Outgoing, Quirks, Target
from compatgw.dialects.openai.completions import COMPLETIONS, serves, takes
from compatgw.errors import GatewayError, StreamInterrupted, UnsupportedParameter, UpstreamFailure
from compatgw.providers.table import PROVIDERS
from compatgw.wire.native import Native

HEAD: dict[str, Any] = {"id": "cmpl-1", "object": "text_completion", "created": 7, "model": "m-1"}
USAGE = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
RECORDINGS = os.environ.get("COMPATGW_RECORDINGS")
# Recordings of this endpoint by another protocol than OpenAI's, or of another endpoint.
NOT_OURS = {
    "openai/completions/ruby-openai--usage-completions-0": "a usage report of an organisation, asked with GET",
    "writer/completions/openllmetry--completions-test-writer-async-completions-legacy-0": "Writer's own shape",
    "writer/completions-stream/openllmetry--completions-test-writer-async-streaming-completions-legacy-0": "the same",
    "anthropic/completions/openllmetry--completion-test-anthropic-completion-legacy-0": "Anthropic's `/complete`",
}


def target(quirks: Quirks | None = None, **more: Any) -> Target:
    """A target at a provider called Vendor."""
    return Target("Vendor", "m-1", quirks=quirks or Quirks(completions=frozenset({"*"})), **more)


def encode(body: dict[str, Any], to: Target | None = None) -> Outgoing:
    """What is sent for `body`, which must come out as it went in."""
    before = orjson.dumps(body)
    out = COMPLETIONS.encode(Native("completions", body), to or target())
    assert orjson.dumps(body) == before
    return out


def sent(body: dict[str, Any], to: Target | None = None) -> dict[str, Any]:
    """The body that is sent."""
    found: dict[str, Any] = orjson.loads(encode({"model": "asked", "prompt": "hi", **body}, to).body)
    return found


def context(quirks: Quirks | None = None, choices: int = 1) -> Context:
    """What a decoder knows of its call."""
    return Context(target(quirks), "chatcmpl-ours", 1_780_000_000, {"choices": choices})


def text(said: str, finish: Any = None, index: int = 0, **more: Any) -> dict[str, Any]:
    """A chunk, or an answer, with one choice."""
    return {**HEAD, "choices": [{"text": said, "index": index, "logprobs": None, "finish_reason": finish}], **more}


def sse(*events: Any, done: bool = True) -> bytes:
    """Events as bytes."""
    lines = [event if isinstance(event, bytes) else orjson.dumps(event) for event in events]
    return b"".join(b"data: %b\n\n" % line for line in [*lines, *([b"[DONE]"] if done else [])])


def read(data: bytes | Iterable[bytes], choices: int = 1) -> list[Any]:
    """All pieces of a stream."""
    decoder = COMPLETIONS.stream(context(choices=choices))
    pieces = []
    for part in [data] if isinstance(data, bytes) else data:
        pieces += decoder.feed(part)
    return pieces + decoder.finish()


def frames(pieces: list[Any]) -> list[Any]:
    """The events that a client gets, but for usage."""
    return [orjson.loads(piece.native[6:-2]) for piece in pieces if piece.native is not None]


# --- requests ---


def test_a_request_goes_on_as_it_came_but_for_the_model() -> None:
    """Known and unknown members; usage is always asked for in a stream."""
    body = {"prompt": [[1, 2]], "echo": True, "logprobs": 2, "suffix": "x", "best_of": 2, "max_tokens": 0, "min_p": 0.1}
    assert sent(body) == {"model": "m-1", **body}
    assert encode({"model": "x", "prompt": "y"}).path == "/completions"
    assert sent({"stream": True})["stream_options"] == {"include_usage": True}
    asked = sent({"stream": True, "stream_options": {"include_usage": False, "x": 1}})
    assert asked["stream_options"] == {"include_usage": True, "x": 1}


def test_what_an_upstream_does_not_take_is_left_out_or_refused() -> None:
    """By its quirks, as in a chat."""
    quirks = Quirks(
        drop=frozenset({"user"}), reject=frozenset({"echo"}), known_only=True, n=False, stream_options=False,
        rename={"seed": "random_seed"}, completions=frozenset({"*"}),
    )  # fmt: skip
    out = encode({"model": "x", "prompt": "y", "user": "u", "min_p": 0.1, "seed": 1, "stream": True}, target(quirks))
    assert orjson.loads(out.body) == {"model": "m-1", "prompt": "y", "random_seed": 1, "stream": True}
    assert set(out.dropped) == {"user", "min_p"}
    with pytest.raises(UnsupportedParameter) as refused:
        encode({"model": "x", "prompt": "y", "echo": True}, target(quirks))
    assert refused.value.param == "echo"
    # Several choices are as many calls there.
    assert "n" not in sent({"n": 2}, target(quirks))


def test_no_more_tokens_are_asked_for_than_the_model_writes() -> None:
    """The change is told."""
    out = encode({"model": "x", "prompt": "y", "max_tokens": 100}, target(max_output=50))
    assert orjson.loads(out.body)["max_tokens"] == 50
    assert out.clamped == (("max_tokens", "50"),)


@pytest.mark.parametrize(
    ("provider", "model", "native"),
    [
        ("openai", "gpt-3.5-turbo-instruct", True),
        ("openai", "gpt-3.5-turbo-instruct-0914", True),
        ("openai", "davinci-002", True),
        ("openai", "gpt-4o", False),
        ("openai", "gpt-3.5-turbo", False),
        ("together", "mistralai/Mixtral-8x7B", True),
        ("vllm", "any/model", True),
        ("groq", "llama-3.3-70b", False),
        ("mistral", "mistral-large", False),
        ("deepseek", "deepseek-chat", False),
    ],
)
def test_an_upstream_is_asked_by_its_own_endpoint_for_models_that_it_serves_so(
    provider: str, model: str, native: bool
) -> None:
    """OpenAI answers 404 for its chat models there."""
    quirks = PROVIDERS[provider].quirks
    asked = Native("completions", {"model": model})
    assert (serves(quirks) and takes(asked, Target(provider, model, quirks))) is native


# --- answers ---


def test_an_answer_of_the_protocol_is_passed_on_untouched() -> None:
    """Its bytes, whatever else stands in it; the hub's half says the same."""
    body = orjson.dumps(text(" Hi", "stop", usage=USAGE, system_fingerprint="fp", more={"x": 1}))
    answer = COMPLETIONS.decode(body, context())
    assert answer.native == body
    choice = answer.completion["choices"][0]
    assert (choice["message"]["content"], choice["finish_reason"]) == (" Hi", "stop")
    assert answer.completion["usage"] == USAGE
    assert answer.completion["object"] == "chat.completion"


def test_an_answer_that_lacks_members_or_has_other_words_is_mended() -> None:
    """Ids, times, indexes, reasons and totals; members that nobody knows stay."""
    given = {
        "choices": [{"text": "a", "finish_reason": "eos", "seed": 5}, {"text": "b", "index": "1"}],
        "usage": {"prompt_tokens": 3, "completion_tokens": 2},
        "prompt": [],
    }
    native = orjson.loads(COMPLETIONS.decode(orjson.dumps(given), context()).native or b"")
    assert native["id"] == "cmpl-ours"
    assert native["object"] == "text_completion"
    assert (native["created"], native["model"]) == (1_780_000_000, "m-1")
    assert [(one["index"], one["text"], one["finish_reason"]) for one in native["choices"]] == [
        (0, "a", "stop"),
        (1, "b", "stop"),
    ]
    assert native["choices"][0]["seed"] == 5
    assert native["choices"][0]["logprobs"] is None
    assert native["usage"] == USAGE
    assert native["prompt"] == []
    Completion.model_validate(native, strict=True)


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b"null", b"{}", b'{"choices": []}', b'{"choices": [1]}', b"<html>",
     b'{"error": {"message": "no"}}', b'{"choices": [{"text": "", "finish_reason": "error"}]}'],
)  # fmt: skip
def test_what_is_no_answer_is_the_upstreams_failure(body: bytes) -> None:
    """In spite of its status 200."""
    with pytest.raises(UpstreamFailure):
        COMPLETIONS.decode(body, context())


@given(
    st.binary(max_size=80)
    | st.from_regex(rb'\{"choices": ?\[\{"text": ?("a"|1|null|\{\})[^\\]{0,20}\}\]\}', fullmatch=True)
)
def test_any_bytes_are_an_answer_or_a_failure(body: bytes) -> None:
    """Nothing else is ever raised."""
    try:
        answer = COMPLETIONS.decode(body, context())
    except GatewayError:
        return
    Completion.model_validate_json(answer.native or b"")


# --- streams ---


def test_events_of_the_protocol_are_passed_on_untouched() -> None:
    """Byte by byte; usage comes once, last, beside no choices."""
    events = [text("Hel"), text("lo"), text("", "stop")]
    pieces = read(sse(*events, {**HEAD, "choices": [], "usage": USAGE}))
    assert b"".join(piece.native or b"" for piece in pieces) == sse(*events, done=False)
    assert pieces[-1].chunk["choices"] == []
    assert pieces[-1].chunk["usage"] == USAGE
    assert [piece.chunk.get("usage") for piece in pieces[:-1]] == [None] * 3
    assert pieces[0].chunk["choices"][0]["delta"] == {"role": "assistant", "content": "Hel"}


def test_both_halves_of_a_stream_say_the_same() -> None:
    """The hub's chunks put together are the texts put together."""
    pieces = read(sse(text("a"), text("x", index=1), text("b", "length"), text("y", "stop", index=1)), choices=2)
    whole = assemble.completion(piece.chunk for piece in pieces)
    assert [(one["message"]["content"], one["finish_reason"]) for one in whole["choices"]] == [
        ("ab", "length"),
        ("xy", "stop"),
    ]


def test_events_that_differ_are_mended() -> None:
    """One id and model, known reasons, no second end, usage out of the events that say something."""
    first = {"id": "cmpl-1", "created": 7, "model": "m-1", "choices": [{"text": "a"}], "usage": {"prompt_tokens": 3}}
    other = text("b", "eos", usage=USAGE) | {"id": "cmpl-2", "model": "other"}
    pieces = read(sse(first, other, text("c"), text("", "stop")))
    found = frames(pieces)
    assert [(one["id"], one["model"], one["object"]) for one in found] == [("cmpl-1", "m-1", "text_completion")] * 2
    assert [one["choices"][0]["text"] for one in found] == ["a", "b"]
    assert found[-1]["choices"][0]["finish_reason"] == "stop"
    assert pieces[-1].chunk["usage"] == USAGE
    for one in found:
        assert one["usage"] is None


@pytest.mark.parametrize(
    ("data", "choices"),
    [
        (b"", 1),
        (sse(), 1),
        (sse(text("a")), 1),
        (sse(text("a"), done=False), 1),
        (sse(text("a", "stop"), done=False), 2),
        (sse(text("a", "stop"), text("b", index=1), done=False), 2),
        (sse(text("a", "stop"), text("b", index=1)), 2),
        (sse(text("a"), done=False) + b'data: {"id": "c', 1),
    ],
)
def test_a_stream_that_ends_too_early_is_no_answer(data: bytes, choices: int) -> None:
    """However it ends, with `[DONE]` or without."""
    with pytest.raises(StreamInterrupted):
        read(data, choices)


def test_an_end_with_totals_is_one_though_nobody_says_why() -> None:
    """And all that were asked for may end without `[DONE]`."""
    pieces = read(sse(text("a"), {**HEAD, "choices": [], "usage": USAGE}))
    assert frames(pieces)[-1]["choices"][0]["finish_reason"] == "stop"
    assert len(read(sse(text("a", "stop"), text("b", "stop", index=1), done=False), 2)) == 2


@pytest.mark.parametrize(
    "event",
    [b'{"error": {"message": "overloaded"}}', b"[]", b"{", b"hello", b'{"choices": [{"text": "", "finish_reason": "error"}]}'],
)  # fmt: skip
def test_an_error_within_a_stream_comes_after_what_was_said(event: bytes) -> None:
    """However the bytes are cut."""
    decoder = COMPLETIONS.stream(context())
    assert len(decoder.feed(sse(text("a"), event, done=False))) == 1
    with pytest.raises(UpstreamFailure):
        decoder.feed(sse(text("b")))
    with pytest.raises(UpstreamFailure):
        decoder.finish()


def test_an_error_event_is_the_upstreams_failure() -> None:
    """By its name, in JSON and in words; pings are nothing."""
    for data in (b'{"message": "overloaded"}', b"overloaded"):
        with pytest.raises(UpstreamFailure, match="overloaded"):
            read([b"event: ping\ndata: {}\n\n", b"event: error\ndata: %b\n\n" % data])


def test_an_event_without_end_is_given_up() -> None:
    """Memory stays bounded."""
    with pytest.raises(UpstreamFailure, match="not a stream"):
        read([b"data: ", *[b"x" * (1 << 20)] * 20])


def test_nothing_is_read_after_the_end() -> None:
    """Whatever follows `[DONE]`."""
    decoder = COMPLETIONS.stream(context())
    assert len(decoder.feed(sse(text("a", "stop")) + sse(text("b")))) == 1
    assert decoder.done
    assert decoder.feed(sse(text("c"))) == decoder.finish() == []


@given(st.data())
def test_cutting_a_stream_anywhere_changes_nothing(data: st.DataObject) -> None:
    """Bytes arrive as they like."""
    whole = sse(
        text("Hé"),
        text("x", index=1),
        text("", "stop"),
        text("y", "stop", index=1),
        {**HEAD, "choices": [], "usage": USAGE},
    )
    cuts = sorted(data.draw(st.lists(st.integers(0, len(whole)), max_size=6)))
    parts = [whole[a:b] for a, b in zip([0, *cuts], [*cuts, len(whole)], strict=True)]
    assert read(parts, 2) == read(whole, 2)


@given(
    st.lists(
        st.binary(max_size=40) | st.sampled_from([b"data: ", b"\n\n", b"[DONE]", b'{"choices":[{"text":1}]}']),
        max_size=8,
    )
)
def test_any_bytes_are_a_stream_or_a_failure(parts: list[bytes]) -> None:
    """Nothing else is ever raised."""
    try:
        read(parts)
    except GatewayError:
        return


# --- recordings ---


def _recorded() -> list[Any]:
    if not RECORDINGS:
        return [pytest.param(None, marks=pytest.mark.skip(reason="COMPATGW_RECORDINGS is not set"))]
    found = [orjson.loads(path.read_bytes()) for path in sorted(Path(RECORDINGS).glob("*/completions*/*.json"))]
    return [pytest.param(one, id=one["id"]) for one in found if one["id"] not in NOT_OURS]


@pytest.mark.parametrize("recording", _recorded())
def test_recordings_of_the_endpoint_are_read(recording: Any) -> None:
    """The official SDK's types take whole answers; text, totals and events are the vendor's."""
    answer = recording["response"]
    if not recording["stream"]:
        given_ = answer["body_json"]
        got = COMPLETIONS.decode(orjson.dumps(given_), context())
        told = Completion.model_validate_json(got.native or b"", strict=True)
        assert [one.text for one in told.choices] == [one["text"] for one in given_["choices"]]
        assert got.completion["usage"]["total_tokens"] == given_["usage"]["total_tokens"]
        return
    data = answer["body_text"].encode()
    pieces = read(data)
    events = [orjson.loads(line[6:]) for line in data.split(b"\n\n") if line.startswith(b"data: {")]
    said = "".join(choice["text"] for event in events for choice in event["choices"])
    assert "".join(choice["text"] for one in frames(pieces) for choice in one["choices"]) == said
    assert b"".join(piece.native or b"" for piece in pieces) == data.removesuffix(b"data: [DONE]\n\n")
    assert assemble.completion(piece.chunk for piece in pieces)["choices"][0]["message"]["content"] == said
