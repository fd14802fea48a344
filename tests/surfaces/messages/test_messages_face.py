"""How answers are told: blocks in order whatever the order of what came, stop reasons, totals, errors."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from compatgw import errors
from compatgw.dialects import assemble
from compatgw.dialects.anthropic import DIALECT
from compatgw.dialects.base import Answer, Leftovers, Piece, Result, Target
from compatgw.surfaces.base import View
from compatgw.surfaces.messages import COUNT_TOKENS, MESSAGES
from compatgw.surfaces.messages.face import MessagesFace
from compatgw.wire.messages import own_id, sealed, unsealed
from tests.surfaces.messages.bench import read
from tests.surfaces.messages.grammar import accumulated, check

CLAUDE = "anthropic-claude-v1"
GEMINI = "google-gemini-v1"
USAGE = {
    "prompt_tokens": 30,
    "completion_tokens": 12,
    "total_tokens": 42,
    "prompt_tokens_details": {"cached_tokens": 20, "cache_write_tokens": 4},
    "completion_tokens_details": {"reasoning_tokens": 5},
}


def face(view: View | None = None, **members: Any) -> MessagesFace:
    """The face of a request."""
    body = {"model": "asked", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}], **members}
    return MessagesFace(MESSAGES.parse(orjson.dumps(body)), view or View("word", 1))


def chunk(delta: Any = None, finish: str | None = None, **members: Any) -> Piece:
    """A piece with one choice, or with none."""
    choices = [] if delta is None else [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}]
    head = {"id": "chatcmpl-7", "object": "chat.completion.chunk", "created": 1, "model": "up"}
    return Piece({**head, "choices": choices, **members})  # type: ignore[typeddict-item]


def call(index: int, arguments: str = "", id: str = "", name: str = "") -> Any:
    """A delta of a call, or its opener."""
    opener = {"id": id, "type": "function"} if id else {}
    return {
        "tool_calls": [
            {"index": index, **opener, "function": {**({"name": name} if name else {}), "arguments": arguments}}
        ]
    }


def stream(*pieces: Piece, told: MessagesFace | None = None) -> bytes:
    """The whole stream of these pieces, one by one."""
    told = told or face()
    return told.begin() + b"".join(told.events([piece]) for piece in pieces) + told.end()


def streamed(*deltas: Any, finish: str = "stop", told: MessagesFace | None = None) -> dict[str, Any]:
    """The SDK's message of these deltas, whose events were in order."""
    role, end, usage = chunk({"role": "assistant", "content": ""}), chunk({}, finish), chunk(usage=USAGE)
    body = stream(role, *map(chunk, deltas), end, usage, told=told)
    check(read(body))
    return accumulated(body)


def whole(message: Any, finish: str = "stop", told: MessagesFace | None = None, **members: Any) -> dict[str, Any]:
    """A whole answer, told."""
    said = {"role": "assistant", "content": None, "refusal": None, **message}
    choice = {"index": 0, "message": said, "logprobs": None, "finish_reason": finish}
    completion: Any = {"id": "chatcmpl-7", "created": 1, "model": "up", "choices": [choice], "usage": USAGE}
    completion |= {"object": "chat.completion", **members}
    found: dict[str, Any] = orjson.loads((told or face()).whole(Answer(completion)))
    return found


def blocks(message: dict[str, Any]) -> list[dict[str, Any]]:
    """Its content, without members that the SDK adds."""
    extra = ("citations", "caller", "parsed_output", "toolset_name")
    return [{n: v for n, v in block.items() if n not in extra} for block in message["content"]]


# --- whole -----------------------------------------------------------------------------------


def test_a_whole_message() -> None:
    """Every member that the protocol has, and totals as it counts them."""
    assert whole({"content": "Hello"}, service_tier="default") == {
        "id": "msg_7",
        "type": "message",
        "role": "assistant",
        "model": "up",
        "content": [{"type": "text", "text": "Hello"}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": {
            "input_tokens": 6,
            "cache_creation_input_tokens": 4,
            "cache_read_input_tokens": 20,
            "output_tokens": 12,
            "output_tokens_details": {"thinking_tokens": 5},
            "service_tier": "standard",
        },
    }


def test_an_answer_of_nothing() -> None:
    """Clients see an empty text; without totals there are zeros."""
    for found in (whole({}, usage=None), streamed()):
        assert blocks(found) == [{"type": "text", "text": ""}]
    assert whole({}, usage=None)["usage"]["input_tokens"] == 0


@pytest.mark.parametrize(
    ("finish", "calls", "wanted"),
    [
        ("stop", False, "end_turn"),
        ("length", False, "max_tokens"),
        ("content_filter", False, "refusal"),
        ("tool_calls", True, "tool_use"),
        ("stop", True, "tool_use"),
        ("length", True, "max_tokens"),
        ("tool_calls", False, "end_turn"),
    ],
)
def test_why_it_ended(finish: str, calls: bool, wanted: str) -> None:
    """Calls say `tool_use` whatever the upstream says, unless it was cut off."""
    made = [{"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{}"}}]
    message = {"tool_calls": made} if calls else {"content": "x"}
    assert whole(message, finish)["stop_reason"] == wanted
    deltas = [call(0, "{}", "call_1", "f")] if calls else [{"content": "x"}]
    assert streamed(*deltas, finish=finish)["stop_reason"] == wanted


def test_a_stop_at_a_string_of_the_callers() -> None:
    """Servers that say which string they met are believed when the caller asked for it."""
    told = face(stop_sequences=["END"])
    choice = {"index": 0, "message": {"role": "assistant", "content": "a", "refusal": None}, "finish_reason": "stop"}
    answer: Any = {"id": "1", "model": "m", "choices": [{**choice, "stop_reason": "END"}]}
    found = orjson.loads(told.whole(Answer(answer)))
    assert (found["stop_reason"], found["stop_sequence"]) == ("stop_sequence", "END")
    other = orjson.loads(face().whole(Answer(answer)))
    assert (other["stop_reason"], other["stop_sequence"]) == ("end_turn", None)


@pytest.mark.parametrize("finish", ["stop", "content_filter"])
def test_a_refusal(finish: str) -> None:
    """Its words are in `stop_details`; where the model itself said them, they are the text as well."""
    text = "" if finish == "content_filter" else "I cannot."
    for found in (whole({"refusal": "I cannot."}, finish), streamed({"refusal": "I cannot."}, finish=finish)):
        assert found["stop_reason"] == "refusal"
        assert found["stop_details"]["explanation"] == "I cannot."
        assert blocks(found) == [{"type": "text", "text": text}]


@pytest.mark.parametrize(
    ("arguments", "wanted"),
    [
        ('{"a": 1}', {"a": 1}),
        ("", {}),
        ("null", {}),
        ('"{\\"a\\": 1}"', {"a": 1}),
        ('{"a": ', {"_raw": '{"a": '}),
        ("[1]", {"_raw": [1]}),
    ],
)
def test_inputs_are_objects(arguments: str, wanted: Any) -> None:
    """Always: what is none stays visible."""
    made = [{"id": "call_1", "type": "function", "function": {"name": "f", "arguments": arguments}}]
    assert whole({"tool_calls": made})["content"][0]["input"] == wanted


def test_ids_and_names() -> None:
    """Ids of other vendors are letters and digits here; names are the caller's own again."""
    name = "mcp__" + "x" * 70
    told = face(tools=[{"name": name, "input_schema": {"type": "object"}}])
    short = MESSAGES.parse(
        orjson.dumps(
            {
                "model": "m",
                "max_tokens": 1,
                "messages": [{"role": "user", "content": "a"}],
                "tools": [{"name": name, "input_schema": {"type": "object"}}],
            }
        )
    ).request["tools"][0]["function"]["name"]
    made = [{"id": "functions.f:0", "type": "function", "function": {"name": short, "arguments": "{}"}}]
    block = whole({"tool_calls": made}, told=told)["content"][0]
    assert block["name"] == name
    assert own_id(block["id"]) == "functions.f:0"
    assert streamed(call(0, "{}", "functions.f:0", short), told=told)["content"][0] | {} == {
        **streamed(call(0, "{}", "functions.f:0", short), told=face())["content"][0],
        "name": name,
    }


# --- streams ---------------------------------------------------------------------------------


def test_interleaved_calls_become_one_after_the_other() -> None:
    """The second call's pieces wait until the first one is whole; a wrong finish reason is set right."""
    found = streamed(
        {"reasoning_content": "Hm"},
        {"tool_calls": [*call(0, "", "call_a", "f")["tool_calls"], *call(1, "", "call_b", "f")["tool_calls"]]},
        call(1, '{"city":'),
        call(0, '{"city":"Paris"}'),
        call(1, '"Oslo"}'),
    )
    assert blocks(found) == [
        {"type": "thinking", "thinking": "Hm", "signature": ""},
        {"type": "tool_use", "id": "call_a", "name": "f", "input": {"city": "Paris"}},
        {"type": "tool_use", "id": "call_b", "name": "f", "input": {"city": "Oslo"}},
    ]
    assert found["stop_reason"] == "tool_use"
    assert found["usage"]["input_tokens"] == 6
    assert found["usage"]["cache_read_input_tokens"] == 20


def test_a_piece_that_only_looks_like_the_end() -> None:
    """A call is whole with its JSON, not with a brace; a second call waits until then."""
    found = streamed(
        call(0, "", "call_a", "f"),
        call(1, "", "call_b", "g"),
        call(0, '{"a":{}'),
        call(1, "{"),
        call(0, ',"b":1}'),
        call(1, "}"),
    )
    assert [(block["id"], block["input"]) for block in blocks(found)] == [("call_a", {"a": {}, "b": 1}), ("call_b", {})]


def test_other_choices_and_parts() -> None:
    """One answer is told; text in parts is text."""
    other: Any = {"index": 1, "delta": {"content": "other"}, "logprobs": None, "finish_reason": None}
    two = chunk({"content": "a"})
    two.chunk["choices"].append(other)
    body = stream(two, chunk({}, "stop"))
    check(read(body))
    assert blocks(accumulated(body)) == [{"type": "text", "text": "a"}]
    parts = [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
    assert blocks(whole({"content": parts})) == [{"type": "text", "text": "ab"}]


def test_nothing_waits_that_need_not() -> None:
    """Text, and the pieces of the call that is open, are told at once."""
    told = face()
    assert b'"text":"One"' in told.events([chunk({"role": "assistant", "content": "One"})])
    assert b'"text":" two"' in told.events([chunk({"content": " two"})])
    assert b"tool_use" in told.events([chunk(call(0, "", "call_a", "f"))])
    assert b'"partial_json":"{\\"a\\":"' in told.events([chunk(call(0, '{"a":'))])


def test_text_behind_a_call() -> None:
    """It is a block of its own, behind the call."""
    found = streamed({"content": "a"}, call(0, "{}", "call_a", "f"), {"content": "b"})
    assert [block.get("text", block["type"]) for block in blocks(found)] == ["a", "tool_use", "b"]


def test_thinking_of_this_protocols_own() -> None:
    """Blocks stay apart, each with its signature; one without text is one, too."""
    mine = {"format": CLAUDE, "id": "claude-thought-1"}
    found = streamed(
        {
            "reasoning_content": "One",
            "reasoning_details": [{"index": 0, "type": "reasoning.text", "text": "One", **mine}],
        },
        {"reasoning_details": [{"index": 0, "type": "reasoning.text", "signature": "S1"}]},
        {"reasoning_details": [{"index": 1, "type": "reasoning.text", "signature": "S2", **mine}]},
        {"reasoning_details": [{"index": 2, "type": "reasoning.encrypted", "data": "D", **mine}]},
        {"content": "Yes"},
    )
    wanted = [
        {"type": "thinking", "thinking": "One", "signature": "S1"},
        {"type": "thinking", "thinking": "", "signature": "S2"},
        {"type": "redacted_thinking", "data": "D"},
        {"type": "text", "text": "Yes"},
    ]
    assert blocks(found) == wanted
    details = [
        {"index": 0, "type": "reasoning.text", "text": "One", "signature": "S1", **mine},
        {"index": 1, "type": "reasoning.text", "text": "", "signature": "S2", **mine},
        {"index": 2, "type": "reasoning.encrypted", "data": "D", **mine},
    ]
    assert whole({"content": "Yes", "reasoning_content": "One", "reasoning_details": details})["content"] == wanted


@pytest.mark.parametrize("streams", [True, False])
def test_signatures_of_another_vendor(streams: bool) -> None:
    """They travel in a block that nobody else reads, and come back as what they were."""
    entry = {"type": "reasoning.encrypted", "data": "G", "format": GEMINI, "id": "call_a"}
    made = [{"id": "call_a", "type": "function", "function": {"name": "f", "arguments": "{}"}}]
    if streams:
        found = streamed(call(0, "{}", "call_a", "f"), {"reasoning_details": [{**entry, "index": 0}]})
    else:
        found = whole({"tool_calls": made, "reasoning_details": [{**entry, "index": 0}]})
    call_block, kept = blocks(found)
    assert call_block["type"] == "tool_use"
    assert kept["type"] == "redacted_thinking"
    assert unsealed(kept["data"]) == [entry]
    talk = [
        {"role": "user", "content": "hi"},
        {"role": "assistant", "content": [call_block, kept]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "call_a", "content": "1"}]},
    ]
    again = MESSAGES.parse(orjson.dumps({"model": "m", "max_tokens": 9, "messages": talk})).request
    assert again["messages"][1]["reasoning_details"] == [{**entry, "index": 0}]


def test_thinking_that_is_not_to_be_read() -> None:
    """`omitted`: an empty block whose signature holds the text; `disabled`: none at all."""
    omitted: Any = {"type": "adaptive", "display": "omitted"}
    for found in (
        streamed({"reasoning_content": "Hm"}, {"content": "a"}, told=face(thinking=omitted)),
        whole({"reasoning_content": "Hm", "content": "a"}, told=face(thinking=omitted)),
    ):
        thought, _ = blocks(found)
        assert thought["thinking"] == ""
        assert unsealed(thought["signature"]) == [{"type": "reasoning.text", "text": "Hm"}]
    disabled: Any = {"type": "disabled"}
    for found in (
        streamed({"reasoning_content": "Hm"}, {"content": "a"}, told=face(thinking=disabled)),
        whole({"reasoning_content": "Hm", "content": "a"}, told=face(thinking=disabled)),
    ):
        assert blocks(found) == [{"type": "text", "text": "a"}]


def test_reasoning_that_is_left_out() -> None:
    """The gateway's own switch leaves no thinking, and asks every upstream in the hub's words."""
    body = {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]}
    parsed = MESSAGES.parse(orjson.dumps({**body, "gateway": {"reasoning": {"exclude": True}}}))
    assert parsed.native is not None
    assert parsed.native.surface not in DIALECT.native
    told = MessagesFace(parsed, View("word", 1))
    assert whole({"reasoning_content": "Hm", "content": "a"}, told=told)["content"] == [{"type": "text", "text": "a"}]


# --- native ----------------------------------------------------------------------------------


def test_native_answers_are_the_upstreams_bytes() -> None:
    """Not a byte is changed, and what is no frame is nothing to the client."""
    raw = b'{"id": "msg_1",  "model": "up"}'
    assert face().whole(Answer({}, native=raw)) == raw  # type: ignore[typeddict-item]
    told = face()
    pieces = [chunk({"content": "a"})._replace(native=b"event: x\ndata: 1\n\n"), chunk({})._replace(native=b"")]
    assert told.events(pieces) == b"event: x\ndata: 1\n\n"
    assert told.events([chunk({}, "stop")._replace(native=b"")]) == b""
    assert told.end() == b""


def test_native_answers_under_the_name_that_was_asked_for() -> None:
    """Only the model is written anew, in whole answers and in the first event."""
    view = View("word", 1, echo=True)
    native = orjson.dumps({"id": "msg_1", "model": "up", "content": []})
    assert orjson.loads(face(view).whole(Answer({}, native=native))) == {  # type: ignore[typeddict-item]
        "id": "msg_1", "model": "asked", "content": [],
    }  # fmt: skip
    start = b'event: message_start\ndata: {"type":"message_start","message":{"id":"msg_1","model":"up"}}\n\n'
    ping = b'event: ping\ndata: {"type": "ping"}\n\n'
    body = face(view).events([chunk({})._replace(native=start), chunk({})._replace(native=ping)])
    assert body == start.replace(b'"up"', b'"asked"') + ping


# --- errors and counts -----------------------------------------------------------------------

CASES = [
    (errors.InvalidRequest("m"), 400, "invalid_request_error"),
    (errors.Unauthenticated("m"), 401, "authentication_error"),
    (errors.InsufficientQuota("m"), 402, "billing_error"),
    (errors.Forbidden("m"), 403, "permission_error"),
    (errors.NotFound("m"), 404, "not_found_error"),
    (errors.MethodNotAllowed("m"), 405, "invalid_request_error"),
    (errors.Conflict("m"), 409, "conflict_error"),
    (errors.RequestTooLarge("m"), 413, "request_too_large"),
    (errors.UnsupportedMediaType("m"), 415, "invalid_request_error"),
    (errors.RateLimited("m", kind="tokens", retry_after=1), 429, "rate_limit_error"),
    (errors.GatewayError("m"), 500, "api_error"),
    (errors.StreamingDisabled("m"), 501, "api_error"),
    (errors.UpstreamFailure("m"), 502, "api_error"),
    (errors.UpstreamUnavailable("m"), 503, "overloaded_error"),
    (errors.Overloaded("m"), 503, "overloaded_error"),
    (errors.UpstreamTimeout("m"), 504, "timeout_error"),
]


@pytest.mark.parametrize(("error", "status", "kind"), CASES, ids=lambda case: type(case).__name__)
def test_every_error_has_its_type(error: errors.GatewayError, status: int, kind: str) -> None:
    """The envelope is the protocol's; code and path stand in it as well."""
    assert error.status == status
    wanted = {"type": kind, "message": "m", "param": None, "code": error.code}
    assert MESSAGES.envelope(error) == {"type": "error", "error": wanted}


def test_a_prompt_that_is_too_long() -> None:
    """The words that clients look for are there, once."""
    error = errors.InvalidRequest("Too many tokens.", code="context_length_exceeded")
    assert MESSAGES.envelope(error)["error"]["message"] == "prompt is too long: Too many tokens."
    own = errors.InvalidRequest("prompt is too long: 5 tokens > 4 maximum", code="context_length_exceeded")
    assert MESSAGES.envelope(own)["error"]["message"] == "prompt is too long: 5 tokens > 4 maximum"


def test_members_have_the_clients_names() -> None:
    """A refusal of what the hub calls `stop` blames `stop_sequences`."""
    refusal = Leftovers(Target("OpenAI", "gpt-5")).refusal("stop")
    told = MESSAGES.envelope(refusal)["error"]
    assert told["param"] == "stop_sequences"
    assert told["message"].startswith("'stop_sequences' is not supported by model 'gpt-5'")


def test_counts() -> None:
    """Made here or by an upstream, they have one form; what else an upstream says of a count stays."""
    parsed = COUNT_TOKENS.parse(b'{"model":"m","messages":[{"role":"user","content":"a"}]}')
    told = COUNT_TOKENS.face(parsed, View("w", 1))
    assert told.whole(Result({"input_tokens": 5})) == b'{"input_tokens":5}'
    more = {"input_tokens": 5, "context_management": {"original_input_tokens": 9}}
    assert orjson.loads(told.whole(Result(more))) == more


# --- any stream ------------------------------------------------------------------------------

texts = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), min_size=1, max_size=6)


@st.composite
def answers(draw: st.DrawFn) -> tuple[list[Any], dict[str, Any]]:
    """Deltas in any order that a hub stream may have, and what they say."""
    deltas: list[Any] = []
    inputs = draw(st.lists(st.dictionaries(texts, texts | st.integers(-9, 9), max_size=2), max_size=3))
    lanes: list[list[Any]] = []
    for index, value in enumerate(inputs):
        json = orjson.dumps(value).decode()
        places = sorted(draw(st.sets(st.integers(1, len(json) - 1), max_size=3)))
        parts = [json[a:b] for a, b in zip([0, *places], [*places, len(json)], strict=True)]
        lanes.append([call(index, part) for part in parts])
    for index in range(len(inputs)):
        lanes[index].insert(0, call(index, "", f"call_{index}", f"tool_{index}"))
    said: list[str] = []
    thought: list[str] = []
    opened = 0
    while any(lanes) or draw(st.booleans()):
        kind = draw(st.integers(0, 4))
        if kind == 0 and len(said) < 6:
            said.append(draw(texts))
            deltas.append({"content": said[-1]})
        elif kind == 1 and len(thought) < 6:
            thought.append(draw(texts))
            deltas.append({"reasoning_content": thought[-1], "reasoning": thought[-1]})
        elif any(lanes):
            # Calls begin in order, and then go on as they like.
            ready = [lane for number, lane in enumerate(lanes) if lane and number <= opened]
            lane = draw(st.sampled_from(ready))
            opened += "id" in lane[0]["tool_calls"][0]
            deltas.append(lane.pop(0))
    finish = draw(st.sampled_from(["stop", "length", "tool_calls"]))
    return deltas, {"text": "".join(said), "thought": "".join(thought), "inputs": inputs, "finish": finish}


@settings(max_examples=120, deadline=None)
@given(answers(), st.booleans())
def test_any_stream_is_in_order_and_says_the_same(case: tuple[list[Any], dict[str, Any]], at_once: bool) -> None:
    """By the documented grammar and by the SDK's accumulator; the whole answer of the same chunks agrees."""
    deltas, said = case
    pieces = [
        chunk({"role": "assistant", "content": ""}),
        *map(chunk, deltas),
        chunk({}, said["finish"]),
        chunk(usage=USAGE),
    ]
    told = face()
    body = told.events(pieces) + told.end() if at_once else stream(*pieces)
    check(read(body))
    found = accumulated(body)
    plain = orjson.loads(face().whole(Answer(assemble.completion(piece.chunk for piece in pieces))))
    for message in (found, plain):
        content = message["content"]
        assert "".join(b["text"] for b in content if b["type"] == "text") == said["text"]
        assert "".join(b["thinking"] for b in content if b["type"] == "thinking") == said["thought"]
        uses = [(b["id"], b["name"], b["input"]) for b in content if b["type"] == "tool_use"]
        assert uses == [(f"call_{n}", f"tool_{n}", value) for n, value in enumerate(said["inputs"])]
    assert found["stop_reason"] == plain["stop_reason"]
    assert {n: v for n, v in found["usage"].items() if v is not None} == plain["usage"]


@settings(max_examples=60, deadline=None)
@given(answers(), st.integers(0, 30))
def test_any_broken_stream_ends_with_an_error(case: tuple[list[Any], dict[str, Any]], place: int) -> None:
    """Wherever it breaks: one `error`, no `message_stop`, and what came before is in order."""
    pieces = [chunk({"role": "assistant", "content": ""}), *map(chunk, case[0])][:place]
    told = face()
    body = b"".join(told.events([piece]) for piece in pieces) + told.failed(errors.StreamInterrupted("Cut."))
    events = read(body)
    assert events[-1]["error"]["message"] == "Cut."
    if len(events) > 1:
        check(events, failed=True)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.dictionaries(texts, texts, max_size=3), max_size=4))
def test_seals_hold(entries: list[dict[str, Any]]) -> None:
    """What is sealed comes back; it is one line of ASCII."""
    text = sealed(entries)
    assert text.isascii()
    assert "\n" not in text
    assert unsealed(text) == entries


@given(st.text(max_size=40))
def test_what_is_no_seal(text: str) -> None:
    """Anything behind the mark is nothing, not an error."""
    assert isinstance(unsealed("cgw1." + text), list)
