"""Streams: every sloppiness of OpenAI-like servers becomes chunks that the SDK's accumulator puts together."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from compatgw.dialects import assemble
from compatgw.dialects.base import Piece, Quirks
from compatgw.errors import GatewayError, StreamInterrupted, UpstreamFailure, UpstreamRejected
from tests.properties.judges import assembled, rules

from .sending import CODEC, HEAD, ROLE, STOP, answer, chunk, context, decode, deltas, finish, joined, read, sse

USAGE = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
LAST = {**HEAD, "choices": [], "usage": USAGE}


def text(value: str, **more: Any) -> dict[str, Any]:
    """A chunk of text."""
    return chunk({"content": value}, **more)


def calls(*pieces: dict[str, Any], finish: Any = None) -> dict[str, Any]:
    """A chunk of pieces of tool calls."""
    return chunk({"tool_calls": list(pieces)}, finish)


def opener(index: Any = 0, id: Any = "call_a", name: str = "f", arguments: Any = "") -> dict[str, Any]:
    """The first piece of a tool call; a member that is None is left out."""
    piece = {"index": index, "id": id, "type": "function", "function": {"name": name, "arguments": arguments}}
    return {member: value for member, value in piece.items() if value is not None}


def more(arguments: Any, index: Any = 0, **other: Any) -> dict[str, Any]:
    """A further piece of a tool call."""
    piece = {"index": index, "function": {"arguments": arguments}, **other}
    return {member: value for member, value in piece.items() if value is not None}


def called(data: bytes) -> list[tuple[str, str, str]]:
    """Id, name and arguments of the calls that the SDK puts together from the stream."""
    pieces = read(data)
    rules(pieces)
    found = assembled(pieces)["choices"][0]["message"]["tool_calls"] or []
    return [(call["id"], call["function"]["name"], call["function"]["arguments"]) for call in found]


# --- what passes ---------------------------------------------------------------------------------


def test_canonical_events_are_passed_on_as_their_own_bytes() -> None:
    """All but usage, which waits for the end of the stream."""
    events = [
        ROLE,
        text("Hel"),
        chunk({"content": "lo"}, choice={"logprobs": {"content": [{"token": "lo"}], "refusal": None}}),
        calls(opener()),
        calls(more('{"a":')),
        calls(more("1}")),
        chunk({}, "tool_calls"),
        LAST,
    ]
    pieces = read(sse(*events))

    assert [piece.raw for piece in pieces[:-1]] == [orjson.dumps(event) for event in events[:-1]]
    assert pieces[-1].raw is None
    assert pieces[-1].chunk["usage"] == USAGE
    rules(pieces)


@pytest.mark.parametrize(
    "delta",
    [
        {"refusal": "No."},
        {"audio": {"id": "a", "data": "AA=="}},
        {"function_call": {"name": "f", "arguments": "{}"}},
        {"channel": "final", "content": "x"},
        {"brand_new": 3},
    ],
)
def test_deltas_that_need_nothing_pass(delta: dict[str, Any]) -> None:
    """Also those that nobody here knows."""
    assert deltas(read(sse(ROLE, chunk(delta), STOP)))[1] == delta


def test_top_level_extras_pass() -> None:
    """Padding, tiers, fingerprints and what vendors add."""
    extras = {"obfuscation": "xyz", "service_tier": "default", "system_fingerprint": "fp", "provider": "Y"}
    found = read(sse(ROLE, {**text("Hi"), **extras}, STOP))[1]

    assert found.raw is not None
    assert {name: found.chunk[name] for name in extras} == extras  # type: ignore[literal-required]


def test_several_choices_interleave() -> None:
    """Each with its own role and finish reason."""
    events = [chunk({"role": "assistant", "content": ""}, index=n) for n in (0, 1)]
    events += [chunk({"content": letter}, index=n) for letter in "ab" for n in (0, 1)]
    events += [chunk({}, "stop", index=n) for n in (1, 0)]
    pieces = read(sse(*events))

    rules(pieces)
    assert [c["message"]["content"] for c in assembled(pieces)["choices"]] == ["ab", "ab"]


def test_a_chunk_without_choices_that_says_something_is_passed_on() -> None:
    """OpenAI sends moderation so; Azure's first chunk says nothing that a client asked for."""
    verdict = {**HEAD, "choices": [], "moderation": {"input": {"type": "moderation_results"}}}
    pieces = read(sse(ROLE, text("x"), verdict, STOP, LAST))

    assert pieces[2].chunk["moderation"] == verdict["moderation"]  # type: ignore[typeddict-item]


# --- what is mended (the table of stream variants) ------------------------------------------------

FRAMINGS = {
    "comments": lambda data: b": OPENROUTER PROCESSING\n\n: keep-alive\n\n" + data.replace(b"\n\ndata", b"\n\n: ping\n\ndata"),
    "no space": lambda data: data.replace(b"data: ", b"data:"),
    "CRLF": lambda data: data.replace(b"\n", b"\r\n"),
    "CR": lambda data: data.replace(b"\n", b"\r"),
    "named events": lambda data: data.replace(b"data:", b"event: message\ndata:"),
    "ids": lambda data: data.replace(b"data:", b"id: 7\ndata:"),
    "pings": lambda data: b"event: ping\ndata: {}\n\nevent: ping\ndata: now\n\n" + data,
    "empty data": lambda data: b"data:\n\ndata: null\n\n" + data,
    "no [DONE]": lambda data: data.replace(b"data: [DONE]\n\n", b""),
    "no last blank line": lambda data: data[:-2],
    "data after [DONE]": lambda data: data + sse(text("late"), "data: junk"),
    "[DONE] with white space": lambda data: data.replace(b"[DONE]", b" [DONE] "),
}  # fmt: skip


@pytest.mark.parametrize("framing", FRAMINGS)
def test_framing_makes_no_difference(framing: str) -> None:
    """Comments, spacing, line ends, names of events, and how the stream ends."""
    data = sse(ROLE, text("Hel"), text("lo"), STOP, LAST)
    pieces = read(FRAMINGS[framing](data))

    assert [piece.chunk for piece in pieces] == [piece.chunk for piece in read(data)]
    assert joined(pieces, "content") == "Hello"


USAGES = {
    "its own chunk": [ROLE, text("Hi"), STOP, LAST],
    "the finish chunk": [ROLE, text("Hi"), {**STOP, "usage": USAGE}],
    "x_groq": [ROLE, text("Hi"), {**STOP, "x_groq": {"id": "r", "usage": USAGE}}],
    "a choice": [ROLE, text("Hi"), chunk({}, "stop", choice={"usage": USAGE})],
    "a chunk with an empty delta after finish": [ROLE, text("Hi"), STOP, {**chunk({"role": "assistant", "content": ""}), "usage": USAGE}],
    "every chunk, cumulative": [
        {**ROLE, "usage": {**USAGE, "completion_tokens": 0}},
        {**text("Hi"), "usage": {**USAGE, "completion_tokens": 1}},
        {**STOP, "usage": USAGE},
    ],
    "null until the end": [{**ROLE, "usage": None}, {**text("Hi"), "usage": None}, {**STOP, "usage": None}, LAST],
    "first": [LAST, ROLE, text("Hi"), STOP],
}  # fmt: skip


@pytest.mark.parametrize("place", USAGES)
def test_usage_comes_once_and_last_from_wherever_it_stood(place: str) -> None:
    """In a chunk without choices, as clients know it."""
    pieces = read(sse(*USAGES[place]))

    rules(pieces)
    assert pieces[-1].chunk.get("usage") == USAGE
    assert joined(pieces, "content") == "Hi"
    assert all("usage" not in choice for piece in pieces for choice in piece.chunk["choices"])


def test_the_role_is_said_once() -> None:
    """Repeated in every chunk, or never said."""
    for role in ({"role": "assistant"}, {}):
        pieces = read(sse(*(chunk({**role, "content": letter}) for letter in "Hi"), STOP))
        rules(pieces)
        assert assembled(pieces)["choices"][0]["message"]["role"] == "assistant"
        assert joined(pieces, "content") == "Hi"


def test_identity_is_the_first_that_is_known() -> None:
    """It may change from chunk to chunk, or be empty."""
    changing = [
        {**event, "id": f"c-{n}", "created": n + 7} for n, event in enumerate([ROLE, text("a"), text("b"), STOP])
    ]
    pieces = read(sse(*changing))
    rules(pieces)
    assert (pieces[-1].chunk["id"], pieces[-1].chunk["created"]) == ("c-0", 7)
    empty = [{**event, "id": "", "created": 0, "model": "", "object": ""} for event in (ROLE, text("a"), STOP)]
    pieces = read(sse(*empty))
    rules(pieces)
    assert (pieces[0].chunk["id"], pieces[0].chunk["created"]) == ("chatcmpl-ours", 1_780_000_000)
    assert pieces[0].chunk["model"] == "m"


def test_azures_first_chunk_fixes_nothing() -> None:
    """It has neither id nor choices."""
    first = {"id": "", "object": "", "created": 0, "model": "", "choices": [], "prompt_filter_results": [{}]}
    pieces = read(sse(first, ROLE, text("Hi"), STOP))

    assert [piece.chunk["id"] for piece in pieces] == ["c-1", "c-1", "c-1"]


@pytest.mark.parametrize(
    "event",
    [{**HEAD, "choices": [{"index": 0}]}, {**HEAD, "choices": []}, HEAD, {"type": "ping"}, chunk({"content": ""}), chunk({"content": None}), chunk({"role": "assistant", "content": ""}), {**HEAD, "choices": [{"index": 0, "delta": None}]}],
)  # fmt: skip
def test_chunks_that_say_nothing_are_skipped(event: dict[str, Any]) -> None:
    """No delta, no choices, or nothing but what was said before."""
    pieces = read(sse(ROLE, text("Hi"), event, STOP))

    assert deltas(pieces) == [{"role": "assistant", "content": ""}, {"content": "Hi"}, {}]


def test_a_chunk_with_text_and_finish_reason_is_split() -> None:
    """The finish chunk has an empty delta."""
    pieces = read(sse(ROLE, chunk({"content": "Hi"}, "stop")))

    assert deltas(pieces)[1:] == [{"content": "Hi"}, {}]


@pytest.mark.parametrize(
    ("word", "expected"), [("eos", "stop"), ("model_length", "length"), ("sensitive", "content_filter")]
)
def test_finish_reasons_are_openais(word: str, expected: str) -> None:
    """The same table as for whole answers; an absent or empty one is none."""
    assert finish(read(sse(ROLE, text("Hi", finish=""), chunk({}, word)))) == expected
    bare = {**HEAD, "choices": [{"index": 0, "delta": {"content": "x"}}]}
    assert finish(read(sse(ROLE, bare, chunk({}, word)))) == expected


def test_a_choice_is_over_with_its_first_finish_reason() -> None:
    """Later ones, and what comes after it, are ignored."""
    pieces = read(sse(ROLE, text("Hi"), STOP, chunk({"content": "late"}, "length")))

    rules(pieces)
    assert (finish(pieces), joined(pieces, "content")) == ("stop", "Hi")


def test_a_choice_whose_predecessor_has_not_begun_waits_for_nobody() -> None:
    """Clients index choices: 0 is begun first."""
    events = [
        chunk({"role": "assistant", "content": "b"}, index=1),
        chunk({"content": "a"}),
        STOP,
        chunk({}, "stop", 1),
    ]
    pieces = read(sse(*events))

    rules(pieces)
    assert [c["message"]["content"] for c in assembled(pieces)["choices"]] == ["a", "b"]


def test_a_whole_message_beside_the_delta_is_dropped() -> None:
    """Perplexity repeats all that was said in every chunk."""
    pieces = read(sse(*(chunk({"content": c}, choice={"message": {"content": "Hi"}}, usage=USAGE) for c in "Hi"), STOP))

    assert joined(pieces, "content") == "Hi"
    assert all("message" not in choice for piece in pieces for choice in piece.chunk["choices"])


def test_citations_beside_the_choices_become_annotations_once() -> None:
    """With an index, without which clients cannot join them."""
    events = [{**event, "citations": ["https://x.test"]} for event in (ROLE, text("Hi"), STOP)]
    found = [delta["annotations"] for delta in deltas(read(sse(*events))) if "annotations" in delta]

    assert [[entry["url_citation"]["url"] for entry in entries] for entries in found] == [["https://x.test"]]
    assert found[0][0]["index"] == 0


# --- reasoning -----------------------------------------------------------------------------------

REASONED = {
    "reasoning_content": [chunk({"role": "assistant", "content": None, "reasoning_content": ""}), chunk({"content": None, "reasoning_content": "a"}), chunk({"reasoning_content": "b"})],
    "reasoning": [ROLE, chunk({"reasoning": "a", "channel": "analysis"}), chunk({"content": "", "reasoning": "b"})],
    "in every role": [chunk({"role": "assistant", "content": "", "reasoning": letter}) for letter in "ab"],
    "details": [ROLE, *(chunk({"reasoning_details": [{"type": "reasoning.text", "text": c, "index": 0}]}) for c in "ab")],
    "tags": [ROLE, text("<think>\nab</think>\n\n")],
    "split tags": [ROLE, text("\n"), text("<thi"), text("nk>a"), text("b</th"), text("ink"), text(">"), text("\n")],
    "lists": [ROLE, *(chunk({"content": [{"type": "thinking", "thinking": [{"type": "text", "text": c}]}]}) for c in "ab")],
}  # fmt: skip


@pytest.mark.parametrize("form", REASONED)
def test_reasoning_streams_under_both_names_and_never_in_content(form: str) -> None:
    """However it arrives; empty deltas for it are not written."""
    pieces = read(sse(*REASONED[form], text("4"), STOP))

    rules(pieces)
    assert (joined(pieces, "reasoning"), joined(pieces, "reasoning_content"), joined(pieces, "content")) == (
        "ab",
        "ab",
        "4",
    )
    assert assembled(pieces)["choices"][0]["message"]["content"] == "4"
    assert {"content": ""} not in deltas(pieces)[1:]


@pytest.mark.parametrize("held", ["<thi", "<", " ", "<b>", "<think"])
def test_text_that_only_looked_like_a_tag_is_let_go(held: str) -> None:
    """At the latest with the finish reason."""
    assert joined(read(sse(ROLE, text(held), STOP)), "content") == held
    assert joined(read(sse(ROLE, text(held), text("x"), STOP)), "content") == f"{held}x"


def test_reasoning_that_never_closes_is_no_text() -> None:
    """As when the limit cuts it off."""
    pieces = read(sse(ROLE, text("<think>so "), text("far</thi"), chunk({}, "length")))

    assert (joined(pieces, "reasoning"), joined(pieces, "content")) == ("so far</thi", "")


def test_what_details_repeat_is_said_once() -> None:
    """Clients join strings: a repeated `format` would double."""
    entry = {"type": "reasoning.text", "format": "anthropic-claude-v1", "id": "r-1", "index": 0}
    pieces = read(sse(ROLE, *(chunk({"reasoning_details": [{**entry, "text": c}]}) for c in "ab"), STOP))
    found = assembled(pieces)["choices"][0]["message"]["reasoning_details"]

    assert found == [{**entry, "text": "ab"}]


def test_details_that_share_an_index_are_told_apart() -> None:
    """OpenRouter numbers a summary and what it encrypts alike."""
    entries = [
        {"type": "reasoning.summary", "summary": "s", "index": 0},
        {"type": "reasoning.encrypted", "data": "d", "index": 0},
    ]
    found = deltas(read(sse(ROLE, *(chunk({"reasoning_details": [entry]}) for entry in entries), STOP)))

    assert [delta["reasoning_details"][0]["index"] for delta in found[1:3]] == [0, 1]


# --- tool calls (the table of their variants) ------------------------------------------------------

A = ("call_a", "f", '{"x":1}')
B = ("call_b", "g", '{"y":2}')
CALLED = {
    "openai": [calls(opener()), calls(more('{"x":')), calls(more("1}"))],
    "whole in one delta": [calls(opener(arguments='{"x":1}'))],
    "with the finish reason": [calls(opener(arguments='{"x":1}'), finish="tool_calls")],
    "index starts at 1": [calls(opener(1)), calls(more('{"x":1}', 1))],
    "no index": [calls(opener(None)), calls(more('{"x":1}', None))],
    "empty id later": [calls(opener()), calls(more('{"x":', id="", type="function")), calls(more("1}", id=None))],
    "word null as id": [calls(opener()), calls(more('{"x":1}', id="null"))],
    "all repeated": [calls(opener(arguments='{"x":')), calls(opener(arguments="1}"))],
    "another id for each piece": [calls(opener()), calls(more('{"x":1}', id="call_zzz"))],
    "no type": [calls({"index": 0, "id": "call_a", "function": {"name": "f", "arguments": '{"x":1}'}})],
    "arguments as an object": [calls(opener(arguments={"x": 1}))],
    "name null later": [calls(opener()), calls({"index": 0, "function": {"name": None, "arguments": '{"x":1}'}})],
    "name after the id": [calls(opener(name="")), calls({"index": 0, "function": {"name": "f"}}), calls(more('{"x":1}'))],
}  # fmt: skip


@pytest.mark.parametrize("form", CALLED)
@pytest.mark.parametrize("word", ["tool_calls", "stop"])
def test_a_call_arrives_whole(form: str, word: str) -> None:
    """Id, name and type once, arguments joined, and the finish reason that agents look for."""
    data = sse(ROLE, *CALLED[form], chunk({}, word))

    assert called(data) == [A]
    assert finish(read(data)) == "tool_calls"


PARALLEL = {
    "openai": [calls(opener()), calls(more('{"x":1}')), calls(opener(1, "call_b", "g")), calls(more('{"y":2}', 1))],
    "interleaved": [calls(opener(), opener(1, "call_b", "g")), calls(more('{"y":2}', 1), more('{"x":1}', 0))],
    "all on index 0": [calls(opener()), calls(more('{"x":1}')), calls(opener(0, "call_b", "g")), calls(more('{"y":2}'))],
    "no index": [calls(opener(None, arguments='{"x":1}'), opener(None, "call_b", "g", '{"y":2}'))],
    "whole on index 0": [calls(opener(arguments='{"x":1}')), calls(opener(0, "call_b", "g", '{"y":2}'))],
    "pieces by id": [calls(opener(None), opener(None, "call_b", "g")), calls(more('{"x":1}', None, id="call_a")), calls(more('{"y":2}', None, id="call_b"))],
    "gaps": [calls(opener(2, arguments='{"x":1}')), calls(opener(5, "call_b", "g", '{"y":2}'))],
}  # fmt: skip


@pytest.mark.parametrize("form", PARALLEL)
def test_parallel_calls_are_told_apart(form: str) -> None:
    """By id first, then by index; counted from 0 as they appear."""
    assert called(sse(ROLE, *PARALLEL[form], chunk({}, "tool_calls"))) == [A, B]


def test_calls_without_ids_get_one_each() -> None:
    """The same ones on every reading."""
    data = sse(ROLE, calls(opener(None, "", "f", "{}"), opener(None, "", "f", "{}")), chunk({}, "tool_calls"))
    first, second = (id for id, _, _ in called(data))

    assert first != second
    assert [first, second] == [id for id, _, _ in called(data)]


@pytest.mark.parametrize("nothing", ["", None])
def test_a_call_without_arguments_has_an_empty_object(nothing: Any) -> None:
    """Concatenated arguments must be JSON."""
    assert called(sse(ROLE, calls(opener(arguments=nothing)), chunk({}, "tool_calls"))) == [("call_a", "f", "{}")]


@pytest.mark.parametrize(("said", "expected"), [("", "{}"), ('{"x":1}', '{"x":1}')])
def test_a_call_that_is_never_named_is_still_whole(said: str, expected: str) -> None:
    """It waits for its name until the finish reason."""
    assert called(sse(ROLE, calls(opener(name="", arguments=said)), chunk({}, "stop"))) == [("call_a", "", expected)]


def test_what_comes_back_with_a_call_is_kept() -> None:
    """Signatures in `extra_content`, and pieces that are no objects are not."""
    signed = {**opener(arguments="{}"), "extra_content": {"google": {"thought_signature": "s"}}}
    event = chunk({"tool_calls": [signed, None, {"index": 0}]})
    found = [delta for delta in deltas(read(sse(ROLE, event, STOP))) if "tool_calls" in delta]

    assert found == [{"tool_calls": [signed]}]


def test_images_among_content_are_kept() -> None:
    """As images, with an index each."""
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}
    found = deltas(read(sse(ROLE, chunk({"content": [image, {"type": "text", "text": "x"}]}), STOP)))[1]

    assert found == {"content": "x", "images": [{"index": 0, **image}]}


def test_a_choice_index_beyond_sense_is_the_first() -> None:
    """Nobody can make us begin a million choices."""
    for index in (10**6, -1, "0", True, None):
        assert joined(read(sse(ROLE, chunk({"content": "x"}, index=index), STOP)), "content") == "x"  # type: ignore[arg-type]


def test_a_finish_reason_of_calls_without_calls_is_a_stop() -> None:
    """Agents would look for calls that are not there."""
    assert finish(read(sse(ROLE, text("x"), chunk({}, "tool_calls")))) == "stop"


def test_custom_calls_pass() -> None:
    """With their input as it is, and no made-up arguments."""
    first = {"index": 0, "id": "call_a", "type": "custom", "custom": {"name": "c", "input": ""}}
    events = [calls(first), calls({"index": 0, "custom": {"input": "x"}}), chunk({}, "tool_calls")]
    found = assemble.completion([piece.chunk for piece in read(sse(ROLE, *events))])["choices"][0]["message"]

    assert found["tool_calls"] == [{"id": "call_a", "type": "custom", "custom": {"name": "c", "input": "x"}}]


# --- errors and ends ------------------------------------------------------------------------------


def collect(parts: list[bytes], into: list[Piece]) -> None:
    """Reads a stream; what comes before an error stays."""
    decoder = CODEC.stream(context())
    for part in parts:
        into.extend(decoder.feed(part))
    into.extend(decoder.finish())


@pytest.mark.parametrize(
    ("event", "status"),
    [
        ({"error": {"message": "Slow", "code": 429}}, 429),
        ({**text("x"), "error": {"message": "Token limit reached", "code": 400}}, 400),
        (chunk({}, None, choice={"error": {"message": "Gone", "code": "503"}}), 503),
        ('event: error\ndata: {"error":{"message":"No call","type":"invalid_request_error","status_code":400}}', 400),
        ("event: error\ndata: it broke", 502),
        ('error: {"message":"Bad","code":400}', 400),
        ({"object": "error", "message": "engine died", "code": 500}, 502),
        ({**chunk({}), "x_groq": {"error": "over capacity"}}, 502),
        ([{"error": {"message": "Slow", "code": 429}}], 429),
        ({"error": {"message": "prompt exceeds the available context size"}}, 400),
        (chunk({}, "error"), 502),
    ],
)
def test_an_error_anywhere_in_a_stream_is_raised_as_what_it_is(event: Any, status: int) -> None:
    """After the chunks that came before it, however the bytes were cut."""
    data = sse(ROLE, text("Hi"), event)
    for parts in ([data], [bytes([byte]) for byte in data]):
        pieces: list[Piece] = []
        with pytest.raises(UpstreamFailure) as error:
            collect(parts, pieces)
        assert error.value.status == status
        assert joined(pieces, "content") == "Hi"


@pytest.mark.parametrize("event", ["data: {oops", "data: oops", "data: 3", 'data: "x"'])
def test_an_event_that_is_no_chunk_is_the_upstreams_failure(event: str) -> None:
    """A closing blank line came, so it is not a cut."""
    with pytest.raises(UpstreamFailure) as error:
        read(sse(ROLE, text("Hi"), event))

    assert error.value.status == 502


def test_an_event_without_end_is_the_upstreams_failure() -> None:
    """Memory stays bounded."""
    decoder = CODEC.stream(context())
    decoder.feed(sse(ROLE, done=False))
    with pytest.raises(UpstreamFailure):
        decoder.feed(b"data: " + b"x" * (16 * 1024 * 1024 + 1))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        sse(done=False),
        sse(ROLE, done=False),
        sse(ROLE, text("Hi"), done=False),
        sse(LAST, done=False),
        sse(),
        sse(ROLE, text("Hi"), done=False) + b'data: {"id":"c-1","choi',
        b": ping\n\n",
    ],
)
def test_a_stream_that_ends_before_its_answer_is_interrupted(data: bytes) -> None:
    """Clients would take it for success."""
    with pytest.raises(StreamInterrupted):
        read(data)


def test_a_cut_in_what_follows_the_answer_is_no_loss() -> None:
    """Every choice has its finish reason."""
    whole = sse(ROLE, text("Hi"), STOP, done=False)

    assert finish(read(whole + b"data: [DO")) == "stop"
    assert finish(read(whole + b'data: {"id":"c-1","cho')) == "stop"


def test_totals_and_done_finish_an_answer_without_a_reason() -> None:
    """Snowflake has none at all; `[DONE]` alone proves nothing."""
    pieces = read(sse(ROLE, text("4"), LAST))

    rules(pieces)
    assert finish(pieces) == "stop"
    with pytest.raises(StreamInterrupted):
        read(sse(ROLE, text("4")))


def test_the_decoder_tells_when_nothing_more_needs_to_be_received() -> None:
    """And then takes no more."""
    decoder = CODEC.stream(context())
    assert not decoder.done
    decoder.feed(sse(ROLE, STOP))

    assert decoder.done
    assert decoder.feed(sse(text("late"))) == []
    assert decoder.finish() == []


def test_plain_json_in_place_of_a_stream_is_streamed() -> None:
    """Caches and old proxies answer so; errors too."""
    value = answer({"content": "Hi", "reasoning": "t"}, usage=USAGE)
    data = orjson.dumps(value)
    pieces = read([data[:5], data[5:]])

    rules(pieces)
    assert (joined(pieces, "content"), pieces[-1].chunk.get("usage")) == ("Hi", USAGE)
    with pytest.raises(UpstreamRejected):
        read(b'  {"error": {"message": "No", "code": 400}}')
    with pytest.raises(UpstreamFailure, match="502 Bad Gateway"):
        read(b"<html>502 Bad Gateway</html>")


# --- properties ------------------------------------------------------------------------------------

STREAMS = [
    sse(ROLE, text("Hel"), text("lo"), STOP, LAST),
    sse(*REASONED["split tags"], text("4"), {**STOP, "usage": USAGE}),
    sse(ROLE, *PARALLEL["all on index 0"], chunk({}, "stop"), LAST).replace(b"\n", b"\r\n"),
    sse(*(chunk({"role": "assistant", "content": c}, id=f"x{c}") for c in "añ日🙂"), STOP, done=False),
    b": hi\n\n" + sse(LAST, ROLE, chunk({"reasoning": "t"}), text("x"), chunk({"content": "y"}, "eos")),
]


@settings(max_examples=150)
@given(data=st.data())
def test_bytes_may_be_cut_anywhere(data: st.DataObject) -> None:
    """The chunks are the same."""
    stream = data.draw(st.sampled_from(STREAMS))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=12)))
    parts = [stream[a:b] for a, b in zip([0, *cuts], [*cuts, len(stream)], strict=True)]

    assert [piece.chunk for piece in read(parts)] == [piece.chunk for piece in read(stream)]


@settings(max_examples=150)
@given(st.binary(max_size=200), st.booleans())
def test_arbitrary_bytes_raise_only_errors_of_ours(noise: bytes, framed: bool) -> None:
    """Also as the data of an event, or as a whole answer."""
    for attempt in (lambda: read(b"data: " + noise + b"\n\n" if framed else noise), lambda: decode(noise)):
        try:
            attempt()
        except GatewayError as error:
            assert error.status >= 400


LEAVES = st.one_of(st.none(), st.booleans(), st.integers(-3, 3), st.text(max_size=3), st.just("<think>"))
VALUES = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(
            st.sampled_from(["index", "id", "function", "type", "content", "text", "error"]), inner, max_size=3
        )
    ),
    max_leaves=6,
)
MEMBERS = ["role", "content", "refusal", "tool_calls", "reasoning", "reasoning_details", "annotations", "audio", "x"]


@settings(max_examples=200)
@given(
    st.lists(st.dictionaries(st.sampled_from(MEMBERS), VALUES, max_size=3), max_size=4),
    st.sampled_from(["id", "created", "model", "usage", "object", "service_tier"]),
    VALUES,
)
def test_deltas_of_any_shape_make_chunks_or_errors_of_ours(given_: list[dict[str, Any]], name: str, value: Any) -> None:
    """And whatever was written keeps the rules."""
    try:
        pieces = read(sse(*(chunk(delta, **{name: value}) for delta in given_), STOP))
    except GatewayError:
        return
    rules(pieces)
    assemble.completion([piece.chunk for piece in pieces])


def test_a_quirk_of_the_row_reaches_usage_in_streams() -> None:
    """xAI leaves reasoning out of its completions."""
    used = {**USAGE, "total_tokens": 12}
    found = read(sse(ROLE, STOP, {**LAST, "usage": used}), Quirks(excludes_reasoning=True))[-1].chunk["usage"]

    assert found is not None
    assert found["completion_tokens"] == 9
