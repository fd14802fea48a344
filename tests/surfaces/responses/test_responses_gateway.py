"""Responses through a whole gateway on a real port: the official SDK, both clients, over every protocol."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, NamedTuple

import openai
import pytest
from langchain_core.messages import AIMessageChunk
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from openai import AsyncOpenAI, OpenAI
from pydantic import BaseModel, SecretStr

from compatgw import Gateway

MODELS = {
    "openai": "openai/gpt-4o-mini",
    "anthropic": "anthropic/claude-sonnet-4-5",
    "gemini": "gemini/gemini-2.5-flash",
    "cohere": "cohere/command-a-03-2025",
}
TOOL: Any = {
    "type": "function", "name": "get_weather", "description": "The weather of a city.", "strict": True,
    "parameters": {
        "type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"], "additionalProperties": False,
    },
}  # fmt: skip


class Scene(NamedTuple):
    """One upstream protocol behind a gateway on a port."""

    model: str
    fake: Any
    origin: str


@pytest.fixture(params=sorted(MODELS))
def scene(request: pytest.FixtureRequest, gateway: Any, serve: Callable[..., str]) -> Scene:
    """Each of the four protocols in turn; OpenAI's own takes Responses as they came."""
    return Scene(MODELS[request.param], request.getfixturevalue(f"fake_{request.param}"), serve(gateway))


def client(scene: Scene, key: str = "test-key") -> AsyncOpenAI:
    """The asynchronous client."""
    return AsyncOpenAI(api_key=key, base_url=f"{scene.origin}/v1", max_retries=0)


async def test_answers_and_streams(scene: Scene) -> None:
    """Both say what the upstream said; usage is the upstream's, and the headers are the gateway's."""
    scene.fake.reply("Bonjour", usage=(7, 3))
    scene.fake.reply("One two three.", usage=(7, 3))
    async with client(scene) as ai:
        raw = await ai.responses.with_raw_response.create(model=scene.model, input="Hi")
        got = raw.parse()
        assert got.output_text == "Bonjour"
        assert raw.headers["x-provider"] == scene.model.partition("/")[0]
        async with ai.responses.stream(model=scene.model, input="Hi") as stream:
            final = await stream.get_final_response()
    assert final.output_text == "One two three."
    assert final.usage is not None
    assert final.usage.total_tokens == 10
    path = scene.fake.calls[0].path
    assert path.endswith("/responses") == (scene.model.startswith("openai/"))


def test_the_synchronous_client(scene: Scene) -> None:
    """A call, its result, and the conversation that goes on by an id."""
    scene.fake.reply(calls=[("get_weather", {"city": "Hue"})])
    scene.fake.reply("Warm.")
    with OpenAI(api_key="test-key", base_url=f"{scene.origin}/v1", max_retries=0) as ai:
        first = ai.responses.create(model=scene.model, input="Weather?", tools=[TOOL])
        (call,) = (item for item in first.output if item.type == "function_call")
        assert json.loads(call.arguments) == {"city": "Hue"}
        output: Any = [{"type": "function_call_output", "call_id": call.call_id, "output": "30"}]
        second = ai.responses.create(model=scene.model, input=output, previous_response_id=first.id, tools=[TOOL])
        assert second.output_text == "Warm."
        assert second.previous_response_id == first.id
        assert [item.type for item in ai.responses.input_items.list(second.id)] == ["function_call_output"]
        ai.responses.delete(second.id)
        with pytest.raises(openai.NotFoundError):
            ai.responses.retrieve(second.id)
    told = scene.fake.calls[1].request.messages
    assert [message.role for message in told] == ["user", "assistant", "tool"]


async def test_work_in_the_background(scene: Scene) -> None:
    """Queued at once; followed by its events to the end; retrieved under the same id."""
    scene.fake.reply("Bonjour")
    async with client(scene) as ai:
        made = await ai.responses.create(model=scene.model, input="Hi", background=True)
        assert made.status == "queued"
        events: list[Any] = [event async for event in await ai.responses.retrieve(made.id, stream=True)]
        assert events[-1].response.output_text == "Bonjour"
        got = await ai.responses.retrieve(made.id)
    assert (got.id, got.status, got.output_text) == (made.id, "completed", "Bonjour")


async def test_a_stream_in_the_background(scene: Scene) -> None:
    """Told at once, and again from any event on."""
    scene.fake.reply("One two three.")
    async with client(scene) as ai:
        stream: Any = await ai.responses.create(model=scene.model, input="Hi", background=True, stream=True)
        events = [event.to_dict() async for event in stream]
        id = events[-1]["response"]["id"]
        again: Any = await ai.responses.retrieve(id, stream=True, starting_after=events[3]["sequence_number"])
        assert [event.to_dict() async for event in again] == events[4:]
    assert events[-1]["type"] == "response.completed"


async def test_what_cannot_be_translated(scene: Scene) -> None:
    """Refused by its path, or left out and named, as the caller wants; an upstream that has it gets it."""
    scene.fake.reply("Found.")
    asked: Any = {
        "model": scene.model,
        "input": "Hi",
        "tools": [TOOL, {"type": "file_search", "vector_store_ids": ["vs"]}],
    }
    native = scene.model.startswith("openai/")
    async with client(scene) as ai:
        if native:
            assert (await ai.responses.create(**asked)).output_text == "Found."
            return
        with pytest.raises(openai.BadRequestError) as caught:
            await ai.responses.create(**asked)
        assert (caught.value.param, caught.value.code) == ("tools[1].type", "unsupported_parameter")
        raw = await ai.responses.with_raw_response.create(**asked, extra_headers={"X-On-Unsupported": "drop"})
    assert "tools" in raw.headers["x-dropped-params"].split(",")


async def test_reasoning_can_be_left_out(scene: Scene) -> None:
    """Also where the upstream speaks the client's own protocol."""
    if scene.model.startswith(("openai/", "cohere/")):
        pytest.skip("this fake's model does not think aloud")
    scene.fake.reply("Yes.", reasoning="Hm.")
    scene.fake.reply("Yes.", reasoning="Hm.")
    asked: Any = {"model": scene.model, "input": "Hi", "reasoning": {"effort": "low"}}
    async with client(scene) as ai:
        shown = await ai.responses.create(**asked)
        hidden = await ai.responses.create(**asked, extra_body={"gateway": {"reasoning": {"exclude": True}}})
    assert [item.type for item in shown.output] == ["reasoning", "message"]
    assert [item.type for item in hidden.output] == ["message"]


async def test_another_key_has_nothing_of_it(fake_openai: Any) -> None:
    """Keys without a team are callers of their own."""
    fake_openai.reply("Bonjour")
    async with Gateway(
        providers={"openai": {"app": fake_openai, "api_key": fake_openai.api_key}},
        keys=[{"key": "a", "name": "a"}, {"key": "b", "name": "b"}],
        environ={},
    ) as gateway:
        made = await gateway.async_openai(api_key="a").responses.create(model="openai/gpt-4o-mini", input="Hi")
        other = gateway.async_openai(api_key="b").responses
        with pytest.raises(openai.NotFoundError):
            await other.retrieve(made.id)
        with pytest.raises(openai.NotFoundError):
            await other.create(model="openai/gpt-4o-mini", input="Hi", previous_response_id=made.id)
        assert (await gateway.async_openai(api_key="a").responses.retrieve(made.id)).output_text == "Bonjour"


# --- LangChain -------------------------------------------------------------------------------


def langchain(scene: Scene, **options: Any) -> ChatOpenAI:
    """LangChain's client, which speaks Responses when it is told to."""
    return ChatOpenAI(
        model=scene.model, base_url=f"{scene.origin}/v1", api_key=SecretStr("test-key"), max_retries=0,
        use_responses_api=True, **options,
    )  # fmt: skip


@tool
def get_weather(city: str) -> str:
    """The weather of a city."""
    return f"Rain in {city}."


class Person(BaseModel):
    """Somebody."""

    name: str
    age: int


def test_langchain_asks_and_streams(scene: Scene) -> None:
    """Text and totals."""
    scene.fake.reply("Hello", usage=(5, 2))
    scene.fake.reply("One two three.", usage=(5, 2))
    got = langchain(scene).invoke("Hi.")
    assert got.text == "Hello"
    assert got.usage_metadata is not None
    assert got.usage_metadata["total_tokens"] == 7
    whole: Any = None
    for chunk in langchain(scene).stream("Count."):
        assert isinstance(chunk, AIMessageChunk)
        whole = chunk if whole is None else whole + chunk
    assert whole.text == "One two three."


def test_langchain_runs_a_tool(scene: Scene) -> None:
    """Its whole history goes back, with what it kept of our items."""
    scene.fake.reply(calls=[("get_weather", {"city": "Hue"})])
    scene.fake.reply("Take an umbrella.")
    bound = langchain(scene).bind_tools([get_weather])
    history: list[Any] = [("user", "Weather in Hue?")]
    first = bound.invoke(history)
    (call,) = first.tool_calls
    assert (call["name"], call["args"]) == ("get_weather", {"city": "Hue"})
    got = bound.invoke([*history, first, get_weather.invoke(call)])
    assert got.text == "Take an umbrella."
    assert [message.role for message in scene.fake.calls[1].request.messages] == ["user", "assistant", "tool"]


def test_langchain_gets_a_value(scene: Scene) -> None:
    """By a schema in `text.format`."""
    scene.fake.reply('{"name": "An", "age": 7}')
    got = langchain(scene).with_structured_output(Person, method="json_schema").invoke("Who?")
    assert got == Person(name="An", age=7)


# --- going on natively -----------------------------------------------------------------------


async def test_an_upstreams_own_reasoning_goes_back_to_it(fake_openai: Any, fake_anthropic: Any) -> None:
    """As it wrote it; to another upstream it does not go."""
    async with Gateway(
        providers={
            "openai": {"app": fake_openai, "api_key": fake_openai.api_key},
            "anthropic": {"app": fake_anthropic, "api_key": fake_anthropic.api_key},
        },
        keys=["k"],
        environ={},
    ) as gateway:
        ai = gateway.async_openai(api_key="k").responses
        fake_openai.reply("Yes.", reasoning="Hm.")
        fake_openai.reply("Still.")
        fake_anthropic.reply("Also.")
        asked: Any = {"input": "Hi", "include": ["reasoning.encrypted_content"]}
        first = await ai.create(model="openai/gpt-5", **asked)
        await ai.create(model="openai/gpt-5", input="Sure?", previous_response_id=first.id)
        await ai.create(model="anthropic/claude-sonnet-4-5", input="You?", previous_response_id=first.id)
    sent = fake_openai.calls[1].body["input"]
    assert [item["type"] for item in sent[:3]] == ["message", "reasoning", "message"]
    assert sent[1]["encrypted_content"] == first.output[0].encrypted_content
    assert not any("gateway_origin" in item for item in sent)
    texts = [message.text for message in fake_anthropic.calls[0].request.messages]
    assert texts == ["Hi", "Yes.", "You?"]
    assert "encrypted" not in json.dumps(fake_anthropic.calls[0].body)
