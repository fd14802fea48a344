"""LlamaIndex: OpenAILike for chat, OpenAIEmbedding for vectors."""

from llama_index.core.llms import ChatMessage
from llama_index.core.tools import FunctionTool
from llama_index.embeddings.openai import OpenAIEmbedding
from llama_index.llms.openai_like import OpenAILike
from pydantic import BaseModel
from telling import BONJOUR, PERSON, WEATHER, run


def get_weather(city: str) -> str:
    """The weather of a city."""
    return f"Rain in {city}."


class Person(BaseModel):
    """A person."""

    name: str
    age: int


def model(at):
    return OpenAILike(
        model=at.model, api_base=at.url, api_key=at.key, is_chat_model=True, is_function_calling_model=True,
        max_retries=0, context_window=100_000, should_use_structured_outputs=True,
    )  # fmt: skip


def hello():
    return [ChatMessage(role="user", content=BONJOUR)]


def loop(at):
    llm, weather = model(at), FunctionTool.from_defaults(get_weather)
    history = [ChatMessage(role="user", content=WEATHER)]
    first = llm.chat_with_tools([weather], chat_history=history)
    calls = llm.get_tool_calls_from_response(first)
    history.append(first.message)
    for call in calls:
        done = ChatMessage(
            role="tool", content=str(weather(**call.tool_kwargs)), additional_kwargs={"tool_call_id": call.tool_id}
        )
        history.append(done)
    last = llm.chat_with_tools([weather], chat_history=history)
    return {"called": [call.tool_kwargs["city"] for call in calls], "text": last.message.content}


async def astream(at):
    return [chunk.delta async for chunk in await model(at).astream_chat(hello())]


def embeddings(at):
    if at.embedding is None:
        return None
    client = OpenAIEmbedding(model_name=at.embedding, api_base=at.url, api_key=at.key, max_retries=0)
    return client.get_text_embedding_batch(["one", "two"])


run(
    chat=lambda at: model(at).chat(hello()).message.content,
    complete=lambda at: model(at).complete(BONJOUR).text,
    stream=lambda at: [chunk.delta for chunk in model(at).stream_chat(hello())],
    stream_async=astream,
    tools=loop,
    structured=lambda at: model(at).as_structured_llm(Person).complete(PERSON).raw.model_dump(),
    embeddings=embeddings,
)
