"""Streams, put together by the OpenAI SDK's own accumulator and held against the whole answers."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from compatgw.dialects.base import Piece
from compatgw.dialects.gemini import DIALECT
from compatgw.dialects.gemini import stream as stream_module
from compatgw.errors import GatewayError, StreamInterrupted, UpstreamFailure, UpstreamRejected, UpstreamUnavailable
from tests.properties.judges import assembled, cut, drive, essence, rules, whole

from .answers import PNG, call, candidate, context, response, sse, text, thought

USAGE = {"promptTokenCount": 9, "candidatesTokenCount": 4, "thoughtsTokenCount": 2, "totalTokenCount": 15}


def read(data: bytes, memo: dict[str, Any] | None = None, **traits: Any) -> list[Piece]:
    """The chunks of a whole stream, which keep the rules of all streams."""
    assert DIALECT.chat is not None
    pieces = drive(DIALECT.chat.stream(context(memo, **traits)), [data])
    rules(pieces)
    return pieces


def deltas(pieces: list[Piece]) -> list[dict[str, Any]]:
    return [dict(c["delta"]) for piece in pieces for c in piece.chunk["choices"]]


def totals(pieces: list[Piece]) -> dict[str, Any]:
    return dict(pieces[-1].chunk["usage"] or {})


def said(*parts: dict[str, Any], finish: Any = None, **more: Any) -> dict[str, Any]:
    """A response of a stream that goes on, unless it says how it ends."""
    return response(candidate(*parts, finish=finish, **more))


END = {**said(text(""), finish="STOP"), "usageMetadata": USAGE}


def test_text_arrives_as_it_comes_and_the_totals_last() -> None:
    """The role first, the finish reason before the totals, one identity."""
    pieces = read(sse(said(text("Hel")), said(text("lo")), END))

    assert deltas(pieces) == [{"role": "assistant", "content": ""}, {"content": "Hel"}, {"content": "lo"}, {}]
    assert totals(pieces)["total_tokens"] == 15
    assert {(p.chunk["id"], p.chunk["model"]) for p in pieces} == {("chatcmpl-R1", "gemini-3.7-flash-001")}
    assert assembled(pieces)["choices"][0]["finish_reason"] == "stop"


def test_the_vendors_own_example_is_read() -> None:
    """Thoughts, a signed call, and an end that comes later with an empty text."""
    pieces = read(
        sse(
            {
                **said(thought("**Clarify**")),
                "usageMetadata": {"promptTokenCount": 34, "totalTokenCount": 102, "thoughtsTokenCount": 68},
            },
            said({**call("get_country", {}), "thoughtSignature": "EpwICpkI"}),
            END,
        )
    )
    message = assembled(pieces)["choices"][0]["message"]

    assert message["reasoning_content"] == message["reasoning"] == "**Clarify**"
    assert message["tool_calls"][0]["function"]["arguments"] == "{}"
    assert message["tool_calls"][0]["extra_content"] == {"google": {"thought_signature": "EpwICpkI"}}
    assert message["reasoning_details"][0]["id"] == message["tool_calls"][0]["id"]
    assert assembled(pieces)["choices"][0]["finish_reason"] == "tool_calls"


def test_each_call_is_one_delta() -> None:
    """Calls come whole, one or many to an event; their ordinals count over the whole stream."""
    pieces = read(sse(said(call("a", {"x": 1}), call("b")), said(call("a", {"x": 1})), END))
    calls = [d["tool_calls"][0] for d in deltas(pieces) if "tool_calls" in d]

    assert [(c["index"], c["function"]["name"], c["function"]["arguments"]) for c in calls] == [
        (0, "a", '{"x":1}'),
        (1, "b", "{}"),
        (2, "a", '{"x":1}'),
    ]
    assert len({c["id"] for c in calls}) == 3


def test_what_comes_behind_the_finish_reason_is_still_told_before_it() -> None:
    """The end of a stream is its end, not the word for it."""
    late = [said(finish="STOP"), said({**text(""), "thoughtSignature": "c2ln"}), {"usageMetadata": USAGE}]
    pieces = read(sse(said(text("a")), *late))

    assert deltas(pieces)[-1] == {}
    assert assembled(pieces)["choices"][0]["message"]["extra_content"] == {"google": {"thought_signature": "c2ln"}}
    assert totals(pieces)["prompt_tokens"] == 9


def test_sources_come_once_with_their_places_in_the_whole_text() -> None:
    """Empty metadata may repeat; clients merge lists by index."""
    full = {
        "groundingChunks": [{"web": {"uri": "https://a.example", "title": "A"}}],
        "groundingSupports": [
            {"segment": {"startIndex": 4, "endIndex": 9, "text": "Rain."}, "groundingChunkIndices": [0, 0]}
        ],
    }
    pieces = read(
        sse(
            said(text("Å. Ra"), groundingMetadata={}),
            said(text("in."), groundingMetadata={}),
            said(text(""), finish="STOP", groundingMetadata=full),
        )
    )
    marks = assembled(pieces)["choices"][0]["message"]["annotations"]

    assert [mark["index"] for mark in marks] == [0, 1]
    assert marks[0]["url_citation"] == {"url": "https://a.example", "title": "A", "start_index": 3, "end_index": 8}


def test_images_sounds_and_probabilities_have_their_deltas() -> None:
    """Each list entry with its index."""
    image = {"inlineData": {"mimeType": "image/png", "data": PNG}}
    sound = {"inlineData": {"mimeType": "audio/L16;rate=24000", "data": "AQI="}}
    logprobs = {"chosenCandidates": [{"token": "a", "logProbability": -1}]}
    pieces = read(
        sse(
            said(image),
            said(image, sound),
            said(sound),
            said(text("a"), logprobsResult=logprobs),
            said(logprobsResult=logprobs),
            END,
        )
    )
    found = deltas(pieces)

    assert [d["images"][0]["index"] for d in found if "images" in d] == [0, 1]
    assert [d["audio"].keys() for d in found if "audio" in d] == [
        {"id", "transcript", "data"},
        {"data"},
        {"expires_at"},
    ]
    assert len(assembled(pieces)["choices"][0]["logprobs"]["content"]) == 2


def test_calls_in_pieces_are_put_together() -> None:
    """Some hosts stream arguments by their paths; the last piece may never come."""
    pieces = read(
        sse(
            said({**call("cook", willContinue=True), "thoughtSignature": "c2ln"}),
            said(
                {
                    "functionCall": {
                        "partialArgs": [
                            {"jsonPath": "$.recipe.items[0].name", "stringValue": "Pas", "willContinue": True}
                        ],
                        "willContinue": True,
                    }
                }
            ),
            said(
                {
                    "functionCall": {
                        "partialArgs": [{"jsonPath": "$.recipe.items[0].name", "stringValue": "ta"}],
                        "willContinue": True,
                    }
                }
            ),
            said(
                {
                    "functionCall": {
                        "partialArgs": [
                            {"jsonPath": "$.recipe['how long']", "numberValue": 8},
                            {"jsonPath": "$.ok", "boolValue": True},
                        ],
                        "willContinue": True,
                    }
                }
            ),
            said({"functionCall": {"partialArgs": [{"jsonPath": "$.recipe.items[1]", "nullValue": None}]}}),
            said(call("eat")),
            said(call("rest", willContinue=True)),
            END,
        )
    )
    calls = assembled(pieces)["choices"][0]["message"]["tool_calls"]

    assert [(c["function"]["name"], orjson.loads(c["function"]["arguments"])) for c in calls] == [
        ("cook", {"recipe": {"items": [{"name": "Pasta"}, None], "how long": 8}, "ok": True}),
        ("eat", {}),
        ("rest", {}),
    ]
    assert calls[0]["extra_content"] == {"google": {"thought_signature": "c2ln"}}


@pytest.mark.parametrize("path", ["recipe", "$", "$.a[999999999]", "$.a[99999].b", "$[0]", "$.a..b", 3])
def test_a_piece_without_a_place_is_a_failure(path: Any) -> None:
    """And no list grows without bound."""
    piece = {"functionCall": {"name": "a", "partialArgs": [{"jsonPath": path, "stringValue": "x"}]}}
    with pytest.raises(UpstreamFailure, match="do not fit"):
        read(sse(said(piece), END))


def test_the_memo_holds_for_streams_as_well() -> None:
    """Custom tools, the oldest form, single calls, and the function that answers."""
    custom = deltas(read(sse(said(call("sql", {"input": "x"})), END), {"custom": ("sql",)}))
    assert custom[1]["tool_calls"][0]["custom"] == {"name": "sql", "input": "x"}
    legacy = read(sse(said(call("a")), said(call("b")), END), {"legacy": True, "single_call": True})
    assert [d["function_call"] for d in deltas(legacy) if "function_call" in d] == [{"name": "a", "arguments": "{}"}]
    assert legacy[-2].chunk["choices"][0]["finish_reason"] == "function_call"
    answer = read(sse(said(call("json_response", {"a": 1})), END), {"json_tool": "json_response"})
    assert assembled(answer)["choices"][0]["message"]["content"] == '{"a":1}'
    assert answer[-2].chunk["choices"][0]["finish_reason"] == "stop"
    open_end = read(sse(said(call("json_response", {"a": 1}, willContinue=True)), END), {"json_tool": "json_response"})
    assert assembled(open_end)["choices"][0]["message"]["content"] == '{"a":1}'


def test_several_candidates_are_choices_of_their_own() -> None:
    """Each with its own calls and its own end."""
    both = response(candidate(text("a")), {**candidate(call("x")), "index": 1})
    found = assembled(read(sse(both)))["choices"]

    assert [(c["index"], c["finish_reason"]) for c in found] == [(0, "stop"), (1, "tool_calls")]


def test_the_tier_that_served_comes_with_the_end() -> None:
    """It stands beside the totals there."""
    pieces = read(sse({**END, "usageMetadata": {**USAGE, "serviceTier": "flex"}}))

    assert pieces[-1].chunk["service_tier"] == "flex"


# --- framing ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "data",
    [
        sse(said(text("a")), END),
        sse(said(text("a")), END, end="\n\n"),
        sse(said(text("a")), END).replace(b"data: ", b"data:"),
        b": comment\r\n\r\n" + sse(said(text("a"))) + b"event: x\r\n" + sse(END) + b"data: [DONE]\r\n\r\n",
        sse(said(text("a")), END)[:-4],
        sse([said(text("a"))], [END]),
        orjson.dumps([said(text("a")), END], option=orjson.OPT_INDENT_2),
        sse(said(text("a"))) + orjson.dumps(END, option=orjson.OPT_INDENT_2),
    ],
    ids=[
        "crlf",
        "lf",
        "no space",
        "comments and [DONE]",
        "no last blank line",
        "lists",
        "one growing list",
        "bare end",
    ],
)
def test_framing_is_read_however_it_was_written(data: bytes) -> None:
    """The vendor's own client dies of some of these."""
    assert assembled(read(data))["choices"][0]["message"]["content"] == "a"


def test_nothing_is_read_behind_done() -> None:
    """Proxies add it; the vendor just ends."""
    assert DIALECT.chat is not None
    decoder = DIALECT.chat.stream(context())
    decoder.feed(sse(said(text("a")), END))
    assert not decoder.done
    decoder.feed(b"data: [DONE]\n\n" + sse(said(text("b"))))

    assert decoder.done
    assert decoder.feed(sse(said(text("c")))) == []
    assert [p.chunk["choices"] for p in decoder.finish()][-1] == []


# --- failures --------------------------------------------------------------------------------

BUSY = {"error": {"code": 503, "message": "The model is overloaded.", "status": "UNAVAILABLE"}}


@pytest.mark.parametrize(
    "data",
    [
        sse(BUSY),
        sse([BUSY]),
        orjson.dumps(BUSY),
        orjson.dumps([BUSY], option=orjson.OPT_INDENT_2) + b"\r\n",
        sse(said(text("a")), BUSY),
        sse(said(text("a"))) + orjson.dumps(BUSY, option=orjson.OPT_INDENT_2),
        sse(said(text("a")), end="\n") + orjson.dumps(BUSY, option=orjson.OPT_INDENT_2),
    ],
)
def test_an_error_in_a_stream_is_judged_in_every_dress(data: bytes) -> None:
    """As an event, or as bare JSON over many lines, with a status of 200."""
    for parts in ([data], [data[i : i + 1] for i in range(len(data))]):
        assert DIALECT.chat is not None
        with pytest.raises(UpstreamUnavailable, match="overloaded") as caught:
            drive(DIALECT.chat.stream(context()), parts)
        assert caught.value.upstream_status == 503


def test_a_blocked_prompt_is_known_before_anything_was_said() -> None:
    """So the caller still gets a status."""
    assert DIALECT.chat is not None
    with pytest.raises(UpstreamRejected) as caught:
        DIALECT.chat.stream(context()).feed(sse({"promptFeedback": {"blockReason": "SAFETY"}}))

    assert caught.value.code == "content_blocked"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"<html>",
        sse(said(text("a"))),
        sse(said(text("a")))[:-20],
        sse(said(text("a")), END)[:-30],
        sse({"usageMetadata": USAGE}),
        sse(response(candidate(text("a")), {**candidate(text("b"), finish=None), "index": 1})),
        sse(said(text("a"))) + b'{\n "error": {"code": 503',
        sse(said(text("a"))) + b"data: [DONE]\n\n",
    ],
)
def test_a_stream_without_its_end_is_interrupted(data: bytes) -> None:
    """Clients take a quiet end for success, so it must not be quiet."""
    with pytest.raises(StreamInterrupted) as caught:
        read(data)

    assert caught.value.code == "upstream_stream_interrupted"


@pytest.mark.parametrize("word", ["MALFORMED_FUNCTION_CALL", "OTHER"])
def test_an_unusable_end_is_a_failure(word: str) -> None:
    """What was said until then has been given out."""
    assert DIALECT.chat is not None
    decoder = DIALECT.chat.stream(context())
    pieces = decoder.feed(sse(said(thought("Hm")), said(finish=word)))

    assert deltas(pieces)[1]["reasoning_content"] == "Hm"
    with pytest.raises(UpstreamFailure, match=word):
        decoder.finish()


@pytest.mark.parametrize("data", [b"data: {broken\n\n", b"data: 3\n\n", b'data: "x"\n\n'])
def test_an_event_that_is_no_response_is_a_failure(data: bytes) -> None:
    """Of the upstream."""
    with pytest.raises(UpstreamFailure):
        read(data)


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """One event may hold a large image, but not anything."""
    monkeypatch.setattr(stream_module, "LIMIT", 1000)
    assert DIALECT.chat is not None
    for opening in (b"data: ", b"{"):
        decoder = DIALECT.chat.stream(context())
        with pytest.raises(UpstreamFailure, match="1000 bytes"):
            drive(decoder, [opening, *[b"x" * 100] * 20])


# --- what holds for any stream -----------------------------------------------------------------

parts = st.one_of(
    st.builds(text, st.sampled_from(["", "a", "Å", "👩‍🚀 b"])),
    st.builds(thought, st.sampled_from(["", "hm"])),
    st.builds(call, st.sampled_from(["a", "b"]), st.sampled_from([{}, {"x": "Å"}])),
    st.builds(lambda: {**call("a"), "thoughtSignature": "c2ln"}),
    st.builds(lambda: {**text(""), "thoughtSignature": "dGV4dA=="}),
    st.builds(lambda: {"inlineData": {"mimeType": "image/png", "data": PNG}}),
    st.builds(lambda: {"executableCode": {"language": "PYTHON", "code": "1"}}),
)
events = st.lists(st.lists(parts, max_size=3), min_size=1, max_size=5)
endings = st.sampled_from(["STOP", "MAX_TOKENS", "SAFETY"])


def streamed(lists: list[list[dict[str, Any]]], finish: str) -> list[dict[str, Any]]:
    found = [response(candidate(*given, finish=None)) for given in lists]
    return [*found, {**response(candidate(finish=finish)), "usageMetadata": USAGE}]


@settings(max_examples=80, deadline=None)
@given(events, endings, st.lists(st.integers(0, 3000), max_size=6), st.sampled_from(["\r\n\r\n", "\n\n"]))
def test_bytes_may_be_cut_anywhere(lists: list[list[dict[str, Any]]], finish: str, places: list[int], end: str) -> None:
    """The chunks are the same."""
    assert DIALECT.chat is not None
    data = sse(*streamed(lists, finish), end=end)
    once = drive(DIALECT.chat.stream(context()), [data])
    rules(once)

    assert drive(DIALECT.chat.stream(context()), cut(data, places)) == once
    assert drive(DIALECT.chat.stream(context()), [data[i : i + 1] for i in range(len(data))]) == once


@settings(max_examples=80, deadline=None)
@given(events, endings)
def test_a_stream_and_a_whole_answer_say_the_same(lists: list[list[dict[str, Any]]], finish: str) -> None:
    """Texts, calls with their ids, reasons, totals, images, signatures."""
    assert DIALECT.chat is not None
    plain = {**response(candidate(*(part for given in lists for part in given), finish=finish)), "usageMetadata": USAGE}
    answer = DIALECT.chat.decode(orjson.dumps(plain), context())
    expected = whole(answer)
    found = assembled(drive(DIALECT.chat.stream(context()), [sse(*streamed(lists, finish))]))

    assert essence(found) == essence(expected)
    for name in ("images", "extra_content", "reasoning_details"):
        assert found["choices"][0]["message"].get(name) == expected["choices"][0]["message"].get(name)


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.sampled_from(
            [
                b"data: ",
                b"{",
                b"}",
                b"[",
                b"]",
                b"\r\n",
                b"\n",
                b'"a"',
                b":",
                b"\xff",
                b"[DONE]",
                b'{"candidates":[{}]}',
                b"error",
            ]
        ),
        max_size=12,
    )
)
def test_any_bytes_end_in_chunks_or_in_a_failure(pieces: list[bytes]) -> None:
    """Never in anything else, and however they are cut in the same one."""
    assert DIALECT.chat is not None
    outcomes = []
    for given_ in (pieces, [b"".join(pieces)]):
        try:
            drive(DIALECT.chat.stream(context()), given_)
            outcomes.append("whole")
        except GatewayError as error:
            outcomes.append(error.message)

    assert outcomes[0] == outcomes[1]
