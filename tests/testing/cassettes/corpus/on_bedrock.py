"""The scenarios of Amazon Bedrock's Converse. Frames are read here by hand; `test_corpus.py` has AWS's own library read
them, too, where it is installed.
"""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from urllib.parse import quote

from compatgw_testing.specimens import PAGE, PIXEL
from tests.testing.cassettes.corpus.plain import ByHand, Refusal
from tests.testing.cassettes.corpus.scenario import (
    BOTH,
    HELLO,
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
    weather,
)

MODEL = "us.anthropic.claude-sonnet-4-5-20250929-v1:0"
STATUSES = (400, 401, 403, 404, 408, 424, 429, 500, 503)
SPEC = {"name": "get_weather", "description": "The weather in a city.", "inputSchema": {"json": WEATHER}}
TOOLS: Any = {"toolConfig": {"tools": [{"toolSpec": SPEC}]}}
THINKING: Any = {
    "inferenceConfig": {"maxTokens": 4096},
    "additionalModelRequestFields": {"thinking": {"type": "enabled", "budget_tokens": 1024}},
}
IMAGE = [{"image": {"format": "png", "source": {"bytes": PIXEL}}}, {"text": "What is on the picture?"}]
PDF = [
    {"document": {"name": "page", "format": "pdf", "source": {"bytes": PAGE}}},
    {"text": "What does the page say?"},
]


def user(content: Any) -> list[Any]:
    """One message of the user."""
    return [{"role": "user", "content": [{"text": content}] if isinstance(content, str) else content}]


def frames(data: bytes) -> Iterator[tuple[dict[str, str], Any]]:
    """The messages of an event stream: headers, and the payload as JSON."""
    while data:
        size, width, check = struct.unpack(">III", data[:12])
        whole, data = data[:size], data[size:]
        assert check == zlib.crc32(whole[:8])
        assert struct.unpack(">I", whole[-4:])[0] == zlib.crc32(whole[:-4])
        head, named = whole[12 : 12 + width], {}
        while head:
            name, head = head[1 : 1 + head[0]].decode(), head[1 + head[0] :]
            kind, long = struct.unpack(">BH", head[:3])
            assert kind == 7
            named[name], head = head[3 : 3 + long].decode(), head[3 + long :]
        yield named, json.loads(whole[12 + width : -4])


def of_content(blocks: list[Any], finish: str) -> Said:
    """What a message says."""
    calls = tuple((one["toolUse"]["name"], str(one["toolUse"]["input"])) for one in blocks if "toolUse" in one)
    thought = "".join(one["reasoningContent"]["reasoningText"]["text"] for one in blocks if "reasoningContent" in one)
    return Said("".join(one.get("text", "") for one in blocks), calls, finish, thought)


def whole(**members: Any) -> Callable[[ByHand, str], Said]:
    """A plain answer."""

    def ask(client: ByHand, model: str) -> Said:
        return _whole(client, model, members)[1]

    return ask


def _whole(client: ByHand, model: str, members: Mapping[str, Any]) -> tuple[list[Any], Said]:
    body = client.post(f"/model/{quote(model, safe='')}/converse", members).json()
    blocks = body["output"]["message"]["content"]
    return blocks, of_content(blocks, body["stopReason"])


def streamed(**members: Any) -> Callable[[ByHand, str], Said]:
    """A streamed answer."""

    def ask(client: ByHand, model: str) -> Said:
        answer = client.post(f"/model/{quote(model, safe='')}/converse-stream", members)
        return of_events((_event(named), value) for named, value in frames(answer.content))

    return ask


def _event(named: Mapping[str, str]) -> str:
    if named[":message-type"] != "event":
        raise Refusal(named[":exception-type"])
    return named[":event-type"]


def of_events(events: Iterator[tuple[str, Any]]) -> Said:
    """What the events of a stream say, each by its name."""
    text = thought = finish = ""
    calls: dict[int, list[str]] = {}
    for name, value in events:
        delta, start = value.get("delta", {}), value.get("start", {})
        text += delta.get("text", "")
        thought += delta.get("reasoningContent", {}).get("text", "")
        if "toolUse" in start:
            calls[value["contentBlockIndex"]] = [start["toolUse"]["name"], ""]
        if "toolUse" in delta:
            calls[value["contentBlockIndex"]][1] += delta["toolUse"]["input"]
        if name == "messageStop":
            finish = value["stopReason"]
    return Said(text, tuple((name, arguments) for name, arguments in calls.values()), finish, thought)


def tools(client: ByHand, model: str) -> Said:
    """A tool call, and its result sent back."""
    blocks, said = _whole(client, model, {"messages": user(WHERE), **TOOLS})
    used = [one["toolUse"] for one in blocks if "toolUse" in one]
    if not used:
        return said
    result = {"toolUseId": used[0]["toolUseId"], "content": [{"text": "18 degrees, sunny"}]}
    messages = [*user(WHERE), {"role": "assistant", "content": blocks}, *user([{"toolResult": result}])]
    _, last = _whole(client, model, {"messages": messages, **TOOLS})
    return last._replace(calls=(*said.calls, *last.calls))


SCENARIOS: Mapping[str, Scenario] = {
    "plain": Scenario(whole(messages=user(HELLO)), hello, MODEL),
    "stream": Scenario(streamed(messages=user(HELLO)), hello, MODEL),
    "tools": Scenario(tools, round_trip, MODEL),
    "tools_stream": Scenario(streamed(messages=user(WHERE), **TOOLS), weather, MODEL),
    "parallel_tools": Scenario(streamed(messages=user(BOTH), **TOOLS), both, MODEL),
    "reasoning": Scenario(whole(messages=user(HELLO), **THINKING), thinking, MODEL),
    "reasoning_stream": Scenario(streamed(messages=user(HELLO), **THINKING), thinking, MODEL),
    "image": Scenario(whole(messages=user(IMAGE)), seen, MODEL),
    "pdf": Scenario(whole(messages=user(PDF)), seen, MODEL),
    "length": Scenario(
        whole(messages=user(HELLO), inferenceConfig={"maxTokens": 3}),
        lambda fake: fake.reply("Bonjour à", finish="max_tokens"),
        MODEL,
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
