"""Streams: order of chunks, thinking, calls, usage, ends that are none."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from compatgw.dialects.blocks.thoughts import origin
from compatgw.errors import StreamInterrupted, UpstreamFailure

from .claude_answers import (
    USAGE,
    called,
    closed,
    delta,
    deltas,
    ended,
    event,
    opened,
    pieces,
    start,
    streamed,
    text,
    texted,
    thinking,
    thought,
    use,
)
from .claude_asking import codec, context, encode, target, tool

PARIS, OSLO = '{"city":"Paris"}', '{"city":"Oslo"}'


def test_the_worked_example() -> None:
    """Of the wire document: text and two calls, with a ping and an empty fragment between."""
    opener = {"type": "tool_use", "name": "get_weather", "input": {}}
    chunks = [
        piece.chunk
        for piece in pieces(
            start(),
            opened(0, text("")),
            event("ping"),
            delta(0, "text_delta", text="Checking both."),
            closed(0),
            opened(1, {**opener, "id": "toolu_a"}),
            delta(1, "input_json_delta", partial_json=""),
            delta(1, "input_json_delta", partial_json=PARIS),
            closed(1),
            opened(2, {**opener, "id": "toolu_b"}),
            delta(2, "input_json_delta", partial_json=OSLO),
            closed(2),
            ended("tool_use", {"input_tokens": 11, "output_tokens": 7}),
        )
    ]
    frame = {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 1_780_000_000,
        "model": "claude-sonnet-5-5",
    }

    def chunk(delta: Any, finish: str | None = None) -> Any:
        return {**frame, "choices": [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}]}

    def opening(index: int, id: str) -> Any:
        call = {"index": index, "id": id, "type": "function", "function": {"name": "get_weather", "arguments": ""}}
        return chunk({"tool_calls": [call]})

    def fragment(index: int, arguments: str) -> Any:
        return chunk({"tool_calls": [{"index": index, "function": {"arguments": arguments}}]})

    assert chunks == [
        chunk({"role": "assistant", "content": ""}),
        chunk({"content": "Checking both."}),
        opening(0, "toolu_a"),
        fragment(0, PARIS),
        opening(1, "toolu_b"),
        fragment(1, OSLO),
        chunk({}, "tool_calls"),
        {
            **frame,
            "choices": [],
            "usage": {
                "prompt_tokens": 11,
                "completion_tokens": 7,
                "total_tokens": 18,
                "prompt_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
            },
        },
    ]


def test_thinking_then_text_then_a_call() -> None:
    """Each in its own members, with the signature in the entry of its block."""
    found = streamed(
        start(),
        thought(0, "Let me", " see", signature="s1"),
        texted(1, "Hi"),
        called(2, "toolu_a", PARIS),
        ended("tool_use"),
    )
    answer = found["choices"][0]["message"]

    assert (answer["reasoning_content"], answer["reasoning"], answer["content"]) == ("Let me see", "Let me see", "Hi")
    assert answer["reasoning_details"] == [
        {
            "index": 0,
            "type": "reasoning.text",
            "format": "anthropic-claude-v1",
            "id": origin(target()),
            "text": "Let me see",
            "signature": "s1",
        }
    ]
    assert found["choices"][0]["finish_reason"] == "tool_calls"


def test_several_thinking_blocks_keep_apart() -> None:
    """Between calls, without text, and encrypted."""
    found = streamed(
        start(),
        thought(0, "One", signature="s1"),
        opened(1, {"type": "redacted_thinking", "data": "ZA"}),
        closed(1),
        texted(2, "Hi"),
        thought(3, signature="s2"),
        called(4, "toolu_a"),
        ended("tool_use"),
    )
    details = found["choices"][0]["message"]["reasoning_details"]

    assert [(e["index"], e["type"], e.get("text"), e.get("signature"), e.get("data")) for e in details] == [
        (0, "reasoning.text", "One", "s1", None),
        (1, "reasoning.encrypted", None, None, "ZA"),
        (2, "reasoning.text", None, "s2", None),
    ]
    assert {e["format"] for e in details} == {"anthropic-claude-v1"}


def test_the_last_signature_counts() -> None:
    """It overwrites, it is not added to."""
    block = (
        opened(0, thinking("", ""))
        + delta(0, "signature_delta", signature="s1")
        + delta(0, "signature_delta", signature="s2")
    )
    found = streamed(start(), block, closed(0), texted(1, "Hi"), ended())

    assert found["choices"][0]["message"]["reasoning_details"][0]["signature"] == "s2"


def test_hidden_thinking_keeps_its_signature() -> None:
    """As in a whole answer."""
    found = streamed(
        start(), thought(0, "Secret", signature="s1"), texted(1, "Hi"), ended(), asked=context(hidden=True)
    )
    answer = found["choices"][0]["message"]

    assert "Secret" not in str(found)
    assert answer["reasoning_details"][0]["signature"] == "s1"


def test_the_beginning_of_a_block_may_hold_some_of_it() -> None:
    """Text, thinking, a whole input."""
    found = streamed(
        start(),
        opened(0, thinking("Hm", "s1")),
        closed(0),
        opened(1, text("Hi")),
        delta(1, "text_delta", text=" there"),
        closed(1),
        opened(2, use(city="Paris")),
        closed(2),
        ended("tool_use"),
    )
    answer = found["choices"][0]["message"]

    assert (answer["reasoning"], answer["content"]) == ("Hm", "Hi there")
    assert answer["tool_calls"][0]["function"]["arguments"] == PARIS


def test_an_answer_that_was_whole_comes_with_its_first_event() -> None:
    """Calls out of code that the vendor runs are streamed so."""
    body = start(content=[use(player="one")], stop_reason="tool_use") + event("message_stop")
    found = streamed(body)["choices"][0]

    assert found["message"]["tool_calls"][0]["function"]["arguments"] == '{"player":"one"}'
    assert found["finish_reason"] == "tool_calls"


@pytest.mark.parametrize("fragments", [(), ("",)])
def test_a_call_without_arguments_gets_an_empty_object(fragments: tuple[str, ...]) -> None:
    """Clients parse what they get."""
    found = streamed(start(), called(0, "toolu_a", *fragments), ended("tool_use"))

    assert found["choices"][0]["message"]["tool_calls"][0]["function"]["arguments"] == "{}"


def test_a_call_that_was_cut_off_stays_as_it_is() -> None:
    """Nothing is made up; the finish reason tells."""
    found = streamed(start(), called(0, "toolu_a", '{"city":"Pa'), ended("max_tokens"))["choices"][0]

    assert found["message"]["tool_calls"][0]["function"]["arguments"] == '{"city":"Pa'
    assert found["finish_reason"] == "length"


@pytest.mark.parametrize(
    ("stop", "expected"),
    [
        ("end_turn", "stop"),
        ("stop_sequence", "stop"),
        ("pause_turn", "stop"),
        ("compaction", "stop"),
        ("from_tomorrow", "stop"),
        ("max_tokens", "length"),
        ("model_context_window_exceeded", "length"),
        ("refusal", "content_filter"),
        ("tool_use", "stop"),
    ],
)
def test_finish_reasons_of_streams(stop: str, expected: str) -> None:
    """The same as of whole answers."""
    assert streamed(start(), texted(0, "a"), ended(stop))["choices"][0]["finish_reason"] == expected


def test_a_refusal_in_a_stream_says_why() -> None:
    """In the member that clients read."""
    found = streamed(start(), ended("refusal", stop_details={"type": "refusal", "explanation": "Blocked."}))["choices"][
        0
    ]

    assert (found["message"]["refusal"], found["finish_reason"]) == ("Blocked.", "content_filter")


def test_usage_is_merged_over_the_events() -> None:
    """The last word on each number counts, and a null is no word."""
    usage = {
        "output_tokens": 9,
        "input_tokens": None,
        "cache_read_input_tokens": 4,
        "output_tokens_details": {"thinking_tokens": 2},
    }
    found = streamed(start(), texted(0, "a"), ended(usage=usage))["usage"]

    assert (found["prompt_tokens"], found["completion_tokens"], found["total_tokens"]) == (15, 9, 24)
    assert found["prompt_tokens_details"]["cached_tokens"] == 4
    assert found["completion_tokens_details"]["reasoning_tokens"] == 2


def test_the_service_tier_is_on_every_chunk() -> None:
    """As OpenAI has it."""
    chunks = pieces(start(usage={**USAGE, "service_tier": "priority"}), texted(0, "a"), ended())

    assert {piece.chunk.get("service_tier") for piece in chunks} == {"priority"}


def test_citations_come_when_their_text_is_whole() -> None:
    """With the place of the text in the answer."""
    web = {"type": "web_search_result_location", "url": "https://x.test/1", "title": "One", "cited_text": "c"}
    block = opened(1, text("")) + delta(1, "citations_delta", citation=web) + delta(1, "text_delta", text="this")
    found = streamed(start(), texted(0, "See "), block, closed(1), ended())["choices"][0]["message"]["annotations"]

    assert [entry["url_citation"] for entry in found] == [
        {"start_index": 4, "end_index": 8, "title": "One", "url": "https://x.test/1"}
    ]


def test_the_vendors_own_tools_stay_out_of_the_stream() -> None:
    """With their fragments."""
    server = {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {}}
    found = deltas(
        start(),
        opened(0, server) + delta(0, "input_json_delta", partial_json='{"query":"q"}') + closed(0),
        opened(1, {"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": []}) + closed(1),
        texted(2, "Hi"),
        ended(),
    )

    assert found == [{"role": "assistant", "content": ""}, {"content": "Hi"}]


def test_what_is_not_known_is_skipped() -> None:
    """Events, blocks and deltas from tomorrow; a trailing end mark of another vendor."""
    found = deltas(
        start(),
        event("from_tomorrow", index=0),
        opened(0, {"type": "from_tomorrow"}),
        delta(0, "from_tomorrow", text="no"),
        closed(0),
        texted(1, "Hi"),
        ended(),
        b"data: [DONE]\n\n",
    )

    assert found == [{"role": "assistant", "content": ""}, {"content": "Hi"}]


def test_names_of_events_are_not_needed() -> None:
    """The type stands in the data as well."""
    body = b"".join([start(), texted(0, "Hi"), ended()])
    without = b"\n".join(line for line in body.split(b"\n") if not line.startswith(b"event:"))

    assert streamed(without) == streamed(body)


# --- what the request left in the memo -------------------------------------------------------


def test_names_come_back_in_streams() -> None:
    """As the caller gave them."""
    outgoing = encode(tools=[tool("my tool")])
    sent = orjson.loads(outgoing.body)["tools"][0]["name"]
    found = streamed(start(), called(0, "toolu_a", PARIS, name=sent), ended("tool_use"), asked=context(outgoing))

    assert found["choices"][0]["message"]["tool_calls"][0]["function"]["name"] == "my tool"


def test_custom_and_function_calls_count_together() -> None:
    """The input of a custom tool comes in one piece, unwrapped."""
    body = [
        start(),
        called(0, "toolu_a", '{"inp', 'ut":"ls', ' -l"}', name="sh"),
        called(1, "toolu_b", PARIS),
        ended("tool_use"),
    ]

    assert deltas(*body, asked=context(custom=("sh",)))[1:] == [
        {"tool_calls": [{"index": 0, "id": "toolu_a", "type": "custom", "custom": {"name": "sh", "input": ""}}]},
        {"tool_calls": [{"index": 0, "custom": {"input": "ls -l"}}]},
        {
            "tool_calls": [
                {"index": 1, "id": "toolu_b", "type": "function", "function": {"name": "get_weather", "arguments": ""}}
            ]
        },
        {"tool_calls": [{"index": 1, "function": {"arguments": PARIS}}]},
    ]


def test_a_custom_input_that_was_cut_off_is_given_as_it_is() -> None:
    """It is no JSON any more."""
    body = [start(), called(0, "toolu_a", '{"input":"ls', name="sh"), ended("max_tokens")]

    assert deltas(*body, asked=context(custom=("sh",)))[-1]["tool_calls"][0]["custom"]["input"] == '{"input":"ls'


def test_the_oldest_form_streams_one_call() -> None:
    """As `function_call`."""
    body = [start(), called(0, "toolu_a", PARIS), called(1, "toolu_b", OSLO), ended("tool_use")]
    found = deltas(*body, asked=context(legacy=True))

    assert found[1:] == [
        {"function_call": {"name": "get_weather", "arguments": ""}},
        {"function_call": {"arguments": PARIS}},
    ]
    assert streamed(*body, asked=context(legacy=True))["choices"][0]["finish_reason"] == "function_call"


def test_an_answer_through_a_tool_streams_as_text() -> None:
    """Fragment by fragment; text before it would spoil the JSON."""
    body = [start(), texted(0, "Here: "), called(1, "toolu_a", '{"a"', ":1}", name="json_response"), ended("tool_use")]
    asked = context(json_tool="json_response")

    assert deltas(*body, asked=asked)[1:] == [{"content": '{"a"'}, {"content": ":1}"}]
    assert streamed(*body, asked=asked)["choices"][0]["finish_reason"] == "stop"


def test_text_is_the_answer_where_the_tool_for_it_was_not_called() -> None:
    """Late, but whole."""
    body = [start(), texted(0, "I ", "cannot."), ended()]

    assert deltas(*body, asked=context(json_tool="json_response"))[1:] == [{"content": "I cannot."}]


def test_a_fence_is_taken_off_a_streamed_object() -> None:
    """Wherever its characters are cut."""
    said = '```json\n{"a": "``"}\n```'
    for size in (1, 2, 5, 100):
        parts = [said[at : at + size] for at in range(0, len(said), size)]
        found = streamed(start(), texted(0, *parts), ended(), asked=context(json_object=True))
        assert found["choices"][0]["message"]["content"] == '{"a": "``"}'


# --- ends that are none ----------------------------------------------------------------------


def test_done_is_known_at_the_last_event() -> None:
    """What comes behind it is not read."""
    decoder = codec().stream(context())
    decoder.feed(start() + texted(0, "Hi"))
    assert not decoder.done
    decoder.feed(ended())
    assert decoder.done
    assert decoder.feed(b"data: {\n\n") == []
    assert decoder.finish() == []


@pytest.mark.parametrize(
    "body",
    [
        b"",
        start(),
        start() + texted(0, "Hi"),
        start() + texted(0, "Hi") + ended().partition(b"event: message_stop")[0],
        start() + texted(0, "Hi") + event("message_stop"),
        start() + texted(0, "Hi") + ended(None),
        start() + b'event: content_block_delta\ndata: {"type":"content_blo',
        start() + texted(0, "Hi") + start(id="msg_2") + texted(0, "Ho") + ended(),
        start() + called(0, "toolu_a", "{") + start(id="msg_2") + ended(),
    ],
    ids=[
        "nothing",
        "no content",
        "no end",
        "no stop",
        "no reason",
        "null reason",
        "half an event",
        "two texts",
        "two calls",
    ],
)
def test_a_stream_that_is_not_whole_is_interrupted(body: bytes) -> None:
    """Half an answer is never given out as a whole one."""
    with pytest.raises(StreamInterrupted) as caught:
        pieces(body)
    assert (caught.value.status, caught.value.code) == (502, "upstream_stream_interrupted")


def test_a_beginning_that_is_said_twice_is_one() -> None:
    """As long as nothing was shown that a second answer would contradict."""
    again = start() + thought(0, "Hm") + start() + thought(0, "So") + texted(1, "Hi") + ended()
    found = streamed(again)["choices"][0]["message"]

    assert (found["content"], found["reasoning"]) == ("Hi", "HmSo")
    assert len(found["reasoning_details"]) == 2


@pytest.mark.parametrize(
    ("kind", "status", "code"),
    [
        ("overloaded_error", 503, "upstream_unavailable"),
        ("rate_limit_error", 429, "upstream_rate_limited"),
        ("api_error", 502, "upstream_error"),
        ("timeout_error", 504, "upstream_timeout"),
        ("invalid_request_error", 400, "invalid_value"),
        ("from_tomorrow", 502, "upstream_error"),
    ],
)
@pytest.mark.parametrize("named", [True, False])
def test_an_error_event_is_judged(kind: str, status: int, code: str, named: bool) -> None:
    """By its type; with or without its event line, and even as the last half line."""
    error = event("error", error={"type": kind, "message": "Sorry"})
    body = error if named else error.partition(b"\n")[2]
    for end in (body, body.rstrip(b"\n")):
        with pytest.raises(UpstreamFailure) as caught:
            pieces(start(), texted(0, "Hi"), end)
        assert (caught.value.status, caught.value.code) == (status, code)


def test_an_error_without_a_type_is_an_error() -> None:
    """As servers that imitate this protocol write it."""
    with pytest.raises(UpstreamFailure) as caught:
        pieces(start(), b'data: {"error":{"message":"Sorry","code":"rate_limit_exceeded"}}\n\n')
    assert caught.value.status == 429


@pytest.mark.parametrize("data", [b"data: {\n\n", b"data: []\n\n", b"data: null\n\n", b"event: x\ndata: <html>\n\n"])
def test_events_that_are_no_objects_are_an_upstream_failure(data: bytes) -> None:
    """502."""
    with pytest.raises(UpstreamFailure) as caught:
        pieces(start(), data)
    assert caught.value.status == 502


def test_an_endless_event_is_an_upstream_failure() -> None:
    """Memory stays bounded."""
    with pytest.raises(UpstreamFailure):
        pieces(start(), b"data: " + b"x" * (17 * 1024 * 1024))


def test_values_of_a_wrong_type_do_no_harm() -> None:
    """They are left out."""
    found = streamed(
        event("message_start", message=None),
        start(id=7, model=None, usage="x", content=["x"]),
        event("content_block_start", index="0", content_block=[]),
        event("content_block_delta", index=0, delta="x"),
        event("content_block_delta", index=0, delta={"type": "text_delta", "text": 5}),
        event("content_block_delta", index=0, delta={"type": "thinking_delta", "thinking": "Hm"}),
        event("content_block_delta", index=5, delta={"type": "citations_delta", "citation": 1}),
        event("content_block_stop", index=0),
        texted(0, "Hi"),
        event("message_delta", delta=[], usage={"output_tokens": "x"}),
        ended(),
    )

    assert found["id"] == "chatcmpl-ours"
    assert found["choices"][0]["message"]["content"] == "Hi"
