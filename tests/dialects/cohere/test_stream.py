"""Streams of `/v2/chat`, put together by the OpenAI SDK's own accumulator."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from compatgw.dialects.base import Context, Piece, Target
from compatgw.dialects.cohere import DIALECT
from compatgw.errors import StreamInterrupted, UpstreamFailure
from tests.properties.judges import assembled, cut, drive, essence, rules, whole

TARGET = Target(provider="Cohere", model="command-a-03-2025")
START = {"type": "message-start", "id": "c9", "delta": {"message": {"role": "assistant", "content": []}}}
USAGE = {"billed_units": {"input_tokens": 8, "output_tokens": 50}, "tokens": {"input_tokens": 1394.0, "output_tokens": 54}, "cached_tokens": 1360}  # fmt: skip


def context(memo: dict[str, Any] | None = None) -> Context:
    return Context(TARGET, id="chatcmpl-ours", created=1_780_000_000, memo=memo or {})


def sse(*events: dict[str, Any], named: bool = True) -> bytes:
    lines = (
        (f"event: {e['type']}\n" if named and "type" in e else "").encode() + b"data: " + orjson.dumps(e) + b"\n\n"
        for e in events
    )
    return b"".join(lines)


def item(index: int, kind: str, *texts: str) -> list[dict[str, Any]]:
    """A content item: its start, its deltas, its end."""
    first = {"message": {"content": {"type": kind, kind: ""}}}
    deltas = [
        {"type": "content-delta", "index": index, "delta": {"message": {"content": {kind: t}}}} for t in texts
    ]  # fmt: skip
    return [
        {"type": "content-start", "index": index, "delta": first},
        *deltas,
        {"type": "content-end", "index": index},
    ]


def call(index: int, name: str, *fragments: str, id: str = "") -> list[dict[str, Any]]:
    """A tool call: its start, its fragments, its end."""
    opener = {"id": id or f"{name}_{index}", "type": "function", "function": {"name": name, "arguments": ""}}
    deltas = [
        {
            "type": "tool-call-delta",
            "index": index,
            "delta": {"message": {"tool_calls": {"function": {"arguments": f}}}},
        }
        for f in fragments
    ]
    return [
        {"type": "tool-call-start", "index": index, "delta": {"message": {"tool_calls": opener}}},
        *deltas,
        {"type": "tool-call-end", "index": index},
    ]


def plan(*texts: str) -> list[dict[str, Any]]:
    return [{"type": "tool-plan-delta", "delta": {"message": {"tool_plan": t}}} for t in texts]


def end(reason: str = "COMPLETE", **more: Any) -> dict[str, Any]:
    return {"type": "message-end", "delta": {"finish_reason": reason, "usage": USAGE, **more}}


def read(data: bytes, memo: dict[str, Any] | None = None) -> list[Piece]:
    assert DIALECT.chat is not None
    decoder = DIALECT.chat.stream(context(memo))
    pieces = drive(decoder, [data])
    rules(pieces)
    assert decoder.done
    assert (decoder.feed(b"data: {}\n\n"), decoder.finish()) == ([], [])
    return pieces


def told(*events: dict[str, Any], memo: dict[str, Any] | None = None) -> dict[str, Any]:
    message: dict[str, Any] = assembled(read(sse(START, *events), memo))["choices"][0]["message"]
    return message


FULL = [
    START,
    *item(0, "thinking", "h", "m"),
    *plan("I ", "will"),
    *item(1, "text", "né", "", "e"),
    *call(0, "get", '{"x"', ":1}"),
    *call(1, "now"),
    end("TOOL_CALL"),
]


def test_a_stream_becomes_chunks_in_openais_order() -> None:
    """Role, reasoning, text, calls, finish reason, usage; the id of the first event in all."""
    pieces = read(sse(*FULL))
    completion = assembled(pieces)
    message = completion["choices"][0]["message"]

    assert {p.chunk["id"] for p in pieces} == {"chatcmpl-c9"}
    assert (message["content"], message["reasoning_content"]) == ("née", "hm\nI will")
    assert [(c["id"], c["function"]["name"], c["function"]["arguments"]) for c in message["tool_calls"]] == [
        ("get_0", "get", '{"x":1}'),
        ("now_1", "now", "{}"),
    ]
    assert completion["choices"][0]["finish_reason"] == "tool_calls"
    assert completion["usage"]["total_tokens"] == 1448
    assert completion["usage"]["prompt_tokens_details"]["cached_tokens"] == 1360
    assert completion["usage"]["billed_units"] == {"input_tokens": 8, "output_tokens": 50}


def test_a_stream_equals_the_plain_answer() -> None:
    """The same answer, both ways."""
    assert DIALECT.chat is not None
    body = {
        "id": "c9",
        "finish_reason": "TOOL_CALL",
        "usage": USAGE,
        "message": {
            "role": "assistant",
            "tool_plan": "I will",
            "content": [{"type": "thinking", "thinking": "hm"}, {"type": "text", "text": "née"}],
            "tool_calls": [
                {"id": "get_0", "type": "function", "function": {"name": "get", "arguments": '{"x":1}'}},
                {"id": "now_1", "type": "function", "function": {"name": "now", "arguments": "null"}},
            ],
        },
    }
    plain = whole(DIALECT.chat.decode(orjson.dumps(body), context()))

    assert essence(assembled(read(sse(*FULL)))) == essence(plain)


@settings(max_examples=60, deadline=None)
@given(places=st.lists(st.integers(0, len(sse(*FULL)) * 2), max_size=12), ending=st.sampled_from([b"\n", b"\r\n"]))
def test_the_chunks_are_the_same_wherever_the_bytes_are_cut(places: list[int], ending: bytes) -> None:
    """Anywhere, even inside a letter of two bytes."""
    assert DIALECT.chat is not None
    data = sse(*FULL).replace(b"\n", ending)
    pieces = drive(DIALECT.chat.stream(context()), cut(data, places))

    assert [p.chunk for p in pieces] == [p.chunk for p in read(sse(*FULL))]


@pytest.mark.parametrize("ending", [b"", b"data: [DONE]\n\n", b'event: debug\ndata: {"type":"debug"}\n\n'])
def test_event_lines_and_a_done_mark_do_not_matter(ending: bytes) -> None:
    """Older deployments write no `event:` line, some write an end mark of OpenAI's."""
    named, bare = read(sse(*FULL) + ending), read(sse(*FULL, named=False) + ending)

    assert [p.chunk for p in named] == [p.chunk for p in bare]


def test_the_last_event_may_lack_its_blank_line() -> None:
    """A whole `message-end` counts, however the connection ends."""
    assert assembled(read(sse(*FULL).rstrip()))["usage"]["total_tokens"] == 1448


@pytest.mark.parametrize(
    "event",
    [
        {"type": "debug", "prompt": "<BOS>"},
        {"type": "content-end", "index": 9},
        {"type": "citation-end", "index": 0},
        {"type": "something-new", "delta": {"message": {"content": {"text": "no"}}}},
        {"delta": {}},
    ],
)
def test_unknown_events_are_skipped(event: dict[str, Any]) -> None:
    """Newer servers may say more than we know."""
    assert told(event, *item(0, "text", "a"), event, end())["content"] == "a"


# --- tool calls ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fragments", "expected"),
    [
        ((), "{}"), (("",), "{}"), (("null",), "{}"), (("n", "u", "l", "l"), "{}"), ((" ", "null", "\n"), "{}"),
        (("nu", "mber"), "number"), (("{", "}"), "{}"), (("\n", "{}"), "\n{}"), (("nul",), "nul"),
        (("nulls",), "nulls"), (('{"a":', "null}"), '{"a":null}'),
    ],
)  # fmt: skip
def test_arguments_are_held_back_while_they_may_be_null(fragments: tuple[str, ...], expected: str) -> None:
    """A call without arguments is `{}`, never `null`, however it is cut into pieces."""
    message = told(*call(0, "get", *fragments), end("TOOL_CALL"))

    assert message["tool_calls"][0]["function"]["arguments"] == expected


def test_a_call_without_its_end_is_closed_by_the_message() -> None:
    """The end of the message ends what is open."""
    message = told(*call(0, "get", "nul")[:-1], *call(1, "put", "null")[:-1], end("TOOL_CALL"))

    assert [c["function"]["arguments"] for c in message["tool_calls"]] == ["nul", "{}"]


def test_an_index_that_begins_again_is_another_call() -> None:
    """Two calls are never glued into one."""
    message = told(*call(0, "get", "{}", id="a")[:-1], *call(0, "put", "{}", id="b"), end("TOOL_CALL"))

    assert [(c["id"], c["function"]["name"]) for c in message["tool_calls"]] == [("a", "get"), ("b", "put")]


def test_only_the_first_call_is_kept_without_parallel_calls() -> None:
    """The others, and their arguments, do not reach the caller."""
    message = told(*call(0, "get", "{}"), *call(1, "put", "{}"), end("TOOL_CALL"), memo={"single_call": True})

    assert [c["function"]["name"] for c in message["tool_calls"]] == ["get"]


def test_the_answer_tool_streams_as_text() -> None:
    """A schema that was sent as a tool streams as content; a second such call is ignored."""
    events = [START, *call(0, "json_response", '{"x"', ":1}"), *call(1, "json_response", "{}"), end("TOOL_CALL")]
    pieces = read(sse(*events), {"json_tool": "json_response"})
    choice = assembled(pieces)["choices"][0]

    assert (choice["message"]["content"], choice["finish_reason"]) == ('{"x":1}', "stop")
    assert not choice["message"].get("tool_calls")
    assert [p.chunk["choices"][0]["delta"].get("content") for p in pieces[1:3]] == ['{"x"', ":1}"]


def test_a_call_of_the_oldest_form_streams_in_it() -> None:
    """A request with `functions` is answered with `function_call`, once."""
    memo = {"legacy": True, "single_call": True}
    pieces = read(sse(START, *call(0, "get", '{"x"', ":1}"), *call(1, "put"), end("TOOL_CALL")), memo)
    choice = assembled(pieces)["choices"][0]

    assert choice["message"]["function_call"] == {"name": "get", "arguments": '{"x":1}'}
    assert choice["finish_reason"] == "function_call"


# --- citations, logprobs ---------------------------------------------------------------------


def cite(index: int, **more: Any) -> list[dict[str, Any]]:
    sources = [{"type": "document", "id": f"doc:{index}", "document": {"title": f"T{index}"}}]
    citation = {"start": 0, "end": 2, "text": "hm", "sources": sources, **more}
    return [
        {"type": "citation-start", "index": index, "delta": {"message": {"citations": citation}}},
        {"type": "citation-end", "index": index},
    ]


def test_citations_become_annotations_of_the_whole_text() -> None:
    """Each one has an index, by which clients merge; positions count in the whole text."""
    message = told(
        *item(0, "text", "ab"),
        *cite(0),
        *item(1, "thinking", "hm"),
        *item(2, "text", "cd"),
        *cite(1, content_index=2),
        *cite(2, type="PLAN"),
        end(),
    )
    places = [(a["url_citation"]["url"], a["url_citation"]["start_index"]) for a in message["annotations"]]

    assert places == [("doc:0", 0), ("doc:1", 2)]
    assert [(c["index"], c["sources"][0]["id"]) for c in message["citations"]] == [
        (0, "doc:0"),
        (1, "doc:1"),
        (2, "doc:2"),
    ]


def test_logprobs_come_with_their_text() -> None:
    """Each delta carries those of its own text."""
    event = item(0, "text", "a")
    event[1]["logprobs"] = {"text": "a", "token_ids": [1], "logprobs": [-0.5]}
    content = assembled(read(sse(START, *event, end())))["choices"][0]["logprobs"]["content"]

    assert [(e["token"], e["logprob"]) for e in content] == [("a", -0.5)]


# --- ends that are not good ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reason", "more", "status", "code"),
    [
        ("ERROR", {"error": "invalid tool generation", "error_type": "INVALID_TOOL_GENERATION"}, 502, "upstream_error"),
        ("COMPLETE", {"error": "too late"}, 502, "upstream_error"),
        ("ERROR", {}, 502, "upstream_error"),
        ("ERROR", {"error": "too many tokens: size limit exceeded"}, 400, "context_length_exceeded"),
        ("TIMEOUT", {}, 504, "upstream_timeout"),
    ],
)
def test_an_end_that_reports_a_failure_is_one(reason: str, more: dict[str, Any], status: int, code: str) -> None:
    """No finish chunk is made up for it."""
    assert DIALECT.chat is not None
    decoder = DIALECT.chat.stream(context())
    with pytest.raises(UpstreamFailure) as caught:
        decoder.feed(sse(START, *item(0, "text", "a"), end(reason, **more)))

    assert (caught.value.status, caught.value.code) == (status, code)
    assert more.get("error", "") in caught.value.message


def test_a_failure_in_the_last_event_is_told_even_without_its_blank_line() -> None:
    """It is a whole event: the stream was not cut, it failed."""
    assert DIALECT.chat is not None
    with pytest.raises(UpstreamFailure, match="no luck") as caught:
        drive(DIALECT.chat.stream(context()), [sse(START, end("ERROR", error="no luck")).rstrip()])

    assert not isinstance(caught.value, StreamInterrupted)


def test_content_given_as_a_bare_text_is_read() -> None:
    """Some deployments leave the object around it out."""
    event = {"type": "content-delta", "index": 0, "delta": {"message": {"content": "a"}}}

    assert told(event, end())["content"] == "a"


def test_a_flat_error_in_the_stream_is_a_failure() -> None:
    """The body of a refusal can come after a good status."""
    assert DIALECT.chat is not None
    decoder = DIALECT.chat.stream(context())
    with pytest.raises(UpstreamFailure, match="internal server error"):
        decoder.feed(sse(START) + b'data: {"message":"internal server error"}\n\n')


@settings(max_examples=60, deadline=None)
@given(length=st.integers(0, len(sse(*FULL[:-1])) + 60))
def test_a_stream_that_ends_early_is_interrupted(length: int) -> None:
    """Wherever it is cut before `message-end` is whole."""
    assert DIALECT.chat is not None
    with pytest.raises(StreamInterrupted) as caught:
        drive(DIALECT.chat.stream(context()), [sse(*FULL)[:length]])

    assert caught.value.code == "upstream_stream_interrupted"


def test_a_done_mark_is_not_an_end() -> None:
    """Only `message-end` ends a message."""
    assert DIALECT.chat is not None
    with pytest.raises(StreamInterrupted):
        drive(DIALECT.chat.stream(context()), [sse(*FULL[:-1]) + b"data: [DONE]\n\n"])


@pytest.mark.parametrize(
    "data",
    [
        b"data: no\n\n",
        b"data: 1\n\n",
        sse({"type": "tool-call-delta", "index": 0, "delta": {}}),
        sse({"type": "tool-call-start", "delta": {"message": {"tool_calls": {}}}}),
        sse({"type": "tool-call-start", "index": 0, "delta": {"message": {"tool_calls": []}}}),
        b"data: " + b"x" * (17 * 1024 * 1024),
    ],
)
def test_bytes_that_are_not_the_protocol_are_a_failure(data: bytes) -> None:
    """It is said at once, with the provider's name."""
    assert DIALECT.chat is not None
    with pytest.raises(UpstreamFailure, match="Cohere") as caught:
        DIALECT.chat.stream(context()).feed(data)

    assert caught.value.status == 502


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["type", "index", "delta", "message", "content", "text", "tool_calls", "function", "citations"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)
_TYPES = ("message-start", "content-start", "content-delta", "tool-plan-delta", "tool-call-start", "tool-call-delta", "tool-call-end", "citation-start", "message-end")  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(events=st.lists(st.tuples(st.sampled_from(_TYPES), _JSON, st.integers(0, 1) | st.none()), max_size=5))
def test_odd_events_raise_nothing_but_upstream_failures(events: list[tuple[str, Any, Any]]) -> None:
    """Whatever stands where the protocol has something else."""
    assert DIALECT.chat is not None
    data = sse(*({"type": kind, "delta": delta, "index": index} for kind, delta, index in events))
    try:
        drive(DIALECT.chat.stream(context()), [data])
    except UpstreamFailure:
        pass
