"""The scenarios of Anthropic."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from compatgw_testing.specimens import PAGE, PIXEL
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

MODEL = "claude-haiku-4-5"
STATUSES = (400, 401, 402, 403, 404, 408, 409, 413, 429, 500, 503, 504, 529)
TOOLS: Any = [{"name": "get_weather", "description": "The weather in a city.", "input_schema": WEATHER}]


def user(content: Any) -> list[Any]:
    """One message of the user."""
    return [{"role": "user", "content": content}]


def of_message(answer: Any) -> Said:
    """What the SDK made of a message."""
    calls = tuple((one.name, str(one.input)) for one in answer.content if one.type == "tool_use")
    text = "".join(one.text for one in answer.content if one.type == "text")
    thought = "".join(one.thinking for one in answer.content if one.type == "thinking")
    return Said(text, calls, answer.stop_reason or "", thought)


def whole(**members: Any) -> Callable[[Any, str], Said]:
    """A plain answer."""

    def ask(client: Any, model: str) -> Said:
        return of_message(client.messages.create(**{"model": model, "max_tokens": 256, **members}))

    return ask


def streamed(**members: Any) -> Callable[[Any, str], Said]:
    """A streamed answer, assembled by the SDK."""

    def ask(client: Any, model: str) -> Said:
        with client.messages.stream(**{"model": model, "max_tokens": 256, **members}) as stream:
            return of_message(stream.get_final_message())

    return ask


def tools(client: Any, model: str) -> Said:
    """A tool call, and its result sent back."""
    shared: Any = {"model": model, "max_tokens": 256, "tools": TOOLS}
    first = client.messages.create(messages=user(WHERE), **shared)
    said = of_message(first)
    used = [one for one in first.content if one.type == "tool_use"]
    if not used:
        return said
    result = {"type": "tool_result", "tool_use_id": used[0].id, "content": "18 degrees, sunny"}
    turn = {"role": "assistant", "content": [one.model_dump(exclude_none=True) for one in first.content]}
    last = of_message(client.messages.create(messages=[*user(WHERE), turn, *user([result])], **shared))
    return last._replace(calls=(*said.calls, *last.calls))


IMAGE = [
    {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PIXEL}},
    {"type": "text", "text": "What is on the picture?"},
]
PDF = [
    {"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": PAGE}},
    {"type": "text", "text": "What does the page say?"},
]
THINKING: Any = {"max_tokens": 4096, "thinking": {"type": "enabled", "budget_tokens": 1024}}

SCENARIOS: Mapping[str, Scenario] = {
    "plain": Scenario(whole(messages=user(HELLO)), hello, MODEL),
    "stream": Scenario(streamed(messages=user(HELLO)), hello, MODEL),
    "tools": Scenario(tools, round_trip, MODEL),
    "tools_stream": Scenario(streamed(messages=user(WHERE), tools=TOOLS), weather, MODEL),
    "parallel_tools": Scenario(streamed(messages=user(BOTH), tools=TOOLS), both, MODEL),
    "reasoning": Scenario(whole(messages=user(HELLO), **THINKING), thinking, MODEL),
    "reasoning_stream": Scenario(streamed(messages=user(HELLO), **THINKING), thinking, MODEL),
    "image": Scenario(whole(messages=user(IMAGE)), seen, MODEL),
    "pdf": Scenario(whole(messages=user(PDF)), seen, MODEL),
    "json_schema": Scenario(
        whole(
            messages=user("Plan a trip to Lisbon."),
            output_config={"format": {"type": "json_schema", "schema": TRIP}},
        ),
        trip,
        MODEL,
    ),
    "refusal": Scenario(whole(messages=user(HELLO)), lambda fake: fake.refuse(), MODEL, live=False),
    "length": Scenario(
        whole(messages=user(HELLO), max_tokens=3), lambda fake: fake.reply("Bonjour à", finish="max_tokens"), MODEL
    ),
    "stream_cut": Scenario(
        refused(streamed(messages=user(HELLO))),
        lambda fake: fake.fault("One two three four five six.", cut_after=4),
        MODEL,
        live=False,
    ),
    "stream_error": Scenario(
        refused(streamed(messages=user(HELLO))),
        lambda fake: fake.fault("One two three four five six.", error_after=4, error="overloaded"),
        MODEL,
        live=False,
    ),
    **{
        f"error_{status}": Scenario(refused(whole(messages=user(HELLO))), failing(status), MODEL, live=False)
        for status in STATUSES
    },
}
