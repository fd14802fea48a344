"""The native codec of Responses: what goes out, what comes back, and what a broken stream is."""

from __future__ import annotations

import json
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from compatgw.dialects import assemble
from compatgw.dialects.base import Context, Outgoing, Piece, Quirks, Target
from compatgw.dialects.openai import DIALECT
from compatgw.errors import (
    Blame,
    GatewayError,
    StreamInterrupted,
    UpstreamFailure,
    UpstreamRateLimited,
    UpstreamRejected,
)
from compatgw.wire.native import Native
from tests.properties.judges import assembled, cut, drive, rules, whole

CODEC = DIALECT.native["responses"]
TARGET = Target("up", "real-1", Quirks(responses=True))
CONTEXT = Context(TARGET, "chatcmpl-ours", 9)
USAGE = {
    "input_tokens": 7,
    "input_tokens_details": {"cached_tokens": 3, "cache_write_tokens": 1},
    "output_tokens": 5,
    "output_tokens_details": {"reasoning_tokens": 2},
    "total_tokens": 12,
}
NOTE = {"type": "url_citation", "url": "https://x.test", "title": "X", "start_index": 0, "end_index": 2}
OUTPUT: list[Any] = [
    {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "hm"}], "encrypted_content": "gAA"},
    {"type": "web_search_call", "id": "ws_1", "status": "completed"},
    {
        "type": "message", "id": "msg_1", "role": "assistant", "status": "completed",
        "content": [{"type": "output_text", "text": "Hello", "annotations": [NOTE], "logprobs": []}],
    },
    {"type": "function_call", "id": "fc_1", "call_id": "call_1", "name": "f", "arguments": '{"a":1}', "status": "completed"},
    {"type": "custom_tool_call", "id": "ctc_1", "call_id": "call_2", "name": "c", "input": "text", "status": "completed"},
]  # fmt: skip


def encode(body: dict[str, Any], target: Target = TARGET) -> tuple[dict[str, Any], Outgoing]:
    """What goes out."""
    outgoing = CODEC.encode(Native("responses", body), target)
    return orjson.loads(outgoing.body), outgoing


def response(**members: Any) -> dict[str, Any]:
    """A response of the upstream."""
    return {
        "id": "resp_up", "object": "response", "created_at": 5, "model": "real-1-2026", "status": "completed",
        "output": OUTPUT, "usage": USAGE, "error": None, "incomplete_details": None, **members,
    }  # fmt: skip


def frames(*events: dict[str, Any], named: bool = True) -> bytes:
    """A stream of these events, numbered."""
    out = b""
    for number, event in enumerate(events):
        name = f"event: {event['type']}\n".encode() if named else b""
        out += name + b"data: " + orjson.dumps({**event, "sequence_number": number}) + b"\n\n"
    return out


def event(kind: str, **members: Any) -> dict[str, Any]:
    """An event."""
    return {"type": f"response.{kind}", **members}


CREATED = event("created", response=response(status="in_progress", output=[], usage=None))
COMPLETED = event("completed", response=response())


def streamed() -> list[dict[str, Any]]:
    """The events of `response()`, as OpenAI sends them."""
    reasoning, search, message, call, custom = OUTPUT
    at: Any = {"item_id": "rs_1", "output_index": 0, "summary_index": 0}
    text: Any = {"item_id": "msg_1", "output_index": 2, "content_index": 0}
    return [
        CREATED,
        event("in_progress", response=CREATED["response"]),
        event("output_item.added", output_index=0, item={**reasoning, "summary": []}),
        event("reasoning_summary_text.delta", **at, delta="hm"),
        event("output_item.done", output_index=0, item=reasoning),
        event("output_item.added", output_index=1, item=search),
        event("web_search_call.searching", output_index=1, item_id="ws_1"),
        event("output_item.done", output_index=1, item=search),
        event("output_item.added", output_index=2, item={**message, "content": []}),
        event("content_part.added", **text, part={"type": "output_text", "text": "", "annotations": []}),
        event("output_text.delta", **text, delta="Hel", logprobs=[]),
        event("output_text.delta", **text, delta="lo", logprobs=[]),
        event("output_text.annotation.added", **text, annotation_index=0, annotation=NOTE),
        event("output_text.done", **text, text="Hello", logprobs=[]),
        event("content_part.done", **text, part=message["content"][0]),
        event("output_item.done", output_index=2, item=message),
        event("output_item.added", output_index=3, item={**call, "arguments": ""}),
        event("function_call_arguments.delta", item_id="fc_1", output_index=3, delta='{"a":'),
        event("function_call_arguments.delta", item_id="fc_1", output_index=3, delta="1}"),
        event("function_call_arguments.done", item_id="fc_1", output_index=3, arguments='{"a":1}'),
        event("output_item.done", output_index=3, item=call),
        event("output_item.added", output_index=4, item={**custom, "input": ""}),
        event("custom_tool_call_input.delta", item_id="ctc_1", output_index=4, delta="text"),
        event("custom_tool_call_input.done", item_id="ctc_1", output_index=4, input="text"),
        event("output_item.done", output_index=4, item=custom),
        COMPLETED,
    ]


def read(data: bytes) -> list[Piece]:
    """The pieces of a whole stream."""
    return drive(CODEC.stream(CONTEXT), [data])


def passed(pieces: list[Piece]) -> bytes:
    """What a client of the same protocol gets."""
    return b"".join(piece.native for piece in pieces if piece.native is not None)


# --- requests --------------------------------------------------------------------------------


def test_a_request_goes_on_as_it_came() -> None:
    """But for the model, and for what the gateway does itself."""
    body = {
        "model": "x", "input": "hi", "tools": [{"type": "web_search"}], "unknown": {"a": None}, "store": False,
        "previous_response_id": "resp_0", "background": True, "stream": True,
    }  # fmt: skip
    sent, outgoing = encode(body)
    assert outgoing.path == "/responses"
    assert sent == {
        "model": "real-1", "input": "hi", "tools": [{"type": "web_search"}], "unknown": {"a": None}, "store": False,
        "stream": True,
    }  # fmt: skip
    assert body["model"] == "x"


def test_more_output_than_the_model_writes_is_clamped() -> None:
    """And said."""
    sent, outgoing = encode({"input": "hi", "max_output_tokens": 999}, Target("up", "real-1", max_output=100))
    assert sent["max_output_tokens"] == 100
    assert outgoing.clamped == (("max_output_tokens", "100"),)


def test_items_that_this_upstream_did_not_write_lose_what_only_their_author_knows() -> None:
    """Reasoning goes, ids go; what it wrote itself, and what the client sent, stays."""
    theirs = {"type": "message", "id": "msg_1", "role": "assistant", "content": "a", "gateway_origin": "other"}
    own = {"type": "reasoning", "id": "rs_1", "summary": [], "gateway_origin": "up"}
    ours = {"type": "function_call", "id": "fc_cgwabc00", "call_id": "c", "name": "f", "arguments": "{}"}
    sent, _ = encode(
        {
            "input": [
                theirs,
                {"type": "reasoning", "id": "rs_2", "summary": [], "gateway_origin": "other"},
                own,
                {"type": "reasoning", "id": "rs_cgwabc01", "summary": []},
                {"type": "reasoning", "id": "rs_3", "summary": [], "encrypted_content": "cgw1.e30"},
                {"type": "reasoning", "id": "rs_4", "summary": [], "encrypted_content": "gAA"},
                ours,
            ]
        }
    )
    assert sent["input"] == [
        {"type": "message", "role": "assistant", "content": "a"},
        {"type": "reasoning", "id": "rs_1", "summary": []},
        {"type": "reasoning", "id": "rs_4", "summary": [], "encrypted_content": "gAA"},
        {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"},
    ]


def test_only_upstreams_that_have_it_are_asked() -> None:
    """A quirk says so."""
    assert CODEC.serves(Quirks(responses=True))
    assert not CODEC.serves(Quirks())


# --- whole answers ---------------------------------------------------------------------------


def test_a_whole_answer() -> None:
    """Its bytes stay; the hub hears text, reasoning, calls, citations and totals."""
    body = orjson.dumps(response())
    answer = CODEC.decode(body, CONTEXT)
    assert answer.native == body
    assert answer.raw is None
    found = whole(answer)
    (choice,) = found["choices"]
    message = choice["message"]
    assert (found["id"], found["created"], found["model"]) == ("resp_up", 5, "real-1-2026")
    assert (message["content"], message["reasoning_content"]) == ("Hello", "hm")
    assert choice["finish_reason"] == "tool_calls"
    assert message["reasoning_details"] == [
        {"index": 0, "type": "reasoning.encrypted", "data": "gAA", "format": "openai-responses-v1", "id": "rs_1"}
    ]
    assert [call["id"] for call in message["tool_calls"]] == ["call_1", "call_2"]
    assert message["tool_calls"][1]["custom"] == {"name": "c", "input": "text"}
    assert message["annotations"][0]["url_citation"]["url"] == "https://x.test"
    assert found["usage"]["prompt_tokens_details"]["cached_tokens"] == 3
    assert found["usage"]["completion_tokens_details"]["reasoning_tokens"] == 2
    assert found["usage"]["total_tokens"] == 12


@pytest.mark.parametrize(
    ("why", "finish"),
    [({"reason": "max_output_tokens"}, "length"), ({"reason": "content_filter"}, "content_filter"), (None, "length")],
)
def test_an_incomplete_answer(why: Any, finish: str) -> None:
    """Has the reason for which it was cut."""
    body = response(status="incomplete", incomplete_details=why, output=OUTPUT[:3])
    found = whole(CODEC.decode(orjson.dumps(body), CONTEXT))
    assert found["choices"][0]["finish_reason"] == finish


def test_a_refusal() -> None:
    """Is one."""
    output = [{"type": "message", "role": "assistant", "content": [{"type": "refusal", "refusal": "no"}]}]
    message = whole(CODEC.decode(orjson.dumps(response(output=output)), CONTEXT))["choices"][0]["message"]
    assert (message["content"], message["refusal"]) == (None, "no")


@pytest.mark.parametrize(
    "body",
    [
        b"<html>down</html>",
        b"[]",
        b"{}",
        orjson.dumps({"error": {"message": "no", "type": "server_error", "code": None}}),
        orjson.dumps(response(status="failed", error={"code": "server_error", "message": "no"})),
        orjson.dumps(response(status="cancelled")),
        orjson.dumps(response(status="queued")),
    ],
)
def test_what_is_no_answer(body: bytes) -> None:
    """Whatever its status was."""
    with pytest.raises(UpstreamFailure):
        CODEC.decode(body, CONTEXT)


def test_a_failed_response_says_whose_failure_it_is() -> None:
    """A limit is retried, a prompt is not."""
    limited = response(status="failed", error={"code": "rate_limit_exceeded", "message": "Slow down."})
    with pytest.raises(UpstreamRateLimited):
        CODEC.decode(orjson.dumps(limited), CONTEXT)
    invalid = response(status="failed", error={"code": "invalid_request_error", "message": "Bad image."})
    with pytest.raises(UpstreamRejected) as caught:
        CODEC.decode(orjson.dumps(invalid), CONTEXT)
    assert caught.value.blame is Blame.CALLER


# --- streams ---------------------------------------------------------------------------------


def test_a_stream() -> None:
    """Each frame goes on; the chunks say what the whole answer says."""
    data = frames(*streamed())
    pieces = read(data)
    assert passed(pieces) == data
    told = [piece for piece in pieces if piece.chunk["choices"] or piece.chunk.get("usage")]
    rules(told)
    got = dict(assemble.completion(piece.chunk for piece in pieces))
    assert got == CODEC.decode(orjson.dumps(response()), CONTEXT).completion


def test_a_stream_without_names_gets_them() -> None:
    """OpenAI's SDK does not need them; others do."""
    assert passed(read(frames(*streamed(), named=False))) == frames(*streamed())


def test_a_stream_that_only_tells_items_when_they_are_done() -> None:
    """Nothing is lost, nothing is said twice."""
    done = [one for one in streamed() if ".delta" not in one["type"] and ".annotation." not in one["type"]]
    last_alone = [CREATED, COMPLETED]
    want = CODEC.decode(orjson.dumps(response()), CONTEXT).completion
    for events in (done, last_alone):
        assert dict(assemble.completion(piece.chunk for piece in read(frames(*events)))) == want


def test_a_last_event_that_leaves_items_out_says_nothing_twice() -> None:
    """Places shift; ids tell, or the kinds of what was said."""
    want = CODEC.decode(orjson.dumps(response()), CONTEXT).completion
    nameless = [{name: value for name, value in item.items() if name != "id"} for item in OUTPUT[2:]]
    for output in (OUTPUT[2:], nameless):
        events = [*streamed()[:-1], event("completed", response=response(output=output))]
        assert dict(assemble.completion(piece.chunk for piece in read(frames(*events)))) == want


def test_calls_without_ids_that_only_the_last_event_tells() -> None:
    """Each of them is told."""
    call = {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"}
    events = [CREATED, event("completed", response=response(output=[call, {**call, "call_id": "d"}]))]
    message: Any = assemble.completion(piece.chunk for piece in read(frames(*events)))["choices"][0]["message"]
    assert [one["id"] for one in message["tool_calls"]] == ["c", "d"]


def test_paragraphs_of_reasoning_stand_apart() -> None:
    """Within a summary, and between two of them; raw reasoning beside a summary is not told again."""
    at: Any = {"item_id": "rs_1", "output_index": 0}
    summary = [{"type": "summary_text", "text": "a"}, {"type": "summary_text", "text": "b"}]
    output = [
        {"type": "reasoning", "id": "rs_1", "summary": summary, "content": [{"type": "reasoning_text", "text": "raw"}]},
        {"type": "reasoning", "id": "rs_2", "summary": [{"type": "summary_text", "text": "c"}]},
    ]
    events = [
        CREATED,
        event("reasoning_summary_text.delta", **at, summary_index=0, delta="a"),
        event("reasoning_summary_text.delta", **at, summary_index=1, delta="b"),
        event("reasoning_text.delta", **at, content_index=0, delta="raw"),
        event("completed", response=response(output=output)),
    ]
    got: Any = dict(assemble.completion(piece.chunk for piece in read(frames(*events))))
    assert got["choices"][0]["message"]["reasoning_content"] == "a\n\nb\n\nc"
    plain = CODEC.decode(orjson.dumps(response(output=output)), CONTEXT).completion
    assert plain["choices"][0]["message"]["reasoning_content"] == "a\n\nb\n\nc"


def test_a_call_without_arguments_has_an_empty_object() -> None:
    """As everywhere in the hub."""
    call = {"type": "function_call", "id": "fc_1", "call_id": "c", "name": "f", "arguments": ""}
    events = [
        CREATED,
        event("output_item.added", output_index=0, item=call),
        event("output_item.done", output_index=0, item=call),
        event("completed", response=response(output=[call])),
    ]
    message = assembled([p for p in read(frames(*events)) if p.chunk["choices"]])["choices"][0]["message"]
    assert message["tool_calls"][0]["function"]["arguments"] == "{}"


@pytest.mark.parametrize("size", range(1, len(streamed())))
def test_a_stream_that_ends_too_early_was_interrupted(size: int) -> None:
    """After any event but the last, with or without `[DONE]`."""
    for tail in (b"", b"data: [DONE]\n\n"):
        with pytest.raises(StreamInterrupted):
            read(frames(*streamed()[:size]) + tail)


def test_a_last_event_without_its_blank_line_counts() -> None:
    """It is whole JSON and says that it is the end."""
    pieces = read(frames(*streamed())[:-2])
    assert pieces[-1].chunk["usage"]["total_tokens"] == 12  # type: ignore[index]
    with pytest.raises(StreamInterrupted):
        read(frames(*streamed())[:-20])


@pytest.mark.parametrize(
    "last",
    [
        b'event: error\ndata: {"type":"error","code":"rate_limit_exceeded","message":"Slow down.","param":null}\n\n',
        b'event: error\ndata: {"error":{"code":"rate_limit_exceeded","message":"Slow down."}}\n\n',
        b'data: {"error":{"code":"rate_limit_exceeded","message":"Slow down."}}\n\n',
        frames(
            event(
                "failed",
                response=response(status="failed", error={"code": "rate_limit_exceeded", "message": "Slow down."}),
            )
        ),
    ],
)
def test_an_error_inside_a_stream(last: bytes) -> None:
    """In whatever form; what was said before it is the caller's."""
    decoder = CODEC.stream(CONTEXT)
    before = decoder.feed(frames(*streamed()[:12]) + last)
    assert "".join(p.chunk["choices"][0]["delta"].get("content") or "" for p in before if p.chunk["choices"]) == "Hello"
    with pytest.raises(UpstreamRateLimited, match="Slow down"):
        decoder.feed(b"")
    with pytest.raises(UpstreamRateLimited):
        decoder.finish()


def test_an_answer_that_is_no_stream() -> None:
    """Plain JSON becomes chunks; a client of the same protocol is told them by our face."""
    pieces = read(orjson.dumps(response()))
    assert passed(pieces) == b""
    assert assemble.completion(p.chunk for p in pieces)["choices"][0]["message"]["content"] == "Hello"
    with pytest.raises(UpstreamFailure):
        read(b"<html>down</html>")


def test_comments_and_pings_are_nothing() -> None:
    """OpenRouter sends some."""
    first, *rest = streamed()
    data = b": OPENROUTER PROCESSING\n\nevent: ping\ndata: {}\n\n" + frames(first, *rest)
    assert passed(read(data)) == frames(*streamed())


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 5000), max_size=40))
def test_a_stream_may_be_cut_anywhere(places: list[int]) -> None:
    """The same pieces."""
    data = frames(*streamed())
    assert drive(CODEC.stream(CONTEXT), cut(data, places)) == read(data)


_EVENTS = st.lists(st.sampled_from(streamed()) | st.fixed_dictionaries(
    {"type": st.sampled_from(sorted({one["type"] for one in streamed()})), "output_index": st.integers(0, 2)},
    optional={"item": st.sampled_from([*OUTPUT, None, "x", {}]), "delta": st.just("d"), "response": st.sampled_from([{}, None, response()])},
), max_size=12)  # fmt: skip


@given(_EVENTS)
def test_any_events_are_an_answer_or_a_failure(events: list[dict[str, Any]]) -> None:
    """Nothing but a gateway's error is raised, and what comes to an end is a sound stream."""
    try:
        pieces = read(frames(*events))
    except GatewayError:
        return
    rules([piece for piece in pieces if piece.chunk["choices"] or piece.chunk.get("usage")], identity=False)


@given(st.binary(max_size=80))
def test_any_bytes_are_a_failure(data: bytes) -> None:
    """And never another exception."""
    for prefix in (b"", b"data: ", b"event: response.completed\ndata: "):
        with pytest.raises(GatewayError):
            read(prefix + data + b"\n\n")


def test_numbers_that_are_none() -> None:
    """Totals of a careless server are counted as far as they are numbers."""
    careless = {"input_tokens": "7", "output_tokens": 5.0, "total_tokens": None, "input_tokens_details": None}
    found = CODEC.decode(json.dumps(response(usage=careless)).encode(), CONTEXT).completion
    assert found["usage"] == {"prompt_tokens": 0, "completion_tokens": 5, "total_tokens": 5}
