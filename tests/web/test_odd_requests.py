"""Requests that are valid JSON and strange conversations: answered, or refused by name, over every protocol."""

from typing import Any

import pytest

from compatgw import Gateway

MODELS = [
    "openai/gpt-4o-mini",
    "anthropic/claude-sonnet-4-5",
    "gemini/gemini-2.5-flash",
    "cohere/command-a-03-2025",
]
CALL = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}
PNG = "iVBORw0KGgoAAAANSUhEUg=="

ODD: dict[str, dict[str, Any]] = {
    "a result without its call": {"messages": [{"role": "user", "content": "a"}, {"role": "tool", "tool_call_id": "x", "content": "1"}]},
    "a result first of all": {"messages": [{"role": "tool", "tool_call_id": "x", "content": "1"}]},
    "a call without its result": {
        "messages": [{"role": "user", "content": "a"}, {"role": "assistant", "tool_calls": [CALL]}, {"role": "user", "content": "b"}],
        "tools": [TOOL],
    },
    "arguments that are no JSON": {
        "messages": [
            {"role": "user", "content": "a"},
            {"role": "assistant", "tool_calls": [{**CALL, "function": {"name": "f", "arguments": "{oops"}}]},
            {"role": "tool", "tool_call_id": "call_1", "content": "1"},
        ],
        "tools": [TOOL],
    },
    "only a system message": {"messages": [{"role": "system", "content": "Be brief."}]},
    "an assistant first": {"messages": [{"role": "assistant", "content": "Hi."}, {"role": "user", "content": "a"}]},
    "an assistant last": {"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "So "}]},
    "empty texts": {"messages": [{"role": "user", "content": ""}, {"role": "user", "content": [{"type": "text", "text": ""}]}]},
    "a system message in the middle": {
        "messages": [{"role": "user", "content": "a"}, {"role": "system", "content": "b"}, {"role": "user", "content": "c"}]
    },
    "a bad data URL": {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:image/png;base64,@@@"}}]}]},
    "a data URL that is not base64": {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:image/png,abc"}}]}]},
    "no URL at all": {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "cat.png"}}]}]},
    "an image that lies about its type": {
        "messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": f"data:image/gif;base64,{PNG}"}}]}]
    },
    "a file without bytes": {"messages": [{"role": "user", "content": [{"type": "file", "file": {"filename": "a.pdf"}}]}]},
    "a file by an id": {"messages": [{"role": "user", "content": [{"type": "file", "file": {"file_id": "file-1"}}]}]},
    "audio": {"messages": [{"role": "user", "content": [{"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}}]}]},
    "many choices": {"messages": [{"role": "user", "content": "a"}], "n": 3},
    "a forced tool that is not there": {
        "messages": [{"role": "user", "content": "a"}], "tools": [TOOL], "tool_choice": {"type": "function", "function": {"name": "g"}},
    },
    "a schema that is nonsense": {
        "messages": [{"role": "user", "content": "a"}],
        "response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "banana", "$ref": "#/no"}}},
    },
    "lone surrogates and controls in names": {
        "messages": [{"role": "user", "content": "a", "name": "\u0000\u2028"}],
        "tools": [{"type": "function", "function": {"name": "é f\u0000", "parameters": {"type": "object"}}}],
    },
    "unknown members everywhere": {
        "messages": [{"role": "user", "content": [{"type": "text", "text": "a", "zz": 1}], "zz": {"a": [None]}}],
        "zz": {"deep": [{"er": None}]},
        "tools": [{**TOOL, "zz": 1}],
    },
}  # fmt: skip


@pytest.mark.llm(unscripted="answer")
@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("name", sorted(ODD))
@pytest.mark.parametrize("model", MODELS)
async def test_a_strange_request_is_answered_or_refused_by_name(
    model: str, name: str, stream: bool, gateway: Gateway
) -> None:
    """200, or 400 with a path or a message of the provider's; never our fault."""
    async with gateway.client(api_key="test-key") as client:
        got = await client.post("/v1/chat/completions", json={"model": model, "stream": stream, **ODD[name]})
    if got.status_code == 200:
        assert got.content
        if stream:
            assert got.content.endswith(b"data: [DONE]\n\n")
        return
    assert got.status_code == 400, got.text
    error = got.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert error["type"] == "invalid_request_error"
    assert error["message"]
