"""LangChain's ChatOpenAI and plain curl against the gateway's port."""

import json
import subprocess
from typing import Any

import pytest
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from pydantic import BaseModel, SecretStr


def model(scene: Any, **options: Any) -> ChatOpenAI:
    """LangChain's client of the gateway."""
    return ChatOpenAI(
        model=scene.model, base_url=f"{scene.origin}/v1", api_key=SecretStr("test-key"), max_retries=0, **options
    )


def test_langchain_invokes(scene: Any) -> None:
    """`max_tokens` becomes `max_completion_tokens` on its way."""
    scene.fake.reply("Hello", usage=(5, 2))
    got = model(scene, max_tokens=64).invoke("Hi.")
    assert got.content == "Hello"
    assert got.usage_metadata is not None
    assert got.usage_metadata["total_tokens"] == 7


def test_langchain_streams(scene: Any) -> None:
    """Chunk by chunk."""
    scene.fake.reply("One two three.")
    pieces = [chunk.content for chunk in model(scene).stream("Count.")]
    assert "".join(str(piece) for piece in pieces) == "One two three."


@tool
def get_weather(city: str) -> str:
    """The weather of a city."""
    return f"Rain in {city}."


def test_langchain_calls_tools_and_returns_their_results(scene: Any) -> None:
    """Bound tools, parallel calls, tool messages."""
    scene.fake.tool_calls(("get_weather", {"city": "Paris"}), ("get_weather", {"city": "Oslo"}))
    scene.fake.reply("Rain in both.")
    bound = model(scene).bind_tools([get_weather])
    first: Any = bound.invoke("The weather in Paris and Oslo?")
    assert [call["args"]["city"] for call in first.tool_calls] == ["Paris", "Oslo"]
    results = [get_weather.invoke(call) for call in first.tool_calls]
    got = bound.invoke([("human", "The weather in Paris and Oslo?"), first, *results])
    assert got.content == "Rain in both."


class Person(BaseModel):
    """What a structured answer holds."""

    name: str
    age: int


@pytest.mark.llm(unscripted="answer")
def test_langchain_gives_structured_output(scene: Any) -> None:
    """By JSON schema, its default."""
    got = model(scene).with_structured_output(Person).invoke("Ann is 41.")
    assert isinstance(got, Person)


def test_curl_streams(scene: Any) -> None:
    """What most people try first."""
    scene.fake.reply("Hello there")
    body = json.dumps({"model": scene.model, "stream": True, "messages": [{"role": "user", "content": "Hi."}]})
    done = subprocess.run(
        ["curl", "-sN", f"{scene.origin}/v1/chat/completions", "-H", "Authorization: Bearer test-key",
         "-H", "Content-Type: application/json", "-d", body],
        capture_output=True, text=True, timeout=20,
    )  # fmt: skip
    assert done.stdout.startswith('data: {"id":"chatcmpl-')
    assert done.stdout.endswith("data: [DONE]\n\n")
