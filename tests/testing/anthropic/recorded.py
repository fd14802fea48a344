"""Anthropic's recorded answers as turns of a script, and recorded requests put to the fake.

What does not live here: reading and comparing (`exchanges.py`), exceptions (`odd.py`).
"""

import json
from dataclasses import replace
from typing import Any

from compatgw_testing import FakeAnthropic
from compatgw_testing.script import ToolCall, Turn, Usage
from tests.testing.driver import Reply, credentials, request
from tests.testing.exchanges import Record
from tests.testing.paths import objects

PATHS = {"messages": "/v1/messages", "count-tokens": "/v1/messages/count_tokens", "models": "/v1/models"}
SMALLEST = {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "Hi"}]}


def asked(record: Record) -> Record:
    """The exchange; with the smallest request that fits if none was recorded."""
    if record.body is not None or record.method == "GET":
        return record
    body = {**SMALLEST, "stream": True} if record.streamed else SMALLEST
    return replace(record, body=body, path=PATHS["messages"])


async def answered(record: Record, *, key: str | None = None, models: list[str] | None = None) -> Reply:
    """What the fake answers to a recorded request, told to say what the vendor said."""
    fake = FakeAnthropic(models=models)
    for one in objects(record.body):
        if "signature" in one:
            fake.thoughts.trust(one["signature"])
        if one.get("type") == "redacted_thinking":
            fake.thoughts.trust(one["data"])
    if record.kind == "messages" and record.status == 200:
        fake.enqueue(turn_of(record))
    headers = credentials(fake) if key is None else {**credentials(fake), "x-api-key": key}
    if version := record.headers.get("anthropic-version"):
        headers["anthropic-version"] = version
    return await request(fake, record.path, record.body, method=record.method, headers=headers)


def turn_of(record: Record) -> Turn:
    """A turn that says what the recorded answer says, as far as a script can."""
    message = _whole(record) if record.streamed else record.answer
    texts: list[str] = []
    thought, redacted, calls = "", False, []
    for block in message["content"]:
        if block["type"] == "text":
            texts.append(block["text"])
        elif block["type"] == "thinking":
            thought += block["thinking"] or "Hm."
        elif block["type"] == "redacted_thinking":
            thought, redacted = "Hm.", True
        elif block["type"] == "tool_use":
            calls.append(ToolCall(block["name"], block["input"], block["id"]))
    details = message.get("stop_details")
    return Turn(
        text="".join(texts) or None,
        reasoning=thought or None,
        redacted=redacted,
        calls=tuple(calls),
        refusal=details["explanation"] or "" if details else None,
        finish=message["stop_reason"],
        usage=_usage(message["usage"]),
    )


def _whole(record: Record) -> Any:
    """The message that a stream makes."""
    message: dict[str, Any] = {}
    blocks: dict[int, dict[str, Any]] = {}
    for event in record.said:
        if event["type"] == "message_start":
            message = {**event["message"], "usage": dict(event["message"]["usage"])}
        elif event["type"] == "content_block_start":
            blocks[event["index"]] = {**event["content_block"], "partial": ""}
        elif event["type"] == "content_block_delta":
            block, delta = blocks[event["index"]], event["delta"]
            block["text"] = block.get("text", "") + delta.get("text", "")
            block["thinking"] = block.get("thinking", "") + delta.get("thinking", "")
            block["partial"] += delta.get("partial_json", "")
        elif event["type"] == "message_delta":
            message |= event["delta"]
            message["usage"] |= event.get("usage") or {}
    for block in blocks.values():
        if block["type"] == "tool_use":
            block["input"] = json.loads(block["partial"] or "{}")
    return {**message, "content": list(blocks.values())}


def _usage(usage: Any) -> Usage:
    cached = usage.get("cache_read_input_tokens") or 0
    kept = usage.get("cache_creation_input_tokens") or 0
    thought = (usage.get("output_tokens_details") or {}).get("thinking_tokens") or 0
    read = usage["input_tokens"] + cached + kept
    written = usage["output_tokens"]
    return Usage(read, written, cached=cached, cache_write=kept, reasoning=min(thought, written))
