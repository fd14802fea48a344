"""Guardrails over whole requests, whole answers and streams: what has to change changes, all else stays as it was."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any, cast

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from compatgw.dialects.assemble import completion as assembled
from compatgw.guardrails.base import Ask, Guardrail, Own, Spot, Verdict, settled
from compatgw.guardrails.moderation import WordList
from compatgw.guardrails.pii import Pii
from compatgw.guardrails.pipeline import Blocked, Pipeline
from compatgw.guardrails.schema import SchemaGuard, Shape
from compatgw.guardrails.slots import answered as texts_of_answer
from compatgw.guardrails.slots import replaced, texts
from compatgw.wire.chat import ChatChunk, ChatCompletion, ChatRequest
from tests.guardrails.streams import answered

REQUEST = cast(
    "ChatRequest",
    {
        "model": "m",
        "messages": [
            {"role": "system", "content": "Help a@x.com"},
            {"role": "user", "content": [{"type": "text", "text": "b@x.com"}, {"type": "image_url", "image_url": {"url": "https://c@x.com/i"}}]},
            {
                "role": "assistant",
                "content": None,
                "reasoning_content": "d@x.com",
                "reasoning_details": [{"type": "reasoning.text", "text": "e@x.com", "signature": "f@x.com"}],
                "tool_calls": [
                    {"id": "1", "type": "function", "function": {"name": "f", "arguments": '{"n":4111111111111111}'}},
                    {"id": "2", "type": "custom", "custom": {"name": "g", "input": "g@x.com"}},
                ],
            },
            {"role": "tool", "tool_call_id": "1", "content": [{"type": "text", "text": "h@x.com"}]},
            {"role": "tool", "tool_call_id": "2", "content": "i@x.com"},
            {"role": "assistant", "content": [{"type": "thinking", "thinking": [{"type": "text", "text": "j@x.com"}]}, {"type": "refusal", "refusal": "k@x.com"}]},
            {"role": "assistant", "function_call": {"name": "f", "arguments": '"l@x.com"'}},
        ],
        "prediction": {"type": "content", "content": "m@x.com"},
    },
)  # fmt: skip


def head(**more: Any) -> dict[str, Any]:
    """What all chunks of a stream have."""
    return {"id": "c1", "object": "chat.completion.chunk", "created": 7, "model": "m", **more}


def chunk(delta: dict[str, Any], finish: str | None = None, index: int = 0, logprobs: Any = None) -> ChatChunk:
    """A chunk with a part for one choice."""
    choice = {"index": index, "delta": delta, "logprobs": logprobs, "finish_reason": finish}
    return cast("ChatChunk", head(choices=[choice]))


def call(arguments: str, index: int = 0, **opener: Any) -> dict[str, Any]:
    """A delta with a piece of a tool call."""
    named = {"name": opener.pop("name")} if "name" in opener else {}
    return {"tool_calls": [{"index": index, **opener, "function": {**named, "arguments": arguments}}]}


def relayed(pipeline: Pipeline, chunks: Sequence[ChatChunk], reply: Any = lambda ask: None) -> list[ChatChunk]:
    """A stream through a pipeline."""
    out: list[ChatChunk] = []
    for each in chunks:
        out += answered(pipeline.chunk(each), reply)
    return out + answered(pipeline.finish(), reply)


def restoring(*addresses: str) -> Pipeline:
    """A pipeline whose request held these addresses."""
    pipeline = Pipeline([Pii("restore")], [])
    settled(
        pipeline.request(
            cast("ChatRequest", {"model": "m", "messages": [{"role": "user", "content": " ".join(addresses)}]})
        )
    )
    return pipeline


# --- requests --------------------------------------------------------------------------------


def test_every_text_of_a_request_is_looked_at_and_nothing_else() -> None:
    """Content, parts, reasoning, arguments as JSON, tool results, predictions; no addresses, no signatures."""
    before = copy.deepcopy(REQUEST)
    pipeline = Pipeline([Pii()], [])
    got = settled(pipeline.request(REQUEST))
    told = orjson.dumps(got).decode()

    assert before == REQUEST
    assert [letter for letter in "abcdefghijklm" if f"{letter}@x.com" in told] == ["c", "f"]
    assert orjson.loads(got["messages"][2]["tool_calls"][0]["function"]["arguments"]) == {"n": "[CREDIT_CARD_1]"}  # type: ignore[typeddict-item]  # an assistant's
    assert pipeline.status() == pipeline.status("input") == "pii:redact"


def test_a_request_that_needs_no_change_is_the_same_object() -> None:
    """So nobody has to write it again."""
    request = cast("ChatRequest", {"model": "m", "messages": [{"role": "user", "content": "Hello"}]})

    assert settled(Pipeline([Pii(), WordList({"bad": ["xyzzy"]})], []).request(request)) is request


def test_replacing_shares_what_does_not_change() -> None:
    """Messages without a change are the very same."""
    slots = texts(REQUEST)
    got = replaced(REQUEST, {slots[0].spot.path: "new"})

    assert got["messages"][0] == {"role": "system", "content": "new"}
    assert all(new is old for new, old in zip(got["messages"][1:], REQUEST["messages"][1:], strict=True))


def test_a_block_names_the_guardrail_what_it_found_and_where() -> None:
    """400 `content_blocked` with the path of the text, without the text."""
    request = cast(
        "ChatRequest", {"model": "m", "messages": [{"role": "user", "content": [{"type": "text", "text": "a@x.com"}]}]}
    )

    with pytest.raises(Blocked) as caught:
        settled(Pipeline([Pii("block")], []).request(request))

    error = caught.value
    assert (error.status, error.code, error.param) == (400, "content_blocked", "messages[0].content[0].text")
    assert error.categories == ("email",)
    assert "pii" in error.message
    assert "a@x.com" not in error.message


def test_guardrails_run_in_their_order_and_each_sees_what_the_one_before_made() -> None:
    """On the way in as listed; on the way out those that put originals back come last."""
    seen: list[str] = []

    def note(text: str, spot: Spot) -> None:
        seen.append(f"{spot.direction}:{text}")

    own = Own("note", note)
    pipeline = Pipeline([Pii("restore"), own], [Pii("redact"), own])
    request = cast("ChatRequest", {"model": "m", "messages": [{"role": "user", "content": "I am a@x.com"}]})
    said = answered(pipeline.request(request), run)
    answer = complete("Dear [EMAIL_1], ask b@x.com")
    got = answered(pipeline.completion(answer), run)

    assert said["messages"][0]["content"] == "I am [EMAIL_1]"
    assert seen == ["input:I am [EMAIL_1]", "output:Dear [EMAIL_1], ask [EMAIL_2]"]
    assert got["choices"][0]["message"]["content"] == "Dear a@x.com, ask [EMAIL_2]"
    assert pipeline.status() == "pii:redact,note:pass"


def run(ask: Ask) -> object:
    """Calls an own guardrail's function."""
    assert isinstance(ask.guardrail, Own)
    return ask.guardrail.function(ask.text, ask.spot)


def complete(content: str | None, **more: Any) -> ChatCompletion:
    """A whole answer."""
    message = {"role": "assistant", "content": content, "refusal": None, **more}
    choice = {"index": 0, "message": message, "logprobs": {"content": [{"token": content}]}, "finish_reason": "stop"}
    return cast(
        "ChatCompletion", {"id": "c", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice]}
    )


def test_a_schema_is_judged_over_what_the_client_would_get() -> None:
    """After originals were put back; and what asks others sees placeholders, wherever it stands in the list."""
    seen: list[str] = []

    def note(text: str, spot: Spot) -> None:
        seen.append(text)

    shape = Shape({"type": "object", "properties": {"to": {"const": "a@x.com"}}})
    pipeline = Pipeline([Pii("restore")], [SchemaGuard(shape), Own("note", note)])
    answered(
        pipeline.request(cast("ChatRequest", {"model": "m", "messages": [{"role": "user", "content": "a@x.com"}]})), run
    )
    got = answered(pipeline.completion(complete('{"to": "[EMAIL_1]"}')), run)

    assert seen == ['{"to": "[EMAIL_1]"}']
    assert got["choices"][0]["message"]["content"] == '{"to": "a@x.com"}'
    assert pipeline.status() == "pii:restore,note:pass,schema_validation:pass"


def test_long_texts_let_others_run_and_are_the_same() -> None:
    """A pause now and then, also within an address."""
    text = "x " * 16_382 + "john.doe@example.com " * 4000
    pipeline = Pipeline([Pii()], [])
    steps = pipeline.request(cast("ChatRequest", {"model": "m", "messages": [{"role": "user", "content": text}]}))
    pauses = 0
    request: Any = None
    while request is None:
        try:
            assert next(steps) is None
            pauses += 1
        except StopIteration as end:
            request = end.value

    assert pauses == (len(text) - 1) // 32_768
    assert request["messages"][0]["content"] == text.replace("john.doe@example.com", "[EMAIL_1]")


def test_requests_to_other_endpoints_have_texts_too() -> None:
    """Input, prompt, instructions, query and documents; numbers stay."""
    body: dict[str, Any] = {
        "model": "m",
        "input": ["a@x.com", [1, 2], {"text": "b@x.com"}],
        "prompt": "c@x.com",
        "instructions": "d@x.com",
        "query": "e@x.com",
        "documents": ["f@x.com", {"text": "g@x.com", "id": 1}],
    }
    got = settled(Pipeline([Pii()], []).body(body))

    assert "x.com" not in orjson.dumps(got).decode()
    assert got["input"] == ["[EMAIL_1]", [1, 2], {"text": "[EMAIL_2]"}]
    assert got["documents"][1]["id"] == 1


# --- whole answers ---------------------------------------------------------------------------


def test_the_tokens_of_a_changed_text_do_not_tell_it() -> None:
    """Log probabilities go where the text was changed, and stay where it was not."""
    assert settled(Pipeline([], [Pii()]).completion(complete("a@x.com")))["choices"][0]["logprobs"] is None

    same = complete("hello")
    assert settled(Pipeline([], [Pii()]).completion(same)) is same


def test_content_that_was_asked_for_as_json_is_read_as_json() -> None:
    """A number in it becomes a string, and what is put back is escaped."""
    request = cast(
        "ChatRequest",
        {"model": "m", "messages": [{"role": "user", "content": "x"}], "response_format": {"type": "json_object"}},
    )
    pipeline = Pipeline([], [Pii()])
    settled(pipeline.request(request))
    got = settled(pipeline.completion(complete('{"a":"\\na@x.com","n":4111111111111111}')))

    assert orjson.loads(got["choices"][0]["message"]["content"] or "") == {"a": "\n[EMAIL_1]", "n": "[CREDIT_CARD_1]"}


# --- streams ---------------------------------------------------------------------------------


def test_a_placeholder_split_over_chunks_is_put_back_in_content_and_in_arguments() -> None:
    """Held text goes out with its next piece, ahead of the next text, and before the finish reason."""
    pipeline = restoring("a@x.com")
    out = relayed(
        pipeline,
        [
            chunk({"role": "assistant", "content": ""}),
            chunk({"content": "to [EMA"}),
            chunk({"content": "IL_1] ["}),
            chunk(call("", id="t", type="function", name="send")),
            chunk(call('{"to":"[EMAIL')),
            chunk(call('_1]"')),
            chunk(call("}")),
            chunk({}, "tool_calls"),
        ],
    )

    deltas = [each["choices"][0]["delta"] for each in out]
    assert deltas == [
        {"role": "assistant", "content": ""},
        {"content": "to "},
        {"content": "a@x.com "},
        {"content": "["},
        call("", id="t", type="function", name="send"),
        call('{"to":"'),
        call('a@x.com"'),
        call("}"),
        {},
    ]
    assert out[-1]["choices"][0]["finish_reason"] == "tool_calls"
    assert pipeline.status("output") == "pii:restore"


def test_a_split_match_never_gets_through() -> None:
    """At no time has the client seen a part of what was redacted."""
    text = "Write to john.doe@example.com or call +1 415-555-2671 now."
    out = relayed(Pipeline([], [Pii()]), [chunk({"content": each}) for each in text] + [chunk({}, "stop")])

    seen = "".join(each["choices"][0]["delta"].get("content") or "" for each in out)
    assert seen == "Write to [EMAIL_1] or call [PHONE_1] now."
    # What went out before has no beginning of it either.
    assert not any("john" in (each["choices"][0]["delta"].get("content") or "") for each in out)


def test_a_blocked_stream_raises_and_says_that_it_was_the_answer() -> None:
    """What was held stays held."""
    pipeline = Pipeline([], [WordList({"violence": ["bomb"]})])
    out = settled(pipeline.chunk(chunk({"content": "Build a bo"})))

    with pytest.raises(Blocked) as caught:
        settled(pipeline.chunk(chunk({"content": "mb now"})))

    assert [each["choices"][0]["delta"]["content"] for each in out] == ["Build a "]
    assert caught.value.direction == "output"
    assert pipeline.status() == "content_moderation:block"


def test_log_probabilities_wait_for_the_end_and_go_if_anything_was_changed() -> None:
    """They are the text once more."""
    parts = [({"content": "Hello "}, ["Hello "]), ({"content": "you"}, ["you"])]
    stream = [chunk(delta, logprobs={"content": tokens}) for delta, tokens in parts] + [chunk({}, "stop")]
    same = relayed(Pipeline([], [Pii()]), stream)
    changed = relayed(Pipeline([], [Own("upper", lambda text, spot: text.upper())]), stream, run)

    assert assembled(same) == assembled(stream)
    assert assembled(changed)["choices"][0]["logprobs"] is None
    assert assembled(changed)["choices"][0]["message"]["content"] == "HELLO YOU"
    shorter = relayed(Pipeline([], [Own("shorter", lambda text, spot: text[:-1])]), stream, run)
    assert assembled(shorter)["choices"][0]["message"]["content"] == "Hello yo"
    assert assembled(shorter)["choices"][0]["logprobs"] is None
    assert [each["choices"][0]["logprobs"] for each in same[:-1]] == [None] * (len(same) - 1)


def test_an_own_guardrail_with_a_window_is_asked_while_the_text_is_held() -> None:
    """Windows end at white space, and are the same however the text came."""
    text = "one two three four five six seven eight nine ten"
    asked: dict[int, list[str]] = {}
    for size in (1, 3, 100):
        windows = asked.setdefault(size, [])

        def note(text: str, spot: Spot, windows: list[str] = windows) -> None:
            windows.append(text)

        stream = [chunk({"content": text[at : at + size]}) for at in range(0, len(text), size)] + [chunk({}, "stop")]
        out = relayed(Pipeline([], [Own("note", note, window=12)]), stream, run)
        assert assembled(out)["choices"][0]["message"]["content"] == text

    assert asked[1] == asked[3] == asked[100]
    assert asked[1] == ["one two ", "three four ", "five six ", "seven eight ", "nine ten"]


def test_without_output_guardrails_chunks_are_not_touched() -> None:
    """The very same objects, and nobody keeps anything."""
    pipeline = Pipeline([Pii()], [])
    one = chunk({"content": "a@x.com"})

    assert not pipeline.answers
    assert settled(pipeline.chunk(one))[0] is one
    assert settled(pipeline.finish()) == []


def test_a_text_that_another_interrupts_is_two_texts() -> None:
    """What the first part held goes out ahead of the other text, in the order in which the model said it."""
    stream = [chunk({"content": "one"}), chunk({"reasoning": "two"}), chunk({"content": "three"}), chunk({}, "stop")]
    out = relayed(Pipeline([], [Pii()]), stream)

    assert [each["choices"][0]["delta"] for each in out] == [
        {"content": "one"},
        {"reasoning": "two"},
        {"content": "three"},
        {},
    ]


TEXT = st.lists(
    st.sampled_from(
        [
            "a",
            "B",
            " ",
            "@",
            ".",
            "a@b.co",
            "[EMAIL_1]",
            '"',
            ":",
            ",",
            "\\",
            "\\u0040",
            "+49 30 123456",
            "(",
            "1.2.3.4",
            "é",
            "{",
        ]
    ),
    max_size=8,
).map("".join)
CUTS = st.lists(st.integers(1, 6), min_size=1, max_size=12)


def pieces(text: str, cuts: list[int]) -> list[str]:
    """A text in pieces of these sizes, in turn."""
    out, at, turn = [], 0, 0
    while at < len(text):
        size = cuts[turn % len(cuts)]
        out.append(text[at : at + size])
        at, turn = at + size, turn + 1
    return out


@st.composite
def streams(draw: st.DrawFn) -> list[ChatChunk]:
    """A stream of one to three choices, mixed, with reasoning, content, a refusal, tool calls, usage."""
    rows: list[list[dict[str, Any]]] = []
    for _ in range(draw(st.integers(1, 3))):
        cuts = draw(CUTS)
        row: list[dict[str, Any]] = [{"role": "assistant", "content": draw(st.sampled_from(["", None]))}]
        row += [{draw(st.sampled_from(["reasoning", "reasoning_content"])): each} for each in pieces(draw(TEXT), cuts)]
        row += [
            {"reasoning_details": [{"type": "reasoning.text", "index": 0, "text": each}]}
            for each in pieces(draw(TEXT), cuts)
        ]
        row += [{"content": each} for each in pieces(draw(TEXT), cuts)]
        row += [{"refusal": each} for each in pieces(draw(TEXT), cuts)]
        for number in range(draw(st.integers(0, 2))):
            opener = draw(st.sampled_from([{"arguments": ""}, {}, {"arguments": "{"}]))
            row.append(
                {
                    "tool_calls": [
                        {"index": number, "id": f"t{number}", "type": "function", "function": {"name": "f", **opener}}
                    ]
                }
            )
            row += [call(each, number) for each in pieces(draw(TEXT), cuts)]
        row.append({})
        rows.append(row)
    out: list[ChatChunk] = []
    while any(rows):
        index = draw(st.sampled_from([number for number, row in enumerate(rows) if row]))
        delta = rows[index].pop(0)
        logprobs = {"content": [{"token": delta["content"]}]} if delta.get("content") and draw(st.booleans()) else None
        out.append(chunk(delta, None if rows[index] else "stop", index, logprobs))
    if draw(st.booleans()):
        out.append(
            cast("ChatChunk", head(choices=[], usage={"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}))
        )
    return out


NOTHING = [
    WordList({"bad": ["xyzzy", "ab xyzzy"]}),
    Own("window", lambda text, spot: None, window=4),
    Own("whole", lambda text, spot: Verdict("pass")),
]


@given(streams(), st.lists(st.sampled_from(NOTHING), min_size=1, max_size=3, unique_by=id))
@settings(max_examples=150, deadline=None)
def test_a_stream_that_nothing_changes_assembles_to_the_same_answer(
    stream: list[ChatChunk], rails: list[Guardrail]
) -> None:
    """Whatever is held and in whichever pieces it goes out; and its chunks are not changed in place."""
    before = copy.deepcopy(stream)
    out = relayed(Pipeline([], rails), stream, run)

    assert stream == before
    assert assembled(out) == assembled(stream)
    for each in out:
        for choice in each["choices"]:
            assert choice["delta"] or choice["finish_reason"]


@given(
    streams(),
    st.lists(
        st.sampled_from([Pii(), Pii("restore"), Own("up", lambda text, spot: text.upper())]), min_size=1, max_size=2
    ),
)
@settings(max_examples=150, deadline=None)
def test_a_stream_becomes_what_the_whole_answer_becomes(stream: list[ChatChunk], rails: list[Guardrail]) -> None:
    """Each text of the one is that text of the other."""
    whole = answered(Pipeline([], rails).completion(assembled(stream)), run)
    got = assembled(relayed(Pipeline([], rails), stream, run))

    mine, theirs = ({slot.spot.path: _unnumbered(slot.text) for slot in texts_of_answer(each)} for each in (got, whole))
    assert mine == theirs


def _unnumbered(text: str) -> str:
    """Several choices that come mixed are numbered in the order in which they come."""
    out = text
    for kind in ("EMAIL", "PHONE", "IP"):
        for number in range(1, 9):
            out = out.replace(f"[{kind}_{number}]", f"[{kind}]")
    return out
