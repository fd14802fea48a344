"""Personal data out of a request, into a streamed tool call, and back: through all protocols of upstreams."""

from __future__ import annotations

import json
from typing import Any

import pytest
from openai import AsyncOpenAI

from compatgw_testing import FakeAnthropic, FakeCohere, FakeGemini, FakeOpenAI, ToolCall
from compatgw_testing.harness import KEY, gateway_over

MODELS: dict[str, tuple[str, Any]] = {
    "openai": ("openai/gpt-4o-mini", FakeOpenAI),
    "anthropic": ("anthropic/claude-sonnet-4-5", FakeAnthropic),
    "gemini": ("gemini/gemini-2.5-flash", FakeGemini),
    "cohere": ("cohere/command-a-03-2025", FakeCohere),
}
TOOL = {
    "type": "function",
    "function": {
        "name": "send_mail",
        "description": "Sends a mail.",
        "parameters": {
            "type": "object",
            "properties": {"to": {"type": "string"}, "body": {"type": "string"}},
            "required": ["to", "body"],
        },
    },
}
ASKED = 'Mail "Ann" <ann.o\'lee@example.org> that 4111 1111 1111 1111 is my card.'


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("chunking", ["letters", "words"])
async def test_originals_come_back_inside_of_streamed_arguments(name: str, chunking: Any) -> None:
    """The upstream sees placeholders alone; the SDK's accumulated arguments hold the originals, as JSON."""
    model, kind = MODELS[name]
    fake = kind()
    arguments_sent = {"to": "[EMAIL_1]", "body": 'My card is [CREDIT_CARD_1].\n"[EMAIL_1]"'}
    fake.reply(None, calls=[ToolCall("send_mail", arguments_sent)], chunks=chunking)
    app = gateway_over({name: fake})
    async with AsyncOpenAI(api_key=KEY, base_url="http://gateway/v1", http_client=app.client("httpx2")) as client:
        stream: Any = await client.chat.completions.create(
            model=model,
            messages=[{"role": "user", "content": ASKED}],
            tools=[TOOL],  # type: ignore[list-item]
            stream=True,
            extra_body={"guardrails": {"input": [{"name": "pii", "action": "restore"}]}},
        )
        arguments = ""
        async for chunk in stream:
            for choice in chunk.choices:
                for call in choice.delta.tool_calls or ():
                    arguments += (call.function.arguments if call.function else None) or ""

    assert json.loads(arguments) == {
        "to": "ann.o'lee@example.org",
        "body": 'My card is 4111 1111 1111 1111.\n"ann.o\'lee@example.org"',
    }
    sent = fake.calls[-1].raw
    assert b"example.org" not in sent
    assert b"4111" not in sent
