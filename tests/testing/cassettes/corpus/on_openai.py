"""The scenarios of OpenAI's own interface, and those that every vendor with its protocol shares."""

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

MODEL = "gpt-4o-mini"
STATUSES = (400, 401, 402, 403, 404, 408, 409, 413, 422, 429, 500, 502, 503, 504, 529)
TOOLS: Any = [
    {
        "type": "function",
        "function": {"name": "get_weather", "description": "The weather in a city.", "parameters": WEATHER},
    }
]
USAGE: Any = {"stream_options": {"include_usage": True}}


def user(content: Any) -> list[Any]:
    """One message of the user."""
    return [{"role": "user", "content": content}]


def whole(**members: Any) -> Callable[[Any, str], Said]:
    """A plain answer."""

    def ask(client: Any, model: str) -> Said:
        return of_completion(client.chat.completions.create(model=model, **members))

    return ask


def of_completion(answer: Any) -> Said:
    """What the SDK made of a plain answer."""
    choice = answer.choices[0]
    calls = tuple((one.function.name, one.function.arguments) for one in choice.message.tool_calls or ())
    return Said(_text(choice.message.content), calls, choice.finish_reason or "", _thought(choice.message))


def streamed(**members: Any) -> Callable[[Any, str], Said]:
    """A streamed answer."""

    def ask(client: Any, model: str) -> Said:
        text = thought = finish = ""
        calls: dict[int, list[str]] = {}
        for chunk in client.chat.completions.create(model=model, stream=True, **members):
            for choice in chunk.choices:
                text += _text(choice.delta.content)
                thought += _thought(choice.delta)
                finish = choice.finish_reason or finish
                for call in choice.delta.tool_calls or ():
                    made = calls.setdefault(call.index or 0, ["", ""])
                    made[0] += call.function.name or ""
                    made[1] += call.function.arguments or ""
        return Said(text, tuple((name, arguments) for name, arguments in calls.values()), finish, thought)

    return ask


def _text(content: Any) -> str:
    """Text, also of vendors that give it in parts."""
    if isinstance(content, list):
        return "".join(part.get("text", "") for part in content if part.get("type") == "text")
    return content or ""


def _thought(message: Any) -> str:
    found = getattr(message, "reasoning_content", None) or getattr(message, "reasoning", None) or ""
    if isinstance(message.content, list):
        for part in message.content:
            if part.get("type") == "thinking":
                found += "".join(inner.get("text", "") for inner in part["thinking"])
    return found if isinstance(found, str) else ""


def tools(client: Any, model: str) -> Said:
    """A tool call, and its result sent back."""
    first = client.chat.completions.create(model=model, messages=user(WHERE), tools=TOOLS)
    said = of_completion(first)
    if not said.calls:
        return said
    call = first.choices[0].message.tool_calls[0]
    turn = {
        "role": "assistant",
        "content": None,
        "tool_calls": [
            {
                "id": call.id,
                "type": "function",
                "function": {"name": call.function.name, "arguments": call.function.arguments},
            }
        ],
    }
    result = {"role": "tool", "tool_call_id": call.id, "content": "18 degrees, sunny"}
    again = client.chat.completions.create(model=model, messages=[*user(WHERE), turn, result], tools=TOOLS)
    last = of_completion(again)
    return last._replace(calls=(*said.calls, *last.calls))


def responses(client: Any, model: str) -> Said:
    """A plain answer of the responses interface."""
    answer = client.responses.create(model=model, input=HELLO)
    return Said(answer.output_text, finish=answer.status or "")


def responses_stream(client: Any, model: str) -> Said:
    """A streamed answer of the responses interface."""
    text = finish = ""
    for event in client.responses.create(model=model, input=HELLO, stream=True):
        if event.type == "response.output_text.delta":
            text += event.delta
        elif event.type == "response.completed":
            finish = event.response.status
    return Said(text, finish=finish)


def embeddings(client: Any, model: str) -> Said:
    """Two vectors."""
    answer = client.embeddings.create(model=model, input=["Paris", "Rome"], dimensions=8, encoding_format="float")
    return Said(str([len(one.embedding) for one in answer.data]))


def images(client: Any, model: str) -> Said:
    """A picture that is made."""
    answer = client.images.generate(model=model, prompt="One red pixel", size="1024x1024")
    return Said(str([len(one.b64_json or "") > 0 for one in answer.data]))


def speech(client: Any, model: str) -> Said:
    """A text that is spoken."""
    answer = client.audio.speech.create(model=model, input=HELLO, voice="alloy", response_format="wav")
    return Said(str(len(answer.read()) > 0))


def moderations(client: Any, model: str) -> Said:
    """A text that is judged."""
    answer = client.moderations.create(model=model, input=HELLO)
    return Said(str([one.flagged for one in answer.results]))


def completions(client: Any, model: str) -> Said:
    """A text that goes on."""
    answer = client.completions.create(model=model, prompt=HELLO, max_tokens=16)
    return Said(answer.choices[0].text, finish=answer.choices[0].finish_reason)


IMAGE = [
    {"type": "text", "text": "What is on the picture?"},
    {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PIXEL}"}},
]
PDF = [
    {"type": "text", "text": "What does the page say?"},
    {"type": "file", "file": {"filename": "page.pdf", "file_data": f"data:application/pdf;base64,{PAGE}"}},
]
SCHEMA: Any = {"type": "json_schema", "json_schema": {"name": "trip", "strict": True, "schema": TRIP}}

SCENARIOS: Mapping[str, Scenario] = {
    "plain": Scenario(whole(messages=user(HELLO)), hello, MODEL),
    "stream": Scenario(streamed(messages=user(HELLO), **USAGE), hello, MODEL),
    "tools": Scenario(tools, round_trip, MODEL),
    "tools_stream": Scenario(streamed(messages=user(WHERE), tools=TOOLS, **USAGE), weather, MODEL),
    "parallel_tools": Scenario(streamed(messages=user(BOTH), tools=TOOLS, **USAGE), both, MODEL),
    "reasoning": Scenario(whole(messages=user(HELLO), reasoning_effort="low"), thinking, "o4-mini"),
    "image": Scenario(whole(messages=user(IMAGE)), seen, MODEL),
    "pdf": Scenario(whole(messages=user(PDF)), seen, MODEL),
    "json_schema": Scenario(whole(messages=user("Plan a trip to Lisbon."), response_format=SCHEMA), trip, MODEL),
    "refusal": Scenario(
        whole(messages=user("Plan a trip to Lisbon, and be rude."), response_format=SCHEMA),
        lambda fake: fake.refuse(),
        MODEL,
        live=False,
    ),
    "length": Scenario(
        whole(messages=user(HELLO), max_tokens=3), lambda fake: fake.reply("Bonjour à", finish="length"), MODEL
    ),
    "responses": Scenario(responses, hello, MODEL),
    "responses_stream": Scenario(responses_stream, hello, MODEL),
    "embeddings": Scenario(embeddings, lambda fake: fake, "text-embedding-3-small"),
    "images": Scenario(images, lambda fake: fake, "gpt-image-1"),
    "speech": Scenario(speech, lambda fake: fake, "gpt-4o-mini-tts"),
    "moderations": Scenario(moderations, lambda fake: fake, "omni-moderation-latest"),
    "completions": Scenario(completions, hello, "gpt-3.5-turbo-instruct"),
    "stream_cut": Scenario(
        refused(streamed(messages=user(HELLO), **USAGE)),
        lambda fake: fake.fault("One two three four five six.", cut_after=4),
        MODEL,
        live=False,
    ),
    "stream_truncated": Scenario(
        streamed(messages=user(HELLO), **USAGE),
        lambda fake: fake.fault("One two three four five six.", truncate_after=4),
        MODEL,
        live=False,
    ),
    "stream_error": Scenario(
        refused(streamed(messages=user(HELLO), **USAGE)),
        lambda fake: fake.fault("One two three four five six.", error_after=4),
        MODEL,
        live=False,
    ),
    **{
        f"error_{status}": Scenario(refused(whole(messages=user(HELLO))), failing(status), MODEL, live=False)
        for status in STATUSES
    },
}
