"""Recipe: a LangChain agent with a tool, over a scripted conversation."""

from langchain_core.messages import AIMessage, AnyMessage, HumanMessage, ToolMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI

from compatgw_testing import FakeLLM, reply, tool_calls, when


@tool
def get_weather(city: str) -> str:
    """The weather in a city."""
    return {"Oslo": "rain", "Lisbon": "sun"}[city]


def run_agent(question: str) -> str:
    """The agent under test: asks, runs the tools that the model calls, asks again until it answers."""
    model = ChatOpenAI(model="gpt-4o-mini").bind_tools([get_weather])
    messages: list[AnyMessage] = [HumanMessage(question)]
    for _ in range(5):
        answer = model.invoke(messages)
        assert isinstance(answer, AIMessage)
        if not answer.tool_calls:
            return str(answer.content)
        messages.append(answer)
        for call in answer.tool_calls:
            result = get_weather.invoke(call["args"])
            messages.append(ToolMessage(result, tool_call_id=call["id"]))
    raise RuntimeError("the model did not come to an end")


def test_two_tools_at_once(fake_llm: FakeLLM) -> None:
    """The model asks for two cities at once, gets both results, and answers."""
    fake_llm.openai.conversation(
        (when(tools="get_weather"), tool_calls(("get_weather", {"city": "Oslo"}), ("get_weather", {"city": "Lisbon"}))),
        (when(tool_result="get_weather", results=2), reply("Rain in Oslo, sun in Lisbon.")),
    )

    assert run_agent("Where shall I go?") == "Rain in Oslo, sun in Lisbon."
    asked = fake_llm.openai.last.request
    assert asked is not None
    assert [message.text for message in asked.results] == ["rain", "sun"]
