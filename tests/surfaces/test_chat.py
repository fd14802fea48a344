"""What the chat surface takes, forgives and refuses."""

from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from compatgw.dialects.base import Answer, Piece
from compatgw.errors import GatewayError, InvalidRequest
from compatgw.surfaces.chat import parse, render, render_chunk


def request(**members: Any) -> dict[str, Any]:
    """A small valid request with `members` over it."""
    return {"model": "m", "messages": [{"role": "user", "content": "hi"}], **members}


def parsed(**members: Any) -> Any:
    """The hub request that such a body becomes."""
    return parse(orjson.dumps(request(**members))).request


def message(**members: Any) -> Any:
    """The hub message that `members` become as the only message."""
    return parse(orjson.dumps({"model": "m", "messages": [members]})).request["messages"][0]


def test_null_members_are_left_out_where_they_mean_absence() -> None:
    """Clients write null for what they do not set, at every level that OpenAI defines."""
    got = parsed(temperature=None, stop=None, messages=[{"role": "user", "content": "hi", "name": None}])
    assert got == {"model": "m", "messages": [{"role": "user", "content": "hi"}]}


def test_null_inside_a_schema_is_kept() -> None:
    """Below `parameters` null is a value: an enum may hold it."""
    schema = {"type": "object", "properties": {"a": {"enum": ["x", None], "default": None}}}
    got = parsed(tools=[{"type": "function", "function": {"name": "f", "parameters": schema, "strict": None}}])
    assert got["tools"][0]["function"] == {"name": "f", "parameters": schema}


def test_unknown_members_are_kept_at_every_level() -> None:
    """Fields younger than the gateway reach the upstreams that know them."""
    content = [{"type": "text", "text": "a", "cache_control": {"type": "ephemeral"}}]
    got = parsed(messages=[{"role": "user", "content": content, "x": 1}], new_field={"a": [1]})
    assert got["new_field"] == {"a": [1]}
    assert got["messages"][0] == {"role": "user", "content": content, "x": 1}


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ({"role": "user", "content": ["a"]}, {"role": "user", "content": [{"type": "text", "text": "a"}]}),
        (
            {"role": "user", "content": [{"type": "input_text", "text": "a"}]},
            {"role": "user", "content": [{"type": "text", "text": "a"}]},
        ),
        (
            {"role": "user", "content": [{"type": "input_image", "image_url": "https://x/y", "detail": "low"}]},
            {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "https://x/y", "detail": "low"}}]},
        ),
        ({"role": "assistant", "content": "a", "tool_calls": []}, {"role": "assistant", "content": "a"}),
        (
            {"role": "assistant", "tool_calls": [{"id": "c", "function": {"name": "f", "arguments": {"a": 1}}}]},
            {
                "role": "assistant",
                "tool_calls": [{"id": "c", "function": {"name": "f", "arguments": '{"a":1}'}, "type": "function"}],
            },
        ),
        (
            {
                "role": "assistant",
                "tool_calls": [{"id": "c", "type": "function", "function": {"name": "f", "arguments": ""}}],
            },
            {
                "role": "assistant",
                "tool_calls": [{"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}],
            },
        ),
    ],
)
def test_what_real_clients_send_is_forgiven(sent: dict[str, Any], kept: dict[str, Any]) -> None:
    """Sloppy spellings become OpenAI's own."""
    assert message(**sent) == kept


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("any", "required"),
        ({"type": "tool", "name": "f"}, {"type": "function", "function": {"name": "f"}}),
        ({"type": "function", "name": "f"}, {"type": "function", "function": {"name": "f"}}),
        ({"type": "auto"}, "auto"),
        ({"type": "function", "function": {"name": "f"}}, {"type": "function", "function": {"name": "f"}}),
    ],
)
def test_spellings_of_tool_choice_become_one(sent: Any, kept: Any) -> None:
    """Mistral's, LangChain's and Anthropic's words are understood."""
    tools = [{"type": "function", "function": {"name": "f"}}]
    assert parsed(tools=tools, tool_choice=sent)["tool_choice"] == kept


def test_flat_tools_are_nested() -> None:
    """Some clients mix the shapes of the Responses API into chat."""
    got = parsed(tools=[{"type": "function", "name": "f", "parameters": {"type": "object"}}])
    assert got["tools"] == [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}]


def test_max_completion_tokens_wins_over_its_older_name() -> None:
    """Both together mean the newer one."""
    assert "max_tokens" not in parsed(max_tokens=5, max_completion_tokens=9)


def test_both_forms_of_a_file_are_taken() -> None:
    """OpenAI's data URL, and bare base64 with its media type."""
    files = [
        {"type": "file", "file": {"file_data": "data:application/pdf;base64,JVBERi0=", "filename": "a.pdf"}},
        {"type": "file", "file": {"data": "JVBERi0=", "media_type": "application/pdf", "filename": "a.pdf"}},
    ]
    assert message(role="user", content=files)["content"] == files


@pytest.mark.parametrize(
    ("members", "param", "code"),
    [
        ({"messages": None}, "messages", "missing_parameter"),
        ({"messages": []}, "messages", "invalid_value"),
        ({"messages": "hi"}, "messages", "invalid_type"),
        ({"messages": ["hi"]}, "messages[0]", "invalid_type"),
        ({"messages": [{"content": "hi"}]}, "messages[0].role", "missing_parameter"),
        ({"messages": [{"role": "robot", "content": "hi"}]}, "messages[0].role", "invalid_value"),
        ({"messages": [{"role": 1, "content": "hi"}]}, "messages[0].role", "invalid_type"),
        ({"messages": [{"role": "user"}]}, "messages[0].content", "missing_parameter"),
        ({"messages": [{"role": "user", "content": 5}]}, "messages[0].content", "invalid_type"),
        ({"messages": [{"role": "user", "content": [{"type": "smell"}]}]}, "messages[0].content[0].type", "invalid_value"),
        ({"messages": [{"role": "user", "content": [{"text": "a"}]}]}, "messages[0].content[0].type", "missing_parameter"),
        ({"messages": [{"role": "user", "content": [5]}]}, "messages[0].content[0]", "invalid_type"),
        (
            {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": 5}}]}]},
            "messages[0].content[0].image_url.url",
            "invalid_type",
        ),
        ({"messages": [{"role": "tool", "content": "a"}]}, "messages[0].tool_call_id", "missing_parameter"),
        ({"temperature": "hot"}, "temperature", "invalid_type"),
        ({"temperature": True}, "temperature", "invalid_type"),
        ({"temperature": 2.1}, "temperature", "invalid_value"),
        ({"top_p": -0.1}, "top_p", "invalid_value"),
        ({"n": 0}, "n", "invalid_value"),
        ({"n": 1.5}, "n", "invalid_type"),
        ({"max_tokens": 0}, "max_tokens", "invalid_value"),
        ({"max_tokens": 5.0}, "max_tokens", "invalid_type"),
        ({"stream": "yes"}, "stream", "invalid_type"),
        ({"stop": 5}, "stop", "invalid_type"),
        ({"tool_choice": "sometimes"}, "tool_choice", "invalid_value"),
        ({"tool_choice": {"type": "function"}, "tools": [{"type": "function", "function": {"name": "f"}}]}, "tool_choice.function", "missing_parameter"),
        ({"tools": [{"type": "function"}]}, "tools[0].function", "missing_parameter"),
        ({"tools": [{"type": "function", "function": {}}]}, "tools[0].function.name", "missing_parameter"),
        ({"response_format": {"type": "yaml"}}, "response_format.type", "invalid_value"),
        ({"response_format": {"type": "json_schema"}}, "response_format.json_schema", "missing_parameter"),
        ({"logit_bias": {"50256": 101}}, "logit_bias.50256", "invalid_value"),
        ({"top_logprobs": 5}, "top_logprobs", "invalid_value"),
        ({"reasoning_effort": "extreme"}, "reasoning_effort", "invalid_value"),
        ({"model": ""}, "model", "invalid_value"),
        ({"model": 5}, "model", "invalid_type"),
        ({"timeout": 300001}, "timeout", "invalid_value"),
        ({"timeout": "5s"}, "timeout", "invalid_type"),
        ({"gateway": {"timeout": 0}}, "gateway.timeout", "invalid_value"),
        ({"gateway": 5}, "gateway", "invalid_type"),
        ({"cailos": {"colour": 1}}, "cailos.colour", "invalid_value"),
        ({"guardrails": {"input": [7]}}, "guardrails.input[0]", "invalid_type"),
        ({"cailos": {"prompt_id": 7}}, "cailos.prompt_id", "invalid_type"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named_by_its_path(members: dict[str, Any], param: str, code: str) -> None:
    """The first thing wrong is refused with its path and the matching code."""
    with pytest.raises(InvalidRequest) as caught:
        parse(orjson.dumps(request(**members)))

    assert (caught.value.param, caught.value.code) == (param, code)
    assert "<" not in caught.value.message


def test_a_path_does_not_repeat_a_key_of_any_length() -> None:
    """Errors stay short whatever is sent."""
    with pytest.raises(InvalidRequest) as caught:
        parse(orjson.dumps(request(logit_bias={"k" * 100_000: 101})))
    assert caught.value.param is not None
    assert len(caught.value.param) <= 256
    assert len(caught.value.message) < 1000


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"\xff\xfe", b'{"model": NaN}', b'{"a": 1} trailing', b'{"model": "\\ud800"}', b"{'model': 'x'}"],
)
def test_a_body_that_is_not_json_is_refused(body: bytes) -> None:
    """Malformed JSON, invalid UTF-8 and NaN have one code."""
    with pytest.raises(InvalidRequest) as caught:
        parse(body)

    assert caught.value.code == "invalid_json"


@pytest.mark.parametrize("body", [b"[]", b"1", b"null", b'"x"'])
def test_a_body_that_is_no_object_is_refused(body: bytes) -> None:
    """JSON alone is not enough."""
    with pytest.raises(InvalidRequest) as caught:
        parse(body)

    assert caught.value.code == "invalid_type"


def nested(levels: int) -> bytes:
    """A request whose deepest value lies under `levels` containers."""
    inner = levels - 1
    return b'{"model":"m","messages":[{"role":"user","content":"a"}],"x":' + b"[" * inner + b"]" * inner + b"}"


@pytest.mark.parametrize("levels", [100, 200])
def test_nesting_within_the_limit_passes(levels: int) -> None:
    """Deep schemas are legal."""
    assert parse(nested(levels)).request["model"] == "m"


@pytest.mark.parametrize("levels", [201, 254, 300, 900, 5000])
def test_nesting_over_the_limit_is_refused(levels: int) -> None:
    """What could not be written again is refused before it is sent on."""
    with pytest.raises(InvalidRequest) as caught:
        parse(nested(levels))

    assert caught.value.code == "invalid_json"


def test_of_duplicate_keys_the_last_counts_everywhere() -> None:
    """The model that is checked is the model that is sent."""
    body = b'{"model":"allowed","model":"forbidden","messages":[{"role":"user","content":"a"}]}'
    got = parse(body).request
    assert orjson.dumps(got) == b'{"model":"forbidden","messages":[{"role":"user","content":"a"}]}'


def test_the_gateways_own_members_are_taken_out() -> None:
    """They never reach an upstream."""
    got = parse(orjson.dumps(request(timeout=1500, gateway={"reasoning": {"exclude": True}})))
    assert got.request == request()
    assert got.options.timeout == 1.5
    assert got.options.exclude_reasoning


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
NAMES = st.sampled_from(
    ["model", "messages", "tools", "tool_choice", "stop", "stream", "response_format", "gateway", "stream_options", "n"]
)


@settings(max_examples=150, deadline=None)
@given(st.dictionaries(NAMES, JSON, max_size=4), st.booleans())
def test_any_json_is_parsed_or_refused_with_an_envelope(members: dict[str, Any], whole: bool) -> None:
    """Nothing but a GatewayError of status 400 ever comes out."""
    body = orjson.dumps({**(request() if whole else {}), **members})
    try:
        parse(body)
    except GatewayError as error:
        assert error.status == 400
        assert set(error.envelope()["error"]) == {"message", "type", "param", "code"}


def answer(**message: Any) -> Any:
    """A completion with one message."""
    return {
        "id": "1", "object": "chat.completion", "created": 1, "model": "real",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "a", **message}, "finish_reason": "stop"}],
    }  # fmt: skip


def test_an_answer_that_needs_no_change_is_passed_on_byte_for_byte() -> None:
    """What was not touched is not written again."""
    assert render(Answer(answer(), b"{ raw }")) == b"{ raw }"


def test_an_answer_can_show_the_requested_id_and_hide_reasoning() -> None:
    """Both are the caller's or the operator's choice."""
    body = orjson.loads(render(Answer(answer(reasoning="hm"), b"{}"), model="asked", exclude_reasoning=True))
    assert body["model"] == "asked"
    assert body["choices"][0]["message"] == {"role": "assistant", "content": "a"}


def test_a_chunk_of_hidden_reasoning_alone_is_not_sent() -> None:
    """An empty delta would be noise."""
    chunk: Any = {
        "id": "1", "object": "chat.completion.chunk", "created": 1, "model": "m",
        "choices": [{"index": 0, "delta": {"reasoning": "hm"}, "logprobs": None, "finish_reason": None}],
    }  # fmt: skip
    assert render_chunk(Piece(chunk), exclude_reasoning=True) is None
