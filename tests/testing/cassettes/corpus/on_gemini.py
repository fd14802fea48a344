"""The scenarios of Gemini."""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Callable, Mapping
from typing import Any

from google.genai import types

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

MODEL = "gemini-2.5-flash"
STATUSES = (400, 401, 403, 404, 409, 413, 429, 499, 500, 503, 504)
TOOLS: Any = [
    types.Tool(
        function_declarations=[
            types.FunctionDeclaration(
                name="get_weather", description="The weather in a city.", parameters_json_schema=WEATHER
            )
        ]
    )
]


def of_parts(chunks: list[Any]) -> Said:
    """What the SDK made of an answer, in one or several pieces."""
    candidates = [one for chunk in chunks for one in chunk.candidates or ()]
    parts = [part for one in candidates if one.content for part in one.content.parts or ()]
    calls = tuple((part.function_call.name, str(part.function_call.args)) for part in parts if part.function_call)
    finish = next((str(one.finish_reason.value) for one in reversed(candidates) if one.finish_reason), "")
    text = "".join(part.text for part in parts if part.text and not part.thought)
    return Said(text, calls, finish, "".join(part.text for part in parts if part.text and part.thought))


def whole(contents: Any, **config: Any) -> Callable[[Any, str], Said]:
    """A plain answer."""

    def ask(client: Any, model: str) -> Said:
        made = types.GenerateContentConfig(**config)
        return of_parts([client.models.generate_content(model=model, contents=contents, config=made)])

    return ask


def streamed(contents: Any, **config: Any) -> Callable[[Any, str], Said]:
    """A streamed answer."""

    def ask(client: Any, model: str) -> Said:
        made = types.GenerateContentConfig(**config)
        return of_parts(list(client.models.generate_content_stream(model=model, contents=contents, config=made)))

    return ask


def tools(client: Any, model: str) -> Said:
    """A function call, and its result sent back."""
    config = types.GenerateContentConfig(tools=TOOLS)
    question = types.Content(role="user", parts=[types.Part(text=WHERE)])
    first = client.models.generate_content(model=model, contents=[question], config=config)
    said = of_parts([first])
    if not said.calls:
        return said
    part = types.Part.from_function_response(name="get_weather", response={"output": "18 degrees, sunny"})
    result = types.Content(role="user", parts=[part])
    turn = first.candidates[0].content
    last = of_parts([client.models.generate_content(model=model, contents=[question, turn, result], config=config)])
    return last._replace(calls=(*said.calls, *last.calls))


def embeddings(client: Any, model: str) -> Said:
    """Two vectors."""
    config = types.EmbedContentConfig(output_dimensionality=128)
    answer = client.models.embed_content(model=model, contents=["Paris", "Rome"], config=config)
    return Said(str([len(one.values) for one in answer.embeddings]))


IMAGE: Any = [types.Part.from_bytes(data=b64decode(PIXEL), mime_type="image/png"), "What is on the picture?"]
PDF: Any = [types.Part.from_bytes(data=b64decode(PAGE), mime_type="application/pdf"), "What does the page say?"]
THINKING = {"thinking_config": types.ThinkingConfig(include_thoughts=True, thinking_budget=512)}

SCENARIOS: Mapping[str, Scenario] = {
    "plain": Scenario(whole(HELLO), hello, MODEL),
    "stream": Scenario(streamed(HELLO), hello, MODEL),
    "tools": Scenario(tools, round_trip, MODEL),
    "tools_stream": Scenario(streamed(WHERE, tools=TOOLS), weather, MODEL),
    "parallel_tools": Scenario(streamed(BOTH, tools=TOOLS), both, MODEL),
    "reasoning": Scenario(streamed(HELLO, **THINKING), thinking, MODEL),
    "image": Scenario(whole(IMAGE), seen, MODEL),
    "pdf": Scenario(whole(PDF), seen, MODEL),
    "json_schema": Scenario(
        whole("Plan a trip to Lisbon.", response_mime_type="application/json", response_json_schema=TRIP), trip, MODEL
    ),
    "refusal": Scenario(whole(HELLO), lambda fake: fake.refuse(), MODEL, live=False),
    "length": Scenario(
        whole(HELLO, max_output_tokens=3), lambda fake: fake.reply("Bonjour à", finish="MAX_TOKENS"), MODEL
    ),
    "embeddings": Scenario(embeddings, lambda fake: fake, "gemini-embedding-001"),
    "stream_cut": Scenario(
        refused(streamed(HELLO)),
        lambda fake: fake.fault("One two three four five six.", cut_after=3),
        MODEL,
        live=False,
    ),
    "stream_error": Scenario(
        refused(streamed(HELLO)),
        lambda fake: fake.fault("One two three four five six.", error_after=3, error="overloaded"),
        MODEL,
        live=False,
    ),
    **{f"error_{status}": Scenario(refused(whole(HELLO)), failing(status), MODEL, live=False) for status in STATUSES},
}
