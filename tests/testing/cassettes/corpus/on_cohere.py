"""The scenarios of Cohere. It takes no PDF, so there is none with one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from compatgw_testing.specimens import PIXEL
from tests.testing.cassettes.corpus.scenario import (
    BOTH,
    HELLO,
    TRIP,
    WEATHER,
    WHERE,
    Said,
    Scenario,
    both,
    failing,
    hello,
    refused,
    round_trip,
    seen,
    thinking,
    trip,
    weather,
)

MODEL = "command-a-03-2025"
STATUSES = (400, 401, 402, 403, 404, 413, 422, 429, 498, 499, 500, 501, 503, 504)
ONCE: Any = {"request_options": {"max_retries": 0}}
TOOLS: Any = [
    {
        "type": "function",
        "function": {"name": "get_weather", "description": "The weather in a city.", "parameters": WEATHER},
    }
]


def user(content: Any) -> list[Any]:
    """One message of the user."""
    return [{"role": "user", "content": content}]


def of_message(answer: Any) -> Said:
    """What the SDK made of a plain answer."""
    parts = answer.message.content or ()
    calls = tuple((one.function.name, one.function.arguments) for one in answer.message.tool_calls or ())
    text = "".join(part.text for part in parts if part.type == "text")
    return Said(text, calls, answer.finish_reason, "".join(part.thinking for part in parts if part.type == "thinking"))


def whole(**members: Any) -> Callable[[Any, str], Said]:
    """A plain answer."""

    def ask(client: Any, model: str) -> Said:
        return of_message(client.chat(model=model, **members, **ONCE))

    return ask


def streamed(**members: Any) -> Callable[[Any, str], Said]:
    """A streamed answer."""

    def ask(client: Any, model: str) -> Said:
        text = thought = finish = ""
        calls: dict[int, list[str]] = {}
        for event in client.chat_stream(model=model, **members, **ONCE):
            if event.type == "content-delta":
                text += event.delta.message.content.text or ""
                thought += event.delta.message.content.thinking or ""
            elif event.type in ("tool-call-start", "tool-call-delta"):
                made = calls.setdefault(event.index, ["", ""])
                function = event.delta.message.tool_calls.function
                made[0] += getattr(function, "name", None) or ""
                made[1] += function.arguments or ""
            elif event.type == "message-end":
                finish = event.delta.finish_reason
        return Said(text, tuple((name, arguments) for name, arguments in calls.values()), finish, thought)

    return ask


def tools(client: Any, model: str) -> Said:
    """A tool call, and its result sent back."""
    first = client.chat(model=model, messages=user(WHERE), tools=TOOLS, **ONCE)
    said = of_message(first)
    if not said.calls:
        return said
    call = first.message.tool_calls[0]
    turn = {"role": "assistant", "tool_calls": [call.model_dump()], "tool_plan": first.message.tool_plan or ""}
    result = {"role": "tool", "tool_call_id": call.id, "content": "18 degrees, sunny"}
    last = of_message(client.chat(model=model, messages=[*user(WHERE), turn, result], tools=TOOLS, **ONCE))
    return last._replace(calls=(*said.calls, *last.calls))


def embeddings(client: Any, model: str) -> Said:
    """Two vectors."""
    asked: Any = {"input_type": "search_document", "embedding_types": ["float"], "output_dimension": 256}
    answer = client.embed(model=model, texts=["Paris", "Rome"], **asked, **ONCE)
    return Said(str([len(one) for one in answer.embeddings.float_]))


def rerank(client: Any, model: str) -> Said:
    """The better two of three documents."""
    documents = ["Paris is in France.", "Rome is in Italy.", "Berlin is in Germany."]
    answer = client.rerank(model=model, query="Which city is in Italy?", documents=documents, top_n=2, **ONCE)
    return Said(str([one.index for one in answer.results]))


IMAGE = [
    {"type": "text", "text": "What is on the picture?"},
    {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PIXEL}"}},
]
SCHEMA: Any = {"type": "json_object", "json_schema": TRIP}

SCENARIOS: Mapping[str, Scenario] = {
    "plain": Scenario(whole(messages=user(HELLO)), hello, MODEL),
    "stream": Scenario(streamed(messages=user(HELLO)), hello, MODEL),
    "tools": Scenario(tools, round_trip, MODEL),
    "tools_stream": Scenario(streamed(messages=user(WHERE), tools=TOOLS), weather, MODEL),
    "parallel_tools": Scenario(streamed(messages=user(BOTH), tools=TOOLS), both, MODEL),
    "reasoning": Scenario(streamed(messages=user(HELLO)), thinking, "command-a-reasoning-08-2025"),
    "image": Scenario(whole(messages=user(IMAGE)), seen, "command-a-vision-07-2025"),
    "json_schema": Scenario(whole(messages=user("Plan a trip to Lisbon."), response_format=SCHEMA), trip, MODEL),
    "length": Scenario(
        whole(messages=user(HELLO), max_tokens=3), lambda fake: fake.reply("Bonjour à", finish="MAX_TOKENS"), MODEL
    ),
    "embeddings": Scenario(embeddings, lambda fake: fake, "embed-v4.0"),
    "rerank": Scenario(rerank, lambda fake: fake, "rerank-v3.5"),
    "stream_cut": Scenario(
        refused(streamed(messages=user(HELLO))),
        lambda fake: fake.fault("One two three four five six.", cut_after=4),
        MODEL,
        live=False,
    ),
    **{
        f"error_{status}": Scenario(refused(whole(messages=user(HELLO))), failing(status), MODEL, live=False)
        for status in STATUSES
    },
}
