"""The documented grammar of a Responses stream, as a checker that knows nothing of our code.

created, in_progress, (item)*, completed | incomplete
item: output_item.added, body, output_item.done; one after the other, `output_index` from 0
body of a message: (content_part.added, delta*, annotation*, text or refusal done, content_part.done)*
body of reasoning: (summary_part.added, delta*, summary_text.done, summary_part.done)*
body of a call: delta*, done
"""

from __future__ import annotations

import json
from typing import Any

Event = dict[str, Any]

LAST = ("response.completed", "response.incomplete", "response.failed")
CALLS = {
    "function_call": ("response.function_call_arguments", "arguments"),
    "custom_tool_call": ("response.custom_tool_call_input", "input"),
}


def events_of(body: bytes) -> list[Event]:
    """The events of a stream; each with the name of its frame where it has one."""
    found = []
    for block in body.decode().replace("\r\n", "\n").split("\n\n"):
        name, data = "", ""
        for line in block.split("\n"):
            if line.startswith("event:"):
                name = line[6:].strip()
            elif line.startswith("data:"):
                data += line[5:].strip()
        if data.startswith("{"):
            event = json.loads(data)
            assert name in ("", event["type"])
            found.append(event)
    return found


def check_events(body: bytes) -> list[Event]:
    """The events of a whole stream, which is as the documents say."""
    events = events_of(body)
    assert [event["sequence_number"] for event in events] == list(range(len(events))), "no gaps"
    assert body.count(b"event: ") == len(events)
    assert body.endswith(b"\n\n")
    kinds = [event["type"] for event in events]
    assert kinds[:2] == ["response.created", "response.in_progress"]
    assert [kind for kind in kinds if kind in LAST] == [kinds[-1]], "one end, last"
    begun = events[0]["response"]
    assert begun["status"] == events[1]["response"]["status"] == "in_progress"
    assert begun["output"] == []
    last = events[-1]["response"]
    assert last["id"] == begun["id"] == events[1]["response"]["id"]
    assert last["status"] == kinds[-1].removeprefix("response.")
    rest = events[2:-1]
    items: list[Event] = []
    while rest:
        items.append(_item(rest, len(items)))
    if kinds[-1] != "response.failed":
        assert last["output"] == items
    return events


def _take(rest: list[Event], kind: str, **members: Any) -> Event:
    assert rest, f"{kind} is missing"
    event = rest.pop(0)
    assert event["type"] == kind
    for name, value in members.items():
        assert event[name] == value, name
    return event


def _item(rest: list[Event], index: int) -> Event:
    added = _take(rest, "response.output_item.added", output_index=index)["item"]
    kind = added["type"]
    at = {"output_index": index, "item_id": added["id"]}
    if kind == "message":
        assert added["content"] == []
        said: Any = _parts(rest, at)
        member = "content"
    elif kind == "reasoning":
        assert added["summary"] == []
        said, member = _summary(rest, at), "summary"
    elif kind in CALLS:
        name, member = CALLS[kind]
        assert added[member] == ""
        text = ""
        while rest and rest[0]["type"] == f"{name}.delta":
            text += _take(rest, f"{name}.delta", **at)["delta"]
        _take(rest, f"{name}.done", **at, **{member: text})
        said = text
    else:
        said = member = None
    done = _take(rest, "response.output_item.done", output_index=index)["item"]
    for name in ("id", "type", "call_id", "name", "role", "namespace"):
        assert done.get(name) == added.get(name), name
    if member is not None:
        assert done[member] == said
    if "status" in added:
        assert added["status"] == "in_progress"
        assert done["status"] in ("completed", "incomplete")
    found: Event = done
    return found


def _parts(rest: list[Event], at: Event) -> list[Event]:
    parts: list[Event] = []
    while rest and rest[0]["type"] == "response.content_part.added":
        here = {**at, "content_index": len(parts)}
        part = _take(rest, "response.content_part.added", **here)["part"]
        name, member = {
            "output_text": ("response.output_text", "text"),
            "refusal": ("response.refusal", "refusal"),
        }[part["type"]]
        text = ""
        notes: list[Event] = []
        logprobs: list[Event] = []
        while rest and rest[0]["type"] in (f"{name}.delta", "response.output_text.annotation.added"):
            if rest[0]["type"] == f"{name}.delta":
                event = _take(rest, f"{name}.delta", **here)
                text += event["delta"]
                logprobs += event.get("logprobs", [])
            else:
                event = _take(rest, "response.output_text.annotation.added", **here, annotation_index=len(notes))
                notes.append(event["annotation"])
        _take(rest, f"{name}.done", **here, **{member: text})
        done = _take(rest, "response.content_part.done", **here)["part"]
        assert done[member] == text
        assert done["type"] == part["type"]
        if part["type"] == "output_text":
            assert done["annotations"] == notes
            assert done["logprobs"] == logprobs
        parts.append(done)
    return parts


def _summary(rest: list[Event], at: Event) -> list[Event]:
    parts: list[Event] = []
    while rest and rest[0]["type"] == "response.reasoning_summary_part.added":
        here = {**at, "summary_index": len(parts)}
        _take(rest, "response.reasoning_summary_part.added", **here)
        text = ""
        while rest and rest[0]["type"] == "response.reasoning_summary_text.delta":
            text += _take(rest, "response.reasoning_summary_text.delta", **here)["delta"]
        _take(rest, "response.reasoning_summary_text.done", **here, text=text)
        part = _take(rest, "response.reasoning_summary_part.done", **here)["part"]
        assert part == {"type": "summary_text", "text": text}
        parts.append(part)
    return parts
