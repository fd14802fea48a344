"""Requests in Anthropic's own protocol: what is changed of them, and what becomes of their answers."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from compatgw.dialects.anthropic import DIALECT
from compatgw.dialects.anthropic.native import unsigned
from compatgw.dialects.base import Context, Target
from compatgw.dialects.blocks.thoughts import FORMAT
from compatgw.errors import GatewayError, InvalidRequest, StreamInterrupted, UpstreamFailure
from compatgw.wire.messages import CLAUDE, sealed
from compatgw.wire.native import Native
from tests.properties.judges import cut
from tests.properties.judges import rules as ruled

MESSAGES, COUNT = DIALECT.native["messages"], DIALECT.native["count_tokens"]
HI: Any = [{"role": "user", "content": "Hi"}]
CONTEXT = Context(Target("Anthropic", "claude-sonnet-5"), "chatcmpl-ours", 7)
MARK = {"type": "ephemeral"}


def sent(model: str = "claude-sonnet-5", headers: Any = (), max_output: int | None = None, **members: Any) -> Any:
    """What goes out for a request, and its body."""
    body = {"model": "alias", "max_tokens": 9, "messages": HI, **members}
    before = orjson.dumps(body)
    out = MESSAGES.encode(Native("messages", body, headers), Target("Anthropic", model, max_output=max_output))
    assert orjson.dumps(body) == before, "encoding changed its argument"
    return out, orjson.loads(out.body)


def event(kind: str, **members: Any) -> bytes:
    """One event."""
    return b"event: %s\ndata: %s\n\n" % (kind.encode(), orjson.dumps({"type": kind, **members}))


START = event(
    "message_start",
    message={
        "id": "msg_1", "type": "message", "role": "assistant", "model": "claude-sonnet-5", "content": [],
        "stop_reason": None, "stop_sequence": None, "usage": {"input_tokens": 3, "output_tokens": 1},
    },
)  # fmt: skip
PING = event("ping")
OPEN = event("content_block_start", index=0, content_block={"type": "text", "text": ""})
SAID = event("content_block_delta", index=0, delta={"type": "text_delta", "text": "Hé"})
CLOSE = event("content_block_stop", index=0)
OWN = event("content_block_start", index=1, content_block={"type": "server_tool_use", "id": "s", "name": "web_search"})
OWN_END = event("content_block_stop", index=1)
DELTA = event("message_delta", delta={"stop_reason": "end_turn", "stop_sequence": None}, usage={"output_tokens": 5})
STOP = event("message_stop")
NEW = event("something_new", about=[1])
WHOLE = [START, PING, OPEN, SAID, CLOSE, OWN, OWN_END, NEW, DELTA, STOP]


def listen(*parts: bytes) -> list[Any]:
    """The pieces of a whole stream."""
    decoder = MESSAGES.stream(CONTEXT)
    found: list[Any] = []
    for part in parts:
        found += decoder.feed(part)
    return found + decoder.finish()


def native(pieces: list[Any]) -> bytes:
    """What the client gets of them."""
    return b"".join(piece.native or b"" for piece in pieces)


# --- requests --------------------------------------------------------------------------------


def test_only_the_model_is_changed() -> None:
    """Marks, thinking, tools of the vendor's own and members younger than this gateway go as they came."""
    members: dict[str, Any] = {
        "system": [{"type": "text", "text": "S", "cache_control": {**MARK, "ttl": "1h"}}],
        "thinking": {"type": "adaptive", "display": "omitted"},
        "tools": [{"type": "web_search_20250305", "name": "web_search", "cache_control": MARK}],
        "context_management": {"edits": []},
        "mcp_servers": [{"name": "s"}],
        "younger": {"a": None},
        "messages": [
            *HI,
            {
                "role": "assistant",
                "content": [
                    {"type": "thinking", "thinking": "", "signature": "S"},
                    {"type": "redacted_thinking", "data": "D"},
                    {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {"b": 1, "a": 2}},
                ],
            },
        ],
    }
    out, body = sent(**members)
    assert out.path == "/messages"
    assert body == {"model": "claude-sonnet-5", "max_tokens": 9, **members}
    assert (out.dropped, out.clamped) == ((), ())


def test_headers() -> None:
    """The client's own; a client without a version means the one that all know."""
    beta = ("anthropic-beta", "a-2025-01-01,b-2025-02-02")
    assert sent(headers=(("anthropic-version", "2026-10-21"), beta))[0].headers == (
        ("anthropic-version", "2026-10-21"),
        beta,
    )
    assert sent(headers=(beta,))[0].headers == (("anthropic-version", "2023-06-01"), beta)


@pytest.mark.parametrize(
    ("model", "most", "asked", "wanted"),
    [
        ("claude-opus-4-1", None, 64_000, 32_000),
        ("claude-sonnet-5", 1000, 4096, 1000),
        ("claude-sonnet-5", 4096, 4096, 4096),
        ("another-vendors", None, 10**6, 10**6),
    ],
)
def test_lengths(model: str, most: int | None, asked: int, wanted: int) -> None:
    """A length over the model's limit becomes the limit, and is told."""
    out, body = sent(model, max_output=most, max_tokens=asked)
    assert body["max_tokens"] == wanted
    assert out.clamped == ((("max_tokens", str(wanted)),) if wanted != asked else ())


def test_a_budget_over_a_clamped_length() -> None:
    """It would be refused beside it, so it is less."""
    thinking = {"type": "enabled", "budget_tokens": 40_000}
    out, body = sent("claude-opus-4-1", max_tokens=64_000, thinking=thinking)
    assert body["thinking"] == {"type": "enabled", "budget_tokens": 31_999}
    assert [name for name, _ in out.clamped] == ["max_tokens", "thinking.budget_tokens"]


def test_thinking_of_other_vendors_stays_out() -> None:
    """What this gateway told in their stead has no signature that Anthropic knows; a turn of nothing else goes."""
    ours = [
        {"type": "thinking", "thinking": "Hm", "signature": ""},
        {"type": "thinking", "thinking": "", "signature": sealed([{"type": "reasoning.text", "text": "Hm"}])},
        {"type": "redacted_thinking", "data": sealed([{"data": "G"}])},
        {"type": "thinking", "thinking": "Hm"},
    ]
    theirs = {"type": "thinking", "thinking": "", "signature": "S"}
    text = {"type": "text", "text": "a"}
    talk = [
        *HI,
        {"role": "assistant", "content": [*ours, theirs, text]},
        *HI,
        {"role": "assistant", "content": ours},
        *HI,
    ]
    out, body = sent(messages=talk)
    assert body["messages"] == [*HI, {"role": "assistant", "content": [theirs, text]}, *HI, *HI]
    assert out.dropped == ("messages.thinking",)


CALL: Any = {"type": "tool_use", "id": "t1", "name": "w", "input": {}}
ANSWERED: Any = {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t1", "content": "18"}]}
MANUAL = {"type": "enabled", "budget_tokens": 1024}


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ([CALL], False),
        ([{"type": "text", "text": "I look."}, CALL], False),
        ([{"type": "thinking", "thinking": "", "signature": sealed([{"data": "G"}])}, CALL], False),
        ([{"type": "thinking", "thinking": "Hm", "signature": "S"}, CALL], True),
        ([{"type": "redacted_thinking", "data": "D"}, CALL], True),
    ],
)
@pytest.mark.parametrize("more", [[], [{"role": "system", "content": "Be brief."}], HI])
def test_a_call_that_came_without_thought_bars_a_budget(said: Any, kept: bool, more: Any) -> None:
    """The API refuses a budget where the calls that wait began without thought, as another vendor's do."""
    talk = [*HI, {"role": "assistant", "content": said}, ANSWERED, *more]
    out, body = sent("claude-sonnet-4-5", messages=talk, max_tokens=4000, thinking=MANUAL)

    assert body.get("thinking") == (MANUAL if kept else None)
    assert ("thinking" in out.dropped) == (not kept)
    adaptive = {"type": "adaptive"}
    assert sent(messages=talk, thinking=adaptive)[1]["thinking"] == adaptive
    counted = COUNT.encode(
        Native("count_tokens", {"model": "m", "messages": talk, "thinking": MANUAL}, ()), CONTEXT.target
    )
    assert orjson.loads(counted.body).get("thinking") == (MANUAL if kept else None)


@pytest.mark.parametrize(
    "talk",
    [
        HI,
        [*HI, {"role": "assistant", "content": [CALL]}, ANSWERED, {"role": "assistant", "content": "Mild."}, *HI],
        [*HI, {"role": "assistant", "content": "Hello."}, *HI],
        [*HI, {"role": "assistant", "content": "Well, "}],
    ],
)
def test_a_budget_stays_where_no_call_waits(talk: Any) -> None:
    """Earlier calls are done with."""
    assert sent("claude-sonnet-4-5", messages=talk, thinking=MANUAL)[1]["thinking"] == MANUAL


def test_a_refused_signature_takes_the_budget_along() -> None:
    """A second try without signed thought would be refused for its lack."""
    said = [{"type": "thinking", "thinking": "Hm", "signature": "S"}, CALL]
    talk = [*HI, {"role": "assistant", "content": said}, ANSWERED]
    bare = unsigned(Native("messages", {"model": "m", "max_tokens": 4000, "messages": talk, "thinking": MANUAL}, ()))

    assert "thinking" not in orjson.loads(MESSAGES.encode(bare, Target("Anthropic", "claude-sonnet-4-5")).body)


def test_a_request_without_any_thinking() -> None:
    """For an upstream that refused a signature: all the rest of it is there, and the request itself is unchanged."""
    text = {"type": "text", "text": "a"}
    thoughts: list[Any] = [
        {"type": "thinking", "thinking": "Hm", "signature": "S"},
        {"type": "redacted_thinking", "data": "D"},
    ]
    talk = [*HI, {"role": "assistant", "content": [*thoughts, text]}, *HI, {"role": "assistant", "content": thoughts}]
    given = Native("messages", {"model": "a", "max_tokens": 9, "messages": talk}, (("anthropic-beta", "b"),))
    before = orjson.dumps(given.body)
    found = unsigned(given)
    assert found.body == {**given.body, "messages": [*HI, {"role": "assistant", "content": [text]}, *HI]}
    assert found.headers == given.headers
    assert orjson.dumps(given.body) == before


def test_both_sides_write_one_format() -> None:
    """The surface and the dialect tell each other's thinking by the same word."""
    assert FORMAT == CLAUDE


def test_counting() -> None:
    """The same without members that do not count; the count comes back as it is."""
    body = {"model": "alias", "messages": HI, "max_tokens": 9, "stream": True, "tools": [], "system": "S"}
    out = COUNT.encode(Native("count_tokens", body), CONTEXT.target)
    assert out.path == "/messages/count_tokens"
    assert orjson.loads(out.body) == {"model": "claude-sonnet-5", "messages": HI, "tools": [], "system": "S"}
    result: Any = COUNT.decode(b'{"input_tokens": 12, "context_management": {}}', CONTEXT)
    assert result.body == {"input_tokens": 12, "context_management": {}}


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"input_tokens": "3"}', b'{"input_tokens": true}'])
def test_no_count(body: bytes) -> None:
    """An answer without a count is the upstream's failure."""
    with pytest.raises(UpstreamFailure):
        COUNT.decode(body, CONTEXT)


# --- answers ---------------------------------------------------------------------------------


def test_a_whole_answer() -> None:
    """The bytes as they came, and the hub's completion beside them."""
    body = (
        b'{"id": "msg_1", "type": "message",  "content": [{"type": "text", "text": "Hi"}], "stop_reason": "end_turn",'
        b' "usage": {"input_tokens": 3, "cache_read_input_tokens": 4, "output_tokens": 5}}'
    )
    answer = MESSAGES.decode(body, CONTEXT)
    assert answer.native == body
    assert answer.completion["usage"]["prompt_tokens"] == 7
    assert answer.completion["choices"][0]["message"]["content"] == "Hi"


@given(st.lists(st.integers(0, sum(map(len, WHOLE))), max_size=12))
def test_a_stream_cut_anywhere(places: list[int]) -> None:
    """The client gets every event, in order and whole; beside them runs a stream as the hub has it."""
    body = b"".join(WHOLE)
    pieces = listen(*cut(body, places))
    assert native(pieces) == body
    chunks = [piece for piece in pieces if piece.chunk["choices"] or piece.chunk.get("usage")]
    ruled(chunks)
    assert chunks[-1].chunk["usage"]["total_tokens"] == 8


def test_every_frame_is_an_event() -> None:
    """No piece holds a part of one."""
    for size in (1, 7, 1000):
        body = b"".join(WHOLE)
        pieces = listen(*[body[i : i + size] for i in range(0, len(body), size)])
        assert [piece.native for piece in pieces if piece.native] == WHOLE


def test_events_without_a_name() -> None:
    """They get the name of their type, without which clients skip them; other line ends become LF."""
    body = b"".join(WHOLE)
    bare = b"".join(frame.partition(b"\n")[2] for frame in WHOLE)
    assert native(listen(bare)) == body
    assert native(listen(body.replace(b"\n", b"\r\n"))) == body


@pytest.mark.parametrize("place", range(1, len(WHOLE) - 1))
def test_a_stream_that_is_cut_off(place: int) -> None:
    """Without `message_stop` it is an interruption, and what came was passed on."""
    decoder = MESSAGES.stream(CONTEXT)
    pieces = decoder.feed(b"".join(WHOLE[:place]) + WHOLE[place][:20])
    assert native(pieces) == b"".join(WHOLE[:place])
    with pytest.raises(StreamInterrupted):
        decoder.finish()


def test_an_end_without_its_blank_line() -> None:
    """It is an end; half an event is none."""
    assert native(listen(b"".join(WHOLE)[:-2])) == b"".join(WHOLE)
    decoder = MESSAGES.stream(CONTEXT)
    decoder.feed(b"".join(WHOLE)[:-12])
    with pytest.raises(StreamInterrupted):
        decoder.finish()


@pytest.mark.parametrize("together", [True, False])
def test_an_error_in_the_stream(together: bool) -> None:
    """What came before it is passed on, the error is raised and not passed on."""
    error = event("error", error={"type": "overloaded_error", "message": "Overloaded"})
    decoder = MESSAGES.stream(CONTEXT)
    parts = [START + OPEN + SAID + error] if together else [START + OPEN + SAID, error]
    found = decoder.feed(parts[0])
    assert native(found) == START + OPEN + SAID
    with pytest.raises(UpstreamFailure) as caught:
        decoder.feed(parts[-1]) if not together else decoder.finish()
    assert caught.value.status == 503


def test_a_failure_is_told_again() -> None:
    """Once failed, a stream stays so."""
    error = event("error", error={"type": "api_error", "message": "Broken"})
    decoder = MESSAGES.stream(CONTEXT)
    decoder.feed(START + error)
    for _ in range(2):
        with pytest.raises(UpstreamFailure):
            decoder.feed(PING)
    with pytest.raises(UpstreamFailure):
        decoder.finish()
    last = MESSAGES.stream(CONTEXT)
    last.feed(START)
    last.feed(error[:-2])
    with pytest.raises(UpstreamFailure, match="Broken"):
        last.finish()


def test_an_event_without_end() -> None:
    """It is a failure of the upstream before it fills the memory."""
    endless = [b"data: " + b"x" * 2**20] * 20
    with pytest.raises(UpstreamFailure, match="cannot be read"):
        listen(*endless)


def test_a_request_that_nests_too_deep() -> None:
    """It is the caller's fault, by name."""
    deep: Any = {}
    for _ in range(300):
        deep = {"a": deep}
    with pytest.raises(InvalidRequest, match="nests too deep"):
        MESSAGES.encode(Native("messages", {"messages": HI, "deep": deep}), CONTEXT.target)


def test_nothing_behind_the_end() -> None:
    """Events behind `message_stop` are nobody's."""
    decoder = MESSAGES.stream(CONTEXT)
    assert native(decoder.feed(b"".join(WHOLE) + PING)) == b"".join(WHOLE)
    assert decoder.done
    assert decoder.feed(PING) == decoder.finish() == []


@settings(max_examples=200)
@given(st.binary(max_size=200) | st.lists(st.sampled_from([*WHOLE, b"data: {}\n\n", b"data: 1"])).map(b"".join))
def test_arbitrary_bytes(data: bytes) -> None:
    """They raise nothing but a `GatewayError`."""
    try:
        listen(data)
    except GatewayError:
        return


@pytest.mark.parametrize(
    ("message", "param"),
    [
        ("messages.0.content.1.text: Field required", "messages[0].content[1].text"),
        ("max_tokens: 99999 > 8192, which is the maximum", "max_tokens"),
        ("tools.3.input_schema: bad", "tools[3].input_schema"),
        ("Something else went wrong", None),
    ],
)
def test_refusals_blame_what_the_client_knows(message: str, param: str | None) -> None:
    """By the client's own path."""
    body = orjson.dumps({"type": "error", "error": {"type": "invalid_request_error", "message": message}})
    found = MESSAGES.error(400, {}, body, CONTEXT.target)
    assert found.param == param
    assert message in found.message


def test_nothing_is_refused_by_policy() -> None:
    """A target that rejects what it cannot carry takes any native request: all of it is carried."""
    talk = [*HI, {"role": "assistant", "content": [{"type": "thinking", "thinking": "Hm", "signature": ""}]}, *HI]
    body = {"model": "a", "max_tokens": 9, "top_k": 5, "context_management": {"edits": []}, "messages": talk}
    out = MESSAGES.encode(Native("messages", body), Target("Anthropic", "claude-sonnet-5", unsupported="reject"))
    assert out.dropped == ("messages.thinking",)
    assert orjson.loads(out.body)["top_k"] == 5
