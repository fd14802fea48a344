"""The official OpenAI SDK for Python: every surface that it has and the gateway serves, and its own accumulators."""

import json

import openai
from pydantic import BaseModel
from telling import BONJOUR, PERSON, WEATHER, run

DESCRIBED = {
    "name": "get_weather",
    "description": "The weather of a city.",
    "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
        "additionalProperties": False,
    },
}
# Its accumulators parse arguments, and take strict tools alone for that.
TOOL = {"type": "function", "function": {**DESCRIBED, "strict": True}}


class Person(BaseModel):
    """A person."""

    name: str
    age: int


def client(at):
    return openai.OpenAI(base_url=at.url, api_key=at.key, max_retries=0)


def messages(text):
    return [{"role": "user", "content": text}]


def finish(at, message):
    """Hands in what was called for, and gives what is said of it."""
    history = [*messages(WEATHER), message.model_dump(exclude_none=True, exclude={"parsed", "annotations"})]
    called = []
    for call in message.tool_calls:
        called.append(json.loads(call.function.arguments)["city"])
        history.append({"role": "tool", "tool_call_id": call.id, "content": "Rain in Paris."})
    last = client(at).chat.completions.create(model=at.model, messages=history, tools=[TOOL])
    return {"called": called, "text": last.choices[0].message.content}


def tools(at):
    first = client(at).chat.completions.create(model=at.model, messages=messages(WEATHER), tools=[TOOL])
    return finish(at, first.choices[0].message)


def tools_streamed(at):
    with client(at).chat.completions.stream(model=at.model, messages=messages(WEATHER), tools=[TOOL]) as streamed:
        message = streamed.get_final_completion().choices[0].message
    for call in message.tool_calls:
        # What it parsed beside the text is not part of a request.
        call.function.parsed_arguments = None
    return finish(at, message)


def stream(at):
    pieces, usage = [], None
    asked = {"model": at.model, "messages": messages(BONJOUR), "stream_options": {"include_usage": True}}
    for chunk in client(at).chat.completions.create(**asked, stream=True):
        if chunk.choices:
            pieces.append(chunk.choices[0].delta.content or "")
        usage = chunk.usage or usage
    if usage is None or not usage.total_tokens:
        raise RuntimeError("the stream told of no usage")
    return pieces


async def stream_async(at):
    asked = {"model": at.model, "messages": messages(BONJOUR)}
    async with openai.AsyncOpenAI(base_url=at.url, api_key=at.key, max_retries=0) as asking:
        chunks = await asking.chat.completions.create(**asked, stream=True)
        return [chunk.choices[0].delta.content or "" async for chunk in chunks if chunk.choices]


def stream_accumulated(at):
    with client(at).chat.completions.stream(model=at.model, messages=messages(BONJOUR)) as streamed:
        pieces = [event.delta for event in streamed if event.type == "content.delta"]
        if streamed.get_final_completion().choices[0].message.content != "".join(pieces):
            raise RuntimeError("the accumulator saw something else")
    return pieces


def structured(at):
    got = client(at).chat.completions.parse(model=at.model, messages=messages(PERSON), response_format=Person)
    return got.choices[0].message.parsed.model_dump()


def embeddings(at):
    if at.embedding is None:
        return None
    # Base64 on the wire, its default.
    return [row.embedding for row in client(at).embeddings.create(model=at.embedding, input=["one", "two"]).data]


def responses_accumulated(at):
    with client(at).responses.stream(model=at.model, input=BONJOUR) as streamed:
        pieces = [event.delta for event in streamed if event.type == "response.output_text.delta"]
        if streamed.get_final_response().output_text != "".join(pieces):
            raise RuntimeError("the accumulator saw something else")
    return pieces


def responses_tools(at):
    asked = {"model": at.model, "tools": [{"type": "function", **DESCRIBED, "strict": True}]}
    first = client(at).responses.create(**asked, input=WEATHER)
    calls = [item for item in first.output if item.type == "function_call"]
    outputs = [{"type": "function_call_output", "call_id": call.call_id, "output": "Rain in Paris."} for call in calls]
    last = client(at).responses.create(**asked, previous_response_id=first.id, input=outputs)
    return {"called": [json.loads(call.arguments)["city"] for call in calls], "text": last.output_text}


run(
    chat=lambda at: (
        client(at).chat.completions.create(model=at.model, messages=messages(BONJOUR)).choices[0].message.content
    ),
    stream=stream,
    stream_async=stream_async,
    stream_accumulated=stream_accumulated,
    tools=tools,
    tools_streamed=tools_streamed,
    structured=structured,
    embeddings=embeddings,
    models=lambda at: [model.id for model in client(at).models.list()],
    responses=lambda at: client(at).responses.create(model=at.model, input=BONJOUR).output_text,
    responses_stream_accumulated=responses_accumulated,
    responses_tools=responses_tools,
    responses_structured=lambda at: (
        client(at).responses.parse(model=at.model, input=PERSON, text_format=Person).output_parsed.model_dump()
    ),
)
