"""What is asked of llama.cpp's server, as llama-cpp-python has it: OpenAI's protocol, with ways of its own.

Recorded from a real model: start one with `scripts/real-model start`, then

    OPENAI_BASE_URL=http://127.0.0.1:4720/v1 scripts/record llama-cpp-python --model local

The scenarios with tools need `--chat_format chatml-function-calling` on the server's command line.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tests.testing.cassettes.corpus.on_openai import TOOLS, streamed, user, whole
from tests.testing.cassettes.corpus.scenario import HELLO, TRIP, WHERE, Scenario

FOLDER = "llama-cpp-python"
MODEL = "local"
FORCED: Any = {"tools": TOOLS, "tool_choice": {"type": "function", "function": {"name": "get_weather"}}}
# The server wants the schema beside the type.
SCHEMA: Any = {"type": "json_object", "schema": TRIP}
SHORT: Any = {"max_tokens": 48, "temperature": 0}


def _no_fake(fake: Any) -> object:
    raise AssertionError("only the real server has these ways")


SCENARIOS: Mapping[str, Scenario] = {
    name: Scenario(ask, _no_fake, MODEL)
    for name, ask in (
        ("plain", whole(messages=user(HELLO), **SHORT)),
        ("stream", streamed(messages=user(HELLO), **SHORT)),
        ("length", whole(messages=user(HELLO), max_tokens=3, temperature=0)),
        ("json_schema", whole(messages=user("Plan a trip to Lisbon."), response_format=SCHEMA, **SHORT)),
        ("json_schema_stream", streamed(messages=user("Plan a trip to Lisbon."), response_format=SCHEMA, **SHORT)),
        ("tools", whole(messages=user(WHERE), **FORCED, **SHORT)),
        ("tools_stream", streamed(messages=user(WHERE), **FORCED, **SHORT)),
    )
}
