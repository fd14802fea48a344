"""LangChain's ChatOpenAI, over chat completions and over responses, and its embeddings."""

from langchain_core.tools import tool
from langchain_openai import ChatOpenAI, OpenAIEmbeddings
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
    return ChatOpenAI(model=at.model, base_url=at.url, api_key=at.key, max_retries=0, **options)


def responses(at):
    return model(at, use_responses_api=True)


def said(message):
    return message.text if isinstance(message.text, str) else message.text()


def loop(chat):
    bound = chat.bind_tools([get_weather])
    first = bound.invoke(WEATHER)
    results = [get_weather.invoke(call) for call in first.tool_calls]
    last = bound.invoke([("human", WEATHER), first, *results])
    return {"called": [call["args"]["city"] for call in first.tool_calls], "text": said(last)}


def loop_streamed(chat):
    whole = None
    for chunk in chat.bind_tools([get_weather]).stream(WEATHER):
        whole = chunk if whole is None else whole + chunk
    results = [get_weather.invoke(call) for call in whole.tool_calls]
    last = chat.bind_tools([get_weather]).invoke([("human", WEATHER), whole, *results])
    return {"called": [call["args"]["city"] for call in whole.tool_calls], "text": said(last)}


async def astream(chat):
    return [said(chunk) async for chunk in chat.astream(BONJOUR)]


def embeddings(at):
    if at.embedding is None:
        return None
    # With its default it would fetch OpenAI's tokenizer from the network, and send token ids.
    client = OpenAIEmbeddings(
        model=at.embedding, base_url=at.url, api_key=at.key, max_retries=0, check_embedding_ctx_length=False
    )
    return client.embed_documents(["one", "two"])


run(
    chat=lambda at: said(model(at, max_tokens=200).invoke(BONJOUR)),
    stream=lambda at: [said(chunk) for chunk in model(at, stream_usage=True).stream(BONJOUR)],
    stream_async=lambda at: astream(model(at)),
    tools=lambda at: loop(model(at)),
    tools_streamed=lambda at: loop_streamed(model(at)),
    structured=lambda at: model(at).with_structured_output(Person).invoke(PERSON).model_dump(),
    structured_by_tool=lambda at: (
        model(at).with_structured_output(Person, method="function_calling").invoke(PERSON).model_dump()
    ),
    embeddings=embeddings,
    responses=lambda at: said(responses(at).invoke(BONJOUR)),
    responses_stream=lambda at: [said(chunk) for chunk in responses(at).stream(BONJOUR)],
    responses_tools=lambda at: loop(responses(at)),
    responses_tools_streamed=lambda at: loop_streamed(responses(at)),
    responses_structured=lambda at: responses(at).with_structured_output(Person).invoke(PERSON).model_dump(),
)
