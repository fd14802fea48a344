"""litellm as a client: chat, embeddings, responses, messages, and its own forms of each."""

import json
import os

os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"

import litellm
from pydantic import BaseModel
from telling import BONJOUR, PERSON, WEATHER, run

litellm.suppress_debug_info = True
litellm.telemetry = False

TOOL = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather of a city.",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}


class Person(BaseModel):
    """A person."""

    name: str
    age: int


def to(at, text):
    return {
        "model": f"openai/{at.model}", "api_base": at.url, "api_key": at.key, "num_retries": 0,
        "messages": [{"role": "user", "content": text}],
    }  # fmt: skip


def to_messages(at, text):
    return {**to(at, text), "model": f"anthropic/{at.model}", "api_base": at.origin, "max_tokens": 500}


def loop(request):
    first = litellm.completion(**request, tools=[TOOL]).choices[0].message
    calls = first.tool_calls
    request["messages"] = [*request["messages"], first.model_dump(exclude_none=True)]
    for call in calls:
        request["messages"].append({"role": "tool", "tool_call_id": call.id, "content": "Rain in Paris."})
    last = litellm.completion(**request, tools=[TOOL])
    cities = [json.loads(call.function.arguments)["city"] for call in calls]
    return {"called": cities, "text": last.choices[0].message.content}


def pieces(request):
    return [
        chunk.choices[0].delta.content or "" for chunk in litellm.completion(**request, stream=True) if chunk.choices
    ]


def embeddings(at):
    if at.embedding is None:
        return None
    got = litellm.embedding(
        model=f"openai/{at.embedding}", api_base=at.url, api_key=at.key, input=["one", "two"], encoding_format="float"
    )
    return [row["embedding"] for row in got.data]


def responses(at):
    got = litellm.responses(model=f"openai/{at.model}", api_base=at.url, api_key=at.key, input=BONJOUR)
    return "".join(part.text for item in got.output for part in item.content)


def responses_stream(at):
    events = litellm.responses(model=f"openai/{at.model}", api_base=at.url, api_key=at.key, input=BONJOUR, stream=True)
    return [event.delta for event in events if event.type == "response.output_text.delta"]


def rerank(at):
    if at.rerank is None:
        return None
    got = litellm.rerank(
        model=f"cohere/{at.rerank}", api_base=at.origin, api_key=at.key, query="dogs", top_n=2,
        documents=["A text on cats.", "A text on dogs.", "A text on birds."],
    )  # fmt: skip
    return [row["index"] for row in got.results]


run(
    chat=lambda at: litellm.completion(**to(at, BONJOUR)).choices[0].message.content,
    stream=lambda at: pieces(to(at, BONJOUR)),
    tools=lambda at: loop(to(at, WEATHER)),
    structured=lambda at: Person.model_validate_json(
        litellm.completion(**to(at, PERSON), response_format=Person).choices[0].message.content
    ).model_dump(),
    embeddings=embeddings,
    responses=responses,
    responses_stream=responses_stream,
    messages=lambda at: litellm.completion(**to_messages(at, BONJOUR)).choices[0].message.content,
    messages_stream=lambda at: pieces(to_messages(at, BONJOUR)),
    messages_tools=lambda at: loop(to_messages(at, WEATHER)),
    rerank=rerank,
)
