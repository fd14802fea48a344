"""Pydantic AI: agents over chat completions, responses and messages, and its embedder."""

from pydantic import BaseModel
from pydantic_ai import Agent
from pydantic_ai.models.anthropic import AnthropicModel
from pydantic_ai.models.openai import OpenAIChatModel, OpenAIResponsesModel
from pydantic_ai.providers.anthropic import AnthropicProvider
from pydantic_ai.providers.openai import OpenAIProvider
from telling import BONJOUR, PERSON, WEATHER, run


class Person(BaseModel):
    """A person."""

    name: str
    age: int


def chat(at):
    return OpenAIChatModel(at.model, provider=OpenAIProvider(base_url=at.url, api_key=at.key))


def responses(at):
    return OpenAIResponsesModel(at.model, provider=OpenAIProvider(base_url=at.url, api_key=at.key))


def messages(at):
    return AnthropicModel(at.model, provider=AnthropicProvider(base_url=at.origin, api_key=at.key))


def plain(make):
    async def ask(at):
        return (await Agent(make(at)).run(BONJOUR)).output

    return ask


def streamed(make):
    async def ask(at):
        async with Agent(make(at)).run_stream(BONJOUR) as got:
            return [piece async for piece in got.stream_text(delta=True, debounce_by=None)]

    return ask


def tools(make):
    async def ask(at):
        agent, called = Agent(make(at)), []

        @agent.tool_plain
        def get_weather(city: str) -> str:
            """The weather of a city."""
            called.append(city)
            return f"Rain in {city}."

        got = await agent.run(WEATHER)
        return {"called": called, "text": got.output}

    return ask


def structured(make):
    async def ask(at):
        return (await Agent(make(at), output_type=Person).run(PERSON)).output.model_dump()

    return ask


run(
    chat=plain(chat),
    stream=streamed(chat),
    tools=tools(chat),
    structured=structured(chat),
    responses=plain(responses),
    responses_stream=streamed(responses),
    responses_tools=tools(responses),
    responses_structured=structured(responses),
    messages=plain(messages),
    messages_stream=streamed(messages),
    messages_tools=tools(messages),
    messages_structured=structured(messages),
)
