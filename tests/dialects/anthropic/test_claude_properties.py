"""What holds for every request and every stream: hypothesis makes them up."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from compatgw.errors import GatewayError, InvalidRequest, UnsupportedParameter
from compatgw.surfaces.chat import parse
from tests.properties.judges import assembled, cut, drive, essence, rules, whole

from .claude_asking import MODELS, PDF, PNG, accepted, codec, context, target

IDS = st.sampled_from(["call_a", "call_b", "functions.Bash:0", "", "a b", "x" * 300])
NAMES = st.sampled_from(["get_weather", "my tool", "mcp.server:tool", "n" * 200])
WORDS = st.sampled_from(["", " ", "\n", "Hi", "Hi there \n", "ü", "<b>"])
MARKS = st.sampled_from([{}, {}, {"cache_control": {"type": "ephemeral"}}, {"prompt_cache_breakpoint": {"ttl": "30m"}}])
PARTS = st.one_of(
    st.builds(lambda text, mark: {"type": "text", "text": text, **mark}, WORDS, MARKS),
    st.builds(
        lambda url, mark: {"type": "image_url", "image_url": {"url": url}, **mark},
        st.sampled_from(["https://x.test/a.png", f"data:image/jpg;base64,{PNG}"]),
        MARKS,
    ),
    st.just({"type": "file", "file": {"file_data": f"data:application/pdf;base64,{PDF}", "filename": "a.pdf"}}),
)
TEXTS = st.lists(
    st.builds(lambda text, mark: {"type": "text", "text": text, **mark}, WORDS, MARKS), min_size=1, max_size=2
)
CALLS = st.one_of(
    st.builds(
        lambda key, name, arguments: {
            "id": key, "type": "function", "function": {"name": name, "arguments": arguments}
        },
        IDS, NAMES, st.sampled_from(["", "{}", '{"a":1}', "[1]", "{broken", '"text"', "null", '"{\\"a\\":1}"']),
    ),
    st.builds(lambda key, name: {"id": key, "type": "custom", "custom": {"name": name, "input": "ls"}}, IDS, NAMES),
)  # fmt: skip
THOUGHTS = st.lists(
    st.sampled_from(
        [
            {"type": "reasoning.text", "text": "Hm", "signature": "c2ln", "format": "anthropic-claude-v1", "index": 0},
            {"type": "reasoning.text", "text": "", "signature": "c2ln", "format": "anthropic-claude-v1"},
            {"type": "reasoning.encrypted", "data": "ZGF0YQ", "format": "anthropic-claude-v1", "index": 1},
            {"type": "reasoning.encrypted", "data": "ZGF0YQ", "format": "openai-responses-v1"},
            {"type": "reasoning.text", "text": "x", "format": "anthropic-claude-v1"},
        ]
    ),
    max_size=3,
)
MESSAGES = st.lists(
    st.one_of(
        st.builds(lambda role, content: {"role": role, "content": content}, st.sampled_from(["system", "developer"]), WORDS | TEXTS),
        st.builds(lambda content, mark: {"role": "user", "content": content, **mark}, WORDS | st.lists(PARTS, min_size=1, max_size=3), MARKS),
        st.builds(
            lambda content, calls, thought: {
                "role": "assistant", "content": content, **({"tool_calls": calls} if calls else {}), "reasoning_details": thought
            },
            WORDS | TEXTS, st.lists(CALLS, max_size=3), THOUGHTS,
        ),
        st.builds(lambda key, content: {"role": "tool", "tool_call_id": key, "content": content}, IDS, WORDS | st.lists(PARTS, max_size=2)),
        st.builds(lambda name: {"role": "function", "name": name, "content": "ok"}, NAMES),
        st.builds(lambda name: {"role": "assistant", "function_call": {"name": name, "arguments": "{}"}}, NAMES),
    ),
    min_size=1,
    max_size=7,
)  # fmt: skip
SCHEMAS = st.sampled_from(
    [
        {},
        {"type": "object", "properties": {"a": {"type": "integer", "minimum": 1, "default": 2}}, "required": ["a"]},
        {"properties": {"a": {"oneOf": [{"type": "string", "pattern": "x"}, {"type": "null"}]}}},
        {"$ref": "#/$defs/A", "$defs": {"A": {"type": "object", "properties": {"b": {"type": "string"}}}}},
        {"anyOf": [{"type": "object", "properties": {"a": {}}, "required": ["a"]}, {"properties": {"b": {}}}]},
        {
            "type": ["object", "null"],
            "properties": {"l": {"type": "array", "items": {"type": "string"}, "minItems": 3}},
        },
    ]
)
TOOLS: st.SearchStrategy[Any] = st.builds(
    lambda name, schema, strict, mark: {
        "type": "function", "function": {"name": name, "parameters": schema, "strict": strict}, **mark
    },
    NAMES, SCHEMAS, st.booleans(), MARKS,
) | st.builds(lambda name: {"type": "custom", "custom": {"name": name}}, NAMES)  # fmt: skip
FORMATS = st.builds(lambda schema: {"type": "json_schema", "json_schema": {"name": "a", "schema": schema}}, SCHEMAS)
OPTIONS = st.fixed_dictionaries(
    {},
    optional={
        "max_tokens": st.sampled_from([1, 500, 1024, 5000, 1_000_000]),
        "max_completion_tokens": st.sampled_from([1, 1024, 20_000, 1_000_000]),
        "temperature": st.sampled_from([0.0, 1.0, 1.5]),
        "top_p": st.sampled_from([0.5, 0.97, 1.0]),
        "top_k": st.sampled_from([-1, 0, 5]),
        "stop": st.sampled_from(["END", ["\n", "END"], [" "]]),
        "reasoning_effort": st.sampled_from(["none", "minimal", "low", "medium", "high", "xhigh", "max"]),
        "reasoning": st.sampled_from([{"max_tokens": 3000}, {"enabled": True}, {"exclude": True}, {"effort": "low"}]),
        "thinking": st.sampled_from(
            [
                {"type": "enabled", "budget_tokens": 2000},
                {"type": "enabled"},
                {"type": "adaptive"},
                {"type": "disabled"},
            ]
        ),
        "response_format": FORMATS | st.just({"type": "json_object"}),
        "parallel_tool_calls": st.booleans(),
        "user": st.sampled_from(["u-1", "me@x.test", "u" * 300]),
        "service_tier": st.sampled_from(["auto", "default", "flex"]),
        "stream": st.booleans(),
        "seed": st.just(7),
        "cache_control": st.just({"type": "ephemeral"}),
    },
)


@st.composite
def requests(draw: st.DrawFn) -> dict[str, Any]:
    """A request in OpenAI's form, with everything in it that this protocol is picky about."""
    request: dict[str, Any] = {"model": "m", "messages": draw(MESSAGES), **draw(OPTIONS)}
    named: dict[str, Any] = {}
    for entry in draw(st.lists(TOOLS, max_size=3)):
        named[entry[entry["type"]]["name"]] = entry
    if named:
        request["tools"] = list(named.values())
        first = next(iter(named.values()))
        kind = first["type"]
        one = {"type": kind, kind: {"name": first[kind]["name"]}}
        some = {
            "type": "allowed_tools",
            "allowed_tools": {"mode": draw(st.sampled_from(["auto", "required"])), "tools": [one]},
        }
        choice = draw(st.sampled_from([None, "auto", "none", "required", one, some]))
        if choice is not None:
            request["tool_choice"] = choice
    return request


@settings(max_examples=150, deadline=None)
@given(request=requests(), model=st.sampled_from(MODELS), policy=st.sampled_from(["hints", "drop", "reject"]))
def test_every_request_is_accepted_or_refused_by_name(request: dict[str, Any], model: str, policy: Any) -> None:
    """By the SDK's types and by the rule book of the fake; a refusal names its member."""
    parsed = parse(orjson.dumps(request))
    try:
        outgoing = codec().encode(parsed.request, target(model, unsupported=policy))
    except InvalidRequest as refusal:
        assert refusal.param
        assert isinstance(refusal, UnsupportedParameter)
        return
    accepted(outgoing)
    assert codec().encode(parsed.request, target(model, unsupported=policy)) == outgoing, "the same in, the same out"


BLOCKS = st.lists(
    st.one_of(
        st.builds(lambda text: {"type": "text", "text": text}, st.text(max_size=8)),
        st.builds(
            lambda text, signature: {"type": "thinking", "thinking": text, "signature": signature},
            st.text(max_size=8), st.sampled_from(["", "c2ln"]),
        ),
        st.just({"type": "redacted_thinking", "data": "ZGF0YQ"}),
        st.builds(
            lambda name, value: {"type": "tool_use", "id": "toolu_a", "name": name, "input": value},
            st.sampled_from(["f", "g", "free", "answer"]),
            st.sampled_from([{}, {"input": "ls -l"}, {"a": "ü", "b": [1, None]}]),
        ),
        st.just({"type": "server_tool_use", "id": "srvtoolu_a", "name": "web_search", "input": {"query": "q"}}),
    ),
    max_size=5,
)  # fmt: skip
MEMOS = st.sampled_from(
    [
        {},
        {"custom": ("free",)},
        {"json_tool": "answer"},
        {"legacy": True},
        {"hidden": True},
        {"json_object": True},
        {"names": {"f": "my f"}},
    ]
)


def streamed(blocks: list[dict[str, Any]], stop: str, pieces: int) -> bytes:
    """The events of a message with these blocks, each in some pieces."""
    usage = {"input_tokens": 5, "cache_read_input_tokens": 3, "cache_creation_input_tokens": 2, "output_tokens": 1}
    message = {"id": "msg_9", "type": "message", "role": "assistant", "model": "m", "content": [], "usage": usage}
    events: list[dict[str, Any]] = [{"type": "message_start", "message": message}]
    for index, block in enumerate(blocks):
        kind = block["type"]
        member = {"text": "text", "thinking": "thinking"}.get(kind)
        empty = {**block, "input": {}} if "input" in block else dict(block)
        if member:
            empty |= {member: "", **({"signature": ""} if kind == "thinking" else {})}
        deltas = [{"type": f"{member}_delta", member: text} for text in _split(block.get(member or "", ""), pieces)]
        if block.get("input"):
            inputs = _split(orjson.dumps(block["input"]).decode(), pieces)
            deltas = [{"type": "input_json_delta", "partial_json": text} for text in ("", *inputs)]
        if block.get("signature"):
            deltas.append({"type": "signature_delta", "signature": block["signature"]})
        events.append({"type": "content_block_start", "index": index, "content_block": empty})
        events += [{"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas]
        events.append({"type": "content_block_stop", "index": index})
    events.append({"type": "message_delta", "delta": {"stop_reason": stop}, "usage": {"output_tokens": 7}})
    events.append({"type": "message_stop"})
    return b"".join(b"event: %s\ndata: %s\n\n" % (e["type"].encode(), orjson.dumps(e)) for e in events)


def _split(text: str, pieces: int) -> list[str]:
    size = max(1, -(-len(text) // pieces))
    return [text[start : start + size] for start in range(0, len(text), size)]


@settings(max_examples=100, deadline=None)
@given(
    blocks=BLOCKS,
    memo=MEMOS,
    stop=st.sampled_from(
        ["end_turn", "max_tokens", "tool_use", "pause_turn", "refusal", "stop_sequence", "from_tomorrow"]
    ),
    pieces=st.integers(1, 4),
    data=st.data(),
)
def test_a_stream_says_what_the_whole_answer_says(
    blocks: list[dict[str, Any]], memo: dict[str, Any], stop: str, pieces: int, data: st.DataObject
) -> None:
    """Wherever it is cut, whatever the memo; and the chunks keep the rules."""
    body = streamed(blocks, stop, pieces)
    usage = {"input_tokens": 5, "cache_read_input_tokens": 3, "cache_creation_input_tokens": 2, "output_tokens": 7}
    message = {
        "id": "msg_9",
        "type": "message",
        "role": "assistant",
        "model": "m",
        "content": blocks,
        "stop_reason": stop,
    }
    asked = context(**memo)
    plain = whole(codec().decode(orjson.dumps({**message, "usage": usage}), asked))
    places = data.draw(st.lists(st.integers(0, len(body)), max_size=20))
    chunks = drive(codec().stream(asked), cut(body, places))

    rules(chunks)
    assert [p.chunk for p in chunks] == [p.chunk for p in drive(codec().stream(asked), [body])]
    if any(c["type"] == "custom" for c in plain["choices"][0]["message"].get("tool_calls") or ()):
        return  # the SDK's accumulator knows functions only
    found = assembled(chunks)
    assert essence(found) == essence(plain)
    assert found["id"] == plain["id"] == "chatcmpl-9"
    one, other = (answer["choices"][0]["message"] for answer in (found, plain))
    assert one.get("function_call") == other.get("function_call")
    ours = [{k: v for k, v in entry.items() if v != ""} for entry in other.get("reasoning_details") or ()]
    assert [{k: v for k, v in entry.items() if v != ""} for entry in one.get("reasoning_details") or ()] == ours


@settings(max_examples=100, deadline=None)
@given(noise=st.binary(max_size=40), place=st.integers(0, 10_000))
def test_noise_in_a_stream_is_a_gateway_error_at_most(noise: bytes, place: int) -> None:
    """No other exception reaches the caller."""
    body = streamed(
        [{"type": "thinking", "thinking": "Hm", "signature": "c2ln"}, {"type": "text", "text": "Hi"}], "end_turn", 2
    )
    try:
        drive(codec().stream(context()), [body[:place], noise, body[place:]])
    except GatewayError:
        return


def test_the_judge_of_requests_refuses_what_the_api_refuses() -> None:
    """Otherwise the tests here would prove nothing."""
    body = {"model": "m", "max_tokens": 1, "messages": [{"role": "user", "content": [{"type": "text", "text": " "}]}]}
    good = codec().encode({"model": "m", "messages": [{"role": "user", "content": "Hi"}]}, target())
    with pytest.raises(Exception, match="non-whitespace"):
        accepted(good._replace(body=orjson.dumps(body)))
    with pytest.raises(Exception, match="extra"):
        accepted(good._replace(body=orjson.dumps({**orjson.loads(good.body), "seed": 1})))
