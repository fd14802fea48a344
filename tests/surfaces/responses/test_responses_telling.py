"""Answers told to a client of Responses: items, events and their order, judged by the documented grammar and the SDK."""

from __future__ import annotations

import json
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openai.types.responses import Response

from compatgw.dialects.assemble import chunks, completion
from compatgw.dialects.base import Piece
from compatgw.errors import RateLimited, StreamInterrupted
from compatgw.surfaces.responses.thoughts import opened

from .grammar import check_events, events_of
from .reading import accumulated, raw_events
from .telling import USAGE, face, more, opener, piece, request, told, usage, whole_of

DONE = (piece({}, "stop"), usage())


def final(body: bytes) -> dict[str, Any]:
    """The response of the last event, of a stream that is as it should be."""
    found: dict[str, Any] = check_events(body)[-1]["response"]
    assert accumulated(body)["id"] == found["id"]
    raw_events(body)
    return found


def kinds(body: bytes) -> list[str]:
    """Types of the events between the first two and the last."""
    return [event["type"].removeprefix("response.") for event in events_of(body)][2:-1]


# --- items -----------------------------------------------------------------------------------


def test_text_is_a_message() -> None:
    """Each piece an event, in the documented order."""
    body = told(piece({"role": "assistant", "content": ""}), piece({"content": "Hel"}), piece({"content": "lo"}), *DONE)
    assert kinds(body) == [
        "output_item.added", "content_part.added", "output_text.delta", "output_text.delta", "output_text.done",
        "content_part.done", "output_item.done",
    ]  # fmt: skip
    response = final(body)
    part = {"type": "output_text", "text": "Hello", "annotations": [], "logprobs": []}
    message = {"type": "message", "id": "msg_cgww0rd00", "role": "assistant", "status": "completed", "content": [part]}
    assert response["output"] == [message]
    assert response["id"] == "resp_w0rd"
    assert (response["created_at"], response["model"], response["status"]) == (9, "up-1", "completed")
    assert response["usage"] == {
        "input_tokens": 7,
        "input_tokens_details": {"cached_tokens": 3, "cache_write_tokens": 0},
        "output_tokens": 5,
        "output_tokens_details": {"reasoning_tokens": 2},
        "total_tokens": 12,
    }


def test_reasoning_comes_first_and_carries_what_has_to_come_back() -> None:
    """A summary, and a seal over signatures, which a request opens again."""
    detail = {"index": 0, "type": "reasoning.text", "text": "hm", "format": "anthropic-claude-v1"}
    body = told(
        piece({"reasoning_content": "hm", "reasoning": "hm", "reasoning_details": [detail]}),
        piece({"reasoning_details": [{"index": 0, "type": "reasoning.text", "signature": "sig"}]}),
        piece({"content": "yes"}),
        *DONE,
    )
    response = final(body)
    thought, message = response["output"]
    assert thought["summary"] == [{"type": "summary_text", "text": "hm"}]
    assert opened(thought["encrypted_content"]) == {"details": [{**detail, "signature": "sig"}]}
    assert message["content"][0]["text"] == "yes"
    again = request(input=[{"role": "user", "content": "hi"}, thought, message]).request["messages"]
    assert again[1]["reasoning_details"] == [{**detail, "signature": "sig"}]


def test_signatures_of_calls_stand_before_them() -> None:
    """Without text, in an item of their own; they find their call again."""
    extra = {"google": {"thought_signature": "s"}}
    body = told(opener(0, extra_content=extra), more(0, "{}"), opener(1), more(1, '{"a":1}'), piece({}, "tool_calls"))
    response = final(body)
    assert [item["type"] for item in response["output"]] == ["reasoning", "function_call", "function_call"]
    items = [{"role": "user", "content": "hi"}, *response["output"]]
    turn = request(input=items).request["messages"][1]
    assert turn["tool_calls"][0]["extra_content"] == extra
    assert "extra_content" not in turn["tool_calls"][1]


def test_reasoning_is_left_out_when_nobody_wants_it() -> None:
    """`gateway.reasoning.exclude`: neither text nor seal."""
    parsed = request(gateway={"reasoning": {"exclude": True}})
    detail = {"index": 0, "type": "reasoning.encrypted", "data": "x"}
    body = told(
        piece({"reasoning_content": "hm", "reasoning_details": [detail]}), piece({"content": "y"}), *DONE, parsed=parsed
    )
    assert [item["type"] for item in final(body)["output"]] == ["message"]


def test_calls_follow_each_other() -> None:
    """Each with its own id, its call's id, and whole arguments."""
    response = final(
        told(opener(0), more(0, '{"a":'), more(0, "1}"), opener(1, "g"), more(1, "{}"), piece({}, "tool_calls"))
    )
    assert [(i["type"], i["call_id"], i["name"], i["arguments"]) for i in response["output"]] == [
        ("function_call", "call_0", "f", '{"a":1}'),
        ("function_call", "call_1", "g", "{}"),
    ]
    assert len({item["id"] for item in response["output"]}) == 2
    assert response["status"] == "completed"


def test_calls_that_are_written_at_one_time_are_told_one_after_the_other() -> None:
    """The first as it comes; the second once the first is whole."""
    pieces = [
        opener(0),
        opener(1, "g"),
        more(0, '{"a"'),
        more(1, '{"b"'),
        more(0, ":1}"),
        more(1, ":2}"),
        piece({}, "tool_calls"),
    ]
    teller = face()
    early = teller.events(pieces[:4])
    assert b'"call_1"' not in early
    assert b'{\\"a\\"' in early
    late = teller.events(pieces[4:6])
    assert b'"call_1"' in late, "it does not wait for the end of the answer"
    response = final(told(*pieces))
    assert [item["arguments"] for item in response["output"]] == ['{"a":1}', '{"b":2}']


def test_a_custom_tool_gets_its_text() -> None:
    """The one argument of the function that stood for it; what is no such argument is told as it is."""
    parsed = request(tools=[{"type": "custom", "name": "patch"}, {"type": "function", "name": "f"}])
    body = told(
        opener(0, "patch"), more(0, '{"input":"*** Be'), more(0, 'gin\\n"}'), opener(1, "patch"), more(1, "just text"),
        piece({}, "tool_calls"), parsed=parsed,
    )  # fmt: skip
    response = final(body)
    assert [(i["type"], i["input"]) for i in response["output"]] == [
        ("custom_tool_call", "*** Begin\n"),
        ("custom_tool_call", "just text"),
    ]
    assert response["output"][0]["id"].startswith("ctc_")


def test_custom_calls_of_an_upstream_that_has_them() -> None:
    """Their input is text, told as it comes."""
    call = {"index": 0, "id": "c", "type": "custom", "custom": {"name": "patch", "input": "a"}}
    body = told(
        piece({"tool_calls": [call]}),
        piece({"tool_calls": [{"index": 0, "custom": {"input": "b"}}]}),
        piece({}, "tool_calls"),
    )
    assert kinds(body).count("custom_tool_call_input.delta") == 2
    assert final(body)["output"][0]["input"] == "ab"


def test_the_callers_shell_gets_a_command() -> None:
    """As the item that this tool has; what is no command is told as a call."""
    parsed = request(tools=[{"type": "local_shell"}])
    arguments = '{"command":["ls","-l"],"timeout_ms":9}'
    response = final(told(opener(0, "local_shell"), more(0, arguments), piece({}, "tool_calls"), parsed=parsed))
    (item,) = response["output"]
    assert (item["type"], item["call_id"], item["status"]) == ("local_shell_call", "call_0", "completed")
    assert item["action"]["command"] == ["ls", "-l"]
    again = request(
        tools=[{"type": "local_shell"}],
        input=[
            {"role": "user", "content": "x"},
            item,
            {"type": "local_shell_call_output", "id": "call_0", "output": "a"},
        ],
    ).request["messages"]
    assert json.loads(again[1]["tool_calls"][0]["function"]["arguments"]) == json.loads(arguments)
    assert again[2] == {"role": "tool", "tool_call_id": "call_0", "content": "a"}
    response = final(told(opener(0, "local_shell"), more(0, '{"cmd":1}'), piece({}, "tool_calls"), parsed=parsed))
    assert [(i["type"], i["arguments"]) for i in response["output"]] == [("function_call", '{"cmd":1}')]


def test_tools_of_a_namespace_are_told_by_it() -> None:
    """Under the name that the caller gave them."""
    tools = [
        {"type": "function", "name": "f"},
        {"type": "namespace", "name": "ns", "tools": [{"type": "function", "name": "f"}]},
    ]
    response = final(told(opener(0, "ns__f"), more(0, "{}"), piece({}, "tool_calls"), parsed=request(tools=tools)))
    assert [(i["name"], i["namespace"]) for i in response["output"]] == [("f", "ns")]


def test_refusals_are_parts_of_their_own() -> None:
    """Text and a refusal in one message."""
    response = final(told(piece({"content": "well"}), piece({"refusal": "n"}), piece({"refusal": "o"}), *DONE))
    parts = response["output"][0]["content"]
    assert [part.get("text") or part.get("refusal") for part in parts] == ["well", "no"]


def test_citations_lie_flat() -> None:
    """A chat's nest under their type; kinds that nobody knows are left out."""
    cited = {
        "type": "url_citation",
        "url_citation": {"url": "https://x.test", "title": "X", "start_index": 1, "end_index": 2},
    }
    body = told(piece({"content": "see"}), piece({"annotations": [{"index": 0, **cited}, {"type": "odd"}]}), *DONE)
    assert final(body)["output"][0]["content"][0]["annotations"] == [
        {"type": "url_citation", "url": "https://x.test", "title": "X", "start_index": 1, "end_index": 2}
    ]


def test_logprobs_stand_with_their_text() -> None:
    """In the deltas and in the part; bytes are filled in."""
    entry = {"token": "é", "bytes": None, "logprob": -0.5, "top_logprobs": [{"token": "e", "logprob": -1.0}]}
    body = told(piece({"content": "é"}, logprobs={"content": [entry], "refusal": None}), *DONE)
    want = {
        "token": "é",
        "bytes": [195, 169],
        "logprob": -0.5,
        "top_logprobs": [{"token": "e", "bytes": [101], "logprob": -1.0}],
    }
    assert final(body)["output"][0]["content"][0]["logprobs"] == [want]


def test_images_are_items() -> None:
    """A data URL is the result of a picture's call; a link is told as text."""
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
    link = {"type": "image_url", "image_url": {"url": "https://x.test/a.png"}}
    response = final(told(piece({"images": [image, link]}), *DONE))
    assert [(i["type"], i.get("result")) for i in response["output"]] == [
        ("image_generation_call", "AAAA"),
        ("message", None),
    ]
    assert "https://x.test/a.png" in response["output"][1]["content"][0]["text"]


@pytest.mark.parametrize(("finish", "reason"), [("length", "max_output_tokens"), ("content_filter", "content_filter")])
def test_an_answer_that_was_cut_is_incomplete(finish: str, reason: str) -> None:
    """Its status, why, its last item, and the event that ends it."""
    body = told(piece({"content": "a"}), opener(0), more(0, '{"a'), piece({}, finish), usage())
    response = final(body)
    assert (response["status"], response["incomplete_details"]) == ("incomplete", {"reason": reason})
    assert [item["status"] for item in response["output"]] == ["completed", "incomplete"]
    assert events_of(body)[-1]["type"] == "response.incomplete"


def test_an_answer_without_anything() -> None:
    """No items at all, and still a sound stream."""
    assert final(told(piece({"role": "assistant", "content": ""}), *DONE))["output"] == []


# --- the response ----------------------------------------------------------------------------


def test_the_request_is_repeated() -> None:
    """With what OpenAI fills in where nothing was said."""
    plain = orjson.loads(face().whole(whole_of({"content": "x"})))
    Response.model_validate(plain)
    assert {name: plain[name] for name in ("store", "temperature", "top_p", "tool_choice", "parallel_tool_calls", "truncation")} == {
        "store": True, "temperature": 1.0, "top_p": 1.0, "tool_choice": "auto", "parallel_tool_calls": True, "truncation": "disabled",
    }  # fmt: skip
    assert plain["text"] == {"format": {"type": "text"}, "verbosity": "medium"}
    schema = {"type": "json_schema", "name": "n", "schema": {"type": "object"}}
    tool = {"type": "function", "name": "f", "parameters": {"type": "object"}}
    asked: dict[str, Any] = {
        "instructions": "i", "temperature": 0.5, "metadata": {"a": "b"}, "store": False, "max_output_tokens": 50, "user": "u",
        "reasoning": {"effort": "low", "summary": "auto"}, "text": {"format": schema, "verbosity": "low"}, "tools": [tool],
        "tool_choice": {"type": "function", "name": "f"}, "previous_response_id": "resp_0",
    }  # fmt: skip
    full = orjson.loads(face(request(**asked)).whole(whole_of({"content": "x"})))
    Response.model_validate(full)
    for name in asked.keys() - {"text", "tools"}:
        assert full[name] == asked[name], name
    assert full["text"]["format"]["schema"] == {"type": "object"}
    assert full["tools"] == [{**tool, "description": None, "strict": None}]


def test_the_model_is_the_one_that_was_asked_for_under_echo() -> None:
    """In a whole answer and in each event."""
    assert orjson.loads(face(echo=True).whole(whole_of({"content": "x"})))["model"] == "m"
    teller = face(echo=True)
    body = teller.events([piece({"content": "x"}), *DONE]) + teller.end()
    assert {event["response"]["model"] for event in events_of(body) if "response" in event} == {"m"}


def test_what_it_costs_is_told() -> None:
    """As the hub's usage has it."""
    assert final(told(piece({"content": "x"}), piece({}, "stop"), usage(cost=0.5)))["usage"]["cost"] == 0.5


def test_a_response_that_was_not_kept_says_so() -> None:
    """`store` is false in the whole answer and in the last event."""
    teller = face()
    answer = whole_of({"content": "x"})
    found = teller.response(answer)
    assert found is not None
    assert found["store"] is True
    teller.unkept()
    assert orjson.loads(teller.whole(answer))["store"] is False
    teller = face()
    body = teller.events([piece({"content": "x"}), *DONE])
    teller.unkept()
    assert events_of(body + teller.end())[-1]["response"]["store"] is False


def test_usage_may_be_unknown() -> None:
    """Then it is null."""
    assert final(told(piece({"content": "x"}), piece({}, "stop")))["usage"] is None


# --- failures --------------------------------------------------------------------------------


def test_a_stream_that_broke_ends_as_failed() -> None:
    """With the error, what was whole before it, and no other end; the SDK's accumulator has no final response."""
    teller = face()
    body = teller.events([opener(0), more(0, "{}"), opener(1), piece({"content": "par"})])
    body += teller.failed(StreamInterrupted("It broke."))
    events = events_of(body)
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    assert events[-1]["type"] == "response.failed"
    response = events[-1]["response"]
    assert response["status"] == "failed"
    assert response["error"] == {"code": "upstream_stream_interrupted", "message": "It broke."}
    assert b"response.completed" not in body
    assert accumulated(body)["status"] == "failed"


def test_a_stream_that_broke_at_once() -> None:
    """The response is created before it fails: clients insist."""
    teller = face()
    events = events_of(teller.failed(RateLimited("Slow down.", kind="requests", retry_after=1)))
    assert [event["type"] for event in events] == ["response.created", "response.in_progress", "response.failed"]
    assert events[-1]["response"]["error"]["code"] == "rate_limit_exceeded"


# --- an upstream's own -----------------------------------------------------------------------


def frame(kind: str, number: int, **members: Any) -> bytes:
    """A frame as the native codec writes it."""
    return f"event: {kind}\ndata: {json.dumps({'type': kind, 'sequence_number': number, **members})}\n\n".encode()


def native(data: bytes) -> Piece:
    """A piece that only carries a frame."""
    return Piece(piece({}).chunk, native=data)


RESPONSE = {"id": "resp_up", "object": "response", "status": "in_progress", "model": "up-1", "output": []}
ENDED = {**RESPONSE, "status": "completed"}
FRAMES = [
    frame("response.created", 0, response=RESPONSE),
    frame("response.output_item.added", 1, output_index=0, item={"type": "web_search_call", "id": "ws_1"}),
    frame("response.completed", 2, response=ENDED),
]


def test_an_upstreams_frames_go_on_untouched() -> None:
    """The last one is held back until the end is known."""
    teller = face()
    body = teller.events([native(one) for one in FRAMES])
    assert body == FRAMES[0] + FRAMES[1]
    assert teller.response() == ENDED
    assert teller.passes
    assert teller.end() == FRAMES[2]


def test_an_upstreams_frames_change_where_it_cannot_know() -> None:
    """The response before, the model under echo, and that it was not kept."""
    teller = face(request(previous_response_id="resp_0"), echo=True)
    body = teller.events([native(one) for one in FRAMES])
    teller.unkept()
    events = events_of(body + teller.end())
    for event in (events[0], events[2]):
        assert event["response"]["previous_response_id"] == "resp_0"
        assert event["response"]["model"] == "m"
    assert events[2]["response"]["store"] is False
    assert (
        frame("response.output_item.added", 1, output_index=0, item={"type": "web_search_call", "id": "ws_1"}) in body
    )


def test_an_upstreams_stream_that_broke_fails_under_its_own_id() -> None:
    """And its numbers go on."""
    teller = face()
    teller.events([native(one) for one in FRAMES[:2]])
    (event,) = events_of(teller.failed(StreamInterrupted("It broke.")))
    assert (event["type"], event["sequence_number"], event["response"]["id"]) == ("response.failed", 2, "resp_up")
    assert event["response"]["status"] == "failed"


# --- any stream ------------------------------------------------------------------------------

TEXT = st.text("abé\n ", min_size=1, max_size=6)
OBJECTS = st.dictionaries(st.text("ab", max_size=2), st.integers() | st.text('ab"}', max_size=3), max_size=2).map(
    json.dumps
)


@st.composite
def streams(draw: st.DrawFn) -> list[Piece]:
    """Any sequence of hub chunks: texts, thoughts, refusals, calls whose pieces are mixed at will."""
    lanes: list[list[Piece]] = [
        [piece({"content": text}) for text in draw(st.lists(TEXT, max_size=3))],
        [piece({"refusal": text}) for text in draw(st.lists(TEXT, max_size=2))],
        [piece({"reasoning_content": text, "reasoning": text}) for text in draw(st.lists(TEXT, max_size=3))],
        [
            piece({"reasoning_details": [{"index": 0, "type": "reasoning.encrypted", "data": text}]})
            for text in draw(st.lists(TEXT, max_size=2))
        ],
    ]
    calls = draw(st.lists(OBJECTS, max_size=3))
    for index, arguments in enumerate(calls):
        places = sorted(draw(st.lists(st.integers(0, len(arguments)), max_size=3)))
        cuts = [arguments[a:b] for a, b in zip([0, *places], [*places, len(arguments)], strict=True)]
        lanes.append([opener(index), *(more(index, part) for part in cuts if part)])
    order = draw(st.permutations([number for number, lane in enumerate(lanes) for _ in lane]))
    heads = [iter(lane) for lane in lanes]
    # Indexes count by first appearance.
    pieces = [piece({"role": "assistant", "content": ""})]
    renumbered: dict[int, int] = {}
    for number in order:
        one = next(heads[number])
        for call in one.chunk["choices"][0]["delta"].get("tool_calls", ()):
            call["index"] = renumbered.setdefault(call["index"], len(renumbered))
        pieces.append(one)
    finish = draw(st.sampled_from(["stop", "length", "content_filter"]))
    return [*pieces, piece({}, "tool_calls" if calls and finish == "stop" else finish), usage()]


def said(response: Any) -> dict[str, Any]:
    """What a response says."""
    parts = [part for item in response["output"] if item["type"] == "message" for part in item["content"]]
    return {
        "text": "".join(part["text"] for part in parts if part["type"] == "output_text"),
        "refusal": "".join(part["refusal"] for part in parts if part["type"] == "refusal"),
        "calls": [(i["call_id"], i["arguments"]) for i in response["output"] if i["type"] == "function_call"],
        "thoughts": "".join(s["text"] for i in response["output"] if i["type"] == "reasoning" for s in i["summary"]),
    }


def meant(pieces: list[Piece]) -> dict[str, Any]:
    """What the hub's own assembler makes of the chunks."""
    message: Any = completion(one.chunk for one in pieces)["choices"][0]["message"]
    return {
        "text": message["content"] or "",
        "refusal": message["refusal"] or "",
        "calls": [(call["id"], call["function"]["arguments"]) for call in message.get("tool_calls", ())],
        "thoughts": message.get("reasoning_content", ""),
    }


@settings(max_examples=150, deadline=None)
@given(streams(), st.booleans())
def test_any_chunks_give_a_sound_stream(pieces: list[Piece], one_by_one: bool) -> None:
    """Gapless, well nested, ids that stay; says what the chunks said, in whatever pieces they came."""
    body = told(*pieces, one_by_one=one_by_one)
    response = check_events(body)[-1]["response"]
    assert said(response) == meant(pieces)
    assert said(accumulated(body)) == meant(pieces)


@settings(max_examples=100, deadline=None)
@given(streams())
def test_a_whole_answer_and_its_stream_say_the_same(pieces: list[Piece]) -> None:
    """Told from the completion, and from the chunks of that completion."""
    answer = completion(one.chunk for one in pieces)
    from_chunks = check_events(told(*chunks(answer)))[-1]["response"]
    whole = orjson.loads(face().whole(whole_of({})._replace(completion=answer)))
    assert whole == from_chunks
    assert whole["usage"]["input_tokens"] == USAGE["prompt_tokens"]
