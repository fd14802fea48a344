"""Whatever is sent, a fake answers: no request raises out of one."""

import copy
import random
from typing import Any

import pytest

from compatgw_testing import Fake
from tests.testing.driver import FAKES, PNG, SCHEMA, ask

FULL: dict[str, Any] = {
    "openai": {
        "model": "gpt-4o",
        "messages": [
            {"role": "system", "content": "a"},
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "a"},
                    {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}},
                    {"type": "file", "file": {"file_data": "JVBERi0=", "filename": "a.pdf"}},
                ],
            },
            {
                "role": "assistant",
                "content": None,
                "tool_calls": [{"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}],
            },
            {"role": "tool", "tool_call_id": "c", "content": "1"},
        ],
        "tools": [{"type": "function", "function": {"name": "f", "strict": True, "parameters": {**SCHEMA}}}],
        "tool_choice": {"type": "function", "function": {"name": "f"}},
        "response_format": {"type": "json_schema", "json_schema": {"name": "a", "strict": True, "schema": {**SCHEMA}}},
        "stream": True,
        "stream_options": {"include_usage": True},
        "logprobs": True,
        "top_logprobs": 2,
        "max_tokens": 50,
        "n": 1,
        "stop": ["a"],
        "metadata": {"a": "b"},
    },
    "anthropic": {
        "model": "claude-sonnet-4-6",
        "max_tokens": 2000,
        "system": [{"type": "text", "text": "a", "cache_control": {"type": "ephemeral"}}],
        "messages": [
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "a"},
                    {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}},
                ],
            },
            {
                "role": "assistant",
                "content": [{"type": "text", "text": "a"}, {"type": "tool_use", "id": "t", "name": "f", "input": {}}],
            },
            {
                "role": "user",
                "content": [
                    {"type": "tool_result", "tool_use_id": "t", "content": [{"type": "text", "text": "1"}]},
                    {"type": "text", "text": "b"},
                ],
            },
        ],
        "tools": [{"name": "f", "input_schema": {"type": "object", "properties": {"a": {"type": "string"}}}}],
        "tool_choice": {"type": "tool", "name": "f"},
        "thinking": {"type": "adaptive"},
        "output_config": {
            "effort": "low",
            "format": {
                "type": "json_schema",
                "schema": {"type": "object", "properties": {"a": {"type": "integer"}}, "additionalProperties": False},
            },
        },
        "stop_sequences": ["a"],
        "stream": True,
    },
    "gemini": {
        "contents": [
            {"role": "user", "parts": [{"text": "a"}, {"inlineData": {"mimeType": "image/png", "data": PNG}}]},
            {
                "role": "model",
                "parts": [
                    {"functionCall": {"name": "f", "args": {}}, "thoughtSignature": "skip_thought_signature_validator"}
                ],
            },
            {"role": "user", "parts": [{"functionResponse": {"name": "f", "response": {"output": "1"}}}]},
        ],
        "systemInstruction": {"parts": [{"text": "a"}]},
        "tools": [{"functionDeclarations": [{"name": "f", "parameters": {"type": "OBJECT", "properties": {}}}]}],
        "toolConfig": {"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": ["f"]}},
        "generationConfig": {
            "temperature": 1,
            "stopSequences": ["a"],
            "candidateCount": 1,
            "responseLogprobs": True,
            "logprobs": 2,
            "thinkingConfig": {"includeThoughts": True, "thinkingBudget": 1024},
        },
        "safetySettings": [{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "BLOCK_NONE"}],
    },
    "cohere": {
        "model": "command-a-03-2025",
        "messages": [
            {"role": "system", "content": "a"},
            {"role": "user", "content": [{"type": "text", "text": "a"}]},
            {
                "role": "assistant",
                "tool_calls": [{"id": "t", "type": "function", "function": {"name": "f", "arguments": "{}"}}],
            },
            {"role": "tool", "tool_call_id": "t", "content": "1"},
        ],
        "tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": "object", "required": ["a"]}}}],
        "tool_choice": "REQUIRED",
        "strict_tools": True,
        "thinking": {"type": "enabled", "token_budget": 5},
        "citation_options": {"mode": "OFF"},
        "stream": True,
        "logprobs": True,
    },
}
ODD: tuple[Any, ...] = (
    None,
    True,
    0,
    -1,
    1.5,
    10**30,
    "",
    " ",
    "a",
    "any",
    [],
    [1],
    [[]],
    [None],
    {},
    {"a": 1},
    {"type": "a"},
)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The path of everything in a JSON value."""
    inside = (
        list(value.items()) if isinstance(value, dict) else list(enumerate(value)) if isinstance(value, list) else []
    )
    return [path, *(place for key, one in inside for place in places(one, (*path, key)))]


def mutated(body: Any, source: random.Random) -> Any:
    """`body` with one or two of its parts replaced, dropped or doubled."""
    body = copy.deepcopy(body)
    for _ in range(source.choice((1, 1, 2))):
        found = [place for place in places(body) if place]
        if not found:
            return body
        *way, key = source.choice(found)
        parent = body
        for step in way:
            parent = parent[step]
        what = source.random()
        if what < 0.6:
            parent[key] = copy.deepcopy(source.choice(ODD))
        elif what < 0.8:
            del parent[key]
        elif isinstance(parent, list):
            parent.insert(key, copy.deepcopy(parent[key]))
        else:
            parent[source.choice(("x", "type", "content", "id"))] = copy.deepcopy(parent[key])
    return body


@pytest.mark.parametrize("dialect", sorted(FAKES))
async def test_the_full_request_is_accepted(dialect: str) -> None:
    """What the other tests bend is straight."""
    reply = await ask(FAKES[dialect](), FULL[dialect])

    assert reply.status == 200, reply.raw


@pytest.mark.parametrize("strict", [True, False])
async def test_bent_requests_are_answered(fake: Fake, strict: bool) -> None:
    """A request bent at random is served or refused in the vendor's envelope; nothing is raised."""
    fake.strict = strict
    source = random.Random(1)

    seen = {(await ask(fake, mutated(FULL[fake.dialect], source), stream=bool(n % 2))).status for n in range(400)}

    assert seen <= {200, 400, 404, 422}
    assert 200 in seen
