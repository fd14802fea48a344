"""LangChain's ChatAnthropic against /v1/messages."""

from langchain_anthropic import ChatAnthropic
from langchain_core.messages import HumanMessage
from langchain_core.tools import tool
from pydantic import BaseModel
from telling import BONJOUR, PERSON, WEATHER, run


@tool
def get_weather(city: str) -> str:
    """The weather of a city."""
    return f"Rain in {city}."


class Person(BaseModel):
    """A person."""

    name: str
    age: int


def model(at, **options):
    return ChatAnthropic(
        model=at.model, base_url=at.origin, api_key=at.key, max_tokens=2000, max_retries=0, **options
    )  # fmt: skip


def said(message):
    return message.text if isinstance(message.text, str) else message.text()


def loop(at):
    bound = model(at).bind_tools([get_weather])
    first = bound.invoke(WEATHER)
    results = [get_weather.invoke(call) for call in first.tool_calls]
    last = bound.invoke([("human", WEATHER), first, *results])
    return {"called": [call["args"]["city"] for call in first.tool_calls], "text": said(last)}


def loop_streamed(at):
    whole = None
    for chunk in model(at).bind_tools([get_weather]).stream(WEATHER):
        whole = chunk if whole is None else whole + chunk
    results = [get_weather.invoke(call) for call in whole.tool_calls]
    last = model(at).bind_tools([get_weather]).invoke([("human", WEATHER), whole, *results])
    return {"called": [call["args"]["city"] for call in whole.tool_calls], "text": said(last)}


run(
    messages=lambda at: said(model(at).invoke(BONJOUR)),
    messages_stream=lambda at: [said(chunk) for chunk in model(at).stream(BONJOUR)],
    messages_tools=loop,
    messages_tools_streamed=loop_streamed,
    messages_structured=lambda at: model(at).with_structured_output(Person).invoke(PERSON).model_dump(),
    tokens=lambda at: model(at).get_num_tokens_from_messages([HumanMessage(BONJOUR)]),
)
