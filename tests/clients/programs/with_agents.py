"""OpenAI's Agents SDK, over chat completions and over responses."""

from agents import (
    Agent,
    ModelSettings,
    OpenAIChatCompletionsModel,
    OpenAIResponsesModel,
    Runner,
    function_tool,
    set_tracing_disabled,
)
from openai import AsyncOpenAI
from pydantic import BaseModel
from telling import BONJOUR, PERSON, WEATHER, run

set_tracing_disabled(True)
CALLED = []


class Person(BaseModel):
    """A person."""

    name: str
    age: int


@function_tool
def get_weather(city: str) -> str:
    """The weather of a city."""
    CALLED.append(city)
    return f"Rain in {city}."


def agent(at, kind, **options):
    client = AsyncOpenAI(base_url=at.url, api_key=at.key, max_retries=0)
    return Agent(name="Ann", model=kind(model=at.model, openai_client=client), **options)


def plain(kind):
    async def ask(at):
        return (await Runner.run(agent(at, kind), BONJOUR)).final_output

    return ask


def streamed(kind):
    async def ask(at):
        run = Runner.run_streamed(agent(at, kind, model_settings=ModelSettings(include_usage=True)), BONJOUR)
        return [
            event.data.delta
            async for event in run.stream_events()
            if event.type == "raw_response_event" and event.data.type == "response.output_text.delta"
        ]

    return ask


def tools(kind):
    async def ask(at):
        CALLED.clear()
        got = await Runner.run(agent(at, kind, tools=[get_weather]), WEATHER)
        return {"called": list(CALLED), "text": got.final_output}

    return ask


def tools_streamed(kind):
    async def ask(at):
        CALLED.clear()
        run = Runner.run_streamed(agent(at, kind, tools=[get_weather]), WEATHER)
        async for _ in run.stream_events():
            pass
        return {"called": list(CALLED), "text": run.final_output}

    return ask


def structured(kind):
    async def ask(at):
        return (await Runner.run(agent(at, kind, output_type=Person), PERSON)).final_output.model_dump()

    return ask


CHAT, RESPONSES = OpenAIChatCompletionsModel, OpenAIResponsesModel
run(
    chat=plain(CHAT),
    stream=streamed(CHAT),
    tools=tools(CHAT),
    tools_streamed=tools_streamed(CHAT),
    structured=structured(CHAT),
    responses=plain(RESPONSES),
    responses_stream=streamed(RESPONSES),
    responses_tools=tools(RESPONSES),
    responses_tools_streamed=tools_streamed(RESPONSES),
    responses_structured=structured(RESPONSES),
)
