"""The traps that the vendor's strictness sets for gateways, one test each."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from compatgw.dialects.base import Context, Target
from compatgw.dialects.cohere import DIALECT
from compatgw.errors import InvalidRequest

from .judges import accepted

TARGET = Target(provider="Cohere", model="command-a-03-2025")
HI = [{"role": "user", "content": "Hi"}]
TOOL = {"type": "function", "function": {"name": "get", "parameters": {"type": "object", "properties": {}}}}


def sent(**request: Any) -> dict[str, Any]:
    assert DIALECT.chat is not None
    return accepted(DIALECT.chat.encode({"model": "m", "messages": HI, **request}, TARGET).body)  # type: ignore[typeddict-item]


def test_openais_defaults_are_not_copied_through() -> None:
    """`top_p: 1` and penalties of 0 to 2 are ordinary there and a 400 here."""
    body = sent(top_p=1, frequency_penalty=2, presence_penalty=-2, temperature=1)

    assert "p" not in body
    assert (body["frequency_penalty"], body["presence_penalty"]) == (1.0, 0.0)


def test_tool_choice_is_written_in_capitals() -> None:
    """`required` in small letters is a 400."""
    assert sent(tools=[TOOL], tool_choice="required")["tool_choice"] == "REQUIRED"
    assert sent(tools=[TOOL], tool_choice="none")["tool_choice"] == "NONE"


def test_a_streamed_tool_call_is_one_object() -> None:
    """It is not a list as at OpenAI; a list of one is understood all the same."""
    assert DIALECT.chat is not None
    call = {"id": "a", "type": "function", "function": {"name": "get", "arguments": "{}"}}
    for shape in (call, [call]):
        event = {"type": "tool-call-start", "index": 0, "delta": {"message": {"tool_calls": shape}}}
        decoder = DIALECT.chat.stream(Context(TARGET, id="i", created=1))
        pieces = decoder.feed(b"data: " + orjson.dumps(event) + b"\n\n")
        opener = pieces[1].chunk["choices"][0]["delta"]["tool_calls"][0]
        assert (opener["index"], opener["id"], opener["function"]) == (0, "a", {"name": "get", "arguments": ""})
        assert pieces[2].chunk["choices"][0]["delta"]["tool_calls"][0]["function"] == {"arguments": "{}"}


def test_a_trimmed_history_is_refused_before_it_is_sent() -> None:
    """A tool message whose call was cut away is a 400 there that names no message."""
    with pytest.raises(InvalidRequest, match="answers no tool call") as caught:
        sent(messages=[{"role": "tool", "tool_call_id": "gone", "content": "1"}, *HI])

    assert caught.value.param == "messages[0].tool_call_id"


def test_a_json_schema_stands_directly_under_its_key() -> None:
    """There is no type `json_schema`, and no name around the schema."""
    schema = {"type": "object", "properties": {}}
    body = sent(response_format={"type": "json_schema", "json_schema": {"name": "n", "schema": schema, "strict": True}})

    assert body["response_format"] == {"type": "json_object", "json_schema": schema}


def answer(**body: Any) -> dict[str, Any]:
    assert DIALECT.chat is not None
    raw = orjson.dumps({"id": "x", "finish_reason": "TOOL_CALL", **body})
    completion: dict[str, Any] = DIALECT.chat.decode(raw, Context(TARGET, id="i", created=1)).completion  # type: ignore[assignment]
    return completion


@pytest.mark.parametrize("text", ["null", "", " null "])
def test_null_arguments_are_an_empty_object(text: str) -> None:
    """Agents would get None out of `json.loads`."""
    call = {"id": "a", "type": "function", "function": {"name": "get", "arguments": text}}
    message = answer(message={"tool_calls": [call]})["choices"][0]["message"]

    assert message["tool_calls"][0]["function"]["arguments"] == "{}"


def test_usage_is_whole_numbers() -> None:
    """The vendor's are floats, and `12.0` in OpenAI's usage breaks typed clients."""
    usage = answer(message={}, usage={"tokens": {"input_tokens": 12.0, "output_tokens": 3.0}})["usage"]

    assert orjson.dumps(usage) == b'{"prompt_tokens":12,"completion_tokens":3,"total_tokens":15}'


def test_the_flat_error_body_is_read() -> None:
    """There is no `error` object around the message."""
    assert DIALECT.chat is not None
    failure = DIALECT.chat.error(400, {}, b'{"id":"1","message":"invalid request: no"}', TARGET)

    assert failure.message == "invalid request: no"


def test_safety_mode_is_left_out_beside_tools_and_documents() -> None:
    """The pair is a 400; the caller hears that it was left out."""
    assert DIALECT.chat is not None
    for more in ({"tools": [TOOL]}, {"documents": ["d"]}):
        outgoing = DIALECT.chat.encode({"model": "m", "messages": HI, "safety_mode": "STRICT", **more}, TARGET)  # type: ignore[typeddict-item]
        assert "safety_mode" not in accepted(outgoing.body)
        assert outgoing.dropped == ("safety_mode",)
    assert sent(safety_mode="STRICT")["safety_mode"] == "STRICT"
