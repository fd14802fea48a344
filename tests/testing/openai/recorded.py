"""Real answers of OpenAI and of vendors with its protocol: read from disk, turned into scripts, reduced to shapes.

What does not live here: what a shape has to be like (`test_recordings.py`). The recordings are not part of the
project: `COMPATGW_RECORDINGS` names their folder.
"""

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from compatgw_testing import reply
from compatgw_testing.script import ToolCall, Turn, Usage

Shape = dict[str, set[str]]
# Trees whose members are the caller's own.
FREE = ("parameters", "schema", "metadata", "input_schema", "logit_bias", "headers")


@dataclass(frozen=True)
class Record:
    """One exchange with a vendor."""

    name: str
    vendor: str
    surface: str
    method: str
    path: str
    body: Any
    status: int
    answer: Any = field(repr=False)
    events: tuple[Any, ...] = field(repr=False)


def folder() -> Path:
    """Where the recordings are; skips without them."""
    name = os.environ.get("COMPATGW_RECORDINGS")
    if not name:
        pytest.skip("COMPATGW_RECORDINGS is not set")
    return Path(name)


@cache
def records(vendor: str, surface: str) -> tuple[Record, ...]:
    """The exchanges of one vendor on one surface."""
    return tuple(_record(path, vendor, surface) for path in sorted((folder() / vendor / surface).glob("*.json")))


def _record(path: Path, vendor: str, surface: str) -> Record:
    given = json.loads(path.read_bytes())
    sent, got = given["request"], given["response"]
    parts = urlsplit(sent["url"])
    return Record(
        name=path.stem,
        vendor=vendor,
        surface=surface,
        method=sent["method"],
        path=parts.path + (f"?{parts.query}" if parts.query else "") if parts.netloc else "",
        body=sent.get("body_json"),
        status=got["status"],
        answer=got.get("body_json"),
        events=tuple(events_of(got.get("body_text") or "")) if surface.endswith("-stream") else (),
    )


def events_of(text: str) -> Iterator[Any]:
    """The JSON of each event of a stream."""
    for line in text.replace("\r\n", "\n").split("\n"):
        data = line[5:].strip() if line.startswith("data:") else ""
        if data and data != "[DONE]":
            yield json.loads(data)


# Shapes.


def shape_of(*values: Any) -> Shape:
    """Every path in some values, with the JSON types that stand there; items of lists by their `type`."""
    found: Shape = {}
    for value in values:
        root = value["type"] if isinstance(value, dict) and isinstance(value.get("type"), str) else ""
        for path, kind in _paths(value, root):
            found.setdefault(path or ".", set()).add(kind)
    return found


def _paths(value: Any, at: str) -> Iterator[tuple[str, str]]:
    yield at, kind_of(value)
    if isinstance(value, dict):
        tag = f"<{value['type']}>" if at.endswith("]") and isinstance(value.get("type"), str) else ""
        for name, one in value.items():
            if name in FREE:
                yield f"{at}{tag}.{name}", kind_of(one)
            else:
                yield from _paths(one, f"{at}{tag}.{name}")
    elif isinstance(value, list):
        for one in value:
            yield from _paths(one, f"{at}[]")


def kind_of(value: Any) -> str:
    """The JSON type of a value."""
    if value is None or isinstance(value, bool):
        return "null" if value is None else "boolean"
    if isinstance(value, (int, float)):
        return "number"
    return "string" if isinstance(value, str) else "array" if isinstance(value, list) else "object"


def merged(shapes: Iterator[Shape]) -> Shape:
    """All the paths of several shapes."""
    found: Shape = {}
    for shape in shapes:
        for path, kinds in shape.items():
            found.setdefault(path, set()).update(kinds)
    return found


# Scripts.


def turn_of(record: Record) -> Turn:
    """A turn that says what the recorded answer says."""
    surface = record.surface.removesuffix("-stream")
    if surface == "responses":
        return _response(record)
    if surface == "completions":
        texts = [one["choices"][0].get("text") or "" for one in (record.answer, *record.events) if one]
        return reply("".join(texts))
    return _completed(record) if record.events else _chat(record.answer["choices"][0], record.answer.get("usage"))


def _chat(choice: Any, usage: Any) -> Turn:
    message = choice["message"]
    text, thought = _content(message.get("content"))
    details = [one.get("text") or "" for one in message.get("reasoning_details") or ()]
    thought = thought or message.get("reasoning_content") or message.get("reasoning") or "".join(details)
    calls = tuple(
        ToolCall(one["function"]["name"], one["function"].get("arguments") or "{}", one["id"])
        for one in message.get("tool_calls") or ()
    )
    finish = choice.get("finish_reason")
    return Turn(
        text=text,
        reasoning=thought or None,
        calls=calls,
        refusal=message.get("refusal") or None,
        finish=finish,
        usage=_usage(usage),
    )


def _content(content: Any) -> tuple[str | None, str]:
    if isinstance(content, dict):
        return json.dumps(content), ""
    if not isinstance(content, list):
        return content, ""
    texts = [one["text"] for one in content if one["type"] == "text"]
    thoughts = [part.get("text", "") for one in content if one["type"] == "thinking" for part in one["thinking"]]
    return "".join(texts), "".join(thoughts)


def _completed(record: Record) -> Turn:
    """The whole of a stream of chunks."""
    text: str | None = None
    message: dict[str, Any] = {"reasoning": "", "refusal": ""}
    calls: dict[Any, dict[str, Any]] = {}
    finish = usage = None
    for event in record.events:
        usage = event.get("usage") or usage
        for choice in event.get("choices") or ():
            delta = choice.get("delta") or {}
            finish = choice.get("finish_reason") or finish
            said, thought = _content(delta.get("content"))
            if said:
                text = (text or "") + said
            details = "".join(one.get("text") or "" for one in delta.get("reasoning_details") or ())
            message["reasoning"] += thought or delta.get("reasoning_content") or delta.get("reasoning") or details
            message["refusal"] += delta.get("refusal") or ""
            for one in delta.get("tool_calls") or ():
                call = calls.setdefault(one.get("index", one.get("id")), {"id": "", "name": "", "arguments": ""})
                call["id"] = one.get("id") or call["id"]
                call["name"] = (one.get("function") or {}).get("name") or call["name"]
                call["arguments"] += (one.get("function") or {}).get("arguments") or ""
    message["tool_calls"] = [
        {"id": one["id"], "function": {"name": one["name"], "arguments": one["arguments"]}} for one in calls.values()
    ]
    return _chat({"message": {**message, "content": text}, "finish_reason": finish}, usage)


def _response(record: Record) -> Turn:
    answer = record.answer or record.events[-1]["response"]
    text = refusal = None
    thought = ""
    calls: list[ToolCall] = []
    for item in answer["output"]:
        if item["type"] == "message":
            for part in item["content"]:
                text = (text or "") + part["text"] if part["type"] == "output_text" else text
                refusal = part["refusal"] if part["type"] == "refusal" else refusal
        elif item["type"] == "function_call":
            calls.append(ToolCall(item["name"], item["arguments"], item["call_id"]))
        elif item["type"] == "reasoning":
            parts = [*(item.get("summary") or ()), *(item.get("content") or ())]
            thought += "".join(one["text"] for one in parts) or "Hm."
    usage = answer.get("usage") or {}
    finish = "length" if answer["status"] == "incomplete" else None
    told = {
        "prompt_tokens": usage.get("input_tokens"),
        "completion_tokens": usage.get("output_tokens"),
        "prompt_tokens_details": usage.get("input_tokens_details"),
    }
    return Turn(
        text=text,
        refusal=refusal,
        reasoning=thought or None,
        calls=tuple(calls),
        finish=finish,
        usage=_usage(told),
    )


def _usage(usage: Any) -> Usage | None:
    if not usage or usage.get("prompt_tokens") is None or usage.get("completion_tokens") is None:
        return None
    read, written = usage["prompt_tokens"], usage["completion_tokens"]
    details = usage.get("prompt_tokens_details") or {}
    cached = min(read, details.get("cached_tokens") or 0)
    kept = min(read - cached, details.get("cache_write_tokens") or 0)
    thought = (usage.get("completion_tokens_details") or {}).get("reasoning_tokens") or 0
    return Usage(read, written, cached=cached, cache_write=kept, reasoning=min(thought, written))
